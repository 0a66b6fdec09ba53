"""The slow witness of the watch: a full sweep at every tick, and the levels it stands for.

Levels are ``plimsoll.margin.watch``'s by definition, written out from its documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Bools, Floats, Int8s, Int64s, Status
from plimsoll.margin import ModelSet, assess, model_of_pools
from plimsoll.margin.watch import Changes
from plimsoll.market import Market

Change = tuple[int, int, int, int, int, int]
"""Tick, pool, status before and after, level before and after."""
SYSTEM = 5
"""Pools that nobody owns come first."""


def seen(changes: Changes) -> list[Change]:
    """Rows of a watch's log, in its order."""
    columns = (
        changes.tick, changes.pool, changes.status_before, changes.status,
        changes.level_before, changes.level,
    )  # fmt: skip
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]


@dataclass
class Swept:
    """Standing of every pool, found by sweeps; ``pairs`` by model are (ratio, clears below)."""

    book: Book
    models: ModelSet
    levels: Sequence[tuple[float, float]] = ()
    holds: bool = False
    level: Int64s = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def pairs(self, model: int) -> list[tuple[float, float]]:
        """The ratios of one model, rising."""
        one = self.models.models[model]
        call = one.margin_call_ratio
        clear = one.margin_call_clear_ratio if self.holds else call
        return sorted([*self.levels, (call, clear), (1.0, 0.0 if self.holds else 1.0)])

    def status_of(self, model: int, level: int) -> int:
        """The status that a level stands for."""
        pairs = self.pairs(model)
        if level < 0:
            return Status.UNKNOWN
        if level > len(pairs):
            return Status.BANKRUPT
        if level == len(pairs):
            return Status.LIQUIDATABLE
        call = self.models.models[model].margin_call_ratio
        called = sum(ratio < call for ratio, _ in pairs)
        return Status.MARGIN_CALL if level > called else Status.OK

    def look(self, market: Market, tick: int, events: frozenset[int] = frozenset()) -> set[Change]:
        """Sweep the book; returns what changed. ``events`` are pools that have had one."""
        found = assess(self.book, market, self.models)
        model = model_of_pools(self.book)
        news = np.zeros(self.book.pool_count - self.level.size, dtype=np.int64)
        before = np.concatenate([self.level, news])
        is_event = np.zeros(before.size, dtype=np.bool_)
        is_event[list(events)] = True
        after = before.copy()
        for own in range(len(self.models.models)):
            mine = np.flatnonzero((model == own) & (np.arange(model.size) >= SYSTEM))
            after[mine] = self._levels(
                found.status[mine], found.margin_ratio[mine], before[mine], self.pairs(own),
                is_event[mine],
            )  # fmt: skip
        self.level = after
        changes = set()
        for pool in np.flatnonzero(after != before).tolist():
            own, old, new = int(model[pool]), int(before[pool]), int(after[pool])
            was, now = self.status_of(own, old), self.status_of(own, new)
            changes.add((tick, pool, int(was), int(now), old, new))
        return changes

    @staticmethod
    def _levels(
        status: Int8s, ratio: Floats, before: Int64s, pairs: list[tuple[float, float]],
        is_event: Bools,
    ) -> Int64s:  # fmt: skip
        """Levels of pools of one model, shape [pools]."""
        last, level = len(pairs), np.zeros(before.size, dtype=np.int64)
        for number, (reached, clears) in enumerate(pairs, 1):
            was_there = (number <= before) & (before <= last)
            if clears == 0.0:
                is_there = (ratio >= reached) | (was_there & ~is_event)
            else:
                is_there = ratio >= np.where(was_there, clears, reached)
            level[is_there] = number
        is_stuck = (before > last) & (pairs[-1][1] == 0.0) & ~is_event
        level[(status == Status.BANKRUPT) | is_stuck] = last + 1
        level[status == Status.UNKNOWN] = -1
        return level

    @property
    def status(self) -> Int8s:
        """Statuses, shape [pools]; the system's pools are OK."""
        model, status = model_of_pools(self.book), np.zeros(self.level.size, dtype=np.int8)
        for own in range(len(self.models.models)):
            # The last two numbers are those of level -1.
            levels = [*range(len(self.pairs(own)) + 2), -1]
            known = np.array([self.status_of(own, level) for level in levels], dtype=np.int8)
            status = np.where(model == own, known[self.level], status)
        status[:SYSTEM] = Status.OK
        return status
