"""Sums over slots, groups and cells, in the order of the rows, so that bits do not depend on
who else is in the book.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.kernels import sum_segments


def sum_segmented(offsets: Int64s, values: Floats) -> Floats:
    """Sum of each consecutive segment of ``values``, shape [offsets - 1]."""
    out = np.empty(offsets.size - 1)
    sum_segments(offsets, values, out)
    return out


def sum_slots(exposure: Exposure, values: Floats) -> Floats:
    """Values by slot added up by group, shape [groups]."""
    layout = exposure.layout
    return sum_by(layout.slot_group, values, layout.group_underlying.size)


@dataclass(frozen=True, slots=True)
class ExpirySums:
    """Sums by group and expiry, rows sorted by both; ``expiry_ns`` is 0 for what has none."""

    group: Int64s
    expiry_ns: Int64s
    net: Floats


def sum_by_expiry(exposure: Exposure, values: Floats) -> ExpirySums:
    """Values by slot added up by group and expiry."""
    layout, table = exposure.layout, exposure.instruments
    expiries, turn = np.unique(table.expiry_ns, return_inverse=True)
    width = max(expiries.size, 1)
    key = layout.slot_group * width + turn[layout.slot_instrument]
    keys, row = np.unique(key, return_inverse=True)
    return ExpirySums(keys // width, expiries[keys % width], sum_by(row, values, keys.size))


def group_pool(exposure: Exposure) -> Int64s:
    """The pool of each group, shape [groups]."""
    offsets = exposure.layout.group_offsets
    return np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))


def slot_pool(exposure: Exposure) -> Int64s:
    """The pool of each slot, shape [slots]."""
    offsets = exposure.layout.slot_offsets
    return np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))
