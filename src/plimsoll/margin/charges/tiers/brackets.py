"""Position brackets: marginal maintenance rates, and a limit of leverage for whole positions.

A bracket says two things of a position whose notional falls into it: the maintenance rate of
its last slice, and the highest leverage at which all of it may be held. Sources: Binance FAQ
"Leverage and Margin of USD-M Futures"; its API names the columns notionalFloor,
maintMarginRatio and initialLeverage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s
from plimsoll.margin.charges.tiers.marginal import MarginalTiers, schedules


@dataclass(frozen=True, slots=True)
class Brackets:
    """Bracket schedules: ``leverage`` has one row for each row of ``tiers``."""

    tiers: MarginalTiers
    leverage: Floats

    @classmethod
    def build(
        cls, table: Mapping[str, Sequence[Any]], names: Sequence[str], place: str
    ) -> "Brackets":
        """Schedules for ``names``, in order, from rows (floor, maintenance rate, leverage).

        Names the table lacks get an empty schedule. Raises InputError where floors do not rise
        from 0, a rate is no fraction, or a leverage is below 1 or leaves less initial margin
        than the maintenance rate asks.
        """
        tiers = schedules(table, names, 1, place)
        limits: list[float] = []
        for name in names:
            for number, row in enumerate(table.get(name, ())):
                where = f"{place}.{name}[{number}]"
                limits.append(_leverage(row, where))
        return cls(tiers, np.array(limits, dtype=np.float64))

    def find(self, schedule: Int32s, notional: Floats) -> Int64s:
        """The row of the bracket that each notional >= 0 falls into; -1 where nothing is known.

        A notional that ends exactly at a floor is still in the bracket below it.
        """
        out = np.empty(notional.size, dtype=np.int64)
        find_rows(self.tiers.offsets, self.tiers.floors, schedule, notional, out)
        return out


def pick_rows(column: Floats, rows: Int64s) -> Floats:
    """The figure of each row, NaN for row -1."""
    return np.append(column, np.nan)[rows]


def _leverage(row: Sequence[Any], place: str) -> float:
    leverage = row[2] if len(row) == 3 else None
    if isinstance(leverage, bool) or not isinstance(leverage, int | float) or not leverage >= 1:
        remedy = "give rows of floor, maintenance rate, highest leverage"
        raise InputError(place, f"{leverage!r} is no leverage of 1 or more", remedy)
    if 1 / leverage < row[1]:
        problem = f"{leverage:g}x leaves less margin than the maintenance rate {row[1]:g}"
        raise InputError(place, problem, "lower the leverage or the rate")
    return float(leverage)


@nb.njit(cache=True, nogil=True)
def find_rows(offsets: Int64s, floors: Floats, ids: Int32s, values: Floats, out: Int64s) -> None:
    """out[k] = the row of schedule ids[k] that values[k] falls into; -1 if empty or NaN."""
    for k in range(values.size):
        first, end = offsets[ids[k]], offsets[ids[k] + 1]
        value = values[k]
        if first == end or value != value:
            out[k] = -1
            continue
        row = first
        while row + 1 < end and value > floors[row + 1]:
            row += 1
        out[k] = row
