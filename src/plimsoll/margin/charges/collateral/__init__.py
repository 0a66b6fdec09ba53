"""What backs a pool: collateral that counts in full, pegs that break, loans and their cost.

Entry points: ``listed_collateral``, ``initial_of_loan``. Invariants: what is not listed is never
counted; charges are >= 0.
"""

from plimsoll.margin.charges.collateral.borrowing import borrowing_margin
from plimsoll.margin.charges.collateral.depeg import DepegTiers, hedged_volumes, quote_deltas
from plimsoll.margin.charges.collateral.listed import (
    ListedCollateral,
    listed_assets,
    listed_collateral,
)
from plimsoll.margin.charges.collateral.loans import initial_of_loan

__all__ = [
    "DepegTiers",
    "ListedCollateral",
    "borrowing_margin",
    "hedged_volumes",
    "initial_of_loan",
    "listed_assets",
    "listed_collateral",
    "quote_deltas",
]
