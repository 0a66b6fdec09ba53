"""One case for each adapter of Synthetix, by hand from the rule."""

from typing import Any

ANSWERED: dict[str, dict[str, Any]] = {
    # 10 coins over a scale of 1,000 fill at 100 x (1 + 10/2,000) = 100.5; at 103 they gain 25.
    "available_margin": {
        "peer": "synthetix-v3",
        "model": "snx_available_margin",
        "id": "own-available-margin",
        "inputs": {
            "collateral_usd": 500,
            "entry_price_and_skewScale_and_size": {"ETH": [100, 1000, 10]},
            "index_prices": {"ETH": 103},
            "fees": 5,
            "funding": 0,
        },
        "expected": {"ETH": 25, "available_margin": 520},
        "tolerance": 1e-9,
    },
}
