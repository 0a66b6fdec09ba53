"""One case for each adapter of hyperliquid: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

# The venue rounds its liquidation prices to about 1e-8 of them.
ROUNDED = {"kind": "abs", "value": 1e-4}

# Hyperliquid docs, info endpoint: the clearinghouseState response of 22 February 2024.
ETH = {
    "coin": "ETH",
    "szi": 0.0335,
    "entryPx": 2986.3,
    "mark": 2985.9,
    "rawUsd": -95.059824,
    "leverage": 20,
    "maxLeverage": 50,
}
ANSWERED: dict[str, dict[str, Any]] = {
    # The venue's return here is on the entry notional / leverage, so it is left out.
    "isolated_position": venue_case(
        "Hyperliquid",
        "clearinghouseState, isolated",
        {**ETH, "as_of": "2024-02-22"},
        {"marginUsed": 4.967826, "liquidationPx": 2866.26936529, "unrealizedPnl": -0.0134},
        tolerance=ROUNDED,
    ),
    # A recorded account that holds nothing but a HYPE short: 50.26905 / 6 = 8.378175, and
    # 25.779 + (49.589238 - 8.378175) / 1.95 / (1 + 1/6).
    "cross_position": venue_case(
        "Hyperliquid",
        "cross liquidation price",
        {"coin": "HYPE", "szi": -1.95, "entryPx": 25.578, "mark": 25.779, "leverage": 1,
         "maxLeverage": 3, "accountValue": 49.589238},
        {"liquidationPx": 43.89375297, "marginUsed": 50.26905, "unrealizedPnl": -0.39195,
         "crossMaintenanceMarginUsed": 8.378175, "withdrawable": 0.0},
        tolerance=ROUNDED,
    ),
    # The response of 22 February 2024 again, as a whole.
    "account_state": venue_case(
        "Hyperliquid",
        "clearinghouseState",
        {
            "positions": [{**ETH, "type": "isolated"}],
            "accountValue": 13109.482328,
            "as_of": "2024-02-22",
        },
        {"crossAccountValue": 13104.514502, "totalMarginUsed": 4.967826,
         "totalNtlPos": 100.02765, "withdrawable": 13104.514502,
         "liquidationPx": {"ETH": 2866.26936529}},
        tolerance=ROUNDED,
    ),
    # By hand: 1,000 - max(30 + 20, 10 % of 600) = 940.
    "withdrawable_rule": venue_case(
        "Hyperliquid",
        "withdrawable rule",
        {"accountValue": 1000, "position_IM": 30, "resting_order_IM": 20, "totalNtlPos": 600},
        {"withdrawable": 940},
    ),
    # Hyperliquid docs, portfolio margin FAQ: 10,000 HYPE at 40 USD and a loan-to-value of 0.5;
    # its threshold is half way to 1.
    "borrowing": venue_case(
        "Hyperliquid",
        "portfolio margin borrowable amount",
        {"balance": 10000, "price": 40, "ltv": 0.5},
        {"borrowable": 200000, "liquidation_threshold": 0.75},
    ),
    # Hyperliquid docs, "Margin tiers": BTC at 40x, and 20x above 150,000,000; by hand
    # 150,000,000 * (1/40 - 1/80), and 200,000,000 / 40 less that.
    "margin_tiers": venue_case(
        "Hyperliquid",
        "margin tiers",
        {"tiers": [[0, 40], [150_000_000, 20]], "notional": 200_000_000},
        {"deductions": [0, 1_875_000], "maintenance_rates": [0.0125, 0.025],
         "maintenance_margin": 3_125_000},
    ),
}  # fmt: skip
