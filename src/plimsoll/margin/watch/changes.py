"""What a watch tells: changes of standing, and what finding them has cost."""

from dataclasses import dataclass

from plimsoll.core import Int8s, Int32s


@dataclass(frozen=True, slots=True)
class Changes:
    """Pools whose standing changed, in order of ticks; columns of equal length.

    ``tick`` counts from the first one of the call. ``level`` is how many of the watched margin
    ratios are reached, one more for a bankrupt pool, -1 for one that is UNKNOWN.
    """

    tick: Int32s
    pool: Int32s
    status_before: Int8s
    status: Int8s
    level_before: Int8s
    level: Int8s


@dataclass(frozen=True, slots=True)
class WatchStats:
    """What a watch has done since it was armed, and what it holds.

    ``evaluated`` pools by compiled code and ``assessed`` ones by ``assess``; ``renewed`` guards
    that were moved to other steps; ``updates`` of legs in ``lists`` brought up; ``loose`` pools
    are without guards at present. ``bytes`` by part of the watch.
    """

    evaluated: int
    assessed: int
    renewed: int
    updates: int
    lists: int
    loose: int
    bytes: tuple[tuple[str, int], ...]

    @property
    def memory_bytes(self) -> int:
        """All bytes."""
        return sum(size for _, size in self.bytes)
