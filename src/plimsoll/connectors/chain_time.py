"""When a chain was taken, where it does not say so itself."""

from collections.abc import Callable

import numpy as np

from plimsoll.core import NS_PER_SECOND, Floats, InputError
from plimsoll.market.surface import NS_PER_YEAR, years_between
from plimsoll.pricing import black76
from plimsoll.pricing.forwards import ForwardSource, chain_forwards, quote_forwards
from plimsoll.pricing.quotes import OptionQuotes

# Far options hardly feel the hour, and their forwards err more.
NEAR_NS = 60 * 86_400 * NS_PER_SECOND
QUOTES_MIN = 10
ERROR_NS_MAX = 3_600 * NS_PER_SECOND
SHORTEST, LONGEST = 60 * NS_PER_SECOND / NS_PER_YEAR, 2.0
NODES, ZOOMS = 33, 6


def infer_time(quotes: OptionQuotes, place: str) -> tuple[int, int]:
    """The time at which the listed vols give the listed marks, and its standard error, in ns.

    Forwards come from the rows or from put-call parity, which need no time. Then one unknown
    is left, the time before the first expiry: the one from a minute to two years that brings
    Black-76 closest to the marks, in least squares over the options that expire within 60 days
    of the first. The error counts the marks' rounding as independent. Raises InputError where
    fewer than 10 options have mark, vol and forward, or the error exceeds an hour.
    """
    first_ns = int(quotes.expiry_ns.min())
    forwards = chain_forwards(quotes, first_ns)
    at = np.searchsorted(forwards.expiry_ns, quotes.expiry_ns)
    forward, source = quote_forwards(quotes, forwards), forwards.source[at]
    rows = np.isin(source, (ForwardSource.GIVEN, ForwardSource.PARITY)) & (forward > 0)
    rows &= (quotes.price > 0) & (quotes.vol > 0) & (quotes.strike > 0)
    rows &= quotes.expiry_ns <= first_ns + NEAR_NS
    remedy = "give its time, e.g. 2024-05-24T19:20:00Z"
    if rows.sum() < QUOTES_MIN:
        raise InputError(place, "has no times, and too few marks and vols to infer one", remedy)
    strike, vol, is_call = quotes.strike[rows], quotes.vol[rows], quotes.is_call[rows]
    forward, discount = forward[rows], forwards.discount[at][rows]
    later = years_between(first_ns, quotes.expiry_ns[rows])
    unit = forward if quotes.inverse else np.ones(forward.size)

    def errors(before: Floats) -> Floats:
        """Model less mark, [times, rows], for each time before the first expiry."""
        many = before.size
        value = black76(
            np.tile(forward, many),
            np.tile(strike, many),
            np.add.outer(before, later).ravel(),
            np.tile(vol, many),
            np.tile(is_call, many),
            np.tile(discount, many),
        ).value
        return np.asarray(value.reshape(many, -1) / unit - quotes.price[rows])

    best = _best_time(errors)
    down, here, up = errors(best * np.array([0.999, 1.0, 1.001]))
    slope = (up - down) / (0.002 * best)
    error = np.sqrt((here @ here) / (here.size - 1) / (slope @ slope)) * NS_PER_YEAR
    if not (SHORTEST * 1.01 < best < LONGEST * 0.99 and error <= ERROR_NS_MAX):
        raise InputError(place, "has no times, and its marks and vols do not agree on one", remedy)
    seconds = round((first_ns - best * NS_PER_YEAR) / NS_PER_SECOND)
    return seconds * NS_PER_SECOND, int(error)


def _best_time(errors: Callable[[Floats], Floats]) -> float:
    """The time with the least sum of squared errors: a grid in its logarithm, zoomed in on."""
    low, high = np.log(SHORTEST), np.log(LONGEST)
    best = low
    for _ in range(ZOOMS):
        nodes = np.linspace(low, high, NODES)
        found = errors(np.exp(nodes))
        best = float(nodes[np.argmin((found * found).sum(axis=1))])
        half = 2.0 * (high - low) / (NODES - 1)
        low, high = best - half, best + half
    return float(np.exp(best))
