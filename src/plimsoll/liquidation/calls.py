"""Margin-call levels: what is announced to a pool at which margin ratio, without flicker.

A level is announced from its ratio on and cleared below a lower one, and either only after the
ratio has held for the level's dwell. An unknown ratio changes no level, and a hold that it breaks
begins anew. The levels of a model stand in ``calls.toml``, as its venue states them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, Final

import msgspec
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


@dataclass(frozen=True, slots=True)
class Ladder:
    """The levels of a model, rising: by margin ratio, and by initial margin / collateral value.

    ``unconfirmed`` says which of them no source confirms, by path.
    """

    name: str
    source: str
    levels: tuple[Level, ...]
    usage_levels: tuple[Level, ...]
    unconfirmed: tuple[tuple[str, str], ...]

    @property
    def announced(self) -> tuple[Level, ...]:
        """The levels short of liquidation, which become states of pools."""
        return tuple(level for level in self.levels if level.state != PoolState.LIQUIDATING)


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


def call_levels(
    levels: tuple[Level, ...], margin_ratio: Floats, before: Standing, now_ns: int
) -> Standing:
    """Where pools stand at ``now_ns``, from where they stood; NaN ratios change no level.

    A ratio that leaves the announced level starts a clock, which runs while it stays on that
    side. It takes the level to the gravest of those it has reached whose dwell has passed, or
    down past those whose dwell has. An unknown ratio stops the clock.
    """
    level, known = before.level, ~np.isnan(margin_ratio)
    wanted = _wanted(levels, margin_ratio, level)
    trend = np.select(
        [~known | (wanted == level), wanted > level], [Trend.SETTLED, Trend.RISING], Trend.FALLING
    ).astype(np.int8)
    is_new = trend != before.trend
    since = np.where(is_new, now_ns, before.since_ns)
    held = now_ns - since
    out = level.copy()
    for number, one in enumerate(levels, start=1):
        rises = (trend == Trend.RISING) & (level < number) & (number <= wanted)
        out[rises & (held >= one.announce_after_ns)] = number
    for number in range(len(levels), 0, -1):
        falls = (trend == Trend.FALLING) & (out == number) & (wanted < number)
        out[falls & (held >= levels[number - 1].clear_after_ns)] = number - 1
    moved = out != level
    # What is left to go after a part of the way has a hold of its own.
    trend = np.where(moved & (out == wanted), np.int8(Trend.SETTLED), trend)
    return Standing(out, trend, np.where(moved, now_ns, since))


def _wanted(levels: tuple[Level, ...], margin_ratio: Floats, level: Int8s) -> Int8s:
    """The level that ratios point to: one announced is kept until its ratio is below the clear."""
    wanted = np.zeros(level.size, dtype=np.int8)
    for number, one in enumerate(levels, start=1):
        line = np.where(level >= number, one.clear_ratio, one.ratio)
        wanted[margin_ratio >= line] = number
    return wanted


# States of pools in the order of their gravity; each with the state it has while a dwell runs.
_ORDER: Final = (PoolState.NORMAL, PoolState.WARNED, PoolState.CALLED, PoolState.RESTRICTED)
_RISING: Final = (PoolState.NORMAL_RISING, PoolState.WARNED_RISING, PoolState.CALLED_RISING)
_FALLING: Final = (
    PoolState.WARNED_FALLING,
    PoolState.CALLED_FALLING,
    PoolState.RESTRICTED_FALLING,
)


def state_levels(levels: tuple[Level, ...], state: Int8s) -> tuple[Int8s, Int8s]:
    """The level and the trend that states of pools stand for on some announced levels.

    A state that no level has stands for the gravest level below it.
    """
    gravity = [_ORDER.index(level.state) for level in levels]
    level_of, trend_of = np.zeros((2, len(PoolState)), dtype=np.int8)
    for base, trend, states in (
        (0, Trend.SETTLED, _ORDER), (0, Trend.RISING, _RISING), (1, Trend.FALLING, _FALLING)
    ):  # fmt: skip
        for grave, one in enumerate(states, start=base):
            level_of[one] = sum(each <= grave for each in gravity)
            trend_of[one] = trend
    return level_of[state], trend_of[state]


def gravity_of(state: Int8s) -> Int8s:
    """How grave states of pools are, LIQUIDATING most; one whose dwell runs is as it was."""
    gravity = np.full(len(PoolState), len(_ORDER), dtype=np.int8)
    for base, states in ((0, _ORDER), (0, _RISING), (1, _FALLING)):
        for grave, one in enumerate(states, start=base):
            gravity[one] = grave
    return gravity[state]


def next_states(
    ladder: Ladder, state: Int8s, since_ns: Int64s, margin_ratio: Floats, now_ns: int
) -> Int8s:
    """States of pools short of liquidation after ``call_levels``, from their states.

    ``since_ns`` is the time of their last state event. Where the ratio is NaN the state stays,
    but a dwell that was running stops.
    """
    levels = ladder.announced
    before = Standing(*state_levels(levels, state), since_ns)
    after = call_levels(levels, margin_ratio, before, now_ns)
    settled = np.array([PoolState.NORMAL, *(level.state for level in levels)], dtype=np.int8)
    rising = np.zeros_like(settled)
    falling = np.zeros_like(settled)
    for number, one in enumerate(settled.tolist()):
        grave = _ORDER.index(PoolState(one))
        rising[number] = _RISING[min(grave, len(_RISING) - 1)]
        falling[number] = _FALLING[max(grave, 1) - 1]
    out = np.select(
        [after.trend == Trend.RISING, after.trend == Trend.FALLING],
        [rising[after.level], falling[after.level]],
        default=settled[after.level],
    )
    return np.where(np.isnan(margin_ratio) & (before.trend == Trend.SETTLED), state, out)


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
