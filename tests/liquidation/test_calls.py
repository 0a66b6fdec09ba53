"""Margin-call levels: what venues state, hysteresis, dwell, and states that remember it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.book import ModelChoice, PoolState
from plimsoll.core import InputError, Status
from plimsoll.liquidation.calls import (
    Consequence,
    Ladder,
    Level,
    Standing,
    Trend,
    call_levels,
    gravity_of,
    load_ladder,
    locate,
    next_states,
    steps_of,
)
from plimsoll.margin import MODELS, Explanation, load_models
from tests.margin.random_books import TABLE

NOW = 1_790_000_000_000_000_000  # 2026-09-21
NAN = float("nan")
CALL, NOTICE, RESTRICT = Consequence.CALL, Consequence.NOTICE, Consequence.NO_NEW_RISK
LINE = Consequence.LIQUIDATION


def level(
    name: str, ratio: float, clear: float, consequence: Consequence, dwell: tuple[int, int] = (0, 0)
) -> Level:
    return Level(name, ratio, clear, *dwell, (consequence,))


THREE = (
    level("warn", 0.5, 0.4, NOTICE, (3, 2)),
    level("call", 0.8, 0.6, CALL, (0, 4)),
    level("limit", 0.9, 0.85, RESTRICT, (2, 0)),
)
HOUSE = Ladder("house", "", (*THREE, level("end", 1.0, 1.0, LINE)), (), ())


def ladder_of(name: str, overrides: str = "{}") -> Ladder:
    choice = ModelChoice(name, overrides)
    (resolved,) = load_models(TABLE, (choice,), NOW).models
    return load_ladder(choice, resolved, NOW)


# -- what venues state -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "overrides", "wanted"),
    [
        # The house's own call; a level is 1.05 / uniMMR at Binance, 1 / health factor at Aave.
        ("plimsoll.standard", "{}", {"margin_call": Fraction(5, 6), "liquidation": Fraction(1)}),
        (
            "binance.portfolio",
            "{}",
            {"reduce_only": Fraction(105, 120), "liquidation": Fraction(1)},
        ),
        (
            "binance.portfolio",
            '{"program": "pro"}',
            {
                "reminder": Fraction(105, 150),
                "reduce_only": Fraction(105, 120),
                "liquidation": Fraction(105, 105),
                "claim_for_loss": Fraction(105, 100),
            },
        ),
        ("bybit.portfolio", "{}", {"auto_repayment": Fraction(85, 100), "liquidation": 1}),
        ("bybit.cross", "{}", {"liquidation": 1}),
        ("deribit.cross_pm", "{}", {"liquidation": 1}),
        ("okx.portfolio", "{}", {"liquidation": 1}),
        ("hyperliquid.cross", "{}", {"liquidation": 1, "backstop": Fraction(3, 2)}),
        (
            "aave.v3",
            "{}",
            {"margin_call": Fraction(10, 11), "liquidation": 1, "whole_debt": Fraction(100, 95)},
        ),
        ("vega.cross", "{}", {"search": Fraction(10, 11), "liquidation": 1}),
        ("cboe.regt", "{}", {"maintenance_call": 1}),
    ],
)
def test_levels_are_those_that_venues_state(
    name: str, overrides: str, wanted: dict[str, Fraction]
) -> None:
    found = ladder_of(name, overrides)
    assert {each.name: each.ratio for each in found.levels} == pytest.approx(
        {key: float(value) for key, value in wanted.items()}
    )
    assert found.source


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_has_a_ladder_that_rises_to_the_line(model) -> None:
    found = ladder_of(model.name)
    ratios = [each.ratio for each in found.levels]
    clears = [each.clear_ratio for each in found.levels]
    assert ratios == sorted(set(ratios))
    assert clears == sorted(clears)
    assert all(0 < clear <= ratio for ratio, clear in zip(ratios, clears, strict=True))
    assert 1.0 in ratios
    assert all(each.ratio < 1 for each in found.announced)
    # The watch and the status know the model's own call; a level must stand for it.
    (resolved,) = load_models(TABLE, (ModelChoice(model.name),), NOW).models
    if resolved.margin_call_ratio < 1:
        assert resolved.margin_call_ratio in [each.ratio for each in found.announced]
    assert found.usage_levels[0].ratio == 1.0


def test_the_models_own_call_moves_its_level_and_may_not_pass_another() -> None:
    moved = '{"margin_call_ratio": 0.6, "margin_call_clear_ratio": 0.5}'
    found = ladder_of("plimsoll.standard", moved)
    assert (found.levels[0].ratio, found.levels[0].clear_ratio) == (0.6, 0.5)
    none = ladder_of("plimsoll.standard", '{"margin_call_ratio": 1.0}')
    assert [each.name for each in none.levels] == ["liquidation"]
    called = ladder_of(
        "deribit.standard", '{"margin_call_ratio": 0.8, "margin_call_clear_ratio": 0.7}'
    )
    assert [each.name for each in called.announced] == ["margin_call"]
    with pytest.raises(InputError, match=r"reduce_only: is not above 'reminder'"):
        ladder_of(
            "binance.portfolio",
            '{"program": "pro", "margin_call_ratio": 0.6, "margin_call_clear_ratio": 0.5}',
        )


def test_what_no_source_confirms_is_said() -> None:
    pro = dict(ladder_of("binance.portfolio", '{"program": "pro"}').unconfirmed)
    assert "reminder.clear_ratio" in pro
    assert "house" in dict(ladder_of("aave.v3").unconfirmed)["margin_call.ratio"]


@pytest.mark.parametrize(
    ("consequences", "state"),
    [
        ((NOTICE,), PoolState.WARNED),
        ((CALL,), PoolState.CALLED),
        ((Consequence.REPAYMENT,), PoolState.CALLED),
        ((CALL, RESTRICT), PoolState.RESTRICTED),
        ((Consequence.NO_WITHDRAWALS,), PoolState.RESTRICTED),
        ((CALL, LINE), PoolState.LIQUIDATING),
    ],
)
def test_the_gravest_consequence_is_the_state(
    consequences: tuple[Consequence, ...], state: PoolState
) -> None:
    assert Level("x", 0.5, 0.4, 0, 0, consequences).state == state


# -- hysteresis and dwell --------------------------------------------------------------------


def walk(levels: tuple[Level, ...], path: list[tuple[int, float]]) -> list[int]:
    """The level after each (time, ratio) of one pool that begins at none."""
    standing = Standing(np.zeros(1, np.int8), np.zeros(1, np.int8), np.zeros(1, np.int64))
    out = []
    for now, ratio in path:
        standing = call_levels(steps_of(levels), np.array([ratio]), standing, now)
        out.append(int(standing.level[0]))
    return out


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        # A warning waits 3; the ratio must hold all the while.
        ([(0, 0.5), (2, 0.5), (3, 0.5)], [0, 0, 1]),
        ([(0, 0.5), (2, 0.49), (3, 0.5), (5, 0.5), (6, 0.5)], [0, 0, 0, 0, 1]),
        # A call does not wait, nor for the warning below it; its own level above does.
        ([(0, 0.8)], [2]),
        ([(0, 0.95), (1, 0.95), (2, 0.95)], [2, 2, 3]),
        # Cleared below the lower ratio, and after its own dwell.
        ([(0, 0.8), (1, 0.6), (9, 0.6)], [2, 2, 2]),
        ([(0, 0.8), (1, 0.59), (4, 0.59), (5, 0.59)], [2, 2, 2, 1]),
        ([(0, 0.8), (1, 0.59), (4, 0.6), (5, 0.59), (8, 0.59), (9, 0.59)], [2, 2, 2, 2, 2, 1]),
        # The clock runs from when the call was left, and 4 is more than the warning's 2.
        ([(0, 0.8), (1, 0.1), (4, 0.1), (5, 0.1)], [2, 2, 2, 0]),
        # What is unknown changes nothing and breaks a hold.
        ([(0, 0.5), (2, NAN), (3, 0.5), (6, 0.5)], [0, 0, 0, 1]),
        ([(0, 0.8), (1, NAN), (99, NAN), (100, 0.7)], [2, 2, 2, 2]),
        ([(0, float("inf")), (2, float("inf"))], [2, 3]),
    ],
)
def test_levels_with_hysteresis_and_dwell(path: list[tuple[int, float]], wanted: list[int]) -> None:
    assert walk(THREE, path) == wanted


class Pool:
    """One pool by the rule's words: a list of what has been seen since the level changed."""

    def __init__(self) -> None:
        self.level = 0
        self.seen: list[tuple[int, int]] = []

    def see(self, levels: tuple[Level, ...], ratio: float, now: int) -> int:
        if ratio != ratio:
            self.seen = []
            return self.level
        wanted = 0
        for number, each in enumerate(levels, start=1):
            if ratio >= (each.clear_ratio if self.level >= number else each.ratio):
                wanted = number
        side = (wanted > self.level) - (wanted < self.level)
        if side == 0 or (self.seen and self.seen[-1][1] != side):
            self.seen = []
        if side == 0:
            return self.level
        self.seen.append((now, side))
        held = now - self.seen[0][0]
        level = self.level
        if side > 0:
            for number in range(self.level + 1, wanted + 1):
                if held >= levels[number - 1].announce_after_ns:
                    level = number
        else:
            while level > wanted and held >= levels[level - 1].clear_after_ns:
                level -= 1
        if level != self.level:
            self.level, self.seen = level, [] if level == wanted else [(now, side)]
        return self.level


RATIOS = st.one_of(st.floats(0.0, 1.2), st.sampled_from([NAN, 0.4, 0.5, 0.6, 0.8, 0.85, 0.9]))
DWELLS = st.tuples(st.integers(0, 4), st.integers(0, 4))
PATHS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(RATIOS, min_size=4, max_size=4)), max_size=30
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(dwells=st.tuples(DWELLS, DWELLS, DWELLS), path=PATHS)
def test_columns_and_states_follow_the_rules_words(
    dwells: tuple[tuple[int, int], ...], path: list[tuple[int, list[float]]]
) -> None:
    """Columns, states with the time of their last event, and pools one by one: all the same."""
    levels = tuple(
        replace(each, announce_after_ns=dwell[0], clear_after_ns=dwell[1])
        for each, dwell in zip(THREE, dwells, strict=True)
    )
    ladder = replace(HOUSE, levels=(*levels, HOUSE.levels[-1]))
    pools = [Pool() for _ in range(4)]
    standing = Standing(np.zeros(4, np.int8), np.zeros(4, np.int8), np.zeros(4, np.int64))
    state, since = np.zeros(4, np.int8), np.zeros(4, np.int64)
    now = 10
    for later, ratios in path:
        now += later
        column = np.array(ratios)
        standing = call_levels(steps_of(levels), column, standing, now)
        new = next_states(ladder.steps, state, since, column, now)
        # A ledger knows the time of the last event alone.
        since = np.where(new != state, now, since)
        state = new
        told = [pool.see(levels, ratio, now) for pool, ratio in zip(pools, ratios, strict=True)]
        assert standing.level.tolist() == told
        assert ladder.steps.level[state].tolist() == told
        assert ladder.steps.trend[state].tolist() == standing.trend.tolist()


def test_without_a_dwell_no_state_waits() -> None:
    levels = tuple(replace(each, announce_after_ns=0, clear_after_ns=0) for each in THREE)
    ladder = replace(HOUSE, levels=levels)
    state = np.array([s for s in PoolState if s != PoolState.LIQUIDATING], np.int8)
    for ratio in (0.1, 0.45, 0.55, 0.7, 0.87, 0.95):
        column = np.full(state.size, ratio)
        found = next_states(ladder.steps, state, np.zeros(state.size, np.int64), column, NOW)
        assert set(found.tolist()) <= {0, 1, 3, 4}


def test_a_state_without_a_level_gives_way_to_the_one_below() -> None:
    house = ladder_of("plimsoll.standard")
    states = np.array([PoolState.WARNED, PoolState.RESTRICTED, PoolState.CALLED], np.int8)
    assert house.steps.level[states].tolist() == [0, 1, 1]
    assert house.steps.trend[states].tolist() == [Trend.SETTLED] * 3
    since = np.zeros(3, np.int64)
    found = next_states(house.steps, states, since, np.full(3, 0.7), NOW)
    assert found.tolist() == [PoolState.NORMAL, PoolState.CALLED, PoolState.CALLED]
    # Nothing is known: nothing is said.
    found = next_states(house.steps, states, since, np.full(3, NAN), NOW)
    assert found.tolist() == states.tolist()


def test_gravity_orders_states_and_a_running_dwell_changes_none() -> None:
    order = ("NORMAL", "WARNED", "CALLED", "RESTRICTED", "LIQUIDATING")
    plain = gravity_of(np.array([PoolState[name] for name in order], np.int8))
    assert plain.tolist() == [0, 1, 2, 3, 4]
    for one in PoolState:
        base = one.name.removesuffix("_RISING").removesuffix("_FALLING")
        assert gravity_of(np.array([one], np.int8))[0] == order.index(base)


# -- one pool on its ladder ------------------------------------------------------------------


def explained(maintenance: float, collateral: float, initial: float, status: Status) -> Explanation:
    ratio = maintenance / collateral
    return Explanation(
        "p", "cross", "m", "USD", status, (), collateral, collateral, initial, maintenance,
        collateral - maintenance, ratio, (), (), (),
    )  # fmt: skip


def test_where_a_pool_stands_and_what_it_may_lose() -> None:
    pro = ladder_of("binance.portfolio", '{"program": "pro"}')
    place = locate(pro, explained(75.0, 100.0, 90.0, Status.OK))
    assert place.at is not None
    assert place.next is not None
    assert (place.at.name, place.next.name, place.usage) == ("reminder", "reduce_only", None)
    assert place.distance == pytest.approx(0.125)
    # With that much less the ratio is the next level's.
    assert 75.0 / (100.0 - place.loss) == pytest.approx(place.next.ratio)
    over = locate(pro, explained(106.0, 100.0, 130.0, Status.LIQUIDATABLE))
    assert over.at is not None
    assert over.usage is not None
    assert (over.at.name, over.next, over.usage.name) == ("claim_for_loss", None, "no_new_risk")
    unknown = locate(pro, explained(NAN, 100.0, NAN, Status.UNKNOWN))
    assert (unknown.at, unknown.next, unknown.usage) == (None, None, None)
    assert np.isnan(unknown.distance)
