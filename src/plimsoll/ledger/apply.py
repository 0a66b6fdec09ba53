"""``apply``: the only way a book changes.

The batch is checked whole first, then posted on copies of the rows it touches. Every event is
double entry, and the batch's own postings must sum to zero before a new book is returned.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plimsoll.book import (
    Balances,
    Book,
    Orders,
    PoolState,
    Positions,
    insert_rows,
    locate_rows,
)
from plimsoll.core import Int64s, sum_exact
from plimsoll.ledger.checks import check_batch
from plimsoll.ledger.events import Cancels, EventBatch, Placements, new_pools
from plimsoll.ledger.kernels import BalanceChanges, PositionChanges
from plimsoll.ledger.posting import post_batch


def apply(book: Book, batch: EventBatch) -> Book:
    """The book after a batch. Raises LedgerError, naming the event, and changes nothing,

    where the batch refers to what does not exist, repeats an order, goes back in time or
    holds an amount that cannot be stored.
    """
    check_batch(book, batch)
    grown = _open_pools(book, batch)
    # Only an amount too large to store can stop the batch here; the given book is never written
    # to, so even then nothing is half done.
    positions, balances = post_batch(grown.rows, grown.instruments, batch)
    states = grown.pool_state.copy()
    states[batch.states.pool] = batch.states.state
    since = grown.pool_since_ns.copy()
    since[batch.states.pool] = batch.time_ns
    phases = grown.market_phase.copy()
    phases[batch.phases.instrument] = batch.phases.phase
    return replace(
        grown,
        pool_state=states,
        pool_since_ns=since,
        market_phase=phases,
        positions=_hold(grown.positions, positions),
        balances=_own(grown.balances, balances),
        orders=_place(_cancel(grown.orders, batch.cancels), batch.placements),
        sequence=book.sequence + 1,
        time_ns=batch.time_ns,
    )


def conservation_residual(book: Book) -> tuple[int, ...]:
    """Per asset, balances less costs summed over all pools; per instrument, quantities.

    In exact units; every number is zero in a sound book.
    """
    held, assets = book.positions, len(book.instruments.assets.names)
    settle = book.instruments.settle[held.instrument]
    residuals = [
        sum_exact(book.balances.amount[book.balances.asset == asset])
        - sum_exact(held.cost[settle == asset])
        for asset in range(assets)
    ]
    quantities = [
        sum_exact(held.quantity[held.instrument == i]) for i in range(len(book.instruments))
    ]
    return (*residuals, *quantities)


def _open_pools(book: Book, batch: EventBatch) -> Book:
    count = len(batch.accounts.ids) + batch.pools.account.size
    if count == 0:
        return book
    accounts, kinds = new_pools(len(book.account_ids), batch)

    def padded(offsets: Int64s) -> Int64s:
        return np.concatenate([offsets, np.full(count, offsets[-1], dtype=np.int64)])

    return replace(
        book,
        account_ids=book.account_ids + batch.accounts.ids,
        account_model=np.concatenate([book.account_model, batch.accounts.model]),
        pool_account=np.concatenate([book.pool_account, accounts]),
        pool_kind=np.concatenate([book.pool_kind, kinds]),
        pool_state=np.concatenate(
            [book.pool_state, np.full(count, PoolState.NORMAL, dtype=np.int8)]
        ),
        pool_since_ns=np.concatenate([book.pool_since_ns, np.zeros(count, dtype=np.int64)]),
        positions=replace(book.positions, offsets=padded(book.positions.offsets)),
        balances=replace(book.balances, offsets=padded(book.balances.offsets)),
        orders=replace(book.orders, offsets=padded(book.orders.offsets)),
    )


def _cancel(orders: Orders, cancels: Cancels) -> Orders:
    if cancels.pool.size == 0:
        return orders
    rows, _ = locate_rows(
        orders.offsets, orders.order_id, cancels.pool.astype(np.int64), cancels.order_id
    )
    removed = np.zeros(orders.order_id.size, dtype=np.bool_)
    removed[rows] = True
    before = np.concatenate([[0], np.cumsum(removed)])
    return Orders(
        orders.offsets - before[orders.offsets],
        orders.order_id[~removed],
        orders.instrument[~removed],
        orders.quantity[~removed],
        orders.price[~removed],
        orders.is_reduce_only[~removed],
    )


def _place(orders: Orders, placed: Placements) -> Orders:
    if placed.pool.size == 0:
        return orders
    order = np.lexsort((placed.order_id, placed.pool))
    pools = placed.pool[order].astype(np.int64)
    rows, _ = locate_rows(orders.offsets, orders.order_id, pools, placed.order_id[order])
    offsets, columns = insert_rows(
        orders.offsets,
        pools,
        rows,
        (
            (orders.order_id, placed.order_id[order]),
            (orders.instrument, placed.instrument[order]),
            (orders.quantity, placed.quantity[order]),
            (orders.price, placed.price[order]),
            (orders.is_reduce_only, placed.is_reduce_only[order]),
        ),
    )
    return Orders(offsets, *columns)  # type: ignore[arg-type]


def _hold(positions: Positions, changes: PositionChanges) -> Positions:
    """Positions after changes; those that were not there get a row, even if it holds nothing."""
    offsets, rows, (instrument, quantity, cost) = _with_rows(
        positions.offsets,
        changes.pool,
        changes.row,
        (
            (positions.instrument, changes.instrument),
            (positions.quantity, changes.quantity),
            (positions.cost, changes.cost),
        ),
    )
    quantity[rows], cost[rows] = changes.quantity, changes.cost
    return Positions(offsets, instrument, quantity, cost)


def _own(balances: Balances, changes: BalanceChanges) -> Balances:
    offsets, rows, (asset, amount) = _with_rows(
        balances.offsets,
        changes.pool,
        changes.row,
        ((balances.asset, changes.asset), (balances.amount, changes.amount)),
    )
    amount[rows] = changes.amount
    return Balances(offsets, asset, amount)


def _with_rows(
    offsets: Int64s,
    pools: Int64s,
    rows: Int64s,
    columns: tuple[tuple[NDArray[Any], NDArray[Any]], ...],
) -> tuple[Int64s, Int64s, tuple[NDArray[Any], ...]]:
    """Offsets, where the changes lie, and columns with new rows for those that have none.

    The first column, of ids, is shared where there is no new row; the others never are.
    """
    is_new = rows < 0
    if not is_new.any():
        ids, *values = (old for old, _ in columns)
        return offsets, rows, (ids, *(old.copy() for old in values))
    places = np.where(is_new, -1 - rows, rows)
    new = tuple((old, values[is_new].astype(old.dtype)) for old, values in columns)
    grown, inserted = insert_rows(offsets, pools[is_new], places[is_new], new)
    return grown, places + np.cumsum(is_new) - is_new, inserted
