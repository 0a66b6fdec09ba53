"""Binance's responses in the forms they come in, each to one figure worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tools.answered.cases import venue_case
from tools.vectors.cases import read_file
from tools.vectors.run import Outcome, run_case

USD_M, COIN_M = "USD-M isolated liquidation price", "COIN-M liquidation price, isolated"
BRACKETS = [[0, 0.01, 0], [150, 0.02, 1.5]]


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        # A short of 2 from 100 with 30 of margin: 2 % above 150 less 1.5.
        (
            USD_M,
            {"symbol": "XUSDT", "qty": -2, "entry": 100, "isolatedWallet": 30, "mark": 104,
             "brackets_floor_mmr_cum": BRACKETS, "bracket_used": [0.02, 1.5]},
            {"liquidationPrice": (30 + 1.5 + 2 * 100) / (2 * 0.02 + 2), "unRealizedProfit": -8,
             "isolatedMargin": 22, "notional": 208},
        ),
        # The same without its mark, which is the notional's.
        (
            USD_M,
            {"qty": -2, "entry": 100, "isolatedWallet": 30, "brackets_floor_mmr_cum": BRACKETS},
            {"unRealizedProfit": -8, "isolatedMargin": 22, "notional": 208},
        ),
        # A long of 1 from 100 whose 15 of margin have 5 of profit in them.
        (
            f"{USD_M} (docs sample, hedge mode)",
            {"qty": 1, "entry": 100, "isolatedMargin": 15, "unRealizedProfit": 5, "mark": 105,
             "mmr": 0.01, "cum": 0, "leverage": 10, "positionSide": "LONG"},
            {"liquidationPrice": (10 - 100) / (0.01 - 1), "unRealizedProfit": 5},
        ),
        # A wallet that no price can use up.
        (
            "USD-M liquidation price",
            {"WB": 100, "position": 1, "entry": 100, "mmr": 0.01, "cum": 0},
            {"liquidation_price": None},
        ),
        # 1,000 USD long from 40,000 with 0.01 BTC, by contracts and by value.
        *(
            (
                COIN_M,
                {**size, "entryPrice": 40000, "isolatedWallet": 0.01, "mmr": 0.004, "cum": 0},
                {"liquidationPrice": 1004 / (0.01 + 1000 / 40000)},
            )
            for size in ({"contracts": 10}, {"positionAmt": 10, "contractSize": 100},
                         {"usd": 1000})
        ),
        # Contracts of 10 USD on everything but BTC; the maintenance amount in ETH.
        (
            COIN_M,
            {"symbol": "ETHUSD_PERP", "positionAmt": -100, "entryPrice": 2000,
             "walletBalance": 0.1, "mmr": 0.01, "maintenance_amount_eth": 0.001},
            {"liquidationPrice": 1000 * (0.01 - 1) / (0.1 + 0.001 - 1000 / 2000)},
        ),
        (
            "USD-M position IM/MM",
            {"symbol": "X", "qty": -4, "markPrice": 25, "leverage": 20, "mmr": 0.02},
            {"initialMargin": 5, "maintMargin": 2, "notionalValue": -100, "notional": 100},
        ),
    ],
)  # fmt: skip
def test_a_response_in_another_form(
    model: str, inputs: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps([venue_case("Binance", model, inputs, expected)]))
    result = run_case(read_file(path).cases[0])
    assert result.differences == ()
    assert result.outcome == Outcome.PASSED
