"""Kraken Derivatives: what the vectors do not reach, and claims that hold for any figures."""

from typing import Any

import pytest

from plimsoll.core import InputError, Status
from plimsoll.margin import Explanation, explain, load_models
from tests.margin.option_books import load_document

PERPETUAL, DATED, INVERSE, OTHER = (
    "BTC/USD:USD", "BTC/USD:USD-251226", "BTC/USD:BTC", "ADA/USD:USD",
)  # fmt: skip
MARKS = {PERPETUAL: 50000.0, DATED: 51000.0, INVERSE: 50000.0, OTHER: 0.5}
INDEX = {"BTC": 50000, "ADA": 0.5, "AAVE": 200, "EUR": 1.1}


def judge(
    positions: list[tuple[str, float]],
    balances: dict[str, float] | None = None,
    marks: dict[str, float] | None = None,
    orders: list[dict[str, Any]] | None = None,
    **params: Any,
) -> Explanation:
    given = MARKS | (marks or {})
    account = {
        "id": "a",
        "model": "kraken.futures",
        "balances": balances or {"USD": 100000},
        "positions": [
            {"symbol": s, "quantity": q, "entry_price": MARKS.get(s, 1)} for s, q in positions
        ],
        "orders": orders or [],
        "params": params,
    }
    instruments = {s: {"mark": mark} for s, mark in given.items()}
    portfolio = load_document(
        {
            "as_of": "2025-10-10T00:00:00Z",
            "market": {"index": INDEX, "instruments": instruments},
            "accounts": [account],
        }
    )
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    return explain(portfolio.book, portfolio.market, models, "a")[0]


def test_a_smaller_leg_on_the_other_side_is_free_and_a_larger_one_takes_over() -> None:
    lone = judge([(PERPETUAL, 10)])
    assert judge([(PERPETUAL, 10), (DATED, -9)]).initial_margin == lone.initial_margin
    larger = judge([(PERPETUAL, 10), (DATED, -12)])
    assert larger.initial_margin == judge([(DATED, -12)]).initial_margin > lone.initial_margin
    same_side = judge([(PERPETUAL, 10), (DATED, 9)])
    assert same_side.initial_margin > lone.initial_margin


def test_underlyings_are_not_netted() -> None:
    both = judge([(PERPETUAL, 1), (OTHER, -1000)])
    apart = [judge([leg]).maintenance_margin for leg in ((PERPETUAL, 1), (OTHER, -1000))]
    assert both.maintenance_margin == sum(apart)


@pytest.mark.parametrize("quantity", [100000, -100000])
def test_at_the_liquidation_price_the_margin_is_used_up(quantity: float) -> None:
    book = [(OTHER, quantity), (PERPETUAL, 0.1)]
    balances = {"USD": 20000}
    rows = dict(judge(book, balances).detail("positions").rows)
    price = rows[OTHER][-2]
    moved = judge(book, balances, {OTHER: price})
    assert moved.margin_ratio == pytest.approx(1, rel=1e-9)
    zero = judge(book, balances, {OTHER: rows[OTHER][-1]})
    assert zero.equity == pytest.approx(0, abs=1e-6)


def test_a_leg_on_the_free_side_is_liquidated_by_its_loss_alone() -> None:
    book = [(PERPETUAL, 10), (DATED, -1)]
    rows = dict(judge(book, {"USD": 50000}).detail("positions").rows)
    # Maintenance is 1 % of the long's 500,000: 45,000 left to lose on one coin.
    assert rows[DATED][-2] == pytest.approx(51000 + 45000)


def test_the_coin_of_a_coin_wallet_counts_in_full_until_a_linear_contract_is_held() -> None:
    own = judge([(INVERSE, 1000)], {"BTC": 1})
    assert own.collateral_value == 50000
    shared = judge([(INVERSE, 1000), (OTHER, 1)], {"BTC": 1})
    assert shared.collateral_value == 50000 * 0.99
    assert judge([], {"BTC": 1}).collateral_value == 50000 * 0.99


def test_a_loss_beyond_all_collateral_is_charged_on_what_could_be_converted() -> None:
    # 10 bought at 50,000 fall by 4,000 each: 40,000 USD short, 11,000 of EUR to sell.
    found = judge([(PERPETUAL, 10)], {"EUR": 10000}, {PERPETUAL: 46000})
    fee = next(c for c in found.charges if c.name == "conversion")
    assert fee.maintenance == pytest.approx(11000 * 0.0005)
    assert found.status == Status.BANKRUPT


def test_own_levels_stand_before_the_class() -> None:
    found = judge([(PERPETUAL, 10)], levels_linear={PERPETUAL: [[0, 0.1, 0.2]]})
    assert (found.initial_margin, found.maintenance_margin) == (100000, 50000)
    found = judge([(PERPETUAL, 0.1)], margin_class={"BTC": "G"})
    assert (found.initial_margin, found.maintenance_margin) == (1500, 750)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"margin_class": {"BTC": "Z"}}, "unknown class 'Z'"),
        ({"levels_linear": {"BTC": [[0, 0.2, 0.1]]}}, "initial rate is below maintenance"),
        ({"levels_linear": {"BTC": [[5, 0.1, 0.2]]}}, "floors do not rise from 0"),
        ({"haircuts": {"BTC": 2}}, "is no number"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        judge([(PERPETUAL, 1)], **params)


@pytest.mark.parametrize(
    ("symbol", "mark"),
    [("BTC/USD:BTC-251226", 50000), ("BTC/EUR:EUR", 45000), ("BTC/USD:USD-251226-50000-C", 900)],
)
def test_a_contract_the_venue_does_not_list_is_unknown(symbol: str, mark: float) -> None:
    found = judge([(symbol, 1)], marks={symbol: mark})
    assert found.status == Status.UNKNOWN
