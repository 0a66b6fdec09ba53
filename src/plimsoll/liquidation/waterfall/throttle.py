"""Bounds on forced closes: by instrument, for a step, a window, and what the depth takes."""

import numpy as np

from plimsoll.core import Bools, Floats, Int64s
from plimsoll.liquidation.closing import Holdings
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import Throttle
from plimsoll.margin.exposure import notional_coefficient

UNBOUNDED = np.int64(2**62)


def limit_units(scene: Scene, throttle: Throttle) -> Int64s:
    """Units of each instrument that may still be closed in this round, int64 [instruments]."""
    market, table = scene.market, scene.market.instruments
    unit_usd = notional_coefficient(table, market.mark, market.index) * table.quantity_unit
    limit = np.full(len(table), UNBOUNDED)
    if throttle.tick_notional_max is not None:
        limit = _least(limit, throttle.tick_notional_max / unit_usd, scene.closed)
    if throttle.window_notional_max is not None and throttle.window_s is not None:
        done = scene.pace.within(market.as_of_ns, throttle.window_s)
        limit = _least(limit, throttle.window_notional_max / unit_usd, done)
    if throttle.depth_share_max is not None:
        depth = market.state.depth * throttle.depth_share_max / table.quantity_unit
        limit = _least(limit, depth, scene.closed)
    return np.where(scene.may_close, limit, 0)


def _least(limit: Int64s, units: Floats, done: Int64s) -> Int64s:
    known = np.isfinite(units)
    whole = np.floor(np.where(known, np.minimum(units, float(UNBOUNDED)), 0.0)).astype(np.int64)
    return np.where(known, np.minimum(limit, np.maximum(whole - done, 0)), limit)


def throttle_quantities(
    held: Holdings, wanted: Int64s, limit: Int64s, rank: Int64s, keeps_shape: bool
) -> Int64s:
    """What may be closed of ``wanted``, pools served in the order of ``rank`` (by owner).

    Where a bound cuts one leg and ``keeps_shape``, every leg of that pool is cut to the same share:
    closing the others alone would leave it less hedged than it was.
    """
    total = np.zeros(limit.size, dtype=np.float64)
    np.add.at(total, held.instrument, wanted.astype(np.float64))
    if not np.any(total > limit):
        return wanted
    order = np.lexsort((rank[held.owner], held.instrument))
    place = held.instrument[order]
    served = np.cumsum(wanted[order])
    starts = np.concatenate([[True], place[1:] != place[:-1]])
    before_segment = np.maximum.accumulate(np.where(starts, served - wanted[order], 0))
    used = served - wanted[order] - before_segment
    allowed = np.zeros_like(wanted)
    allowed[order] = np.clip(limit[place] - used, 0, wanted[order])
    if not keeps_shape:
        return allowed
    share = np.ones(rank.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.minimum.at(share, held.owner, np.where(wanted > 0, allowed / wanted, 1.0))
    return np.minimum(np.floor(wanted * share[held.owner]).astype(np.int64), allowed)


def is_tradable(held: Holdings, may_close: Bools, owners: int) -> Bools:
    """Whether all of a pool's positions may trade, by owner."""
    blocked = np.zeros(owners, dtype=np.bool_)
    blocked[held.owner[~may_close[held.instrument]]] = True
    return ~blocked
