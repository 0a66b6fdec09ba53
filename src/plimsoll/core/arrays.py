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


def sum_by(ids: Int64s | Int32s, values: Floats, count: int) -> Floats:
    """Sum of ``values`` by id, shape [count], added in order of the rows."""
    return np.bincount(ids, weights=values, minlength=count).astype(np.float64)
