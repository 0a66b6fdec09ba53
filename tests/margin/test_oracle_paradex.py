"""Paradex's cross and portfolio margin against slow, obvious oracles on 300 random books each.

The oracles read the document's dictionary and share no code with the engine. Requirements are
sums of terms that may cancel, so figures agree to 1e-9 of the sum of all absolute terms.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from plimsoll.core import Status, stream
from plimsoll.margin import Assessment, assess, load_models
from tests.margin.option_books import (
    EXPIRIES,
    draw_document,
    load_document,
    plain_black76,
    plain_cdf,
    years_to,
)

SEEDS = 300
TOLERANCE = 1e-9
FRACTION = {"BTC": 0.02, "ETH": 0.02}
FUTURES_FEE, OPTIONS_FEE, FEE_CAP = 0.00045, 0.0001, 0.125
# premium multiplier, long ITM, short ITM, short OTM, short put cap
OPTIONS = ((1.0, 0.2, 0.15, 0.1, 0.5), (0.5, 0.1, 0.075, 0.05, 0.25))
UNPAIRED = (1.2, 1.0)
UP, DOWN, VOL_FLOOR = 0.4, -0.22, 0.4
LADDER = (0.16, 0.12, 0.08, 0.04, 0.0, -0.04, -0.08, -0.12, -0.16)
TAILS = ((-0.66, 0.18), (-0.33, 0.36), (0.5, 0.24), (1.0, 0.12), (2.0, 0.06), (3.0, 0.04),
         (4.0, 0.03), (5.0, 0.024))  # fmt: skip
# Unhedged and hedged factors: the venue's, and some that bind where the scan does not.
FACTORS = ((0.02, 0.01), (0.4, 0.2))
FUNDING = {"BTC": 0.0004, "ETH": -0.0002}


def scenarios() -> list[tuple[float, float, float]]:
    """Spot move, vol shock, weight: volatility goes both ways inside the ladder, up at its ends."""
    inner = [(move, vol, 1.0) for move in LADDER[1:-1] for vol in (UP, DOWN)]
    ends = [(LADDER[0], UP, 1.0), (LADDER[-1], UP, 1.0)]
    return inner + ends + [(move, UP, weight) for move, weight in TAILS]


@cache
def parts(symbol: str) -> tuple[str, str | None, float, str | None]:
    """Base, expiry, strike, right."""
    fields = symbol.partition(":")[2].split("-")
    base = symbol.partition("/")[0]
    if len(fields) == 4:
        return base, fields[1], float(fields[2]), fields[3]
    return base, fields[1] if len(fields) == 2 else None, 0.0, None


def draw_book(seed: int, model: str, params: dict[str, Any], dated: bool) -> dict[str, Any]:
    """A document with orders beside its positions; without dated futures unless ``dated``."""
    document = draw_document(seed, model, quotes=("USDC",), params=params)
    account, market = document["accounts"][0], document["market"]["instruments"]
    if not dated:
        account["positions"] = [
            p for p in account["positions"] if parts(p["symbol"])[1:3] == (None, 0.0)
            or parts(p["symbol"])[3] is not None
        ]  # fmt: skip
    random = stream(seed, "orders")
    for position in list(account["positions"]):
        if parts(position["symbol"])[3] is not None and random.random() < 0.5:
            add_second_leg(account["positions"], position, market, random)
    held = [p["symbol"] for p in account["positions"]]
    symbols = sorted(s for s in market if dated or parts(s)[3] or parts(s)[1] is None)
    account["orders"] = []
    for _ in range(int(random.integers(0, 4))):
        symbol = str(random.choice(held if held and random.random() < 0.6 else symbols))
        price = market[symbol]["mark"] * math.exp(random.normal(0, 0.05))
        usd = document["market"]["index"][parts(symbol)[0]]
        account["orders"].append(
            {"symbol": symbol, "side": str(random.choice(["buy", "sell"])),
             "quantity": round(float(np.exp(random.uniform(7, 16))) / usd, 4) + 0.0001,
             "price": float(f"{price:.6g}"), "reduce_only": bool(random.random() < 0.2)}
        )  # fmt: skip
    return document


def add_second_leg(
    positions: list[dict[str, Any]],
    leg: dict[str, Any],
    market: dict[str, Any],
    random: np.random.Generator,
) -> None:
    """Another option of the same expiry, mostly the other way round and as large."""
    others = [
        s for s in sorted(market)
        if parts(s)[3] and parts(s)[:2] == parts(leg["symbol"])[:2]
        and all(s != p["symbol"] for p in positions)
    ]  # fmt: skip
    if others:
        symbol = str(random.choice(others))
        ratio = -1.0 if random.random() < 0.7 else float(random.uniform(-2, 2))
        price = float(f"{market[symbol]['mark']:.8g}")
        positions.append({"symbol": symbol, "quantity": round(ratio * leg["quantity"], 4) or 0.0001,
                          "entry_price": price})  # fmt: skip


class Book:
    """The one account of a document, symbol by symbol."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.index = document["market"]["index"]
        self.usdc = self.index["USDC"]
        self.market = document["market"]["instruments"]
        account = document["accounts"][0]
        self.balances = account["balances"]
        self.held = {p["symbol"]: p for p in account["positions"]}
        self.orders = [o for o in account.get("orders", []) if not o["reduce_only"]]
        self.symbols = sorted({*self.held, *(o["symbol"] for o in self.orders)})

    def quantity(self, symbol: str) -> float:
        return self.held[symbol]["quantity"] if symbol in self.held else 0.0

    def ordered(self, symbol: str, side: str) -> float:
        return sum(o["quantity"] for o in self.orders if (o["symbol"], o["side"]) == (symbol, side))

    def mark(self, symbol: str) -> float:
        return self.market[symbol]["mark"] * self.usdc

    def spot(self, symbol: str) -> float:
        return self.index[parts(symbol)[0]]

    def fee(self, symbol: str) -> float:
        if parts(symbol)[3] is None:
            return FUTURES_FEE * self.mark(symbol)
        return min(OPTIONS_FEE * self.spot(symbol), FEE_CAP * self.mark(symbol))

    def equity(self) -> float:
        total = sum(amount * self.index[asset] for asset, amount in self.balances.items())
        for symbol, position in self.held.items():
            paid = position["entry_price"] * self.usdc if parts(symbol)[3] is None else 0.0
            total += position["quantity"] * (self.mark(symbol) - paid)
        return total

    def gross(self, with_orders: bool) -> float:
        """The sum of the absolute values that positions, and orders, are made of, in USD."""
        owned = sum(abs(a) * self.index[asset] for asset, a in self.balances.items())
        for s in self.symbols:
            size = abs(self.quantity(s))
            if with_orders:
                size += self.ordered(s, "buy") + self.ordered(s, "sell")
            owned += size * (2 * self.mark(s) + self.spot(s) + parts(s)[2])
        return owned


# -- cross margin ----------------------------------------------------------------------------


def option_margin(book: Book, symbol: str, contracts: float, side: int) -> float:
    """Margin of signed contracts of one option, standing alone."""
    premium, long_itm, short_itm, short_otm, put_cap = OPTIONS[side]
    base, _, strike, right = parts(symbol)
    spot = book.index[base]
    if contracts >= 0:
        return contracts * min(premium * book.mark(symbol), long_itm * spot)
    away = strike * book.usdc - spot if right == "C" else spot - strike * book.usdc
    each = max(short_itm * spot - max(away, 0.0), short_otm * spot)
    return -contracts * (each if right == "C" else min(each, put_cap * spot))


def spread_margin(book: Book, legs: dict[str, float], side: int, spreads: bool) -> dict[Any, float]:
    """Margin of each expiry of options, given what is held of each."""
    groups: dict[Any, list[str]] = {}
    for symbol in legs:
        groups.setdefault(parts(symbol)[:2], []).append(symbol)
    found = {}
    for key, symbols in groups.items():
        alone = sum(option_margin(book, s, legs[s], side) for s in symbols)
        found[key] = alone
        if spreads and any(legs[s] < 0 for s in symbols):
            worth_now = sum(legs[s] * book.mark(s) for s in symbols)
            losses = [0.0]
            for price in [0.0, *(parts(s)[2] for s in symbols)]:
                worth = 0.0
                for s in symbols:
                    _, _, strike, right = parts(s)
                    gain = price - strike if right == "C" else strike - price
                    worth += legs[s] * max(gain, 0.0) * book.usdc
                losses.append(worth_now - worth)
            calls = sum(legs[s] for s in symbols if parts(s)[3] == "C")
            reserve = UNPAIRED[side] * max(-calls, 0.0) * book.index[key[0]]
            found[key] = min(alone, max(losses) + reserve)
    return found


def cross_oracle(document: dict[str, Any], spreads: bool) -> tuple[float, float]:
    """Initial and maintenance margin."""
    book = Book(document)
    initial = maintenance = 0.0
    held, filled = {}, {}
    for symbol in book.symbols:
        quantity, mark = book.quantity(symbol), book.mark(symbol)
        buy = max(0.0, book.ordered(symbol, "buy") + quantity)
        sell = max(0.0, book.ordered(symbol, "sell") - quantity)
        initial += max(buy, sell) * book.fee(symbol)
        maintenance += abs(quantity) * book.fee(symbol)
        if parts(symbol)[3] is None:
            fraction = FRACTION[parts(symbol)[0]]
            initial += max(buy, sell) * fraction * mark
            maintenance += 0.5 * abs(quantity) * fraction * mark
        else:
            held[symbol] = quantity
            costs = option_margin(book, symbol, buy, 0), option_margin(book, symbol, -sell, 0)
            filled[symbol] = -sell if costs[1] > costs[0] else buy
    for order in book.orders:
        worse = order["price"] * book.usdc - book.mark(order["symbol"])
        sign = 1 if order["side"] == "buy" else -1
        initial += order["quantity"] * max(sign * worse, 0.0)
    with_orders = spread_margin(book, filled, 0, spreads)
    without = spread_margin(book, held, 0, spreads)
    initial += sum(max(with_orders[key], without[key]) for key in with_orders)
    maintenance += sum(spread_margin(book, held, 1, spreads).values())
    return initial, maintenance


# -- portfolio margin ------------------------------------------------------------------------


def repriced(book: Book, symbol: str, move: float, shock: float) -> float:
    """USD value of one contract in a scenario."""
    _, expiry, strike, right = parts(symbol)
    entry = book.market[symbol]
    if right is None:
        return book.mark(symbol) * (1 + move)
    days = EXPIRIES[str(expiry)]
    power = 0.30 if days < 30 else 0.13
    vol = entry["implied_vol"] * (1 + shock * (30 / max(1.0, days)) ** power)
    if shock > 0:
        vol = max(vol, VOL_FLOOR)
    forward = entry["underlying"] * (1 + move)
    return plain_black76(forward, strike, years_to(str(expiry)), vol, right == "C") * book.usdc


def delta_usd(book: Book, symbol: str) -> float:
    """USD delta of one contract."""
    base, expiry, strike, right = parts(symbol)
    entry = book.market[symbol]
    if right is None:
        return book.mark(symbol)
    deviation = entry["implied_vol"] * math.sqrt(years_to(str(expiry)))
    d1 = math.log(entry["underlying"] / strike) / deviation + deviation / 2
    return (plain_cdf(d1) if right == "C" else plain_cdf(d1) - 1) * book.index[base]


def net_margin(
    book: Book, symbols: list[str], orders: list[dict[str, Any]], factors: tuple[float, float]
) -> float:
    """The larger of the scan and the minimum delta, of one underlying."""
    worst = 0.0
    for move, shock, weight in scenarios():
        values = {s: repriced(book, s, move, shock) for s in symbols}
        gain = sum(book.quantity(s) * (values[s] - book.mark(s)) for s in symbols)
        for order in orders:
            value = values[order["symbol"]]
            sign = 1 if order["side"] == "buy" else -1
            gain -= order["quantity"] * max(sign * (order["price"] * book.usdc - value), 0.0)
        worst = max(worst, -gain * weight)
    deltas = [book.quantity(s) * delta_usd(book, s) for s in symbols]
    ordered = [
        o["quantity"] * delta_usd(book, o["symbol"]) * (1 if o["side"] == "buy" else -1)
        for o in orders
    ]
    long, short = (sum(max(sign * d, 0.0) for d in deltas) for sign in (1, -1))
    up, down = (sum(max(sign * d, 0.0) for d in ordered) for sign in (1, -1))
    unhedged = max(0.0, long + up - short, short + down - long)
    hedged = max(long + up, short + down) - unhedged
    return max(worst, factors[0] * unhedged + factors[1] * hedged)


def portfolio_oracle(document: dict[str, Any], factors: tuple[float, float]) -> tuple[float, float]:
    """Initial and maintenance margin."""
    book = Book(document)
    initial = maintenance = 0.0
    for base in ("BTC", "ETH"):
        symbols = [s for s in book.symbols if parts(s)[0] == base]
        orders = [o for o in book.orders if o["symbol"] in symbols]
        funding = sum(
            book.quantity(s) * FUNDING[base] * book.index[base]
            for s in symbols
            if parts(s)[1:] == (None, 0.0, None)
        )
        fees = sum(abs(book.quantity(s)) * book.fee(s) for s in symbols)
        order_fees = sum(o["quantity"] * book.fee(o["symbol"]) for o in orders)
        provision = max(funding, 0.0) + fees
        initial += net_margin(book, symbols, orders, factors) + provision + order_fees
        maintenance += 0.5 * net_margin(book, symbols, [], factors) + provision
    return initial, maintenance


# -- the two against the engine --------------------------------------------------------------


POOL = 5
"""The system's pools come first."""


def assessed(document: dict[str, Any]) -> Assessment:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    return assess(book, market, load_models(book.instruments, book.models, market.as_of_ns))


def check(seed: int, document: dict[str, Any], expected: tuple[float, float]) -> None:
    found, book = assessed(document), Book(document)
    assert found.status[POOL] != Status.UNKNOWN, seed
    owned, ordered = (TOLERANCE * book.gross(with_orders) for with_orders in (False, True))
    assert abs(found.equity[POOL] - book.equity()) <= owned, seed
    assert abs(found.initial_margin[POOL] - expected[0]) <= ordered, seed
    assert abs(found.maintenance_margin[POOL] - expected[1]) <= owned, seed


@pytest.mark.parametrize("spreads", [False, True])
def test_cross_margin_agrees(spreads: bool) -> None:
    params = {"unpaired_scale": list(UNPAIRED)} if spreads else {}
    for seed in range(SEEDS):
        document = draw_book(seed, "paradex.cross", params, dated=True)
        check(seed, document, cross_oracle(document, spreads))


def test_spreads_matter_in_many_books() -> None:
    """So that the test above is not one of rule 4 alone."""
    documents = [draw_book(seed, "paradex.cross", {}, dated=True) for seed in range(SEEDS)]
    lower = [cross_oracle(d, True)[1] < cross_oracle(d, False)[1] * (1 - 1e-9) for d in documents]
    assert sum(lower) > 60


def test_portfolio_margin_agrees() -> None:
    for seed in range(SEEDS):
        factors = FACTORS[seed % 2]
        params = {
            "funding_rate_8h": {**FUNDING, "default": 0.0},
            "minimum_delta": {base: list(factors) for base in FRACTION},
        }
        document = draw_book(seed, "paradex.portfolio", params, dated=False)
        check(seed, document, portfolio_oracle(document, factors))
