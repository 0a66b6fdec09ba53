"""``plimsoll loans``: the health of a lender's book, as tables or JSON."""

import math
from pathlib import Path

from plimsoll.app.cli.render import money, new_table, percent, print_json, stdout
from plimsoll.app.loans import LoanReport, report_loans
from plimsoll.core import InputError


def run_loans(positions: Path, prices: Path, shocks: tuple[str, ...], as_json: bool) -> None:
    """Print the report on a loan book."""
    report = report_loans(positions, prices, [_move(text) for text in shocks])
    if as_json:
        print_json(report)
    else:
        _print(report)


def _move(text: str) -> float:
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not -1 < value <= 100:
        raise InputError(f"--shock {text[:40]}", "is no price move", "write -10%")
    return value


def _print(report: LoanReport) -> None:
    console = stdout()
    judged = report.accounts - report.unknown - report.bare
    table = new_table(
        f"{judged:,} loans at {report.as_of[:10]} by health factor",
        ("Health factor", "Accounts", "Share", "Debt, USD"),
    )
    for band in report.bands:
        name = f"{band.low:g} to {band.high:g}" if math.isfinite(band.high) else f"{band.low:g} up"
        table.add_row(name, f"{band.accounts:,}", percent(band.share), money(band.debt, 0))
    console.print(table)
    shocked = new_table(
        "If bitcoin moves",
        ("Move", "Liquidatable", "Newly", "Debt, USD", "New debt, USD", "Shortfall, USD"),
    )
    for shock in report.shocks:
        shocked.add_row(
            f"{shock.move:+.0%}", f"{shock.liquidatable:,}", f"{shock.newly:,}",
            money(shock.debt, 0), money(shock.new_debt, 0), money(shock.shortfall, 0),
        )  # fmt: skip
    console.print(shocked)
    console.print(
        f"{report.rows:,} rows, {report.accounts:,} accounts. {report.bare:,} owe without any "
        f"collateral in the file, {report.unknown:,} are UNKNOWN: their debt has no price "
        f"({', '.join(report.unpriced)}). Taken at one dollar: {', '.join(report.pegged)}. "
        "cbBTC is counted as WBTC. The file shows bitcoin collateral alone: a loan with other "
        "collateral is healthier than it looks here."
    )
