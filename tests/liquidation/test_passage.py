"""Probabilities of reaching a price: closed forms, published figures, a simulated walk."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from plimsoll.core import InputError, stream
from plimsoll.liquidation.prices import exit_probability, hit_probability, median_days

YEAR = 365.0
# Reference figures: price, barrier, drift a year, vol a year, days, probability.
REFERENCE = (
    (100, 90, 0.0, 0.80, 1, 0.0125045),
    (100, 90, 0.0, 0.80, 7, 0.3597960),
    (60_000, 54_000, 0.0, 0.60, 1, 8.36945e-4),
    (100, 80, 0.0, 0.60, 30, 0.2170229),
    (100, 80, 0.05, 0.20, 365, 0.2223689),
)


@pytest.mark.parametrize(("price", "barrier", "drift", "vol", "days", "expected"), REFERENCE)
def test_the_reference_figures(
    price: float, barrier: float, drift: float, vol: float, days: float, expected: float
) -> None:
    found = hit_probability(barrier / price, vol / math.sqrt(YEAR), days, drift / YEAR)
    assert found == pytest.approx(expected, rel=2e-6)


def test_the_reference_file(shared_data) -> None:
    cases = json.loads(Path(shared_data("vectors/quant.json")).read_text(encoding="utf-8"))
    found = [case for case in cases if case["id"].startswith("first_passage_")]
    assert len(found) >= 4
    for case in found:
        told = case["inputs"]
        vol, drift = told["vol"] / math.sqrt(YEAR), told["mu"] / YEAR
        chance = hit_probability(told["B"] / told["S"], vol, told["T"] * YEAR, drift)
        assert chance == pytest.approx(case["expected"], rel=1e-11), case["id"]


def test_far_barriers_leave_one_side() -> None:
    for factor in (0.8, 1.3):
        low, high = (factor, 1e9) if factor < 1 else (1e-9, factor)
        both = exit_probability(low, high, 0.04, 20)
        assert both == pytest.approx(hit_probability(factor, 0.04, 20), rel=1e-12)
        low, high = (factor, math.inf) if factor < 1 else (0.0, factor)
        assert exit_probability(low, high, 0.04, 20) == hit_probability(factor, 0.04, 20)


def test_two_barriers_are_what_a_bridged_walk_gives() -> None:
    """Steps of a fifth of a day; between them, the chance that a bridge stays above and below."""
    random, vol, days, steps, paths = stream(4, "walk"), 0.05, 10.0, 50, 40_000
    low, high, dt = math.log(0.88), math.log(1.1), days / steps
    x, alive = np.zeros(paths), np.ones(paths)
    for _ in range(steps):
        y = x + random.normal(-0.5 * vol**2 * dt, vol * math.sqrt(dt), paths)
        for side in (low, high):
            gap = (x - side) * (y - side)
            alive *= np.where(gap > 0, -np.expm1(-2 * gap / (vol**2 * dt)), 0.0)
        x = y
    error = float(alive.std()) / math.sqrt(paths)
    assert 1 - exit_probability(0.88, 1.1, vol, days) == pytest.approx(
        float(alive.mean()), abs=4 * error
    )


def test_chances_grow_with_time_and_vol_and_shrink_with_distance() -> None:
    chances = [exit_probability(0.7, 1.4, 0.03, days) for days in (1, 10, 100, 1_000, 1e5)]
    assert chances == sorted(chances)
    assert chances[-1] == pytest.approx(1.0)
    assert exit_probability(0.7, 1.4, 0.06, 10) > exit_probability(0.7, 1.4, 0.03, 10)
    assert exit_probability(0.6, 1.6, 0.06, 10) < exit_probability(0.7, 1.4, 0.06, 10)


def test_the_median_is_where_the_chance_is_a_half() -> None:
    days = median_days(0.8, 1.5, 0.04)
    assert exit_probability(0.8, 1.5, 0.04, days) == pytest.approx(0.5, abs=1e-8)
    # A driftless price reaches three times itself with a chance of a third only.
    assert median_days(0.0, 3.0, 0.04) == math.inf
    assert hit_probability(3.0, 0.04, 1e7) == pytest.approx(1 / 3, rel=1e-9)
    assert median_days(0.0, math.inf, 0.04) == math.inf


def test_no_time_or_no_vol_goes_nowhere() -> None:
    assert hit_probability(0.9, 0.0, 10) == hit_probability(0.9, 0.1, 0) == 0.0
    assert hit_probability(1.0, 0.0, 0) == exit_probability(1.0, 2.0, 0.1, 1) == 1.0
    assert exit_probability(0.9, 1.1, 0.0, 10) == hit_probability(0.0, 0.1, 10) == 0.0


@pytest.mark.parametrize(("vol", "days"), [(-0.1, 1), (math.nan, 1), (0.1, -1), (0.1, math.inf)])
def test_what_is_no_amount_is_refused(vol: float, days: float) -> None:
    with pytest.raises(InputError, match="no amounts"):
        exit_probability(0.9, 1.1, vol, days)
