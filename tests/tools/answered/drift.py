"""One case for each adapter of Drift, by hand from the rule."""

from typing import Any

MARKETS = {
    "USDC": {"weight": 10000, "decimals": 6},
    "SOL": {"price": 100_000_000, "decimals": 9, "init_asset": 8000, "maint_asset": 9000,
            "init_liab": 12000, "maint_liab": 11000},
    "SOLPERP": {"price": 100_000_000, "margin_ratio_initial": 1000,
                "margin_ratio_maintenance": 500, "imf": 0, "upnl_asset_weights": 5000},
}  # fmt: skip


def peer_case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {"peer": "drift-v2", "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": 0}  # fmt: skip


ANSWERED: dict[str, dict[str, Any]] = {
    # 50 USDC, 2 SOL owed with 1 asked, a short of 3 that has won 40: 5 % and half of the gain.
    # The SOL are 300 owed at 1.1, for 100 received: collateral 50 + 100 + 20, requirement
    # 330 + 15 and a cent. The buffer adds 1 % of 300 and of 300.
    "drift_account_margin": peer_case(
        "drift_account_margin",
        {"usdc": 50_000_000, "sol": -2_000_000_000, "sol_asks": -1_000_000_000, "sol_orders": 1,
         "perps": [[-3_000_000_000, 340_000_000, 0]], "mt": "Maintenance", "buffer": 100,
         "markets": MARKETS, "open_order_margin": 10000},
        {"total_collateral": 170_000_000, "margin_requirement": 345_010_000,
         "total_collateral_plus_buffer": 170_000_000,
         "margin_requirement_plus_buffer": 351_010_000},
    ),
    # Long 2 at 50 for 90: 100 at 20 %, and a gain of 10.
    "drift_position_margin": peer_case(
        "drift_perp_margin",
        {"base": 2_000_000_000, "quote": -90_000_000, "oracle": 50_000_000,
         "margin_ratio_initial": 2000, "imf_factor": 0, "unrealized_pnl_imf_factor": 0,
         "unrealized_pnl_initial_asset_weight": 10000},
        {"margin_requirement": 20_000_000, "weighted_upnl": 10_000_000},
    ),
    # 9e5 of quote are 9e8 in 1e-9; the root of 9,000,000,001 is 94,868; 0.1 of that over 1e5 is
    # 0.094868: 1.1 over 1.094868 is 1.0046, so the weight stays; at a factor of 1 it is 0.5644.
    "drift_pnl_weight": peer_case(
        "drift_upnl_weight",
        {"unrealized_pnl": "900000", "unrealized_pnl_imf_factor": 1_000_000,
         "initial_asset_weight": 10000},
        {"weight": 5644},
    ),
    # The root of 10,000,000,001 is 100,000: 0.8 of 11,000 and 0.5 on top.
    "drift_spot_imf": peer_case(
        "drift_spot_imf",
        {"kind": "liability", "token_amount": 1_000_000, "decimals": 6, "imf_factor": 500_000,
         "weight": 11000},
        {"weight": 13800},
    ),
    # 30 tokens at 10 are three times the start.
    "drift_scaled_asset_weight": peer_case(
        "drift_scaled_asset_weight",
        {"initial_asset_weight": 8000, "scale_start": 100_000_000, "deposits_tokens": 30,
         "oracle_price": 10_000_000},
        {"weight": 2666},
    ),
}  # fmt: skip
