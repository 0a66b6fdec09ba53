"""What the engine does about what it has found: calls, rounds of liquidation, the fund.

A pool is decided by its own rows and the system's alone, so a book of the pools in question
beside the system's pools gives the same decisions as the whole book; where a waterfall reaches
for counterparties it says that it needs the whole, and nothing is decided.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, take_pools
from plimsoll.core import Floats, Int64s, Status, distinct
from plimsoll.engine.rules import Rules
from plimsoll.ledger import EventBatch, StateChanges, apply
from plimsoll.liquidation import (
    Pace,
    Plan,
    Scene,
    fund_holds,
    fund_value,
    plan,
    settle_fund,
    settle_round,
    window_seconds,
)
from plimsoll.liquidation.calls import gravity_of, next_states
from plimsoll.margin import Assessment, assess, model_of_pools
from plimsoll.market import Market

# Columns are compared with plain integers: an enumeration costs more than the comparison.
_SYSTEM, _NORMAL = int(PoolKind.SYSTEM), int(PoolState.NORMAL)
_LIQUIDATING = int(PoolState.LIQUIDATING)
_UNKNOWN, _LIQUIDATABLE = int(Status.UNKNOWN), int(Status.LIQUIDATABLE)


@dataclass(frozen=True, slots=True)
class Decided:
    """The book after the ``batches``, which were applied in order, and what they mean.

    ``called`` and ``in_question`` are pool numbers: those sent a margin call, and those that
    the ``rounds`` of liquidation looked at; ``touched`` are others that a round has changed.
    ``pace`` is what the throttles have used. Where ``needs_whole``, nothing was decided: the
    rounds need everyone's positions.
    """

    book: Book
    batches: tuple[EventBatch, ...]
    called: Int64s
    in_question: Int64s
    touched: Int64s
    rounds: tuple[Plan, ...]
    pace: Pace
    needs_whole: bool = False


def decide(
    book: Book,
    found: Assessment,
    market: Market,
    rules: Rules,
    pace: Pace,
    previous_mark: Floats,
    is_whole: bool = True,
) -> Decided:
    """Decisions on pools as they were found at a market; all that is due is done.

    ``previous_mark`` [instruments] is the mark of the step before; ``is_whole`` says that the
    book holds everyone.
    """
    begun = book
    calls, called = _margin_calls(book, found, rules, market.as_of_ns)
    batches = [calls] if calls.event_count else []
    book = apply(book, calls) if calls.event_count else book
    in_question = _to_liquidate(book, found)
    if not in_question.size and not fund_holds(book.rows):
        return Decided(book, tuple(batches), called, in_question, in_question, (), pace)
    scene = Scene.begin(
        market, rules.models, rules.policies, book.market_phase, pace,
        fund_value(book, market) if in_question.size else 0.0, previous_mark, is_whole,
    )  # fmt: skip
    book, scene, rounds = _liquidate(book, in_question, scene, rules)
    if rounds and rounds[-1].needs_whole:
        none = np.zeros(0, dtype=np.int64)
        return Decided(begun, (), none, in_question, none, (), pace, needs_whole=True)
    batches.extend(item.batch for item in rounds)
    pace = scene.pace
    if rounds or fund_holds(book.rows):
        settlement = settle_fund(book, scene, rules.fund_policy)
        if settlement.event_count:
            book = apply(book, settlement)
            batches.append(settlement)
            pace = pace.after(settlement, window_seconds(rules.policies))
    touched = np.concatenate([in_question[:0], *(item.touched for item in rounds)])
    if touched.size:
        touched = np.setdiff1d(distinct(touched), in_question, assume_unique=True)
    return Decided(book, tuple(batches), called, in_question, touched, tuple(rounds), pace)


def _margin_calls(
    book: Book, assessment: Assessment, rules: Rules, time_ns: int
) -> tuple[EventBatch, Int64s]:
    """Changes of level short of liquidation, the graver first, and the pools that are called."""
    state, status, owner = book.pool_state, assessment.status, model_of_pools(book)
    ratio = np.where(status == _UNKNOWN, np.nan, assessment.margin_ratio)
    is_customer = book.pool_kind != _SYSTEM
    is_open = is_customer & (status < _LIQUIDATABLE) & (state != _LIQUIDATING)
    after = state.copy()
    for number, ladder in enumerate(rules.ladders):
        first = ladder.announced[0].ratio if ladder.announced else np.inf
        is_due = is_open & (owner == number) & ((state != _NORMAL) | (ratio >= first))
        at = np.flatnonzero(is_due)
        if at.size:
            since = book.pool_since_ns[at]
            after[at] = next_states(ladder.steps, state[at], since, ratio[at], time_ns)
    moved = np.flatnonzero(after != state)
    if not moved.size:
        return EventBatch(time_ns), moved
    before, now = gravity_of(state[moved]), gravity_of(after[moved])
    call = gravity_of(np.asarray(PoolState.CALLED))
    pools = np.concatenate([moved[now > before], moved[now <= before]])
    changes = StateChanges(pools.astype(np.int32), after[pools])
    return EventBatch(time_ns, states=changes), moved[(before < call) & (call <= now)]


def _to_liquidate(book: Book, assessment: Assessment) -> Int64s:
    """Pools past the line, and those whose procedure has not ended."""
    return np.flatnonzero(
        (book.pool_kind != _SYSTEM)
        & ((assessment.status >= _LIQUIDATABLE) | (book.pool_state == _LIQUIDATING))
    )


def _liquidate(
    book: Book, pools: Int64s, scene: Scene, rules: Rules
) -> tuple[Book, Scene, list[Plan]]:
    """Rounds until no pool is left to act on; only the pools in question are looked at again.

    Every round closes at least one unit of each pool it acts on, takes it over, ends its
    procedure, or leaves it to a later step, so the rounds end. A round that takes pools over is
    one batch with what the fund does about it.
    """
    rounds: list[Plan] = []
    window_s = window_seconds(rules.policies)
    while pools.size:
        current = assess_pools(book, pools, scene.market, rules)
        item = plan(book, pools, current, scene)
        if item.needs_whole:
            return book, scene, [item]
        if not item.batch.event_count:
            break
        if item.taken_over.size:
            batch, book = settle_round(book, scene, rules.fund_policy, item.batch)
            item = replace(item, batch=batch)
        else:
            book = apply(book, item.batch)
        rounds.append(item)
        scene = scene.later(item.batch, item.fund_paid, window_s)
        # A round may stop before the last waterfall: who fails under it is not in procedure yet.
        waits = current.status >= _LIQUIDATABLE
        pools = pools[waits | (book.pool_state[pools] == _LIQUIDATING)]
        # Those who were closed against others, or took them over, may fail by that.
        pools = distinct(np.concatenate([pools, item.touched]))
    return book, scene, rounds


def assess_pools(book: Book, pools: Int64s, market: Market, rules: Rules) -> Assessment:
    """Assessment of some pools alone: the same bits as among all others."""
    return assess(take_pools(book, pools), market, rules.models)
