"""The charts of a fitted option chain: smiles, term structure, variance, residuals, surface."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from plimsoll.app.report.charts import Chart
from plimsoll.app.report.style import INK, MUTED, dress_figure
from plimsoll.app.vol import DAYS_PER_YEAR, ExpiryFigures, FittedChain, vol_points
from plimsoll.core import Bools, Floats, format_time
from plimsoll.market.surface import QuoteFlag, svi_total_variance

_FIT, _QUOTE, _SPREAD, _DROPPED = "#d55e00", "#0072b2", "#9db4c8", "#8f98a5"
# Near to far expiries, dark to light, and still dark enough for white paper.
_NEAR_TO_FAR = ("#2d1160", "#3b528b", "#21918c", "#5ab55a", "#c9a800")
_VOL_SCALE = ((0.0, "#f4f7fb"), (0.25, "#bcd3ea"), (0.5, "#6ea3cf"), (0.75, "#2f6ba8"),
              (1.0, "#12305c"))  # fmt: skip
_RATIO_TICKS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 10)
_COLUMNS = 3
_PANEL_HEIGHT = 220
_POINTS = 121
_PANEL_DEVIATIONS = 4.0
_SURFACE_DEVIATIONS = 3.0
_NEAR_DEVIATIONS = 2.0


def draw_vol_charts(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> tuple[Chart, ...]:
    """All charts, in the order of reading; ``rows`` are the chain's expiry figures."""
    rows = tuple(row for row in rows if row.row is not None)
    return (
        _draw_smiles(fitted, rows),
        _draw_terms(rows),
        _draw_surface(fitted, rows),
        _draw_variance(fitted, rows),
        _draw_residuals(fitted, rows),
    )


def _draw_smiles(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> Chart:
    lines = math.ceil(len(rows) / _COLUMNS)
    height = lines * _PANEL_HEIGHT + 90
    figure = make_subplots(
        rows=lines,
        cols=_COLUMNS,
        subplot_titles=[
            f"<b>{_day(row)}</b>  {row.days:.1f} d · ATM {vol_points(row.at_money, 1)} %"
            for row in rows
        ],
        vertical_spacing=68 / height,
        horizontal_spacing=0.055,
    )
    dress_figure(figure, height)
    figure.update_annotations(font={"size": 12.5, "color": INK}, yshift=2)
    for i, row in enumerate(rows):
        _draw_panel(figure, i, fitted, row)
    figure.update_xaxes(tickformat=",.3~s", nticks=6)
    figure.update_yaxes(nticks=5)
    figure.update_layout(
        hovermode="closest", margin={"l": 46, "t": 66},
        legend={"y": 1.0 + 30 / (height - 130)},
    )  # fmt: skip
    caption = (
        "Implied vol in per cent over the strike, one frame per expiry; each has its own scales. "
        "The dotted line is the forward. Blue dots are the listed marks that were fitted, grey "
        "crosses those that were not."
    )
    if np.isfinite(fitted.chain.bid_vol).any():
        caption += " Bars span bid to ask vol of the out-of-the-money options."
    return Chart("smiles", "Smiles", caption, False, figure)


def _draw_panel(figure: Any, i: int, fitted: FittedChain, row: ExpiryFigures) -> None:
    chain, fit = fitted.chain, fitted.fit
    at = {"row": i // _COLUMNS + 1, "col": i % _COLUMNS + 1}
    mine = chain.quotes.expiry_ns == row.expiry_ns
    used = mine & (fit.flag == QuoteFlag.USED)
    raw, time = fit.surface.raw[row.row], fit.surface.time[row.row]
    reach = _PANEL_DEVIATIONS * row.at_money * math.sqrt(time)
    low, high = (float(np.clip(k, -reach, reach)) for k in (fit.k[used].min(), fit.k[used].max()))
    pad = 0.04 * (high - low)
    k = np.linspace(low - pad, high + pad, _POINTS)
    vol = 100.0 * np.sqrt(svi_total_variance(raw, k) / time)
    strike = row.forward * np.exp(k)
    inside = (fit.k >= k[0]) & (fit.k <= k[-1])
    shown = 100.0 * np.append(vol / 100.0, chain.quotes.vol[used & inside])
    bottom, top = float(shown.min()), float(shown.max())
    margin = 0.12 * (top - bottom) + 0.5
    _draw_spreads(figure, at, chain_bars(fitted, used & inside), i == 0)
    for name, those, marker in (
        ("not fitted", mine & ~used & inside, {"symbol": "x-thin", "size": 6.5,
                                               "line": {"color": _DROPPED, "width": 1.4}}),
        ("fitted mark", used & inside, {"color": _QUOTE, "size": 4.5}),
    ):  # fmt: skip
        _draw_marks(figure, at, fitted, those, name, marker, i == 0)
    figure.add_scatter(
        x=strike, y=vol, mode="lines", name="fit", legendgroup="fit", showlegend=i == 0,
        line={"color": _FIT, "width": 1.8}, hoverinfo="skip", **at,
    )  # fmt: skip
    figure.add_vline(x=row.forward, line={"color": MUTED, "width": 1, "dash": "dot"}, **at)
    figure.update_yaxes(range=[max(bottom - margin, 0.0), top + margin], **at)
    figure.update_xaxes(range=[strike[0], strike[-1]], **at)


def _draw_marks(
    figure: Any, at: Any, fitted: FittedChain, those: Bools, name: str, marker: Any, first: bool
) -> None:
    quotes = fitted.chain.quotes
    reasons = [
        f"{'call' if is_call else 'put'}, {QuoteFlag(flag).name.lower().replace('_', ' ')}"
        for is_call, flag in zip(quotes.is_call[those], fitted.fit.flag[those], strict=True)
    ]
    figure.add_scatter(
        x=quotes.strike[those], y=100.0 * quotes.vol[those], customdata=reasons, mode="markers",
        name=name, legendgroup=name, showlegend=first, marker=marker,
        hovertemplate="%{x:,} %{customdata}: %{y:.2f} %<extra></extra>", **at,
    )  # fmt: skip


def chain_bars(fitted: FittedChain, those: Bools) -> tuple[Floats, Floats]:
    """Strikes and bid and ask vols of out-of-the-money quotes, as lines broken by NaN."""
    chain = fitted.chain
    those = those & (chain.quotes.is_call == (fitted.fit.k >= 0))
    those &= np.isfinite(chain.bid_vol) & np.isfinite(chain.ask_vol)
    strike, gap = chain.quotes.strike[those], np.full(int(those.sum()), np.nan)
    vols = np.stack([chain.bid_vol[those], chain.ask_vol[those], gap], axis=1)
    return np.repeat(strike, 3), 100.0 * vols.ravel()


def _draw_spreads(figure: Any, at: Any, bars: tuple[Floats, Floats], first: bool) -> None:
    if bars[0].size == 0 and not first:
        return
    figure.add_scatter(
        x=bars[0], y=bars[1], mode="lines", name="bid to ask", legendgroup="spread",
        showlegend=first and bars[0].size > 0, line={"color": _SPREAD, "width": 2.5},
        hoverinfo="skip", **at,
    )  # fmt: skip


def _draw_terms(rows: tuple[ExpiryFigures, ...]) -> Chart:
    figure = make_subplots(cols=2, horizontal_spacing=0.09)
    dress_figure(figure, 340)
    days = [row.days for row in rows]
    at_money = np.array([row.at_money for row in rows])
    reversal = np.array([row.risk_reversal for row in rows])
    butterfly = np.array([row.butterfly for row in rows])
    for column, name, vol, colour, dash in (
        (1, "25-delta put", at_money + butterfly - reversal / 2, "#aa4499", "dot"),
        (1, "at the money", at_money, INK, "solid"),
        (1, "25-delta call", at_money + butterfly + reversal / 2, "#117733", "dot"),
        (2, "risk reversal", reversal, "#0072b2", "solid"),
        (2, "butterfly", butterfly, "#d55e00", "solid"),
    ):
        figure.add_scatter(
            x=days, y=100.0 * vol, name=name, mode="lines+markers", row=1, col=column,
            line={"color": colour, "width": 1.8, "dash": dash}, marker={"size": 5},
            hovertemplate="%{y:.2f}",
        )  # fmt: skip
    _log_days(figure.update_xaxes, days)
    figure.update_xaxes(title_text="days to expiry", hoverformat=".1f")
    figure.update_yaxes(title_text="vol (%)", col=1)
    figure.update_yaxes(title_text="vol points", col=2)
    figure.add_hline(y=0, line={"color": MUTED, "width": 1, "dash": "dot"}, row=1, col=2)
    caption = "Read off the fitted smiles; the risk reversal is call less put, both of 25 delta."
    return Chart("terms", "Term structure", caption, False, figure)


def _draw_surface(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> Chart:
    surface, fit = fitted.fit.surface, fitted.fit
    figure = go.Figure()
    dress_figure(figure, 470)
    time = np.geomspace(surface.time[0], surface.time[-1], _POINTS)
    zero = np.zeros(_POINTS)
    width = np.sqrt(surface.total_variance(time, zero))
    x = np.linspace(-_SURFACE_DEVIATIONS, _SURFACE_DEVIATIONS, _POINTS)
    k = width[:, None] * x
    vol = np.sqrt(surface.total_variance(time[:, None], k) / time[:, None])
    strike = surface.forward_at(time)[:, None] * np.exp(k)
    figure.add_contour(
        x=x, y=time * DAYS_PER_YEAR, z=100.0 * vol, customdata=strike,
        colorscale=[list(stop) for stop in _VOL_SCALE], line={"color": "white", "width": 0.8},
        contours={"showlabels": True, "labelfont": {"size": 11, "color": INK}}, ncontours=18,
        colorbar={"title": {"text": "vol (%)", "side": "right"}, "thickness": 14,
                  "outlinewidth": 0},
        hovertemplate="%{y:.1f} days, strike %{customdata:,.4s}: %{z:.1f} %<extra></extra>",
    )  # fmt: skip
    used = fit.flag == QuoteFlag.USED
    at = np.searchsorted(surface.expiry_ns, fitted.chain.quotes.expiry_ns[used])
    at_money = np.sqrt(svi_total_variance(surface.raw, np.zeros(surface.time.size)))
    deviations = fit.k[used] / at_money[at]
    near = np.abs(deviations) <= _SURFACE_DEVIATIONS
    figure.add_scatter(
        x=deviations[near], y=surface.time[at][near] * DAYS_PER_YEAR, mode="markers",
        marker={"color": INK, "size": 2.5, "opacity": 0.55}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_layout(hovermode="closest", showlegend=False)
    figure.update_xaxes(title_text="standard deviations from the forward", zeroline=False,
                        range=[-_SURFACE_DEVIATIONS, _SURFACE_DEVIATIONS])  # fmt: skip
    _log_days(figure.update_yaxes, [row.days for row in rows])
    figure.update_yaxes(title_text="days to expiry")
    caption = (
        "Implied vol between and at the expiries; dots are the quotes that hold it. A standard "
        "deviation is the vol at the forward times the root of the time."
    )
    return Chart("surface", "The surface", caption, False, figure)


def _draw_variance(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> Chart:
    surface = fitted.fit.surface
    figure = go.Figure()
    dress_figure(figure, 470)
    colours = _expiry_colours(len(rows))
    for row, colour in zip(rows, colours, strict=True):
        raw, time = surface.raw[row.row], surface.time[row.row]
        reach = _PANEL_DEVIATIONS * row.at_money * math.sqrt(time)
        k = np.linspace(-reach, reach, _POINTS)
        figure.add_scatter(
            x=np.exp(k), y=svi_total_variance(raw, k), mode="lines", name=_day(row),
            line={"color": colour, "width": 1.8},
            hovertemplate=f"{_day(row)}: strike %{{x:.3f}} forwards, %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        hovermode="closest", margin={"r": 120},
        legend={"orientation": "v", "x": 1.01, "y": 1.0, "yanchor": "top",
                "traceorder": "reversed"},
    )  # fmt: skip
    quoted = fitted.fit.k[fitted.fit.flag == QuoteFlag.USED]
    ends = [float(np.quantile(quoted, share)) / math.log(10.0) for share in (0.01, 0.99)]
    figure.update_xaxes(
        title_text="strike / forward", type="log", tickvals=_RATIO_TICKS, range=ends
    )
    figure.update_yaxes(title_text="total variance, vol² × years", type="log",
                        exponentformat="power", dtick=1)  # fmt: skip
    caption = (
        "Total variance of each expiry to four standard deviations, over the strikes where nearly "
        "all quotes lie. A later expiry below an "
        "earlier one would be calendar arbitrage: the lines must not cross."
    )
    return Chart("variance", "Total variance", caption, False, figure)


def _draw_residuals(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> Chart:
    surface, fit, quotes = fitted.fit.surface, fitted.fit, fitted.chain.quotes
    figure = go.Figure()
    dress_figure(figure, 400)
    figure.add_shape(type="rect", x0=-_NEAR_DEVIATIONS, x1=_NEAR_DEVIATIONS, y0=-1, y1=1,
                     fillcolor="#eef3f8", line={"width": 0}, layer="below")  # fmt: skip
    errors = []
    for row, colour in zip(rows, _expiry_colours(len(rows)), strict=True):
        used = (fit.flag == QuoteFlag.USED) & (quotes.expiry_ns == row.expiry_ns)
        time = surface.time[row.row]
        vol = np.sqrt(svi_total_variance(surface.raw[row.row], fit.k[used]) / time)
        error = 100.0 * (quotes.vol[used] - vol)
        errors.append(error)
        figure.add_scatter(
            x=fit.k[used] / (row.at_money * math.sqrt(time)), y=error, mode="markers",
            name=_day(row), marker={"color": colour, "size": 5, "opacity": 0.85},
            customdata=quotes.strike[used],
            hovertemplate=f"{_day(row)} %{{customdata:,}}: %{{y:+.2f}}<extra></extra>",
        )  # fmt: skip
    every = np.abs(np.concatenate(errors))
    top = max(1.3, 1.2 * float(np.quantile(every, 0.95)))
    figure.update_layout(
        hovermode="closest", margin={"r": 120},
        legend={"orientation": "v", "x": 1.01, "y": 1.0, "yanchor": "top"},
    )  # fmt: skip
    figure.update_xaxes(title_text="standard deviations from the forward", zeroline=False)
    figure.update_yaxes(title_text="mark less fit (vol points)", range=[-top, top])
    caption = "Errors of the fit. Shaded: one vol point within two standard deviations."
    outside = int((every > top).sum())
    if outside:
        caption += f" {outside} of {every.size:,} lie outside the frame, the furthest at "
        caption += f"{every.max():.1f} points."
    return Chart("residuals", "Residuals", caption, False, figure)


def _day(row: ExpiryFigures) -> str:
    return format_time(row.expiry_ns)[:10]


def _expiry_colours(count: int) -> list[str]:
    return list(sample_colorscale(list(_NEAR_TO_FAR), np.linspace(0.0, 1.0, max(count, 2))))[:count]


def _log_days(update_axes: Any, days: list[float]) -> None:
    ticks = [0.25, 0.5, 1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730]
    span = [math.log10(days[0] * 0.9), math.log10(days[-1] * 1.1)]
    update_axes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks], range=span)
