"""Products of two 64-bit numbers over a third, without wider integers."""

from typing import Any

import numba as nb
import numpy as np

_ONE, _HALF, _LOW = np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)
_BASE, _BITS = np.uint64(1 << 32), np.uint64(64)
_ZERO = np.uint64(0)
TOO_LARGE = np.uint64(2**64 - 1)
"""Stands for a quotient that 64 bits do not hold."""


@nb.njit(cache=True, nogil=True, error_model="numpy")
def multiply_high(a: Any, b: Any) -> Any:
    """The upper 64 bits of a * b; all are uint64."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (other >> _HALF)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _digit(top: Any, next_digit: Any, high: Any, low: Any) -> Any:
    """One 32-bit digit of a quotient by the divisor (high, low), whose first bit is set."""
    digit = top // high
    rest = top - digit * high
    while digit >= _BASE or digit * low > ((rest << _HALF) | next_digit):
        digit -= _ONE
        rest += high
        if rest >= _BASE:
            break
    return digit


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _divide(high: Any, low: Any, divisor: Any) -> Any:
    """(high * 2**64 + low) over the divisor, for high < divisor, with the remainder.

    Source: Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D on 32-bit digits.
    """
    shift = _ZERO
    while divisor >> (_BITS - _ONE) == _ZERO:
        divisor <<= _ONE
        shift += _ONE
    if shift > _ZERO:
        high = (high << shift) | (low >> (_BITS - shift))
        low <<= shift
    first, second = divisor >> _HALF, divisor & _LOW
    upper = _digit(high, low >> _HALF, first, second)
    # What does not fit wraps around, and back.
    rest = ((high << _HALF) | (low >> _HALF)) - upper * divisor
    lower = _digit(rest, low & _LOW, first, second)
    remainder = ((rest << _HALF) | (low & _LOW)) - lower * divisor
    return (upper << _HALF) + lower, remainder >> shift


@nb.njit(cache=True, nogil=True, error_model="numpy")
def multiply_floor(a: Any, b: Any, divisor: Any) -> Any:
    """a * b / divisor rounded down, and the remainder; all are uint64, the divisor at least 1.

    ``TOO_LARGE`` and no remainder where the quotient does not fit.
    """
    high, low = multiply_high(a, b), a * b
    if high == _ZERO:
        quotient = low // divisor
        return quotient, low - quotient * divisor
    if high >= divisor:
        return TOO_LARGE, _ZERO
    return _divide(high, low, divisor)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def multiply_divide(a: Any, b: Any, divisor: Any) -> Any:
    """a * b / divisor to the nearest, ties to even; all are uint64, the divisor at least 1.

    ``TOO_LARGE`` where the quotient does not fit.
    """
    quotient, remainder = multiply_floor(a, b, divisor)
    other = divisor - remainder
    if quotient != TOO_LARGE and (
        remainder > other or (remainder == other and quotient & _ONE == _ONE)
    ):
        quotient += _ONE
    return quotient
