"""What would move a liquidation price: one small step at a time, the price solved again nearby.

One step of Newton's method from the border, for the pool as it then is: exact on a line; over a
tier or near an option's strike it is the direction and about the size.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from plimsoll.core import LedgerError
from plimsoll.ledger import EventBatch
from plimsoll.liquidation.prices.path import Direction
from plimsoll.liquidation.prices.pool import PoolPath
from plimsoll.liquidation.prices.price import Crossing
from plimsoll.liquidation.prices.steps import cancel, close, deposit

STEP: Final = 0.1
"""The share of a position that is closed, or of today's collateral value that comes in."""
_SLOPE_STEP: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Influence:
    """``what`` is done today, and by how much that moves the border, as a fraction of its price.

    NaN where the step leaves the health unknown there or the border has no slope.
    """

    what: str
    move: float


def influences(pool: PoolPath, direction: Direction, crossing: Crossing) -> tuple[Influence, ...]:
    """What single steps do to a border, the strongest first: a tenth of each position closed,

    a tenth of the collateral value brought in by each asset owned or settled in, all orders
    cancelled.
    """
    safe = crossing.safe_factor
    # The slope on the safe side, where the price comes from.
    inner = safe * (1.0 + (_SLOPE_STEP if crossing.is_safe_above else -_SLOPE_STEP))
    found = []
    for what, batch in _steps(pool):
        try:
            after = pool.after(batch)
        except LedgerError:
            continue
        left, inside = after.try_factors(direction, np.array([safe, inner])).health.tolist()
        slope = (inside - left) / (inner - safe)
        move = -left / slope / safe if slope else float("nan")
        found.append(Influence(what, move))
    return tuple(sorted(found, key=lambda one: -abs(np.nan_to_num(one.move))))


def _steps(pool: PoolPath) -> list[tuple[str, EventBatch]]:
    table, held, owned = pool.book.instruments, pool.book.positions, pool.book.balances
    found = []
    for row, i in enumerate(held.instrument.tolist()):
        units = int(np.ceil(STEP * abs(int(held.quantity[row]))))
        if units and pool.path.market.mark[i] > 0:
            found.append((f"close a tenth of {table.symbols[i]}", close(pool, row, 0.0, units)))
    worth = STEP * float(pool.now().collateral_value[0])
    for asset in np.union1d(owned.asset, table.settle[held.instrument]).tolist():
        price = float(pool.path.market.index[asset])
        wanted = worth / (price * float(table.assets.unit[asset])) if price > 0 else 0.0
        if 1.0 <= wanted < 2.0**60:
            what = f"add {table.assets.names[asset]} worth a tenth of the collateral"
            found.append((what, deposit(pool, asset, int(wanted))))
    if pool.book.orders.order_id.size:
        every = np.ones(pool.book.orders.order_id.size, dtype=np.bool_)
        found.append(("cancel all orders", cancel(pool, every)))
    return found
