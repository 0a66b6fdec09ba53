"""Worst loss of each pool over scenarios: positions × a matrix of profits, the least kept.

What a pool makes in each scenario is added up in registers while its positions stream by; for
that, the number of scenarios is part of a kernel's type, and each is compiled once and cached on
disk. Rows too long for the registers are read in pieces.
"""

import math

import numba as nb
import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s
from plimsoll.margin.sweep.vectors import LANES, WORST_OF_ROWS, Width, pad_rows, width_of

BLOCK = 256
"""Pools that a thread takes at a time."""
VECTORS_MAX = 16
"""Sums that stay in registers beside what they are made of; there are 32."""
PIECE = 8
"""Vectors of a piece of longer rows."""


def worst_losses(
    begin: Int64s, end: Int64s, instrument: Int32s, contracts: Floats, profits: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """out[p] = the largest loss, >= 0, of rows begin[p] to end[p] together, shape [pools].

    ``instrument`` and ``contracts`` (long > 0) are by row, ``profits`` [instruments, scenarios]
    of one contract long. NaN where a scenario is NaN, be it of a row of no contracts, and where a
    row names no instrument. Sums run in the order of the rows, each product rounded with the sum
    it goes into; the number of threads changes no bit. Raises InputError where shapes do not fit.
    """
    if profits.ndim != 2 or not profits.shape[1] or not begin.size == end.size == out.size:
        problem = f"profits of shape {profits.shape} for {begin.size} pools and {out.size} losses"
        raise InputError("worst_losses", problem, "give [instruments, scenarios] and one per pool")
    if instrument.shape != contracts.shape:
        problem = f"{instrument.size} instruments for {contracts.size} numbers of contracts"
        raise InputError("worst_losses", problem, "give one of each for every row")
    vectors = len(width_of(profits.shape[1]))
    if vectors <= VECTORS_MAX:
        fill_worst((0,) * vectors, 1, begin, end, instrument, contracts, padded(profits), out)
        return
    pieces = -(-vectors // PIECE)
    whole = np.empty((len(profits), pieces * PIECE * LANES))
    whole[:, : profits.shape[1]], whole[:, profits.shape[1] :] = profits, profits[:, -1:]
    rows = pad_rows(whole)
    fill_worst((0,) * PIECE, pieces, begin, end, instrument, contracts, rows, out)


def padded(profits: Floats) -> Floats:
    """The matrix as kernels take it: itself where its rows are whole cache lines already."""
    fits = profits.dtype == np.float64 and profits.flags.c_contiguous
    if fits and profits.shape[1] % LANES == 0 and profits.ctypes.data % (LANES * 8) == 0:
        return profits
    return pad_rows(profits)


@nb.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def fill_worst(
    width: Width, pieces: int, begin: Int64s, end: Int64s, instrument: Int32s, contracts: Floats,
    profits: Floats, out: Floats,
) -> None:  # fmt: skip
    """``worst_losses`` of rows of ``pieces`` times ``width``, from ``pad_rows``."""
    vectors = len(width)
    for block in nb.prange((out.size + BLOCK - 1) // BLOCK):
        for pool in range(block * BLOCK, min(block * BLOCK + BLOCK, out.size)):
            worst = 0.0
            for piece in range(pieces):
                loss = WORST_OF_ROWS(
                    width, profits, vectors * pieces, vectors * piece, instrument, contracts,
                    begin[pool], end[pool],
                )  # fmt: skip
                # Compared so that a NaN stays.
                worst = worst if worst > loss or math.isnan(worst) else loss
            out[pool] = worst
