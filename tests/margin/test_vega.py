"""vega.cross, vega.isolated and vega.capped: the integers, the rounding, what orders add.

The oracle computes in whole units and fractions from the document, without the engine.
"""

import copy
import math
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import InputError, stream
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.venues import vega_capped, vega_cross, vega_isolated
from plimsoll.margin.venues.vega_markets import (
    Orders,
    Terms,
    decimal_units,
    lognormal_factors,
)

ONE = 10**18
BASES = ("BTC", "ETH", "SOL")


# Documents and the oracle.


def assess_document(document: dict[str, Any]) -> list[Explanation]:
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "book.json"))
    book, board = portfolio.book, portfolio.market
    return list(explain(book, board, load_models(book.instruments, book.models, board.as_of_ns),
                        "a"))  # fmt: skip


def draw_document(random: np.random.Generator, model: str) -> dict[str, Any]:
    """One account in up to three markets, every price and size in whole units."""
    decimals, digits = int(random.integers(0, 7)), int(random.integers(0, 4))
    tick, lot = 10.0 ** -min(decimals, 2), 10.0**-digits

    def price(low: int, high: int) -> float:
        return round(int(random.integers(low, high)) * tick, 2)

    account: dict[str, Any] = {"id": "a", "model": model, "balances": {"USDT": 10**9},
                               "positions": [], "orders": []}  # fmt: skip
    params: dict[str, Any] = {"arithmetic": "exact", "decimals": {"USDT": decimals}, "markets": {}}
    market: dict[str, Any] = {"index": {"USDT": 1}, "instruments": {}}
    auctions, payments, factors = {}, {}, {}
    for base in BASES[: int(random.integers(1, 4))]:
        dated = model == "vega.capped" or random.random() < 0.5
        symbol = f"{base}/USDT:USDT" + ("-270326" if dated else "")
        mark = price(50, 5000)
        market["index"][base] = mark
        market["instruments"][symbol] = {"mark": mark}
        params["markets"][base] = draw_market(random, model, digits, dated, 5000 * tick)
        factors[base] = round(float(random.uniform(1.0, 1.5)), 3)
        if random.random() < 0.4 and model != "vega.capped":
            auctions[base] = price(0, 5000)
        payments[base] = round(float(random.normal(0, mark / 50)), int(random.integers(0, 4)))
        quantity = round(int(random.integers(-400, 400)) * lot, digits)
        if quantity and random.random() < 0.8:
            account["positions"].append(
                {"symbol": symbol, "quantity": quantity, "entry_price": price(50, 5000)}
            )
        for _ in range(int(random.integers(0, 5))):
            account["orders"].append(
                {"symbol": symbol, "side": str(random.choice(["buy", "sell"])),
                 "quantity": round(int(random.integers(1, 400)) * lot, digits),
                 "price": price(50, 5000), "reduce_only": bool(random.random() < 0.1)}
            )  # fmt: skip
    if model != "vega.capped":
        params |= {"indicative_price": auctions, "funding_payment": payments}
        for name, base in (("search_factor", 1.05), ("initial_factor", 1.15)):
            params[name] = {"default": base + float(random.uniform(0, 0.05))}
    if model == "vega.isolated":
        params["margin_factor"] = factors
    account["params"] = params
    return {"as_of": "2026-03-02T12:00:00Z", "market": market, "accounts": [account]}


def draw_market(
    random: np.random.Generator, model: str, digits: int, dated: bool, cap: float
) -> dict[str, Any]:
    if model == "vega.capped":
        return {"max_price": cap, "position_decimals": digits}
    entry = {
        "risk_factor_long": float(random.uniform(0.001, 0.4)),
        "risk_factor_short": round(float(random.uniform(0.001, 0.4)), 3),
        "linear_slippage": round(float(random.uniform(0, 0.3)), 4),
        "position_decimals": digits,
    }
    if random.random() < 0.5:
        entry["quadratic_slippage"] = float(random.uniform(0, 1e-4))
    return entry if dated else {**entry, "funding_factor": round(float(random.uniform(0, 1)), 2)}


def fraction(value: Any) -> Fraction:
    return Fraction(repr(value))


class PlainAccount:
    """The margins of a document's account, in whole units of its settle asset."""

    def __init__(self, document: dict[str, Any]) -> None:
        (account,) = document["accounts"]
        self.params = account["params"]
        self.unit = 10 ** self.params["decimals"]["USDT"]
        self.position = {p["symbol"]: p for p in account["positions"]}
        live = [o for o in account["orders"] if not o["reduce_only"]]
        self.orders: dict[str, list[dict[str, Any]]] = {}
        for order in live:
            self.orders.setdefault(order["symbol"], []).append(order)
        self.mark = {s: row["mark"] for s, row in document["market"]["instruments"].items()}
        self.symbols = [s for s in self.mark if s in self.position or s in self.orders]

    def held(self, symbol: str) -> Fraction:
        return fraction(self.position[symbol]["quantity"]) if symbol in self.position else 0

    def money(self, price: Any) -> int:
        amount = fraction(price) * self.unit
        assert amount.denominator == 1
        return int(amount)

    def side(self, symbol: str, side: str) -> list[tuple[int, Fraction]]:
        """(price in units, size) of one side's orders, first to execute first."""
        rows = [
            (self.money(o["price"]), fraction(o["quantity"]))
            for o in self.orders.get(symbol, []) if o["side"] == side
        ]  # fmt: skip
        return sorted(rows, reverse=side == "buy")

    def auction_price(self, symbol: str) -> int:
        indicative = self.params["indicative_price"].get(symbol.partition("/")[0])
        if indicative is None:
            return 0
        return max(self.money(indicative), self.money(self.mark[symbol]))

    def maintenance(self, symbol: str, with_orders: bool) -> int:
        market = self.params["markets"][symbol.partition("/")[0]]
        mark, held = self.money(self.mark[symbol]), self.held(symbol)
        auction, sides = self.auction_price(symbol), []
        for sign, side, name in ((1, "buy", "long"), (-1, "sell", "short")):
            risk = fraction(market[f"risk_factor_{name}"])
            volume = max(sign * held, Fraction(0))
            need = volume * mark * (risk + fraction(market["linear_slippage"]))
            need += volume**2 * mark * fraction(market.get("quadratic_slippage", 0))
            rows = self.side(symbol, side) if with_orders else []
            size = sum(s for _, s in rows)
            at_limits = sum(p * s for p, s in rows)
            value = max(at_limits, size * auction) if auction else size * mark
            # A side where neither position nor orders would leave the party needs nothing.
            sides.append(need + value * risk if sign * held + size > 0 else need)
        need = max(sides)
        if "funding_factor" in market:
            payment = fraction(self.params["funding_payment"][symbol.partition("/")[0]])
            need += max(payment * self.unit * fraction(market["funding_factor"]) * held, 0)
        return math.ceil(need)

    def level(self, symbol: str, with_orders: bool, name: str) -> int:
        # Cut to five decimals as it is written.
        factor = Fraction(int(fraction(self.params[name]["default"]) * 10**5), 10**5)
        return math.floor(self.maintenance(symbol, with_orders) * factor)

    def margin_factor(self, symbol: str) -> Fraction:
        return fraction(self.params["margin_factor"][symbol.partition("/")[0]])

    def position_margin(self, symbol: str) -> int:
        if symbol not in self.position:
            return 0
        value = abs(self.held(symbol)) * self.money(self.position[symbol]["entry_price"])
        return math.floor(value * self.margin_factor(symbol))

    def order_margin(self, symbol: str) -> int:
        worst = Fraction(0)
        for side, sign in (("buy", -1), ("sell", 1)):
            free, value = max(sign * self.held(symbol), Fraction(0)), Fraction(0)
            for price, size in self.side(symbol, side):
                closed = min(free, size)
                free -= closed
                value += (size - closed) * max(price, self.auction_price(symbol))
            worst = max(worst, value)
        return math.floor(worst * self.margin_factor(symbol))

    def capped(self, symbol: str) -> int:
        cap = self.money(self.params["markets"][symbol.partition("/")[0]]["max_price"])
        mark, held = self.money(self.mark[symbol]), self.held(symbol)
        worst = Fraction(0)
        for side in ("buy", "sell"):
            rows = self.side(symbol, side)
            size = sum(s for _, s in rows)
            if size:
                average = math.floor(sum(p * s for p, s in rows) / size)
                worst = max(worst, size * (average if side == "buy" else cap - average))
        return math.ceil((held * mark if held > 0 else -held * (cap - mark)) + worst)


def in_units(plain: PlainAccount, usd: float) -> int:
    units = usd * plain.unit
    assert abs(units - round(units)) < 1e-5 * max(1.0, abs(units) * 1e-9)
    return round(units)


def account_row(explanation: Explanation) -> dict[str, float]:
    (table,) = (d for d in explanation.details if d.name == "account")
    return dict(zip(table.columns, table.rows[0][1], strict=True))


SEEDS = range(300)


def test_cross_margin_is_the_oracles_to_the_unit() -> None:
    roundings = 0
    for seed in SEEDS:
        document = draw_document(stream(seed, "vega cross"), "vega.cross")
        plain = PlainAccount(document)
        (found,) = assess_document(document)
        maintenance = sum(plain.maintenance(s, True) for s in plain.symbols)
        initial = sum(plain.level(s, True, "initial_factor") for s in plain.symbols)
        search = sum(plain.level(s, True, "search_factor") for s in plain.symbols)
        assert in_units(plain, found.maintenance_margin) == maintenance
        assert in_units(plain, found.initial_margin) == initial
        assert in_units(plain, account_row(found)["search_level"]) == search
        # In floats nothing is rounded: up to a unit less a market, and a unit and a half above.
        document["accounts"][0]["params"]["arithmetic"] = "float"
        (loose,) = assess_document(document)
        slack = 1e-9 * maintenance + 1e-6
        below = maintenance - loose.maintenance_margin * plain.unit
        assert -slack <= below < len(plain.symbols) + slack
        gap = initial - loose.initial_margin * plain.unit
        assert -len(plain.symbols) - slack <= gap <= 1.2 * len(plain.symbols) + slack
        roundings += below > 0.01
    assert roundings > 100


def test_isolated_margin_is_the_oracles_to_the_unit() -> None:
    shortfalls = 0
    for seed in SEEDS:
        document = draw_document(stream(seed, "vega isolated"), "vega.isolated")
        plain = PlainAccount(document)
        if seed % 2:
            document["accounts"][0]["balances"]["USDT"] = 10
        (found,) = assess_document(document)
        row = account_row(found)
        assert in_units(plain, found.maintenance_margin) == sum(
            plain.maintenance(s, False) for s in plain.symbols
        )
        ordered = sum(plain.order_margin(s) for s in plain.symbols)
        assert in_units(plain, row["order_margin"]) == ordered
        assert in_units(plain, row["position_margin"]) == sum(
            plain.position_margin(s) for s in plain.symbols
        )
        level = sum(plain.level(s, False, "initial_factor") for s in plain.symbols)
        assert in_units(plain, row["initial_level"]) == level
        locked = min(max(found.equity, 0.0), ordered / plain.unit)
        assert found.collateral_value == pytest.approx(found.equity - locked, rel=1e-12)
        missing = ordered / plain.unit - locked
        wanted = max(row["position_margin"], row["initial_level"]) + missing
        assert found.initial_margin == pytest.approx(wanted, rel=1e-12)
        shortfalls += missing > 0
    assert shortfalls > 50


def test_capped_margin_is_the_oracles_to_the_unit() -> None:
    for seed in SEEDS:
        document = draw_document(stream(seed, "vega capped"), "vega.capped")
        plain = PlainAccount(document)
        (found,) = assess_document(document)
        margin = sum(plain.capped(s) for s in plain.symbols)
        assert in_units(plain, found.initial_margin) == margin
        assert {in_units(plain, level) for level in account_row(found).values()} == {margin}
        assert found.maintenance_margin == pytest.approx(found.initial_margin, rel=2e-9)


# The rules on their own.

AMOUNTS = st.integers(0, 10**9)
SIGNED = st.integers(-(10**9), 10**9)
FRACTIONS = st.integers(0, ONE)


def terms_of(long: int, short: int, linear: int, quadratic: int, digits: int) -> Terms:
    return Terms(long, short, linear, quadratic, ONE, 10**digits)


def in_floats(terms: Terms) -> Terms:
    return Terms(
        terms.long / ONE, terms.short / ONE, terms.linear / ONE, terms.quadratic / ONE, 1.0,
        float(terms.position_factor),
    )  # fmt: skip


@given(SIGNED, AMOUNTS, AMOUNTS, AMOUNTS, SIGNED, FRACTIONS, FRACTIONS, st.integers(0, 6))
def test_exact_is_float_within_its_roundings(
    volume, buys, sells, price, funding, risk, slippage, digits
) -> None:
    terms = terms_of(risk, ONE - risk, slippage, slippage // 10**9, digits)
    exact, plain = (
        vega_cross.maintenance_lines(
            arithmetic,
            vega_cross.Held(volume, buys, sells, buys * price, sells * price, due),
            price, each,
        )
        for arithmetic, each, due in (
            (EXACT, terms, funding * ONE), (FLOAT, in_floats(terms), float(funding)),
        )
    )  # fmt: skip
    slack = 1e-12 * (plain.total + 1)
    for name in ("positions", "slippage", "funding", "orders"):
        line, loose = getattr(exact, name), getattr(plain, name)
        assert line >= 0
        assert isinstance(line, int)
        assert abs(line - loose) <= 1 + slack
    assert -slack <= exact.total - plain.total < 1 + slack


@pytest.mark.parametrize(("volume", "margin"), [(10, 3), (9, 3), (11, 4), (-10, 1), (-1, 1)])
def test_a_whole_margin_is_not_raised(volume: int, margin: int) -> None:
    # 10 × 1 × (0.2 + 0.1) is 3 exactly, in a decimal that no float holds.
    terms = terms_of(2 * ONE // 10, 0, ONE // 10, 0, 0)
    held = vega_cross.Held(volume, 0, 0, 0, 0, 0)
    assert vega_cross.maintenance_lines(EXACT, held, 1, terms).total == margin


@given(AMOUNTS)
def test_levels_keep_their_order(maintenance: int) -> None:
    factors = (110_000, 120_000, 140_000)
    levels = [vega_cross.margin_level(EXACT, maintenance, factor) for factor in factors]
    assert maintenance <= levels[0] <= levels[1] <= levels[2] <= 1.4 * maintenance + 1e-6


def test_decimals_are_read_as_they_are_written() -> None:
    assert decimal_units(1.1, 5) == 110_000
    assert decimal_units(0.3696680542085883, 18) == 369668054208588300
    assert decimal_units(-1e-6, 18) == -(10**12)
    assert decimal_units(1.2000099, 5) == 120_000


@pytest.mark.parametrize(
    ("model", "factors"),
    [
        ((1e-6, 0.1, 0, 1.0), (0.8007282079881541, 3.556903591579342)),
        ((0.0002, 0.01, 0, 1.2), (0.3696680542085883, 0.5650462045113667)),
    ],
)
def test_lognormal_factors_are_the_asserted_ones(model, factors) -> None:
    assert lognormal_factors(*model) == pytest.approx(factors, rel=1e-11)


def test_the_figure_of_old_comments_is_not_what_is_asserted() -> None:
    long, _ = lognormal_factors(1e-6, 0.1, 0, 1.0)
    assert math.ceil(20 * 1000 * long) == 16015
    assert math.ceil(20 * 1000 * 0.801225765) == 16025


@given(st.floats(1e-6, 0.1), st.floats(1e-4, 0.5), st.floats(0.1, 2), st.floats(1.01, 2))
def test_lognormal_factors_rise_with_risk(aversion, tau, sigma, times) -> None:
    """0010-MARG: more volatility, more time or less tolerance never ask for less."""
    long, short = lognormal_factors(aversion, tau, 0, sigma)
    assert 0 < long < 1
    assert short > 0
    for riskier in ((aversion, tau, sigma * times), (aversion, tau * times, sigma),
                    (aversion / times, tau, sigma)):  # fmt: skip
        more = lognormal_factors(riskier[0], riskier[1], 0, riskier[2])
        assert more[0] >= long
        assert more[1] >= short


# Order margin and transfers of isolated mode.

UNIT = Terms(0, 0, 0, 0, ONE, 10)
ROWS = st.lists(st.tuples(st.booleans(), st.integers(1, 100), st.integers(1, 100)), max_size=8)
SMALL = st.integers(-300, 300)


def order_value(rows: list[tuple[bool, int, int]], position: int, auction: int = 0) -> int:
    orders = Orders(
        np.zeros(len(rows), dtype=np.int64), np.array([r[0] for r in rows], dtype=np.bool_),
        EXACT.numbers([r[1] for r in rows]), EXACT.numbers([r[2] for r in rows]),
    )  # fmt: skip
    (value,) = vega_isolated.opening_value(
        EXACT, orders, EXACT.numbers([position]), EXACT.numbers([auction])
    )
    return value


@given(ROWS, SMALL, st.integers(0, 120), st.tuples(st.booleans(), st.integers(1, 100),
                                                   st.integers(1, 100)))  # fmt: skip
def test_one_more_order_never_lowers_the_order_margin(rows, position, auction, more) -> None:
    assert order_value([*rows, more], position, auction) >= order_value(rows, position, auction)


@given(ROWS, SMALL, st.integers(1, 120))
def test_order_margin_is_monotone(rows, position, auction) -> None:
    value = order_value(rows, position)
    assert order_value(rows, position, auction) >= value
    assert order_value(rows, position, auction + 1) >= order_value(rows, position, auction)
    dearer = [(is_buy, size, price + 1) for is_buy, size, price in rows]
    larger = [(is_buy, size + 1, price) for is_buy, size, price in rows]
    assert order_value(dearer, position) >= value
    assert order_value(larger, position) >= value


@given(ROWS, st.integers(1, 300))
def test_a_larger_position_frees_more_of_the_other_side_and_none_of_its_own(rows, size) -> None:
    for sign in (1, -1):
        closing = [row for row in rows if row[0] is (sign < 0)]
        assert order_value(closing, sign * (size + 1)) <= order_value(closing, sign * size)
        own = [row for row in rows if row[0] is (sign > 0)]
        assert order_value(own, sign * size) == order_value(own, 0)


def test_the_engine_cuts_and_the_estimator_rounds() -> None:
    # core/risk/isolated_margin_test.go: 0.5 × (6 × 42 + 20 × 42 + 30 × 50) / 10 = 129.6.
    rows = [(False, 10, 20), (False, 20, 40), (False, 30, 50)]
    value, half = order_value(rows, 4, 42), ONE // 2
    assert vega_isolated.margin_of(EXACT, value, half, UNIT) == 129
    assert vega_isolated.estimated_margin_of(EXACT, value, half, UNIT) == 130
    # A half: 0.5 × 11 × 10 / 10 = 5.5.
    tie = order_value([(True, 11, 10)], 0)
    assert vega_isolated.margin_of(EXACT, tie, half, UNIT) == 5
    assert vega_isolated.estimated_margin_of(EXACT, tie, half, UNIT) == 6
    for rule in (vega_isolated.margin_of, vega_isolated.estimated_margin_of):
        assert rule(FLOAT, float(tie), 0.5, Terms(0, 0, 0, 0, 1.0, 10.0)) == 5.5


@pytest.mark.parametrize(
    ("old", "trades", "is_buy", "balance", "mark", "moved"),
    [
        # core/risk/isolated_margin_test.go: increase, decrease, switch of sides.
        (0, [(5, 12), (10, 10)], True, 1000, 0, 8),
        (0, [(10, 10), (5, 12)], False, 1000, 0, 8),
        (20, [(5, 12), (10, 10)], False, 40, 12, -27),
        (-20, [(5, 10), (10, 12)], True, 40, 12, -28),
        (20, [(15, 11), (10, 12)], False, 1000, 0, -997),
        (20, [(15, 11), (10, 12)], False, 1, 0, 2),
        (-20, [(10, 12), (15, 11)], True, 1000, 0, -998),
        (20, [(10, 12), (15, 11)], False, 1, 0, 1),
        # Ended: all of it, whatever the price.
        (20, [(20, 1)], False, 40, 12, -40),
        # Further from zero: only what is new, 0.5 × 10 × 7 / 10 cut to 3.
        (-20, [(10, 7)], False, 40, 12, 3),
        # A loss beyond the balance releases nothing: 40 - 2 × 30 is below 0.
        (20, [(10, 12)], False, 40, 42, 0),
    ],
)
def test_trades_move_what_the_protocols_tests_assert(old, trades, is_buy, balance, mark, moved):
    half = ONE // 2
    assert moved == vega_isolated.margin_transfer(
        EXACT, old, trades, is_buy, balance, mark, half, UNIT
    )


@given(st.integers(1, 500), st.integers(1, 500), AMOUNTS)
def test_less_closed_releases_less(size, closed, balance) -> None:
    part = min(closed, size)
    released = vega_isolated.released_margin(EXACT, balance, size, part, 0, UNIT)
    assert 0 <= released <= balance
    assert released == balance * part // size


@given(SIGNED, st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_capped_party_is_never_worse_covered(volume, entry, mark) -> None:
    """What it gains or loses from entry to mark is what its margin rises or falls by."""
    cap = 10**6
    before, after = (vega_capped.capped_position(volume, p, cap) for p in (entry, mark))
    assert after - before == volume * (mark - entry)
    assert min(before, after) >= 0


# Parameters.


def isolated_document(**params: Any) -> dict[str, Any]:
    document = draw_document(stream(1, "vega refused"), "vega.isolated")
    symbol = next(iter(document["market"]["instruments"]))
    document["accounts"][0]["positions"] = [
        {"symbol": symbol, "quantity": 1, "entry_price": 100}
    ]  # fmt: skip
    document["accounts"][0]["orders"] = []
    document["accounts"][0]["params"] |= params
    return document


MARKET = {"risk_factor_long": 0.1, "risk_factor_short": 0.2, "linear_slippage": 0.05,
          "position_decimals": 0, "funding_factor": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"margin_factor": {"BTC": 0.25}}, "0.25 is not above 0.25"),
        ({"arithmetic": "integer"}, "'integer' is no arithmetic"),
        ({"markets": {"BTC": {**MARKET, "linear_slipage": 1}}}, "unknown figure 'linear_slipage'"),
        ({"markets": {"BTC": {"risk_factor_long": 0.1}}}, "position_decimals is missing"),
        ({"markets": {"BTC": 0.1}}, "0.1 is no market"),
        ({"markets": {"BTC": {**MARKET, "lognormal": {}}}}, "stands beside risk factors"),
        ({"initial_factor": {"default": 0.9}}, "0.9 is no number from 1"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], told: str) -> None:
    markets = {"markets": {"BTC": MARKET}, "margin_factor": {"BTC": 0.3}}
    with pytest.raises(InputError, match=told):
        assess_document(isolated_document(**{**markets, **params}))


def test_a_factor_just_above_the_bound_is_taken() -> None:
    params = {"markets": {"BTC": MARKET}, "margin_factor": {"BTC": 0.2500001}}
    assert np.isfinite(assess_document(isolated_document(**params))[0].initial_margin)


def test_an_asset_without_decimals_is_unknown_in_integers_alone() -> None:
    document = draw_document(stream(1, "vega decimals"), "vega.cross")
    text = msgspec.json.encode(document).decode().replace("USDT", "DAI")
    document = msgspec.json.decode(text)
    document["accounts"][0]["params"].pop("decimals")
    loose = copy.deepcopy(document)
    loose["accounts"][0]["params"]["arithmetic"] = "float"
    assert assess_document(document)[0].status.name == "UNKNOWN"
    assert assess_document(loose)[0].status.name != "UNKNOWN"
