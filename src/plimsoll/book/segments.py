"""Rows of many pools in one array: pool p owns rows offsets[p] to offsets[p + 1]."""

import numpy as np
from numpy.typing import NDArray

from plimsoll.core import Int32s, Int64s, offsets_from_counts


def rows_of(offsets: Int64s, pools: Int64s) -> tuple[Int64s, Int64s]:
    """The rows of the given pools, pool after pool, and the offsets of the result."""
    return rows_between(offsets[pools], offsets[pools + 1])


def rows_between(begin: Int64s, end: Int64s) -> tuple[Int64s, Int64s]:
    """The rows from each ``begin`` to its ``end``, and the offsets of the result."""
    counts = end - begin
    taken = offsets_from_counts(counts)
    rows = np.arange(taken[-1], dtype=np.int64) + np.repeat(begin - taken[:-1], counts)
    return rows, taken


def take_segments(
    offsets: Int64s, pools: Int64s, columns: tuple[NDArray[np.generic], ...]
) -> tuple[Int64s, tuple[NDArray[np.generic], ...]]:
    """Offsets and columns of the given pools alone, in the order given."""
    rows, taken = rows_of(offsets, pools)
    return taken, tuple(column[rows] for column in columns)


def locate_rows(
    offsets: Int64s, ids: Int32s | Int64s, pools: Int64s, wanted: Int32s | Int64s
) -> tuple[Int64s, NDArray[np.bool_]]:
    """Row of each (pool, id), or where it would be inserted, and whether it is there.

    A binary search inside each pool's sorted rows, all searches in step, so the cost does
    not grow with the book.
    """
    low, high = offsets[pools], offsets[pools + 1]
    end = high
    while np.any(low < high):
        middle = (low + high) >> 1
        open_ = low < high
        is_less = np.zeros(middle.size, dtype=np.bool_)
        is_less[open_] = ids[middle[open_]] < wanted[open_]
        low = np.where(is_less, middle + 1, low)
        high = np.where(open_ & ~is_less, middle, high)
    found = low < end
    found[found] = ids[low[found]] == wanted[found]
    return low, found


def insert_rows(
    offsets: Int64s,
    pools: Int64s,
    rows: Int64s,
    columns: tuple[tuple[NDArray[np.generic], NDArray[np.generic]], ...],
) -> tuple[Int64s, tuple[NDArray[np.generic], ...]]:
    """Offsets and columns after inserting new rows before the given old rows.

    ``columns`` pairs each old column with the new rows' values. New rows come sorted by
    pool, then id, as ``locate_rows`` placed them.
    """
    added = np.zeros(offsets.size - 1, dtype=np.int64)
    np.add.at(added, pools, 1)
    grown = offsets + offsets_from_counts(added)
    return grown, tuple(np.insert(old, rows, new) for old, new in columns)
