"""Pools whose equity does not cover closing: in which order, and who pays for which position.

The loss of a position is what closing it in the market costs beyond its share of the pool's
equity. The fund pays in the order of the pools, for the last one in part; what it may not pay for
goes to counterparties, or to all.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by
from plimsoll.liquidation.closing import Holdings
from plimsoll.liquidation.deleveraging.allocation import order_by_fraction
from plimsoll.liquidation.insurance import pay_in_order
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.margin import Assessment

MICRO = 1e6
"""Ratios are compared in whole millionths of the model's currency."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Who pays: ``share`` is the part of each row that the fund takes over, ``paid`` USD.

    ``paid`` is by instrument; ``flat_unpaid`` is USD that pools without positions owe and the fund
    may not pay, by owner.
    """

    share: Floats
    paid: Floats
    flat_unpaid: Floats


def rank_pools(found: Assessment, pools: Int64s) -> Int64s:
    """The place of each pool in the order of liquidation, 0 first; ties by pool number.

    By margin ratio, the largest first, compared by cross-multiplication: maintenance margin over
    collateral value, which counts as 0 where there is none. Shape [pools].
    """
    owed = _whole(found.maintenance_margin)
    owned = _whole(np.maximum(found.collateral_value, 0.0))
    # Nothing over nothing is a debt without positions: it goes first, like all without collateral.
    owed = np.where((owed == 0) & (owned == 0), 1, owed)
    order = order_by_fraction(owed, owned, pools)
    place = np.empty(pools.size, dtype=np.int64)
    place[order] = np.arange(pools.size)
    return place


def _whole(amount: Floats) -> Int64s:
    return np.rint(np.clip(amount, 0.0, 9e12) * MICRO).astype(np.int64)


def share_equity(held: Holdings, equity: Floats) -> Floats:
    """Each position's part of its pool's equity, by notional, USD."""
    total = sum_by(held.owner, held.notional, equity.size)
    share = held.notional / np.where(total > 0, total, 1.0)[held.owner]
    return np.asarray(equity[held.owner] * share)


def cover_losses(
    scene: Scene, policy: Policy, held: Holdings, equity: Floats, cost: Floats, rank: Int64s,
    fund_usd: float,
) -> Cover:  # fmt: skip
    """Which positions of lost pools the fund takes over.

    ``cost`` is USD of closing by row, ``equity`` by owner. The fund's bounds hold for the whole
    step: ``scene.fund_paid`` has used them in part already. Without a stage behind it the fund is
    asked to pay for all, and what it lacks is bad debt.
    """
    loss = np.maximum(cost - share_equity(held, equity), 0.0)
    has_rows = np.bincount(held.owner, minlength=equity.size) > 0
    owed = np.where(has_rows, 0.0, np.maximum(-equity, 0.0))
    count = scene.fund_paid.size
    if not policy.bounds_fund:
        paid = sum_by(held.instrument, loss, count)
        return Cover(np.ones(loss.size), paid, np.zeros(equity.size))
    stage = policy.fund
    if stage is None:
        return Cover((loss <= 0).astype(np.float64), np.zeros(count), owed)
    room = np.maximum(stage.market_share_max * max(scene.fund_start, 0.0) - scene.fund_paid, 0.0)
    event = stage.event_share_max * max(scene.fund_start, 0.0) - scene.fund_paid.sum()
    event = max(min(event, fund_usd - stage.floor), 0.0)
    wanted = sum_by(held.instrument, loss, count)
    if np.all(wanted <= room) and wanted.sum() + owed.sum() <= event:
        return Cover(np.ones(loss.size), wanted, np.zeros(equity.size))
    return _cover_in_order(held, loss, owed, rank, room, event)


def _cover_in_order(
    held: Holdings, loss: Floats, owed: Floats, rank: Int64s, room: Floats, event: float
) -> Cover:
    """Row by row, pools by rank, instruments by number, each as far as there is room."""
    share = (loss <= 0).astype(np.float64)
    rows, debts = np.flatnonzero(loss > 0), np.flatnonzero(owed > 0)
    # Debts without a position come with the pool's place, behind no position of it.
    place = np.concatenate([rank[held.owner[rows]], rank[debts]])
    order = np.argsort(place, kind="stable")
    wanted = np.concatenate([loss[rows], owed[debts]])
    market = np.concatenate([held.instrument[rows], np.full(debts.size, -1, dtype=np.int32)])
    given, one_fund = np.empty(order.size), np.zeros(room.size, dtype=np.int64)
    claim = market[order]
    pay_in_order(wanted[order], claim, one_fund, room.copy(), np.array([event]), given)
    amount = np.empty(order.size)
    amount[order] = given
    paid = sum_by(claim[claim >= 0], given[claim >= 0], room.size)
    share[rows] = amount[: rows.size] / loss[rows]
    unpaid = owed.copy()
    unpaid[debts] -= amount[rows.size :]
    return Cover(share, paid, unpaid)
