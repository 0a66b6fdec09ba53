"""python -m benchmarks [NAME ...] [--format table|json]

Measures every claim about speed, or those named. JSON is one object per line. Exit code 1 where
figures differ from a peer's, for a wrong answer is not fast; 2 where a name is unknown.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import (
    apply_trades,
    assess_standard,
    engine_tick,
    journal_append,
    lay_out,
    machine,
    pricing_black,
    pricing_implied,
    pricing_surface,
    startup,
)
from benchmarks.lines import Line, Load

# Those that share a book stand together.
BENCHMARKS: MappingProxyType[str, Callable[[Load], Iterator[Line]]] = MappingProxyType(
    {
        "machine": machine.measure,
        "assess_standard": assess_standard.measure,
        "lay_out": lay_out.measure,
        "engine_tick": engine_tick.measure,
        "apply_trades": apply_trades.measure,
        "journal_append": journal_append.measure,
        "startup": startup.measure,
        "pricing_black": pricing_black.measure,
        "pricing_implied": pricing_implied.measure,
        "pricing_surface": pricing_surface.measure,
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
    wrong = [each.name for each in lines if not (each.accuracy or 0.0) <= ACCURACY_MAX]
    if wrong:
        sys.stderr.write(f"{wrong[0]}: its figures differ from the peer's; mend one of them\n")
    return 1 if wrong else 0


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
            line.name, _figure(line.value), line.unit, line.peer,
            _figure(line.ratio_peer), _figure(line.ratio_limit),
            "-" if line.accuracy is None else f"{line.accuracy:.1g}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else WIDTH_PIPED, highlight=False).print(table)


def _figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    if not math.isfinite(value) or value == 0:
        return f"{value}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Load()))
