"""What a scan that nets in full leaves out: the time that closing takes, and basis.

A range is measured over a fixed horizon. A position too large to be closed in it is exposed for
longer, though less and less: sold evenly over T days it has the variance of T / 3 days at full
size (the linear schedule of Almgren & Chriss, "Optimal execution of portfolio transactions",
2000). A hedge between contracts on one underlying holds only as far as their basis does; source
of its rates: Deribit, "Portfolio Margin" (roll shock) and OKX, portfolio margin, MR4 (hedged
deltas only).
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by
from plimsoll.margin.charges.scan.roll import net_by_expiry, roll_rates

SPOT = -1
"""Stands for the expiry of a coin itself, whose basis is nothing."""


@dataclass(frozen=True, slots=True)
class ClosingTime:
    """How long closing takes, shape [rows]: ``price_range`` over ``horizon_days``,

    ``capacity`` USD that can be closed in a day. NaN where nothing is known.
    """

    price_range: Floats
    capacity: Floats
    horizon_days: float

    @property
    def stretch(self) -> Floats:
        """By how much a USD of loss over the range raises the variance, in horizons."""
        return 1.0 / (self.price_range * self.capacity * 3.0 * self.horizon_days)

    @property
    def growth_max(self) -> Floats:
        """The growth of the range at which all is lost, at least 1."""
        return np.asarray(np.maximum(1.0 / self.price_range, 1.0))


def concentration_charge(loss: Floats, closing: ClosingTime) -> Floats:
    """What the loss of a scan lacks for the time that closing takes, USD >= 0, shape [rows].

    ``loss`` over the range is the size that closes, in terms of a linear contract. The range
    grows with sqrt(1 + T / (3 × horizon)), to a move of 100 % at most. No loss costs nothing.
    """
    growth = np.minimum(np.sqrt(1.0 + loss * closing.stretch), closing.growth_max)
    return np.where(loss == 0, 0.0, loss * (growth - 1.0))


@dataclass(frozen=True, slots=True)
class ExpiryLegs:
    """Net deltas by row of a scan and expiry: ``row``, ``expiry_ns`` (0 perpetual, ``SPOT`` the

    coin itself), USD delta held and USD delta that fills add, elementwise, in any order.
    """

    row: Int64s
    expiry_ns: Int64s
    delta: Floats
    added: Floats


def matched_basis(legs: ExpiryLegs, as_of_ns: int, annualised: Floats, floor: Floats) -> Floats:
    """Charge on deltas that hedge each other across expiries, USD >= 0, shape [rows].

    Each expiry's net moves against the others by its roll rate. With long deltas P, short ones
    N and what they would lose, B_P and B_N: min(P, N) × (B_P / P + B_N / N). One direction
    alone pays nothing. ``annualised`` and ``floor`` have one entry per row.
    """
    sums = net_by_expiry(legs.row, legs.expiry_ns, legs.delta)
    is_spot = sums.expiry_ns == SPOT
    rates = roll_rates(sums.expiry_ns, as_of_ns, annualised[sums.group], floor[sums.group])
    net = sums.net + net_by_expiry(legs.row, legs.expiry_ns, legs.added).net
    # What has no rule is unknown as soon as it is held, and free before.
    moved = np.where((net == 0) | is_spot, 0.0, np.abs(net) * rates)
    count = floor.size
    long, short = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    up, down = sum_by(sums.group, long, count), sum_by(sums.group, short, count)
    up_loss = sum_by(sums.group, np.where(net > 0, moved, 0.0), count)
    down_loss = sum_by(sums.group, np.where(net < 0, moved, 0.0), count)
    with np.errstate(divide="ignore", invalid="ignore"):
        charge = np.minimum(up, down) * (up_loss / up + down_loss / down)
    return np.where((up == 0) | (down == 0), 0.0, charge)
