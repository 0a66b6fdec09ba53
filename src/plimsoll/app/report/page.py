"""The page: charts, tiles and a table put into one HTML text."""

from html import escape
from pathlib import Path

import numpy as np

from plimsoll.app.report.buckets import BAR_NS_MIN, gather_ticks
from plimsoll.app.report.charts import draw_charts
from plimsoll.app.report.frame import (
    render_chart,
    render_frame,
    render_header,
    render_notes,
    render_tiles,
)
from plimsoll.app.report.story import Casualty, ReplayStory
from plimsoll.app.report.style import style_symbols
from plimsoll.app.report.text import format_minute, format_number, format_usd
from plimsoll.core import InputError

_COLUMNS = (
    "Account",
    "Time (UTC)",
    "Notional",
    "Equity before",
    "Equity at liquidation",
    "Deficit",
    "Why it fell",
)


def write_report(story: ReplayStory, path: Path) -> None:
    """Writes ``render_report(story)``. Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(render_report(story), encoding="utf-8")
    except OSError as error:
        raise InputError(
            str(path), f"cannot be written ({error.strerror})", "choose another --report"
        ) from error


def render_report(story: ReplayStory) -> str:
    """The whole page, about 5 MB: plotly.js is inside. The same story gives the same text."""
    return render_frame(
        story.title,
        (
            render_header(story.title, story.subtitle, summarize(story)),
            render_tiles(story.figures),
            *(render_chart(chart) for chart in draw_charts(story)),
            _casualty_table(story.casualties),
            render_notes(story.notes),
        ),
    )


def summarize(story: ReplayStory) -> str:
    """The story in one paragraph of plain text."""
    first, last = format_minute(int(story.time_ns[0])), format_minute(int(story.time_ns[-1]))
    ticks = story.time_ns.size
    sentences = [f"From {first} to {last} UTC: {ticks:,} price update{'s' if ticks > 1 else ''}."]
    sentences += _deepest_fall(story)
    bars = gather_ticks(story.time_ns, BAR_NS_MIN)
    notional = np.add.reduceat(story.liquidated_notional.sum(axis=1), bars.first_row)
    total = notional.sum()
    if total > 0.0:
        peak = int(np.argmax(notional))
        sentences.append(
            f"Liquidations closed {format_usd(total)} of notional, {notional[peak] / total:.0%} of "
            f"it in the {bars.width_name} from {format_minute(int(bars.start_ns[peak]))}."
        )
    fund, debt = story.insurance_fund, story.bad_debt
    sentences.append(
        f"The insurance fund went from {format_usd(fund[0])} to {format_usd(fund[-1])}; "
        + (
            f"accounts lost {format_usd(debt[-1])} more than they had."
            if debt[-1]
            else "no account lost more than it had."
        )
    )
    return " ".join(sentences)


def _deepest_fall(story: ReplayStory) -> list[str]:
    """The symbol that fell furthest below its first price; nothing where none has a price."""
    falls = []
    for style, price in zip(style_symbols(story), story.price.T, strict=True):
        known = np.flatnonzero(np.isfinite(price))
        if known.size:
            row = int(known[np.argmin(price[known])])
            falls.append((price[row] / price[known[0]] - 1.0, style.label, row))
    if not falls or min(falls)[0] >= 0.0:
        return []
    change, label, row = min(falls)
    when = format_minute(int(story.time_ns[row]))
    return [f"{label} fell furthest: {-change:.1%} below its start at {when}."]


def _casualty_table(casualties: tuple[Casualty, ...]) -> str:
    if not casualties:
        body = "<p>No account was liquidated.</p>"
    else:
        head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
        rows = "".join(_casualty_row(casualty) for casualty in casualties)
        body = (
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            '<p class="caption">Amounts in USD. Equity before is that at the start of the replay; '
            "the deficit is what the account could not pay.</p>"
        )
    return f'<section id="casualties"><h2>The worst accounts</h2>{body}</section>'


def _casualty_row(casualty: Casualty) -> str:
    amounts = (
        casualty.notional,
        casualty.equity_before,
        casualty.equity_at_liquidation,
        casualty.deficit,
    )
    numbers = "".join(f'<td class="number">{format_number(amount)}</td>' for amount in amounts)
    return (
        f'<tr><th scope="row">{escape(casualty.account)}</th>'
        f'<td class="time">{format_minute(casualty.time_ns)}</td>{numbers}'
        f"<td>{escape(casualty.why)}</td></tr>"
    )
