"""Verify a journal: its chain, its fold, and, if asked, every decision in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from plimsoll.book import Book, digest_book
from plimsoll.core import JournalError, LedgerError
from plimsoll.engine.codec import Header, decode_prices
from plimsoll.engine.fold import batch_of, check_seal, fold, name_of, read_header, rules_of
from plimsoll.engine.state import Inputs
from plimsoll.engine.step import open_state, step
from plimsoll.ledger import (
    EventBatch,
    Record,
    conservation_residual,
    encode_batch,
    read_records,
)
from plimsoll.market import PriceBoard


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified. ``is_sealed`` is False where the journal was not closed in order.

    ``decisions_reproduced`` is None where decisions were folded but not made again.
    """

    records: int
    events: int
    state_hash: str
    journal_hash: str
    is_sealed: bool
    conservation_residual: int
    decisions_reproduced: int | None


def verify_journal(
    path: Path, decide_again: bool = False, on_record: Callable[[int], None] | None = None
) -> Verification:
    """Fold a journal and compare with its seal. Raises JournalError naming the record.

    With ``decide_again`` the engine runs on the journal's inputs and must make every decision
    again, byte for byte. ``on_record`` hears how many records are done.
    """
    place = str(path)
    records = _counted(read_records(path), on_record)
    header, first = read_header(records, place)
    if not decide_again:
        found = fold(header, first, records, place)
        return _verified(found.last, found.state.book, found.events, None)
    return _decide_again(header, first, records, place)


def _counted(
    records: Iterator[Record], on_record: Callable[[int], None] | None
) -> Iterator[Record]:
    for done, record in enumerate(records, 1):
        yield record
        if on_record is not None:
            on_record(done)


def _decide_again(
    header: Header, last: Record, records: Iterator[Record], place: str
) -> Verification:
    rules = rules_of(header, last, place)
    empty = Book.empty(header.instrument_table(), header.choices())
    state = open_state(empty, header.sources)
    events, reproduced = 0, 0
    for tick in ticks_of(records):
        last = tick[-1]
        if last.kind == "close":
            check_seal(last, state.book, place)
            continue
        try:
            state, outcome = step(state, rules, inputs_of(tick, state.board, place))
        except LedgerError as error:
            remedy = "restore the journal"
            raise JournalError(name_of(place, tick[0]), str(error), remedy) from error
        made = [encode_batch(batch) for batch in outcome.decisions]
        recorded = [record for record in tick if record.kind == "decision"]
        compare_decisions(made, recorded, last, place)
        reproduced += len(made)
        events += sum(batch_of(record, place).event_count for record in tick[1:])
    return _verified(last, state.book, events, reproduced)


def ticks_of(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Records of one step: the tick that opens it, its events, its decisions."""
    tick: list[Record] = []
    for record in records:
        if tick and record.kind in ("tick", "close"):
            yield tick
            tick = []
        tick.append(record)
    if tick:
        yield tick


def inputs_of(tick: list[Record], board: PriceBoard, place: str) -> Inputs:
    """What a tick begins with: its prices, then at most one batch, before any decision."""
    opening = tick[0]
    for number, record in enumerate(tick):
        allowed = {0: ("tick",), 1: ("input", "decision")}.get(number, ("decision",))
        if record.kind not in allowed:
            problem = "stands where none may stand"
            raise JournalError(name_of(place, record), problem, "restore the journal")
    events = [batch_of(record, place) for record in tick if record.kind == "input"]
    return Inputs(
        opening.time_ns,
        decode_prices(opening.payload, board, name_of(place, opening)),
        events[0] if events else EventBatch(opening.time_ns),
    )


def compare_decisions(made: list[bytes], recorded: list[Record], last: Record, place: str) -> None:
    """Raises JournalError naming the first decision that was not made again, byte for byte."""
    for number, record in enumerate(recorded):
        if number >= len(made) or made[number] != record.payload:
            problem = "the engine now decides otherwise"
            raise JournalError(name_of(place, record), problem, "compare rules and release")
    if len(made) > len(recorded):
        problem = "a decision that follows from the inputs is missing"
        raise JournalError(name_of(place, last), problem, "compare rules and release")


def _verified(last: Record, book: Book, events: int, reproduced: int | None) -> Verification:
    return Verification(
        records=last.sequence + 1,
        events=events,
        state_hash=digest_book(book),
        journal_hash=last.hash.hex(),
        is_sealed=last.kind == "close",
        conservation_residual=sum(abs(x) for x in conservation_residual(book)),
        decisions_reproduced=reproduced,
    )
