"""One case for each adapter of Vega, by hand from the rule."""

from typing import Any


def peer_case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {"peer": "vega", "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": 0}  # fmt: skip


ANSWERED: dict[str, dict[str, Any]] = {
    # 3 × 101 × (0.1 + 0.05) = 45.45, and buys of 1: 10.1; 55.55 up to 56; 61.6, 67.2 and 78.4 down.
    "vega_cross_margin": peer_case(
        "vega_cross_margin_continuous",
        {"open_volume": 3, "buy_orders": 1, "sell_orders": 0, "mark_price": 101, "rf_long": 0.1,
         "rf_short": 0.2, "linear_slippage": 0.05},
        {"maintenance": 56, "search": 61, "initial": 67, "release": 78},
    ),
    # The best 2 of 3 buys close a short; 1 at 99 and 4 at 90 are 459, a third of it cut to 151.
    "vega_order_margin": peer_case(
        "vega_isolated_order_margin",
        {"position": -2, "orders": [["buy", 4, 90], ["buy", 3, 99]], "margin_factor": 0.33,
         "position_factor": 1, "auction_price": 0},
        {"order_margin": 151},
    ),
    # Half of 7 × 11 is 38.5, rounded down.
    "vega_transfer": peer_case(
        "vega_isolated_transfer",
        {"trades": [[7, 11]], "old_position": 3, "new_position": 10, "margin_factor": 0.5,
         "position_factor": 1},
        {"topup": 38, "release": 0},
    ),
    # Short 2 at 30 under a cap of 100: 140; of 3 buys at 20 and 1 sell at 50, 60 is the larger.
    "vega_collateral": peer_case(
        "vega_fully_collateralised",
        {"open_volume": -2, "entry_price": 30, "buy_size": 3, "vwap_buy": 20, "sell_size": 1,
         "vwap_sell": 50, "max_price": 100},
        {"margin": 200},
    ),
}  # fmt: skip
