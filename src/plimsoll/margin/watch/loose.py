"""Pools without guards: in a storm they are swept at every tick, and guarded again as it dies down.

To judge and guard a pool takes some fifty times what sweeping it does. So when one tick would have
more than a few thousand pools judged, they lose their guards instead and are *loose*: a sweep of
them alone says how they stand, at that tick and at every later one. While many more come loose
none is guarded again; then a share of them at a time is, about as many as take as long as the
sweep of the rest. Where those soon come loose again the watch waits, longer each time: while a
storm lasts it sweeps. No tick costs much more than sweeping the book.
"""

from typing import final

import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Floats, Int8s, Int32s, Int64s
from plimsoll.margin.model import ModelSet
from plimsoll.market import Market

CROWD_MAX, CROWD_SHARE, CROWD_MIN = 2_000, 16, 8
"""Guards that may fire at one tick: so many, or one pool in so many of a small book."""
STORM_SHARE = 100
"""A storm lasts while more than one pool in so many comes loose at a tick."""
PAUSE_MAX = 64
"""Ticks to wait at most before some are guarded again."""
GUARD_SHARE, GUARD_MIN = 40, 256
"""One loose pool in so many is guarded again at a tick, and at least so many."""


def crowd_of(pools: int) -> int:
    """How many guards may fire at one tick before their pools come loose."""
    return min(CROWD_MAX, max(CROWD_MIN, pools // CROWD_SHARE))


@final
class Loose:
    """The loose pools of a watch, as a mask over its pools."""

    __slots__ = ("_fresh", "_mask", "_pause", "_taken", "_wait", "count")

    def __init__(self) -> None:
        """None yet."""
        self._mask = np.zeros(0, dtype=np.bool_)
        self._fresh = self._taken = self._wait = 0
        self._pause = 1
        self.count = 0

    @property
    def pools(self) -> Int64s:
        """The pools, rising."""
        return np.flatnonzero(self._mask)

    def add(self, pools: Int32s, all_pools: int) -> None:
        """More pools, whose guards have been given up; of a book of so many pools."""
        if self._mask.size < all_pools:
            self._mask = np.concatenate(
                [self._mask, np.zeros(all_pools - self._mask.size, dtype=np.bool_)]
            )
        self._fresh += pools.size
        self._mask[pools] = True
        self.count = int(np.count_nonzero(self._mask))

    def drop(self, pools: Int64s) -> None:
        """Pools that are judged and guarded by somebody else."""
        if self.count:
            known = pools[pools < self._mask.size]
            # Each is named once.
            self.count -= int(np.count_nonzero(self._mask[known]))
            self._mask[known] = False

    def take_due(self) -> Int64s:
        """Take out the pools to guard again after a tick.

        None where many came loose, or half as many as were guarded again last: that work was
        lost, and the next try waits twice as long.
        """
        fresh, self._fresh = self._fresh, 0
        if fresh > max(self._mask.size // STORM_SHARE, self._taken // 2):
            self._pause = min(2 * self._pause, PAUSE_MAX)
            self._wait, self._taken = self._pause, 0
        elif self._wait > 0:
            self._wait -= 1
        else:
            due = self.pools[: max(GUARD_MIN, self.count // GUARD_SHARE)]
            self._pause, self._taken = max(self._pause - 1, 1), due.size
            self.drop(due)
            return due
        return np.zeros(0, dtype=np.int64)


def sweep_some(
    rows: Rows, pools: Int64s, model: Int32s, market: Market, models: ModelSet
) -> tuple[Int8s, Floats]:
    """Status and margin ratio of some pools of models that have a sweep, shape [pools]."""
    status, ratio = np.zeros(pools.size, dtype=np.int8), np.zeros(pools.size)
    owner = model[pools]
    for number in np.unique(owner):
        at, resolved = np.flatnonzero(owner == number), models.models[number]
        if resolved.model.sweep is None:
            raise AssertionError(f"{resolved.model.name} is watched and has no sweep")
        sheet = resolved.model.sweep.prepare(market, resolved)
        found = resolved.model.sweep.run(rows, pools[at], sheet)
        status[at], ratio[at] = found.status, found.margin_ratio
    return status, ratio
