"""One case for each adapter of dYdX, by hand from the rule."""

from typing import Any

MARKET = {"atomic_resolution": -10, "price": 6_000_000_000, "exponent": -5}


def peer_case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {"peer": "dydx-v4", "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": 0}  # fmt: skip


ANSWERED: dict[str, dict[str, Any]] = {
    # 0.5 BTC at 60,000: 30,000 USDC; 2 % is 600, 60 % of it 360.
    "dydx_position_margin": peer_case(
        "dydx_position_margin",
        {**MARKET, "quantums": 5_000_000_000, "initial_margin_ppm": 20000,
         "maintenance_fraction_ppm": 600000, "open_interest_quantums": 0, "oi_lower_cap": 0,
         "oi_upper_cap": 0},
        {"imr": 600_000_000, "mmr": 360_000_000},
    ),
    # One quantum is 6e-6 USDC: six quote quantums, negative for a short.
    "dydx_net_notional": peer_case(
        "dydx_net_notional", {**MARKET, "quantums": -1}, {"net_notional": -6}
    ),
    # Halfway between the caps 10 % becomes 55 %; of 3 that is 1.65, rounded up.
    "dydx_initial_margin": peer_case(
        "dydx_im_with_open_notional",
        {"initial_margin_ppm": 100000, "quote_quantums": 3, "open_notional": 15,
         "oi_lower_cap": 10, "oi_upper_cap": 20},
        {"im": 2},
    ),
    # A third of the way from 10 % to 100 %, floored: 400,000.
    "dydx_initial_rate": peer_case(
        "dydx_adjusted_imf",
        {"initial_margin_ppm": 100000, "open_notional": 11, "oi_lower_cap": 10,
         "oi_upper_cap": 13},
        {"ppm": 400000},
    ),
    # A long pays when the index rises.
    "dydx_funding": peer_case(
        "dydx_funding_settlement",
        {"funding_index": 7, "quantums": 100, "last_index": 4},
        {"net_settlement_ppm": -300},
    ),
}  # fmt: skip
