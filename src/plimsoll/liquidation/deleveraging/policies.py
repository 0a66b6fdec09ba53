"""Policies of auto-deleveraging: choose h_i, 0 <= h_i <= c_i, whose sum reaches the budget.

The house default shares by profit: the only rule that is fair in the sense of A. Chitra
(arXiv:2512.01112), and it overshoots by at most a lot. A queue by rank is what most venues do.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from plimsoll.core import InputError, Int64s, sum_exact
from plimsoll.liquidation.deleveraging.allocation import (
    Whole,
    check_columns,
    fill_in_order,
    scale_whole,
    share_by_weight,
    split_by_weight,
)
from plimsoll.liquidation.deleveraging.candidates import (
    Candidates,
    check_candidates,
    leverage_weight,
    profit_capacity,
)
from plimsoll.liquidation.deleveraging.measures import Overshoot, measure_overshoot
from plimsoll.liquidation.deleveraging.ranks import (
    RankForm,
    order_candidates,
    rank_candidates,
)

MILLION = 10**6


class AllocationKey(StrEnum):
    """What the closes go by: a rank, or one of three weights."""

    QUEUE = "queue"
    CONTRACTS = "contracts"
    PROFIT = "profit"
    LEVERAGE = "leverage"


class HedgeRule(StrEnum):
    """What becomes of the part of a position that offsets others of its account.

    OPEN treats it as any other, LAST closes it only when all that is unhedged has gone, LIMITED
    does that too and closes no more than a share of it.
    """

    OPEN = "open"
    LAST = "last"
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class DeleveragingPolicy:
    """``rank`` serves QUEUE alone; ``hedge_share_millionths``, 0 to 1,000,000, LIMITED alone.

    ``currency_unit`` is 1 of the settle currency in its units.
    """

    key: AllocationKey = AllocationKey.PROFIT
    rank: RankForm = RankForm.HYPERLIQUID_DECOMPILED
    hedges: HedgeRule = HedgeRule.LAST
    hedge_share_millionths: int = MILLION
    currency_unit: int = 1


@dataclass(frozen=True, slots=True)
class Closes:
    """What is closed by row, >= 0, in the unit of capacity and budget.

    ``uncovered`` is the part of the budget that no capacity reached; the ``overshoot`` beyond
    the rest is measured at the decision, so its horizon is 0.
    """

    closed: Int64s
    uncovered: int
    overshoot: Overshoot


def deleverage(
    candidates: Candidates,
    capacity: Int64s,
    lot: Int64s,
    budget: int,
    policy: DeleveragingPolicy,
) -> Closes:
    """What is closed of each candidate, or taken from him, to reach ``budget`` >= 0.

    ``capacity`` and ``lot`` (columns) and the budget count one unit: that of the quantity, from
    ``contract_capacity``, or of the money, from ``profit_capacity``. Closes are whole lots or all
    that may be closed, so the sum exceeds the budget by less than one lot; it falls short exactly
    where the capacities do. Raises InputError where a column or the policy is not what it says.
    """
    check_candidates(candidates)
    check_columns(capacity, lot, candidates.account)
    if budget < 0 or not 0 <= policy.hedge_share_millionths <= MILLION:
        raise InputError("deleveraging", "the budget or a share is out of range", "mend it")
    unhedged, hedge = _split_hedges(candidates, capacity, lot, policy)
    weight = _weights(candidates, policy)
    closed = _allocate(candidates, unhedged, lot, budget, policy, weight)
    left = budget - sum_exact(closed)
    if left > 0:
        closed = closed + _allocate(candidates, hedge, lot, left, policy, weight)
    taken = sum_exact(closed)
    uncovered = max(budget - taken, 0)
    return Closes(closed, uncovered, measure_overshoot(taken, budget - uncovered, 0))


def charge_closes(candidates: Candidates, closed: Int64s, deficit: int) -> Int64s:
    """What each close costs its account, settle units: the deficit by what is closed, exact."""
    return split_by_weight(closed, candidates.account, deficit)


def _split_hedges(
    candidates: Candidates, capacity: Int64s, lot: Int64s, policy: DeleveragingPolicy
) -> tuple[Int64s, Int64s]:
    """Capacity that goes first, in whole lots where a hedge follows, and that which goes last."""
    if policy.hedges == HedgeRule.OPEN:
        return capacity, np.zeros_like(capacity)
    held, hedged = candidates.quantity, candidates.hedged
    first = scale_whole(capacity, held - hedged, held, capacity)
    first = np.where(hedged > 0, first // lot * lot, capacity)
    last = capacity - first
    if policy.hedges == HedgeRule.LIMITED:
        last = scale_whole(last, policy.hedge_share_millionths, MILLION, last) // lot * lot
    return first, last


def _weights(candidates: Candidates, policy: DeleveragingPolicy) -> Whole:
    if policy.key == AllocationKey.LEVERAGE:
        return leverage_weight(candidates)
    by_profit = policy.key == AllocationKey.PROFIT
    return profit_capacity(candidates) if by_profit else candidates.quantity


def _allocate(
    candidates: Candidates,
    capacity: Int64s,
    lot: Int64s,
    budget: int,
    policy: DeleveragingPolicy,
    weight: Whole,
) -> Int64s:
    if policy.key != AllocationKey.QUEUE:
        return share_by_weight(weight, capacity, lot, candidates.account, budget)
    ranks = rank_candidates(candidates, policy.rank, policy.currency_unit)
    return fill_in_order(capacity, lot, order_candidates(candidates, ranks), budget)
