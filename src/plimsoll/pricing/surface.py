"""A volatility surface from a chain: forwards, clean quotes, slices free of arbitrage."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s, Int64s
from plimsoll.market.surface import (
    QuoteFlag,
    SliceModel,
    Surface,
    svi_total_variance,
    years_between,
)
from plimsoll.pricing.arbitrage import ArbitrageReport, scan_surface
from plimsoll.pricing.forwards import Forwards, chain_forwards, quote_forwards
from plimsoll.pricing.quotes import (
    OptionQuotes,
    QuoteRules,
    count_flags,
    flag_quotes,
    half_tick_vol_error,
)
from plimsoll.pricing.ssvi import EssviSlice, fit_essvi_slice, raw_from_essvi
from plimsoll.pricing.svi import Corridor, Smile, fit_svi_slice

VOL_POINT = 0.01
NEAR_DEVIATIONS = 2.0
# Beyond them weight falls like a normal density of half a deviation: what is far out hardly
# shows in prices, and must not cost fit where it does.
FAR_DECAY = 2.0
SCAN_POINTS = 1001
SCAN_DEVIATIONS = 5.0
# The error every quote has, beside what half a tick adds: half a vol point.
VOL_ERROR_FLOOR = 0.005


@dataclass(frozen=True, slots=True)
class ChainFit:
    """A fitted chain: surface, scan for arbitrage, forwards; ``flag`` (a ``QuoteFlag``) and

    ``k`` (log-moneyness) per quote.
    """

    surface: Surface
    arbitrage: ArbitrageReport
    forwards: Forwards
    flag: Int8s
    k: Floats


def fit_chain(
    underlying: str, time_ns: int, quotes: OptionQuotes, stale: Bools, rules: QuoteRules
) -> ChainFit:
    """The surface of a chain at ``time_ns``: forwards, then clean quotes, then the slices.

    ``stale`` marks quotes known to repeat an earlier chain, shape [quotes]. A quote weighs by
    the inverse square of its error: half a vol point and what half a tick of price adds.
    Raises InputError if no quote is left.
    """
    forwards = chain_forwards(quotes, time_ns)
    forward = quote_forwards(quotes, forwards)
    flag = flag_quotes(quotes, time_ns, forward, stale, rules)
    used = flag == QuoteFlag.USED
    if not used.any():
        raise InputError(
            f"option chain of {underlying}",
            "has no quote that can be fitted",
            "give quotes with a price and a volatility that have not expired",
        )
    error = np.nan_to_num(half_tick_vol_error(quotes, time_ns, forward), nan=0.0, posinf=1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        k = np.log(quotes.strike / forward)
    weight = VOL_ERROR_FLOOR**2 / (VOL_ERROR_FLOOR**2 + error * error)
    keep = np.isin(forwards.expiry_ns, quotes.expiry_ns[used])
    surface = fit_surface(
        underlying,
        time_ns,
        forwards.expiry_ns[keep],
        forwards.forward[keep],
        SurfaceQuotes(quotes.expiry_ns[used], k[used], quotes.vol[used], weight[used]),
        count_flags(flag),
    )
    report = scan_surface(surface, SCAN_POINTS, SCAN_DEVIATIONS)
    return ChainFit(surface, report, forwards, flag, k)


@dataclass(frozen=True, slots=True)
class SurfaceQuotes:
    """What a fit sees, shape [quotes]: expiry, log-moneyness, vol (fraction), weight (of the

    squared error in vol; 1 for a good quote).
    """

    expiry_ns: Int64s
    k: Floats
    vol: Floats
    weight: Floats


def fit_surface(
    underlying: str,
    time_ns: int,
    expiry_ns: Int64s,
    forward: Floats,
    quotes: SurfaceQuotes,
    flag_counts: Int64s,
) -> Surface:
    """Fit one slice per expiry, free of butterfly and calendar arbitrage.

    ``expiry_ns`` and ``forward`` have shape [expiries], increasing and later than ``time_ns``.
    First an eSSVI surface, guaranteed slice by slice from the nearest expiry on; then each
    slice again as raw SVI between its neighbours, where that fits better and passes the
    density scan. ``flag_counts`` is carried into the surface.
    """
    time = years_between(time_ns, expiry_ns)
    smiles = [
        _smile(quotes, quotes.expiry_ns == e, t) for e, t in zip(expiry_ns, time, strict=True)
    ]
    guaranteed = _guaranteed_slices(smiles)
    raw, model = _overlay(smiles, guaranteed)
    errors = [_vol_errors(s, r, t) for s, r, t in zip(smiles, raw, time, strict=True)]
    return Surface(
        underlying=underlying,
        time_ns=time_ns,
        expiry_ns=expiry_ns,
        time=time,
        forward=forward,
        raw=raw,
        model=model,
        rmse=np.array([np.sqrt(np.mean(e * e)) if e.size else np.nan for e in errors]),
        quotes=np.array([s.k.size for s in smiles], dtype=np.int64),
        quotes_near=np.array([e.size for e in errors], dtype=np.int64),
        flag_counts=flag_counts,
    )


def _smile(quotes: SurfaceQuotes, rows: Bools, time: float) -> Smile:
    """One expiry's quotes; an error in w is one in vol points times 2 vol T."""
    k, vol = quotes.k[rows], quotes.vol[rows]
    order = np.argsort(k)
    deviation = np.interp(0.0, k[order], vol[order]) * np.sqrt(time)
    beyond = np.maximum(np.abs(k) / deviation - NEAR_DEVIATIONS, 0.0)
    # The nearest quote has full weight, so that a smile of far quotes only is fitted too.
    beyond -= beyond.min()
    per_point = 2.0 * vol * time * VOL_POINT
    weight = quotes.weight[rows] * np.exp(-FAR_DECAY * beyond * beyond)
    return Smile(k, vol * vol * time, weight / (per_point * per_point))


def _guaranteed_slices(smiles: list[Smile]) -> Floats:
    """eSSVI slices as raw SVI, [expiries, 5], each after the one before."""
    near: EssviSlice | None = None
    slices = []
    for smile in smiles:
        near = fit_essvi_slice(smile.k, smile.w, smile.weight, near)
        slices.append(near)
    return raw_from_essvi(*np.array(slices).T)


def _overlay(smiles: list[Smile], guaranteed: Floats) -> tuple[Floats, Int8s]:
    """Raw slices [expiries, 5] and their ``SliceModel``.

    Two passes, each slice between its neighbours of the moment: outwards in time with the
    guaranteed slices as ceilings, then back, where a slice uses the room its successor found.
    """
    # Beyond the ends: no variance before, and three times the vol, out of reach, after.
    floor = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    ceiling = guaranteed[-1] * np.array([9.0, 9.0, 1.0, 1.0, 1.0])
    slices = np.vstack([floor, guaranteed, ceiling])
    model = np.full(len(smiles), SliceModel.ESSVI, dtype=np.int8)
    outwards = range(1, len(smiles) + 1)
    for i in (*outwards, *reversed(outwards)):
        corridor = Corridor(slices[i - 1], slices[i + 1], slices[i])
        slices[i], better = fit_svi_slice(smiles[i - 1], corridor)
        if better:
            model[i - 1] = SliceModel.SVI
    return slices[1:-1], model


def _vol_errors(smile: Smile, raw: Floats, time: float) -> Floats:
    """Errors in vol of the quotes within two standard deviations of the money."""
    deviation = np.sqrt(svi_total_variance(raw, np.zeros(1))[0])
    near = np.abs(smile.k) <= NEAR_DEVIATIONS * deviation
    fitted = svi_total_variance(raw, smile.k[near])
    return np.asarray(np.sqrt(fitted / time) - np.sqrt(smile.w[near] / time))
