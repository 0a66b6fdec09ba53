"""The page: charts, tiles and a table put into one HTML text."""

import re
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from plimsoll.app.report.buckets import BAR_NS_MIN, gather_ticks
from plimsoll.app.report.charts import Chart, draw_charts
from plimsoll.app.report.story import Casualty, ReplayStory
from plimsoll.app.report.style import style_symbols
from plimsoll.app.report.text import format_minute, format_number, format_usd
from plimsoll.core import InputError

# The browser itself then refuses to load anything from outside.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_TILE_CHARACTERS_MAX = 18
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
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(story.title)}</title>",
            f"<style>{_asset('page.css')}</style>",
            f"<script>{get_plotlyjs()}</script>",
            "</head>",
            "<body>",
            "<main>",
            _header(story),
            _tiles(story.figures),
            *(_section(chart) for chart in draw_charts(story)),
            _casualty_table(story.casualties),
            _notes(story.notes),
            "</main>",
            f"<script>{_asset('page.js')}</script>",
            "</body>",
            "</html>",
            "",
        )
    )


def _asset(name: str) -> str:
    return files("plimsoll.app.report").joinpath(name).read_text(encoding="utf-8")


def _header(story: ReplayStory) -> str:
    return (
        f"<header><h1>{escape(story.title)}</h1>"
        f'<p class="subtitle">{escape(story.subtitle)}</p>'
        f'<p class="summary">{_prose(summarize(story))}</p></header>'
    )


def _prose(text: str) -> str:
    """Escaped, and with the times marked so that no line breaks inside one."""
    return _MINUTE.sub(r"<time>\g<0></time>", escape(text))


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


def _tiles(figures: tuple[tuple[str, str], ...]) -> str:
    """Short values as tiles; long ones, such as digests, in a list below them."""
    tiles: list[str] = []
    lines: list[str] = []
    for label, value in figures:
        item = f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
        (tiles if len(value) <= _TILE_CHARACTERS_MAX else lines).append(item)
    kinds = (("tiles", tiles), ("digests", lines))
    return "\n".join(f'<dl class="{kind}">{"".join(items)}</dl>' for kind, items in kinds if items)


def _section(chart: Chart) -> str:
    # One engine by name: whether a faster one is installed must not change the bytes.
    data = to_json_plotly(chart.figure, engine="json")
    shared = " data-shares-time" if chart.share_time else ""
    height = chart.figure.layout.height
    return (
        f'<section id="{chart.key}"><h2>{escape(chart.heading)}</h2><figure>'
        f'<div class="chart" id="{chart.key}-chart" style="height:{height}px"{shared}></div>'
        f"<figcaption>{_prose(chart.caption)}</figcaption></figure>"
        f'<script type="application/json" id="{chart.key}-chart-data">{data}</script></section>'
    )


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


def _notes(notes: tuple[str, ...]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section id="notes"><h2>Notes and assumptions</h2><ul>{items}</ul></section>'
