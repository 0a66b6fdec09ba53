"""python -m tools.vectors FILE... [--only TEXT] [--format text|json] [--list-adapters]

Runs every case of the files; a case without an adapter is listed as not yet modelled. Exit code
0 if nothing failed, 1 if a case did, 2 if the files or options cannot be used.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from plimsoll.core import InputError
from tools.vectors.adapters import ADAPTERS
from tools.vectors.cases import Case, read_file
from tools.vectors.run import Outcome, run_case
from tools.vectors.show import Report, print_adapters, print_reports, to_plain

WIDTH_PIPED = 100


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = _console()
    if options.list_adapters:
        print_adapters(console, ADAPTERS)
        return 0
    try:
        reports = _run(options.files, options.only)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.format == "json":
        # What JSON has no number for, a fraction, is written as text.
        encoded = msgspec.json.encode(to_plain(reports), enc_hook=str)
        sys.stdout.write(msgspec.json.format(encoded).decode())
        sys.stdout.write("\n")
    else:
        print_reports(console, reports)
    outcomes = {result.outcome for report in reports for result in report.results}
    return 1 if Outcome.FAILED in outcomes else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.vectors",
        description="Run published test vectors against the public API.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="vectors, JSON")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="cases with TEXT in their id, model, venue, ..."
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--list-adapters", action="store_true", help="what can be run, and stop")
    return parser


def _run(files: Sequence[Path], only: str) -> list[Report]:
    """Reports on all files; InputError where there is nothing to run."""
    if not files:
        raise InputError("vectors", "no file is named", 'write make vectors FILES="a.json b.json"')
    # All are read before any is run: a wrong path is told at once.
    read = [read_file(path) for path in files]
    reports = []
    for file in read:
        wanted = tuple(case for case in file.cases if _is_wanted(case, only))
        if wanted:
            reports.append(Report(file, tuple(run_case(case) for case in wanted)))
    if not reports:
        raise InputError("--only", f"no case has '{only}' in its names", "shorten it")
    return reports


def _is_wanted(case: Case, only: str) -> bool:
    return only.lower() in f"{case.party}: {case.subject}: {case.id}".lower()


def _console() -> Console:
    """Standard output; as wide as the terminal, and readable where there is none."""
    width = shutil.get_terminal_size((WIDTH_PIPED, 24)).columns
    return Console(file=sys.stdout, width=width, highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
