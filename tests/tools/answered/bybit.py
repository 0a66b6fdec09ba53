"""One case for each adapter of bybit: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # Bybit, GET /v5/market/risk-limit, the first tiers of BTCPERP in December 2025.
    "deductions": venue_case(
        "Bybit",
        "risk-limit table",
        {"caps": [100000, 1000000, 2000000], "mmr": [0.004, 0.005, 0.0067]},
        {"mm_deduction": [0, 100, 1800]},
    ),
    # Bybit help centre, the tiers of its example XYZUSDT; by hand 1,000 * 2 % + 500 * 2.5 %.
    "tiered_position": venue_case(
        "Bybit",
        "tiered maintenance margin",
        {"tiers": [[1000, 0.02], [2000, 0.025]], "qty": -100, "entry": 15, "leverage": 10},
        {"position_value": 1500, "maintenance_margin": 32.5, "initial_margin": 150},
    ),
}
