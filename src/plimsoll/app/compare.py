"""One portfolio under many venues' rules: what each would require, and what drives it."""

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from plimsoll.app.dollars import restate_dollars
from plimsoll.connectors import PortfolioDocument, build_portfolio
from plimsoll.core import InputError, Status, did_you_mean
from plimsoll.margin import MODELS, Explanation, explain, find_model, load_models


@dataclass(frozen=True, slots=True)
class Venue:
    """An account under one model, its pools added up; amounts in ``currency``.

    ``margin_ratio`` is that of the account's worst pool. ``leverage`` is gross notional over
    collateral, ``leverage_max`` gross notional over initial margin: the same positions on as
    little collateral as the model admits. ``charges`` are (name, initial, maintenance).
    ``reasons`` say why the status is UNKNOWN. ``restated_in`` is the dollar that linear contracts
    and balances in another one were written in for this venue, empty where none were.
    """

    model: str
    status: str
    currency: str
    equity: float
    collateral_value: float
    initial_margin: float
    maintenance_margin: float
    excess_margin: float
    margin_ratio: float
    leverage: float
    leverage_max: float
    charges: tuple[tuple[str, float, float], ...]
    unconfirmed: tuple[str, ...]
    reasons: tuple[str, ...]
    restated_in: str = ""


def choose_models(text: str | None) -> tuple[str, ...]:
    """Names of models from patterns with commas between; all models where there are none."""
    names = tuple(model.name for model in MODELS)
    if text is None:
        return names
    chosen: list[str] = []
    for pattern in (part.strip() for part in text.split(",")):
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            remedy = did_you_mean(pattern, names)
            raise InputError("--models", f"unknown model '{pattern[:60]}'", remedy)
        chosen += found
    return tuple(dict.fromkeys(chosen))


def compare_account(
    document: PortfolioDocument, account_id: str, models: tuple[str, ...]
) -> tuple[Venue, ...]:
    """One row per model. Overrides hold for the account's own model alone; leverage for all.

    A venue that knows one dollar is shown the portfolio in that one: what an account would hold
    there is not the other venue's stablecoin.
    """
    account = next(a for a in document.accounts if a.id == account_id)
    found = []
    for model in models:
        params = account.params if model == account.model else {}
        moved = msgspec.structs.replace(account, model=model, params=params)
        alone = msgspec.structs.replace(document, accounts=(moved,))
        dollar = find_model(model, "--models").dollar
        restated = restate_dollars(alone, dollar) if dollar and model != account.model else alone
        try:
            pools = _assess(restated, account_id)
        except InputError as error:
            found.append(_refused(model, str(error)))
            continue
        found.append(_venue(model, pools, "" if restated is alone else dollar))
    return tuple(found)


def _assess(document: PortfolioDocument, account_id: str) -> tuple[Explanation, ...]:
    portfolio = build_portfolio(document)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, account_id)


def _venue(model: str, pools: tuple[Explanation, ...], restated_in: str) -> Venue:
    def total(name: str) -> float:
        return math.fsum(getattr(pool, name) for pool in pools)

    statuses = [pool.status for pool in pools]
    worst = Status.UNKNOWN if Status.UNKNOWN in statuses else max(statuses)
    names = dict.fromkeys(line.name for pool in pools for line in pool.charges)
    lines = [line for pool in pools for line in pool.charges]
    gross = math.fsum(n for pool in pools for n in pool.detail("positions").column("notional"))
    collateral, initial = total("collateral_value"), total("initial_margin")
    return Venue(
        model=model,
        status=worst.name,
        currency=pools[0].currency,
        equity=total("equity"),
        collateral_value=collateral,
        initial_margin=initial,
        maintenance_margin=total("maintenance_margin"),
        excess_margin=total("excess_margin"),
        margin_ratio=max(pool.margin_ratio for pool in pools),
        leverage=gross / collateral if collateral > 0 else math.nan,
        leverage_max=gross / initial if initial > 0 else math.nan,
        charges=tuple(
            (
                name,
                math.fsum(line.initial for line in lines if line.name == name),
                math.fsum(line.maintenance for line in lines if line.name == name),
            )
            for name in names
        ),
        unconfirmed=tuple(dict.fromkeys(name for pool in pools for name, _ in pool.unconfirmed)),
        reasons=tuple(dict.fromkeys(reason for pool in pools for reason in pool.reasons)),
        restated_in=restated_in,
    )


def _refused(model: str, reason: str) -> Venue:
    unknown = (math.nan,) * 8
    return Venue(model, Status.UNKNOWN.name, "USD", *unknown, (), (), (reason,))
