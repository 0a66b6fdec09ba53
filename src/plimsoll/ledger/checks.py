"""Is this batch allowed on this book? Every rule names the event it fails on."""

from dataclasses import fields

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, locate_rows
from plimsoll.core import Bools, Int8s, Int32s, Int64s, LedgerError, format_time
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments import Kind
from plimsoll.ledger.events import EventBatch, TradeReason, TransferReason


def check_batch(book: Book, batch: EventBatch) -> None:
    """Raises LedgerError on the first event that may not be applied."""
    if batch.time_ns < book.time_ns:
        raise LedgerError(
            "batch.time_ns",
            f"{format_time(batch.time_ns)} is before the book's {format_time(book.time_ns)}",
            "apply batches in order of time",
        )
    _check_columns(batch)
    _check_accounts(book, batch)
    pools = book.pool_count + len(batch.accounts.ids) + batch.pools.account.size
    _check_orders(book, batch, pools)
    _check_trades(book, batch, pools)
    _check_transfers(book, batch, pools)
    _refuse("states.pool", _outside(batch.states.pool, pools), "no such pool")
    _refuse("states.state", _outside(batch.states.state, len(PoolState)), "no such state")


def _refuse(place: str, bad: Bools, problem: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LedgerError(f"{place}[{row}]", problem, "the batch was not applied; mend the event")


def _outside(values: Int8s | Int32s | Int64s, end: int) -> Bools:
    return np.asarray((values < 0) | (values >= end))


def _too_large(values: Int64s) -> Bools:
    return np.asarray((values > UNITS_MAX) | (values < -UNITS_MAX))


def _check_columns(batch: EventBatch) -> None:
    for table in fields(batch)[1:]:
        events = getattr(batch, table.name)
        if len({len(getattr(events, column.name)) for column in fields(events)}) > 1:
            remedy = "the batch was not applied; give every column one value per event"
            raise LedgerError(table.name, "columns differ in length", remedy)


def _check_accounts(book: Book, batch: EventBatch) -> None:
    ids = batch.accounts.ids
    if ids:
        known = set(book.account_ids)
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
    total = len(book.account_ids) + len(ids)
    _refuse("pools.account", _outside(batch.pools.account, total), "no such account")
    kind = batch.pools.kind
    wrong = (kind != PoolKind.CROSS) & (kind != PoolKind.ISOLATED)
    _refuse("pools.kind", wrong, "no kind of an account's pool")


def _check_orders(book: Book, batch: EventBatch, pools: int) -> None:
    cancels, placed, orders = batch.cancels, batch.placements, book.orders
    _refuse("cancels.pool", _outside(cancels.pool, book.pool_count), "no such pool")
    _, found = locate_rows(
        orders.offsets, orders.order_id, cancels.pool.astype(np.int64), cancels.order_id
    )
    _refuse("cancels.order_id", ~found, "no such open order")
    _refuse("cancels.order_id", _repeated(cancels.pool, cancels.order_id), "cancelled twice")
    _refuse("placements.pool", _outside(placed.pool, pools), "no such pool")
    table = book.instruments
    _refuse("placements.instrument", _outside(placed.instrument, len(table)), "no such instrument")
    _refuse("placements.quantity", placed.quantity == 0, "an order of nothing")
    _refuse("placements.quantity", _too_large(placed.quantity), "too large")
    _refuse("placements.price", (placed.price <= 0) | _too_large(placed.price), "not a price")
    _refuse("placements.order_id", _repeated(placed.pool, placed.order_id), "placed twice")
    old = placed.pool < book.pool_count
    _, found = locate_rows(
        orders.offsets,
        orders.order_id,
        placed.pool[old].astype(np.int64),
        placed.order_id[old],
    )
    taken = np.zeros(placed.pool.size, dtype=np.bool_)
    taken[old] = found
    _refuse("placements.order_id", taken, "an open order has this id")


def _repeated(pools: Int32s, ids: Int64s) -> Bools:
    order = np.lexsort((ids, pools))
    same = (np.diff(pools[order]) == 0) & (np.diff(ids[order]) == 0)
    repeated = np.zeros(pools.size, dtype=np.bool_)
    repeated[order[1:][same]] = True
    return repeated


def _check_trades(book: Book, batch: EventBatch, pools: int) -> None:
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
    spot = table.kind[trades.instrument] == Kind.SPOT
    fine = np.array(
        [
            table.assets.decimals[table.base[i]] >= row.quantity_decimals
            for i, row in enumerate(table.rows)
        ],
        dtype=np.bool_,
    )
    if spot.any():
        _refuse("trades.instrument", spot & ~fine[trades.instrument], "quantity finer than asset")


def _check_transfers(book: Book, batch: EventBatch, pools: int) -> None:
    moved = batch.transfers
    assets = len(book.instruments.assets.names)
    _refuse("transfers.source", _outside(moved.source, pools), "no such pool")
    _refuse("transfers.target", _outside(moved.target, pools), "no such pool")
    _refuse("transfers.asset", _outside(moved.asset, assets), "no such asset")
    _refuse("transfers.amount", _too_large(moved.amount), "too large")
    _refuse("transfers.reason", _outside(moved.reason, len(TransferReason)), "no such reason")
