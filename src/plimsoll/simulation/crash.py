"""A price path of 10-11 October 2025 that needs no download: published anchors, seeded between.

The anchors and their sources are in ``crash_2025_10_10.toml``. Between two anchors the log price
is a Brownian bridge around the straight line, driven by one factor common to all symbols and one
of its own per symbol. The path is a demonstration: true at its anchors, made up between them.
"""

import numpy as np

from plimsoll.core import (
    NS_PER_SECOND,
    DatedTable,
    Floats,
    InputError,
    Int64s,
    load_tables,
    parse_time,
    stream,
    table_at,
)
from plimsoll.market.path import PricePath

CRASH_START_NS = 1_760_054_400_000_000_000
"""2025-10-10T00:00:00Z, the first instant of the path."""

_NS_PER_DAY = 86_400 * NS_PER_SECOND


def crash_table() -> DatedTable:
    """The anchors of the crash of 10 October 2025, with their sources."""
    tables = load_tables("plimsoll.simulation", "crash_2025_10_10")
    return table_at(tables, CRASH_START_NS)


def crash_path(table: DatedTable, seed: int, step_ns: int) -> PricePath:
    """Prices every ``step_ns`` and at every anchor, in each symbol's quote currency.

    Anchors are met exactly, and no price falls below its symbol's lowest anchor, so the
    published low stays the low. The same seed and step give the same path. Raises InputError
    for a step shorter than a second.
    """
    if step_ns < NS_PER_SECOND:
        raise InputError("step", f"{step_ns} ns is too short", "give at least one second")
    anchors = {name: _anchors(name, rows) for name, rows in table.params["anchors"].items()}
    knots = np.unique(np.concatenate([times for times, _ in anchors.values()]))
    time_ns = np.union1d(np.arange(knots[0], knots[-1], step_ns, dtype=np.int64), knots)
    random = stream(seed, "crash")
    shared = _brownian(random, time_ns)
    correlation = table.params["correlation"]
    price = np.empty((time_ns.size, len(anchors)))
    for column, (name, (times, levels)) in enumerate(anchors.items()):
        own = _brownian(random, time_ns)
        noise = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own
        noise *= table.params["volatility_daily"][name]
        bridge = _bridge(time_ns, times, levels, noise)
        # On ticks, so that a last-bit difference in exp between machines does not show.
        price[:, column] = np.round(bridge, table.params["price_decimals"][name])
    return PricePath(tuple(anchors), time_ns, price, f"{table.name}: {table.source}, seed {seed}")


def _anchors(name: str, rows: list[tuple[str, float, str]]) -> tuple[Int64s, Floats]:
    times = [parse_time(text, f"anchors.{name}") for text, _, _ in rows]
    return np.array(times, dtype=np.int64), np.array([level for _, level, _ in rows])


def _brownian(random: np.random.Generator, time_ns: Int64s) -> Floats:
    """Brownian motion at ``time_ns``, zero at the first, variance 1 per day."""
    days = np.diff(time_ns) / _NS_PER_DAY
    steps = np.sqrt(days) * random.standard_normal(days.size)
    return np.concatenate([np.zeros(1), np.cumsum(steps)])


def _bridge(time_ns: Int64s, times: Int64s, levels: Floats, noise: Floats) -> Floats:
    """Prices at ``time_ns``: log-linear between anchors, plus the noise tied to zero there."""
    # Counted from the start, nanoseconds stay exact as floats.
    at, knots = time_ns - times[0], times - times[0]
    anchor_rows = np.searchsorted(time_ns, times)
    trend = np.interp(at, knots, np.log(levels))
    tied = noise - np.interp(at, knots, noise[anchor_rows])
    price: Floats = np.maximum(np.exp(trend + tied), levels.min())
    price[anchor_rows] = levels
    return price
