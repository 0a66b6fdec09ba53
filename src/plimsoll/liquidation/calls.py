"""Margin-call levels: what is announced to a pool at which margin ratio, without flicker.

A level is announced from its ratio on and cleared below a lower one, and either only after the
ratio has held for the level's dwell. An unknown ratio changes no level, and a hold that it breaks
begins anew. The levels of a model stand in ``calls.toml``, as its venue states them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
import numba as nb
import numpy as np

from plimsoll.book import ModelChoice, PoolState
from plimsoll.core import (
    NS_PER_SECOND,
    DatedTable,
    Floats,
    InputError,
    Int8s,
    Int64s,
    Status,
    load_tables,
    table_at,
)
from plimsoll.margin import Explanation, ResolvedModel
from plimsoll.margin.registry import model_tables

FROM_MODEL: Final = "model"


class Consequence(StrEnum):
    """What follows where a level is reached; a level has those of all below it, too."""

    NOTICE = "notice"
    CALL = "call"
    REPAYMENT = "repayment"
    NO_NEW_RISK = "no_new_risk"
    NO_WITHDRAWALS = "no_withdrawals"
    LIQUIDATION = "liquidation"


class Trend(IntEnum):
    """Whether a ratio stands at the announced level, or has left it for a graver or milder one."""

    SETTLED = 0
    RISING = 1
    FALLING = 2


@dataclass(frozen=True, slots=True)
class Level:
    """A margin ratio from which something is announced, and the lower one it clears below.

    The ratio must hold for ``announce_after_ns`` at or above the one, for ``clear_after_ns`` below
    the other.
    """

    name: str
    ratio: float
    clear_ratio: float
    announce_after_ns: int
    clear_after_ns: int
    consequences: tuple[Consequence, ...]

    @property
    def state(self) -> PoolState:
        """The state of a pool to which this level is announced; LIQUIDATING is no announcement."""
        mine = set(self.consequences)
        if Consequence.LIQUIDATION in mine:
            return PoolState.LIQUIDATING
        if mine & {Consequence.NO_NEW_RISK, Consequence.NO_WITHDRAWALS}:
            return PoolState.RESTRICTED
        if mine & {Consequence.CALL, Consequence.REPAYMENT}:
            return PoolState.CALLED
        return PoolState.WARNED


class Steps(NamedTuple):
    """Announced levels as columns, and the states of pools that they are announced by.

    By level ``ratio``, ``clear_ratio``, ``announce_after_ns`` and ``clear_after_ns``; by state the
    ``level`` and the ``trend`` that it stands for, one that no level has for the gravest level
    below it; ``state`` [trends, levels + 1] is the way back.
    """

    ratio: Floats
    clear_ratio: Floats
    announce_after_ns: Int64s
    clear_after_ns: Int64s
    level: Int8s
    trend: Int8s
    state: Int8s


@dataclass(frozen=True, slots=True)
class Ladder:
    """The levels of a model, rising: by margin ratio, and by initial margin / collateral value.

    ``unconfirmed`` says which of them no source confirms, by path. ``announced`` are the levels
    short of liquidation, which become states of pools, and ``steps`` the same as columns.
    """

    name: str
    source: str
    levels: tuple[Level, ...]
    usage_levels: tuple[Level, ...]
    unconfirmed: tuple[tuple[str, str], ...]
    announced: tuple[Level, ...] = field(init=False, repr=False, compare=False)
    steps: Steps = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what every step of an engine asks for."""
        levels = tuple(one for one in self.levels if one.state != PoolState.LIQUIDATING)
        object.__setattr__(self, "announced", levels)
        object.__setattr__(self, "steps", steps_of(levels))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where pools stand on some levels, shape [pools] each.

    ``level`` counts the levels announced, ``trend`` (a ``Trend``) says whether the ratio has left
    that level, and ``since_ns`` since when both have been as they are.
    """

    level: Int8s
    trend: Int8s
    since_ns: Int64s


@dataclass(frozen=True, slots=True)
class Place:
    """A pool on its ladder at one instant, whatever has been announced to it.

    ``at`` is the gravest level reached, ``next`` the one after it, None for none. ``distance`` is
    what the margin ratio lacks to ``next``, ``loss`` how much collateral value may be lost until
    then at the same requirement (inf where there is none); NaN where the ratio is unknown.
    """

    at: Level | None
    next: Level | None
    usage: Level | None
    distance: float
    loss: float


def call_levels(steps: Steps, margin_ratio: Floats, before: Standing, now_ns: int) -> Standing:
    """Where pools stand at ``now_ns``, from where they stood; NaN ratios change no level.

    A ratio that leaves the announced level starts a clock, which runs while it stays on that
    side. It takes the level to the gravest of those it has reached whose dwell has passed, or
    down past those whose dwell has. An unknown ratio stops the clock.
    """
    after = Standing(before.level.copy(), before.trend.copy(), before.since_ns.copy())
    _call_pools(steps, margin_ratio, now_ns, after.level, after.trend, after.since_ns)
    return after


@nb.njit(cache=True, nogil=True)
def _call_pools(
    steps: Steps, ratio: Floats, now: int, level: Int8s, trend: Int8s, since: Int64s
) -> None:
    """``call_levels``, written where pools stood."""
    for k in range(ratio.size):
        level[k], trend[k], since[k] = _call_pool(
            steps, ratio[k], now, level[k], trend[k], since[k]
        )


@nb.njit(cache=True, nogil=True)
def _call_pool(
    steps: Steps, ratio: float, now: int, level: int, trend: int, since: int
) -> tuple[int, int, int]:
    """One pool's level, trend and time."""
    if math.isnan(ratio):
        return level, _SETTLED, since if trend == _SETTLED else now
    # A level announced is kept until the ratio is below its clear ratio.
    wanted = 0
    for k in range(steps.ratio.size):
        if ratio >= (steps.clear_ratio[k] if level > k else steps.ratio[k]):
            wanted = k + 1
    new = _SETTLED if wanted == level else _UP if wanted > level else _DOWN
    since = since if new == trend else now
    out, held = level, now - since
    if new == _UP:
        for k in range(level, wanted):
            if held >= steps.announce_after_ns[k]:
                out = k + 1
    while new == _DOWN and out > wanted and held >= steps.clear_after_ns[out - 1]:
        out -= 1
    if out == level:
        return level, new, since
    # What is left to go after a part of the way has a hold of its own.
    return out, _SETTLED if out == wanted else new, now


# States of pools in the order of their gravity; each with the state it has while a dwell runs.
_ORDER: Final = (PoolState.NORMAL, PoolState.WARNED, PoolState.CALLED, PoolState.RESTRICTED)
_RISING: Final = (PoolState.NORMAL_RISING, PoolState.WARNED_RISING, PoolState.CALLED_RISING)
_FALLING: Final = (
    PoolState.WARNED_FALLING,
    PoolState.CALLED_FALLING,
    PoolState.RESTRICTED_FALLING,
)


_GRAVITY: Final = tuple(
    grave
    for _, grave in sorted(
        [
            *zip(_ORDER, range(4), strict=True), *zip(_RISING, range(3), strict=True),
            *zip(_FALLING, range(1, 4), strict=True), (PoolState.LIQUIDATING, len(_ORDER)),
        ]
    )
)  # fmt: skip
_SETTLED, _UP, _DOWN = (int(trend) for trend in Trend)


def steps_of(levels: tuple[Level, ...]) -> Steps:
    """Announced levels as columns."""
    gravity = [_ORDER.index(level.state) for level in levels]
    level_of, trend_of = np.zeros((2, len(PoolState)), dtype=np.int8)
    for trend, states in ((_SETTLED, _ORDER), (_UP, _RISING), (_DOWN, _FALLING)):
        for state in states:
            level_of[state] = sum(each <= _GRAVITY[state] for each in gravity)
            trend_of[state] = trend
    stands = [0, *gravity]
    return Steps(
        ratio=np.array([one.ratio for one in levels], dtype=np.float64),
        clear_ratio=np.array([one.clear_ratio for one in levels], dtype=np.float64),
        announce_after_ns=np.array([one.announce_after_ns for one in levels], dtype=np.int64),
        clear_after_ns=np.array([one.clear_after_ns for one in levels], dtype=np.int64),
        level=level_of,
        trend=trend_of,
        state=np.array(
            [
                [_ORDER[grave] for grave in stands],
                [_RISING[min(grave, len(_RISING) - 1)] for grave in stands],
                [_FALLING[max(grave, 1) - 1] for grave in stands],
            ],
            dtype=np.int8,
        ),
    )


def gravity_of(state: Int8s) -> Int8s:
    """How grave states of pools are, LIQUIDATING most; one whose dwell runs is as it was."""
    return np.array(_GRAVITY, dtype=np.int8)[state]


def next_states(
    steps: Steps, state: Int8s, since_ns: Int64s, margin_ratio: Floats, now_ns: int
) -> Int8s:
    """States of pools short of liquidation after ``call_levels``, from their states.

    ``since_ns`` is the time of their last state event. Where the ratio is NaN the state stays,
    but a dwell that was running stops.
    """
    before = Standing(steps.level[state], steps.trend[state], since_ns)
    after = call_levels(steps, margin_ratio, before, now_ns)
    out = steps.state[after.trend, after.level]
    return np.where(np.isnan(margin_ratio) & (before.trend == _SETTLED), state, out)


def locate(ladder: Ladder, found: Explanation) -> Place:
    """Where one pool stands on its ladder; nowhere where its status is UNKNOWN."""
    if found.status == Status.UNKNOWN:
        return Place(None, None, None, np.nan, np.nan)
    ratio, collateral = found.margin_ratio, found.collateral_value
    reached = [level for level in ladder.levels if ratio >= level.ratio]
    left = [level for level in ladder.levels if ratio < level.ratio]
    needed = found.initial_margin
    usage = [one for one in ladder.usage_levels if needed > 0 and needed >= one.ratio * collateral]
    return Place(
        at=reached[-1] if reached else None,
        next=left[0] if left else None,
        usage=usage[-1] if usage else None,
        distance=left[0].ratio - ratio if left else np.inf,
        loss=collateral - found.maintenance_margin / left[0].ratio if left else np.inf,
    )


def call_tables() -> tuple[DatedTable, ...]:
    """The dated tables of levels, oldest first."""
    return load_tables("plimsoll.liquidation", "calls")


def load_ladder(choice: ModelChoice, resolved: ResolvedModel, as_of_ns: int) -> Ladder:
    """The levels of a model in force at ``as_of_ns``.

    Raises InputError where the model's own margin call does not fit between its other levels.
    """
    table = table_at(call_tables(), as_of_ns)
    family = _family_of(table.params["families"], choice, resolved, as_of_ns)
    name = str(family["name"])
    own = [
        (path.removeprefix(f"{name}."), why)
        for path, why in table.unconfirmed.items()
        if path.startswith(f"{name}.")
    ]
    for row in family["levels"]:
        why = dict(resolved.unconfirmed).get("margin_call_ratio")
        if row["ratio"] == FROM_MODEL and why is not None:
            own.append((f"{row['name']}.ratio", why))
    return Ladder(
        name=name,
        source=str(family["source"]),
        levels=_levels(family["levels"], resolved, name),
        usage_levels=_levels(family["usage_levels"], resolved, name),
        unconfirmed=tuple(own),
    )


def load_ladders(
    choices: tuple[ModelChoice, ...], models: tuple[ResolvedModel, ...], as_of_ns: int
) -> tuple[Ladder, ...]:
    """``load_ladder`` for each model of a book."""
    return tuple(
        load_ladder(choice, resolved, as_of_ns)
        for choice, resolved in zip(choices, models, strict=True)
    )


def _family_of(
    families: list[Mapping[str, Any]], choice: ModelChoice, resolved: ResolvedModel, as_of_ns: int
) -> Mapping[str, Any]:
    """The entry of a model: one of its own, else its venue's, else the default."""
    model = resolved.model
    params = {
        **table_at(model_tables(model), as_of_ns).params,
        **msgspec.json.decode(choice.overrides),
    }
    for wanted in (model.name, model.name.partition(".")[0]):
        for family in families:
            fits = all(params.get(key) == value for key, value in family.get("when", {}).items())
            if wanted in family["models"] and fits:
                return {"usage_levels": families[0]["usage_levels"], **family}
    return families[0]


def _levels(
    rows: list[Mapping[str, Any]], resolved: ResolvedModel, family: str
) -> tuple[Level, ...]:
    """Levels as a table has them, the model's own margin call filled in."""
    found = [_level(row, resolved) for row in rows]
    kept = [
        level
        for row, level in zip(rows, found, strict=True)
        if row["ratio"] != FROM_MODEL or level.ratio < 1
    ]
    for lower, upper in pairwise(kept):
        if not (lower.ratio < upper.ratio and lower.clear_ratio <= upper.clear_ratio):
            place, problem = f"calls.{family}.{upper.name}", f"is not above '{lower.name}'"
            raise InputError(place, problem, "give ratios that rise, and clear ratios below them")
    announced = [level.state for level in kept if level.state != PoolState.LIQUIDATING]
    if [*announced] != sorted(set(announced), key=_ORDER.index):
        problem = "two levels of one consequence, or a milder one above a graver"
        raise InputError(f"calls.{family}", problem, "give each consequence one level, in order")
    return tuple(kept)


def _level(row: Mapping[str, Any], resolved: ResolvedModel) -> Level:
    ratio, clear = row["ratio"], row["clear_ratio"]
    line = resolved.margin_call_ratio if ratio == FROM_MODEL else float(ratio)
    under = resolved.margin_call_clear_ratio if clear == FROM_MODEL else float(clear)
    return Level(
        name=str(row["name"]),
        ratio=line,
        clear_ratio=min(under, line),
        announce_after_ns=int(row.get("announce_after_s", 0)) * NS_PER_SECOND,
        clear_after_ns=int(row.get("clear_after_s", 0)) * NS_PER_SECOND,
        consequences=tuple(Consequence(one) for one in row["consequences"]),
    )
