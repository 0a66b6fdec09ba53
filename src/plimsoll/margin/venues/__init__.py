"""One rule file and one dated table for each margin model.

Entry point: the ``MODEL`` of each module that ``VENUES`` lists, a line each; ``margin.registry``
loads them. Invariants: a rule file reads like the venue's rule sheet; numbers stand in the table
beside it, dated, sourced and never edited in place; what no source confirms is marked there.
"""

VENUES: tuple[str, ...] = (
    "plimsoll_standard",
    "plimsoll_portfolio",
    "aave_v2",
    "aave_v3",
    "binance_coinm",
    "binance_portfolio",
    "binance_usdm",
    "bitmex_cross",
    "bitmex_isolated",
    "bybit_cross",
    "bybit_portfolio",
    "cboe_regt",
    "cme_span",
    "compound_v3",
    "deribit_cross_pm",
    "deribit_segregated_pm",
    "deribit_standard",
    "derive_pmrm1",
    "derive_pmrm2",
    "derive_standard",
    "drift_v2",
    "dydx_v4",
    "ftx_2022",
    "gmx_v2",
    "hyperliquid_cross",
    "kraken_futures",
    "lighter_cross",
    "mango_v4",
    "occ_tims",
    "okx_multi_currency",
    "okx_portfolio",
    "paradex_cross",
    "paradex_portfolio",
    "synthetix_v3",
    "vega_capped",
    "vega_cross",
    "vega_isolated",
)

__all__ = ["VENUES"]
