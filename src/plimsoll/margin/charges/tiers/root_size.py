"""Root-size rates: what must be held per dollar grows with the square root of the size.

Selling a large position moves its market by about the square root of its size, so a rate of
factor * sqrt(size) charges what closing it would cost. Source: FTX help centre, "Account Margin
Management" (IMF factor * sqrt(position open size)) and "Collateral Management".
"""

import numpy as np

from plimsoll.core import Floats


def root_size_rate(rate_min: Floats, factor: Floats, size: Floats) -> Floats:
    """The larger of ``rate_min`` and factor * sqrt(size), elementwise; NaN where either is.

    ``size`` >= 0 in coins, ``factor`` per square root of a coin. Not bounded above.
    """
    return np.asarray(np.maximum(rate_min, factor * np.sqrt(size)))


def root_size_weight(weight_max: Floats, factor: Floats, size: Floats, gain: float) -> Floats:
    """The smaller of ``weight_max`` and gain / (1 + factor * sqrt(size)); NaN where either is.

    The part of a holding's value that counts as collateral: full weight until the root-size
    discount, which starts at ``gain``, falls below it.
    """
    return np.asarray(np.minimum(weight_max, gain / (1.0 + factor * np.sqrt(size))))
