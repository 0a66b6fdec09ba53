"""The forward of each expiry, from what a chain gives."""

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.market.surface import years_between
from plimsoll.pricing.quotes import OptionQuotes

# Deltas nearer to 0 or 1 have lost the digits that tell the forward.
DELTA_MARGIN = 0.02


class ForwardSource(IntEnum):
    """Where a forward came from; better sources first."""

    NONE = 0
    GIVEN = 1
    PARITY = 2
    DELTA = 3
    INTERPOLATED = 4


@dataclass(frozen=True, slots=True)
class Forwards:
    """Columns by expiry, increasing, shape [expiries].

    ``forward`` in the strikes' currency, NaN where nothing gives one; ``discount`` 1 but for
    parity of linear options; ``residual`` the median absolute deviation of the single
    estimates from the forward, as a fraction of it; ``estimates`` how many there were.
    """

    expiry_ns: Int64s
    forward: Floats
    discount: Floats
    residual: Floats
    source: Int8s
    estimates: Int64s


def chain_forwards(quotes: OptionQuotes, time_ns: int) -> Forwards:
    """The forward of each expiry of a chain at ``time_ns``.

    The venue's own underlying price where the rows carry it; else put-call parity of the
    marks; else the forward that the listed vol and delta imply: always a (weighted) median,
    so a few broken rows do not move it. An expiry with none of these between two that have
    one takes the log-linear interpolation in time.
    """
    expiries = np.unique(quotes.expiry_ns)
    rows = [_expiry_forward(quotes, quotes.expiry_ns == expiry, time_ns) for expiry in expiries]
    forward, discount, residual, source, estimates = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    missing = source == ForwardSource.NONE
    if not missing.all():
        time, found = years_between(time_ns, expiries), ~missing
        log_forward = np.log(forward[found])
        between = np.exp(np.interp(time, time[found], log_forward, left=np.nan, right=np.nan))
        forward = np.where(missing, between, forward)
        source = np.where(missing & np.isfinite(between), ForwardSource.INTERPOLATED, source)
    return Forwards(
        expiry_ns=expiries,
        forward=forward,
        discount=discount,
        residual=residual,
        source=source.astype(np.int8),
        estimates=estimates.astype(np.int64),
    )


def quote_forwards(quotes: OptionQuotes, forwards: Forwards) -> Floats:
    """The forward that each quote's moneyness is measured from, [quotes].

    The row's own where it carries one, as rows of a chain are seconds apart; else its
    expiry's.
    """
    at = np.searchsorted(forwards.expiry_ns, quotes.expiry_ns)
    return np.where(np.isfinite(quotes.forward), quotes.forward, forwards.forward[at])


def parity_forward_inverse(strike: Floats, call: Floats, put: Floats) -> tuple[float, Floats]:
    """Forward from coin prices by C - P = 1 - K/F, and each pair's own estimate, [pairs].

    The weighted median of K / (1 - C + P) with weights K, which is the least absolute
    deviations line through the origin.
    """
    with np.errstate(divide="ignore"):
        estimates = strike / (1.0 - call + put)
    return _weighted_median(estimates, strike), estimates


def parity_forward_linear(strike: Floats, call: Floats, put: Floats) -> tuple[float, float, Floats]:
    """Forward and discount from C - P = D (F - K), and each pair's estimate, [pairs].

    D is the median slope over all pairs of strikes (Theil and Sen), 1 if there is one strike.
    """
    difference = call - put
    i, j = np.triu_indices(strike.size, 1)
    apart = strike[i] != strike[j]
    i, j = i[apart], j[apart]
    slopes = (difference[i] - difference[j]) / (strike[j] - strike[i])
    discount = float(np.median(slopes)) if slopes.size else 1.0
    estimates = difference / discount + strike
    return float(np.median(estimates)), discount, estimates


def delta_forward(
    strike: Floats, is_call: Bools, vol: Floats, delta: Floats, time: float
) -> tuple[float, Floats]:
    """Forward from undiscounted Black deltas, and each row's own estimate, [rows].

    F = K exp(s N⁻¹(delta) - s²/2) with s = vol sqrt(time) and a put's delta raised by one.
    Weighted by n(d1) / s, the inverse of the error that a rounded delta makes.
    """
    normal = NormalDist()
    call_delta = np.where(is_call, delta, delta + 1.0)
    d1 = np.array([normal.inv_cdf(d) for d in call_delta.tolist()])
    s = vol * np.sqrt(time)
    estimates = strike * np.exp(s * d1 - 0.5 * s * s)
    return _weighted_median(estimates, np.exp(-0.5 * d1 * d1) / s), estimates


def carry_forward(index_price: Floats, annual_basis: Floats, time: Floats) -> Floats:
    """index × exp(annual_basis × time): the forward at a continuous basis a year, broadcast."""
    return np.asarray(index_price * np.exp(annual_basis * time))


def _expiry_forward(
    quotes: OptionQuotes, rows: Bools, time_ns: int
) -> tuple[float, float, float, ForwardSource, int]:
    """Forward, discount, residual, source and number of estimates of one expiry."""
    given = quotes.forward[rows]
    given = given[np.isfinite(given) & (given > 0)]
    if given.size:
        forward = float(np.median(given))
        return forward, 1.0, _spread(given, forward), ForwardSource.GIVEN, given.size
    strike, call, put = _pairs(quotes, rows)
    if strike.size and quotes.inverse:
        forward, estimates = parity_forward_inverse(strike, call, put)
        return forward, 1.0, _spread(estimates, forward), ForwardSource.PARITY, strike.size
    if strike.size:
        forward, discount, estimates = parity_forward_linear(strike, call, put)
        return forward, discount, _spread(estimates, forward), ForwardSource.PARITY, strike.size
    magnitude = np.abs(quotes.delta)
    rows = rows & (magnitude > DELTA_MARGIN) & (magnitude < 1.0 - DELTA_MARGIN) & (quotes.vol > 0)
    time = float(years_between(time_ns, quotes.expiry_ns[rows][:1])[0]) if rows.any() else 0.0
    if time > 0:
        forward, estimates = delta_forward(
            quotes.strike[rows], quotes.is_call[rows], quotes.vol[rows], quotes.delta[rows], time
        )
        return forward, 1.0, _spread(estimates, forward), ForwardSource.DELTA, estimates.size
    return np.nan, 1.0, np.nan, ForwardSource.NONE, 0


def _pairs(quotes: OptionQuotes, rows: Bools) -> tuple[Floats, Floats, Floats]:
    """Strikes with a positive price of both the call and the put, and the two prices."""
    priced = rows & (quotes.price > 0)
    sides = []
    for side in (priced & quotes.is_call, priced & ~quotes.is_call):
        strike, first = np.unique(quotes.strike[side], return_index=True)
        sides.append((strike, quotes.price[side][first]))
    (calls, call_price), (puts, put_price) = sides
    strike, at_call, at_put = np.intersect1d(calls, puts, return_indices=True)
    return strike, call_price[at_call], put_price[at_put]


def _spread(estimates: Floats, forward: float) -> float:
    return float(np.median(np.abs(estimates / forward - 1.0)))


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])
