"""Stablecoin depeg: contracts in different quote currencies hedge each other only at par.

In each underlying the net exposures by quote currency are matched pair by pair; the matched
volume pays marginal factors that rise as the pair's index falls. Source: OKX, "Portfolio margin
mode: cross-margin trading (Risk Unit Merge)", MR9 (USDT-USD, then USDT-USDC, then USDC-USD).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s, sum_by
from plimsoll.margin.charges.tiers.caps import marginal_rows, read_tiers
from plimsoll.margin.charges.tiers.marginal import MarginalTiers


@dataclass(frozen=True, slots=True)
class DepegTiers:
    """Factors by index and hedged volume: ``tiers`` schedule k holds from ``index_floors`` k on."""

    index_floors: Floats
    tiers: MarginalTiers

    @classmethod
    def read(cls, table: Mapping[str, Sequence[Sequence[Any]]], place: str) -> "DepegTiers":
        """Tiers from rows (cap in USD, factor) under the lowest index each list holds at.

        Raises InputError where a key is no number or rows are of another form.
        """
        levels = {}
        for key, rows in table.items():
            try:
                floor = float(key)
            except ValueError:
                floor = np.nan
            if not 0 <= floor < np.inf:
                remedy = 'use the lowest index of the list, such as "0.995"'
                raise InputError(f"{place}.{key}", "is no index price", remedy)
            levels[floor] = marginal_rows(read_tiers(rows, 1, f"{place}.{key}"), np.nan)
        floors = sorted(levels)
        # Below the lowest index nothing is known: an empty schedule stands in front.
        return cls(np.array(floors), MarginalTiers.build([[], *(levels[f] for f in floors)]))

    def charge(self, index: Floats, hedged: Floats) -> Floats:
        """Charge in USD on hedged volumes (USD, >= 0) at index prices, elementwise.

        0 for no volume; NaN where the index or the volume lies outside what is listed.
        """
        schedule = np.where(
            np.isnan(index), 0, np.searchsorted(self.index_floors, index, side="right")
        )
        return self.tiers.amount(schedule.astype(np.int32), hedged)


def hedged_volumes(deltas: Sequence[Floats], pairs: Sequence[tuple[int, int]]) -> list[Floats]:
    """Volume that each pair of exposures offsets, >= 0, pairs in order, elementwise.

    ``deltas`` are net exposures in USD; what one pair has matched is gone for the next.
    """
    left = [np.array(delta, dtype=np.float64) for delta in deltas]
    volumes = []
    for first, second in pairs:
        # Compared so that a NaN stays one: what is not known is not known to be unhedged.
        apart = left[first] * left[second] >= 0
        volume = np.where(apart, 0.0, np.minimum(np.abs(left[first]), np.abs(left[second])))
        for k in (first, second):
            left[k] = left[k] - np.sign(left[k]) * volume
        volumes.append(volume)
    return volumes


def quote_deltas(
    group: Int64s, quote: Int32s, values: Floats, quotes: Sequence[int], count: int
) -> list[Floats]:
    """Values by slot added up by group, one column of shape [count] per quote asset."""
    return [sum_by(group, np.where(quote == asset, values, 0.0), count) for asset in quotes]
