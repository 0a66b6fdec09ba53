"""Claim: a whole option chain becomes an arbitrage-free surface in well under a second."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import least_squares

from benchmarks.lines import Line, Load, Race
from benchmarks.timing import lap, time_laps
from plimsoll.core import Floats, stream
from plimsoll.market.surface import NS_PER_YEAR, QuoteFlag, svi_total_variance
from plimsoll.pricing import fit_surface
from plimsoll.pricing.surface import SurfaceQuotes

EXPIRIES, STRIKES = 12, 55
DAYS = np.geomspace(1.0, 365.0, EXPIRIES)
NOISE = 0.002
"""Standard deviation of a quoted vol about the smile that made it: a fifth of a vol point."""
START = (0.01, 0.1, -0.2, 0.0, 0.1)


def measure(load: Load) -> Iterator[Line]:
    """A chain of 660 quotes over 12 expiries, made from smiles of an SSVI surface."""
    expiry_ns = (DAYS / 365.0 * NS_PER_YEAR).astype(np.int64)
    quotes = _make_quotes(expiry_ns)
    counts = np.zeros(len(QuoteFlag), dtype=np.int64)
    forward = np.full(EXPIRIES, 60_000.0)
    ours, peer, limit = time_laps(
        min(load.repeats, 5),
        lap(lambda: fit_surface("BTC", 0, expiry_ns, forward, quotes, counts)),
        lap(lambda: _fit_each(quotes, expiry_ns)),
        # What no fit can do without: one look at every quote's variance on each slice.
        lap(lambda: [_residuals(np.array(START), quotes, expiry) for expiry in expiry_ns]),
    )
    name = f"pricing_surface.{quotes.k.size}_quotes"
    yield Race(ours, peer, limit).milliseconds(name, "SciPy, raw SVI a slice, unchecked", None)


def _make_quotes(expiry_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> SurfaceQuotes:
    random = stream(0, "benchmarks", "pricing_surface")
    time = np.repeat(expiry_ns / NS_PER_YEAR, STRIKES)
    theta = 0.36 * time
    k = np.tile(np.linspace(-2.5, 2.5, STRIKES), EXPIRIES) * np.sqrt(theta)
    phi, rho = 1.5 / np.sqrt(theta * (1.0 + theta)), -0.3
    w = 0.5 * theta * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho * rho))
    vol = np.sqrt(w / time) + NOISE * random.standard_normal(k.size)
    return SurfaceQuotes(np.repeat(expiry_ns, STRIKES), k, vol, np.ones(k.size))


def _fit_each(
    quotes: SurfaceQuotes, expiry_ns: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[Floats]:
    bounds = ([-np.inf, 0.0, -0.999, -np.inf, 1e-6], [np.inf, np.inf, 0.999, np.inf, np.inf])
    return [
        least_squares(_residuals, START, bounds=bounds, args=(quotes, expiry)).x
        for expiry in expiry_ns
    ]


def _residuals(raw: Floats, quotes: SurfaceQuotes, expiry: int) -> Floats:
    rows = quotes.expiry_ns == expiry
    time = expiry / NS_PER_YEAR
    w = svi_total_variance(raw, quotes.k[rows])
    return np.asarray(np.sqrt(np.maximum(w, 0.0) / time) - quotes.vol[rows])
