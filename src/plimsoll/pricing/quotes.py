"""Option quotes as columns, and the reasons for which some are not fitted."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import NS_PER_SECOND, Bools, Floats, Int8s, Int64s
from plimsoll.market.surface import QuoteFlag, years_between
from plimsoll.pricing.black import greeks
from plimsoll.pricing.implied import half_tick_error


@dataclass(frozen=True, slots=True)
class OptionQuotes:
    """A chain as columns, shape [quotes]; NaN where the venue does not say.

    ``price``, ``bid`` and ``tick`` are in coin where ``inverse``, else in the strike's
    currency; ``tick`` is the step that prices are rounded to. ``vol`` is a fraction a year,
    ``delta`` the plain forward delta, ``forward`` the venue's underlying price at ``time_ns``
    of the row (-1 where it has no time).
    """

    expiry_ns: Int64s
    strike: Floats
    is_call: Bools
    time_ns: Int64s
    price: Floats
    bid: Floats
    tick: Floats
    vol: Floats
    delta: Floats
    forward: Floats
    inverse: bool


@dataclass(frozen=True, slots=True)
class QuoteRules:
    """What makes a quote too poor to fit.

    ``bid_required`` drops quotes whose bid is known to be zero; venues compute a mark for
    those from their own smile. ``tick_vol_error_max`` bounds the vol error of half a tick;
    ``strikes_min`` is the fewest strikes that make a smile, with both sides of the forward.
    """

    age_ns_max: int = 900 * NS_PER_SECOND
    bid_required: bool = True
    vol_max: float = 5.0
    tick_vol_error_max: float = 0.05
    strikes_min: int = 3


def unchanged(quotes: OptionQuotes, before: OptionQuotes) -> Bools:
    """Rows of expiries that stand still since an earlier chain, [quotes].

    A live chain changes vols and Greeks by the passing of time alone; an expiry of which
    every row repeats to the last digit comes from a feed that has stopped. A single row that
    repeats says nothing: a delta of 0 or 1 stays what it is.
    """
    seen, now = (dict(zip(_keys(q), _numbers(q), strict=True)) for q in (before, quotes))
    same = np.array([seen.get(key) == now[key] for key in _keys(quotes)], dtype=np.bool_)
    return same & ~np.isin(quotes.expiry_ns, quotes.expiry_ns[~same])


def half_tick_vol_error(quotes: OptionQuotes, time_ns: int, forward: Floats) -> Floats:
    """Vol error that half a tick of price leaves, [quotes]: tick / (2 vega), NaN if unknown.

    ``forward`` per quote. Vega per 1.00 of vol is forward n(d1) sqrt(T), in coin n(d1) sqrt(T).
    """
    time = years_between(time_ns, quotes.expiry_ns)
    vega = greeks(forward, quotes.strike, time, quotes.vol, quotes.is_call).vega
    return half_tick_error(vega / forward if quotes.inverse else vega, quotes.tick)


def flag_quotes(
    quotes: OptionQuotes, time_ns: int, forward: Floats, stale: Bools, rules: QuoteRules
) -> Int8s:
    """A ``QuoteFlag`` per quote at ``time_ns``: the first reason not to fit it, or USED.

    ``forward`` per quote, NaN where none was found; ``stale`` marks rows known to repeat an
    earlier chain (see ``unchanged``). A column the venue does not give judges nothing.
    """
    price = quotes.price if quotes.inverse else quotes.price / forward
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = quotes.strike / forward
        intrinsic = np.maximum(np.where(quotes.is_call, 1.0 - ratio, ratio - 1.0), 0.0)
        # A price rounded to the tick may sit half a tick below.
        slack = np.nan_to_num(quotes.tick / (1.0 if quotes.inverse else forward)) * 0.5 + 1e-9
        old = (quotes.time_ns >= 0) & (time_ns - quotes.time_ns > rules.age_ns_max)
        reasons = {
            QuoteFlag.EXPIRED: quotes.expiry_ns <= time_ns,
            QuoteFlag.BAD_STRIKE: ~((quotes.strike > 0) & np.isfinite(quotes.strike)),
            QuoteFlag.DUPLICATE: _repeated(quotes),
            QuoteFlag.STALE: stale | old,
            QuoteFlag.NO_FORWARD: ~((forward > 0) & np.isfinite(forward)),
            QuoteFlag.NO_PRICE: quotes.price <= 0,
            QuoteFlag.ZERO_BID: rules.bid_required & (quotes.bid <= 0),
            QuoteFlag.BELOW_INTRINSIC: price < intrinsic - slack,
            QuoteFlag.NO_VOL: ~(quotes.vol > 0),
            QuoteFlag.VOL_TOO_HIGH: quotes.vol > rules.vol_max,
            QuoteFlag.TICK_TOO_COARSE: half_tick_vol_error(quotes, time_ns, forward)
            > rules.tick_vol_error_max,
        }
    flags = np.select(list(reasons.values()), list(reasons), default=QuoteFlag.USED)
    return _without_fragments(flags.astype(np.int8), quotes, ratio, rules.strikes_min)


def _without_fragments(
    flags: Int8s, quotes: OptionQuotes, ratio: Floats, strikes_min: int
) -> Int8s:
    """Flags with TOO_FEW where the usable quotes of an expiry do not make a smile.

    ``ratio`` is strike over forward: without quotes on both sides of the money its level
    there would be invented.
    """
    used = flags == QuoteFlag.USED
    for expiry in np.unique(quotes.expiry_ns[used]):
        rows = used & (quotes.expiry_ns == expiry)
        one_sided = ratio[rows].min() > 1.0 or ratio[rows].max() < 1.0
        if one_sided or np.unique(quotes.strike[rows]).size < strikes_min:
            flags = np.where(rows, np.int8(QuoteFlag.TOO_FEW), flags)
    return flags


def count_flags(flags: Int8s) -> Int64s:
    """How many quotes carry each ``QuoteFlag``, shape [len(QuoteFlag)]."""
    return np.bincount(flags, minlength=len(QuoteFlag)).astype(np.int64)


def describe_flags(counts: Int64s) -> list[tuple[str, int]]:
    """The counts in words, for a table: reason and number of quotes, those that occur."""
    named = ((flag.name.lower().replace("_", " "), int(counts[flag])) for flag in QuoteFlag)
    return [(name, count) for name, count in named if count]


def _keys(quotes: OptionQuotes) -> list[tuple[int, float, bool]]:
    return list(
        zip(quotes.expiry_ns.tolist(), quotes.strike.tolist(), quotes.is_call.tolist(), strict=True)
    )


def _numbers(quotes: OptionQuotes) -> list[list[float]]:
    """Each row's numbers. NaN equals NaN here: unknown before and now is no news."""
    columns = (quotes.price, quotes.bid, quotes.vol, quotes.delta, quotes.forward)
    rows: list[list[float]] = np.nan_to_num(np.stack(columns, axis=1), nan=-1.0).tolist()
    return rows


def _repeated(quotes: OptionQuotes) -> Bools:
    """Rows whose option stands further up already."""
    repeated = np.ones(quotes.strike.size, dtype=np.bool_)
    first: dict[tuple[int, float, bool], int] = {}
    for row, key in enumerate(_keys(quotes)):
        repeated[row] = first.setdefault(key, row) != row
    return repeated
