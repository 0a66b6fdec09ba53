"""Hedge mode in documents: legs of one contract, also from ccxt, and what is refused."""

from typing import Any

import msgspec
import pytest

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.core import InputError
from plimsoll.margin import Explanation, explain, load_models

BTC = "BTC/USDT:USDT"


def load(positions: list[dict[str, Any]], **account: Any) -> Portfolio:
    document = {
        "as_of": "2026-10-01T00:00:00Z",
        "market": {
            "index": {"USDT": 1, "BTC": 50000},
            "instruments": {BTC: {"mark": 50000, "contract_multiplier": 0.1}},
        },
        "accounts": [
            {"id": "a", "model": "binance.usdm", "balances": {"USDT": 10000},
             "positions": positions, **account}
        ],
    }  # fmt: skip
    return build_portfolio(decode_document(msgspec.json.encode(document), "hedge.json"))


def explained(portfolio: Portfolio) -> Explanation:
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    return explain(portfolio.book, portfolio.market, models, "a")[0]


def leg(side: str, quantity: float, **more: Any) -> dict[str, Any]:
    return {"symbol": f"{BTC}#{side}", "quantity": quantity, "entry_price": 50000, **more}


def from_ccxt(side: str, contracts: float, **more: Any) -> dict[str, Any]:
    return {
        "symbol": BTC,
        "contracts": contracts,
        "contractSize": 0.1,
        "side": side,
        "entryPrice": 50000,
        "markPrice": 50000,
        "marginMode": "cross",
        "hedged": True,
        **more,
    }


def test_legs_are_listed_with_their_contract_and_held_side_by_side() -> None:
    portfolio = load([leg("long", 30), leg("short", -20)])
    rows = {row.symbol: row for row in portfolio.book.instruments.rows}
    for side in ("long", "short"):
        row = rows[f"{BTC}#{side}"]
        assert (row.leg, row.contract, float(row.contract_multiplier)) == (side, BTC, 0.1)
    figures = {r[0]: r[1] for t in explained(portfolio).details if t.name == "positions"
               for r in t.rows}  # fmt: skip
    assert {symbol: values[:3] for symbol, values in figures.items()} == {
        f"{BTC}#long": (30.0, 50000.0, 150000.0),
        f"{BTC}#short": (-20.0, 50000.0, 100000.0),
    }


def test_hedged_positions_of_ccxt_are_legs() -> None:
    ours = explained(load([leg("long", 30, leverage=10), leg("short", -20, leverage=10)]))
    ccxt = explained(
        load([from_ccxt("long", 30, leverage=10), from_ccxt("short", 20, leverage=10)])
    )
    assert ccxt == ours
    assert ours.initial_margin == 15_000 + 10_000
    # Without the flag they are two positions in one symbol.
    with pytest.raises(InputError, match=r"positions\[1\]\.symbol: a second cross position"):
        load([from_ccxt("long", 30, hedged=False), from_ccxt("short", 20, hedged=False)])


def test_the_leverage_of_either_leg_is_the_contracts() -> None:
    both = explained(load([leg("long", 30, leverage=10), leg("short", -20, leverage=10)]))
    one = explained(load([leg("long", 30), leg("short", -20, leverage=10)]))
    assert one.initial_margin == both.initial_margin == 25_000


def test_a_leg_of_nothing_is_on_neither_side() -> None:
    explanation = explained(load([leg("long", 30), leg("short", 0)]))
    assert explanation.maintenance_margin == 150_000 * 0.004


@pytest.mark.parametrize(
    ("side", "other", "quantity"), [("long", "short", -3), ("short", "long", 2)]
)
@pytest.mark.parametrize("mode", [{}, {"margin_mode": "isolated", "isolated_margin": 100}])
def test_a_leg_on_the_wrong_side_is_refused(
    side: str, other: str, quantity: float, mode: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as refused:
        load([leg("long", 1), leg(side, quantity, **mode)])
    told = f"{quantity} contracts cannot be on the {side} leg; change its sign, or name the leg"
    place = "hedge.json: accounts[0].positions[1].quantity"
    assert str(refused.value) == f"{place}: {told} #{other}"


def test_both_legs_twice_are_refused() -> None:
    with pytest.raises(InputError, match="a second cross position in 'BTC/USDT:USDT#long'"):
        load([leg("long", 1), leg("long", 2)])


@pytest.mark.parametrize("symbol", [f"{BTC}#both", f"{BTC}#LONG", "BTC/USDT#long", f"{BTC}#"])
def test_no_other_legs_there_are(symbol: str) -> None:
    with pytest.raises(InputError, match="is not a unified symbol"):
        load([{"symbol": symbol, "quantity": 1, "entry_price": 50000, "mark": 50000}])


def test_isolated_legs_have_pools_of_their_own() -> None:
    margin = {"margin_mode": "isolated", "isolated_margin": 5000}
    portfolio = load([leg("long", 30, **margin), leg("short", -20, **margin)])
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    found = explain(portfolio.book, portfolio.market, models, "a")
    assert [(e.kind, e.maintenance_margin) for e in found] == [
        ("cross", 0.0), ("isolated", 600.0), ("isolated", 400.0),
    ]  # fmt: skip


def test_orders_on_a_leg_stay_with_it() -> None:
    order = {"symbol": f"{BTC}#long", "side": "buy", "quantity": 10, "price": 49000}
    explanation = explained(load([leg("long", 30)], orders=[order]))
    charges = {line.name: line.initial for line in explanation.charges}
    assert charges["open_orders"] == pytest.approx(49_000 / 20, rel=1e-12)
    with pytest.raises(InputError, match=r"orders\[0\]\.symbol"):
        load([leg("long", 30)], orders=[{**order, "symbol": "ETH/USDT:USDT#long"}])
