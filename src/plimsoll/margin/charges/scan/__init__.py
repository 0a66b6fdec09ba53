"""Scenario scans: contracts revalued, pools reduced over the matrix, and what a scan leaves out.

Entry points: ``contract_profits``, ``scan_groups``, ``worst_loss``. Invariants: no move is no
profit, rows that hold nothing are skipped, NaN stays NaN, sums run in the order of the rows.
"""

from plimsoll.margin.charges.scan.collateral import (
    depeg_loss,
    independent_excess,
    quote_notional,
    residual_haircuts,
)
from plimsoll.margin.charges.scan.contracts import (
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
from plimsoll.margin.charges.scan.delta_shock import delta_shock_charge, exposed_delta
from plimsoll.margin.charges.scan.extended import (
    CellRules,
    ExtendedGrid,
    RiskVectors,
    SpotValues,
    VolRanges,
    extended_grid,
    net_short_charge,
    risk_vectors,
    scan_vectors,
    vol_moves,
    weigh_cells,
    worst_of_units,
)
from plimsoll.margin.charges.scan.joint import (
    Fills,
    JointColumns,
    JointScan,
    RiskRows,
    ScanSide,
    VolShocks,
    order_fills,
    ranged_moves,
    risk_rows,
    row_profits,
    scan_jointly,
    unit_vol_moves,
)
from plimsoll.margin.charges.scan.roll import net_by_expiry, offset_charge, roll_rates, roll_shock
from plimsoll.margin.charges.scan.vol_columns import worst_columns

__all__ = [
    "CellRules",
    "ExtendedGrid",
    "Fills",
    "JointColumns",
    "JointScan",
    "Moves",
    "RiskRows",
    "RiskVectors",
    "ScanSide",
    "SpotValues",
    "VolRanges",
    "VolShocks",
    "contract_delta",
    "contract_profits",
    "contract_vega",
    "delta_shock_charge",
    "depeg_loss",
    "exposed_delta",
    "extended_grid",
    "grids_by_base",
    "in_usd",
    "independent_excess",
    "model_values",
    "net_by_expiry",
    "net_short_charge",
    "offset_charge",
    "option_years",
    "order_fills",
    "quote_notional",
    "ranged_moves",
    "residual_haircuts",
    "risk_rows",
    "risk_vectors",
    "roll_rates",
    "roll_shock",
    "row_profits",
    "scan_groups",
    "scan_jointly",
    "scan_vectors",
    "unit_vol_moves",
    "vol_moves",
    "weigh_cells",
    "worst_columns",
    "worst_loss",
    "worst_of_units",
]
