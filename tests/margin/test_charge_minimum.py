"""Tiers by cap, minimum charge, stablecoin depeg and borrowing, by hand and against themselves."""

import math
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError
from plimsoll.margin.charges import (
    DepegTiers,
    MarginalTiers,
    WholeTiers,
    borrowing_margin,
    hedged_volumes,
    marginal_rows,
    minimum_excess,
    multiplier_tiers,
    quote_deltas,
    read_tiers,
)

ONE = np.zeros(1, np.int32)
# OKEx, notice of 24 December 2021: tiers of BTC and ETH.
NOTICE = [[10e3, 1], [70e3, 2], [170e3, 4], [300e3, 6], [470e3, 8], [700e3, 10], [None, 12]]


def adjusted(raw: float, rows: list[list[Any]] = NOTICE) -> float:
    return float(multiplier_tiers({"BTC": rows}, ["BTC"], "m").amount(ONE, np.array([raw]))[0])


@pytest.mark.parametrize(
    ("raw", "charge"),
    [
        (0, 0),
        (10_000, 10_000),
        (30_000, 50_000),  # the notice's own example
        (70_000, 130_000),
        (170_000, 530_000),
        (1_000_000, 10e3 + 120e3 + 400e3 + 780e3 + 1360e3 + 2300e3 + 3600e3),
    ],
)
def test_a_minimum_grows_by_multipliers(raw: float, charge: float) -> None:
    assert adjusted(raw) == pytest.approx(charge, rel=1e-14)


def test_what_the_multipliers_do_not_reach_is_unknown() -> None:
    rows = [[10e3, 1], [70e3, 2]]
    assert adjusted(70_000, rows) == 130_000
    assert math.isnan(adjusted(70_000.01, rows))
    tiers = multiplier_tiers({"ETH": NOTICE}, ["BTC"], "m")
    assert math.isnan(tiers.amount(ONE, np.array([1.0]))[0])
    assert tiers.amount(ONE, np.zeros(1))[0] == 0
    other = multiplier_tiers({"default": NOTICE}, ["BTC"], "m")
    assert other.amount(ONE, np.array([30e3]))[0] == pytest.approx(50e3)


def test_splitting_a_minimum_never_costs_more() -> None:
    """Multipliers rise, so that one unit is dearer than two of half."""
    for raw in (1e3, 1e4, 3e4, 5e5, 3e6):
        assert adjusted(2 * raw) >= 2 * adjusted(raw)


def test_a_minimum_is_a_floor() -> None:
    excess = minimum_excess(
        np.array([50.0, 10.0, np.nan, 1.0]), np.array([40.0, 40.0, 1.0, np.nan])
    )
    assert excess[:2].tolist() == [10, 0]
    assert np.isnan(excess[2:]).all()


TIERS = [
    [1000, 0.004, 0.01],
    [5000, 0.005, 0.015],
    [20000, 0.0075, 0.02],
    [60000, 0.0175, 0.03, 20000],
]


def test_a_step_fills_the_tiers_between() -> None:
    tiers = read_tiers(TIERS, 2, "t")
    assert len(tiers) == 5
    assert tiers[3] == pytest.approx((40000, 0.0125, 0.025))
    assert tiers[4] == (60000, 0.0175, 0.03)
    assert read_tiers([[None, 1]], 1, "t") == [(math.inf, 1.0)]
    assert read_tiers([], 1, "t") == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (7, r"t\[0\]: is no row of a cap and 2 more numbers"),
        ([[1, 2]], r"t\[0\]: is no row"),
        ([[1, 0.1, 0.2, 3, 4]], r"t\[0\]: is no row"),
        (["abc"], r"t\[0\]: is no row"),
        ([[0, 0.1, 0.2]], r"t\[0\]: the cap 0 does not rise"),
        ([[5, 0.1, 0.2], [5, 0.1, 0.2]], r"t\[1\]: the cap 5 does not rise"),
        ([[None, 0.1, 0.2], [5, 0.1, 0.2]], r"t\[1\]: the cap 5 does not rise"),
        ([[5, 1.1, 0.2]], r"t\[0\]: 1.1 is no number from 0 to 1"),
        ([[5, -0.1, 0.2]], r"t\[0\]: -0.1 is no number"),
        ([[math.nan, 0.1, 0.2]], r"t\[0\]: nan is no number"),
        ([[5, "0.1", 0.2]], r"t\[0\]: '0.1' is no number"),
        ([[5, True, 0.2]], r"t\[0\]: True is no number"),
        ([[5, 0.1, 0.2, 5]], r"t\[0\]: a step needs a row before it"),
        ([[5, 0.1, 0.2], [None, 0.1, 0.2, 5]], r"t\[1\]: a step needs a row before it"),
        ([[5, 0.1, 0.2], [16, 0.1, 0.2, 5]], r"t\[1\]: steps of 5 do not lead from 5 to 16"),
        ([[5, 0.1, 0.2], [15, 0.1, 0.2, 0]], r"t\[1\]: steps of 0 do not lead"),
    ],
)  # fmt: skip
def test_rows_of_another_form_are_refused_by_place(rows: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_tiers(rows, 2, "t")


def test_one_tier_holds_for_the_whole_size() -> None:
    tiers = WholeTiers.build(
        [[], read_tiers(TIERS, 2, "t"), read_tiers([[None, 0.5, 1]], 2, "t")], 2
    )
    size = np.array([0, 1000, 1000.01, 40000, 60000, 60000.01, np.nan, 1e12, 5])
    schedule = np.array([1, 1, 1, 1, 1, 1, 1, 2, 0], np.int32)
    row = tiers.find(schedule, size)
    maintenance = tiers.figure(0, row)
    assert maintenance[:5] == pytest.approx([0.004, 0.004, 0.005, 0.0125, 0.0175])
    assert maintenance[7] == 0.5
    assert np.isnan(maintenance[[5, 6, 8]]).all()
    assert tiers.figure(1, row)[3] == pytest.approx(0.025)
    assert np.isnan(WholeTiers.build([[]], 1).figure(0, np.array([-1]))).all()


def test_the_same_list_read_both_ways_agrees_in_its_first_tier() -> None:
    tiers = read_tiers([[10, 0.1], [20, 0.2]], 1, "t")
    whole = WholeTiers.build([tiers], 1)
    slices = MarginalTiers.build([marginal_rows(tiers, 0.0)])
    size = np.array([0.0, 4.0, 10.0, 20.0])
    zeros = np.zeros(4, np.int32)
    by_whole = size * whole.figure(0, whole.find(zeros, size))
    by_slice = slices.amount(zeros, size)
    assert by_whole[:3] == pytest.approx(by_slice[:3])
    assert (by_whole[3], by_slice[3]) == pytest.approx((4, 3))
    assert slices.amount(ONE, np.array([50.0]))[0] == pytest.approx(3)


# OKX announcement of 25 November 2024 (third-party copy): 202,500 on a hedge of 10,000,000.
DEPEG = {
    "0.99": [[1e6, 0.0075], [5e6, 0.0175], [10e6, 0.025]],
    "0.995": [[1e6, 0.005], [5e6, 0.01]],
}


def test_a_hedge_pays_by_volume_and_by_index() -> None:
    tiers = DepegTiers.read(DEPEG, "d")
    index = np.array([0.9949, 0.99, 0.995, 1.01, 0.98, 0.98, np.nan, 1.0, 1.0])
    hedged = np.array([10e6, 1e6, 3e6, 0.5e6, 1.0, 0.0, 1.0, 5e6, 5.01e6])
    charge = tiers.charge(index, hedged)
    expected = [202_500, 7_500, 25_000, 2_500, np.nan, 0, np.nan, 45_000, np.nan]
    assert charge == pytest.approx(expected, rel=1e-14, nan_ok=True)
    assert np.isnan(DepegTiers.read({}, "d").charge(np.ones(1), np.ones(1))).all()


@pytest.mark.parametrize("key", ["par", "-0.1", "inf", "nan", ""])
def test_an_index_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=rf"^d\.{key}: is no index price"):
        DepegTiers.read({key: [[None, 0.1]]}, "d")


def test_pairs_are_matched_in_order() -> None:
    """10 long in the first, 6 short in the third, 7 short in the second: 6, then 4, then none."""
    deltas = [np.array([10.0, 10, 0, 5, np.nan]), np.array([-7.0, 7, 4, 5, 1]),
              np.array([-6.0, -20, -9, 5, -1])]  # fmt: skip
    first, second, third = hedged_volumes(deltas, ((0, 2), (0, 1), (1, 2)))
    assert first[:4].tolist() == [6, 10, 0, 0]
    assert second[:4].tolist() == [4, 0, 0, 0]
    assert third[:4].tolist() == [0, 7, 4, 0]
    assert np.isnan([first[4], second[4], third[4]]).all()
    assert deltas[0][0] == 10


def test_deltas_are_added_up_by_quote() -> None:
    group, quote = np.array([0, 0, 1, 1]), np.array([5, 6, 5, 7], np.int32)
    found = quote_deltas(group, quote, np.array([1.0, 2.0, 3.0, 4.0]), (5, 7, -1), 2)
    assert [column.tolist() for column in found] == [[1, 3], [0, 4], [0, 0]]


def test_what_is_owed_needs_margin_at_its_tier() -> None:
    """OKX, position builder sample of 15 January 2025: 78,589.37 USDT owed at 0.99954."""
    tiers = WholeTiers.build([read_tiers([[1e5, 0.02, 0.1], [1e6, 0.03, 0.2]], 2, "b"), []], 2)
    owed = np.array([78_589.37, 1e5, 200e3, 2e6, 0, 0, 5])
    asset = np.array([0, 0, 0, 0, 0, 1, 1], np.int32)
    price = np.array([0.99954, 1, 1, 1, np.nan, np.nan, 1])
    initial, maintenance = borrowing_margin(tiers, asset, owed, price)
    assert initial[0] == pytest.approx(7855.32188898, abs=1e-8)
    assert maintenance[0] == pytest.approx(1571.064377796, abs=1e-9)
    assert maintenance[1:3] == pytest.approx([2000, 6000])
    assert initial[4:6].tolist() == maintenance[4:6].tolist() == [0, 0]
    assert np.isnan([initial[3], maintenance[3], initial[6], maintenance[6]]).all()
