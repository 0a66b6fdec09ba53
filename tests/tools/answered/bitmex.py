"""One case for each adapter of bitmex: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import venue_case

RATES = {"leverage": 10, "maintMarginReq": 0.005, "taker": 0.00075}

ANSWERED: dict[str, dict[str, Any]] = {
    # By hand: 100 XBTUSD at 10,000 cost 1,000,000 satoshis. (1,000,000 + 100,000) * 0.075 % =
    # 825; 5,000 + 825 + 100 of funding = 5,925; the loss to liquidation is 94,900, so the
    # position is worth 1,094,900 there: 100e8 / 1,094,900 = 9,133.25, on a tick of 0.5 up.
    "position_margins": venue_case(
        "BitMEX",
        "position margin in satoshi, long",
        {"qty": 100, "posCost": 1000000, "unrealisedPnl": 1000, "fundingRate": 0.0001, **RATES},
        {
            "posCost": 1000000,
            "posInit": 100000,
            "posComm": 825,
            "posMaint": 5925,
            "posMargin": 100825,
            "maintMargin": 101825,
            "liquidationPrice": 9133.5,
            "bankruptPrice": 9091.0,
        },
    ),
    # By hand: 0.1 ETH sold at 3,000. (300 + 30 + 1) * 0.06 % = 0.1986; 3 + 0.1986; bankrupt at
    # 331 / 0.1 = 3,310; liquidated at (300 + 31.1986 - 3.1986) / 0.1 = 3,280.
    "position_margins_kucoin": venue_case(
        "KuCoin Futures",
        "isolated linear ETH position",
        {
            "qty": -0.1,
            "posCost": 300,
            "leverage": 10,
            "maintMarginReq": 0.01,
            "taker": 0.0006,
            "posCross": 1,
            "unrealisedPnl": -2.5,
        },
        {
            "posInit": 30,
            "posComm": 0.1986,
            "posMaint": 3.1986,
            "posMargin": 31.1986,
            "maintMargin": 28.6986,
            "bankruptPrice": 3310,
            "liquidationPrice": 3280,
        },
    ),
    # By hand: 100,000 + 750 + (1,000,000 + 100,000) * 0.075 %.
    "order_margin": venue_case(
        "BitMEX",
        "open order initial margin",
        {"grossOpenCost": 1000000, "leverage": 10, "taker": 0.00075},
        {"initMargin": 101575},
    ),
    # By hand: 10 * 200 * 100, against 199,000 paid.
    "quanto_value": venue_case(
        "BitMEX",
        "quanto mark value and PnL",
        {"qty": 10, "mark": 200, "multiplier_sat": 100, "posCost": 199000},
        {"markValue": 200000, "unrealisedPnl": 1000},
    ),
    # By hand: 1,500 USDT at 10 % and 5 %.
    "linear_margins": venue_case(
        "BitMEX",
        "USDT-linear cross IM/MM",
        {"contracts": 3, "price": 500, "im_rate": 0.1, "mm_rate": 0.05},
        {"im": 150, "mm": 75},
    ),
}
