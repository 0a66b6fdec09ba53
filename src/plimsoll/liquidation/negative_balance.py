"""Negative-balance protection: nobody owes the venue, so the venue has sold everyone a put.

A protected balance below 0 is set to 0 and its negative part booked as bad debt, never clipped
away: balance + bad debt stays what it was. The price of the promise is that of a short put struck
at what the margin covers (a call, for those who are short), and its expected cost per account
belongs beside its fees.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s
from plimsoll.pricing import black76
from plimsoll.pricing.kernels import fill_normal_cdf

DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True)
class Protected:
    """``balance`` >= 0 and ``bad_debt`` >= 0 by row: balance - bad_debt is what there was."""

    balance: Int64s
    bad_debt: Int64s


@dataclass(frozen=True, slots=True)
class GapRisk:
    """What gaps cost the venue, by position; NaN where an input is.

    ``loss_per_jump`` is the expected bad debt of one jump as a fraction of notional,
    ``bankruptcy_per_jump`` the probability that it bankrupts, ``bankruptcy_per_day`` that of a
    day, ``loss_per_day`` the expected bad debt of a day as a fraction of notional.
    """

    loss_per_jump: Floats
    bankruptcy_per_jump: Floats
    bankruptcy_per_day: Floats
    loss_per_day: Floats


def protect_balances(balance: Int64s) -> Protected:
    """Balances in units, each asset or account a row, and the bad debt to book against them."""
    lowest = np.iinfo(np.int64).min
    if balance.dtype != np.int64 or np.any(balance == lowest):
        raise InputError("balance", "is no amount of the ledger", "count in units")
    return Protected(np.maximum(balance, 0), np.maximum(-balance, 0))


def price_gap_risk(
    leverage: Floats,
    is_long: Bools,
    jump_mean: Floats,
    jump_deviation: Floats,
    jumps_per_year: Floats,
) -> GapRisk:
    """Gap risk of linear positions at ``leverage``, notional over equity, under lognormal jumps.

    A jump multiplies the price by exp(J), J normal with the given mean and deviation (> 0, per
    jump); jumps come at a Poisson rate. Bad debt per notional is (K - exp(J))+ with K = 1 - 1 /
    leverage: a put struck at K, K N(d) - exp(mean + deviation^2 / 2) N(d - deviation) with d =
    (ln K - mean) / deviation (Merton, 1976). A long at leverage 1 or below can owe nothing; a
    short owes (exp(J) - 1 - 1 / leverage)+, a call. It is a bound from below: closing takes time,
    and then costs. Columns of one shape, [positions].
    """
    columns = (leverage, jump_mean, jump_deviation, jumps_per_year)
    if any(column.shape != is_long.shape for column in columns) or is_long.ndim != 1:
        raise InputError("gap risk", "columns differ in shape", "give one number per position")
    leverage, mean, deviation, rate = (np.asarray(c, dtype=np.float64) for c in columns)
    refused = ~(leverage > 0) | ~(deviation > 0) | ~(rate >= 0) | ~np.isfinite(mean)
    known = ~refused & np.isfinite(leverage) & np.isfinite(deviation) & np.isfinite(rate)
    own = 1.0 / np.where(known, leverage, 1.0)
    strike = np.where(is_long, 1.0 - own, 1.0 + own)
    owes = known & (strike > 0)
    loss, bankrupt = np.zeros(leverage.shape), np.zeros(leverage.shape)
    loss[owes], bankrupt[owes] = _beyond(strike[owes], is_long[owes], mean[owes], deviation[owes])
    per_day = np.where(known, rate, 0.0) / DAYS_A_YEAR
    unknown = np.where(known, 0.0, np.nan)
    return GapRisk(
        loss_per_jump=loss + unknown,
        bankruptcy_per_jump=bankrupt + unknown,
        bankruptcy_per_day=-np.expm1(-per_day * bankrupt) + unknown,
        loss_per_day=per_day * loss + unknown,
    )


def _beyond(
    strike: Floats, is_long: Bools, mean: Floats, deviation: Floats
) -> tuple[Floats, Floats]:
    """Value of the option on exp(J), by Black-76 over one jump, and its chance to be used."""
    forward = np.exp(mean + 0.5 * deviation * deviation)
    value = black76(forward, strike, np.ones(strike.size), deviation, ~is_long).value
    used = np.empty(strike.size)
    toward = np.where(is_long, 1.0, -1.0)
    fill_normal_cdf(toward * (np.log(strike) - mean) / deviation, used)
    return value, used
