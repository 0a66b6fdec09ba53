"""python -m benchmarks [NAME ...] [--format table|json] [--report FOLDER]

Measures every claim about speed, or those named. JSON is one object per line; a report is
performance.md with its chart. Exit code 1 where figures differ from a peer's, for a wrong answer
is not fast; 2 where a name is unknown.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import (
    apply_trades,
    assess_standard,
    burst,
    engine_tick,
    growth,
    journal_append,
    lay_out,
    live_book,
    live_engine,
    machine,
    pricing_black,
    pricing_implied,
    pricing_surface,
    scan_book,
    startup,
    watch,
    watch_crash,
)
from benchmarks.lines import Line, Load, figure
from benchmarks.report import write_report

# Those that share a book stand together.
BENCHMARKS: MappingProxyType[str, Callable[[Load], Iterator[Line]]] = MappingProxyType(
    {
        "machine": machine.measure,
        "assess_standard": assess_standard.measure,
        "lay_out": lay_out.measure,
        "engine_tick": engine_tick.measure,
        "apply_trades": apply_trades.measure,
        "burst": burst.measure,
        "live_book": live_book.measure,
        "journal_append": journal_append.measure,
        "startup": startup.measure,
        "pricing_black": pricing_black.measure,
        "pricing_implied": pricing_implied.measure,
        "pricing_surface": pricing_surface.measure,
        "scan": scan_book.measure,
        "watch": watch.measure,
        "watch_crash": watch_crash.measure,
        "live_engine": live_engine.measure,
        "growth": growth.measure,
    }
)
ACCURACY_MAX = 1e-9
WIDTH_PIPED = 110
CAPTION = (
    "Value: median. x peer, x limit: our speed over theirs, best runs; above 1 is faster. "
    "Accuracy: largest relative difference to the peer's figures."
)


def main(arguments: Sequence[str], load: Load) -> int:
    """Measure what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed beside named peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write performance.md there")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"{unknown[0]}: unknown benchmark; use {', '.join(BENCHMARKS)}\n")
        return 2
    lines = []
    for line in _measure(options.names or tuple(BENCHMARKS), load):
        lines.append(line)
        if options.format == "json":
            print(msgspec.json.encode(line).decode(), flush=True)
    if options.format == "table":
        _print_table(lines)
    if options.report is not None:
        write_report(lines, {name: _claim(name) for name in BENCHMARKS}, options.report)
    wrong = [each.name for each in lines if not (each.accuracy or 0.0) <= ACCURACY_MAX]
    if wrong:
        sys.stderr.write(f"{wrong[0]}: its figures differ from the peer's; mend one of them\n")
    return 1 if wrong else 0


def _claim(name: str) -> str:
    """What a benchmark shows: the first paragraph of its module."""
    module = inspect.getmodule(BENCHMARKS[name])
    return inspect.cleandoc((module and module.__doc__) or name).split("\n\n")[0]


def _measure(names: Sequence[str], load: Load) -> Iterator[Line]:
    for name in names:
        sys.stderr.write(f"measuring {name}\n")
        yield from BENCHMARKS[name](load)


def _print_table(lines: Sequence[Line]) -> None:
    table = Table(caption=CAPTION, caption_justify="left", pad_edge=False)
    for column in ("Benchmark", "Value", "Unit", "Peer", "x peer", "x limit", "Accuracy"):
        is_text = column in {"Benchmark", "Unit", "Peer"}
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    for line in lines:
        table.add_row(
            line.name, figure(line.value), line.unit, line.peer,
            figure(line.ratio_peer), figure(line.ratio_limit),
            "-" if line.accuracy is None else f"{line.accuracy:.1g}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else WIDTH_PIPED, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Load()))
