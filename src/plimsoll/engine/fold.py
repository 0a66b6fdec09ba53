"""Fold a journal's records back into the state that wrote them: start-up is recovery."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec

from plimsoll.book import Book, digest_book
from plimsoll.core import InputError, JournalError, LedgerError
from plimsoll.engine.codec import FORMAT, AnyHeader, Header, Seal, decode_prices
from plimsoll.engine.rules import Rules, load_rules
from plimsoll.engine.state import EngineState
from plimsoll.engine.step import open_state
from plimsoll.ledger import EventBatch, Record, apply, decode_batch
from plimsoll.margin import Plan


@dataclass(frozen=True, slots=True)
class Folded:
    """What a journal folds to. ``is_sealed`` says that it was closed in order."""

    header: Header
    state: EngineState
    last: Record
    events: int
    is_sealed: bool


def read_header(records: Iterator[Record], place: str) -> tuple[Header, Record]:
    """The header of a journal and its record; JournalError where the first record is none."""
    first = next(records, None)
    if first is None or first.kind != "header":
        raise JournalError(place, "has no header", "it is no journal of an engine")
    try:
        name = msgspec.json.decode(first.payload, type=AnyHeader).format
        if name != FORMAT:
            remedy = "use the release that wrote it"
            raise JournalError(name_of(place, first), f"unknown format '{name}'", remedy)
        header = msgspec.json.decode(first.payload, type=Header)
        header.instrument_table()
    except (msgspec.MsgspecError, InputError, ArithmeticError) as error:
        raise JournalError(name_of(place, first), f"bad header ({error})", "restore it") from error
    return header, first


def fold(
    header: Header, first: Record, records: Iterable[Record], place: str, window_s: float = 0.0
) -> Folded:
    """Apply every record after the header. Raises JournalError naming the record.

    A seal must match the state at its place; only at the very end does it seal the journal.
    ``window_s`` is the throttles' window, for who goes on from the state; the rest needs no rules.
    """
    rules = header.sanity
    empty = Book.empty(header.instrument_table(), header.choices())
    state = open_state(empty, header.sources)
    book, board, gates = state.book, state.board, state.gates
    events, last = 0, first
    pace = state.pace
    for record in records:
        last = record
        if record.kind == "tick":
            prices = decode_prices(record.payload, board, name_of(place, record))
            board = board.observe(prices, rules)
            board = board.remember(board.market(record.time_ns, rules), rules)
        elif record.kind in ("input", "decision"):
            batch = batch_of(record, place)
            before, book = book, _apply(book, batch, record, place)
            gates = gates.after(before, batch, header.gates, decided=record.kind == "decision")
            events += batch.event_count
            pace = pace.after(batch, window_s)
        elif record.kind == "close":
            check_seal(record, book, place)
        else:
            problem = f"unknown kind '{record.kind}'"
            raise JournalError(name_of(place, record), problem, "use the release that wrote it")
    folded = replace(state, book=book, board=board, plan=Plan.begin(book), pace=pace, gates=gates)
    return Folded(header, folded, last, events, last.kind == "close")


def rules_of(header: Header, first: Record, place: str) -> Rules:
    """The rules a journal was written under; JournalError where this release lacks them."""
    table, choices = header.instrument_table(), header.choices()
    try:
        return load_rules(table, choices, header.sanity, header.rules_as_of_ns, header.gates)
    except InputError as error:
        remedy = "use the release that wrote it"
        raise JournalError(name_of(place, first), str(error), remedy) from error


def name_of(place: str, record: Record) -> str:
    """How errors name a record."""
    return f"{place}: record {record.sequence} ('{record.kind}')"


def batch_of(record: Record, place: str) -> EventBatch:
    """The batch of an input or decision record."""
    try:
        return decode_batch(record.payload)
    except LedgerError as error:
        raise JournalError(name_of(place, record), str(error), "restore the journal") from error


def _apply(book: Book, batch: EventBatch, record: Record, place: str) -> Book:
    try:
        return apply(book, batch)
    except LedgerError as error:
        raise JournalError(name_of(place, record), str(error), "restore the journal") from error


def check_seal(record: Record, book: Book, place: str) -> None:
    """Raises JournalError where a seal does not match the book it closes."""
    try:
        seal = msgspec.json.decode(record.payload, type=Seal)
    except msgspec.MsgspecError as error:
        raise JournalError(name_of(place, record), f"bad seal ({error})", "restore it") from error
    found = digest_book(book)
    if seal.state_hash != found:
        problem = f"the journal folds to {found[:16]}…, sealed as {seal.state_hash[:16]}…"
        raise JournalError(name_of(place, record), problem, "restore the journal from a copy")
