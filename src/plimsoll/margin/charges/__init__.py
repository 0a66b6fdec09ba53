"""Charges shared by margin models: each once, each a function over columns.

Entry points: ``MarginalTiers`` (brackets, haircuts, discounts), ``size_scaled_excess``,
``worst_side``. Invariants: charges are >= 0, rise with exposure, keep NaN as NaN, and know no
venue; schedules come from the venue's table.
"""

from plimsoll.margin.charges.orders import open_order_charge, worst_side
from plimsoll.margin.charges.size import size_scaled_excess
from plimsoll.margin.charges.tiers import MarginalTiers, cumulative_amounts, schedules

__all__ = [
    "MarginalTiers",
    "cumulative_amounts",
    "open_order_charge",
    "schedules",
    "size_scaled_excess",
    "worst_side",
]
