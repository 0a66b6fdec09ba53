"""Losses that are shared among those who stand: what each pays, in the reserve asset."""

import numpy as np

from plimsoll.book import Book, SystemPool
from plimsoll.core import Floats, Int32s, Int64s, sum_by, sum_exact
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments import value_coefficient
from plimsoll.ledger import TransferReason, Transfers
from plimsoll.liquidation.deleveraging.allocation import share_by_weight
from plimsoll.liquidation.waterfall.counterparties import Others
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import LossKey, SocialisedLoss


def share_loss(
    book: Book, scene: Scene, stage: SocialisedLoss, reserve: int, others: Others, loss: int,
    spared: Int32s, release_ratio: float,
) -> Transfers:  # fmt: skip
    """Transfers to the fund that share ``loss`` (units of the reserve asset) by the stage's key.

    Nobody pays more than he owns of the asset, nor beyond the margin ratio ``release_ratio``: the
    loss of one must not be the end of another. By profit, nobody pays more than his profit; pools
    that are ``spared`` pay nothing. What that does not reach is left for the bad debt pool.
    """
    unit_usd = float(book.instruments.assets.unit[reserve] * scene.market.index[reserve])
    owned = _owned(book, reserve, others.pools)
    found, pools = others.found, others.pools
    free = found.collateral_value[pools] - found.maintenance_margin[pools] / release_ratio
    free = np.minimum(np.maximum(free, 0.0), found.equity[pools]) / unit_usd
    profit = _profit(book, scene, others) / unit_usd
    room = np.minimum(owned, _units(free))
    if stage.key == LossKey.PROFIT:
        room = np.minimum(room, _units(profit))
        weight = _units(profit)
    elif stage.key == LossKey.OPEN_INTEREST:
        size = sum_by(others.held.owner, others.held.notional, others.pools.size)
        weight = _units(size / unit_usd)
    else:
        weight = owned
    room = np.where((weight > 0) & ~np.isin(others.pools, spared), room, 0)
    paid = share_by_weight(
        weight, room, np.ones_like(room), others.pools, min(loss, sum_exact(room))
    )
    at = np.flatnonzero(paid > 0)
    return Transfers(
        source=others.pools[at].astype(np.int32),
        target=np.full(at.size, SystemPool.INSURANCE_FUND, dtype=np.int32),
        asset=np.full(at.size, reserve, dtype=np.int32),
        amount=paid[at],
        reason=np.full(at.size, TransferReason.SOCIALISED_LOSS, dtype=np.int8),
    )


def _units(amount: Floats) -> Int64s:
    known = np.where(np.isfinite(amount), amount, 0.0)
    return np.asarray(np.floor(np.clip(known, 0.0, float(UNITS_MAX - 1))), dtype=np.int64)


def _owned(book: Book, asset: int, pools: Int64s) -> Int64s:
    """Units of an asset that each pool owns, 0 where it owes."""
    owned = np.zeros(book.pool_count, dtype=np.int64)
    rows = np.flatnonzero(book.balances.asset == asset)
    pool = np.searchsorted(book.balances.offsets, rows, side="right") - 1
    owned[pool] = np.maximum(book.balances.amount[rows], 0)
    return np.asarray(owned[pools])


def _profit(book: Book, scene: Scene, others: Others) -> Floats:
    """Unrealised profit of each pool's winning positions, USD >= 0."""
    held, table, market = others.held, book.instruments, scene.market
    i = held.instrument
    settle = table.settle[i]
    unit = table.assets.unit[settle] * market.index[settle]
    value = _value_at_mark(book, scene, others)
    gain = np.where(np.isfinite(value), np.maximum(value - held.cost, 0.0) * unit, 0.0)
    return sum_by(held.owner, gain, others.pools.size)


def _value_at_mark(book: Book, scene: Scene, others: Others) -> Floats:
    """Value of the others' positions at mark, units of their settle assets, with sign."""
    held, table = others.held, book.instruments
    i = held.instrument
    per_unit = value_coefficient(table.is_inverse, table.multiplier, scene.market.mark)[i]
    contracts = held.quantity * table.quantity_unit[i]
    return np.asarray(contracts * per_unit / table.assets.unit[table.settle[i]])
