"""``plimsoll waterfall``: the stages of each waterfall, for people and for machines."""

import re

import pytest

from plimsoll.core import parse_time
from plimsoll.liquidation.presets.decode import STAGES
from plimsoll.liquidation.waterfall.preset import load_waterfall, waterfall_names, waterfall_tables
from plimsoll.margin import MODELS
from tests.app.command import plimsoll


def test_the_list_has_every_waterfall_and_every_model() -> None:
    listed = plimsoll("waterfall", "--format", "json").json
    assert [entry["name"] for entry in listed] == list(waterfall_names())
    models = [model for entry in listed for model in entry["models"]]
    assert sorted(models) == sorted(model.name for model in MODELS)
    shown = plimsoll("waterfall")
    assert shown.code == 0
    for entry in listed:
        assert re.search(rf"^ *{entry['name']} ", shown.out, re.MULTILINE)


@pytest.mark.parametrize("name", waterfall_names())
def test_one_is_told_with_its_stages_sources_and_marks(name: str) -> None:
    newest = waterfall_tables(name)[-1]
    waterfall = load_waterfall(name, newest.effective_from_ns)
    (told,) = plimsoll("waterfall", name, "--format", "json").json
    assert told["title"] == waterfall.title
    assert told["source"] == newest.source
    assert told["unconfirmed"] == dict(newest.unconfirmed)
    assert told["release_ratio"] == waterfall.release_ratio
    given = newest.params["stages"]
    for stage, row in zip(told["stages"], given, strict=True):
        assert stage["stage"] in STAGES
        for key, value in row.items():
            found = stage[key]
            assert found == value if not isinstance(value, dict) else value.items() <= found.items()
    table = plimsoll("waterfall", name).out
    for number, row in enumerate(given):
        assert re.search(rf"^ {number} +{row['stage']} ", table, re.MULTILINE)
    words = " ".join(table.split())
    for reason in newest.unconfirmed.values():
        assert reason[:25].strip() in words
    for block in waterfall_tables(name):
        assert block.retrieved in table


def test_a_marked_parameter_has_its_mark() -> None:
    table = plimsoll("waterfall", "okx").out
    assert re.search(r"^ +event_share_max +0.3 +\? *$", table, re.MULTILINE)
    assert re.search(r"^ 3 +insurance_fund +market_share_max +1 *$", table, re.MULTILINE)
    assert re.search(r"^ 1 +close_out +\? *$", table, re.MULTILINE)
    assert re.search(r"^ +liquidation_fee_rates.default +0 +\? *$", table, re.MULTILINE)
    # The reason stands below.
    assert "third-party copy; the venue counts from the peak of 8 hours" in " ".join(table.split())


def test_a_bound_that_bounds_nothing_is_left_out_of_the_table() -> None:
    house = plimsoll("waterfall", "house").out
    assert "step_share" in house
    for key in ("cooldown_s", "backstop_ratio_max", "hedge_share_max", "throttle", "account"):
        assert key not in house
    backstop = plimsoll("waterfall", "hyperliquid").out
    assert "backstop_ratio_max" in backstop
    assert re.search(r"^ +loss_share_max +0 +\?", backstop, re.MULTILINE)
    assert "step_share" not in backstop
    assert "19,726,875" in plimsoll("waterfall", "synthetix").out


def test_a_margin_model_shows_its_own() -> None:
    by_model = plimsoll("waterfall", "okx.portfolio", "--format", "json").json
    assert by_model == plimsoll("waterfall", "okx", "--format", "json").json
    (house,) = plimsoll("waterfall", "kraken.futures", "--format", "json").json
    assert house["name"] == "house"


def test_an_earlier_day_shows_what_was_in_force_then() -> None:
    arguments = ("waterfall", "hyperliquid", "--format", "json")
    (now,), (then,) = (plimsoll(*arguments, *more).json for more in ((), ("--as-of", "2024-06-01")))
    assert (now["stages"][1]["share_max"], then["stages"][1]["share_max"]) == (0.2, 1.0)
    assert then["effective_from"] == "2023-01-01T00:00:00Z"
    listed = plimsoll("waterfall", "--as-of", "2021-06-01", "--format", "json").json
    names = {entry["name"] for entry in listed}
    assert {"house", "okx", "aave_v2"} <= names
    assert not {"hyperliquid", "aave", "bybit"} & names
    for entry in listed:
        assert parse_time(entry["effective_from"], "x") <= parse_time("2021-06-01", "x")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("okex",), "waterfall: unknown waterfall 'okex'; did you mean 'okx'?"),
        (("okx.portfolo",), "did you mean 'okx.portfolio'?"),
        (("models",), "unknown waterfall 'models'"),
        (("vega", "--as-of", "2024-06-01"), "vega: no parameters are in force at 2024-06-01"),
        (("--as-of", "2016-01-01"), "house: no parameters are in force at 2016-01-01"),
        (("--as-of", "yesterday"), "--as-of"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = plimsoll("waterfall", *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert told in done.err
    assert not done.out


def test_help_has_examples() -> None:
    done = plimsoll("waterfall", "--help")
    assert done.code == 0
    assert "plimsoll waterfall okx.portfolio --format json" in done.out
    assert "waterfall" in plimsoll("--help").out
