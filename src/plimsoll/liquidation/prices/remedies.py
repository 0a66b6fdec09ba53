"""The smallest single steps that bring a pool back: add an asset, reduce a position, cancel.

Entry point: ``find_remedies``. Every amount is tried out through ``ledger.apply`` on a copy and
judged by ``assess``, so what is told is what would happen: that many units are enough, and one
unit less is not. All prices stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from plimsoll.book import PoolKind
from plimsoll.core import InputError, LedgerError, Status
from plimsoll.ledger import EventBatch
from plimsoll.liquidation.prices.pool import PoolPath
from plimsoll.liquidation.prices.steps import cancel, close, deposit
from plimsoll.margin import Assessment
from plimsoll.margin.exposure import notional_coefficient

ALL_ORDERS: Final = "all"
_SHARES: Final = 32
_UNITS_MAX: Final = 2**60


class RemedyKind(StrEnum):
    """What is done."""

    CANCEL = "cancel"
    ADD = "add"
    REDUCE = "reduce"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One step that is enough by itself.

    ``subject`` is an asset (ADD), a symbol (REDUCE, CANCEL) or ``ALL_ORDERS``. ``amount`` is
    > 0: units of the asset, contracts to close, orders to cancel. ``usd`` is what is brought,
    or the notional that is closed, 0 to cancel. ``margin_ratio`` and ``status`` are what the
    pool has afterwards.
    """

    kind: RemedyKind
    subject: str
    amount: float
    usd: float
    margin_ratio: float
    status: Status


def find_remedies(
    pool: PoolPath, target_ratio: float | None = None, fee_rate: float = 0.0
) -> tuple[Remedy, ...]:
    """Single steps that bring a pool's margin ratio below ``target_ratio``, by kind and USD.

    ``target_ratio`` is where the model's margin call begins if None. Positions are reduced at
    mark for ``fee_rate`` of the value. Empty where the pool is below already, is UNKNOWN, or
    where no single step is enough. A position is tried in steps of a 32nd before the smallest
    amount is found inside one: one that helps only between two of these is not seen. Raises
    InputError on a target that is no ratio.
    """
    target = pool.models.models[0].margin_call_ratio if target_ratio is None else target_ratio
    if not 0 < target <= 1:
        raise InputError("target", f"{target} is no margin ratio", "give one up to 1, such as 0.8")
    goal = _Goal(pool, target)
    now = pool.now()
    if now.status[0] == Status.UNKNOWN or goal.is_met(now):
        return ()
    found = _cancels(goal)
    for steps in (_additions(goal), _reductions(goal, fee_rate)):
        found += sorted(steps, key=lambda remedy: remedy.usd)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Goal:
    """A pool and the ratio that it must come below."""

    pool: PoolPath
    ratio: float

    def is_met(self, result: Assessment) -> bool:
        """Whether an assessment of the pool has that ratio."""
        known = result.status[0] != Status.UNKNOWN and result.equity[0] >= 0
        return bool(known and result.margin_ratio[0] < self.ratio)

    def tries(self, batch: EventBatch) -> Assessment | None:
        """The assessment after a batch if it is enough; None, too, where it cannot be booked."""
        try:
            result = self.pool.after(batch).now()
        except LedgerError:
            return None
        return result if self.is_met(result) else None

    def room(self, result: Assessment) -> float:
        """USD of maintenance margin that the ratio still leaves; NaN where unknown."""
        return float(self.ratio * result.collateral_value[0] - result.maintenance_margin[0])


def _additions(goal: _Goal) -> list[Remedy]:
    """Assets that come in; a pool kept apart takes only what it owns or settles in."""
    pool, book, table = goal.pool, goal.pool.book, goal.pool.book.instruments
    price = pool.path.market.index
    candidates = np.flatnonzero(np.isfinite(price) & (price > 0))
    is_apart = book.pool_kind[0] == PoolKind.ISOLATED
    if is_apart or pool.models.models[0].model.is_segregated:
        near = [book.balances.asset, table.settle[book.positions.instrument]]
        candidates = np.intersect1d(candidates, np.concatenate(near))
    missing = -goal.room(pool.now())
    found = []
    for asset in candidates.tolist():
        unit = float(table.assets.unit[asset])
        unit_usd = unit * float(price[asset])
        # From what is missing to a thousand times it, whatever the haircut.
        start = int(np.clip(missing / unit_usd, 1.0, _UNITS_MAX / 4096.0))
        make = partial(deposit, pool, asset)
        answer = _smallest(goal, make, start, 1024 * start)
        if answer is not None:
            units, after = answer
            name = table.assets.names[asset]
            found.append(_told(RemedyKind.ADD, name, units * unit, units * unit_usd, after))
    return found


def _reductions(goal: _Goal, fee_rate: float) -> list[Remedy]:
    """Positions that are closed in part or in full, each by itself."""
    pool, held, table = goal.pool, goal.pool.book.positions, goal.pool.book.instruments
    market = pool.path.market
    notional = notional_coefficient(table, market.mark, market.index)
    found = []
    for row, i in enumerate(held.instrument.tolist()):
        size = abs(int(held.quantity[row]))
        if size == 0 or not market.mark[i] > 0:
            continue
        make = partial(close, pool, row, fee_rate)
        low = 0
        for share in range(1, _SHARES + 1):
            high = -(-size * share // _SHARES)
            if high > low and goal.tries(make(high)) is not None:
                units, after = _between(goal, make, low, high)
                amount = units * float(table.quantity_unit[i])
                usd = amount * float(notional[i])
                found.append(_told(RemedyKind.REDUCE, table.symbols[i], amount, usd, after))
                break
            low = high
    return found


def _cancels(goal: _Goal) -> list[Remedy]:
    """Symbols whose orders to cancel, or all orders where no symbol alone is enough."""
    orders, symbols = goal.pool.book.orders, goal.pool.book.instruments.symbols
    groups = [(symbols[i], orders.instrument == i) for i in np.unique(orders.instrument).tolist()]
    found = []
    for subject, chosen in groups:
        after = goal.tries(cancel(goal.pool, chosen))
        if after is not None:
            found.append(_told(RemedyKind.CANCEL, subject, float(chosen.sum()), 0.0, after))
    if not found and len(groups) > 1:
        every = np.ones(orders.order_id.size, dtype=np.bool_)
        after = goal.tries(cancel(goal.pool, every))
        if after is not None:
            found.append(_told(RemedyKind.CANCEL, ALL_ORDERS, float(every.size), 0.0, after))
    return found


Make: TypeAlias = Callable[[int], EventBatch]
"""The batch that does so many units of something."""


def _smallest(goal: _Goal, make: Make, start: int, limit: int) -> tuple[int, Assessment] | None:
    """The first of 1, 2, ... units that is enough, if more never is worse; None up to a limit."""
    low, high = 0, start
    while goal.tries(make(high)) is None:
        low, high = high, 2 * high
        if low >= limit:
            return None
    return _between(goal, make, low, high)


def _between(goal: _Goal, make: Make, low: int, high: int) -> tuple[int, Assessment]:
    """The first number of units that is enough, where ``low`` is not and ``high`` is.

    The line through both ends points at it; from there the search gallops to the other side,
    and halves what is then left.
    """
    pool = goal.pool
    first = goal.room((pool.after(make(low)) if low else pool).now())
    rise = goal.room(pool.after(make(high)).now()) - first
    if rise > 0 > first:
        guess = low + int((high - low) * min(-first / rise, 1.0))
        stride = 1
        was_enough = None
        while low < guess < high:
            is_enough = goal.tries(make(guess)) is not None
            low, high = (low, guess) if is_enough else (guess, high)
            if was_enough not in (None, is_enough):
                break
            was_enough = is_enough
            guess += -stride if is_enough else stride
            stride *= 8
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = goal.tries(make(middle)) is not None
        low, high = (low, middle) if is_enough else (middle, high)
    return high, pool.after(make(high)).now()


def _told(kind: RemedyKind, subject: str, amount: float, usd: float, after: Assessment) -> Remedy:
    ratio, status = float(after.margin_ratio[0]), Status(after.status[0])
    return Remedy(kind, subject, amount, usd, ratio, status)
