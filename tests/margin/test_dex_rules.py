"""Claims of Hyperliquid's, Lighter's and Paradex's rules that need no figures of the venue."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import InputError, Status, stream
from plimsoll.margin import Explanation, explain, find_model, load_models
from plimsoll.margin.charges import (
    cumulative_amounts,
    least_share,
    partial_close,
    settlement_losses,
)
from plimsoll.margin.registry import model_tables

LIGHTER = {"fractions": {c: [0.1, 0.05, 0.012 * k, 0.008] for k, c in enumerate("ABC", start=1)}}
COINS = {"BTC": 100_000.0, "ETH": 4_000.0, "SOL": 150.0}


def document(
    model: str,
    positions: list[dict[str, Any]],
    cash: float,
    marks: dict[str, float],
    params: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One account ``a`` in perpetuals, positions by coin."""
    named = [{**p, "symbol": f"{p['symbol']}/USDC:USDC"} for p in positions]
    return {
        "as_of": "2026-01-01",
        "market": {
            "index": {"USDC": 1, **marks},
            "instruments": {f"{c}/USDC:USDC": {"mark": mark} for c, mark in marks.items()},
        },
        "accounts": [
            {"id": "a", "model": model, "balances": {"USDC": cash}, "positions": named,
             "params": params or {}}
        ],
    }  # fmt: skip


def pool_of(given: dict[str, Any]) -> Explanation:
    portfolio = build_portfolio(decode_document(msgspec.json.encode(given), "case.json"))
    book, market = portfolio.book, portfolio.market
    return explain(book, market, load_models(book.instruments, book.models, market.as_of_ns), "a")[
        0
    ]


def prices_of(pool: Explanation, column: str) -> dict[str, float]:
    positions = pool.detail("positions")
    symbols = (label.partition("/")[0] for label, _ in positions.rows)
    return dict(zip(symbols, positions.column(column), strict=True))


# -- Hyperliquid -----------------------------------------------------------------------------


def draw_hyperliquid(seed: int) -> tuple[list[dict[str, Any]], float]:
    """Positions up to twice the first tier's size, and cash that mostly carries them."""
    random = stream(seed, "hyperliquid")
    positions = []
    for coin in random.permutation(list(COINS))[: random.integers(1, 4)]:
        usd = float(np.exp(random.uniform(np.log(1e5), np.log(2.5e8))))
        quantity = round(usd / COINS[coin] * float(random.choice([-1, 1])), 3)
        positions.append({"symbol": str(coin), "quantity": quantity, "entry_price": COINS[coin],
                          "leverage": 5})  # fmt: skip
    notional = sum(abs(p["quantity"]) * p["entry_price"] for p in positions)
    return positions, round(notional * float(random.uniform(0.06, 0.9)), 2)


def test_at_its_liquidation_price_nothing_is_left_above_maintenance() -> None:
    crossed = found = 0
    for seed in range(150):
        positions, cash = draw_hyperliquid(seed)
        before = pool_of(document("hyperliquid.cross", positions, cash, COINS))
        assert before.status == Status.OK
        for coin, price in prices_of(before, "liquidation_price").items():
            if math.isnan(price):
                continue
            quantity = next(p["quantity"] for p in positions if p["symbol"] == coin)
            at = pool_of(document("hyperliquid.cross", positions, cash, {**COINS, coin: price}))
            scale = sum(abs(p["quantity"]) * p["entry_price"] for p in positions) + abs(
                quantity * price
            )
            assert abs(at.excess_margin) <= 1e-9 * scale, seed
            edge = {"BTC": 150e6, "ETH": 100e6, "SOL": 70e6}[coin]
            sizes = sorted((abs(quantity) * COINS[coin], abs(quantity) * price))
            crossed += sizes[0] < edge < sizes[1]
            found += 1
    # Longs and shorts, and some whose price lies in another tier than the mark.
    assert found > 150
    assert crossed > 10


def test_maintenance_deductions_are_those_of_the_venue() -> None:
    (*_, newest) = model_tables(find_model("hyperliquid.cross", ""))
    for coin, expected in (
        ("BTC", 1_875_000), ("ETH", 1_333_333.3333333333), ("SOL", 1_750_000),
        ("XRP", 1_000_000), ("HYPE", 1_000_000), ("DOT", 150_000),
    ):  # fmt: skip
        floors, leverages = np.array(newest.params["tiers"][coin], dtype=np.float64).T
        assert cumulative_amounts(floors, 0.5 / leverages)[1] == pytest.approx(expected, rel=1e-12)


# -- Lighter ---------------------------------------------------------------------------------


def test_a_fill_at_the_zero_price_leaves_value_over_maintenance() -> None:
    """Position after position, until both are gone."""
    for seed in range(50):
        random = stream(seed, "lighter")
        marks = {coin: float(random.uniform(1, 1000)) for coin in "ABC"}
        open_positions = [
            {"symbol": coin, "quantity": round(float(random.normal(0, 50)), 3) or 1.0,
             "entry_price": marks[coin] * float(random.uniform(0.9, 1.1))}
            for coin in random.permutation(list("ABC"))
        ]  # fmt: skip
        owed = sum(p["quantity"] * (marks[p["symbol"]] - p["entry_price"]) for p in open_positions)
        notional = sum(abs(p["quantity"]) * marks[p["symbol"]] for p in open_positions)
        cash = notional * float(random.uniform(0.005, 0.03)) - owed
        ratio = None
        while open_positions:
            pool = pool_of(document("lighter.cross", open_positions, cash, marks, LIGHTER))
            current = pool.collateral_value / pool.maintenance_margin
            assert ratio is None or current == pytest.approx(ratio, rel=1e-7)
            ratio = current
            closed = open_positions.pop()
            price = prices_of(pool, "bankruptcy_price")[closed["symbol"]]
            cash += closed["quantity"] * (price - closed["entry_price"])
        assert cash == pytest.approx(0.0, abs=1e-7 * notional)


# -- Paradex ---------------------------------------------------------------------------------


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_the_published_table_of_liquidation_shares() -> None:
    """Paradex docs, Liquidations: value 80, maintenance 88.8, shares of 20 to 80 %."""
    value, needed = np.full(4, 80.0), np.full(4, 88.8)
    after = partial_close(value, needed, column(0.2, 0.4, 0.6, 0.8), fee_rate=0.5)
    assert after.maintenance_margin == pytest.approx([71.04, 53.28, 35.52, 17.76])
    assert after.penalty == pytest.approx([8.88, 17.76, 26.64, 35.52])
    assert after.account_value == pytest.approx([71.12, 62.24, 53.36, 44.48])
    assert after.margin_ratio == pytest.approx([0.999, 0.856, 0.666, 0.399], abs=5e-4)


def test_the_least_share_is_the_first_below_the_target() -> None:
    value, needed = column(80, 1000, 20, 100, np.nan), column(88.8, 88.8, 88.8, 90, 1)
    found = least_share(value, needed, fee_rate=0.5, steps=5, ratio_target=0.9)
    # One that is healthy needs a step all the same; one that cannot be saved is closed.
    assert found[:4].tolist() == [0.4, 0.2, 1.0, 0.2]
    assert np.isnan(found[4])
    assert partial_close(column(10), column(100), column(0.5), 0.5).margin_ratio[0] == np.inf
    assert partial_close(column(50), column(100), column(1), 0.5).margin_ratio[0] == 0.0


def test_a_leg_of_nothing_is_no_price_to_look_at() -> None:
    """A naked short call loses without end; only what is held says where to look."""
    group, is_call = np.zeros(2, np.int64), np.array([True, True])
    strikes, value = np.array([100.0, 500.0]), np.array([-5.0, 0.0])
    alone = settlement_losses(group[:1], 1, strikes[:1], is_call[:1], np.array([-1.0]), value[:1])
    beside = settlement_losses(group, 1, strikes, is_call, np.array([-1.0, 0.0]), value)
    assert alone.tolist() == beside.tolist() == [0.0]


def test_settlement_losses_group_by_group() -> None:
    """A debit spread, a short strangle, a lone long put, and a group without legs."""
    group = np.array([0, 1, 0, 1, 2])
    strike = column(100, 80, 110, 120, 90)
    is_call = np.array([True, False, True, True, False])
    units, value = column(1, -1, -1, -2, 3), column(4, -2, -1.5, -3, 15)
    found = settlement_losses(group, 4, strike, is_call, units, value)
    # 2.5 paid; at zero 80 on the put less 5 received; 15 paid.
    assert found.tolist() == [2.5, 75.0, 15.0, 0.0]
    value[0] = np.nan
    assert np.isnan(settlement_losses(group, 4, strike, is_call, units, value)[0])


def test_one_more_scenario_never_lowers_the_scan() -> None:
    position = [{"symbol": "BTC", "quantity": 1, "entry_price": 100_000.0}]
    (table, *_) = model_tables(find_model("paradex.portfolio", ""))
    grid = table.params["scenarios"]["BTC"]
    more = {"scenarios": {"BTC": [*grid, [-0.9, 0.4, 0.2]]}}
    before = pool_of(document("paradex.portfolio", position, 1e5, COINS | {"SOL": 1.0}))
    after = pool_of(document("paradex.portfolio", position, 1e5, COINS | {"SOL": 1.0}, more))
    assert before.detail("underlyings").column("scan_risk")[0] == pytest.approx(16_000)
    assert after.detail("underlyings").column("scan_risk")[0] == pytest.approx(18_000)
    assert after.detail("underlyings").column("worst_scenario")[0] == 25


# -- overrides that make no sense ------------------------------------------------------------

# the model, the override, where it is told below params
SENSELESS = (
    ("hyperliquid.cross", {"tiers": {"BTC": [[0, 40], [0, 20]]}}, "tiers.BTC/USDC:USDC"),
    ("hyperliquid.cross", {"tiers": {"BTC": [[0]]}}, "tiers.BTC/USDC:USDC"),
    ("hyperliquid.cross", {"tiers": {"BTC": [[0, 0.5]]}}, "tiers.BTC/USDC:USDC"),
    ("hyperliquid.cross", {"leverage": {"BTC": 0.5}}, "leverage.BTC/USDC:USDC"),
    ("hyperliquid.cross", {"max_leverage": {"BTC": "x"}}, "max_leverage.BTC/USDC:USDC"),
    ("hyperliquid.cross", {"maintenance_follows_price": 1}, "maintenance_follows_price"),
    ("hyperliquid.cross", {"collateral": "USDC"}, "collateral"),
    ("hyperliquid.cross", {"transfer_floor": 2}, "transfer_floor"),
    ("lighter.cross", {"fractions": {"BTC": [0.1, 0.05, 0.06, 0.01]}}, "fractions.BTC/USDC:USDC"),
    ("lighter.cross", {"fractions": {"BTC": [0.1, 0.05]}}, "fractions.BTC/USDC:USDC"),
    ("paradex.cross", {"initial_fractions": {"BTC": 2}}, "initial_fractions.BTC/USDC:USDC"),
    ("paradex.cross", {"unpaired_scale": [1.0]}, "unpaired_scale"),
    ("paradex.cross", {"unpaired_scale": [1.0, 1.2]}, "unpaired_scale"),
    ("paradex.cross", {"taker_fee": {"options": -1}}, "taker_fee.options"),
    ("paradex.portfolio", {"scenarios": {"BTC": []}}, "scenarios.BTC"),
    ("paradex.portfolio", {"scenarios": {"BTC": [[0.1, 0.4]]}}, "scenarios.BTC"),
    ("paradex.portfolio", {"scenarios": {"BTC": [[-1, 0.4, 1]]}}, "scenarios.BTC"),
    ("paradex.portfolio", {"minimum_delta": {"BTC": [0.01, 0.02]}}, "minimum_delta.BTC"),
    ("paradex.portfolio", {"vol_min_up": {"BTC": -1}}, "vol_min_up.BTC"),
    ("paradex.portfolio", {"funding_rate_8h": {"BTC": 5}}, "funding_rate_8h.BTC/USDC:USDC"),
)


@pytest.mark.parametrize(("model", "params", "place"), SENSELESS)
def test_a_senseless_override_is_refused_with_its_place(
    model: str, params: dict[str, Any], place: str
) -> None:
    position = [{"symbol": "BTC", "quantity": 1, "entry_price": 100_000.0}]
    with pytest.raises(InputError) as caught:
        pool_of(document(model, position, 1e5, {"BTC": 100_000.0}, params))
    assert caught.value.place.endswith(f".params.{place}")
    assert caught.value.remedy


OPTION = "BTC/USDC:USDC-261225-100000-C"


@pytest.mark.parametrize(
    ("rates", "told"),
    [([[1, 2, 3]], "no option fractions"), ([[1] * 5, [2] * 5], "above initial"),
     ([[1] * 5, ["x"] * 5], "no number")],
)  # fmt: skip
def test_senseless_option_fractions_are_refused(rates: Any, told: str) -> None:
    given = document("paradex.cross", [], 1e5, {"BTC": 1e5}, {"options": {"BTC": rates}})
    given["market"]["instruments"][OPTION] = {"mark": 4000}
    with pytest.raises(InputError, match=told):
        pool_of(given)


@pytest.mark.parametrize("model", ["hyperliquid.cross", "lighter.cross", "paradex.cross",
                                   "paradex.portfolio"])  # fmt: skip
def test_a_spot_order_is_unknown(model: str) -> None:
    given = document(model, [], 1e5, {"BTC": 1e5})
    assert pool_of(given).status == Status.OK
    given["market"]["instruments"]["BTC/USDC"] = {"mark": 1e5}
    given["accounts"][0]["orders"] = [
        {"symbol": "BTC/USDC", "side": "buy", "quantity": 0.1, "price": 9e4}
    ]
    assert pool_of(given).status == Status.UNKNOWN
