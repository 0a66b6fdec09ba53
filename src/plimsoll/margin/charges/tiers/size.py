"""Size-scaled rate: the larger the position in coins, the higher the rate on all of it.

rate = base + slope * |coins|. Source: Deribit, "Linear Perpetual" (BTC: 1 % + 0.005 % per BTC).
"""

import numpy as np

from plimsoll.core import Floats, Int32s
from plimsoll.margin.kernels import size_excess


def size_scaled_excess(
    asset: Int32s,
    notional: Floats,
    price: Floats,
    base_rate: Floats,
    slope: Floats,
    charged: Floats,
) -> Floats:
    """What the size-scaled margin asks beyond ``charged``, in USD >= 0, elementwise.

    ``notional`` and ``charged`` are USD, ``price`` USD per coin; ``base_rate`` and ``slope``
    (rate per coin) have one row per asset, which ``asset`` picks. No slope means no size rule
    and no excess; the whole rate is at most 1.
    """
    out = np.empty(notional.size)
    size_excess(asset, base_rate, slope, notional, price, charged, out)
    return out
