"""B03: Deribit's insurance fund in March 2020, and what it would have had to hold."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from plimsoll.core import NS_PER_SECOND, Floats, parse_time, stream, sum_exact
from plimsoll.engine import Outcome
from plimsoll.ledger import TransferReason
from plimsoll.liquidation import load_waterfall
from plimsoll.liquidation.layers import bad_debt_quantile
from plimsoll.market import SanityRules
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    FUND,
    OUTSIDE,
    Contract,
    Deal,
    Move,
    World,
    balance,
    choose_model,
    deposit,
    list_contracts,
    open_world,
    post,
    tick,
    with_waterfalls,
)

SYMBOL = "BTC/USD:BTC"
MINUTE_NS = 60 * NS_PER_SECOND
SATOSHI = 1e-8
STEPS_MAX = 200


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Longs of equal size: ``contracts`` of 10 USD each, ``margin`` and ``value`` in BTC by row."""

    contracts: float
    entry: float
    value: float
    margin: Floats


@dataclass(frozen=True, slots=True)
class _Run:
    """A path through the engine: times, the fund's BTC, what was put in, what winners paid."""

    time_ns: tuple[int, ...]
    price: tuple[float, ...]
    fund: tuple[float, ...]
    injected: tuple[float, ...]
    uncovered: tuple[float, ...]

    @property
    def paid(self) -> float:
        """What the crash cost the fund and, past it, the winners: BTC net of fees."""
        total = self.fund[0] + sum(self.injected) - self.fund[-1] + sum(self.uncovered)
        return round(total, 8)


def play_insurance(params: Mapping[str, Any], control: bool) -> Played:
    """The published fall, then one as bad as the rarest that the fund is sized for."""
    accounts = _build_accounts(params)
    needed, worst = _size_fund(params, accounts)
    start = max(params["fund_btc"], needed) if control else params["fund_btc"]
    path = _published_path(params)
    run = _run(params, accounts, path, start, control)
    stress = _run(params, accounts, worst, start, control)
    moments = [
        _moment(run, 0, f"the fund holds {start:,.0f} BTC", needed),
        *(
            _moment(run, k, f"bitcoin at {run.price[k]:,.0f}", needed)
            for k in range(1, len(run.price))
            if run.fund[k] != run.fund[k - 1] or run.injected[k]
        ),
        Moment(
            stress.time_ns[-1],
            f"a fall of the 1 in {1 / (1 - params['probability']):,.0f} kind: {_depletion(stress)}",
            (
                Figure("fund after it", stress.fund[-1], "BTC"),
                Figure("lost", stress.paid, "BTC"),
                Figure("left to the winners", sum(stress.uncovered), "BTC"),
            ),
        ),
    ]
    return Played(tuple(moments), run.paid, sum(stress.uncovered))


def _moment(run: _Run, k: int, text: str, needed: float) -> Moment:
    figures = [Figure("fund", run.fund[k], "BTC")]
    if k == 0:
        figures.append(Figure("needed", needed, "BTC"))
    if run.injected[k]:
        text += ", the fund is filled up"
        figures.append(Figure("put in", run.injected[k], "BTC"))
    if run.uncovered[k]:
        figures.append(Figure("left to the winners", run.uncovered[k], "BTC"))
    return Moment(run.time_ns[k], text, tuple(figures))


def _depletion(run: _Run) -> str:
    """When the fund could not pay for the first time."""
    for when, missing in zip(run.time_ns, run.uncovered, strict=True):
        if missing:
            hours = (when - run.time_ns[0]) / (60 * MINUTE_NS)
            return f"the fund is empty after {hours:,.1f} hours"
    return "the fund holds"


def _build_accounts(params: Mapping[str, Any]) -> _Accounts:
    """Leverage at the quantiles of its distribution, as far as initial margin allows."""
    count, entry = params["accounts"], params["path"][0][1]
    value = params["open_interest_btc"] / count
    contracts = round(value * entry / 10)
    value = contracts * 10 / entry
    z = np.array([NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)])
    leverage = params["leverage_median"] * np.exp(params["leverage_log_sigma"] * z)
    least = params["initial_base"] + params["slope_per_coin"] * value
    margin = np.round(value * np.maximum(1 / leverage, least), 8)
    return _Accounts(float(contracts), entry, value, margin)


def _published_path(params: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The published points; each fall in minutes of the fastest one, as late as it can come."""
    points = [(parse_time(when, "B03.path"), price) for when, price in params["path"]]
    path = [points[0]]
    for (_, before), (end_ns, after) in itertools.pairwise(points):
        prices = [after]
        while after < before and prices[-1] / (1 - params["fall_per_minute"]) < before:
            prices.append(prices[-1] / (1 - params["fall_per_minute"]))
        last = len(prices) - 1
        path += [(end_ns - (last - k) * MINUTE_NS, p) for k, p in enumerate(reversed(prices))]
    return [(when, round(price, 2)) for when, price in path]


def _drawn_path(params: Mapping[str, Any], random: np.random.Generator) -> list[tuple[int, float]]:
    """The published points, reached in jumps of drawn size, a minute apart."""
    points = [(parse_time(when, "B03.path"), price) for when, price in params["path"]]
    path = [points[0]]
    for (_, before), (end_ns, after) in itertools.pairwise(points):
        prices = []
        jumps = random.normal(params["jump_mean"], params["jump_sd"], STEPS_MAX)
        if after < before:
            along = before * np.exp(np.cumsum(jumps))
            reached = np.flatnonzero(along <= after)
            prices = along[: reached[0] if reached.size else STEPS_MAX].tolist()
        prices.append(after)
        last = len(prices) - 1
        path += [(end_ns - (last - k) * MINUTE_NS, p) for k, p in enumerate(prices)]
    return [(when, round(price, 2)) for when, price in path]


def _size_fund(
    params: Mapping[str, Any], accounts: _Accounts
) -> tuple[float, list[tuple[int, float]]]:
    """The total that drawn falls exceed with the stated rarity, BTC, and the fall that has it."""
    random = stream(params["seed"], "B03.jumps")
    paths = [_drawn_path(params, random) for _ in range(params["draws"])]
    losses = np.array([_losses(params, accounts, path) for path in paths])
    satoshi = np.ceil(losses / SATOSHI).astype(np.int64)
    needed = bad_debt_quantile(satoshi, params["probability"])
    at = int(np.flatnonzero(satoshi.sum(axis=1) == needed)[0])
    return needed * SATOSHI, paths[at]


def _losses(
    params: Mapping[str, Any], accounts: _Accounts, path: list[tuple[int, float]]
) -> Floats:
    """By account what is missing, BTC, where it is found past the line: no fee, no slippage."""
    price = np.array([p for _, p in path])
    usd = accounts.contracts * 10
    value = usd / price
    equity = accounts.margin[:, None] + usd / accounts.entry - value
    rate = params["maintenance_base"] + params["slope_per_coin"] * value
    past = equity < rate * value
    first = np.argmax(past, axis=1)
    found = equity[np.arange(first.size), first]
    return np.where(past.any(axis=1), np.maximum(-found, 0.0), 0.0)


def _open(params: Mapping[str, Any], accounts: _Accounts, start_ns: int, fund: float) -> World:
    """The longs, one account that holds the other side and cannot fail, and the fund."""
    model = choose_model(
        "deribit.standard",
        {
            "initial_base": {"BTC": params["initial_base"]},
            "maintenance_base": {"BTC": params["maintenance_base"]},
            "slope_per_coin": {"BTC": params["slope_per_coin"]},
        },
    )
    table = list_contracts([Contract(SYMBOL, 10.0, 0, 2)], {"BTC": 8, "USD": 2})
    names = [f"long-{k + 1:03d}" for k in range(accounts.margin.size)]
    sanity = SanityRules(age_ns_max=24 * 60 * MINUTE_NS, jump_max=0.9)
    opened = dict.fromkeys(["winner", *names], 0)
    world = open_world(table, (model,), opened, start_ns - 2 * MINUTE_NS, sanity)
    preset = load_waterfall("deribit", start_ns)
    fee = params["liquidation_fee_rate"] - params["taker_fee_rate"]
    world = with_waterfalls(
        world,
        (
            replace(
                preset,
                liquidation_fee_rates=(("default", fee),),
                taker_fee_rate=params["taker_fee_rate"],
            ),
        ),
    )
    moves = [
        Move(OUTSIDE, FUND, "BTC", fund),
        deposit("winner", "BTC", 2 * params["open_interest_btc"]),
        *(deposit(n, "BTC", float(m)) for n, m in zip(names, accounts.margin, strict=True)),
    ]
    deals = [
        Deal(name, SYMBOL, accounts.contracts, accounts.entry, other="winner") for name in names
    ]
    return post(world, start_ns - MINUTE_NS, deals, moves)


def _run(
    params: Mapping[str, Any],
    accounts: _Accounts,
    path: list[tuple[int, float]],
    fund: float,
    control: bool,
) -> _Run:
    """The path through the engine; with the control a fund below its trigger is filled up."""
    world = _open(params, accounts, path[0][0], fund)
    funds, injected, uncovered = [], [], []
    for when, price in path:
        world, outcome = tick(world, when, {"venue": {SYMBOL: price, "BTC": price}})
        held, added = balance(world.book, FUND, "BTC"), 0.0
        if control and held < params["top_up_share"] * fund:
            added = round(fund - held, 8)
            world = post(world, when + 1, moves=[Move(OUTSIDE, FUND, "BTC", added)])
        funds.append(held + added)
        injected.append(added)
        uncovered.append(_uncovered(outcome))
    times, prices = zip(*path, strict=True)
    return _Run(times, prices, tuple(funds), tuple(injected), tuple(uncovered))


def _uncovered(outcome: Outcome) -> float:
    """What winners have paid and what nobody did, BTC: the book has no other asset with losses."""
    reasons = (TransferReason.SOCIALISED_LOSS, TransferReason.BAD_DEBT)
    units = sum(
        sum_exact(batch.transfers.amount[np.isin(batch.transfers.reason, reasons)])
        for batch in outcome.decisions
    )
    return units * SATOSHI
