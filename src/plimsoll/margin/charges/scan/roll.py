"""Basis between expiries: contracts on one underlying do not move as one.

A scan moves all expiries together, so that a calendar spread looks free. Here every expiry's
net delta pays for its own basis, by time to expiry or flat. Sources: Deribit, "Portfolio
Margin" (roll shock; reproduces its sample) and its page before 2024 (offset futures).
"""

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by
from plimsoll.margin.charges.sums import ExpirySums
from plimsoll.market.surface import NS_PER_YEAR


def net_by_expiry(owner: Int64s, expiry_ns: Int64s, values: Floats) -> ExpirySums:
    """Values added up by owner and expiry, elementwise inputs; rows sorted by both.

    An owner is whatever nets inside one expiry: a group, or a risk vector.
    """
    expiries, turn = np.unique(expiry_ns, return_inverse=True)
    width = max(expiries.size, 1)
    keys, row = np.unique(owner * width + turn, return_inverse=True)
    return ExpirySums(keys // width, expiries[keys % width], sum_by(row, values, keys.size))


def roll_rates(expiry_ns: Int64s, as_of_ns: int, annualised: Floats, floor: Floats) -> Floats:
    """Fraction of a net delta: max(e^(annualised × years) - 1, floor), elementwise.

    ``expiry_ns`` of 0 means a perpetual, which pays the floor.
    """
    years = np.where(expiry_ns == 0, 0.0, (expiry_ns - as_of_ns) / NS_PER_YEAR)
    # maximum() keeps NaN, and so an unknown rate.
    return np.maximum(np.expm1(annualised * years), floor)


def roll_shock(sums: ExpirySums, as_of_ns: int, annualised: Floats, floor: Floats) -> Floats:
    """Sum over expiries of |net| × rate, in the unit of the nets, by owner, shape [owners].

    ``annualised`` and ``floor`` have one entry per owner. An expiry that nets to nothing is
    free, whatever its rate.
    """
    rates = roll_rates(sums.expiry_ns, as_of_ns, annualised[sums.group], floor[sums.group])
    charged = np.where(sums.net == 0, 0.0, np.abs(sums.net) * rates)
    return sum_by(sums.group, charged, floor.size)


def offset_charge(long: Floats, short: Floats, rate: float) -> Floats:
    """``rate`` on what one side offsets of the other; sides >= 0, elementwise, in their unit."""
    return np.minimum(long, short) * rate
