"""Trades, orders and transfers that have not happened, as a document of differences.

The book afterwards is the book before with one batch applied, as if it had happened: orders
count as open orders do, fees and premiums are paid, isolated positions keep their own margin.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from msgspec import inspect as types

from plimsoll.book import Book, PoolKind
from plimsoll.connectors.build import Portfolio, build_portfolio
from plimsoll.connectors.check import check_symbol, list_instruments
from plimsoll.connectors.document import (
    AccountDocument,
    Number,
    OrderDocument,
    PortfolioDocument,
    PositionDocument,
    Positive,
)
from plimsoll.connectors.files import read_bytes
from plimsoll.connectors.fill import fill, join_place
from plimsoll.connectors.plain import parse_plain
from plimsoll.connectors.rows import (
    DepositRow,
    OrderRow,
    TradeRow,
    placements_of,
    trades_of,
    transfers_of,
)
from plimsoll.connectors.units import exact_units
from plimsoll.core import InputError, did_you_mean
from plimsoll.ledger import Cancels, EventBatch, NewPools, TransferReason, apply
from plimsoll.margin import find_model

FIRST_ORDER_ID = 1_000_000_000
ALL = "all"


class TradeDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One trade."""

    symbol: Annotated[str, Meta(description="Unified symbol, listed in the portfolio document.")]
    quantity: Annotated[Number, Meta(description="Contracts; above 0 buys, below 0 sells.")]
    price: Annotated[Positive | None, Meta(description="Price; the mark if left out.")] = None


class WhatIfAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to one account."""

    id: Annotated[
        str | None, Meta(description="The account; may be left out where there is only one.")
    ] = None
    trades: Annotated[tuple[TradeDocument, ...], Meta(description="Trades, in order.")] = ()
    orders: Annotated[tuple[OrderDocument, ...], Meta(description="Orders placed.")] = ()
    cancel: Annotated[
        tuple[str, ...],
        Meta(description="Symbols whose open orders are cancelled; 'all' cancels every one."),
    ] = ()
    deposits: Annotated[
        Mapping[str, Number], Meta(description="Added per asset; below 0 is a withdrawal.")
    ] = {}


class WhatIfDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """Differences to a portfolio document."""

    accounts: Annotated[tuple[WhatIfAccount, ...], Meta(description="Accounts it touches.")]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A portfolio before and after, in one table of instruments; ``touched`` names accounts."""

    before: Portfolio
    after: Portfolio
    touched: tuple[str, ...]


def read_what_if(path: Path) -> WhatIfDocument:
    """The differences in a file. Raises InputError where it cannot be read or used."""
    name = str(path)
    try:
        plain = parse_plain(read_bytes(path), name)
        document: WhatIfDocument = fill(types.type_info(WhatIfDocument), plain, "", {})
    except InputError as error:
        place = f"{name}: {error.place}" if error.place and error.place != name else name
        raise InputError(place, error.problem, error.remedy) from error
    return document


def apply_what_if(document: PortfolioDocument, what_if: WhatIfDocument) -> WhatIf:
    """A portfolio before and after the differences, through ``ledger.apply``.

    Raises InputError on accounts, symbols and assets that the document does not know, on a
    trade that has no price, and on amounts that cannot be held together with the document's.
    """
    listing = list_instruments(document)
    names = [account.id for account in document.accounts]
    touched = tuple(_named(change, names, k) for k, change in enumerate(what_if.accounts))
    rooms: list[AccountDocument] = []
    for k, change in enumerate(what_if.accounts):
        place = f"accounts[{k}]"
        for j, trade in enumerate(change.trades):
            check_symbol(trade.symbol, listing, f"{place}.trades[{j}].symbol")
        for j, order in enumerate(change.orders):
            check_symbol(order.symbol, listing, f"{place}.orders[{j}].symbol")
        rooms += _rooms(change, f"what-if {k}")
    before = build_portfolio(document, tuple(rooms))
    book = before.book
    for k, (name, change) in enumerate(zip(touched, what_if.accounts, strict=True)):
        book = _change(book, before, name, change, f"accounts[{k}]")
    return WhatIf(before, Portfolio(book, before.market), tuple(dict.fromkeys(touched)))


def _named(change: WhatIfAccount, names: list[str], number: int) -> str:
    place = f"accounts[{number}].id"
    if change.id is None:
        if len(names) == 1:
            return names[0]
        raise InputError(place, "is missing", f"name one of {', '.join(names[:5])}")
    if change.id not in names:
        remedy = did_you_mean(change.id, names)
        raise InputError(place, f"unknown account '{change.id[:60]}'", remedy)
    return change.id


def _rooms(change: WhatIfAccount, name: str) -> list[AccountDocument]:
    """Accounts that hold what will be added, so that the table's units are made to fit it."""
    held = [
        PositionDocument(trade.symbol, trade.quantity, entry_price=trade.price)
        for trade in change.trades
    ]
    rooms = [
        AccountDocument(id=f"{name} trade {j}", positions=(position,))
        for j, position in enumerate(held)
    ]
    rest = AccountDocument(id=f"{name} rest", balances=change.deposits, orders=change.orders)
    return [*rooms, rest]


def _change(book: Book, before: Portfolio, name: str, change: WhatIfAccount, place: str) -> Book:
    """The book after one account's differences."""
    table = book.instruments
    account = book.find_account(name, f"{place}.id")
    settled = [row.symbol for row in change.trades] + [row.symbol for row in change.orders]
    wanted = [table.assets.find(a, join_place(f"{place}.deposits", a)) for a in change.deposits]
    wanted += [int(table.settle[table.index[symbol]]) for symbol in settled]
    model = find_model(book.models[book.account_model[account]].name, place)
    pools = _pools_by_asset(book, account, wanted, model.is_segregated)
    fresh = sorted({pool for pool in pools.values() if pool >= book.pool_count})
    return apply(
        book,
        EventBatch(
            book.time_ns + 1,
            pools=NewPools(
                np.full(len(fresh), account, dtype=np.int32),
                np.full(len(fresh), PoolKind.CROSS, dtype=np.int8),
            ),
            cancels=_cancels(book, account, change),
            placements=placements_of(
                list(_orders(book, account, pools, change, place)), FIRST_ORDER_ID
            ),
            trades=trades_of(list(_trades(before, book, account, pools, change, place))),
            transfers=transfers_of(list(_deposits(book, pools, change, place))),
        ),
    )


def _pools_by_asset(
    book: Book, account: int, assets: list[int], is_segregated: bool
) -> dict[int, int]:
    """The pool that each asset goes to: the cross pool, unless the venue keeps them apart.

    Then it is the pool that holds the asset or settles in it; what has none gets a new one.
    """
    own = [int(pool) for pool in book.pools_of(account)]
    if not is_segregated:
        return dict.fromkeys(assets, own[0])
    homes: dict[int, int] = {}
    for pool in own:
        owned = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
        held = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
        settled = book.instruments.settle[book.positions.instrument[held]]
        for asset in (*book.balances.asset[owned], *settled):
            homes.setdefault(int(asset), pool)
    if not homes:
        homes[assets[0]] = own[0]
    for asset in assets:
        homes.setdefault(asset, max(book.pool_count - 1, *homes.values()) + 1)
    return homes


def _pool_of(book: Book, account: int, pools: Mapping[int, int], instrument: int) -> int:
    """The pool of a contract: where it is held, else where its settle asset is."""
    for pool in book.pools_of(account):
        held = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
        if instrument in book.positions.instrument[held]:
            return int(pool)
    return pools[int(book.instruments.settle[instrument])]


def _cancels(book: Book, account: int, change: WhatIfAccount) -> Cancels:
    found = [
        (int(pool), int(book.orders.order_id[row]))
        for pool in book.pools_of(account)
        for row in range(book.orders.offsets[pool], book.orders.offsets[pool + 1])
        if ALL in change.cancel
        or book.instruments.symbols[book.orders.instrument[row]] in change.cancel
    ]
    return Cancels(
        np.array([pool for pool, _ in found], dtype=np.int32),
        np.array([order for _, order in found], dtype=np.int64),
    )


def _orders(
    book: Book, account: int, pools: Mapping[int, int], change: WhatIfAccount, place: str
) -> Iterator[OrderRow]:
    for j, order in enumerate(change.orders):
        i = book.instruments.index[order.symbol]
        row, inner = book.instruments.rows[i], f"{place}.orders[{j}]"
        quantity = exact_units(order.quantity, row.quantity_decimals, f"{inner}.quantity")
        price = exact_units(order.price, row.price_decimals, f"{inner}.price")
        signed = quantity if order.side == "buy" else -quantity
        yield OrderRow(_pool_of(book, account, pools, i), i, signed, price, order.reduce_only)


def _trades(
    before: Portfolio, book: Book, account: int, pools: Mapping[int, int],
    change: WhatIfAccount, place: str,
) -> Iterator[TradeRow]:  # fmt: skip
    for j, trade in enumerate(change.trades):
        i = book.instruments.index[trade.symbol]
        row, inner = book.instruments.rows[i], f"{place}.trades[{j}]"
        if not trade.quantity:
            raise InputError(f"{inner}.quantity", "is 0", "write how much is bought or sold")
        price = _price(trade, before, i, f"{inner}.price")
        quantity = exact_units(trade.quantity, row.quantity_decimals, f"{inner}.quantity")
        units = exact_units(price, row.price_decimals, f"{inner}.price")
        yield TradeRow(_pool_of(book, account, pools, i), i, quantity, units)


def _price(trade: TradeDocument, before: Portfolio, instrument: int, place: str) -> Decimal:
    if trade.price is not None:
        return trade.price
    mark = float(before.market.mark[instrument])
    if not np.isfinite(mark):
        raise InputError(place, "is missing and there is no usable mark", "state the price")
    return Decimal(repr(mark))


def _deposits(
    book: Book, pools: Mapping[int, int], change: WhatIfAccount, place: str
) -> Iterator[DepositRow]:
    assets = book.instruments.assets
    for name, amount in change.deposits.items():
        inner = join_place(f"{place}.deposits", name)
        asset = assets.find(name, inner)
        units = exact_units(amount, assets.decimals[asset], inner)
        yield DepositRow(pools[asset], asset, units, TransferReason.DEPOSIT)
