"""One round of liquidation over all pools: what to do next with each, as one batch.

A round is decided on one assessment. For each pool in turn, as its waterfall says:

1. release   the margin ratio is back at the policy's level: the procedure ends
2. cancel    its open orders go
3. repay     no position is left but a debt is: collateral is sold to pay it
4. close     positions are closed in the market until the release ratio is restored, or sold in
             an auction
5. takeover  even closing all would cost more than there is: what follows is in ``takeover``

The engine applies the batch, assesses the pools again and asks for the next round until none
is left to act on.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, rows_of
from plimsoll.core import Bools, Floats, Int8s, Int64s, Status, sum_by
from plimsoll.ledger import Cancels, EventBatch, StateChanges, Trades, Transfers
from plimsoll.ledger.events import join_trades, join_transfers
from plimsoll.liquidation.waterfall.moves import (
    Closed,
    auction_pools,
    close_in_market,
    repay_debts,
)
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.question import Question, ask, pick_assessed
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import OrderScope
from plimsoll.liquidation.waterfall.takeover import TakenOver, take_over
from plimsoll.liquidation.waterfall.throttle import is_tradable
from plimsoll.margin import Assessment, model_of_pools


@dataclass(frozen=True, slots=True)
class Plan:
    """A round's events and what they mean, for reports.

    ``begun`` and ``released`` are pool numbers; ``taken_over`` too, with the USD ``equity``
    each had then. ``touched`` are pools of others that paid or were closed against, or took
    over. ``closed_notional`` is USD by instrument, closed in the market, against others or taken
    over; ``fund_paid`` USD by instrument, ``deleveraged`` (notional) and ``socialised`` USD.
    ``needs_whole`` says that the round cannot be decided without everyone's positions; then
    there is no event.
    """

    batch: EventBatch
    begun: Int64s
    released: Int64s
    taken_over: Int64s
    equity: Floats
    touched: Int64s
    closed_notional: Floats
    fund_paid: Floats
    deleveraged: float
    socialised: float
    needs_whole: bool = False


def plan(book: Book, pools: Int64s, assessment: Assessment, scene: Scene) -> Plan:
    """The next round for ``pools``; ``assessment`` has one row for each of them, in order.

    Pools are decided waterfall by waterfall, in the order of the book's models.
    """
    model = model_of_pools(book)[pools]
    is_customer = book.pool_kind[pools] != PoolKind.SYSTEM
    rounds = []
    for number, policy in enumerate(scene.policies):
        rows = np.flatnonzero((model == number) & is_customer)
        if rows.size:
            found = pick_assessed(assessment, rows)
            item = _plan_pools(book, pools[rows], found, scene, policy, pools)
            scene = replace(scene, fund_paid=scene.fund_paid + item.fund_paid)
            rounds.append(item)
            # Counterparties have changed: other waterfalls look at them in the next round.
            if item.touched.size:
                break
    return _join(book, scene, rounds)


def _plan_pools(
    book: Book, pools: Int64s, found: Assessment, scene: Scene, policy: Policy, everyone: Int64s
) -> Plan:
    state, stage = book.pool_state[pools], policy.close_out
    known = found.status != Status.UNKNOWN
    in_procedure = state == PoolState.LIQUIDATING
    fails = known & (found.status >= Status.LIQUIDATABLE)
    healthy = known & ~fails & (found.margin_ratio <= policy.release_ratio)
    released = pools[in_procedure & healthy]
    active = fails | (known & in_procedure & ~healthy)
    begun = pools[active & ~in_procedure]
    current = pick_assessed(found, np.flatnonzero(active))
    question = ask(book, scene, policy, pools[active], current, in_procedure[active])
    can_repay, is_lost = _sort_out(book, scene, policy, question)
    rests = question.acted_within(scene.market.as_of_ns, 0.0 if stage is None else stage.cooldown_s)
    done = _close(book, scene, policy, question, ~can_repay & ~is_lost & ~rests)
    lost, rows = question.part(is_lost)
    taken = take_over(book, scene, policy, lost, everyone)
    if taken.needs_whole:
        return _nothing(book, scene, needs_whole=True)
    debtors, ratios = question.pools[can_repay], question.found.margin_ratio[can_repay]
    repaid = repay_debts(book, scene.market, policy, debtors, ratios)
    done.notional[rows] = lost.held.notional
    is_timed = stage is not None and max(stage.cooldown_s, stage.whole_within_s) > 0
    again = done.pools if is_timed else done.pools[:0]
    if again.size:
        again = np.setdiff1d(again, begun, assume_unique=True)
    return Plan(
        batch=EventBatch(
            time_ns=scene.market.as_of_ns,
            cancels=_cancel_orders(book, question.pools, policy),
            trades=join_trades((done.trades, taken.trades)),
            transfers=join_transfers((done.transfers, taken.transfers, repaid)),
            states=_state_changes(begun, again, released),
        ),
        begun=begun,
        released=released,
        taken_over=lost.pools,
        equity=lost.found.equity,
        touched=taken.touched,
        closed_notional=sum_by(question.held.instrument, done.notional, len(book.instruments)),
        fund_paid=taken.fund_paid,
        deleveraged=taken.deleveraged,
        socialised=taken.socialised,
    )


def _sort_out(book: Book, scene: Scene, policy: Policy, question: Question) -> tuple[Bools, Bools]:
    """Which pools sell an asset to pay a debt, and which are beyond closing."""
    held, found, count = question.held, question.found, question.pools.size
    is_flat = sum_by(held.owner, held.notional, count) == 0
    can_repay = is_flat & _has_both_signs(book, question.pools)
    is_lost = ~can_repay & (is_flat | (found.equity <= question.cost))
    has_market = policy.close_out is not None or policy.auction is not None
    for stage in policy.takeovers:
        if stage.from_ratio > 1 or not has_market:
            is_lost |= ~can_repay & (found.margin_ratio >= stage.from_ratio)
    return can_repay, is_lost & is_tradable(held, scene.may_close, count)


def _close(book: Book, scene: Scene, policy: Policy, question: Question, reduces: Bools) -> Closed:
    """Closes in the market, or by auction, of pools that are to be reduced."""
    notional = np.zeros(question.held.pool.size)
    stage, auction = policy.close_out, policy.auction
    if stage is None:
        reduces = reduces & is_tradable(question.held, scene.may_close, reduces.size)
    if not reduces.any() or (stage is None and auction is None):
        return Closed(Trades(), Transfers(), question.pools[:0], notional)
    part, at = question.part(reduces)
    if stage is not None:
        done = close_in_market(book, scene, policy, stage, part)
    elif auction is not None:
        done = auction_pools(book, scene.market, policy, auction, part)
    notional[at] = done.notional
    return replace(done, notional=notional)


def _has_both_signs(book: Book, pools: Int64s) -> Bools:
    rows, offsets = rows_of(book.balances.offsets, pools)
    owner = np.repeat(np.arange(pools.size), np.diff(offsets))
    amount = book.balances.amount[rows]
    owed = np.bincount(owner[amount < 0], minlength=pools.size) > 0
    owned = np.bincount(owner[amount > 0], minlength=pools.size) > 0
    return np.asarray(owed & owned)


def _cancel_orders(book: Book, pools: Int64s, policy: Policy) -> Cancels:
    if policy.cancel is None or not book.orders.order_id.size:
        return Cancels()
    rows, offsets = rows_of(book.orders.offsets, pools)
    owner = np.repeat(pools, np.diff(offsets)).astype(np.int32)
    keep = np.ones(rows.size, dtype=np.bool_)
    if policy.cancel.which == OrderScope.INCREASING:
        keep = ~book.orders.is_reduce_only[rows]
    return Cancels(owner[keep], book.orders.order_id[rows[keep]])


def _state_changes(begun: Int64s, again: Int64s, released: Int64s) -> StateChanges:
    if not begun.size + again.size + released.size:
        return StateChanges()
    states: Int8s = np.repeat(
        np.array([PoolState.LIQUIDATING, PoolState.NORMAL], dtype=np.int8),
        [begun.size + again.size, released.size],
    )
    return StateChanges(np.concatenate([begun, again, released]).astype(np.int32), states)


def _nothing(book: Book, scene: Scene, needs_whole: bool = False) -> Plan:
    """A round that does nothing."""
    none, taken = np.zeros(0, dtype=np.int64), TakenOver.nothing(len(book.instruments))
    return Plan(
        batch=EventBatch(scene.market.as_of_ns),
        begun=none,
        released=none,
        taken_over=none,
        equity=np.zeros(0),
        touched=none,
        closed_notional=taken.fund_paid,
        fund_paid=taken.fund_paid,
        deleveraged=0.0,
        socialised=0.0,
        needs_whole=needs_whole,
    )


def _join(book: Book, scene: Scene, rounds: list[Plan]) -> Plan:
    """One round of several; one alone is what it is."""
    if not rounds or any(item.needs_whole for item in rounds):
        return _nothing(book, scene, needs_whole=bool(rounds))
    if len(rounds) == 1:
        return rounds[0]
    batches = [item.batch for item in rounds]
    return Plan(
        batch=EventBatch(
            time_ns=scene.market.as_of_ns,
            cancels=Cancels(
                np.concatenate([batch.cancels.pool for batch in batches]),
                np.concatenate([batch.cancels.order_id for batch in batches]),
            ),
            trades=join_trades(tuple(batch.trades for batch in batches)),
            transfers=join_transfers(tuple(batch.transfers for batch in batches)),
            states=StateChanges(
                np.concatenate([batch.states.pool for batch in batches]),
                np.concatenate([batch.states.state for batch in batches]),
            ),
        ),
        begun=np.concatenate([item.begun for item in rounds]),
        released=np.concatenate([item.released for item in rounds]),
        taken_over=np.concatenate([item.taken_over for item in rounds]),
        equity=np.concatenate([item.equity for item in rounds]),
        touched=np.unique(np.concatenate([item.touched for item in rounds])),
        closed_notional=sum(item.closed_notional for item in rounds) + np.zeros(1),
        fund_paid=sum(item.fund_paid for item in rounds) + np.zeros(1),
        deleveraged=sum(item.deleveraged for item in rounds),
        socialised=sum(item.socialised for item in rounds),
    )
