"""One case for each adapter of binance: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import CLOSE, venue_case

# Binance FAQ, maintenance amount of COIN-M contracts, 5 February 2021: that of level 5 of BTCUSD
# is 50 * (5 % - 2.5 %) + 0.56.
STEP = {
    "venue": "Binance",
    "model": "maintenance amount recursion COIN-M",
    "id": "own-step",
    "inputs": {"floor_btc": 50, "mmr_n": 0.05, "mmr_prev": 0.025, "cum_prev": 0.56},
    "expected": {"cum_btc": 1.81},
    "tolerance": CLOSE,
}
ANSWERED: dict[str, dict[str, Any]] = {
    "next_constant": STEP,
    # By hand from the same rule: 5 * (0.5 % - 0.4 %) from 5 BTC on.
    "constant_at": venue_case(
        "Binance",
        "COIN-M maintenance amount chain",
        {"floors_btc": [0, 5, 10], "mmr": [0.004, 0.005, 0.01], "position_btc": 7},
        {"maintenance_amount_btc": 0.005, "mmr": 0.005},
    ),
    # Binance, GET /fapi/v1/leverageBracket, BTCUSDT in 2021: cum 50, 1,300 and 16,300.
    "constants_by_level": venue_case(
        "Binance",
        "BTCUSDT bracket chain",
        {"floors_mmr": [[0, 0.004], [50000, 0.005], [250000, 0.01], [1000000, 0.025]]},
        {"cum_level2": 50, "cum_level3": 1300, "cum_level4": 16300},
    ),
    # The same brackets; by hand 50,000 * 0.4 % + 50,000 * 0.5 % at 100,000.
    "bracket_table": venue_case(
        "Binance",
        "leverage bracket table",
        {
            "columns": ["notionalFloor", "notionalCap", "maxLeverage", "mmr"],
            "rows": [
                [0, 50000, 125, 0.004],
                [50000, 250000, 100, 0.005],
                [250000, 1000000, 50, 0.01],
            ],
        },
        {"cum": [0, 50, 1300]},
        derived_not_published={"mm_at_notional": {"100000": 450}},
    ),
    # Binance FAQ, How to Calculate Liquidation Price of USD-M Futures Contracts (2020): 1 ETH and
    # another position; by hand (10.72 - 0.19 - 0.06 - 199.53) / (0.0065 - 1).
    "usdm_price": venue_case(
        "Binance",
        "USD-M cross liquidation price",
        {"WB": 10.72, "TMM1": 0.19, "UPNL1": -0.06, "cumB": 0, "side": 1, "position": 1,
         "entry": 199.53, "mmr": 0.0065},
        {"liquidation_price": 189.06 / 0.9935},
    ),
    # By hand: 500 / 10 and 500 * 1 % - 2.
    "usdm_position_margins": venue_case(
        "Binance",
        "USD-M cross position IM/MM",
        {"notional_at_mark": 500, "leverage": 10, "mmr": 0.01, "cum": 2},
        {"initialMargin": 50, "maintMargin": 3},
    ),
    # By hand: 2 * 110 * 1 % and 3 * 50 * 2 % - 1.
    "usdm_margins_by_symbol": venue_case(
        "Binance",
        "USD-M maintenance margin",
        {"abc": {"qty": 2, "mark": 110, "mmr": 0.01, "cum": 0, "entry": 100},
         "xyz": {"qty": -3, "mark": 50, "mmr": 0.02, "cum": 1, "entry": 49}},
        {"abc_mm": 2.2, "xyz_mm": 2, "abc_upnl": 20, "xyz_upnl": -3},
    ),
    # By hand: 10 contracts of 100 USD short from 40,000 with 0.01 BTC of wallet:
    # 1,000 * (0.004 - 1) / (0.01 - 1,000 / 40,000).
    "coinm_price": venue_case(
        "Binance",
        "COIN-M liquidation price",
        {"wallet_btc": 0.01, "contracts": 10, "contract_usd": 100, "entry": 40000,
         "side": "short", "mmr": 0.004, "maintenance_amount_btc": 0},
        {"liquidation_price": 996 / 0.015},
    ),
    # By hand: 10 contracts of 10 USD at 2,000: 0.05 ETH, 1 % of it.
    "coinm_margin": venue_case(
        "Binance",
        "COIN-M maintenance margin",
        {"contracts": 10, "mark": 2000, "mmr": 0.01, "symbol": "ETHUSD_PERP"},
        {"notional_eth": 0.05, "mm_eth": 0.0005},
    ),
    # By hand: 4 contracts of 100 USD from 40,000 to 50,000: 0.01 - 0.008 BTC.
    "coinm_profit": venue_case(
        "Binance",
        "COIN-M uPnL and notional",
        {"contracts": 4, "entry": 40000, "mark": 50000},
        {"unRealizedProfit": 0.002, "notionalValue": 0.008},
    ),
    # By hand: loans at 8 % for 5x, futures at 1 %.
    "portfolio_margin_inputs": venue_case(
        "Binance",
        "Portfolio Margin Pro inputs",
        {"margin": {"BTC": [1, 0.5]}, "um_wallet_usdt": 100, "cm_wallet_btc": 1,
         "um_long": {"qty": 2, "entry": 90, "mark": 100}, "cm_short": {"usd": 800, "entry": 40,
         "mark": 50}, "futures_mmr": 0.01, "margin_mmr_5x": 0.08},
        {"equity_btc": 0.5, "margin_mm_btc": 0.04, "um_long_upnl": 20, "cm_short_upnl_btc": -4,
         "um_mm_usdt": 2, "cm_mm_btc": 0.16},
    ),
}  # fmt: skip
