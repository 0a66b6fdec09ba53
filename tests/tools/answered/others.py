"""One case for each adapter of others: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # By hand: 2,000 at 0.4 %.
    "flat_maintenance": venue_case(
        "Gate",
        "futures maintenance margin",
        {"notional": -2000, "mmr": 0.004},
        {"maintenanceMargin": 8},
    ),
}
