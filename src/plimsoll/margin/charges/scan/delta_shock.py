"""Delta shock: a book too large to be closed at the scanned prices pays for its own impact.

Source: third-party implementations of Deribit's portfolio margin model, which agree.
"""

import numpy as np

from plimsoll.core import Floats


def exposed_delta(long_options: Floats, others: Floats) -> Floats:
    """The delta that has to be closed, in coins, signed, elementwise.

    ``others`` is that of futures and short options. Long options can only take from it, down
    to nothing: they need not be closed themselves.
    """
    both = long_options + others
    falling = np.minimum(np.maximum(both, others), 0.0)
    rising = np.maximum(np.minimum(both, others), 0.0)
    return np.where(others < 0, falling, rising)


def delta_shock_charge(
    delta: Floats, price: Floats, threshold: Floats, slope: Floats, rate_max: Floats
) -> Floats:
    """USD >= 0, elementwise: min((|delta| × price - threshold) × |delta| × slope,

    rate_max × |delta| × price), nothing below the ``threshold`` in USD. ``delta`` is in coins,
    ``slope`` a rate per coin. No delta costs nothing, whatever the rest.
    """
    coins = np.abs(delta)
    value = coins * price
    impact = np.maximum(value - threshold, 0.0) * coins * slope
    return np.where(delta == 0, 0.0, np.minimum(impact, rate_max * value))
