"""A session: what it writes down, how it may end, and how it goes on."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from plimsoll.book import digest_book
from plimsoll.core import InputError, LedgerError
from plimsoll.engine import Inputs, Session, Verification, verify_journal
from plimsoll.ledger import (
    EventBatch,
    Transfers,
    decode_batch,
    encode_batch,
    read_records,
)
from tests.book.builders import T0, events
from tests.engine.story import LATER, TICKS, BrokenOffError, break_off, create, write
from tests.engine.world import DESK, SECOND, inputs_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crash.db"


# -- what a session writes -------------------------------------------------------------------


def test_the_story_is_written_in_order(path: Path) -> None:
    session = write(path)
    records = list(read_records(path))
    assert " ".join(record.kind for record in records) == (
        "header tick input tick decision tick decision "
        # A takeover with what the fund does about it, and a round that only lets go.
        "tick input decision decision tick close"
    )
    assert [record.time_ns for record in records] == sorted(record.time_ns for record in records)
    assert decode_batch(records[2].payload).time_ns == T0
    assert encode_batch(decode_batch(records[2].payload)) == records[2].payload
    assert session.head_hash == records[-1].hash.hex()
    assert msgspec.json.decode(records[-1].payload) == {"state_hash": session.state_hash}


def test_the_outcome_is_what_was_written(path: Path) -> None:
    with create(path) as session:
        outcomes = [session.handle(inputs) for inputs in TICKS]
        count = session.event_count
    batches = [r for r in read_records(path) if r.kind in ("input", "decision")]
    decided = [encode_batch(batch) for outcome in outcomes for batch in outcome.decisions]
    assert [r.payload for r in batches if r.kind == "decision"] == decided
    assert count == sum(decode_batch(r.payload).event_count for r in batches)
    assert outcomes[1].called.tolist() == [5]
    assert [outcome.begun.tolist() for outcome in outcomes] == [[], [], [], [5, 6], []]
    assert outcomes[3].taken_over.tolist() == [5]


@pytest.mark.parametrize("decide_again", [False, True])
def test_a_sealed_journal_folds_to_its_state(path: Path, decide_again: bool) -> None:
    session = write(path)
    heard: list[int] = []
    found = verify_journal(path, decide_again, heard.append)
    records = list(read_records(path))
    decisions = sum(record.kind == "decision" for record in records)
    assert found == Verification(
        records=len(records),
        events=session.event_count,
        state_hash=session.state_hash,
        journal_hash=session.head_hash,
        is_sealed=True,
        conservation_residual=0,
        decisions_reproduced=decisions if decide_again else None,
    )
    assert heard[-1] == len(records)
    assert heard == sorted(heard)


def test_two_sessions_write_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write(path)
    other = tmp_path / "other.db"
    write(other)
    assert path.read_bytes() == other.read_bytes()


def test_an_existing_file_is_not_touched(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"crash\.db: already exists"):
        create(path)
    assert path.read_bytes() == before


# -- sessions that end in an error -----------------------------------------------------------


def test_left_by_an_error_the_journal_is_unsealed_and_still_folds(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(BrokenOffError):
        break_off(create(path), TICKS[:2], uncommitted=TICKS[2:])
    digest = write(tmp_path / "other.db", TICKS[:2]).state_hash
    for decide_again in (False, True):
        found = verify_journal(path, decide_again)
        assert not found.is_sealed
        assert found.state_hash == digest
        assert found.conservation_residual == 0


def test_a_session_that_did_nothing_can_be_verified(path: Path) -> None:
    create(path).journal.close()
    found = verify_journal(path)
    assert (found.records, found.events, found.is_sealed) == (1, 0, False)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (
            inputs_of(
                {}, 1, EventBatch(0, transfers=events(Transfers, [DESK.deposit(99, "BTC", "1")]))
            ),
            LedgerError,
        ),
        (replace(inputs_of({}, 1), events=replace(LATER, time_ns=T0)), LedgerError),
        # Prices alone: the step takes them, the journal does not go back in time.
        (Inputs(T0 - SECOND, TICKS[0].prices, EventBatch(T0 - SECOND)), InputError),
    ],
    ids=["unknown pool", "another time", "back in time"],
)
def test_refused_inputs_leave_no_trace(
    path: Path, tmp_path: Path, refused: Inputs, error: type[Exception]
) -> None:
    with create(path) as session:
        session.handle(TICKS[0])
        before = session.state
        with pytest.raises(error):
            session.handle(refused)
        assert session.state is before
        for inputs in TICKS[1:]:
            session.handle(inputs)
    other = tmp_path / "other.db"
    assert write(other).head_hash == session.head_hash
    assert verify_journal(path, decide_again=True).is_sealed


# -- recovery --------------------------------------------------------------------------------


@pytest.mark.parametrize("done", range(len(TICKS) + 1))
@pytest.mark.parametrize("sealed", [True, False])
def test_a_recovered_session_goes_on_as_if_nothing_had_happened(
    path: Path, tmp_path: Path, done: int, sealed: bool
) -> None:
    whole = write(tmp_path / "whole.db")
    if sealed:
        write(path, TICKS[:done])
    else:
        with pytest.raises(BrokenOffError):
            break_off(create(path), TICKS[:done])
    with Session.recover(path) as session:
        for inputs in TICKS[done:]:
            session.handle(inputs)
    assert session.state_hash == whole.state_hash
    if not sealed:
        assert session.head_hash == whole.head_hash
    for decide_again in (False, True):
        found = verify_journal(path, decide_again)
        assert found.state_hash == whole.state_hash
        assert found.is_sealed


def test_a_copy_cut_by_a_crash_holds_what_was_committed(path: Path, tmp_path: Path) -> None:
    """The file as a power cut leaves it, while uncommitted records are half on disk."""
    session = create(path)
    for inputs in TICKS[:2]:
        session.handle(inputs)
    session.commit()
    digest = session.state_hash
    # Large enough to spill out of SQLite's cache before its commit.
    many = events(Transfers, [DESK.deposit(7, "USDT", "0.01")] * 400_000)
    session.handle(inputs_of({}, 2, EventBatch(0, transfers=many)))
    cut = tmp_path / "cut.db"
    shutil.copy(path, cut)
    leftover = path.with_name("crash.db-journal")
    shutil.copy(leftover, tmp_path / "cut.db-journal")
    session.journal.close()
    assert cut.stat().st_size > 5_000_000
    found = verify_journal(cut, decide_again=True)
    assert (found.state_hash, found.is_sealed) == (digest, False)
    with Session.recover(cut) as again:
        for inputs in TICKS[2:]:
            again.handle(inputs)
    assert again.head_hash == write(tmp_path / "whole.db").head_hash


def test_a_recovered_session_knows_the_prices_it_had_seen(path: Path) -> None:
    with create(path) as session:
        session.handle(TICKS[0])
    with Session.recover(path) as again:
        for name in ("price", "time_ns", "quality", "pending"):
            mine, theirs = getattr(session.state.board, name), getattr(again.state.board, name)
            assert mine.tobytes() == theirs.tobytes(), name
        assert digest_book(again.state.book) == session.state_hash
        assert again.rules.sanity == session.rules.sanity
        assert again.rules.policies[0].waterfall == session.rules.policies[0].waterfall
