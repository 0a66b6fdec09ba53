"""The three figures by which desks quote a smile."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from plimsoll.core import Floats
from plimsoll.market.surface import svi_total_variance

# Far beyond any delta that is quoted, and bisected down to the last bit of a double.
DEVIATIONS = 40.0
BISECTIONS = 64


class SmileFigures(NamedTuple):
    """Vols as fractions a year, shape [slices].

    ``at_money`` is the vol at the forward, ``risk_reversal`` the vol of the call less that of
    the put of the same delta, ``butterfly`` their mean less ``at_money``.
    """

    at_money: Floats
    risk_reversal: Floats
    butterfly: Floats


def smile_figures(raw: Floats, time: Floats, delta: float) -> SmileFigures:
    """Figures of raw SVI slices, shape [slices, 5], at ``time`` years, shape [slices].

    ``delta`` in (0, 1/2), the plain delta on the forward, N(d1), as in 0.25 for "25-delta".
    """
    at_money = _vol(raw, time, np.zeros(time.size))
    call = _vol(raw, time, delta_moneyness(raw, delta))
    put = _vol(raw, time, delta_moneyness(raw, 1.0 - delta))
    return SmileFigures(at_money, call - put, 0.5 * (call + put) - at_money)


def delta_moneyness(raw: Floats, call_delta: float) -> Floats:
    """Log-moneyness at which a call has this plain forward delta, [slices], for ``raw``
    slices [slices, 5]. A put of delta -d lies where the call has 1 - d.
    """
    target = NormalDist().inv_cdf(call_delta)
    zero = np.zeros(raw.shape[0])
    width = DEVIATIONS * np.sqrt(svi_total_variance(raw, zero))
    low, high = -width, width
    for _ in range(BISECTIONS):
        k = 0.5 * (low + high)
        deviation = np.sqrt(svi_total_variance(raw, k))
        # d1 falls as the strike rises.
        too_low = 0.5 * deviation - k / deviation > target
        low, high = np.where(too_low, k, low), np.where(too_low, high, k)
    return np.asarray(0.5 * (low + high))


def _vol(raw: Floats, time: Floats, k: Floats) -> Floats:
    return np.asarray(np.sqrt(svi_total_variance(raw, k) / time))
