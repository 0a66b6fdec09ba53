"""What happens to a pool that cannot stand: stages that answer with events.

Entry points: ``plan`` (one round over all pools in liquidation) and ``settle_fund``.
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
from plimsoll.liquidation.fund import fund_value, settle_fund
from plimsoll.liquidation.plan import Plan, plan
from plimsoll.liquidation.policy import Policy, load_policy
from plimsoll.liquidation.sizing import Piece, Rounding, Sized, least_amount

__all__ = [
    "Piece",
    "Plan",
    "Policy",
    "Queue",
    "Rounding",
    "Sized",
    "bankruptcy_price",
    "bankruptcy_value",
    "close_by_queue",
    "equity_share",
    "fund_value",
    "least_amount",
    "load_policy",
    "plan",
    "price_on_tick",
    "queue_score",
    "rank_queue",
    "settle_fund",
]
