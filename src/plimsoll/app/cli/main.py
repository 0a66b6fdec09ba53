"""The commands and how they fail."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="A table for people or JSON.")]
AccountsOption = Annotated[int, typer.Option(help="How many accounts to generate.", min=1)]
SeedOption = Annotated[int, typer.Option(help="Seed of the generated book.", min=0)]
EXIT_BAD_INPUT: Final = 2
DEFAULT_SHOCKS: Final = ("-10%", "-20%", "-30%")


def margin(
    document: Annotated[Path, typer.Argument(help="A portfolio document, YAML or JSON.")],
    account: Annotated[str | None, typer.Option(help="Show this account only.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show charges and the rows behind them.")
    ] = False,
    shock: Annotated[
        list[str] | None,
        typer.Option(help="Move an asset's price first, e.g. BTC=-10%. May be repeated."),
    ] = None,
    what_if: Annotated[
        Path | None,
        typer.Option(help="Trades, orders and transfers to show before and after, YAML or JSON."),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Assess the accounts of a portfolio document.

    Exit code 2 if any status is UNKNOWN: an unknown margin is not a margin.

    For example:

        plimsoll margin examples/desk.yaml

        plimsoll margin examples/desk.yaml --what-if examples/what_if/desk.yaml

        plimsoll margin examples/desk.yaml --explain --shock BTC=-10% --shock ETH=-15%

        plimsoll margin examples/desk.yaml --format json | jq '.accounts[].pools[].status'
    """
    from plimsoll.app.cli.margin import Request, run_margin

    request = Request(
        document, account, explain, tuple(shock or ()), what_if, output == Format.JSON
    )
    if run_margin(request):
        raise typer.Exit(EXIT_BAD_INPUT)


def liquidation(
    document: Annotated[Path, typer.Argument(help="A portfolio document, YAML or JSON.")],
    account: Annotated[str | None, typer.Option(help="Show this account only.")] = None,
    asset: Annotated[
        list[str] | None, typer.Option(help="Along this asset's price only. May be repeated.")
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(help="Assets that move together, by beta: BTC=1,ETH=1.2. May be repeated."),
    ] = None,
    what_if: Annotated[
        Path | None,
        typer.Option(help="Trades, orders and transfers to show before and after, YAML or JSON."),
    ] = None,
    daily_vol: Annotated[
        list[str] | None,
        typer.Option(help="Volatility a day, for the time left, e.g. BTC=3%. May be repeated."),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Margin ratio that remedies must come below; the margin call's if none."),
    ] = None,
    fee: Annotated[
        float, typer.Option(help="Fee on what a remedy closes, a fraction of its value.", min=0)
    ] = 0.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the requirement there and what would move it.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="HTML page with plots to write.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show at what prices an account is liquidated, and what would prevent it.

    The whole pool is judged at every price: all positions, coins as collateral, tiers, orders.
    Exit code 2 if any status is UNKNOWN.

    For example:

        plimsoll liquidation examples/distressed.yaml

        plimsoll liquidation examples/desk.yaml --direction BTC=1,ETH=1.2 --daily-vol BTC=3%

        plimsoll liquidation examples/options.yaml --asset BTC --explain --html options.html
    """
    from plimsoll.app.cli.liquidation import LiquidationRequest, run_liquidation

    request = LiquidationRequest(
        document, account, tuple(asset or ()), tuple(direction or ()), tuple(daily_vol or ()),
        what_if, target, fee, explain, html, output == Format.JSON,
    )  # fmt: skip
    if run_liquidation(request):
        raise typer.Exit(EXIT_BAD_INPUT)


def compare(
    document: Annotated[Path, typer.Argument(help="A portfolio document, YAML or JSON.")],
    models: Annotated[
        str | None,
        typer.Option(help="Models by name, with commas; 'okx.*' names all of a venue's."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Show this account only.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show one portfolio under the rules of many venues, side by side.

    A model that cannot judge a portfolio says why instead. Exit code 2 if none can.

    For example:

        plimsoll compare examples/desk.yaml

        plimsoll compare examples/options.yaml --models "deribit.*,okx.portfolio,plimsoll.*"
    """
    from plimsoll.app.cli.compare import run_compare

    if run_compare(document, models, account, output == Format.JSON):
        raise typer.Exit(EXIT_BAD_INPUT)


def loans(
    positions: Annotated[Path, typer.Argument(help="Loans, parquet or csv: one row per debt.")],
    prices: Annotated[Path, typer.Option(help="Prices, parquet or csv: date, symbol, price_usd.")],
    shock: Annotated[
        list[str] | None, typer.Option(help="Moves of bitcoin to try, e.g. -20%. May be repeated.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show the health of a lender's book, and what a fall of bitcoin would liquidate.

    For example:

        plimsoll loans positions.parquet --prices prices.parquet --shock -10% --shock -30%
    """
    from plimsoll.app.cli.loans import run_loans

    run_loans(positions, prices, tuple(shock or DEFAULT_SHOCKS), output == Format.JSON)


def replay(
    prices: Annotated[
        Path | None,
        typer.Option(help="OHLC file (parquet or csv: symbol, date, open, high, low, close)."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="First instant, inclusive.")] = None,
    end: Annotated[str | None, typer.Option(help="Last instant, exclusive.")] = None,
    accounts: AccountsOption = 10_000,
    seed: SeedOption = 7,
    journal: Annotated[Path, typer.Option(help="New journal to write.")] = Path("replay.db"),
    report: Annotated[Path | None, typer.Option(help="HTML report to write.")] = None,
    insurance_fund_share: Annotated[
        float, typer.Option(help="Insurance fund at the start, over gross notional.", min=0, max=1)
    ] = 0.01,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing journal.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    r"""Carry a generated book of accounts along real prices, live engine and all.

    Without --prices the small path of 10 October 2025 that plimsoll makes from published
    figures is used. Every input and decision is journaled; see `plimsoll verify`.

    For example:

        plimsoll replay --prices binance_15m.parquet --start 2025-10-10 --end 2025-10-12 \
            --accounts 100000 --journal crash.db --report crash.html
    """
    from plimsoll.app.cli.replay import Scope, run_replay_command
    from plimsoll.core import parse_time

    scope = Scope(
        prices,
        None if start is None else parse_time(start, "--start"),
        None if end is None else parse_time(end, "--end"),
    )
    run_replay_command(
        scope, accounts, seed, insurance_fund_share, journal, report, force, output == Format.JSON
    )


def verify(
    journal: Annotated[Path, typer.Argument(help="A journal that plimsoll wrote.")],
    decide_again: Annotated[
        bool, typer.Option("--decide-again", help="Also make every decision again.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Check a journal's hash chain and fold it again to the same state.

    Any change to any stored byte of a record is found and the record named. With
    --decide-again the engine must also reach every decision again, byte for byte.

    For example:

        plimsoll verify crash.db --decide-again
    """
    from plimsoll.app.cli.verify import run_verify

    run_verify(journal, decide_again, output == Format.JSON)


def why(
    journal: Annotated[Path, typer.Argument(help="A journal that plimsoll wrote.")],
    account: Annotated[str, typer.Argument(help="The account, by its id.")],
    at: Annotated[
        str | None,
        typer.Option(help="The last liquidation begun at or before this time; else the last."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="HTML page to write.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Explain why an account was liquidated: prices, requirement, every step to the last unit.

    All of it comes from the journal, whose step is made again. Of an account that was not
    liquidated it tells how near it came.

    For example:

        plimsoll why out/demo.db A0005902

        plimsoll why out/demo.db A0005902 --at 2025-10-10T21:20:00Z --html why.html
    """
    from plimsoll.app.cli.why import WhyRequest, run_why
    from plimsoll.core import parse_time

    at_ns = None if at is None else parse_time(at, "--at")
    run_why(WhyRequest(journal, account, at_ns, html, output == Format.JSON))


def vol(
    chain: Annotated[Path, typer.Argument(help="Deribit option chain rows, parquet or csv.")],
    time: Annotated[
        str | None, typer.Option(help="When it was taken, if the rows do not tell. Else inferred.")
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(help="Which one of several: a number from 1, or a time. Else last."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="HTML page with plots to write.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Fit a volatility surface to an option chain: forwards, smiles, residuals, arbitrage.

    For example:

        plimsoll vol chain.csv --time 2024-05-24T19:15:00Z --html surface.html

        plimsoll vol hourly.parquet --snapshot 2026-01-23T12:00:00Z --format json
    """
    from plimsoll.app.cli.vol import run_vol
    from plimsoll.core import parse_time

    time_ns = None if time is None else parse_time(time, "--time")
    run_vol(chain, time_ns, snapshot, html, output == Format.JSON)


def price(
    symbol: Annotated[
        str | None, typer.Argument(help="An option, e.g. BTC/USD:BTC-261225-80000-C.")
    ] = None,
    forward: Annotated[
        float | None, typer.Option(help="Forward of the option's expiry. Always needed.")
    ] = None,
    vol: Annotated[str | None, typer.Option(help="Volatility a year, e.g. 65% or 0.65.")] = None,
    price: Annotated[
        float | None, typer.Option("--price", help="A price, to find its implied vol instead.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Time to expiry: 30d, 12h or 0.25y (of 365 days).")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Instant of valuation, for a symbol with its expiry.")
    ] = None,
    strike: Annotated[float | None, typer.Option(help="Strike, where no symbol is given.")] = None,
    call: Annotated[
        bool | None, typer.Option("--call/--put", help="Right, where no symbol is given.")
    ] = None,
    rate: Annotated[str, typer.Option(help="Rate a year, continuous, e.g. 4%.")] = "0",
    coin: Annotated[
        bool, typer.Option("--coin", help="Prices in coin; inverse symbols are so anyway.")
    ] = False,
    tick: Annotated[
        float | None, typer.Option(help="With --price: its step, for the vol's uncertainty.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Value one option with Black-76, or find the vol that a price implies; all Greeks.

    For example:

        plimsoll price BTC/USD:BTC-261225-80000-C --forward 7e4 --vol 65% --as-of 2026-09-01

        plimsoll price --strike 8e4 --put --forward 7e4 --time 90d --price 12000 --tick 5
    """
    from plimsoll.app.cli.price import PriceRequest, run_price

    request = PriceRequest(symbol, forward, vol, price, time, as_of, strike, call, rate, coin, tick)
    run_price(request, output == Format.JSON)


def models(
    name: Annotated[
        str | None, typer.Argument(help="Models to tell all about, e.g. okx.portfolio or 'okx.*'.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List margin models; with a name, its sources and what no source confirms in it.

    For example:

        plimsoll models

        plimsoll models "deribit.*"
    """
    from plimsoll.app.cli.models import run_models

    run_models(name, output == Format.JSON)


def waterfall(
    name: Annotated[
        str | None,
        typer.Argument(help="A waterfall, or a margin model to show its own, e.g. okx.portfolio."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Show what was in force then. Else the newest table.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List waterfalls of liquidation; with a name, its stages, parameters and sources.

    A parameter that no source confirms is marked, and the reason told.

    For example:

        plimsoll waterfall

        plimsoll waterfall hyperliquid --as-of 2024-06-01

        plimsoll waterfall okx.portfolio --format json | jq '.[].stages[].stage'
    """
    from plimsoll.app.cli.waterfall import run_waterfall

    run_waterfall(name, as_of, output == Format.JSON)


def incident(
    incident_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The incident to tell, e.g. B13.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page with plots to write.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Play real failures again, without and with a control; with an id, tell one as a story.

    Without an id all are played: what was lost, whether the play without the control loses as
    much, and whether the control keeps its bound. Exit code 1 where one does not.

    For example:

        plimsoll incident

        plimsoll incident B13 --report halt.html

        plimsoll incident --format json | jq '.[] | [.id, .is_reproduced, .is_bounded]'
    """
    from plimsoll.app.cli.incident import run_incident

    if run_incident(incident_id, report, output == Format.JSON):
        raise typer.Exit(1)


def book_generate(
    accounts: AccountsOption = 10_000,
    seed: SeedOption = 7,
    journal: Annotated[
        Path | None, typer.Option(help="Write the book as a new journal that can be verified.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Generate a realistic book: heavy tails, long bias, hedges, several collaterals.

    For example:

        plimsoll book generate --accounts 100000 --seed 7 --journal book.db
    """
    from plimsoll.app.cli.replay import run_book_generate

    run_book_generate(accounts, seed, journal, output == Format.JSON)


def demo(
    accounts: AccountsOption = 10_000,
    folder: Annotated[Path, typer.Option(help="Where to put journal and report.")] = Path("out"),
) -> None:
    """Replay 10 October 2025 on the built-in price path: journal, summary and report."""
    from plimsoll.app.cli.replay import run_demo

    run_demo(accounts, folder)


def build_app() -> typer.Typer:
    """The command line as a typer application."""
    app = typer.Typer(
        help="plimsoll: a cross-margin risk engine for crypto derivatives.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    books = typer.Typer(help="Make books of accounts.", no_args_is_help=True)
    books.command("generate")(book_generate)
    for command in (
        margin, liquidation, waterfall, incident, compare, loans, replay, verify, why, vol, price,
        models, demo,
    ):  # fmt: skip
        app.command()(command)
    app.add_typer(books, name="book")
    return app


def main() -> None:
    """Run the command line; bad input is one line on standard error and exit code 2."""
    try:
        build_app()(prog_name="plimsoll")
    except BrokenPipeError:
        # The reader has gone; leave nothing for the interpreter to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        # Imported here so that --help pays for nothing below the command line.
        from plimsoll.core import InputError, PlimsollError

        if isinstance(error, OSError):
            place, problem = error.filename or "system", error.strerror or str(error)
            error = InputError(str(place), problem, "check the path and its permissions")
        if not isinstance(error, PlimsollError):
            raise
        is_input = isinstance(error, InputError)
        typer.echo(f"{'error' if is_input else 'refused'}: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT if is_input else 1)
