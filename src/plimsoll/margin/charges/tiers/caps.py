"""Tiers as many venues list them: by cap, the largest size that a tier still takes.

Two rules read such a list. By the *whole-position* rule one tier's rates hold for all of a
position; by the *marginal* rule each slice pays its own rate, as in ``MarginalTiers``. Sources:
position tiers and discount rate tiers as the public API of OKX lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s, offsets_from_counts
from plimsoll.margin.charges.tiers.brackets import find_rows, pick_rows

Tier = tuple[float, ...]
"""The cap of a tier, then its figures."""


def read_tiers(rows: object, width: int, place: str, high: float = 1.0) -> list[Tier]:
    """Tiers (cap, figures...) from rows of a table, each with ``width`` figures from 0 to high.

    A cap of null or inf has no end. One more number behind the figures is a size step: tiers
    of that size, their figures rising evenly, fill the way from the row before. Raises
    InputError, naming ``place``, where rows are of another form or caps do not rise.
    """
    out: list[Tier] = []
    for number, row in enumerate(rows if isinstance(rows, Sequence) else (None,)):
        where = f"{place}[{number}]"
        if not _is_row(row, width):
            problem = f"is no row of a cap and {width} more numbers"
            raise InputError(where, problem, "write [cap, figures...] or [cap, figures..., step]")
        cap = np.inf if row[0] is None else _number(row[0], where, np.inf)
        figures = tuple(_number(value, where, high) for value in row[1 : width + 1])
        if cap <= (out[-1][0] if out else 0.0):
            raise InputError(where, f"the cap {cap:g} does not rise", "sort the tiers by cap")
        if len(row) == width + 1:
            out.append((cap, *figures))
        else:
            step = _number(row[-1], where, np.inf)
            out += _steps(out[-1] if out else None, (cap, *figures), step, where)
    return out


def _is_row(row: object, width: int) -> bool:
    is_list = isinstance(row, Sequence) and not isinstance(row, str)
    return is_list and len(row) - 1 - width in (0, 1)  # type: ignore[arg-type]


def _number(value: object, place: str, high: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= high:  # type: ignore[operator]
        raise InputError(place, f"{value!r} is no number from 0 to {high:g}", "mend it")
    return float(value)  # type: ignore[arg-type]


def _steps(before: Tier | None, last: Tier, step: float, place: str) -> list[Tier]:
    """The tiers from the row before to the last one, evenly spaced."""
    if before is None or not np.isfinite(last[0]):
        problem, remedy = "a step needs a row before it and an end", "list the tier it starts from"
        raise InputError(place, problem, remedy)
    count = round((last[0] - before[0]) / step) if step else 0
    if not count or not np.isclose(before[0] + count * step, last[0], rtol=1e-12, atol=0.0):
        problem = f"steps of {step:g} do not lead from {before[0]:g} to {last[0]:g}"
        raise InputError(place, problem, "mend the step or the cap")
    figures = list(zip(before[1:], last[1:], strict=True))
    return [
        (before[0] + k * step, *(a + (b - a) * k / count for a, b in figures))
        for k in range(1, count + 1)
    ]


def marginal_rows(tiers: Sequence[Tier], beyond: float) -> list[tuple[float, float]]:
    """Rows (floor, rate) for ``MarginalTiers``; past the last cap, if it ends, ``beyond`` holds.

    ``beyond`` is NaN where nothing is known of larger sizes. No tiers, no rows.
    """
    floors = [0.0, *(cap for cap, *_ in tiers)]
    rates = [*(tier[1] for tier in tiers), beyond]
    ends = bool(tiers) and np.isfinite(floors[-1])
    return list(zip(floors, rates, strict=True))[: len(tiers) + ends]


@dataclass(frozen=True, slots=True)
class WholeTiers:
    """Schedules whose tier holds for the whole size; schedule s owns rows offsets[s] onward.

    ``floors`` are exclusive but for the first; each of ``figures`` has one entry per row, NaN in
    the row past a schedule's end.
    """

    offsets: Int64s
    floors: Floats
    figures: tuple[Floats, ...]

    @classmethod
    def build(cls, schedules: Sequence[Sequence[Tier]], width: int) -> "WholeTiers":
        """Schedules of tiers with ``width`` figures; an empty one knows nothing."""
        ended = [[*s, (np.inf, *[np.nan] * width)] if s else [] for s in schedules]
        floors = [floor for s in schedules if s for floor in (0.0, *(tier[0] for tier in s))]
        rows = np.array([tier for s in ended for tier in s]).reshape(-1, width + 1)
        return cls(
            offsets_from_counts(np.array([len(s) for s in ended], dtype=np.int64)),
            np.array(floors, dtype=np.float64),
            tuple(np.ascontiguousarray(rows[:, k + 1]) for k in range(width)),
        )

    def find(self, schedule: Int32s, size: Floats) -> Int64s:
        """The row that each size >= 0 falls into, elementwise; -1 where nothing is known.

        A size equal to a cap is still in the tier below it.
        """
        out = np.empty(size.size, dtype=np.int64)
        find_rows(self.offsets, self.floors, schedule, size, out)
        return out

    def figure(self, column: int, row: Int64s) -> Floats:
        """A figure of each found row; NaN where nothing is known."""
        return pick_rows(self.figures[column], row)
