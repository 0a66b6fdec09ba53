"""Binance USD-M and COIN-M: published accounts, an oracle on random ones, liquidation prices."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.core import InputError, Status, stream
from plimsoll.margin import Explanation, ModelSet, assess, explain, load_models

BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
# The tables of the FAQ's examples, 2021: BTCUSDT as announced, ETHUSDT by its maintenance amount.
BTC_2021 = [[0, 0.004, 125], [50_000, 0.005, 100], [250_000, 0.01, 50], [1_000_000, 0.025, 20],
            [10_000_000, 0.05, 10], [20_000_000, 0.1, 5]]  # fmt: skip
ETH_2021 = [[0, 0.005, 100], [10_000, 0.0065, 75], [100_000, 0.01, 50], [500_000, 0.02, 25],
            [1_000_000, 0.05, 10], [2_000_000, 0.1, 5]]  # fmt: skip


def document(
    model: str, marks: dict[str, float], positions: list[dict[str, Any]], **account: Any
) -> dict[str, Any]:
    size = {"contract_multiplier": 100} if model == "binance.coinm" else {}
    return {
        "as_of": "2026-10-01T00:00:00Z",
        "market": {
            "index": {"USDT": 1, "BTC": 50_000, "ETH": 2_500},
            "instruments": {symbol: {"mark": mark, **size} for symbol, mark in marks.items()},
        },
        "accounts": [{"id": "a", "model": model, "positions": positions, **account}],
    }


def load(written: dict[str, Any]) -> tuple[Portfolio, ModelSet]:
    portfolio = build_portfolio(decode_document(msgspec.json.encode(written), "x.json"))
    book = portfolio.book
    return portfolio, load_models(book.instruments, book.models, portfolio.market.as_of_ns)


def explained(written: dict[str, Any], pool: int = 0) -> Explanation:
    portfolio, models = load(written)
    return explain(portfolio.book, portfolio.market, models, "a")[pool]


def column(explanation: Explanation, table: str, name: str) -> dict[str, float]:
    (found,) = (t for t in explanation.details if t.name == table)
    return dict(zip([label for label, _ in found.rows], found.column(name), strict=True))


def position(symbol: str, quantity: float, entry: float, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "entry_price": entry, **more}


def faq_account(**account: Any) -> dict[str, Any]:
    """The FAQ's cross account of two longs."""
    return document(
        "binance.usdm",
        {BTC: 31_967.27, ETH: 1_335.18},
        [position(BTC, 109.488, 32_481.98), position(ETH, 3_683.979, 1_456.84)],
        balances={"USDT": 1_535_443.01},
        params={"brackets": {BTC: BTC_2021, ETH: ETH_2021}},
        **account,
    )


def test_the_two_positions_of_the_faq() -> None:
    explanation = explained(faq_account())
    maintenance = column(explanation, "brackets", "maintenance_margin")
    assert maintenance[BTC] == pytest.approx(71_200.81144, abs=1e-4)
    assert maintenance[ETH] == pytest.approx(356_512.508, abs=1e-3)
    assert column(explanation, "brackets", "maintenance_amount") == pytest.approx(
        {BTC: 16_300, ETH: 135_365}
    )
    liquidation = column(explanation, "positions", "liquidation_price")
    assert liquidation == pytest.approx({BTC: 26_316.89, ETH: 1_153.26}, abs=0.01)


def test_both_legs_of_hedge_mode_show_the_price_of_the_venues_form() -> None:
    """(WB - TMM + UPNL + cumL + cumS - L EL + S ES) / (L mmrL + S mmrS - L + S)."""
    long, short, tmm, upnl = 30.0, 12.0, 2_500 * 40 * 0.01 - 40, 40 * (2_500 - 2_450)
    written = document(
        "binance.usdm",
        {BTC: 50_000, ETH: 2_500},
        [position(f"{BTC}#long", long, 49_000), position(f"{BTC}#short", -short, 52_000),
         position(ETH, 40, 2_450)],
        balances={"USDT": 150_000},
        params={"brackets": {BTC: BTC_2021, ETH: [[0, 0.005, 100], [8_000, 0.01, 50]]}},
    )  # fmt: skip
    explanation = explained(written)
    # At 44,000 the legs are worth 1.3 and 0.5 million: cum 16,300 and 1,300.
    by_hand = (
        (150_000 - tmm + upnl + 16_300 + 1_300 - long * 49_000 + short * 52_000)
        / (long * 0.025 + short * 0.01 - long + short)
    )  # fmt: skip
    shown = column(explanation, "positions", "liquidation_price")
    assert shown[f"{BTC}#long"] == shown[f"{BTC}#short"] == pytest.approx(by_hand, rel=1e-12)
    assert 1_000_000 < long * by_hand < 10_000_000
    assert 250_000 < short * by_hand < 1_000_000


def test_a_price_in_another_bracket_is_solved_with_that_bracket() -> None:
    written = document(
        "binance.usdm", {BTC: 50_000}, [position(BTC, 30, 50_000)],
        balances={"USDT": 1_300_000}, params={"brackets": {BTC: BTC_2021}},
    )  # fmt: skip
    # 1.5 million at mark (2.5 %, 16,300); 200,000 at about 6,700 (0.5 %, 50).
    shown = column(explained(written), "positions", "liquidation_price")[BTC]
    assert shown == pytest.approx((1_300_000 + 50 - 30 * 50_000) / (30 * 0.005 - 30), rel=1e-12)
    assert 50_000 < 30 * shown < 250_000
    coins = document("binance.coinm", {COIN: 50_000}, [position(COIN, 100_000, 45_000)],
                     balances={"BTC": 101})  # fmt: skip
    # 200 BTC at mark (10 %); almost 300 at 33,599 (12.5 %, 11.605): the site shows 33,599.40.
    shown = column(explained(coins), "positions", "liquidation_price")[COIN]
    assert shown == pytest.approx(1e7 * 1.125 / (101 + 11.605 + 1e7 / 45_000), rel=1e-12)
    assert math.floor(shown * 10) / 10 == 33_599.4


def test_what_no_price_can_liquidate_has_none() -> None:
    rich = document("binance.usdm", {BTC: 50_000}, [position(BTC, 1, 50_000)],
                    balances={"USDT": 50_000})  # fmt: skip
    explanation = explained(rich)
    assert np.isnan(column(explanation, "positions", "liquidation_price")[BTC])
    assert np.isnan(column(explanation, "positions", "bankruptcy_price")[BTC])
    short = document("binance.coinm", {COIN: 50_000}, [position(COIN, -100, 50_000)],
                     balances={"BTC": 0.2})  # fmt: skip
    assert np.isnan(column(explained(short), "positions", "liquidation_price")[COIN])


def test_an_isolated_position_counts_its_own_wallet_alone() -> None:
    """ENAUSDT on a real account, 24 October 2024, and the brackets of that day."""
    symbol = "ENA/USDT:USDT"
    lone = position(symbol, 65_457, 0.4281605481461, margin_mode="isolated",
                    isolated_margin=11_962.99576933)  # fmt: skip
    written = document(
        "binance.usdm", {symbol: 0.3787}, [lone], balances={"USDT": 1e6},
        params={"brackets": {symbol: [[0, 0.01, 50], [10_000, 0.015, 40], [80_000, 0.02, 25]]}},
    )  # fmt: skip
    explanation = explained(written, pool=1)
    assert explanation.equity == pytest.approx(8_725.45720255, rel=1e-6)
    shown = column(explanation, "positions", "liquidation_price")[symbol]
    assert shown == pytest.approx(0.24836096, rel=1e-6)
    assert explanation.maintenance_margin == pytest.approx(24_788.5659 * 0.015 - 50, rel=1e-12)


@pytest.mark.parametrize(
    ("selected", "quantity", "margin"),
    [
        (10, 5, 25_000),  # 250,000 at 10x
        (100, 5, 2_500),  # in the second bracket, up to its end
        (100, 5.0002, 250_010 / 50),  # and past it
        (125, 5, 2_500),
        (100, 400, 2e7 / 10),
        (1, 400, 2e7),
    ],
)
def test_leverage_above_the_brackets_counts_as_the_brackets(
    selected: float, quantity: float, margin: float
) -> None:
    written = document(
        "binance.usdm", {BTC: 50_000}, [position(BTC, quantity, 50_000, leverage=selected)],
        balances={"USDT": 1e7}, params={"brackets": {BTC: BTC_2021}},
    )  # fmt: skip
    assert explained(written).initial_margin == pytest.approx(margin, rel=1e-12)


@pytest.mark.parametrize(
    ("held", "orders", "added", "loss"),
    [
        (2, [("buy", 1, 49_000)], 49_000, 0),
        (2, [("sell", 3, 51_000)], 0, 0),  # |2 - 3.06| stays below 2
        (2, [("sell", 5, 51_000)], 255_000 - 200_000, 0),
        (-2, [("buy", 3, 49_000), ("sell", 1, 51_000)], 51_000, 0),
        (0, [("buy", 1, 49_000), ("sell", 2, 51_000)], 102_000, 0),
        (0, [("buy", 1, 51_000)], 51_000, 1_000),
        (0, [("sell", 2, 49_000)], 98_000, 2_000),
    ],
)
def test_open_orders_take_the_worse_side(
    held: float, orders: list[tuple[str, float, float]], added: float, loss: float
) -> None:
    listed = [{"symbol": BTC, "side": s, "quantity": q, "price": p} for s, q, p in orders]
    reducing = {"symbol": BTC, "side": "sell", "quantity": 9, "price": 1, "reduce_only": True}
    written = document(
        "binance.usdm", {BTC: 50_000}, [position(BTC, held, 50_000, leverage=10)],
        balances={"USDT": 1e6}, orders=[*listed, reducing], params={"leverage": {BTC: 10}},
    )  # fmt: skip
    charges = {c.name: (c.initial, c.maintenance) for c in explained(written).charges}
    assert charges["open_orders"] == (pytest.approx(added / 10, rel=1e-12), 0.0)
    assert charges["open_loss"] == (loss, 0.0)


def test_orders_on_inverse_contracts_are_worth_coins_at_their_limits() -> None:
    order = {"symbol": COIN, "side": "buy", "quantity": 98, "price": 49_000}
    written = document("binance.coinm", {COIN: 50_000}, [position(COIN, 100, 50_000)],
                       balances={"BTC": 1}, orders=[order])  # fmt: skip
    margins = column(explained(written), "brackets", "open_order_margin")
    assert margins[COIN] == pytest.approx((9_800 / 49_000) / 20, rel=1e-12)


@pytest.mark.parametrize("held", [{}, {"quantity": 0}])
def test_a_spot_order_has_no_rule(held: dict[str, Any]) -> None:
    order = {"symbol": "BTC/USDT", "side": "buy", "quantity": 1, "price": 49_000}
    written = document("binance.usdm", {BTC: 50_000, "BTC/USDT": 50_000}, [],
                       balances={"USDT": 1e6}, orders=[order])  # fmt: skip
    assert explained(written).status == Status.UNKNOWN


@pytest.mark.parametrize(
    ("model", "symbol"),
    [("binance.usdm", COIN), ("binance.coinm", BTC), ("binance.usdm", "MOON/USDT:USDT"),
     ("binance.usdm", "BTC/USDT:USDT-261225-60000-C")],
)  # fmt: skip
def test_other_contracts_have_no_rule(model: str, symbol: str) -> None:
    written = document(model, {symbol: 100}, [position(symbol, 1, 100)], balances={"USDT": 1e6})
    settle = symbol.partition(":")[2][:4].removesuffix("-")
    pools = [explained(written, pool) for pool in range(1 + (settle == "BTC"))]
    assert pools[-1].status == Status.UNKNOWN


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"leverage": {BTC: 0.5}}, ".leverage.BTC/USDT:USDT: 0.5 is no number from 1 to inf"),
        (
            {"brackets": {BTC: [[0, 0.004]]}},
            ".brackets.BTC/USDT:USDT[0]: None is no leverage of 1 or more; give rows of floor",
        ),
        ({"brackets": {BTC: [[0, 0.004, 0.9]]}}, "[0]: 0.9 is no leverage of 1 or more"),
        ({"brackets": {BTC: [[0, 0.004, True]]}}, "[0]: True is no leverage of 1 or more"),
        (
            {"brackets": {BTC: [[0, 0.02, 50], [10, 0.03, 40]]}},
            "[1]: 40x leaves less margin than the maintenance rate 0.03",
        ),
        ({"brackets": {BTC: [[5, 0.004, 9]]}}, ".brackets.BTC/USDT:USDT: floors do not rise"),
    ],
)
def test_refusals_name_the_place(params: dict[str, Any], message: str) -> None:
    written = document("binance.usdm", {BTC: 50_000}, [position(BTC, 1, 50_000)], params=params)
    portfolio = build_portfolio(decode_document(msgspec.json.encode(written), "x.json"))
    with pytest.raises(InputError) as refused:
        load_models(portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns)
    assert message in str(refused.value)


# Random accounts. Brackets are close together, so that prices move positions across several.
RANDOM_BRACKETS = [
    [0, 0.004, 100], [2_000, 0.005, 75], [5_000, 0.01, 50], [12_000, 0.025, 20],
    [30_000, 0.05, 10], [80_000, 0.125, 4], [200_000, 0.25, 2], [400_000, 0.5, 1],
]  # fmt: skip
COIN_BRACKETS = [[floor / 5_000, rate, cap] for floor, rate, cap in RANDOM_BRACKETS]
CONTRACTS = {
    "binance.usdm": {"BTC/USDT:USDT": 5_000.0, "ETH/USDT:USDT": 200.0, "SOL/USDC:USDC": 10.0},
    "binance.coinm": {"BTC/USD:BTC": 5_000.0, "BTC/USD:BTC-261225": 5_100.0},
}


def random_document(model: str, seed: int) -> dict[str, Any]:
    """One to three contracts, some in hedge mode, some with orders; wallets of any health."""
    random = stream(seed, f"accounts of {model}")
    inverse = model == "binance.coinm"
    marks = {s: m * math.exp(random.normal(0, 0.2)) for s, m in CONTRACTS[model].items()}
    usd = math.exp(random.uniform(math.log(500), math.log(3e5)))
    positions, orders = [], []
    for symbol, mark in marks.items():
        legs = [("", random.choice([-1, 1]))]
        if random.random() < 0.4:
            legs = [("#long", 1), ("#short", -1)]
        if random.random() < 0.2:
            continue
        for name, side in legs:
            size = usd * random.uniform(0.1, 1)
            quantity = round(float(side * (size / 100 if inverse else size / mark)), 6)
            entry = round(mark * math.exp(random.normal(0, 0.1)), 4)
            leverage = int(random.integers(1, 60))
            if quantity:
                positions.append(position(symbol + name, quantity, entry))
        orders += [
            {"symbol": symbol + legs[0][0], "side": str(random.choice(["buy", "sell"])),
             "quantity": round(usd / (100 if inverse else mark) * random.uniform(0.1, 2), 6),
             "price": round(mark * math.exp(random.normal(0, 0.03)), 4)}
            for _ in range(int(random.choice([0, 0, 1, 2])))
        ]  # fmt: skip
    rows = COIN_BRACKETS if inverse else RANDOM_BRACKETS
    wallet = usd * random.uniform(0.02, 1.5)
    balances = {"BTC": wallet / 5_000} if inverse else {"USDT": wallet, "USDC": wallet / 3}
    written = document(
        model, {}, positions, orders=orders,
        balances={asset: round(amount, 8) for asset, amount in balances.items()},
        params={"brackets": dict.fromkeys(marks, rows),
                "leverage": dict.fromkeys(marks, leverage) if positions else {}},
    )  # fmt: skip
    size = {"contract_multiplier": 100} if inverse else {}
    written["market"]["instruments"] = {s: {"mark": round(m, 4), **size} for s, m in marks.items()}
    written["market"]["index"] = {"USDT": 0.999, "USDC": 1.0002, "BTC": 5_003.0, "ETH": 1.0}
    return written


def plain_maintenance(rows: list[list[float]], notional: float) -> float:
    """Slice by slice."""
    ends = [*(floor for floor, _, _ in rows[1:]), math.inf]
    return sum(
        max(min(notional, end) - floor, 0) * rate
        for (floor, rate, _), end in zip(rows, ends, strict=True)
    )


def plain_leverage(rows: list[list[float]], notional: float, selected: float) -> float:
    """What is selected, at most what the bracket allows."""
    return min(selected, [cap for floor, _, cap in rows if notional > floor or floor == 0][-1])


def plain_pool(written: dict[str, Any], settle: str) -> tuple[float, float, float]:
    """Equity, initial and maintenance margin of one settle asset's pool, in USD."""
    market, account = written["market"], written["accounts"][0]
    price = market["index"][settle]
    inverse = account["model"] == "binance.coinm"
    equity = account["balances"].get(settle, 0.0)
    initial = maintenance = 0.0
    held: dict[str, float] = {}

    def settles(symbol: str) -> bool:
        return symbol.partition("#")[0].partition(":")[2].partition("-")[0] == settle

    def worth(quantity: float, at: float) -> float:
        return quantity * 100 / at if inverse else quantity * at

    loss = 0.0
    for p in account["positions"]:
        if settles(p["symbol"]):
            mark = market["instruments"][p["symbol"].partition("#")[0]]["mark"]
            gain = worth(p["quantity"], mark) - worth(p["quantity"], p["entry_price"])
            equity += -gain if inverse else gain
            held[p["symbol"]] = worth(p["quantity"], mark)
    symbols = {o["symbol"] for o in account["orders"] if settles(o["symbol"])} | held.keys()
    for symbol in symbols:
        contract = symbol.partition("#")[0]
        rows = account["params"]["brackets"][contract]
        selected = account["params"]["leverage"].get(contract, 20)
        mark = market["instruments"][contract]["mark"]
        now, bids, asks = held.get(symbol, 0.0), 0.0, 0.0
        for o in account["orders"]:
            if o["symbol"] == symbol:
                at_limit = worth(o["quantity"], o["price"])
                better = o["price"] <= mark if o["side"] == "buy" else o["price"] >= mark
                loss += 0 if better else abs(at_limit - worth(o["quantity"], mark))
                bids, asks = (
                    (bids + at_limit, asks) if o["side"] == "buy" else (bids, asks + at_limit)
                )
        maintenance += plain_maintenance(rows, abs(now))
        worst = max(abs(now + bids), abs(now - asks))
        if worst:
            initial += worst / plain_leverage(rows, worst, selected)
    return equity * price, (initial + loss) * price, maintenance * price


@pytest.mark.parametrize("model", CONTRACTS)
def test_random_accounts_against_the_oracle(model: str) -> None:
    pools = 0
    for seed in range(150):
        written = random_document(model, seed)
        portfolio, models = load(written)
        found = explain(portfolio.book, portfolio.market, models, "a")
        for pool, settle in zip(found, written["accounts"][0]["balances"], strict=False):
            equity, initial, maintenance = plain_pool(written, settle)
            scale = abs(equity) + initial
            assert pool.equity == pytest.approx(equity, abs=1e-9 * scale)
            assert pool.initial_margin == pytest.approx(initial, rel=1e-9)
            assert pool.maintenance_margin == pytest.approx(maintenance, rel=1e-9)
            pools += maintenance > 0
    assert pools > 100


def excess_at(portfolio: Portfolio, models: ModelSet, contract: str, pool: int) -> Any:
    """Excess margin of a pool as a function of one contract's mark, both legs of it."""
    table = portfolio.book.instruments
    rows = [k for k, row in enumerate(table.rows) if row.contract == contract]

    def excess(mark: float) -> float:
        price = portfolio.market.price.copy()
        price[rows] = mark
        market = replace(portfolio.market, price=price)
        return float(assess(portfolio.book, market, models).excess_margin[pool])

    return excess


def bisect(function: Any, low: float, high: float) -> float:
    """Where a function changes sign between two points, to the last bits."""
    sign = function(low) > 0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if (function(middle) > 0) == sign else (low, middle)
    return math.sqrt(low * high)


def roots(function: Any, mark: float) -> Iterator[tuple[float, bool]]:
    """Every price at which a function changes sign, and whether it is above the mark."""
    grid = [mark * math.exp(0.08 * k) for k in range(-130, 131)]
    values = [function(x) > 0 for x in grid]
    for k in range(260):
        if values[k] != values[k + 1]:
            yield bisect(function, grid[k], grid[k + 1]), k >= 130


@pytest.mark.parametrize("model", CONTRACTS)
def test_the_liquidation_price_is_where_the_excess_margin_ends(model: str) -> None:
    """By bisection of the model itself; brackets are crossed on the way, both ways."""
    found = {"shown": 0, "hedged": 0, "none": 0, "crossed": 0}
    for seed in range(24):
        written = random_document(model, seed)
        written["accounts"][0]["orders"] = []
        portfolio, models = load(written)
        pools = explain(portfolio.book, portfolio.market, models, "a")
        for number, explanation in enumerate(pools):
            shown = column(explanation, "positions", "liquidation_price")
            for contract in {symbol.partition("#")[0] for symbol in shown}:
                legs = [s for s in shown if s.partition("#")[0] == contract]
                price, mark = shown[legs[0]], written["market"]["instruments"][contract]["mark"]
                # The first pool of the account is number 5, the other settle assets follow.
                excess = excess_at(portfolio, models, contract, 5 + number)
                # From the mark on, the venue looks where the excess falls.
                falls_up = excess(mark * (1 + 1e-7)) < excess(mark)
                healthy = excess(mark) > 0
                near = [x for x, above in roots(excess, mark) if above == (falls_up == healthy)]
                if math.isnan(price):
                    assert not near, (seed, contract)
                    found["none"] += 1
                    continue
                assert near, (seed, contract)
                best = min(near, key=lambda x: abs(x - price))
                assert price == pytest.approx(best, rel=1e-9), (seed, contract)
                found["shown"] += 1
                found["hedged"] += len(legs) == 2
                found["crossed"] += crosses(written, legs[0], mark, price)
    assert min(found.values()) >= 3, found


def crosses(written: dict[str, Any], symbol: str, mark: float, price: float) -> bool:
    """Whether a position's bracket at one price is not its bracket at another."""
    account = written["accounts"][0]
    (held,) = (p for p in account["positions"] if p["symbol"] == symbol)
    rows = account["params"]["brackets"][symbol.partition("#")[0]]
    inverse = account["model"] == "binance.coinm"

    def bracket(at: float) -> int:
        notional = abs(held["quantity"]) * (100 / at if inverse else at)
        return sum(notional > floor for floor, _, _ in rows)

    return bracket(mark) != bracket(price)
