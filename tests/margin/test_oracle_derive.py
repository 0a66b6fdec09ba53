"""Derive's managers against slow, plain rules of their own, on random books.

The oracle reads the document's dictionary and uses floats, loops and the rule sheets alone.
"""

import math
from datetime import datetime
from typing import Any

import pytest

from plimsoll.core import stream
from plimsoll.margin import load_models
from plimsoll.margin.assess import require
from plimsoll.margin.layout import lay_out_book
from tests.margin.option_books import draw_document, load_document, plain_cdf

CLOSE = 1e-9
YEAR_S = 365 * 86_400
USUAL = {"spot_max": 0.15, "spot_min": 0.13, "call_maintenance": 0.09, "put_maintenance": 0.09,
         "put_value": 0.09, "maintenance_scale": 1.05, "unpaired_initial": 1.2,
         "unpaired_maintenance": 1.1}  # fmt: skip
# So that the parts of a rule bind that the usual figures rarely let bind.
STRICT = {**USUAL, "spot_max": 0.3, "spot_min": 0.05, "put_value": 0.9, "maintenance_scale": 1.5}
HAIRCUTS = {
    "BTC": (0.02, 0.01, True),
    "ETH": (0.15, 0.05, False),
    "USDT": (0.02, 0.03, False),
}


def is_option(symbol: str) -> bool:
    return symbol.count("-") == 3


def draw_book(seed: int, model: str, bases: tuple[str, ...]) -> dict[str, Any]:
    """A book of perpetuals and options with feeds, now and then in distress or near expiry."""
    document = draw_document(seed, model, bases, ("USDC",))
    random = stream(seed, "derive feeds")
    market, account = document["market"], document["accounts"][0]
    document["as_of"] = str(
        random.choice(
            ["2026-03-02T12:00:00Z", "2026-03-06T07:45:00Z", "2026-03-06T07:59:59Z",
             "2026-03-02T08:00:00Z"]
        )
    )  # fmt: skip
    market["index"]["USDC"] = round(float(random.choice([1.0003, 0.9991, 0.93])), 4)
    for base in ("ETH", "USDT"):
        market["index"].setdefault(base, {"ETH": 2500.0, "USDT": 1.001}[base])
    rates = {}
    for symbol, entry in market["instruments"].items():
        expiry = symbol.split("-")[1] if "-" in symbol else ""
        if is_option(symbol):
            drawn = rates.setdefault(expiry, round(float(random.uniform(-0.05, 0.3)), 4))
            entry["rate"] = drawn
            if expiry == "260306" and random.random() < 0.3:
                entry["forward_fixed"] = round(entry["underlying"] * 0.4, 2)
        if random.random() < 0.4:
            entry["confidence"] = round(float(random.uniform(0.3, 1)), 3)
    market["assets"] = {
        asset: {"confidence": round(float(random.uniform(0.3, 1)), 3)}
        for asset in (*bases, "USDT")
        if random.random() < 0.3
    }
    held = [p for p in account["positions"] if p["symbol"].count("-") != 1]
    account["positions"] = held
    scale = account["balances"]["USDC"]
    if model != "derive.pmrm1":
        account["balances"] |= {"USDT": round(scale * 0.2, 2), "ETH": round(scale / 2e4, 4)}
    if random.random() < 0.2:
        account["balances"]["USDC"] = round(-scale * 0.3, 2)
    strict = random.random() < 0.5
    if model == "derive.standard":
        account["params"] = {"options": dict.fromkeys(bases, STRICT if strict else USUAL)}
    else:
        account["params"] = {"underlying": "BTC"}
    if model == "derive.pmrm2":
        account["params"]["vol_shock"] = {"vol_min_up": 1.5 if strict else 0.45}
    return document


def black(f: float, k: float, years: float, vol: float, is_call: bool, discount: float) -> float:
    """Black-76; the intrinsic value without time or volatility."""
    deviation = vol * math.sqrt(years) if years > 0 else 0.0
    sign = 1.0 if is_call else -1.0
    if deviation < 1e-14:
        return (discount if years > 0 else 1.0) * max(sign * (f - k), 0.0)
    d1 = math.log(f / k) / deviation + deviation / 2
    d2 = d1 - deviation
    return discount * sign * (f * plain_cdf(sign * d1) - k * plain_cdf(sign * d2))


def read_options(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The options held, with what the feeds say of them."""
    now = datetime.fromisoformat(document["as_of"])
    found = []
    for position in document["accounts"][0]["positions"]:
        symbol = position["symbol"]
        if not is_option(symbol):
            continue
        entry = document["market"]["instruments"][symbol]
        _, expiry, strike, right = symbol.split("-")
        at = datetime.fromisoformat(f"20{expiry[:2]}-{expiry[2:4]}-{expiry[4:]}T08:00:00Z")
        seconds = (at - now).total_seconds()
        forward = entry["underlying"]
        fixed = entry.get("forward_fixed")
        if fixed is None:
            fixed = forward * (1800 - seconds) / 1800 if seconds < 1800 else 0.0
        found.append(
            {"base": symbol.split("/")[0], "expiry": expiry, "seconds": seconds,
             "years": seconds / YEAR_S, "strike": float(strike), "is_call": right == "C",
             "amount": position["quantity"], "vol": entry["implied_vol"], "forward": forward,
             "fixed": fixed, "rate": max(entry["rate"], 0.0),
             "confidence": entry.get("confidence", 1.0)}
        )  # fmt: skip
    return found


def read_perpetuals(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The perpetuals held."""
    found = []
    for position in document["accounts"][0]["positions"]:
        symbol = position["symbol"]
        if not is_option(symbol):
            entry = document["market"]["instruments"][symbol]
            found.append(
                {"base": symbol.split("/")[0], "amount": position["quantity"],
                 "price": entry["mark"], "confidence": entry.get("confidence", 1.0),
                 "profit": position["quantity"] * (entry["mark"] - position["entry_price"])}
            )  # fmt: skip
    return found


def sure(document: dict[str, Any], asset: str) -> float:
    return document["market"]["assets"].get(asset, {}).get("confidence", 1.0)


SECOND_SCENARIOS = (
    [(1.18, "up", 1)]
    + [
        (factor, shock, 1)
        for factor in (1.135, 1.09, 1.045, 1, 0.955, 0.91, 0.865)
        for shock in ("down", "none", "up")
    ]
    + [(0.82, "up", 1), (0.34, "up", 0.0545454545454545), (0.67, "up", 0.109090909090909)]
    + [(1.5, "up", 0.072), (2, "up", 0.036), (3, "up", 0.018), (4, "up", 0.012)]
    + [(1, "linear", 1), (1, "absolute", 1)]
)  # fmt: skip
FIRST_SCENARIOS = (
    [(1.2, "up", 1)]
    + [(s, v, 1) for s in (1.15, 1.1, 1.05, 1, 0.95, 0.9, 0.85) for v in ("up", "none", "down")]
    + [(0.8, "up", 1)]
)


def moved_vol(option: dict[str, Any], shock: str, up: float, down: float, floor: float) -> float:
    """Volatility after a shock."""
    seconds, vol, years = option["seconds"], option["vol"], option["years"]
    m = (30 * 86_400 / max(seconds, 86_400)) ** (0.3 if seconds <= 30 * 86_400 else 0.13)
    if shock == "up":
        return max(floor, vol * (1 + up * m))
    if shock == "down":
        return vol * max(0.0, 1 - down * m)
    if shock == "none":
        return vol
    k = math.log(option["strike"] / option["forward"])
    k = abs(k) if shock == "absolute" else k
    root = math.sqrt(years)
    cap = 0.15 - 0.05 * root
    star = max(0.01, root * 4 * (0.6 - 0.1 * root))
    x = min(cap, k * cap / star) if k >= 0 else max(-cap, k * cap / star)
    return vol * max(0.0, 1 + x)


def unit_value(option: dict[str, Any], factor: float, vol: float, discounted: bool) -> float:
    forward = (option["forward"] - option["fixed"]) * factor + option["fixed"]
    discount = math.exp(-option["rate"] * option["years"]) if discounted else 1.0
    return black(forward, option["strike"], option["years"], vol, option["is_call"], discount)


def by_expiry(options: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    names = sorted({(o["base"], o["expiry"]) for o in options})
    return [[o for o in options if (o["base"], o["expiry"]) == name] for name in names]


def naked(options: list[dict[str, Any]]) -> float:
    total = 0.0
    for group in by_expiry(options):
        for strike in {o["strike"] for o in group}:
            calls = sum(o["amount"] for o in group if o["strike"] == strike and o["is_call"])
            puts = sum(o["amount"] for o in group if o["strike"] == strike and not o["is_call"])
            if calls * puts < 0:
                total += max(-min(calls, puts) - max(calls, puts), 0.0)
            else:
                total += max(-calls, 0.0) + max(-puts, 0.0)
    return total


def unsure(confidence: float, amount: float) -> float:
    return (1 - confidence) * amount if confidence < 0.55 else 0.0


class Portfolio:
    """What both portfolio managers look at, in the stablecoin."""

    def __init__(self, document: dict[str, Any]) -> None:
        index = document["market"]["index"]
        self.stable, self.spot = index["USDC"], index["BTC"]
        self.options, self.perpetuals = read_options(document), read_perpetuals(document)
        self.balances = dict(document["accounts"][0]["balances"])
        self.cash = self.balances.pop("USDC") + sum(p["profit"] for p in self.perpetuals)
        self.coins = {a: n * index[a] / self.stable for a, n in self.balances.items()}
        self.notional = sum(abs(p["amount"]) for p in self.perpetuals) * self.spot
        self.spot_sure = sure(document, "BTC")
        self.joint = min([self.spot_sure, *(p["confidence"] for p in self.perpetuals)])
        self.coin_sure = {a: sure(document, a) for a in self.coins}

    def scan(
        self, scenarios: Any, rules: dict[str, Any], moving: float
    ) -> tuple[float, list[float], float]:
        """Value of the options, profits by scenario and basis contingency."""
        discounted = rules["discounted"]
        profits, basis, marked = [], 0.0, 0.0
        for factor, shock, dampening in scenarios:
            profit = moving * (factor - 1)
            for p in self.perpetuals:
                profit += p["amount"] * p["price"] * (factor - 1)
            profit *= dampening
            for group in by_expiry(self.options):
                now = shocked = 0.0
                for o in group:
                    now += o["amount"] * unit_value(o, 1.0, o["vol"], discounted)
                    vol = moved_vol(o, shock, rules["up"], rules["down"], rules["floor"])
                    shocked += o["amount"] * unit_value(o, factor, vol, discounted)
                years, rate = group[0]["years"], group[0]["rate"]
                gain = 0.95 * math.exp(-years * (rate + rules["add"]))
                debt = 1.0
                if discounted:
                    debt = min(math.exp(rate * years), 1.04 * math.exp(years * (rate / 2 + 0.08)))
                part = (shocked * (gain if shocked >= 0 else debt) - now) * dampening
                profit += -abs(part) if shock in ("linear", "absolute") else part
            profits.append(profit)
        for group in by_expiry(self.options):
            now, up, down = (
                sum(o["amount"] * unit_value(o, factor, o["vol"], discounted) for o in group)
                for factor in (1.0, *rules["basis"])
            )
            width = rules["basis_add"] + rules["basis_mult"] * group[0]["years"]
            basis += min(up - now, down - now, 0.0) * width
            marked += now
        return marked, profits, basis

    def option_doubt(self) -> float:
        total = 0.0
        for group in by_expiry(self.options):
            least = min([self.joint, *(o["confidence"] for o in group)])
            total += unsure(least, sum(abs(o["amount"]) for o in group) * self.spot)
        return total


Answer = tuple[list[float], list[float], float]


def second_manager(document: dict[str, Any]) -> Answer:
    """Equity, initial and maintenance margin under PMRM_2, USD, profits by scenario in the

    stablecoin, and the scale of their terms.
    """
    book = Portfolio(document)
    floor = document["accounts"][0]["params"]["vol_shock"]["vol_min_up"]
    rules = {"discounted": True, "up": 0.5, "down": 0.275, "floor": floor, "add": 0.08,
             "basis": (1.045, 0.955), "basis_add": 0.5, "basis_mult": 2.0}  # fmt: skip
    moving = sum(v for a, v in book.coins.items() if HAIRCUTS[a][2])
    marked, profits, basis = book.scan(SECOND_SCENARIOS, rules, moving)
    loss = -min(basis, *profits)
    equity = book.cash + marked + sum(book.coins.values())
    short = naked(book.options) * book.spot
    cut = [sum(v * HAIRCUTS[a][side] for a, v in book.coins.items()) for side in (0, 1)]
    doubt = unsure(book.joint, book.notional) + book.option_doubt()
    doubt += sum(unsure(min(book.coin_sure[a], book.spot_sure), v) for a, v in book.coins.items())
    peg = max(0.98 - book.stable, 0.0) * 2
    maintenance = loss * 0.8 + book.notional * 0.015 + short * 0.003 + cut[0]
    initial = loss * (1 + peg) + book.notional * 0.02 + short * 0.005 + sum(cut) + doubt
    scale = abs(book.cash) + sum(book.coins.values()) + sum(
        abs(o["amount"]) * (o["forward"] + o["strike"]) for o in book.options
    )  # fmt: skip
    return [v * book.stable for v in (equity, initial, maintenance)], profits, scale


def first_manager(document: dict[str, Any]) -> Answer:
    """The same under the first PMRM."""
    book = Portfolio(document)
    rules = {"discounted": False, "up": 0.6, "down": 0.3, "floor": 0.0, "add": 0.12,
             "basis": (1.05, 0.95), "basis_add": 1.0, "basis_mult": 1.2}  # fmt: skip
    owned = book.coins.get("BTC", 0.0)
    marked, profits, basis = book.scan(FIRST_SCENARIOS, rules, owned)
    loss = -min(basis, *profits)
    on_spot = book.balances.get("BTC", 0.0) * book.spot
    static = 0.03 * (book.notional + on_spot) + 0.02 * naked(book.options) * book.spot
    peg = max(0.99 - book.stable, 0.0) * 4
    doubt = unsure(book.joint, book.notional + on_spot) + book.option_doubt()
    equity = book.cash + marked + owned
    figures = (equity, (loss + static) * (1.25 + peg) + doubt, loss + static)
    scale = abs(book.cash) + owned + sum(
        abs(o["amount"]) * (o["forward"] + o["strike"]) for o in book.options
    )  # fmt: skip
    return [v * book.stable for v in figures], profits, scale


def standard_manager(document: dict[str, Any]) -> Answer:
    """Equity, then initial and maintenance excess under the SRM, USD."""
    index = document["market"]["index"]
    stable = index["USDC"]
    balances = dict(document["accounts"][0]["balances"])
    options, perpetuals = read_options(document), read_perpetuals(document)
    cash = balances.pop("USDC") + sum(p["profit"] for p in perpetuals)
    excess, marked = [cash, cash], cash
    factors = {"BTC": (0.75, 0.93), "ETH": (0.75, 0.8), "USDT": (0.98, 0.98)}
    needs = {"BTC": (0.065, 0.05), "ETH": (0.1, 0.065)}
    at_risk = doubt = 0.0
    for asset, amount in balances.items():
        value, (factor, scale) = amount * index[asset], factors[asset]
        excess = [excess[0] + value * factor * scale, excess[1] + value * factor]
        marked += value / stable
        doubt += unsure(sure(document, asset), value)
    for p in perpetuals:
        for side in (0, 1):
            excess[side] -= abs(p["amount"]) * p["price"] * needs[p["base"]][side]
        size = abs(p["amount"]) * index[p["base"]]
        at_risk += size
        doubt += unsure(min(p["confidence"], sure(document, p["base"])), size)
    for group in by_expiry(options):
        spot, forward = index[group[0]["base"]], group[0]["forward"]
        rate = document["accounts"][0]["params"]["options"][group[0]["base"]]
        alone = [0.0, 0.0]
        shorts = 0.0
        for o in group:
            value = unit_value(o, 1.0, o["vol"], discounted=False)
            marked += o["amount"] * value
            if o["amount"] > 0:
                continue
            n, k = -o["amount"], o["strike"]
            shorts += n
            apart = max(k - spot, 0.0) if o["is_call"] else max(spot - k, 0.0)
            first = max(rate["spot_max"] - apart / spot, rate["spot_min"]) * spot * n + value * n
            if o["is_call"]:
                stay = 0.09 * spot * n + value * n
            else:
                stay = max(0.09 * spot * n, rate["put_value"] * value * n) + value * n
                first = max(first, stay * rate["maintenance_scale"])
            alone = [alone[0] + first, alone[1] + stay]
        worst = 0.0
        for price in (0.0, *(o["strike"] for o in group)):
            payoff = 0.0
            for o in group:
                gap = price - o["strike"] if o["is_call"] else o["strike"] - price
                payoff += o["amount"] * max(gap, 0.0)
            worst = max(worst, -payoff)
        calls = sum(o["amount"] for o in group if o["is_call"])
        for side, scale in ((0, 1.2), (1, 1.1)):
            excess[side] -= min(alone[side], worst + scale * forward * max(-calls, 0.0))
        at_risk += shorts * spot
        least = min([sure(document, group[0]["base"]), *(o["confidence"] for o in group)])
        doubt += unsure(least, shorts * spot)
    excess[0] -= max(0.99 - stable, 0.0) * 2 * at_risk + doubt
    scale = abs(cash) + sum(abs(a) * index[b] for b, a in balances.items()) + sum(
        abs(o["amount"]) * (o["forward"] + o["strike"]) for o in options
    )  # fmt: skip
    return [marked * stable, excess[0] * stable, excess[1] * stable], [], scale


CASES = (
    ("derive.pmrm2", ("BTC",), second_manager),
    ("derive.pmrm1", ("BTC",), first_manager),
    ("derive.standard", ("BTC", "ETH"), standard_manager),
)


SEEDS = 300


@pytest.mark.parametrize(("model", "bases", "oracle"), CASES, ids=[name for name, *_ in CASES])
def test_random_books_agree_with_the_oracle(
    model: str, bases: tuple[str, ...], oracle: Any
) -> None:
    differed = set()
    for seed in range(SEEDS):
        document = draw_book(seed, model, bases)
        portfolio = load_document(document)
        book, market = portfolio.book, portfolio.market
        (resolved,) = load_models(book.instruments, book.models, market.as_of_ns).models
        found = require(book, market, resolved, lay_out_book(book))
        expected, profits, scale = oracle(document)
        columns = (found.equity, found.initial_margin, found.maintenance_margin)
        # The last pool is the account's; those before it are the system's.
        got = [float(column[-1]) for column in columns]
        if model == "derive.standard":
            got[1:] = [float(found.collateral_value[-1]) - margin for margin in got[1:]]
        else:
            told = dict(found.details[1].columns)["profit"][-len(profits) :]
            assert told == pytest.approx(profits, rel=CLOSE, abs=CLOSE * scale), seed
        assert got == pytest.approx(expected, rel=CLOSE, abs=CLOSE * scale), seed
        differed.add(round(expected[1], 3))
    assert len(differed) > 0.95 * SEEDS
