"""Tables of a waterfall that are refused, each by the place of the key that cannot be used."""

import tomllib
from dataclasses import fields, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any

import pytest

from plimsoll.core import DatedTable, InputError
from plimsoll.liquidation.deleveraging import AllocationKey, HedgeRule, RankForm
from plimsoll.liquidation.presets.decode import RANGES, STAGES, stage_name
from plimsoll.liquidation.waterfall.preset import (
    decode_waterfall,
    parameter_paths,
    waterfall_tables,
)
from plimsoll.liquidation.waterfall.stages import (
    Auction,
    AutoDeleveraging,
    CancelOrders,
    CloseOut,
    InsuranceFund,
    NegativeBalanceProtection,
    SocialisedLoss,
    Takeover,
    Throttle,
    Waterfall,
)

SMALL = """
title = "t"
release_ratio = 0.9
slippage_rate = 0.001
taker_fee_rate = 0.0005
reserve_asset = "USDT"
liquidation_fee_rates = { default = 0.005 }
stages = [
    { stage = "cancel_orders" },
    { stage = "close_out" },
    { stage = "takeover" },
    { stage = "insurance_fund" },
    { stage = "auto_deleveraging" },
    { stage = "socialised_loss" },
    { stage = "negative_balance_protection" },
]
"""
AUCTION = {
    "stage": "auction", "start": 0.95, "cutoff": 0.7, "fast_s": 900, "slow_s": 43200,
    "insolvent_s": 3600, "buffer": 0.15, "fee_rate": 0.1, "bid_discount": 0.9,
    "insolvent_share": 0.5,
}  # fmt: skip


def small() -> dict[str, Any]:
    """The params of a waterfall that is nothing but defaults."""
    return tomllib.loads(SMALL)


def table_of(params: dict[str, Any], marks: dict[str, str] | None = None) -> DatedTable:
    """A table in force since ever."""
    return DatedTable("toy", 0, "s", "r", MappingProxyType(params), MappingProxyType(marks or {}))


def refused(params: dict[str, Any], place: str, told: str) -> None:
    """That a table is refused at a place, for a reason."""
    with pytest.raises(InputError) as caught:
        decode_waterfall(table_of(params))
    assert caught.value.place == place
    assert told in str(caught.value)


def test_a_table_of_defaults_is_the_stages_defaults() -> None:
    waterfall = decode_waterfall(table_of(small()))
    kinds = (CancelOrders, CloseOut, Takeover, InsuranceFund, AutoDeleveraging, SocialisedLoss)
    assert waterfall.stages == (*(kind() for kind in kinds), NegativeBalanceProtection())


def test_whole_numbers_are_numbers() -> None:
    params = small()
    params["slippage_rate"] = 0
    params["stages"][1] |= {"cooldown_s": 30, "share_max": 1}
    waterfall = decode_waterfall(table_of(params))
    close = waterfall.stages[1]
    assert isinstance(close, CloseOut)
    assert (close.cooldown_s, close.share_max, waterfall.slippage_rate) == (30.0, 1.0, 0.0)
    assert isinstance(close.cooldown_s, float)


ROOT_REFUSALS: tuple[tuple[str, object, str], ...] = (
    ("release_ratio", 1, "1 is out of range; give a number above 0 and below 1"),
    ("release_ratio", 0, "out of range"),
    ("release_ratio", -0.1, "out of range"),
    ("release_ratio", float("nan"), "nan is out of range"),
    ("release_ratio", "0.9", "'0.9' is no number"),
    ("release_ratio", True, "True is no number"),
    ("slippage_rate", 1.0, "at least 0 and below 1"),
    ("slippage_rate", -1e-9, "out of range"),
    ("slippage_rate", float("nan"), "out of range"),
    ("taker_fee_rate", 1.0, "out of range"),
    ("taker_fee_rate", float("inf"), "out of range"),
    ("title", "", "'' is no name"),
    ("title", 3, "3 is no name"),
    ("reserve_asset", "", "is no name"),
    ("liquidation_fee_rates", 0.005, "is no table"),
    ("stages", "all", "is no array of tables"),
    ("stages", [], "the last stage is not 'negative_balance_protection'"),
)


@pytest.mark.parametrize(("key", "value", "told"), ROOT_REFUSALS)
def test_values_of_the_waterfall_are_checked(key: str, value: object, told: str) -> None:
    refused(small() | {key: value}, f"presets.toy.{key}", told)


@pytest.mark.parametrize("key", small())
def test_nothing_may_be_missing(key: str) -> None:
    params = small()
    del params[key]
    refused(params, f"presets.toy.{key}", "is missing")


def test_fee_rates_are_checked() -> None:
    place = "presets.toy.liquidation_fee_rates"
    for rate in (1.0, -0.1, float("nan")):
        params = small() | {"liquidation_fee_rates": {"default": 0.005, "BTC": rate}}
        refused(params, f"{place}.BTC", "out of range")
    refused(small() | {"liquidation_fee_rates": {"BTC": 0.1}}, f"{place}.default", "is missing")


def test_unknown_keys_are_refused() -> None:
    refused(small() | {"relase_ratio": 0.9}, "presets.toy.relase_ratio", "mean 'release_ratio'?")
    params = small()
    params["stages"][2]["from_rato"] = 1.0
    refused(params, "presets.toy.stages[2].from_rato", "did you mean 'from_ratio'?")
    params = small()
    params["stages"][6]["floor"] = 1.0
    refused(params, "presets.toy.stages[6].floor", "unknown key 'floor'")


def test_unknown_stages_are_refused() -> None:
    for name, told in (("takover", "did you mean 'takeover'?"), (3, "3 is no name"), ("", "''")):
        params = small()
        params["stages"][2]["stage"] = name
        refused(params, "presets.toy.stages[2].stage", told)
    params = small()
    params["stages"][3] = "insurance_fund"
    refused(params, "presets.toy.stages[3]", "is no table")
    params = small()
    params["stages"][3] = {}
    refused(params, "presets.toy.stages[3].stage", "is no name")


CHOICES = (
    (0, "which", "al", "did you mean 'all'?"),
    (1, "by", "shares", "did you mean 'share'?"),
    (1, "fee_to", "insurance_funds", "did you mean 'insurance_fund'?"),
    (2, "by", "fund", "known: 'backstop', 'insurance_fund'"),
    (2, "price", "bankrupt", "did you mean 'bankruptcy'?"),
    (4, "key", "profits", "did you mean 'profit'?"),
    (4, "rank", "binanse", "did you mean 'binance'?"),
    (4, "price", "oracle", "did you mean 'previous_oracle'?"),
    (4, "hedges", "first", "known: 'last', 'limited', 'open'"),
    (5, "key", "depositors", "did you mean 'deposits'?"),
    (1, "by", 1, "1 is no name"),
    (2, "account", ["HLP"], "is no name"),
    (1, "throttle", 5, "is no table"),
)


@pytest.mark.parametrize(("number", "key", "value", "told"), CHOICES)
def test_choices_are_checked(number: int, key: str, value: object, told: str) -> None:
    params = small()
    params["stages"][number][key] = value
    refused(params, f"presets.toy.stages[{number}].{key}", told)


NUMBERS = tuple(
    pytest.param(place, kind, field.name, id=f"{place}.{field.name}")
    for place, kind in (*STAGES.items(), ("throttle", Throttle))
    for field in fields(kind)
    if field.name in RANGES
)


@pytest.mark.parametrize(("place", "kind", "key"), NUMBERS)
def test_every_number_has_a_range(place: str, kind: type[Any], key: str) -> None:
    """NaN, infinity, booleans, texts and what lies outside are refused, each by its place."""
    allowed = RANGES[key]
    outside = [allowed.low - 1e-9, float("nan"), float("inf"), -float("inf"), True, "1"]
    outside += [allowed.low] if allowed.is_low_open else []
    outside += [allowed.high] if allowed.is_high_open else [allowed.high + 1e-9]
    for value in outside:
        params = small()
        if kind is Throttle:
            params["stages"][1]["throttle"] = {key: value}
            refused(params, f"presets.toy.stages[1].throttle.{key}", str(value))
            continue
        number = list(STAGES).index(place)
        rows = params["stages"]
        if kind is Auction:
            rows[1:2] = [dict(AUCTION)]
            number = 1
        elif number > 2:
            number -= 1
        rows[number][key] = value
        refused(params, f"presets.toy.stages[{number}].{key}", str(value))


def test_every_number_of_a_stage_is_in_the_ranges() -> None:
    kinds = (*STAGES.values(), Throttle)
    floats = {f.name for kind in kinds for f in fields(kind) if "float" in str(f.type)}
    known = {f.name for f in fields(Waterfall) if f.type in ("float", float)}
    assert floats | known == set(RANGES)


@pytest.mark.parametrize("key", [key for key in AUCTION if key != "stage"])
def test_an_auction_has_no_defaults(key: str) -> None:
    params = small()
    row = {name: value for name, value in AUCTION.items() if name != key}
    params["stages"][1] = row
    refused(params, f"presets.toy.stages[1].{key}", "is missing")


TOGETHER = (
    (1, {"step_share": 0.5, "share_max": 0.4}, "step_share", "0.5 is above share_max 0.4"),
    (1, {"from_ratio": 1.2, "whole_ratio": 1.1}, "whole_ratio", "1.1 is below from_ratio 1.2"),
    (1, {"throttle": {"window_s": 30}}, "throttle", "belong together"),
    (1, {"throttle": {"window_notional_max": 1e6}}, "throttle", "belong together"),
    (2, {"by": "backstop"}, "account", "is named exactly where a backstop takes over"),
    (2, {"account": "HLP"}, "account", "is named exactly where a backstop takes over"),
    (3, {"throttle": {"window_s": 30}}, "throttle", "belong together"),
    (4, {"key": "queue"}, "rank", "is given exactly where the key is 'queue'"),
    (4, {"rank": "bitmex"}, "rank", "is given exactly where the key is 'queue'"),
    (4, {"hedge_share_max": 0.5}, "hedge_share_max", "bounds only hedges that are 'limited'"),
)


@pytest.mark.parametrize(("number", "values", "key", "told"), TOGETHER)
def test_what_one_key_asks_of_another(
    number: int, values: dict[str, Any], key: str, told: str
) -> None:
    params = small()
    params["stages"][number] |= values
    refused(params, f"presets.toy.stages[{number}].{key}", told)


def test_a_discount_falls() -> None:
    params = small()
    params["stages"][1] = AUCTION | {"cutoff": 0.96}
    refused(params, "presets.toy.stages[1].cutoff", "0.96 is above start 0.95")


def test_what_belongs_together_is_taken() -> None:
    params = small()
    rows = params["stages"]
    rows[1] |= {"throttle": {"window_s": 30, "window_notional_max": 1e6}, "whole_ratio": 1.0}
    rows[2] |= {"by": "backstop", "account": "HLP", "loss_share_max": 0}
    rows[4] |= {"key": "queue", "rank": "bitmex", "hedges": "limited", "hedge_share_max": 0.5}
    waterfall = decode_waterfall(table_of(params))
    assert stage_name(waterfall.stages[2]) == "takeover"
    assert waterfall.stages[4] == AutoDeleveraging(
        key=AllocationKey.QUEUE, rank=RankForm.BITMEX, hedges=HedgeRule.LIMITED, hedge_share_max=0.5
    )


# --- the order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), tuple(combinations(range(7), 2)))
def test_any_two_stages_in_the_wrong_order_are_refused(first: int, second: int) -> None:
    params = small()
    rows = params["stages"]
    rows[first], rows[second] = rows[second], rows[first]
    with pytest.raises(InputError, match="the order is cancel_orders, close_out, auction, "):
        decode_waterfall(table_of(params))


def test_an_auction_stands_between_closing_and_takeover() -> None:
    params = small()
    params["stages"].insert(2, dict(AUCTION))
    names = [stage_name(stage) for stage in decode_waterfall(table_of(params)).stages]
    assert names == list(STAGES)
    params["stages"][2], params["stages"][3] = params["stages"][3], params["stages"][2]
    refused(params, "presets.toy.stages[3].stage", "'auction' comes after 'takeover'")


@pytest.mark.parametrize("number", range(7))
def test_only_takeovers_may_be_repeated(number: int) -> None:
    params = small()
    row = params["stages"][number]
    params["stages"].insert(number, dict(row))
    if row["stage"] == "takeover":
        assert len(decode_waterfall(table_of(params)).stages) == 8
    else:
        place = f"presets.toy.stages[{number + 1}].stage"
        refused(params, place, f"'{row['stage']}' stands twice")


def test_protection_is_last_and_always_there() -> None:
    params = small()
    del params["stages"][6]
    refused(params, "presets.toy.stages", "no account may end below zero")


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_any_other_stage_may_be_left_out(number: int) -> None:
    params = small()
    left_out = params["stages"].pop(number)["stage"]
    names = [stage_name(stage) for stage in decode_waterfall(table_of(params)).stages]
    assert left_out not in names
    assert len(names) == 6


def test_somebody_takes_what_cannot_pay_for_its_closing() -> None:
    params = small()
    del params["stages"][2]
    refused(params, "presets.toy.stages", "add a 'takeover' or an 'auction'")
    params["stages"].insert(2, dict(AUCTION))
    assert decode_waterfall(table_of(params)).stages[2] == Auction(
        **{key: float(value) for key, value in AUCTION.items() if key != "stage"}  # type: ignore[arg-type]
    )


# --- what is unconfirmed -------------------------------------------------------------------------


def test_a_mark_names_a_path() -> None:
    good = {
        "effective_from": "a", "release_ratio": "b", "stages[1]": "c", "stages[1].by": "d",
        "stages[1].throttle.window_s": "e", "liquidation_fee_rates.default": "f",
    }  # fmt: skip
    assert dict(decode_waterfall(table_of(small(), good)).unconfirmed) == good
    for path, told in (
        ("stages[1].bye", "did you mean 'stages[1].by'?"),
        ("stages[7]", "'stages[7]' is no path of the table"),
        ("liquidation_fee_rates.BTC", "is no path"),
        ("stages", "is no path"),
    ):
        with pytest.raises(InputError) as caught:
            decode_waterfall(table_of(small(), {path: "why"}))
        assert caught.value.place == "presets.toy.unconfirmed"
        assert told in str(caught.value)
    with pytest.raises(InputError, match=r"presets.toy.unconfirmed.release_ratio: '' is no name"):
        decode_waterfall(table_of(small(), {"release_ratio": ""}))


def test_marks_of_the_wrong_block_would_be_found() -> None:
    """The early rule of Hyperliquid has no partial closes, so a mark on one must not pass."""
    old, new = waterfall_tables("hyperliquid")
    assert "stages[1].share_max" in parameter_paths(decode_waterfall(old))
    params = MappingProxyType({**new.params, "stages": new.params["stages"][2:]})
    short = replace(old, params=params)
    with pytest.raises(InputError, match="is no path of the table"):
        decode_waterfall(short)
