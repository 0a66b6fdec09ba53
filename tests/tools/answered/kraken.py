"""One case for each adapter of kraken: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # Kraken support, "Equity Protection Process": 1,000 contracts at 8,000 on 0.01 BTC.
    "protection_prices": venue_case(
        "Kraken",
        "equity protection, liquidation price",
        {"contracts": 1000, "entry": 8000, "margin_btc": 0.01, "mm_rate": 0.01, "im_rate": 0.02},
        {
            "liquidation_price": 7481,
            "limit_price": 7407,
            "position_value_btc": 0.125,
            "initial_margin": 0.0025,
            "maintenance_margin": 0.00125,
        },
    ),
    # By hand: 1 / 10 %, 10 * 500 and 1 / 5 %.
    "leverage_limits": venue_case(
        "FTX",
        "IMF to leverage",
        {"imf": 0.1, "mmf": 0.05, "collateral": 500},
        {"max_leverage": 10, "max_position": 5000, "liq_leverage": 20},
    ),
}
