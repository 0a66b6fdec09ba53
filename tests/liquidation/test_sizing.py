"""The one search for amounts, against fractions and brute force."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.liquidation.sizing import Piece, Rounding, above_zero, least_amount, smaller, to_step
from plimsoll.margin.arithmetic import EXACT, FLOAT

MISSING = st.integers(-20, 60)
LENGTHS = st.fractions(0, 8, max_denominator=4)
GAINS = st.fractions(-4, 6, max_denominator=3)
PIECES = st.lists(st.tuples(LENGTHS, GAINS), min_size=1, max_size=4)
STEPS = st.sampled_from([1, 2, 3, Fraction(1, 2)])
Rows = list[tuple[Fraction, Fraction]]


def gained(rows: Rows, amount: Fraction) -> Fraction:
    """What an amount gains, piece by piece."""
    total = Fraction(0)
    for length, gain in rows:
        part = min(max(amount, Fraction(0)), length)
        total, amount = total + part * gain, amount - part
    return total


def whole(rows: Rows) -> Fraction:
    return sum((length for length, _ in rows), Fraction(0))


def pieces(rows: Rows) -> list[Piece]:
    return [Piece(*row) for row in rows]


def crossing(rows: Rows, missing: int) -> Fraction | None:
    """The first amount at which the gain is what is missing; None for none."""
    if missing <= 0:
        return Fraction(0)
    start, total = Fraction(0), Fraction(0)
    for length, gain in rows:
        if gain > 0 and total + gain * length >= missing:
            return start + (missing - total) / gain
        start, total = start + length, total + gain * length
    return None


@given(MISSING, PIECES)
def test_without_steps_it_is_the_first_crossing(missing: int, rows: Rows) -> None:
    found = least_amount(EXACT, missing, pieces(rows))
    expected = crossing(rows, missing)
    assert found.is_reached == (expected is not None)
    assert found.amount == (whole(rows) if expected is None else expected)


@given(MISSING, PIECES, STEPS)
def test_steps_up_are_the_least_that_reach_the_target(missing: int, rows: Rows, step) -> None:
    found = least_amount(EXACT, missing, pieces(rows), step)
    counts = range(math.floor(whole(rows) / step) + 1)
    reaching = [n * step for n in counts if gained(rows, n * Fraction(step)) >= missing]
    if missing <= 0:
        assert found.amount == 0
        assert found.is_reached
    elif reaching:
        # One step less, and each before, leaves health below the target.
        assert found.amount == reaching[0]
        assert found.is_reached
    else:
        assert found.amount == whole(rows)
        assert not found.is_reached


@given(MISSING, PIECES, STEPS)
def test_steps_down_are_the_last_before_the_crossing(missing: int, rows: Rows, step) -> None:
    found = least_amount(EXACT, missing, pieces(rows), step, Rounding.DOWN).amount
    limit = crossing(rows, missing)
    limit = whole(rows) if limit is None else limit
    assert found <= limit < found + step
    assert found % step == 0


@given(MISSING, PIECES)
def test_floats_are_the_fractions(missing: int, rows: Rows) -> None:
    exact = least_amount(EXACT, missing, pieces(rows))
    floats = [Piece(float(length), float(gain)) for length, gain in rows]
    found = least_amount(FLOAT, float(missing), floats)
    # Where the last piece ends on the target, rounding decides whether it was reached.
    if crossing(rows, missing) != whole(rows):
        assert found.amount == pytest.approx(float(exact.amount), rel=1e-9, abs=1e-9)


@given(st.lists(MISSING, min_size=1, max_size=5), PIECES, st.sampled_from([None, 1, 2]))
def test_columns_are_accounts_by_themselves(missing: list[int], rows: Rows, step) -> None:
    alone = [least_amount(EXACT, one, pieces(rows), step) for one in missing]
    column = np.array(missing, dtype=object)
    wide = [Piece(np.array([x] * len(missing), dtype=object), gain) for x, gain in rows]
    found = least_amount(EXACT, column, wide, step)
    assert found.amount.tolist() == [one.amount for one in alone]
    assert found.is_reached.tolist() == [one.is_reached for one in alone]


def test_a_column_of_floats() -> None:
    found = least_amount(
        FLOAT,
        np.array([-1.0, 3.0, 9.0, 30.0, np.nan]),
        [Piece(np.full(5, 4.0), np.full(5, 2.0)), Piece(np.full(5, 6.0), np.full(5, 0.5))],
    )
    np.testing.assert_array_equal(found.amount, [0.0, 1.5, 6.0, 10.0, np.nan])
    assert found.is_reached.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("share", "step", "expected"),
    [
        # 3 × 0.2 is 0.6000000000000001, and 60 % are still three steps.
        (0.6, 0.2, 3 * 0.2),
        (0.6 + 1e-7, 0.2, 0.8),
        (0.0, 0.2, 0.0),
        (1.0, 0.2, 1.0),
        (0.3, 0.1, 0.1 * 3),
    ],
)
def test_steps_of_floats_take_no_noise_for_a_step(
    share: float, step: float, expected: float
) -> None:
    found = least_amount(FLOAT, share, [Piece(1.0, 1.0)], step)
    assert found.amount == expected
    assert found.is_reached


@pytest.mark.parametrize(
    ("missing", "piece"),
    [(math.nan, (1.0, 1.0)), (1.0, (math.nan, 1.0)), (1.0, (2.0, math.nan))],
)
@pytest.mark.parametrize("step", [None, 0.5])
def test_what_is_unknown_stays_so(missing: float, piece: tuple[float, float], step) -> None:
    found = least_amount(FLOAT, missing, [Piece(*piece)], step)
    assert math.isnan(found.amount)
    assert not found.is_reached


def test_health_that_falls_again_behind_the_crossing() -> None:
    # 2.5 are missing and there at 2.5, but not at 3; at 7 a half is missing, at 8 nothing.
    rows = [(Fraction(5, 2), Fraction(1)), (Fraction(1), Fraction(-4)), (Fraction(9), Fraction(1))]
    assert least_amount(EXACT, Fraction(5, 2), pieces(rows)).amount == Fraction(5, 2)
    assert least_amount(EXACT, Fraction(5, 2), pieces(rows), 1).amount == 8
    assert gained(rows, Fraction(7)) < Fraction(5, 2) <= gained(rows, Fraction(8))


def test_the_smaller_of_two_knows_nothing_of_what_is_unknown() -> None:
    assert (smaller(2, 1), smaller(1, 2), above_zero(-3), above_zero(3)) == (1, 1, 0, 3)
    assert math.isnan(smaller(math.nan, 1.0))
    assert math.isnan(smaller(1.0, math.nan))
    assert math.isnan(above_zero(math.nan))


def test_steps_of_negative_amounts() -> None:
    assert to_step(EXACT, -7, 5, Rounding.UP) == -5
    assert to_step(EXACT, -7, 5, Rounding.DOWN) == -10
    assert math.copysign(1.0, to_step(FLOAT, 0.0, 5.0, Rounding.UP)) == 1.0
