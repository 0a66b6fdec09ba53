"""Open orders: margin for the worst case of all buys or all sells filling.

A hedged underlying is margined on its larger side, as Kraken Derivatives does for contracts of
one underlying that share collateral ("requirement = max(long margin, short margin)").
"""

import numpy as np

from plimsoll.core import Floats


def worst_side(long: Floats, short: Floats) -> Floats:
    """The larger side's notional, in USD; NaN where either side is NaN."""
    return np.asarray(np.maximum(long, short))


def open_order_charge(with_orders: Floats, without: Floats, loss: Floats, lock: Floats) -> Floats:
    """What open orders add to the initial margin, in USD >= 0.

    The rise of the requirement if the worse side fills, the loss of those fills against mark,
    and what spot orders lock.
    """
    return np.maximum(with_orders - without, 0.0) + loss + lock
