"""What a trade would make of one pool, without touching the book: the rows to judge it by."""

from typing import NamedTuple, final

import numba as nb
import numpy as np

from plimsoll.book import LiveBook, PoolKind, Rows, SystemPool
from plimsoll.book.kernels import Table
from plimsoll.core import Int32s, Int64s, LedgerError
from plimsoll.ledger.kernels import (
    LEG_WORK,
    NOWHERE,
    PAID_WORK,
    SOUND,
    BalanceChanges,
    Held,
    Owned,
    PositionChanges,
    TradeColumns,
    TransferColumns,
    post,
    value_trade,
)

ROWS_MIN = 64
REFUSED = -1
_MARKET = int(SystemPool.MARKET)


class Room(NamedTuple):
    """Rows of one pool: where they begin and end, positions, balances."""

    begin: Int64s
    position_end: Int64s
    instrument: Int32s
    quantity: Int64s
    cost: Int64s
    balance_end: Int64s
    asset: Int32s
    amount: Int64s


@final
class Preview:
    """One pool of a live book as it would be; reused from call to call, by one thread."""

    __slots__ = ("_live", "_orders", "_room", "_rows")

    def __init__(self, live: LiveBook) -> None:
        """Room for previews of pools of a book."""
        self._live = live
        self._orders = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._room = _room(ROWS_MIN)
        self._rows: Rows | None = None

    def trade(self, pool: int, instrument: int, quantity: int, price: int, fee: int = 0) -> Rows:
        """A pool, alone and as pool 0, after a trade with the market; units as ``Trades``'.

        The rows are good until the next call. Raises LedgerError where a fill would be refused.
        """
        live = self._live
        held, owned, orders = live.positions.table, live.balances.table, live.orders.table
        rows = live.rows
        if not len(SystemPool) <= pool < live.pool_count:
            raise LedgerError("pool", f"{pool} is no customer's pool", "use one of the book")
        need = held.end[pool] - held.begin[pool] + owned.end[pool] - owned.begin[pool] + 4
        if need > self._room.instrument.size:
            self._room = _room(2 * int(need))
        code = write_trade(
            held, owned, live.instruments.exact, live.sums.shape[1], self._room,
            int(pool), int(instrument), int(quantity), int(price), int(fee),
        )  # fmt: skip
        if code == REFUSED:
            raise LedgerError("trade", "cannot be posted", "check its numbers; see the ledger")
        begin, end = self._orders
        begin[0], end[0] = orders.begin[pool], orders.end[pool]
        room, shown = self._room, self._rows
        if (
            shown is None
            or shown.quantity is not room.quantity
            or shown.order_quantity is not rows.order_quantity
        ):
            shown = self._rows = Rows(
                np.full(1, PoolKind.CROSS, dtype=np.int8),
                room.begin, room.position_end, room.instrument, room.quantity, room.cost,
                room.begin, room.balance_end, room.asset, room.amount,
                begin, end, *rows[12:],
            )  # fmt: skip
        shown.kind[0] = live.pool_kind[pool]
        return shown


def _room(size: int) -> Room:
    one = np.zeros(1, dtype=np.int64)
    ids, amounts = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int64)
    return Room(
        one, one.copy(), ids, amounts, amounts.copy(), one.copy(), ids.copy(), amounts.copy()
    )


@nb.njit(cache=True, nogil=True, error_model="numpy")
def write_trade(
    held: Table, owned: Table, units: Int64s, sums: int, room: Room,
    pool: int, instrument: int, quantity: int, price: int, fee: int,
) -> int:  # fmt: skip
    """Fill a room with a pool's rows after a trade with the market; REFUSED or 0.

    ``sums`` is how many the book has, from which the assets are counted.
    """
    if not 0 <= instrument < units.shape[0] or quantity == 0 or price <= 0:
        return REFUSED
    value = value_trade(units[instrument], quantity, price)
    if value == NOWHERE:
        return REFUSED
    one = np.array([[pool], [_MARKET], [instrument], [quantity], [fee], [value]])
    none = one[0, :0]
    ids, size, cost = held.columns
    asset, amount = owned.columns
    positions, balances, found = post(
        Held(held.begin, held.end, ids, size, cost),
        Owned(owned.begin, owned.end, asset, amount),
        units, (sums - units.shape[0]) >> 1,
        TradeColumns(one[0], one[1], one[2], one[3], one[4], one[5]),
        TransferColumns(none, none, none, none),
        np.empty((LEG_WORK, 2), dtype=np.int64), np.empty((PAID_WORK, 8), dtype=np.int64),
    )  # fmt: skip
    if found != SOUND:
        return REFUSED
    _merge_positions(held, positions, pool, room)
    _merge_balances(owned, balances, pool, room)
    return 0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _merge_positions(held: Table, changes: PositionChanges, pool: int, room: Room) -> None:
    """A pool's positions with those that change as they would be; both rise by instrument."""
    ids, quantity, cost = held.columns
    at, row, end = 0, held.begin[pool], held.end[pool]
    for change in range(changes.pool.size + 1):
        is_last = change == changes.pool.size
        if not is_last and changes.pool[change] != pool:
            continue
        while row < end and (is_last or ids[row] < changes.instrument[change]):
            room.instrument[at] = ids[row]
            room.quantity[at], room.cost[at] = quantity[row], cost[row]
            at, row = at + 1, row + 1
        if is_last:
            break
        row += row < end and ids[row] == changes.instrument[change]
        if changes.is_kept[change]:
            room.instrument[at] = changes.instrument[change]
            room.quantity[at], room.cost[at] = changes.quantity[change], changes.cost[change]
            at += 1
    room.position_end[0] = at


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _merge_balances(owned: Table, changes: BalanceChanges, pool: int, room: Room) -> None:
    """The same for balances, which rise by asset."""
    ids, amount = owned.columns
    at, row, end = 0, owned.begin[pool], owned.end[pool]
    for change in range(changes.pool.size + 1):
        is_last = change == changes.pool.size
        if not is_last and changes.pool[change] != pool:
            continue
        while row < end and (is_last or ids[row] < changes.asset[change]):
            room.asset[at], room.amount[at] = ids[row], amount[row]
            at, row = at + 1, row + 1
        if is_last:
            break
        row += row < end and ids[row] == changes.asset[change]
        if changes.is_kept[change]:
            room.asset[at], room.amount[at] = changes.asset[change], changes.amount[change]
            at += 1
    room.balance_end[0] = at
