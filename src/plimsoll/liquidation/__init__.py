"""What happens to a pool that cannot stand: stages that answer with events.

Entry points: ``plan`` (one round over all pools in liquidation), ``settle_round`` and
``load_policy`` (a venue's waterfall).
Invariants: nothing here changes a book; a pool whose status is UNKNOWN is never touched; every
event posts both sides, so losses end in the insurance fund or, past it, in the bad debt pool,
and a pool that is taken over ends at zero in every asset, never below.
"""

from plimsoll.liquidation.bankruptcy import (
    bankruptcy_price,
    bankruptcy_value,
    equity_share,
    price_on_tick,
)
from plimsoll.liquidation.deleveraging import Queue, close_by_queue, queue_score, rank_queue
from plimsoll.liquidation.sizing import Piece, Rounding, Sized, least_amount
from plimsoll.liquidation.waterfall import (
    Pace,
    Plan,
    Policy,
    Scene,
    Waterfall,
    fund_holds,
    fund_value,
    load_policy,
    load_waterfall,
    plan,
    resolve_policy,
    settle_fund,
    settle_round,
    waterfall_names,
    waterfall_of,
    window_seconds,
)

__all__ = [
    "Pace",
    "Piece",
    "Plan",
    "Policy",
    "Queue",
    "Rounding",
    "Scene",
    "Sized",
    "Waterfall",
    "bankruptcy_price",
    "bankruptcy_value",
    "close_by_queue",
    "equity_share",
    "fund_holds",
    "fund_value",
    "least_amount",
    "load_policy",
    "load_waterfall",
    "plan",
    "price_on_tick",
    "queue_score",
    "rank_queue",
    "resolve_policy",
    "settle_fund",
    "settle_round",
    "waterfall_names",
    "waterfall_of",
    "window_seconds",
]
