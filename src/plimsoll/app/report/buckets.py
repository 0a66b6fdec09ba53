"""Ticks gathered into buckets of time, so that a long replay stays drawable."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import NS_PER_SECOND, Floats, Int64s

TICKS_MAX = 5_000
"""Up to here every tick is drawn; beyond, ticks are gathered."""

BUCKETS_MAX = 2_000

_MINUTE_NS = 60 * NS_PER_SECOND
_HOUR_NS = 60 * _MINUTE_NS
_WIDTHS = (
    (NS_PER_SECOND, "second"),
    (5 * NS_PER_SECOND, "5 seconds"),
    (15 * NS_PER_SECOND, "15 seconds"),
    (_MINUTE_NS, "minute"),
    (5 * _MINUTE_NS, "5 minutes"),
    (15 * _MINUTE_NS, "15 minutes"),
    (_HOUR_NS, "hour"),
    (4 * _HOUR_NS, "4 hours"),
    (24 * _HOUR_NS, "day"),
    (7 * 24 * _HOUR_NS, "week"),
)
BAR_NS_MIN = 15 * _MINUTE_NS
"""Bars gather at least this much time."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """B buckets that hold at least one tick, each ``width_ns`` wide.

    ``start_ns`` int64[B] are whole multiples of the width (UTC); ``first_row`` int64[B] is each
    one's first tick; ``width_name`` reads after "per".
    """

    width_ns: int
    width_name: str
    start_ns: Int64s
    first_row: Int64s


def gather_ticks(time_ns: Int64s, width_ns_min: int) -> Buckets:
    """The narrowest buckets from ``width_ns_min`` on that are no more than ``BUCKETS_MAX``."""
    span_ns = int(time_ns[-1] - time_ns[0])
    fitting = (
        width for width in _WIDTHS if width[0] >= width_ns_min and span_ns < width[0] * BUCKETS_MAX
    )
    width_ns, width_name = next(fitting, _WIDTHS[-1])
    start_ns, first_row = np.unique(time_ns - time_ns % width_ns, return_index=True)
    return Buckets(width_ns, width_name, start_ns, first_row)


def extreme_rows(values: Floats, buckets: Buckets) -> Int64s:
    """Ascending rows of ``values`` [T] that hold each bucket's lowest and highest value.

    A bucket of NaN alone keeps a row of NaN, so the gap stays a gap.
    """
    sizes = np.diff(buckets.first_row, append=values.size)
    bucket = np.repeat(np.arange(sizes.size), sizes)
    unknown = np.isnan(values)
    rising = np.lexsort((np.where(unknown, np.inf, values), bucket))
    lowest = rising[buckets.first_row]
    rising = np.lexsort((np.where(unknown, -np.inf, values), bucket))
    highest = rising[buckets.first_row + sizes - 1]
    return np.union1d(lowest, highest)
