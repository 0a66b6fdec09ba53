"""One case for each adapter of Mango v4, by hand from the rule."""

from typing import Any

WEIGHTS = {"init_a": 0.8, "init_l": 1.2, "maint_a": 0.9, "maint_l": 1.1}
PERP_WEIGHTS = {"init_ba": 0.8, "init_bl": 1.2, "maint_ba": 0.9, "maint_bl": 1.1,
                "init_oa": 0.5, "maint_oa": 0.6}  # fmt: skip


def peer_case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {"peer": "mango-v4", "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": 1e-9}  # fmt: skip


ANSWERED: dict[str, dict[str, Any]] = {
    # Two lots of 10 at 5 are 90 at 0.9 and paid 120: a loss of 30; one lot bid adds 45 - 50.
    # 100 - 35 = 65 of the settle token at 0.9.
    "mango_health": peer_case(
        "mango_health",
        {"tokens": [{"idx": 0, "oracle": 1, "stable": 2, "bal": 100, **WEIGHTS}],
         "spot_orders": [],
         "perps": [{"idx": 9, "settle": 0, "oracle": 5, "stable": 5, "lot": 10, "base_lots": 2,
                    "quote": -120, "bids": 1, "asks": 0, **PERP_WEIGHTS}],
         "health_type": "Maint"},
        {"health": 58.5},
    ),
    # Owned: 4 × 5, a perpetual's base 2 × 10 × 3 and 6 set aside at 1. Owed: 10 and the 46 that
    # the perpetual cost. 56 over 30 of equity.
    "mango_leverage": peer_case(
        "mango_leverage",
        {"tokens_bal_price": [[-10, 1], [4, 5]],
         "perps_quote_lots_lot_price": [[-46, 2, 10, 3]], "reserved_base_price": [[6, 1]]},
        {"leverage": 56 / 30},
    ),
}  # fmt: skip
