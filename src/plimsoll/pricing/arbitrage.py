"""The tests a surface must pass: density between and at the expiries, calendar, wings."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, Int64s
from plimsoll.market.surface import Surface, svi_total_variance
from plimsoll.pricing.svi import (
    SLOPE_MAX,
    SliceShape,
    calendar_gap,
    density_factor,
    least_density,
    slice_shape,
    wing_slopes,
)

# What rounding may take from a total variance that does not fall.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ArbitrageReport:
    """What the scan of a surface found.

    ``density_min`` [expiries] is the least density factor g of each slice and ``density_min_k``
    where it lies; ``density_min_between`` [expiries - 1] the least g of the interpolated
    smiles in each interval; ``calendar_gap_min`` [expiries - 1] the least rise of total
    variance between neighbours as a fraction of the later one's; ``wing_slope_max``
    [expiries] the steeper wing. The counts are of scanned points, or of wings.
    """

    density_min: Floats
    density_min_k: Floats
    density_min_between: Floats
    calendar_gap_min: Floats
    wing_slope_max: Floats
    butterfly_violations: Int64s
    between_violations: Int64s
    calendar_violations: Int64s
    wing_violations: Int64s

    @property
    def flagged(self) -> Bools:
        """Expiries with a violation of their own or against the one before, [expiries]."""
        own = (self.butterfly_violations > 0) | (self.wing_violations > 0)
        joint = (self.between_violations > 0) | (self.calendar_violations > 0)
        return np.asarray(own | np.append(False, joint))

    @property
    def violations(self) -> int:
        """All violations together; 0 for a surface that may be used."""
        counts = (self.butterfly_violations, self.between_violations)
        more = (self.calendar_violations, self.wing_violations)
        return int(sum(count.sum() for count in (*counts, *more)))


def moneyness_grid(raw: Floats, points: int, deviations: float) -> Floats:
    """Log-moneyness out to ``deviations`` at-the-money deviations of each slice, [..., points]."""
    deviation = np.sqrt(svi_total_variance(raw, np.zeros(raw.shape[:-1])))
    return np.asarray(deviation[..., None] * np.linspace(-deviations, deviations, points))


def scan_surface(surface: Surface, points: int, deviations: float) -> ArbitrageReport:
    """Scan every slice, every interval between slices and every pair of neighbours.

    The grid has ``points`` points to ±``deviations`` at-the-money standard deviations of each
    slice (of the later one for pairs), and more where a slice's density is least. Wings are
    judged in the limit, so a calendar crossing beyond the grid is found too.
    """
    raw = surface.raw
    k = moneyness_grid(raw, points, deviations)
    g = density_factor(k, slice_shape(raw[:, None, :], k))
    density_min, density_min_k = least_density(raw, k)
    gap = calendar_gap(raw[:-1, None, :], raw[1:, None, :], k[1:])
    between = _density_between(surface, k[1:])
    slopes = wing_slopes(raw)
    too_steep = (slopes > SLOPE_MAX).sum(axis=1)
    # The later slice's wings must not be flatter: the nearer one would pass it further out.
    too_steep[1:] += (slopes[1:] < slopes[:-1] * (1.0 - ROUNDING)).sum(axis=1)
    return ArbitrageReport(
        density_min=density_min,
        density_min_k=density_min_k,
        density_min_between=between.min(axis=(0, 2)),
        calendar_gap_min=gap.min(axis=1),
        wing_slope_max=slopes.max(axis=1),
        butterfly_violations=np.maximum((~(g >= 0)).sum(axis=1), ~(density_min >= 0)),
        between_violations=(~(between >= 0)).sum(axis=(0, 2)),
        calendar_violations=(~(gap >= -ROUNDING)).sum(axis=1),
        wing_violations=too_steep,
    )


def _density_between(surface: Surface, k: Floats) -> Floats:
    """g of smiles interpolated at a quarter, half and three quarters, [3, expiries - 1, points].

    Linear interpolation keeps the calendar in order, but the density only nearly: it has to
    be looked at. Nearer than the first expiry it needs no look: g is concave in a common
    factor of the variance and positive at 0 and 1.
    """
    near = slice_shape(surface.raw[:-1, None, :], k)
    far = slice_shape(surface.raw[1:, None, :], k)
    shares = np.array([0.25, 0.5, 0.75])[:, None, None]
    mixed = SliceShape(*(n * (1.0 - shares) + f * shares for n, f in zip(near, far, strict=True)))
    return density_factor(np.broadcast_to(k, mixed.w.shape), mixed)
