"""One case for each adapter of bybit: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

ROUNDED = {"kind": "abs", "value": 1e-6}
MOVES = [-0.1, 0.0, 0.1]

ANSWERED: dict[str, dict[str, Any]] = {
    # Bybit, GET /v5/market/risk-limit, the first tiers of BTCPERP in December 2025.
    "bybit_deductions": venue_case(
        "Bybit",
        "risk-limit table",
        {"caps": [100000, 1000000, 2000000], "mmr": [0.004, 0.005, 0.0067]},
        {"mm_deduction": [0, 100, 1800]},
    ),
    # Bybit help centre, Maintenance Margin (Inverse Contract): 25 XYZ under tiers of 10 XYZ at 1 %,
    # 2 %, 3 % and 10x: 2.5 XYZ, and by hand 0.1 + 0.2 + 5 * 3 %.
    "bybit_tiered_position": venue_case(
        "Bybit",
        "tiered maintenance margin (XYZUSD), inverse",
        {
            "tiers": [[10, 0.01], [20, 0.02], [30, 0.03]],
            "qty": 10000,
            "entry": 400,
            "leverage": 10,
        },
        {"position_value": 25, "maintenance_margin": 0.45, "initial_margin": 2.5},
    ),
    # Bybit help centre, Liquidation Price Calculation under Isolated Mode: Trader A, here short,
    # with 100 USDT more: 20,000 + (400 - 100) + 100; at 20,000 + 400 + 100 nothing is left.
    "bybit_isolated_position": venue_case(
        "Bybit",
        "USDT isolated liquidation price",
        {
            "side": "short",
            "qty": 1,
            "entry": 20000,
            "leverage": 50,
            "mmr": 0.005,
            "extra_margin": 100,
        },
        {"im": 400, "mm": 100, "liquidation_price": 20400, "bankruptcy_price": 20500},
    ),
    # ccxt pull request 18841, ADAUSDT on 9 August 2023, 4x: taker fee 0.055 %, rate 0.75 %.
    "bybit_position_margins": venue_case(
        "Bybit",
        "UTA position IM/MM incl. fee to close at bankruptcy price",
        {"entry_value": 4.78886875, "leverage": 4, "mmr": 0.0075, "taker_fee": 0.00055, "side": 1},
        {"positionIM": 1.1991926, "positionMM": 0.03789193},
        tolerance={"kind": "abs", "value": 2e-8},
    ),
    # By hand: the fee of a long at 5x is 1,000 * 0.8 * 0.1 %, paid twice; 1,000 / 5 besides.
    "bybit_hedged_leg": venue_case(
        "Bybit",
        "hedge mode: long and short open together",
        {"entry_value": 1000, "leverage": 5, "side": "Buy", "size": 2, "taker_fee": 0.001},
        {"positionMM": 1.6, "positionIM": 201.6},
    ),
    # ccxt pull request 15622, BTCUSDT short of November 2023: 0.012 * 199,999.80 * 0.5 %.
    "bybit_classic_cross": venue_case(
        "Bybit",
        "classic (non-UTA) cross: positionMM evaluated at the bankruptcy price",
        {"size": 0.012, "bustPrice": 199999.80, "rate": 0.005},
        {"positionMM": 11.999988},
    ),
    # Bybit help centre, Initial and Maintenance Margin Calculation (Options): one call sold.
    "bybit_option": venue_case(
        "Bybit",
        "USDC option, short call (cross)",
        {
            "instrument": "BTC-30JUN22-31000-C",
            "size": -1,
            "strike": 31000,
            "index": 30000,
            "mark": 300,
        },
        {"positionMM": 1260},
    ),
    # Bybit help centre, collateral value ratios, the example's tiers: 10 * 0.98 + 5 * 0.95 BTC.
    "bybit_collateral": venue_case(
        "Bybit",
        "collateral value ratio, tiered",
        {"amount": 15, "price": 100000, "tiers": [[10, 0.98], [20, 0.95], [30, 0.9]]},
        {"collateral_value": 1455000},
    ),
    # By hand: 2 * 50,000 * 0.9995 * move.
    "bybit_perpetual_grid": venue_case(
        "Bybit",
        "portfolio margin, perpetual leg of the 33-scenario grid",
        {
            "symbol": "ETHUSDT",
            "size": -2,
            "mark_price": 50000,
            "usdt_usd": 0.9995,
            "price_moves": MOVES,
        },
        {"pnl_usd": [9995, 0, -9995]},
    ),
    # The spot hedge in the API documentation's sample of 24 March 2026, its index to 5 digits.
    "bybit_spot_grid": venue_case(
        "Bybit",
        "portfolio margin, spot hedge",
        {"hedge_spot_size": -0.00100006, "index": 70500.557, "price_moves": MOVES},
        {"pnl_usd": [7.05047869, 0, 0]},
        tolerance=ROUNDED,
    ),
    # The sample's option; forward, volatility and rate read back from its cells.
    "bybit_option_grid": venue_case(
        "Bybit",
        "portfolio margin, option leg of the 33-scenario grid",
        {
            "symbol": "BTC-25SEP26-80000-C-USDT",
            "size": 0.02,
            "mark_price": 2608.56395729,
            "forward": 71382.40,
            "iv": 0.2774,
            "usdt_usd": 0.999708,
            "time_ms": 1774319290506,
            "price_moves": MOVES,
        },
        {
            "pnl_usd": [
                [-24.06747339, -33.15841013, -39.65273684],
                [14.21190294, 0.00067229, -11.36906857],
                [75.52147477, 58.34116026, 44.02244694],
            ],
            "worst_pnl_usd": [-39.65273684, -11.36906857, 44.02244694],
        },
        tolerance=ROUNDED,
    ),
    # The sample's totals at three prices.
    "bybit_worst_cell": venue_case(
        "Bybit",
        "portfolio margin, worst cell",
        {
            "perp_pnl_usd": [-972.1448288, 0, 972.1448288],
            "option_pnl_usd": [
                [-24.06747339, -33.15841013, -39.65273684],
                [14.21190294, 0.00067229, -11.36906857],
                [75.52147477, 58.34116026, 44.02244694],
            ],
            "spot_pnl_usd": [7.05047869, 0, 0],
        },
        {"total_usd": [-1004.7471, -11.3691, 1016.1672], "max_loss": 1004.7471},
        tolerance={"kind": "abs", "value": 1e-4},
    ),
    # The sample: 1.2 times its maintenance margin.
    "bybit_portfolio_margins": venue_case(
        "Bybit",
        "portfolio margin, initial margin factor",
        {"assetMM": 1062.3492095114727, "im_factor": 1.2},
        {"assetIM": 1274.8190514137673},
    ),
    # The sample, its index to 5 digits.
    "bybit_futures_contingency": venue_case(
        "Bybit",
        "portfolio margin, contingency of futures",
        {"symbol": "BTCUSDT", "size": 0.038, "index": 70500.4035},
        {"futureContingency": 0.8037046},
        tolerance=ROUNDED,
    ),
}
