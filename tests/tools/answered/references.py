"""One case for each adapter of references: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import CLOSE, venue_case

# McMillan, "Options as a Strategic Investment", chapter 34: the S&P 500 future, margin 10,000, and
# a short December 410 call. The call's second figure lost its sign in the copy at hand.
FUTURE = [0, 0, 3330, 3330, -3330, -3330, 6670, 6670, -6670, -6670, 10000, 10000, -10000, -10000,
          7000, -7000]  # fmt: skip
SHORT_CALL = [-460, 610, -2640, -1730, 1270, 2340, -5210, -4540, 2540, 3430, -8060, -7640, 3380,
              3990, -3130, 1500]  # fmt: skip
# Cboe, "Margin Requirement Examples for Sample Options-based Positions", 23 February 2007.
SHEET = "Reg T / Cboe CPM"

ANSWERED: dict[str, dict[str, Any]] = {
    # The same chapter: the covered write of the two is at risk of 6,620, in scenario 13.
    "scanned_arrays": venue_case(
        "CME SPAN",
        "16-scenario risk array, covered write",
        {"array_future": FUTURE, "array_short_call": SHORT_CALL},
        {"scanning_risk": 6620, "worst_scenario": 13},
    ),
    # The same chapter: an extreme move counts 7,000 of the 10,000, 35 % of twice the range.
    "future_array": venue_case(
        "CME SPAN",
        "16-scenario risk array, long future",
        {"price_scan_range": 10000, "extreme_multiple": 2, "extreme_fraction": 0.35},
        {
            "array_pl": [round(x / 10000 * 3) * 10000 / 3 for x in FUTURE[:14]] + [7000, -7000],
            "scanning_risk": 10000,
            "maintenance_margin": 10000,
            "initial_margin": 11000,
        },
    ),
    # Risk reversal: the put is paid for, the call sold 7.27 out of the money.
    "strategy_deposit": {
        **venue_case(
            SHEET,
            "strategy-based margin",
            {"long_put": 1.02, "short_call": 0.40, "underlying": 97.73, "strike": 105, "rate": 0.2},
            {"margin": 132960},
        ),
        "id": "own-risk-reversal",
        "tolerance": {"kind": "abs", "value": 1e-8},
    },
    # Long straddle: the minimum, 37.50 for each of 200 contracts.
    "portfolio_requirement": {
        **venue_case(
            SHEET,
            "portfolio margin",
            {"put": 3.18, "call": 1.68, "underlying": 97.73, "strike": 100},
            {"margin": 7500},
        ),
        "id": "own-long-straddle",
        "tolerance": CLOSE,
    },
}
