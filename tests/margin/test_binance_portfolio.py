"""Binance Portfolio Margin: uniMMR term by term, both programs, loans, what is refused."""

from typing import Any

import msgspec
import pytest

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import InputError, Status
from plimsoll.margin import Explanation, explain, load_models

BTC, COIN = "BTC/USDT:USDT", "BTC/USD:BTC"


def explained(account: dict[str, Any], pool: int = 0, **index: float) -> Explanation:
    document = {
        "as_of": "2026-10-01T00:00:00Z",
        "market": {
            "index": {"USDT": 1, "BTC": 50_000, "ETH": 2_500, **index},
            "instruments": {
                BTC: {"mark": 50_000},
                COIN: {"mark": 50_000, "contract_multiplier": 100},
                "BTC/USDT": {"mark": 50_000},
            },
        },
        "accounts": [{"id": "a", "model": "binance.portfolio", **account}],
    }
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "x.json"))
    book = portfolio.book
    models = load_models(book.instruments, book.models, portfolio.market.as_of_ns)
    return explain(book, portfolio.market, models, "a")[pool]


def lines(explanation: Explanation) -> dict[str, tuple[float, float]]:
    return {line.name: (line.initial, line.maintenance) for line in explanation.charges}


def held(symbol: str, quantity: float, entry: float, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "entry_price": entry, **more}


DESK = {
    "balances": {"BTC": 1.5, "ETH": -2, "USDT": 20_000},
    "positions": [held(BTC, -4, 52_000), held(COIN, 1_000, 40_000)],
}


def test_every_term_of_the_uni_mmr() -> None:
    explanation = explained(DESK)
    # COIN-M: 100,000 USD long from 40,000 gains 0.5 BTC; USD-M: 4 short from 52,000 gain 8,000.
    btc, eth, usdt = (1.5 + 0.5) * 50_000, -2 * 2_500, 20_000 + 8_000
    assert explanation.equity == pytest.approx(btc + eth + usdt, rel=1e-12)
    # 95 % of coins, all of the debt, USDT in full.
    counted = 0.95 * btc + eth + usdt
    assert explanation.collateral_value == pytest.approx(counted, rel=1e-12)
    maintenance = 200_000 * 0.004 + 2 * 0.004 * 50_000 + 2 * 0.10 * 2_500
    uni_mmr = counted / maintenance
    assert 1.05 / explanation.margin_ratio == pytest.approx(uni_mmr, rel=1e-12)
    close = {name: pytest.approx(pair, rel=1e-9) for name, pair in {
        "usd_m_positions": (200_000 / 20, 800), "coin_m_positions": (100_000 / 20, 400),
        "margin_loans": (5_000 / (3 - 1), 500), "open_orders": (0, 0),
        "uni_mmr_levels": (0, 0.05 * 1_700),
    }.items()}  # fmt: skip
    assert lines(explanation) == close


@pytest.mark.parametrize(
    ("leverage", "rate", "initial"), [(3, 0.10, 1 / 2), (5, 0.08, 1 / 4), (10, 0.05, 1 / 9)]
)
def test_loans_by_leverage_class(leverage: int, rate: float, initial: float) -> None:
    account = {"balances": {"ETH": -10, "USDT": 50_000}, "params": {"margin_leverage": leverage}}
    expected = (25_000 * initial, 25_000 * rate)
    assert lines(explained(account))["margin_loans"] == pytest.approx(expected, rel=1e-12)


def test_a_stated_loan_counts_though_the_balance_is_above_zero() -> None:
    """Portfolio Margin Pro FAQ: 20 ETH of which 15 are borrowed."""
    account = {"balances": {"ETH": 5, "BTC": 0.06}, "params": {"loans": {"ETH": 15, "BTC": 0.04}}}
    (table,) = (t for t in explained(account).details if t.name == "collateral")
    rows = dict(table.rows)
    place = table.columns.index("loan_maintenance_margin")
    assert {asset: values[place] for asset, values in rows.items()} == pytest.approx(
        {"ETH": 1.5, "BTC": 0.004}
    )
    # A loan in an asset that the account no longer has is not lost.
    account["balances"] = {"BTC": 0.06}
    assert explained(account).status == Status.UNKNOWN


def test_a_stated_loan_is_the_accounts_not_that_of_an_isolated_position() -> None:
    lone = held(BTC, 1, 50_000, margin_mode="isolated", isolated_margin=5_000)
    account = {"balances": {"USDT": 50_000}, "positions": [lone], "params": {"loans": {"USDT": 9}}}
    assert lines(explained(account))["margin_loans"][1] == pytest.approx(0.9)
    assert lines(explained(account, pool=1))["margin_loans"] == (0, 0)


@pytest.mark.parametrize(
    ("usdt", "status"),
    [
        (1_680.0001 + 900, Status.OK),  # 1.2 x 1,400, once the loss is taken
        (1_679.9999 + 900, Status.MARGIN_CALL),
        (1_470.0001 + 900, Status.MARGIN_CALL),
        (1_469.9999 + 900, Status.LIQUIDATABLE),
        (899, Status.BANKRUPT),
    ],
)
def test_the_levels_of_uni_mmr(usdt: float, status: Status) -> None:
    # 7 BTC, 350,000 at 0.4 %, are 900 below entry.
    account = {"balances": {"USDT": usdt}, "positions": [held(BTC, 7, 50_000 + 900 / 7)],
               "params": {"brackets": {BTC: [[0, 0.004, 150]]}}}  # fmt: skip
    explanation = explained(account)
    assert lines(explanation)["usd_m_positions"][1] == pytest.approx(1_400)
    assert explanation.status == status


def test_initial_margin_is_at_least_where_the_account_may_only_reduce() -> None:
    params = {"leverage": {BTC: 150}, "brackets": {BTC: [[0, 0.0065, 150]]}}
    account = {"balances": {"USDT": 50_000}, "positions": [held(BTC, 2, 50_000)], "params": params}
    explanation = explained(account)
    assert explanation.initial_margin == pytest.approx(1.2 * 650)
    assert lines(explanation)["uni_mmr_levels"] == pytest.approx((780 - 100_000 / 150, 32.5))


def test_pro_asks_for_no_initial_margin_but_the_level() -> None:
    params = {"program": "pro", "collateral_rates_pro": {"USDT": [[0, 1.0]], "BTC": [[0, 0.95]]}}
    account = {**DESK, "balances": {"BTC": 1.5, "USDT": 20_000}, "params": params}
    explanation = explained(account)
    assert lines(explanation)["usd_m_positions"] == pytest.approx((0, 800))
    assert lines(explanation)["coin_m_positions"] == pytest.approx((0, 400))
    assert explanation.initial_margin == pytest.approx(1.2 * 1_200)
    assert explanation.maintenance_margin == pytest.approx(1.05 * 1_200)


@pytest.mark.parametrize(
    ("uni", "counted"),
    [
        (8_000, 800_000),
        (12_000, 800_000 + 400_000 * 0.95),
        (20_000, 800_000 + 400_000 * 0.95 + 800_000 * 0.75),
        (30_000, 800_000 + 400_000 * 0.95 + 800_000 * 0.75 + 1_000_000 * 0.5),
    ],
)
def test_pro_rates_are_marginal_in_value(uni: float, counted: float) -> None:
    """UNI from 5 September 2025, rank 7, at 100 USD."""
    account = {"balances": {"UNI": uni}, "params": {"program": "pro"}}
    assert explained(account, UNI=100).collateral_value == pytest.approx(counted, rel=1e-12)


def test_what_is_not_listed_backs_nothing_in_classic_and_is_unknown_in_pro() -> None:
    account = {"balances": {"XYZ": 10, "USDT": 5}}
    classic = explained(account, XYZ=3)
    assert (classic.equity, classic.collateral_value) == (35, 5)
    assert explained({**account, "params": {"program": "pro"}}, XYZ=3).status == Status.UNKNOWN
    # A debt counts in full everywhere.
    debt = {"balances": {"XYZ": -10}, "params": {"program": "pro"}}
    assert explained(debt, XYZ=3).collateral_value == -30


def test_open_orders_take_initial_margin_and_the_loss_they_would_make() -> None:
    order = {"symbol": BTC, "side": "sell", "quantity": 1, "price": 49_000}
    account = {"balances": {"USDT": 50_000}, "orders": [order]}
    expected = (49_000 / 20 + 1_000, 0)
    assert lines(explained(account))["open_orders"] == pytest.approx(expected, rel=1e-12)
    spot = {**order, "symbol": "BTC/USDT"}
    assert explained({**account, "orders": [spot]}).status == Status.UNKNOWN


def test_linear_contracts_never_take_the_brackets_of_coins() -> None:
    """The table of COIN-M has an entry for everything on BTC, in coins."""
    future = "BTC/USDT:USDT-270326"
    account = {"balances": {"USDT": 5_000}, "positions": [held(future, 1, 50_000, mark=50_000)]}
    assert explained(account).status == Status.UNKNOWN
    inverse = "BTC/USD:BTC-270326"
    account["positions"] = [held(inverse, 100, 50_000, mark=50_000, contract_multiplier=100)]
    assert lines(explained(account))["coin_m_positions"][1] == pytest.approx(10_000 * 0.01)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"program": "retail"}, ".program: 'retail' is no program of portfolio margin; known: "),
        ({"margin_leverage": 4}, ".margin_leverage: 4 is no class; known: '10', '3', '5'"),
        ({"margin_leverage": 1}, ".margin_leverage: 1 is no number from 2 to inf"),
        ({"loans": {"XYZ": 1}}, ".loans.XYZ: is an asset that nothing in the document names"),
        ({"loans": {"ETH": -1}}, ".loans.ETH: -1 is no number from 0"),
        ({"liquidation_uni_mmr": 0.9}, ".liquidation_uni_mmr: 0.9 is no number from 1"),
        ({"reduce_only_uni_mmr": 1.01}, ".reduce_only_uni_mmr: 1.01 is no number from 1.05"),
        ({"loan_maintenance_rates": {"3": 2}}, ".loan_maintenance_rates: 2 is no number from 0"),
        ({"collateral_rates": {"ETH": [[0, 95]]}}, ".collateral_rates.ETH: a rate is no fraction"),
        ({"coin_m_brackets": {COIN: [[0, 0.01]]}}, ".coin_m_brackets.BTC/USD:BTC[0]: None is no"),
        ({"brackets": {BTC: [[0, 0.01]]}}, ".brackets.BTC/USDT:USDT[0]: None is no leverage"),
    ],
)
def test_refusals_name_the_place(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        explained({**DESK, "params": params})
    assert message in str(refused.value)
