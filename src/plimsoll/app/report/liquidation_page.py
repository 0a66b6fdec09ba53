"""Liquidation prices as one HTML file that opens offline."""

import math
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from plimsoll.app.liquidation import Line, PoolStudy, draw_curve
from plimsoll.app.report.charts import Chart
from plimsoll.app.report.frame import (
    render_chart,
    render_frame,
    render_header,
    render_notes,
    render_tiles,
)
from plimsoll.app.report.style import FUND, INK, MUTED, STATUS_COLOURS, dress_figure
from plimsoll.app.report.text import format_minute
from plimsoll.core import InputError, Status
from plimsoll.liquidation.prices import FACTOR_MAX, Crossing, LiquidationPrice

NOTES = (
    """A liquidation price is where the whole pool becomes liquidatable: its maintenance margin
    reaches its collateral value, or its equity falls below zero.""",
    """Everything on the asset moves with it: its perpetuals, futures and forwards in proportion,
    options at their own volatility, coins as collateral. All other prices stay, and so do
    volatilities, positions and orders.""",
    """Assets that move together do so by their betas of log returns; the price told is that of
    the first.""",
    f"""Prices are searched between 1/{FACTOR_MAX:,.0f} and {FACTOR_MAX:,.0f} times today's. None
    means that no price there liquidates the pool.""",
)
_COLUMNS = ("Pool", "Along", "Price", "Down", "Move", "Up", "Move", "Status")
_WORDS = frozenset({"Pool", "Along", "Status"})
_CHARTS_MAX = 24
_VALUE, _NEED = "#0072b2", "#d55e00"


def write_liquidation_report(studies: tuple[PoolStudy, ...], as_of_ns: int, path: Path) -> None:
    """Writes the page. Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(render_liquidation_report(studies, as_of_ns), encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise InputError(str(path), problem, "choose another --html") from error


def render_liquidation_report(studies: tuple[PoolStudy, ...], as_of_ns: int) -> str:
    """The page as text; the same studies give the same text."""
    title = "Liquidation prices"
    drawn = [
        (study, line)
        for study in studies
        for line in study.lines
        if line.price.status != Status.UNKNOWN and math.isfinite(line.price.price)
    ]
    charts = [
        _draw_line(number, study, line) for number, (study, line) in enumerate(drawn[:_CHARTS_MAX])
    ]
    notes = list(NOTES)
    if len(drawn) > _CHARTS_MAX:
        notes.append(f"Of {len(drawn)} charts the first {_CHARTS_MAX} are drawn.")
    notes += dict.fromkeys(
        f"{study.name}: {assumption}."
        for study in studies
        for line in study.lines
        for assumption in line.price.assumptions
    )
    return render_frame(
        title,
        (
            render_header(title, f"{format_minute(as_of_ns)} UTC", _summary(studies)),
            render_tiles(_tiles(studies)),
            _table(studies),
            *(render_chart(chart) for chart in charts),
            render_notes(notes),
        ),
    )


def _nearest(studies: tuple[PoolStudy, ...]) -> tuple[PoolStudy, Line, Crossing] | None:
    found = [
        (study, *study.nearest)
        for study in studies
        if study.nearest is not None and study.now.status < Status.LIQUIDATABLE
    ]
    return min(found, key=lambda one: abs(math.log(one[2].factor)), default=None)


def _summary(studies: tuple[PoolStudy, ...]) -> str:
    past = [study.name for study in studies if study.now.status >= Status.LIQUIDATABLE]
    unknown = [study.name for study in studies if study.now.status == Status.UNKNOWN]
    nearest = _nearest(studies)
    words = []
    if past:
        words.append(f"To be liquidated now: {', '.join(past)}.")
    if unknown:
        words.append(f"Unknown, for want of a price or a rule: {', '.join(unknown)}.")
    if nearest is not None:
        study, line, crossing = nearest
        name, price = line.price.direction.name, _figure(crossing.price)
        words.append(f"The nearest: {study.name}, with {name} at {price} ({crossing.move:+.2%}).")
    elif not past and not unknown:
        words.append("No price of these assets liquidates any pool.")
    return " ".join(words)


def _tiles(studies: tuple[PoolStudy, ...]) -> tuple[tuple[str, str], ...]:
    nearest = _nearest(studies)
    counts = [sum(study.now.status == status for study in studies) for status in Status]
    return (
        ("Pools", f"{len(studies):,}"),
        ("Liquidatable or bankrupt", f"{counts[Status.LIQUIDATABLE] + counts[Status.BANKRUPT]:,}"),
        ("Margin calls", f"{counts[Status.MARGIN_CALL]:,}"),
        ("Unknown", f"{counts[Status.UNKNOWN]:,}"),
        ("Nearest move", f"{nearest[2].move:+.2%}" if nearest else "none"),
    )


def _draw_line(number: int, study: PoolStudy, line: Line) -> Chart:
    """Collateral value, maintenance and excess margin over price, the borders marked."""
    curve, price = draw_curve(study, line), line.price
    figure = go.Figure()
    dress_figure(figure, 360)
    for values, name, colour, width in (
        (curve.excess_margin, "excess margin", INK, 2.4),
        (curve.collateral_value, "collateral value", _VALUE, 1.4),
        (curve.maintenance_margin, "maintenance margin", _NEED, 1.4),
    ):
        figure.add_scatter(
            x=curve.price, y=values, mode="lines", name=name,
            line={"color": colour, "width": width}, hovertemplate="%{y:,.0f}",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": MUTED, "width": 1})
    figure.add_vline(x=price.price, line={"color": FUND, "width": 1, "dash": "dot"})
    shown = [
        crossing
        for crossing in price.crossings
        if curve.price[0] <= crossing.price <= curve.price[-1]
    ]
    for crossing in shown:
        figure.add_vline(x=crossing.price, line={
            "color": STATUS_COLOURS[Status.UNKNOWN if crossing.beyond == Status.UNKNOWN
                                    else Status.LIQUIDATABLE], "width": 1.6})  # fmt: skip
    low, high = float(curve.price[0]), float(curve.price[-1])
    figure.update_xaxes(type="log", range=[math.log10(low), math.log10(high)],
                        tickvals=_ticks(low, high), tickformat="~s",
                        title_text=f"price of {price.direction.assets[0]}")  # fmt: skip
    figure.update_yaxes(title_text="USD", exponentformat="B", minexponent=3)
    words = [
        f"{_figure(crossing.price)} ({crossing.move:+.2%}), safe "
        f"{'above' if crossing.is_safe_above else 'below'}"
        for crossing in price.crossings
    ]
    caption = f"Liquidated at {'; '.join(words)}." if words else "No price liquidates the pool."
    caption += " The dotted line is today's price."
    heading = f"{study.name}: {price.direction.name}"
    return Chart(f"line-{number}", heading, caption, False, figure)


def _ticks(low: float, high: float) -> list[float]:
    """Round prices: 1, 2, 5 or, on a short axis, even steps."""
    if high < 4.0 * low:
        step = 10.0 ** math.floor(math.log10((high - low) / 4.0))
        step *= next(m for m in (1.0, 2.0, 5.0, 10.0) if (high - low) / (step * m) <= 7.0)
        return [float(tick) for tick in np.arange(math.ceil(low / step), high / step) * step]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]


def _table(studies: tuple[PoolStudy, ...]) -> str:
    head = "".join(
        f'<th scope="col"{"" if name in _WORDS else _NUMBER}>{name}</th>' for name in _COLUMNS
    )
    rows = "".join(_row(study, line) for study in studies for line in study.lines)
    return (
        '<section id="prices"><h2>Prices</h2><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


_NUMBER = ' class="number"'


def _row(study: PoolStudy, line: Line) -> str:
    price = line.price
    cells = [_figure(price.price), *_border(price, price.down), *_border(price, price.up)]
    numbers = "".join(f"<td{_NUMBER}>{cell}</td>" for cell in cells)
    status = study.now.status.name.replace("_", " ").lower()
    return (
        f'<tr><th scope="row">{escape(study.name)}</th><td>{escape(price.direction.name)}</td>'
        f"{numbers}<td>{status}</td></tr>"
    )


def _border(price: LiquidationPrice, crossing: Crossing | None) -> tuple[str, str]:
    if price.status == Status.UNKNOWN:
        return "unknown", "—"
    if crossing is None:
        return "none", "—"
    return _figure(crossing.price), f"{crossing.move:+.2%}"


def _figure(value: float) -> str:
    if math.isnan(value):
        return "—"
    return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.7g}"
