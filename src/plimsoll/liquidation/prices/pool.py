"""One pool at many prices: what every question about its liquidation asks ``assess`` through."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numba as nb
import numpy as np

from plimsoll.book import Book, PoolKind, clone_account, take_pools
from plimsoll.core import Floats, Int64s, Status
from plimsoll.ledger import EventBatch, apply
from plimsoll.liquidation.prices.crossings import Side, Trials
from plimsoll.liquidation.prices.path import Direction, MarketPath
from plimsoll.margin import Assessment, ModelSet, assess
from plimsoll.margin.assess import Plan, lay_out
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class PoolPath:
    """One pool of an account, and the market it can be moved through.

    ``account`` is the account's small book, ``number`` the pool in it; ``book`` holds the pool
    alone and ``plan`` is its layout. ``models`` has the account's one model.
    """

    account: Book
    number: int
    models: ModelSet
    path: MarketPath
    book: Book
    plan: Plan

    @classmethod
    def of(cls, account: Book, number: int, models: ModelSet, path: MarketPath) -> Self:
        """The path of pool ``number`` of an account's small book."""
        alone = take_pools(account, np.array([number], dtype=np.int64))
        return cls(account, number, models, path, alone, lay_out(alone))

    def after(self, batch: EventBatch) -> Self:
        """The pool after a batch of its account. Raises LedgerError where it cannot be booked."""
        return type(self).of(apply(self.account, batch), self.number, self.models, self.path)

    @property
    def name(self) -> str:
        """The pool's name, as the book has it."""
        return self.account.pool_name(self.number)

    def now(self) -> Assessment:
        """The pool's assessment at today's prices, one row."""
        return self._assess(self.path.market)

    def market_at(self, direction: Direction, factor: float) -> Market:
        """The market at a factor along a direction."""
        if factor == 1.0:
            return self.path.market
        with _one_thread():
            return self.path.at(direction.factors(factor, self.book.instruments.assets))

    def assess_at(self, direction: Direction, factor: float) -> Assessment:
        """The pool's assessment there, one row."""
        return self._assess(self.market_at(direction, factor))

    def _assess(self, market: Market) -> Assessment:
        with _one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return assess(self.book, market, self.models, self.plan)

    def try_factors(self, direction: Direction, factors: Floats) -> Trials:
        """Sides and health (USD: the lesser of excess margin and equity) at some factors."""
        side, health = np.empty(factors.size, dtype=np.int8), np.empty(factors.size)
        for k, factor in enumerate(factors.tolist()):
            result = self.assess_at(direction, factor)
            status = result.status[0]
            known = status != Status.UNKNOWN
            is_safe = known and status < Status.LIQUIDATABLE
            side[k] = Side.SAFE if is_safe else Side.LIQUIDATABLE if known else Side.UNKNOWN
            least = min(float(result.excess_margin[0]), float(result.equity[0]))
            health[k] = least if known else np.nan
        return Trials(factors, side, health)

    def held(self) -> Int64s:
        """Instruments with a position or an order that is not reduce-only, ascending."""
        positions, orders = self.book.positions, self.book.orders
        return np.unique(
            np.concatenate(
                [
                    positions.instrument[positions.quantity != 0],
                    orders.instrument[(orders.quantity != 0) & ~orders.is_reduce_only],
                ]
            )
        ).astype(np.int64)

    def assets(self) -> tuple[str, ...]:
        """What the pool depends on: bases and currencies of its contracts, what it owns or owes."""
        table, balances = self.book.instruments, self.book.balances
        held = self.held()
        ids = [*table.base[held], *balances.asset[balances.amount != 0], *table.settle[held],
               *table.quote[held]]  # fmt: skip
        names = (table.assets.names[i] for i in ids)
        return tuple(name for name in dict.fromkeys(names) if name != "USD")


def pool_paths(
    book: Book, market: Market, models: ModelSet, account_id: str
) -> tuple[PoolPath, ...]:
    """The paths of an account's pools, its cross pool first."""
    small = clone_account(book, account_id)
    resolved = models.models[book.account_model[book.find_account(account_id, "account")]]
    pools = np.flatnonzero(small.pool_kind != PoolKind.SYSTEM).tolist()
    with _one_thread():
        path = MarketPath.of(market)
    alone = ModelSet((resolved,))
    return tuple(PoolPath.of(small, pool, alone, path) for pool in pools)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Kernels run on this thread alone: one pool is less work than waking others is."""
    threads = nb.get_num_threads()
    nb.set_num_threads(1)
    try:
        yield
    finally:
        nb.set_num_threads(threads)
