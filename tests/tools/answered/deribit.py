"""One case for each adapter of deribit: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # Deribit support, "Linear Perpetual": 1 % + 0.005 % per BTC, so 40 BTC pay 1.2 %.
    "linear_maintenance": venue_case(
        "Deribit",
        "standard margin linear perpetual MM",
        {"base_rate": 0.01, "slope_per_coin": 5e-5, "position_coin": 40, "index_price": 50000},
        {"rate": 0.012, "margin_base": 0.48, "margin_usdc": 24000},
    ),
    # By hand with the rates that Deribit's responses for BTC-PERPETUAL show: 2 % and 1 %, both
    # + 0.005 % per BTC.
    "outright_position": venue_case(
        "Deribit",
        "standard margin, inverse future/perpetual position",
        {
            "instrument": "BTC-PERPETUAL",
            "size_currency": -10,
            "im_base": 0.02,
            "mm_base": 0.01,
            "slope_per_coin": 5e-5,
        },
        {"initial_margin": 0.205, "maintenance_margin": 0.105},
    ),
    # By hand: 500 USD at 50,000 are 0.01 BTC; times 2 % + 0.005 % × 0.01.
    "outright_order": venue_case(
        "Deribit",
        "standard margin, open order on a perpetual",
        {"order_usd": 500, "order_price": 50000, "im_base": 0.02, "slope_per_coin": 5e-5},
        {"open_orders_margin": 0.01 * 0.0200005},
    ),
    # By hand: half of the initial margin is maintenance; 0.01 × 20,000 at 5 %.
    "rfq_quote": venue_case(
        "Variational",
        "RFQ margin quote, 'simple' mode",
        {
            "existing_initial_margin": 2,
            "futures_initial_margin": 0.05,
            "futures_maintenance_margin": 0.025,
            "ask_delta_im": 10,
            "qty": 0.01,
            "mark": 20000,
        },
        {"existing_maintenance_margin": 1, "ask_delta_im": 10},
    ),
    # By hand: 5 % out of the money is where 15 % - OTM/S and 10 % meet.
    "option_position": venue_case(
        "Deribit",
        "standard margin, short inverse option position (get_positions)",
        {
            "instrument": "BTC-30JUN23-63000-C",
            "size": -2,
            "index_price": 60000,
            "mark_price": 0.02,
            "as_of": "2023-05",
        },
        {"initial_margin": 2 * (0.10 + 0.02), "maintenance_margin": 2 * (0.075 + 0.02)},
    ),
    # A third-party test of Deribit's formula: a call at the money, 1,750 USD; (7.5 % + 2.5 %) ×
    # 10,000 by hand.
    "short_option": venue_case(
        "Deribit",
        "standard margin inverse option, short call",
        {"underlying": 10000, "mark_btc": 0.025, "otm_amount": 0, "qty": -1},
        {"im_usd": 1750, "mm_usd": 1000},
    ),
    # By hand: at an index of 51,000 a put of strike 50,000 is 1,000 out of the money.
    "otm_reference": venue_case(
        "Deribit",
        "standard margin option: which price defines OTM",
        {
            "strike": 50000,
            "type": "P",
            "size": 2,
            "initial_margin": 2 * (0.15 - 1000 / 51000 + 0.01),
            "maintenance_margin": 2 * (0.075 + 0.01),
        },
        {"otm_reference_price": 51000},
    )
    | {"tolerance": "1e-9 rel"},
    # By hand: at the money 15 %, and the fee.
    "option_order": venue_case(
        "Deribit",
        "standard margin, open sell order on an option",
        {
            "instrument": "BTC-22APR22-40000-P",
            "strike": 40000,
            "index_price": 40000,
            "order_amount": 1.5,
            "fee_rate": 0.0003,
        },
        {"open_orders_margin": 1.5 * 0.1503},
    ),
    # Deribit support, "Inverse Options": K 100,000, delivery at 125,000, premium 0.05 BTC.
    "inverse_settlement": venue_case(
        "Deribit",
        "inverse option settlement",
        {"call": {"K": 100000, "delivery": 125000, "premium": 0.05}},
        {"call_value_btc": 0.2, "call_profit": 0.15},
    ),
    # By hand: 10 + 0.5 - 0.2 + 0.25; without the option; less 2; less the session's 0.3.
    "account_identities": venue_case(
        "Deribit",
        "account summary identities, segregated_sm",
        {
            "balance": 10,
            "futures_session_upl": 0.5,
            "futures_session_rpl": -0.2,
            "options_value": 0.25,
            "initial_margin": 2,
        },
        {
            "equity": 10.55,
            "margin_balance": 10.3,
            "available_funds": 8.3,
            "available_withdrawal_funds": 8,
        },
    ),
    # By hand: 1,000 USD shown as 0.02 BTC and 0.5 ETH, so at 50,000 and 2,000.
    "cross_view": venue_case(
        "Deribit",
        "cross_pm: one USD requirement shown in every coin",
        {
            "total_initial_margin_usd": 100,
            "total_maintenance_margin_usd": 60,
            "total_margin_balance_usd": 1000,
            "margin_balance_by_ccy": {"BTC": 0.02, "ETH": 0.5},
        },
        {
            "BTC_initial_margin": 0.002,
            "BTC_maintenance_margin": 0.0012,
            "ETH_initial_margin": 0.05,
            "ETH_maintenance_margin": 0.03,
        },
    ),
    # By hand: 2 BTC at -16 % lose 2 × 0.16 / 0.84 BTC, the roll shock is 1 %, MM is 80 %.
    "simulated_matrix": venue_case(
        "Deribit",
        "S:PM risk-matrix margin (pme/simulate)",
        {
            "positions_coin": {"BTC-PERPETUAL": 2},
            "mark": {"BTC-PERPETUAL": 50000},
            "index_btc_usd": 50000,
            "timestamp_ms": 1718619740501,
            "currency_pair": {"price_range": 0.16},
            "general": {"mm_factor": 0.75},
            "open_orders_margin": 0.004,
            "mmp_margin": 0.1,
        },
        {
            "worst_case": 0.32 / 0.84,
            "roll_shock": 0.02,
            "risk_matrix_margin": 0.32 / 0.84 + 0.02,
            "initial_margin": 0.32 / 0.84 + 0.124,
            "maintenance_margin": 0.75 * (0.32 / 0.84 + 0.02),
            "perp_pnl_minus16": -0.32 / 0.84,
            "perp_pnl_plus8": 0.16 / 1.08,
            "agg_standard_left4": [-2 * m / (1 - m) for m in (0.16, 0.12, 0.08, 0.04)],
        },
    ),
    # Deribit's portfolio margin page before 2024: (30/15)^0.30 × 38 %.
    "scaled_vol_shock": venue_case(
        "Deribit",
        "legacy PM volatility shock",
        {"base_iv_change": 0.38, "days": 15, "power": 0.3},
        {"max_iv_change": 0.4678348770710682},
    ),
    # By hand: 7 sold against 4 bought at 0.01; 30 of 50 offset at 1 %.
    "older_contingencies": venue_case(
        "Deribit",
        "legacy PM contingencies",
        {
            "call_pos": -7,
            "put_pos": 4,
            "per_option": 0.01,
            "fut_a": -50,
            "fut_b": 30,
            "fut_rate": 0.01,
        },
        {"short_option_contingency_btc": 0.03, "futures_contingency_btc": 0.3},
    ),
}
