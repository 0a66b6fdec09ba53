"""BitMEX: whole satoshis against exact fractions, and what the vectors do not reach."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, Status, stream
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.registry import model_tables
from plimsoll.margin.venues import bitmex_cross, bitmex_isolated
from tests.margin.option_books import load_document

INVERSE, QUANTO, LINEAR = "BTC/USD:BTC", "ETH/USD:BTC", "WLD/USDT:USDT"
MODELS = ("bitmex.cross", "bitmex.isolated")
AS_OF = "2025-10-10T00:00:00Z"
INDEX = {"BTC": 20000, "ETH": 2000, "USDT": 1}


def document(
    positions: list[dict[str, Any]],
    orders: list[dict[str, Any]] | None = None,
    marks: dict[str, float] | None = None,
    model: str = "bitmex.cross",
    **params: Any,
) -> dict[str, Any]:
    given = {INVERSE: 20000, QUANTO: 2000, LINEAR: 0.5, "BTC/USDT": 20000} | (marks or {})
    instruments = {s: {"mark": mark} if mark else {} for s, mark in given.items()}
    instruments[QUANTO]["contract_multiplier"] = 1e-6
    account = {"id": "a", "model": model, "positions": positions, "orders": orders or [],
               "balances": {"BTC": 1, "USDT": 10000}, "params": params}  # fmt: skip
    return {"as_of": AS_OF, "market": {"index": INDEX, "instruments": instruments},
            "accounts": [account]}  # fmt: skip


def judge(raw: dict[str, Any]) -> tuple[Explanation, ...]:
    portfolio = load_document(raw)
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    return explain(portfolio.book, portfolio.market, models, "a")


def fields(raw: dict[str, Any], symbol: str) -> dict[str, float]:
    for explained in judge(raw):
        table = explained.detail("margin")
        for label, values in table.rows:
            if label == symbol:
                shown = dict(zip(table.columns, values, strict=True))
                prices = explained.detail("positions")
                row = next(v for s, v in prices.rows if s == symbol)
                return shown | dict(zip(prices.columns, row, strict=True))
    raise AssertionError(symbol)


def alone(raw: dict[str, Any], symbol: str) -> dict[str, Any]:
    """The document with balances of the symbol's settle asset only, so in the cross pool."""
    settle = symbol.partition(":")[2]
    (account,) = raw["accounts"]
    return {**raw, "accounts": [{**account, "balances": {settle: account["balances"][settle]}}]}


def position(symbol: str, quantity: float, entry: float, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "entry_price": entry, **more}


@pytest.mark.parametrize("decimals", [2, 4, 6])
def test_a_product_is_rounded_up_as_an_exact_one(decimals: int) -> None:
    random = stream(decimals, "whole units")
    whole = np.floor(10 ** random.uniform(0, 10, 20000))
    rate = np.maximum(np.round(random.uniform(0, 0.2, 20000), decimals), 10.0**-decimals)
    # A tenth are made to come out whole.
    whole[::10] = np.floor(whole[::10] / 10**decimals) * 10**decimals
    exact = [
        math.ceil(Fraction(int(w)) * Fraction(round(r * 10**decimals), 10**decimals))
        for w, r in zip(whole, rate, strict=True)
    ]
    assert bitmex_isolated.ceil_whole(whole * rate).tolist() == exact
    naive = np.ceil(whole * rate)
    assert np.any(naive != np.array(exact, dtype=float)) or decimals == 2


@pytest.mark.parametrize("model", MODELS)
def test_fields_are_those_of_exact_fractions(model: str) -> None:
    random = stream(7, "bitmex fields")
    for _ in range(40):
        symbol = str(random.choice([INVERSE, QUANTO, LINEAR]))
        unit = Fraction(1, 10**6 if symbol == LINEAR else 10**8)
        entry = {INVERSE: "20123.5", QUANTO: "1987.65", LINEAR: "0.4987"}[symbol]
        quantity = int(random.integers(1, 50000)) * int(random.choice([-1, 1]))
        leverage = int(random.integers(1, 50))
        funding = f"{random.integers(-30, 30)}e-5"
        size = Fraction(abs(quantity)) * (Fraction(1, 10**6) if symbol == QUANTO else 1)
        value = size / Fraction(entry) if symbol == INVERSE else size * Fraction(entry)
        cost = round(value / unit)
        initial, maintenance, fee = Fraction(1, leverage), Fraction("0.0045"), Fraction("0.00075")
        pos_init = math.ceil(cost * initial)
        comm = math.ceil((cost + pos_init) * fee)
        pays = Fraction(funding) * (1 if quantity > 0 else -1)
        maint = math.ceil(cost * maintenance) + comm + math.ceil(cost * max(pays, Fraction(0)))
        raw = document(
            [position(symbol, quantity, float(entry), leverage=leverage)],
            model=model,
            initial_rate={symbol: 0.001},
            maintenance_rate={symbol: 0.0045},
            funding_rate={symbol: float(funding)},
            risk_limits={symbol: []},
        )
        got = fields(alone(raw, symbol), symbol)
        names = ("posCost", "posInit", "posComm", "posMaint", "posMargin")
        assert [got[n] for n in names] == [cost, pos_init, comm, maint, pos_init + comm]


def test_long_and_short_need_the_same() -> None:
    names = ("posInit", "posComm", "posMaint")
    for symbol, entry in ((INVERSE, 19000), (QUANTO, 2100), (LINEAR, 0.6)):
        long, short = (fields(document([position(symbol, q, entry)]), symbol) for q in (1e4, -1e4))
        assert [long[n] for n in names] == [short[n] for n in names]
        assert long["unrealisedPnl"] == -short["unrealisedPnl"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("quantity", [2000, -2000])
def test_at_the_liquidation_price_the_margin_is_used_up(model: str, quantity: int) -> None:
    mode = {"margin_mode": "isolated", "isolated_margin": 150} if model == MODELS[1] else {}
    held = [position(LINEAR, quantity, 0.5, **mode)]
    price = fields(document(held, model=model), LINEAR)["liquidation_price"]
    if model == MODELS[0]:
        # 10,000 USDT back 1,000 of notional: only a short can lose as much.
        assert math.isnan(price) == (quantity > 0)
    if math.isnan(price):
        return
    for shift, status in ((0.9999, Status.OK), (1.0001, Status.LIQUIDATABLE)):
        mark = price * (shift if quantity < 0 else 2 - shift)
        found = judge(document(held, marks={LINEAR: mark}, model=model))
        judged = next(e for e in found if e.detail("margin").rows)
        assert judged.status == status


def test_each_currency_is_margined_by_itself() -> None:
    pools = judge(document([position(INVERSE, 1000, 20000), position(LINEAR, 1000, 0.5)]))
    assert [pool.collateral_value for pool in pools] == [20000.0, 10000.0]
    assert all(pool.initial_margin > 0 for pool in pools)


def test_the_venue_s_rounding_is_the_table_s() -> None:
    """A short of 1 XBTUSD as in the response of 2017, and away from entry as at KuCoin."""
    held = [position(INVERSE, -1, 10771, leverage=2)]
    read = {"pos_cross": {INVERSE: 39}}
    ours = fields(document(held, model="bitmex.isolated", **read), INVERSE)
    away = document(held, model="bitmex.isolated", bankruptcy_rounds_away=True, **read)
    assert (ours["bankruptcy_price"], ours["liquidation_price"]) == (21724.5, 21505.0)
    assert fields(away, INVERSE)["bankruptcy_price"] == 21725.0
    assert fields(away, INVERSE)["liquidation_price"] == 21505.0


def test_orders_that_only_reduce_are_free() -> None:
    order = {"symbol": INVERSE, "side": "buy", "quantity": 500, "price": 25000}
    free = fields(document([], [{**order, "reduce_only": True}]), INVERSE)
    open_ = fields(document([], [order]), INVERSE)
    assert (free["initMargin"], free["grossOpenPremium"]) == (0, 0)
    # 500 USD at 25,000 instead of 20,000: 0.025 - 0.02 coins.
    assert open_["grossOpenPremium"] == 500_000
    assert open_["grossOpenCost"] == 2_000_000


@pytest.mark.parametrize(
    "raw",
    [
        document([], [{"symbol": "BTC/USDT", "side": "buy", "quantity": 1, "price": 100}]),
        document(
            [], [{"symbol": LINEAR, "side": "buy", "quantity": 1, "price": 0.4}], {LINEAR: 0}
        ),
        document([position(LINEAR, 10, 0.5)], maintenance_rate={LINEAR: 0.01}, risk_limits={
            LINEAR: [1]}),
    ],
    ids=["spot order", "order without a mark", "beyond a limit without a step"],
)  # fmt: skip
def test_what_has_no_rule_is_unknown(raw: dict[str, Any]) -> None:
    assert Status.UNKNOWN in [pool.status for pool in judge(raw)]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"risk_limits": {LINEAR: [0, 5]}}, "is no risk limit"),
        ({"risk_limits": {LINEAR: [5, 5, 5]}}, "is no risk limit"),
        ({"closing_fee_on_cross": 1}, "is not true or false"),
        ({"leverage": {LINEAR: 0}}, "is no number"),
        ({"maintenance_rate": {LINEAR: 1.5}}, "is no number"),
        ({"decimals": {"USDT": 19}}, "is no number"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        judge(document([position(LINEAR, 10, 0.5)], **params))


def test_both_tables_say_the_same() -> None:
    cross, isolated = (model_tables(m.MODEL) for m in (bitmex_cross, bitmex_isolated))
    assert [(t.effective_from_ns, t.source, t.params) for t in cross] == [
        (t.effective_from_ns, t.source, t.params) for t in isolated
    ]
