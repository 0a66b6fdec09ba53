"""What a decision of auto-deleveraging did: overshoot with its horizon, concentration."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Int64s, sum_exact


@dataclass(frozen=True, slots=True)
class Overshoot:
    """What was taken beyond need, in units; below 0 is short of it.

    The need changes with the price after the decision, so a figure without its horizon says
    nothing: ``horizon_ns`` is the time from the decision to when the need was measured.
    """

    amount: int
    horizon_ns: int


@dataclass(frozen=True, slots=True)
class Concentration:
    """How what is taken is spread; fractions, NaN where nothing is taken.

    ``hhi`` is the sum of squared shares of the total (1: all from one), ``largest_share`` the
    largest of those shares, ``largest_haircut`` the largest part of one's capacity that is
    taken, ``capacity_share`` the part of all capacity.
    """

    hhi: float
    largest_share: float
    largest_haircut: float
    capacity_share: float


def measure_overshoot(taken: int, needed: int, horizon_ns: int) -> Overshoot:
    """Taken less needed, where the need was measured ``horizon_ns`` >= 0 after the decision."""
    return Overshoot(taken - needed, horizon_ns)


def measure_concentration(taken: Int64s, capacity: Int64s) -> Concentration:
    """Over rows with 0 <= taken <= capacity, in any unit common to both."""
    total, room = sum_exact(taken), sum_exact(capacity)
    if total == 0:
        return Concentration(np.nan, np.nan, np.nan, 0.0 if room else np.nan)
    share = taken / total
    haircut = taken[taken > 0] / capacity[taken > 0]
    return Concentration(
        hhi=float(np.sum(share * share)),
        largest_share=float(share.max()),
        largest_haircut=float(haircut.max()),
        capacity_share=total / room,
    )
