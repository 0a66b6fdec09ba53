"""Stages from tables: every key known, every value of its kind and in its range.

A table is what TOML gives. A place names what is refused: ``presets.okx.stages[3].from_ratio``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from plimsoll.core import InputError, did_you_mean
from plimsoll.liquidation.deleveraging import AllocationKey, HedgeRule
from plimsoll.liquidation.waterfall.stages import (
    Auction,
    AutoDeleveraging,
    CancelOrders,
    CloseOut,
    InsuranceFund,
    NegativeBalanceProtection,
    SocialisedLoss,
    Stage,
    Takeover,
    TakeoverBy,
    Throttle,
)

STAGES: MappingProxyType[str, type[Stage]] = MappingProxyType(
    {
        "cancel_orders": CancelOrders,
        "close_out": CloseOut,
        "auction": Auction,
        "takeover": Takeover,
        "insurance_fund": InsuranceFund,
        "auto_deleveraging": AutoDeleveraging,
        "socialised_loss": SocialisedLoss,
        "negative_balance_protection": NegativeBalanceProtection,
    }
)
"""Stages by their names in tables, in the order in which they may follow each other."""

REPEATED = frozenset({"takeover"})
"""Stages that may stand more than once, with different bounds."""


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high``; an end that is open does not belong to it."""

    low: float
    high: float = math.inf
    is_low_open: bool = False
    is_high_open: bool = False

    def has(self, value: float) -> bool:
        """Whether a number lies in it; NaN never does."""
        low = self.low < value if self.is_low_open else self.low <= value
        high = value < self.high if self.is_high_open else value <= self.high
        return low and high

    def __str__(self) -> str:
        """As in "above 0 and at most 1"."""
        low = f"{'above' if self.is_low_open else 'at least'} {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'below' if self.is_high_open else 'at most'} {self.high:g}"


SHARE = Range(0, 1)
PART = Range(0, 1, is_low_open=True)
RATE = Range(0, 1, is_high_open=True)
INSIDE = Range(0, 1, is_low_open=True, is_high_open=True)
NOT_NEGATIVE = Range(0, is_high_open=True)
POSITIVE = Range(0, is_low_open=True, is_high_open=True)
FAILING = Range(1, is_high_open=True)

RANGES: MappingProxyType[str, Range] = MappingProxyType(
    {
        "release_ratio": INSIDE,
        "slippage_rate": RATE,
        "taker_fee_rate": RATE,
        "tick_notional_max": POSITIVE,
        "depth_share_max": PART,
        "window_s": POSITIVE,
        "window_notional_max": POSITIVE,
        "from_ratio": FAILING,
        "step_share": PART,
        "share_max": PART,
        "whole_ratio": FAILING,
        "whole_notional": NOT_NEGATIVE,
        "whole_within_s": NOT_NEGATIVE,
        "cooldown_s": NOT_NEGATIVE,
        "start": PART,
        "cutoff": SHARE,
        "fast_s": POSITIVE,
        "slow_s": POSITIVE,
        "insolvent_s": POSITIVE,
        "buffer": NOT_NEGATIVE,
        "fee_rate": SHARE,
        "bid_discount": SHARE,
        "insolvent_share": SHARE,
        "backstop_ratio_max": PART,
        "loss_share_max": SHARE,
        "market_share_max": SHARE,
        "event_share_max": SHARE,
        "floor": NOT_NEGATIVE,
        "target": NOT_NEGATIVE,
        "hedge_share_max": SHARE,
    }
)
"""What each number may be. Infinity is in none of them."""


def decode_stage(table: object, place: str) -> Stage:
    """One stage from its table. Raises InputError naming the key that cannot be used."""
    given = take_table(table, place)
    name = take_text(given.get("stage", ""), f"{place}.stage")
    if name not in STAGES:
        problem = f"unknown stage '{name[:60]}'"
        raise InputError(f"{place}.stage", problem, did_you_mean(name, STAGES))
    rest = {key: value for key, value in given.items() if key != "stage"}
    stage: Stage = _decode(STAGES[name], rest, place)
    _check_stage(stage, place)
    return stage


def stage_name(stage: Stage) -> str:
    """The name of a stage in tables."""
    return next(name for name, kind in STAGES.items() if isinstance(stage, kind))


def check_order(stages: Sequence[Stage], place: str) -> None:
    """Raises InputError unless the stages follow each other and bring every pool to an end."""
    names = [stage_name(stage) for stage in stages]
    order = list(STAGES)
    for number, (name, after) in enumerate(pairwise(names)):
        if order.index(after) < order.index(name):
            problem = f"'{after}' comes after '{name}'"
            remedy = f"the order is {', '.join(order)}"
            raise InputError(f"{place}[{number + 1}].stage", problem, remedy)
        if after == name and name not in REPEATED:
            problem = f"'{name}' stands twice"
            raise InputError(f"{place}[{number + 1}].stage", problem, "leave one out")
    if not names or names[-1] != order[-1]:
        problem = f"the last stage is not '{order[-1]}'"
        raise InputError(place, problem, "no account may end below zero: add it at the end")
    if not {"takeover", "auction"} & set(names):
        problem = "nobody takes a pool that cannot pay for its closing"
        raise InputError(place, problem, "add a 'takeover' or an 'auction'")


def take_table(value: object, place: str) -> Mapping[str, Any]:
    """A table with its keys; InputError where it is none."""
    if not isinstance(value, Mapping):
        raise InputError(place, "is no table", "write keys and values")
    return value


def take_text(value: object, place: str) -> str:
    """A text; InputError where it is none or empty."""
    if not isinstance(value, str) or not value:
        raise InputError(place, f"{value!r} is no name", "write a text in quotes")
    return value


def take_number(value: object, allowed: Range, place: str) -> float:
    """A number in a range; InputError where it is none, NaN or outside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(place, f"{value!r} is no number", f"give one {allowed}")
    if not allowed.has(value):
        raise InputError(place, f"{value} is out of range", f"give a number {allowed}")
    return float(value)


def check_keys(given: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    """Raises InputError on a key that is not known."""
    for key in given:
        if key not in known:
            problem = f"unknown key '{key[:60]}'"
            raise InputError(f"{place}.{key}", problem, did_you_mean(key, known))


def _decode(kind: type[Any], given: Mapping[str, Any], place: str) -> Any:
    """A dataclass from a table whose keys are its fields; absent ones take their defaults."""
    known = {field.name: field for field in fields(kind)}
    check_keys(given, tuple(known), place)
    for name, field in known.items():
        if name not in given and field.default is MISSING:
            raise InputError(f"{place}.{name}", "is missing", "it has no default")
    hints = get_type_hints(kind)
    values = {
        name: _value(hints[name], name, value, f"{place}.{name}") for name, value in given.items()
    }
    return kind(**values)


def _value(hint: Any, name: str, value: object, place: str) -> object:
    """One value of a field; what TOML leaves out is how it says None."""
    kind = next((part for part in get_args(hint) if part is not type(None)), hint)
    if kind is Throttle:
        return _decode(Throttle, take_table(value, place), place)
    if kind is float:
        return take_number(value, RANGES[name], place)
    text = take_text(value, place)
    if issubclass(kind, StrEnum):
        choices = [member.value for member in kind]
        if text not in choices:
            problem = f"unknown choice '{text[:60]}'"
            raise InputError(place, problem, did_you_mean(text, choices))
        return kind(text)
    return text


def _check_stage(stage: Stage, place: str) -> None:
    """What one key of a stage asks of another."""
    if isinstance(stage, CloseOut):
        _check_close_out(stage, place)
    elif isinstance(stage, Auction) and stage.cutoff > stage.start:
        problem = f"{stage.cutoff} is above start {stage.start}"
        raise InputError(f"{place}.cutoff", problem, "the discount falls to it")
    elif isinstance(stage, Takeover):
        if (stage.by == TakeoverBy.BACKSTOP) != bool(stage.account):
            problem = "is named exactly where a backstop takes over"
            raise InputError(f"{place}.account", problem, "name it, or leave it out")
    elif isinstance(stage, InsuranceFund):
        _check_throttle(stage.throttle, place)
    elif isinstance(stage, AutoDeleveraging):
        if (stage.key == AllocationKey.QUEUE) != (stage.rank is not None):
            problem = "is given exactly where the key is 'queue'"
            raise InputError(f"{place}.rank", problem, "give it, or leave it out")
        if stage.hedges != HedgeRule.LIMITED and stage.hedge_share_max != 1:
            problem = "bounds only hedges that are 'limited'"
            raise InputError(f"{place}.hedge_share_max", problem, "leave it out")


def _check_close_out(stage: CloseOut, place: str) -> None:
    if stage.step_share > stage.share_max:
        problem = f"{stage.step_share} is above share_max {stage.share_max}"
        raise InputError(f"{place}.step_share", problem, "a step is at most what may go at once")
    if stage.whole_ratio is not None and stage.whole_ratio < stage.from_ratio:
        problem = f"{stage.whole_ratio} is below from_ratio {stage.from_ratio}"
        raise InputError(f"{place}.whole_ratio", problem, "raise it")
    _check_throttle(stage.throttle, place)


def _check_throttle(throttle: Throttle, place: str) -> None:
    if (throttle.window_s is None) != (throttle.window_notional_max is None):
        problem = "window_s and window_notional_max belong together"
        raise InputError(f"{place}.throttle", problem, "give both or neither")
