"""Claim: hash chain and fsync included, the journal keeps up with the disk.

The files lie in the folder for temporary files; name another disk with TMPDIR.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.lines import Line, Load, Race
from benchmarks.timing import Lap, seconds, time_laps
from plimsoll.core import stream
from plimsoll.ledger import Journal, read_records


@dataclass(frozen=True, slots=True)
class Work:
    """Records of one size, made durable ``group`` by group; told in MB/s where ``is_bulk``."""

    name: str
    records: int
    record_bytes: int
    group: int
    is_bulk: bool


WORKS = (
    Work("each", 200, 512, 1, False),
    Work("by_100", 10_000, 512, 100, False),
    Work("batches", 32, 1 << 20, 1, True),
)


def measure(load: Load) -> Iterator[Line]:
    """Records a second and bytes a second, against inserts without a chain and a plain file."""
    for work in WORKS:
        size = max(work.records // load.shrink, 1)
        bulk = stream(0, "benchmarks", work.name).bytes(size * work.record_bytes)
        width = work.record_bytes
        payloads = [bulk[k : k + width] for k in range(0, len(bulk), width)]
        with tempfile.TemporaryDirectory(prefix="plimsoll-benchmarks-") as folder:
            laps = [_lap(write, Path(folder), payloads, work.group) for write in WRITERS]
            race = Race(*time_laps(min(load.repeats, 5), *laps))
            path = Path(folder) / "read back"
            _write_journal(path, payloads, work.group)
            same = [record.payload for record in read_records(path)] == payloads
        rate = (len(bulk) / 1e6 if work.is_bulk else len(payloads)) / race.ours.median
        unit = "MB/s" if work.is_bulk else "records/s"
        yield race.line(
            f"journal_append.{work.name}", rate, unit, "SQLite, no chain", 0.0 if same else 1.0
        )


Writer = Callable[[Path, list[bytes], int], None]


def _lap(write: Writer, folder: Path, payloads: list[bytes], group: int) -> Lap:
    names = count()

    def measured() -> float:
        path = folder / f"{write.__name__} {next(names)}"
        taken = seconds(lambda: write(path, payloads, group))
        path.unlink()
        return taken

    return measured


def _write_journal(path: Path, payloads: list[bytes], group: int) -> None:
    with Journal.create(path) as journal:
        for number, payload in enumerate(payloads):
            journal.append(number, "input", payload)
            if (number + 1) % group == 0:
                journal.commit()


def _write_table(path: Path, payloads: list[bytes], group: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # As durable as the journal, and in its mode.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE records (sequence INTEGER PRIMARY KEY, payload BLOB)")
        connection.execute("BEGIN")
        for number, payload in enumerate(payloads):
            connection.execute("INSERT INTO records VALUES (?, ?)", (number, payload))
            if (number + 1) % group == 0:
                connection.execute("COMMIT")
                connection.execute("BEGIN")
        connection.execute("COMMIT")


def _write_file(path: Path, payloads: list[bytes], group: int) -> None:
    with path.open("wb", buffering=0) as file:
        for first in range(0, len(payloads), group):
            file.write(b"".join(payloads[first : first + group]))
            os.fsync(file.fileno())


WRITERS: tuple[Writer, ...] = (_write_journal, _write_table, _write_file)
