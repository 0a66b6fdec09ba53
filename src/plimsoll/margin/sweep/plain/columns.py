"""What the loop over a plain pool reads of a contract: a key, and what it loses at most."""

import math

import numba as nb
import numpy as np

from plimsoll.core import Int32s
from plimsoll.margin.sweep.joint_tables import (
    BAR,
    BASE,
    FEE,
    FLOOR,
    GROWTH_MAX,
    IS_SCANNED,
    LEG,
    OWED,
    SETTLE,
    STRETCH,
    TWICE_OFFSET,
    UNIT,
    VALUE,
    JointTables,
)

BASE_BIT, SETTLE_BIT = 40, 24
"""A key holds, from these bits up, an underlying plus one and a settle asset; below, a leg."""
LEG_MASK = (1 << SETTLE_BIT) - 1
SETTLE_MASK = (1 << BASE_BIT) - 1 - LEG_MASK
LOSSES, SETS, WORTH, OWES, COSTS, UNITS, BOUND_COLUMNS = 0, 4, 4, 5, 6, 7, 8
"""Columns of ``JointTables.bounds``: largest losses of one contract in SETS sets of scenarios (all,

falls, rises, alone), 0 where it only gains, its value and what it owes, signed as it is held; its
fee; its unit. A loss of none may come to -0, which adds to a sum as 0 does.
"""


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_plain(instruments: Int32s, tables: JointTables) -> None:
    """Write ``keys`` and ``bounds`` of some contracts, from the other columns."""
    for i in instruments:
        numbers, ids, row = tables.numbers[i], tables.ids[i], tables.profits[i]
        key = np.uint64(ids[BASE] + 1) << np.uint64(BASE_BIT)
        key |= np.uint64(ids[SETTLE]) << np.uint64(SETTLE_BIT) | np.uint64(ids[LEG])
        tables.keys[i] = key if is_plain(i, tables) else np.uint64(0)
        long, short = tables.bounds[2 * i], tables.bounds[2 * i + 1]
        for k in range(SETS):
            least, most = math.inf, -math.inf
            for s in range(row.size):
                bar = 0.0 if k == 0 else tables.bars[tables.asset_ids[ids[BASE], BAR] + k - 1, s]
                if bar == 0.0:
                    least, most = min(least, row[s]), max(most, row[s])
            # What only gains loses nothing.
            long[LOSSES + k] = -least if -math.inf < least < 0.0 else 0.0
            short[LOSSES + k] = -most if 0.0 < most < math.inf else 0.0
        for column, value in ((WORTH, VALUE), (OWES, OWED), (COSTS, FEE), (UNITS, UNIT)):
            long[column] = short[column] = numbers[value]
        # A number of contracts is below 0 where it is short, what closing costs is not.
        short[COSTS] = -numbers[FEE]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def is_plain(i: int, tables: JointTables) -> bool:
    """Whether a contract may be in a plain pool."""
    numbers, ids = tables.numbers[i], tables.ids[i]
    rule = tables.assets[ids[BASE]]
    known = rule[TWICE_OFFSET] + rule[STRETCH] + rule[GROWTH_MAX]
    for number in numbers:
        known += number
    for profit in tables.profits[i]:
        known += profit
    fits = ids[LEG] <= LEG_MASK and ids[SETTLE] <= (SETTLE_MASK >> SETTLE_BIT)
    is_regular = numbers[UNIT] > 0.0 and numbers[FEE] >= 0.0 and numbers[FLOOR] == 0.0
    is_scanned = tables.assets[ids[SETTLE], IS_SCANNED] != 0.0
    return bool(math.isfinite(known) and fits and is_regular and not is_scanned)
