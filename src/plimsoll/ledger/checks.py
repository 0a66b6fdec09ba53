"""Is this batch allowed on this book? Every rule names the event it fails on."""

from collections.abc import Container
from dataclasses import fields

import numpy as np

from plimsoll.book import Book, LiveBook, MarketPhase, PoolKind, PoolState
from plimsoll.book.kernels import find_rows
from plimsoll.core import Bools, Int8s, Int32s, Int64s, LedgerError, format_time
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments.exact import COINS, EXCHANGE, PAYMENT
from plimsoll.ledger.events import EventBatch, TradeReason, TransferReason

_TABLES = tuple(table.name for table in fields(EventBatch))[1:]


def check_batch(book: Book | LiveBook, batch: EventBatch) -> None:
    """Raises LedgerError on the first event that may not be applied.

    On a live book it costs what the batch holds.
    """
    if batch.time_ns < book.time_ns:
        raise LedgerError(
            "batch.time_ns",
            f"{format_time(batch.time_ns)} is before the book's {format_time(book.time_ns)}",
            "apply batches in order of time",
        )
    _check_columns(batch)
    _check_accounts(book, batch)
    pools = book.pool_count + len(batch.accounts.ids) + batch.pools.account.size
    # Most batches hold events of one or two kinds, and most books are small.
    if batch.cancels.pool.size or batch.placements.pool.size:
        _check_orders(book, batch, pools)
    if batch.trades.pool.size:
        _check_trades(book, batch, pools)
    if batch.transfers.source.size:
        _check_transfers(book, batch, pools)
    if batch.states.pool.size:
        _refuse("states.pool", _outside(batch.states.pool, pools), "no such pool")
        _refuse("states.state", _outside(batch.states.state, len(PoolState)), "no such state")
    if batch.phases.phase.size:
        unknown = _outside(batch.phases.instrument, len(book.instruments))
        _refuse("phases.instrument", unknown, "no such instrument")
        _refuse("phases.phase", _outside(batch.phases.phase, len(MarketPhase)), "no such phase")


def _refuse(place: str, bad: Bools, problem: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LedgerError(f"{place}[{row}]", problem, "the batch was not applied; mend the event")


def _outside(values: Int8s | Int32s | Int64s, end: int) -> Bools:
    return np.asarray((values < 0) | (values >= end))


def _too_large(values: Int64s) -> Bools:
    return np.asarray((values > UNITS_MAX) | (values < -UNITS_MAX))


def _check_columns(batch: EventBatch) -> None:
    for table in _TABLES:
        events = getattr(batch, table)
        if len({len(getattr(events, column)) for column in events.__slots__}) > 1:
            remedy = "the batch was not applied; give every column one value per event"
            raise LedgerError(table, "columns differ in length", remedy)


def _check_accounts(book: Book | LiveBook, batch: EventBatch) -> None:
    ids = batch.accounts.ids
    if ids:
        known = _known_accounts(book)
        seen: set[str] = set()
        for row, account_id in enumerate(ids):
            if account_id in known or account_id in seen:
                problem, remedy = f"account '{account_id}' exists", "give each account its own id"
                raise LedgerError(f"accounts.ids[{row}]", problem, remedy)
            if not account_id or not account_id.isprintable() or account_id.startswith("@"):
                problem = f"'{account_id[:40]}' cannot name an account"
                raise LedgerError(f"accounts.ids[{row}]", problem, "use printable text without @")
            seen.add(account_id)
        _refuse("accounts.model", _outside(batch.accounts.model, len(book.models)), "no such model")
    if batch.pools.account.size:
        total = book.account_model.size + len(ids)
        _refuse("pools.account", _outside(batch.pools.account, total), "no such account")
        kind = batch.pools.kind
        wrong = (kind != PoolKind.CROSS) & (kind != PoolKind.ISOLATED)
        _refuse("pools.kind", wrong, "no kind of an account's pool")


def _known_accounts(book: Book | LiveBook) -> Container[str]:
    return book.accounts if isinstance(book, LiveBook) else set(book.account_ids)


def _is_open(book: Book | LiveBook, pools: Int32s, order_ids: Int64s) -> Bools:
    """Whether each (pool, order id) is an open order."""
    rows, found = book.rows, np.zeros(pools.size, dtype=np.bool_)
    ids = book.orders.table.columns[0] if isinstance(book, LiveBook) else book.orders.order_id
    wanted = pools.astype(np.int64), order_ids.astype(np.int64)
    find_rows(rows.order_begin, rows.order_end, ids, *wanted, found)
    return found


def _check_orders(book: Book | LiveBook, batch: EventBatch, pools: int) -> None:
    cancels, placed = batch.cancels, batch.placements
    _refuse("cancels.pool", _outside(cancels.pool, book.pool_count), "no such pool")
    found = _is_open(book, cancels.pool, cancels.order_id)
    _refuse("cancels.order_id", ~found, "no such open order")
    _refuse("cancels.order_id", _repeated(cancels.pool, cancels.order_id), "cancelled twice")
    _refuse("placements.pool", _outside(placed.pool, pools), "no such pool")
    table = book.instruments
    _refuse("placements.instrument", _outside(placed.instrument, len(table)), "no such instrument")
    _refuse("placements.quantity", placed.quantity == 0, "an order of nothing")
    _refuse("placements.quantity", _too_large(placed.quantity), "too large")
    _refuse("placements.price", (placed.price <= 0) | _too_large(placed.price), "not a price")
    _refuse("placements.order_id", _repeated(placed.pool, placed.order_id), "placed twice")
    taken = _is_open(book, placed.pool, placed.order_id)
    _refuse("placements.order_id", taken, "an open order has this id")


def _repeated(pools: Int32s, ids: Int64s) -> Bools:
    order = np.lexsort((ids, pools))
    same = (np.diff(pools[order]) == 0) & (np.diff(ids[order]) == 0)
    repeated = np.zeros(pools.size, dtype=np.bool_)
    repeated[order[1:][same]] = True
    return repeated


def _check_trades(book: Book | LiveBook, batch: EventBatch, pools: int) -> None:
    trades, table = batch.trades, book.instruments
    _refuse("trades.pool", _outside(trades.pool, pools), "no such pool")
    _refuse("trades.counterparty", _outside(trades.counterparty, pools), "no such pool")
    _refuse("trades.counterparty", trades.pool == trades.counterparty, "trades with itself")
    _refuse("trades.instrument", _outside(trades.instrument, len(table)), "no such instrument")
    _refuse("trades.quantity", trades.quantity == 0, "a trade of nothing")
    _refuse("trades.quantity", _too_large(trades.quantity), "too large")
    _refuse("trades.price", (trades.price <= 0) | _too_large(trades.price), "not a price")
    _refuse("trades.fee", _too_large(trades.fee), "too large")
    _refuse("trades.reason", _outside(trades.reason, len(TradeReason)), "no such reason")
    is_finer = table.exact[trades.instrument, COINS] < 0
    is_spot = table.exact[trades.instrument, PAYMENT] == EXCHANGE
    _refuse("trades.instrument", is_spot & is_finer, "quantity finer than asset")


def _check_transfers(book: Book | LiveBook, batch: EventBatch, pools: int) -> None:
    moved = batch.transfers
    assets = len(book.instruments.assets.names)
    _refuse("transfers.source", _outside(moved.source, pools), "no such pool")
    _refuse("transfers.target", _outside(moved.target, pools), "no such pool")
    _refuse("transfers.asset", _outside(moved.asset, assets), "no such asset")
    _refuse("transfers.amount", _too_large(moved.amount), "too large")
    _refuse("transfers.reason", _outside(moved.reason, len(TransferReason)), "no such reason")
