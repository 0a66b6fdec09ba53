"""Rows that come and go in place: the blocks of one table of a live book.

A pool owns a block of ``room`` rows from ``begin`` on, of which those before ``end`` are in use,
by rising id. Rooms are of a few sizes (``_size``), or an exact fit where a table was packed. A
block that is left is listed by the largest such size it holds; the list runs through a column
of the rows themselves. What a list does not give comes from ``state[TOP]`` on.
"""

from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numba import literal_unroll, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from plimsoll.core import Bools, Int32s, Int64s

ROOMS = 80
"""Sizes of rooms there are: 1, 2, 3, 4, 6, 8, 12 and so on, two to the octave, so that a pool

which grows by one row at a time moves seldom."""

TOP, LIVE, FREE = range(3)
"""Columns of ``state``: the first row never given away, the rows in use, and from ``FREE`` on the

first block of each list, or ``ABSENT``."""
LINK = 1
"""The column, of int64 in every table, that lists run through."""

ABSENT = -1


class Table(NamedTuple):
    """The arrays of one table: ``columns`` over rows, the ids first; the others over pools.

    ``state`` is [FREE + ROOMS].
    """

    begin: Int64s
    end: Int64s
    room: Int32s
    state: Int64s
    columns: Any


@intrinsic
def _pointer(_context: Any, _address: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), emit


@nb.njit(cache=True, nogil=True, error_model="numpy")
def view_int64(address: int, count: int) -> Any:
    """An array by its address, as a view that counts no references.

    To receive an array from Python, and to count who uses it, costs more than a fill does.
    """
    return carray(_pointer(address), count, np.int64)  # type: ignore[call-arg]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def view_int32(address: int, count: int) -> Any:
    """``view_int64`` for 32 bits."""
    return carray(_pointer(address), count, np.int32)  # type: ignore[call-arg]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def find_row(begin: int, end: int, ids: Any, wanted: int) -> int:
    """The first row from ``begin`` whose id is at least ``wanted``, ``end`` if there is none."""
    low, high = begin, end
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@nb.njit(cache=True, nogil=True, error_model="numpy")
def find_rows(
    begin: Int64s, end: Int64s, ids: Int64s, pools: Int64s, wanted: Int64s, found: Bools
) -> Int64s:
    """Row of each (pool, id), or where it would be inserted, and into ``found`` whether it is.

    A pool that is not there has no rows.
    """
    rows = np.zeros(pools.size, dtype=np.int64)
    for k in range(pools.size):
        pool = pools[k]
        found[k] = False
        if 0 <= pool < begin.size:
            row = find_row(begin[pool], end[pool], ids, wanted[k])
            rows[k] = row
            found[k] = row < end[pool] and ids[row] == wanted[k]
    return rows


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _size(k: int) -> int:
    """Rows in a room of the k-th size."""
    if k == 0:
        return 1
    return 1 << ((k + 1) >> 1) if k & 1 else 3 << ((k >> 1) - 1)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _room_for(count: int) -> int:
    """Index of the smallest room that holds so many rows."""
    k = 0
    while _size(k) < count:
        k += 1
    return k


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _room_within(count: int) -> int:
    """Index of the largest room that so many rows, at least 1, hold."""
    k = 0
    while _size(k + 1) <= count:
        k += 1
    return k


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _list_block(table: Table, begin: int, room: Any) -> None:
    if room > 0:
        k = _room_within(room)
        table.columns[LINK][begin] = table.state[FREE + k]
        table.state[FREE + k] = begin


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _run(pools: Int64s, first: int) -> int:
    """Where the run of one pool that starts at ``first`` ends."""
    last = first + 1
    while last < pools.size and pools[last] == pools[first]:
        last += 1
    return last


@nb.njit(cache=True, nogil=True, error_model="numpy")
def count_demand(table: Table, pools: Int64s, ids: Int64s, is_kept: Int64s, is_packed: bool) -> int:
    """Rows from ``state[TOP]`` on that ``arrange`` may take for the same changes, at most.

    With ``is_packed``, after a packing, which leaves no pool room to spare.
    """
    demand, first = 0, 0
    begin, end, ids_held = table.begin, table.end, table.columns[0]
    while first < pools.size:
        last, pool, added = _run(pools, first), pools[first], 0
        held: Any = 0
        room: Any = 0
        if pool < begin.size:
            held = end[pool] - begin[pool]
            room = held if is_packed else table.room[pool]
        for k in range(first, last):
            if is_kept[k]:
                is_new = True
                if held:
                    row = find_row(begin[pool], end[pool], ids_held, ids[k])
                    is_new = row == end[pool] or ids_held[row] != ids[k]
                added += is_new
        if held + added > room:
            demand += _size(_room_for(held + added))
        first = last
    return demand


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _copy_rows(columns: Any, source: int, target: int, count: int) -> None:
    for column in literal_unroll(columns):
        for k in range(count):
            column[target + k] = column[source + k]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _open_row(columns: Any, row: int, end: int) -> None:
    for column in literal_unroll(columns):
        for k in range(end, row, -1):
            column[k] = column[k - 1]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _move(table: Table, pool: int, count: int) -> None:
    """Take a block for ``count`` rows, move the pool's rows there and list the old block."""
    k = _room_for(count)
    target = table.state[FREE + k]
    if target == ABSENT:
        target = table.state[TOP]
        table.state[TOP] += _size(k)
    else:
        table.state[FREE + k] = table.columns[LINK][target]
    source, held = table.begin[pool], table.end[pool] - table.begin[pool]
    _copy_rows(table.columns, source, target, held)
    _list_block(table, source, table.room[pool])
    table.begin[pool], table.end[pool], table.room[pool] = target, target + held, _size(k)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _change_rows(
    table: Table, pool: int, ids: Int64s, is_kept: Int64s, first: int, last: int
) -> None:
    begin, end, held = table.begin, table.end, table.columns[0]
    for k in range(first, last):
        row = find_row(begin[pool], end[pool], held, ids[k])
        is_there = row < end[pool] and held[row] == ids[k]
        if is_kept[k] and not is_there:
            _open_row(table.columns, row, end[pool])
            held[row] = ids[k]
            end[pool] += 1
            table.state[LIVE] += 1
        elif is_there and not is_kept[k]:
            _copy_rows(table.columns, row + 1, row, end[pool] - row - 1)
            end[pool] -= 1
            table.state[LIVE] -= 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def arrange(table: Table, pools: Int64s, ids: Int64s, is_kept: Int64s, rows: Int64s) -> None:
    """Make every (pool, id) have a row where it is kept and none where it is not.

    Ids are distinct within a pool and pools lie together. ``rows`` receives where each row is
    now, ``ABSENT`` for those not kept; the other columns of a new row are the caller's to fill.
    The caller has seen to it that ``count_demand`` rows are there.
    """
    begin, end, held = table.begin, table.end, table.columns[0]
    first = 0
    while first < pools.size:
        last, pool, added = _run(pools, first), pools[first], 0
        for k in range(first, last):
            row = find_row(begin[pool], end[pool], held, ids[k])
            added += is_kept[k] and (row == end[pool] or held[row] != ids[k])
        if end[pool] - begin[pool] + added > table.room[pool]:
            _move(table, pool, end[pool] - begin[pool] + added)
        _change_rows(table, pool, ids, is_kept, first, last)
        if begin[pool] == end[pool]:
            _list_block(table, begin[pool], table.room[pool])
            begin[pool] = end[pool] = table.room[pool] = 0
        for k in range(first, last):
            rows[k] = find_row(begin[pool], end[pool], held, ids[k]) if is_kept[k] else ABSENT
        first = last


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pack_column(begin: Int64s, end: Int64s, source: Any, target: Any) -> None:
    """Copy the rows in use, pool after pool, to the front of ``target``."""
    top = 0
    for pool in range(begin.size):
        for row in range(begin[pool], end[pool]):
            target[top] = source[row]
            top += 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def add_wide(sums: Int64s, at: int, amount: int) -> None:
    """Add to a sum held as [high, low] with 0 <= low < 2**32: exact far beyond 64 bits."""
    low = sums[at, 1] + (amount & 0xFFFFFFFF)
    sums[at, 0] += (amount >> 32) + (low >> 32)
    sums[at, 1] = low & 0xFFFFFFFF


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sum_rows(
    begin: Int64s, end: Int64s, ids: Int32s, values: Int64s, key: Int64s, sums: Int64s
) -> None:
    """Add the values of all rows in use to ``sums[key[id]]``, as ``add_wide`` holds them."""
    for pool in range(begin.size):
        for row in range(begin[pool], end[pool]):
            add_wide(sums, key[ids[row]], values[row])
