"""FTX: root-size rates, and what the vectors do not reach."""

import math
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.charges import root_size_rate, root_size_weight
from plimsoll.margin.venues.ftx_2022 import auto_close_fraction
from tests.margin.option_books import load_document

BTC, ETH = "BTC/USD:USD", "ETH/USD:USD"
MARKS = {BTC: 20000.0, ETH: 1000.0}


def judge(
    positions: list[tuple[str, float]],
    balances: dict[str, float],
    marks: dict[str, float] | None = None,
    orders: list[dict[str, Any]] | None = None,
    **params: Any,
) -> Explanation:
    given = MARKS | {"BTC/USD": 20000.0} | (marks or {})
    portfolio = load_document(
        {
            "as_of": "2022-06-15T00:00:00Z",
            "market": {
                "index": {"BTC": 20000, "ETH": 1000},
                "instruments": {s: {"mark": mark} for s, mark in given.items()},
            },
            "accounts": [
                {
                    "id": "a",
                    "model": "ftx.2022",
                    "balances": balances,
                    "positions": [
                        {"symbol": s, "quantity": q, "entry_price": MARKS[s]} for s, q in positions
                    ],
                    "orders": orders or [],
                    "params": params,
                }
            ],
        }
    )
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    return explain(portfolio.book, portfolio.market, models, "a")[0]


def test_root_size_rates_and_weights() -> None:
    size = np.array([0.0, 625.0, 2500.0, np.nan])
    rate = root_size_rate(np.full(4, 0.05), np.full(4, 0.002), size)
    assert rate[:3] == pytest.approx([0.05, 0.05, 0.1])
    weight = root_size_weight(np.full(4, 0.975), np.full(4, 0.002), size, 1.1)
    assert weight[:3] == pytest.approx([0.975, 0.975, 0.975])
    assert root_size_weight(np.array([0.975]), np.array([0.002]), np.array([1e4]), 1.1) == (
        pytest.approx(1.1 / 1.2)
    )
    assert np.isnan([rate[3], weight[3]]).all()
    assert np.isnan(root_size_rate(np.array([np.nan]), np.array([0.0]), np.array([1.0]))).all()


def test_auto_close_fractions_as_published() -> None:
    """FTX help centre, "Liquidations": max(MMF / 2, MMF - 6 %); 1.5 % at an MMF of 3 %."""
    found = auto_close_fraction(np.array([0.03, 0.12, 0.2, np.nan]))
    assert found[:3] == pytest.approx([0.015, 0.06, 0.14])
    assert np.isnan(found[3])


def test_the_auto_close_price_of_the_backstop_example() -> None:
    """FTX help centre, backstop programme: 2 BTC bought at 10,000 on 1,000 USD: about 9,646."""
    mark = 20000 * 9644.67 / 10000
    found = judge([(BTC, 2)], {"USD": 2000}, {BTC: mark})
    fraction = found.equity / (2 * mark)
    assert fraction == pytest.approx(auto_close_fraction(np.array([0.03]))[0], rel=1e-4)


@pytest.mark.parametrize("quantity", [20, -20])
def test_at_the_liquidation_price_the_margin_is_used_up(quantity: float) -> None:
    book, balances = [(BTC, quantity), (ETH, 30.0)], {"USD": 98750}
    rows = dict(judge(book, balances).detail("positions").rows)
    moved = judge(book, balances, {BTC: rows[BTC][-2]})
    assert moved.margin_ratio == pytest.approx(1, rel=1e-9)


def test_zero_prices_share_out_the_account() -> None:
    """Closing everything at its zero price leaves nothing."""
    found = judge([(BTC, 20), (ETH, -3000)], {"USD": 200000})
    rows = dict(found.detail("positions").rows)
    lost = 20 * (20000 - rows[BTC][-1]) + 3000 * (rows[ETH][-1] - 1000)
    assert lost == pytest.approx(found.collateral_value)


def test_spot_orders_lock_their_value_for_new_positions_only() -> None:
    order = {"symbol": "BTC/USD", "side": "buy", "quantity": 2, "price": 19000}
    found = judge([], {"USD": 50000}, orders=[order])
    assert (found.initial_margin, found.maintenance_margin) == (38000, 0)


def test_buys_and_sells_are_not_added() -> None:
    def order(side: str, quantity: float) -> dict[str, Any]:
        return {"symbol": BTC, "side": side, "quantity": quantity, "price": 20000}

    both = judge([(BTC, 5)], {"USD": 1e6}, orders=[order("buy", 3), order("sell", 12)])
    assert both.detail("margin").column("openSize") == (8.0,)
    flipped = judge([(BTC, 5)], {"USD": 1e6}, orders=[order("buy", 1), order("sell", 12)])
    assert flipped.detail("margin").column("openSize") == (7.0,)


def test_selected_leverage_raises_the_initial_margin_alone() -> None:
    found = judge([(BTC, 20)], {"USD": 98750}, leverage={BTC: 5})
    assert (found.initial_margin, found.maintenance_margin) == (80000, 12000)


def test_weights_scale_both_fractions() -> None:
    found = judge([(BTC, -20)], {"USD": 98750}, imf_weights={"BTC": 3}, mmf_weights={"BTC": 2})
    assert found.initial_margin == pytest.approx(60000)
    assert found.maintenance_margin == pytest.approx(24000)


def test_a_short_can_need_more_than_it_is_worth_a_long_cannot() -> None:
    long, short = (judge([(BTC, q)], {"USD": 1e10}) for q in (1e6, -1e6))
    assert long.initial_margin == 2e10
    assert short.initial_margin == pytest.approx(2e10 * 0.002 * math.sqrt(1e6))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"leverage": {BTC: 50}}, "is no number from 0.01 to 20"),
        ({"mmf_min": -1}, "is no number"),
        ({"weight_total": {"BTC": 1.5}}, "is no number"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        judge([(BTC, 1)], {"USD": 1000}, **params)
