"""Verifying a journal: damage is found and named, and so is what was forged well."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from plimsoll.core import JournalError
from plimsoll.engine import Session, verify_journal
from plimsoll.ledger import (
    EventBatch,
    Journal,
    Record,
    decode_batch,
    encode_batch,
    read_records,
)
from tests.book.builders import T0
from tests.engine.story import BTC, LATER, TICKS, BrokenOffError, break_off, write


def forge(source: Path, target: Path, change: Callable[[Record], list[tuple[str, bytes]]]) -> Path:
    """A journal with other records and a sound chain: what no hash can show."""
    with Journal.create(target) as journal:
        for record in read_records(source):
            for kind, payload in change(record):
                journal.append(record.time_ns, kind, payload)
    return target


def same(record: Record) -> list[tuple[str, bytes]]:
    return [(record.kind, record.payload)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crash.db"


# -- tampering -------------------------------------------------------------------------------

COLUMNS = ("sequence", "time_ns", "kind", "payload", "previous_hash", "hash")


def flipped(value: object) -> object:
    """The value with its last byte or its last bit another."""
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    assert isinstance(value, int)
    return value ^ 0x4000


@pytest.mark.parametrize("decide_again", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("place", ["first", "second", "middle", "last"])
def test_one_changed_value_is_found_and_its_record_named(
    path: Path, place: str, column: str, decide_again: bool
) -> None:
    write(path)
    last = len(list(read_records(path))) - 1
    sequence = {"first": 0, "second": 1, "middle": last // 2, "last": last}[place]
    with closing(sqlite3.connect(path)) as connection:
        where = "WHERE sequence = ?"
        ((old,),) = connection.execute(f"SELECT {column} FROM records {where}", (sequence,))
        connection.execute(f"UPDATE records SET {column} = ? {where}", (flipped(old), sequence))
        connection.commit()
    with pytest.raises(JournalError) as caught:
        verify_journal(path, decide_again)
    assert caught.value.place.startswith(f"{path}: record {sequence}")
    with pytest.raises(JournalError, match=r"record \d+"):
        Session.recover(path)


@pytest.mark.parametrize("place", ["first", "second", "middle", "last"])
@pytest.mark.parametrize("what", ["payload", "hash", "previous_hash", "kind"])
def test_one_flipped_byte_of_the_file_is_found_and_its_record_named(
    path: Path, place: str, what: str
) -> None:
    write(path)
    records = list(read_records(path))
    last = len(records) - 1
    sequence = {"first": 0, "second": 1, "middle": last // 2, "last": last}[place]
    record = records[sequence]
    time, kind = record.time_ns.to_bytes(8, "big"), record.kind.encode()
    before, needle = {
        "kind": (time, kind + record.payload[:60]),
        "payload": (time + kind, record.payload[:60]),
        "previous_hash": (b"", record.previous_hash + record.hash),
        "hash": (record.previous_hash, record.hash),
    }[what]
    data = path.read_bytes()
    assert data.count(before + needle) == 1
    at = data.index(before + needle) + len(before)
    path.write_bytes(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
    with pytest.raises(JournalError) as caught:
        verify_journal(path)
    assert caught.value.place.startswith(f"{path}: record {sequence}")


def test_another_decision_with_a_sound_chain_is_caught_by_deciding_again(
    path: Path, tmp_path: Path
) -> None:
    """A liquidation fee a unit lower, forged well: the ledger's rules have nothing against it."""
    write(path)

    def cheaper(record: Record) -> list[tuple[str, bytes]]:
        if record.kind == "close":
            return []
        batch = decode_batch(record.payload) if record.kind == "decision" else EventBatch(0)
        if not batch.transfers.amount.size:
            return same(record)
        amount = batch.transfers.amount - 1
        return [
            (
                "decision",
                encode_batch(replace(batch, transfers=replace(batch.transfers, amount=amount))),
            )
        ]

    forged = forge(path, tmp_path / "forged.db", cheaper)
    first = next(
        record.sequence
        for record, honest in zip(read_records(forged), read_records(path), strict=False)
        if record.payload != honest.payload
    )
    assert verify_journal(forged).conservation_residual == 0
    with pytest.raises(JournalError, match=rf"record {first} \('decision'\): .*decides otherwise"):
        verify_journal(forged, decide_again=True)


@pytest.mark.parametrize("missing", [0, -1])
def test_a_decision_left_out_is_caught_by_deciding_again(
    path: Path, tmp_path: Path, missing: int
) -> None:
    write(path)
    gone = [r.sequence for r in read_records(path) if r.kind == "decision"][missing]
    forged = forge(
        path,
        tmp_path / "forged.db",
        lambda r: [] if r.sequence == gone or r.kind == "close" else same(r),
    )
    with pytest.raises(JournalError, match="is missing|decides otherwise"):
        verify_journal(forged, decide_again=True)


def test_a_decision_too_many_is_caught_by_deciding_again(path: Path, tmp_path: Path) -> None:
    write(path)
    extra = encode_batch(replace(LATER, time_ns=T0))
    forged = forge(
        path,
        tmp_path / "forged.db",
        lambda r: (
            [] if r.kind == "close" else [*same(r), ("decision", extra)][: 1 + (r.sequence == 2)]
        ),
    )
    assert verify_journal(forged).conservation_residual == 0
    with pytest.raises(JournalError, match=r"record 3 \('decision'\): .*decides otherwise"):
        verify_journal(forged, decide_again=True)


def test_a_seal_that_does_not_fit_is_refused(path: Path, tmp_path: Path) -> None:
    write(path)
    seal = msgspec.json.encode({"state_hash": "0" * 64})
    forged = forge(
        path, tmp_path / "forged.db", lambda r: [("close", seal)] if r.kind == "close" else same(r)
    )
    for decide_again in (False, True):
        with pytest.raises(JournalError, match=r"record \d+ \('close'\): the journal folds to"):
            verify_journal(forged, decide_again)


def broken_header(**changes: object) -> Callable[[Record], list[tuple[str, bytes]]]:
    """A header with some fields another value; None takes a field out."""

    def change(record: Record) -> list[tuple[str, bytes]]:
        if record.kind != "header":
            return same(record)
        fields = {**msgspec.json.decode(record.payload), **changes}
        kept = {name: value for name, value in fields.items() if value is not None}
        return [("header", msgspec.json.encode(kept))]

    return change


def replaced(kind: str, payload: bytes) -> Callable[[Record], list[tuple[str, bytes]]]:
    """The first record of a kind with another payload, and no seal."""

    def change(record: Record) -> list[tuple[str, bytes]]:
        if record.kind == "close":
            return []
        first = {"tick": 1, "input": 2, "header": 0}[kind]
        return [(kind, payload)] if record.sequence == first else same(record)

    return change


def prices_payload(row: int = 0, source: int = 0, rows: int = 1, price: bytes = b"\0" * 8) -> bytes:
    """A tick's payload, sound unless asked otherwise."""
    ids = [np.full(n, value, "<i4").tobytes() for n, value in ((rows, source), (1, row))]
    return msgspec.msgpack.encode([*ids, price, np.full(1, T0, "<i8").tobytes()])


INSTRUMENT = {
    "symbol": BTC,
    "contract_multiplier": "1",
    "quantity_decimals": 4,
    "price_decimals": 8,
}
FORGERIES = [
    ("an unknown format", broken_header(format="plimsoll-journal-9"), "unknown format"),
    ("a newer header", broken_header(format="plimsoll-journal-9", sources=None), "unknown format"),
    ("a header without sources", broken_header(sources=None), "bad header"),
    ("a header that is no JSON", replaced("header", b"{"), "bad header"),
    ("a bad symbol", broken_header(instruments=[{**INSTRUMENT, "symbol": "BTC"}]), "header"),
    (
        "a multiplier in words",
        broken_header(instruments=[{**INSTRUMENT, "contract_multiplier": "one"}]),
        "header",
    ),
    (
        "a multiplier without end",
        broken_header(instruments=[{**INSTRUMENT, "contract_multiplier": "Infinity"}]),
        "header",
    ),
    ("an instrument twice", broken_header(instruments=[INSTRUMENT, INSTRUMENT]), "header"),
    ("no header", lambda r: [] if r.kind == "header" else same(r), "has no header"),
    ("a second header", lambda r: same(r) * (1 + (r.kind == "header")), "record 1"),
    (
        "an unknown kind",
        lambda r: [("news", r.payload)] if r.sequence == 1 else same(r),
        "record 1",
    ),
    ("prices that are none", replaced("tick", b"\x93"), "record 1"),
    ("a row that is none", replaced("tick", prices_payload(row=99)), "record 1"),
    ("a row below zero", replaced("tick", prices_payload(row=-1)), "record 1"),
    ("a source that is none", replaced("tick", prices_payload(source=1)), "record 1"),
    ("columns of two lengths", replaced("tick", prices_payload(rows=2)), "record 1"),
    ("half a price", replaced("tick", prices_payload(price=b"\0" * 7)), "record 1"),
    ("a batch that is none", replaced("input", b"\x91\x01"), "record 2"),
    (
        "events that the ledger refuses",
        replaced("input", encode_batch(replace(LATER, time_ns=T0))),
        "record 2|record 1",
    ),
]


@pytest.mark.parametrize(
    ("change", "problem"), [case[1:] for case in FORGERIES], ids=[case[0] for case in FORGERIES]
)
def test_a_forged_record_is_one_line_and_never_a_crash(
    path: Path,
    tmp_path: Path,
    change: Callable[[Record], list[tuple[str, bytes]]],
    problem: str,
) -> None:
    write(path)
    forged = forge(path, tmp_path / "forged.db", change)
    for decide_again in (False, True):
        with pytest.raises(JournalError, match=problem):
            verify_journal(forged, decide_again)
    with pytest.raises(JournalError, match=problem):
        Session.recover(forged)


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [["plimsoll.tomorrow", "{}"]]},
        {"models": [["plimsoll.standard", '{"no_such_parameter": 1}']]},
        {"rules_as_of_ns": 0},
    ],
)
def test_rules_that_this_release_lacks_are_missed_where_they_are_needed(
    path: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    write(path)

    def unsealed(record: Record) -> list[tuple[str, bytes]]:
        return [] if record.kind == "close" else broken_header(**changes)(record)

    forged = forge(path, tmp_path / "forged.db", unsealed)
    assert verify_journal(forged).conservation_residual == 0
    with pytest.raises(JournalError, match="record 0 .*use the release that wrote it"):
        verify_journal(forged, decide_again=True)
    with pytest.raises(JournalError, match="record 0"):
        Session.recover(forged)


def test_a_second_input_in_a_tick_is_refused(path: Path, tmp_path: Path) -> None:
    """The engine takes one batch a step; what a fold applies must be what deciding again sees."""
    write(path)
    second = encode_batch(replace(LATER, time_ns=T0))
    forged = forge(
        path,
        tmp_path / "forged.db",
        lambda r: (
            [] if r.kind == "close" else [*same(r), ("input", second)][: 1 + (r.sequence == 2)]
        ),
    )
    with pytest.raises(JournalError, match="record 3"):
        verify_journal(forged, decide_again=True)


def test_records_after_a_seal_leave_the_journal_unsealed(path: Path, tmp_path: Path) -> None:
    write(path, TICKS[:2])
    whole = tmp_path / "whole.db"
    write(whole)
    with pytest.raises(BrokenOffError):
        break_off(Session.recover(path), TICKS[2:])
    for decide_again in (False, True):
        found = verify_journal(path, decide_again)
        assert not found.is_sealed
        assert found.state_hash == verify_journal(whole).state_hash
