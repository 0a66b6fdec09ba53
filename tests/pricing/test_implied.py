"""Implied volatility against 50 digits, at the edges of its range, and fed with nonsense."""

import itertools
import math

import mpmath as mp
import numba as nb
import numpy as np
import pytest

from plimsoll.core import Floats, InputError
from plimsoll.pricing.implied import ImpliedVols, half_tick_error, implied_vol, price_from_coin
from plimsoll.pricing.implied_kernels import MOMENTS_P, MOMENTS_Q, STEP_MAX, take_step
from plimsoll.pricing.numerics import horner
from plimsoll.pricing.status import PriceStatus

HOUR = 1 / 8760
DIGITS = 50
SOLVER_ERROR = 2e-15

STRIKES = (0.1, 0.2, 0.5, 0.8, 0.95, 0.99, 1 - 1e-6, 1.0, 1 + 1e-9, 1.001, 1.03, 1.25, 2, 3, 5, 10)
VOLS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0)
TIMES = (HOUR, 6 * HOUR, 1 / 365, 7 / 365, 30 / 365, 0.25, 1.0, 3.0)


def exact_option(
    forward: float, strike: float, time: float, vol: float
) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Out-of-the-money value, call's intrinsic value, vega; from the textbook formula."""
    f, k, root = mp.mpf(forward), mp.mpf(strike), mp.sqrt(mp.mpf(time))
    deviation = vol * root
    d1 = mp.log(f / k) / deviation + deviation / 2
    d2 = d1 - deviation
    sign = 1 if k >= f else -1
    value = sign * (f * upper_tail(-sign * d1) - k * upper_tail(-sign * d2))
    return value, f - k, f * root * mp.npdf(d1)


def upper_tail(x: mp.mpf) -> mp.mpf:
    return mp.erfc(x / mp.sqrt(2)) / 2


def imply(price, forward, strike, time, is_call, discount=1.0) -> ImpliedVols:
    """implied_vol of scalars and columns in any mixture."""
    columns = np.broadcast_arrays(price, forward, strike, time, is_call, discount)
    return implied_vol(*columns)


def half_digit(price: Floats) -> Floats:
    return np.spacing(price) / 2


@pytest.fixture(scope="module")
def grid() -> dict[str, Floats]:
    """K/F 0.1 to 10, vol 5% to 300%, an hour to three years; calls and puts, exact then rounded."""
    rows = []
    with mp.workdps(DIGITS):
        for moneyness, vol, time in itertools.product(STRIKES, VOLS, TIMES):
            value, intrinsic, vega = exact_option(100.0, 100.0 * moneyness, time, vol)
            for is_call, itm in ((True, intrinsic), (False, -intrinsic)):
                price = float(value + max(itm, 0))
                if value > mp.mpf("1e-307"):
                    lost = float(half_digit(price) / (vega * vol))
                    rows.append((price, 100.0 * moneyness, time, is_call, vol, lost, itm <= 0))
    names = ("price", "strike", "time", "is_call", "vol", "lost", "is_otm")
    return dict(zip(names, np.array(rows).T, strict=True))


def test_round_trip_is_as_good_as_the_rounded_price_allows(grid):
    # ``lost``: what half a last digit of the price does to the vol, relatively, to first order.
    found = imply(grid["price"], 100.0, grid["strike"], grid["time"], grid["is_call"] > 0)
    error = np.abs(found.vol / grid["vol"] - 1)
    is_otm = grid["is_otm"] > 0
    assert is_otm.sum() > 800
    assert (found.status[is_otm] == PriceStatus.OK).all()
    assert error[is_otm].max() <= SOLVER_ERROR
    known = grid["lost"] < 1e-3
    assert known.sum() > 1400
    assert (found.status[known] == PriceStatus.OK).all()
    assert (error[known] <= SOLVER_ERROR + 1.05 * grid["lost"][known]).all()
    assert error[2 * grid["lost"] <= 1e-12].max() <= 1e-12


def test_a_price_without_a_digit_of_vol_gives_none(grid):
    found = imply(grid["price"], 100.0, grid["strike"], grid["time"], grid["is_call"] > 0)
    lost = grid["lost"] > 0.1
    assert lost.sum() > 50
    assert (found.status[lost] == PriceStatus.NO_INFORMATION).all()


@pytest.mark.parametrize(
    ("forward", "strike", "time", "is_call", "price", "vol"),
    [
        (100.0, 100.0, 0.0821917808219178, True, 6.853940718253547, 0.6),
        (100.0, 300.0, 0.019178082191780823, True, 7.9463290914109e-11, 1.2),
        (100.0, 120.0, 0.0027397260273972603, True, 6.4394265528214495e-06, 0.8),
        (100.0, 50.0, 0.0821917808219178, False, 0.020078568886363713, 0.9),
        (60000.0, 200000.0, 0.038356164383561646, True, 1.3347053175634568e-15, 0.7),
    ],
)  # fmt: skip
def test_prices_on_which_root_finders_in_the_price_fail(forward, strike, time, is_call, price, vol):
    found = imply([price], forward, strike, time, is_call)
    assert abs(found.vol[0] - vol) <= 4e-15


def test_far_beyond_any_market_it_still_is_exact():
    generator = np.random.default_rng(11)
    logs = np.concatenate([generator.uniform(0, 225, 150), 10 ** generator.uniform(-12, 2, 150)])
    z = generator.uniform(-7, 36, logs.size)
    deviation = 2 * logs / (np.sqrt(z * z + 2 * logs) + z)
    strike = np.exp(logs)
    with mp.workdps(400):
        exact = [exact_option(1.0, k, 1.0, s)[0] for k, s in zip(strike, deviation, strict=True)]
        price = np.array([float(value) for value in exact])
        room = [float((1 - value) / mp.npdf(a)) for value, a in zip(exact, z, strict=True)]
    # The nearer the bound, the less a price says.
    lost = half_digit(price) * np.array(room) / (1 - price) / deviation
    found = imply(price, 1.0, strike, 1.0, True)
    assert (found.status == PriceStatus.OK).all()
    assert (np.abs(found.vol / deviation - 1) <= SOLVER_ERROR + 1.05 * lost).all()


def test_two_steps_settle_everywhere():
    logs = np.concatenate([[0.0], np.logspace(-15, np.log10(225), 400)])
    depth = np.concatenate([-np.logspace(-2, np.log10(700), 300)])
    room = np.logspace(-15, -0.31, 100)
    time_value = np.concatenate([np.exp(depth), 1 - room])
    k, c = (column.ravel() for column in np.meshgrid(logs, time_value, indexing="ij"))
    seen = (k > 0) | (c > 1.1e-150)
    strike, c = np.exp(k[seen]), c[seen]
    found = imply(c, 1.0, strike, 1.0, True)
    assert (found.status == PriceStatus.OK).all()
    # Two scales cross here: the lifted prices are not lifted, and nothing changes.
    plain = c > 1e-250
    step, s = np.empty(plain.sum()), found.vol[plain]
    take_step(s, np.log(strike[plain]), c[plain], 1 - c[plain], np.zeros(s.size), step)
    assert np.abs(step).max() < 1e-14
    assert STEP_MAX**4 < 1e-11


def test_moment_ratio_against_fifty_digits():
    with mp.workdps(DIGITS):
        for h in np.concatenate([np.linspace(0, 8, 60), np.linspace(9, 80, 20)]):
            m0 = upper_tail(mp.mpf(h)) / mp.npdf(mp.mpf(h))
            m1 = 1 - h * m0
            m2 = m0 - h * m1
            exact = (2 * m1 - h * m2) / m2
            fitted = horner.py_func(h, MOMENTS_P) / horner.py_func(h, MOMENTS_Q)
            assert abs(fitted / exact - 1) < 5e-16


ITM_CALL = {"forward": 120.0, "strike": 100.0, "time": 0.25, "is_call": True, "discount": 0.98}
OTM_PUT = {"forward": 120.0, "strike": 100.0, "time": 0.25, "is_call": False, "discount": 0.98}


@pytest.mark.parametrize(
    ("option", "changed", "price", "status"),
    [
        (ITM_CALL, {}, 25.0, PriceStatus.OK),
        (ITM_CALL, {}, 19.5, PriceStatus.BELOW_INTRINSIC),
        (ITM_CALL, {}, 0.98 * 20.0 * (1 - 1e-14), PriceStatus.BELOW_INTRINSIC),
        (ITM_CALL, {}, 0.98 * 20.0, PriceStatus.NO_INFORMATION),
        (ITM_CALL, {}, 0.0, PriceStatus.BELOW_INTRINSIC),
        (ITM_CALL, {}, 0.98 * 120.0, PriceStatus.ABOVE_BOUND),
        (ITM_CALL, {}, 1e300, PriceStatus.ABOVE_BOUND),
        (OTM_PUT, {}, -1e-300, PriceStatus.BELOW_INTRINSIC),
        (OTM_PUT, {}, 0.0, PriceStatus.NO_INFORMATION),
        (OTM_PUT, {}, 5e-324, PriceStatus.NO_INFORMATION),
        (OTM_PUT, {}, 1e-300, PriceStatus.OK),
        (OTM_PUT, {}, 0.98 * 100.0, PriceStatus.ABOVE_BOUND),
        (OTM_PUT, {}, 119.0, PriceStatus.ABOVE_BOUND),
        (OTM_PUT, {"strike": 120.0}, 1e-300, PriceStatus.NO_INFORMATION),
        (OTM_PUT, {}, math.nan, PriceStatus.NOT_FINITE),
        (OTM_PUT, {}, math.inf, PriceStatus.NOT_FINITE),
        (OTM_PUT, {"time": 0.0}, 1.0, PriceStatus.EXPIRED),
        (OTM_PUT, {"time": -0.1}, -7.0, PriceStatus.EXPIRED),
        (OTM_PUT, {"time": 1e9}, 1.0, PriceStatus.BAD_TIME),
        (OTM_PUT, {"time": math.nan}, 1.0, PriceStatus.NOT_FINITE),
        (OTM_PUT, {"forward": 0.0}, 1.0, PriceStatus.BAD_FORWARD),
        (OTM_PUT, {"forward": 5e-324}, 1.0, PriceStatus.BAD_FORWARD),
        (OTM_PUT, {"strike": -1.0}, 1.0, PriceStatus.BAD_STRIKE),
        (OTM_PUT, {"discount": 0.0}, 1.0, PriceStatus.BAD_DISCOUNT),
    ],
)  # fmt: skip
def test_status_of_one_price(option, changed, price, status):
    found = imply([price], **{**option, **changed})
    assert found.status[0] == status
    assert math.isnan(found.vol[0]) == (status != PriceStatus.OK)


def test_nonsense_never_gives_a_plausible_wrong_number():
    odd = [0.0, -0.0, 5e-324, 1e-310, 1e-300, 1e-99, 1e-8, 0.5, 1.0, 1 + 2**-52, 100.0, 1e16]
    odd += [1e99, 1e300, -1.0, -1e-300, math.inf, -math.inf, math.nan]
    axes = np.meshgrid(odd, odd, odd, odd, [0.5, 1.0, 1e-310, 0.0, math.nan], [0.0, 1.0])
    price, forward, strike, time, discount, side = (axis.ravel() for axis in axes)
    found = imply(price, forward, strike, time, side > 0, discount)
    finite = np.isfinite([price, forward, strike, time, discount]).all(axis=0)
    is_ok = found.status == PriceStatus.OK
    assert ((found.status == PriceStatus.NOT_FINITE) == ~finite).all()
    assert (np.isnan(found.vol) == ~is_ok).all()
    assert not is_ok[(time <= 0) | (price <= 0)].any()
    assert (found.vol[is_ok] > 0).all()
    chosen = np.random.default_rng(5).permutation(np.flatnonzero(is_ok))[:300]
    assert chosen.size == 300
    with mp.workdps(400):
        for i in chosen:
            value, intrinsic, vega = exact_option(forward[i], strike[i], time[i], found.vol[i])
            exact = value + max(intrinsic if side[i] else -intrinsic, 0)
            given = mp.mpf(price[i]) / discount[i]
            rounding = mp.mpf(2) ** -51 * given + mp.mpf(5e-324) / discount[i]
            assert abs(exact - given) <= rounding + 4e-15 * vega * found.vol[i]


def test_bits_depend_on_an_option_alone(grid):
    columns = [grid[name] for name in ("price", "strike", "time")]
    side = grid["is_call"] > 0
    price, strike, time = (np.tile(column, 3) for column in columns)
    whole = imply(price, 100.0, strike, time, np.tile(side, 3))
    turned = imply(price[::-1], 100.0, strike[::-1], time[::-1], np.tile(side, 3)[::-1])
    np.testing.assert_array_equal(turned.vol[::-1], whole.vol)
    threads = nb.get_num_threads()
    nb.set_num_threads(1)
    try:
        alone = imply(price, 100.0, strike, time, np.tile(side, 3))
    finally:
        nb.set_num_threads(threads)
    np.testing.assert_array_equal(alone.vol, whole.vol)
    for i in range(0, side.size, 37):
        single = imply(price[i : i + 1], 100.0, strike[i], time[i], side[i])
        np.testing.assert_array_equal(single.vol[0], whole.vol[i])
    first = side.size
    np.testing.assert_array_equal(whole.vol[:first], whole.vol[first : 2 * first])


def test_half_a_tick_moves_the_vol_by_what_is_reported():
    strike, vol, tick = np.array([80.0, 100.0, 130.0]), 0.6, 1e-4
    values = [exact_option(100.0, k, 0.25, vol) for k in strike]
    price = np.array([float(value) for value, _, _ in values])
    error = half_tick_error(np.array([float(vega) for _, _, vega in values]), np.full(3, tick))
    side = strike >= 100.0
    up, down = (imply(price + half, 100.0, strike, 0.25, side).vol for half in (5e-5, -5e-5))
    np.testing.assert_allclose((up - down) / 2, error, rtol=1e-6)
    nothing = half_tick_error(np.array([0.0, math.nan]), np.array([tick, tick]))
    np.testing.assert_array_equal(nothing, [math.inf, math.nan])


def test_coin_price_is_converted_at_the_forward_it_names():
    forward = np.array([60000.0, 60000.0])
    converted = price_from_coin(np.array([0.0426624, 0.1259957]), forward)
    np.testing.assert_array_equal(converted.forward, forward)
    found = imply(converted.price, converted.forward, 65000.0, 30 / 365, [True, False])
    np.testing.assert_allclose(found.vol, 0.65, atol=1e-6)


def test_no_discount_is_a_discount_of_one():
    columns = *np.array([[5.0], [100.0], [110.0], [0.5]]), np.array([True])
    np.testing.assert_array_equal(
        implied_vol(*columns).vol, implied_vol(*columns, np.array([1.0])).vol
    )


def test_columns_of_different_lengths_are_refused():
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(InputError, match=r"implied_vol: columns of shapes .*; give columns"):
        implied_vol(one, two, two, two, np.ones(2, dtype=bool), two)
