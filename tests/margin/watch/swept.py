"""The slow witness of the watch: a full sweep at every tick, and levels told one pool at a time.

Levels are ``plimsoll.margin.watch``'s by definition, written out from its documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Status
from plimsoll.margin import ModelSet, assess, model_of_pools
from plimsoll.market import Market

Change = tuple[int, int, int, int, int, int]
"""Tick, pool, status before and after, level before and after."""


@dataclass
class Swept:
    """Standing of every pool, found by sweeps; ``pairs`` by model are (ratio, clears below)."""

    book: Book
    models: ModelSet
    levels: Sequence[tuple[float, float]] = ()
    holds: bool = False
    level: list[int] = field(default_factory=list)

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
        ratio, model = found.margin_ratio, model_of_pools(self.book)
        self.level += [0] * (self.book.pool_count - len(self.level))
        changes = set()
        for pool in range(5, self.book.pool_count):
            own, before = int(model[pool]), self.level[pool]
            pairs = self.pairs(own)
            after = self._level(
                int(found.status[pool]), float(ratio[pool]), before, pairs, pool in events
            )
            if after != before:
                was, now = self.status_of(own, before), self.status_of(own, after)
                changes.add((tick, pool, int(was), int(now), before, after))
            self.level[pool] = after
        return changes

    @staticmethod
    def _level(
        status: int, ratio: float, before: int, pairs: list[tuple[float, float]], is_event: bool
    ) -> int:
        if status == Status.UNKNOWN:
            return -1
        last = len(pairs)
        is_stuck = before > last and pairs[-1][1] == 0.0 and not is_event
        if status == Status.BANKRUPT or is_stuck:
            return last + 1
        level = 0
        for number, (reached, clears) in enumerate(pairs, 1):
            was_there = number <= before <= last
            if clears == 0.0 and was_there and not is_event:
                level = number
            elif clears == 0.0 or not was_there:
                level = number if ratio >= reached else level
            else:
                level = number if ratio >= clears else level
        return level

    @property
    def status(self) -> np.ndarray:
        """Statuses, shape [pools]; the system's pools are OK."""
        model = model_of_pools(self.book)
        status = [self.status_of(int(m), n) for m, n in zip(model, self.level, strict=True)]
        return np.array(status, dtype=np.int8)
