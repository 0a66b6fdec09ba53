"""Oracles of the reference models: slow, obvious, and no line shared with the rule files.

SPAN and TIMS are worked out position by position and scenario by scenario; Reg T by trying
every way to pair the contracts of small books.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from plimsoll.core import InputError, Status, stream
from plimsoll.margin import Assessment, Explanation, assess, explain, load_models
from plimsoll.margin.charges import Legs, StockRules, strategy_margin
from tests.margin.option_books import (
    draw_document,
    load_document,
    plain_black76,
    plain_cdf,
    years_to,
)

Document = dict[str, Any]


QUOTES = (("USDC",), ("USD", "USDC"))
"""Linear contracts alone, or coin-settled ones among them."""


def judge(document: Document) -> Explanation:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, document["accounts"][0]["id"])[0]


def close(got: float, expected: float, scale: float) -> bool:
    """Equal to 1e-9 of the terms that the figure is made of."""
    return abs(got - expected) <= 1e-9 * max(abs(expected), scale)


# -- what a document says ------------------------------------------------------------------------


class Contract:
    """One instrument of a random document, taken apart by hand."""

    def __init__(self, symbol: str, market: Document) -> None:
        pair, _, rest = symbol.partition(":")
        self.base, _, self.quote = pair.partition("/")
        self.settle, *dated = rest.split("-")
        self.expiry = dated[0] if dated else ""
        self.strike = float(dated[1]) if len(dated) > 1 else 0.0
        self.right = dated[2] if len(dated) > 1 else ""
        entry, index = market["instruments"][symbol], market["index"]
        self.mark, self.vol = entry["mark"], entry.get("implied_vol", math.nan)
        self.forward = entry.get("underlying", math.nan)
        self.size = entry.get("contract_multiplier", 1)
        self.in_coin = self.settle == self.base
        self.spot, self.rate = index[self.base], index.get(self.settle, 1.0)

    def option(self, move: float, vol: float, years: float) -> float:
        """Black-76 in the settle asset at a moved forward; the payoff where nothing is left."""
        f = self.forward * (1 + move)
        if years <= 0 or vol <= 0:
            value = max(f - self.strike if self.right == "C" else self.strike - f, 0.0)
        else:
            value = plain_black76(f, self.strike, years, vol, self.right == "C")
        return value / f if self.in_coin else value

    def worth(self, quantity: float, entry: float) -> float:
        """USD that a position adds to equity."""
        if self.right:
            return quantity * self.size * self.mark * self.rate
        if self.in_coin:
            return quantity * self.size * (1 / entry - 1 / self.mark) * self.rate
        return quantity * self.size * (self.mark - entry) * self.rate

    def outright(self, move: float) -> float:
        """USD profit of one long future when its price moves."""
        if self.in_coin:
            return self.size * move / self.mark * self.spot
        return self.size * self.mark * move * self.rate


def holdings(document: Document) -> list[tuple[Contract, float, float]]:
    """(contract, quantity, entry) of the one account."""
    market = document["market"]
    return [
        (Contract(row["symbol"], market), row["quantity"], row["entry_price"])
        for row in document["accounts"][0]["positions"]
    ]


# -- CME SPAN ------------------------------------------------------------------------------------

SCENARIOS = (
    [(third, sign, 1.0) for third in (0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1, -1) for sign in (1, -1)]
    + [(3.0, 0, 0.33), (-3.0, 0, 0.33)]
)  # fmt: skip
WEIGHTS = ((0, 0.27), (1 / 3, 0.217), (-1 / 3, 0.217), (2 / 3, 0.111), (-2 / 3, 0.111),
           (1, 0.037), (-1, 0.037))  # fmt: skip
DAY = 1 / 365


def span_array(c: Contract, psr: float, vsr: float) -> list[float]:
    """USD that one long contract gains in each scenario, as far as it is covered."""
    array = []
    years = years_to(c.expiry) if c.right else 0.0
    now = c.option(0.0, c.vol, years) if c.right else 0.0
    for third, sign, cover in SCENARIOS:
        move = max(third * psr, -0.999999)
        if not c.right:
            array.append(c.outright(move) * cover)
            continue
        shocked = c.option(move, max(c.vol + sign * vsr, 0.0), years - DAY)
        gain = (shocked - now) * c.size
        if c.in_coin:
            gain = gain * c.spot * (1 + move) + c.mark * c.size * c.spot * move
        else:
            gain *= c.rate
        array.append(gain * cover)
    return array


def span_delta(c: Contract, psr: float) -> float:
    if not c.right:
        return c.size / c.mark if c.in_coin else c.size
    years, total = years_to(c.expiry) - DAY, 0.0
    for third, weight in WEIGHTS:
        f = c.forward * (1 + max(third * psr, -0.999999))
        d1 = (math.log(f / c.strike) + c.vol**2 * years / 2) / (c.vol * math.sqrt(years))
        total += weight * (plain_cdf(d1) if c.right == "C" else plain_cdf(d1) - 1)
    return total * c.size


def span(document: Document) -> tuple[float, float, float, float]:
    """Equity, collateral value, initial and maintenance margin, by the rule sheet."""
    params, market = document["accounts"][0]["params"], document["market"]
    held = holdings(document)
    risk, delta = {}, {}
    parts: dict[str, tuple[float, float, float]] = {}
    for base in {c.base for c, _, _ in held}:
        psr, vsr = params["price_scan_range"][base], params["vol_scan_range"][base]
        mine = [(c, q) for c, q, _ in held if c.base == base]
        arrays = [(q, span_array(c, psr, vsr)) for c, q in mine]
        loss = [-sum(q * array[k] for q, array in arrays) for k in range(16)]
        months: dict[str, float] = {}
        for c, q in mine:
            months[c.expiry] = months.get(c.expiry, 0.0) + q * span_delta(c, psr)
        up = sum(d for d in months.values() if d > 0)
        down = -sum(d for d in months.values() if d < 0)
        spot = market["index"][base]
        spread = min(up, down) * spot * params["intra_commodity_charge"][base]
        written = sum(-q * c.size for c, q in mine if c.right and q < 0)
        least = written * spot * psr * params["short_option_minimum"][base]
        worst = max(range(16), key=lambda k: loss[k])
        twin = worst if worst >= 14 else worst + 1 if worst % 2 == 0 else worst - 1
        delta[base] = sum(months.values())
        risk[base] = max((loss[worst] + loss[twin]) / 2 - (loss[0] + loss[1]) / 2, 0.0)
        parts[base] = (max(*loss, 0.0), spread, least)
    credit = dict.fromkeys(parts, 0.0)
    pair = params["inter_commodity_credit"].get("BTC/ETH")
    if pair and set(parts) >= {"BTC", "ETH"} and delta["BTC"] * delta["ETH"] < 0:
        formed = min(abs(delta["BTC"]) / pair[0], abs(delta["ETH"]) / pair[1])
        for base, ratio in (("BTC", pair[0]), ("ETH", pair[1])):
            credit[base] = formed * ratio * risk[base] / abs(delta[base]) * pair[2]
    need = sum(
        max(scan - min(credit[base], scan) + spread, least)
        for base, (scan, spread, least) in parts.items()
    )
    own = {a: b * market["index"][a] for a, b in document["accounts"][0]["balances"].items()}
    for c, q, entry in held:
        if not c.right:
            own[c.settle] = own.get(c.settle, 0.0) + c.worth(q, entry)
    options = sum(c.worth(q, entry) for c, q, entry in held if c.right)
    haircut = params["collateral_haircut"]
    kept = sum(v * (1 - haircut.get(a, 1.0)) if v > 0 else v for a, v in own.items())
    return sum(own.values()) + options, kept + options, 1.1 * need, need


def span_params(seed: int) -> Document:
    random = stream(seed, "span parameters")
    both = ("BTC", "ETH")
    return {
        "price_scan_range": {base: round(random.uniform(0.1, 0.45), 3) for base in both},
        "vol_scan_range": {base: round(random.uniform(0.2, 0.9), 3) for base in both},
        "intra_commodity_charge": {base: round(random.uniform(0, 0.05), 4) for base in both},
        "short_option_minimum": {base: round(random.uniform(0, 0.3), 3) for base in both},
        "inter_commodity_credit": {} if seed % 3 else {"BTC/ETH": [1, 15, 0.6]},
        "collateral_haircut": {"USDC": 0.02, "BTC": 0.2} if seed % 2 else {"BTC": 0.1},
    }


def assessed(document: Document) -> Assessment:
    """The one pool's figures, in the last row."""
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    return assess(book, market, load_models(book.instruments, book.models, market.as_of_ns))


def agree(document: Document, oracle: Callable[[Document], tuple[float, ...]]) -> Assessment:
    found, expected = assessed(document), oracle(document)
    scale = sum(abs(q) * c.size * (1 if c.in_coin and not c.right else c.spot)
                for c, q, _ in holdings(document))  # fmt: skip
    names = ("equity", "collateral_value", "initial_margin", "maintenance_margin")
    for name, value in zip(names, expected, strict=True):
        got = float(getattr(found, name)[-1])
        assert close(got, value, scale), (name, got, value)
    return found


def test_span_on_random_books() -> None:
    lines: dict[str, int] = {}
    for seed in range(300):
        document = draw_document(
            seed, "cme.span", quotes=QUOTES[seed % 2], params=span_params(seed)
        )
        found = agree(document, span)
        for line in found.charges:
            lines[line.name] = lines.get(line.name, 0) + (line.maintenance[-1] > 0)
    assert min(lines.values()) > 3
    paired = [draw_document(k, "cme.span", params=span_params(k)) for k in range(0, 45, 3)]
    credited = [judge(d).detail("scan").column("inter_commodity_credit") for d in paired]
    assert sum(max(credit) > 0 for credit in credited) > 3


# -- OCC TIMS ------------------------------------------------------------------------------------


def tims(document: Document) -> tuple[float, float, float, float]:
    """Equity, collateral value, initial and maintenance margin, by the rule sheet."""
    params, market = document["accounts"][0]["params"], document["market"]
    held = holdings(document)
    coins = dict(document["accounts"][0]["balances"])
    for c, q, entry in held:
        coins[c.settle] = coins.get(c.settle, 0.0) + c.worth(q, entry) / c.rate
    ends = {"equity": (-0.15, 0.15), "high_cap_index": (-0.08, 0.06)}
    points: dict[str, list[float]] = {}
    floors: dict[str, float] = {}
    groups = params["product_group"]
    stocks = [a for a in coins if a != "USDC"]
    for base in {c.base for c, _, _ in held} | set(stocks):
        down, up = ends[params["product_class"].get(base, "equity")]
        moves = [down * k / 5 for k in (5, 4, 3, 2, 1)] + [up * k / 5 for k in (1, 2, 3, 4, 5)]
        profit = []
        for move in moves:
            total = coins.get(base, 0.0) * market["index"][base] * move
            for c, q, _ in held:
                if c.base == base and c.right:
                    gain = c.option(move, c.vol, years_to(c.expiry)) - c.mark
                    total += q * gain * c.size * c.rate * (1 + move if c.in_coin else 1)
                elif c.base == base:
                    total += q * c.outright(move)
            profit.append(total)
        group = groups.get(base, base)
        share = params["product_group_offset"].get(group, 1.0)
        counted = [p * share if p > 0 else p for p in profit]
        points[group] = [a + b for a, b in zip(points.get(group, [0.0] * 10), counted, strict=True)]
        least = sum(abs(q) * c.size * 0.375 for c, q, _ in held if c.base == base and c.right)
        floors[group] = floors.get(group, 0.0) + least
    need = sum(max(-min(points[g]), 0.0, floors[g]) for g in points)
    value = {a: amount * market["index"].get(a, 1.0) for a, amount in coins.items()}
    cash = params["cash"]["USDC"]
    kept = sum(v * cash if a == "USDC" and v > 0 else v for a, v in value.items())
    return sum(value.values()), kept, need, need


def test_tims_on_random_books() -> None:
    for seed in range(300):
        params = {
            "cash": {"USDC": 1.0 if seed % 2 else 0.98},
            "product_class": {"BTC": "equity", "ETH": "high_cap_index" if seed % 3 else "equity"},
            "product_group": {"BTC": "majors", "ETH": "majors"} if seed % 4 else {},
            "product_group_offset": {"majors": 0.75},
        }  # fmt: skip
        agree(draw_document(seed, "occ.tims", quotes=QUOTES[seed % 2], params=params), tims)


def test_the_floor_of_tims_holds_where_a_book_is_hedged() -> None:
    """Long and short of one option: 2 x 1,000 units x 0.375; nothing can be lost."""
    call = "BTC/USD:USD-260925-70000-C"
    twin = "BTC/USD:USD-260925-70000-P"
    entry = {"implied_vol": 0.5, "underlying": 60_000.0, "contract_multiplier": 1000}
    parity = plain_black76(60e3, 70e3, years_to("260925"), 0.5, True)
    document = {
        "as_of": "2026-03-02T12:00:00Z",
        "market": {"index": {"BTC": 60_000.0},
                   "instruments": {call: {"mark": parity, **entry},
                                   twin: {"mark": parity + 10_000, **entry},
                                   "BTC/USD:USD": {"mark": 60_000.0}}},
        "accounts": [{"id": "a", "model": "occ.tims", "balances": {"USD": 1e9},
                      "params": {"product_class": {"BTC": "equity"}},
                      "positions": [{"symbol": call, "quantity": 1},
                                    {"symbol": twin, "quantity": -1},
                                    {"symbol": "BTC/USD:USD", "quantity": -1000,
                                     "entry_price": 60_000.0}]}],
    }  # fmt: skip
    found = judge(document)
    assert found.maintenance_margin == pytest.approx(750.0, rel=1e-9)
    assert {line.name: line.maintenance > 0 for line in found.charges}["minimum"]


# -- Reg T ---------------------------------------------------------------------------------------

SPOT = 100.0


def draw_strategies(seed: int) -> Document:
    """A small book of whole contracts on one stock, and shares, long or short."""
    random = stream(seed, "strategies")
    instruments, positions = {}, []
    # Half of the books have one expiry, where balanced sets and straddles are common.
    expiries = ("260402",) if random.uniform() < 0.5 else ("260402", "260925")
    for _ in range(random.integers(1, 7)):
        expiry, right = expiries[int(random.integers(len(expiries)))], "CP"[random.integers(2)]
        strike = float(random.choice([80, 90, 95, 100, 105, 110, 125]))
        settle = "XYZ" if random.uniform() < 0.2 else "USD"
        symbol = f"XYZ/USD:{settle}-{expiry}-{strike:g}-{right}"
        if symbol in instruments:
            continue
        payoff = max(SPOT - strike if right == "C" else strike - SPOT, 0.0)
        premium = round(payoff + random.uniform(0.1, 6), 2)
        mark = premium / SPOT if settle == "XYZ" else premium
        instruments[symbol] = {"mark": mark, "contract_multiplier": 10}
        quantity = int(random.choice([-2, -1, -1, 1, 1, 2]))
        positions.append({"symbol": symbol, "quantity": quantity})
    shares = int(random.choice([0, 0, 10, 20, -10, -20]))
    balances = {"USD": round(float(random.uniform(-1e3, 9e3)), 2), "XYZ": shares}
    return {
        "as_of": "2026-03-02T12:00:00Z",
        "market": {"index": {"XYZ": SPOT}, "instruments": instruments},
        "accounts": [{"id": "a", "model": "cboe.regt", "balances": balances,
                      "positions": positions, "params": {"product_class": {"XYZ": "equity"}}}],
    }  # fmt: skip


class Leg:
    """An option of the book: ``units`` signed, in lots of ten shares."""

    def __init__(self, symbol: str, quantity: int, market: Document) -> None:
        self.call = symbol.endswith("C")
        _, expiry, strike, _ = symbol.split("-")
        self.symbol, self.expiry, self.strike, self.units = symbol, expiry, float(strike), quantity
        self.premium = market["instruments"][symbol]["mark"] * (100 if ":XYZ" in symbol else 1)
        out = max(self.strike - SPOT if self.call else SPOT - self.strike, 0.0)
        floor = 0.1 * (SPOT if self.call else self.strike)
        self.alone = self.premium + max(0.2 * SPOT - out, floor)

    def payoff(self, price: float) -> float:
        return max(price - self.strike if self.call else self.strike - price, 0.0)


class Regt:
    """Every pairing of a small book's lots; ``relief`` says whether stock can be protected."""

    def __init__(self, legs: list[Leg], lots: int, relief: bool) -> None:
        rate = 0.5 if not relief else 0.25 if lots > 0 else 0.3
        self.legs, self.lots, self.relief, self.share = legs, lots, relief, rate * SPOT

    def pair(self, i: int, j: int) -> float:
        """Cost of one short lot with another lot; infinite where it is no strategy."""
        short, other = self.legs[i], self.legs[j]
        if other.units > 0:
            if short.call != other.call or other.expiry < short.expiry:
                return math.inf
            width = other.strike - short.strike
            return max(width if short.call else -width, 0.0)
        if short.call == other.call:
            return math.inf
        more, less = sorted((short, other), key=lambda leg: leg.alone, reverse=True)
        return more.alone + less.premium

    def cheapest(self, counts: tuple[int, ...], cover: int) -> float:
        """Least cost of the lots in ``counts`` (all >= 0) with ``cover`` lots of stock."""
        legs = self.legs

        @cache
        def search(left: tuple[int, ...], cover: int, protect: int) -> float:
            def without(*taken: int) -> tuple[int, ...]:
                return tuple(n - taken.count(k) for k, n in enumerate(left))

            for i, leg in enumerate(legs):
                if left[i] and leg.units < 0:
                    best = leg.alone + search(without(i), cover, protect)
                    for j in range(len(legs)):
                        if left[j] and j != i and self.pair(i, j) < math.inf:
                            rest = search(without(i, j), cover, protect)
                            best = min(best, self.pair(i, j) + rest)
                    if cover and leg.call == (self.lots > 0):
                        inside = leg.payoff(SPOT)
                        best = min(best, inside + search(without(i), cover - 1, protect))
                    return best
            for i, leg in enumerate(legs):
                if left[i]:
                    best = search(without(i), cover, protect)
                    if protect and self.relief and leg.call == (self.lots < 0):
                        out = max(leg.strike - SPOT if leg.call else SPOT - leg.strike, 0.0)
                        asked = min(0.1 * leg.strike + out, self.share)
                        rest = search(without(i), cover, protect - 1)
                        best = min(best, asked + rest)
                    return best
            return protect * self.share

        return search(counts, cover, cover)

    def requirement(self) -> float:
        """The least by pairs, then balanced expiries and conversions where they ask less."""
        legs, cover = self.legs, abs(self.lots)
        counts = [abs(leg.units) for leg in legs]
        best, spent = self.cheapest(tuple(counts), cover), 0.0
        for expiry in sorted({leg.expiry for leg in legs}):
            mine = [k for k, leg in enumerate(legs) if leg.expiry == expiry]
            calls = sum(legs[k].units for k in mine if legs[k].call)
            puts = sum(legs[k].units for k in mine if not legs[k].call)
            if calls or puts or all(legs[k].units > 0 for k in mine):
                continue
            values = [
                sum(legs[k].units * legs[k].payoff(legs[at].strike) for k in mine) for at in mine
            ]
            loss = max(-min(values), 0.0)
            rest = [0 if k in mine else n for k, n in enumerate(counts)]
            total = spent + loss + self.cheapest(tuple(rest), cover)
            if total < best - 1e-9:
                best, spent, counts = total, spent + loss, rest
        for c, call in enumerate(legs):
            for p, put in enumerate(legs):
                same = (call.strike, call.expiry) == (put.strike, put.expiry)
                if not (self.relief and call.call and not put.call and same):
                    continue
                if call.units * self.lots >= 0 or put.units * self.lots <= 0:
                    continue
                size = min(counts[c], counts[p], cover)
                behind = SPOT - call.strike if self.lots > 0 else call.strike - SPOT
                asked = size * (0.1 * call.strike + max(behind, 0.0))
                rest = [n - size if k in (c, p) else n for k, n in enumerate(counts)]
                total = spent + asked + self.cheapest(tuple(rest), cover - size)
                if size and total < best - 1e-9:
                    best, spent, counts, cover = total, spent + asked, rest, cover - size
        return best * 10


def regt(document: Document) -> tuple[float, float]:
    """Initial and maintenance margin of a small book."""
    account, market = document["accounts"][0], document["market"]
    legs = [Leg(row["symbol"], row["quantity"], market) for row in account["positions"]]
    legs.sort(key=lambda leg: (leg.expiry, leg.strike, leg.call, leg.symbol))
    lots = account["balances"]["XYZ"] // 10
    initial = Regt(legs, lots, relief=False).requirement()
    return initial, min(initial, Regt(legs, lots, relief=True).requirement())


def test_regt_pairs_at_least_cost() -> None:
    lines: dict[str, int] = {}
    for seed in range(400):
        document = draw_strategies(seed)
        found, expected = assessed(document), regt(document)
        assert close(float(found.initial_margin[-1]), expected[0], 1.0), seed
        assert close(float(found.maintenance_margin[-1]), expected[1], 1.0), seed
        account = document["accounts"][0]
        counted = account["balances"]["USD"] + account["balances"]["XYZ"] * SPOT
        value = sum(
            row["quantity"] * 10 * Leg(row["symbol"], row["quantity"], document["market"]).premium
            for row in account["positions"]
        )
        assert close(float(found.collateral_value[-1]), counted, 1e4)
        assert close(float(found.equity[-1]), counted + value, 1e4)
        for line in found.charges:
            lines[line.name] = lines.get(line.name, 0) + (line.maintenance[-1] > 0)
    del lines["open_orders"]
    assert min(lines.values()) > 3, lines


def test_pairs_of_larger_books_are_a_linear_programme() -> None:
    """Many legs of odd sizes against a solver that knows nothing of graphs; initial margin."""
    for seed in range(60):
        random = stream(seed, "large books")
        count = int(random.integers(6, 15))
        strike = np.round(random.uniform(70, 130, count), 1)
        is_call, expiry = random.uniform(size=count) < 0.5, random.integers(1, 4, count)
        units = np.round(random.uniform(0.1, 5, count) * random.choice([-1, 1], count), 3)
        premium, need = random.uniform(0.1, 8, count), random.uniform(8, 20, count)
        stock = float(np.round(random.uniform(-8, 8), 3))
        legs = [
            dict(zip(("k", "call", "t", "u", "m", "r"), row, strict=True))
            for row in zip(strike, is_call, expiry, units, premium, need, strict=True)
        ]
        order = np.lexsort((is_call, strike, expiry))
        columns = Legs(
            np.array([0, count]), units[order], strike[order], expiry[order], is_call[order],
            premium[order], need[order],
        )  # fmt: skip
        each = [np.array([value]) for value in (SPOT, stock, 0.5, 0.5)]
        got = strategy_margin(columns, StockRules(*each, protected_rate=math.inf)).sum()
        assert got == pytest.approx(programme(legs, stock), rel=1e-9)


def programme(legs: list[dict[str, Any]], stock: float) -> float:
    """Least requirement by SciPy: one variable for each pair of lots that is a strategy."""
    saved, uses = [], []
    size = len(legs)
    for i, a in enumerate(legs):
        if a["u"] > 0:
            continue
        alone = a["m"] + a["r"]
        for j, b in enumerate(legs):
            width = max((b["k"] - a["k"]) * (1 if a["call"] else -1), 0.0)
            if b["u"] > 0 and a["call"] == b["call"] and b["t"] >= a["t"]:
                saved.append(alone - width)
                uses.append((i, j))
            if b["u"] < 0 and a["call"] and not b["call"]:
                other = b["m"] + b["r"]
                saved.append(b["r"] if alone >= other else a["r"])
                uses.append((i, j))
        if stock * (1 if a["call"] else -1) > 0:
            saved.append(alone - max((SPOT - a["k"]) * (1 if a["call"] else -1), 0.0))
            uses.append((i, size))
    total = sum(-leg["u"] * (leg["m"] + leg["r"]) for leg in legs if leg["u"] < 0)
    total += abs(stock) * SPOT / 2
    if not saved:
        return total
    bounds = [abs(leg["u"]) for leg in legs] + [abs(stock)]
    matrix = np.zeros((size + 1, len(saved)))
    for column, pair in enumerate(uses):
        matrix[list(pair), column] = 1
    return total + linprog(-np.array(saved), matrix, bounds).fun


def test_regt_does_not_depend_on_the_order_of_anything() -> None:
    for seed in range(100):
        document = draw_strategies(seed)
        market, account = document["market"], document["accounts"][0]
        turned = {
            **document,
            "market": {**market, "instruments": dict(reversed(market["instruments"].items()))},
            "accounts": [{**account, "positions": account["positions"][::-1]}],
        }
        one, other = judge(document), judge(turned)
        assert one.charges == other.charges
        assert one.collateral_value == other.collateral_value


def test_regt_never_asks_more_for_a_long_option_or_for_splitting_hairs() -> None:
    """A further long option cannot raise a requirement; twice the book is twice the margin."""
    for seed in range(60):
        document = draw_strategies(seed)
        account = document["accounts"][0]
        extra = "XYZ/USD:USD-260925-100-C"
        market = document["market"]
        quoted = {**market["instruments"], extra: {"mark": 5.0, "contract_multiplier": 10}}
        held = {row["symbol"]: row["quantity"] for row in account["positions"]}
        if extra in held:
            continue
        more = {
            **document,
            "market": {**market, "instruments": quoted},
            "accounts": [
                {**account, "positions": [*account["positions"], {"symbol": extra, "quantity": 1}]}
            ],
        }
        one = judge(document)
        expiries = {symbol.split("-")[1] for symbol in held}
        # A long option may unbalance an expiry that was one spread before.
        if "260925" not in expiries:
            assert judge(more).initial_margin <= one.initial_margin * (1 + 1e-12)
        doubled = {symbol: 2 * quantity for symbol, quantity in held.items()}
        twice = {
            **document,
            "accounts": [{**account,
                          "balances": {k: 2 * v for k, v in account["balances"].items()},
                          "positions": [{"symbol": s, "quantity": q}
                                        for s, q in doubled.items()]}],
        }  # fmt: skip
        assert judge(twice).initial_margin == pytest.approx(2 * one.initial_margin, rel=1e-12)


# -- what is not known ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["cme.span", "occ.tims", "cboe.regt"])
def test_an_underlying_without_parameters_is_unknown(model: str) -> None:
    document = draw_document(3, model)
    document["accounts"][0]["positions"] = [
        row for row in document["accounts"][0]["positions"] if row["symbol"].endswith(("C", "P"))
    ]
    assert judge(document).status == Status.UNKNOWN
    empty = draw_document(3, model)
    empty["accounts"][0] |= {"positions": [], "balances": {"USD": 5.0}}
    assert judge(empty).status == Status.OK


@pytest.mark.parametrize("missing", ["price_scan_range", "vol_scan_range", "short_option_minimum"])
def test_span_needs_every_figure_that_a_short_option_asks_for(missing: str) -> None:
    document = draw_document(5, "cme.span", params=span_params(5))
    account = document["accounts"][0]
    short = "BTC/USDC:USDC-260925-" + "60000-C"
    document["market"]["instruments"][short] = {"mark": 5000, "implied_vol": 0.6,
                                                "underlying": 61_000}  # fmt: skip
    account["positions"] = [{"symbol": short, "quantity": -1}]
    assert judge(document).status != Status.UNKNOWN
    account["params"] = {**account["params"], missing: {}}
    assert judge(document).status == Status.UNKNOWN


@pytest.mark.parametrize(
    ("model", "params", "place"),
    [
        ("cme.span", {"delta_weights": [1.0]}, "delta_weights"),
        ("cme.span", {"inter_commodity_credit": {"BTC": [1, 1, 1]}}, "inter_commodity_credit.BTC"),
        ("cme.span", {"inter_commodity_credit": {"BTC/ETH": [0, 1, 1]}}, "BTC/ETH"),
        ("cme.span", {"price_scan_range": {"BTC": -1}}, "price_scan_range.BTC"),
        ("cme.span", {"initial_ratio": 0.9}, "initial_ratio"),
        ("occ.tims", {"product_class": {"BTC": "coin"}}, "product_class.BTC"),
        ("occ.tims", {"product_group": {"BTC": "majors"}}, "product_group"),
        ("occ.tims", {"product_class": {"BTC": "equity"}, "move_down": {"equity": 1}}, "move_down"),
        ("cboe.regt", {"product_class": {"BTC": 3}}, "product_class.BTC"),
        ("cboe.regt", {"product_class": {"BTC": "equity"}, "stock_initial": {"equity": 0.1}},
         "stock_initial"),
    ],
)  # fmt: skip
def test_what_a_model_refuses_is_named(model: str, params: Document, place: str) -> None:
    with pytest.raises(InputError, match=place.replace(".", r"\.")):
        judge(draw_document(1, model, params=params))


def test_open_orders_of_regt() -> None:
    """A bought option its limit, a sold one its need, stock half its price; closing is free."""
    document = draw_strategies(0)
    call, put = "XYZ/USD:USD-260925-110-C", "XYZ/USD:USD-260925-95-P"
    document["market"]["instruments"] = {
        call: {"mark": 2.0, "contract_multiplier": 10},
        put: {"mark": 1.0, "contract_multiplier": 10},
        "XYZ/USD": {"mark": 100.0},
        "XYZ/USD:USD": {"mark": 100.0},
    }
    account = document["accounts"][0]
    account |= {"balances": {"USD": 1e5, "XYZ": 10}, "positions": [{"symbol": call, "quantity": 1}]}

    def asked(*orders: tuple[str, str, float, float]) -> float:
        account["orders"] = [
            {"symbol": symbol, "side": side, "quantity": quantity, "price": price}
            for symbol, side, quantity, price in orders
        ]
        found = judge(document)
        (line,) = (line for line in found.charges if line.name == "open_orders")
        assert line.maintenance == 0.0 or math.isnan(line.initial)
        return line.initial

    assert asked((call, "buy", 2, 1.5)) == pytest.approx(30)
    assert asked((call, "sell", 1, 3.0)) == 0.0
    # One of three closes; a sold call asks 20 % less 10 out of the money, 10 % at least.
    assert asked((call, "sell", 3, 3.0)) == pytest.approx(2 * 10 * 10)
    assert asked((put, "sell", 1, 3.0)) == pytest.approx(10 * (20 - 5))
    assert asked(("XYZ/USD", "buy", 4, 90.0)) == pytest.approx(4 * 45)
    assert asked(("XYZ/USD", "sell", 10, 90.0)) == 0.0
    assert asked(("XYZ/USD", "sell", 14, 90.0)) == pytest.approx(4 * 45)
    assert math.isnan(asked(("XYZ/USD:USD", "buy", 1, 90.0)))


def test_an_order_in_what_cannot_be_scanned_is_unknown() -> None:
    for model in ("cme.span", "occ.tims"):
        document = draw_document(1, model)
        order = {"symbol": "BTC/USDC:USDC", "side": "buy", "quantity": 1, "price": 60_000.0}
        document["accounts"][0] |= {"positions": [], "balances": {"USD": 1.0}, "orders": [order]}
        assert judge(document).status == Status.UNKNOWN


def test_a_deep_scan_leaves_finite_figures() -> None:
    """Three times a range of half the price is more than all of it."""
    params = span_params(0) | {"price_scan_range": {"BTC": 0.5, "ETH": 0.5}}
    for seed in range(20):
        found = judge(draw_document(seed, "cme.span", params=params))
        assert np.isfinite(found.maintenance_margin)
