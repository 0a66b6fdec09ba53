"""``step``: one tick of the engine, as a pure function.

Prices and events go in; then markets close and open, then margin calls, then rounds of
liquidation until no pool is left to act on, then the insurance fund's housekeeping. Time is an
input, randomness there is none.
"""

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s, LedgerError
from plimsoll.engine.admission import admit
from plimsoll.engine.decide import assess_pools, decide
from plimsoll.engine.emergency import change_phases
from plimsoll.engine.gates import GateState
from plimsoll.engine.rules import Rules, rules_at
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.ledger import apply
from plimsoll.liquidation import Pace, Plan, fund_value
from plimsoll.margin import Plan as Layouts
from plimsoll.margin import assess, lay_out, patch_assessment
from plimsoll.market import PriceBoard


def open_state(book: Book, sources: tuple[str, ...]) -> EngineState:
    """The state of an engine that has a book and has not seen a price."""
    board = PriceBoard.empty(book.instruments, sources)
    pace, gates = Pace.idle(len(book.instruments)), GateState.of(book)
    return EngineState(book, board, Layouts.begin(book), pace, gates)


def step(state: EngineState, rules: Rules, inputs: Inputs) -> tuple[EngineState, Outcome]:
    """The next state and what was decided. Raises LedgerError where the events are refused."""
    board = state.board.observe(inputs.prices, rules.sanity)
    market = board.market(inputs.time_ns, rules.sanity)
    board = board.remember(market, rules.sanity)
    rules = rules_at(rules, market)
    book, layout, gates = state.book, state.plan, state.gates
    if inputs.events.event_count:
        if inputs.events.time_ns != inputs.time_ns:
            raise LedgerError("inputs.events", "are of another time", "give both the step's time")
        admit(book, market, inputs.events, rules, gates)
        gates = gates.after(book, inputs.events, rules.gates, decided=False)
        book = apply(book, inputs.events)
    if inputs.events.event_count or not layout.serves(rules.models):
        layout = lay_out(book, layout, rules.models)
    phases = change_phases(book, board, market, gates, rules.gates, rules.sanity)
    if phases.event_count:
        gates = gates.after(book, phases, rules.gates, decided=True)
        book = apply(book, phases)
    found = assessment = assess(book, market, rules.models, layout)
    decided = decide(book, found, market, rules, state.pace, state.board.last_mark())
    book, rounds = decided.book, decided.rounds
    if decided.batches:
        layout = lay_out(book, layout, rules.models)
    if rounds:
        # Nothing else has changed: the other side of every event is the system's, unmargined.
        changed = np.concatenate([decided.in_question, decided.touched])
        after = assess_pools(book, changed, market, rules)
        assessment = patch_assessment(found, after, changed)
    outcome = Outcome(
        market=market,
        decisions=(phases, *decided.batches) if phases.event_count else decided.batches,
        found=found,
        assessment=assessment,
        called=decided.called,
        touched=decided.touched,
        begun=_joined([item.begun for item in rounds], np.int64),
        taken_over=_joined([item.taken_over for item in rounds], np.int64),
        taken_over_equity=_joined([item.equity for item in rounds], np.float64),
        closed_notional=_summed(rounds, len(book.instruments)),
        insurance_fund=fund_value(book, market),
        deleveraged=float(sum(item.deleveraged for item in rounds)),
        socialised=float(sum(item.socialised for item in rounds)),
    )
    # A withdrawal is never decided, so decisions leave the gates as they are.
    return EngineState(book, board, layout, decided.pace, gates), outcome


def _joined(parts: list[Int64s] | list[Floats], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts])


def _summed(rounds: tuple[Plan, ...], count: int) -> Floats:
    total = np.zeros(count)
    for item in rounds:
        total += item.closed_notional
    return total
