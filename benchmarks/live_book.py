"""Claim: on a book that changes in place an event costs microseconds, however large the book."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numba as nb
import numpy as np

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.machine import bytes_of, copy_lap
from benchmarks.timing import Lap, lap, seconds, time_laps
from benchmarks.world import liquidating_trades, open_world
from plimsoll.app.replay import MODEL
from plimsoll.book import Balances, Book, LiveBook, PoolKind, Positions, SystemPool, compact_book
from plimsoll.core import Int64s, stream
from plimsoll.instruments import InstrumentTable, parse_symbol
from plimsoll.ledger import EventBatch, Trades, Transfers, apply, apply_live, deposit, fill

SEED = 3
CALLS = 100_000
INSTRUMENTS = 100
POSITIONS = 10
PEER = "apply of the same batch"


@nb.njit(cache=True)
def _nothing(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
    """The least that a call into compiled code can be."""
    return a + b + c + d + e + f


@dataclass(frozen=True, slots=True)
class Fills:
    """Trades with the market, or the same pools' deposits, as lists to call with."""

    pool: list[int]
    instrument: list[int]
    quantity: list[int]
    price: list[int]

    def batch(self, count: int) -> EventBatch:
        """The first of them as one batch of trades."""
        zeros = np.zeros(count, dtype=np.int64)
        return EventBatch(
            0,
            trades=Trades(
                np.array(self.pool[:count], dtype=np.int32),
                np.full(count, SystemPool.MARKET, dtype=np.int32),
                np.array(self.instrument[:count], dtype=np.int32),
                np.array(self.quantity[:count], dtype=np.int64),
                np.array(self.price[:count], dtype=np.int64),
                zeros + 1,
                zeros.astype(np.int8),
            ),
        )

    def deposits(self, count: int) -> EventBatch:
        """Deposits of the first quantities, as one batch."""
        zeros = np.zeros(count, dtype=np.int32)
        return EventBatch(
            0,
            transfers=Transfers(
                zeros + SystemPool.WORLD,
                np.array(self.pool[:count], dtype=np.int32),
                zeros,
                np.array(self.quantity[:count], dtype=np.int64),
                zeros.astype(np.int8),
            ),
        )


def measure(load: Load) -> Iterator[Line]:
    """Single events by size of the book, then the worst published tick as one batch.

    The limit of an event is a call into compiled code that does nothing; of the batch, copying
    its columns.
    """
    for accounts in load.accounts:
        yield from _events(load, accounts)
    world = open_world(load.peak_accounts)
    batch = liquidating_trades(world.book, world.market, load.peak_trades, SEED)
    trades = batch.trades
    columns = trades.pool, trades.counterparty, trades.instrument, trades.quantity, trades.price

    def ours() -> float:
        live = LiveBook.of(world.book)
        return seconds(lambda: apply_live(live, batch))

    peer, limit = lap(lambda: apply(world.book, batch)), copy_lap(bytes_of(*columns))
    race = Race(*time_laps(load.repeats, ours, peer, limit))
    live = LiveBook.of(world.book)
    apply_live(live, batch)
    accuracy = _accuracy(live, apply(world.book, batch))
    yield race.milliseconds(f"live_book.batch.{trades.pool.size}", PEER, accuracy)


def _events(load: Load, accounts: int) -> Iterator[Line]:
    book, count = _book(accounts), max(CALLS // load.shrink, 10)
    fills = _fills(book.pool_count, count)
    live, once = LiveBook.of(book), LiveBook.of(book)
    for name, ours, batch in (
        ("fill", _fill_lap(live, fills), fills.batch),
        ("deposit", _deposit_lap(live, fills), fills.deposits),
    ):
        one = batch(1)
        race = Race(
            *time_laps(load.repeats, ours, lap(partial(apply, book, one)), _call_lap(count))
        )
        (_fill_lap if name == "fill" else _deposit_lap)(once, fills)()
        book_after = apply(book, batch(count))
        accuracy = _accuracy(once, book_after)
        yield race.line(
            f"live_book.{name}.{accounts}", 1e6 * race.ours.median, "us", PEER, accuracy
        )
        once = LiveBook.of(book)


def _median_lap(calls: Callable[[list[float]], None]) -> Lap:
    """A lap that counts the median call; ``calls`` fills in when each one began, and the end."""

    def run() -> float:
        times: list[float] = []
        calls(times)
        return float(np.median(np.diff(times)))

    return run


def _fill_lap(live: LiveBook, fills: Fills) -> Lap:
    def calls(times: list[float]) -> None:
        rows = zip(fills.pool, fills.instrument, fills.quantity, fills.price, strict=True)
        for pool, instrument, quantity, price in rows:
            times.append(perf_counter())
            fill(live, pool, SystemPool.MARKET, instrument, quantity, price, 1, 0)
        times.append(perf_counter())

    return _median_lap(calls)


def _deposit_lap(live: LiveBook, fills: Fills) -> Lap:
    def calls(times: list[float]) -> None:
        for pool, amount in zip(fills.pool, fills.quantity, strict=True):
            times.append(perf_counter())
            deposit(live, pool, 0, amount, 0)
        times.append(perf_counter())

    return _median_lap(calls)


def _call_lap(count: int) -> Lap:
    def calls(times: list[float]) -> None:
        for number in range(count):
            times.append(perf_counter())
            _nothing(number, 1, 2, 3, 4, 5)
        times.append(perf_counter())

    return _median_lap(calls)


def _fills(pools: int, count: int) -> Fills:
    draw = stream(SEED, "benchmarks", "fills")
    size = draw.integers(1, 10**9, count) * draw.choice([-1, 1], count)
    return Fills(
        draw.integers(len(SystemPool), pools, count).tolist(),
        draw.integers(0, INSTRUMENTS, count).tolist(),
        size.tolist(),
        draw.integers(10**9, 10**12, count).tolist(),
    )


def _book(accounts: int) -> Book:
    """Accounts with a balance and ten positions each, drawn evenly."""
    rows = (parse_symbol(f"C{i:02}/USDT:USDT") for i in range(INSTRUMENTS))
    book = Book.empty(InstrumentTable.build(rows, {"USDT": 8}), (MODEL,))
    draw, system = stream(SEED, "benchmarks", "positions"), len(SystemPool)
    count = accounts * POSITIONS
    first = draw.integers(0, INSTRUMENTS // POSITIONS, accounts)
    held = first[:, None] + np.arange(POSITIONS) * (INSTRUMENTS // POSITIONS)
    quantity = draw.integers(1, 10**10, count) * draw.choice([-1, 1], count)

    def offsets(each: int) -> Int64s:
        return np.concatenate([np.zeros(system, np.int64), np.arange(accounts + 1) * each])

    nothing = book.orders
    return Book(
        instruments=book.instruments,
        account_ids=tuple(f"account {i}" for i in range(accounts)),
        account_model=np.zeros(accounts, dtype=np.int32),
        models=book.models,
        pool_account=np.concatenate([book.pool_account, np.arange(accounts, dtype=np.int32)]),
        pool_kind=np.concatenate([book.pool_kind, np.full(accounts, PoolKind.CROSS, np.int8)]),
        pool_state=np.zeros(system + accounts, dtype=np.int8),
        pool_since_ns=np.zeros(system + accounts, dtype=np.int64),
        market_phase=book.market_phase,
        positions=Positions(
            offsets(POSITIONS), held.ravel().astype(np.int32), quantity, 3 * quantity
        ),
        balances=Balances(
            offsets(1), np.zeros(accounts, np.int32), draw.integers(10**9, 10**14, accounts)
        ),
        orders=type(nothing)(
            offsets(0), nothing.order_id, nothing.instrument, nothing.quantity, nothing.price,
            nothing.is_reduce_only,
        ),
        sequence=0,
        time_ns=0,
    )  # fmt: skip


def _accuracy(live: LiveBook, book: Book) -> float:
    one, other = live.snapshot(), compact_book(book)
    if not np.array_equal(one.positions.instrument, other.positions.instrument):
        return float("inf")
    return relative_difference(
        [
            (one.positions.quantity, other.positions.quantity),
            (one.positions.cost, other.positions.cost),
            (one.balances.amount, other.balances.amount),
        ]
    )
