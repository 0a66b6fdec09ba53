"""The house's and the venues' waterfalls as dated tables, and which margin model has which.

Entry point: ``liquidation.waterfall.preset``, which reads NAME.toml for every name in
``PRESETS`` and ``models.toml``. Invariants: a block is never edited once it is in force, a new
one is added; every figure has its source in the block, and what no source confirms is listed
there under ``[table.unconfirmed]`` by its path, with the reason.
"""

PRESETS: tuple[str, ...] = (
    "house",
    "aave",
    "aave_v2",
    "binance",
    "bitmex",
    "bybit",
    "deribit",
    "derive",
    "drift",
    "dydx",
    "hyperliquid",
    "mango",
    "okx",
    "paradex",
    "synthetix",
    "vega",
)
"""The house's first, then by name."""

__all__ = ["PRESETS"]
