"""The comparison as tables for people and as plain data for machines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tools.adl_policies.compare import Row
from tools.adl_policies.data import CENTS
from tools.adl_policies.published import Figure

COLUMNS = (
    "policy", "taken M", "overshoot", "lots over", "uncovered M", "payers", "HHI",
    "largest haircut", "profit closed",
)  # fmt: skip
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is shown; ``lot`` in cents, ``accounts`` empty where none were generated."""

    lot: int
    coins: Sequence[Row]
    accounts: Sequence[Row]
    figures: Sequence[Figure]
    notes: Sequence[str]


def print_comparison(console: Console, found: Comparison) -> None:
    """Three tables and what keeps the published figures apart."""
    lot = found.lot / CENTS
    _print_rows(
        console,
        f"The coins' profits against each wave's deficits, USD, lots of {lot:g}, horizon 0",
        found.coins,
    )
    if found.accounts:
        _print_rows(
            console,
            "Generated accounts against each shock's deficit: laws fitted to published figures "
            "or chosen, so compare rows, do not quote them",
            found.accounts,
        )
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("figure", "published", "from the files", "reproduced", "because"):
        is_number = name in ("published", "from the files")
        table.add_column(name, justify="right" if is_number else "left")
    for figure in found.figures:
        shown = "-" if figure.found is None else _number(figure.found)
        table.add_row(
            figure.name, _number(figure.published), shown,
            "yes" if figure.is_reproduced else "no", figure.why,
        )  # fmt: skip
    console.print(table)
    for note in found.notes:
        console.print(f"- {note}")


def to_plain(found: Comparison) -> dict[str, Any]:
    """For JSON: amounts in cents, as integers."""
    return {
        "lot_cents": found.lot,
        "horizon_ns": 0,
        "by_coins": [asdict(row) for row in found.coins],
        "by_generated_accounts": [asdict(row) for row in found.accounts],
        "published": [
            {**asdict(figure), "is_reproduced": figure.is_reproduced} for figure in found.figures
        ],
        "notes": list(found.notes),
    }


def _print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    table = Table(box=SIMPLE, pad_edge=False, title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == COLUMNS[0] else "right")
    for row in rows:
        table.add_row(
            row.policy,
            f"{row.taken / CENTS / MILLION:,.3f}",
            f"{row.overshoot / CENTS:,.2f}",
            f"{row.lots_over:,.2f}",
            f"{row.uncovered / CENTS / MILLION:,.3f}",
            f"{row.payers:,}",
            f"{row.hhi:.4f}",
            f"{row.largest_haircut:.2%}",
            f"{row.profit_closed:.3%}",
        )
    console.print(table)


def _number(value: float) -> str:
    return f"{value + 0.0:,.2f}" if abs(value) >= 0.005 else "0.00"
