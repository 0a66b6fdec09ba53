"""Black-76: published numbers, a 50-digit reference, bits, and what must not have a value."""

import platform
import re
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from itertools import product

import mpmath as mp
import numba as nb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plimsoll.core import InputError, stream
from plimsoll.market import product_grid
from plimsoll.pricing import (
    Greeks,
    OptionColumns,
    OptionShocks,
    PriceStatus,
    black76,
    greeks,
    kernels,
    numerics,
    payoff_in_coin,
    reprice_grid,
    shocks_of_grid,
    spot_greeks,
    subtract_base,
    value_in_coin,
)
from tools.fit_mills import fit_all

HOUR = 1.0 / 8760.0
FORWARD = 60_000.0
MONEYNESS = (0.1, 0.2, 0.5, 0.8, 0.97, 1.0, 1.01, 1.1, 1.3, 2.0, 5.0, 10.0)
VOLS = (0.05, 0.2, 0.65, 1.5, 3.0)
TIMES = (HOUR, 24 * HOUR, 7 / 365, 30 / 365, 0.25, 1.0, 3.0)
RATE = 0.05


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def columns(*values):
    """One-row columns; the last is the flag."""
    return (*(np.array([float(v)]) for v in values[:-1]), np.array([bool(values[-1])]))


def exact_value(forward, strike, time, vol, is_call, rate=0):
    """The textbook formula term by term."""
    deviation = vol * mp.sqrt(time)
    d1 = mp.log(forward / strike) / deviation + deviation / 2
    sign = 1 if is_call else -1
    # Further out the tail is nothing beside any two doubles, and too far out for mpmath.
    near = [max(min(d, mp.mpf(1000)), mp.mpf(-1000)) for d in (d1, d1 - deviation)]
    n1, n2 = (mp.erfc(-sign * d / mp.sqrt(2)) / 2 for d in near)
    return mp.exp(-rate * time) * sign * (forward * n1 - strike * n2)


@lru_cache(maxsize=1)
def reference_grid():
    rows = list(product(MONEYNESS, VOLS, TIMES, (True, False)))
    moneyness, vol, time, is_call = (np.array(column) for column in zip(*rows, strict=True))
    forward = np.full(len(rows), FORWARD)
    return forward, FORWARD * moneyness, time, vol, is_call, np.exp(-RATE * time)


def random_options(count, seed=0):
    rng = stream(seed, "tests", "pricing")
    return (
        FORWARD * np.exp(rng.normal(0.0, 0.3, count)),
        FORWARD * np.exp(rng.normal(0.0, 0.3, count)),
        rng.uniform(-0.01, 1.0, count),
        rng.uniform(0.0, 1.5, count),
        rng.random(count) < 0.5,
        rng.uniform(0.9, 1.0, count),
    )


# Haug, "The complete guide to option pricing formulas", as carried by QuantLib's test suite;
# where the yield equals the rate it is Black-76. Columns: call, strike, spot, yield, rate, ...
@pytest.mark.parametrize(
    ("is_call", "strike", "spot", "carry_yield", "rate", "time", "vol", "expected"),
    [
        (True, 65, 60, 0.00, 0.08, 0.25, 0.30, 2.1334),
        (False, 95, 100, 0.05, 0.10, 0.50, 0.20, 2.4648),
        (False, 19, 19, 0.10, 0.10, 0.75, 0.28, 1.7011),
        (False, 70, 75, 0.05, 0.10, 0.50, 0.35, 4.0870),
        (True, 100, 90, 0.10, 0.10, 0.10, 0.15, 0.0205),
        (True, 100, 100, 0.10, 0.10, 0.10, 0.15, 1.8734),
        (True, 100, 110, 0.10, 0.10, 0.10, 0.25, 10.3556),
        (True, 100, 90, 0.10, 0.10, 0.50, 0.15, 0.8069),
    ],
)
def test_haug_values(is_call, strike, spot, carry_yield, rate, time, vol, expected):
    found = spot_greeks(
        *columns(spot, strike, time, vol, is_call), *columns(rate, carry_yield, 0)[:2]
    )
    assert found.value[0] == pytest.approx(expected, abs=1e-4)
    if carry_yield == rate:
        discount = np.exp([-rate * time])
        plain = black76(*columns(spot, strike, time, vol, is_call), discount)
        assert plain.value[0] == pytest.approx(expected, abs=1e-4)


# The same source.
@pytest.mark.parametrize(
    (
        "name",
        "is_call",
        "strike",
        "spot",
        "carry_yield",
        "rate",
        "time",
        "vol",
        "expected",
        "error",
    ),
    [
        ("delta", True, 100, 105, 0.10, 0.10, 0.5, 0.36, 0.5946, 1e-4),
        ("delta", False, 100, 105, 0.10, 0.10, 0.5, 0.36, -0.3566, 1e-4),
        ("gamma", True, 60, 55, 0.0, 0.10, 0.75, 0.30, 0.0278, 1e-4),
        ("vega", True, 60, 55, 0.0, 0.10, 0.75, 0.30, 18.9358, 1e-4),
        ("theta", False, 405, 430, 0.05, 0.07, 1 / 12, 0.20, -31.1924, 2e-4),
        ("rho", True, 75, 72, 0.0, 0.09, 1.0, 0.19, 38.7325, 2e-4),
    ],
)
def test_haug_greeks(name, is_call, strike, spot, carry_yield, rate, time, vol, expected, error):
    found = spot_greeks(
        *columns(spot, strike, time, vol, is_call), *columns(rate, carry_yield, 0)[:2]
    )
    assert getattr(found, name)[0] == pytest.approx(expected, abs=error)


def test_values_against_fifty_digits():
    given_columns = reference_grid()
    found = black76(*given_columns)
    assert np.all(found.status == PriceStatus.OK)
    for row, value in zip(zip(*given_columns, strict=True), found.value, strict=True):
        forward, strike, time, vol, discount = (mp.mpf(float(row[i])) for i in (0, 1, 2, 3, 5))
        exact = discount * exact_value(forward, strike, time, vol, row[4])
        smaller = min(forward, strike)
        assert abs(value - exact) <= 5e-15 * smaller, row
        if (strike >= forward) == row[4] and exact > 1e-270 * smaller:
            limit = 1e-12 if exact > 1e-20 * smaller else 2e-11
            assert abs(value / exact - 1) <= limit, row


def differences(forward, strike, time, vol, is_call, rate):
    """Central differences of the value in 50 digits, as a name: (derivative, its scale) table."""
    e = mp.mpf(10) ** -12
    df, dv, dt = forward * e, vol * e, time * e

    def value(a=0, b=0, c=0, d=0):
        return exact_value(
            forward + a * df, strike, time - c * dt, vol + b * dv, is_call, rate + d * e
        )

    here = value()
    smaller, root = min(forward, strike), mp.sqrt(time)
    delta = (value(a=1) - value(a=-1)) / (2 * df)
    cross = value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)
    return {
        "delta": (delta, 1),
        "delta_premium_adjusted": (delta - here / forward, 1 + strike / forward),
        "gamma": ((value(a=1) - 2 * here + value(a=-1)) / df**2, 1 / (forward * vol * root)),
        "vega": ((value(b=1) - value(b=-1)) / (2 * dv), smaller * root),
        "theta": ((value(c=1) - value(c=-1)) / (2 * dt), smaller * vol / root + rate * forward),
        "rho": ((value(d=1) - value(d=-1)) / (2 * e), time * max(forward, strike)),
        "vanna": (cross / (4 * df * dv), 1 / vol),
        "volga": ((value(b=1) - 2 * here + value(b=-1)) / dv**2, smaller * root / vol),
    }


def test_greeks_against_finite_differences():
    given_columns = reference_grid()
    found = greeks(*given_columns)
    for i in range(0, given_columns[0].size, 3):
        forward, strike, time, vol = (mp.mpf(float(column[i])) for column in given_columns[:4])
        rate = -mp.log(mp.mpf(float(given_columns[5][i]))) / time
        expected = differences(forward, strike, time, vol, given_columns[4][i], rate)
        for name, (derivative, scale) in expected.items():
            error = abs(getattr(found, name)[i] - derivative) / scale
            assert error <= 6e-15, (name, i, float(error))


def test_cash_greeks():
    found = greeks(*reference_grid())
    np.testing.assert_allclose(found.delta_cash, found.delta * FORWARD, rtol=1e-15)
    np.testing.assert_allclose(found.gamma_cash, found.gamma * FORWARD**2 / 100, rtol=1e-15)


@pytest.mark.parametrize("carry_yield", [0.0, 0.08])
def test_spot_greeks_are_differences_in_the_spot(carry_yield):
    spot, strike, time, vol, rate = (mp.mpf(x) for x in ("100", "110", "0.5", "0.4", "0.03"))

    def value(s=spot, r=rate, t=time):
        return exact_value(s * mp.exp((r - carry_yield) * t), strike, t, vol, False, r)

    e = mp.mpf(10) ** -12
    found = spot_greeks(
        *columns(spot, strike, time, vol, False), *columns(rate, carry_yield, 0)[:2]
    )
    delta = (value(s=spot + e) - value(s=spot - e)) / (2 * e)
    expected = {
        "value": value(),
        "delta": delta,
        "delta_premium_adjusted": delta - value() / spot,
        "gamma": (value(s=spot + e) - 2 * value() + value(s=spot - e)) / e**2,
        "theta": (value(t=time - e) - value(t=time + e)) / (2 * e),
        "rho": (value(r=rate + e) - value(r=rate - e)) / (2 * e),
        "delta_cash": delta * spot,
    }
    for name, derivative in expected.items():
        assert getattr(found, name)[0] == pytest.approx(float(derivative), rel=1e-12), name


def test_put_call_parity():
    forward, strike, time, vol, _, discount = random_options(5000)
    every = np.ones(forward.size, dtype=bool)
    call = black76(forward, strike, time, vol, every, discount)
    put = black76(forward, strike, time, vol, ~every, discount)
    factor = np.where(time > 0, discount, 1.0)
    gap = call.value - put.value - factor * (forward - strike)
    assert np.max(np.abs(gap)) <= 4e-16 * FORWARD * 3
    coin_gap = value_in_coin(call.value - put.value, forward) - factor * (1 - strike / forward)
    assert np.max(np.abs(coin_gap)) <= 1e-14


def test_value_never_falls_with_vol_and_never_rises_with_the_strike_of_a_call():
    count = 20_001
    forward, every = np.full(count, 100.0), np.ones(count, dtype=bool)
    for strike in (30.0, 99.0, 100.0, 104.0, 400.0):
        vol = np.linspace(0.0, 3.0, count)
        value = black76(forward, np.full(count, strike), np.full(count, 0.1), vol, every).value
        assert np.all(np.diff(value) >= -1e-14 * strike)
    for vol in (0.1, 0.6, 2.0):
        strikes = np.linspace(20.0, 500.0, count)
        value = black76(forward, strikes, np.full(count, 0.1), np.full(count, vol), every).value
        assert np.all(np.diff(value) <= 1e-12)


# Alexander & Imeraj (2021) for the model; the figures follow from its identities.
def test_coin_settled_values_and_deltas():
    given_columns = (60_000, 65_000, 30 / 365, 0.65)
    call, put = (greeks(*columns(*given_columns, flag)) for flag in (True, False))
    forward = np.array([60_000.0])
    assert value_in_coin(call.value, forward)[0] == pytest.approx(0.04266236379608696, abs=1e-12)
    assert value_in_coin(put.value, forward)[0] == pytest.approx(0.1259956971294203, abs=1e-12)
    assert call.delta[0] == pytest.approx(0.36830117282556785, abs=1e-10)
    assert call.delta_premium_adjusted[0] == pytest.approx(0.3256388090294809, abs=1e-10)
    assert np.isnan(value_in_coin(np.array([1.0, 1.0]), np.array([0.0, np.nan]))).all()


# Deribit's help page on inverse options: strike 100,000, delivery 125,000, 0.2 BTC.
def test_coin_payoffs():
    settlement = np.array([125_000.0, 125_000.0, 50_000.0, 0.0, np.nan, np.inf])
    strike = np.full(6, 100_000.0)
    is_call = np.array([True, False, False, False, True, True])
    paid = payoff_in_coin(settlement, strike, is_call)
    np.testing.assert_allclose(paid, [0.2, 0.0, 1.0, np.nan, np.nan, np.nan], rtol=1e-15)


def test_at_and_past_expiry_the_payoff_is_undiscounted():
    time = np.array([0.0, -0.5, -3.0, 0.0])
    forward, strike = np.array([110.0, 110.0, 90.0, 100.0]), np.full(4, 100.0)
    every, discount = np.ones(4, dtype=bool), np.full(4, 0.9)
    call = greeks(forward, strike, time, np.full(4, 0.5), every, discount)
    put = greeks(forward, strike, time, np.full(4, 0.5), ~every, discount)
    assert np.all(call.status == PriceStatus.EXPIRED)
    assert call.value.tolist() == [10.0, 10.0, 0.0, 0.0]
    assert put.value.tolist() == [0.0, 0.0, 10.0, 0.0]
    # A payoff has no derivative at its kink.
    np.testing.assert_array_equal(call.delta, [1.0, 1.0, 0.0, np.nan])
    np.testing.assert_array_equal(put.delta, [0.0, 0.0, -1.0, np.nan])
    for name in ("gamma", "vega", "theta", "rho", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(call, name), [0.0, 0.0, 0.0, np.nan])


def test_without_volatility_the_value_is_the_discounted_intrinsic():
    forward, strike = np.array([110.0, 90.0, 100.0]), np.full(3, 100.0)
    one, none, every = np.ones(3), np.zeros(3), np.ones(3, dtype=bool)
    found = greeks(forward, strike, one, none, every, 0.5 * one)
    assert np.all(found.status == PriceStatus.OK)
    assert found.value.tolist() == [5.0, 0.0, 0.0]
    np.testing.assert_array_equal(found.delta, [0.5, 0.0, np.nan])
    assert found.theta[0] == pytest.approx(5.0 * np.log(2.0))
    assert found.rho[0] == -5.0


def bits(values):
    return np.ascontiguousarray(values).view(np.int64)


def test_an_element_has_the_same_bits_alone_in_a_batch_and_in_any_place():
    given_columns = random_options(4099)
    found = greeks(*given_columns)
    order = stream(1, "tests", "pricing").permutation(4099)
    moved = greeks(*(column[order] for column in given_columns))
    names = [field.name for field in fields(Greeks) if field.name != "status"]
    for name in names:
        assert np.array_equal(bits(getattr(found, name)[order]), bits(getattr(moved, name))), name
    for i in range(0, 4099, 97):
        alone = greeks(*(column[i : i + 1] for column in given_columns))
        for name in names:
            assert bits(getattr(alone, name))[0] == bits(getattr(found, name))[i], name


def some_grid(options_count=301):
    forward, strike, time, vol, is_call, discount = random_options(options_count)
    is_coin_settled = np.arange(options_count) % 3 == 0
    options = OptionColumns(forward, strike, time, vol, is_call, discount, is_coin_settled)
    moves = product_grid(np.linspace(-0.6, 1.0, 17), np.array([-0.25, 0.0, 0.5]))
    return options, moves


def test_the_number_of_threads_changes_no_bit():
    options, moves = some_grid()
    given_columns = random_options(10_000)
    shocks = shocks_of_grid(moves, options.forward.size)
    outs, values = [], []
    most = nb.get_num_threads()
    try:
        for threads in {1, most}:
            nb.set_num_threads(threads)
            out = np.empty((options.forward.size, moves.price_move.size))
            reprice_grid(options, shocks, out)
            outs.append(bits(out))
            values.append(bits(black76(*given_columns).value))
    finally:
        nb.set_num_threads(most)
    assert np.array_equal(outs[0], outs[-1])
    assert np.array_equal(values[0], values[-1])


def test_the_grid_is_black76_at_moved_inputs():
    options, moves = some_grid()
    out = np.empty((options.forward.size, moves.price_move.size))
    status = reprice_grid(options, shocks_of_grid(moves, options.forward.size), out)
    here = black76(options.forward, options.strike, options.time, options.vol, options.is_call,
                   options.discount)  # fmt: skip
    assert np.array_equal(status, here.status)
    for s, (price_move, vol_move) in enumerate(zip(moves.price_move, moves.vol_move, strict=True)):
        forward = options.forward * (1 + price_move)
        value = black76(forward, options.strike, options.time, options.vol * (1 + vol_move),
                        options.is_call, options.discount).value  # fmt: skip
        value = np.where(options.is_coin_settled, value / forward, value)
        unit = np.where(options.is_coin_settled, 1.0, forward)
        assert np.max(np.abs(out[:, s] - value) / unit) <= 2e-14


def test_without_a_move_the_grid_has_the_bits_of_black76_and_no_profit():
    options, _ = some_grid()
    here = black76(options.forward, options.strike, options.time, options.vol, options.is_call,
                   options.discount).value  # fmt: skip
    base = np.where(options.is_coin_settled, here / options.forward, here)
    moves = product_grid(np.array([-0.1, 0.0]), np.array([0.0]))
    out = np.empty((options.forward.size, 2))
    reprice_grid(options, shocks_of_grid(moves, options.forward.size), out)
    assert np.array_equal(bits(out[:, 1]), bits(base))
    before = out[:, 0].copy()
    subtract_base(out, base)
    assert not out[:, 1].any()
    assert np.array_equal(out[:, 0], before - base)


def test_each_option_takes_the_vol_moves_of_its_row():
    options, _ = some_grid(4)
    price_move, vol_move = np.array([-0.2, 0.3]), np.array([[0.1, 0.2], [-0.5, 1.0]])
    out, one = np.empty((4, 2)), np.empty((4, 2))
    reprice_grid(options, OptionShocks(price_move, vol_move, np.array([0, 1, 1, 0])), out)
    for row in (0, 1):
        reprice_grid(options, OptionShocks(price_move, vol_move[[row]], np.zeros(4, int)), one)
        chosen = np.array([0, 3]) if row == 0 else np.array([1, 2])
        assert np.array_equal(bits(out[chosen]), bits(one[chosen]))


def test_extreme_moves_and_bad_rows_of_the_grid():
    forward = np.array([100.0, 100.0, 100.0, np.nan])
    strike, time, vol = np.full(4, 120.0), np.full(4, 0.5), np.array([0.5, 0.5, 0.5, 0.5])
    is_call, one = np.array([True, False, False, True]), np.ones(4)
    coin = np.array([False, False, True, False])
    options = OptionColumns(forward, strike, time, vol, is_call, one, coin)
    out = np.empty((4, 3))
    price_move, vol_move = np.array([-1.0, 0.1, -1.0]), np.array([[0.0, -1.0, -1.0]])
    shocks = OptionShocks(price_move, vol_move, np.zeros(4, np.int64))
    status = reprice_grid(options, shocks, out)
    assert status.tolist() == [0, 0, 0, PriceStatus.NOT_FINITE]
    assert out[:3, 0].tolist() == out[:3, 2].tolist() == [0.0, 120.0, np.inf]
    np.testing.assert_allclose(out[:3, 1], [0.0, 10.0, 10.0 / 110.0], rtol=1e-13)
    assert np.isnan(out[3]).all()


def test_columns_that_do_not_fit_are_refused():
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(InputError, match="one number per option"):
        black76(one, two, one, one, np.ones(1, bool))
    with pytest.raises(InputError, match="one flag per option"):
        black76(one, one, one, one, np.ones(2, bool))
    options, moves = some_grid(2)
    shocks = shocks_of_grid(moves, 2)
    with pytest.raises(InputError, match="C-ordered"):
        reprice_grid(options, shocks, np.empty((moves.price_move.size, 2)).T)
    with pytest.raises(InputError, match="one per option"):
        reprice_grid(options, shocks_of_grid(moves, 1), np.empty((2, moves.price_move.size)))
    with pytest.raises(InputError, match="missing row"):
        OptionShocks(one, np.ones((1, 1)), np.array([1]))
    with pytest.raises(InputError, match="below -1"):
        OptionShocks(np.array([np.nan]), np.ones((1, 1)), np.array([0]))
    with pytest.raises(InputError, match="scenarios"):
        OptionShocks(one, np.ones((1, 2)), np.array([0]))


# Each field is one mistake that feeds and files make; the others are sound.
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("forward", np.nan, PriceStatus.NOT_FINITE),
        ("forward", np.inf, PriceStatus.NOT_FINITE),
        ("discount", np.nan, PriceStatus.NOT_FINITE),
        ("time", -np.inf, PriceStatus.NOT_FINITE),
        ("vol", np.inf, PriceStatus.NOT_FINITE),
        ("forward", 0.0, PriceStatus.BAD_FORWARD),
        ("forward", -1.0, PriceStatus.BAD_FORWARD),
        ("forward", 5e-324, PriceStatus.BAD_FORWARD),
        ("forward", 1e300, PriceStatus.BAD_FORWARD),
        ("strike", 0.0, PriceStatus.BAD_STRIKE),
        ("strike", -100.0, PriceStatus.BAD_STRIKE),
        ("strike", 1e-300, PriceStatus.BAD_STRIKE),
        ("vol", -0.1, PriceStatus.BAD_VOL),
        ("vol", 1e300, PriceStatus.BAD_VOL),
        ("time", 1.7e18, PriceStatus.BAD_TIME),
        ("time", -1e300, PriceStatus.BAD_TIME),
        ("discount", 0.0, PriceStatus.BAD_DISCOUNT),
        ("discount", -1.0, PriceStatus.BAD_DISCOUNT),
        ("time", -1.0, PriceStatus.EXPIRED),
        ("time", 5e-324, PriceStatus.OK),
        ("vol", 5e-324, PriceStatus.OK),
    ],
)
def test_statuses(field, value, status):
    row = {"forward": 90.0, "strike": 100.0, "time": 0.5, "vol": 0.6, "discount": 1.0}
    row[field] = value
    given_columns = {name: np.array([number]) for name, number in row.items()}
    found = black76(**given_columns, is_call=np.array([False]))
    assert found.status[0] == status
    assert np.isnan(found.value[0]) == (status not in {PriceStatus.OK, PriceStatus.EXPIRED})
    of = greeks(**given_columns, is_call=np.array([False]))
    has_value = status in {PriceStatus.OK, PriceStatus.EXPIRED}
    for each in fields(Greeks):
        if each.name != "status":
            assert np.isfinite(getattr(of, each.name)[0]) == has_value, each.name


ODD = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, 2.2e-308, 1e-300, 1e300, np.inf, -np.inf, np.nan, -1.0]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(1e-3, 1e3),
    st.floats(50.0, 200.0),
)


@settings(max_examples=400, deadline=None)
@given(ODD, ODD, ODD, ODD, st.booleans(), ODD)
@example(1e100, 1e-100, 1000.0, 1000.0, False, 1.0)
@example(1e-100, 1e100, 1e-300, 1e-300, True, 1.0)
@example(1e100, 1e-100, 1.0, 21.4, False, 1.0)
@example(100.0, 100.0, 1.0, 3e-14, True, 1.0)
def test_odd_inputs_give_the_exact_value_or_none(forward, strike, time, vol, is_call, discount):
    row = (forward, strike, time, vol, discount)
    found = black76(*columns(*row[:4], is_call), np.array([discount]))
    if found.status[0] == PriceStatus.EXPIRED:
        assert time <= 0
        assert found.value[0] == max(forward - strike if is_call else strike - forward, 0.0)
    elif found.status[0] == PriceStatus.OK:
        assert time > 0
        exact = max(mp.mpf(0), (1 if is_call else -1) * (mp.mpf(forward) - strike))
        if vol > 0:
            with mp.workdps(60):
                exact = exact_value(*map(mp.mpf, row[:4]), is_call)
        bound = forward if is_call else strike
        # Beside a value near its bound the bound's own last digit counts.
        limit = discount * (1e-14 * min(forward, strike) + 3e-16 * bound)
        assert abs(found.value[0] - discount * exact) <= limit
    else:
        assert np.isnan(found.value[0])


def each_element(function) -> Callable:
    @nb.njit(error_model="numpy")
    def run(x, y, out):
        for i in range(out.size):
            out[i] = function(x[i], y[i])

    return run


@nb.njit
def exp_of(x, _):
    return numerics.exp(x)


@nb.njit
def cdf_of(x, _):
    return numerics.normal_cdf(x)


@nb.njit
def log_ratio_of(x, y):
    return numerics.log_ratio(x, y)


def test_elementary_functions_against_fifty_digits():
    rng = stream(2, "tests", "pricing")
    out, ones = np.empty(600), np.ones(600)
    x = rng.uniform(-708.0, 709.0, 600)
    each_element(exp_of)(x, ones, out)
    assert max(abs(y / mp.exp(float(a)) - 1) for a, y in zip(x, out, strict=True)) <= 4.5e-16
    x, y = np.exp(rng.uniform(-200.0, 200.0, (2, 600)))
    y[300:] = x[300:] * (1.0 + rng.normal(0.0, 1e-3, 300))
    each_element(log_ratio_of)(x, y, out)
    for a, b, c in zip(x, y, out, strict=True):
        exact = mp.log(mp.mpf(float(a)) / mp.mpf(float(b)))
        assert abs(c - exact) <= 5e-16 * abs(exact)
    z = rng.uniform(-36, 8.0, 600)
    each_element(cdf_of)(z, ones, out)
    for a, c in zip(z, out, strict=True):
        assert abs(c / mp.ncdf(float(a)) - 1) <= 4e-15 + 3e-16 * a * a
    edges = np.array([-np.inf, np.inf, np.nan, -1e300, 0.0])
    each_element(exp_of)(edges, edges, out[:5])
    np.testing.assert_array_equal(out[4], 1.0)
    assert out[0] == out[3] < 1e-307
    assert out[1] > 1e307
    assert np.isnan(out[2])
    each_element(cdf_of)(edges, edges, out[:5])
    np.testing.assert_array_equal(out[[1, 2, 4]], [1.0, np.nan, 0.5])


def test_the_coefficients_are_those_of_the_fit():
    tail, power, rest = fit_all()
    assert (tail.numerator, tail.denominator) == (numerics.TAIL_P, numerics.TAIL_Q)
    assert power.numerator == numerics.EXP2
    assert rest.numerator == numerics.ATANH_REST
    assert tail.error_rounded < 2.6e-15
    assert power.error_rounded < 2.8e-16


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads x86 code")
@pytest.mark.parametrize("kernel", [kernels.value_rows, kernels.value_block])
def test_the_loops_are_vectors_and_call_no_library(kernel):
    compiled = nb.njit(error_model="numpy")(kernel.py_func)
    compiled.compile(kernel.signatures[0] if kernel.signatures else warm(kernel))
    code = compiled.inspect_asm(compiled.signatures[0])
    assert len(re.findall(r"vfn?madd\w+pd\s.*[yz]mm", code)) >= 34
    assert re.search(r"vmulpd\s.*[yz]mm", code)
    assert not re.search(r"call\w*\s.*\b(exp|log|erfc?|pow|fma)\b", code)


def warm(kernel):
    """The signature that the public functions call a kernel with."""
    options, moves = some_grid(8)
    shocks = shocks_of_grid(moves, 8)
    status, out = np.empty(8, np.int8), np.empty((8, moves.price_move.size))
    numbers = (options.forward, options.strike, options.time, options.vol)
    if kernel is kernels.value_block:
        kernel(*numbers, options.is_call, options.discount, status, out[0][:8].copy())
    else:
        reduced = np.empty((5, 8))
        kernels.fill_reduced(*numbers, options.discount, status, reduced)
        growth, vols = 1.0 + shocks.price_move, 1.0 + shocks.vol_move
        kernel(reduced, options.is_call, np.zeros(8), shocks.vol_row, growth,
               np.log(growth) / vols, vols, 1.0 / vols, 0, 8, out)  # fmt: skip
    return kernel.signatures[0]
