"""dydx.v4: exact and float are one rule; the order of liquidation; updates that are no worse."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.venues.dydx_v4 import (
    initial_margin,
    is_no_worse,
    is_riskier,
    maintenance_margin,
    net_notional,
    scaled_initial_ppm,
)

AMOUNTS = st.integers(-(10**15), 10**15)
MARGINS = st.integers(0, 10**15)
ACCOUNTS = st.tuples(AMOUNTS, MARGINS)
PPM = st.integers(0, 10**6)


def risk(account: tuple[int, int]) -> tuple[Fraction | float, int, int]:
    """The order in fractions: net collateral per margin, then margin, then collateral."""
    collateral, margin = account
    if margin:
        return Fraction(collateral, margin), -margin, 0
    return (float("-inf") if collateral < 0 else float("inf")), 0, collateral


@given(ACCOUNTS, ACCOUNTS)
def test_the_order_is_that_of_fractions_without_a_division(a, b) -> None:
    assert bool(is_riskier(*a, *b)) == (risk(a) < risk(b))


@given(ACCOUNTS, ACCOUNTS)
def test_the_order_is_total(a, b) -> None:
    assert bool(is_riskier(*a, *b)) + bool(is_riskier(*b, *a)) == (a != b)


@given(ACCOUNTS, ACCOUNTS, ACCOUNTS)
def test_the_order_is_transitive(a, b, c) -> None:
    if is_riskier(*a, *b) and is_riskier(*b, *c):
        assert is_riskier(*a, *c)


@given(ACCOUNTS, st.integers(1, 99))
def test_closing_a_share_at_the_bankruptcy_price_is_no_worse(account, percent: int) -> None:
    """Collateral and margin shrink by one share: their ratio stays."""
    collateral, margin = account[0] * 100, account[1] * 100
    left = (collateral // 100 * (100 - percent), margin // 100 * (100 - percent))
    if margin:
        assert is_no_worse(collateral, margin, *left)
        assert not is_no_worse(collateral, margin, left[0] - 1, left[1])
        assert not is_no_worse(collateral, margin, collateral + 1, margin + 1) or collateral < 0


def test_without_margin_only_more_collateral_is_no_worse() -> None:
    assert is_no_worse(-5, 0, -4, 0)
    assert not is_no_worse(-5, 0, -5, 0)


@given(AMOUNTS, st.integers(1, 10**12), st.integers(-10, -1), st.integers(-10, -1), PPM, PPM)
def test_exact_is_float_within_its_roundings(quantums, price, exponent, resolution, rate, part):
    exact, plain = (
        net_notional(a, a.numbers(quantums)[()], a.numbers(price)[()], exponent, resolution)
        for a in (EXACT, FLOAT)
    )
    assert abs(exact - plain) <= 1 + 1e-9 * abs(plain)
    assert (exact > 0) <= (quantums > 0)
    up = initial_margin(EXACT, exact, rate)
    raised = up - initial_margin(FLOAT, float(exact), rate)
    assert -1e-9 * (up + 1) <= raised < 1 + 1e-9 * (up + 1)
    twice = maintenance_margin(EXACT, exact, rate, part)
    assert (
        -1e-6 * (twice + 1)
        <= twice - maintenance_margin(FLOAT, float(exact), rate, part)
        < 2.1 + 1e-9 * twice
    )


@given(PPM, st.integers(0, 10**14), st.integers(0, 10**13), st.integers(1, 10**13))
def test_the_rate_rises_from_base_to_all(base, opened, lower, width) -> None:
    upper = lower + width
    rate = scaled_initial_ppm(EXACT, base, opened, lower, upper)
    assert base <= rate <= 10**6
    assert scaled_initial_ppm(EXACT, base, lower, lower, upper) == base
    assert scaled_initial_ppm(EXACT, base, upper, lower, upper) == 10**6
    assert scaled_initial_ppm(EXACT, base, opened + 1, lower, upper) >= rate
    assert scaled_initial_ppm(EXACT, base, opened, 0, 0) == base


def test_columns_are_their_elements() -> None:
    quantums, prices = [7, -7, 0, 10**18], [3, 3, 3, 10**9]
    column = net_notional(EXACT, EXACT.numbers(quantums), EXACT.numbers(prices), -1, -6)
    pairs = zip(quantums, prices, strict=True)
    one_by_one = [net_notional(EXACT, q, p, -1, -6) for q, p in pairs]
    assert column.tolist() == one_by_one == [2, -2, 0, 10**26]
    assert isinstance(np.asarray(column).item(3), int)
