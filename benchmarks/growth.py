"""Claim: what a tick costs the watch follows the accounts near the line, a fill costs the same on
any book, and a sweep grows with the book.

Four sizes of the same book, each ticked along the same share of a day. ``near`` grows only the
accounts near the line; ``far`` keeps the first book's and adds accounts far from it. ``bytes``
counts the live book and the watch together, beyond the positions' own columns. The peer of all is
a sweep of the same book, the limit reading its rows once.
"""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np

from benchmarks.futures_book import FuturesBook, open_futures
from benchmarks.lines import Line, Load
from benchmarks.live_engine import fill_times, start_engine, trades_of
from benchmarks.machine import bytes_of, stream_lap
from benchmarks.timing import lap, time_laps
from benchmarks.watch import armed, difference, draw_path
from plimsoll.book import LiveBook
from plimsoll.margin import assess

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
TOY_SIZES = (100, 200)
DAY_TICKS, TICKS, FILLS = 200_000, 10_000, 10_000
FAR = 3
"""Accounts far from the line for one of the book."""
FAR_EQUITY = 100.0
"""What multiplies the dollars of an account far from the line."""


def measure(load: Load) -> Iterator[Line]:
    """Ticks, fills and sweeps by size, then the bytes."""
    for accounts in SIZES if load.shrink == 1 else TOY_SIZES:
        world = open_futures(accounts)
        yield from _measure_world(world, str(accounts), load)
        if accounts == SIZES[2] or load.shrink > 1:
            yield _bytes(world, accounts)
    base = (SIZES[1] if load.shrink == 1 else TOY_SIZES[0]) * (FAR + 1)
    yield next(_measure_world(_moved_away(open_futures(base)), f"far.{base}", load))


def _measure_world(world: FuturesBook, size: str, load: Load) -> Iterator[Line]:
    path = draw_path(world, DAY_TICKS // load.shrink)
    ticks = min(TICKS, path.offsets.size - 1)
    watch, end = armed(world, True), path.offsets[ticks]
    # The first ticks settle what was armed on a step that is not its own.
    start = perf_counter()
    watch.replay(path.offsets[: ticks + 1], path.rows[:end], path.values[:end])
    tick = (perf_counter() - start) / ticks
    wrong = difference(world, watch, True)
    sweep, limit = time_laps(
        min(load.repeats, 3),
        lap(lambda: assess(world.book, world.market, world.models)),
        stream_lap(bytes_of(*world.book.rows)),
    )

    def line(what: str, value: float, unit: str, scale: float, accuracy: float | None) -> Line:
        ratios = sweep.best / value, limit.best / value
        name = f"growth.{what}.{size}"
        return Line(name, scale * value, unit, "one sweep", *ratios, accuracy)

    yield line("tick", tick, "us", 1e6, wrong)
    del watch
    running = start_engine(world.book, world.market)
    times = fill_times(running, trades_of(running, max(FILLS // load.shrink, 20)))
    yield line("fill", float(np.median(times)), "us", 1e6, wrong)
    yield line("sweep", sweep.best, "ms", 1e3, wrong)


def _moved_away(world: FuturesBook) -> FuturesBook:
    """The book with three accounts in four far from the line."""
    amount = world.book.balances.amount.copy()
    is_far = np.arange(amount.size) % (FAR + 1) != 0
    amount[is_far] = np.abs(amount[is_far]) * FAR_EQUITY
    return replace(
        world, book=replace(world.book, balances=replace(world.book.balances, amount=amount))
    )


def _bytes(world: FuturesBook, accounts: int) -> Line:
    """Bytes per position of live book and watch, beyond instrument, quantity and cost."""
    live, watch = LiveBook.of(world.book), armed(world, True)
    held = world.book.positions
    own = bytes_of(held.instrument, held.quantity, held.cost)
    extra = sum(live.memory_bytes.values()) + watch.stats.memory_bytes - own
    ratio = own / extra
    positions = held.instrument.size
    name = f"growth.bytes.{accounts}"
    return Line(name, extra / positions, "B/position", "the columns themselves", ratio, ratio, 0.0)
