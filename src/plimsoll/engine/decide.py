"""What the engine does about what it has found: calls, rounds of liquidation, the fund.

A pool is decided by its own rows and the system's alone, so a book of the pools in question
beside the system's pools gives the same decisions as the whole book.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, take_pools
from plimsoll.core import Int64s, Status
from plimsoll.engine.rules import Rules
from plimsoll.ledger import EventBatch, StateChanges, apply
from plimsoll.liquidation import Plan, plan, settle_fund
from plimsoll.margin import Assessment, assess, model_of_pools
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Decided:
    """The book after the ``batches``, which were applied in order, and what they mean.

    ``called`` and ``in_question`` are pool numbers: those sent a margin call, and those that
    the ``rounds`` of liquidation looked at.
    """

    book: Book
    batches: tuple[EventBatch, ...]
    called: Int64s
    in_question: Int64s
    rounds: tuple[Plan, ...]


def decide(book: Book, found: Assessment, market: Market, rules: Rules) -> Decided:
    """Decisions on pools as they were found at a market; all that is due is done."""
    calls, called = _margin_calls(book, found, rules, market.as_of_ns)
    batches = [calls] if calls.event_count else []
    book = apply(book, calls) if calls.event_count else book
    in_question = _to_liquidate(book, found)
    book, rounds = _liquidate(book, in_question, market, rules)
    batches.extend(item.batch for item in rounds)
    if rounds:
        settlement = settle_fund(book, market, rules.policy)
        if settlement.event_count:
            book = apply(book, settlement)
            batches.append(settlement)
    return Decided(book, tuple(batches), called, in_question, tuple(rounds))


def _margin_calls(
    book: Book, assessment: Assessment, rules: Rules, time_ns: int
) -> tuple[EventBatch, Int64s]:
    """Calls to send and to clear. A call clears below a lower ratio than it is sent at."""
    clear = np.array([m.margin_call_clear_ratio for m in rules.models.models])
    is_customer = book.pool_kind != PoolKind.SYSTEM
    state, status = book.pool_state, assessment.status
    sent = is_customer & (status == Status.MARGIN_CALL) & (state == PoolState.NORMAL)
    over = (
        (state == PoolState.CALLED)
        & (status == Status.OK)
        & (assessment.margin_ratio < clear[model_of_pools(book)])
    )
    called, cleared = np.flatnonzero(sent), np.flatnonzero(over)
    states = np.repeat(
        np.array([PoolState.CALLED, PoolState.NORMAL], dtype=np.int8), [called.size, cleared.size]
    )
    changes = StateChanges(np.concatenate([called, cleared]).astype(np.int32), states)
    return EventBatch(time_ns, states=changes), called


def _to_liquidate(book: Book, assessment: Assessment) -> Int64s:
    """Pools past the line, and those whose procedure has not ended."""
    return np.flatnonzero(
        (book.pool_kind != PoolKind.SYSTEM)
        & ((assessment.status >= Status.LIQUIDATABLE) | (book.pool_state == PoolState.LIQUIDATING))
    )


def _liquidate(book: Book, pools: Int64s, market: Market, rules: Rules) -> tuple[Book, list[Plan]]:
    """Rounds until no pool is left to act on; only the pools in question are looked at again.

    Every round closes at least one unit of each pool it acts on, takes it over, or ends its
    procedure, so the rounds end.
    """
    rounds: list[Plan] = []
    while pools.size:
        current = assess_pools(book, pools, market, rules)
        item = plan(book, pools, current, market, rules.policy)
        if not item.batch.event_count:
            break
        book = apply(book, item.batch)
        rounds.append(item)
        pools = pools[book.pool_state[pools] == PoolState.LIQUIDATING]
    return book, rounds


def assess_pools(book: Book, pools: Int64s, market: Market, rules: Rules) -> Assessment:
    """Assessment of some pools alone: the same bits as among all others."""
    return assess(take_pools(book, pools), market, rules.models)
