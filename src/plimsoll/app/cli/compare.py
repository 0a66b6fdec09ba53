"""``plimsoll compare``: the same portfolio at each venue, as a table or JSON."""

import math
from pathlib import Path

import msgspec
import typer

from plimsoll.app.cli.margin import named
from plimsoll.app.cli.render import money, new_table, percent, print_json, status_text, stdout
from plimsoll.app.compare import Venue, choose_models, compare_account
from plimsoll.connectors import build_portfolio, read_document
from plimsoll.core import Status

DRIVERS = 2


def run_compare(path: Path, models: str | None, account: str | None, as_json: bool) -> bool:
    """Print the comparison; True where no model could judge an account."""
    chosen = choose_models(models)
    document = read_document(path)
    portfolio = named(path, lambda: build_portfolio(document))
    if account is not None:
        portfolio.book.find_account(account, "--account")
    names = portfolio.book.account_ids if account is None else (account,)
    found = {name: compare_account(document, name, chosen) for name in names}
    if as_json:
        print_json(
            {
                "as_of": document.as_of,
                "accounts": [
                    {"id": name, "models": [_plain(venue) for venue in venues]}
                    for name, venues in found.items()
                ],
            }
        )
    else:
        for name, venues in found.items():
            _print_account(name, venues)
    blind = [n for n, vs in found.items() if all(v.status == Status.UNKNOWN.name for v in vs)]
    for name in blind:
        reasons = next((v.reasons[0] for v in found[name] if v.reasons), "no model has a rule")
        typer.echo(f"{path}: {name}: status UNKNOWN under every model: {reasons}", err=True)
    return bool(blind)


def _plain(venue: Venue) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(venue)
    plain["charges"] = [
        {"name": name, "initial": initial, "maintenance": maintenance}
        for name, initial, maintenance in venue.charges
    ]
    return plain


def _print_account(name: str, venues: tuple[Venue, ...]) -> None:
    """Venues that can judge, the least demanding first; then those that cannot, and why."""
    console = stdout()
    judged = [venue for venue in venues if venue.status != Status.UNKNOWN.name]
    columns = ("Model", "Status", "Initial", "Maintenance", "Excess", "Ratio", "Leverage",
               "Driven by")  # fmt: skip
    table = new_table(f"{name}: requirement by model", columns, texts=2)
    table.columns[-1].justify = "left"
    for column in table.columns[:-1]:
        column.no_wrap = True
    for venue in sorted(judged, key=lambda venue: venue.initial_margin):
        mark = ("*" if venue.unconfirmed else "") + ("†" if venue.restated_in else "")
        table.add_row(
            venue.model + mark,
            status_text(venue.status),
            money(venue.initial_margin, 0),
            money(venue.maintenance_margin, 0),
            money(venue.excess_margin, 0),
            percent(venue.margin_ratio),
            _leverage(venue),
            _drivers(venue),
        )
    console.print(table)
    currency = judged[0].currency if judged else "USD"
    console.print(
        f"In {currency}. Ratio = maintenance / collateral of the worst pool. Leverage = now, of "
        "the most these positions could have. * has unconfirmed parameters (plimsoll models), † is "
        "shown the portfolio in the one dollar it knows."
    )
    unknown = [venue for venue in venues if venue.status == Status.UNKNOWN.name]
    if unknown:
        silent = new_table("No answer", ("Model", "Why"), texts=2)
        for venue in unknown:
            reason = venue.reasons[0] if venue.reasons else "has no rule"
            silent.add_row(venue.model, reason.removeprefix(f"{venue.model} "))
        console.print(silent)


def _leverage(venue: Venue) -> str:
    if math.isnan(venue.leverage):
        return "—"
    most = "" if math.isnan(venue.leverage_max) else f" of {venue.leverage_max:.0f}"
    return f"{venue.leverage:.1f}{most}"


def _drivers(venue: Venue) -> str:
    """The largest charges and their shares of the initial margin."""
    if venue.initial_margin <= 0:
        return "–"
    largest = sorted(venue.charges, key=lambda charge: -charge[1])[:DRIVERS]
    shares = [(name, initial / venue.initial_margin) for name, initial, _ in largest]
    return ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares if share > 0)
