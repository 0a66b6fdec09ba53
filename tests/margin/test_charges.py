"""Each charge on its own: published figures, and the formula written out term by term."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from plimsoll.core import InputError, Status
from plimsoll.margin import assess, explain, load_models
from plimsoll.margin.assessment import margin_ratio
from plimsoll.margin.charges import (
    MarginalTiers,
    cumulative_amounts,
    schedules,
    size_scaled_excess,
    worst_side,
)
from tests.book.builders import STANDARD, T0, Desk, fold, market_of, open_book, table_of

VECTORS = Path(__file__).parents[1] / "vectors" / "tiers.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]

TABLE = table_of(
    {
        "BTC/USDT:USDT": "1",
        "BTC/USDT:USDT-261225": "1",
        "BTC/USD:BTC": "100",
        "ETH/USD:ETH": "10",
        "ETH/USD:BTC": "0.000001",
        "DOGE/USDT:USDT": "1",
        "MOON/USDT:USDT": "1",
        "BTC/USDT": "1",
        "BTC/USD:BTC-261225-80000-C": "1",
    },
    {"USDT": 6, "BTC": 8, "LUNC": 6},
)
DESK = Desk(TABLE)
INDEX = {"BTC": 60_000.0, "ETH": 2_500.0, "DOGE": 0.25, "USDT": 1.0, "LUNC": 0.5, "MOON": 1.0}
MARKS = {
    "BTC/USDT:USDT": 60_000.0,
    "BTC/USDT:USDT-261225": 60_000.0,
    "BTC/USD:BTC": 60_000.0,
    "ETH/USD:ETH": 2_500.0,
    "ETH/USD:BTC": 2_500.0,
    "DOGE/USDT:USDT": 0.25,
    "MOON/USDT:USDT": 1.0,
    "BTC/USDT": 60_000.0,
    "BTC/USD:BTC-261225-80000-C": 0.01,
}
MARKET = market_of(TABLE, MARKS, INDEX)
MODELS = load_models(TABLE, (STANDARD,), T0)
FEE = 0.0005


def judge(transfers=(), trades=(), orders=()):
    """The explanation of one account's cross pool, with its charges by name."""
    book = fold(
        open_book(TABLE, "alice"),
        transfers=[DESK.deposit(5, *row) for row in transfers],
        trades=[DESK.trade(5, *row) for row in trades],
        orders=[DESK.order(5, k, *row) for k, row in enumerate(orders)],
    )
    (found,) = explain(book, MARKET, MODELS, "alice")
    return found, {line.name: (line.initial, line.maintenance) for line in found.charges}


# -- tiers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_published_tiers(case: dict) -> None:
    floors, rates = np.array(case["floors"], float), np.array(case["rates"], float)
    constants = cumulative_amounts(floors, rates, case.get("first", 0.0))
    if "cumulative" in case:
        assert constants == pytest.approx(case["cumulative"], abs=case["tolerance"], rel=0)
    tiers = MarginalTiers.build([list(zip(floors, rates, strict=True))])
    amounts = case["amounts"] + case["derived_amounts"]
    for value, expected in amounts:
        got = tiers.amount(np.zeros(1, np.int32), np.array([value], float))
        assert got == pytest.approx(expected, abs=case["tolerance"], rel=0)
    assert amounts or "cumulative" in case


TIERS = ((0.0, 0.01), (100.0, 0.03), (400.0, 0.10))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, 0.0),
        (60.0, 60 * 0.01),
        (100.0, 100 * 0.01),
        (math.nextafter(100.0, 200.0), 100 * 0.01),
        (150.0, 100 * 0.01 + 50 * 0.03),
        (400.0, 100 * 0.01 + 300 * 0.03),
        (1e9, 100 * 0.01 + 300 * 0.03 + (1e9 - 400) * 0.10),
        (math.nan, math.nan),
    ],
)
def test_each_slice_pays_its_own_rate(value: float, expected: float) -> None:
    tiers = MarginalTiers.build([[], TIERS])
    (got,) = tiers.amount(np.ones(1, np.int32), np.array([value]))
    assert got == pytest.approx(expected, rel=1e-15, abs=1e-15, nan_ok=True)


def test_a_schedule_without_tiers_knows_only_nothing() -> None:
    tiers = MarginalTiers.build([TIERS, []])
    amounts = tiers.amount(np.ones(2, np.int32), np.array([0.0, 1.0]))
    assert amounts[0] == 0
    assert math.isnan(amounts[1])
    assert tiers.first_rate[0] == 0.01
    assert math.isnan(tiers.first_rate[1])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([[1, 0.1]], "floors do not rise from 0"),
        ([[0, 0.1], [5, 0.2], [5, 0.3]], "floors do not rise from 0"),
        ([[0, 0.1], [9, 0.2], [5, 0.3]], "floors do not rise from 0"),
        ([[0, 1.1]], "a rate is no fraction"),
        ([[0, -0.1]], "a rate is no fraction"),
        ([[0, math.nan]], "a rate is no fraction"),
        ([[0]], "rows are not numbers"),
        ([["0", "0.1"]], "rows are not numbers"),
        ([[0, None]], "rows are not numbers"),
        ([0, 0.1], "rows are not numbers"),
        (7, "rows are not numbers"),
    ],
)
def test_impossible_tiers_are_refused_by_name(rows, problem: str) -> None:
    with pytest.raises(InputError, match=rf"^tiers\.BTC: {problem}; "):
        schedules({"BTC": rows}, ["ETH", "BTC"], 1, "tiers")


# coins of BTC at 60,000 -> (initial, maintenance) by slices of the house table
BRACKETS = {
    "1": (60e3 / 150, 60e3 * 0.004),
    "5": (300e3 / 150, 300e3 * 0.004),
    "10": (300e3 / 150 + 300e3 * 0.01, 300e3 * 0.004 + 300e3 * 0.005),
    "-20": (
        300e3 / 150 + 500e3 * 0.01 + 400e3 / 75,
        300e3 * 0.004 + 500e3 * 0.005 + 400e3 * 0.0065,
    ),
}


@pytest.mark.parametrize("quantity", BRACKETS)
def test_brackets_of_the_house(quantity: str) -> None:
    _, lines = judge(trades=[("BTC/USDT:USDT", quantity, "60000")])
    assert lines["tiered_notional"] == pytest.approx(BRACKETS[quantity], rel=1e-14)


def test_an_underlying_is_charged_on_its_larger_side() -> None:
    """7 BTC long against 3 in a future and 2 in the inverse contract: charged on 7."""
    found, lines = judge(
        trades=[
            ("BTC/USDT:USDT", "7", "60000"),
            ("BTC/USDT:USDT-261225", "-3", "60000"),
            ("BTC/USD:BTC", "-1200", "60000"),
        ]
    )
    assert lines["tiered_notional"][1] == pytest.approx(300e3 * 0.004 + 120e3 * 0.005, rel=1e-14)
    assert lines["fee_provision"] == pytest.approx((FEE * 12 * 60e3,) * 2, rel=1e-14)
    (exposure,) = [table for table in found.details if table.name == "exposure"]
    ((label, figures),) = exposure.rows
    row = dict(zip(exposure.columns, figures, strict=True))
    assert label == "BTC"
    assert (row["long"], row["short"], row["charged_side"]) == pytest.approx((420e3, 300e3, 420e3))


def test_quanto_and_inverse_notionals() -> None:
    """Quanto: contracts x multiplier x mark BTC. Inverse: contracts x its USD value."""
    _, quanto = judge(trades=[("ETH/USD:BTC", "100", "2500")])
    assert quanto["fee_provision"][0] == pytest.approx(FEE * 100 * 1e-6 * 2500 * 60_000, rel=1e-14)
    _, inverse = judge(trades=[("ETH/USD:ETH", "-100", "2000")])
    assert inverse["fee_provision"][0] == pytest.approx(FEE * 100 * 10, rel=1e-14)


def test_worst_side_keeps_what_it_cannot_know() -> None:
    sides = worst_side(np.array([1.0, np.nan, 3.0]), np.array([2.0, 1.0, np.nan]))
    assert sides.tolist()[0] == 2.0
    assert np.isnan(sides[1:]).all()


# -- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coins", "base", "slope", "charged", "expected"),
    [
        # Deribit, linear perpetual: 1 % + 0.005 % per BTC, so 25 BTC pay 1.125 %
        (25, 0.01, 0.00005, 0.0, 25 * 60e3 * 0.01125),
        (25, 0.01, 0.00005, 15_000.0, 25 * 60e3 * 0.01125 - 15_000.0),
        (25, 0.01, 0.00005, 16_875.0, 0.0),
        (25, 0.01, 0.00005, 99_999.0, 0.0),
        (0, 0.01, 0.00005, 0.0, 0.0),
        (0, math.nan, 0.00005, 0.0, 0.0),
        (25, 0.01, 0.0, 0.0, 0.0),
        (30_000, 0.01, 0.00005, 0.0, 30_000 * 60e3 * 1.0),
        (math.nan, 0.01, 0.00005, 0.0, math.nan),
    ],
)
def test_size_scaled_rate(
    coins: float, base: float, slope: float, charged: float, expected: float
) -> None:
    columns = (coins * 60e3, 60e3, base, slope, charged)
    asset = np.zeros(1, dtype=np.int32)
    (got,) = size_scaled_excess(asset, *(np.array([x], dtype=float) for x in columns))
    assert got == pytest.approx(expected, rel=1e-14, nan_ok=True)


def test_a_size_without_a_price_is_unknown() -> None:
    asset, one = np.zeros(1, dtype=np.int32), np.ones(1)
    got = size_scaled_excess(asset, one, np.array([np.nan]), one / 100, one / 1e5, one / 100)
    assert np.isnan(got).all()


def test_size_beyond_the_brackets_of_the_house() -> None:
    """100 BTC: brackets ask 300k 0.4 % + 500k 0.5 % + 2.2m 0.65 % + 3m 1 % of maintenance,

    the size rule 0.4 % + 100 x 0.005 % = 0.9 % of all 6m.
    """
    _, lines = judge(trades=[("BTC/USDT:USDT", "100", "60000")])
    tiered = 300e3 * 0.004 + 500e3 * 0.005 + 2.2e6 * 0.0065 + 3e6 * 0.01
    initial = 300e3 / 150 + 500e3 * 0.01 + 2.2e6 / 75 + 3e6 * 0.02
    assert lines["tiered_notional"] == pytest.approx((initial, tiered), rel=1e-14)
    excess = (6e6 * (1 / 150 + 0.005) - initial, 6e6 * 0.009 - tiered)
    assert lines["size_scaled"] == pytest.approx((max(excess[0], 0), excess[1]), rel=1e-12)
    _, none = judge(trades=[("DOGE/USDT:USDT", "40000000", "0.25")])
    assert none["size_scaled"] == (0.0, 0.0)


# -- collateral ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deposits", "equity", "collateral"),
    [
        ((("USDT", "1000"),), 1e3, 1e3),
        ((("USDT", "-1000"),), -1e3, -1e3),
        ((("USDT", "31000000"),), 31e6, 31e6 - 1e6 * 0.02),
        ((("BTC", "100"),), 6e6, 6e6 * 0.95),
        ((("BTC", "5000"),), 300e6, 100e6 * 0.95 + 100e6 * 0.9 + 100e6 * 0.8),
        ((("BTC", "-2"),), -120e3, -120e3),
        ((("LUNC", "1000"),), 500.0, 0.0),
        ((("LUNC", "-1000"),), -500.0, -500.0),
        ((("BTC", "1"), ("USDT", "-50000"), ("LUNC", "10")), 10_005.0, 57e3 - 50e3),
    ],
)
def test_haircut_collateral(deposits, equity: float, collateral: float) -> None:
    found, _ = judge(transfers=deposits)
    assert found.equity == pytest.approx(equity, rel=1e-14)
    assert found.collateral_value == pytest.approx(collateral, rel=1e-14)


def test_profit_counts_in_the_asset_it_is_settled_in() -> None:
    """600 inverse contracts from 50,000 to 60,000 gain 60,000 (1/50,000 - 1/60,000) = 0.2 BTC."""
    found, _ = judge(transfers=[("BTC", "1")], trades=[("BTC/USD:BTC", "600", "50000")])
    assert found.equity == pytest.approx(1.2 * 60e3, rel=1e-13)
    assert found.collateral_value == pytest.approx(1.2 * 60e3 * 0.95, rel=1e-13)
    # A quanto future pays BTC for ETH's dollars: 1e6 contracts x 1e-6 BTC x (2500 - 2400).
    found, _ = judge(trades=[("ETH/USD:BTC", "1000", "2400")])
    assert found.equity == pytest.approx(1000 * 1e-6 * 100 * 60e3, rel=1e-12)


def test_a_loss_takes_the_balance_of_its_asset_before_the_haircut() -> None:
    """1 BTC less a loss of 0.25 BTC is 0.75 BTC of collateral, not 1 x 95 % less 0.25."""
    found, _ = judge(transfers=[("BTC", "1")], trades=[("BTC/USD:BTC", "-600", "48000")])
    assert found.equity == pytest.approx(0.75 * 60e3, rel=1e-12)
    assert found.collateral_value == pytest.approx(0.75 * 60e3 * 0.95, rel=1e-12)


# -- open orders ---------------------------------------------------------------------------------

LONG = ("BTC/USDT:USDT", "10", "60000")


def initial(usd: float) -> float:
    """BTC up to 800,000 USD: by brackets, or by the size of all of it at 60,000."""
    by_brackets = min(usd, 300e3) / 150 + max(usd - 300e3, 0) * 0.01
    return max(by_brackets, usd * (1 / 150 + 0.00005 * usd / 60e3))


@pytest.mark.parametrize(
    ("held", "orders", "expected"),
    [
        # alone: its own margin and the fee to close it
        ((), (("BTC/USDT:USDT", "5", "60000"),), initial(300e3) + FEE * 300e3),
        ((), (("BTC/USDT:USDT", "-5", "60000"),), initial(300e3) + FEE * 300e3),
        # only the worse side fills
        (
            (),
            (("BTC/USDT:USDT", "5", "60000"), ("BTC/USDT:USDT", "-3", "60000")),
            initial(300e3) + FEE * 300e3,
        ),
        # more of the same side
        ((LONG,), (("BTC/USDT:USDT", "2", "60000"),), 120e3 * 0.01 + FEE * 120e3),
        # closing what is held asks nothing; 15 sold of 10 held opens 5, the smaller side
        ((LONG,), (("BTC/USDT:USDT", "-10", "60000"),), 0.0),
        ((LONG,), (("BTC/USDT:USDT", "-15", "60000"),), 0.0),
        # 22 sold of 10 held opens 12, two more than are charged already
        ((LONG,), (("BTC/USDT:USDT", "-22", "60000"),), 120e3 * 0.01 + FEE * 120e3),
        # another contract on the underlying does not close, it hedges
        ((LONG,), (("BTC/USDT:USDT-261225", "-12", "60000"),), 120e3 * 0.01 + FEE * 120e3),
        # reduce-only can only help
        ((LONG,), (("BTC/USDT:USDT", "-25", "60000", True),), 0.0),
        # a fill against mark loses at once: 2 x (60,000 - 59,000)
        ((LONG,), (("BTC/USDT:USDT", "-2", "59000"),), 2 * 1000.0),
        ((LONG,), (("BTC/USDT:USDT", "-2", "61000"),), 0.0),
        # a bid above mark: opened at its own price, 61,000, and 1,000 lost
        ((), (("BTC/USDT:USDT", "1", "61000"),), initial(61e3) + FEE * 61e3 + 1000.0),
        # an inverse bid at 64,000: 100 x 6 USD of notional, 600 (1/60,000 - 1/64,000) BTC lost
        (
            (),
            (("BTC/USD:BTC", "6", "64000"),),
            initial(600) + FEE * 600 + 600 * (1 / 60e3 - 1 / 64e3) * 60e3,
        ),
        # spot locks what it would pay: quote at the limit, or the coins
        ((), (("BTC/USDT", "2", "50000"),), 2 * 50e3),
        ((), (("BTC/USDT", "-2", "70000"),), 2 * 60e3),
    ],
)
def test_open_orders(held, orders, expected: float) -> None:
    found, lines = judge(trades=held, orders=orders)
    assert lines["open_orders"][0] == pytest.approx(expected, rel=1e-12, abs=1e-9)
    assert lines["open_orders"][1] == 0.0
    assert found.initial_margin == sum(initial for initial, _ in lines.values())


# -- status --------------------------------------------------------------------------------------


# 1 BTC long at mark needs 240 by brackets, 3 more by size, and 30 of fees; it is called at 1.2 x
@pytest.mark.parametrize(
    ("deposit", "status"),
    [
        ("-1", Status.BANKRUPT),
        ("0", Status.LIQUIDATABLE),
        ("272.9", Status.LIQUIDATABLE),
        ("273", Status.LIQUIDATABLE),
        ("273.1", Status.MARGIN_CALL),
        ("327.5", Status.MARGIN_CALL),
        ("327.7", Status.OK),
    ],
)
def test_status_follows_the_ratio(deposit: str, status: Status) -> None:
    found, _ = judge(transfers=[("USDT", deposit)], trades=[("BTC/USDT:USDT", "1", "60000")])
    assert found.status == status
    assert found.excess_margin == found.collateral_value - found.maintenance_margin


def test_debt_beyond_the_haircut_is_liquidatable_without_positions() -> None:
    found, _ = judge(transfers=[("BTC", "1"), ("USDT", "-58000")])
    assert (found.equity, found.collateral_value) == pytest.approx((2000.0, -1000.0))
    assert found.status == Status.LIQUIDATABLE
    assert found.margin_ratio == math.inf


def test_margin_ratio_at_its_edges() -> None:
    collateral = np.array([0.0, 1.0, -1.0, 0.0, 2.0, -1.0, np.nan])
    maintenance = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    expected = np.array([0.0, 0.0, np.inf, np.inf, 0.5, np.inf, np.nan])
    assert np.array_equal(margin_ratio(collateral, maintenance), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("symbol", "price", "reason"),
    [
        (
            "BTC/USD:BTC-261225-80000-C",
            "0.01",
            "plimsoll.standard has no rule or parameter for BTC/USD:BTC-261225-80000-C",
        ),
        ("MOON/USDT:USDT", "1", "plimsoll.standard has no rule or parameter for MOON/USDT:USDT"),
    ],
)
@pytest.mark.parametrize("how", ["held", "ordered"])
def test_what_has_no_rule_is_unknown(symbol: str, price: str, reason: str, how: str) -> None:
    row = (symbol, "1", price)
    found, _ = judge(
        transfers=[("USDT", "1000000")],
        trades=[row] if how == "held" else [],
        orders=[row] if how == "ordered" else [],
    )
    assert found.status == Status.UNKNOWN
    assert found.reasons == (reason,)


def test_an_isolated_pool_stands_alone() -> None:
    book = fold(open_book(TABLE, "alice"), pools=(0,))
    book = fold(
        book,
        transfers=[DESK.deposit(5, "USDT", "5000"), DESK.deposit(6, "USDT", "1000", source=5)],
        trades=[DESK.trade(6, "BTC/USDT:USDT", "1", "62000")],
    )
    cross, isolated = explain(book, MARKET, MODELS, "alice")
    assert (cross.kind, cross.pool, cross.status) == ("cross", "alice", Status.OK)
    assert (cross.equity, cross.maintenance_margin) == (4000.0, 0.0)
    assert (isolated.kind, isolated.pool) == ("isolated", "alice [BTC/USDT:USDT]")
    assert (isolated.equity, isolated.status) == (-1000.0, Status.BANKRUPT)


def test_an_explanation_says_what_the_assessment_says() -> None:
    book = fold(
        open_book(TABLE, "bob", "alice"),
        transfers=[DESK.deposit(6, "BTC", "2"), DESK.deposit(5, "USDT", "9")],
        trades=[DESK.trade(6, "ETH/USD:ETH", "700", "2400")],
        orders=[DESK.order(6, 1, "BTC/USDT:USDT", "3", "59000")],
    )
    result = assess(book, MARKET, MODELS)
    (found,) = explain(book, MARKET, MODELS, "alice")
    for name in ("equity", "collateral_value", "initial_margin", "maintenance_margin"):
        assert getattr(found, name) == getattr(result, name)[6]
    assert (found.model, found.currency, found.reasons) == ("plimsoll.standard", "USD", ())
    (collateral,) = [table for table in found.details if table.name == "collateral"]
    counted = collateral.columns.index("collateral_value")
    assert sum(row[counted] for _, row in collateral.rows) == found.collateral_value
