"""A fitted option chain as one HTML file that opens offline."""

import math
from html import escape
from pathlib import Path

from plimsoll.app.report.frame import (
    render_chart,
    render_frame,
    render_header,
    render_notes,
    render_tiles,
)
from plimsoll.app.report.text import format_minute
from plimsoll.app.report.vol_charts import draw_vol_charts
from plimsoll.app.vol import (
    ExpiryFigures,
    FittedChain,
    arbitrage_words,
    expiry_figures,
    overall_rmse,
    time_remark,
    vol_points,
)
from plimsoll.core import InputError, format_time

NOTES = (
    """Volatilities are Black-76 on the forward, a year having 365 days, in per cent; a vol point
    is one per cent of volatility.""",
    """Forwards are the venue's own where the rows carry them (given), else from put-call parity of
    the marks (parity), else from listed deltas (delta), else between those of their neighbours
    (interpolated).""",
    """Risk reversal is the vol of the 25-delta call less that of the 25-delta put, butterfly their
    mean less the vol at the forward; delta is N(d1). All are read off the fit, also where no
    quote reaches that far.""",
    """RMSE is over the quotes within two standard deviations of the forward, all alike; the fit
    itself gives those less weight whose vol half a tick of price blurs.""",
    """Arbitrage is looked for on a fine grid to five standard deviations: negative density at the
    expiries (butterfly) and between them (between), total variance that falls with time
    (calendar), and wings steeper than any density allows (wing).""",
)
_COLUMNS = ("Expiry", "Quotes", "Days", "Forward", "At the money", "Risk reversal", "Butterfly",
            "RMSE", "From", "Model", "Arbitrage")  # fmt: skip
_WORDS = frozenset({"Expiry", "Quotes", "From", "Model", "Arbitrage"})
_NUMBER = ' class="number"'


def write_vol_report(fitted: FittedChain, path: Path) -> None:
    """Writes ``render_vol_report(fitted)``. Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(render_vol_report(fitted), encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise InputError(str(path), problem, "choose another --html") from error


def render_vol_report(fitted: FittedChain) -> str:
    """The page as text; the same fit gives the same text."""
    rows = expiry_figures(fitted)
    title = f"Volatility surface of {fitted.name}"
    taken = f"{format_minute(fitted.chain.time_ns)} UTC"
    subtitle = " ".join(filter(None, (f"{fitted.path.name} at {taken}.", time_remark(fitted))))
    return render_frame(
        title,
        (
            render_header(title, subtitle, _summary(rows)),
            render_tiles(_tiles(fitted, rows)),
            *(render_chart(chart) for chart in draw_vol_charts(fitted, rows)),
            _table(rows),
            render_notes(NOTES),
        ),
    )


def _summary(rows: tuple[ExpiryFigures, ...]) -> str:
    fitted = [row for row in rows if row.row is not None]
    first, last = fitted[0], fitted[-1]
    text = f"At-the-money volatility is {vol_points(first.at_money, 1)} % at {first.days:.1f} days"
    if len(fitted) > 1:
        text += f" and {vol_points(last.at_money, 1)} % at {last.days:.0f} days"
    flagged = [format_time(row.expiry_ns)[:10] for row in fitted if row.arbitrage]
    if flagged:
        return f"{text}. The surface is NOT free of arbitrage: see {', '.join(flagged)}."
    return f"{text}. No arbitrage was found in the surface."


def _tiles(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> tuple[tuple[str, str], ...]:
    used = sum(row.used for row in rows)
    known = [row for row in rows if math.isfinite(row.risk_reversal)]
    steepest = max(known, key=lambda row: abs(row.risk_reversal))
    violations = fitted.fit.arbitrage.violations
    return (
        ("Expiries fitted", str(sum(row.row is not None for row in rows))),
        ("Quotes fitted", f"{used:,} of {fitted.fit.flag.size:,}"),
        ("RMSE, vol points", vol_points(overall_rmse(fitted), 2)),
        ("Arbitrage violations", f"{violations:,}" if violations else "none"),
        (f"Steepest skew, {steepest.days:.0f} d", vol_points(steepest.risk_reversal, 1)),
    )


def _table(rows: tuple[ExpiryFigures, ...]) -> str:
    head = "".join(
        f'<th scope="col"{"" if name in _WORDS else _NUMBER}>{name}</th>' for name in _COLUMNS
    )
    body = "".join(_row(row) for row in rows)
    return (
        '<section id="expiries"><h2>Expiries</h2><table class="expiries"><thead>'
        f"<tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        '<p class="caption">Vol figures in per cent or vol points. Quotes: fitted of listed; '
        "under them why the others were not.</p></section>"
    )


def _row(row: ExpiryFigures) -> str:
    listed = row.used + sum(count for _, count in row.dropped)
    reasons = ", ".join(f"{count} {reason}" for reason, count in row.dropped)
    small = f"<br><small>{escape(reasons)}</small>" if reasons else ""
    forward = f"{row.forward:,.2f}" if math.isfinite(row.forward) else "—"
    vols = ((row.at_money, 1), (row.risk_reversal, 2), (row.butterfly, 2), (row.rmse, 2))
    numbers = "".join(f"<td{_NUMBER}>{vol_points(vol, digits)}</td>" for vol, digits in vols)
    return (
        f'<tr><th scope="row">{format_time(row.expiry_ns)[:10]}</th>'
        f"<td>{row.used} of {listed}{small}</td><td{_NUMBER}>{row.days:.1f}</td>"
        f"<td{_NUMBER}>{forward}</td>{numbers}<td>{row.forward_source}</td>"
        f"<td>{row.model or '—'}</td><td>{escape(arbitrage_words(row))}</td></tr>"
    )
