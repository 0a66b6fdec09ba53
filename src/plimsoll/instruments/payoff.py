"""What a contract is worth at a price.

Every payoff is a value function v(quantity, price) in the settle asset, linear in quantity.
A position's profit is v(quantity, mark) - v(quantity, entry): for an inverse contract that is
quantity * multiplier * (1/entry - 1/mark), exactly, never its tangent.
"""

import numpy as np

from plimsoll.core import Bools, Floats


def value_coefficient(is_inverse: Bools, multiplier: Floats, price: Floats) -> Floats:
    """v(1, price) per contract in the settle asset, elementwise.

    ``is_inverse`` and ``multiplier`` are columns of ``InstrumentTable``.
    Linear, quanto, spot and options: multiplier * price (an option's price is in its settle
    asset). Inverse futures: -multiplier / price, since a long is short the coin's reciprocal.
    A NaN price gives NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(is_inverse, -multiplier / price, multiplier * price))


def profit(
    is_inverse: Bools, multiplier: Floats, quantity: Floats, entry: Floats, mark: Floats
) -> Floats:
    """Profit in the settle asset of ``quantity`` contracts (long > 0) from entry to mark."""
    at_mark = value_coefficient(is_inverse, multiplier, mark)
    at_entry = value_coefficient(is_inverse, multiplier, entry)
    return np.asarray(quantity * (at_mark - at_entry))
