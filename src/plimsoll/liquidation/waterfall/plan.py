"""One round of liquidation over all pools: what to do next with each, as one batch.

A round is decided on one assessment. For each pool in turn:

1. release   the margin ratio is back at the policy's level: the procedure ends
2. cancel    its open orders go
3. repay     no position is left but a debt is: collateral is sold to pay it
4. reduce    positions are closed pro rata, by the smallest multiple of the step that restores
             the release ratio; pro rata keeps hedges whole and never raises the requirement
5. takeover  even closing all would cost more than there is: the insurance fund takes the
             positions at the bankruptcy price and all balances, whatever their sign

The engine applies the batch, assesses the pools again and asks for the next round until none
is left to act on.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, rows_of
from plimsoll.core import Bools, Floats, Int8s, Int64s, Status, sum_by
from plimsoll.ledger import Cancels, EventBatch, StateChanges, Transfers
from plimsoll.ledger.events import join_trades, join_transfers
from plimsoll.liquidation.closing import closing_costs, holdings_of
from plimsoll.liquidation.policy import Policy
from plimsoll.liquidation.sizing import Piece, least_amount
from plimsoll.liquidation.stages import reduce_pools, repay_debts, take_over
from plimsoll.margin import Assessment
from plimsoll.margin.arithmetic import FLOAT
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Plan:
    """A round's events and what they mean, for reports.

    ``begun`` and ``released`` are pool numbers; ``taken_over`` too, with the USD ``equity``
    each had then (its negative part is bad debt). ``closed_notional`` is USD by instrument,
    closed in the market or taken over.
    """

    batch: EventBatch
    begun: Int64s
    released: Int64s
    taken_over: Int64s
    equity: Floats
    closed_notional: Floats


def plan(book: Book, pools: Int64s, assessment: Assessment, market: Market, policy: Policy) -> Plan:
    """The next round for ``pools``; ``assessment`` has one row for each of them, in order."""
    status, state = assessment.status, book.pool_state[pools]
    is_customer = book.pool_kind[pools] != PoolKind.SYSTEM
    known = is_customer & (status != Status.UNKNOWN)
    in_procedure = state == PoolState.LIQUIDATING
    fails = known & (status >= Status.LIQUIDATABLE)
    healthy = known & ~fails & (assessment.margin_ratio <= policy.release_ratio)
    released = pools[in_procedure & healthy]
    active = fails | (known & in_procedure & ~healthy)
    begun = pools[active & ~in_procedure]
    at, chosen = np.flatnonzero(active), pools[active]
    notional = notional_coefficient(book.instruments, market.mark, market.index)
    held = holdings_of(book, chosen, notional)
    costs = closing_costs(book, market, held, policy)
    cost, fee = (sum_by(held.owner, column, chosen.size) for column in costs)
    equity = assessment.equity[at]
    is_flat = sum_by(held.owner, held.notional, chosen.size) == 0
    can_repay = is_flat & _has_both_signs(book, chosen)
    is_lost = ~can_repay & (is_flat | (equity <= cost))
    share = _share_to_close(assessment, at, cost + fee, policy)
    share = np.where(is_lost | can_repay, 0.0, share)
    # The fee takes no more than closing leaves: it must not make the debt that it insures.
    left = np.maximum(equity - share * cost, 0.0)
    due = share * fee
    paid = np.clip(left / np.where(due > 0, due, np.inf), 0.0, 1.0)
    paid[due == 0] = 1.0
    trades, fees, closed = reduce_pools(book, market, policy, held, share, paid)
    taken, swept, lost = take_over(book, market, held, chosen, is_lost, equity)
    repaid = repay_debts(book, market, policy, chosen[can_repay])
    batch = EventBatch(
        time_ns=market.as_of_ns,
        cancels=_cancel_orders(book, chosen),
        trades=join_trades((trades, taken)),
        transfers=join_transfers((fees, swept, repaid, Transfers())),
        states=_state_changes(begun, released),
    )
    return Plan(
        batch=batch,
        begun=begun,
        released=released,
        taken_over=chosen[is_lost],
        equity=equity[is_lost],
        closed_notional=sum_by(held.instrument, closed + lost, len(book.instruments)),
    )


def _share_to_close(assessment: Assessment, at: Int64s, cost: Floats, policy: Policy) -> Floats:
    """Smallest multiple of the step after which maintenance <= release * collateral value.

    Closing the share s leaves at most (1 - s) of the maintenance margin, as brackets are
    convex, and costs s * cost of the collateral. Where closing costs more than it frees,
    everything is closed.
    """
    maintenance = assessment.maintenance_margin[at]
    target = policy.release_ratio
    missing = maintenance - target * assessment.collateral_value[at]
    pieces = [Piece(1.0, maintenance - target * cost)]
    share: Floats = least_amount(FLOAT, missing, pieces, policy.step_share).amount
    return np.clip(share, policy.step_share, 1.0)


def _has_both_signs(book: Book, pools: Int64s) -> Bools:
    rows, offsets = rows_of(book.balances.offsets, pools)
    owner = np.repeat(np.arange(pools.size), np.diff(offsets))
    amount = book.balances.amount[rows]
    owed = np.bincount(owner[amount < 0], minlength=pools.size) > 0
    owned = np.bincount(owner[amount > 0], minlength=pools.size) > 0
    return np.asarray(owed & owned)


def _cancel_orders(book: Book, pools: Int64s) -> Cancels:
    rows, offsets = rows_of(book.orders.offsets, pools)
    owner = np.repeat(pools, np.diff(offsets)).astype(np.int32)
    return Cancels(owner, book.orders.order_id[rows])


def _state_changes(begun: Int64s, released: Int64s) -> StateChanges:
    states: Int8s = np.repeat(
        np.array([PoolState.LIQUIDATING, PoolState.NORMAL], dtype=np.int8),
        [begun.size, released.size],
    )
    return StateChanges(np.concatenate([begun, released]).astype(np.int32), states)
