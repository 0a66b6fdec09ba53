"""Charges shared by margin models: each once, each a function over columns.

Entry points: ``MarginalTiers`` (brackets, haircuts, discounts), ``contract_profits`` and
``scan_groups`` (scenarios), ``open_order_charge``. Invariants: charges are >= 0, keep NaN as
NaN, know no venue, and add up in the order of the rows; numbers come from the venue's table.
"""

from plimsoll.margin.charges.orders import open_order_charge, worst_side
from plimsoll.margin.charges.scan import (
    Moves,
    contract_delta,
    contract_profits,
    contract_vega,
    grids_by_base,
    in_usd,
    model_values,
    option_years,
    scan_groups,
    worst_loss,
)
from plimsoll.margin.charges.size import size_scaled_excess
from plimsoll.margin.charges.sums import (
    ExpirySums,
    group_pool,
    slot_pool,
    sum_by_expiry,
    sum_segmented,
    sum_slots,
)
from plimsoll.margin.charges.tiers import MarginalTiers, cumulative_amounts, schedules

__all__ = [
    "ExpirySums",
    "MarginalTiers",
    "Moves",
    "contract_delta",
    "contract_profits",
    "contract_vega",
    "cumulative_amounts",
    "grids_by_base",
    "group_pool",
    "in_usd",
    "model_values",
    "open_order_charge",
    "option_years",
    "scan_groups",
    "schedules",
    "size_scaled_excess",
    "slot_pool",
    "sum_by_expiry",
    "sum_segmented",
    "sum_slots",
    "worst_loss",
    "worst_side",
]
