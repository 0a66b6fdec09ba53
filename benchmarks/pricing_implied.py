"""Claim: implied vols to the last digit at some fifty nanoseconds an option and core."""

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import py_lets_be_rational
import QuantLib

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.timing import Lap, lap, time_laps
from plimsoll.core import Bools, Floats, stream
from plimsoll.pricing import black76, implied_vol

OPTIONS = 100_000
FORWARD = 60_000.0
OPERATIONS = 430
"""Additions, products, quotients and roots for one option, counted in the kernels."""

Chain = tuple[Floats, Floats, Floats, Floats, Bools]
"""Price, forward, strike, time, is_call."""


def measure(load: Load) -> Iterator[Line]:
    """A chain out of the money to three deviations, an hour to three years, 5 % to 300 %."""
    chain = make_chain(OPTIONS // load.shrink)
    cores = os.cpu_count() or 1
    # Not in turn: the product's threads spin for a while after it, and would slow ours.
    (ours,) = time_laps(load.repeats, lap(lambda: implied_vol(*chain)))
    (limit,) = time_laps(load.repeats, _product_lap(OPERATIONS * chain[0].size))
    per_option = 1e9 * ours.median * cores / chain[0].size
    for name, peer, peer_vols in (
        ("lets_be_rational", "py_lets_be_rational in a loop", _rational_vols),
        ("quantlib", "QuantLib blackFormulaImpliedStdDev in a loop", _quantlib_vols),
    ):
        (theirs,) = time_laps(min(load.repeats, 3), lap(partial(peer_vols, *chain)))
        accuracy = relative_difference([(implied_vol(*chain).vol, peer_vols(*chain))])
        yield Race(ours, theirs, limit).line(
            f"pricing_implied.{name}", per_option, "ns per option and core", peer, accuracy
        )


def make_chain(count: int) -> Chain:
    """Options and prices that carry all digits of their vol."""
    random = stream(0, "benchmarks", "implied_vol")
    time = np.exp(random.uniform(np.log(1 / 8760), np.log(3.0), count))
    vol = random.uniform(0.05, 3.0, count)
    deviations = random.uniform(-3.0, 3.0, count)
    strike = FORWARD * np.exp(np.clip(deviations * vol * np.sqrt(time), -2.3, 2.3))
    forward, is_call = np.full(count, FORWARD), strike >= FORWARD
    price = black76(forward, strike, time, vol, is_call).value
    return price, forward, strike, time, is_call


def _product_lap(operations: int) -> Lap:
    """That many fused multiply-adds, in the densest form there is."""
    size = round(operations ** (1 / 3))
    left, right = stream(0, "benchmarks", "product").random((2, size, size))
    return lap(lambda: left @ right)


def _rational_vols(
    price: Floats, forward: Floats, strike: Floats, time: Floats, is_call: Bools
) -> Floats:
    imply = py_lets_be_rational.implied_volatility_from_a_transformed_rational_guess
    sign = np.where(is_call, 1, -1)
    rows = zip(*(each.tolist() for each in (price, forward, strike, time, sign)), strict=True)
    return np.array([imply(*row) for row in rows])


def _quantlib_vols(
    price: Floats, forward: Floats, strike: Floats, time: Floats, is_call: Bools
) -> Floats:
    imply = QuantLib.blackFormulaImpliedStdDev
    sign = np.where(is_call, QuantLib.Option.Call, QuantLib.Option.Put)
    rows = zip(*(each.tolist() for each in (sign, strike, forward, price)), strict=True)
    # Discount, displacement, guess, accuracy.
    tail = (1.0, 0.0, 0.5, 1e-13)
    return np.array([imply(*row, *tail) for row in rows]) / np.sqrt(time)
