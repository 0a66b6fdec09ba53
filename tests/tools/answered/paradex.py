"""One case for each adapter of paradex: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

# Paradex docs, "Liquidations": the row of 40 %, which uses a fee of 50 %.
ALICE = {"account_value": 80, "mmr": 88.8, "share": 0.4, "liquidation_fee": "0.5 in it"}
ANSWERED: dict[str, dict[str, Any]] = {
    # Paradex docs, "Cross margin requirement": short 1, buys of 3 and sells of 2 at 90,000.
    "net_requirement": venue_case(
        "Paradex",
        "paradex_cross_imr",
        {"position": -1, "buy_orders": 3, "sell_orders": 2, "imf": 0.02, "mark": 90000},
        {"buy_open": 2, "sell_open": 3, "net_imr": 5400, "net_mmr": 900},
    ),
    "partial_liquidation": venue_case(
        "Paradex",
        "partial liquidation",
        ALICE,
        {"new_mmr": 53.28, "penalty": 17.76, "new_av": 62.24, "min_share": 0.4},
    ),
    # By hand: 1,000 - 300, and half of 300.
    "account_summary": venue_case(
        "Paradex",
        "account summary identities",
        {"account_value": 1000, "initial_margin_requirement": 300},
        {"free_collateral": 700, "maintenance_margin_requirement": 150},
    ),
    # Paradex docs, "Portfolio margin", minimum delta example (2 % and 1 %): long 1 perpetual,
    # short 5 calls of delta 0.3 on a spot of 70,000.
    "delta_requirement": venue_case(
        "Paradex",
        "portfolio margin, minimum delta",
        {"positions": [{"size": 1, "delta": 1}, {"size": -5, "delta": 0.3}], "spot": 70000},
        {"net_delta": -0.5, "gross_delta": 2.5, "hedged_delta": 1.0, "min_delta_risk": 1400},
    ),
}
