"""Exact numbers: integers in a declared smallest unit, and the roundings between them.

The ledger holds every amount as an int64 count of units of 10**-decimals. Products and
quotients are taken in Python's unbounded integers and rounded once, half to even.
"""

from decimal import Decimal, localcontext

import numpy as np

from plimsoll.core.arrays import Int64s
from plimsoll.core.errors import LedgerError

UNITS_MAX = 2**62
"""Largest magnitude of a stored amount: one doubling short of int64's end."""


def divide_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to even."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, remainder = divmod(numerator, denominator)
    double = 2 * remainder
    return quotient + (double > denominator or (double == denominator and quotient % 2 == 1))


def scale_to_units(product: int, exponent: int) -> int:
    """product * 10**exponent to the nearest integer, ties to even."""
    if exponent >= 0:
        return product * int(10**exponent)
    return divide_half_even(product, 10**-exponent)


def to_units(value: Decimal, decimals: int) -> int:
    """``value`` in units of 10**-decimals, half to even; |result| may exceed int64."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise LedgerError("amount", f"{value} is not finite", "give a finite number")
    magnitude = int("".join(map(str, digits)) or "0")
    return scale_to_units(-magnitude if sign else magnitude, exponent + decimals)


def decimals_for(values: list[Decimal], decimals_max: int) -> int:
    """Decimals that hold every value exactly where int64 has room, else as fine as it has.

    The largest magnitude keeps a headroom of at least 4 for growth, so the rounding error is
    at most 1e-17 of the next power of ten above the largest value.
    """
    with localcontext() as context:
        context.prec = 60
        largest = max((abs(value) for value in values), default=Decimal(0))
        needed = max((-int(value.normalize().as_tuple().exponent) for value in values), default=0)
    room = 17 - (largest.adjusted() if largest else 0)
    return max(0, min(needed, room, decimals_max))


def sum_exact(values: Int64s) -> int:
    """Sum without overflow: high and low halves are summed apart."""
    high = int(np.sum(values >> 32, dtype=np.int64))
    low = int(np.sum(values & 0xFFFFFFFF, dtype=np.int64))
    return (high << 32) + low


def divide_all_half_even(numerator: Int64s, denominator: Int64s) -> Int64s:
    """Elementwise numerator / denominator, ties to even; object arrays of int are fine."""
    sign = np.where(denominator < 0, -1, 1)
    top, bottom = numerator * sign, denominator * sign
    quotient = top // bottom
    double = 2 * (top - quotient * bottom)
    return np.asarray(quotient + ((double > bottom) | ((double == bottom) & (quotient % 2 == 1))))


def add_exact(column: Int64s, rows: Int64s, amounts: Int64s, place: str) -> Int64s:
    """``column`` with ``amounts`` added at ``rows``, which may repeat.

    Raises LedgerError, naming ``place``, where a sum is too large to store.
    """
    total = column.copy()
    np.add.at(total, rows, amounts)
    if float(np.abs(amounts).sum(dtype=np.float64)) >= UNITS_MAX:
        # Both sides of an entry wrap around alike and still cancel; a float sum shows it.
        reach = column + np.bincount(rows, weights=amounts, minlength=column.size)
        if np.abs(reach - total).max() > UNITS_MAX:
            raise LedgerError(place, "an amount does not fit the ledger", "use fewer decimals")
    return total


def to_int64(values: Int64s, place: str) -> Int64s:
    """Unbounded integers as int64. Raises LedgerError where one is too large to store."""
    if values.size and max(abs(int(values.max())), abs(int(values.min()))) > UNITS_MAX:
        raise LedgerError(place, "an amount does not fit the ledger", "use fewer decimals")
    return values.astype(np.int64)
