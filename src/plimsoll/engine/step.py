"""``step``: one tick of the engine, as a pure function.

Prices and events go in; then margin calls, then rounds of liquidation until no pool is left
to act on, then the insurance fund's housekeeping. Time is an input, randomness there is none.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s, LedgerError
from plimsoll.engine.decide import assess_pools, decide
from plimsoll.engine.rules import Rules
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.ledger import apply
from plimsoll.liquidation import Plan, fund_value
from plimsoll.margin import assess, lay_out, patch_assessment
from plimsoll.market import PriceBoard


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
    decided = decide(book, found, market, rules)
    book, rounds = decided.book, decided.rounds
    if rounds:
        layout = lay_out(book, layout)
        # Nothing else has changed: the other side of every event is the system's, unmargined.
        after = assess_pools(book, decided.in_question, market, rules)
        assessment = patch_assessment(found, after, decided.in_question)
    outcome = Outcome(
        market=market,
        decisions=decided.batches,
        found=found,
        assessment=assessment,
        called=decided.called,
        begun=_joined([item.begun for item in rounds], np.int64),
        taken_over=_joined([item.taken_over for item in rounds], np.int64),
        taken_over_equity=_joined([item.equity for item in rounds], np.float64),
        closed_notional=_summed(rounds, len(book.instruments)),
        insurance_fund=fund_value(book, market),
    )
    return replace(state, book=book, board=board, plan=layout), outcome


def _joined(parts: list[Int64s] | list[Floats], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts])


def _summed(rounds: tuple[Plan, ...], count: int) -> Floats:
    total = np.zeros(count)
    for item in rounds:
        total += item.closed_notional
    return total
