"""Claim: a quiet tick costs one assessment, and the worst tick of the crash a few of them."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.assess_standard import FIGURES, bytes_read
from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.machine import stream_lap
from benchmarks.timing import lap, time_laps
from benchmarks.world import World, open_world
from plimsoll.engine import Inputs, step
from plimsoll.margin import assess


def measure(load: Load) -> Iterator[Line]:
    """A tick on which little happens, and the one on which prices fall furthest."""
    world = open_world(load.tick_accounts)
    fall = np.diff(np.log(world.feed.path.price), axis=0).mean(axis=1)
    crash = int(np.argmin(fall)) + 1
    on_the_eve, _ = step(world.state, world.rules, world.tick(crash - 1))
    fallen = replace(world, state=on_the_eve)
    for name, at, number in (("quiet", world, 1), ("crash", fallen, crash)):
        yield _measure_tick(f"engine_tick.{name}", at, at.tick(number), load.repeats)


def _measure_tick(name: str, world: World, inputs: Inputs, repeats: int) -> Line:
    state, rules = world.state, world.rules
    _, outcome = step(state, rules, inputs)
    race = Race(
        *time_laps(
            repeats,
            lap(lambda: step(state, rules, inputs)),
            lap(lambda: assess(state.book, outcome.market, rules.models, state.plan)),
            stream_lap(bytes_read(world)),
        )
    )
    bare = assess(state.book, outcome.market, rules.models, state.plan)
    accuracy = relative_difference(
        (getattr(outcome.found, figure), getattr(bare, figure)) for figure in FIGURES
    )
    return race.milliseconds(name, "one bare assess", accuracy)
