"""The book: accounts, pools and what they hold, as columns."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book.pools import MarketPhase, PoolKind, PoolState, SystemPool
from plimsoll.book.rows import Rows
from plimsoll.core import Bools, InputError, Int8s, Int32s, Int64s, did_you_mean
from plimsoll.instruments import InstrumentTable


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A margin model by name, with parameter overrides as canonical JSON text."""

    name: str
    overrides: str = "{}"


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions by pool; shape [positions], ``offsets`` [pools + 1].

    ``quantity`` (long > 0) counts the instrument's exact units of contracts. ``cost`` counts
    units of the settle asset: the value of the position at its entry prices, so that profit
    is value at mark minus cost. Options are paid for at once and carry no cost.
    """

    offsets: Int64s
    instrument: Int32s
    quantity: Int64s
    cost: Int64s


@dataclass(frozen=True, slots=True)
class Balances:
    """Balances by pool; ``amount`` counts the asset's exact units and may be negative."""

    offsets: Int64s
    asset: Int32s
    amount: Int64s


@dataclass(frozen=True, slots=True)
class Orders:
    """Open orders by pool. ``quantity`` is signed (buy > 0), in the instrument's units;

    ``price`` counts units of 10**-price_decimals of the instrument.
    """

    offsets: Int64s
    order_id: Int64s
    instrument: Int32s
    quantity: Int64s
    price: Int64s
    is_reduce_only: Bools


@dataclass(frozen=True, slots=True)
class Book:
    """All accounts. Pools 0 to 4 are the system's; every other pool names its account.

    ``pool_account`` is -1 for the system's pools; ``pool_since_ns`` is the time of a pool's last
    state event, 0 where there was none. ``market_phase`` (a ``MarketPhase``) has shape
    [instruments]. ``sequence`` counts the batches folded in, ``time_ns`` is the last one's time.
    """

    instruments: InstrumentTable
    account_ids: tuple[str, ...]
    account_model: Int32s
    models: tuple[ModelChoice, ...]
    pool_account: Int32s
    pool_kind: Int8s
    pool_state: Int8s
    pool_since_ns: Int64s
    market_phase: Int8s
    positions: Positions
    balances: Balances
    orders: Orders
    sequence: int
    time_ns: int

    @classmethod
    def empty(cls, instruments: InstrumentTable, models: tuple[ModelChoice, ...]) -> "Book":
        """A book with the system's pools and nothing in them."""
        count = len(SystemPool)
        offsets = np.zeros(count + 1, dtype=np.int64)
        ids, amounts = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        return cls(
            instruments=instruments,
            account_ids=(),
            account_model=np.zeros(0, dtype=np.int32),
            models=models,
            pool_account=np.full(count, -1, dtype=np.int32),
            pool_kind=np.full(count, PoolKind.SYSTEM, dtype=np.int8),
            pool_state=np.full(count, PoolState.NORMAL, dtype=np.int8),
            pool_since_ns=np.zeros(count, dtype=np.int64),
            market_phase=np.full(len(instruments), MarketPhase.NORMAL, dtype=np.int8),
            positions=Positions(offsets, ids, amounts, amounts),
            balances=Balances(offsets, ids, amounts),
            orders=Orders(offsets, amounts, ids, amounts, amounts, np.zeros(0, dtype=np.bool_)),
            sequence=0,
            time_ns=0,
        )

    @property
    def pool_count(self) -> int:
        """Pools, the system's included."""
        return int(self.pool_account.size)

    @property
    def rows(self) -> Rows:
        """The book's columns for compiled code; views, no copies."""
        held, owned, orders = self.positions, self.balances, self.orders
        return Rows(
            self.pool_kind,
            held.offsets[:-1], held.offsets[1:], held.instrument, held.quantity, held.cost,
            owned.offsets[:-1], owned.offsets[1:], owned.asset, owned.amount,
            orders.offsets[:-1], orders.offsets[1:], orders.instrument, orders.quantity,
            orders.price, orders.is_reduce_only,
        )  # fmt: skip

    def find_account(self, account_id: str, place: str) -> int:
        """Index of an account; InputError naming ``place`` where it is unknown."""
        try:
            return self.account_ids.index(account_id)
        except ValueError:
            remedy = did_you_mean(account_id, self.account_ids)
            raise InputError(place, f"unknown account '{account_id[:60]}'", remedy) from None

    def pools_of(self, account: int) -> Int64s:
        """Pool numbers of an account, its cross pool first."""
        return np.flatnonzero(self.pool_account == account)

    def pool_name(self, pool: int) -> str:
        """The account's id, with what else tells a pool of it from its first one.

        That is the symbol of an isolated position, or the asset of a currency kept apart.
        """
        account = int(self.pool_account[pool])
        if account < 0:
            return f"@{SystemPool(pool).name.lower()}"
        name = self.account_ids[account]
        if self.pool_kind[pool] != PoolKind.ISOLATED:
            pools = self.pools_of(account)
            if pool == pools[self.pool_kind[pools] == PoolKind.CROSS][0]:
                return name
            return f"{name} [{', '.join(self._currencies(pool)) or 'empty'}]"
        first, end = self.positions.offsets[pool], self.positions.offsets[pool + 1]
        held = (self.instruments.rows[i].symbol for i in self.positions.instrument[first:end])
        return f"{name} [{', '.join(held) or 'isolated'}]"

    def _currencies(self, pool: int) -> list[str]:
        """Assets that a pool owns or settles in."""
        owned = slice(self.balances.offsets[pool], self.balances.offsets[pool + 1])
        held = slice(self.positions.offsets[pool], self.positions.offsets[pool + 1])
        settled = self.instruments.settle[self.positions.instrument[held]]
        ids = dict.fromkeys([*self.balances.asset[owned].tolist(), *settled.tolist()])
        return [self.instruments.assets.names[i] for i in ids]
