"""Scalar functions for Numba loops that the compiler then vectorises.

None branches, calls the C library or reads a table: only IEEE operations whose result is
defined to the bit, so an element has the same bits in a vector, in a loop's remainder and on
its own. Products and sums are fused where we say so (``fma``) and nowhere else.

The coefficients are best approximations in relative error; ``tools/fit_mills.py`` finds them.
Errors stated below are the largest relative ones found against a 50-digit reference.
"""

from typing import Any

import numba as nb
import numpy as np
from numba.extending import intrinsic

# exp(z²/2) (1 - N(z)) on [0, Z_MAX] as P/Q, relative error 2.6e-15 and none at 0. Every
# coefficient is positive, so no digit is lost in evaluating it.
TAIL_P = (
    0.5,
    0.7169899348921819,
    0.507278584746427,
    0.2254491954825814,
    0.06814054546489856,
    0.014297606733546318,
    0.002038295238333195,
    0.00018190968207378104,
    7.912510667763775e-06,
)
TAIL_Q = (
    1.0,
    2.2318644305874975,
    2.2953273404548606,
    1.4323339429773023,
    0.6000446161259394,
    0.17587257823172783,
    0.036294765915616214,
    0.005129082185075685,
    0.00045597995269927046,
    1.98337229620825e-05,
)
# 2^r on [-1/2, 1/2], relative error 2.8e-16.
EXP2 = (
    1.0,
    0.6931471805599497,
    0.24022650695908768,
    0.055504108664458846,
    0.009618129108034659,
    0.0013333558228561019,
    0.00015403529961074494,
    1.5252658116489186e-05,
    1.321566285357955e-06,
    1.0208537956734685e-07,
    7.037276831058339e-09,
)
# (2 atanh(s)/s - 2)/s² in s² on [0, 0.04], relative error 5e-15: a part in 75 of the whole.
ATANH_REST = (
    0.6666666666666694,
    0.39999999999342706,
    0.28571428833539586,
    0.22222183088766106,
    0.18184593042836927,
    0.15284133880219786,
    0.15114504932380052,
)
Z_MAX = 36.0
"""Beyond, the normal tail is taken as it is here.

That keeps products of exp(-z²/2) = 4e-282 with prices off the subnormal numbers, which are slow.
"""
SQRT_2PI = 2.5066282746310007

_EXP_MIN, _EXP_MAX = -708.0, 709.0
_LOG2_E, _LOG2_E_REST = 1.4426950408889634, 2.0355273740931033e-17
# The first has 32 bits, so that a multiple of it is exact.
_LN_2, _LN_2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Adding it to a number below 2^51 leaves the nearest integer in the last bits.
_ROUNDER = 6755399441055744.0
_HALF_EXPONENT = 1 << 51


def _emit_fused(_typing_context: Any, _x: Any, _y: Any, _z: Any) -> Any:
    """The compiler's own fused operation, which Numba does not offer by name."""
    double = nb.types.float64

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return double(double, double, double), emit


_FUSED: Any = intrinsic(_emit_fused)


@nb.njit(inline="always")
def fma(x: float, y: float, z: float) -> float:
    """x * y + z rounded once, as IEEE 754 defines it.

    One instruction on every x86-64 since 2013 and every arm64; elsewhere the same bits, slowly.
    """
    return float(_FUSED(x, y, z))


@nb.njit(inline="always")
def horner(x: float, coefficients: tuple[float, ...]) -> float:
    """The polynomial with these coefficients, lowest power first, at x."""
    total = coefficients[len(coefficients) - 1]
    for power in range(len(coefficients) - 2, -1, -1):
        total = fma(total, x, coefficients[power])
    return total


@nb.njit(inline="always")
def times_power_of_two(x: float, rounded: float) -> float:
    """x * 2^k where ``rounded`` is k + _ROUNDER; x and the result must be normal numbers."""
    exponent = np.float64(rounded).view(np.int64) << 52
    return np.int64(np.float64(x).view(np.int64) + exponent).view(np.float64)


@nb.njit(inline="always")
def exp(x: float) -> float:
    """e^x, relative error 4e-16. Below -708 and above 709 it stays as it is there; NaN is NaN."""
    y = min(max(x, _EXP_MIN), _EXP_MAX)
    rounded = fma(y, _LOG2_E, _ROUNDER)
    whole = rounded - _ROUNDER
    rest = fma(y, _LOG2_E_REST, fma(y, _LOG2_E, -whole))
    # Adding zero times x makes every NaN a NaN again, whatever its bits became.
    return times_power_of_two(horner(rest, EXP2), rounded) + 0.0 * y


@nb.njit(inline="always")
def log_ratio(x: float, y: float) -> float:
    """ln(x / y) of positive normal numbers, relative error 4e-16, also where x is close to y.

    Meaningless for others: the caller checks. It is 2 atanh((x - z)/(x + z)) + k ln 2 with
    z = y 2^k within a third of x; k is read off the difference of the two bit patterns, which
    are logarithms to the base 2 of sorts.
    """
    difference = np.float64(x).view(np.int64) - np.float64(y).view(np.int64)
    k = (difference + _HALF_EXPONENT) >> 52
    z = np.int64(np.float64(y).view(np.int64) + (k << 52)).view(np.float64)
    s = (x - z) / (x + z)
    square = s * s
    power = np.float64(k)
    small = fma(s * square, horner(square, ATANH_REST), power * _LN_2_REST)
    return fma(power, _LN_2, 2.0 * s + small)


@nb.njit(inline="always")
def log(x: float) -> float:
    """ln(x) of a positive normal number, relative error 4e-16; meaningless for others."""
    return log_ratio(x, 1.0)


@nb.njit(inline="always")
def bell(z: float) -> float:
    """exp(-z²/2) for abs(z) <= Z_MAX: sqrt(2 pi) times the normal density.

    Relative error (3 + z²) 1e-16, as for the exact function of a rounded z. NaN may give a number.
    """
    square = z * z
    rounded = fma(square, -0.5 * _LOG2_E, _ROUNDER)
    rest = fma(square, -0.5 * _LOG2_E, _ROUNDER - rounded)
    return times_power_of_two(horner(rest, EXP2), rounded)


@nb.njit(inline="always")
def tail(z: float) -> float:
    """(1 - N(z)) exp(z²/2), the Mills ratio over sqrt(2 pi), for 0 <= z <= Z_MAX.

    Relative error 3e-15, a smooth function of z. Also erfcx(z / sqrt(2)) / 2.
    """
    return horner(z, TAIL_P) / horner(z, TAIL_Q)


@nb.njit(inline="always")
def normal_cdf(z: float) -> float:
    """N(z), relative error 3e-15 + z² 1e-16 in either tail down to N(-Z_MAX) = 4e-284.

    Beyond -Z_MAX it stays as it is there.
    """
    size = min(abs(z), Z_MAX)
    beyond = bell(size) * tail(size)
    return 1.0 - beyond if z > 0.0 else beyond
