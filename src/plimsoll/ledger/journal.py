"""The journal: an append-only, hash-chained file of records. Bytes in, bytes out.

``Journal`` writes; ``read_records`` reads and verifies. A record is acknowledged when ``commit``
has returned, not before. What a payload means is the caller's affair, and so is the rule that a
journal closed in order ends with a record of an agreed kind: ``Journal.head.kind``, or the kind
of the last record read, tells.

The file is one SQLite database of one table. A record's hash is SHA-256 over seven fields, each
preceded by its length as 8 bytes, big-endian:

    b"plimsoll.journal", format version, sequence, time_ns, kind, previous_hash, payload

where the three numbers are 8 bytes, big-endian, two's complement, and kind is UTF-8. The first
record's previous_hash is 32 zero bytes. The chain shows damage and edits. That a whole file was
written anew or put back to an older one, only a ``head_hash`` kept elsewhere can show.

SQLite keeps a rollback journal rather than a write-ahead log, for three reasons. The file
alone is complete between two commits, so a copy of it never lacks acknowledged records in
silence; a bit lost in a write-ahead log would silently drop the commits behind it; and a large
payload is written once, not twice. The writer holds the file exclusively, which also saves
creating and removing the rollback journal at each commit.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, final

from plimsoll.core import InputError, JournalError, format_time

PAYLOAD_BYTES_MAX: Final = 256 * 1024 * 1024
"""The largest payload a record may carry, in bytes."""

_FORMAT: Final = 1
_APPLICATION_ID: Final = int.from_bytes(b"plim", "big")
_SCHEMA: Final = (
    "CREATE TABLE records (sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, "
    "kind TEXT NOT NULL, payload BLOB NOT NULL, previous_hash BLOB NOT NULL, "
    "hash BLOB NOT NULL) STRICT"
)
_SELECT: Final = "SELECT sequence, time_ns, kind, payload, previous_hash, hash FROM records"
_INSERT: Final = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_TYPES: Final = (int, int, str, bytes, bytes, bytes)
_KIND: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
# A record's columns besides the payload take well under this much.
_ROW_BYTES_MAX: Final = PAYLOAD_BYTES_MAX + 1024
_TIME_NS_END: Final = 2**63
_RESTORE: Final = "restore the journal from a copy"
# The second: Python's module decodes SQLite's message about a damaged schema, damage and all.
_FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
# Errors that the Python module raises by itself, on misuse, carry no code of SQLite's.
_NO_CODE: Final = 0
_CAUSES: Final = MappingProxyType(
    {
        _NO_CODE: ("cannot be used any more", "open the journal again"),
        sqlite3.SQLITE_BUSY: ("is in use by another reader or writer", "wait until it is closed"),
        sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check the path and its permissions"),
        sqlite3.SQLITE_FULL: ("the disk is full", "free some space, then open the journal again"),
        sqlite3.SQLITE_IOERR: ("the disk failed", "check the disk, then open the journal again"),
        sqlite3.SQLITE_NOTADB: ("is not a journal", "name a journal, or restore it from a copy"),
        sqlite3.SQLITE_READONLY: ("may not be written", "give write permission to file and folder"),
    }
)


@final
@dataclass(frozen=True, slots=True)
class Record:
    """One entry: sequence from 0 without gaps, UTC time that never decreases, opaque payload."""

    sequence: int
    time_ns: int
    kind: str
    payload: bytes = field(repr=False)
    previous_hash: bytes
    hash: bytes


@final
@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many records it has, and the last one's time, kind and hash."""

    count: int
    time_ns: int
    kind: str
    hash: bytes


_GENESIS: Final = Head(0, -_TIME_NS_END, "", bytes(32))


@final
class Journal:
    """The one writer of a journal file; a context manager.

    Leaving the ``with`` block commits, unless by an exception. After a failed append or commit
    the journal is closed for good: a disk that failed to sync once cannot be trusted to say the
    truth when asked again.
    """

    __slots__ = ("_connection", "_head", "_path")

    def __init__(self, path: Path, connection: sqlite3.Connection, head: Head) -> None:
        """For ``create`` and ``open``, which hand over a locked connection and its head."""
        self._path = path
        self._connection = connection
        self._head = head

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new journal without records. Raises InputError where a non-empty file stands."""
        if path.exists() and (not path.is_file() or path.stat().st_size > 0):
            raise InputError(str(path), "already exists", "choose a new file for the journal")
        connection = _connect(path, "rwc")
        try:
            _begin(connection)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            connection.execute(_SCHEMA)
            connection.execute("COMMIT")
        except _FAILURES as error:
            connection.close()
            raise _translate(str(path), error) from error
        return cls(path, connection, _GENESIS)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A journal to append to, its interrupted last write rolled back if there was one.

        Verifies the file's structure and its last two records; ``records`` verifies them all.
        Raises InputError without a file, JournalError on damage or when it is in use.
        """
        _require_file(path)
        connection = _connect(path, "rw")
        try:
            # First, so that another program's database is left as it is.
            _check_format(connection, path)
            _begin(connection)
            head = _read_head(connection, path)
            _check_structure(connection, path, head)
            connection.execute("COMMIT")
        except _FAILURES as error:
            connection.close()
            raise _translate(str(path), error) from error
        except JournalError:
            connection.close()
            raise
        return cls(path, connection, head)

    @property
    def head(self) -> Head:
        """The end of the chain, appends not yet committed included."""
        return self._head

    @property
    def head_hash(self) -> str:
        """The last record's hash in hex; it vouches for every record before it."""
        return self._head.hash.hex()

    def append(self, time_ns: int, kind: str, payload: bytes) -> Record:
        """Add a record; ``commit`` makes it last.

        ``kind`` is a short lower-case name. Raises InputError, changing nothing, on a time
        before the last record's, a bad kind or a payload above ``PAYLOAD_BYTES_MAX``;
        JournalError when the write fails.
        """
        head = self._head
        place = f"{self._path}: record {head.count}"
        if not head.time_ns <= time_ns < _TIME_NS_END:
            problem = f"time_ns {time_ns} is before the last record's {head.time_ns} or above int64"
            raise InputError(place, problem, "append records in the order of their time")
        if _KIND.fullmatch(kind) is None:
            raise InputError(place, f"{kind[:40]!r} is not a kind", "use a short lower-case name")
        if len(payload) > PAYLOAD_BYTES_MAX:
            problem = f"its payload of {len(payload)} bytes exceeds {PAYLOAD_BYTES_MAX}"
            raise InputError(place, problem, "split the batch into several records")
        digest = _hash(head.count, time_ns, kind, payload, head.hash)
        record = Record(head.count, time_ns, kind, payload, head.hash, digest)
        row = (head.count, time_ns, kind, payload, head.hash, digest)
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN")
            self._connection.execute(_INSERT, row)
        except _FAILURES as error:
            self.close()
            raise _translate(place, error) from error
        self._head = _advance(record)
        return record

    def commit(self) -> None:
        """Make every append so far durable: on disk, synced, when this returns."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except _FAILURES as error:
            self.close()
            raise _translate(f"{self._path}: commit", error) from error

    def records(self) -> Iterator[Record]:
        """Every record, verified as by ``read_records``, while nobody else can write."""
        return _verified_records(self._connection, self._path)

    def close(self) -> None:
        """Drop what was not committed and leave one plain file, free for others."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.commit()
        self.close()


def read_records(path: Path) -> Iterator[Record]:
    """The journal's records in order, each verified before it is yielded, one in memory at a time.

    Raises InputError without a file, JournalError naming the record at any damage: a stored
    value changed, a record missing or out of order, a link or time that does not follow. The
    file's structure is checked last, so that only the end of the iteration says that no record
    is hidden. Nothing is written, except that a write which a crash interrupted (and nobody
    acknowledged) is first rolled back, as at any opening of the file.
    """
    _require_file(path)
    interrupted = path.with_name(f"{path.name}-journal").exists()
    with closing(_connect(path, "rw" if interrupted else "ro")) as connection:
        yield from _verified_records(connection, path)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.0)
    except _FAILURES as error:
        raise _translate(str(path), error) from error
    # A damaged kind must reach the hash check, not fail to decode before its record is named.
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    # A damaged length must not make SQLite allocate more than a record can be.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _ROW_BYTES_MAX)
    return connection


def _begin(connection: sqlite3.Connection) -> None:
    """Take the file for this connection alone, until it closes, and begin a transaction."""
    # Coming from PERSIST, SQLite removes a spent rollback journal that a crash left behind.
    connection.execute("PRAGMA journal_mode = PERSIST")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA synchronous = FULL")
    # On macOS only this reaches the platter; elsewhere it changes nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("BEGIN EXCLUSIVE")


def _verified_records(connection: sqlite3.Connection, path: Path) -> Iterator[Record]:
    head = _GENESIS
    try:
        _check_format(connection, path)
        for row in connection.execute(f"{_SELECT} ORDER BY sequence"):
            record = _verify(path, row, head)
            head = _advance(record)
            yield record
        _check_structure(connection, path, head)
    except _FAILURES as error:
        raise _translate(_after(path, head), error) from error


def _read_head(connection: sqlite3.Connection, path: Path) -> Head:
    rows = connection.execute(f"{_SELECT} ORDER BY sequence DESC LIMIT 2").fetchall()
    head = _GENESIS
    if rows and rows[-1][0] > 0:
        sequence, time_ns, _, _, previous_hash, _ = rows[-1]
        head = Head(sequence, time_ns, "", previous_hash)
    for row in reversed(rows):
        head = _advance(_verify(path, row, head))
    return head


def _verify(path: Path, row: tuple[Any, ...], head: Head) -> Record:
    """The row as a record, if it follows ``head``; JournalError naming it otherwise."""
    place = f"{path}: record {head.count}"
    if tuple(map(type, row)) != _TYPES:
        raise JournalError(place, "a stored value is not of its column's type", _RESTORE)
    sequence, time_ns, kind, payload, previous_hash, stored = row
    if sequence != head.count:
        raise JournalError(place, f"is missing, record {sequence} stands in its place", _RESTORE)
    place = f"{place} ({kind[:40]!r}, {format_time(time_ns)})"
    if stored != _hash(sequence, time_ns, kind, payload, previous_hash):
        raise JournalError(place, "its stored hash does not match its content", _RESTORE)
    if previous_hash != head.hash:
        raise JournalError(place, "it does not follow the record before it", _RESTORE)
    if time_ns < head.time_ns:
        raise JournalError(place, "its time is before the last record's", _RESTORE)
    return Record(sequence, time_ns, kind, payload, previous_hash, stored)


def _advance(record: Record) -> Head:
    return Head(record.sequence + 1, record.time_ns, record.kind, record.hash)


def _hash(sequence: int, time_ns: int, kind: str, payload: bytes, previous_hash: bytes) -> bytes:
    numbers = (number.to_bytes(8, "big", signed=True) for number in (_FORMAT, sequence, time_ns))
    text = kind.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256()
    for part in (b"plimsoll.journal", *numbers, text, previous_hash, payload):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    place = str(path)
    if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
        raise JournalError(place, "is a database but not a journal", "name a plimsoll journal")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _FORMAT:
        problem = f"is a journal of format {version}, not {_FORMAT}"
        raise JournalError(place, problem, "read it with the release that wrote it")
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    if schema != [("table", "records", "records", _SCHEMA)]:
        raise JournalError(place, "its table of records is damaged", _RESTORE)


def _check_structure(connection: sqlite3.Connection, path: Path, head: Head) -> None:
    """Every page in its place: the chain cannot show that damage hides its last records."""
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        problem = f"the file's structure is damaged ({finding})"
        raise JournalError(_after(path, head), problem, _RESTORE)


def _after(path: Path, head: Head) -> str:
    return f"{path}: after record {head.count - 1}" if head.count else str(path)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(str(path), "there is no such file", "name an existing journal")
    if path.stat().st_size == 0:
        raise JournalError(str(path), "is empty", _RESTORE)


def _translate(place: str, error: Exception) -> JournalError:
    # The low byte is the primary code.
    code = getattr(error, "sqlite_errorcode", _NO_CODE) & 0xFF
    problem, remedy = _CAUSES.get(code, ("cannot be read or written", _RESTORE))
    return JournalError(place, f"{problem} ({error})", remedy)
