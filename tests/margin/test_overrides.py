"""Parameters of a model: the table in force, what an account may override, what is refused."""

import json

import pytest

from plimsoll.book import ModelChoice
from plimsoll.core import InputError, parse_time
from plimsoll.margin import Assessment, assess, find_model, load_models
from tests.book.builders import STANDARD, T0, Desk, fold, market_of, open_book, table_of

TABLE = table_of({"BTC/USDT:USDT": "1", "MOON/USDT:USDT": "1"}, {"USDT": 6, "BTC": 8})
DESK = Desk(TABLE)
MARKET = market_of(
    TABLE,
    {"BTC/USDT:USDT": 60_000.0, "MOON/USDT:USDT": 2.0},
    {"BTC": 60_000.0, "MOON": 2.0, "USDT": 1.0},
)


def judge(*overrides: dict, symbol: str = "BTC/USDT:USDT") -> Assessment:
    """One account per choice of overrides, each long one contract at mark with 1,000 USDT."""
    choices = tuple(ModelChoice("plimsoll.standard", json.dumps(o)) for o in overrides)
    book = open_book(TABLE, models=choices)
    price = {"BTC/USDT:USDT": "60000", "MOON/USDT:USDT": "2"}[symbol]
    for k in range(len(choices)):
        book = fold(book, (f"account {k}",), model=k)
    pools = range(5, 5 + len(choices))
    book = fold(
        book,
        trades=[DESK.trade(pool, symbol, "1", price) for pool in pools],
        transfers=[DESK.deposit(pool, "USDT", "1000") for pool in pools],
    )
    return assess(book, MARKET, load_models(TABLE, choices, T0))


def test_overrides_touch_what_they_name_and_whom_they_belong_to() -> None:
    result = judge(
        {},
        {"fee_provision_rate": 0.001},
        {"brackets": {"BTC": [[0, 0.1, 0.2]]}},
        {"haircuts": {"USDT": [[0, 0.5]]}},
        {"size_slopes": {"BTC": 0.5}},
    )
    charges = {c.name: c for c in result.charges}
    assert charges["fee_provision"].maintenance[5:].tolist() == [30, 60, 30, 30, 30]
    tiered = [240, 240, 6000, 240, 240]
    assert charges["tiered_notional"].maintenance[5:].tolist() == tiered
    assert result.collateral_value[5:].tolist() == [1000, 1000, 1000, 500, 1000]
    # The house's own slope adds 0.005 % for one bitcoin, where the tiers do not ask for more.
    size = [3, 3, 0, 3, 60_000 * (0.004 + 0.5) - 240]
    size[2] = 60_000 * (0.1 + 0.00005) - 6000
    assert charges["size_scaled"].maintenance[5:] == pytest.approx(size, rel=1e-11)


def test_an_override_can_add_a_rule_or_take_it_away() -> None:
    result = judge({}, {"brackets": {"MOON": [[0, 0.1, 0.2]]}}, symbol="MOON/USDT:USDT")
    assert result.status[5:].tolist() == [0, 1]
    assert result.initial_margin[6] == pytest.approx(2 * 0.2 + 2 * 0.0005, rel=1e-14)
    assert judge({"brackets": {"BTC": []}}).status[5] == 0
    others = judge({}, {"brackets": {"MOON": [[0, 0.1, 0.2]]}})
    assert others.initial_margin[5] == others.initial_margin[6]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "{",
            ": overrides are no JSON object (Input data was truncated); mend them",
        ),
        (
            "[]",
            ": overrides are no JSON object (Expected `object`, got `array`); mend them",
        ),
        (
            '{"fee_provision_rat": 0.1}',
            ": unknown parameter 'fee_provision_rat'; did you mean 'fee_provision_rate'?",
        ),
        (
            '{"currency": "EUR"}',
            ".currency: is the unit of the model's own figures; leave it out; it converts nothing",
        ),
        (
            '{"brackets": 1}',
            ".brackets: has the wrong shape; give a table by name",
        ),
        (
            '{"fee_provision_rate": {"BTC": 0.1}}',
            ".fee_provision_rate: has the wrong shape; give a single value",
        ),
        (
            '{"fee_provision_rate": "0.1"}',
            ": a rate or slope is no fraction; use numbers from 0 up to 1",
        ),
        (
            '{"fee_provision_rate": 1}',
            ": a rate or slope is no fraction; use numbers from 0 up to 1",
        ),
        (
            '{"size_slopes": {"BTC": -0.1}}',
            ": a rate or slope is no fraction; use numbers from 0 up to 1",
        ),
        (
            '{"margin_call_ratio": 1.2}',
            ".margin_call_ratio: 1.2 is no fraction; use 0.8 for 80 %",
        ),
        (
            '{"margin_call_clear_ratio": 0}',
            ".margin_call_clear_ratio: 0 is no fraction; use 0.8 for 80 %",
        ),
        (
            '{"margin_call_ratio": 0.5, "margin_call_clear_ratio": 0.6}',
            ".margin_call_clear_ratio: 0.6 is above margin_call_ratio 0.5; lower it too",
        ),
        (
            '{"brackets": {"BTC": [[0, 0.2, 0.1]]}}',
            ".brackets: an initial rate is below maintenance; list floor, maintenance, initial",
        ),
        (
            '{"brackets": {"BTC": [[0, 0.1]]}}',
            ".brackets.BTC: rows are not numbers; give rows of at least 3 numbers",
        ),
        (
            '{"haircuts": {"USDT": [[5, 0.1]]}}',
            ".haircuts.USDT: floors do not rise from 0; sort the tiers",
        ),
        (
            '{"haircuts": {"USDT": [[0, 95]]}}',
            ".haircuts.USDT: a rate is no fraction; use 0.05 for 5 %",
        ),
    ],
)
def test_refusals_say_where_and_what_to_do(overrides: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        load_models(TABLE, (STANDARD, ModelChoice("plimsoll.standard", overrides)), T0)
    assert str(refused.value) == f"models[1].params{message}"


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^models\[1\]\.model: unknown model 'plimsol\.standard'; did"
    ):
        load_models(TABLE, (STANDARD, ModelChoice("plimsol.standard")), T0)
    with pytest.raises(InputError, match=r"^here: unknown model 'okx'; known: "):
        find_model("okx", "here")


def test_no_parameters_are_in_force_before_the_first_table() -> None:
    first = parse_time("2017-01-01", "")
    load_models(TABLE, (STANDARD,), first)
    with pytest.raises(InputError, match="no parameters are in force at 2016-12-31T23:59:59"):
        load_models(TABLE, (STANDARD,), first - 1)
