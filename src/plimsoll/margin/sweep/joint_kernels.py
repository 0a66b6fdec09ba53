"""``plimsoll.portfolio`` for whole books: each pool in one pass over its rows.

A batch of pools is worked on in steps. A plain pool (``plain``) is measured in one loop over its
rows. Of any other, rows are netted by underlying in a room that fits the first cache, and every
underlying is listed as an entry (``joint_entries``), in ascending order of assets: the order of
the rule sheet's rows, so that every sum is added as it adds it. Then the list of plain pools is
looked through for basis, all entries are measured together and added up by pool, and lines are
drawn for all pools together (``joint_lines``). Whoever gathers a pool leaves the room empty, so
that a pool's bits depend on its own rows alone. Of a minimum over scenarios a NaN may be lost;
every sum of profits is therefore accompanied by one of ODD, which is 0 or NaN. Numbers that index
are unsigned, for others are compared with 0 at every access.
"""

import numba as nb
import numpy as np
from numba.np.ufunc.parallel import get_thread_id

from plimsoll.book import PoolKind, Rows
from plimsoll.core import Floats, Int8s, Int32s, Int64s
from plimsoll.margin.borrowing import BORROW
from plimsoll.margin.sweep.joint_entries import fold_assets, fold_ordered, measure_entries
from plimsoll.margin.sweep.joint_lines import close_pools, draw_lines, write_figures
from plimsoll.margin.sweep.joint_orders import add_fills, list_orders
from plimsoll.margin.sweep.joint_tables import (
    AMOUNT_UNIT,
    BASE,
    CASES,
    COIN,
    COUNTED_AT,
    DEPEG_AT,
    EQUITY,
    EQUITY_AT,
    FACTOR,
    FEES_AT,
    HELD_ROW,
    IS_SCANNED,
    JOINT_AT,
    JOINT_FILLED_AT,
    LOCK_AT,
    MORE_FEES_AT,
    OWED_SUM,
    POOL_COLUMNS,
    POOLS,
    SCANNED,
    SETTLE,
    SETTLE_UNIT,
    SETTLED,
    UNIT,
    VALUE,
    JointRoom,
    JointTables,
    Shape,
    UInt32s,
    UInt64s,
    value_asset,
)
from plimsoll.margin.sweep.joint_vectors import ADD_POSITION
from plimsoll.margin.sweep.plain.kernels import add_bases, scan_plain
from plimsoll.margin.sweep.plain.vectors import POINT_PLAIN
from plimsoll.margin.sweep.vectors import EXPECT_WRITES, LANES, TAKE_WORST, Width
from plimsoll.margin.sweep.words import ONE, SIX, bit, lowest

BLOCK = 1024
"""Pools a thread takes at a time; a book of no more needs no second thread."""

_SYSTEM = int(PoolKind.SYSTEM)


@nb.njit(forceinline=True)
def hold_positions(
    width: Width, begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, cost: Int64s,
    pool: int, profits: Floats, numbers: Floats, ids: UInt32s,
    cells: Floats, sums: Floats, nets: Floats, marks: UInt64s,
) -> float:  # fmt: skip
    """Add positions to the equity of assets and to what is scanned; returns the fees to close."""
    # Sets of one word stay in registers while rows are added.
    fees, is_small, settled, scanned = 0.0, marks.shape[1] == 1, np.uint64(0), np.uint64(0)
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        units, paid = quantity[row], cost[row]
        if units == 0 and paid == 0:
            continue
        i = np.uint32(instrument[row])
        base, settle = ids[i, BASE], ids[i, SETTLE]
        if is_small:
            settled |= bit(settle)
        else:
            marks[SETTLED, settle >> SIX] |= bit(settle)
        if units == 0:
            held = units * numbers[i, UNIT]
            sums[settle, EQUITY] += held * numbers[i, VALUE] - paid * numbers[i, SETTLE_UNIT]
            continue
        if is_small:
            scanned |= bit(base)
        else:
            marks[SCANNED, base >> SIX] |= bit(base)
        fees += ADD_POSITION(width, cells, profits, sums, nets, numbers, ids, i, units, paid)
    if is_small:
        marks[SETTLED, 0] |= settled
        marks[SCANNED, 0] |= scanned
    return fees


@nb.njit(forceinline=True)
def own_assets(
    assets: Floats, asset_ids: UInt32s, tiers: Floats, sums: Floats, marks: UInt64s
) -> tuple[float, float, float]:  # fmt: skip
    """A pool's equity, what counts of it, and what depegs cost, USD; coins go to the scan."""
    equity, counted, depegs = 0.0, 0.0, 0.0
    for word in range(np.uint64(marks.shape[1])):
        left = marks[SETTLED, word]
        marks[SETTLED, word] = 0
        while left:
            a = lowest(word, left)
            left &= left - ONE
            held, owed = sums[a, EQUITY], sums[a, OWED_SUM]
            sums[a, EQUITY] = sums[a, OWED_SUM] = 0.0
            value, kept, loss = value_asset(a, held, owed, assets, asset_ids, tiers)
            equity += value
            counted += kept
            depegs += loss
            if assets[a, IS_SCANNED] != 0.0 and value != 0.0:
                sums[a, COIN] = value
                marks[SCANNED, word] |= bit(a)
    return equity, counted, depegs


@nb.njit(forceinline=True)
def add_balances(
    begin: Int64s, end: Int64s, asset: Int32s, amount: Int64s, pool: int, assets: Floats,
    sums: Floats, marks: UInt64s,
) -> None:  # fmt: skip
    """Add a pool's balances to the equity of assets."""
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        a = np.uint32(asset[row])
        sums[a, EQUITY] += amount[row] * assets[a, AMOUNT_UNIT]
        marks[SETTLED, a >> SIX] |= bit(a)


@nb.njit(forceinline=True)
def gather_pool(
    shape: Shape, pool: int, place: int, entry: int, rows: Rows, tables: JointTables,
    room: JointRoom,
) -> int:  # fmt: skip
    """Add a pool's rows up and list its underlyings from ``entry`` on; returns the next entry.

    The sums of its own go to place ``place`` of ``room.totals``.
    """
    width = shape[0]
    profits, numbers, ids, _, _, terms, _, _, _, assets, asset_ids, tiers, _ = tables
    cells, sums, nets, slots, marks, used, _, _, _, totals, _, _ = room
    add_balances(
        rows.balance_begin, rows.balance_end, rows.asset, rows.amount, pool, assets, sums, marks
    )
    fees = hold_positions(
        width, rows.position_begin, rows.position_end, rows.instrument, rows.quantity, rows.cost,
        pool, profits, numbers, ids, cells, sums, nets, marks,
    )  # fmt: skip
    equity, counted, depegs = own_assets(assets, asset_ids, tiers, sums, marks)
    at, held_row = np.uint64(place), np.uint64(CASES) * np.uint64(sums.shape[0])
    totals[at + np.uint64(FEES_AT * POOLS)] = fees
    totals[at + np.uint64(EQUITY_AT * POOLS)] = equity
    totals[at + np.uint64(COUNTED_AT * POOLS)] = counted
    totals[at + np.uint64(DEPEG_AT * POOLS)] = depegs
    if rows.order_begin[pool] < rows.order_end[pool]:
        list_orders(
            rows.order_begin, rows.order_end, rows.order_instrument, rows.order_quantity,
            rows.order_price, rows.order_reduces, pool, numbers, ids, terms,
            sums, slots, marks, used,
        )  # fmt: skip
        more_fees, lock, count = add_fills(
            shape, rows.position_begin, rows.position_end, rows.instrument, rows.quantity, pool,
            profits, numbers, ids, cells, sums, nets, slots, marks, used,
        )  # fmt: skip
        totals[at + np.uint64(MORE_FEES_AT * POOLS)] = more_fees
        totals[at + np.uint64(LOCK_AT * POOLS)] = lock
        if count:
            return fold_ordered(shape, place, entry, tables, room)
    else:
        totals[at + np.uint64(MORE_FEES_AT * POOLS)] = 0.0
        totals[at + np.uint64(LOCK_AT * POOLS)] = 0.0
    totals[at + np.uint64(JOINT_FILLED_AT * POOLS)] = -1.0
    entry = fold_assets(shape, entry, tables, room)
    totals[at + np.uint64(JOINT_AT * POOLS)] = TAKE_WORST(
        width, cells, held_row + np.uint64(HELD_ROW)
    )
    return entry


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sweep_joint_pools(
    shape: Shape, first: int, end: int, pools: Int64s, rows: Rows, tables: JointTables,
    room: JointRoom, is_zero: bool, figures: Floats, status: Int8s,
) -> None:  # fmt: skip
    """Fill columns first to end of figures, and status, on one thread; no ``pools`` means all.

    For compiled code: no allocation, no lock. ``rows`` are a book's, ``shape`` and ``tables`` a
    sheet's, ``room`` one thread's, from ``JointSheet.own_room``. The rows of ``figures`` are
    those of ``write_figures``, which says what ``is_zero`` is.
    """
    bare_rows, bare_tables, bare_room = BORROW(rows), BORROW(tables), BORROW(room)
    pointers = POINT_PLAIN(bare_tables, bare_rows, bare_room)
    spare = room.losses.shape[0] - CASES * tables.assets.shape[0]
    column = first
    while column < end:
        count, entry, listed = 0, 0, 0
        while count < POOLS and column + count < end and entry <= spare:
            pool = pools[column + count] if pools.size else column + count
            room.firsts[count] = entry
            if count % LANES == 0:
                # A line of each row at a time: all at the end would wait for memory.
                for line in range(figures.shape[0]):
                    EXPECT_WRITES(figures, line, column + count)
            if rows.kind[pool] == _SYSTEM:
                clear_pool(count, bare_room.totals)
            else:
                found = scan_plain(
                    shape, pool, count, listed, bare_rows, bare_tables, bare_room, pointers
                )
                if found < 0:
                    entry = gather_pool(
                        shape, pool, count, entry, bare_rows, bare_tables, bare_room
                    )
                else:
                    listed = found
            count += 1
        room.firsts[count] = entry
        add_bases(
            len(shape[1]) * LANES, listed, room.listed, rows.instrument, rows.quantity,
            tables.numbers, tables.keys, tables.rates, room.totals,
        )  # fmt: skip
        measure_entries(entry, room.losses, room.sides, room.lanes)
        close_pools(count, tables.rules[FACTOR], room)
        draw_lines(count, tables.rules, room.totals)
        write_figures(column, count, room.totals, is_zero, figures, status)
        column += count


@nb.njit(forceinline=True)
def clear_pool(place: int, totals: Floats) -> None:
    """What a system's pool adds up to."""
    for column in range(POOL_COLUMNS):
        totals[column * POOLS + place] = 0.0
    totals[JOINT_FILLED_AT * POOLS + place] = -1.0


@nb.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def sweep_joint_blocks(
    width: Width, legs: Width, falls: Width, rises: Width, pools: Int64s, rows: Rows,
    tables: JointTables, room: JointRoom, is_zero: bool, figures: Floats, status: Int8s,
) -> None:  # fmt: skip
    """``sweep_joint_pools`` of all columns, block by block on all threads."""
    for block in nb.prange((status.size + BLOCK - 1) // BLOCK):
        thread = get_thread_id()  # type: ignore[no-untyped-call]
        mine = JointRoom(
            room.cells[thread], room.sums[thread], room.nets[thread], room.slots[thread],
            room.marks[thread], room.used[thread], room.losses[thread], room.sides[thread],
            room.lanes[thread], room.totals[thread], room.firsts[thread],
            room.listed[thread],
        )  # fmt: skip
        first = block * BLOCK
        sweep_joint_pools(
            (width, legs, (falls, rises)), first, min(first + BLOCK, status.size), pools, rows,
            tables, mine, is_zero, figures, status,
        )  # fmt: skip
