"""One case for each adapter of binance: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import CLOSE, venue_case

# Binance FAQ, maintenance amount of COIN-M contracts, 5 February 2021: that of level 5 of BTCUSD
# is 50 * (5 % - 2.5 %) + 0.56.
STEP = {
    "venue": "Binance",
    "model": "maintenance amount recursion COIN-M",
    "id": "own-step",
    "inputs": {"floor_btc": 50, "mmr_n": 0.05, "mmr_prev": 0.025, "cum_prev": 0.56},
    "expected": {"cum_btc": 1.81},
    "tolerance": CLOSE,
}
ANSWERED: dict[str, dict[str, Any]] = {
    "next_constant": STEP,
    # By hand from the same rule: 5 * (0.5 % - 0.4 %) from 5 BTC on.
    "constant_at": venue_case(
        "Binance",
        "COIN-M maintenance amount chain",
        {"floors_btc": [0, 5, 10], "mmr": [0.004, 0.005, 0.01], "position_btc": 7},
        {"maintenance_amount_btc": 0.005, "mmr": 0.005},
    ),
    # Binance, GET /fapi/v1/leverageBracket, BTCUSDT in 2021: cum 50, 1,300 and 16,300.
    "constants_by_level": venue_case(
        "Binance",
        "BTCUSDT bracket chain",
        {"floors_mmr": [[0, 0.004], [50000, 0.005], [250000, 0.01], [1000000, 0.025]]},
        {"cum_level2": 50, "cum_level3": 1300, "cum_level4": 16300},
    ),
    # The same brackets; by hand 50,000 * 0.4 % + 50,000 * 0.5 % at 100,000.
    "bracket_table": venue_case(
        "Binance",
        "leverage bracket table",
        {
            "columns": ["notionalFloor", "notionalCap", "maxLeverage", "mmr"],
            "rows": [
                [0, 50000, 125, 0.004],
                [50000, 250000, 100, 0.005],
                [250000, 1000000, 50, 0.01],
            ],
        },
        {"cum": [0, 50, 1300]},
        derived_not_published={"mm_at_notional": {"100000": 450}},
    ),
}
