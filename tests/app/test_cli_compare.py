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


def test_nobody_can_judge_what_has_no_price() -> None:
    done = plimsoll("compare", EXAMPLES / "stale.yaml")
    assert done.code == 2
    assert "UNKNOWN under every model" in done.err


def test_a_real_chain_runs_through_every_model(shared_data, tmp_path: Path) -> None:
    document = chain_document(shared_data(CHAIN))
    assert len(document["market"]["instruments"]) > 600
    path = tmp_path / "chain.json"
    path.write_text(json.dumps(document))
    done = plimsoll("compare", path, "--format", "json")
    assert done.code == 0, done.err
    for account in done.json["accounts"]:
        rows = {row["model"]: row for row in account["models"]}
        judged = {name for name, row in rows.items() if row["status"] != "UNKNOWN"}
        assert judged >= OPTIONS, [rows[name]["reasons"] for name in OPTIONS - judged]
        for name in judged:
            assert rows[name]["initial_margin"] >= rows[name]["maintenance_margin"] >= 0
    table = plimsoll("compare", path)
    assert table.code == 0
    assert max(map(len, table.out.splitlines())) <= 110
