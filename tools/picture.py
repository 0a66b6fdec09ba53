"""Draw the picture in the README: ``python -m tools.picture``.

The built-in crash is replayed as ``plimsoll demo`` does it, and half of its first day is drawn as
one SVG. Numbers have fixed digits, so the same figures give the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from plimsoll.app.cli.replay import DEMO_STEP_NS, INSURANCE_FUND_SHARE
from plimsoll.app.replay import ReplayRequest, run_replay
from plimsoll.app.report import ReplayStory
from plimsoll.app.report.buckets import BAR_NS_MIN, gather_ticks
from plimsoll.app.report.style import FUND, GRID, INK, MUTED, STATUS_COLOURS, style_symbols
from plimsoll.app.story import story_of
from plimsoll.core import NS_PER_SECOND, Floats, Int64s, Status, format_time, parse_time
from plimsoll.simulation import crash_path, crash_table

PICTURE_PATH = Path(__file__).resolve().parent.parent / "docs" / "picture.svg"
ACCOUNTS, SEED = 10_000, 7

START_NS = parse_time("2025-10-10T12:00:00Z", "start")
END_NS = parse_time("2025-10-11T00:00:00Z", "end")
TARIFF_POST_NS = parse_time("2025-10-10T14:57:00Z", "tariff post")
"""The one moment that the path takes from a published clock."""
HOUR_NS = 3600 * NS_PER_SECOND
THOUSAND, MILLION = 1e3, 1e6

WIDTH, HEIGHT = 900, 640
LEFT, RIGHT = 58, 780
"""Where the plots begin and end; lines are named to the right of it."""
TOPS, PANEL_HEIGHT = (98, 286, 474), 128
NAME_GAP = 16.0
SUBTITLE = "Generated accounts on the built-in price path; model plimsoll.standard; times are UTC"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: its upper edge in pixels, and the values from its lower to its upper edge."""

    top: float
    ticks: Sequence[float]

    def y(self, value: float) -> float:
        """Pixels from the top of the picture."""
        low, high = self.ticks[0], self.ticks[-1]
        return self.top + PANEL_HEIGHT * (high - value) / (high - low)


@dataclass(frozen=True, slots=True)
class Name:
    """What stands at the right end of a line, ``y`` pixels from the top."""

    y: float
    text: str
    colour: str


def replay_crash() -> ReplayStory:
    """The demonstration's story as far as it is drawn: same path, same book, same seed."""
    whole = crash_path(crash_table(), SEED, DEMO_STEP_NS)
    drawn = whole.time_ns <= END_NS
    path = replace(whole, time_ns=whole.time_ns[drawn], price=whole.price[drawn])
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "picture.db"
        request = ReplayRequest(path, ACCOUNTS, SEED, journal, INSURANCE_FUND_SHARE)
        return story_of(run_replay(request, lambda _tick, _outcome: None), "picture")


def draw(story: ReplayStory) -> str:
    """The picture as SVG text. The story must cover the hours that are drawn."""
    accounts = int(story.status_counts[0].sum())
    heading = f"10 October 2025, replayed on a book of {accounts:,} accounts"
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" {size} font-family="{FONT}">',
        f"<title>{escape(heading)}</title>",
        f'<rect {size} rx="10" fill="#ffffff"/>',
        _text(24, 36, heading, INK, size=19),
        _text(24, 57, SUBTITLE, MUTED),
        *_draw_prices(story, TOPS[0]),
        *_draw_liquidations(story, TOPS[1]),
        *_draw_fund(story, TOPS[2]),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _draw_prices(story: ReplayStory, top: float) -> Iterator[str]:
    rows = _drawn(story)
    time_ns = story.time_ns[rows]
    styles = style_symbols(story)
    # Instruments of one asset share its price here: the first stands for all.
    columns = {style.group: k for k, style in reversed(tuple(enumerate(styles)))}
    lines = [
        (asset, styles[k].colour, 100.0 * story.price[rows, k] / story.price[0, k])
        for asset, k in sorted(columns.items(), key=lambda item: item[1])
    ]
    every = np.concatenate([values for *_, values in lines])
    panel = Panel(top, nice_ticks(float(every.min()), float(every.max())))
    yield from _frame(panel, "Prices, midnight = 100")
    at = _x(TARIFF_POST_NS)
    yield _line(at, top, at, top + PANEL_HEIGHT, MUTED, "2 3")
    yield _text(at + 6, top + PANEL_HEIGHT - 8, "14:57 tariff post", MUTED, size=12)
    for _, colour, values in lines:
        points = [(_x(int(t)), panel.y(v)) for t, v in zip(time_ns, values, strict=True)]
        yield _path("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points), colour)
    yield from _names(
        [
            Name(panel.y(values[-1]), f"{asset} {values[-1]:.0f}, low {values.min():.0f}", colour)
            for asset, colour, values in lines
        ]
    )


def _draw_liquidations(story: ReplayStory, top: float) -> Iterator[str]:
    bars = gather_ticks(story.time_ns, BAR_NS_MIN)
    amount = np.add.reduceat(story.liquidated_notional, bars.first_row) / MILLION
    shown = np.flatnonzero((bars.start_ns >= START_NS) & (bars.start_ns < END_NS))
    total = amount.sum(axis=1)
    panel = Panel(top, nice_ticks(0.0, float(total[shown].max())))
    yield from _frame(
        panel, f"Liquidated notional, million USD per {bars.width_name}, colours as above"
    )
    styles = style_symbols(story)
    colours = {style.group: style.colour for style in styles}
    width = _x(START_NS + bars.width_ns) - _x(START_NS)
    for row in shown:
        base = 0.0
        for group, colour in colours.items():
            part = sum(amount[row, k] for k, style in enumerate(styles) if style.group == group)
            if part > 0.0:
                height = panel.y(base) - panel.y(base + part)
                yield _bar(_x(int(bars.start_ns[row])), panel.y(base + part), width, height, colour)
            base += part
    peak = int(shown[np.argmax(total[shown])])
    start_ns = int(bars.start_ns[peak])
    ticks = (story.time_ns >= start_ns) & (story.time_ns < start_ns + bars.width_ns)
    failing = story.status_counts[ticks][:, [Status.LIQUIDATABLE, Status.BANKRUPT]].sum(axis=1)
    for number, text in enumerate((
        f"{total[peak]:.1f} million from {format_time(start_ns)[11:16]} on;",
        f"{failing.max():,} accounts fail at one price",
    )):  # fmt: skip
        yield _text(
            _x(start_ns) - 10, panel.y(total[peak]) + 12 + 17 * number, text, INK,
            size=12, anchor="end",
        )  # fmt: skip


def _draw_fund(story: ReplayStory, top: float) -> Iterator[str]:
    rows = _drawn(story)
    start = float(story.insurance_fund[0])
    lines = (
        ("fund", FUND, (story.insurance_fund[rows] - start) / THOUSAND),
        ("losses", STATUS_COLOURS[Status.BANKRUPT], story.bad_debt[rows] / THOUSAND),
    )
    every = np.concatenate([values for *_, values in lines])
    panel = Panel(top, nice_ticks(float(every.min()), float(every.max())))
    yield from _frame(
        panel,
        f"Insurance fund since midnight (it began with {start / MILLION:.2f} million), and losses "
        "past zero equity, thousand USD",
    )
    for _, colour, values in lines:
        yield _path(_steps(story.time_ns[rows], values, panel), colour)
    yield from _names(
        [
            Name(panel.y(values[-1]), f"{text} {_number(round(values[-1]))}", colour)
            for text, colour, values in lines
        ]
    )


def nice_ticks(low: float, high: float) -> tuple[float, ...]:
    """Three to seven round values, evenly spaced, from at most ``low`` to at least ``high``."""
    raw = (high - low) / 4
    power = 10.0 ** floor(log10(raw))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= raw)
    return tuple(step * k for k in range(floor(low / step), ceil(high / step) + 1))


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved down, in their order, until neighbours are at least ``gap`` apart."""
    moved: list[float] = []
    for position in sorted(positions):
        moved.append(max(position, moved[-1] + gap) if moved else position)
    ranks = np.argsort(np.argsort(positions, kind="stable"), kind="stable")
    return [moved[rank] for rank in ranks]


def _drawn(story: ReplayStory) -> Int64s:
    return np.flatnonzero((story.time_ns >= START_NS) & (story.time_ns <= END_NS))


def _x(time_ns: int) -> float:
    return LEFT + (RIGHT - LEFT) * (time_ns - START_NS) / (END_NS - START_NS)


def _frame(panel: Panel, heading: str) -> Iterator[str]:
    """Heading, horizontal grid with values, and the hours below."""
    yield _text(24, panel.top - 12, heading, INK, size=14)
    for value in panel.ticks:
        y, colour = panel.y(value), MUTED if value == 0.0 else GRID
        yield _line(LEFT, y, RIGHT, y, colour)
        yield _text(LEFT - 8, y + 4, _number(value), MUTED, size=12, anchor="end")
    bottom = panel.top + PANEL_HEIGHT
    for time_ns in range(START_NS, END_NS + 1, 2 * HOUR_NS):
        yield _line(_x(time_ns), bottom, _x(time_ns), bottom + 4, MUTED)
        clock = format_time(time_ns)[11:16]
        yield _text(_x(time_ns), bottom + 18, clock, MUTED, size=12, anchor="middle")


def _names(names: Sequence[Name]) -> Iterator[str]:
    for name, y in zip(names, spread([name.y for name in names], NAME_GAP), strict=True):
        yield _text(RIGHT + 8, y + 4, name.text, name.colour)


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _text(x: float, y: float, text: str, colour: str, size: int = 13, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text, quote=False)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "none") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}" height="{height:.1f}" '
        f'fill="{colour}"/>'
    )


def _steps(time_ns: Int64s, values: Floats, panel: Panel) -> str:
    """Path data where each value holds until the next; what does not move adds nothing."""
    data = f"M{_x(int(time_ns[0])):.1f},{panel.y(values[0]):.1f}"
    for row in 1 + np.flatnonzero(np.diff(values)):
        data += f" H{_x(int(time_ns[row])):.1f} V{panel.y(values[row]):.1f}"
    return data + f" H{_x(int(time_ns[-1])):.1f}"


def _path(data: str, colour: str) -> str:
    return f'<path d="{data}" fill="none" stroke="{colour}" stroke-width="2"/>'


if __name__ == "__main__":
    PICTURE_PATH.parent.mkdir(exist_ok=True)
    PICTURE_PATH.write_text(draw(replay_crash()), encoding="utf-8")
    print(PICTURE_PATH)
