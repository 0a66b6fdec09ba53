"""Leverage brackets of Binance: both forms, every symbol of a real snapshot, what is refused."""

import gzip
import json
import re
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from plimsoll.connectors import (
    brackets_from_ccxt,
    brackets_from_fapi,
    build_portfolio,
    decode_document,
)
from plimsoll.connectors.binance import usdm_symbol
from plimsoll.core import InputError
from plimsoll.margin import assess, load_models
from plimsoll.margin.charges import Brackets

SNAPSHOT = "data/collateral/binance_leverage_tiers_2026-09.json.gz"

# The first brackets of BTCUSDT as GET /fapi/v1/leverageBracket gave them in September 2026.
BTC = {
    "symbol": "BTCUSDT",
    "brackets": [
        {"bracket": 1, "initialLeverage": 150, "notionalCap": 300000, "notionalFloor": 0,
         "maintMarginRatio": 0.004, "cum": 0.0},
        {"bracket": 2, "initialLeverage": 100, "notionalCap": 800000, "notionalFloor": 300000,
         "maintMarginRatio": 0.005, "cum": 300.0},
        {"bracket": 3, "initialLeverage": 75, "notionalCap": 3000000, "notionalFloor": 800000,
         "maintMarginRatio": 0.0065, "cum": 1500.0},
    ],
}  # fmt: skip
ROWS = [[0.0, 0.004, 150.0], [300000.0, 0.005, 100.0], [800000.0, 0.0065, 75.0]]


def unified(entry: dict[str, Any]) -> dict[str, Any]:
    """What ccxt makes of one symbol's answer."""
    symbol = usdm_symbol(entry["symbol"], "")
    return {
        symbol: [
            {
                "tier": float(row["bracket"]),
                "symbol": symbol,
                "currency": symbol.rpartition(":")[2],
                "minNotional": float(row["notionalFloor"]),
                "maxNotional": float(row["notionalCap"]),
                "maintenanceMarginRate": float(row["maintMarginRatio"]),
                "maxLeverage": float(row["initialLeverage"]),
                "info": row,
            }
            for row in entry["brackets"]
        ]
    }


def native(symbol: str, tiers: list[dict[str, Any]]) -> dict[str, Any]:
    """The venue's own answer, which ccxt keeps in ``info``."""
    name = re.sub(r"/(\w+):\w+(?:-(\d+))?", lambda m: m[1] + (f"_{m[2]}" if m[2] else ""), symbol)
    return {"symbol": name, "brackets": [tier["info"] for tier in tiers]}


def test_both_forms_of_one_answer_are_one_override() -> None:
    assert brackets_from_fapi([BTC]) == {"BTC/USDT:USDT": ROWS}
    assert brackets_from_ccxt(unified(BTC)) == {"BTC/USDT:USDT": ROWS}


def test_texts_as_ccxt_passes_them_on_are_numbers() -> None:
    texts = {
        "symbol": "BTCUSDT",
        "notionalCoef": "4.0",
        "brackets": [{k: str(v) for k, v in row.items()} for row in BTC["brackets"]],
    }
    assert brackets_from_fapi([texts]) == {"BTC/USDT:USDT": ROWS}
    assert brackets_from_ccxt(unified(texts)) == {"BTC/USDT:USDT": ROWS}


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT", "BTC/USDT:USDT"),
        ("1000PEPEUSDC", "1000PEPE/USDC:USDC"),
        ("BTCUSDT_261225", "BTC/USDT:USDT-261225"),
        ("ETHBTC", "ETH/BTC:BTC"),
        ("BTCUSD1", "BTC/USD1:USD1"),
        ("BTCU", "BTC/U:U"),
        ("BTCDOMUSDT", "BTCDOM/USDT:USDT"),
    ],
)
def test_names_of_contracts(name: str, symbol: str) -> None:
    assert usdm_symbol(name, "here") == symbol


@pytest.mark.parametrize("name", ["", "USDT", "BTC-PERPETUAL", "BTCUSD", "BTCUSDT_2612"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="^here: '.*' is no USD-M contract; write it as BTCUSDT"):
        usdm_symbol(name, "here")


def changed(**fields: Any) -> dict[str, Any]:
    """The answer with something else in its second bracket."""
    entry = deepcopy(BTC)
    entry["brackets"][1] |= fields
    return entry


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "payload: is no list of anything"),
        ({"symbol": "BTCUSDT"}, "payload: is no list of anything"),
        ([3], "payload[0]: is no mapping"),
        ([{"brackets": []}], "payload[0].symbol: is missing"),
        ([{"symbol": "BTCUSD", "brackets": []}], "payload[0].symbol: 'BTCUSD' is no USD-M"),
        ([{"symbol": "BTCUSDT"}], "payload[0].brackets: is missing"),
        ([{"symbol": "BTCUSDT", "brackets": []}], "payload[0].brackets: is no list of anything"),
        ([{"symbol": "BTCUSDT", "brackets": [1]}], "payload[0].brackets[0]: is no mapping"),
        ([changed(cum=None)], "payload[0].brackets[1].cum: is missing"),
        ([changed(cum="nan")], "payload[0].brackets[1].cum: 'nan' is no number from 0"),
        ([changed(cum=True)], "payload[0].brackets[1].cum: True is no number from 0"),
        ([changed(notionalCap=-1)], "payload[0].brackets[1].notionalCap: -1 is no number from 0"),
        ([changed(maintMarginRatio="low")], ".maintMarginRatio: 'low' is no number from 0"),
        (
            [changed(notionalFloor=400000)],
            "payload[0].brackets[1]: the bracket from 400000 to 800000 does not follow 300000",
        ),
        ([changed(maintMarginRatio=0.004)], "rate 0.004 and leverage 100 make no bracket"),
        ([changed(maintMarginRatio=0.011)], "rate 0.011 and leverage 100 make no bracket"),
        ([changed(initialLeverage=0.5)], "rate 0.005 and leverage 0.5 make no bracket"),
        (
            [changed(cum=310)],
            "payload[0].brackets[1]: cum is 310, but floors and rates give 300; give all brackets",
        ),
    ],
)
def test_what_is_no_table_of_brackets_is_refused_with_its_place(payload: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        brackets_from_fapi(payload)


def test_refusals_of_ccxts_form_name_the_symbol() -> None:
    with pytest.raises(InputError, match=r"^payload: is no mapping; give what fetch_leverage"):
        brackets_from_ccxt([])  # type: ignore[arg-type]
    place = r"^payload\['BTC/USDT:USDT'\]\[1\]"
    with pytest.raises(InputError, match=place + r"\.info\.cum: 'x' is no number"):
        brackets_from_ccxt(unified(changed(cum="x")))
    with pytest.raises(InputError, match=place + r": cum is 310, but"):
        brackets_from_ccxt(unified(changed(cum=310)))
    tiers = unified(BTC)
    del tiers["BTC/USDT:USDT"][1]["maxLeverage"]
    with pytest.raises(InputError, match=place + r"\.maxLeverage: is missing"):
        brackets_from_ccxt(tiers)


def test_an_amount_that_nobody_states_is_not_checked() -> None:
    tiers = unified(changed(cum=310))
    for tier in tiers["BTC/USDT:USDT"]:
        tier["info"] = {}
    assert brackets_from_ccxt(tiers) == {"BTC/USDT:USDT": ROWS}


def test_the_override_is_what_a_document_takes() -> None:
    account = {
        "id": "a",
        "model": "binance.usdm",
        "balances": {"USDT": 100000},
        "positions": [{"symbol": "BTC/USDT:USDT", "quantity": 10, "entry_price": 50000}],
        "params": {"brackets": brackets_from_fapi([BTC])},
    }
    document = {
        "as_of": "2021-03-18T00:00:00Z",
        "market": {"index": {"USDT": 1}, "instruments": {"BTC/USDT:USDT": {"mark": 50000}}},
        "accounts": [account],
    }
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "x.json"))
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    result = assess(portfolio.book, portfolio.market, models)
    assert result.maintenance_margin[5] == pytest.approx(500_000 * 0.005 - 300, rel=1e-15)


def test_the_snapshot_of_all_symbols(shared_data: Callable[[str], Path]) -> None:
    """907 symbols: one override from both forms, and the venue's cum from floors and rates."""
    payload = json.loads(gzip.decompress(shared_data(SNAPSHOT).read_bytes()))
    override = brackets_from_ccxt(payload)
    assert len(override) == 907
    assert brackets_from_fapi([native(*item) for item in payload.items()]) == override
    brackets = Brackets.build(override, tuple(override), "brackets")
    stated = np.array([tier["info"]["cum"] for tiers in payload.values() for tier in tiers])
    assert stated.size == 7276
    # The engine's own constants, from floors and rates alone, against the venue's.
    np.testing.assert_allclose(brackets.tiers.cumulative, stated, rtol=1e-12, atol=1e-8)
    for symbol, tiers in payload.items():
        for low, high in pairwise(tiers):
            assert low["maxNotional"] == high["minNotional"], symbol
