"""Who bears how much of an amount: in order, or by weight up to each one's capacity.

Auto-deleveraging and socialised losses both choose whole h_i, 0 <= h_i <= c_i, whose sum reaches
an amount. Everything here is an integer count of units, and sums are exact: compiled loops take
products in 128 bits where the columns and their sums fit int64, Python's integers take the rest.
Ties go by account id, so the order of the rows changes nobody's share.
"""

from functools import cmp_to_key
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.core import InputError, Int64s, sum_exact
from plimsoll.core.exact import UNITS_MAX
from plimsoll.liquidation.deleveraging.kernels import (
    fill_full,
    fill_rows,
    scale,
    share_level,
)

Integers: TypeAlias = NDArray[np.object_]
"""Python integers, without a bound."""
Whole: TypeAlias = Int64s | Integers
"""Integers of either kind."""

INT64_MAX = 2**63 - 1
TURNS = 8
"""Passes over rows in any order, before they are put in order."""
CLOSE_RATIO = 1e-14
"""Floats further apart than this, relatively, stand for fractions in the same order: each of them
is within 2 units of the last place (4.5e-16) of its fraction."""


def integers(column: Int64s) -> Integers:
    """A column as unbounded integers."""
    return column.astype(object)


def scale_whole(amount: Int64s, top: Whole | int, bottom: Whole | int, bound: Int64s) -> Int64s:
    """amount * top / bottom by row, rounded down and at most ``bound``.

    All are at least 0, ``bottom`` above it.
    """
    over, under = (np.broadcast_to(np.asarray(term), amount.shape) for term in (top, bottom))
    if over.dtype == np.int64 and under.dtype == np.int64:
        out = np.empty_like(amount)
        scale(amount, np.ascontiguousarray(over), np.ascontiguousarray(under), bound, out)
        return out
    wide = integers(amount) * integers(over) // integers(under)
    return np.asarray(np.minimum(wide, integers(bound)), dtype=np.int64)


def order_by_fraction(numerator: Whole, denominator: Whole, account: Int64s) -> Int64s:
    """Rows from the largest fraction to the smallest; equal ones by account id, smallest first.

    ``denominator`` >= 0, and 0 stands for an infinite fraction with the numerator's sign, which
    must not be 0 then. Fractions are compared by cross-multiplication, never by division.
    """
    if numerator.size < 2:
        return np.arange(numerator.size, dtype=np.int64)
    above, below = numerator.astype(np.float64), denominator.astype(np.float64)
    # Floats put nearly everything in place; what they cannot tell apart is compared exactly.
    finite = above / np.where(below > 0, below, 1.0)
    near = np.where(below > 0, finite, np.copysign(np.inf, above))
    order = np.argsort(-near, kind="stable")
    place = near[order]
    with np.errstate(invalid="ignore"):
        gap = np.abs(place[1:] - place[:-1]) > CLOSE_RATIO * np.abs(place[:-1])
    starts = np.concatenate([[0], np.flatnonzero(gap) + 1, [order.size]])
    for at in np.flatnonzero(np.diff(starts) > 1).tolist():
        close = slice(starts[at], starts[at + 1])
        rows = order[close]
        order[close] = _order_exactly(numerator[rows], denominator[rows], account[rows], rows)
    return order


def _order_exactly(top: Whole, bottom: Whole, account: Int64s, rows: Int64s) -> Int64s:
    tops, bottoms, ids = top.tolist(), bottom.tolist(), account.tolist()

    def compare(a: int, b: int) -> int:
        difference: int = tops[b] * bottoms[a] - tops[a] * bottoms[b] or ids[a] - ids[b]
        return difference

    return rows[sorted(range(rows.size), key=cmp_to_key(compare))]


def fill_in_order(capacity: Int64s, lot: Int64s, order: Int64s, amount: int) -> Int64s:
    """What each row bears, from the front of ``order``, until ``amount`` >= 0 is reached.

    Whole lots of a row, or all it has: the sum exceeds ``amount`` by less than the last row's
    lot, and falls short of it only where the capacities do.
    """
    borne = np.zeros(capacity.size, dtype=np.int64)
    left, first = amount, 0
    while left > INT64_MAX and first < order.size:
        # No row holds that much: it is filled.
        borne[order[first]] = capacity[order[first]]
        left -= int(capacity[order[first]])
        first += 1
    if left > 0 and first < order.size:
        fill_rows(capacity, lot, order[first:], left, borne)
    return borne


def share_by_weight(
    weight: Whole, capacity: Int64s, lot: Int64s, account: Int64s, amount: int
) -> Int64s:
    """What each row bears, in proportion to ``weight`` >= 0, up to its capacity.

    Where a capacity binds, the rest is shared among the others, again by weight: the level l of
    min(c_i, l * w_i) rises until the sum is ``amount`` >= 0 (water-filling). Rows without weight
    come after all others, by capacity. Shares round down to whole lots; then, until the sum
    reaches the amount, rows get one more lot in order of the largest remainder. So a row is less
    than a lot from its exact share, and the sum less than a lot above the amount, exact where
    lots are 1. Largest remainders are not monotone in the amount: a larger one can cost a row a
    lot less.
    """
    check_columns(capacity, lot, account)
    if weight.size and weight.min() < 0:
        raise InputError("allocation", "a weight is below 0", "leave losses out of the weights")
    borne = np.zeros(capacity.size, dtype=np.int64)
    for rows, weights in (
        (np.flatnonzero(weight > 0), weight),
        (np.flatnonzero(weight == 0), capacity),
    ):
        left = amount - sum_exact(borne)
        part = rows[capacity[rows] > 0]
        if left > 0 and part.size:
            borne[part] = _fill_to_level(
                weights[part], capacity[part], lot[part], account[part], left
            )
    return borne


def split_by_weight(weight: Whole, account: Int64s, amount: int) -> Int64s:
    """``amount`` >= 0 in proportion to ``weight``, without caps; the sum is exact.

    Raises InputError where no weight is above 0 and the amount is.
    """
    if amount > 0 and not any(weight.tolist()):
        raise InputError("allocation", "nobody is left to bear it", "book it as bad debt")
    ones = np.ones(account.size, dtype=np.int64)
    has_weight = np.array([bool(part) for part in weight.tolist()], dtype=np.bool_)
    return share_by_weight(weight, np.where(has_weight, amount, 0), ones, account, amount)


def check_columns(capacity: Int64s, lot: Int64s, account: Int64s) -> None:
    """Raises InputError unless these are whole numbers, one row per account, lots above 0."""
    columns = (("capacity", capacity), ("lot", lot), ("account", account))
    for name, column in columns:
        if column.dtype != np.int64 or column.shape != account.shape:
            raise InputError(name, "is no int64 column as long as the others", "count in units")
    if np.any(capacity < 0) or np.any(capacity > UNITS_MAX):
        raise InputError("capacity", "is below 0 or too large", "give 0 to who bears nothing")
    if np.any(lot < 1):
        raise InputError("lot", "is below 1 unit", "give 1 where any size will do")
    check_distinct(account)


def check_distinct(account: Int64s) -> None:
    """Raises InputError where an id occurs twice; ids that rise are quickest."""
    if np.all(account[1:] > account[:-1]):
        return
    if np.unique(account).size != account.size:
        raise InputError("account", "an id occurs twice", "give one row per account")


def _fill_to_level(
    weight: Whole, capacity: Int64s, lot: Int64s, account: Int64s, amount: int
) -> Int64s:
    """Water-filling among rows with weight and capacity above 0."""
    if weight.dtype == np.int64 and amount <= INT64_MAX and np.all(lot == 1):
        units = weight.astype(np.int64, copy=False)
        if sum_exact(units) <= INT64_MAX:
            return _fill_units(units, capacity, account, amount)
    shares = _fill_lots(weight.tolist(), capacity.tolist(), lot.tolist(), account, amount)
    return np.array(shares, dtype=np.int64)


def _fill_units(weight: Int64s, capacity: Int64s, account: Int64s, amount: int) -> Int64s:
    """The same by units, in compiled loops."""
    share, rows = capacity.copy(), np.arange(capacity.size, dtype=np.int64)
    count, left, weights = rows.size, amount, sum_exact(weight)
    for _ in range(TURNS):
        before = count
        count, left, weights = fill_full(weight, capacity, rows[:before], left, weights)
        if count == before:
            break
    else:
        # In their order, the most weight for its capacity first, one pass finds all that fill up.
        active = rows[:count].copy()
        order = order_by_fraction(weight[active], capacity[active], account[active])
        rows = active[order]
        count, left, weights = fill_full(weight, capacity, rows, left, weights)
    rest = rows[:count]
    if count:
        remainder = np.empty(count, dtype=np.int64)
        missing = share_level(weight, rest, left, weights, share, remainder)
        share[rest[_largest(remainder, account[rest], missing)]] += 1
    return share


def _largest(value: Int64s, account: Int64s, count: int) -> Int64s:
    """The places of so many of the largest values; equal ones by account id, smallest first."""
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    last = np.partition(value, value.size - count)[value.size - count]
    above, ties = np.flatnonzero(value > last), np.flatnonzero(value == last)
    ties = ties[np.argsort(account[ties], kind="stable")]
    return np.concatenate([above, ties[: count - above.size]])


def _fill_lots(
    weight: list[int], capacity: list[int], lot: list[int], account: Int64s, amount: int
) -> list[int]:
    """The same in whole lots, in Python's integers."""
    full_last = order_by_fraction(
        np.array(weight, dtype=object), np.array(capacity, dtype=object), account
    )
    left, weights = amount, sum(weight)
    share = list(capacity)
    rest: list[int] = []
    # The most weight for its capacity is full first. Once one is not, none after it is.
    for row in full_last.tolist():
        if not rest and capacity[row] * weights <= left * weight[row]:
            left -= capacity[row]
            weights -= weight[row]
        else:
            rest.append(row)
    remainder = []
    for row in rest:
        whole = left * weight[row] // (weights * lot[row])
        share[row] = whole * lot[row]
        remainder.append(left * weight[row] - share[row] * weights)
    missing = left - sum(share[row] for row in rest)
    # A remainder counts in lots, so that small and large lots are rounded alike.
    by_remainder = order_by_fraction(
        np.array(remainder, dtype=object),
        np.array([lot[row] for row in rest], dtype=object),
        account[rest],
    )
    for place in by_remainder.tolist():
        if missing <= 0:
            break
        row = rest[place]
        more = min(lot[row], capacity[row] - share[row])
        share[row] += more
        missing -= more
    return share
