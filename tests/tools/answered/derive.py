"""One case for each adapter of Derive: published by accounts, else by hand from the rules.

By hand, options have so little volatility that they are worth their intrinsic value: a call
struck at 50 is worth 50 on a forward of 100.
"""

from typing import Any

from tests.tools.answered.cases import CLOSE, venue_case

YEAR = 31_536_000


def peer_case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {"peer": "derive-v2", "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": CLOSE}  # fmt: skip


PRICES = {"SpotPrice": 100, "SpotConfidence": 1, "PerpPrice": 101, "PerpConfidence": 1,
          "UnrealisedPerpPNL": 0, "UnrealisedFunding": 0, "StablePrice": 1}  # fmt: skip
SECOND = {
    "SkewShock": {"LINEAR_SCALE_CAP": 0, "LINEAR_CBASE": 0, "ABS_SCALE_CAP": 0, "ABS_CBASE": 0,
                  "MIN_K_STAR": 0.01, "MIN_WIDTH_SCALE": 4, "VOL_PARAM_STATIC": 0.6,
                  "VOL_PARAM_SCALE": 0},
    "VolShock": {"VOLRANGEUP": 0, "MIN_VOL_EVAL_SHOCKED": 0, "VOLRANGEDOWN": 0,
                 "SHORTTERMPOWER": 0.3, "LONGTERMPOWER": 0.13, "DTE_FLOOR": 1},
    "Margin": {"MM_LOSS_FACTOR": 0.8, "IM_LOSS_FACTOR": 1, "SHORT_RATE_MULTSCALE": 0,
               "LONG_RATE_MULTSCALE": 0, "SHORT_RATE_ADDSCALE": 0, "LONG_RATE_ADDSCALE": 0,
               "BASE_STATIC_DISCOUNT": 0.95, "BASE_STATIC_DISCOUNT_NEG": 1},
    "BasisContingency": {"SCENARIO_SPOT_UP": 1.05, "SCENARIO_SPOT_DOWN": 0.95,
                         "BASIS_CONT_ADD_FACTOR": 0.5, "BASIS_CONT_MULT_FACTOR": 0},
    "OtherContingency": {"PEG_LOSS_THRESHOLD": 0.98, "PEG_LOSS_FACTOR": 2, "CONF_THRESHOLD": 0.55,
                         "CONF_MARGIN": 1, "MM_PERP_PERCENT": 0.015, "IM_PERP_PERCENT": 0.005,
                         "MM_OPTION_PERCENT": 0.003, "IM_OPTION_PERCENT": 0.002},
}  # fmt: skip
FIRST = {"up": 1.05, "dn": 0.95, "add": 1, "mult": 0, "pegT": 0.98, "pegF": 2, "confT": 0.6,
         "confM": 0.5, "baseP": 0.02, "perpP": 0.02, "optP": 0.01, "imF": 1.3, "bsd": 0.95,
         "rms": 4, "ras": 0.05, "vru": 0.45, "vrd": 0.3, "stp": 0.3, "ltp": 0.13,
         "floor": 86400}  # fmt: skip
STANDARD = {"maxS": 0.15, "minS": 0.1, "mmC": 0.075, "mmP": 0.075, "mmPM": 0.075, "uIM": 1.2,
            "uMM": 1.1, "off": 1.05, "imPerp": 0.065, "mmPerp": 0.05, "oc": 0.4, "ocF": 0.4,
            "baseF": 0.1, "baseIM": 1, "dT": 0.98, "dF": 1.2}  # fmt: skip

ANSWERED: dict[str, dict[str, Any]] = {
    # Short 2 perpetuals at 101 and long a call at 50, cash 1,000. Spot × 1.1: -20.2 + 60 × 0.95
    # - 50 = -13.2; × 0.9: 20.2 + 40 × 0.95 - 50 = 8.2. Contingencies on 2 × 100: 3 and 1 more.
    "second_manager": peer_case(
        "derive_pmrm2",
        {**PRICES, "Cash": 1000, "NumPerps": -2, "Collaterals": [],
         "Options": [{"Expiry": YEAR, "Strike": 50.0, "IsCall": 1, "MarkVol": 0.01, "Amount": 1}],
         "OptionFeeds": [{"FeedExpiry": YEAR, "Forward": 100, "ForwardConfidence": 1, "Rate": 0,
                          "RateConfidence": 1, "OptionVolConfidences": 1}],
         "params": SECOND,
         "scenarios": [{"SpotShock": 1.1, "VolShockDirection": "None", "DampeningFactor": 1},
                       {"SpotShock": 0.9, "VolShockDirection": "None", "DampeningFactor": 1}]},
        {"IM": 1032.8, "MM": 1036.44, "portfolio_mtm": 1050, "scenario_pnl": [-13.2, 8.2]},
    ),
    # Two coins at 100, a call at 50 sold, cash 10. Spot × 0.8: -40 + 20. The basis: -5, less.
    # Static contingency 2 % of 200 + 1 % of 100 = 5, so 25 in all and 1.3 times that.
    "first_manager": peer_case(
        "derive_pmrm1",
        {**PRICES, "Cash": 10, "Perps": 0, "Base": 2,
         "Options": [{"secs": YEAR, "strike": 50.0, "is_call": True, "amount": -1, "vol": 0.01,
                      "vol_conf": 1}],
         "Feeds": [{"secs": YEAR, "fwd_fixed": 0, "fwd_var": 100, "fwd_conf": 1, "rate": 0,
                    "rate_conf": 1}],
         "params": FIRST, "scenarios": [{"spot": 0.8, "vol": "None"}]},
        {"IM": 127.5, "MM": 135, "MtM": 160, "basis_contingency": -5},
    ),
    # Cash 500, a perpetual bought at 90 and now 100 (5 and 6.5), two coins at 10 %, a call at
    # 120 sold that is worth nothing (7.5 and 10, less than 1.1 or 1.2 × 100).
    "standard_manager": peer_case(
        "derive_srm",
        {"Cash": 500, "Perps_ETH": 1, "Perps_BTC": 0, "wETH": 2, "wBTC": 0, "LastEntryETH": 90,
         "LastEntryBTC": None, "ETHGlobalFundingIndex": 3, "BTCGlobalFundingIndex": 0,
         "AccountETHFundingIndex": 1, "AccountBTCFundingIndex": None, "ETHSpotPrice": 100,
         "BTCSpotPrice": 1000, "USDCValue": 1, "SettlementPriceETH": None,
         "SettlementPriceBTC": None, "spot_perp_conf_ETH_BTC": [[1, 1], [1, 1]],
         "PerpPrice_ETH_BTC": [100, 1000],
         "Options": [{"underlying": "ETH", "secs": 86400, "strike": 120.0, "is_call": True,
                      "amount": -1, "vol": 0.01, "vol_conf": 1}],
         "Feeds": [{"secs": 86400, "forward": 100, "conf": 1}], "params": STANDARD},
        {"IM": 511.5, "MM": 515.5, "MtM": 708},
    ),
    # A position of 2025, as ccxt's pull request 25581 shows it.
    "standard_perpetual": venue_case(
        "Derive",
        "standard manager (SM), BTC perp, per-position margin",
        {"amount": -0.02, "mark_price": 82557.29027200794, "mark_value": 405.54530738679955,
         "im_req": 0.065, "mm_req": 0.05},
        {"maintenance_margin": 322.98801711479155, "initial_margin": 298.22083003318926},
    ),
    # A balance of January 2025, from the sample response of private/get_all_portfolios in ccxt.
    "standard_coin": venue_case(
        "Derive",
        "standard manager (SM), ETH collateral",
        {"amount": 0.1, "mark_price": 3180.7603250000006, "mm_factor": 0.75, "im_scale": 0.8},
        {"maintenance_margin": 238.55702437500008, "initial_margin": 190.84561950000008},
    ),
    # Long 2 at 100 on a spot of 99, up 10: a fall by a fifth costs 40, the contingency 5.94.
    "first_manager_perpetual": venue_case(
        "Derive",
        "portfolio manager v1 (PMRM), perp leg of an ETH PM account",
        {"amount": 2, "mark_price": 100, "index_price": 99, "mark_value": 10,
         "worst_spot_shock": -0.2, "perp_contingency": 0.03, "im_factor": 1.25},
        {"maintenance_margin": -35.94, "initial_margin": -47.425},
    ),
}  # fmt: skip
