"""Open orders of a pool under ``plimsoll.portfolio``: fills by instrument, then by underlying."""

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, Int32s, Int64s
from plimsoll.margin.sweep.joint_tables import (
    BASE,
    BASE_INDEX,
    BOUGHT,
    BUY_LOSS,
    BUY_ODDS,
    BUYS,
    DELTA,
    FEE,
    FLOOR,
    FLOORS_MORE,
    INVERSE,
    LEG,
    LOCK,
    LOCKED,
    MULTIPLIER,
    ODD,
    ORDERED,
    PAYOFF,
    PRICE_UNIT,
    QUOTE_INDEX,
    SCANNED,
    SELL_LOSS,
    SELL_ODDS,
    SELLS,
    SETTLE_INDEX,
    SLOT_HELD,
    SOLD,
    SPOT,
    UNIT,
    VALUE,
    Shape,
    UInt32s,
    UInt64s,
)
from plimsoll.margin.sweep.joint_vectors import ADD_FILL
from plimsoll.margin.sweep.vectors import LANES
from plimsoll.margin.sweep.words import ONE, SIX, bit, larger, lowest


@nb.njit(forceinline=True)
def list_orders(
    begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, price: Int64s, reduces: Bools,
    pool: int, numbers: Floats, ids: UInt32s, terms: Floats,
    sums: Floats, slots: Floats, marks: UInt64s, used: UInt64s,
) -> None:  # fmt: skip
    """Add a pool's orders up by instrument, and what spot orders lock by base.

    A fill at a limit worse than mark loses the difference; a better limit gains nothing, since
    by then the mark has come to it.
    """
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        if reduces[row] or quantity[row] == 0:
            continue
        i = np.uint32(instrument[row])
        contracts, limit = quantity[row] * numbers[i, UNIT], price[row] * terms[i, PRICE_UNIT]
        size, is_buy, amount = terms[i, MULTIPLIER], quantity[row] > 0, abs(contracts)
        if ids[i, PAYOFF] == SPOT:
            base = ids[i, BASE]
            marks[LOCKED, base >> SIX] |= bit(base)
            if is_buy:
                sums[base, LOCK] += amount * size * limit * terms[i, QUOTE_INDEX]
            else:
                sums[base, LOCK] += amount * size * terms[i, BASE_INDEX]
            continue
        at_limit = -size / limit if ids[i, PAYOFF] == INVERSE else size * limit
        used[i >> SIX] |= bit(i)
        # A fill that cannot be valued is no free fill: NaN stays.
        loss = larger(-(contracts * (numbers[i, VALUE] - at_limit) * terms[i, SETTLE_INDEX]), 0.0)
        slots[i, BUYS if is_buy else SELLS] += amount
        slots[i, BUY_LOSS if is_buy else SELL_LOSS] += loss


@nb.njit(forceinline=True)
def add_fills(
    shape: Shape, begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, pool: int,
    profits: Floats, numbers: Floats, ids: UInt32s,
    cells: Floats, sums: Floats, nets: Floats, slots: Floats, marks: UInt64s, used: UInt64s,
) -> tuple[float, float, int]:  # fmt: skip
    """Add fills up by underlying, in the order of instruments; empties what orders were listed in.

    Returns the fees to close what fills would add, what spot orders lock, USD, and how many
    instruments would be filled.
    """
    assets, fees, lock, count = np.uint64(sums.shape[0]), 0.0, 0.0, 0
    width, legs, _ = shape
    span = np.uint64(len(legs) * LANES)
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        i = np.uint32(instrument[row])
        if used[i >> SIX] & bit(i):
            slots[i, SLOT_HELD] = quantity[row] * numbers[i, UNIT]
    for word in range(np.uint64(used.size)):
        left = used[word]
        used[word] = 0
        while left:
            k = lowest(word, left)
            left &= left - ONE
            held, buys, sells, base = slots[k, 0], slots[k, BUYS], slots[k, SELLS], ids[k, BASE]
            leg, count = ids[k, LEG], count + 1
            marks[ORDERED, base >> SIX] |= bit(base)
            marks[SCANNED, base >> SIX] |= bit(base)
            if buys != 0.0:
                ADD_FILL(width, cells, assets + base, profits, k, buys, slots[k, BUY_LOSS])
                sums[base, BUY_ODDS] += numbers[k, ODD] + 0.0 * slots[k, BUY_LOSS]
                nets[leg + span * np.uint64(BOUGHT)] += buys * numbers[k, DELTA]
            if sells != 0.0:
                row_sold = np.uint64(SOLD) * assets + base
                ADD_FILL(width, cells, row_sold, profits, k, -sells, slots[k, SELL_LOSS])
                sums[base, SELL_ODDS] += numbers[k, ODD] + 0.0 * slots[k, SELL_LOSS]
                nets[leg + span * np.uint64(SOLD)] += -sells * numbers[k, DELTA]
            short = larger(-(held - sells), 0.0) - larger(-held, 0.0)
            sums[base, FLOORS_MORE] += short * numbers[k, FLOOR] if short > 0.0 else 0.0
            more = larger(abs(held + buys), abs(held - sells)) - abs(held)
            fees += more * numbers[k, FEE] if more > 0.0 else 0.0
            for column in range(5):
                slots[k, column] = 0.0
    for word in range(np.uint64(marks.shape[1])):
        left = marks[LOCKED, word]
        marks[LOCKED, word] = 0
        while left:
            base = lowest(word, left)
            left &= left - ONE
            lock += sums[base, LOCK]
            sums[base, LOCK] = 0.0
    return fees, lock, count
