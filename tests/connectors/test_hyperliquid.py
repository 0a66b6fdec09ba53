"""Hyperliquid's own account response: read as it is, and answered with the venue's figures."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plimsoll.connectors import (
    Number,
    PortfolioDocument,
    build_portfolio,
    hyperliquid_account,
    read_document,
)
from plimsoll.core import InputError, Status
from plimsoll.margin import Explanation, explain, load_models
from tests.app.command import plimsoll

RECORDED = "data/accounts/hyperliquid/test_get_user_state_0.json"

# Hyperliquid docs, info endpoint: the example response, of 22 February 2024.
PUBLISHED: dict[str, Any] = {
    "assetPositions": [
        {
            "position": {
                "coin": "ETH",
                "entryPx": "2986.3",
                "leverage": {"rawUsd": "-95.059824", "type": "isolated", "value": 20},
                "liquidationPx": "2866.26936529",
                "marginUsed": "4.967826",
                "maxLeverage": 50,
                "positionValue": "100.02765",
                "szi": "0.0335",
                "unrealizedPnl": "-0.0134",
            },
            "type": "oneWay",
        }
    ],
    "crossMarginSummary": {"accountValue": "13104.514502", "totalMarginUsed": "0.0"},
    "marginSummary": {"accountValue": "13109.482328", "totalMarginUsed": "4.967826"},
    "time": 1708622398623,
    "withdrawable": "13104.514502",
}


def pools_of(document: PortfolioDocument) -> tuple[Explanation, ...]:
    portfolio = build_portfolio(document)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, book.account_ids[0])


def rows_of(pool: Explanation, table: str) -> dict[str, dict[str, float]]:
    found = pool.detail(table)
    return {
        label.partition("/")[0]: dict(zip(found.columns, row, strict=True))
        for label, row in found.rows
    }


def test_the_real_account_is_margined_as_the_venue_did(shared_data: Callable[[str], Path]):
    path = shared_data(RECORDED)
    response = json.loads(path.read_text())["response"]
    document = read_document(path)
    # It carries no time: it is of the venue's first form, and so under its first rules.
    assert document.as_of == "2023-03-28T00:00:00Z"
    (pool,) = pools_of(document)
    positions, margins = rows_of(pool, "positions"), rows_of(pool, "position_margins")
    finite = 0
    for row in response["assetPositions"]:
        given = row["position"]
        held, used = positions[given["coin"]], margins[given["coin"]]
        if given["liquidationPx"] is None:
            assert math.isnan(held["liquidation_price"])
        else:
            finite += 1
            assert held["liquidation_price"] == pytest.approx(
                float(given["liquidationPx"]), rel=1e-6
            )
        assert held["quantity"] == pytest.approx(float(given["szi"]), rel=1e-15)
        assert held["notional"] == pytest.approx(float(given["positionValue"]), abs=1e-9)
        assert held["profit"] == pytest.approx(float(given["unrealizedPnl"]), abs=1e-9)
        assert used["margin_used"] == pytest.approx(float(given["marginUsed"]), abs=1e-6)
        assert used["return_on_equity"] == pytest.approx(float(given["returnOnEquity"]), abs=1e-8)
    assert (finite, len(positions)) == (5, 12)
    summary = response["crossMarginSummary"]
    account = rows_of(pool, "account")["USDC"]
    assert pool.equity == pytest.approx(float(summary["accountValue"]), abs=1e-9)
    assert pool.initial_margin == pytest.approx(float(summary["totalMarginUsed"]), abs=1e-6)
    assert account["notional"] == pytest.approx(float(summary["totalNtlPos"]), abs=1e-6)
    assert account["withdrawable"] == pytest.approx(float(response["withdrawable"]), abs=1e-6)
    assert pool.maintenance_margin == pytest.approx(float(summary["totalNtlPos"]) / 100, abs=1e-6)


def test_later_rules_give_other_prices(shared_data: Callable[[str], Path]):
    """So that the test above fails for the date alone."""
    payload = json.loads(shared_data(RECORDED).read_text())
    coins = [row["position"]["coin"] for row in payload["response"]["assetPositions"]]
    payload["meta"] = {"universe": [{"name": coin, "maxLeverage": 50} for coin in coins]}
    then, later = (
        rows_of(pools_of(hyperliquid_account(payload, day))[0], "positions")["BTC"]
        for day in ("2023-06-01", "2024-06-01")
    )
    # From a distance d of the mark to d / (1 + 1/100), for a short.
    distance = then["liquidation_price"] - then["mark"]
    assert later["liquidation_price"] - later["mark"] == pytest.approx(distance / 1.01, rel=1e-9)


def test_the_bare_response_is_the_same_account(shared_data: Callable[[str], Path], tmp_path: Path):
    payload = json.loads(shared_data(RECORDED).read_text())
    bare = tmp_path / "state.json"
    bare.write_text(json.dumps(payload["response"]))
    document, whole = read_document(bare), read_document(shared_data(RECORDED))
    assert document.accounts[0].id == "hyperliquid"
    assert whole.accounts[0].id == payload["request"]["user"]
    assert (document.market, document.accounts[0].positions, document.accounts[0].balances) == (
        whole.market, whole.accounts[0].positions, whole.accounts[0].balances
    )  # fmt: skip


def test_the_command_takes_the_file_directly(shared_data: Callable[[str], Path]):
    ran = plimsoll("margin", shared_data(RECORDED), "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    (account,) = ran.json["accounts"]
    assert account["status"] == "OK"
    assert account["equity"] == pytest.approx(1182.312496)


def test_an_isolated_position_keeps_its_own_margin():
    document = hyperliquid_account(PUBLISHED)
    assert document.as_of == "2024-02-22T17:19:58.623000000Z"
    cross, isolated = pools_of(document)
    assert (cross.status, isolated.status) == (Status.OK, Status.OK)
    assert cross.equity == pytest.approx(13104.514502, abs=1e-9)
    assert isolated.equity == pytest.approx(4.967826, abs=1e-9)
    held = rows_of(isolated, "positions")["ETH"]
    # The venue rounds to about 1e-8 of the price.
    assert held["liquidation_price"] == pytest.approx(2866.26936529, rel=1e-8)
    assert held["profit"] == pytest.approx(-0.0134, abs=1e-9)
    assert isolated.maintenance_margin == pytest.approx(100.02765 / 100, abs=1e-9)


def test_a_stated_maximum_leverage_serves_a_coin_without_tiers():
    payload = copy.deepcopy(PUBLISHED)
    payload["assetPositions"][0]["position"] |= {"coin": "ZEC", "maxLeverage": 5}
    _, isolated = pools_of(hyperliquid_account(payload, "2026-01-01"))
    assert isolated.maintenance_margin == pytest.approx(100.02765 / 10, abs=1e-9)


def test_meta_serves_positions_that_state_no_maximum():
    state = copy.deepcopy(PUBLISHED)
    del state["assetPositions"][0]["position"]["maxLeverage"]
    state["assetPositions"][0]["position"]["coin"] = "ZEC"
    universe = [{"name": "ZEC", "maxLeverage": 10}, {"name": "xyz:SPCX", "maxLeverage": 5}]
    payload = {"response": state, "meta": {"universe": universe}}
    _, isolated = pools_of(hyperliquid_account(payload, "2026-01-01"))
    assert isolated.maintenance_margin == pytest.approx(100.02765 / 20, abs=1e-9)
    _, unknown = pools_of(hyperliquid_account({"response": state}, "2026-01-01"))
    assert unknown.status == Status.UNKNOWN


def test_a_closed_position_is_left_out():
    payload = copy.deepcopy(PUBLISHED)
    payload["assetPositions"][0]["position"] |= {"szi": "0.0", "positionValue": "0.0"}
    document = hyperliquid_account(payload)
    assert document.accounts[0].positions == ()
    assert document.accounts[0].balances == {"USDC": Number("13104.514502")}


def broken(**changes: Any) -> dict[str, Any]:
    payload = copy.deepcopy(PUBLISHED)
    payload["assetPositions"][0]["position"] |= changes
    return payload


P0 = "assetPositions[0].position"
# the response, the place that is told, words of the remedy
MALFORMED = (
    (broken(szi="much"), f"{P0}.szi", "mend"),
    (broken(szi="nan"), f"{P0}.szi", "mend"),
    (broken(szi=None), f"{P0}.szi", "whole response"),
    (broken(szi=True), f"{P0}.szi", "mend"),
    (broken(szi="1e400"), f"{P0}.szi", "stay below"),
    (broken(positionValue="0"), f"{P0}.positionValue", "mend"),
    (broken(entryPx="-1"), f"{P0}.entryPx", "mend"),
    (broken(leverage={"type": "isolated", "value": 20}), f"{P0}.leverage.rawUsd", "whole"),
    (broken(leverage={"type": "isolated", "value": 20, "rawUsd": "-200"}),
     f"{P0}.leverage.rawUsd", "mend"),
    (broken(leverage=20), f"{P0}.leverage", "name: value"),
    (broken(coin="xyz:SPCX"), f"{P0}.coin", "builders"),
    (broken(coin="\x1b[31m"), f"{P0}.coin", "builders"),
    ({**PUBLISHED, "assetPositions": {}}, "assetPositions", "response"),
    ({**PUBLISHED, "crossMarginSummary": None}, "crossMarginSummary", "whole response"),
    ({**PUBLISHED, "time": -1}, "time", "milliseconds"),
    ({"response": {**PUBLISHED, "time": "soon"}}, "response.time", "mend"),
    ({"response": [1], "assetPositions": []}, "response", "name: value"),
)  # fmt: skip


@pytest.mark.parametrize(("payload", "place", "remedy"), MALFORMED)
def test_a_malformed_response_is_refused_with_its_place(
    payload: dict[str, Any], place: str, remedy: str
):
    with pytest.raises(InputError) as caught:
        hyperliquid_account(payload)
    assert caught.value.place == place
    assert remedy in caught.value.remedy
    assert str(caught.value).isprintable()


def test_a_malformed_file_names_the_file(tmp_path: Path):
    path = tmp_path / "state.json"
    path.write_text(json.dumps(broken(szi="much")))
    with pytest.raises(InputError) as caught:
        read_document(path)
    assert caught.value.place == f"{path}: {P0}.szi"


def test_a_document_that_only_mentions_such_a_response_is_read_as_a_document(tmp_path: Path):
    path = tmp_path / "desk.yaml"
    path.write_text('as_of: 2026-01-01\nmarket: {}\naccounts: [{id: "\\"assetPositions\\""}]\n')
    assert read_document(path).accounts[0].id == '"assetPositions"'
