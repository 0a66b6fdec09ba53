"""Stable sorting of keys that are not negative, with the order they came in."""

import numba as nb
import numpy as np

from plimsoll.core import Int64s

_FEW = 24
"""Fewer keys are quicker to insert one by one."""
_DIGIT = 11
"""Bits of a digit at most: so many counts stay in the nearest cache."""


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sort_keys(keys: Int64s, order: Int64s) -> None:
    """Sort the keys in place; ``order`` receives the place that each had."""
    if keys.size > _FEW:
        _sort_by_digits(keys, order)
        return
    for k in range(keys.size):
        place, key = k, keys[k]
        while place > 0 and keys[place - 1] > key:
            keys[place], order[place] = keys[place - 1], order[place - 1]
            place -= 1
        keys[place], order[place] = key, k


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sort_by_digits(keys: Int64s, order: Int64s) -> None:
    """By digits of equal width, from the last to the first of those that any key has."""
    bits, largest = 1, keys.max()
    while largest >> bits > 0:
        bits += 1
    passes = (bits + _DIGIT - 1) // _DIGIT
    width = (bits + passes - 1) // passes
    before = np.empty((1 << width) + 1, dtype=np.int64)
    keys_too, order_too = np.empty_like(keys), np.empty_like(order)
    for k in range(keys.size):
        order[k] = k
    for turn in range(0, passes, 2):
        _sort_by_digit(keys, order, keys_too, order_too, turn * width, before)
        if turn + 1 < passes:
            _sort_by_digit(keys_too, order_too, keys, order, (turn + 1) * width, before)
    if passes & 1:
        keys[:], order[:] = keys_too, order_too


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sort_by_digit(
    keys: Int64s, order: Int64s, to_keys: Int64s, to_order: Int64s, shift: int, before: Int64s
) -> None:
    """Move keys and what goes with them by one digit; ``before`` [digits + 1] is its room."""
    mask = before.size - 2
    before[:] = 0
    for k in range(keys.size):
        before[((keys[k] >> shift) & mask) + 1] += 1
    for digit in range(mask + 1):
        before[digit + 1] += before[digit]
    for k in range(keys.size):
        digit = (keys[k] >> shift) & mask
        place = before[digit]
        to_keys[place], to_order[place] = keys[k], order[k]
        before[digit] = place + 1
