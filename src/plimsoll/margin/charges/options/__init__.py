"""Options beyond a scan: minimums, what an expiry can lose at most, pairing into strategies.

Entry points: ``strategy_margin`` and ``settlement_losses``. Invariants: a pairing never asks
more than the legs alone; the order of positions changes no bit.
"""

from plimsoll.margin.charges.options.minimum import option_minimum
from plimsoll.margin.charges.options.spread import ExpiryGroups, expiry_groups, settlement_losses
from plimsoll.margin.charges.options.strategies import (
    Holdings,
    Legs,
    StockRules,
    list_holdings,
    sort_legs,
    strategy_margin,
)

__all__ = [
    "ExpiryGroups",
    "Holdings",
    "Legs",
    "StockRules",
    "expiry_groups",
    "list_holdings",
    "option_minimum",
    "settlement_losses",
    "sort_legs",
    "strategy_margin",
]
