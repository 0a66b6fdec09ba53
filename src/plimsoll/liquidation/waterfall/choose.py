"""How much of each position to close: by share, whole, down a tier, or by relief per cost.

Each chooser answers with a quantity by row of the holdings, int64 >= 0, at most what is held.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book, SystemPool, take_pools
from plimsoll.core import Bools, Floats, Int64s, sum_by
from plimsoll.ledger import EventBatch, TradeReason, apply
from plimsoll.liquidation.closing import Holdings, close_trades, forced_price, with_system
from plimsoll.liquidation.sizing import Piece, least_amount
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import CloseBy, CloseOut
from plimsoll.margin import Assessment, assess
from plimsoll.margin.arithmetic import FLOAT

NOISE = 1e-6
"""60 % of 5 is 3, although 5 * 0.6 in floating point is a little more."""
SYSTEM = len(SystemPool)
BEND = 1e-3
"""Margin rates of two brackets differ by more than this, as a fraction of the larger."""


def choose_quantities(
    book: Book, scene: Scene, policy: Policy, stage: CloseOut, held: Holdings, found: Assessment,
    cost: Floats, is_recent: Bools,
) -> Int64s:  # fmt: skip
    """What to close of each position of pools that are to be reduced.

    ``held`` has the pools numbered by ``owner``, ``found`` their assessments in that order, and
    ``cost`` is the USD that closing all of each pool's positions takes, the fee included.
    ``is_recent`` says which were closed in part so short a time ago that all that is left goes.
    """
    size = np.abs(held.quantity)
    share = _share_to_close(found, cost, policy, stage)
    if stage.by == CloseBy.WHOLE:
        wanted = _part(size, np.full(size.size, stage.share_max))
    elif stage.by == CloseBy.TIER:
        wanted = _down_a_tier(book, scene, policy, stage, held, found)
    elif stage.by == CloseBy.RELIEF:
        wanted = _best_relief(book, scene, policy, stage, held, found)
    else:
        wanted = _part(size, share[held.owner])
    if stage.whole_ratio is not None:
        # Written so that a ratio without a bound counts.
        wanted = np.where((found.margin_ratio >= stage.whole_ratio)[held.owner], size, wanted)
    wanted = np.where(is_recent[held.owner], size, wanted)
    is_small = (wanted > 0) & (held.notional < stage.whole_notional)
    return np.where(is_small, size, wanted)


def _part(size: Int64s, share: Floats) -> Int64s:
    """A share of each size, rounded up, so that a step always closes something."""
    part = np.ceil(size * share - NOISE).astype(np.int64).clip(1, np.maximum(size, 1))
    return np.where(share > 0, np.minimum(part, size), 0)


def _share_to_close(found: Assessment, cost: Floats, policy: Policy, stage: CloseOut) -> Floats:
    """Smallest multiple of the step after which maintenance <= release * collateral value.

    Closing the share s leaves at most (1 - s) of the maintenance margin, as brackets are
    convex, and costs s * cost of the collateral. Where closing costs more than it frees,
    everything is closed.
    """
    maintenance = found.maintenance_margin
    target = policy.release_ratio
    missing = maintenance - target * found.collateral_value
    pieces = [Piece(1.0, maintenance - target * cost)]
    share: Floats = least_amount(FLOAT, missing, pieces, stage.step_share).amount
    return np.clip(np.clip(share, stage.step_share, 1.0), 0.0, stage.share_max)


def _trial(
    book: Book, scene: Scene, policy: Policy, held: Holdings, quantity: Int64s
) -> Assessment:
    """Each row's pool as it would stand if ``quantity`` of that row alone were closed.

    One pool per row, so that all are tried in one batch through the ledger.
    """
    system = np.arange(SYSTEM)
    trial = take_pools(book, np.concatenate([system, held.pool.astype(np.int64)]))
    place = (SYSTEM + np.arange(held.pool.size)).astype(np.int32)
    moved = replace(held, pool=place)
    price = forced_price(book, scene.market, held, policy.slippage_rate)
    trades, _ = close_trades(
        trial, moved, quantity, price, with_system(moved, SystemPool.MARKET),
        TradeReason.LIQUIDATION, policy.taker_fee_rate,
    )  # fmt: skip
    after = apply(trial, EventBatch(trial.time_ns, trades=trades))
    result = assess(after, scene.market, scene.models)
    return replace(
        result,
        status=result.status[SYSTEM:],
        equity=result.equity[SYSTEM:],
        collateral_value=result.collateral_value[SYSTEM:],
        initial_margin=result.initial_margin[SYSTEM:],
        maintenance_margin=result.maintenance_margin[SYSTEM:],
        charges=(),
    )


def _best_relief(
    book: Book, scene: Scene, policy: Policy, stage: CloseOut, held: Holdings, found: Assessment
) -> Int64s:
    """Of each pool the one position whose close frees most margin for what it costs.

    A hedge leg, whose close would raise the requirement, is never chosen; where no close alone
    frees margin, all positions are closed by the pro rata share, which never raises it.
    """
    size = np.abs(held.quantity)
    after = _trial(book, scene, policy, held, size)
    before = found.maintenance_margin[held.owner]
    relief = before - after.maintenance_margin
    paid = np.maximum(found.collateral_value[held.owner] - after.collateral_value, 0.0)
    # A close that costs nothing is worth any relief; the larger relief goes first.
    worth = np.where(relief > 0, relief / np.maximum(paid, 1e-12 * np.maximum(relief, 1.0)), -1.0)
    order = np.lexsort((held.instrument, -relief, -worth, held.owner))
    first = order[np.diff(held.owner[order], prepend=-1) > 0]
    chosen = first[worth[first] > 0]
    missing = before - policy.release_ratio * found.collateral_value[held.owner]
    gain = relief - policy.release_ratio * paid
    pieces = [Piece(1.0, gain[chosen])]
    share = least_amount(FLOAT, missing[chosen], pieces, stage.step_share).amount
    wanted = np.zeros(size.size, dtype=np.int64)
    wanted[chosen] = _part(size[chosen], np.clip(share, stage.step_share, stage.share_max))
    # Relief of a whole close says little of a part's where a hedge turns into the larger side.
    raises = np.zeros(size.size, dtype=np.bool_)
    part = _trial(book, scene, policy, held, np.maximum(wanted, 1))
    raises[chosen] = part.maintenance_margin[chosen] > before[chosen]
    wanted = np.where(raises, size, wanted)
    is_helped = sum_by(held.owner, (wanted > 0).astype(np.float64), found.equity.size) > 0
    cost = np.zeros(found.equity.size)
    np.maximum.at(cost, held.owner, paid)
    pro_rata = _share_to_close(found, cost, policy, stage)
    return np.where(is_helped[held.owner], wanted, _part(size, pro_rata[held.owner]))


def _down_a_tier(
    book: Book, scene: Scene, policy: Policy, stage: CloseOut, held: Holdings, found: Assessment
) -> Int64s:
    """Each position down to where the bracket below begins; one in the lowest bracket whole.

    A bracket is where margin is linear in size, so its lower end is found from the margin alone:
    the smallest close whose margin the tangent at the full size no longer gives. Where margin
    bends all along, as with a charge that grows with size, there is no end, and a step goes.
    """
    size = np.abs(held.quantity)
    full = found.maintenance_margin[held.owner]

    def margin_after(quantity: Int64s) -> Floats:
        return _trial(book, scene, policy, held, quantity).maintenance_margin

    unit = np.minimum(np.ones_like(size), size)
    slope = full - margin_after(unit)
    low, high = unit, size.copy()
    while np.any(high - low > 1):
        middle = low + (high - low) // 2
        margin = margin_after(middle)
        line = full - slope * (middle / unit)
        # Brackets are convex: past the kink the margin lies above the tangent.
        is_past = margin > line + 1e-9 * np.maximum(full, 1.0)
        high = np.where(is_past, middle, high)
        low = np.where(is_past, low, middle)
    has_kink = margin_after(size) > full - slope * (size / unit) + 1e-9 * np.maximum(full, 1.0)
    below = margin_after(np.minimum(high, size)) - margin_after(np.minimum(high + unit, size))
    bends = np.abs(slope - below) <= BEND * np.abs(slope)
    least = np.where(bends, _part(size, np.full(size.size, stage.step_share)), 0)
    return np.where(has_kink, np.maximum(high, least), size)
