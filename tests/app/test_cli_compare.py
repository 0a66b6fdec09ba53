"""``plimsoll compare``: one portfolio under every venue's rules."""

import json
from pathlib import Path

import pytest

from plimsoll.margin import MODELS
from tests.app.chain_document import chain_document
from tests.app.command import EXAMPLES, plimsoll

CHAIN = "data/options/deribit_btc_chain_hourly_2026-01-23_24.parquet"
NAMES = {model.name for model in MODELS}
# Models with rules for options on BTC that need no figure from the account itself.
OPTIONS = {"deribit.standard", "deribit.segregated_pm", "deribit.cross_pm", "plimsoll.portfolio"}


def test_every_model_answers_or_says_why() -> None:
    done = plimsoll("compare", EXAMPLES / "desk.yaml", "--format", "json")
    assert done.code == 0
    (account,) = done.json["accounts"]
    assert {row["model"] for row in account["models"]} == NAMES
    for row in account["models"]:
        if row["status"] == "UNKNOWN":
            assert row["reasons"]
            continue
        assert row["initial_margin"] >= row["maintenance_margin"] > 0
        assert row["excess_margin"] == pytest.approx(
            row["collateral_value"] - row["maintenance_margin"]
        )
        total = sum(charge["initial"] for charge in row["charges"])
        assert total == pytest.approx(row["initial_margin"])
    assert sum(row["status"] == "OK" for row in account["models"]) >= 3


def test_a_model_gives_what_margin_gives() -> None:
    single = plimsoll("margin", EXAMPLES / "desk.yaml", "--format", "json").json["accounts"][0]
    compared = plimsoll(
        "compare", EXAMPLES / "desk.yaml", "--models", "plimsoll.standard", "--format", "json"
    ).json["accounts"][0]["models"][0]
    for figure in ("equity", "collateral_value", "initial_margin", "maintenance_margin"):
        assert compared[figure] == single[figure]


def test_the_table_fits_a_terminal() -> None:
    done = plimsoll("compare", EXAMPLES / "desk.yaml")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 110
    assert "plimsoll.standard" in done.out
    assert "Driven by" in done.out


def test_patterns_choose_models_and_typos_are_named() -> None:
    chosen = plimsoll(
        "compare", EXAMPLES / "desk.yaml", "--models", "plimsoll.*", "--format", "json"
    ).json["accounts"][0]["models"]
    assert {row["model"] for row in chosen} == {n for n in NAMES if n.startswith("plimsoll.")}
    wrong = plimsoll("compare", EXAMPLES / "desk.yaml", "--models", "plimsol.standard")
    assert wrong.code == 2
    assert "did you mean 'plimsoll.standard'" in wrong.err


def test_a_venue_is_shown_the_portfolio_in_its_own_dollar() -> None:
    """Hyperliquid settles in USDC: 40,000 of it back what 40,000 USDT back elsewhere."""
    rows = plimsoll(
        "compare", EXAMPLES / "perps.yaml", "--models", "hyperliquid.cross,binance.usdm",
        "--format", "json",
    ).json["accounts"][0]["models"]  # fmt: skip
    here, there = rows
    assert (here["restated_in"], there["restated_in"]) == ("USDC", "")
    assert here["status"] == there["status"] == "OK"
    assert here["equity"] == pytest.approx(there["equity"])


SPREAD = """
as_of: 2026-03-02T12:00:00Z
market:
  index: {BTC: 66000, USDT: 1, USDC: 1}
  instruments:
    BTC/USDT:USDT: {mark: 66010}
    BTC/USDC:USDC: {mark: 66000}
accounts:
  - id: spread
    balances: {USDT: 1000, USDC: 2000}
    positions:
      - {symbol: BTC/USDT:USDT, quantity: 1, entry_price: 66010}
      - {symbol: BTC/USDC:USDC, quantity: -1, entry_price: 66000}
"""


def test_a_spread_between_dollars_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "spread.yaml"
    path.write_text(SPREAD)
    (row,) = plimsoll(
        "compare", path, "--models", "hyperliquid.cross", "--format", "json"
    ).json["accounts"][0]["models"]  # fmt: skip
    assert row["restated_in"] == ""


def test_nobody_can_judge_what_has_no_price() -> None:
    done = plimsoll("compare", EXAMPLES / "stale.yaml")
    assert done.code == 2
    assert "UNKNOWN under every model" in done.err


def test_a_real_chain_is_compared(shared_data, tmp_path: Path) -> None:
    document = chain_document(shared_data(CHAIN))
    assert len(document["market"]["instruments"]) > 600
    path = tmp_path / "chain.json"
    path.write_text(json.dumps(document))
    chosen = ("--models", "plimsoll.*,deribit.*,okx.*")
    done = plimsoll("compare", path, *chosen, "--format", "json")
    assert done.code == 0, done.err
    for account in done.json["accounts"]:
        rows = {row["model"]: row for row in account["models"]}
        judged = {name for name, row in rows.items() if row["status"] != "UNKNOWN"}
        assert judged >= OPTIONS, [rows[name]["reasons"] for name in OPTIONS - judged]
        for name in judged:
            assert rows[name]["initial_margin"] >= rows[name]["maintenance_margin"] >= 0
    table = plimsoll("compare", path, *chosen)
    assert table.code == 0
    assert max(map(len, table.out.splitlines())) <= 110
