"""Claim: through Python, a fill or a what-if costs microseconds and a tick far less than a sweep.

A fill is posted, its pool judged and guarded again. A what-if asks how an account of 50 positions
under 48 scenarios would stand after one more trade. A tick sets one mark and one index price. The
peer is ``step``, which sweeps; the limit of a call is one into compiled code that does nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from time import perf_counter

import numba as nb
import numpy as np

from benchmarks.desk import open_desk
from benchmarks.futures_book import open_futures
from benchmarks.lines import Line, Load
from benchmarks.timing import seconds
from plimsoll.book import Book, SystemPool
from plimsoll.core import Floats, Int32s, Status, stream
from plimsoll.engine import Inputs, LiveEngine, Rules, load_rules, open_state, step
from plimsoll.instruments import Kind
from plimsoll.ledger import EventBatch, Trades
from plimsoll.margin import assess
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market, PriceBatch, SanityRules

CALLS, TICKS, STEPS = 100_000, 2_000, 3
POSITIONS = 50
SEED = 5
SANITY = SanityRules(jump_max=100.0, age_ns_max=2**60)
PEER = "step, which sweeps"


@nb.njit(cache=True)
def _nothing(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
    return a + b + c + d + e + f


@dataclass(frozen=True, slots=True)
class Running:
    """A live engine that has seen its first prices."""

    engine: LiveEngine
    rules: Rules
    market: Market


def measure(load: Load) -> Iterator[Line]:
    """Fills and ticks by size of the book, then what-ifs."""
    for accounts in load.accounts:
        running = open_running(accounts)
        yield from _fills(running, accounts, load.shrink)
        yield _ticks(running, accounts, load.shrink)
    desk = open_desk(max(load.accounts))
    running = start_engine(desk.book, desk.market)
    market = replace(desk.market, as_of_ns=running.market.as_of_ns + 1)
    running.engine.observe(market)
    yield _what_ifs(replace(running, market=market), load.shrink)


@lru_cache(maxsize=1)
def open_running(accounts: int) -> Running:
    """The futures book in a live engine; the same at every call, as long as nobody fills."""
    world = open_futures(accounts)
    return start_engine(world.book, world.market)


def start_engine(book: Book, market: Market) -> Running:
    """A live engine over a book that has seen a market."""
    rules = load_rules(book.instruments, book.models, SANITY, market.as_of_ns)
    state = open_state(replace(book, time_ns=market.as_of_ns), ("feed",))
    rows = np.flatnonzero(np.isfinite(market.price)).astype(np.int32)
    first = prices_at(market.as_of_ns, rows, market.price[rows]).prices
    engine = LiveEngine.open(replace(state, board=state.board.observe(first, rules.sanity)), rules)
    engine.step(_no_prices(market.as_of_ns + 1))
    # Where that came as a storm, what is measured is the calm after it.
    while engine.watch.stats.loose:
        engine.observe(engine.market)
    return Running(engine, rules, engine.market)


def prices_at(time_ns: int, rows: Int32s, prices: Floats) -> Inputs:
    """Prices of one feed, by row of ``Market.price``, as the inputs of a step."""
    source, times = np.zeros(rows.size, np.int32), np.full(rows.size, time_ns, dtype=np.int64)
    return Inputs(time_ns, PriceBatch(source, rows, prices, times), EventBatch(time_ns))


def _no_prices(time_ns: int, trades: Trades | None = None) -> Inputs:
    events = EventBatch(time_ns) if trades is None else EventBatch(time_ns, trades=trades)
    return Inputs(time_ns, PriceBatch.nothing(), events)


def _rows(trades: Trades) -> list[tuple[int, int, int]]:
    columns = trades.instrument, trades.quantity, trades.price
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _one(trades: Trades, k: int) -> Trades:
    return Trades(*(getattr(trades, column.name)[k : k + 1] for column in fields(Trades)))


def trades_at(market: Market, pools: int, count: int) -> Trades:
    """Trades of a few hundred dollars with the market at mark, anybody's in any contract."""
    table, random = market.instruments, stream(SEED, "benchmarks", "live_engine", "trades")
    mark = market.mark
    usable = np.flatnonzero(np.isfinite(mark) & ~table.of_kind(Kind.SPOT))
    instrument = random.choice(usable, count).astype(np.int32)
    usd = random.lognormal(5.0, 1.0, count) * random.choice([-1.0, 1.0], count)
    each = notional_coefficient(table, mark, market.index)[instrument]
    quantity = np.rint(usd / each / table.quantity_unit[instrument]).astype(np.int64)
    price = np.rint(mark / table.price_unit)[instrument].astype(np.int64)
    zeros = np.zeros(count, dtype=np.int64)
    return Trades(
        random.integers(len(SystemPool), pools, count).astype(np.int32),
        np.full(count, SystemPool.MARKET, dtype=np.int32),
        instrument,
        np.where(quantity == 0, 1, quantity),
        np.maximum(price, 1),
        zeros,
        zeros.astype(np.int8),
    )


def status_difference(running: Running) -> float:
    """Pools on whose failing the engine's watch and a sweep disagree."""
    engine = running.engine
    swept = assess(engine.book.snapshot(), engine.market, running.rules.models).status
    failing = Status.LIQUIDATABLE
    return float(np.count_nonzero((swept >= failing) != (engine.watch.status >= failing)))


def _best(call: Callable[[int], object]) -> float:
    return min(seconds(partial(call, k)) for k in range(STEPS))


def _call() -> float:
    """Seconds of one call that does nothing, the median of many."""
    times = []
    for k in range(1000):
        times.append(perf_counter())
        _nothing(k, k, k, k, k, k)
    return float(np.median(np.diff(times)))


def _fills(running: Running, accounts: int, shrink: int) -> Iterator[Line]:
    """Small trades with the market at mark, all over the book; the last book equals the peer's."""
    trades, state = (
        trades_at(running.market, running.engine.book.pool_count, max(CALLS // shrink, 20)),
        running.engine.state(),
    )
    taken, time_ns = fill_times(running, trades), running.market.as_of_ns
    batches = [_one(trades, k) for k in range(STEPS)]
    inputs = [_no_prices(time_ns, batch) for batch in batches]
    peer = _best(lambda k: step(state, running.rules, inputs[k]))
    accuracy = status_difference(running)
    for name, value in (("fill", np.median(taken)), ("fill_p99", np.quantile(taken, 0.99))):
        yield Line(
            f"live_engine.{name}.{accounts}", float(1e6 * value), "us", PEER,
            float(peer / value), _call() / float(value), accuracy,
        )  # fmt: skip


def fill_times(running: Running, trades: Trades) -> Floats:
    """Seconds of each trade as a fill of the engine."""
    engine, time_ns = running.engine, running.market.as_of_ns
    pools, times = trades.pool.tolist(), []
    for pool, (instrument, quantity, price) in zip(pools, _rows(trades), strict=True):
        times.append(perf_counter())
        engine.fill(pool, SystemPool.MARKET, instrument, quantity, price, 0, time_ns)
    times.append(perf_counter())
    return np.diff(times)


def _ticks(running: Running, accounts: int, shrink: int) -> Line:
    """One mark and its index at a time, through the engine's whole step."""
    engine, table = running.engine, running.engine.book.instruments
    random, price = stream(SEED, "benchmarks", "live_engine"), running.market.price.copy()
    taken, time_ns = [], running.market.as_of_ns
    for _ in range(max(TICKS // shrink, 10)):
        time_ns += 1_000_000
        i = int(random.integers(len(table)))
        rows = np.array([i, len(table) + table.base[i]], dtype=np.int32)
        price[rows] *= np.exp(random.normal(0.0, 5e-4))
        inputs = prices_at(time_ns, rows, price[rows])
        start = perf_counter()
        engine.step(inputs)
        taken.append(perf_counter() - start)
    state = engine.state()
    peer = _best(lambda _: step(state, running.rules, _no_prices(time_ns)))
    mean = float(np.mean(taken))
    return Line(
        f"live_engine.tick.{accounts}", 1e6 * mean, "us", PEER, peer / mean, _call() / mean,
        status_difference(running),
    )  # fmt: skip


def _what_ifs(running: Running, shrink: int) -> Line:
    """One account that has been given 50 positions, asked about one more trade each time."""
    engine, time_ns = running.engine, running.market.as_of_ns
    trades = trades_at(running.market, running.engine.book.pool_count, max(CALLS // shrink, 20))
    pool = int(trades.pool[0])
    for k in np.unique(trades.instrument, return_index=True)[1][:POSITIONS]:
        instrument, quantity, price = _rows(trades)[k]
        engine.fill(pool, SystemPool.MARKET, instrument, quantity, price, 0, time_ns)
    rows, times = _rows(trades), []
    for instrument, quantity, price in rows:
        times.append(perf_counter())
        told = engine.what_if(pool, instrument, quantity, price)
    times.append(perf_counter())
    median = float(np.median(np.diff(times)))
    peer = _best(lambda _: engine.what_if_posted(pool, *rows[-1]))
    posted = engine.what_if_posted(pool, *rows[-1])
    difference = abs(float(told.maintenance_margin[0] - posted.maintenance_margin[0]))
    return Line(
        f"live_engine.what_if.{POSITIONS}", 1e6 * median, "us", "apply, then assess",
        peer / median, _call() / median, difference,
    )  # fmt: skip
