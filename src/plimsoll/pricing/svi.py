"""Raw SVI slices: derivatives, the density test, the jump-wings parameters, and the fit.

A slice is five numbers (a, b, rho, m, sigma) along the last axis of an array: total variance
w(k) = a + b (rho (k - m) + sqrt((k - m)² + sigma²)) over log-moneyness k = ln(strike/forward).
Source of the conditions: Gatheral & Jacquier, "Arbitrage-free SVI volatility surfaces" (2014).

The fit of a slice stays inside a corridor: not below the slice before it, not above the one
after. A slice known to lie there, such as a guaranteed eSSVI slice, comes with the corridor,
so there is something to fall back on, whatever the quotes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.market.surface import svi_total_variance

SLOPE_MAX = 2.0
RHO_MAX = 0.999
# In deviations: a sharper corner could hide a violation between two points of the check.
SIGMA_MIN = 0.05
# Five parameters want more.
QUOTES_MIN = 6
NODES = 17
ZOOMS = 3
ITERATIONS = 30
SETTLED = 1e-5
# Penalised and checked points reach a little further than any later scan.
REACH = 6.0
PENALTY_POINTS = 61
CHECK_POINTS = 1201
# Where a dip of the density may hide between points of a grid: how often, around how many of the
# lowest points, and how finely it is looked for.
ZOOMS_DENSITY = 2
DIPS = 6
DIP_POINTS = 33
DENSITY_MARGIN = 2e-3
CALENDAR_MARGIN = 1e-3
CALENDAR_CHECK = 3e-4
PENALTIES = (30.0, 1000.0)
PULLS = 20


class JumpWings(NamedTuple):
    """The jump-wings parameters of one slice.

    ``v`` at-the-money variance a year, ``psi`` at-the-money skew, ``p`` and ``c`` slopes of the
    put and the call wing, ``v_min`` the least variance a year.
    """

    v: float
    psi: float
    p: float
    c: float
    v_min: float


class SliceShape(NamedTuple):
    """Total variance and its first two derivatives in log-moneyness, each shaped as k."""

    w: Floats
    slope: Floats
    curvature: Floats


def slice_shape(raw: Floats, k: Floats) -> SliceShape:
    """w, w' and w'' of slices ``raw`` (last axis 5, the others broadcast with ``k``)."""
    b, rho, m, sigma = (raw[..., i] for i in range(1, 5))
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    return SliceShape(
        svi_total_variance(raw, k),
        np.asarray(b * (rho + x / root)),
        np.asarray(b * sigma * sigma / (root * root * root)),
    )


def density_factor(k: Floats, shape: SliceShape) -> Floats:
    """g(k): the risk-neutral density is g times a positive factor, so g < 0 is arbitrage.

    g = (1 - k w'/(2w))² - w'²/4 (1/w + 1/4) + w''/2 (Gatheral & Jacquier, eq. 2.1). A slice
    is free of butterfly arbitrage if g >= 0 everywhere, w > 0 and the wings are not steeper
    than 2; none of the three alone is enough. NaN where w is not positive.
    """
    w, slope, curvature = shape
    with np.errstate(divide="ignore", invalid="ignore"):
        lead = 1.0 - k * slope / (2.0 * w)
        g = lead * lead - slope * slope / 4.0 * (1.0 / w + 0.25) + curvature / 2.0
    return np.where(w > 0, g, np.nan)


def least_density(raw: Floats, k: Floats) -> tuple[Floats, Floats]:
    """The least g of each slice, raw [slices, 5], and its log-moneyness, [slices] each.

    ``k`` is [slices, points], rising. A grid alone can step over a narrow dip, so the lowest
    points' neighbourhoods are searched again on a finer one, ``ZOOMS_DENSITY`` times. NaN
    counts as least.
    """
    for _ in range(ZOOMS_DENSITY):
        g = _sinking(density_factor(k, slice_shape(raw[:, None, :], k)))
        lowest = np.argpartition(g, min(DIPS, g.shape[1] - 1) - 1, axis=1)[:, :DIPS]
        low = np.take_along_axis(k, np.maximum(lowest - 1, 0), axis=1)
        high = np.take_along_axis(k, np.minimum(lowest + 1, k.shape[1] - 1), axis=1)
        share = np.linspace(0.0, 1.0, DIP_POINTS)
        finer = low[..., None] + (high - low)[..., None] * share
        k = np.sort(finer.reshape(len(raw), -1), axis=1)
    g = density_factor(k, slice_shape(raw[:, None, :], k))
    at = np.argmin(_sinking(g), axis=1)[:, None]
    return np.take_along_axis(g, at, axis=1)[:, 0], np.take_along_axis(k, at, axis=1)[:, 0]


def _sinking(g: Floats) -> Floats:
    return np.where(np.isnan(g), -np.inf, g)


def wing_slopes(raw: Floats) -> Floats:
    """|dw/dk| towards k = -∞ and +∞, shape [..., 2]. Above 2 breaks Lee's moment formula."""
    b, rho = raw[..., 1], raw[..., 2]
    return np.stack([b * (1.0 - rho), b * (1.0 + rho)], axis=-1)


def calendar_gap(near: Floats, far: Floats, k: Floats) -> Floats:
    """Rise of total variance from slices ``near`` to ``far`` at ``k``, over the later one's."""
    later = svi_total_variance(far, k)
    return np.asarray((later - svi_total_variance(near, k)) / later)


def jump_wings(raw: Floats, time: float) -> JumpWings:
    """The jump-wings parameters of one slice ``raw``, shape [5], at ``time`` years."""
    a, b, rho, m, sigma = (float(x) for x in raw)
    root = float(np.hypot(m, sigma))
    w = a + b * (root - rho * m)
    if not (w > 0 and time > 0):
        raise InputError(
            "SVI slice",
            f"at-the-money variance {w:g} over {time:g} years has no jump wings",
            "give positive ones",
        )
    scale = float(np.sqrt(w))
    return JumpWings(
        v=w / time,
        psi=b / (2.0 * scale) * (rho - m / root if root > 0 else rho),
        p=b * (1.0 - rho) / scale,
        c=b * (1.0 + rho) / scale,
        v_min=(a + b * sigma * float(np.sqrt(1.0 - rho * rho))) / time,
    )


def raw_from_jump_wings(wings: JumpWings, time: float) -> Floats:
    """The slice, shape [5], with these jump wings at ``time`` years.

    Raises InputError where there is none: the skew must lie between the wings'
    (-p <= 2 psi <= c), and a smile with its bottom at the money and no tilt does not tell
    its width.
    """
    v, psi, p, c, v_min = wings
    w = v * time
    scale = np.sqrt(w) if w > 0 else np.nan
    b = scale * (c + p) / 2.0
    rho = 1.0 - p * scale / b if b > 0 else np.nan
    tilt = rho - 2.0 * psi * scale / b if b > 0 else np.nan
    if not (abs(rho) < 1 and abs(tilt) < 1 and v_min <= v):
        raise InputError(
            "jump wings",
            f"no slice has v {v:g}, psi {psi:g}, p {p:g}, c {c:g}, v_min {v_min:g}",
            "keep -p < 2 psi < c, positive wings and v_min <= v",
        )
    # tilt is m / sqrt(m² + sigma²): with m = sigma × ratio the two variances give sigma. The
    # usual form divides by the tilt instead and so needs a branch of its own at m = 0.
    ratio = tilt / np.sqrt(1.0 - tilt * tilt)
    flat = np.sqrt(1.0 - rho * rho)
    width = np.sqrt(1.0 + ratio * ratio) - rho * ratio - flat
    if width < 1e-14:
        raise InputError(
            "jump wings",
            "the least variance lies at the money, so the width of the smile is not determined",
            "give the raw parameters",
        )
    sigma = (v - v_min) * time / (b * width)
    a = v_min * time - b * sigma * flat
    return np.array([a, b, rho, sigma * ratio, sigma])


def nearest_symmetric_wings(wings: JumpWings) -> JumpWings:
    """Jump wings with the call wing and the least variance replaced by those of an SSVI slice.

    Keeps v, psi and p; c = p + 2 psi and v_min = 4 p c v / (p + c)². The slice is free of
    butterfly arbitrage where ``ssvi.butterfly_guarantee`` of it says so (Gatheral & Jacquier,
    section 5.1).
    """
    c = wings.p + 2.0 * wings.psi
    return wings._replace(c=c, v_min=wings.v * 4.0 * wings.p * c / (wings.p + c) ** 2)


@dataclass(frozen=True, slots=True)
class Smile:
    """Quotes of one expiry, shape [quotes]: log-moneyness, total variance, and the weight of

    a squared error of total variance (one that makes it vol points puts the penalties at
    their intended strength).
    """

    k: Floats
    w: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class Corridor:
    """Raw slices, shape [5]: not below ``near``, not above ``far``; ``guaranteed`` is between."""

    near: Floats
    far: Floats
    guaranteed: Floats


@dataclass(frozen=True, slots=True)
class _Frame:
    """A corridor with the scale in which all slices look alike, and what every trial needs:

    on the penalty grid ``floor`` and ``ceiling`` in total variance and ``unit``, the guaranteed
    slice's; for the wings their bounds, shape [2].
    """

    corridor: Corridor
    scale: Floats
    check_grid: Floats
    penalty_grid: Floats
    floor: Floats
    ceiling: Floats
    unit: Floats
    slope_min: Floats
    slope_max: Floats


def fit_svi_slice(smile: Smile, corridor: Corridor) -> tuple[Floats, bool]:
    """The best raw slice, shape [5], inside the corridor; and whether it is an SVI fit.

    Starts are the quasi-explicit solution (linear in a, b, rho given m, sigma; De Marco &
    Martini 2009) and the guaranteed slice. Each is refined by damped least squares under
    growing penalties on negative density and on leaving the corridor. A result that still
    violates on a finer grid is pulled towards the guaranteed slice until it does not. If
    nothing beats that slice, or there are too few quotes, it is the answer itself, with False.
    """
    if smile.k.size < QUOTES_MIN:
        return corridor.guaranteed, False
    frame = _frame(corridor)
    starts = (corridor.guaranteed, _quasi_explicit(smile, corridor.guaranteed, frame.scale[3]))
    best, best_cost = corridor.guaranteed, _cost(smile, corridor.guaranteed)
    for start in starts:
        found = _pull_back(_refine(smile, frame, start), frame)
        cost = _cost(smile, found)
        if cost < best_cost:
            best, best_cost = found, cost
    return best, best is not corridor.guaranteed


def _frame(corridor: Corridor) -> _Frame:
    money = np.zeros(1)
    theta = svi_total_variance(corridor.guaranteed, money)[0]
    deviation = np.sqrt(theta)
    # Pairs are scanned out to the later slice's deviations.
    reach = REACH * np.sqrt(max(theta, svi_total_variance(corridor.far, money)[0]))
    outer = np.linspace(-reach, reach, PENALTY_POINTS // 3)
    # Dense around the money, where a kink would hide between points.
    bend = np.sinh(np.linspace(-2.0, 2.0, PENALTY_POINTS)) / np.sinh(2.0)
    penalty_grid = np.concatenate([REACH * deviation * bend, outer])
    inner = np.linspace(-REACH * deviation, REACH * deviation, CHECK_POINTS)
    return _Frame(
        corridor=corridor,
        scale=np.array([theta, deviation, 1.0, deviation, deviation]),
        check_grid=np.sort(np.concatenate([inner, np.linspace(-reach, reach, CHECK_POINTS // 3)])),
        penalty_grid=penalty_grid,
        floor=svi_total_variance(corridor.near, penalty_grid),
        ceiling=svi_total_variance(corridor.far, penalty_grid),
        unit=svi_total_variance(corridor.guaranteed, penalty_grid),
        slope_min=wing_slopes(corridor.near),
        slope_max=np.minimum(wing_slopes(corridor.far), SLOPE_MAX),
    )


def _cost(smile: Smile, raw: Floats) -> float:
    return float(smile.weight @ (svi_total_variance(raw, smile.k) - smile.w) ** 2)


def _quasi_explicit(smile: Smile, start: Floats, deviation: float) -> Floats:
    """The best slice without constraints between slices: linear solves on a zooming (m, sigma).

    With x = k - m and z = sqrt(x² + sigma²), w = a + d x + c z is linear; |d| <= c is kept by
    solving on the two faces d = ±c as well. ``start`` is returned where no smile fits, as to
    quotes that bend the wrong way.
    """
    m_low, m_high = -3.0 * deviation, 3.0 * deviation
    log_low, log_high = np.log(SIGMA_MIN * deviation), np.log(5.0 * deviation)
    best, best_cost = start, np.inf
    for _ in range(ZOOMS):
        m, log_sigma = (
            grid.ravel()
            for grid in np.meshgrid(
                np.linspace(m_low, m_high, NODES), np.linspace(log_low, log_high, NODES)
            )
        )
        raw, cost = _inner(smile, m, np.exp(log_sigma))
        at = int(np.argmin(cost))
        if cost[at] < best_cost:
            best, best_cost = raw[at], cost[at]
        half_m, half_log = 1.5 * (m_high - m_low) / NODES, 1.5 * (log_high - log_low) / NODES
        m_low, m_high = best[3] - half_m, best[3] + half_m
        log_low, log_high = np.log(best[4]) - half_log, np.log(best[4]) + half_log
    return best


def _inner(smile: Smile, m: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Best raw slices [nodes, 5] and costs for each (m, sigma); infinite where none is a smile."""
    x = smile.k - m[:, None]
    z = np.sqrt(x * x + (sigma * sigma)[:, None])
    one = np.ones_like(x)
    faces = (
        np.stack([one, x, z], axis=-1),
        np.stack([one, z + RHO_MAX * x], axis=-1),
        np.stack([one, z - RHO_MAX * x], axis=-1),
    )
    root = np.sqrt(smile.weight)
    raws, costs = [], []
    for design, rho in zip(faces, (None, RHO_MAX, -RHO_MAX), strict=True):
        weighted = design * root[:, None]
        moments = np.swapaxes(weighted, 1, 2)
        normal = moments @ weighted
        # A hair on the diagonal: far from the quotes x and z are the same column.
        ridge = 1e-10 * np.trace(normal, axis1=1, axis2=2)
        normal = normal + ridge[:, None, None] * np.eye(normal.shape[-1])
        solution = np.linalg.solve(normal, (moments @ (root * smile.w))[..., None])[..., 0]
        a, c = solution[:, 0], solution[:, -1]
        d = solution[:, 1] if rho is None else rho * c
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = d / c
        raw = np.stack([a, c, ratio, m, sigma], axis=-1)
        error = svi_total_variance(raw[:, None, :], smile.k) - smile.w
        allowed = (c > 0) & (np.abs(ratio) <= RHO_MAX) & np.isfinite(ratio)
        allowed &= a + c * sigma * np.sqrt(np.maximum(1.0 - ratio * ratio, 0.0)) > 0
        raws.append(raw)
        costs.append(np.where(allowed, (error * error) @ smile.weight, np.inf))
    choice = np.argmin(costs, axis=0)
    rows = np.arange(m.size)
    return np.stack(raws)[choice, rows], np.stack(costs)[choice, rows]


def _refine(smile: Smile, frame: _Frame, start: Floats) -> Floats:
    """Levenberg-Marquardt from ``start``, all trial slices and steps of the gradient at once."""
    free = _to_free(start, frame.scale)
    steps = np.vstack([np.zeros(5), 1e-6 * np.eye(5)])
    for strength in PENALTIES:
        damping = 1e-2
        values = _residuals(smile, frame, free + steps, strength)
        for _ in range(ITERATIONS):
            base = values[0]
            jacobian = (values[1:] - base).T / 1e-6
            normal, gradient = jacobian.T @ jacobian, jacobian.T @ base
            if not np.all(np.isfinite(normal)):
                break
            ridge = damping * np.diag(np.diag(normal) + 1e-9)
            trial = free - np.clip(np.linalg.solve(normal + ridge, gradient), -1.0, 1.0)
            trial_values = _residuals(smile, frame, trial + steps, strength)
            old, new = base @ base, trial_values[0] @ trial_values[0]
            if new < old:
                free, values, damping = trial, trial_values, damping * 0.2
                if old - new < SETTLED * old:
                    break
            else:
                damping *= 8.0
                if damping > 1e6:
                    break
    return _from_free(free, frame.scale)


def _residuals(smile: Smile, frame: _Frame, free: Floats, strength: float) -> Floats:
    """Weighted errors, then penalties: on density, floor, ceiling and wings, [slices, all]."""
    raw = _from_free(free, frame.scale)
    slices, k = raw[:, None, :], frame.penalty_grid
    shape = slice_shape(slices, k)
    fit = np.sqrt(smile.weight) * (svi_total_variance(slices, smile.k) - smile.w)
    # Where w is not positive there is no density; how far below says which way is out.
    depth = np.minimum(shape.w / frame.scale[0], 0.0)
    density = np.nan_to_num(density_factor(k, shape), nan=0.0) + 10.0 * depth
    slopes = wing_slopes(raw)
    room = np.concatenate([slopes - frame.slope_min, frame.slope_max - slopes], axis=1)
    penalties = (
        density - DENSITY_MARGIN,
        (shape.w - frame.floor) / frame.unit - CALENDAR_MARGIN,
        (frame.ceiling - shape.w) / frame.unit - CALENDAR_MARGIN,
        room / frame.scale[1],
    )
    return np.concatenate([fit, *(strength * np.minimum(p, 0.0) for p in penalties)], axis=1)


def _to_free(raw: Floats, scale: Floats) -> Floats:
    """Unbounded coordinates of a slice: b and sigma by their logs, rho by its inverse tanh."""
    a, b, rho, m, sigma = raw / scale
    rho = np.clip(rho, -RHO_MAX, RHO_MAX)
    return np.array([a, np.log(b), np.arctanh(rho), m, np.log(sigma)])


def _from_free(free: Floats, scale: Floats) -> Floats:
    a, log_b, tilt, m, log_sigma = (free[..., i] for i in range(5))
    b = np.exp(np.clip(log_b, -20, 20))
    sigma = np.maximum(np.exp(np.minimum(log_sigma, 20)), SIGMA_MIN)
    return np.asarray(np.stack([a, b, np.tanh(tilt), m, sigma], axis=-1) * scale)


def _pull_back(raw: Floats, frame: _Frame) -> Floats:
    """The point nearest ``raw`` on the way to the guaranteed slice that is free of arbitrage."""
    shares = np.linspace(0.0, 1.0, PULLS + 1)[1:, None]
    guaranteed = frame.corridor.guaranteed
    trials = np.vstack([raw, raw * (1.0 - shares) + guaranteed * shares])
    free = _is_free(trials, frame)
    return trials[np.argmax(free)] if free[:-1].any() else guaranteed


def _is_free(raw: Floats, frame: _Frame) -> Bools:
    """Whether each slice [slices, 5] passes on the finer grid and in the wings."""
    k, slices = frame.check_grid, raw[:, None, :]
    slopes = wing_slopes(raw)
    density, _ = least_density(raw, np.broadcast_to(k, (len(raw), k.size)))
    return np.asarray(
        np.all((slopes >= frame.slope_min) & (slopes <= frame.slope_max), axis=1)
        & (density >= 0.0)
        & np.all(calendar_gap(frame.corridor.near, slices, k) >= CALENDAR_CHECK, axis=1)
        & np.all(calendar_gap(slices, frame.corridor.far, k) >= CALENDAR_CHECK, axis=1)
    )
