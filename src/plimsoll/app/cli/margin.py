"""``plimsoll margin``: an assessment as a table or JSON."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import typer
from rich.table import Table

from plimsoll.app.cli.levels import Ladders, level_document, load_ladders, print_levels
from plimsoll.app.cli.render import money, new_table, percent, print_json, status_text, stdout
from plimsoll.connectors import (
    Portfolio,
    apply_what_if,
    build_portfolio,
    read_document,
    read_what_if,
)
from plimsoll.core import Floats, InputError, Status, format_time
from plimsoll.margin import Explanation, ModelSet, explain, load_models
from plimsoll.margin.explain import DetailTable
from plimsoll.market import Market, shock_market

T = TypeVar("T")

TRANSPOSED_MAX = 6
QUANTITIES = frozenset(
    {
        "balance",
        "equity",
        "index_price",
        "quantity",
        "mark",
        "liquidation_price",
        "bankruptcy_price",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """What ``plimsoll margin`` is asked."""

    path: Path
    account: str | None
    with_charges: bool
    shocks: tuple[str, ...]
    what_if: Path | None
    as_json: bool


Found = dict[str, tuple[Explanation, ...]]


def run_margin(request: Request) -> bool:
    """Print the assessment of a document; True where a status is UNKNOWN."""
    document = read_document(request.path)
    if request.what_if is None:
        portfolio = named(request.path, lambda: build_portfolio(document))
        found = explain_all(portfolio, request.path, request.shocks, request.account)
        _print(request, found, portfolio)
        return _tell_unknown(request.path, found)
    differences = read_what_if(request.what_if)
    named(request.path, lambda: build_portfolio(document))
    change = named(request.what_if, lambda: apply_what_if(document, differences))
    ladders = ladders_of(change.after, request.path)
    before, after = (
        {
            name: explain_all(portfolio, request.path, request.shocks, name)[name]
            for name in change.touched
        }
        for portfolio in (change.before, change.after)
    )
    if request.as_json:
        parts = {"before": before, "after": after}
        as_of = format_time(change.before.market.as_of_ns)
        accounts = {
            key: [_account(name, pools, ladders) for name, pools in part.items()]
            for key, part in parts.items()
        }
        print_json({"as_of": as_of, **accounts})
    else:
        for name in change.touched:
            _print_change(before[name], after[name])
            if request.with_charges:
                for pool in after[name]:
                    print_charges(pool)
    return _tell_unknown(request.path, after)


def named(path: Path, act: Callable[[], T]) -> T:
    """What ``act`` gives; its InputError names the file, too."""
    try:
        return act()
    except InputError as error:
        raise InputError(f"{path}: {error.place}", error.problem, error.remedy) from error


def explain_all(
    portfolio: Portfolio, path: Path, shocks: tuple[str, ...], account: str | None
) -> Found:
    """Explanations by account, of all or of one."""
    book, market = portfolio.book, _shocked(portfolio, shocks)
    models = models_of(portfolio, path)
    names = book.account_ids if account is None else (account,)
    return {name: explain(book, market, models, name) for name in names}


def models_of(portfolio: Portfolio, path: Path) -> ModelSet:
    """The models of a portfolio; errors name the first account that chose one."""
    book = portfolio.book
    first = [int(np.argmax(book.account_model == k)) for k in range(len(book.models))]
    places = tuple(f"{path}: accounts[{number}]" for number in first)
    return load_models(book.instruments, book.models, portfolio.market.as_of_ns, places)


def ladders_of(portfolio: Portfolio, path: Path) -> Ladders:
    """The margin-call levels of a portfolio's accounts."""
    models = models_of(portfolio, path)
    return load_ladders(portfolio.book, models, portfolio.market.as_of_ns)


def _print(request: Request, found: Found, portfolio: Portfolio) -> None:
    pools = [pool for explanations in found.values() for pool in explanations]
    market, ladders = portfolio.market, ladders_of(portfolio, request.path)
    if request.as_json:
        print_json(_document(found, market, ladders))
        return
    _print_overview(pools, market, request.shocks)
    stdout().print()
    print_levels((ladders[name], pool) for name, each in found.items() for pool in each)
    if request.with_charges:
        for pool in pools:
            print_charges(pool)


def _tell_unknown(path: Path, found: Found) -> bool:
    """Say on standard error why statuses are UNKNOWN; whether any is."""
    pools = [pool for explanations in found.values() for pool in explanations]
    for pool in pools:
        for reason in pool.reasons:
            remedy = "give a fresh price or mend the position"
            typer.echo(f"{path}: {pool.pool}: status UNKNOWN: {reason}; {remedy}", err=True)
    return any(pool.status == Status.UNKNOWN for pool in pools)


CHANGED = ("equity", "collateral_value", "initial_margin", "maintenance_margin", "excess_margin")


def _print_change(before: tuple[Explanation, ...], after: tuple[Explanation, ...]) -> None:
    """Each pool's figures before and after, pool by pool; one that is new began at nothing."""
    console = stdout()
    for number, pool in enumerate(after):
        old = before[number] if number < len(before) else None
        table = new_table(f"{pool.pool}: what if", ("", "Before", "After", "Change"))
        status = old.status.name if old else "–"
        table.add_row("status", status_text(status), status_text(pool.status.name), "")
        for figure in CHANGED:
            was, now = getattr(old, figure) if old else 0.0, getattr(pool, figure)
            table.add_row(figure.replace("_", " "), money(was), money(now), money(now - was))
        ratio = old.margin_ratio if old else 0.0
        table.add_row("margin ratio", percent(ratio), percent(pool.margin_ratio), "")
        console.print(table)
    console.print(f"{after[0].model} in {after[0].currency}.")


def _shocked(portfolio: Portfolio, shocks: tuple[str, ...]) -> Market:
    market = portfolio.market
    moves: Floats = np.zeros(market.instruments.assets.unit.size)
    for text in shocks:
        name, _, move = text.partition("=")
        asset = market.instruments.assets.find(name, "--shock")
        try:
            value = float(move.rstrip("%")) / (100 if move.endswith("%") else 1)
        except ValueError:
            value = float("nan")
        if not -1 < value <= 100:
            raise InputError(f"--shock {text[:40]}", "is no price move", "write BTC=-10%")
        moves[asset] = value
    return shock_market(market, moves) if shocks else market


def _document(found: Found, market: Market, ladders: Ladders) -> dict[str, object]:
    return {
        "as_of": format_time(market.as_of_ns),
        "accounts": [_account(name, pools, ladders) for name, pools in found.items()],
    }


def _account(name: str, pools: tuple[Explanation, ...], ladders: Ladders) -> dict[str, object]:
    """The account's cross pool, the worst status of all its pools, and each pool."""
    told = [{**_pool(pool), "levels": level_document(ladders[name], pool)} for pool in pools]
    figures = {key: value for key, value in told[0].items() if key != "pool"}
    return {"id": name, **figures, "status": _worst(pools).name, "pools": told}


def _worst(pools: tuple[Explanation, ...]) -> Status:
    statuses = [pool.status for pool in pools]
    return Status.UNKNOWN if Status.UNKNOWN in statuses else max(statuses)


def _pool(pool: Explanation) -> dict[str, object]:
    return {
        "pool": pool.pool,
        "kind": pool.kind,
        "model": pool.model,
        "currency": pool.currency,
        "status": pool.status.name,
        "reasons": list(pool.reasons),
        "equity": pool.equity,
        "collateral_value": pool.collateral_value,
        "initial_margin": pool.initial_margin,
        "maintenance_margin": pool.maintenance_margin,
        "excess_margin": pool.excess_margin,
        "margin_ratio": pool.margin_ratio,
        "unconfirmed": dict(pool.unconfirmed),
        "charges": [
            {"name": line.name, "initial": line.initial, "maintenance": line.maintenance}
            for line in pool.charges
        ],
        "details": {
            table.name: [
                {table.by: label, **dict(zip(table.columns, values, strict=True))}
                for label, values in table.rows
            ]
            for table in pool.details
        },
    }


def _print_overview(pools: list[Explanation], market: Market, shocks: tuple[str, ...]) -> None:
    shocked = f", after {', '.join(shocks)}" if shocks else ""
    title = f"Margin at {format_time(market.as_of_ns)}{shocked}"
    columns = ("Pool", "Status", "Equity", "Collateral", "Initial", "Maintenance", "Excess",
               "Ratio")  # fmt: skip
    table = new_table(title, columns, texts=2)
    for pool in pools:
        table.add_row(
            pool.pool,
            status_text(pool.status.name),
            *(money(value) for value in (
                pool.equity, pool.collateral_value, pool.initial_margin,
                pool.maintenance_margin, pool.excess_margin,
            )),
            percent(pool.margin_ratio),
        )  # fmt: skip
    console = stdout()
    console.print(table)
    by = sorted({(pool.model, pool.currency) for pool in pools})
    names = ", ".join(f"{model} in {currency}" for model, currency in by)
    console.print(f"Model: {names}. Ratio = maintenance / collateral; 100 % is liquidation.")


def print_charges(pool: Explanation, with_unconfirmed: bool = True) -> None:
    """A pool's charges, the rows behind them, and what no source confirms if that is wanted."""
    console = stdout()
    console.print()
    table = new_table(
        f"{pool.pool}: charges, {pool.currency}", ("Charge", "Initial", "Maintenance")
    )
    for line in pool.charges:
        table.add_row(line.name, money(line.initial), money(line.maintenance))
    table.add_section()
    table.add_row("requirement", money(pool.initial_margin), money(pool.maintenance_margin))
    console.print(table)
    for detail in pool.details:
        if detail.rows:
            console.print(_detail_table(pool.pool, detail))
    if with_unconfirmed:
        _print_unconfirmed(pool)


def _print_unconfirmed(pool: Explanation) -> None:
    """Which parameters no source confirms."""
    if pool.unconfirmed:
        table = new_table(f"{pool.model}: unconfirmed", ("Parameter", "Why"), texts=2)
        for name, why in pool.unconfirmed:
            table.add_row(name, why)
        stdout().print(table)


def _detail_table(pool: str, detail: DetailTable) -> Table:
    """A detail's rows; figures run down the page where there are more of them than assets."""
    used = [
        k
        for k in range(len(detail.columns))
        if any(row[k] and not math.isnan(row[k]) for _, row in detail.rows)
    ]
    figures = [detail.columns[k].replace("_", " ") for k in used]
    assets = [label for label, _ in detail.rows]
    cells = [[_number(detail.columns[k], values[k]) for k in used] for _, values in detail.rows]
    title = f"{pool}: {detail.name}"
    if len(figures) <= len(assets) or len(assets) > TRANSPOSED_MAX:
        table = new_table(title, ("", *figures))
        for label, row in zip(assets, cells, strict=True):
            table.add_row(label, *row)
    else:
        table = new_table(title, ("", *assets))
        for number, figure in enumerate(figures):
            table.add_row(figure, *(row[number] for row in cells))
    return table


def _number(name: str, value: float) -> str:
    """Amounts of money to the cent, quantities and prices with the digits they have."""
    if math.isnan(value):
        return "—"
    return f"{value:,.8g}" if name in QUANTITIES else money(value)
