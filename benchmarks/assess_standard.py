"""Claim: a sweep of a whole book under ``plimsoll.standard`` takes a fraction of a second."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.machine import bytes_of, stream_lap
from benchmarks.peers import NumpyStandard, PolarsStandard
from benchmarks.timing import lap, time_laps
from benchmarks.world import World, open_world
from plimsoll.book import SystemPool
from plimsoll.core import Floats, table_at
from plimsoll.margin import Assessment, assess, find_model
from plimsoll.margin.registry import model_tables

FIGURES = ("equity", "collateral_value", "initial_margin", "maintenance_margin")


def measure(load: Load) -> Iterator[Line]:
    """Assessments with a kept plan; the peers give the four figures, no charges, no status."""
    for accounts in load.accounts:
        yield from _measure_book(open_world(accounts), accounts, load.repeats)


def _measure_book(world: World, accounts: int, repeats: int) -> Iterator[Line]:
    book, market, plan = world.book, world.market, world.state.plan
    models = world.rules.models
    tables = model_tables(find_model(models.models[0].model.name, "benchmarks"))
    params = table_at(tables, market.as_of_ns).params
    arrays, frames = NumpyStandard.build(book, params), PolarsStandard.build(book, params)
    mark, index = market.mark, market.index
    ours, by_arrays, limit = time_laps(
        repeats,
        lap(lambda: assess(book, market, models, plan)),
        lap(lambda: arrays.assess(mark, index)),
        stream_lap(bytes_read(world)),
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


def bytes_read(world: World) -> int:
    """Bytes of the columns that any assessment with a kept plan must read once."""
    held, owned, orders = world.book.positions, world.book.balances, world.book.orders
    layout = world.state.plan.layouts[0]
    return bytes_of(
        held.instrument, held.quantity, held.cost, layout.position_slot,
        owned.asset, owned.amount, layout.balance_cell,
        orders.instrument, orders.quantity, orders.price, orders.is_reduce_only, layout.order_slot,
        layout.slot_instrument, layout.slot_cell, layout.slot_group,
        layout.cell_asset, layout.cell_offsets, layout.group_underlying, layout.group_offsets,
    )  # fmt: skip


def _by_pool(frame: pl.DataFrame, pools: int) -> Floats:
    out = np.zeros((len(FIGURES), pools))
    columns = ("equity", "collateral", "initial", "maintenance")
    out[:, frame["pool"].to_numpy()] = frame.select(columns).to_numpy().T
    return out


def _accuracy(found: Assessment, figures: Floats) -> float:
    customers = slice(len(SystemPool), None)
    return relative_difference(
        (getattr(found, name)[customers], row[customers])
        for name, row in zip(FIGURES, figures, strict=True)
    )
