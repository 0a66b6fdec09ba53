"""Minimum charge: a floor under a portfolio's requirement, what closing it would cost.

The raw minimum grows in marginal tiers of multipliers (the first slice counts once, the next
twice, ...): large positions cost more than in proportion to close. Source: OKEx, "scaling-factor
logic in Portfolio Margin mode", December 2021 (its example: a raw 30,000 becomes 50,000).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plimsoll.core import Floats
from plimsoll.margin.charges.tiers.caps import marginal_rows, read_tiers
from plimsoll.margin.charges.tiers.marginal import MarginalTiers

DEFAULT = "default"


def multiplier_tiers(
    table: Mapping[str, Sequence[Sequence[Any]]], names: Sequence[str], place: str
) -> MarginalTiers:
    """One schedule of multipliers per name, from rows (cap of the raw charge, multiplier).

    Names the table lacks get its default, else know nothing; past a last cap nothing is known.
    """
    found = {name: table.get(name, table.get(DEFAULT, ())) for name in names}
    return MarginalTiers.build(
        [
            marginal_rows(read_tiers(rows, 1, f"{place}.{name}", np.inf), np.nan)
            for name, rows in found.items()
        ]
    )


def minimum_excess(minimum: Floats, charged: Floats) -> Floats:
    """What a minimum asks beyond what is charged already, >= 0, elementwise; NaN stays NaN."""
    return np.maximum(minimum - charged, 0.0)
