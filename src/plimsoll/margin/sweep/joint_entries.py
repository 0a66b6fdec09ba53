"""Underlyings of pools under ``plimsoll.portfolio``: listed pool by pool, measured together.

An entry is an underlying in a pool as it is held, and two more follow where its orders would be
filled: all buys, all sells. Losses over scenarios are found while a pool is at hand; what follows
from them is the same for all entries, without a branch, and so several entries at a time.
"""

import math
from typing import Any

import numba as nb
import numpy as np

from plimsoll.core import Floats
from plimsoll.margin.sweep.joint_tables import (
    BAR,
    BASIS_AT,
    BOUGHT,
    BUY_ODDS,
    CASES,
    CASES_AT,
    COIN,
    CONCENTRATION_AT,
    FILLED_ROW,
    FLOOR_AT,
    FLOORS,
    FLOORS_MORE,
    GROWTH_AT,
    GROWTH_MAX,
    HELD_ROW,
    JOINT_AT,
    JOINT_FILLED_AT,
    LANE_COLUMNS,
    LOCK,
    LONG_AT,
    ODD_AT,
    ODDS,
    ORDERED,
    OWN_AT,
    OWNED_AT,
    POOLS,
    POSITIONS_AT,
    SCANNED,
    SELL_ODDS,
    SHORT_AT,
    SOLD,
    STRETCH,
    STRETCH_AT,
    TWICE_AT,
    TWICE_OFFSET,
    JointRoom,
    JointTables,
    Shape,
    lane_of,
)
from plimsoll.margin.sweep.joint_vectors import (
    FOLD_FILLS,
    FOLD_ROW,
    LOSSES_OF_ROW,
    TURN_FILLS,
    TURN_LEGS,
)
from plimsoll.margin.sweep.vectors import ADD_ROW, LANES, TAKE_WORST, WORST_OF_ROW
from plimsoll.margin.sweep.words import ONE, bit, larger, lowest


@nb.njit(forceinline=True)
def list_entry(
    shape: Shape, entry: Any, row: Any, asset: Any, cases: float, odd: float, floor: float,
    tables: JointTables, room: JointRoom,
) -> None:  # fmt: skip
    """Fill an entry from a row of cells without coins, to which those of the pool are added."""
    width, _, sides = shape
    cells, lanes, assets, coins = room.cells, room.lanes, tables.assets, tables.coins
    owned = room.sums[asset, COIN]
    if owned != 0.0:
        lanes[lane_of(entry, POSITIONS_AT)] = WORST_OF_ROW(width, cells, row)
        ADD_ROW(width, cells, row, coins, asset, owned)
    LOSSES_OF_ROW(
        width, cells, row, sides, tables.bars, tables.asset_ids[asset, BAR], room.losses, entry
    )
    lanes[lane_of(entry, ODD_AT)], lanes[lane_of(entry, OWNED_AT)] = odd, owned
    lanes[lane_of(entry, FLOOR_AT)], lanes[lane_of(entry, CASES_AT)] = floor, cases
    lanes[lane_of(entry, TWICE_AT)] = assets[asset, TWICE_OFFSET]
    lanes[lane_of(entry, STRETCH_AT)] = assets[asset, STRETCH]
    lanes[lane_of(entry, GROWTH_AT)] = assets[asset, GROWTH_MAX]


@nb.njit(forceinline=True)
def fold_assets(shape: Shape, first: int, tables: JointTables, room: JointRoom) -> int:
    """List the underlyings of a pool without fills, add them to its HELD_ROW; the next entry."""
    width, legs, _ = shape
    sums, marks, cells, entry = room.sums, room.marks, room.cells, np.uint64(first)
    target, span = np.uint64(CASES) * np.uint64(sums.shape[0]), np.uint64(len(legs) * LANES)
    for word in range(np.uint64(marks.shape[1])):
        left = marks[SCANNED, word]
        marks[SCANNED, word] = 0
        while left:
            a = lowest(word, left)
            left &= left - ONE
            list_entry(shape, entry, a, a, 1.0, sums[a, ODDS], sums[a, FLOORS], tables, room)
            FOLD_ROW(width, cells, a, cells, target + np.uint64(HELD_ROW))
            leg = a * span
            TURN_LEGS(
                legs, room.nets, leg * np.uint64(CASES), tables.rates, leg, sums[a, COIN],
                room.sides, entry,
            )  # fmt: skip
            sums[a, COIN] = sums[a, ODDS] = sums[a, FLOORS] = 0.0
            entry += ONE
    return int(entry)


@nb.njit(forceinline=True)
def fold_ordered(shape: Shape, place: int, first: int, tables: JointTables, room: JointRoom) -> int:
    """List the underlyings of a pool with fills, and find its joint losses; the next entry."""
    width, legs, _ = shape
    sums, marks, cells, entry = room.sums, room.marks, room.cells, np.uint64(first)
    count, span = np.uint64(sums.shape[0]), np.uint64(len(legs) * LANES)
    target = np.uint64(CASES) * count
    for word in range(np.uint64(marks.shape[1])):
        left, ordered = marks[SCANNED, word], marks[ORDERED, word]
        marks[SCANNED, word] = marks[ORDERED, word] = 0
        while left:
            a = lowest(word, left)
            has_fills = ordered & bit(a) != 0
            left &= left - ONE
            buys, sells = a, a
            held, next_entry = entry, entry + ONE
            if has_fills:
                buys, sells = count + a, np.uint64(2) * count + a
                list_fills(shape, held + ONE, a, buys, BOUGHT, sums[a, BUY_ODDS], tables, room)
                list_fills(
                    shape, held + np.uint64(2), a, sells, SOLD, sums[a, SELL_ODDS], tables, room
                )
                next_entry = entry + np.uint64(CASES)
            cases = float(CASES) if has_fills else 1.0
            list_entry(shape, held, a, a, cases, sums[a, ODDS], sums[a, FLOORS], tables, room)
            FOLD_FILLS(
                width, cells, a, buys, sells, cells, target + np.uint64(HELD_ROW),
                target + np.uint64(FILLED_ROW),
            )  # fmt: skip
            leg = a * span
            TURN_LEGS(
                legs, room.nets, leg * np.uint64(CASES), tables.rates, leg, sums[a, COIN],
                room.sides, held,
            )  # fmt: skip
            for column in range(FLOORS, LOCK):
                sums[a, column] = 0.0
            entry = next_entry
    room.totals[JOINT_AT * POOLS + place] = TAKE_WORST(width, cells, target + np.uint64(HELD_ROW))
    room.totals[JOINT_FILLED_AT * POOLS + place] = TAKE_WORST(
        width, cells, target + np.uint64(FILLED_ROW)
    )
    return int(entry)


@nb.njit(forceinline=True)
def list_fills(
    shape: Shape, entry: Any, asset: Any, row: Any, case: int, odd: float,
    tables: JointTables, room: JointRoom,
) -> None:  # fmt: skip
    """List an underlying as it would be with one case of its fills."""
    width, legs, _ = shape
    sums, span = room.sums, np.uint64(len(legs) * LANES)
    ADD_ROW(width, room.cells, row, room.cells, asset, 1.0)
    floor = larger(sums[asset, FLOORS], sums[asset, FLOORS] + sums[asset, FLOORS_MORE])
    list_entry(shape, entry, row, asset, 0.0, odd, floor, tables, room)
    held = asset * span * np.uint64(CASES)
    TURN_FILLS(
        legs, room.nets, held, tables.rates, asset * span, sums[asset, COIN], room.sides, entry,
        held + span * np.uint64(case),
    )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def measure_entries(count: int, losses: Floats, sides: Floats, lanes: Floats) -> None:
    """Fill what is left of the long and short side, the minimum beyond, and charges of entries.

    POSITIONS_AT and ODD_AT, before of contracts alone, become those of coins as well.
    """
    for tile in range((count + POOLS - 1) // POOLS):
        at, first = tile * LANE_COLUMNS * POOLS, tile * POOLS
        for k in range(min(POOLS, (count - first + LANES - 1) // LANES * LANES)):
            lane, entry = at + k, first + k
            owned, odd = lanes[lane + OWNED_AT * POOLS], lanes[lane + ODD_AT * POOLS]
            worst, twice = losses[entry, 0], lanes[lane + TWICE_AT * POOLS]
            apart = lanes[lane + POSITIONS_AT * POOLS]
            positions = (apart if owned != 0.0 else worst) + odd
            odd = odd + 0.0 * owned
            worst = worst + odd
            lanes[lane + ODD_AT * POOLS] = odd
            lanes[lane + POSITIONS_AT * POOLS] = positions
            lanes[lane + LONG_AT * POOLS] = worst - twice * (worst - losses[entry, 2])
            lanes[lane + SHORT_AT * POOLS] = worst - twice * (worst - losses[entry, 1])
            short = lanes[lane + FLOOR_AT * POOLS] - positions
            lanes[lane + OWN_AT * POOLS] = larger(short, 0.0)
            # ``concentration_charge``
            growth = math.sqrt(1.0 + positions * lanes[lane + STRETCH_AT * POOLS])
            most = lanes[lane + GROWTH_AT * POOLS]
            growth = most if most < growth else growth  # noqa: FURB136
            charge = positions * (growth - 1.0)
            lanes[lane + CONCENTRATION_AT * POOLS] = charge if positions != 0.0 else 0.0
            # ``matched_basis``
            up, down = sides[entry, 0], sides[entry, 1]
            less = down if down < up else up  # noqa: FURB136
            basis = less * (sides[entry, 2] / up + sides[entry, 3] / down)
            lanes[lane + BASIS_AT * POOLS] = 0.0 if (up == 0.0) | (down == 0.0) else basis
