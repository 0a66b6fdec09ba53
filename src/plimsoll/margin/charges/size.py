"""Size-scaled rate: the larger the position in coins, the higher the rate on all of it.

rate = base + slope * |coins|. Source: Deribit, "Linear Perpetual" (BTC: 1 % + 0.005 % per BTC).
"""

import numpy as np

from plimsoll.core import Floats


def size_scaled_excess(
    notional: Floats, price: Floats, base_rate: Floats, slope: Floats, charged: Floats
) -> Floats:
    """What the size-scaled margin asks beyond ``charged``, in USD >= 0, elementwise.

    ``notional`` and ``charged`` are USD, ``price`` USD per coin, ``slope`` rate per coin.
    No slope means no size rule and no excess.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        coins = np.where(notional == 0, 0.0, notional / price)
        asked = notional * np.minimum(base_rate + slope * coins, 1.0)
        return np.where((slope == 0) | (notional == 0), 0.0, np.maximum(asked - charged, 0.0))
