"""Small books and markets for tests, in the amounts a person would write down."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import numpy as np

from plimsoll.book import Book, ModelChoice, SystemPool
from plimsoll.core import to_units
from plimsoll.instruments import InstrumentTable, parse_symbol
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    NewPools,
    Placements,
    Trades,
    Transfers,
    apply,
)
from plimsoll.market import Market, PriceBatch, PriceBoard, SanityRules

STANDARD = ModelChoice("plimsoll.standard")
T0 = 1_760_130_900_000_000_000  # 2025-10-10T21:15:00Z


def table_of(
    multipliers: Mapping[str, str],
    decimals: Mapping[str, int],
    quantity_decimals: int = 4,
    price_decimals: int = 8,
) -> InstrumentTable:
    """Instruments by symbol with their contract multipliers, and assets with their decimals."""
    rows = (
        replace(
            parse_symbol(symbol),
            contract_multiplier=Decimal(multiplier),
            quantity_decimals=quantity_decimals,
            price_decimals=price_decimals,
        )
        for symbol, multiplier in multipliers.items()
    )
    return InstrumentTable.build(rows, decimals)


def events(kind: type, rows: Iterable[tuple[Any, ...]]) -> Any:
    """A table of events from rows in exact units, one tuple per event."""
    empty, listed = kind(), list(rows)
    if not listed:
        return empty
    columns = zip(fields(kind), zip(*listed, strict=True), strict=True)
    return kind(*(np.array(values, getattr(empty, f.name).dtype) for f, values in columns))


@dataclass(frozen=True)
class Desk:
    """Turns amounts as people write them into rows of events in a table's exact units."""

    table: InstrumentTable

    def units(self, asset: str, amount: str) -> int:
        """An amount of an asset."""
        return to_units(
            Decimal(amount), self.table.assets.decimals[self.table.assets.find(asset, "")]
        )

    def deposit(self, pool: int, asset: str, amount: str, source: int = SystemPool.WORLD) -> tuple:
        """A row of Transfers."""
        return source, pool, self.table.assets.find(asset, ""), self.units(asset, amount), 0

    def trade(
        self,
        pool: int,
        symbol: str,
        quantity: str,
        price: str,
        fee: str = "0",
        other: int = SystemPool.MARKET,
    ) -> tuple:
        """A row of Trades."""
        i = self.table.find(symbol, "")
        row = self.table.rows[i]
        return (
            pool,
            other,
            i,
            to_units(Decimal(quantity), row.quantity_decimals),
            to_units(Decimal(price), row.price_decimals),
            self.units(row.settle, fee),
            0,
        )

    def order(
        self,
        pool: int,
        order_id: int,
        symbol: str,
        quantity: str,
        price: str,
        reduces: bool = False,
    ) -> tuple:
        """A row of Placements."""
        i = self.table.find(symbol, "")
        row = self.table.rows[i]
        return (
            pool,
            order_id,
            i,
            to_units(Decimal(quantity), row.quantity_decimals),
            to_units(Decimal(price), row.price_decimals),
            reduces,
        )


def fold(
    book: Book,
    accounts: tuple[str, ...] = (),
    pools: tuple[int, ...] = (),
    orders: Iterable[tuple] = (),
    trades: Iterable[tuple] = (),
    transfers: Iterable[tuple] = (),
    model: int = 0,
) -> Book:
    """The book after one batch; new accounts take ``model``, ``pools`` are accounts to isolate."""
    return apply(
        book,
        EventBatch(
            book.time_ns + 1,
            accounts=NewAccounts(accounts, np.full(len(accounts), model, dtype=np.int32)),
            pools=NewPools.isolated(np.array(pools, dtype=np.int32)),
            placements=events(Placements, orders),
            trades=events(Trades, trades),
            transfers=events(Transfers, transfers),
        ),
    )


def open_book(
    table: InstrumentTable, *accounts: str, models: tuple[ModelChoice, ...] = (STANDARD,)
) -> Book:
    """A book with empty accounts; the first account's cross pool is pool 5."""
    return fold(Book.empty(table, models), accounts)


def balances_of(book: Book, pool: int) -> dict[str, Decimal]:
    """Non-zero balances of a pool."""
    assets, owned = book.instruments.assets, book.balances
    rows = range(owned.offsets[pool], owned.offsets[pool + 1])
    amounts = {
        assets.names[owned.asset[r]]: Decimal(int(owned.amount[r])).scaleb(
            -assets.decimals[owned.asset[r]]
        )
        for r in rows
    }
    return {asset: amount for asset, amount in amounts.items() if amount}


def positions_of(book: Book, pool: int) -> dict[str, tuple[Decimal, Decimal]]:
    """(quantity, cost) of a pool's non-zero positions."""
    table, held = book.instruments, book.positions
    found = {}
    for r in range(held.offsets[pool], held.offsets[pool + 1]):
        i = held.instrument[r]
        quantity = Decimal(int(held.quantity[r])).scaleb(-table.rows[i].quantity_decimals)
        cost = Decimal(int(held.cost[r])).scaleb(-table.assets.decimals[table.settle[i]])
        if quantity or cost:
            found[table.rows[i].symbol] = (quantity, cost)
    return found


def market_of(
    table: InstrumentTable, marks: Mapping[str, float], index: Mapping[str, float]
) -> Market:
    """A market at T0 with the given prices fresh and every other one missing."""
    rules = SanityRules()
    board = PriceBoard.empty(table, ("test",))
    return observe(board, {**marks, **index}, T0, rules).market(T0, rules)


def observe(
    board: PriceBoard,
    prices: Mapping[str, float],
    time_ns: int,
    rules: SanityRules,
    source: int = 0,
) -> PriceBoard:
    """The board after one source saw prices: marks by symbol, indices by asset."""
    table, count = board.instruments, len(prices)
    rows = [
        table.find(name, "") if "/" in name else len(table) + table.assets.find(name, "")
        for name in prices
    ]
    batch = PriceBatch(
        source=np.full(count, source, dtype=np.int32),
        row=np.array(rows, dtype=np.int32),
        price=np.array([*prices.values()], dtype=np.float64),
        time_ns=np.full(count, time_ns, dtype=np.int64),
    )
    return board.observe(batch, rules)
