"""One case for each adapter of okx: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # OKX, GET /api/v5/public/discount-rate-interest-free-quota, the documentation's sample: 20 BTC
    # at 98 %, the next 5 at 97.75 %.
    "discounted_asset": venue_case(
        "OKX",
        "discount rate, tiered",
        {"amount": 24, "price": 50000, "tiers": [[20, 0.98], [25, 0.9775], [None, 0.975]]},
        {"discounted": 50000 * (20 * 0.98 + 4 * 0.9775)},
    ),
}
