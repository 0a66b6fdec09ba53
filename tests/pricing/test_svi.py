"""SVI, SSVI and eSSVI: published values, derivatives, conditions, and what they do not say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError
from plimsoll.market.surface import svi_total_variance
from plimsoll.pricing.ssvi import (
    EssviSlice,
    Guarantee,
    butterfly_guarantee,
    calendar_guarantee,
    essvi_total_variance,
    fit_essvi_slice,
    power_law_phi,
    raw_from_essvi,
    ssvi_calendar_guarantee,
)
from plimsoll.pricing.svi import (
    JumpWings,
    calendar_gap,
    density_factor,
    jump_wings,
    nearest_symmetric_wings,
    raw_from_jump_wings,
    slice_shape,
    wing_slopes,
)
from tests.pricing.chains import black_call

# Axel Vogt's smile at one year, as (a, b, rho, m, sigma): Gatheral & Jacquier, example 3.1.
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])


def g(raw, k):
    return density_factor(k, slice_shape(raw, k))


def test_vogt_spot_values():
    k = np.array([-1.5, 0.4, -0.2, 0.7])
    w = svi_total_variance(VOGT, k)
    assert w[:2] == pytest.approx([0.1367819611, 0.01623656962], abs=1e-10)
    assert np.sqrt(w[2:]) == pytest.approx([0.1699864855, 0.210857945], abs=1e-9)
    expected = [0.2478306953, 1.038649731, -0.03268513071]
    assert g(VOGT, np.array([-1.5, 0.0, 0.9])) == pytest.approx(expected, abs=1e-9)


def test_vogt_has_negative_density_where_its_wings_are_fine():
    k = np.arange(-3.0, 3.0, 1e-5)
    density = g(VOGT, k)
    at = np.argmin(density)
    assert density[at] == pytest.approx(-0.0328636, abs=1e-7)
    assert k[at] == pytest.approx(0.87926, abs=2e-5)
    negative = k[density < 0]
    assert negative[[0, -1]] == pytest.approx([0.64241, 1.25691], abs=2e-5)
    assert wing_slopes(VOGT).max() == pytest.approx(0.1331 * 1.306)
    assert wing_slopes(VOGT).max() < 2


def test_vogt_jump_wings_there_and_back():
    expected = JumpWings(0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249)
    assert jump_wings(VOGT, 1.0) == pytest.approx(expected, abs=1e-6)
    assert raw_from_jump_wings(jump_wings(VOGT, 1.0), 1.0) == pytest.approx(VOGT, abs=1e-14)


def test_vogt_fixes_are_free_of_arbitrage():
    k = np.arange(-3.0, 3.0, 1e-4)
    wings = jump_wings(VOGT, 1.0)
    fixed = nearest_symmetric_wings(wings)
    assert (fixed.c, fixed.v_min) == pytest.approx((0.3493158, 0.01548182), abs=5e-7)
    raw = raw_from_jump_wings(fixed, 1.0)
    assert g(raw, k).min() > 0
    # It is an SSVI slice, so its guarantee can be read off: theta = w(0), psi = 2 b.
    theta, rho, psi = svi_total_variance(raw, np.zeros(1)), raw[2:3], 2 * raw[1:2]
    assert raw_from_essvi(theta, rho, psi)[0] == pytest.approx(raw, abs=1e-12)
    assert butterfly_guarantee(theta, rho, psi)[0] == Guarantee.GUARANTEED
    optimal = raw_from_jump_wings(wings._replace(c=0.8564763, v_min=0.0116249), 1.0)
    assert g(optimal, k).min() == pytest.approx(0.0081183, abs=1e-6)


@pytest.mark.parametrize("m", [0.0, 1e-12, -1e-9, 0.3])
def test_jump_wings_return_the_slice_with_its_middle_at_and_near_the_money(m):
    raw = np.array([0.02, 0.1, -0.3, m, 0.2])
    assert raw_from_jump_wings(jump_wings(raw, 0.5), 0.5) == pytest.approx(raw, abs=1e-14)


@given(
    st.floats(-0.02, 0.1), st.floats(0.01, 0.9), st.floats(-0.9, 0.9), st.floats(-0.5, 0.5),
    st.floats(0.05, 1.0), st.floats(0.003, 3.0),
)  # fmt: skip
def test_jump_wings_round_trip(a, b, rho, m, sigma, time):
    raw = np.array([a + 0.03, b, rho, m, sigma])
    tilt = m / np.hypot(m, sigma)
    if abs(tilt - rho) > 0.05:  # else the least variance lies at the money
        back = raw_from_jump_wings(jump_wings(raw, time), time)
        assert back == pytest.approx(raw, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(
    ("wings", "problem"),
    [
        (JumpWings(0.04, 0.0, 0.5, 0.5, 0.04), "not determined"),
        (JumpWings(0.04, 0.6, 0.5, 0.5, 0.02), "no slice"),
        (JumpWings(0.04, 0.1, 0.5, 0.5, 0.05), "no slice"),
        (JumpWings(-0.04, 0.1, 0.5, 0.5, -0.05), "no slice"),
        (JumpWings(float("nan"), 0.1, 0.5, 0.5, 0.01), "no slice"),
    ],
)
def test_jump_wings_without_a_slice_are_refused(wings, problem):
    with pytest.raises(InputError, match=problem):
        raw_from_jump_wings(wings, 1.0)


def test_slice_without_variance_has_no_jump_wings():
    with pytest.raises(InputError, match="no jump wings"):
        jump_wings(np.array([-1.0, 0.1, 0.0, 0.0, 0.2]), 1.0)


def test_derivatives_against_finite_differences():
    k, step = np.linspace(-1.5, 1.5, 31), 1e-4
    shape = slice_shape(VOGT, k)
    up, here, down = (svi_total_variance(VOGT, k + d) for d in (step, 0.0, -step))
    assert shape.slope == pytest.approx((up - down) / (2 * step), abs=1e-8)
    assert shape.curvature == pytest.approx((up - 2 * here + down) / step**2, abs=1e-6)


def test_density_factor_is_the_density():
    """g n(d2) / sqrt(w) is the second strike derivative of the call price, times the strike."""
    k, step = np.linspace(-0.8, 1.2, 41), 1e-3

    def call(x):
        return black_call(np.log(x), np.sqrt(svi_total_variance(VOGT, np.log(x))))

    x = np.exp(k)
    second = (call(x + step) - 2 * call(x) + call(x - step)) / step**2
    w = svi_total_variance(VOGT, k)
    d2 = -k / np.sqrt(w) - np.sqrt(w) / 2
    density = np.exp(-0.5 * d2 * d2) / np.sqrt(2 * np.pi * w) * g(VOGT, k)
    assert second * x == pytest.approx(density, abs=2e-4)
    assert (second < 0).any()


def test_density_factor_of_no_variance_is_nan():
    assert np.isnan(g(np.array([-1.0, 0.1, 0.0, 0.0, 0.2]), np.zeros(1))).all()


def test_ssvi_power_law_points():
    theta, rho, k = np.array([0.04]), np.array([-0.7]), np.array([-0.5, -0.1, 0, 0.1, 0.5])
    psi = theta * power_law_phi(theta, eta=1.0, gamma=0.5)
    expected = [0.1189474, 0.05462584, 0.04, 0.02802188, 0.02350868]
    assert essvi_total_variance(theta, rho, psi, k) == pytest.approx(expected, abs=1e-7)
    assert svi_total_variance(raw_from_essvi(theta, rho, psi), k) == pytest.approx(
        expected, abs=1e-7
    )
    # psi (1 + |rho|) = 0.33340 and psi² (1 + |rho|) / theta = 1.63462: both within their bounds.
    assert psi[0] * 1.7 == pytest.approx(0.33340, abs=1e-5)
    assert psi[0] ** 2 * 1.7 / 0.04 == pytest.approx(1.63462, abs=1e-5)
    assert butterfly_guarantee(theta, rho, psi)[0] == Guarantee.GUARANTEED


def test_missing_a_sufficient_condition_is_not_arbitrage():
    theta, rho, psi = np.array([0.04]), np.array([-0.7]), np.array([0.04 * 12.5])
    assert butterfly_guarantee(theta, rho, psi)[0] == Guarantee.NOT_GUARANTEED
    assert g(raw_from_essvi(theta, rho, psi), np.linspace(-3, 3, 6001)).min() > 0


@given(st.floats(1e-6, 2.0), st.floats(-0.95, 0.95), st.floats(0.01, 1.0))
def test_guaranteed_slices_have_density(theta, rho, share):
    tilt = 1 + abs(rho)
    psi = share * 0.999 * min(4 / tilt, 2 * np.sqrt(theta / tilt))
    slices = [np.array([x]) for x in (theta, rho, psi)]
    assert butterfly_guarantee(*slices)[0] == Guarantee.GUARANTEED
    k = np.sqrt(theta) * np.linspace(-8, 8, 801)
    assert g(raw_from_essvi(*slices), k).min() >= 0


@given(
    st.floats(1e-3, 0.5), st.floats(-0.9, 0.9), st.floats(0.05, 0.9),
    st.floats(-0.9, 0.9), st.floats(1.0, 3.0), st.floats(0.7, 1.1),
)  # fmt: skip
def test_calendar_guarantee_holds(theta, rho, share, far_rho, growth, relax):
    near = EssviSlice(theta, rho, share * np.sqrt(theta))
    far = EssviSlice(theta * growth, far_rho, near.psi * growth * relax)
    if calendar_guarantee(near, far) == Guarantee.GUARANTEED:
        k = np.sqrt(theta) * np.linspace(-30, 30, 1201)
        raws = [raw_from_essvi(*(np.array([x]) for x in s))[0] for s in (near, far)]
        assert calendar_gap(*raws, k).min() >= -1e-12


def test_calendar_guarantee_is_withheld_from_crossing_slices():
    near = EssviSlice(0.04, -0.5, 0.2)
    assert calendar_guarantee(near, EssviSlice(0.05, -0.5, 0.22)) == Guarantee.GUARANTEED
    assert calendar_guarantee(near, EssviSlice(0.03, -0.5, 0.22)) == Guarantee.NOT_GUARANTEED
    assert calendar_guarantee(near, EssviSlice(0.05, 0.5, 0.22)) == Guarantee.NOT_GUARANTEED


def test_ssvi_calendar_guarantee():
    theta = np.linspace(0.01, 0.3, 30)
    psi = theta * power_law_phi(theta, 1.0, 0.5)
    assert ssvi_calendar_guarantee(theta, psi, -0.6) == Guarantee.GUARANTEED
    assert ssvi_calendar_guarantee(theta[::-1], psi[::-1], -0.6) == Guarantee.NOT_GUARANTEED
    falling = theta * power_law_phi(theta, 1.0, 0.5) * np.exp(-20 * theta)
    assert ssvi_calendar_guarantee(theta, falling, -0.6) == Guarantee.NOT_GUARANTEED


def test_essvi_fit_finds_the_slice_it_is_given():
    truth = EssviSlice(0.02, -0.35, 0.15)
    k = np.linspace(-0.4, 0.4, 25)
    w = essvi_total_variance(*(np.array(x) for x in truth), k)
    found = fit_essvi_slice(k, w, 1 / w**2, None)
    assert found == pytest.approx(truth, rel=2e-3)


@given(st.integers(0, 10_000))
def test_essvi_fit_is_guaranteed_whatever_the_quotes(seed):
    stream = np.random.default_rng(seed)
    near = None
    for _ in range(3):
        k, w = stream.normal(0, 0.3, 6), np.exp(stream.normal(-4, 1.5, 6))
        found = fit_essvi_slice(k, w, 1 / w**2, near)
        assert butterfly_guarantee(*(np.array([x]) for x in found))[0] == Guarantee.GUARANTEED
        if near is not None:
            assert calendar_guarantee(near, found) == Guarantee.GUARANTEED
        near = found
