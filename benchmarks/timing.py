"""Seconds: contestants run in turn, so that a noisy moment falls on all of them alike."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep
from typing import TypeAlias

REST = 0.1
"""Seconds between laps."""
Lap: TypeAlias = Callable[[], float]
"""Does its work once and returns the seconds of the part that counts."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of some laps: ``best`` is the least disturbed, ``median`` what to expect."""

    best: float
    median: float


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = perf_counter()
    call()
    return perf_counter() - start


def lap(call: Callable[[], object]) -> Lap:
    """A lap that counts all of a call."""
    return lambda: seconds(call)


def time_laps(repeats: int, *laps: Lap) -> tuple[Timing, ...]:
    """Timings of some laps, run in turn ``repeats`` times after one that does not count.

    The first one compiles and fills caches. The collector is off, as in ``timeit``. Each lap waits
    a moment: threads of the one before, BLAS's above all, look for work for a while and would take
    a core from it.
    """
    for run in laps:
        run()
    gc.collect()
    gc.disable()
    try:
        taken = [[_rested(run) for run in laps] for _ in range(repeats)]
    finally:
        gc.enable()
    return tuple(Timing(min(each), median(each)) for each in zip(*taken, strict=True))


def _rested(run: Lap) -> float:
    sleep(REST)
    return run()
