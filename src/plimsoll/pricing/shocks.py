"""Volatility shocks as venues state them: a move, scaled by a power of the time to expiry."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats


@dataclass(frozen=True, slots=True)
class TenorLaw:
    """How a venue scales a volatility shock with days to expiry: (reference_days / days)^power.

    ``days_min`` is the fewest days that count; ``whole_days`` rounds days up first.
    ``split_is_short`` says which power holds at exactly ``reference_days``. The two powers
    meet there, so it is a matter of the rule's wording, unless a venue's split lies elsewhere.
    """

    short_power: float
    long_power: float
    split_is_short: bool
    whole_days: bool
    reference_days: float = 30.0
    days_min: float = 1.0


# "Short term for fewer than 30 days"; the venue does not say how it rounds days.
DERIBIT = TenorLaw(short_power=0.30, long_power=0.13, split_is_short=False, whole_days=False)
PARADEX = TenorLaw(short_power=0.30, long_power=0.13, split_is_short=False, whole_days=False)
# Its contracts compare seconds, and "up to 30 days" is short.
DERIVE = TenorLaw(short_power=0.30, long_power=0.13, split_is_short=True, whole_days=False)
# One power at all tenors, on days rounded up: what its own sample response reproduces with.
BYBIT = TenorLaw(short_power=0.30, long_power=0.30, split_is_short=False, whole_days=True)


def tenor_multiplier(law: TenorLaw, days: Floats) -> Floats:
    """The factor on a volatility shock at ``days`` to expiry (fractions count), any shape.

    1 at the law's reference, above 1 for shorter and below for longer; NaN for NaN.
    """
    counted = np.ceil(days) if law.whole_days else np.asarray(days, np.float64)
    counted = np.where(counted < law.days_min, law.days_min, counted)
    short = counted < law.reference_days
    if law.split_is_short:
        short |= counted == law.reference_days
    power = np.where(short, law.short_power, law.long_power)
    return np.asarray((law.reference_days / counted) ** power)


def shock_vol(
    law: TenorLaw, vol: Floats, days: Floats, move: Floats, vol_min_up: float, absolute: bool
) -> Floats:
    """Volatility after a shock; ``vol`` (fraction a year), ``days`` and ``move`` broadcast.

    ``move`` is signed, before scaling by tenor: 0.5 adds half of ``vol`` at the law's
    reference tenor or, where ``absolute``, 0.5 a year (50 vol points). A shock up ends at
    ``vol_min_up`` or above (a venue's own floor, 0 for none), a shock down at 0 or above; no
    shock changes nothing, not even a vol below the floor.
    """
    change = np.asarray(move, np.float64) * tenor_multiplier(law, days)
    shocked = vol + change if absolute else vol * (1.0 + change)
    floor = np.where(np.asarray(move) > 0, vol_min_up, 0.0)
    # Not maximum(): a NaN volatility must stay one.
    floored = np.where(shocked < floor, floor, shocked)
    return np.where(np.asarray(move) == 0, vol + 0.0 * shocked, floored)
