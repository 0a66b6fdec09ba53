"""Prices with provenance, and shocks to them.

Entry points: ``PriceBoard.observe`` takes observations in, ``PriceBoard.market`` gives what the
rest reads, ``PriceBoard.remember`` keeps what the next market depends on; ``load_anchors`` reads
what collateral redeems for. Invariants: a price that is missing, stale, frozen, not finite, of the
wrong sign, unconfirmed after a jump, apart from other sources or short of them is NaN in
``Market.mark`` and ``Market.index`` and carries its reason in ``Market.quality``; nothing is ever
averaged over a source that failed its own checks or that most others contradict.
"""

from plimsoll.market.anchors import load_anchors
from plimsoll.market.board import PriceBatch, PriceBoard
from plimsoll.market.combine import sources_needed
from plimsoll.market.market import Market, Quality
from plimsoll.market.path import PricePath
from plimsoll.market.sanity import Anchor, AverageBand, Reference, SanityRules
from plimsoll.market.scenarios import ScenarioGrid, product_grid, shock_market
from plimsoll.market.state import SystemState
from plimsoll.market.surface import QuoteFlag, SliceModel, Surface

__all__ = [
    "Anchor",
    "AverageBand",
    "Market",
    "PriceBatch",
    "PriceBoard",
    "PricePath",
    "Quality",
    "QuoteFlag",
    "Reference",
    "SanityRules",
    "ScenarioGrid",
    "SliceModel",
    "Surface",
    "SystemState",
    "load_anchors",
    "product_grid",
    "shock_market",
    "sources_needed",
]
