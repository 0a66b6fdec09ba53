"""``apply``: the only way a book changes.

The batch is checked whole first; after the line marked below it must succeed. Every event is
double entry, and the batch's own postings must sum to zero before a new book is returned.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import (
    Balances,
    Book,
    Orders,
    PoolKind,
    PoolState,
    Positions,
    SystemPool,
    insert_rows,
    locate_rows,
)
from plimsoll.core import Bools, Int32s, Int64s, LedgerError, distinct, sum_exact
from plimsoll.core.exact import UNITS_MAX, add_exact, to_int64
from plimsoll.instruments import Kind
from plimsoll.ledger.checks import check_batch
from plimsoll.ledger.events import Cancels, EventBatch, Placements
from plimsoll.ledger.positions import Legs, post_legs, with_rows
from plimsoll.ledger.values import trade_values


def apply(book: Book, batch: EventBatch) -> Book:
    """The book after a batch. Raises LedgerError, naming the event, and changes nothing,

    where the batch refers to what does not exist, repeats an order, goes back in time or
    holds an amount that cannot be stored.
    """
    check_batch(book, batch)
    # After this point only an amount too large to store can stop the batch; the given
    # book is never written to, so even then nothing is half done.
    grown = _open_pools(book, batch)
    orders = _place(_cancel(grown.orders, batch.cancels), batch.placements)
    held, positions, postings = _trade(grown, batch)
    postings = _join([postings, _transfer_postings(batch)])
    owned = _with_rows(grown.balances, postings)
    balances = _post(owned, postings)
    states = grown.pool_state.copy()
    states[batch.states.pool] = batch.states.state
    after = replace(
        grown,
        pool_state=states,
        positions=positions,
        balances=balances,
        orders=orders,
        sequence=book.sequence + 1,
        time_ns=batch.time_ns,
    )
    _check_amounts(after)
    _check_conserved(after, held, owned)
    return after


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
    new, more = len(batch.accounts.ids), batch.pools.account
    count = new + more.size
    if count == 0:
        return book
    cross = len(book.account_ids) + np.arange(new, dtype=np.int32)
    kinds = np.concatenate([np.full(new, PoolKind.CROSS, dtype=np.int8), batch.pools.kind])

    def padded(offsets: Int64s) -> Int64s:
        return np.concatenate([offsets, np.full(count, offsets[-1], dtype=np.int64)])

    return replace(
        book,
        account_ids=book.account_ids + batch.accounts.ids,
        account_model=np.concatenate([book.account_model, batch.accounts.model]),
        pool_account=np.concatenate([book.pool_account, cross, more]),
        pool_kind=np.concatenate([book.pool_kind, kinds]),
        pool_state=np.concatenate(
            [book.pool_state, np.full(count, PoolState.NORMAL, dtype=np.int8)]
        ),
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


Postings = tuple[Int32s, Int32s, Int64s]
"""Amounts to add to balances: pool, asset, amount."""


def _trade(book: Book, batch: EventBatch) -> tuple[Positions, Positions, Postings]:
    """Positions with rows for all legs, the same after the legs, and the cash postings."""
    trades, table = batch.trades, book.instruments
    nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))
    if trades.pool.size == 0:
        return book.positions, book.positions, nothing
    value = trade_values(table, trades.instrument, trades.quantity, trades.price)
    settle = table.settle[trades.instrument]
    kind = table.kind[trades.instrument]
    is_spot, is_option = kind == Kind.SPOT, kind == Kind.OPTION
    # What is paid at once moves as cash and leaves no cost; futures keep their value as cost.
    cash = np.where(is_spot | is_option, value, 0)
    held = ~is_spot
    change, cost = trades.quantity[held], (value - cash)[held]
    # Both legs of a trade before those of the next: who meets whom must not alter the order.
    legs = Legs(
        np.column_stack([trades.pool[held], trades.counterparty[held]]).ravel(),
        np.repeat(trades.instrument[held], 2),
        np.column_stack([change, -change]).ravel(),
        np.column_stack([cost, -cost]).ravel(),
    )
    before = with_rows(book.positions, legs.pool, legs.instrument, len(table))
    positions, realised = post_legs(before, legs)
    spot_amount = _spot_amounts(book, batch, is_spot)
    pool, other = trades.pool, trades.counterparty
    fees = np.full(pool.size, SystemPool.FEES, dtype=np.int32)
    base = table.base[trades.instrument]
    return (
        before,
        positions,
        (
            np.concatenate([legs.pool, pool, other, pool, fees, pool, other]),
            np.concatenate(
                [table.settle[legs.instrument], settle, settle, settle, settle, base, base]
            ),
            np.concatenate(
                [realised, -cash, cash, -trades.fee, trades.fee, spot_amount, -spot_amount]
            ),
        ),
    )


def _spot_amounts(book: Book, batch: EventBatch, is_spot: Bools) -> Int64s:
    """Base asset units bought by each spot trade, 0 for the others."""
    table, trades = book.instruments, batch.trades
    amounts, at = np.zeros(is_spot.size, dtype=np.int64), np.flatnonzero(is_spot)
    bought = []
    for i, quantity in zip(trades.instrument[at], trades.quantity[at], strict=True):
        decimals = table.assets.decimals[table.base[i]] - table.rows[i].quantity_decimals
        bought.append(int(quantity) * 10**decimals)
    amounts[at] = to_int64(np.array(bought, dtype=object), "trades.quantity")
    return amounts


def _transfer_postings(batch: EventBatch) -> Postings:
    moved = batch.transfers
    return (
        np.concatenate([moved.source, moved.target]),
        np.concatenate([moved.asset, moved.asset]),
        np.concatenate([-moved.amount, moved.amount]),
    )


def _join(parts: list[Postings]) -> Postings:
    """Postings one after another; those of nothing are left out and make no row."""
    pools, assets, amounts = zip(*parts, strict=True)
    amount = np.concatenate(amounts)
    kept = amount != 0
    return np.concatenate(pools)[kept], np.concatenate(assets)[kept], amount[kept]


def _with_rows(balances: Balances, postings: Postings) -> Balances:
    """Balances with a row for every (pool, asset) posted to; new rows hold nothing."""
    pools, assets, _ = postings
    if pools.size == 0:
        return balances
    width = int(assets.max()) + 1
    keys = distinct(pools.astype(np.int64) * width + assets)
    wanted_pools, wanted = keys // width, (keys % width).astype(np.int32)
    rows, found = locate_rows(balances.offsets, balances.asset, wanted_pools, wanted)
    if found.all():
        return balances
    zeros = np.zeros(int((~found).sum()), dtype=np.int64)
    offsets, columns = insert_rows(
        balances.offsets,
        wanted_pools[~found],
        rows[~found],
        ((balances.asset, wanted[~found]), (balances.amount, zeros)),
    )
    return Balances(offsets, *columns)  # type: ignore[arg-type]


def _post(balances: Balances, postings: Postings) -> Balances:
    pools, assets, amounts = postings
    if pools.size == 0:
        return balances
    rows, _ = locate_rows(balances.offsets, balances.asset, pools.astype(np.int64), assets)
    amount = add_exact(balances.amount, rows, amounts, "balances")
    return Balances(balances.offsets, balances.asset, amount)


def _check_conserved(after: Book, held: Positions, owned: Balances) -> None:
    """What changed must cancel per asset and per instrument, in unbounded integers.

    The postings cancel by construction, so this also catches any sum that wrapped around.
    """
    table, positions, balances = after.instruments, after.positions, after.balances
    moved = np.flatnonzero((held.quantity != positions.quantity) | (held.cost != positions.cost))
    paid = np.flatnonzero(owned.amount != balances.amount)
    settle = table.settle[positions.instrument[moved]]
    for asset in range(len(table.assets.names)):
        rows = paid[balances.asset[paid] == asset]
        costs = moved[settle == asset]
        residual = (
            sum_exact(balances.amount[rows])
            - sum_exact(owned.amount[rows])
            - sum_exact(positions.cost[costs])
            + sum_exact(held.cost[costs])
        )
        if residual:
            raise LedgerError(table.assets.names[asset], f"{residual} units appeared", "report it")
    for i in np.unique(positions.instrument[moved]):
        rows = moved[positions.instrument[moved] == i]
        residual = sum_exact(positions.quantity[rows]) - sum_exact(held.quantity[rows])
        if residual:
            raise LedgerError(table.rows[i].symbol, f"{residual} units appeared", "report it")


def _check_amounts(book: Book) -> None:
    for name, column in (
        ("balances", book.balances.amount),
        ("positions.quantity", book.positions.quantity),
        ("positions.cost", book.positions.cost),
    ):
        if column.size and max(int(column.max()), -int(column.min())) > UNITS_MAX:
            raise LedgerError(name, "an amount does not fit the ledger", "use fewer decimals")
