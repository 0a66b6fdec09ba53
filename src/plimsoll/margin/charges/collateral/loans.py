"""Loans against collateral: what a debt needs, in the terms of a margin.

A lender counts each collateral at two fractions of its value: one that may be borrowed, one at
which it liquidates. Sources: Aave v3 (loan-to-value, liquidation threshold); Compound III
(borrow and liquidate collateral factors).
"""

import numpy as np

from plimsoll.core import Floats


def initial_of_loan(debt: Floats, at_liquidation: Floats, at_borrow: Floats) -> Floats:
    """The initial margin of a debt beside collateral counted at ``at_liquidation``, USD >= 0.

    ``at_borrow`` is the same collateral at its borrowing fraction; all in USD, elementwise. The
    result is at most ``at_liquidation`` exactly where the debt is at most ``at_borrow``: debt ×
    at_liquidation / at_borrow. Where nothing may be borrowed it is the debt and all of the
    collateral, which nothing covers.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = debt * (at_liquidation / at_borrow)
    most = debt + at_liquidation
    bounded = np.where(scaled > most, most, scaled)
    return np.where(debt == 0, 0.0, np.where(at_borrow == 0, most, bounded))
