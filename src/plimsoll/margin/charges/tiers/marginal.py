"""Marginal tiers, as an income tax has them: each slice of a value at its own rate.

One rule serves maintenance and initial brackets, collateral haircuts and discount tiers. The
amount of a value in tier n is value * rate_n - cumulative_n, where the constant
cumulative_n = floor_n * (rate_n - rate_(n-1)) + cumulative_(n-1) makes it continuous.
Source: Binance FAQ "How to calculate liquidation price of USD-M futures contracts"
(maintenance amount); it reproduces the venue's own constants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s, offsets_from_counts
from plimsoll.margin.kernels import tier_amounts


@dataclass(frozen=True, slots=True)
class MarginalTiers:
    """Tier schedules as one CSR table; schedule s owns rows offsets[s] to offsets[s + 1].

    ``floors`` are in the unit of the value (USD), ``rates`` fractions.
    """

    offsets: Int64s
    floors: Floats
    rates: Floats
    cumulative: Floats

    @classmethod
    def build(cls, rows: Sequence[Sequence[tuple[float, float]]]) -> "MarginalTiers":
        """Schedules from (floor, rate) rows; an empty schedule knows nothing (NaN)."""
        floors = [np.array([floor for floor, _ in tiers], dtype=np.float64) for tiers in rows]
        rates = [np.array([rate for _, rate in tiers], dtype=np.float64) for tiers in rows]
        constants = [cumulative_amounts(f, r) for f, r in zip(floors, rates, strict=True)]
        none = [np.zeros(0)]
        return cls(
            offsets_from_counts(np.array([len(tiers) for tiers in rows], dtype=np.int64)),
            np.concatenate(floors + none),
            np.concatenate(rates + none),
            np.concatenate(constants + none),
        )

    def amount(self, schedule: Int32s, value: Floats) -> Floats:
        """Amount of each value >= 0 on its schedule, elementwise; 0 at 0, NaN at NaN."""
        out = np.empty(value.size)
        tier_amounts(self.offsets, self.floors, self.rates, self.cumulative, schedule, value, out)
        return out

    @property
    def first_rate(self) -> Floats:
        """Rate of each schedule's first tier, NaN where it has none, shape [schedules]."""
        known = np.diff(self.offsets) > 0
        first = np.full(known.size, np.nan)
        first[known] = self.rates[self.offsets[:-1][known]]
        return first


def cumulative_amounts(floors: Floats, rates: Floats, first: float = 0.0) -> Floats:
    """The constants of one schedule, from its floors and rates; ``first`` is the first one."""
    steps = floors[1:] * np.diff(rates)
    return np.concatenate([np.full(min(floors.size, 1), first), first + np.cumsum(steps)])


def schedules(
    table: Mapping[str, Sequence[Sequence[float]]], names: Sequence[str], column: int, place: str
) -> MarginalTiers:
    """Schedules for ``names``, in order, from rows (floor, rate, ...) by name.

    ``column`` picks the rate. Names the table lacks get an empty schedule. Raises InputError
    where floors do not rise from 0 or a rate is no fraction.
    """
    rows: list[list[tuple[float, float]]] = []
    for name in names:
        listed = table.get(name, ())
        try:
            tiers = [(_number(row[0]), _number(row[column])) for row in listed]
        except (TypeError, ValueError, IndexError, KeyError):
            problem, remedy = "rows are not numbers", f"give rows of at least {column + 1} numbers"
            raise InputError(f"{place}.{name}", problem, remedy) from None
        floors = [floor for floor, _ in tiers]
        if tiers and (floors[0] != 0 or any(np.diff(floors) <= 0)):
            raise InputError(f"{place}.{name}", "floors do not rise from 0", "sort the tiers")
        if not all(0 <= rate <= 1 for _, rate in tiers):
            raise InputError(f"{place}.{name}", "a rate is no fraction", "use 0.05 for 5 %")
        rows.append(tiers)
    return MarginalTiers.build(rows)


def _number(value: object) -> float:
    # Text that reads as a number would let "nan" in.
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
