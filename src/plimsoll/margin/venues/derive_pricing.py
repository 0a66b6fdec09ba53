"""What Derive's managers share: the value of an option, and what shocks do to it.

1. An option is worth Black-76 on the forward of its expiry, at the volatility and the rate of
   the feeds; past expiry, its intrinsic value.
2. The forward is the sum of a part that still varies and of one that the settlement average has
   fixed. Only the varying part moves with spot. Where a feed does not tell the fixed part, it is
   none until the last 30 minutes, then the share of them that has gone by.
3. Shock up: vol × (1 + up × m), at least ``vol_min_up``. Shock down: vol × max(0, 1 - down × m).
   m = (30 days / max(time left, ``seconds_min``)) ^ power; the short power holds up to 30 days
   to expiry, these included.
4. Skews turn the smile: vol × max(0, 1 + x), x = k × cap / k* held within ± cap, with
   k = ln(strike / forward) ("linear") or its absolute value ("absolute"),
   cap = slope × sqrt(T) + base, k* = max(``width_min``, sqrt(T) × width × (vol_static +
   sqrt(T) × vol_slope)). A skew moves no spot.
5. Static discounts of what an expiry is worth after a shock: of a gain base × exp(-T × (rate ×
   scale + add)), of a debt base × exp(T × (rate × scale + add)), at most 1 / discount.
   A rate below zero counts as zero throughout.

Source: derivexyz/v2-core, risk managers, at commit 7736900d (2026-01-21).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s
from plimsoll.instruments import Kind
from plimsoll.margin.parameters import number
from plimsoll.market import Market
from plimsoll.pricing import black76

SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365 * SECONDS_PER_DAY
SPLIT_SECONDS = 30 * SECONDS_PER_DAY
AVERAGING_SECONDS = 1_800.0
DEVIATION_MAX = 100.0
"""vol sqrt(T) beyond it changes no value: a call is the forward, a put the strike."""
FORWARD_MIN = 1e-90
"""Stands for a forward of nothing, which a factor of 0 leaves: a call is worthless."""
NS_PER_SECOND = 1e9
FACTOR_MAX = 1_000.0


class Shock(IntEnum):
    """What a scenario does to volatility."""

    NONE = 0
    UP = 1
    DOWN = 2
    LINEAR = 3
    ABSOLUTE = 4


@dataclass(frozen=True, slots=True)
class Options:
    """Options as columns, one row each; NaN where a feed is silent.

    ``expiry`` numbers instants of expiry; ``seconds`` to it, 0 when past. ``forward`` is the
    whole one, ``variable`` its part that moves, both in the strike's currency; ``rate`` is
    continuous, a year; ``confidence`` the least of the option's feeds.
    """

    expiry: Int64s
    seconds: Floats
    strike: Floats
    is_call: Bools
    vol: Floats
    forward: Floats
    variable: Floats
    rate: Floats
    confidence: Floats

    @property
    def years(self) -> Floats:
        """Years of 365 days to expiry."""
        return self.seconds / SECONDS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Unstated:
    """What stands for a feed that the market does not state; NaN for what nothing may."""

    confidence: float
    rate: float


def read_unstated(entry: Mapping[str, Any], place: str) -> Unstated:
    """The parameter of that name; InputError where it is no number."""
    return Unstated(
        *(
            number(entry[name], f"{place}.{name}", low, high) if name in entry else np.nan
            for name, low, high in (("confidence", 0.0, 1.0), ("rate", -1.0, FACTOR_MAX))
        )
    )


def fill_unstated(column: Floats, value: float) -> Floats:
    """A column of feeds with ``value`` for those that are not stated."""
    return np.where(np.isnan(column), value, column)


def instrument_options(market: Market, unstated: Unstated) -> Options:
    """All instruments of a market as options; rows of other kinds mean nothing.

    A volatility is NaN where there is no usable mark: what cannot be traded at a known price
    must not look measured.
    """
    table, state = market.instruments, market.state
    is_option = table.of_kind(Kind.OPTION)
    left = (table.expiry_ns - market.as_of_ns) / NS_PER_SECOND
    seconds = np.where(is_option, np.maximum(left, 0.0), 0.0)
    share = np.minimum(seconds / AVERAGING_SECONDS, 1.0)
    stated = market.forward - state.forward_fixed
    variable = np.where(np.isnan(state.forward_fixed), market.forward * share, stated)
    return Options(
        expiry=np.unique(table.expiry_ns, return_inverse=True)[1].astype(np.int64),
        seconds=seconds,
        strike=table.strike,
        is_call=table.is_call,
        vol=np.where(np.isnan(market.mark), np.nan, market.implied_vol),
        forward=market.forward,
        variable=np.where(variable < 0, np.nan, variable),
        rate=fill_unstated(state.rate, unstated.rate),
        confidence=fill_unstated(state.confidence, unstated.confidence),
    )


def pick_options(options: Options, rows: Int64s) -> Options:
    """Some rows of the options, in the order given."""
    return Options(*(getattr(options, field.name)[rows] for field in fields(Options)))


def discounts(options: Options) -> Floats:
    """Discount factor to each option's expiry."""
    return np.exp(-np.maximum(options.rate, 0.0) * options.years)


def option_values(options: Options, factor: Floats, vol: Floats, discount: Floats) -> Floats:
    """Values of options in states, shape [options, states].

    ``factor``, [states], multiplies spot; ``vol`` is [options, states], ``discount`` [options].
    """
    # Black-76 sees volatility and time only together, so any volatility can be priced.
    deviation = np.minimum(vol * np.sqrt(options.years)[:, np.newaxis], DEVIATION_MAX)
    fixed = options.forward - options.variable
    forward = options.variable[:, np.newaxis] * factor + fixed[:, np.newaxis]
    forward = np.maximum(forward, FORWARD_MIN)
    time = np.where(options.seconds > 0, 1.0, 0.0)

    def flat(column: Floats) -> Floats:
        return np.broadcast_to(column[:, np.newaxis], deviation.shape).ravel()

    is_call = np.broadcast_to(options.is_call[:, np.newaxis], deviation.shape).ravel()
    found = black76(
        forward.ravel(), flat(options.strike), flat(time), deviation.ravel(), is_call,
        flat(discount),
    )  # fmt: skip
    return found.value.reshape(deviation.shape)


@dataclass(frozen=True, slots=True)
class VolRules:
    """Rule 3's figures; ``seconds_min`` is the least time that counts."""

    up: float
    down: float
    short_power: float
    long_power: float
    seconds_min: float
    vol_min_up: float


def read_vol_rules(entry: Mapping[str, Any], place: str) -> VolRules:
    """Volatility shocks of a table, the least time in days; InputError where one is amiss."""
    names = ("up", "down", "short_power", "long_power", "days_min", "vol_min_up")
    up, down, short, long, days, least = _numbers(entry, names, place)
    return VolRules(up, down, short, long, days * SECONDS_PER_DAY, least)


def tenor_multiplier(seconds: Floats, rules: VolRules) -> Floats:
    """Rule 3's m, any shape; infinite where no time is left and none is the least."""
    power = np.where(seconds <= SPLIT_SECONDS, rules.short_power, rules.long_power)
    with np.errstate(divide="ignore"):
        return np.asarray((SPLIT_SECONDS / np.maximum(seconds, rules.seconds_min)) ** power)


@dataclass(frozen=True, slots=True)
class SkewRules:
    """Rule 4's figures."""

    linear_cap: float
    linear_slope: float
    absolute_cap: float
    absolute_slope: float
    width_min: float
    width_scale: float
    vol_static: float
    vol_slope: float


def read_skew_rules(entry: Mapping[str, Any], place: str) -> SkewRules:
    """Skews of a table; InputError where a figure is missing or no number."""
    names = (
        "linear_cap", "linear_slope", "absolute_cap", "absolute_slope", "width_min",
        "width_scale", "vol_static", "vol_slope",
    )  # fmt: skip
    return SkewRules(*_numbers(entry, names, place, -FACTOR_MAX))


def skew_factor(options: Options, rules: SkewRules, shock: Shock) -> Floats:
    """Rule 4's factor on each option's volatility, >= 0."""
    root = np.sqrt(options.years)
    base, slope = rules.linear_cap, rules.linear_slope
    if shock == Shock.ABSOLUTE:
        base, slope = rules.absolute_cap, rules.absolute_slope
    cap = slope * root + base
    width = root * rules.width_scale * (rules.vol_static + root * rules.vol_slope)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.log(options.strike / options.forward)
        k = np.abs(k) if shock == Shock.ABSOLUTE else k
        x = k * cap / np.maximum(width, rules.width_min)
    turned = np.where(k >= 0, np.minimum(x, cap), np.maximum(x, -cap))
    return np.maximum(1.0 + turned, 0.0)


def shocked_vols(
    options: Options, shocks: Int64s, vol_rules: VolRules, skew_rules: SkewRules | None
) -> Floats:
    """Volatilities after each shock, shape [options, shocks]."""
    vol, m = options.vol, tenor_multiplier(options.seconds, vol_rules)
    shocked = {
        Shock.NONE: vol,
        Shock.UP: np.maximum(vol * (1.0 + vol_rules.up * m), vol_rules.vol_min_up),
        Shock.DOWN: vol * np.maximum(1.0 - vol_rules.down * m, 0.0),
    }
    if skew_rules is not None:
        for shock in (Shock.LINEAR, Shock.ABSOLUTE):
            shocked[shock] = vol * skew_factor(options, skew_rules, shock)
    return np.stack([shocked[Shock(shock)] for shock in shocks.tolist()], axis=1)


@dataclass(frozen=True, slots=True)
class StaticDiscount:
    """Rule 5's figures: of gains (long) and of debts (short)."""

    long_base: float
    long_rate_scale: float
    long_add: float
    short_base: float
    short_rate_scale: float
    short_add: float


def read_static_discount(entry: Mapping[str, Any], place: str) -> StaticDiscount:
    """Static discounts of a table; InputError where a figure is missing or no number."""
    names = (
        "long_base", "long_rate_scale", "long_add", "short_base", "short_rate_scale", "short_add",
    )  # fmt: skip
    return StaticDiscount(*_numbers(entry, names, place))


def static_factors(
    options: Options, discount: Floats, rules: StaticDiscount
) -> tuple[Floats, Floats]:
    """Rule 5's factors of each option's expiry: on values above zero, and on those below."""
    rate, years = np.maximum(options.rate, 0.0), options.years
    with np.errstate(over="ignore"):
        gain = rules.long_base * np.exp(-years * (rate * rules.long_rate_scale + rules.long_add))
        debt = rules.short_base * np.exp(years * (rate * rules.short_rate_scale + rules.short_add))
    return gain, np.minimum(debt, 1.0 / discount)


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Scenarios in the venue's order: ``factor`` on spot, ``shock``, ``dampening``; [scenarios]."""

    factor: Floats
    shock: Int64s
    dampening: Floats


def read_scenarios(listed: object, place: str, *, has_skews: bool) -> Scenarios:
    """Rows of spot factor, shock's name and, if wanted, dampening (1 if left out).

    Raises InputError where a row is none or a skew moves spot: the venue's own setter refuses
    that.
    """
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        remedy = 'give rows such as [1.05, "up", 1]'
        raise InputError(place, f"{listed!r} are no scenarios", remedy)
    rows = [_scenario(row, f"{place}[{n}]", has_skews) for n, row in enumerate(listed)]
    factor, shock, dampening = zip(*rows, strict=True)
    return Scenarios(
        np.array(factor, dtype=np.float64),
        np.array(shock, dtype=np.int64),
        np.array(dampening, dtype=np.float64),
    )


def _scenario(row: object, place: str, has_skews: bool) -> tuple[float, int, float]:
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) not in (2, 3):
        remedy = 'give the factor of spot, "up", "none" or "down", and the dampening'
        raise InputError(place, f"{row!r} is no scenario", remedy)
    names = [shock.name.lower() for shock in Shock if has_skews or shock < Shock.LINEAR]
    if row[1] not in names:
        raise InputError(place, f"{row[1]!r} is no shock", f"use one of {', '.join(names)}")
    shock = Shock(names.index(row[1]))
    factor = number(row[0], place, 0.0, FACTOR_MAX)
    if shock >= Shock.LINEAR and factor != 1:
        problem = f"spot × {factor:g} under the shock '{row[1]}'"
        raise InputError(place, problem, "a skew leaves spot where it is: give 1")
    return factor, int(shock), number(row[2], place, 0.0, FACTOR_MAX) if len(row) == 3 else 1.0


def _numbers(
    entry: Mapping[str, Any], names: Sequence[str], place: str, low: float = 0.0
) -> list[float]:
    missing = [name for name in names if name not in entry]
    if missing:
        raise InputError(f"{place}.{missing[0]}", "is missing", "give all figures of the rule")
    return [number(entry[name], f"{place}.{name}", low, FACTOR_MAX) for name in names]
