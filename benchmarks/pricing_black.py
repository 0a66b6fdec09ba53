"""Claims: Black-76 on columns and on a grid runs at the speed of the machine's arithmetic."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba as nb
import numpy as np
import QuantLib
from scipy.special import ndtr

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.timing import Lap, lap, seconds, time_laps
from plimsoll.core import Bools, Floats, stream
from plimsoll.market import product_grid
from plimsoll.pricing import OptionColumns, black76, reprice_grid, shocks_of_grid
from plimsoll.pricing.numerics import fma

OPTIONS = 1_000_000
# About what an exchange lists on one underlying; a pass is too short for the clock.
GRID_OPTIONS, GRID_PASSES = 2_000, 10
# Additions, multiplications, fused or not, divisions and roots of one value; selects not counted.
GRID_OPERATIONS = 65
VALUE_OPERATIONS = 86
# Eight at a time in flight is what two units of latency four can take.
CHAIN, WIDTH = 8, 256


@dataclass(frozen=True, slots=True)
class _Options:
    forward: Floats
    strike: Floats
    time: Floats
    vol: Floats
    is_call: Bools
    discount: Floats


@nb.njit(error_model="numpy")
def _multiply_adds(rounds: int, factor: float, values: Floats) -> None:
    for _ in range(rounds):
        for i in range(values.size):
            value = values[i]
            for _ in range(CHAIN):
                value = fma(value, factor, 1e-3)
            values[i] = value


def multiply_add_lap(count: int) -> Lap:
    """Does that many independent fused multiply-adds on one core."""
    values, rounds = np.ones(WIDTH), max(count // (CHAIN * WIDTH), 1)
    return lap(lambda: _multiply_adds(rounds, 0.999, values))


def measure(load: Load) -> Iterator[Line]:
    """One core where the name does not say all; peers use one.

    The limit is one multiply-add for each operation of the formula, on as many cores.
    """
    yield _multiply_add_line(load)
    yield from _value_lines(load)
    yield _grid_line(load)


def _multiply_add_line(load: Load) -> Line:
    count = 100_000_000 // load.shrink
    values = np.ones(WIDTH)

    def peer() -> None:
        for _ in range(count // WIDTH):
            np.add(np.multiply(values, 0.999, out=values), 1e-3, out=values)

    ours, theirs = time_laps(load.repeats, multiply_add_lap(count), lap(peer))
    rate = count / ours.median / 1e9
    race = Race(ours, theirs, ours)
    return race.line("pricing_black.multiply_add", rate, "G/s", "NumPy, in cache", None)


def _value_lines(load: Load) -> Iterator[Line]:
    count = OPTIONS // load.shrink
    given = _random_options(count)
    ours, one_core, numpy_time, loop_time, limit, shared_limit = time_laps(
        load.repeats,
        _warm(lambda: _value(given)),
        _on_one_core(_warm(lambda: _value(given))),
        _warm(lambda: _numpy_value(given)),
        lap(lambda: _quantlib_value(given)),
        multiply_add_lap(count * VALUE_OPERATIONS),
        multiply_add_lap(count * VALUE_OPERATIONS // nb.get_num_threads()),
    )
    value = _value(given) / given.forward
    name = f"pricing_black.values.{count}"
    by_numpy, by_loop = "NumPy + scipy ndtr", "QuantLib, loop"
    far_numpy = relative_difference([(value, _numpy_value(given) / given.forward)])
    far_loop = relative_difference([(value, _quantlib_value(given) / given.forward)])
    race = Race(ours, loop_time, shared_limit)
    yield _nanoseconds(f"{name}.all_cores", race, count, by_loop, far_loop)
    race = Race(ours, numpy_time, shared_limit)
    yield _nanoseconds(f"{name}.all_cores", race, count, by_numpy, far_numpy)
    yield _nanoseconds(name, Race(one_core, numpy_time, limit), count, by_numpy, far_numpy)


def _grid_line(load: Load) -> Line:
    given, passes = _random_options(GRID_OPTIONS // load.shrink), range(GRID_PASSES)
    moves = product_grid(np.linspace(-0.16, 0.16, 16), np.array([-0.25, 0.0, 0.5]))
    options = OptionColumns(
        given.forward, given.strike, given.time, given.vol, given.is_call, given.discount,
        np.zeros(given.forward.size, np.bool_),
    )  # fmt: skip
    shocks = shocks_of_grid(moves, given.forward.size)
    out = np.empty((given.forward.size, moves.price_move.size))
    growth, vol_growth = 1.0 + moves.price_move, 1.0 + moves.vol_move

    def peer() -> Floats:
        forward, strike, time, vol, discount = (
            each[:, np.newaxis]
            for each in (given.forward, given.strike, given.time, given.vol, given.discount)
        )
        is_call = given.is_call[:, np.newaxis]
        return _numpy_value(
            _Options(forward * growth, strike, time, vol * vol_growth, is_call, discount)
        )

    race = Race(
        *time_laps(
            load.repeats,
            _on_one_core(_warm(lambda: [reprice_grid(options, shocks, out) for _ in passes])),
            _warm(lambda: [peer() for _ in passes]),
            multiply_add_lap(out.size * GRID_PASSES * GRID_OPERATIONS),
        )
    )
    scale = given.forward[:, np.newaxis]
    accuracy = relative_difference([(out / scale, peer() / scale)])
    name = f"pricing_black.grid.{out.shape[0]}x{out.shape[1]}"
    return _nanoseconds(name, race, out.size * GRID_PASSES, "NumPy + scipy ndtr", accuracy)


def _nanoseconds(name: str, race: Race, count: int, peer: str, accuracy: float) -> Line:
    """``accuracy`` is in forwards."""
    return race.line(name, 1e9 * race.ours.median / count, "ns/option", peer, accuracy)


def _warm(call: Callable[[], object]) -> Lap:
    """A lap after one that does not count: another's turn leaves none of our columns in cache."""

    def run() -> float:
        call()
        return seconds(call)

    return run


def _on_one_core(run: Lap) -> Lap:
    def alone() -> float:
        most = nb.get_num_threads()
        nb.set_num_threads(1)
        try:
            return run()
        finally:
            nb.set_num_threads(most)

    return alone


def _random_options(count: int) -> _Options:
    rng = stream(0, "benchmarks", "pricing")
    forward = 60_000.0 * np.exp(rng.normal(0.0, 0.3, count))
    strike = 60_000.0 * np.exp(rng.normal(0.0, 0.3, count))
    time, vol = rng.uniform(0.003, 1.0, count), rng.uniform(0.3, 1.2, count)
    return _Options(forward, strike, time, vol, rng.random(count) < 0.5, np.exp(-0.05 * time))


def _value(given: _Options) -> Floats:
    return black76(
        given.forward, given.strike, given.time, given.vol, given.is_call, given.discount
    ).value


def _numpy_value(given: _Options) -> Floats:
    deviation = given.vol * np.sqrt(given.time)
    d1 = np.log(given.forward / given.strike) / deviation + 0.5 * deviation
    sign = np.where(given.is_call, 1.0, -1.0)
    in_money = given.forward * ndtr(sign * d1) - given.strike * ndtr(sign * (d1 - deviation))
    return np.asarray(given.discount * sign * in_money)


def _quantlib_value(given: _Options) -> Floats:
    """The same columns in, the same column out."""
    out = np.empty(given.forward.size)
    for i in range(out.size):
        out[i] = QuantLib.blackFormula(
            QuantLib.Option.Call if given.is_call[i] else QuantLib.Option.Put,
            given.strike[i],
            given.forward[i],
            given.vol[i] * math.sqrt(given.time[i]),
            given.discount[i],
        )
    return out
