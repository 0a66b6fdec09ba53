"""The rows of all pools in one set of arrays that change in place."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from plimsoll.book.kernels import (
    ABSENT,
    FREE,
    LIVE,
    ROOMS,
    TOP,
    Table,
    arrange,
    count_demand,
    pack_column,
)
from plimsoll.core import Int64s, offsets_from_counts

SPARE = 64
"""Rows, or pools, that there is always room for beyond the share."""


@final
class Arena:
    """One table of a live book: rows by pool, each pool's by rising id.

    Packed, the rows lie pool after pool without a gap, and a third as many again may come
    before it is packed anew; so may it be when half of the room it has is no longer used. Both
    need as many changes as a share of the rows, so that a change costs what its own pool holds,
    amortised, and the arrays never have more than ``2 * live + 128`` rows, the room asked for
    last aside.

    ``table`` is what compiled code works on; it is replaced where an array is.
    """

    __slots__ = ("_begin", "_end", "_pools", "_room", "table")

    def __init__(self, begin: Int64s, end: Int64s, columns: tuple[NDArray[Any], ...]) -> None:
        """Rows ``begin[p]`` to ``end[p]`` of the columns, the ids first, then one of int64.

        The arrays given are copied.
        """
        self._pools = begin.size
        self._begin, self._end = begin, end
        self._room = np.zeros(0, dtype=np.int32)
        self.table: Table
        self._pack(columns, 0)

    @property
    def capacity(self) -> int:
        """Rows there are, used or not."""
        return int(self.table.columns[0].size)

    @property
    def live(self) -> int:
        """Rows in use."""
        return int(self.table.state[LIVE])

    @property
    def memory_bytes(self) -> int:
        """Bytes of all arrays, room for more included."""
        table = self.table
        pools = (self._begin, self._end, self._room, table.state)
        return sum(array.nbytes for array in (*pools, *table.columns))

    @property
    def addresses(self) -> tuple[int, ...]:
        """Pools, rows, and where ``table``'s arrays lie, in its order."""
        table = self.table
        arrays = (table.begin, table.end, table.room, table.state, *table.columns)
        return self._pools, self.capacity, *(array.ctypes.data for array in arrays)

    def add_pools(self, count: int) -> None:
        """More pools, without rows."""
        pools = self._pools + count
        if pools > self._begin.size:
            size = pools + pools // 8 + SPARE
            self._begin, self._end, self._room = (
                _grown(array, self._pools, size) for array in (self._begin, self._end, self._room)
            )
        self._pools = pools
        self._show(self.table.state, self.table.columns)

    def reserve(self, pools: Int64s, ids: Int64s, is_kept: Int64s) -> None:
        """See to it that these changes find room; the rows stay as they are.

        The only step of a change that can run out of memory, and then nothing has changed.
        """
        demand = count_demand(self.table, pools, ids, is_kept, False)
        if self.table.state[TOP] + demand > self.capacity:
            demand = count_demand(self.table, pools, ids, is_kept, True)
            self._pack(self.table.columns, int(demand))

    def arrange(self, pools: Int64s, ids: Int64s, is_kept: Int64s) -> Int64s:
        """Rows of each (pool, id) after making those kept and removing those not (-1)."""
        rows = np.zeros(pools.size, dtype=np.int64)
        arrange(self.table, pools, ids, is_kept, rows)
        return rows

    def shrink(self) -> None:
        """Pack if less than half of the room is used."""
        if self.capacity > 2 * self.live + 2 * SPARE:
            self._pack(self.table.columns, 0)

    def _pack(self, columns: tuple[NDArray[Any], ...], demand: int) -> None:
        begin, end = self._begin[: self._pools], self._end[: self._pools]
        counts = end - begin
        offsets = offsets_from_counts(counts)
        live = int(offsets[-1])
        packed = []
        for column in columns:
            # Of zeros, which costs nothing until it is used: rows that nobody owns have valid ids.
            target = np.zeros(live + live // 3 + SPARE + demand, dtype=column.dtype)
            pack_column(begin, end, column, target)
            packed.append(target)
        self._begin, self._end = offsets[:-1].copy(), offsets[1:].copy()
        self._room = counts.astype(np.int32)
        state = np.full(FREE + ROOMS, ABSENT, dtype=np.int64)
        state[TOP] = state[LIVE] = live
        self._show(state, tuple(packed))

    def _show(self, state: Int64s, columns: tuple[NDArray[Any], ...]) -> None:
        pools = slice(0, self._pools)
        self.table = Table(self._begin[pools], self._end[pools], self._room[pools], state, columns)


def _grown(array: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    grown = np.zeros(size, dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
