"""A volatility surface: one SVI slice per expiry, and how it is read between and beyond them."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from plimsoll.core import Floats, InputError, Int8s, Int64s

NS_PER_YEAR = 365 * 86_400 * 10**9


class QuoteFlag(IntEnum):
    """Why a quote was not fitted; the first reason that holds, in this order."""

    USED = 0
    EXPIRED = 1
    BAD_STRIKE = 2
    DUPLICATE = 3
    STALE = 4
    NO_FORWARD = 5
    NO_PRICE = 6
    ZERO_BID = 7
    BELOW_INTRINSIC = 8
    NO_VOL = 9
    VOL_TOO_HIGH = 10
    TICK_TOO_COARSE = 11
    TOO_FEW = 12


class SliceModel(IntEnum):
    """Which fit an expiry's slice came from."""

    SVI = 0
    ESSVI = 1


def years_between(start_ns: int, end_ns: Int64s) -> Floats:
    """Years of 365 days from ``start_ns`` to each ``end_ns``; negative when it has passed."""
    return (end_ns - np.int64(start_ns)) / NS_PER_YEAR


def svi_total_variance(raw: Floats, k: Floats) -> Floats:
    """Total implied variance of raw SVI slices.

    ``raw`` has (a, b, rho, m, sigma) along its last axis, the other axes broadcast with the
    log-moneyness ``k = ln(strike / forward)``. Returns vol² × years. Gatheral (2004).
    """
    a, b, rho, m, sigma = (raw[..., i] for i in range(5))
    x = k - m
    return np.asarray(a + b * (rho * x + np.sqrt(x * x + sigma * sigma)))


@dataclass(frozen=True, slots=True)
class Surface:
    """Implied volatility of one underlying at ``time_ns``, columns by expiry, shape [expiries].

    ``time`` is years of 365 days to each expiry, increasing and positive; ``forward`` is in
    the strikes' currency; ``raw`` is [expiries, 5], raw SVI (a, b, rho, m, sigma) in total
    variance over k = ln(strike / forward); ``model`` a ``SliceModel``. ``rmse`` is the fit's
    root mean square error in vol (0.01 = one vol point) over the ``quotes_near`` quotes within
    two standard deviations, NaN where there is none. ``quotes`` counts the fitted quotes;
    ``flag_counts`` [len(QuoteFlag)] counts all quotes by what became of them.
    """

    underlying: str
    time_ns: int
    expiry_ns: Int64s
    time: Floats
    forward: Floats
    raw: Floats
    model: Int8s
    rmse: Floats
    quotes: Int64s
    quotes_near: Int64s
    flag_counts: Int64s

    def __post_init__(self) -> None:
        count = self.time.size
        fitted = (self.model, self.rmse, self.quotes, self.quotes_near)
        same = all(c.shape == (count,) for c in (self.expiry_ns, self.forward, *fitted))
        if count == 0 or not same or self.raw.shape != (count, 5):
            raise InputError(
                f"surface of {self.underlying}",
                "has no expiry, or columns of different lengths",
                "give one row per expiry, with five parameters each",
            )
        if not np.all(np.diff(self.time, prepend=0.0) > 0):
            raise InputError(
                f"surface of {self.underlying}",
                "has times that are not positive or do not increase",
                "sort the expiries and drop those that have passed",
            )

    def total_variance(self, time: Floats, k: Floats) -> Floats:
        """Total variance vol² × years at ``time`` (years, > 0) and log-moneyness ``k``, broadcast.

        Linear in time at fixed k between expiries: total variance then never falls with time
        if it does not between the slices. Before the first expiry the vol at each k is the
        first slice's, which scales its variance down and so keeps its density non-negative.
        After the last one, forward variance is flat in time and in k, at the at-the-money
        forward variance of the last interval. NaN where ``time`` is not positive or finite.
        """
        time, k = np.broadcast_arrays(np.asarray(time, np.float64), np.asarray(k, np.float64))
        last = self.time.size - 1
        above = np.searchsorted(self.time, time)
        low, high = np.maximum(above - 1, 0), np.minimum(above, last)
        w_low = svi_total_variance(self.raw[low], k)
        w_high = svi_total_variance(self.raw[high], k)
        before, after = above == 0, above > last
        span = np.where(low < high, self.time[high] - self.time[low], 1.0)
        share = np.where(before, time / self.time[0], (time - self.time[low]) / span)
        between = np.where(before, 0.0, w_low) * (1.0 - share) + w_high * share
        beyond = w_low + self._last_forward_variance() * (time - self.time[last])
        usable = (time > 0) & np.isfinite(time)
        return np.where(usable, np.where(after, beyond, between), np.nan)

    def forward_at(self, time: Floats) -> Floats:
        """Forward at ``time`` (years): log-linear between expiries, held flat outside them."""
        logs = np.interp(np.asarray(time, np.float64), self.time, np.log(self.forward))
        return np.asarray(np.exp(logs))

    def vol(self, time: Floats, strike: Floats) -> Floats:
        """Implied vol (fraction a year) at ``time`` (years) and ``strike``, broadcast.

        NaN where either is not positive and finite.
        """
        time = np.asarray(time, np.float64)
        strike = np.asarray(strike, np.float64)
        usable = (time > 0) & (strike > 0) & np.isfinite(time) & np.isfinite(strike)
        safe_time, safe_strike = np.where(usable, time, 1.0), np.where(usable, strike, 1.0)
        k = np.log(safe_strike / self.forward_at(safe_time))
        vol = np.sqrt(self.total_variance(safe_time, k) / safe_time)
        return np.where(usable, vol, np.nan)

    def _last_forward_variance(self) -> float:
        """At-the-money variance a year of the last interval between expiries."""
        at_money = svi_total_variance(self.raw, np.zeros(self.time.size))
        if self.time.size == 1:
            return float(at_money[0] / self.time[0])
        return float((at_money[-1] - at_money[-2]) / (self.time[-1] - self.time[-2]))
