"""Claim: through the crash of 10 October 2025 the watch finds what sweeping every tick finds.
Where a few prices move it costs a fraction of that; where all move by the hour, no more.

Real bars of 9 to 12 October: BTC, ETH and SOL every 15 minutes, and 477 perpetuals by the hour,
each bar taken as four ticks at which all of them move, on a generated book. What is found
liquidatable stays so. The peer sweeps the book at every tick, and accuracy counts the accounts on
which the two ever disagree; the limit is reading the book's rows once a tick. ``woken`` counts
accounts judged anew at a tick. Without the files (see ``PLIMSOLL_SHARED``) the built-in
path of the same day is taken.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.futures_book import FuturesBook, futures_on
from benchmarks.lines import Line, Load
from benchmarks.machine import bytes_of, stream_lap
from benchmarks.timing import time_laps
from plimsoll.connectors.prices import read_price_path
from plimsoll.core import NS_PER_SECOND, Floats, Int32s, Status, parse_time
from plimsoll.margin import assess, lay_out
from plimsoll.margin.watch import Watch, with_price_moves
from plimsoll.market import Market, PricePath
from plimsoll.simulation import crash_path, crash_table

START, END = "2025-10-09T00:00:00Z", "2025-10-13T00:00:00Z"
FILES = (
    ("majors_15m", "binance_perp_15m_ohlcv_2024-2026_BTC_ETH_SOL.parquet"),
    ("perps_1h", "binance_perp_1h_2025-10-08_13_all.parquet"),
)
TICKS_A_DAY = 96
WARM_ACCOUNTS = 500
SEED = 7


@dataclass(frozen=True, slots=True)
class Crash:
    """A book before the crash, and the rows of ``Market.price`` that each tick sets.

    ``prices`` [ticks, rows]: the marks of all contracts, then the index of their underlyings.
    """

    world: FuturesBook
    rows: Int32s
    prices: Floats


def measure(load: Load) -> Iterator[Line]:
    """The whole crash, from each file."""
    accounts = max(load.accounts)
    for name, file in FILES:
        path = _path(file, load.shrink)
        # A small one first, for what compiles at the first tick of a storm.
        list(_race(name, open_crash(path, WARM_ACCOUNTS)))
        crash = open_crash(path, accounts)
        yield from _race(f"watch_crash.{name}", crash)


def _path(file: str, shrink: int) -> PricePath:
    root = Path(os.environ.get("PLIMSOLL_SHARED") or "../shared")
    found = root / "data" / "prices" / file
    if shrink == 1 and found.is_file():
        return read_price_path(found, parse_time(START, file), parse_time(END, file))
    return crash_path(crash_table(), SEED, 86_400 * NS_PER_SECOND // TICKS_A_DAY)


def open_crash(path: PricePath, accounts: int) -> Crash:
    """A generated book on the linear contracts of a path that have a price throughout."""
    whole = np.flatnonzero(np.isfinite(path.price).all(axis=0))
    kept = [k for k in whole if path.symbols[k].endswith("/USDT:USDT")]
    symbols, price = tuple(path.symbols[k] for k in kept), path.price[:, kept]
    daily = np.std(np.diff(np.log(price), axis=0), axis=0) * TICKS_A_DAY**0.5
    world = futures_on(symbols, price[0], np.clip(daily, 0.01, 0.5), accounts, SEED)
    table = world.book.instruments
    marks = np.array([table.find(symbol, "watch_crash") for symbol in symbols])
    rows = np.concatenate([marks, len(table) + table.base[marks]]).astype(np.int32)
    return Crash(world, rows, np.hstack([price, price])[1:])


def _race(name: str, crash: Crash) -> Iterator[Line]:
    """Every tick once through the watch and once through a sweep, in turns."""
    world, ticks = crash.world, crash.prices.shape[0]
    plan = lay_out(world.book)
    moves = with_price_moves(world.market, world.moves)
    watch = Watch.arm(world.book, world.market, world.models, moves, holds=True)
    found, judged = watch.status >= Status.LIQUIDATABLE, watch.stats.evaluated
    one = np.array([0, crash.rows.size], dtype=np.int64)
    taken, swept, woken, missed = (np.zeros(ticks) for _ in range(4))
    for tick in range(ticks):
        prices = crash.prices[tick]
        start = perf_counter()
        watch.replay(one, crash.rows, prices)
        taken[tick] = perf_counter() - start
        market = _market_at(crash, tick)
        start = perf_counter()
        status = assess(world.book, market, world.models, plan).status
        swept[tick] = perf_counter() - start
        found |= status >= Status.LIQUIDATABLE
        woken[tick] = watch.stats.evaluated - judged
        judged = watch.stats.evaluated
        missed[tick] = np.count_nonzero(found != (watch.status >= Status.LIQUIDATABLE))
    (limit,) = time_laps(3, stream_lap(bytes_of(*world.book.rows)))
    for what, value, unit, ours, theirs in (
        ("total", taken.sum(), "s", taken.sum(), swept.sum()),
        ("median_tick", 1e3 * np.median(taken), "ms", np.median(taken), np.median(swept)),
        ("worst_tick", 1e3 * taken.max(), "ms", taken.max(), swept[taken.argmax()]),
        ("woken_mean", woken.mean(), "accounts/tick", taken.mean(), swept.mean()),
        ("woken_most", woken.max(), "accounts/tick", taken[woken.argmax()], swept[woken.argmax()]),
    ):
        times = ticks if what == "total" else 1
        yield Line(
            f"{name}.{what}", float(value), unit, "a sweep a tick",
            float(theirs / ours), float(times * limit.best / ours), float(missed.sum()),
        )  # fmt: skip


def _market_at(crash: Crash, tick: int) -> Market:
    price = crash.world.market.price.copy()
    price[crash.rows] = crash.prices[tick]
    return replace(crash.world.market, price=price)
