"""The same random books with something done to all of them: paid in, closed in part, merged."""

from dataclasses import replace

import numpy as np

from plimsoll.book import Balances, Book, Orders, PoolKind, Positions, SystemPool, take_pools
from plimsoll.core import offsets_from_counts
from plimsoll.ledger import (
    EventBatch,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    apply,
    price_to_units,
    trade_values,
)
from plimsoll.market import Market

SYSTEM = len(SystemPool)
LOT = 20
"""Positions are made of so many equal parts, so that a share of all is the same share of each."""


def pool_of_rows(book: Book, offsets: np.ndarray) -> np.ndarray:
    """The pool of each row."""
    return np.repeat(np.arange(book.pool_count), np.diff(offsets))


def without_orders(book: Book) -> Book:
    """The book with no order in it."""
    none, ids = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    empty = Orders(
        np.zeros_like(book.orders.offsets), none, ids, none, none, np.zeros(0, dtype=np.bool_)
    )
    return replace(book, orders=empty)


def in_lots(book: Book) -> Book:
    """The book with every position a multiple of ``LOT`` units, its cost as before."""
    quantity = book.positions.quantity
    lots = np.sign(quantity) * np.maximum(np.abs(quantity) // LOT, 1) * LOT
    return replace(book, positions=replace(book.positions, quantity=lots))


def close_lots(book: Book, market: Market, lots: np.ndarray) -> Book:
    """So many lots (by pool) of every position closed at mark, without a fee."""
    held = book.positions
    pool = pool_of_rows(book, held.offsets)
    rows = np.flatnonzero((pool >= SYSTEM) & (held.quantity != 0) & (lots[pool] > 0))
    instrument, count = held.instrument[rows], rows.size
    trades = Trades(
        pool=pool[rows].astype(np.int32),
        counterparty=np.full(count, SystemPool.MARKET, dtype=np.int32),
        instrument=instrument,
        quantity=-(held.quantity[rows] // LOT) * lots[pool[rows]],
        price=price_to_units(book.instruments, instrument, market.mark[instrument]),
        fee=np.zeros(count, dtype=np.int64),
        reason=np.full(count, TradeReason.LIQUIDATION, dtype=np.int8),
    )
    return apply(book, EventBatch(book.time_ns, trades=trades))


def repay(book: Book, market: Market, share: np.ndarray) -> Book:
    """A share (by pool) of every debt repaid at index, out of all that a pool owns, pro rata."""
    owned, unit = book.balances, book.instruments.assets.unit
    pool = pool_of_rows(book, owned.offsets)
    usd = owned.amount * (unit * market.index)[owned.asset]
    value, debt = (
        np.bincount(pool, np.maximum(sign * usd, 0.0), minlength=book.pool_count)
        for sign in (1, -1)
    )
    paid = np.minimum(share * debt, value)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(owned.amount > 0, (paid / value)[pool], (paid / debt)[pool])
    amount = np.rint(owned.amount * np.nan_to_num(part)).astype(np.int64)
    amount[pool < SYSTEM] = 0
    rows = np.flatnonzero(amount)
    moved = Transfers(
        source=pool[rows].astype(np.int32),
        target=np.full(rows.size, SystemPool.MARKET, dtype=np.int32),
        asset=owned.asset[rows],
        amount=amount[rows],
        reason=np.full(rows.size, TransferReason.CONVERSION, dtype=np.int8),
    )
    return apply(book, EventBatch(book.time_ns, transfers=moved))


def cross_pools(book: Book) -> np.ndarray:
    """The cross pool of each account, an even number of them."""
    pools = np.flatnonzero(book.pool_kind == PoolKind.CROSS)
    return pools[: pools.size // 2 * 2]


def merged(book: Book) -> Book:
    """The book of half as many accounts: each has the cross pools of two neighbours."""
    pools = cross_pools(book)
    part = take_pools(book, np.concatenate([np.arange(SYSTEM), pools[::2]]))
    place = np.full(book.pool_count, -1)
    place[:SYSTEM] = np.arange(SYSTEM)
    place[pools] = SYSTEM + np.arange(pools.size) // 2
    held, owned = book.positions, book.balances
    to, (instrument, quantity, cost) = _summed(
        place[pool_of_rows(book, held.offsets)], held.instrument, held.quantity, held.cost
    )
    positions = Positions(_offsets(to, part), instrument.astype(np.int32), quantity, cost)
    to, (asset, amount) = _summed(
        place[pool_of_rows(book, owned.offsets)], owned.asset, owned.amount
    )
    balances = Balances(_offsets(to, part), asset.astype(np.int32), amount)
    return replace(part, positions=positions, balances=balances)


def _summed(
    to: np.ndarray, ids: np.ndarray, *columns: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Rows of one place and id as one, sorted."""
    kept = np.flatnonzero(to >= 0)
    keys, where = np.unique(np.stack([to[kept], ids[kept]]), axis=1, return_inverse=True)
    sums = []
    for column in columns:
        total = np.zeros(keys.shape[1], dtype=np.int64)
        np.add.at(total, where.ravel(), column[kept])
        sums.append(total)
    return keys[0], (keys[1], *sums)


def _offsets(to: np.ndarray, part: Book) -> np.ndarray:
    return offsets_from_counts(np.bincount(to, minlength=part.pool_count))


def settled_at_mark(book: Book, market: Market) -> Book:
    """The book of positions alone: no balances, and every position entered at mark."""
    held, owned = book.positions, book.balances
    i = held.instrument
    price = price_to_units(book.instruments, i, market.mark[i])
    cost = trade_values(book.instruments, i, held.quantity, price)
    cost = np.where(held.cost == 0, 0, cost)
    return replace(
        book,
        positions=replace(held, cost=cost),
        balances=replace(owned, amount=np.zeros_like(owned.amount)),
    )
