"""The charts: columns of a story in, plotly figures with captions out."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from plimsoll.app.report.buckets import (
    BAR_NS_MIN,
    TICKS_MAX,
    Buckets,
    extreme_rows,
    gather_ticks,
)
from plimsoll.app.report.story import ReplayStory
from plimsoll.app.report.style import (
    ASSETS_MAX,
    BEFORE,
    FUND,
    INK,
    MUTED,
    STATUS_COLOURS,
    SymbolStyle,
    dress_figure,
    style_symbols,
)
from plimsoll.app.report.text import format_minute, format_usd
from plimsoll.core import Floats, Int64s, Status

RATIO_MAX = 1.5
"""Margin ratios from here on share the last bar."""

_RATIO_STEP = 0.05
_NS_PER_MS = 1_000_000
_MONEY_AXIS = (
    ("tickprefix", "$"),
    ("exponentformat", "B"),
    ("minexponent", 3),
    ("rangemode", "tozero"),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A plotly figure with its words. ``key`` is unique on the page; ``caption`` is plain text.

    Charts that ``share_time`` zoom together.
    """

    key: str
    heading: str
    caption: str
    share_time: bool
    figure: Any


def draw_charts(story: ReplayStory) -> tuple[Chart, ...]:
    """All charts, in the order of reading."""
    styles = style_symbols(story)
    return (
        _draw_prices(story, styles),
        _draw_statuses(story),
        _draw_liquidations(story, styles),
        _draw_insurance(story),
        _draw_ratios(story),
    )


def _draw_prices(story: ReplayStory, styles: tuple[SymbolStyle, ...]) -> Chart:
    figure = _time_figure(story, (1.0,), 340)
    missing = []
    for column, style in enumerate(styles):
        price = story.price[:, column]
        known = price[np.isfinite(price)]
        if known.size == 0:
            missing.append(style.label)
            continue
        rows = _line_rows(story.time_ns, price)
        figure.add_scatter(
            x=_milliseconds(story.time_ns[rows]),
            y=100.0 * price[rows] / known[0],
            customdata=price[rows],
            name=escape(style.label, quote=False),
            mode=_line_mode(story),
            line={"color": style.colour, "dash": style.dash, "width": 1.8},
            hovertemplate="%{y:.1f}  (price %{customdata:,})",
        )
    figure.add_hline(y=100, line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text="price, start = 100")
    caption = "Mark prices, each divided by its own first price and shown in per cent of it."
    if any(style.group == "others" for style in styles):
        caption += f" Grey: all but the {ASSETS_MAX} assets with most liquidated notional."
    if missing:
        caption += f" No price was seen for {', '.join(missing)}."
    caption += _gathering(story, "its lowest and its highest price")
    return Chart("prices", "Prices", caption, True, figure)


def _draw_statuses(story: ReplayStory) -> Chart:
    figure = _time_figure(story, (0.68, 0.32), 440)
    time_ns, counts = story.time_ns, story.status_counts
    if time_ns.size > TICKS_MAX:
        buckets = gather_ticks(time_ns, 0)
        time_ns, counts = buckets.start_ns, np.maximum.reduceat(counts, buckets.first_row, axis=0)
    for status, colour in STATUS_COLOURS.items():
        figure.add_scatter(
            row=1,
            col=1,
            x=_milliseconds(time_ns),
            y=counts[:, status],
            name=status.name.replace("_", " ").lower(),
            mode=_line_mode(story),
            line={"color": colour, "width": 0.5, "shape": "hv"},
            fillcolor=colour,
            stackgroup="status",
            hovertemplate="%{y:,}",
        )
    bars = gather_ticks(story.time_ns, BAR_NS_MIN)
    calls = np.add.reduceat(story.margin_calls, bars.first_row)
    colour = STATUS_COLOURS[Status.MARGIN_CALL]
    figure.add_trace(_bars(bars, calls, "margin calls", colour, "%{y:,}"), row=2, col=1)
    figure.data[-1].showlegend = False
    figure.update_yaxes(title_text="accounts", tickformat=",", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="margin calls", tickformat=",", rangemode="tozero", row=2, col=1)
    ok, total = counts[:, Status.OK], int(story.status_counts[0].sum())
    caption = (
        f"Accounts whose status is not OK as found at each price, before the engine acts; below, "
        f"margin calls sent per {bars.width_name}. OK is not drawn: {ok[0]:,} of {total:,} "
        "accounts at the start, "
        f"{story.status_counts[:, Status.OK].min():,} at the fewest, {ok[-1]:,} at the end."
    )
    caption += _gathering(story, "each status at its highest count")
    return Chart("statuses", "Accounts by status", caption, True, figure)


def _draw_liquidations(story: ReplayStory, styles: tuple[SymbolStyle, ...]) -> Chart:
    figure = _time_figure(story, (1.0,), 340)
    bars = gather_ticks(story.time_ns, BAR_NS_MIN)
    sums = np.add.reduceat(story.liquidated_notional, bars.first_row, axis=0)
    groups = dict.fromkeys(style.group for style in styles)
    for group in sorted(groups, key="others".__eq__):
        members = [column for column, style in enumerate(styles) if style.group == group]
        name, colour = escape(group, quote=False), styles[members[0]].colour
        amount = sums[:, members].sum(axis=1)
        figure.add_trace(_bars(bars, amount, name, colour, "$%{y:,.0f}"))
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title_text="liquidated notional (USD)", **dict(_MONEY_AXIS))
    per_bar = sums.sum(axis=1)
    caption = f"Notional closed by liquidation per {bars.width_name}, stacked by asset; "
    if per_bar.any():
        peak = int(np.argmax(np.nan_to_num(per_bar)))
        caption += (
            f"{format_usd(per_bar.sum())} in all, {format_usd(per_bar[peak])} of it in the "
            f"{bars.width_name} from {format_minute(int(bars.start_ns[peak]))} UTC."
        )
    else:
        caption += "nothing was liquidated."
    return Chart("liquidations", "Liquidated notional by asset", caption, True, figure)


def _draw_insurance(story: ReplayStory) -> Chart:
    figure = _time_figure(story, (0.5, 0.5), 400)
    debt_colour = STATUS_COLOURS[Status.BANKRUPT]
    lines = (
        (1, story.insurance_fund, "insurance fund", "fund", FUND),
        (2, story.bad_debt, "losses past zero equity", "losses", debt_colour),
    )
    for row, amount, name, short_name, colour in lines:
        drawn = _line_rows(story.time_ns, amount)
        figure.add_scatter(
            row=row,
            col=1,
            x=_milliseconds(story.time_ns[drawn]),
            y=amount[drawn],
            name=name,
            mode=_line_mode(story),
            line={"color": colour, "width": 1.8, "shape": "hv"},
            fill="tozeroy",
            hovertemplate="$%{y:,.0f}",
        )
        figure.update_yaxes(title_text=f"{short_name} (USD)", row=row, col=1, **dict(_MONEY_AXIS))
    caption = (
        f"The fund goes from {format_usd(story.insurance_fund[0])} to "
        f"{format_usd(story.insurance_fund[-1])}; losses past zero equity, "
        "which it pays, come to "
        f"{format_usd(story.bad_debt[-1])} at the end. The two have scales of their own."
    )
    caption += _gathering(story, "the lowest and the highest amount")
    return Chart("insurance", "Insurance fund and losses past zero equity", caption, True, figure)


def _draw_ratios(story: ReplayStory) -> Chart:
    figure = go.Figure()
    edges = np.arange(round(RATIO_MAX / _RATIO_STEP) + 2) * _RATIO_STEP
    sides = (
        ("before", story.margin_ratio_before, {"color": BEFORE}),
        (
            "after",
            story.margin_ratio_after,
            {"color": "rgba(0,0,0,0)", "line": {"color": INK, "width": 1.4}},
        ),
    )
    for name, ratio, marker in sides:
        known = ratio[~np.isnan(ratio)]
        # A negative ratio is a negative collateral value: past any line there is.
        clipped = np.where(known < 0.0, np.inf, known).clip(max=RATIO_MAX + _RATIO_STEP / 2)
        figure.add_bar(
            x=edges[:-1] + _RATIO_STEP / 2,
            y=np.histogram(clipped, edges)[0],
            width=_RATIO_STEP,
            name=name,
            marker=marker,
            hovertemplate="%{y:,}",
        )
    figure.add_vline(
        x=1.0,
        line={"color": STATUS_COLOURS[Status.LIQUIDATABLE], "width": 2},
        annotation={"text": "1 = liquidation", "yanchor": "bottom", "y": 1.0},
        annotation_position="top",
    )
    dress_figure(figure, 340)
    figure.update_layout(legend_traceorder="normal")
    ticks = np.arange(0.0, RATIO_MAX, 0.25)
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(
        title_text="margin ratio (maintenance margin / collateral value)",
        range=[0.0, edges[-1]],
        tickvals=[*ticks, RATIO_MAX + _RATIO_STEP / 2],
        ticktext=[*(f"{tick:g}" for tick in ticks), f"≥ {RATIO_MAX:g}"],
        hoverformat=".3f",
    )
    figure.update_yaxes(title_text="pools (log scale)", type="log", dtick=1, tickformat=",")
    return Chart("ratios", "Margin ratios before and after", _ratio_caption(story), False, figure)


def _ratio_caption(story: ReplayStory) -> str:
    before, after = story.margin_ratio_before, story.margin_ratio_after
    caption = (
        f"Pools of collateral that hold positions: {before.size:,} before, {after.size:,} after; "
        f"a pool closed out has no ratio. Bars are {_RATIO_STEP:g} wide. The last bar gathers "
        f"every ratio from {RATIO_MAX:g} on, also the infinite ones of pools without collateral "
        f"value: {_count_beyond(before):,} before, {_count_beyond(after):,} after."
    )
    unknown = int(np.isnan(before).sum() + np.isnan(after).sum())
    return caption + (f" {unknown:,} unknown ratios are not drawn." if unknown else "")


def _count_beyond(ratio: Floats) -> int:
    return int(np.count_nonzero((ratio >= RATIO_MAX) | (ratio < 0.0)))


def _line_rows(time_ns: Int64s, values: Floats) -> Int64s:
    """Every row, or the extremes and both ends of a story too long for that."""
    if time_ns.size <= TICKS_MAX:
        return np.arange(time_ns.size, dtype=np.int64)
    ends = np.array([0, time_ns.size - 1], dtype=np.int64)
    return np.union1d(extreme_rows(values, gather_ticks(time_ns, 0)), ends)


def _line_mode(story: ReplayStory) -> str:
    """A line through one point is invisible."""
    return "lines" if story.time_ns.size > 1 else "lines+markers"


def _gathering(story: ReplayStory, kept: str) -> str:
    if story.time_ns.size <= TICKS_MAX:
        return ""
    width_name = gather_ticks(story.time_ns, 0).width_name
    return f" {story.time_ns.size:,} ticks are drawn as {kept} per {width_name}."


def _milliseconds(time_ns: Int64s) -> Floats:
    return time_ns / _NS_PER_MS


def _bars(buckets: Buckets, heights: Any, name: str, colour: str, hover: str) -> Any:
    return go.Bar(
        x=_milliseconds(buckets.start_ns),
        y=heights,
        width=buckets.width_ns / _NS_PER_MS,
        offset=0,
        name=name,
        marker={"color": colour, "line": {"width": 0}},
        hovertemplate=hover,
    )


def _time_figure(story: ReplayStory, row_heights: tuple[float, ...], height: int) -> Any:
    """Empty rows over one time axis, the same span in every chart."""
    figure = make_subplots(
        rows=len(row_heights),
        shared_xaxes=True,
        row_heights=list(row_heights),
        vertical_spacing=0.09,
    )
    dress_figure(figure, height)
    figure.update_layout(legend_traceorder="normal")
    bars = gather_ticks(story.time_ns, BAR_NS_MIN)
    span_ns = np.array([bars.start_ns[0], bars.start_ns[-1] + bars.width_ns])
    figure.update_xaxes(
        type="date",
        range=list(_milliseconds(span_ns)),
        hoverformat="%Y-%m-%d %H:%M:%S UTC",
        showspikes=True,
        spikemode="across",
        spikethickness=1,
        spikecolor=MUTED,
        spikedash="dot",
    )
    figure.update_xaxes(title_text="time (UTC)", title_standoff=22, row=len(row_heights))
    return figure
