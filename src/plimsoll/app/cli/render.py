"""Tables for people, JSON for machines: the two ways a result is written."""

import math
import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATUS_STYLES = (
    ("OK", "green"),
    ("MARGIN_CALL", "yellow"),
    ("LIQUIDATABLE", "bold red"),
    ("BANKRUPT", "bold white on red"),
    ("UNKNOWN", "bold magenta"),
)


def stdout() -> Console:
    """The console for results; 110 columns where the output is no terminal."""
    # Names come from outside: "[bold]" in one is no markup, ":key:" no emoji.
    return Console(
        width=None if sys.stdout.isatty() else 110, highlight=False, markup=False, emoji=False
    )


def stderr() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=dict(STATUS_STYLES).get(status, ""))


def money(value: float, decimals: int = 2) -> str:
    """An amount with thousands separators; dashes where it is unknown."""
    return f"{value:,.{decimals}f}" if math.isfinite(value) else "—"


def percent(value: float) -> str:
    """A ratio in per cent; dashes where it is unknown."""
    if math.isnan(value):
        return "—"
    return f"{value:.1%}" if math.isfinite(value) else "∞"


def new_table(title: str | None, columns: Sequence[str], texts: int = 1) -> Table:
    """A table whose first ``texts`` columns are words and whose others are numbers."""
    table = Table(
        title=title, title_justify="left", title_style="bold", pad_edge=False, box=SIMPLE_HEAD
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < texts else "right", overflow="fold")
    return table


def pairs_table(title: str, rows: Iterable[tuple[str, str]], texts: int) -> Table:
    """A table of labels and values without a header; ``texts`` 2 aligns values as words."""
    table = new_table(title, ("", ""), texts)
    table.show_header = False
    for label, value in rows:
        table.add_row(label, value)
    return table


def print_json(value: object) -> None:
    """JSON on standard output; what is not finite is null."""
    data = msgspec.json.encode(_finite(msgspec.to_builtins(value)))
    sys.stdout.write(msgspec.json.format(data, indent=2).decode() + "\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
