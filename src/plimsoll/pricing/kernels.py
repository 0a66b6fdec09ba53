"""Black-76 as flat loops that vectorise: columns in, the caller's arrays filled.

With h = abs(ln(F/K)) / (vol sqrt(T)), t = vol sqrt(T) / 2 and T(z) = (1 - N(z)) exp(z²/2), the
out-of-the-money value, be it the call's or the put's, is D min(F, K) times

    exp(-(h - t)²/2) (T(h - t) - T(h + t))        where h >= t,
    1 - exp(-(h - t)²/2) (T(t - h) + T(h + t))    where h < t,

since F n(d1) = K n(d2): one exponential and, over a common denominator, one division. The side
in the money follows by parity.

Loops over options run on all threads in fixed pieces and add nothing up: the bits of an element
depend on its own inputs only.
"""

import math

import numba as nb

from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.pricing.numerics import (
    TAIL_P,
    TAIL_Q,
    Z_MAX,
    bell,
    fma,
    horner,
    log_ratio,
    normal_cdf,
)
from plimsoll.pricing.status import PriceStatus

PRICE_MIN, PRICE_MAX = 1e-100, 1e100
"""Forwards, strikes and discount factors outside are mistakes; inside nothing overflows."""
TIME_MAX = 1000.0
"""Years: more is a time in days, or in nanoseconds."""
VOL_MAX = 1000.0
DEVIATION_MIN = 1e-14
"""vol sqrt(T) below this is taken as this in quotients: it is worth less than 4e-15 forwards."""

_BLOCK, _ROWS = 2048, 64
_OK, _EXPIRED = int(PriceStatus.OK), int(PriceStatus.EXPIRED)
_NOT_FINITE = int(PriceStatus.NOT_FINITE)
_BAD_FORWARD, _BAD_STRIKE = int(PriceStatus.BAD_FORWARD), int(PriceStatus.BAD_STRIKE)
_BAD_VOL, _BAD_TIME = int(PriceStatus.BAD_VOL), int(PriceStatus.BAD_TIME)
_BAD_DISCOUNT = int(PriceStatus.BAD_DISCOUNT)


@nb.njit(inline="always")
def option_status(forward: float, strike: float, time: float, vol: float, discount: float) -> int:
    """The ``PriceStatus`` of one option's inputs; the last test that fails gives the reason."""
    status = _EXPIRED if time <= 0.0 else _OK
    status = _BAD_DISCOUNT if not PRICE_MIN <= discount <= PRICE_MAX else status
    status = _BAD_TIME if abs(time) > TIME_MAX else status
    status = _BAD_VOL if not 0.0 <= vol <= VOL_MAX else status
    status = _BAD_STRIKE if not PRICE_MIN <= strike <= PRICE_MAX else status
    status = _BAD_FORWARD if not PRICE_MIN <= forward <= PRICE_MAX else status
    # Infinity less itself is NaN, which equals nothing.
    rest = (forward - forward) + (strike - strike) + (time - time) + (vol - vol)
    return status if rest + (discount - discount) == 0.0 else _NOT_FINITE


@nb.njit(inline="always")
def has_value(forward: float, strike: float, time: float, vol: float, discount: float) -> bool:
    """Whether ``option_status`` is one that comes with a value: cheaper than the reason."""
    prices = (forward >= PRICE_MIN) & (forward <= PRICE_MAX)
    prices &= (strike >= PRICE_MIN) & (strike <= PRICE_MAX)
    prices &= (discount >= PRICE_MIN) & (discount <= PRICE_MAX)
    return prices & (abs(time) <= TIME_MAX) & (vol >= 0.0) & (vol <= VOL_MAX)


@nb.njit(inline="always")
def reduce_option(
    forward: float, strike: float, time: float, vol: float, discount: float
) -> tuple[float, float, float, float, float]:
    """Discounted forward and strike, h with its sign, 1 / (vol sqrt(T)) and t.

    Past expiry there is neither volatility nor discount; forward and strike are NaN where there
    is no value.
    """
    live = time > 0.0
    deviation = vol * math.sqrt(time if live else 0.0)
    inverse = 1.0 / max(deviation, DEVIATION_MIN)
    factor = discount if live else 1.0
    factor = factor if has_value(forward, strike, time, vol, discount) else math.nan
    h = log_ratio(forward, strike) * inverse
    return factor * forward, factor * strike, h, inverse, 0.5 * deviation


@nb.njit(inline="always")
def black_value(forward: float, strike: float, h: float, t: float, is_call: bool) -> float:
    """Value of one option from discounted forward and strike; t >= 0. NaN in, NaN out.

    Absolute error 5e-15 of the smaller of forward and strike.
    """
    size = abs(h)
    # In this order of arguments NaN stays NaN.
    near, far = min(abs(size - t), Z_MAX), min(size + t, Z_MAX)
    p1, q1 = horner(near, TAIL_P), horner(near, TAIL_Q)
    p2, q2 = horner(far, TAIL_P), horner(far, TAIL_Q)
    smaller = min(forward, strike)
    shared = smaller * bell(near) / (q1 * q2)
    a, b = p1 * q2, p2 * q1
    # Rounding may leave a below b where they all but meet, and a value is never negative.
    out_of_money = fma(-shared, a + b, smaller) if size < t else shared * abs(a - b)
    return out_of_money + ((forward if is_call else strike) - smaller)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def value_block(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, is_call: Bools,
    discount: Floats, status: Int8s, out: Floats,
) -> None:  # fmt: skip
    """Fill ``status`` and discounted ``out`` of some options, on one thread.

    Statuses other than OK are looked for only where there is one.
    """
    for i in range(out.size):
        f, k, h, _, t = reduce_option(forward[i], strike[i], time[i], vol[i], discount[i])
        out[i] = black_value(f, k, h, t, is_call[i])
    odd = 0
    for i in range(out.size):
        odd += 0 if (time[i] > 0.0) & (out[i] == out[i]) else 1
    if odd == 0:
        status[:] = _OK
        return
    for i in range(out.size):
        status[i] = option_status(forward[i], strike[i], time[i], vol[i], discount[i])


@nb.njit(cache=True, nogil=True, parallel=True)
def fill_values(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, is_call: Bools,
    discount: Floats, status: Int8s, out: Floats,
) -> None:  # fmt: skip
    """Fill ``status`` and discounted ``out``, shape [options], on all threads."""
    for block in nb.prange((out.size + _BLOCK - 1) // _BLOCK):
        low = block * _BLOCK
        high = min(low + _BLOCK, out.size)
        value_block(
            forward[low:high], strike[low:high], time[low:high], vol[low:high],
            is_call[low:high], discount[low:high], status[low:high], out[low:high],
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_reduced(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, discount: Floats,
    status: Int8s, reduced: Floats,
) -> None:  # fmt: skip
    """Fill ``status``, shape [options], and ``reduced``, shape [5, options]: ``reduce_option``."""
    for i in range(status.size):
        status[i] = option_status(forward[i], strike[i], time[i], vol[i], discount[i])
        reduced[0, i], reduced[1, i], reduced[2, i], reduced[3, i], reduced[4, i] = reduce_option(
            forward[i], strike[i], time[i], vol[i], discount[i]
        )


@nb.njit(cache=True, nogil=True, error_model="numpy")
def value_rows(
    reduced: Floats, is_call: Bools, coin_forward: Floats, vol_row: Int64s,
    growth: Floats, scaled_log_growth: Floats, vol_growth: Floats, inverse_vol_growth: Floats,
    low: int, high: int, out: Floats,
) -> None:  # fmt: skip
    """Fill rows low to high of ``out``, shape [options, scenarios], on one thread.

    ``scaled_log_growth`` is ln(growth) / vol_growth, so that a scenario's h is h / vol_growth
    + scaled_log_growth / deviation: neither logarithm nor quotient is left in the loop.
    ``coin_forward`` is the forward of an option that settles in coin, 0 of others.
    """
    for i in range(low, high):
        forward, strike, h, inverse, t = (
            reduced[0, i], reduced[1, i], reduced[2, i], reduced[3, i], reduced[4, i],
        )  # fmt: skip
        row, values, call = vol_row[i], out[i], is_call[i]
        logs, vols, inverse_vols = (
            scaled_log_growth[row], vol_growth[row], inverse_vol_growth[row],
        )  # fmt: skip
        for s in range(growth.size):
            moved = fma(h, inverse_vols[s], logs[s] * inverse)
            values[s] = black_value(forward * growth[s], strike, moved, t * vols[s], call)
        if coin_forward[i] > 0.0:
            for s in range(growth.size):
                values[s] /= coin_forward[i] * growth[s]


@nb.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def fill_grid(
    reduced: Floats, is_call: Bools, coin_forward: Floats, vol_row: Int64s,
    growth: Floats, scaled_log_growth: Floats, vol_growth: Floats, inverse_vol_growth: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """Fill ``out``, shape [options, scenarios], with discounted values, on all threads.

    The growths of vol are [rows, scenarios]; ``vol_row`` says which row is an option's.
    """
    for block in nb.prange((out.shape[0] + _ROWS - 1) // _ROWS):
        value_rows(
            reduced, is_call, coin_forward, vol_row,
            growth, scaled_log_growth, vol_growth, inverse_vol_growth,
            block * _ROWS, min(block * _ROWS + _ROWS, out.shape[0]), out,
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_log_ratio(x: Floats, y: Floats, out: Floats) -> None:
    """out = ln(x / y) of positive normal numbers."""
    for i in range(out.size):
        out[i] = log_ratio(x[i], y[i])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_normal_cdf(z: Floats, out: Floats) -> None:
    """out = N(z)."""
    for i in range(out.size):
        out[i] = normal_cdf(z[i])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_bell(z: Floats, out: Floats) -> None:
    """out = exp(-z²/2) for abs(z) <= Z_MAX."""
    for i in range(out.size):
        out[i] = bell(z[i])
