"""okx.portfolio against a plain reading of its rule sheet on 300 random books with options.

The volatility table, which the venue does not publish whole, is supplied by the account, as are
the tiers that the table of the model knows in part.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from plimsoll.connectors import Portfolio
from plimsoll.core import InputError
from plimsoll.margin import Explanation, ModelSet, assess, explain, load_models
from tests.margin.option_books import (
    AS_OF,
    AS_OF_NS,
    draw_document,
    load_document,
    plain_black76,
    plain_cdf,
    years_to,
)

VOL_TABLE = [[0, 0.30, 0.60], [15, 0.25, 0.45], [30, 0.20, 0.35], [180, 0.10, 0.15]]
DISCOUNTS = {"USDT": [[1e5, 1.0], [1e6, 0.95], [None, 0.9]], "USDC": [[None, 0.99]],
             "BTC": [[1, 0.98], [10, 0.95], [100, 0.9]], "ETH": [[None, 0.9]]}  # fmt: skip
BORROWING = {"USDT": [[1e4, 0.02, 0.1], [1e6, 0.04, 0.2], [None, 0.1, 0.4]],
             "USDC": [[None, 0.02, 0.1]], "BTC": [[None, 0.03, 0.1]],
             "ETH": [[10, 0.03, 0.1], [None, 0.0625, 0.125]]}  # fmt: skip
DEPEG = {"0": [[None, 0.4]], "0.995": [[1e6, 0.005], [5e6, 0.01], [None, 0.015]]}
PARAMS = {"vol_shocks": VOL_TABLE, "discounts": DISCOUNTS, "borrowing": BORROWING,
          "depeg_tiers": DEPEG}  # fmt: skip
MULTIPLIERS = [(250e3, 1), (500e3, 2), (1e6, 4), (2e6, 6), (3e6, 8), (4e6, 10), (None, 12)]
MOVES = (0, 0.04, -0.04, 0.08, -0.08, 0.12, -0.12)
EXTREME, PERPETUAL, ANNUAL, MINIMUM, DAY = 0.24, 0.002, 0.05, 0.0045, 1 / 365


def in_slices(value: float, tiers: list) -> float:
    """Marginal tiers by cap; nothing beyond a last cap that ends."""
    total, floor = 0.0, 0.0
    for cap, rate in tiers:
        top = value if cap is None else min(value, cap)
        total += max(top - floor, 0) * rate
        floor = math.inf if cap is None else cap
    return total


def at_whole_rate(value: float, tiers: list) -> tuple[float, float]:
    """The rates of the tier that takes all of a value."""
    return next((mm, im) for cap, mm, im in tiers if cap is None or value <= cap)


def on_line(days: float, column: int) -> float:
    """The volatility table between its rows."""
    if days >= VOL_TABLE[-1][0]:
        return VOL_TABLE[-1][column]
    for before, after in pairwise(VOL_TABLE):
        if before[0] <= days <= after[0]:
            part = (days - before[0]) / (after[0] - before[0])
            return before[column] + part * (after[column] - before[column])
    raise AssertionError(days)


class Leg:
    """One position, read from its symbol."""

    def __init__(self, document: dict[str, Any], position: dict[str, Any]) -> None:
        entry = document["market"]["instruments"][position["symbol"]]
        index = document["market"]["index"]
        pair, _, rest = position["symbol"].partition(":")
        self.base, self.quote = pair.split("/")
        self.settle, *more = rest.split("-")
        self.expiry = more[0] if more else ""
        self.is_option = len(more) == 3
        self.q, self.mark = position["quantity"], entry["mark"]
        self.entry, self.m = position["entry_price"], entry.get("contract_multiplier", 1)
        self.in_coin = self.settle == self.base
        self.spot, self.unit = index[self.base], index.get(self.quote, 1.0)
        if self.is_option:
            self.strike, self.is_call = float(more[1]), more[2] == "C"
            self.f, self.vol = entry["underlying"], entry["implied_vol"]
            self.years = years_to(self.expiry)

    def equity(self) -> float:
        """In the settle asset: an option's value, a contract's profit."""
        if self.is_option:
            return self.q * self.m * self.mark
        if self.in_coin:
            return self.q * self.m * (1 / self.entry - 1 / self.mark)
        return self.q * self.m * (self.mark - self.entry)

    def coins(self) -> float:
        if self.is_option:
            deviation = self.vol * math.sqrt(self.years)
            d1 = math.log(self.f / self.strike) / deviation + deviation / 2
            return self.q * self.m * (plain_cdf(d1) - (0 if self.is_call else 1))
        return self.q * self.m / (self.mark if self.in_coin else 1)

    def delta(self) -> float:
        """In USD."""
        return self.coins() * (self.f if self.is_option else self.mark) * self.unit

    def profit(self, move: float, vol: float | None = None, years: float | None = None) -> float:
        """In USD at a moved price, volatility and time."""
        if not self.is_option:
            if self.in_coin:
                return self.q * self.m * self.unit * move
            return self.q * self.m * self.spot * move
        vol = self.vol if vol is None else vol
        years = self.years if years is None else years
        after = self.value(self.f * (1 + move), vol, years)
        before = self.value(self.f, self.vol, self.years)
        if not self.in_coin:
            return self.q * self.m * (after - before) * self.unit
        after, before = after / (self.f * (1 + move)), before / self.f
        return self.q * self.m * (after * self.spot * (1 + move) - before * self.spot)

    def value(self, forward: float, vol: float, years: float) -> float:
        if vol <= 0 or years <= 0:
            return max((forward - self.strike) * (1 if self.is_call else -1), 0.0)
        return plain_black76(forward, self.strike, years, vol, self.is_call)

    def shocked_vol(self, state: int) -> float | None:
        if not self.is_option:
            return None
        days = self.years * 365
        points, percent = on_line(days, 1), on_line(days, 2)
        return (
            self.vol, self.vol + points, max(self.vol - points, 0.0), self.vol * (1 + percent),
            max(self.vol * (1 - percent), 0.0),
        )[state]  # fmt: skip


def unit_margin(legs: list[Leg], own_coins: float, index: dict[str, float]) -> float:
    """Maintenance margin of one risk unit."""
    coins = sum(leg.coins() for leg in legs)
    spot = min(own_coins, -coins) if coins < 0 < own_coins else 0.0
    price = legs[0].spot

    def loss(move: float, state: int = 0) -> float:
        gained = sum(leg.profit(move, leg.shocked_vol(state)) for leg in legs)
        return -gained - spot * price * move

    mr1 = max(0.0, *(loss(move, state) for move in MOVES for state in range(5)))
    mr6 = 0.5 * max(0.0, loss(EXTREME), loss(-EXTREME))
    mr2 = max(0.0, -sum(leg.profit(0, years=leg.years - DAY) for leg in legs if leg.is_option))
    by_expiry: dict[str, float] = {}
    for leg in legs:
        by_expiry[leg.expiry] = by_expiry.get(leg.expiry, 0.0) + leg.delta()
    mr4 = sum(
        abs(net) * (ANNUAL * years_to(expiry) if expiry else PERPETUAL)
        for expiry, net in by_expiry.items()
    )
    mr7 = in_slices(sum(abs(leg.delta()) * MINIMUM for leg in legs), MULTIPLIERS)
    cash = {coin: sum(leg.delta() for leg in legs if leg.quote == coin)
            for coin in ("USDT", "USDC", "USD")}  # fmt: skip
    mr9 = 0.0
    for one, other in (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD")):
        hedged = min(abs(cash[one]), abs(cash[other])) if cash[one] * cash[other] < 0 else 0.0
        cash[one] -= math.copysign(hedged, cash[one])
        cash[other] -= math.copysign(hedged, cash[other])
        level = index.get(one, 1.0) / index.get(other, 1.0)
        mr9 += in_slices(hedged, DEPEG["0.995" if level >= 0.995 else "0"])
    return max(max(mr1, mr2, mr6) + mr4 + mr9, mr7)


def judge(document: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Figures of the account, each with the size of the terms that went into it."""
    account, index = document["accounts"][0], {**document["market"]["index"], "USD": 1.0}
    legs = [Leg(document, position) for position in account["positions"]]
    equity = dict(account["balances"])
    gross = sum(abs(amount) * index[asset] for asset, amount in equity.items())
    for leg in legs:
        equity[leg.settle] = equity.get(leg.settle, 0.0) + leg.equity()
        gross += abs(leg.q * leg.m * (index[leg.quote] if leg.in_coin else leg.spot))
        gross += abs(leg.equity()) * index[leg.settle]
    worth = sum(amount * index[asset] for asset, amount in equity.items())
    counted = sum(
        (in_slices(amount, DISCOUNTS[asset]) if amount > 0 else amount) * index[asset]
        for asset, amount in equity.items()
    )
    units = sum(
        unit_margin([leg for leg in legs if leg.base == base], equity.get(base, 0.0), index)
        for base in {leg.base for leg in legs}
    )
    initial, maintenance = 1.3 * units, units
    for asset, amount in equity.items():
        if amount < 0:
            mm, im = at_whole_rate(-amount, BORROWING[asset])
            owed = -amount * index[asset]
            initial += owed * im
            maintenance += owed * mm + 0.001 * (owed + owed * mm)
    return {
        "equity": (worth, gross),
        "collateral_value": (counted, gross),
        "initial_margin": (initial, initial + 1e-3 * gross),
        "maintenance_margin": (maintenance, maintenance + 1e-3 * gross),
    }


QUOTES = (("USD", "USDT"), ("USD", "USDC"), ("USDT", "USDC"), ("USD", "USDT", "USDC"))
BASES = (("BTC", "ETH"), ("BTC",), ("ETH",))


def draw(seed: int) -> tuple[dict[str, Any], Portfolio, ModelSet]:
    document = draw_document(seed, "okx.portfolio", BASES[seed % 3], QUOTES[seed % 4], PARAMS)
    portfolio = load_document(document)
    book = portfolio.book
    return document, portfolio, load_models(book.instruments, book.models, AS_OF_NS)


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_the_model_is_the_rule_sheet(start: int) -> None:
    for seed in range(start, start + 100):
        document, portfolio, models = draw(seed)
        result = assess(portfolio.book, portfolio.market, models)
        for name, (expected, terms) in judge(document).items():
            found = getattr(result, name)[5]
            assert found == pytest.approx(expected, rel=0, abs=1e-9 * terms), (seed, name)


def modules(found: Explanation) -> Iterator[str]:
    """What an account is charged for."""
    yield from (charge.name for charge in found.charges if charge.maintenance > 0)
    units = found.detail("risk_units")
    columns = ("mr1", "mr2", "mr4", "mr6", "mr7", "mr9", "spot_in_use")
    yield from (name for name in columns if any(units.column(name)))


def test_the_books_reach_every_module() -> None:
    """So that the test above cannot pass by charging nothing."""
    reached = set()
    for seed in range(40):
        _, portfolio, models = draw(seed)
        (found,) = explain(portfolio.book, portfolio.market, models, "a")
        reached |= set(modules(found))
    assert reached >= {
        "scenario_loss", "basis", "stablecoin_depeg", "minimum_charge", "borrowing",
        "liquidation_fees", "mr1", "mr2", "mr4", "mr6", "mr7", "mr9", "spot_in_use",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "params", "told"),
    [
        ("okx.portfolio", {"vol_shocks": [[0, 0.3]]}, "vol_shocks: .* is no list of"),
        ("okx.portfolio", {"vol_shocks": [[9, 0.3, 0.3], [1, 0.3, 0.3]]}, "days do not rise"),
        ("okx.portfolio", {"vol_shocks": [[0, -0.3, 0.3]]}, "vol_shocks: -0.3 is no number"),
        ("okx.portfolio", {"spot_shocks": {"BTC": [0.1, 0.2]}}, "spot_shocks.BTC: .* three moves"),
        ("okx.portfolio", {"initial_factor": 0.9}, "initial_factor: 0.9 is no number"),
        ("okx.portfolio", {"depeg_tiers": {"par": [[None, 0.1]]}}, "depeg_tiers.par: is no index"),
        ("okx.portfolio", {"minimum_multipliers": {"BTC": [[1]]}}, "minimum_multipliers.BTC"),
        ("okx.multi_currency", {"option_rates": {"BTC": [0.1]}}, "option_rates.BTC"),
        ("okx.multi_currency", {"position_tiers": {"BTC": [[9, 0.02, 0.01]]}}, "is below maint"),
        ("okx.multi_currency", {"discounts": {"BTC": [[9, 1.5]]}}, "discounts.BTC"),
        ("okx.multi_currency", {"borrowing": {"BTC": [[9, 0.1]]}}, "borrowing.BTC"),
        ("okx.multi_currency", {"leverage": {"BTC": 0}}, "leverage.BTC"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(
    model: str, params: dict[str, Any], told: str
) -> None:
    document = draw_document(1, model, ("BTC",), ("USD", "USDT"), params)
    book = load_document(document).book
    with pytest.raises(InputError, match=told):
        load_models(book.instruments, book.models, AS_OF_NS)


def lone(symbol: str, quantity: float, model: str, **more: Any) -> Explanation:
    """The last pool of an account with one BTC position at 60,000."""
    listed = {"mark": 60_000.0, "contract_multiplier": 100 if ":BTC" in symbol else 0.01}
    position = {"symbol": symbol, "quantity": quantity, "entry_price": 60_000.0, **more}
    document = {
        "as_of": AS_OF,
        "market": {"index": {"BTC": 60_000.0, "USDT": 1.0}, "instruments": {symbol: listed}},
        "accounts": [{"id": "a", "model": model, "positions": [position]}],
    }
    portfolio = load_document(document)
    models = load_models(portfolio.book.instruments, portfolio.book.models, AS_OF_NS)
    return explain(portfolio.book, portfolio.market, models, "a")[-1]


def test_a_unit_does_not_care_which_currency_a_contract_is_in() -> None:
    """6 contracts of 0.01 BTC and 36 of 100 USD are the same exposure."""
    linear = lone("BTC/USDT:USDT", 6, "okx.portfolio")
    inverse = lone("BTC/USD:BTC", 36, "okx.portfolio")
    assert linear.maintenance_margin == pytest.approx(3600 * (0.12 + 0.002), rel=1e-13)
    assert inverse.maintenance_margin == pytest.approx(linear.maintenance_margin, rel=1e-13)


def test_isolated_positions_are_the_same_in_both_modes() -> None:
    mode = {"margin_mode": "isolated", "isolated_margin": 50.0, "leverage": 20}
    one, two = (lone("BTC/USDT:USDT", -7, model, **mode)
                for model in ("okx.multi_currency", "okx.portfolio"))  # fmt: skip
    assert (one.margin_ratio, one.initial_margin) == (two.margin_ratio, two.initial_margin)
    assert one.margin_ratio == pytest.approx(4200 * 0.0045 / 50, rel=1e-13)
    shown = [found.detail("positions").column("liquidation_price") for found in (one, two)]
    assert shown[0] == shown[1]
    assert shown[0][0] == pytest.approx((4200 + 50) / (0.07 * 1.0045) - 0.1, rel=1e-13)


def test_times_of_the_oracle_are_the_documents() -> None:
    start = datetime.fromisoformat(AS_OF)
    end = datetime(2026, 9, 25, 8, tzinfo=UTC)
    assert years_to("260925") == pytest.approx((end - start).total_seconds() / 86400 / 365)
