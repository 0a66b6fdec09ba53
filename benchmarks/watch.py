"""Claim: a tick costs the watch many hundred times less than a sweep, and tells the same.

One tick moves one underlying: the marks of its 20 contracts and its index, 21 rows. Underlyings
tick as often as they are popular; all ticks together are one day of its usual moves.

``loop`` is the mean of a whole day in one call, ``python`` a call for each tick, ``engine`` a step
of the live engine for each: prices observed, the market made, the watch moved, decisions taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from benchmarks.futures_book import (
    POPULARITY_EXPONENT,
    PORTFOLIO,
    FuturesBook,
    open_futures,
)
from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.live_engine import prices_at, start_engine, status_difference
from benchmarks.machine import BUFFER_BYTES, bytes_of, stream_lap
from benchmarks.timing import Timing, lap, time_laps
from plimsoll.book import Book, LiveBook
from plimsoll.core import Floats, Int32s, Int64s, stream
from plimsoll.margin import assess, lay_out
from plimsoll.margin.watch import Watch, with_price_moves

TICKS, ENGINE_TICKS = 200_000, 4_000
RUNS_MAX = 3
SWEPT = 20
"""Ticks at which all statuses are compared with a sweep's."""
UPDATE_BYTES = 32
"""What one update must read: an entry, and the guard's value and floor."""
SHARES = (("median", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))


@dataclass(frozen=True, slots=True)
class Path:
    """Ticks as ``Watch.replay`` takes them."""

    offsets: Int64s
    rows: Int32s
    values: Floats

    def tick(self, number: int) -> tuple[Int64s, Int32s, Floats]:
        """One tick alone."""
        first, end = self.offsets[number], self.offsets[number + 1]
        offsets = np.array([0, end - first], dtype=np.int64)
        return offsets, self.rows[first:end], self.values[first:end]


def measure(load: Load) -> Iterator[Line]:
    """Ticks through the compiled loop, and one by one from Python.

    The watch holds calls and liquidations, as the engine does; ``watch.free`` does not, so that
    pools on the line change again and again, and its statuses are a sweep's to the last one.
    ``watch.scenario_`` is the same book under the scenario model.
    """
    ways = (("loop", True, RUNS_MAX), ("free", False, 1))
    world = open_futures(load.accounts[-1])
    yield from _measure_world("watch.", world, ways, load)
    world = open_futures(load.accounts[-1], model=PORTFOLIO)
    yield from _measure_world("watch.scenario_", world, ways[:1], load)


def _measure_world(
    name: str, world: FuturesBook, ways: Sequence[tuple[str, bool, int]], load: Load
) -> Iterator[Line]:
    """``ways`` are names, whether the watch holds, and how often to run it."""
    path = draw_path(world, max(TICKS // load.shrink, SWEPT))
    plan, ticks = lay_out(world.book), path.offsets.size - 1
    (sweep,) = time_laps(
        load.repeats, lap(lambda: assess(world.book, world.market, world.models, plan))
    )
    for way, holds, most in ways:
        runs = []
        for _ in range(min(load.repeats, most)):
            watch = armed(world, holds)
            before, start = watch.stats.updates, perf_counter()
            watch.replay(path.offsets, path.rows, path.values)
            runs.append((perf_counter() - start) / ticks)
        touched = (watch.stats.updates - before) * UPDATE_BYTES
        # A day reads some ten billion bytes: a part of them says how long all take.
        part = min(max(touched, 1 << 16), BUFFER_BYTES)
        (limit,) = time_laps(load.repeats, stream_lap(part, 1))
        share = max(touched / part, 1.0) / ticks
        limit = Timing(limit.best * share, limit.median * share)
        race = Race(Timing(min(runs), float(np.median(runs))), sweep, limit)
        wrong = difference(world, watch, holds)
        yield race.line(f"{name}{way}", 1e6 * race.ours.median, "us", "one sweep", wrong)
    del watch
    watch = armed(world, True)
    yield memory_line(f"{name}memory", world, watch)
    yield bytes_line(f"{name}bytes", world.book, LiveBook.of(world.book), watch)
    taken, wrong = one_by_one(world, watch, path)
    yield from _spread_lines(f"{name}python", taken, wrong, sweep, limit)
    del watch
    taken, wrong = through_engine(world, path, max(ENGINE_TICKS // load.shrink, SWEPT))
    yield from _spread_lines(f"{name}engine", taken, wrong, sweep, limit)


def _spread_lines(
    name: str, taken: Floats, wrong: float, sweep: Timing, limit: Timing
) -> Iterator[Line]:
    """Mean and quantiles of the seconds of each tick."""
    figures = [("mean", float(taken.mean()))]
    figures += [(part, float(np.quantile(taken, share))) for part, share in SHARES]
    for part, figure in figures:
        race = Race(Timing(figure, figure), sweep, limit)
        yield race.line(f"{name}_{part}", 1e6 * figure, "us", "one sweep", wrong)


def armed(world: FuturesBook, holds: bool) -> Watch:
    """A fresh watch over the book."""
    moves = with_price_moves(world.market, world.moves)
    return Watch.arm(world.book, world.market, world.models, moves, (), holds)


def draw_path(world: FuturesBook, ticks: int) -> Path:
    """One day of random walks, underlying by underlying."""
    draw, table = stream(0, "benchmarks", "watch"), world.market.instruments
    coins = np.unique(table.base)
    weights = np.arange(1, coins.size + 1) ** -POPULARITY_EXPONENT
    chosen = draw.choice(coins.size, ticks, p=weights / weights.sum())
    count, x = np.bincount(chosen, minlength=coins.size), world.market.price
    rows = np.stack(
        [np.append(np.flatnonzero(table.base == coin), len(table) + coin) for coin in coins]
    )
    step = draw.normal(0.0, 1.0, ticks) * (world.moves[rows[:, 0]] / np.sqrt(count))[chosen]
    level = np.empty(ticks)
    for number in range(coins.size):
        mine = chosen == number
        level[mine] = np.exp(np.cumsum(step[mine]))
    moved = rows[chosen]
    values = x[moved] * level[:, np.newaxis]
    offsets = np.arange(ticks + 1, dtype=np.int64) * rows.shape[1]
    return Path(offsets, moved.ravel().astype(np.int32), values.ravel())


def difference(world: FuturesBook, watch: Watch, holds: bool) -> float:
    """How far statuses are from those a sweep finds at the market that the watch has come to.

    One that holds may keep a worse status, but must not miss one.
    """
    found = assess(world.book, watch.market, world.models).status.astype(np.int64)
    mine = watch.status.astype(np.int64)
    return relative_difference([(np.maximum(mine, found) if holds else found, mine)])


def one_by_one(world: FuturesBook, watch: Watch, path: Path) -> tuple[Floats, float]:
    """Seconds of each tick, and how far statuses were from a sweep's at sampled ticks."""
    ticks = path.offsets.size - 1
    taken, largest = np.empty(ticks), 0.0
    for number in range(ticks):
        tick = path.tick(number)
        start = perf_counter()
        watch.replay(*tick)
        taken[number] = perf_counter() - start
        if number % (ticks // SWEPT) == 0:
            largest = max(largest, difference(world, watch, True))
    return taken, largest


def through_engine(world: FuturesBook, path: Path, ticks: int) -> tuple[Floats, float]:
    """Seconds of each tick as a step of the live engine, from feed to decisions.

    The second figure counts the pools on whose failing the engine's watch and a sweep disagree.
    """
    running = start_engine(world.book, world.market)
    taken, time_ns = np.empty(ticks), running.market.as_of_ns
    for number in range(ticks):
        _, rows, values = path.tick(number)
        inputs = prices_at(time_ns + number + 1, rows, values)
        start = perf_counter()
        running.engine.step(inputs)
        taken[number] = perf_counter() - start
    return taken, status_difference(running)


def bytes_line(name: str, book: Book, live: LiveBook, watch: Watch) -> Line:
    """Bytes per position of live book and watch, beyond instrument, quantity and cost."""
    held = book.positions
    own = bytes_of(held.instrument, held.quantity, held.cost)
    extra = sum(live.memory_bytes.values()) + watch.stats.memory_bytes - own
    ratio, each = own / extra, extra / held.instrument.size
    return Line(name, each, "B/position", "the columns themselves", ratio, ratio, 0.0)


def memory_line(name: str, world: FuturesBook, watch: Watch) -> Line:
    """Bytes per position, beside those of the book's rows."""
    positions, book = world.book.positions.instrument.size, bytes_of(*world.book.rows)
    each, ratio = watch.stats.memory_bytes / positions, book / watch.stats.memory_bytes
    return Line(
        name,
        each,
        "B/position",
        "the book's rows",
        ratio,
        ratio,
        difference(world, watch, True),
    )
