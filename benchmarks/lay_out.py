"""Claim: a plan is kept through batches at a fraction of what laying out anew costs."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from benchmarks.lines import Line, Load, Numbers, Race, relative_difference
from benchmarks.machine import bytes_of, stream_lap
from benchmarks.timing import lap, time_laps
from benchmarks.world import liquidating_trades, open_world
from plimsoll.book import Book
from plimsoll.core import Int64s
from plimsoll.ledger import apply
from plimsoll.margin import Plan, lay_out


def measure(load: Load) -> Iterator[Line]:
    """Laying out the largest book, and bringing the plan up to date after a batch of trades."""
    accounts = max(load.accounts)
    world = open_world(accounts)
    # The first batch opens rows in the system's pools; the next ones find theirs.
    before = apply(world.book, liquidating_trades(world.book, world.market, load.peak_trades, 1))
    plan = lay_out(before)
    book = apply(before, liquidating_trades(before, world.market, load.peak_trades, 2))
    ours, refit, limit = time_laps(
        load.repeats,
        lap(lambda: lay_out(book)),
        lap(lambda: lay_out(book, plan)),
        stream_lap(_bytes_read(book)),
    )
    (peer,) = time_laps(min(load.repeats, 5), lap(lambda: _ranks(book)))
    anew, kept = lay_out(book), lay_out(book, plan)
    peer_name = f"Polars rank, {pl.thread_pool_size()} threads"
    yield Race(ours, peer, limit).milliseconds(
        f"lay_out.{accounts}",
        peer_name,
        relative_difference(zip(_rows(anew), _ranks(book), strict=True)),
    )
    yield Race(refit, ours, limit).milliseconds(
        f"lay_out.refit.{accounts}", "laying out anew",
        relative_difference(zip(_rows(kept), _rows(anew), strict=True)),
    )  # fmt: skip


def _rows(plan: Plan) -> tuple[Numbers, ...]:
    """Which row adds to which: by slot, by cell, by group."""
    layout = plan.layouts[0]
    if layout is None:
        raise TypeError("lay_out makes a layout for every model where it knows none of them")
    return (
        np.concatenate([layout.position_slot, layout.order_slot]),
        np.concatenate([layout.balance_cell, layout.slot_cell]),
        layout.slot_group,
    )


def _ranks(book: Book) -> tuple[Int64s, ...]:
    """The same three by ranking (pool, id) keys."""
    table, held, orders, owned = book.instruments, book.positions, book.orders, book.balances
    count, assets = len(table), len(table.assets.names)
    keys = np.concatenate([_keys(each.offsets, each.instrument, count) for each in (held, orders)])
    slots = np.unique(keys)
    pool, instrument = slots // count, slots % count
    cells = np.concatenate(
        [_keys(owned.offsets, owned.asset, assets), pool * assets + table.settle[instrument]]
    )
    groups = pool * assets + table.base[instrument]
    return tuple(
        pl.Series(each).rank("dense").to_numpy().astype(np.int64) - 1
        for each in (keys, cells, groups)
    )


def _keys(offsets: Int64s, ids: Numbers, width: int) -> Int64s:
    pools = np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))
    return np.asarray(pools * width + ids, dtype=np.int64)


def _bytes_read(book: Book) -> int:
    held, orders, owned = book.positions, book.orders, book.balances
    return bytes_of(
        held.offsets, held.instrument, orders.offsets, orders.instrument, owned.offsets, owned.asset
    )
