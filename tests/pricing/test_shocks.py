"""Vol shocks by tenor: the venues' own numbers, both sides of 30 days, floors."""

import numpy as np
import pytest

from plimsoll.pricing.forwards import carry_forward
from plimsoll.pricing.shocks import (
    BYBIT,
    DERIBIT,
    DERIVE,
    PARADEX,
    shock_vol,
    tenor_multiplier,
)


@pytest.mark.parametrize("law", [DERIBIT, PARADEX, DERIVE])
def test_multiplier_by_days_to_expiry(law):
    days = np.array([1, 7, 15, 30, 60, 180, 365])
    expected = [2.774191, 1.547416, 1.231144, 1.0, 0.913831, 0.79221, 0.722649]
    assert tenor_multiplier(law, days) == pytest.approx(expected, abs=1e-6)


def test_deribit_worked_example_at_15_days():
    assert 0.38 * tenor_multiplier(DERIBIT, np.array(15.0)) == pytest.approx(0.46783488, abs=1e-8)


def test_one_power_and_days_rounded_up():
    # 24 % up at 185.23 days, as in the venue's own sample, on 186 whole days.
    shocked = shock_vol(BYBIT, 0.2774, 185.23, 0.24, vol_min_up=0.0, absolute=False)
    assert shocked == pytest.approx(0.2774 * (1 + 0.24 * (30 / 186) ** 0.3), rel=1e-15)


def test_which_power_holds_at_exactly_30_days():
    """Both powers give 1 there, so only a law with another split could tell by its value."""
    assert [law.split_is_short for law in (DERIBIT, PARADEX, DERIVE)] == [False, False, True]
    day = np.array([30.0])
    assert tenor_multiplier(DERIBIT, day) == tenor_multiplier(DERIVE, day) == 1.0


def test_less_than_a_day_counts_as_one():
    days = np.array([-1.0, 0.0, 0.2, 1.0])
    assert tenor_multiplier(DERIBIT, days) == pytest.approx(30**0.3)
    assert np.isnan(tenor_multiplier(DERIBIT, np.array(np.nan)))


def test_shocks_and_floors_written_out():
    def shocked(vol, days, move, absolute=False):
        return float(shock_vol(DERIBIT, np.array(vol), days, move, 0.5, absolute))

    assert shocked(0.6, 15, 0.5) == pytest.approx(0.6 * (1 + 0.5 * 2**0.3))
    assert shocked(0.6, 60, -0.25) == pytest.approx(0.6 * (1 - 0.25 * 0.5**0.13))
    assert shocked(0.2, 30, 0.5) == 0.5  # the floor holds after a shock up
    assert shocked(0.2, 30, 0.0) == 0.2  # and for nothing else
    assert shocked(0.2, 30, -0.25) == pytest.approx(0.15)
    assert shocked(0.6, 1, -0.5) == 0.0  # 2.77 times a half is more than there is
    assert shocked(0.6, 30, 0.1, absolute=True) == pytest.approx(0.7)
    assert shocked(0.05, 30, -0.1, absolute=True) == 0.0
    assert np.isnan([shocked(np.nan, 30, m) for m in (0.5, 0.0, -0.5)]).all()


def test_relative_shock_of_a_published_example():
    """A vol of 60 with 45 % up gives 87."""
    assert shock_vol(DERIBIT, 0.60, 30, 0.45, 0.5, absolute=False) == pytest.approx(0.87)


def test_shape_is_the_broadcast():
    vol, move = np.full((4, 1), 0.6), np.array([0.5, 0.0, -0.25])
    assert shock_vol(DERIBIT, vol, np.full((4, 1), 10.0), move, 0.5, False).shape == (4, 3)


def test_forward_at_a_basis():
    # 10 long futures on an index of 2243.3 at 8 % a year for 20 days, price 15 % down.
    forward = carry_forward(2243.3, 0.08, 20 / 365)
    assert forward == pytest.approx(2253.2, abs=0.05)
    assert 10 * forward * -0.15 == pytest.approx(-3380, abs=0.5)
    assert pytest.approx(134.6, abs=0.05) == 10 * 0.006 * 2243.3
