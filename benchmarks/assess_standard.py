"""Claim: a sweep under ``plimsoll.standard`` takes few times as long as its memory traffic.

Two books: generated accounts with coins and orders, and a plain one of many contracts. The limit
is reading the book's rows once and writing the figures once.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.futures_book import FuturesBook, open_futures
from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.machine import bytes_of, touch_lap
from benchmarks.peers import NumpyStandard, PandasStandard, PolarsStandard
from benchmarks.timing import lap, time_laps
from benchmarks.world import World, open_world
from plimsoll.book import Book, SystemPool
from plimsoll.core import Floats, table_at
from plimsoll.margin import Assessment, assess, find_model
from plimsoll.margin.registry import model_tables

FIGURES = ("equity", "collateral_value", "initial_margin", "maintenance_margin")
COLUMNS = ["equity", "collateral", "initial", "maintenance"]
SLOW_REPEATS = 3


def measure(load: Load) -> Iterator[Line]:
    """Assessments with a kept plan; the peers give the four figures, pandas the status too."""
    for accounts in load.accounts:
        yield from _measure_world(open_world(accounts), accounts, load.repeats)
        yield from _measure_futures(open_futures(accounts), accounts, load.repeats)


def _measure_world(world: World, accounts: int, repeats: int) -> Iterator[Line]:
    book, market, plan = world.book, world.market, world.state.plan
    models = world.rules.models
    params = _params(book, market.as_of_ns)
    arrays, frames = NumpyStandard.build(book, params), PolarsStandard.build(book, params)
    mark, index = market.mark, market.index
    ours, by_arrays, limit = time_laps(
        repeats,
        lap(lambda: assess(book, market, models, plan)),
        lap(lambda: arrays.assess(mark, index)),
        touch_lap(bytes_read(world), bytes_told(assess(book, market, models, plan))),
    )
    # Last and alone: what its allocator gives back to the system slows whoever runs next.
    (by_frames,) = time_laps(min(repeats, 5), lap(lambda: frames.assess(mark, index)))
    found = assess(book, market, models, plan)
    threads = pl.thread_pool_size()
    for peer, timing, figures in (
        ("NumPy, kept row numbers", by_arrays, arrays.assess(mark, index)),
        (f"Polars group_by, {threads} threads", by_frames,
         _by_pool(frames.assess(mark, index), book.pool_count)),
    ):  # fmt: skip
        accuracy = _accuracy(found, figures)
        name = f"assess_standard.{accounts}"
        yield Race(ours, timing, limit).milliseconds(name, peer, accuracy)


def _measure_futures(futures: FuturesBook, accounts: int, repeats: int) -> Iterator[Line]:
    book, market, models = futures.book, futures.market, futures.models
    mark, index, params = market.mark, market.index, _params(book, market.as_of_ns)
    found, slow = assess(book, market, models), min(repeats, SLOW_REPEATS)
    touched = touch_lap(bytes_read(futures), bytes_told(found))
    ours, limit = time_laps(repeats, lap(lambda: assess(book, market, models)), touched)
    tables = PandasStandard.build(book, params)
    by_tables = time_laps(slow, lap(lambda: tables.assess(mark, index)))[0]
    figures = tables.assess(mark, index)
    accuracy = max(_accuracy(found, figures[COLUMNS].to_numpy().T), _differing(found, figures))
    name = f"assess_standard.futures.{accounts}"
    yield Race(ours, by_tables, limit).milliseconds(name, "pandas groupby", accuracy)
    frames = PolarsStandard.build(book, params)
    by_frames = time_laps(slow, lap(lambda: frames.assess(mark, index)))[0]
    accuracy = _accuracy(found, _by_pool(frames.assess(mark, index), book.pool_count))
    peer = f"Polars group_by, {pl.thread_pool_size()} threads"
    yield Race(ours, by_frames, limit).milliseconds(name, peer, accuracy)


def bytes_read(world: World | FuturesBook) -> int:
    """Bytes of the rows that any assessment must read once; offsets count once, not as ends too."""
    held, owned, orders = world.book.positions, world.book.balances, world.book.orders
    return bytes_of(
        world.book.pool_kind,
        held.offsets, held.instrument, held.quantity, held.cost,
        owned.offsets, owned.asset, owned.amount,
        orders.offsets, orders.instrument, orders.quantity, orders.price, orders.is_reduce_only,
    )  # fmt: skip


def bytes_told(found: Assessment) -> int:
    """Bytes of the figures that an assessment has to write: columns of zeros are not touched."""
    lines = [column for c in found.charges for column in (c.initial, c.maintenance)]
    figures = [getattr(found, name) for name in FIGURES]
    distinct = {id(column): column for column in (*figures, *lines) if column.any()}
    return bytes_of(found.status, *distinct.values())


def _params(book: Book, as_of_ns: int) -> dict[str, object]:
    """The table's parameters with the book's own brackets."""
    choice = book.models[0]
    params = table_at(model_tables(find_model(choice.name, "benchmarks")), as_of_ns).params
    added = msgspec.json.decode(choice.overrides).get("brackets", {})
    return {**params, "brackets": {**params["brackets"], **added}}


def _by_pool(frame: pl.DataFrame, pools: int) -> Floats:
    out = np.zeros((len(FIGURES), pools))
    out[:, frame["pool"].to_numpy()] = frame.select(COLUMNS).to_numpy().T
    return out


def _accuracy(found: Assessment, figures: Floats) -> float:
    customers = slice(len(SystemPool), None)
    return relative_difference(
        (getattr(found, name)[customers], row[customers])
        for name, row in zip(FIGURES, figures, strict=True)
    )


def _differing(found: Assessment, figures: pd.DataFrame) -> float:
    """How many statuses differ."""
    return float(np.count_nonzero(found.status != figures["status"].to_numpy()))
