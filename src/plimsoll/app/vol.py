"""An option chain file to a fitted surface, and the figures of each expiry."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plimsoll.connectors.deribit import OptionChain, TimeSource, read_option_chain
from plimsoll.core import Bools, InputError, format_time, parse_time
from plimsoll.market.surface import QuoteFlag, years_between
from plimsoll.pricing.arbitrage import ArbitrageReport
from plimsoll.pricing.forwards import ForwardSource
from plimsoll.pricing.quotes import QuoteRules, describe_flags, unchanged
from plimsoll.pricing.smile import smile_figures
from plimsoll.pricing.surface import ChainFit, fit_chain

DELTA = 0.25
DAYS_PER_YEAR = 365.0
MODEL_NAMES = ("SVI", "eSSVI")
"""By ``SliceModel``."""


@dataclass(frozen=True, slots=True)
class FittedChain:
    """One snapshot of a chain file and its fit.

    ``name`` is the underlying, or the file where its rows do not name one; the snapshot is the
    ``number``-th of ``count``, from 1.
    """

    path: Path
    name: str
    number: int
    count: int
    chain: OptionChain
    fit: ChainFit


@dataclass(frozen=True, slots=True)
class ExpiryFigures:
    """One expiry of a fitted chain.

    Vols, risk reversal, butterfly (25-delta) and root mean square error are fractions a year
    (0.01 = one vol point), NaN, like ``forward``, where nothing was fitted; then ``row``, the
    expiry's row in the surface, is None. ``dropped`` has reasons and counts of the quotes not
    fitted; ``arbitrage`` has kinds and counts of violations.
    """

    expiry_ns: int
    days: float
    forward: float
    forward_source: str
    used: int
    dropped: tuple[tuple[str, int], ...]
    at_money: float
    risk_reversal: float
    butterfly: float
    rmse: float
    model: str
    arbitrage: tuple[tuple[str, int], ...]
    row: int | None


def fit_chain_file(path: Path, time_ns: int | None, snapshot: str | None) -> FittedChain:
    """Fits the surface of one snapshot of a chain file.

    ``time_ns`` is that of a file which does not tell its own. ``snapshot`` is a number from 1
    or a time, meaning the last snapshot that is not after it; None is the last one. Raises
    InputError where there is no such snapshot or nothing in it can be fitted.
    """
    chains = read_option_chain(path, time_ns)
    if time_ns is not None and chains[0].time_source != TimeSource.CALLER:
        raise InputError("--time", f"{path} tells its own times", "choose one with --snapshot")
    number = len(chains) if snapshot is None else _snapshot_number(chains, snapshot)
    chain = chains[number - 1]
    name = chain.underlying or path.name
    fit = fit_chain(name, chain.time_ns, chain.quotes, _stale(chains, number, path), QuoteRules())
    return FittedChain(path, name, number, len(chains), chain, fit)


def time_remark(fitted: FittedChain) -> str:
    """How the snapshot's time is known, where that is not a matter of course; else empty."""
    chain = fitted.chain
    if chain.time_source == TimeSource.INFERRED:
        minutes = chain.time_error_ns / 60e9
        return f"Its time is inferred from its marks and vols, ± {minutes:.1f} minutes."
    if fitted.count > 1:
        return f"Snapshot {fitted.number} of {fitted.count}."
    return ""


def expiry_figures(fitted: FittedChain) -> tuple[ExpiryFigures, ...]:
    """The figures of every expiry of the chain, in order of time."""
    fit, quotes = fitted.fit, fitted.chain.quotes
    surface, forwards = fit.surface, fit.forwards
    vols = smile_figures(surface.raw, surface.time, DELTA)
    days = years_between(surface.time_ns, forwards.expiry_ns) * DAYS_PER_YEAR
    # The last row is that of expiries of which nothing was fitted.
    figures = (*vols, surface.rmse)
    at_money, risk_reversal, butterfly, rmse = (np.append(f, np.nan) for f in figures)
    rows = {expiry: row for row, expiry in enumerate(surface.expiry_ns.tolist())}
    found = []
    for i, expiry in enumerate(forwards.expiry_ns.tolist()):
        row = rows.get(expiry)
        at = -1 if row is None else row
        flags = np.bincount(fit.flag[quotes.expiry_ns == expiry], minlength=len(QuoteFlag))
        found.append(
            ExpiryFigures(
                expiry_ns=expiry,
                days=float(days[i]),
                forward=float(forwards.forward[i]),
                forward_source=ForwardSource(forwards.source[i]).name.lower(),
                used=int(flags[QuoteFlag.USED]),
                dropped=tuple(item for item in describe_flags(flags) if item[0] != "used"),
                at_money=float(at_money[at]),
                risk_reversal=float(risk_reversal[at]),
                butterfly=float(butterfly[at]),
                rmse=float(rmse[at]),
                model="" if row is None else MODEL_NAMES[surface.model[row]],
                arbitrage=() if row is None else _violations(fit.arbitrage, row),
                row=row,
            )
        )
    return tuple(found)


def overall_rmse(fitted: FittedChain) -> float:
    """Root mean square error of all quotes within two standard deviations, as a fraction."""
    surface = fitted.fit.surface
    count = surface.quotes_near
    known = count > 0
    squares = surface.rmse[known] ** 2 @ count[known]
    return float(np.sqrt(squares / count.sum())) if known.any() else float("nan")


def vol_points(vol: float, decimals: int) -> str:
    """A vol in per cent, or a difference of vols in points: ``52.3`` for 0.523; a dash for NaN."""
    return f"{100.0 * vol:.{decimals}f}".replace("-", "−") if math.isfinite(vol) else "—"


def arbitrage_words(row: ExpiryFigures) -> str:
    """``none``, or kinds and counts of violations; a dash where nothing was fitted."""
    if row.row is None:
        return "—"
    return ", ".join(f"{kind} {count}" for kind, count in row.arbitrage) or "none"


def _violations(report: ArbitrageReport, row: int) -> tuple[tuple[str, int], ...]:
    """Kinds and counts of the violations of one expiry, with those against the one before."""
    counts = [
        ("butterfly", report.butterfly_violations[row]),
        ("wing", report.wing_violations[row]),
    ]
    if row > 0:
        counts.append(("calendar", report.calendar_violations[row - 1]))
        counts.append(("between", report.between_violations[row - 1]))
    return tuple((kind, int(count)) for kind, count in counts if count)


def _snapshot_number(chains: tuple[OptionChain, ...], text: str) -> int:
    first, last = (format_time(chain.time_ns) for chain in (chains[0], chains[-1]))
    remedy = f"give a number from 1 to {len(chains)}, or a time from {first} to {last}"
    if re.fullmatch(r"\d+", text, re.ASCII):
        number = int(text)
    else:
        time_ns = parse_time(text, "--snapshot")
        number = sum(chain.time_ns <= time_ns for chain in chains)
    if not 1 <= number <= len(chains):
        raise InputError("--snapshot", f"there is none at '{text[:40]}'", remedy)
    return number


def _stale(chains: tuple[OptionChain, ...], number: int, path: Path) -> Bools:
    """Quotes that repeat the snapshot before to the last digit."""
    quotes = chains[number - 1].quotes
    if number == 1:
        return np.zeros(quotes.strike.size, dtype=np.bool_)
    stale: Bools = unchanged(quotes, chains[number - 2].quotes)
    if stale.all():
        where = f"{path}: snapshot {number}"
        raise InputError(where, "repeats the one before to the last digit", "choose another one")
    return stale
