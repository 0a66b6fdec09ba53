"""What the kernels of ``plimsoll.portfolio`` read and write, and the arithmetic they share."""

from typing import Any, NamedTuple, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

from plimsoll.core import Floats
from plimsoll.margin.sweep.vectors import Width

UInt32s: TypeAlias = NDArray[np.uint32]
UInt64s: TypeAlias = NDArray[np.uint64]

UNIT, FEE, VALUE, OWED, FLOOR, ODD, DELTA, SETTLE_UNIT = range(8)
"""Columns of ``JointTables.numbers``, of one contract: contracts in a unit of quantity; USD of the

fee to close; value, of the settle asset; USD of the quote owed and of the minimum if sold; 0, or
NaN where a profit is; USD of delta; unit of the settle asset.
"""
BASE, SETTLE, LEG, PAYOFF = range(4)
"""Columns of ``JointTables.ids``."""
LINEAR, INVERSE, SPOT = range(3)
"""What ``PAYOFF`` says of an order's worth at its limit."""
PRICE_UNIT, MULTIPLIER, SETTLE_INDEX, QUOTE_INDEX, BASE_INDEX = range(5)
"""Columns of ``JointTables.terms``, what orders are valued by."""
AMOUNT_UNIT, PRICE, FALL, RISE, TWICE_OFFSET, STRETCH, GROWTH_MAX, IS_SCANNED = range(8)
"""Columns of ``JointTables.assets``."""
BAR, TIER_FIRST, TIER_LAST = range(3)
"""Columns of ``JointTables.asset_ids``."""
TIER_FLOOR, TIER_RATE, TIER_CONSTANT = range(3)
"""Columns of ``JointTables.tiers``."""
FACTOR, CALL_RATIO = range(2)
"""Entries of ``JointTables.rules``."""

EQUITY, OWED_SUM, FLOORS, ODDS, COIN, FLOORS_MORE, BUY_ODDS, SELL_ODDS, LOCK = range(9)
"""Columns of ``JointRoom.sums``."""
SUM_COLUMNS = 16
HELD, BOUGHT, SOLD, CASES = range(4)
"""Cases of fills: none, all buys or all sells. Rows of ``JointRoom.cells``, as many for each as

there are assets, and parts of an asset's nets.
"""
HELD_ROW, FILLED_ROW, POOL_ROWS = range(3)
"""Rows of ``JointRoom.cells`` after those of the assets."""
SETTLED, SCANNED, ORDERED, LOCKED, MARKS = range(5)
"""Rows of ``JointRoom.marks``: assets with equity, in the scan, with orders, with spot orders."""
SLOT_HELD, BUYS, SELLS, BUY_LOSS, SELL_LOSS = range(5)
"""Columns of ``JointRoom.slots``."""
SLOT_COLUMNS = 8
WORD_BITS = 64

PLAIN = -2.0
"""What stands at JOINT_FILLED_AT of a plain pool."""
POOLS = 64
"""Pools, and entries of a column, that are worked on together."""
LISTED = 4096
"""Rows of plain pools that there is room for."""
ROWS_MIN = 512
"""Entries of underlyings that there is at least room for."""
(
    ODD_AT, OWNED_AT, FLOOR_AT, POSITIONS_AT, TWICE_AT, STRETCH_AT, GROWTH_AT, CASES_AT,
    LONG_AT, SHORT_AT, OWN_AT, CONCENTRATION_AT, BASIS_AT, LANE_COLUMNS,
) = range(14)  # fmt: skip
"""Columns of ``JointRoom.lanes``, of entries: 0 or NaN; USD of the coin; the minimum of sold

options; the worst loss without the coin; three of the asset's columns; how many cases follow each
other; what is left of the long and of the short side, the minimum beyond the loss, and charges.
"""
(
    ODDS_AT, ALONE_AT, LONGS_AT, SHORTS_AT, FLOORS_AT, OWNS_AT, CONCENTRATIONS_AT, BASES_AT,
    JOINT_AT, JOINT_FILLED_AT, DEPEG_AT, MORE_FEES_AT, LOCK_AT, ORDERS_AT, FEES_AT, EQUITY_AT,
    COUNTED_AT, MOST_AT, LIMIT_AT, MINIMUM_AT, EXCESS_AT, INITIAL_AT, MAINTENANCE_AT, STATUS_AT,
    POOL_COLUMNS,
) = range(25)  # fmt: skip
"""Columns of ``JointRoom.totals``, of pools: sums over entries; joint losses as held and at the

worst fills, negative without fills; what the pool's own rows come to; lines and status.
"""

_LOW = np.uint64(POOLS - 1)

Shape: TypeAlias = tuple[Width, Width, tuple[Width, Width]]
"""``width``, ``legs`` and ``sides`` of a sheet, by which kernels are compiled."""


class JointTables(NamedTuple):
    """A sheet's columns. Rows of scenarios are from ``pad_rows``.

    Scenarios are put in order: whole vectors in which all scanned assets fall, whole vectors in
    which they rise, then the others. ``profits`` [instruments, scenarios]: weighted USD of one
    long contract. ``numbers`` [instruments, 8], ``ids`` and ``terms`` [instruments, ...] by the
    columns named above; LEG is where an expiry's net begins in ``JointRoom.nets``. ``rates``
    [legs, 4]: 1, 1 and twice the basis rate of a base and expiry; every asset owns as many whole
    vectors of legs as any. ``keys`` and ``bounds`` [instruments twice, long then short, 8] are
    those of ``plain.columns``, from the others. ``coins`` [assets,
    scenarios]: weighted profit of a USD of the coin.
    ``bars``: three rows for each way in which assets move, from row BAR of an asset: infinity
    where a scenario is no fall, no rise, no move alone. ``assets``, ``asset_ids`` and ``tiers``
    are haircuts and the rest; ``rules`` the initial factor and the call ratio.
    """

    profits: Floats
    numbers: Floats
    ids: UInt32s
    keys: UInt64s
    bounds: Floats
    terms: Floats
    rates: Floats
    coins: Floats
    bars: Floats
    assets: Floats
    asset_ids: UInt32s
    tiers: Floats
    rules: Floats


class JointRoom(NamedTuple):
    """Working space of one thread, or of all with a first axis for the thread.

    Zero between pools: ``cells``, rows of scenarios, CASES for every asset, then POOL_ROWS;
    ``sums`` by asset; ``nets``, CASES times the legs of every asset; ``slots`` by instrument;
    ``marks`` [MARKS, words] and ``used`` [words], sets of assets and instruments.

    Overwritten: entries, one for each underlying in a pool, or one for each case of it.
    ``losses`` [entries, 4]: in all scenarios, in falls, in rises and alone. ``sides`` [entries,
    4]: deltas long and short, and what they lose to basis. ``lanes``: for every POOLS entries a
    stretch of so many for each of LANE_COLUMNS. ``totals``: POOL_COLUMNS stretches, by pool.
    ``firsts``: a pool's first entry, and one more. ``listed``: rows of plain pools.
    """

    cells: Floats
    sums: Floats
    nets: Floats
    slots: Floats
    marks: UInt64s
    used: UInt64s
    losses: Floats
    sides: Floats
    lanes: Floats
    totals: Floats
    firsts: UInt64s
    listed: UInt64s


@nb.njit(forceinline=True)
def lane_of(entry: Any, column: int) -> Any:
    """Where an entry is in ``JointRoom.lanes``."""
    tile = entry // np.uint64(POOLS) * np.uint64(LANE_COLUMNS * POOLS)
    return tile + (entry & _LOW) + np.uint64(column * POOLS)


@nb.njit(forceinline=True)
def value_asset(
    a: Any, held: float, owed: float, assets: Floats, asset_ids: UInt32s, tiers: Floats
) -> tuple[float, float, float]:  # fmt: skip
    """What a pool holds of an asset is worth, what counts of it, and what a depeg costs, USD."""
    # An asset that holds nothing needs no price.
    value = held * assets[a, PRICE] if held != 0.0 else 0.0
    haircut = 0.0
    if value > 0.0:
        tier, last = asset_ids[a, TIER_FIRST], asset_ids[a, TIER_LAST]
        while tier < last and value > tiers[tier + np.uint32(1), 0]:
            tier += np.uint32(1)
        haircut = value * tiers[tier, 1] - tiers[tier, 2]
    opened = value - owed
    fall, rise = assets[a, FALL], assets[a, RISE]
    move = fall if opened > 0.0 else rise
    # What cannot move needs no price; an unknown value against a move stays unknown.
    loss = abs(opened) * move
    return value, value - haircut, 0.0 if (move == 0.0) | (opened == 0.0) else loss
