"""python -m tools.adl_policies --data DIR [--lot USD] [--seed N] [--format text|json]

Compares policies of auto-deleveraging on the shocks of 10 October 2025, on the coins and on
generated accounts, and sets published figures beside the same ones from the files. Exit code 2
where the files cannot be used.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec
from rich.console import Console

from plimsoll.core import InputError, LedgerError, to_units
from tools.adl_policies.compare import by_accounts, by_coins
from tools.adl_policies.data import read_event
from tools.adl_policies.published import notes, published_figures
from tools.adl_policies.show import Comparison, print_comparison, to_plain

LOT_USD = "10"
"""The venue's smallest order."""
LOT_MAX = 10**15
WIDTH_MIN = 140


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        lot = _lot(options.lot)
        event = read_event(options.data)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found = Comparison(
        lot=lot,
        coins=by_coins(event.shocks, lot),
        accounts=by_accounts(event.shocks, lot, options.seed),
        figures=published_figures(event),
        notes=notes(event),
    )
    if options.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(to_plain(found))).decode() + "\n")
    else:
        width = max(shutil.get_terminal_size((WIDTH_MIN, 24)).columns, WIDTH_MIN)
        print_comparison(Console(file=sys.stdout, width=width, highlight=False), found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.adl_policies",
        description="Compare policies of auto-deleveraging on the shocks of 10 October 2025.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the event's files")
    parser.add_argument("--lot", default=LOT_USD, metavar="USD", help="the smallest close")
    parser.add_argument("--seed", type=int, default=0, help="of the generated accounts")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def _lot(text: str) -> int:
    try:
        lot = to_units(Decimal(text), 2)
    except (InvalidOperation, LedgerError):
        lot = 0
    if not 1 <= lot <= LOT_MAX:
        raise InputError("--lot", f"'{text}' is no amount from a cent up", "write 10 or 0.01")
    return lot


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
