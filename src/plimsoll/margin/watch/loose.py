"""Pools without guards: in a storm they are swept at every tick, and guarded again as it dies down.

To judge and guard a pool, and to give its guards up again, takes about ``GUARD_COST`` times what
sweeping it does. So when one tick would have more than a few thousand pools judged, they lose
their guards instead and are *loose*: a sweep of them alone says how they stand, at that tick and
at every later one. While many more come loose none is guarded again; then a share of them at a
time is. Where those soon come loose again the watch waits, longer each time: while a storm lasts
it sweeps.

Guards must earn what they cost. A purse, in pools swept, takes in what guarded pools save at each
tick and ``FREE_SHARE`` of a sweep; who is guarded again is paid from it. It holds no more than
``PURSE_MAX`` sweeps, and is full when pools come loose of a book that is guarded whole. So while
any pool is loose, whatever prices do, sweeping and guarding again take no more than
1 + ``FREE_SHARE`` sweeps a tick and ``PURSE_MAX`` in all. It counts pools and reads no clock: a
replay decides alike.
"""

from collections.abc import Iterator
from typing import final

import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Bools, Int32s, Int64s
from plimsoll.margin.assessment import Assessment
from plimsoll.margin.model import ModelSet
from plimsoll.market import Market

CROWD_MAX, CROWD_SHARE, CROWD_MIN = 2_000, 16, 8
"""Guards that may fire at one tick: so many, or one pool in so many of a small book."""
STORM_SHARE = 100
"""A storm lasts while more than one pool in so many comes loose at a tick."""
PAUSE_MAX = 64
"""Ticks to wait at most before some are guarded again."""
WHOLE_SHARE = 0.95
"""Part of the book from which on all of it is swept."""
GUARD_SHARE, GUARD_MIN = 40, 256
"""One loose pool in so many is guarded again at a tick, and at least so many."""
GUARD_COST = 27.0
"""Sweeps of a pool that guarding it takes, with giving it up: measured on a million pools."""
SAVED_SHARE = 0.75
"""Part of its sweep that a guarded pool saves: following prices takes the rest."""
FREE_SHARE, PURSE_MAX = 0.025, 10.0
"""Sweeps of the book that go to guards at each tick, saved or not, and that the purse holds."""


def crowd_of(pools: int) -> int:
    """How many guards may fire at one tick before their pools come loose."""
    return min(CROWD_MAX, max(CROWD_MIN, pools // CROWD_SHARE))


@final
class Loose:
    """The loose pools of a watch, as a mask over its pools."""

    __slots__ = (
        "_fresh", "_next", "_pause", "_pools", "_purse", "_taken", "_wait", "count", "mask",
    )  # fmt: skip

    _pools: Int64s | None

    def __init__(self) -> None:
        """None yet."""
        self.mask: Bools = np.zeros(0, dtype=np.bool_)
        self._pools = None
        self._fresh = self._taken = self._wait = self._next = 0
        self._pause, self._purse = 1, 0.0
        self.count = 0

    @property
    def pools(self) -> Int64s:
        """The pools, rising."""
        if self._pools is None:
            self._pools = np.flatnonzero(self.mask)
        return self._pools

    def add(self, pools: Int32s, all_pools: int) -> None:
        """More pools, whose guards have been given up; of a book of so many pools."""
        if self.mask.size < all_pools:
            self.mask = np.concatenate(
                [self.mask, np.zeros(all_pools - self.mask.size, dtype=np.bool_)]
            )
        if not self.count:
            self._purse = self._purse_max
        self._fresh += pools.size
        self.mask[pools], self._pools = True, None
        self.count = int(np.count_nonzero(self.mask))

    def drop(self, pools: Int64s) -> None:
        """Pools that are judged and guarded by somebody else."""
        if self.count:
            known = pools[pools < self.mask.size]
            # Each is named once.
            self.count -= int(np.count_nonzero(self.mask[known]))
            self.mask[known], self._pools = False, None

    def take_due(self) -> Int64s:
        """Take out the pools to guard again after a tick.

        None where many came loose, or half as many as were guarded again last: that work was
        lost, and the next try waits twice as long. Else as many as the purse pays for, each pool
        in its turn.
        """
        fresh, self._fresh = self._fresh, 0
        self._save()
        if fresh > max(self.mask.size // STORM_SHARE, self._taken // 2):
            self._pause = min(2 * self._pause, PAUSE_MAX)
            self._wait, self._taken = self._pause, 0
        elif self._wait > 0:
            self._wait -= 1
        else:
            wanted = max(GUARD_MIN, self.count // GUARD_SHARE)
            wanted, first = min(wanted, int(self._purse / GUARD_COST)), self._first()
            due = self.pools[first : first + wanted]
            self._pause, self._taken = max(self._pause - 1, 1), due.size
            self._purse -= GUARD_COST * due.size
            self._next = int(due[-1]) + 1 if due.size else self._next
            self.drop(due)
            return due
        return np.zeros(0, dtype=np.int64)

    @property
    def _purse_max(self) -> float:
        """What the purse holds, enough for one pool at least."""
        return max(PURSE_MAX * self.mask.size, GUARD_COST)

    def _save(self) -> None:
        """Take in what one tick has saved."""
        everybody = self.mask.size
        saved = SAVED_SHARE * (everybody - self.count) + FREE_SHARE * everybody
        self._purse = min(self._purse + saved, self._purse_max)

    def _first(self) -> int:
        """Where the pools lie whose turn it is."""
        first = int(np.searchsorted(self.pools, self._next))
        return first if first < self.count else 0


def sweep_loose(
    rows: Rows, loose: Loose, model: Int32s, market: Market, models: ModelSet
) -> Iterator[tuple[Int64s, Assessment]]:
    """Assessments of the loose pools, of each model by its sweep; an empty column is all pools.

    A book of one model that is mostly loose is swept as it lies: that takes less than picking.
    """
    nobody = np.zeros(0, dtype=np.int64)
    is_one = len(models.models) == 1
    is_whole = is_one and loose.count >= WHOLE_SHARE * rows.kind.size
    owner = model[loose.pools] if not is_one else nobody
    for number, resolved in enumerate(models.models):
        pools = loose.pools if is_one else loose.pools[owner == number]
        if not pools.size:
            continue
        if resolved.model.sweep is None:
            raise AssertionError(f"{resolved.model.name} is watched and has no sweep")
        sheet = resolved.model.sweep.prepare(market, resolved)
        found = resolved.model.sweep.run(rows, None if is_whole else pools, sheet)
        yield nobody if is_whole else pools, found
