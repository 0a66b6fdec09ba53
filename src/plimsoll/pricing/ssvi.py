"""SSVI and eSSVI: slices of three parameters with known conditions for the absence of arbitrage.

A slice has theta (at-the-money total variance), rho (correlation) and psi = theta phi (wing
scale): w(k) = (theta + rho psi k + sqrt((psi k + rho theta)² + theta² (1 - rho²))) / 2.
SSVI shares one rho and one function phi(theta); eSSVI frees both. The conditions here are
sufficient, not necessary: a slice that misses them may still be free of arbitrage, so the
answer is GUARANTEED or NOT_GUARANTEED, and only the density tells which.
Sources: Gatheral & Jacquier (2014); Hendriks & Martini (2019); Mingone (2022).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from plimsoll.core import Floats, Int8s

# Correlations at the edge make slices that are flat on one side; none of use is left out.
RHO_MAX = 0.98
GRID_POINTS = 25
ZOOMS = 7
# Least growth of theta and of the wings between slices: what is fitted between them needs it.
ROOM = 0.05


class Guarantee(IntEnum):
    """Whether a sufficient condition holds; NOT_GUARANTEED does not mean arbitrage."""

    NOT_GUARANTEED = 0
    GUARANTEED = 1


class EssviSlice(NamedTuple):
    """One eSSVI slice: at-the-money total variance, correlation, theta × phi."""

    theta: float
    rho: float
    psi: float


def power_law_phi(theta: Floats, eta: float, gamma: float) -> Floats:
    """phi = eta theta^-gamma (1 + theta)^(gamma - 1), shaped as ``theta``.

    Free of arbitrage at every theta where eta (1 + |rho|) <= 2 and 0 < gamma <= 1/2.
    """
    return np.asarray(eta * theta**-gamma * (1.0 + theta) ** (gamma - 1.0))


def raw_from_essvi(theta: Floats, rho: Floats, psi: Floats) -> Floats:
    """The same slices as raw SVI (a, b, rho, m, sigma), shape [..., 5]. Needs psi > 0."""
    flat = np.sqrt(1.0 - rho * rho)
    a = 0.5 * theta * flat * flat
    m, sigma = -rho * theta / psi, flat * theta / psi
    return np.stack(np.broadcast_arrays(a, 0.5 * psi, rho, m, sigma), axis=-1)


def essvi_total_variance(theta: Floats, rho: Floats, psi: Floats, k: Floats) -> Floats:
    """Total variance of eSSVI slices; all arguments broadcast. SSVI: psi = theta phi(theta)."""
    x = psi * k + rho * theta
    return np.asarray(
        0.5 * (theta + rho * psi * k + np.sqrt(x * x + theta * theta * (1.0 - rho * rho)))
    )


def butterfly_guarantee(theta: Floats, rho: Floats, psi: Floats) -> Int8s:
    """``Guarantee`` per slice: psi (1 + |rho|) < 4 and psi² (1 + |rho|) <= 4 theta."""
    tilt = 1.0 + np.abs(rho)
    holds = (np.abs(rho) < 1) & (psi > 0) & (psi * tilt < 4.0) & (psi * psi * tilt <= 4.0 * theta)
    return np.asarray(holds, dtype=np.int8)


def calendar_guarantee(near: EssviSlice, far: EssviSlice) -> Guarantee:
    """Whether total variance cannot fall at any k from slice ``near`` to the later ``far``.

    Holds where psi grows at least as the correlations demand, theta grows at least as much
    and phi = psi / theta does not grow (Hendriks & Martini, proposition 3.5).
    """
    growth = _least_growth(near.rho, np.asarray(far.rho))
    grows = far.theta >= near.theta and far.psi >= near.psi * growth
    relaxes = far.psi * near.theta <= near.psi * far.theta
    return Guarantee(int(grows and relaxes))


def ssvi_calendar_guarantee(theta: Floats, psi: Floats, rho: float) -> Guarantee:
    """Whether SSVI slices at increasing times never cross, from their theta and psi = theta phi.

    The differential condition 0 <= d(theta phi)/d theta <= phi (1 + sqrt(1 - rho²)) / rho²
    with theta not falling, taken over each step (Gatheral & Jacquier, theorem 4.1).
    """
    d_theta, d_psi = np.diff(theta), np.diff(psi)
    phi = np.minimum(psi[1:] / theta[1:], psi[:-1] / theta[:-1])
    bound = (1.0 + np.sqrt(1.0 - rho * rho)) / (rho * rho) if rho != 0 else np.inf
    holds = np.all(d_theta >= 0) and np.all(d_psi >= 0) and np.all(d_psi <= bound * phi * d_theta)
    return Guarantee(int(holds))


def fit_essvi_slice(k: Floats, w: Floats, weight: Floats, near: EssviSlice | None) -> EssviSlice:
    """The best guaranteed slice after ``near``: least weighted squares in total variance.

    ``k``, ``w`` (total variance) and ``weight`` have shape [quotes], at least one. For each
    (rho, phi) the best theta is a clipped linear least squares, so a zooming grid over the two
    finds the optimum without derivatives or starting values. Every slice it can return has
    ``butterfly_guarantee`` and, against ``near``, ``calendar_guarantee``; there always is one,
    as repeating ``near`` satisfies both.
    """
    # A hair inside, so that rounding cannot make phi grow.
    phi_max = (1.0 - 1e-12) * near.psi / near.theta if near else 6.0 / np.sqrt(np.median(w))
    rho_low, rho_high = -RHO_MAX, RHO_MAX
    phi_low, phi_high = np.log(phi_max * 1e-4), np.log(phi_max)
    best = near or EssviSlice(float(np.median(w)), 0.0, 0.0)
    best_cost = np.inf
    for _ in range(ZOOMS):
        rho = np.linspace(rho_low, rho_high, GRID_POINTS)
        if near and rho_low <= near.rho <= rho_high:
            # Near's own correlation is the one that is always feasible.
            rho = np.append(rho, near.rho)
        phi = np.minimum(np.exp(np.linspace(phi_low, phi_high, GRID_POINTS)), phi_max)
        rhos, phis = (grid.ravel() for grid in np.meshgrid(rho, phi, indexing="ij"))
        theta, cost = _best_theta(k, w, weight, rhos, phis, near)
        at = int(np.argmin(cost))
        if cost[at] < best_cost:
            best_cost = cost[at]
            best = EssviSlice(float(theta[at]), float(rhos[at]), float(theta[at] * phis[at]))
        center, log_phi = best.rho, np.log(best.psi / best.theta)
        half_rho = 2.5 * (rho_high - rho_low) / GRID_POINTS
        half_phi = 2.5 * (phi_high - phi_low) / GRID_POINTS
        rho_low, rho_high = max(center - half_rho, -RHO_MAX), min(center + half_rho, RHO_MAX)
        phi_low, phi_high = log_phi - half_phi, min(log_phi + half_phi, np.log(phi_max))
    return best


def _best_theta(
    k: Floats, w: Floats, weight: Floats, rho: Floats, phi: Floats, near: EssviSlice | None
) -> tuple[Floats, Floats]:
    """Best theta and its cost per (rho, phi) node; the cost is infinite where none is allowed."""
    shape = essvi_total_variance(np.ones(1), rho[:, None], phi[:, None], k)
    normal = (shape * shape) @ weight
    theta = (shape @ (weight * w)) / normal
    tilt = 1.0 + np.abs(rho)
    # A hair inside the bounds, so that rounding cannot push a slice over them.
    upper = (1.0 - 1e-12) * 4.0 / (tilt * phi * np.maximum(phi, 1.0))
    lower = np.zeros_like(rho)
    if near:
        growth = _least_growth(near.rho, rho)
        lower = (1.0 + ROOM) * growth * np.maximum(near.theta, near.psi / phi)
    theta = np.clip(theta, lower, np.maximum(lower, upper))
    cost = theta * theta * normal - 2.0 * theta * (shape @ (weight * w))
    return theta, np.where((lower <= upper) & (theta > 0), cost, np.inf)


def _least_growth(near_rho: float, rho: Floats) -> Floats:
    """Least factor of psi between slices whose wings must both not fall."""
    return np.maximum((1.0 + near_rho) / (1.0 + rho), (1.0 - near_rho) / (1.0 - rho))
