"""All borders between safe and liquidatable along one axis of prices.

The axis is sampled at knots, refined wherever a border could hide, and every border is then
narrowed on the true answers until its two sides are next to each other. On a line one secant
step is exact, so that a border of a linear piece costs a few trials; kinks (tiers, a worst
scenario that changes) and jumps (a rate on the whole size) are followed down where the health is
small enough for them to matter.

What can be missed: two borders between which the health changes by less than a thousandth of
what it changes by over one refined step, and what happens wholly between two knots without
bending the line through them. Knots at strikes are there for that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from plimsoll.core import Bools, Floats, Int8s

WIDTH_MIN: Final = 2.0**-46
"""Relative width of a border's bracket, 1.4e-14."""
_STEP_MIN: Final = 1e-9
_STEP_MIN_BLIND: Final = 0.02
_ROUNDS_MAX: Final = 40
_BEND_MAX: Final = 1e-3


class Side(IntEnum):
    """How a pool stands at a trial price."""

    UNKNOWN = 0
    SAFE = 1
    LIQUIDATABLE = 2


@dataclass(frozen=True, slots=True)
class Trials:
    """Answers along the axis by rising ``factor``: ``side`` (a ``Side``) and ``health``.

    Health is above 0 where safe, at or below 0 where liquidatable, NaN where unknown; any unit.
    """

    factor: Floats
    side: Int8s
    health: Floats


Evaluate: TypeAlias = Callable[[Floats], Trials]
"""The answers at some rising factors."""


def find_borders(evaluate: Evaluate, knots: Floats, trials_max: int) -> Trials:
    """Trials of which any two neighbours on different sides are next to each other.

    ``knots`` rise, at least two of them. ``trials_max`` bounds what the search for hidden
    borders may cost; those found are narrowed whatever it is.
    """
    trials = evaluate(knots)
    for _ in range(_ROUNDS_MAX):
        doubtful = _may_hide(trials)
        if not doubtful.any() or trials.factor.size + doubtful.sum() > trials_max:
            break
        low, high = trials.factor[:-1][doubtful], trials.factor[1:][doubtful]
        middle = np.where(high > 2.0 * low, np.sqrt(low * high), low + 0.5 * (high - low))
        trials = _joined([trials, evaluate(middle)])
    while True:
        at = np.flatnonzero(is_border(trials) & ~_is_narrow(trials))
        if not at.size:
            return trials
        trials = _joined([trials, *(_narrow(evaluate, trials, int(step)) for step in at)])


def is_border(trials: Trials) -> Bools:
    """Steps, from each trial to the next, whose ends are on different sides."""
    return np.asarray(trials.side[:-1] != trials.side[1:])


def _is_narrow(trials: Trials) -> Bools:
    low, high = trials.factor[:-1], trials.factor[1:]
    return np.asarray(high - low <= WIDTH_MIN * high)


def _may_hide(trials: Trials) -> Bools:
    """Steps in which the health could reach zero unseen, or more than once.

    In a step the health is taken to follow its neighbours' slopes, with one kink or jump at
    most. It then dips below its ends by at most the step's width times the difference of
    slopes. Where the slopes agree it is a line, and no doubt is left.
    """
    width, health = np.diff(trials.factor), trials.health
    with np.errstate(invalid="ignore", over="ignore"):
        slope = np.diff(health) / width
        before, after = np.append(np.nan, slope[:-1]), np.append(slope[1:], np.nan)
        bend = np.fmax(np.abs(slope - before), np.abs(slope - after))
        closest = np.minimum(np.abs(health[:-1]), np.abs(health[1:]))
        is_bent = bend > _BEND_MAX * np.abs(slope)
        is_close = is_border(trials) | (closest <= bend * width)
    # Beside what is unknown there is no slope to go by: look closer, but not for ever.
    is_blind = np.isnan(slope) | np.isnan(bend)
    is_lost = np.isnan(health[:-1]) & np.isnan(health[1:])
    floor = np.where(is_blind, _STEP_MIN_BLIND, _STEP_MIN) * trials.factor[1:]
    return np.asarray((is_blind | (is_bent & is_close)) & ~is_lost & (width > floor))


class _Point(NamedTuple):
    factor: float
    side: int
    health: float


def _point(trials: Trials, at: int) -> _Point:
    return _Point(float(trials.factor[at]), int(trials.side[at]), float(trials.health[at]))


def _narrow(evaluate: Evaluate, trials: Trials, step: int) -> Trials:
    """More trials inside a step, until a border there is narrow.

    A round takes the root of the secant and a point just beyond the true one, which on a line
    leaves both sides next to each other. After a round that does not quarter the bracket (a
    jump, a bend, an unknown end) the next two halve it.
    """
    low, high = _point(trials, step), _point(trials, step + 1)
    found: list[Trials] = []
    halvings = 0
    while high.factor - low.factor > WIDTH_MIN * high.factor:
        width = high.factor - low.factor
        root, slope = _secant(low, high)
        is_halved = halvings > 0 or not np.isfinite(root)
        wanted = low.factor + 0.5 * width if is_halved else root
        for _ in range(1 if is_halved else 2):
            x = _inside(wanted, low.factor, high.factor)
            if not low.factor < x < high.factor:
                break
            found.append(evaluate(np.array([x])))
            point = _point(found[-1], 0)
            is_low = point.side == low.side
            low, high = (point, high) if is_low else (low, point)
            step_out = 2.0 * abs(point.health / slope) if slope else 0.0
            reach = np.nanmax([step_out, 0.5 * WIDTH_MIN * x])
            wanted = x + reach if is_low else x - reach
        is_slow = high.factor - low.factor > 0.25 * width
        halvings = halvings - 1 if is_halved else 2 * int(is_slow)
    return _joined(found)


def _secant(low: _Point, high: _Point) -> tuple[float, float]:
    """Where the line through two points is zero, and its slope; NaN where signs do not differ."""
    rise = high.health - low.health
    if not low.health * high.health <= 0.0 or rise == 0.0:
        return float("nan"), float("nan")
    slope = rise / (high.factor - low.factor)
    return low.factor - low.health / slope, slope


def _inside(x: float, low: float, high: float) -> float:
    """``x``, kept a quarter of the final width away from the ends, so that they close in."""
    margin = 0.25 * WIDTH_MIN * high
    return min(max(x, low + margin), high - margin)


def _joined(parts: list[Trials]) -> Trials:
    """All trials by rising factor; one that was asked for twice stays once."""
    factor = np.concatenate([part.factor for part in parts])
    factor, first = np.unique(factor, return_index=True)
    side = np.concatenate([part.side for part in parts])
    health = np.concatenate([part.health for part in parts])
    return Trials(factor, side[first], health[first])
