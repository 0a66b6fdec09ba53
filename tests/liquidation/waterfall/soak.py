"""Random sequences under every waterfall by the thousand, to be stopped and gone on with.

    python -m tests.liquidation.waterfall.soak --sequences 10000 --log out/conserve.jsonl

A run plays draws of 100 sequences, the first of every preset before the second of any, on all
cores. Each adds a line to the log when it is done; a later run leaves out what the log has, and
both end with a table of all of it. A line carries a digest of the sources that it was played on.
A sequence that fails ends the run with exit code 1: it is shrunk, and says its step.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.table import Table

from plimsoll.liquidation import waterfall_names
from tests.liquidation.waterfall.conservation import conserve

DRAW = 100
"""Sequences of a draw."""
SOURCES = Path(__file__).resolve().parents[3] / "src"
SHOWN = ("sequences", "steps", "begun", "LIQUIDATION", "TAKEOVER", "DELEVERAGING",
         "SOCIALISED_LOSS", "BAD_DEBT", "AUCTION", "refused", "unknown")  # fmt: skip


class Played(msgspec.Struct, frozen=True):
    """One draw: all that happened in it held. ``seconds`` are of one core."""

    preset: str
    draw: int
    seconds: float
    code: str
    happened: dict[str, int]


def code_digest() -> str:
    """What tells one state of the engine's sources from another."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".py", ".toml"):
            digest.update(path.relative_to(SOURCES).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def play_draw(preset: str, draw: int, code: str) -> Played:
    """The sequences of one draw; raises where one does not conserve."""
    started = time.perf_counter()
    alone, paired = conserve(preset, DRAW, draw)
    happened = {name: int(count) for name, count in (alone + paired).items()}
    return Played(preset, draw, round(time.perf_counter() - started, 1), code, happened)


def read_log(path: Path) -> list[Played]:
    """The draws that a log has."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Played) for line in lines]


def soak(sequences: int, path: Path, workers: int) -> list[Played]:
    """Play what the log lacks of so many sequences a preset; the whole log."""
    played = read_log(path)
    known = {(one.preset, one.draw) for one in played}
    wanted = list(product(range(-(-sequences // DRAW)), waterfall_names()))
    missing = [(preset, draw) for draw, preset in wanted if (preset, draw) not in known]
    code = code_digest()
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeLeft())
    with (
        path.open("ab") as log,
        ProcessPoolExecutor(workers) as pool,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task("draws", total=len(wanted), completed=len(wanted) - len(missing))
        try:
            for done in as_completed([pool.submit(play_draw, *one, code) for one in missing]):
                played.append(done.result())
                log.write(msgspec.json.encode(played[-1]) + b"\n")
                log.flush()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return played


def table_of(played: list[Played]) -> Table:
    """What was played by preset; all of it held, for a draw that does not is not logged."""
    states = len({one.code for one in played})
    hours = sum(one.seconds for one in played) / 3600
    title = f"Conserved to the last unit: {hours:.1f} core hours, {states} state(s) of the sources"
    table = Table("preset", *SHOWN, title=title)
    total: Counter[str] = Counter()
    for preset in waterfall_names():
        sums = sum((Counter(one.happened) for one in played if one.preset == preset), Counter())
        total += sums
        table.add_row(preset, *(f"{sums[name]:,}" for name in SHOWN))
    table.add_row("all", *(f"{total[name]:,}" for name in SHOWN), style="bold")
    return table


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=1000, help="under every preset")
    parser.add_argument("--log", type=Path, default=Path("out/conserve.jsonl"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    played = soak(given.sequences, given.log, given.workers)
    Console(width=160, file=sys.stdout).print(table_of(played))
    return 0


if __name__ == "__main__":
    sys.exit(main())
