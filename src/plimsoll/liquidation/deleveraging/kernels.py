"""Flat loops of deleveraging over int64 columns; products have 128 bits, so nothing is rounded.

The caller sees to it that amounts, and the sums of their columns, are at least 0 and fit int64.
"""

from typing import Any

import numba as nb
import numpy as np

from plimsoll.core import Int32s, Int64s
from plimsoll.ledger.wide import multiply_floor, multiply_high

_ZERO = np.uint64(0)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _is_at_most(a: Any, b: Any, c: Any, d: Any) -> Any:
    """a * b <= c * d; all are uint64."""
    left, right = multiply_high(a, b), multiply_high(c, d)
    return left < right or (left == right and a * b <= c * d)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def scale(amount: Int64s, top: Int64s, bottom: Int64s, bound: Int64s, out: Int64s) -> None:
    """amount * top / bottom rounded down, at most ``bound``, for bottom > 0."""
    for k in range(amount.size):
        quotient, _ = multiply_floor(np.uint64(amount[k]), np.uint64(top[k]), np.uint64(bottom[k]))
        out[k] = bound[k] if quotient > np.uint64(bound[k]) else np.int64(quotient)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_full(
    weight: Int64s, capacity: Int64s, rows: Int64s, left: int, weights: int
) -> tuple[int, int, int]:
    """Fill each of ``rows`` whose capacity is at most its share of what is left, in this order.

    ``left`` is shared by ``weights``, the sum over the rows. The others move to the front of
    ``rows``; returns their number and what is then left, of either. The level only rises, so
    nobody is filled too early.
    """
    count = 0
    for k in range(rows.size):
        row = rows[k]
        if _is_at_most(
            np.uint64(capacity[row]), np.uint64(weights), np.uint64(left), np.uint64(weight[row])
        ):
            left -= capacity[row]
            weights -= weight[row]
        else:
            rows[count] = row
            count += 1
    return count, left, weights


@nb.njit(cache=True, nogil=True, error_model="numpy")
def share_level(
    weight: Int64s, rows: Int64s, left: int, weights: int, share: Int64s, remainder: Int64s
) -> Any:
    """``share`` of each of ``rows`` by weight, rounded down; returns what that leaves over.

    ``remainder``, by place in ``rows``, counts 1 / ``weights`` of a unit.
    """
    missing: Any = left
    for k in range(rows.size):
        row = rows[k]
        whole, rest = multiply_floor(np.uint64(left), np.uint64(weight[row]), np.uint64(weights))
        share[row] = np.int64(whole)
        remainder[k] = np.int64(rest)
        missing -= np.int64(whole)
    return missing


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_rows(capacity: Int64s, lot: Int64s, order: Int64s, left: int, out: Int64s) -> None:
    """Whole lots of each row in ``order``, or all of it, until nothing is ``left``."""
    for k in range(order.size):
        if left <= 0:
            break
        row = order[k]
        over = left % lot[row]
        more = lot[row] - over if over > 0 else 0
        # Compared so that no sum can pass the end of 64 bits.
        if capacity[row] <= left or more > capacity[row] - left:
            out[row] = capacity[row]
        else:
            out[row] = left + more
        left -= out[row]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def offset_sides(group: Int64s, delta: Int64s, sides: Int64s, out: Int64s) -> None:
    """How much of each position offsets others of its group, rounded up.

    ``sides`` [groups, 2] is of zeros and receives the sizes below and above 0.
    """
    for k in range(group.size):
        sides[group[k], int(delta[k] > 0)] += abs(delta[k])
    for k in range(group.size):
        if delta[k] != 0:
            own = sides[group[k], int(delta[k] > 0)]
            other = sides[group[k], int(delta[k] < 0)]
            part, rest = multiply_floor(
                np.uint64(abs(delta[k])), np.uint64(min(own, other)), np.uint64(own)
            )
            out[k] = np.int64(part) + int(rest > _ZERO)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def number_groups(owner: Int64s, base: Int32s, seen: Int64s, group: Int64s) -> int:
    """Number each owner's rows by ``base``, from 0 on; an owner's rows lie together.

    ``seen`` [bases] comes as -1 throughout. Returns how many groups there are.
    """
    count, first = 0, 0
    for k in range(owner.size):
        if k > 0 and owner[k] != owner[k - 1]:
            first = count
        if seen[base[k]] < first:
            seen[base[k]] = count
            count += 1
        group[k] = seen[base[k]]
    return count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sort_rows(key: Int64s, place: Int64s, order: Int64s) -> None:
    """The stable order by key; ``place`` [keys] says where the first row of each key goes."""
    for k in range(key.size):
        order[place[key[k]]] = k
        place[key[k]] += 1
