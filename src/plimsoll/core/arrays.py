"""Array aliases and the one helper every columnar room needs."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Int64s: TypeAlias = NDArray[np.int64]
Int32s: TypeAlias = NDArray[np.int32]
Int8s: TypeAlias = NDArray[np.int8]
Bools: TypeAlias = NDArray[np.bool_]


def offsets_from_counts(counts: Int64s) -> Int64s:
    """Row offsets, shape [n + 1], of n consecutive segments with the given lengths."""
    offsets = np.zeros(counts.size + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def distinct(keys: Int64s) -> Int64s:
    """The distinct keys in order.

    By a stable sort, since our keys come nearly sorted: on those it is many times faster
    than the hash that ``np.unique`` may choose.
    """
    ordered = np.sort(keys, kind="stable")
    is_new = np.ones(ordered.size, dtype=np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return np.asarray(ordered[is_new])


def turns_of(keys: Int64s) -> list[Int64s]:
    """Rows split so that no key occurs twice in a turn: the k-th occurrence is in turn k.

    What must happen in order to one key can then happen to all keys at once, turn by turn.
    """
    if keys.size == 0:
        return []
    order = np.argsort(keys, kind="stable")
    starts = np.concatenate([[True], keys[order][1:] != keys[order][:-1]])
    place = np.arange(order.size)
    rank = place - np.maximum.accumulate(np.where(starts, place, 0))
    by_rank = np.argsort(rank, kind="stable")
    return np.split(order[by_rank], np.cumsum(np.bincount(rank))[:-1])


def sum_by(ids: Int64s | Int32s, values: Floats, count: int) -> Floats:
    """Sum of ``values`` by id, shape [count], added in order of the rows."""
    return np.bincount(ids, weights=values, minlength=count).astype(np.float64)
