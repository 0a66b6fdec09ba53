"""Implied volatility as flat loops that vectorise: columns in, the caller's arrays filled.

Calls and puts are one problem, in units of the smaller of forward F and strike K. With
k = abs(ln(F/K)) and the deviation s = vol sqrt(T), the time value is c(s) and what is left of it
to the upper bound is u = 1 - c. With h = k/s, t = s/2, z = h - t, n the normal density and M(z)
the Mills ratio (1 - N(z)) / n(z), both are the vega dc/ds = n(z) times a mild factor:

    c = n(z) (M(z) - M(h + t))        u = n(z) (M(-z) + M(h + t))

so that a step on ln c or ln u needs no exponential, and loses no digit however small c or u is.
Only the difference of two Mills ratios cancels where t is small. There it is summed as
2 (m1 t + m3 t³/3! + m5 t⁵/5! + ...) with the moments mn = integral of x^n exp(-hx - x²/2) over
x > 0; m0 is M(h). All moments come without cancellation from r = m3/m2, as Laplace's fraction
M(h) = 1/(h + 1/(h + 2/(h + r))) is m0 = 1/(h + m1/m0) and so on; r is fitted.

The first guess is within 28% and a step raises the relative error to the fourth power, times a
constant far below one, so two of them reach what rounding allows.

Sources: Jäckel, "By Implication" (2006) and "Let's Be Rational" (2013-16), for steps in the
logarithm and of Householder's third order; the units, the moments and the guess are ours.
"""

import math

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, Int8s
from plimsoll.pricing.kernels import option_status
from plimsoll.pricing.numerics import horner, log, log_ratio
from plimsoll.pricing.status import PriceStatus

# m3/m2 on [0, 80] as P/Q, relative error 6e-17; every coefficient is positive.
MOMENTS_P = (
    1.5957691216057308,
    1.7665567871270094,
    1.0147188337383857,
    0.38705857479533756,
    0.10711121393680993,
    0.022305399614380897,
    0.00352862040021841,
    0.00041881303009862095,
    3.5830197154755786e-05,
    2.012709290742853e-06,
    5.741025065187834e-08,
)
MOMENTS_Q = (
    1.0,
    1.3912273822059882,
    0.9847913622439978,
    0.46009333597228136,
    0.1561156767105586,
    0.04017390328020431,
    0.007980132631144509,
    0.0012235976588238198,
    0.00014228795579112726,
    1.2019946052077006e-05,
    6.709030969165457e-07,
    1.9136750217286766e-08,
)
STEPS = 2
STEP_MAX = 1e-3
"""A last step beyond this fraction of the deviation has not settled; the largest is 3e-4."""
PRICE_ROUNDING = 2.0**-52
"""Half a last digit in the price, and as much again in taking the discount off."""
DENORMAL = 5e-324

_BLOCK = 512
_TERMS = 10
_LN_SQRT_2PI = 0.9189385332046727
_HALF_PI, _ROOT_HALF_PI = 1.5707963267948966, 1.2533141373155003
_INVERSE_SQRT_2PI = 0.3989422804014327
# Time values below the first, in units of the smaller of forward and strike, are lifted. At the
# money the square of the deviation has to be a normal number.
_TINY, _LIFT, _LN_LIFT, _TINY_AT_MONEY = 1e-200, 2.0**600, 600 * math.log(2.0), 1e-150
# h² / ln(1 + 1 / (2 pi r²)) for the Bachelier value r in units of k, to 5%.
_BACHELIER = (-0.99572179, 0.67323231, 0.56608683)
_OK, _NOT_FINITE = int(PriceStatus.OK), int(PriceStatus.NOT_FINITE)
_BELOW_INTRINSIC = int(PriceStatus.BELOW_INTRINSIC)
_ABOVE_BOUND = int(PriceStatus.ABOVE_BOUND)
_NO_INFORMATION = int(PriceStatus.NO_INFORMATION)


@nb.njit(inline="always")
def moments(h: float) -> tuple[float, float, float]:
    """m0, m1 and m3, as the module defines them, for 0 <= h <= 80; relative error 4e-16."""
    r = horner(h, MOMENTS_P) / horner(h, MOMENTS_Q)
    first = h + r
    second = h * first + 2.0
    inverse = 1.0 / (h * second + first)
    return second * inverse, first * inverse, 2.0 * r * inverse


@nb.njit(inline="always")
def mean_moment(h: float, t: float, m1: float, m3: float) -> float:
    """(M(h - t) - M(h + t)) / (2t) for t (1 + h) < 1/2, relative error 5e-16.

    The moments' recurrence, m[n+2] = (h² + 2n + 1) m[n] - n (n - 1) m[n-2], is taken on the
    terms of the sum; t (1 + h) bounds what it loses as well as what it leaves out.
    """
    square, product = t * t, (h * t) * (h * t)
    before, term = m1, square * m3 * (1.0 / 6.0)
    rest = term
    for j in range(1, _TERMS):
        factor = (product + (4 * j + 3) * square) * term - square * square * before
        before, term = term, factor * (1.0 / ((2 * j + 2) * (2 * j + 3)))
        rest += term
    return m1 + rest


@nb.njit(inline="always")
def scale(
    price: float, forward: float, strike: float, is_call: bool, discount: float
) -> tuple[float, float, float, float]:
    """Undiscounted price; time value and room to the bound; the smaller of forward and strike."""
    value = price / discount
    smaller = min(forward, strike)
    bound = forward if is_call else strike
    return value, value - (bound - smaller), bound - value, smaller


@nb.njit(inline="always")
def price_status(
    price: float, forward: float, strike: float, is_call: bool, discount: float
) -> int:
    """The ``PriceStatus`` of a price whose other inputs are valid; the last test that fails."""
    value, time_value, room, smaller = scale(price, forward, strike, is_call, discount)
    rounding = PRICE_ROUNDING * abs(value) + DENORMAL * (1.0 + 1.0 / discount)
    unseen = (time_value <= 2.0 * rounding) | (room <= 2.0 * rounding)
    # At the money such a price is worth a deviation that is hardly a number itself.
    unseen |= (forward == strike) & (time_value < _TINY_AT_MONEY * smaller)
    status = _NO_INFORMATION if unseen else _OK
    status = _ABOVE_BOUND if room <= 0.0 else status
    return _BELOW_INTRINSIC if time_value < -2.0 * rounding else status


@nb.njit(inline="always")
def first_guess(k: float, c: float, u: float, lift: float) -> float:
    """A deviation near the one that gives the lifted time value c, or leaves u to the bound.

    z of either side of the inflection at z = 0 is solved for as if M(h + t) / M(z) were as it
    is there, which makes c / (1 - ratio) and u / (1 + ratio) normal tails; their inverse is
    that of Pólya's N(z)(1 - N(z)) = exp(-2z²/pi)/4. Deep down the tail, where that is poor,
    c exp(-k/2) / k is a function of h alone, as under Bachelier, but for a small factor.
    """
    # 1 - ratio, for the close bound ratio = 2 / (sqrt(pi k) + sqrt(pi k + 4)).
    root, further = math.sqrt(2.0 * _HALF_PI * k), math.sqrt(2.0 * _HALF_PI * k + 4.0)
    gap = (root + root * root / (further + 2.0)) / (root + further)
    is_low = (2.0 * c < gap) | (lift > 0.0)
    scale_of_tail = gap if is_low else 2.0 - gap
    tail = (c if is_low else u) / scale_of_tail
    skew = abs(2.0 * c - gap) / scale_of_tail
    z = math.sqrt(-_HALF_PI * log(4.0 * tail * (1.0 - tail)))
    z = _ROOT_HALF_PI * skew if skew < 1e-4 else z
    reach = math.sqrt(z * z + 2.0 * k)
    central = 2.0 * k / (reach + z) if is_low else reach + z
    worth = _INVERSE_SQRT_2PI * k / c
    is_far = (worth > 1e3) | (k > 1.0) | (lift > 0.0)
    logarithm = log(worth if is_far else 1.0 + worth * worth * (1.0 + k * (1.0 + 0.5 * k)))
    odds = 2.0 * (logarithm + lift) + k if is_far else logarithm
    a, b, d = _BACHELIER
    bend = math.sqrt(odds)
    h = math.sqrt(odds * (1.0 + a * bend + b * odds) / (1.0 + d * bend + b * odds))
    is_deep = is_low & ((2.0 * z * z > k) | (lift > 0.0))
    return k / h if is_deep else central


@nb.njit(inline="always")
def householder_step(s: float, k: float, c: float, u: float, lift: float) -> float:
    """The next step of the deviation s, as a fraction of it: third order, on ln c or on ln u."""
    h, t = k / s, 0.5 * s
    z = h - t
    is_small = k + s < 1.0
    is_high = (z < 0.0) & (not is_small)
    nearer, m1, m3 = moments(h if is_small else abs(z))
    further = moments(h + t)[0]
    mean = mean_moment(h if is_small else 0.0, t if is_small else 0.0, m1, m3)
    factor = nearer + further if is_high else nearer - further
    factor = s * mean if is_small else factor
    miss = log_ratio(factor, u if is_high else c) - 0.5 * z * z - _LN_SQRT_2PI
    miss = miss if is_high else miss + lift
    # In units of s: the first derivative, then the second and third over the first; bend is
    # the second of the value over its first, the vega.
    first = s / factor
    first = -first if is_high else first
    bend = h * h - t * t
    newton = -miss / first
    second = bend - first
    third = bend * bend - (3.0 * h * h + t * t) - first * (3.0 * bend - 2.0 * first)
    above = 1.0 + 0.5 * second * newton
    return newton * above / (1.0 + newton * (second + third * newton * (1.0 / 6.0)))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def take_step(s: Floats, k: Floats, c: Floats, u: Floats, lift: Floats, step: Floats) -> None:
    """Move every deviation by one step, and keep the step."""
    for i in range(s.size):
        step[i] = householder_step(s[i], k[i], c[i], u[i], lift[i])
        s[i] += s[i] * step[i]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def implied_block(
    price: Floats, forward: Floats, strike: Floats, time: Floats, is_call: Bools,
    discount: Floats, status: Int8s, vol: Floats,
) -> None:  # fmt: skip
    """Fill ``status`` and ``vol`` of some options, on one thread."""
    work = np.empty((6, vol.size))
    s, k, c, u, lift, step = work[0], work[1], work[2], work[3], work[4], work[5]
    for i in range(vol.size):
        found = option_status(forward[i], strike[i], time[i], 0.0, discount[i])
        priced = price_status(price[i], forward[i], strike[i], is_call[i], discount[i])
        found = priced if found == _OK else found
        # Infinity less itself is NaN, which equals nothing.
        status[i] = found if price[i] - price[i] == 0.0 else _NOT_FINITE
    for i in range(vol.size):
        _, time_value, room, smaller = scale(
            price[i], forward[i], strike[i], is_call[i], discount[i]
        )
        larger = max(forward[i], strike[i])
        is_tiny = time_value < _TINY * smaller
        k[i] = log_ratio(larger, smaller)
        c[i] = (time_value * _LIFT if is_tiny else time_value) / smaller
        u[i] = room / smaller
        lift[i] = _LN_LIFT if is_tiny else 0.0
        s[i] = first_guess(k[i], c[i], u[i], lift[i])
    for _ in range(STEPS):
        take_step(s, k, c, u, lift, step)
    for i in range(vol.size):
        settled = abs(step[i]) < STEP_MAX
        status[i] = _NO_INFORMATION if (status[i] == _OK) & (not settled) else status[i]
        vol[i] = s[i] / math.sqrt(time[i]) if status[i] == _OK else math.nan


@nb.njit(cache=True, nogil=True, parallel=True)
def fill_implied(
    price: Floats, forward: Floats, strike: Floats, time: Floats, is_call: Bools,
    discount: Floats, status: Int8s, vol: Floats,
) -> None:  # fmt: skip
    """Fill ``status`` and ``vol``, shape [options], on all threads."""
    for block in nb.prange((vol.size + _BLOCK - 1) // _BLOCK):
        low = block * _BLOCK
        high = min(low + _BLOCK, vol.size)
        implied_block(
            price[low:high], forward[low:high], strike[low:high], time[low:high],
            is_call[low:high], discount[low:high], status[low:high], vol[low:high],
        )  # fmt: skip
