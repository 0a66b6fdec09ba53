"""One case for each adapter of the protocols' liquidations, by hand from the rule."""

from typing import Any


def case(model: str, inputs: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    peer = {"dydx": "dydx-v4", "drift": "drift-v2", "derive": "derive-v2", "mango": "mango-v4"}
    party = model.partition("_")[0]
    return {"peer": peer.get(party, party), "model": model, "id": f"own-{model}", "inputs": inputs,
            "expected": expected, "tolerance": 1e-9}  # fmt: skip


# A long of 0.5 BTC at 40,000: 20,000 USDC; maintenance 10 % and half of it, 1,000.
LONG = {
    "markets": {"0": {"atomic_resolution": -8, "price": 4_000_000_000, "exponent": -5,
                      "im_ppm": 100_000, "maint_fraction_ppm": 500_000}},
    "positions": {"0": 50_000_000},
}  # fmt: skip
PLAIN = {"init_a": 0.8, "init_l": 1.2, "maint_a": 0.9, "maint_l": 1.1, "oracle": 2, "stable": 2}
PERP = {"idx": 9, "settle": 0, "init_ba": 0.8, "init_bl": 1.2, "maint_ba": 0.9, "maint_bl": 1.1,
        "init_oa": 0.5, "maint_oa": 0.6, "oracle": 10, "stable": 10, "lot": 1, "bids": 0,
        "asks": 0}  # fmt: skip
ANSWERED: dict[str, dict[str, Any]] = {
    # Net collateral 500. Half is sold: 10,000 less half of it.
    "dydx_bankruptcy": case(
        "dydx_bankruptcy_price",
        {**LONG, "usdc_balance": -19_500_000_000, "liquidate_perp": 0,
         "delta_quantums": -25_000_000},
        {"delta_quote_quantums": 9_750_000_000},
    ),
    # Half way down: half of 20 % of 1,000 off 20,000, by 5e7 quantums.
    "dydx_fillable": case(
        "dydx_fillable_price",
        {**LONG, "usdc_balance": -19_500_000_000, "liquidate_perp": 0,
         "bankruptcy_adjustment_ppm": 1_000_000, "spread_to_mmr_ppm": 200_000},
        {"price": 398},
    ),
    # 19,900 for 19,500 at bankruptcy: 400 too much, of which 1 % of the fill, 199.
    "dydx_insurance": case(
        "dydx_insurance_delta",
        {**LONG, "usdc_balance": -19_500_000_000, "is_buy": False, "fill_quantums": 50_000_000,
         "subticks": 398, "quantum_conversion_exponent": 0, "max_liquidation_fee_ppm": 10_000},
        {"insurance_fund_delta": 199_000_000},
    ),
    # A tenth of 40,000 is below the minimum of 5,000.
    "dydx_limits": case(
        "dydx_block_limits",
        {"min_position_notional": 5_000_000_000, "max_portion_ppm": 100_000,
         "quantums": 100_000_000, "price_usd": 40_000},
        {"min": 5_000_000_000, "max": 5_000_000_000},
    ),
    # 30 USDC at 200 × (10 % - 2 % - 0.5 %) = 15 for each base.
    "drift_base": case(
        "drift_base_to_cover",
        {"margin_shortage": 30_000_000, "margin_ratio": 1000, "liquidation_fee": 20_000,
         "if_liquidation_fee": 5000, "oracle_price": 200_000_000, "quote_oracle_price": 1_000_000},
        {"base": 2_000_000_000},
    ),
    # 30 USDC at 50 × (1.2 - 0.9) = 15 for each token.
    "drift_liability": case(
        "drift_liab_to_cover",
        {"margin_shortage": 30_000_000, "asset_weight": 9000, "asset_liq_mult": 1_000_000,
         "liab_weight": 12_000, "liab_liq_mult": 1_000_000, "liab_decimals": 6,
         "liab_price": 50_000_000, "if_fee": 0},
        {"liability_transfer": 2_000_000},
    ),
    # 101 USDC at 1.01 and 0.99 for tokens of 99: 100 / 100.
    "drift_implied": case(
        "drift_liab_implied",
        {"asset_amount": 101_000_000, "asset_mult": 1_010_000, "asset_dec": 6,
         "asset_price": 1_000_000, "liab_mult": 990_000, "liab_dec": 9, "liab_price": 99_000_000},
        {"liability_transfer": 1_000_000_000},
    ),
    # And back: 101 of the 200 there.
    "drift_asset": case(
        "drift_asset_for_liab",
        {"asset_amount": 200_000_000, "asset_mult": 1_010_000, "asset_dec": 6,
         "asset_price": 1_000_000, "liab_amount": 1_000_000_000, "liab_mult": 990_000,
         "liab_dec": 9, "liab_price": 99_000_000},
        {"asset_transfer": 101_000_000},
    ),
    # 10 % - 2 % - 30 / 1,000 = 5 %, less a twentieth.
    "drift_perp_fee": case(
        "drift_perp_if_fee",
        {"margin_shortage": 30_000_000, "base": 5_000_000_000, "margin_ratio": 1000,
         "liquidator_fee": 20_000, "oracle": 200_000_000, "quote_oracle": 1_000_000,
         "max_if_fee": 100_000},
        {"fee": 47_500},
    ),
    # (1.2 - 0.9 - 30 / 500) / 1.2.
    "drift_spot_fee": case(
        "drift_spot_if_fee",
        {"margin_shortage": 30_000_000, "token_amount": 10_000_000, "asset_weight": 9000,
         "asset_mult": 1_000_000, "liab_weight": 12_000, "liab_mult": 1_000_000, "liab_dec": 6,
         "liab_price": 50_000_000, "max_if_fee": 500_000},
        {"fee": 200_000},
    ),
    # After 200 of 100 slots of grace, all of them count.
    "drift_fee_ramp": case(
        "drift_liq_fee_ramp",
        {"base_fee": 20_000, "max_fee": 50_000, "last_active_slot": 300, "current_slot": 500,
         "grace_slots": 100, "increase_per_slot": 3},
        {"fee": 20_600},
    ),
    # 10 % and half the time: 60 % of 200, 20 of them done, is all of what is left and more.
    "drift_part": case(
        "drift_max_pct",
        {"margin_shortage": 180_000_000, "slot": 105, "last_active_slot": 100,
         "liquidation_margin_freed": 20_000_000, "initial_pct": 1000, "duration": 10},
        {"pct": 5555},
    ),
    # 12 over 3 + 1.
    "drift_funding": case(
        "drift_socialise_perp",
        {"loss": -12_000_000, "base_long": 3_000_000_000, "base_short": -1_000_000_000},
        {"delta": 3_000_000_000},
    ),
    # Health 100 × 1.6 - 80 × 2.4 = -32; each unit paid gains 2.4 - 1.6.
    "mango_token": case(
        "mango_token_liq",
        {"tokens": [{"idx": 0, "bal": 100, **PLAIN}, {"idx": 1, "bal": -80, **PLAIN}],
         "spot_orders": [], "perps": [], "asset_token": 0, "liab_token": 1,
         "max_liab_transfer": 100, "fees": 0},
        {"asset": 60, "liab": -40},
    ),
    # Profit 5 × 8 - 50 = -10, health (4 - 10) × 2.4: each lot gains 2 - 0.5, so four for six.
    "mango_perp": case(
        "mango_perp_liq",
        {"tokens": [{"idx": 0, "bal": 4, **PLAIN}], "spot_orders": [],
         "perps": [{**PERP, "base_lots": 5, "quote": -50}], "max_base": 9, "max_pnl": 0,
         "positive_pnl_liq_fee": 0, "base_liq_fee": 0.05},
        {"spot": 4, "base_lots": 1, "quote": -12},
    ),
    # 8 can be paid of 20. Of the 12 left the liquidator takes 3, for 3 × 2 / 4, rounded up: the
    # fund's 1 pays for 2. Everybody bears the rest, 10, over 5 lots.
    "mango_loss": case(
        "mango_bankruptcy",
        {"tokens": [{"idx": 0, "bal": 8, **PLAIN}], "spot_orders": [],
         "perps": [{**PERP, "base_lots": 0, "quote": -20}], "max_liab_transfer": 11,
         "pnl_settle_limit": 50, "insurance_amount": 1, "insurance_price": 4, "open_interest": 5,
         "fee": 0},
        {"liqee_spot": 0, "liqee_perp": 0, "liqor_spot": 8, "liqor_perp": -10, "ins": 1,
         "social": 2},
    ),
    # Half of the fast fall: 0.75 of 100. Buffer margin -30 - 0.5 × 130; 95 / (95 + 75).
    "derive_solvent": case(
        "derive_dutch_auction_solvent",
        {"time_since_start": 50, "mark_to_market": 100, "maintenance_margin": -30,
         "reserved_cash": 0, "percent_wanted": 0.2,
         "auction_params": {"start": 1.0, "cutoff": 0.5, "fast": 100, "slow": 1000,
                            "fee_rate": 0, "buffer": 0.5}},
        {"buffer_margin": -95, "max_proportion": 95 / 170, "bid_price": 15, "final_percent": 0.2},
    ),
    # 10 × 100 × 0.5 = 500, less 10 × 10 and 10 × 15: 250, below 10 × 125 × 0.3.
    "vega_close_out": case(
        "vega_isolated_closeout",
        {"entry": 100, "size": -10, "margin_factor": 0.5, "marks": [110, 125], "rf_short": 0.1,
         "linear_slippage": 0.2},
        {"margin_after_mark1": 400, "mtm2": 150, "to_insurance": 250, "maint_mark2": 375},
    ),
}  # fmt: skip
