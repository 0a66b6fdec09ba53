"""One case for each adapter of deribit: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # Deribit support, "Linear Perpetual": 1 % + 0.005 % per BTC, so 40 BTC pay 1.2 %.
    "linear_maintenance": venue_case(
        "Deribit",
        "standard margin linear perpetual MM",
        {
            "base_rate": 0.01,
            "slope_per_coin": 5e-5,
            "position_coin": 40,
            "index_price": 50000,
        },
        {"rate": 0.012, "margin_base": 0.48, "margin_usdc": 24000},
    ),
    # By hand with the rates that Deribit's responses for BTC-PERPETUAL show: 2 % and 1 %, both
    # + 0.005 % per BTC.
    "inverse_position": venue_case(
        "Deribit",
        "standard margin, inverse future/perpetual position",
        {
            "instrument": "BTC-PERPETUAL",
            "size_currency": -10,
            "im_base": 0.02,
            "mm_base": 0.01,
            "slope_per_coin": 5e-5,
        },
        {"initial_margin": 0.205, "maintenance_margin": 0.105},
    ),
}
