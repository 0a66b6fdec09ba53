"""Parts of a book, and a digest of the whole."""

from dataclasses import replace

import numpy as np

from plimsoll.book.book import Balances, Book, Orders, Positions
from plimsoll.book.pools import SystemPool
from plimsoll.book.segments import take_segments
from plimsoll.core import Bools, Int64s, digest_columns, offsets_from_counts


def take_pools(book: Book, pools: Int64s) -> Book:
    """A book of the given pools alone, in that order; accounts and models stay whole."""
    held, orders = book.positions, book.orders
    offsets, columns = take_segments(
        held.offsets, pools, (held.instrument, held.quantity, held.cost)
    )
    balance_offsets, balance_columns = take_segments(
        book.balances.offsets, pools, (book.balances.asset, book.balances.amount)
    )
    order_offsets, order_columns = take_segments(
        orders.offsets,
        pools,
        (orders.order_id, orders.instrument, orders.quantity, orders.price, orders.is_reduce_only),
    )
    return replace(
        book,
        pool_account=book.pool_account[pools],
        pool_kind=book.pool_kind[pools],
        pool_state=book.pool_state[pools],
        pool_since_ns=book.pool_since_ns[pools],
        positions=Positions(offsets, *columns),  # type: ignore[arg-type]
        balances=Balances(balance_offsets, *balance_columns),  # type: ignore[arg-type]
        orders=Orders(order_offsets, *order_columns),  # type: ignore[arg-type]
    )


def clone_account(book: Book, account_id: str) -> Book:
    """A small book of one account, its model and the system's pools, for what-if questions.

    Apply a batch to the clone and assess it; the book it came from is not touched.
    """
    account = book.find_account(account_id, "account")
    pools = np.concatenate([np.arange(len(SystemPool)), book.pools_of(account)])
    small = take_pools(book, pools)
    return replace(
        small,
        account_ids=(account_id,),
        account_model=np.zeros(1, dtype=np.int32),
        models=(book.models[book.account_model[account]],),
        pool_account=np.where(small.pool_account < 0, -1, 0).astype(np.int32),
    )


def _kept(offsets: Int64s, keep: Bools) -> Int64s:
    return offsets_from_counts(np.diff(np.concatenate([[0], np.cumsum(keep)])[offsets]))


def compact_book(book: Book) -> Book:
    """The same book without rows that hold nothing."""
    held = book.positions
    keep = (held.quantity != 0) | (held.cost != 0)
    filled = book.balances.amount != 0
    return replace(
        book,
        positions=Positions(
            _kept(held.offsets, keep), held.instrument[keep], held.quantity[keep], held.cost[keep]
        ),
        balances=Balances(
            _kept(book.balances.offsets, filled),
            book.balances.asset[filled],
            book.balances.amount[filled],
        ),
    )


def digest_book(book: Book) -> str:
    """SHA-256 over everything the book holds; rows that hold nothing do not count."""
    small = compact_book(book)
    assets = book.instruments.assets
    units = [
        f"{row.symbol} {row.contract_multiplier} {row.quantity_decimals} {row.price_decimals}"
        for row in book.instruments.rows
    ] + [f"{name} {places}" for name, places in zip(assets.names, assets.decimals, strict=True)]
    models = [f"{choice.name} {choice.overrides}" for choice in book.models]
    names = "\n".join([*units, *models, *book.account_ids])
    return digest_columns(
        (
            ("names", np.frombuffer(names.encode(), dtype=np.uint8)),
            ("clock", np.array([book.sequence, book.time_ns], dtype=np.int64)),
            ("account_model", small.account_model),
            ("pool_account", small.pool_account),
            ("pool_kind", small.pool_kind),
            ("pool_state", small.pool_state),
            ("pool_since_ns", small.pool_since_ns),
            ("market_phase", small.market_phase),
            ("position_offsets", small.positions.offsets),
            ("position_instrument", small.positions.instrument),
            ("position_quantity", small.positions.quantity),
            ("position_cost", small.positions.cost),
            ("balance_offsets", small.balances.offsets),
            ("balance_asset", small.balances.asset),
            ("balance_amount", small.balances.amount),
            ("order_offsets", small.orders.offsets),
            ("order_id", small.orders.order_id),
            ("order_instrument", small.orders.instrument),
            ("order_quantity", small.orders.quantity),
            ("order_price", small.orders.price),
            ("order_is_reduce_only", small.orders.is_reduce_only),
        )
    )
