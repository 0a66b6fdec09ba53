"""Bankruptcy prices: what is left of the account, in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plimsoll.liquidation.bankruptcy import (
    bankruptcy_price,
    bankruptcy_value,
    equity_share,
    price_on_tick,
)
from plimsoll.margin.arithmetic import EXACT, FLOAT

EQUITY = st.integers(-(10**12), 10**12)
KEYS = st.lists(st.integers(0, 10**9), min_size=1, max_size=6).filter(any)
MARKS = st.fractions(Fraction(1, 100), 10**5, max_denominator=100)
SIZES = st.integers(-(10**6), 10**6).filter(bool)


@given(EQUITY, KEYS)
def test_shares_leave_less_than_a_unit_each_and_no_debt(equity: int, keys: list[int]) -> None:
    shares = [equity_share(EXACT, equity, key, sum(keys)) for key in keys]
    assert 0 <= equity - sum(shares) < len(keys)
    assert equity_share(EXACT, equity, sum(keys), sum(keys)) == equity


@given(EQUITY, st.lists(st.tuples(EQUITY, st.integers(1, 10**9)), min_size=1, max_size=6))
def test_closing_all_at_their_values_leaves_nothing_owed(
    cash: int, positions: list[tuple[int, int]]
) -> None:
    equity = cash + sum(value for value, _ in positions)
    total = sum(key for _, key in positions)
    for value, key in positions:
        cash += bankruptcy_value(value, equity_share(EXACT, equity, key, total))
    assert 0 <= cash < len(positions)


@given(MARKS, EQUITY, SIZES)
def test_a_linear_price_loses_the_share(mark: Fraction, share: int, size: int) -> None:
    price = bankruptcy_price(EXACT, mark, share, size, False)
    assert size * (price - mark) == -share
    near = bankruptcy_price(FLOAT, float(mark), float(share), float(size), False)
    assert near == pytest.approx(float(price), rel=1e-9, abs=1e-6 * abs(share / size))


@given(MARKS, st.fractions(-100, 100, max_denominator=1000), SIZES)
def test_an_inverse_price_loses_the_share(mark: Fraction, share: Fraction, size: int) -> None:
    price = bankruptcy_price(EXACT, mark, share, size, True)
    # Coins that a position of ``size`` USD is worth: never more than size / mark can be lost.
    if price == float("inf"):
        assert 1 / mark + share / size <= 0
    else:
        assert size * (1 / mark - 1 / price) == -share
    near = bankruptcy_price(FLOAT, float(mark), float(share), float(size), True)
    assume(abs(1 / mark + share / size) > Fraction(1, 10**6))
    assert near == pytest.approx(float(price), rel=1e-6)


@given(MARKS, EQUITY, SIZES, st.sampled_from([1, Fraction(1, 2), Fraction(1, 10), 25]))
def test_a_tick_never_leaves_a_debt(mark: Fraction, share: int, size: int, tick) -> None:
    price = bankruptcy_price(EXACT, mark, share, size, False)
    found = price_on_tick(EXACT, price, tick, size > 0)
    assert found % tick == 0
    assert 0 <= share + size * (found - mark) < abs(size) * tick


@given(MARKS, st.integers(-100, 900), st.integers(1, 500), SIZES)
def test_the_zero_price_of_lighter(mark: Fraction, value: int, rate: int, size: int) -> None:
    """Shared by maintenance margin it is mark × (1 ∓ m × value / requirement)."""
    margin = abs(size) * mark * Fraction(rate, 1000)
    total = margin * 3
    share = value * margin / total
    found = bankruptcy_price(EXACT, mark, share, size, False)
    side = 1 if size > 0 else -1
    assert found == mark * (1 - side * Fraction(rate, 1000) * value / total)


def test_columns_of_both_payoffs() -> None:
    found = bankruptcy_price(
        FLOAT, np.array([100.0, 100.0, 100.0, np.nan]), np.array([50.0, 0.25, 0.5, 1.0]),
        np.array([-2.0, 50.0, -50.0, 1.0]), np.array([False, True, True, False]),
    )  # fmt: skip
    # A short of 50 USD in coin loses at most what it is worth, 0.5: at no price.
    np.testing.assert_allclose(found, [125.0, 1 / 0.015, np.inf, np.nan])


def test_ticks_of_a_column() -> None:
    price, is_long = np.array([10.26, 10.26, 10.3]), np.array([True, False, True])
    found = price_on_tick(FLOAT, price, 0.1, is_long)
    np.testing.assert_allclose(found, [10.3, 10.2, 10.3], rtol=1e-12)
