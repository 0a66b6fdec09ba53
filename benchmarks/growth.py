"""Claim: what a tick costs the watch follows the accounts near the line, a fill costs the same on
any book, and a sweep grows with the book.

Four sizes of the same book, each ticked along the same part of a day, then filled: a fill is
posted and its pool judged and guarded again. ``far`` is a tick where all but 100,000 accounts are
far from the line. ``bytes`` counts the live book and the watch together, beyond the positions' own
columns. The peer of all is a sweep of the same book, the limit reading its rows once.
"""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

import msgspec
import numpy as np

from benchmarks.futures_book import FuturesBook, open_futures
from benchmarks.lines import Line, Load
from benchmarks.live_engine import trades_at
from benchmarks.machine import bytes_of, stream_lap
from benchmarks.timing import lap, time_laps
from benchmarks.watch import Path, bytes_line, difference, draw_path
from plimsoll.book import LiveBook, SystemPool
from plimsoll.ledger import Trades, fill
from plimsoll.margin import assess
from plimsoll.margin.watch import Watch, with_price_moves

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
TOY_SIZES = (100, 200)
DAY_TICKS, TICKS, FILLS = 200_000, 10_000, 10_000
FAR = (1, 4, 10)
"""One account in so many is left where it is in a book whose others are far from the line."""
FAR_EQUITY = 100.0
"""What multiplies the dollars of an account far from the line."""


def measure(load: Load) -> Iterator[Line]:
    """Ticks, fills, sweeps and bytes by size; then ticks of a book that most are far from."""
    sizes = SIZES if load.shrink == 1 else TOY_SIZES
    for accounts in sizes:
        world = open_futures(accounts)
        yield from _measure_world(world, accounts, load)
    near = sizes[1 if load.shrink == 1 else 0]
    for each in FAR:
        world = moved_away(open_futures(near * each), each)
        tick = next(_measure_world(world, near * each, load))
        yield msgspec.structs.replace(tick, name=f"growth.far.{near * each}")


def _measure_world(world: FuturesBook, size: int, load: Load) -> Iterator[Line]:
    """One book that changes in place and one watch over it, ticked and then filled."""
    live, moves = LiveBook.of(world.book), with_price_moves(world.market, world.moves)
    watch = Watch.arm(live, world.market, world.models, moves, holds=True)
    tick = _mean_tick(watch, draw_path(world, DAY_TICKS // load.shrink))
    wrong = difference(world, watch, True)
    sweep, limit = time_laps(
        min(load.repeats, 3),
        lap(lambda: assess(world.book, world.market, world.models)),
        stream_lap(bytes_of(*world.book.rows)),
    )

    def line(what: str, value: float, unit: str, scale: float) -> Line:
        ratios = sweep.best / value, limit.best / value
        return Line(f"growth.{what}.{size}", scale * value, unit, "one sweep", *ratios, wrong)

    yield line("tick", tick, "us", 1e6)
    yield bytes_line(f"growth.bytes.{size}", world.book, live, watch)
    trades = trades_at(world.market, world.book.pool_count, max(FILLS // load.shrink, 20))
    yield line("fill", _median_fill(world, live, watch, trades), "us", 1e6)
    yield line("sweep", sweep.best, "ms", 1e3)


def _mean_tick(watch: Watch, path: Path) -> float:
    """Seconds of a tick, the mean of the first part of the day."""
    ticks = min(TICKS, path.offsets.size - 1)
    end = path.offsets[ticks]
    start = perf_counter()
    watch.replay(path.offsets[: ticks + 1], path.rows[:end], path.values[:end])
    return (perf_counter() - start) / ticks


def _median_fill(world: FuturesBook, live: LiveBook, watch: Watch, trades: Trades) -> float:
    """Seconds of a fill: posted to the live book, its pool judged and guarded again."""
    columns = (trades.pool, trades.instrument, trades.quantity, trades.price)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    times, time_ns, market = [], world.book.time_ns, int(SystemPool.MARKET)
    for pool, instrument, quantity, price in rows:
        times.append(perf_counter())
        fill(live, pool, market, instrument, quantity, price, 0, time_ns)
        watch.rearm(live, world.models, np.array([pool], dtype=np.int64))
    times.append(perf_counter())
    return float(np.median(np.diff(times)))


def moved_away(world: FuturesBook, each: int) -> FuturesBook:
    """The book with all accounts but one in ``each`` far from the line."""
    amount = world.book.balances.amount.copy()
    is_far = np.arange(amount.size) % each != 0
    amount[is_far] = np.abs(amount[is_far]) * FAR_EQUITY
    return replace(
        world, book=replace(world.book, balances=replace(world.book.balances, amount=amount))
    )
