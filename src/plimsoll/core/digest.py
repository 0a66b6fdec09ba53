"""SHA-256 of named columns, the same on every platform."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def digest_columns(columns: tuple[tuple[str, NDArray[np.generic]], ...]) -> str:
    """Hex digest of columns in the order given; names, types, lengths and bytes all count.

    Values are taken little-endian, so the digest does not depend on the machine.
    """
    state = hashlib.sha256()
    for name, column in columns:
        values = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        state.update(f"{name}:{values.dtype.str}:{values.size};".encode())
        state.update(values.tobytes())
    return state.hexdigest()
