"""The parts of a page that opens offline: frame, header, tiles and charts as HTML text."""

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from plimsoll.app.report.charts import Chart

# The browser itself then refuses to load anything from outside.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_TILE_CHARACTERS_MAX = 18


def render_frame(title: str, body: Iterable[str], has_charts: bool = True) -> str:
    """The whole page, about 5 MB where it has charts: plotly.js is inside. ``body`` is HTML."""
    drawing = f"<script>{get_plotlyjs()}</script>" if has_charts else ""
    behaviour = f"<script>{_asset('page.js')}</script>" if has_charts else ""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_asset('page.css')}</style>",
            drawing,
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            behaviour,
            "</body>",
            "</html>",
            "",
        )
    )


def render_header(title: str, subtitle: str, summary: str) -> str:
    """Title, a line below it and a paragraph, all plain text."""
    return (
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="subtitle">{escape(subtitle)}</p>'
        f'<p class="summary">{_prose(summary)}</p></header>'
    )


def render_tiles(figures: tuple[tuple[str, str], ...]) -> str:
    """Labels and values: short ones as tiles, long ones, such as digests, in a list below."""
    tiles: list[str] = []
    lines: list[str] = []
    for label, value in figures:
        item = f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
        (tiles if len(value) <= _TILE_CHARACTERS_MAX else lines).append(item)
    kinds = (("tiles", tiles), ("digests", lines))
    return "\n".join(f'<dl class="{kind}">{"".join(items)}</dl>' for kind, items in kinds if items)


def render_chart(chart: Chart) -> str:
    """A section with the chart's heading, figure and caption."""
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


def render_notes(notes: Iterable[str]) -> str:
    """A section with a list of remarks, nothing where there are none."""
    items = "".join(f"<li>{escape(' '.join(note.split()))}</li>" for note in notes)
    heading = "<h2>Notes and assumptions</h2>"
    return f'<section id="notes">{heading}<ul>{items}</ul></section>' if items else ""


def _asset(name: str) -> str:
    return files("plimsoll.app.report").joinpath(name).read_text(encoding="utf-8")


def _prose(text: str) -> str:
    """Escaped, and with the times marked so that no line breaks inside one."""
    return _MINUTE.sub(r"<time>\g<0></time>", escape(text))
