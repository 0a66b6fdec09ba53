"""The way in: the portfolio document, ccxt's structures, venues' responses and price files.

Entry points: ``read_document`` and ``build_portfolio``; ``brackets_from_ccxt`` and
``brackets_from_fapi`` for parameters that an account overrides; for price files
``read_price_path`` in ``plimsoll.connectors.prices``, which stands apart so that only its users
load polars.
Invariants: what comes through is exact, finite and refers to what exists; what does not is
refused in one line with its place; a price that is missing or stale stays so, and never
becomes a number.
"""

from plimsoll.connectors.binance import brackets_from_ccxt, brackets_from_fapi
from plimsoll.connectors.build import Portfolio, build_portfolio
from plimsoll.connectors.decode import decode_document
from plimsoll.connectors.document import (
    AccountDocument,
    AssetDocument,
    InstrumentDocument,
    MarketDocument,
    Number,
    OrderDocument,
    PortfolioDocument,
    PositionDocument,
)
from plimsoll.connectors.files import read_document
from plimsoll.connectors.hyperliquid import hyperliquid_account
from plimsoll.connectors.schema import document_schema
from plimsoll.connectors.what_if import WhatIf, apply_what_if, read_what_if

__all__ = [
    "AccountDocument",
    "AssetDocument",
    "InstrumentDocument",
    "MarketDocument",
    "Number",
    "OrderDocument",
    "Portfolio",
    "PortfolioDocument",
    "PositionDocument",
    "WhatIf",
    "apply_what_if",
    "brackets_from_ccxt",
    "brackets_from_fapi",
    "build_portfolio",
    "decode_document",
    "document_schema",
    "hyperliquid_account",
    "read_document",
    "read_what_if",
]
