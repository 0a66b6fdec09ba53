"""A book that changes in place, for one fill at a time on millions of positions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from plimsoll.book.arena import SPARE, Arena
from plimsoll.book.book import Balances, Book, ModelChoice, Orders, Positions
from plimsoll.book.kernels import Table, sum_rows
from plimsoll.book.pools import PoolState
from plimsoll.book.rows import Rows
from plimsoll.book.segments import rows_between
from plimsoll.book.select import compact_book
from plimsoll.core import InputError, Int8s, Int32s, Int64s, did_you_mean
from plimsoll.instruments import InstrumentTable

WORK = 256
"""Numbers that one event needs at most while it is posted."""


@final
class LiveBook:
    """All accounts, as in ``Book``, with columns that change in place.

    Only the ledger writes to it. A row that holds nothing, a closed position, an empty balance,
    is not kept, so it equals the compacted ``Book`` that the same batches make of the same
    start. ``positions``, ``balances`` and ``orders`` are arenas; their columns are those of
    ``Book``'s tables.

    ``sums`` [2, instruments + 2 assets, 2] accounts for all rows in its first part, as
    [high, low] (``add_wide``): quantities by instrument, then amounts by asset, then costs by
    settle asset. Its second part is zeros, for who needs some for a moment. ``work`` is for one
    event at a time to be posted in.
    """

    __slots__ = (
        "_account_ids", "_account_model", "_accounts", "_addresses", "_frozen_ids",
        "_pool_account", "_pool_kind", "_pool_since_ns", "_pool_state", "_rows", "_shown",
        "balances", "instruments", "market_phase", "models", "orders", "pool_count", "positions",
        "sequence", "sums", "time_ns", "work",
    )  # fmt: skip

    def __init__(self, book: Book) -> None:
        """Use ``LiveBook.of``."""
        book = compact_book(book)
        held, owned, orders = book.positions, book.balances, book.orders
        self.instruments: InstrumentTable = book.instruments
        self.models: tuple[ModelChoice, ...] = book.models
        self.sequence: int = book.sequence
        self.time_ns: int = book.time_ns
        self._account_ids = list(book.account_ids)
        self._frozen_ids: tuple[str, ...] | None = book.account_ids
        self._accounts: dict[str, int] | None = None
        self._account_model = book.account_model.copy()
        self.pool_count: int = book.pool_count
        self._pool_account = book.pool_account.copy()
        self._pool_kind = book.pool_kind.copy()
        self._pool_state = book.pool_state.copy()
        self._pool_since_ns = book.pool_since_ns.copy()
        self.market_phase: Int8s = book.market_phase.copy()
        self.positions = Arena(
            held.offsets[:-1], held.offsets[1:], (held.instrument, held.quantity, held.cost)
        )
        self.balances = Arena(owned.offsets[:-1], owned.offsets[1:], (owned.asset, owned.amount))
        columns = (orders.order_id, orders.quantity, orders.price, orders.instrument,
                   orders.is_reduce_only)  # fmt: skip
        self.orders = Arena(orders.offsets[:-1], orders.offsets[1:], columns)
        self._rows: Rows | None = None
        sums = self.count_sums()
        self.sums: Int64s = np.stack([sums, np.zeros_like(sums)])
        self.work: Int64s = np.zeros(WORK, dtype=np.int64)
        self._shown: tuple[Table, Table] | None = None
        self._addresses: Int64s = np.zeros(0, dtype=np.int64)

    @classmethod
    def of(cls, book: Book) -> "LiveBook":
        """A live book that holds what a book holds; the book is not touched."""
        return cls(book)

    @property
    def account_count(self) -> int:
        """Accounts there are."""
        return len(self._account_ids)

    @property
    def accounts(self) -> Mapping[str, int]:
        """Account indices by id; made at first use, and grown with the accounts."""
        if self._accounts is None:
            self._accounts = {name: i for i, name in enumerate(self._account_ids)}
        return MappingProxyType(self._accounts)

    @property
    def account_ids(self) -> tuple[str, ...]:
        """Ids in order of their index; copied once after accounts were opened."""
        if self._frozen_ids is None:
            self._frozen_ids = tuple(self._account_ids)
        return self._frozen_ids

    @property
    def account_model(self) -> Int32s:
        """Index of each account's model; a view of what never changes."""
        return self._account_model[: self.account_count]

    @property
    def pool_account(self) -> Int32s:
        """As ``Book.pool_account``; a view of what never changes."""
        return self._pool_account[: self.pool_count]

    @property
    def pool_kind(self) -> Int8s:
        """As ``Book.pool_kind``; a view of what never changes."""
        return self._pool_kind[: self.pool_count]

    @property
    def pool_state(self) -> Int8s:
        """As ``Book.pool_state``; a view that changes with the book."""
        return self._pool_state[: self.pool_count]

    @property
    def pool_since_ns(self) -> Int64s:
        """As ``Book.pool_since_ns``; a view that changes with the book."""
        return self._pool_since_ns[: self.pool_count]

    @property
    def rows(self) -> Rows:
        """The columns for compiled code: views, the same ones until an array is replaced."""
        held, owned, orders = self.positions.table, self.balances.table, self.orders.table
        rows = self._rows
        # An arena that is packed anew, or gets more pools, shows other arrays.
        if (
            rows is None
            or rows.position_begin is not held.begin
            or rows.balance_begin is not owned.begin
            or rows.order_begin is not orders.begin
        ):
            instrument, quantity, cost = held.columns
            asset, amount = owned.columns
            _, ordered, price, order_instrument, reduces = orders.columns
            rows = self._rows = Rows(
                self.pool_kind,
                held.begin, held.end, instrument, quantity, cost,
                owned.begin, owned.end, asset, amount,
                orders.begin, orders.end, order_instrument, ordered, price, reduces,
            )  # fmt: skip
        return rows

    @property
    def addresses(self) -> Int64s:
        """Where the arrays that an event changes lie: the same until one is replaced.

        Those of ``positions`` [9] and ``balances`` [8], then of ``instruments.exact``, ``sums``
        and ``work``, each of these with its rows.
        """
        held, owned, shown = self.positions.table, self.balances.table, self._shown
        if shown is None or shown[0] is not held or shown[1] is not owned:
            units, assets = self.instruments.exact, len(self.instruments.assets.names)
            self._addresses = np.array(
                [
                    *self.positions.addresses,
                    *self.balances.addresses,
                    *(units.shape[0], units.ctypes.data),
                    *(assets, self.sums.ctypes.data),
                    *(self.work.size, self.work.ctypes.data),
                ],
                dtype=np.int64,
            )
            self._shown = held, owned
        return self._addresses

    @property
    def memory_bytes(self) -> Mapping[str, int]:
        """Bytes of the arrays, room for more included, by part; names and ids are not counted."""
        pools = self._pool_account, self._pool_kind, self._pool_state, self._pool_since_ns
        return MappingProxyType(
            {
                "positions": self.positions.memory_bytes,
                "balances": self.balances.memory_bytes,
                "orders": self.orders.memory_bytes,
                "pools": sum(array.nbytes for array in pools) + self.market_phase.nbytes,
                "accounts": self._account_model.nbytes,
                "sums": self.sums.nbytes + self.work.nbytes,
            }
        )

    def find_account(self, account_id: str, place: str) -> int:
        """Index of an account; InputError naming ``place`` where it is unknown."""
        found = self.accounts.get(account_id)
        if found is None:
            remedy = did_you_mean(account_id, self.account_ids)
            raise InputError(place, f"unknown account '{account_id[:60]}'", remedy)
        return found

    def open_pools(
        self, account_ids: tuple[str, ...], models: Int32s, accounts: Int32s, kinds: Int8s
    ) -> None:
        """More accounts with their models, and more pools with their accounts and kinds."""
        first, count = self.account_count, self.pool_count
        self._account_model = _extended(self._account_model, first, models)
        self._pool_account = _extended(self._pool_account, count, accounts)
        self._pool_kind = _extended(self._pool_kind, count, kinds)
        states = np.full(kinds.size, PoolState.NORMAL, dtype=np.int8)
        self._pool_state = _extended(self._pool_state, count, states)
        never = np.zeros(kinds.size, dtype=np.int64)
        self._pool_since_ns = _extended(self._pool_since_ns, count, never)
        for arena in (self.positions, self.balances, self.orders):
            arena.add_pools(kinds.size)
        if account_ids:
            if self._accounts is not None:
                self._accounts.update((name, first + i) for i, name in enumerate(account_ids))
            self._account_ids.extend(account_ids)
            self._frozen_ids = None
        self.pool_count += kinds.size

    def take(self, pools: Int64s) -> Book:
        """What ``take_pools`` takes, and does not change any more, without rows of nothing.

        Costs what the pools hold; once after accounts were opened, their ids are copied.
        """
        return Book(
            instruments=self.instruments,
            account_ids=self.account_ids,
            account_model=self.account_model,
            models=self.models,
            pool_account=self.pool_account[pools],
            pool_kind=self.pool_kind[pools],
            pool_state=self.pool_state[pools],
            pool_since_ns=self.pool_since_ns[pools],
            market_phase=self.market_phase.copy(),
            positions=Positions(*_taken(self.positions, pools)),
            balances=Balances(*_taken(self.balances, pools)),
            orders=self._taken_orders(pools),
            sequence=self.sequence,
            time_ns=self.time_ns,
        )

    def _taken_orders(self, pools: Int64s) -> Orders:
        offsets, order_id, quantity, price, instrument, reduces = _taken(self.orders, pools)
        return Orders(offsets, order_id, instrument, quantity, price, reduces)

    def snapshot(self) -> Book:
        """The whole book as it stands, which does not change any more."""
        return self.take(np.arange(self.pool_count))

    def count_sums(self) -> Int64s:
        """The first part of ``sums`` again, from all rows."""
        table, rows = self.instruments, self.rows
        instruments, assets = len(table), len(table.assets.names)
        sums = np.zeros((instruments + 2 * assets, 2), dtype=np.int64)
        held = rows.position_begin, rows.position_end, rows.instrument
        by_asset = instruments + np.arange(assets)
        sum_rows(*held, rows.quantity, np.arange(instruments), sums)
        sum_rows(rows.balance_begin, rows.balance_end, rows.asset, rows.amount, by_asset, sums)
        sum_rows(*held, rows.cost, instruments + assets + table.settle.astype(np.int64), sums)
        return sums


def _taken(arena: Arena, pools: Int64s) -> Any:
    table = arena.table
    rows, offsets = rows_between(table.begin[pools], table.end[pools])
    return offsets, *(column[rows] for column in table.columns)


def _extended(array: NDArray[Any], used: int, values: NDArray[Any]) -> NDArray[Any]:
    """The array with values from ``used`` on, a longer one if it must be."""
    total = used + values.size
    if total > array.size:
        grown = np.zeros(total + total // 8 + SPARE, dtype=array.dtype)
        grown[:used] = array[:used]
        array = grown
    array[used:total] = values
    return array
