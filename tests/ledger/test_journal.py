"""The journal keeps what it acknowledged and never reads damage as data."""

import hashlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from plimsoll.core import InputError, JournalError
from plimsoll.ledger.journal import PAYLOAD_BYTES_MAX, Journal, Record, read_records

T0 = 1_760_130_900_000_000_000  # 2025-10-10T21:15:00Z
STEP = 60_000_000_000
COLUMNS = ("sequence", "time_ns", "kind", "payload", "previous_hash", "hash")


def write(path: Path, payloads: list[bytes]) -> list[Record]:
    """A journal of one `batch` per payload and a `close`, closed in order."""
    with Journal.create(path) as journal:
        records = [
            journal.append(T0 + i * STEP, "batch", payload) for i, payload in enumerate(payloads)
        ]
        records.append(journal.append(T0 + len(payloads) * STEP, "close", b""))
    return records


def append(path: Path, batches: list[tuple[int, bytes]]) -> None:
    """Open the journal, append in one transaction, and leave it in order or by the error."""
    with Journal.open(path) as journal:
        for time_ns, payload in batches:
            journal.append(time_ns, "batch", payload)


def append_durably(journal: Journal, payload: bytes) -> None:
    journal.append(T0, "batch", payload)
    journal.commit()


def payload_bytes(length: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(length)


def edit(path: Path, statement: str, values: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement, values)
        connection.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crash.db"


# -- what goes in comes out ------------------------------------------------------------------


def test_read_gives_back_what_was_written_across_reopening(path: Path) -> None:
    payloads = [b"", b"\x00", payload_bytes(5_000, 1), payload_bytes(3_000_000, 2)]
    with Journal.create(path) as journal:
        written = [journal.append(T0, "open", p) for p in payloads[:2]]
        head = journal.head
    with Journal.open(path) as journal:
        assert journal.head == head
        written += [journal.append(T0 + STEP, "batch.prices", p) for p in payloads[2:]]
        assert list(journal.records()) == written
        head_hash = journal.head_hash
    read = list(read_records(path))
    assert read == written
    assert [record.payload for record in read] == payloads
    assert [record.sequence for record in read] == [0, 1, 2, 3]
    assert head_hash == read[-1].hash.hex()


def test_the_hash_is_the_documented_one(path: Path) -> None:
    first, second, _ = write(path, [b"alpha", b"beta"])
    fields = (
        b"plimsoll.journal",
        (1).to_bytes(8, "big"),
        (1).to_bytes(8, "big"),
        (T0 + STEP).to_bytes(8, "big"),
        b"batch",
        first.hash,
        b"beta",
    )
    encoded = b"".join(len(item).to_bytes(8, "big") + item for item in fields)
    assert first.previous_hash == bytes(32)
    assert second.previous_hash == first.hash
    assert second.hash == hashlib.sha256(encoded).digest()


def test_a_closed_journal_is_one_file_and_the_same_on_every_run(path: Path, tmp_path: Path) -> None:
    first = write(path, [payload_bytes(20_000, 3)] * 3)
    assert [file.name for file in tmp_path.iterdir()] == ["crash.db"]
    again = tmp_path / "again.db"
    assert write(again, [payload_bytes(20_000, 3)] * 3) == first
    assert again.read_bytes() == path.read_bytes()


def test_head_tells_a_closed_journal_from_a_crashed_one(path: Path) -> None:
    write(path, [b"x"])
    with Journal.open(path) as journal:
        assert (journal.head.count, journal.head.kind) == (2, "close")
        journal.append(T0 + 2 * STEP, "batch", b"y")
    with Journal.open(path) as journal:
        assert (journal.head.count, journal.head.kind) == (3, "batch")


def test_only_commit_makes_an_append_last(path: Path) -> None:
    journal = Journal.create(path)
    kept = [journal.append(T0, "batch", b"kept"), journal.append(T0, "batch", b"kept too")]
    journal.commit()
    journal.append(T0, "batch", payload_bytes(10_000_000, 4))  # spills to disk before its commit
    journal.close()
    assert list(read_records(path)) == kept
    with pytest.raises(InputError):
        append(path, [(T0, b"dropped with the one that fails"), (T0 - 1, b"fails")])
    assert list(read_records(path)) == kept


def test_a_copy_taken_in_mid_write_shows_it(path: Path, tmp_path: Path) -> None:
    """As a power cut leaves the disk: with SQLite's rollback journal, and with that lost."""
    journal = Journal.create(path)
    kept = [journal.append(T0, "batch", payload_bytes(2_000, i)) for i in range(20)]
    journal.commit()
    for i in range(20):
        journal.append(T0, "batch", payload_bytes(1_000_000, i))
    shutil.copy(path, tmp_path / "both.db")
    shutil.copy(path, tmp_path / "alone.db")
    shutil.copy(tmp_path / "crash.db-journal", tmp_path / "both.db-journal")
    journal.close()
    assert (tmp_path / "alone.db").stat().st_size > 10_000_000
    assert list(read_records(tmp_path / "both.db")) == kept
    assert not (tmp_path / "both.db-journal").exists()
    with pytest.raises(JournalError):
        list(read_records(tmp_path / "alone.db"))


def test_a_new_journal_has_no_records(path: Path) -> None:
    path.touch()  # an empty file may be taken over, a foreign one may not
    Journal.create(path).close()
    assert list(read_records(path)) == []
    with Journal.open(path) as journal:
        assert (journal.head.count, journal.head_hash) == (0, "00" * 32)


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time_ns", "kind", "length", "problem"),
    [
        (T0 - 1, "batch", 1, "before the last record's"),
        (2**63, "batch", 1, "above int64"),
        (T0, "", 1, "'' is not a kind"),
        (T0, "two words", 1, "'two words' is not a kind"),
        (T0, "batch\n", 1, "is not a kind"),
        (T0, "k" * 65, 1, "is not a kind"),
        (T0, "batch", PAYLOAD_BYTES_MAX + 1, "exceeds 268435456"),
    ],
)
def test_a_refused_append_changes_nothing(
    path: Path, time_ns: int, kind: str, length: int, problem: str
) -> None:
    with Journal.create(path) as journal:
        first = journal.append(T0, "batch", b"first")
        with pytest.raises(InputError, match=r"crash\.db: record 1: ") as caught:
            journal.append(time_ns, kind, bytes(length))
        assert problem in str(caught.value)
        second = journal.append(T0, "batch", b"second")
    assert list(read_records(path)) == [first, second]


def test_create_never_touches_an_existing_file(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"precious")
    for place in (path, tmp_path):
        with pytest.raises(InputError, match="already exists; choose a new file"):
            Journal.create(place)
    assert path.read_bytes() == b"precious"
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal.create(tmp_path / "missing" / "crash.db")


def open_journal(path: Path) -> None:
    Journal.open(path).close()


def read_journal(path: Path) -> None:
    list(read_records(path))


@pytest.mark.parametrize("use", [open_journal, read_journal])
def test_what_is_not_a_journal_is_refused(path: Path, use: Callable[[Path], None]) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        use(path)
    path.touch()
    with pytest.raises(JournalError, match=r"crash\.db: is empty"):
        use(path)
    path.write_text("as_of: 2025-10-10\n" * 100)
    with pytest.raises(JournalError, match=r"crash\.db: is not a journal"):
        use(path)
    path.unlink()
    edit(path, "CREATE TABLE records (sequence INTEGER)", ())
    with pytest.raises(JournalError, match="a database but not a journal"):
        use(path)
    path.unlink()
    write(path, [b"x"])
    edit(path, "PRAGMA user_version = 2", ())
    with pytest.raises(JournalError, match="of format 2, not 1; read it with the release"):
        use(path)
    edit(path, "PRAGMA user_version = 1", ())
    edit(path, "CREATE INDEX kinds ON records (kind)", ())
    with pytest.raises(JournalError, match="its table of records is damaged"):
        use(path)
    edit(path, "DROP INDEX kinds", ())
    edit(path, "DROP TABLE records", ())
    with pytest.raises(JournalError, match="its table of records is damaged"):
        use(path)


ATTEMPT = """
import sys
from pathlib import Path
from plimsoll.core import JournalError
from plimsoll.ledger.journal import Journal, read_records
path = Path(sys.argv[1])
for use in (lambda: Journal.open(path).close(), lambda: list(read_records(path))):
    try:
        use()
    except JournalError as error:
        print(error)
"""


def test_a_second_writer_is_refused_until_the_first_has_closed(path: Path) -> None:
    command = [sys.executable, "-c", ATTEMPT, str(path)]
    with Journal.create(path) as journal:
        kept = journal.append(T0, "batch", b"x")
        journal.commit()
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.count("crash.db: is in use by another reader or writer") == 2
        with pytest.raises(JournalError, match="is in use by another reader or writer"):
            Journal.open(path)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    assert list(read_records(path)) == [kept]


# -- damage is named -------------------------------------------------------------------------


def changed_value(value: int | str | bytes) -> int | str | bytes:
    """The value with one bit changed, its type kept."""
    if isinstance(value, int):
        return value ^ 1 << 40
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    return bytes([value[0] ^ 1]) + value[1:] if value else b"\x00"


@pytest.mark.parametrize("sequence", [0, 1, 17, 39, 40])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_value_is_named(path: Path, column: str, sequence: int) -> None:
    write(path, [payload_bytes(50 + 300 * i, i) for i in range(40)])
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT {column} FROM records WHERE sequence = ?"
        (value,) = connection.execute(query, (sequence,)).fetchone()
    changed = changed_value(value)
    edit(path, f"UPDATE records SET {column} = ? WHERE sequence = ?", (changed, sequence))
    records = read_records(path)
    assert [record.sequence for record in islice(records, sequence)] == list(range(sequence))
    with pytest.raises(JournalError) as caught:
        next(records)
    message = str(caught.value)
    assert message.startswith(f"{path}: record {sequence}")
    assert message.endswith("; restore the journal from a copy")
    if column in ("payload", "hash", "previous_hash"):
        kind, minute = ("close", 55) if sequence == 40 else ("batch", 15 + sequence)
        stamp = f"2025-10-10T21:{minute % 60:02d}:00Z"
        assert f"record {sequence} ('{kind}', {stamp}): its stored hash does not match" in message


@pytest.mark.parametrize("column", COLUMNS[1:])
@pytest.mark.parametrize("value", [None, 7.5, 7, "text", b"blob"])
def test_a_value_of_another_type_is_named(path: Path, column: str, value: object) -> None:
    write(path, [b"one", b"two", b"three"])
    with closing(sqlite3.connect(path)) as connection:
        (strict,) = connection.execute("SELECT sql FROM sqlite_schema").fetchone()
        loose = strict.replace(" NOT NULL", "").replace("INTEGER,", "ANY,").replace(") STRICT", ")")
        for kind in ("TEXT", "BLOB", "INTEGER"):
            loose = loose.replace(f" {kind},", ",").replace(f" {kind})", ")")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ?", (loose,))
        connection.commit()
    edit(path, f"UPDATE records SET {column} = ? WHERE sequence = 1", (value,))
    edit(path, "UPDATE sqlite_schema SET sql = ?", (strict,))
    with pytest.raises(JournalError, match=r"crash\.db: record 1[ :]"):
        read_journal(path)


def test_a_kind_that_is_no_text_is_named(path: Path) -> None:
    write(path, [b"one", b"two", b"three"])
    edit(path, "UPDATE records SET kind = CAST(x'62ff0a' AS TEXT) WHERE sequence = 1", ())
    with pytest.raises(
        JournalError, match=r"record 1 \('b\\udcff\\n', 2025-10-10T21:16:00Z\): its "
    ):
        read_journal(path)


def rehash(path: Path) -> None:
    """Give every stored record a hash that fits its content, as a forger would."""
    with closing(sqlite3.connect(path)) as connection:
        for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM records").fetchall():
            numbers = [number.to_bytes(8, "big") for number in (1, row[0], row[1])]
            fields = (b"plimsoll.journal", *numbers, row[2].encode(), row[4], row[3])
            encoded = b"".join(len(item).to_bytes(8, "big") + item for item in fields)
            digest = hashlib.sha256(encoded).digest()
            connection.execute("UPDATE records SET hash = ? WHERE sequence = ?", (digest, row[0]))
        connection.commit()


def test_links_times_and_gaps_are_checked_beside_the_hashes(path: Path, tmp_path: Path) -> None:
    write(path, [b"one", b"two", b"three", b"four"])
    damage = {
        "UPDATE records SET payload = x'00' WHERE sequence = 1": "record 2 .* does not follow",
        "UPDATE records SET time_ns = 5 WHERE sequence = 2": "record 2 .* time is before",
        "DELETE FROM records WHERE sequence = 2": "record 2: is missing, record 3 stands",
        "DELETE FROM records WHERE sequence = 0": "record 0: is missing, record 1 stands",
        "UPDATE records SET sequence = 9 WHERE sequence = 4": "record 4: is missing, record 9",
    }
    for statement, message in damage.items():
        copy = tmp_path / "copy.db"
        shutil.copy(path, copy)
        edit(copy, statement, ())
        rehash(copy)
        with pytest.raises(JournalError, match=message):
            read_journal(copy)


def test_opening_verifies_the_tail(path: Path, tmp_path: Path) -> None:
    write(path, [b"one", b"two", b"three"])
    for column, value in (("payload", b"!"), ("hash", bytes(32)), ("previous_hash", bytes(32))):
        for sequence in (2, 3):
            copy = tmp_path / "copy.db"
            shutil.copy(path, copy)
            edit(copy, f"UPDATE records SET {column} = ? WHERE sequence = ?", (value, sequence))
            with pytest.raises(JournalError, match=f"record {sequence} "):
                Journal.open(copy)


# -- damage is never read as data --------------------------------------------------------------


def outcome(path: Path) -> list[Record] | None:
    """The records, or None where the journal was refused; any other exception is a failure."""
    try:
        return list(read_records(path))
    except JournalError:
        return None


def test_no_flipped_byte_reads_as_other_records(path: Path, tmp_path: Path) -> None:
    """Every byte of a file with all kinds of page: header, interior, leaf and overflow."""
    expected = write(path, [payload_bytes(length, length) for length in (90, 80, 900, 0, 100, 70)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 512")  # small pages: a deep file of few bytes
        connection.execute("VACUUM")
    sound = path.read_bytes()
    assert {sound[i] for i in range(512, len(sound), 512)} >= {0, 5, 13}
    refused = 0
    for position in range(len(sound)):
        damaged = bytearray(sound)
        # By turns the whole byte and one bit of it, as a disk would lose it.
        damaged[position] ^= 0xFF if position % 2 else 1 << (position // 2 % 8)
        path.write_bytes(damaged)
        read = outcome(path)
        assert read in (None, expected), f"byte {position}"
        refused += read is None
    assert refused > sum(len(record.payload) + 64 for record in expected)
    assert [file.name for file in tmp_path.iterdir()] == ["crash.db"]


def test_no_flipped_bit_in_a_deep_file_reads_as_other_records(path: Path) -> None:
    expected = write(path, [payload_bytes(3_000 + i % 7 * 100, i) for i in range(600)])
    sound = path.read_bytes()
    rng = random.Random(11)
    tree_pages = [i for i in range(0, len(sound), 4096) if sound[i] in (5, 13)]
    assert any(sound[i] == 5 for i in tree_pages)  # more than one level
    headers = [rng.choice(tree_pages) + rng.randrange(24) for _ in range(150)]
    anywhere = [rng.randrange(len(sound)) for _ in range(150)]
    for position in headers + anywhere:
        damaged = bytearray(sound)
        damaged[position] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert outcome(path) in (None, expected), f"byte {position}"


def test_no_truncation_reads_as_fewer_records(path: Path) -> None:
    expected = write(path, [payload_bytes(3_000, 7), payload_bytes(9_000, 8)])
    sound = path.read_bytes()
    for length in [*range(0, len(sound), 97), len(sound) - 1]:
        path.write_bytes(sound[:length])
        assert outcome(path) is None, f"{length} bytes"
    path.write_bytes(sound + b"\x00" * 4096)
    assert outcome(path) in (None, expected)


def test_hidden_last_records_are_found(path: Path) -> None:
    """The page's cell count says one less: every link of what remains still holds."""
    write(path, [b"one", b"two"])
    damaged = bytearray(path.read_bytes())
    assert damaged[4096 + 3 : 4096 + 5] == b"\x00\x03"
    damaged[4096 + 4] = 2
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match="after record 1: the file's structure is damaged"):
        read_journal(path)
    with pytest.raises(JournalError, match="after record 1: the file's structure is damaged"):
        Journal.open(path)


# -- crashes and failing disks -----------------------------------------------------------------

APPENDER = r"""
import sys
from pathlib import Path
from plimsoll.ledger.journal import Journal
path = Path(sys.argv[1])
journal = Journal.open(path) if path.exists() and path.stat().st_size else Journal.create(path)
while True:
    for _ in range(1 + journal.head.count % 3):
        count = journal.head.count
        journal.append(count, "batch", bytes([count % 256]) * (count * 7919 % 300_000))
    journal.commit()
    print(f"{journal.head.count} {journal.head_hash}\n", end="", flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path, tmp_path: Path) -> None:
    rng = random.Random(13)
    kept: list[Record] = []
    interrupted = 0
    for run in range(20):
        command = [sys.executable, "-c", APPENDER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(1 + rng.randrange(4))]
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(rng.uniform(0.0, 0.02))
            child.kill()
            lines += child.stdout.readlines()
            assert child.wait() == -signal.SIGKILL
        acknowledged, head_hash = [line for line in lines if line.endswith("\n")][-1].split()
        interrupted += path.with_name("crash.db-journal").exists()
        if run % 2:
            Journal.open(path).close()
        records = list(read_records(path))
        assert len(records) >= int(acknowledged)
        assert records[int(acknowledged) - 1].hash.hex() == head_hash
        assert records[: len(kept)] == kept
        for record in records[len(kept) :]:
            length = record.sequence * 7919 % 300_000
            assert record.payload == bytes([record.sequence % 256]) * length
        kept = records
    assert interrupted > 0
    Journal.open(path).close()
    assert [file.name for file in tmp_path.iterdir()] == ["crash.db"]


@pytest.mark.parametrize("length", [1_000_000, 10_000_000])  # fails in commit, fails in append
def test_a_full_disk_stops_the_journal_and_spares_what_was_committed(
    path: Path, length: int
) -> None:
    journal = Journal.create(path)
    kept = journal.append(T0, "batch", payload_bytes(10_000, 9))
    journal.commit()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50_000, hard))
    try:
        with pytest.raises(JournalError, match=r"the disk (failed|is full)"):
            append_durably(journal, payload_bytes(length, 10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for use in (journal.commit, lambda: append_durably(journal, b"again")):
        with pytest.raises(JournalError, match=r"cannot be used any more .*; open the journal"):
            use()
    assert list(read_records(path)) == [kept]
    with Journal.open(path) as journal:
        after = journal.append(T0, "batch", b"after")
    assert list(read_records(path)) == [kept, after]
