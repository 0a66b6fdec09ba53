"""Prices with provenance, and shocks to them.

Entry points: ``PriceBoard.observe`` takes observations in, ``Market`` is what the rest reads.
Invariants: a price that is missing, stale, not finite, of the wrong sign, unconfirmed after a
jump or short of quorum is NaN in ``Market.mark`` and ``Market.index`` and carries its reason
in ``Market.quality``; nothing is ever averaged over a source that failed its own checks.
"""

from plimsoll.market.board import PriceBatch, PriceBoard, SanityRules
from plimsoll.market.market import Market, Quality
from plimsoll.market.path import PricePath
from plimsoll.market.scenarios import ScenarioGrid, product_grid, shock_market
from plimsoll.market.state import SystemState
from plimsoll.market.surface import QuoteFlag, SliceModel, Surface

__all__ = [
    "Market",
    "PriceBatch",
    "PriceBoard",
    "PricePath",
    "Quality",
    "QuoteFlag",
    "SanityRules",
    "ScenarioGrid",
    "SliceModel",
    "Surface",
    "SystemState",
    "product_grid",
    "shock_market",
]
