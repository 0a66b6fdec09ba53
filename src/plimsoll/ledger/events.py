"""The events of the ledger, as columns: one table per kind, empty where nothing happened."""

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plimsoll.book import PoolKind
from plimsoll.core import Bools, Int8s, Int32s, Int64s


def _no_int8() -> Int8s:
    return np.zeros(0, dtype=np.int8)


def _no_int32() -> Int32s:
    return np.zeros(0, dtype=np.int32)


def _no_int64() -> Int64s:
    return np.zeros(0, dtype=np.int64)


def _no_bool() -> Bools:
    return np.zeros(0, dtype=np.bool_)


class TradeReason(IntEnum):
    """Why a trade happened."""

    FILL = 0
    LIQUIDATION = 1
    TAKEOVER = 2
    CLOSE_OUT = 3
    DELEVERAGING = 4


class TransferReason(IntEnum):
    """Why an amount moved between two pools."""

    DEPOSIT = 0
    WITHDRAWAL = 1
    MARGIN = 2
    FUNDING = 3
    LIQUIDATION_FEE = 4
    TAKEOVER = 5
    CONVERSION = 6
    BAD_DEBT = 7
    AUCTION = 8
    SOCIALISED_LOSS = 9


@dataclass(frozen=True, slots=True)
class NewAccounts:
    """Accounts to open, each with an empty cross pool; ``model`` indexes ``Book.models``."""

    ids: tuple[str, ...] = ()
    model: Int32s = field(default_factory=_no_int32)


@dataclass(frozen=True, slots=True)
class NewPools:
    """More pools to open for accounts, given by index.

    ``kind`` is a ``PoolKind``: ISOLATED for a position, CROSS for a currency that a venue keeps
    apart.
    """

    account: Int32s = field(default_factory=_no_int32)
    kind: Int8s = field(default_factory=_no_int8)

    @classmethod
    def isolated(cls, account: Int32s) -> "NewPools":
        """Pools for isolated positions of accounts."""
        return cls(account, np.full(account.size, PoolKind.ISOLATED, dtype=np.int8))


@dataclass(frozen=True, slots=True)
class Cancels:
    """Orders to remove, by pool and order id."""

    pool: Int32s = field(default_factory=_no_int32)
    order_id: Int64s = field(default_factory=_no_int64)


@dataclass(frozen=True, slots=True)
class Placements:
    """Orders to add; quantity is signed (buy > 0), in exact units, as is the price."""

    pool: Int32s = field(default_factory=_no_int32)
    order_id: Int64s = field(default_factory=_no_int64)
    instrument: Int32s = field(default_factory=_no_int32)
    quantity: Int64s = field(default_factory=_no_int64)
    price: Int64s = field(default_factory=_no_int64)
    is_reduce_only: Bools = field(default_factory=_no_bool)


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades: ``pool`` gets ``quantity`` (signed, exact units) from ``counterparty``.

    ``price`` counts the instrument's price units. ``fee`` counts settle asset units, paid by
    ``pool`` to the fees pool.
    """

    pool: Int32s = field(default_factory=_no_int32)
    counterparty: Int32s = field(default_factory=_no_int32)
    instrument: Int32s = field(default_factory=_no_int32)
    quantity: Int64s = field(default_factory=_no_int64)
    price: Int64s = field(default_factory=_no_int64)
    fee: Int64s = field(default_factory=_no_int64)
    reason: Int8s = field(default_factory=_no_int8)


@dataclass(frozen=True, slots=True)
class Transfers:
    """Amounts, in asset units, that move from ``source`` to ``target``; may be negative."""

    source: Int32s = field(default_factory=_no_int32)
    target: Int32s = field(default_factory=_no_int32)
    asset: Int32s = field(default_factory=_no_int32)
    amount: Int64s = field(default_factory=_no_int64)
    reason: Int8s = field(default_factory=_no_int8)


@dataclass(frozen=True, slots=True)
class StateChanges:
    """New procedure states (``PoolState``) of pools."""

    pool: Int32s = field(default_factory=_no_int32)
    state: Int8s = field(default_factory=_no_int8)


@dataclass(frozen=True, slots=True)
class PhaseChanges:
    """New phases (``MarketPhase``) of instruments: halts, and reopening in stages."""

    instrument: Int32s = field(default_factory=_no_int32)
    phase: Int8s = field(default_factory=_no_int8)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Everything that happens to the book at ``time_ns``, applied in the order of the fields."""

    # Batches share their empty tables: most have events of one or two kinds.
    time_ns: int
    accounts: NewAccounts = NewAccounts()
    pools: NewPools = NewPools()
    cancels: Cancels = Cancels()
    placements: Placements = Placements()
    trades: Trades = Trades()
    transfers: Transfers = Transfers()
    states: StateChanges = StateChanges()
    phases: PhaseChanges = PhaseChanges()

    @property
    def event_count(self) -> int:
        """Number of events in the batch."""
        return (
            len(self.accounts.ids)
            + self.pools.account.size
            + self.cancels.pool.size
            + self.placements.pool.size
            + self.trades.pool.size
            + self.transfers.source.size
            + self.states.pool.size
            + self.phases.instrument.size
        )


def new_pools(accounts: int, batch: EventBatch) -> tuple[Int32s, Int8s]:
    """Account and kind of each pool that a batch opens on so many accounts.

    First the cross pools of its new accounts.
    """
    count = len(batch.accounts.ids)
    cross = np.full(count, PoolKind.CROSS, dtype=np.int8)
    opened = accounts + np.arange(count, dtype=np.int32)
    return (
        np.concatenate([opened, batch.pools.account]),
        np.concatenate([cross, batch.pools.kind]),
    )


Events = TypeVar("Events", Trades, Transfers)


def one_row(empty: Events, row: tuple[int, ...]) -> Events:
    """A table of one event, in the columns' own types; ``empty`` is a table of its kind."""
    columns = zip(fields(empty), row, strict=True)
    values = (np.array([v], dtype=getattr(empty, f.name).dtype) for f, v in columns)
    return type(empty)(*values)


def join_trades(parts: tuple[Trades, ...]) -> Trades:
    """One table of several, in order."""
    return _join(Trades(), [part for part in parts if part.pool.size])


def join_transfers(parts: tuple[Transfers, ...]) -> Transfers:
    """One table of several, in order; transfers of nothing are dropped."""
    whole = _join(Transfers(), [part for part in parts if part.source.size])
    keep = whole.amount != 0
    return whole if keep.all() else Transfers(*(column[keep] for column in columns_of(whole)))


def columns_of(events: Trades | Transfers) -> tuple[NDArray[Any], ...]:
    """The columns of a table, in the order of its fields."""
    return tuple(getattr(events, name) for name in events.__slots__)


def _join(nothing: Events, parts: list[Events]) -> Events:
    """One table of several that are not empty; itself where it is alone."""
    if len(parts) < 2:
        return parts[0] if parts else nothing
    columns = zip(*(columns_of(part) for part in parts), strict=True)
    return type(nothing)(*(np.concatenate(each) for each in columns))
