"""``step``: one tick of the engine, as a pure function.

Prices and events go in; then margin calls, then rounds of liquidation until no pool is left
to act on, then the insurance fund's housekeeping. Time is an input, randomness there is none.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, take_pools
from plimsoll.core import Floats, Int64s, LedgerError, Status
from plimsoll.engine.rules import Rules
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.ledger import EventBatch, StateChanges, apply
from plimsoll.liquidation import Plan, fund_value, plan, settle_fund
from plimsoll.margin import Assessment, assess, lay_out, model_of_pools, patch_assessment
from plimsoll.market import Market, PriceBoard


def open_state(book: Book, sources: tuple[str, ...]) -> EngineState:
    """The state of an engine that has a book and has not seen a price."""
    return EngineState(book, PriceBoard.empty(book.instruments, sources), lay_out(book))


def step(state: EngineState, rules: Rules, inputs: Inputs) -> tuple[EngineState, Outcome]:
    """The next state and what was decided. Raises LedgerError where the events are refused."""
    board = state.board.observe(inputs.prices, rules.sanity)
    market = board.market(inputs.time_ns, rules.sanity)
    book, layout = state.book, state.plan
    if inputs.events.event_count:
        if inputs.events.time_ns != inputs.time_ns:
            raise LedgerError("inputs.events", "are of another time", "give both the step's time")
        book = apply(book, inputs.events)
        layout = lay_out(book, layout)
    found = assessment = assess(book, market, rules.models, layout)
    calls, called = _margin_calls(book, found, rules, inputs.time_ns)
    decisions = [calls] if calls.event_count else []
    book = apply(book, calls) if calls.event_count else book
    in_question = _to_liquidate(book, found)
    book, rounds = _liquidate(book, in_question, market, rules)
    decisions.extend(item.batch for item in rounds)
    if rounds:
        settlement = settle_fund(book, market, rules.policy)
        if settlement.event_count:
            book = apply(book, settlement)
            decisions.append(settlement)
        layout = lay_out(book, layout)
        # Nothing else has changed: the other side of every event is the system's, unmargined.
        after = _assess_pools(book, in_question, market, rules)
        assessment = patch_assessment(found, after, in_question)
    outcome = Outcome(
        market=market,
        decisions=tuple(decisions),
        found=found,
        assessment=assessment,
        called=called,
        begun=_joined([item.begun for item in rounds], np.int64),
        taken_over=_joined([item.taken_over for item in rounds], np.int64),
        taken_over_equity=_joined([item.equity for item in rounds], np.float64),
        closed_notional=_summed(rounds, len(book.instruments)),
        insurance_fund=fund_value(book, market),
    )
    return replace(state, book=book, board=board, plan=layout), outcome


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
        current = _assess_pools(book, pools, market, rules)
        item = plan(book, pools, current, market, rules.policy)
        if not item.batch.event_count:
            break
        book = apply(book, item.batch)
        rounds.append(item)
        pools = pools[book.pool_state[pools] == PoolState.LIQUIDATING]
    return book, rounds


def _assess_pools(book: Book, pools: Int64s, market: Market, rules: Rules) -> Assessment:
    return assess(take_pools(book, pools), market, rules.models)


def _joined(parts: list[Int64s] | list[Floats], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts])


def _summed(rounds: list[Plan], count: int) -> Floats:
    total = np.zeros(count)
    for item in rounds:
        total += item.closed_notional
    return total
