"""How much to liquidate: the least amount at which a piecewise linear health reaches its target.

Venues differ in what an amount is (contracts, tokens, a share of an account) and in what a unit of
it gains. Where a balance crosses zero or a profit begins to count for less, the gain per unit
changes; such amounts are the break points between pieces. All the rest is one search, here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np

from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose

NOISE = 1e-9
"""Part of a step that is rounding noise where steps are counted in floats."""


class Rounding(IntEnum):
    """Where an amount goes that is no whole number of steps."""

    DOWN = 0
    UP = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """From where the piece before ends, ``length`` units (>= 0) that gain ``gain`` each.

    A gain below zero is health lost. Lengths are finite: a position, a balance or a limit ends
    every liquidation. Both are numbers of one arithmetic, or arrays of one shape, by account.
    """

    length: Numbers
    gain: Numbers


@dataclass(frozen=True, slots=True)
class Sized:
    """``amount`` >= 0, and whether health is at its target there; shapes of what was missing.

    Where no amount does, ``amount`` is all there is. It is NaN where it depends on one.
    """

    amount: Numbers
    is_reached: Any


def least_amount(
    arithmetic: Arithmetic,
    missing: Numbers,
    pieces: Sequence[Piece],
    step: Numbers | None = None,
    rounding: Rounding = Rounding.UP,
) -> Sized:
    """The least amount at which the pieces have gained ``missing``; 0 where nothing is missing.

    ``missing`` is target - health. Without a ``step`` (> 0) the amount is the exact crossing: a
    Fraction in exact arithmetic. With one it is a multiple of it: UP the least at which health is
    at its target, also where health falls again behind the crossing; DOWN the last at or before the
    crossing, which protocols choose whose divisions truncate. Steps of floats are counted with a
    tolerance of ``NOISE`` steps.
    """
    start, left = 0 * missing, missing
    amount, is_open = start, missing > 0
    for piece in pieces:
        end = start + piece.length
        rises = (piece.gain > 0) & (left > 0)
        divisor = choose(rises, piece.gain, 1)
        crossing = start + choose(rises, quotient(arithmetic, left, divisor), 0 * left)
        found = crossing
        if step is not None and rounding == Rounding.UP:
            found = to_step(arithmetic, crossing, step, Rounding.UP)
        # Behind a crossing that lies in this piece health is at its target; behind one that lies
        # before it, between two steps, it may have fallen again.
        is_there = rises | (left - piece.gain * (found - start) <= 0)
        slack = 0 if step is None or arithmetic.is_exact else NOISE * step
        here = is_open & is_there & (found <= end + slack)
        amount = choose(here, found, amount)
        is_open = is_open & np.logical_not(here)
        start, left = end, left - piece.gain * piece.length
    # Zero times what is left is zero, or NaN where it is unknown.
    amount = choose(is_open, start + 0 * left, amount)
    is_reached = np.logical_not(is_open) & ((missing > 0) | (missing <= 0))
    if step is not None and rounding == Rounding.DOWN:
        amount = to_step(arithmetic, amount, step, Rounding.DOWN)
    return Sized(amount, is_reached)


def quotient(arithmetic: Arithmetic, numerator: Numbers, denominator: Numbers) -> Numbers:
    """Quotient without rounding: a Fraction in exact arithmetic, a float otherwise."""
    return numerator * Fraction(1) / denominator if arithmetic.is_exact else numerator / denominator


def smaller(left: Numbers, right: Numbers) -> Numbers:
    """The smaller of two, elementwise; NaN where either is, which a comparison would lose."""
    return choose(left < right, left, right + 0 * left)


def above_zero(amount: Numbers) -> Numbers:
    """The amount, or nothing where it is below zero, elementwise; NaN stays NaN."""
    return choose(amount > 0, amount, 0 * amount)


def to_step(arithmetic: Arithmetic, amount: Numbers, step: Numbers, rounding: Rounding) -> Numbers:
    """The multiple of ``step`` at or beside an amount; in floats within ``NOISE`` steps."""
    if arithmetic.is_exact:
        return (arithmetic.ceil(amount, step) if rounding else amount // step) * step
    counted = amount / step
    whole = np.ceil(counted - NOISE) if rounding else np.floor(counted + NOISE)
    # Adding nothing makes a negative zero a plain one.
    return (whole + 0.0) * step
