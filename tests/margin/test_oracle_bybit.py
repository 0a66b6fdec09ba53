"""bybit.portfolio against an oracle that reads the document's dictionary and imports nothing."""

import math
import random
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, Status
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.charges import worst_columns
from plimsoll.margin.venues.bybit_cross import maintenance_at_bankruptcy
from tests.margin.option_books import AS_OF, draw_document, load_document, plain_black76, plain_cdf

MOVES = {"BTC": [-0.1, -0.05, 0.0, 0.05, 0.1], "ETH": [-0.15, -0.07, 0.0, 0.07, 0.15]}
VOLS = {"BTC": [0.24, 0.0, -0.2], "ETH": [0.3, 0.0, -0.25]}
RATIOS = {
    "USDT": [[0, 1.0]],
    "USDC": [[0, 1.0], [200000, 0.9]],
    "BTC": [[0, 0.98], [1, 0.95], [5, 0.5], [50, 0.0]],
    "ETH": [[0, 0.9], [100, 0.4]],
}
LOANS = {"BTC": [[0, 0.04, 0.2], [1, 0.06, 0.25]], "USDT": [[0, 0.05, 0.1]]}
FACTOR = {"BTC": 1.2, "ETH": 1.3}
FUTURES = {"BTC": 0.0003, "ETH": 0.0005}
WRITTEN = {"BTC": 0.01, "ETH": 0.02}
SPREADS = ("delta_contingency", "vega_contingency", "usdt_usdc_contingency")
SEEDS = 300


def contract(document: dict[str, Any], symbol: str) -> dict[str, Any]:
    """What a symbol and the market say of a contract."""
    entry = document["market"]["instruments"][symbol]
    pair, _, rest = symbol.partition(":")
    base, _, quote = pair.partition("/")
    settle, *dated = rest.split("-")
    found = {
        "base": base, "quote": quote, "settle": settle, "mark": entry["mark"],
        "size": entry.get("contract_multiplier", 1), "expiry": dated[0] if dated else "",
        "option": len(dated) == 3,
    }  # fmt: skip
    if found["option"]:
        expiry = datetime.fromisoformat(f"20{dated[0][:2]}-{dated[0][2:4]}-{dated[0][4:]}T08:00Z")
        days = (expiry - datetime.fromisoformat(AS_OF)).total_seconds() / 86400
        found |= {"strike": float(dated[1]), "call": dated[2] == "C", "days": days,
                  "vol": entry["implied_vol"], "forward": entry["underlying"]}  # fmt: skip
    return found


def index_of(document: dict[str, Any], asset: str) -> float:
    return 1.0 if asset == "USD" else float(document["market"]["index"][asset])


def cell(document: dict[str, Any], c: dict[str, Any], move: float, vol_move: float) -> float:
    """Profit of one long contract in USD, after a move of price and one of volatility."""
    in_coin = c["settle"] == c["base"]
    price = index_of(document, c["settle"]) * (1 + move if in_coin else 1)
    if not c["option"]:
        if in_coin:
            return c["size"] / c["mark"] * (1 - 1 / (1 + move)) * price
        return c["size"] * c["mark"] * move * price
    vol = c["vol"] * (1 + vol_move * (30 / max(math.ceil(c["days"]), 1)) ** 0.3)
    forward = c["forward"] * (1 + move)
    value = plain_black76(forward, c["strike"], c["days"] / 365, vol, c["call"])
    return c["size"] * ((value / forward if in_coin else value) - c["mark"]) * price


def greeks(c: dict[str, Any]) -> tuple[float, float]:
    """Delta in coins and vega of one contract."""
    if not c["option"]:
        return (c["size"] / c["mark"] if c["settle"] == c["base"] else c["size"]), 0.0
    deviation = c["vol"] * math.sqrt(c["days"] / 365)
    d1 = math.log(c["forward"] / c["strike"]) / deviation + deviation / 2
    delta = plain_cdf(d1) - (0 if c["call"] else 1)
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    return c["size"] * delta, c["size"] * c["forward"] * density * math.sqrt(c["days"] / 365)


def nets(rows: list[tuple[Any, float]]) -> dict[Any, float]:
    """Net by line; what is but rounding of the gross is nothing."""
    net: dict[Any, float] = {}
    gross: dict[Any, float] = {}
    for line, amount in rows:
        net[line] = net.get(line, 0.0) + amount
        gross[line] = gross.get(line, 0.0) + abs(amount)
    return {line: 0.0 if abs(net[line]) <= 1e-9 * gross[line] else net[line] for line in net}


def both_signs(rows: list[tuple[Any, float]]) -> bool:
    found = nets(rows).values()
    return any(x > 0 for x in found) and any(x < 0 for x in found)


def unit(document: dict[str, Any], held: list[tuple[str, float]], base: str,
         params: dict[str, Any]) -> dict[str, float]:  # fmt: skip
    """Terms of one risk unit: its maximum loss and the contingencies with a rule."""
    mine = [(contract(document, s), q) for s, q in held if s.startswith(f"{base}/") and q]
    index, hedge = index_of(document, base), params["spot_hedge_coins"].get(base, 0.0)
    loss = 0.0
    for move in MOVES[base]:
        linear = sum(q * cell(document, c, move, 0.0) for c, q in mine if not c["option"])
        option = min(
            sum(q * cell(document, c, move, v) for c, q in mine if c["option"]) for v in VOLS[base]
        )
        loss = max(loss, -(linear + option + max(0.0, hedge * index * move)))
    coins = sum(abs(q) * greeks(c)[0] for c, q in mine if not c["option"])
    options = [((c["expiry"], c["call"]), q * c["size"]) for c, q in mine if c["option"]]
    written = sum(max(-net, 0.0) for net in nets(options).values())
    return {"loss": loss, "futures": FUTURES[base] * coins * index,
            "options": WRITTEN[base] * written * index}  # fmt: skip


def spreads(document: dict[str, Any], held: list[tuple[str, float]], base: str,
            params: dict[str, Any]) -> list[float]:  # fmt: skip
    """The contingencies without a rule: as stated, else NaN where legs offset each other."""
    mine = [(contract(document, s), q) for s, q in held if s.startswith(f"{base}/") and q]
    hedge = params["spot_hedge_coins"].get(base, 0.0)
    lines = {
        "delta_contingency": [(c["expiry"], q * greeks(c)[0]) for c, q in mine] + [("spot", hedge)],
        "vega_contingency": [(c["expiry"], q * greeks(c)[1]) for c, q in mine],
        "usdt_usdc_contingency": [(c["quote"], q * greeks(c)[0]) for c, q in mine],
    }
    found = []
    for name in SPREADS:
        stated = params[name].get(base)
        missing = math.nan if both_signs(lines[name]) else 0.0
        found.append((missing if stated is None else stated) if mine else 0.0)
    return found


def tiered(rows: list[list[float]], amount: float, column: int) -> float:
    ends = [row[0] for row in rows[1:]] + [math.inf]
    return sum(
        max(min(amount, end) - row[0], 0.0) * row[column]
        for row, end in zip(rows, ends, strict=True)
    )


def judge(document: dict[str, Any]) -> dict[str, float]:
    """The account's figures, and the sum of all terms in its equity by their magnitude."""
    (account,) = document["accounts"]
    params = account["params"]
    held = [(p["symbol"], float(p["quantity"])) for p in account["positions"]]
    equity = collateral = size = initial = kept = 0.0
    for asset, amount in account["balances"].items():
        price = index_of(document, asset)
        equity, size = equity + amount * price, size + abs(amount * price)
        collateral += (tiered(RATIOS[asset], amount, 1) if amount > 0 else amount) * price
        if amount < 0:
            kept += tiered(LOANS[asset], -amount, 1) * price
            initial += tiered(LOANS[asset], -amount, 2) * price
    for p in account["positions"]:
        c, price = contract(document, p["symbol"]), p["entry_price"]
        each = c["mark"] if c["option"] else c["mark"] - price
        if c["settle"] == c["base"] and not c["option"]:
            each = 1 / price - 1 / c["mark"]
        gain = p["quantity"] * c["size"] * each * index_of(document, c["settle"])
        equity, collateral = equity + gain, collateral + gain
        size += abs(p["quantity"]) * c["size"] * index_of(document, c["settle"]) * (
            c["mark"] if c["option"] or c["settle"] != c["base"] else 1 / c["mark"])  # fmt: skip
    for base in MOVES:
        now = sum(unit(document, held, base, params).values())
        terms = now + sum(spreads(document, held, base, params))
        kept, initial = kept + terms, initial + terms * FACTOR[base]
        rise = 0.0
        for side in ("buy", "sell"):
            filled = dict(held)
            for order in account["orders"]:
                if order["side"] == side and not order.get("reduce_only"):
                    sign = 1 if side == "buy" else -1
                    before = filled.get(order["symbol"], 0.0)
                    filled[order["symbol"]] = before + sign * order["quantity"]
            moved = sum(unit(document, list(filled.items()), base, params).values())
            rise = max(rise, moved - now)
        initial += rise * FACTOR[base]
    for order in account["orders"]:
        c = contract(document, order["symbol"])
        worse = (order["price"] - c["mark"]) * (1 if order["side"] == "buy" else -1)
        if not order.get("reduce_only"):
            lost = max(worse, 0.0) * order["quantity"] * c["size"]
            collateral -= lost * index_of(document, c["settle"])
    return {"equity": equity, "collateral_value": collateral, "initial_margin": initial,
            "maintenance_margin": kept, "size": size}  # fmt: skip


def drawn(seed: int) -> dict[str, Any]:
    """A book of stablecoin contracts, or of them and coin-settled ones, under overrides."""
    dice = random.Random(seed)
    quotes = (("USDT", "USDC"), ("USDC",), ("USDT", "USD"))[seed % 3]
    params: dict[str, Any] = {
        "price_moves": MOVES, "vol_moves": VOLS, "futures_contingency_rate": FUTURES,
        "option_contingency_rate": WRITTEN, "initial_factor": FACTOR, "collateral_tiers": RATIOS,
        "borrow_tiers": LOANS, "spot_hedge_coins": {},
    }  # fmt: skip
    if dice.random() < 0.3:
        params["spot_hedge_coins"] = {"BTC": round(dice.uniform(-5, 5), 3)}
    states = dice.random() < 0.7
    for name in SPREADS:
        bases = ("BTC", "ETH") if states else ()
        params[name] = {base: round(dice.uniform(0, 100), 2) for base in bases}
    document = draw_document(seed, "bybit.portfolio", quotes=quotes, params=params)
    (account,) = document["accounts"]
    account["orders"] = []
    linear = [s for s in document["market"]["instruments"] if "/USD:" not in s]
    for _ in range(dice.choice([0, 0, 1, 3])):
        symbol = dice.choice(linear)
        mark = document["market"]["instruments"][symbol]["mark"]
        account["orders"].append({
            "symbol": symbol, "side": dice.choice(["buy", "sell"]),
            "quantity": round(dice.uniform(0.1, 20), 3),
            "price": float(f"{mark * dice.uniform(0.9, 1.1):.8g}"),
            "reduce_only": dice.random() < 0.2,
        })  # fmt: skip
    if dice.random() < 0.3:
        account["balances"]["BTC"] = -round(dice.uniform(0, 3), 4)
    return document


def explained(document: dict[str, Any]) -> Explanation:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    return explain(book, market, load_models(book.instruments, book.models, market.as_of_ns), "a")[
        0
    ]


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_the_oracle_agrees(first: int) -> None:
    unknown = 0
    for seed in range(first, first + 50):
        document = drawn(seed)
        expected, found = judge(document), explained(document)
        if math.isnan(expected["maintenance_margin"]):
            unknown += 1
            assert (seed, found.status) == (seed, Status.UNKNOWN)
        for name, near in (("equity", 1e-9), ("collateral_value", 1e-9),
                           ("initial_margin", 1e-11), ("maintenance_margin", 1e-11)):  # fmt: skip
            wanted = pytest.approx(
                expected[name], abs=near * expected["size"], rel=1e-9, nan_ok=True
            )
            assert (seed, name, getattr(found, name)) == (seed, name, wanted)
    assert 0 < unknown < 40


def test_the_size_of_a_book_scales_its_margin() -> None:
    """Three times the book without debts, amounts or tiers in reach is three times the margin."""
    document = drawn(5)
    (account,) = document["accounts"]
    nothing = {"BTC": 0, "ETH": 0}
    account["params"] |= dict.fromkeys((*SPREADS, "spot_hedge_coins"), nothing)
    account["balances"], account["orders"] = {"USDT": 1}, []
    one = explained(document)
    for position in account["positions"]:
        position["quantity"] = round(position["quantity"] * 3, 4)
    three = explained(document)
    assert one.maintenance_margin > 0
    assert three.maintenance_margin == pytest.approx(3 * one.maintenance_margin, rel=1e-9)
    assert three.initial_margin == pytest.approx(3 * one.initial_margin, rel=1e-9)


def test_what_cannot_be_is_refused_by_name() -> None:
    for params, place in (
        ({"price_moves": {"BTC": [-0.1, "x"]}}, "params.price_moves.BTC"),
        ({"price_moves": {"ETH": [-0.1, 0.1]}}, "params.vol_moves.ETH"),
        ({"price_moves": {"ETH": [0.1]}, "vol_moves": {"ETH": [0, 0, 0]}}, "params.price_moves"),
        ({"initial_factor": {"BTC": 0.9}}, "params.initial_factor.BTC"),
        ({"collateral_tiers": {"BTC": [[0, 1.2]]}}, "params.collateral_tiers.BTC"),
        ({"borrow_tiers": {"BTC": [[0, 0.2, 0.1]]}}, "params.borrow_tiers"),
    ):
        with pytest.raises(InputError) as raised:
            explained(draw_document(1, "bybit.portfolio", params=params))
        assert place in str(raised.value)
    for params, place in (
        ({"position_value": "last"}, "params.position_value"),
        ({"risk_limits": {"BTC": [[1000, 0.01, 0]]}}, "params.risk_limits.BTC"),
        ({"risk_limits": {"BTC": [[1000, 0.01, 50], [500, 0.02, 25], [900, 0.1, 5]]}},
         "params.risk_limits"),
        ({"leverage": {"BTC": 0}}, "params.leverage"),
    ):  # fmt: skip
        with pytest.raises(InputError) as raised:
            explained(draw_document(1, "bybit.cross", params=params))
        assert place in str(raised.value)


def test_the_worst_volatility_is_chosen_at_each_price_and_nan_stays() -> None:
    cells = np.array([[3.0, 1.0, 2.0, -5.0, -4.0, -6.0], [0.0, np.nan, 1.0, 1.0, 0.5, 2.0]])
    worst, column = worst_columns(cells, 3)
    assert column.tolist() == [[1, 2], [1, 1]]
    assert np.array_equal(worst, [[1.0, -6.0], [np.nan, 0.5]], equal_nan=True)
    assert worst_columns(np.zeros((0, 6)), 3)[0].shape == (0, 2)


def test_covering_a_leg_never_raises_maintenance_and_a_rule_file_knows_classic_accounts() -> None:
    """With the other leg beside it, the long leg's own requirement falls to twice its fee."""
    long, short = "BTC/USDT:USDT#long", "BTC/USDT:USDT#short"

    def kept(other: float) -> float:
        positions = [{"symbol": long, "quantity": 2, "entry_price": 50000}]
        if other:
            positions.append({"symbol": short, "quantity": -other, "entry_price": 50000})
        market = {"index": {"BTC": 50000, "USDT": 1}, "instruments": {long: {"mark": 50000},
                  short: {"mark": 50000}}}  # fmt: skip
        account = {"id": "a", "model": "bybit.cross", "balances": {"USDT": 1e5},
                   "positions": positions}  # fmt: skip
        found = explained({"as_of": AS_OF, "market": market, "accounts": [account]})
        return dict(found.detail("margins").rows)[long][2]

    series = [kept(size) for size in (0, 0.5, 1, 2, 3)]
    assert series == sorted(series, reverse=True)
    assert series[-1] == series[-2] == pytest.approx(2 * 100000 * 0.9 * 0.00055)
    price, rate, inverse = np.array([999999.0]), np.array([0.005]), np.array([True])
    # Bybit API documentation, position of 2023: BTCUSD, 300 short.
    in_coin = maintenance_at_bankruptcy(np.array([300.0]), price, rate, inverse)
    assert in_coin[0] == pytest.approx(0.0000015, abs=1e-8)
