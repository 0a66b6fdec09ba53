"""Overrides for models whose tables are empty until a user fills them: figures of no venue."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Without starts of scaling: the exam's market knows of no deposits and loans.
MANGO_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "initial_asset_weight": 0.8,
        "initial_liability_weight": 1.2,
        "maintenance_asset_weight": 0.9,
        "maintenance_liability_weight": 1.1,
    }
)
MANGO_OVERALL: Mapping[str, float] = MappingProxyType(
    {"initial_overall_weight": 0.5, "maintenance_overall_weight": 0.6}
)
DRIFT_TOKEN: Mapping[str, float] = MappingProxyType(
    {
        "decimals": 8,
        "initial_asset_weight": 0.75,
        "maintenance_asset_weight": 0.85,
        "initial_liability_weight": 1.25,
        "maintenance_liability_weight": 1.15,
        "imf_factor": 0.0001,
    }
)
DRIFT_PERP: Mapping[str, float] = MappingProxyType(
    {
        "initial_margin_ratio": 0.1,
        "maintenance_margin_ratio": 0.05,
        "imf_factor": 0.0001,
        "unrealized_pnl_initial_asset_weight": 0.9,
        "unrealized_pnl_maintenance_asset_weight": 1,
        "unrealized_pnl_imf_factor": 0.0001,
    }
)
EXAM_PARAMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "aave.v2": {
            "loan_to_value": {"WETH": 0.8, "LINK": 0.7},
            "liquidation_threshold": {"WETH": 0.825, "LINK": 0.75},
        },
        "bybit.cross": {"borrow_tiers": {"default": [[0, 0.04, 0.2]]}},
        "bybit.portfolio": {
            "borrow_tiers": {"default": [[0, 0.04, 0.2]]},
            "option_contingency_rate": {"BTC": 0.015},
            "delta_contingency": {"BTC": 0},
            "vega_contingency": {"BTC": 0},
            "usdt_usdc_contingency": {"BTC": 0},
        },
        # A manager has one underlying; the exam's market states no rates.
        "derive.pmrm1": {"underlying": "BTC", "unstated": {"rate": 0.05}},
        "derive.pmrm2": {"underlying": "BTC", "unstated": {"rate": 0.05}},
        # So that the exam funds accounts with USDC, without which nothing here has a price.
        "derive.standard": {"collateral": {"USDT": [0, 1]}},
        "cme.span": {
            "price_scan_range": {"default": 0.2},
            "vol_scan_range": {"default": 0.3},
            "intra_commodity_charge": {"default": 0.01},
            "short_option_minimum": {"default": 0.05},
            "inter_commodity_credit": {"BTC/ETH": [1, 20, 0.5]},
        },
        # The exam's market knows of no averages.
        "drift.v2": {
            "strict": False,
            "tokens": {"ETH": dict(DRIFT_TOKEN)},
            "perps": {"BTC": dict(DRIFT_PERP), "ETH": dict(DRIFT_PERP)},
        },
        "gmx.v2": {
            "markets": {
                "default": {
                    "min_collateral_factor": 0.01,
                    "closing_fee_rate": 0.0005,
                    "positive_impact_factor": 0,
                    "negative_impact_factor": 0,
                    "impact_exponent": 2,
                    "max_impact_factor": 0.005,
                }
            },
        },
        "mango.v4": {
            "stable_price": "oracle",
            "tokens": {asset: dict(MANGO_WEIGHTS) for asset in ("USDT", "ETH", "SOL")},
            "perps": {
                "ETH/USDC:USDC": {**MANGO_WEIGHTS, **MANGO_OVERALL},
                "BTC/USDT:USDT": {**MANGO_WEIGHTS, **MANGO_OVERALL},
            },
        },
        "synthetix.v3": {
            "markets": {
                "default": {
                    "skew_scale": 1e6,
                    "initial_margin_ratio": 2,
                    "minimum_initial_margin_ratio": 0.02,
                    "maintenance_margin_scalar": 0.5,
                    "minimum_position_margin": 50,
                    "flag_reward_ratio": 0.001,
                    "window_multiplier": 1,
                    "window_seconds": 30,
                    "maker_fee": 0.0002,
                    "taker_fee": 0.0008,
                }
            },
            "flag_cost": 2,
            "minimum_reward": 5,
            "profit_ratio": 0.3,
            "collateral_scaling": 0.5,
            "maximum_reward": 300,
            "window_cost": 1,
        },
        "vega.capped": {"markets": {"default": {"max_price": 1_000_000}}},
        "vega.cross": {
            "markets": {
                "default": {
                    "risk_factor_long": 0.05,
                    "risk_factor_short": 0.06,
                    "linear_slippage": 0.01,
                    "funding_factor": 0.5,
                }
            },
            "funding_payment": {"default": 0.001},
        },
        "vega.isolated": {
            "markets": {
                "default": {
                    "risk_factor_long": 0.05,
                    "risk_factor_short": 0.06,
                    "linear_slippage": 0.01,
                    "funding_factor": 0.5,
                }
            },
            "funding_payment": {"default": 0.001},
            "margin_factor": {"default": 0.1},
        },
        "okx.portfolio": {
            "vol_shocks": [[0, 0.5, 0.6], [30, 0.3, 0.4], [180, 0.15, 0.2]],
            "depeg_tiers": {"0": [[None, 0.4]], "0.995": [[None, 0.015]]},
            "position_tiers": {"default": [[None, 0.05, 0.1]]},
            "discounts": {"ETH": [[None, 0.9]]},
        },
    }
)
