"""B12: Hyperliquid's auto-deleveraging of 10 October 2025, by queue and by the house's policy."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from plimsoll.core import Floats, Int64s, parse_time, sum_exact
from plimsoll.liquidation.deleveraging import (
    AllocationKey,
    Candidates,
    DeleveragingPolicy,
    HedgeRule,
    RankForm,
    deleverage,
    profit_capacity,
)
from plimsoll.simulation.incidents.incident import Figure, Moment, Played

CENTS = 100
QUEUE = DeleveragingPolicy(
    AllocationKey.QUEUE, RankForm.HYPERLIQUID_DOCS, HedgeRule.OPEN, currency_unit=CENTS
)
"""The venue's: whole positions from the front of the queue until the contracts are gone."""
HOUSE = DeleveragingPolicy(currency_unit=CENTS)
"""By profit; what the deficit asks for, and no more."""
MAINTENANCE_PER_LEVERAGE = 0.05
SCATTER, OTHER_SCATTER = 0.6180339887498949, 0.4142135623730951
"""Fractions of the golden ratio and of the root of 2: their multiples spread evenly, and apart

from each other, without chance.
"""


def play_queue(params: Mapping[str, Any], control: bool) -> Played:
    """The closes wave by wave: contracts by queue, or with the control money by profit."""
    book = build_candidates(params)
    wanted = params["deficit_usd"] if control else float(np.sum(book.quantity)) / CENTS
    moments, taken, deficit, lots = [], 0, 0, 0.0
    start, end = (parse_time(params[name], f"B12.{name}") for name in ("first_wave", "last_wave"))
    waves = params["waves"]
    for wave in range(waves):
        budget = _part(wanted, wave, waves)
        deficit += _part(params["deficit_usd"], wave, waves)
        book, given, over, payers = _close(params, book, budget, control)
        taken += given
        lots = max(lots, over / (params["lot_usd"] * CENTS * max(payers, 1)))
        figures = (
            Figure("profit closed", taken / CENTS, "USD"),
            Figure("deficit", deficit / CENTS, "USD"),
            Figure("closed", float(payers), "accounts"),
        )
        when = start + (end - start) * wave // (waves - 1)
        moments.append(Moment(when, f"wave {wave + 1}", figures))
    return Played(tuple(moments), (taken - deficit) / CENTS, lots)


def build_candidates(params: Mapping[str, Any]) -> Candidates:
    """The closed users as one market of shorts: sizes, profits, leverage by the published sums.

    Sizes fall as 1 / rank within each published group of the largest; profit rates and leverages
    take the quantiles of lognormals, scattered over the ranks. Money in cents.
    """
    users = params["users"]
    size = _sizes(params)
    rank = np.arange(1, users + 1)
    at = (rank * SCATTER) % 1.0
    leverage = params["leverage_median"] * np.exp(
        params["leverage_log_sigma"] * _normal((rank * OTHER_SCATTER) % 1.0)
    )
    rate = np.exp(params["profit_rate_log_sigma"] * _normal(at))
    gains = np.sort(at)[round(params["profitable_share"] * users) - 1] >= at
    rate = np.where(gains, rate, 0.0)
    rate *= params["profit_usd"] / float(np.sum(rate * size))
    cents = np.rint(size * CENTS).astype(np.int64)
    profit = np.rint(rate * size * CENTS).astype(np.int64)
    equity = np.maximum(np.rint(size / leverage * CENTS), profit).astype(np.int64)
    return Candidates(
        account=np.arange(users, dtype=np.int64),
        quantity=cents,
        mark_value=-cents,
        entry_value=-cents - profit,
        bankrupt_value=-cents - equity,
        equity=equity,
        maintenance_margin=np.rint(cents * MAINTENANCE_PER_LEVERAGE).astype(np.int64),
        hedged=np.zeros(users, dtype=np.int64),
    )


def _sizes(params: Mapping[str, Any]) -> Floats:
    """USD by rank: within each group of the largest as 1 / rank, the groups as published."""
    users, ends = params["users"], [*params["top_users"], params["users"]]
    shares = np.diff([0.0, *params["top_shares"], 1.0])
    weight = 1.0 / np.arange(1, users + 1)
    first = 0
    for end, share in zip(ends, shares.tolist(), strict=True):
        weight[first:end] *= share / float(np.sum(weight[first:end]))
        first = end
    usd: Floats = weight * params["notional_usd"]
    return usd


def _normal(at: Floats) -> Floats:
    inverse = NormalDist().inv_cdf
    return np.array([inverse(min(max(u, 1e-9), 1 - 1e-9)) for u in at.tolist()])


def _part(usd: float, wave: int, waves: int) -> int:
    """Cents that fall to a wave: all of them together are the whole."""
    whole = round(usd * CENTS)
    return whole * (wave + 1) // waves - whole * wave // waves


def _close(
    params: Mapping[str, Any], book: Candidates, budget: int, control: bool
) -> tuple[Candidates, int, int, int]:
    """Who is left, cents of profit closed, cents closed beyond the budget, accounts closed.

    The budget counts contracts, of one cent at mark, or with the control money.
    """
    lot = np.full(book.account.size, round(params["lot_usd"] * CENTS), dtype=np.int64)
    capacity = profit_capacity(book) if control else book.quantity
    found = deleverage(book, capacity, lot, budget, HOUSE if control else QUEUE)
    profit = np.maximum(book.profit, 0)
    if control:
        given, closed = found.closed, _contracts_for(book, found.closed, profit)
    else:
        closed = found.closed
        given = _portion(profit, closed, book.quantity)
    payers = int(np.count_nonzero(found.closed))
    over = found.overshoot.amount if control else sum_exact(given) - _owed(params)
    return _without(book, closed), sum_exact(given), max(over, 0), payers


def _owed(params: Mapping[str, Any]) -> int:
    """A wave's part of the deficit, cents."""
    return round(float(params["deficit_usd"]) * CENTS) // int(params["waves"])


def _contracts_for(book: Candidates, money: Int64s, profit: Int64s) -> Int64s:
    """Contracts whose profit is what an account gives, rounded up."""
    share = np.divide(money, profit, out=np.zeros(money.size), where=profit > 0)
    return np.minimum(np.ceil(share * book.quantity).astype(np.int64), book.quantity)


def _portion(amount: Int64s, part: Int64s, whole: Int64s) -> Int64s:
    exact = amount.astype(object) * part.astype(object) // whole.astype(object)
    return np.asarray(exact, dtype=np.int64)


def _without(book: Candidates, closed: Int64s) -> Candidates:
    """The candidates after a close: each keeps its share, and who has nothing leaves."""
    left = book.quantity - closed
    keep = np.flatnonzero(left > 0)
    names = ("mark_value", "entry_value", "bankrupt_value", "equity", "maintenance_margin")
    kept = {n: _portion(getattr(book, n)[keep], left[keep], book.quantity[keep]) for n in names}
    return replace(
        book,
        account=book.account[keep],
        quantity=left[keep],
        hedged=book.hedged[keep],
        mark_value=kept["mark_value"],
        entry_value=kept["entry_value"],
        bankrupt_value=kept["bankrupt_value"],
        equity=kept["equity"],
        maintenance_margin=kept["maintenance_margin"],
    )
