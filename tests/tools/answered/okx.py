"""One case for each adapter of okx: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

# OKX, docs-v5, POST /api/v5/account/position-builder, response example (15 January 2025): 100 USDT,
# 10 contracts short of BTC-USDT-SWAP and 10 long of LTC-USDT-SWAP.
BTC_GRID = {
    "0": 0,
    "0.08": -776.2739496480004,
    "-0.08": 776.2739496480004,
    "0.04": -388.1369748240002,
    "0.12": -1164.4109244719994,
    "-0.12": 1164.4109244719994,
    "-0.04": 388.1369748240002,
}
CLOSE_TO = {"kind": "abs", "value": 1e-8}

ANSWERED: dict[str, dict[str, Any]] = {
    # OKX, GET /api/v5/public/discount-rate-interest-free-quota, the documentation's sample: 20 BTC
    # at 98 %, the next 5 at 97.75 %.
    "discounted_asset": venue_case(
        "OKX",
        "discount rate, tiered",
        {"amount": 24, "price": 50000, "tiers": [[20, 0.98], [25, 0.9775], [None, 0.975]]},
        {"discounted": 50000 * (20 * 0.98 + 4 * 0.9775)},
    ),
    # By hand: 3 coins at 20 USD, at 95 %.
    "okx_discounted_equity": venue_case(
        "OKX",
        "discounted equity disEq",
        {"eq": 3, "price": 20, "discount": 0.95},
        {"disEq": 57, "eqUsd": 60},
    ),
    # By hand: 2 coins long from 100 at 110 on a margin of 25; fee 0.05 %, tick 0.01.
    "okx_contract_position": venue_case(
        "OKX",
        "isolated linear contract: mmr, mgnRatio, liqPx",
        {"qty_coin": 2, "avgPx": 100, "markPx": 110, "margin": 25, "mmr_rate": 0.01,
         "liq_fee_rate": 0.0005, "tick": 0.01, "lever": 10},
        {"mmr": 2.2, "mgnRatio": 45 / 2.31, "liqPx": 175 / 1.979 + 0.01, "upl": 20, "imr": 22},
    ),
    # OKX help, option margin of 2020: [max(0.1, 0.15 - 100 / 5900) * 1.02 + 0.0575] * 0.1 BTC.
    "okx_option_position": venue_case(
        "OKX",
        "option margin, short call",
        {"otm": 100, "forward": 5900, "factor": 1.02, "mark": 0.0575, "multiplier": 0.1},
        {"position_margin_btc": ((0.15 - 100 / 5900) * 1.02 + 0.0575) * 0.1,
         "mmr": (0.03 * 1.02 + 0.0575) * 0.1},
    ),
    # By hand: 0.5 * 2,000 + 30 * 0.99.
    "okx_isolated_equities": venue_case(
        "OKX",
        "isolated equity total in USD",
        {"eth_isoEq": 0.5, "eth_usd": 2000, "usdt_isoEq": 30, "usdt_usd": 0.99},
        {"isoEq": 1029.7},
    ),
    # By hand.
    "okx_funded_margin": venue_case(
        "OKX", "isolated margin after funding", {"margin": 5, "funding": 0.25}, {"margin": 5.25}
    ),
    # By hand: 0.4 % of 2,000 on top of a loss of 30 with a fee of 1.
    "okx_liquidation_record": venue_case(
        "OKX",
        "liquidation record",
        {"closed_notional": 2000, "mmr_rate": 0.004, "pnl": -30, "fee": -1},
        {"liqPenalty": -8, "realizedPnl": -39},
    ),
    # OKX, GET /api/v5/public/position-tiers of ETH-USDT swaps, 28 May 2026.
    "okx_position_tiers": venue_case(
        "OKX",
        "position tiers ETH-USDT swap",
        {"tiers": [1, 4, 99], "contract_value_eth": 0.1},
        {
            "rows": {
                "1": {"max_contracts": 5000, "mmr": 0.004, "imr": 0.01, "max_leverage": 100},
                "4": {"max_contracts": 50000, "mmr": 0.0125, "imr": 0.025, "max_leverage": 40},
                "99": {"max_contracts": 2425000, "mmr": 0.4875, "imr": 0.5, "max_leverage": 2},
            }
        },
    ),
    "okx_risk_unit": venue_case(
        "OKX",
        "portfolio margin, risk unit",
        {"instId": "BTC-USDT-SWAP", "contracts": -10, "contract_value_btc": 0.01, "mark": 97093.7,
         "entry": 100000, "usdt_usd": 0.99954, "mr1_grid_usd": BTC_GRID,
         "mr6_pnl_at_plus24pct": -2328.8218489440005, "perp_mr4_rate": 0.002,
         "perp_mr7_rate": 0.0045, "imr_factor": 1.3},
        {"delta_usd": -9704.903689800001, "upl_usd": 290.49631020000027,
         "mr1": 1164.4109244719994, "mr4": 19.4098073796, "mr6": 1164.4109244720003,
         "mr7": 43.67206660410001, "mmr": 1183.8207318516002, "imr": 1538.9669514070802},
        tolerance=CLOSE_TO,
    ),
    "okx_portfolio_totals": venue_case(
        "OKX",
        "portfolio margin, account totals",
        {"unit_mmr": [1183.8207318516002, 191.6629744572], "usdt_liability": 78589.37,
         "usdt_usd": 0.99954},
        {"derivMmr": 1375.4837063088003, "borrowMmr": 1571.064377796,
         "borrowImr": 7855.32188898, "totalMmr": 2946.5480841048, "totalImr": 9643.45070718144,
         "eq": -78553.21888979999, "marginRatio": -25.95365779811705},
        tolerance=CLOSE_TO,
    ),
    # By hand with the tiers of 15 January 2025: 250,000 + 2 * 100,000 beside a loss of 300,000.
    "okx_minimum_charge": venue_case(
        "OKX",
        "PM MR7 tiered minimum charge",
        {"mr_scenario": 300000, "mr7_raw": 350000, "tiers": [[250000, 1], [500000, 2]]},
        {"mmr_before": 350000, "mr7_adj": 450000, "mmr_after": 450000},
    ),
    # By hand: 1,000,000 * 0.5 % + 2,000,000 * 1 %.
    "okx_stablecoin_hedge": venue_case(
        "OKX",
        "PM MR9 stablecoin hedge risk",
        {"hedged_usd": 3e6, "tiers": [[1e6, 0.005], [5e6, 0.01]]},
        {"mr9": 25000},
    ),
    # OKX, docs-v5, the sample's BTC unit.
    "okx_initial_factor": venue_case(
        "OKX",
        "PM IMR factor",
        {"mmr": 1183.8207318516002, "factor": 1.3},
        {"imr": 1538.9669514070802},
    ),
}  # fmt: skip
