"""docs/performance.md and its chart, written from the lines of a run; nothing by hand."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import ceil, floor, log10
from pathlib import Path
from types import MappingProxyType

from benchmarks.lines import Line, figure

INTRODUCTION = """\
# Performance

Written by `make bench`; nothing on this page is written by hand. Every line was measured beside
a named peer and beside the least that the machine could need, in turns, in one process, on the
machine named below. *x peer* and *x limit* are speeds over speeds: above 1 is faster, and a limit
ratio of 0.25 says that the work took four times what the machine's own pace allows. Accuracy is
the largest relative difference to the peer's figures. Machines differ and are noisy: run it on
yours.
"""
CHART = "growth.svg"
TIMES = ("us", "ms")
"""Units of what is drawn."""
SERIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "growth.tick": ("one tick", "#2563eb"),
        "growth.far": ("tick, 100,000 near", "#f97316"),
        "growth.fill": ("one fill", "#059669"),
        "growth.sweep": ("one sweep", "#6b7280"),
    }
)
"""What a curve is called, and its colour."""
INK, MUTED, GRID = "#111827", "#6b7280", "#e5e7eb"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 70, 600, 60, 330
SVG = "http://www.w3.org/2000/svg"


def write_report(lines: Sequence[Line], claims: Mapping[str, str], folder: Path) -> None:
    """Write the page, and the chart where growth was measured, into a folder.

    ``claims`` maps a benchmark's name, the part of a line's name before the first dot, to what
    it shows.
    """
    parts = [INTRODUCTION, machine_text(), ""]
    growth = [line for line in lines if line.name.startswith("growth.") and line.unit in TIMES]
    if growth:
        (folder / CHART).write_text(draw_growth(growth), encoding="utf-8")
        parts += [f"![Microseconds per tick, fill and sweep by accounts]({CHART})", ""]
    for name, claim in claims.items():
        rows = [line for line in lines if line.name.split(".")[0] == name]
        if rows:
            parts += [f"## {name}", "", claim, "", *_table(rows), ""]
    (folder / "performance.md").write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def machine_text() -> str:
    """The machine and what ran on it, in one paragraph."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "llvmlite"))
    return (
        f"Machine: {_processor()}, {os.cpu_count()} logical cores, {memory_gib:.0f} GiB memory; "
        f"{platform.system()}, Python {platform.python_version()}, {packages}.\n"
    )


def _processor() -> str:
    """The processor's own name, and the widest vectors it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(row.split(":", 1) for row in text.splitlines() if ":" in row)
    values = {key.strip(): value.strip() for key, value in fields.items()}
    flags = values.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    return f"{values.get('model name', platform.machine())} ({widest})"


def _table(rows: Sequence[Line]) -> list[str]:
    head = ["| measure | value | unit | peer | x peer | x limit | accuracy |"]
    rule = ["|---|---:|---|---|---:|---:|---:|"]
    return head + rule + [_row(line) for line in rows]


def _row(line: Line) -> str:
    accuracy = "–" if line.accuracy is None else f"{line.accuracy:.1g}"
    cells = (
        line.name.split(".", 1)[-1], figure(line.value), line.unit, line.peer,
        figure(line.ratio_peer), figure(line.ratio_limit), accuracy,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def draw_growth(lines: Sequence[Line]) -> str:
    """Microseconds by accounts, both axes logarithmic, as SVG text.

    A line is named growth.<what>.<accounts>; its unit is us or ms.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        what, accounts = line.name.rsplit(".", 1)
        microseconds = line.value * (1e3 if line.unit == "ms" else 1.0)
        series.setdefault(what, []).append((int(accounts), microseconds))
    points = [point for each in series.values() for point in each]
    columns = sorted({accounts for accounts, _ in points})
    low = floor(log10(min(value for _, value in points)))
    high = max(ceil(log10(max(value for _, value in points))), low + 1)
    first, last = log10(columns[0]), max(log10(columns[-1]), log10(columns[0]) + 1e-9)

    def x(accounts: int) -> float:
        return LEFT + (RIGHT - LEFT) * (log10(accounts) - first) / (last - first)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (log10(value) - low) / (high - low)

    size = f'width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" {size} font-family="sans-serif">',
        f'<rect {size} rx="10" fill="#ffffff"/>',
        _text(24, 34, "Cost by accounts, microseconds (about ten positions each)", INK, 16),
    ]
    for power in range(low, high + 1):
        parts.append(_rule(LEFT, y(10.0**power), RIGHT, y(10.0**power)))
        parts.append(
            _text(
                LEFT - 8, y(10.0**power) + 4, f"{10.0**power:,.{max(-power, 0)}f}", MUTED, 12, "end"
            )
        )
    parts += [_text(x(n), BOTTOM + 20, f"{n:,}", MUTED, 12, "middle") for n in columns]
    for what, each in series.items():
        each.sort()
        title, colour = SERIES.get(what, (what, INK))
        path = " L".join(f"{x(n):.1f},{y(value):.1f}" for n, value in each)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for n, v in each
        ]
        name = f"{title}: {figure(each[-1][1])}"
        parts.append(_text(RIGHT + 10, y(each[-1][1]) + 4, name, colour, 13))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, colour: str, size: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{text}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
