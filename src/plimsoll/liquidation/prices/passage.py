"""How likely, and how soon, a price that wanders reaches its liquidation price.

The price is a driftless lognormal walk (its expected value stays; its logarithm drifts down by
half the variance), watched at every instant. Times are days, volatilities a fraction a root day:
a yearly one over the root of 365. Source: reflection with drift, Harrison, "Brownian motion and
stochastic flow systems" (1985), section 1.8; between two barriers its series of images.
"""

import math
from typing import Final

from scipy.special import log_ndtr, ndtr

from plimsoll.core import InputError

_IMAGES_MAX: Final = 60
_DAYS_MAX: Final = 36_500.0


def hit_probability(factor: float, daily_vol: float, days: float, drift: float = 0.0) -> float:
    """Probability that the price reaches ``factor`` times today's within ``days``.

    ``drift`` is that of the price, a fraction a day. N((b - mT) / s√T) + e^(2mb/s²)
    N((b + mT) / s√T) below today's price, b = ln(factor), m = drift - s²/2; mirrored above it.
    """
    _check(daily_vol, days)
    if not factor > 0:
        return 0.0
    distance, mean = math.log(factor), drift - 0.5 * daily_vol**2
    if distance == 0.0:
        return 1.0
    if daily_vol == 0.0 or days == 0.0:
        return float(days > 0 and mean * distance > 0 and mean / distance * days >= 1)
    if distance > 0:
        distance, mean = -distance, -mean
    width = daily_vol * math.sqrt(days)
    direct = float(ndtr((distance - mean * days) / width))
    tilt = 2 * mean * distance / daily_vol**2
    reflected = math.exp(tilt + float(log_ndtr((distance + mean * days) / width)))
    return min(direct + reflected, 1.0)


def exit_probability(low: float, high: float, daily_vol: float, days: float) -> float:
    """Probability that the price leaves between ``low`` < 1 and ``high`` > 1 within ``days``.

    Factors of today's price; ``low`` 0 or ``high`` infinite is no barrier on that side.
    """
    _check(daily_vol, days)
    if low >= 1.0 or high <= 1.0:
        return 1.0
    if low <= 0.0 or math.isinf(high):
        sides = [side for side in (low, high) if side > 0.0 and not math.isinf(side)]
        return hit_probability(sides[0], daily_vol, days) if sides else 0.0
    if daily_vol == 0.0 or days == 0.0:
        return 0.0
    down, up, mean = math.log(low), math.log(high), -0.5 * daily_vol**2
    span, width = up - down, daily_vol * math.sqrt(days)
    # Far beyond the span nothing is left inside, and the images would cancel to noise.
    if width > 8.0 * span:
        return 1.0
    stayed = 0.0
    for image in range(-_IMAGES_MAX, _IMAGES_MAX + 1):
        for sign, source in ((1.0, 2 * image * span), (-1.0, 2 * up + 2 * image * span)):
            upper = (up - source - mean * days) / width
            lower = (down - source - mean * days) / width
            tilt = mean * source / daily_vol**2
            stayed += sign * _tilted_span(tilt, lower, upper)
    return min(max(1.0 - stayed, 0.0), 1.0)


def median_days(low: float, high: float, daily_vol: float) -> float:
    """Days after which the price has left between ``low`` and ``high`` with probability ½.

    Infinite where that takes more than a century, or never comes.
    """
    if exit_probability(low, high, daily_vol, _DAYS_MAX) < 0.5:
        return math.inf
    early, late = 0.0, _DAYS_MAX
    while late - early > 1e-9 * late:
        middle = 0.5 * (early + late)
        if exit_probability(low, high, daily_vol, middle) < 0.5:
            early = middle
        else:
            late = middle
    return late


def _tilted_span(tilt: float, low: float, high: float) -> float:
    """e^tilt (N(high) - N(low)) for low < high, from the logarithms of the nearer tails."""
    if low > 0:
        low, high = -high, -low
    top, bottom = float(log_ndtr(high)), float(log_ndtr(low))
    gap = bottom - top
    return math.exp(tilt + top + math.log(-math.expm1(gap))) if gap < 0 else 0.0


def _check(daily_vol: float, days: float) -> None:
    if not (math.isfinite(daily_vol) and daily_vol >= 0 and math.isfinite(days) and days >= 0):
        raise InputError(
            "volatility or days",
            f"{daily_vol} and {days} are no amounts",
            "give finite numbers, 0 or more",
        )
