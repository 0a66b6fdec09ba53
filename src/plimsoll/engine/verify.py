"""Verify a journal: its chain, its fold, and, if asked, every decision in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from plimsoll.book import Book, digest_book
from plimsoll.core import JournalError, LedgerError
from plimsoll.engine.codec import FORMAT, Header, Seal, decode_prices
from plimsoll.engine.rules import load_rules
from plimsoll.engine.state import Inputs
from plimsoll.engine.step import open_state, step
from plimsoll.ledger import (
    EventBatch,
    Record,
    apply,
    conservation_residual,
    decode_batch,
    encode_batch,
    read_records,
)


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
    path: Path, decide_again: bool = False, on_record: Callable[[int], None] = lambda done: None
) -> Verification:
    """Fold a journal and compare with its seal. Raises JournalError naming the record.

    With ``decide_again`` the engine runs on the journal's inputs and must make every decision
    again, byte for byte. ``on_record`` hears how many records are done.
    """
    records = read_records(path)
    first = next(records, None)
    if first is None or first.kind != "header":
        raise JournalError(str(path), "has no header", "it is no journal of an engine")
    header = _header(first, path)
    counted = _counted(records, on_record)
    if decide_again:
        return _replay(path, header, first, counted)
    return _fold(path, header, first, counted)


def _counted(records: Iterator[Record], on_record: Callable[[int], None]) -> Iterator[Record]:
    for done, record in enumerate(records, 2):
        yield record
        on_record(done)


def _header(record: Record, path: Path) -> Header:
    try:
        header = msgspec.json.decode(record.payload, type=Header)
    except msgspec.MsgspecError as error:
        raise JournalError(_place(path, record), f"bad header ({error})", "restore it") from error
    if header.format != FORMAT:
        remedy = "use the release that wrote it"
        raise JournalError(_place(path, record), f"unknown format '{header.format}'", remedy)
    return header


def _place(path: Path, record: Record) -> str:
    return f"{path}: record {record.sequence} ('{record.kind}')"


def _fold(path: Path, header: Header, last: Record, records: Iterator[Record]) -> Verification:
    book = Book.empty(header.instrument_table(), header.choices())
    events, seal = 0, None
    for record in records:
        last = record
        if record.kind in ("input", "decision"):
            batch = _batch(path, record)
            book = _apply(path, record, book, batch)
            events += batch.event_count
        elif record.kind == "close":
            seal = _seal(path, record)
    return _verified(path, last, book, events, seal, None)


def _replay(path: Path, header: Header, first: Record, records: Iterator[Record]) -> Verification:
    table, choices = header.instrument_table(), header.choices()
    rules = load_rules(table, choices, header.sanity(), header.rules_as_of_ns)
    state = open_state(Book.empty(table, choices), header.sources)
    events, reproduced, last, seal = 0, 0, first, None
    for tick in _ticks(records):
        last = tick[-1]
        if last.kind == "close":
            seal = _seal(path, last)
            continue
        try:
            state, outcome = step(state, rules, _inputs(path, tick))
        except LedgerError as error:
            raise JournalError(_place(path, tick[0]), str(error), "restore the journal") from error
        made = [encode_batch(batch) for batch in outcome.decisions]
        recorded = [record for record in tick if record.kind == "decision"]
        for number, record in enumerate(recorded):
            if number >= len(made) or made[number] != record.payload:
                problem = "the engine now decides otherwise"
                raise JournalError(_place(path, record), problem, "compare rules and release")
        if len(made) > len(recorded):
            raise JournalError(_place(path, last), "a decision is missing", "it was cut short")
        reproduced += len(made)
        events += sum(_batch(path, r).event_count for r in tick if r.kind != "tick")
    return _verified(path, last, state.book, events, seal, reproduced)


def _ticks(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Records of one step: the tick that opens it, its events, its decisions."""
    tick: list[Record] = []
    for record in records:
        if tick and record.kind in ("tick", "close"):
            yield tick
            tick = []
        tick.append(record)
    if tick:
        yield tick


def _inputs(path: Path, tick: list[Record]) -> Inputs:
    opening = tick[0]
    if opening.kind != "tick":
        raise JournalError(_place(path, opening), "stands outside a tick", "restore the journal")
    events = [_batch(path, record) for record in tick if record.kind == "input"]
    return Inputs(
        opening.time_ns,
        decode_prices(opening.payload, _place(path, opening)),
        events[0] if events else EventBatch(opening.time_ns),
    )


def _batch(path: Path, record: Record) -> EventBatch:
    try:
        return decode_batch(record.payload)
    except LedgerError as error:
        raise JournalError(_place(path, record), str(error), "restore the journal") from error


def _apply(path: Path, record: Record, book: Book, batch: EventBatch) -> Book:
    try:
        return apply(book, batch)
    except LedgerError as error:
        raise JournalError(_place(path, record), str(error), "restore the journal") from error


def _seal(path: Path, record: Record) -> Seal:
    try:
        return msgspec.json.decode(record.payload, type=Seal)
    except msgspec.MsgspecError as error:
        raise JournalError(_place(path, record), f"bad seal ({error})", "restore it") from error


def _verified(
    path: Path, last: Record, book: Book, events: int, seal: Seal | None, reproduced: int | None
) -> Verification:
    state_hash = digest_book(book)
    if seal is not None and seal.state_hash != state_hash:
        problem = f"folds to {state_hash[:16]}…, sealed as {seal.state_hash[:16]}…"
        raise JournalError(_place(path, last), problem, "restore the journal from a copy")
    return Verification(
        records=last.sequence + 1,
        events=events,
        state_hash=state_hash,
        journal_hash=last.hash.hex(),
        is_sealed=seal is not None,
        conservation_residual=sum(abs(x) for x in conservation_residual(book)),
        decisions_reproduced=reproduced,
    )
