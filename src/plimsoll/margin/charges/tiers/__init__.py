"""Rates that depend on size: marginal tiers, whole-position tiers, slopes and roots, minimums.

Entry points: ``MarginalTiers`` and ``schedules``. Invariants: an amount rises with its size,
floors rise from 0, what has no tier is NaN.
"""

from plimsoll.margin.charges.tiers.brackets import Brackets, pick_rows
from plimsoll.margin.charges.tiers.caps import WholeTiers, marginal_rows, read_tiers
from plimsoll.margin.charges.tiers.marginal import MarginalTiers, cumulative_amounts, schedules
from plimsoll.margin.charges.tiers.minimum import minimum_excess, multiplier_tiers
from plimsoll.margin.charges.tiers.root_size import root_size_rate, root_size_weight
from plimsoll.margin.charges.tiers.size import size_scaled_excess

__all__ = [
    "Brackets",
    "MarginalTiers",
    "WholeTiers",
    "cumulative_amounts",
    "marginal_rows",
    "minimum_excess",
    "multiplier_tiers",
    "pick_rows",
    "read_tiers",
    "root_size_rate",
    "root_size_weight",
    "schedules",
    "size_scaled_excess",
]
