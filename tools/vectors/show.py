"""What people and machines are shown of a run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tools.vectors.adapters import Adapter, is_awaited
from tools.vectors.cases import VectorFile
from tools.vectors.compare import Difference
from tools.vectors.run import Outcome, Result

DIFFERENCES_SHOWN = 3
AWAITING = "not yet modelled: the liquidation waterfall"
STYLES = (
    (Outcome.PASSED, "green"),
    (Outcome.FAILED, "bold red"),
    (Outcome.UNMODELLED, "yellow"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one file's cases."""

    file: VectorFile
    results: tuple[Result, ...]


def count_outcomes(results: Iterable[Result]) -> Counter[Outcome]:
    """How many cases came to each outcome."""
    return Counter(result.outcome for result in results)


def totals_line(reports: Sequence[Report]) -> str:
    """``12 passed, 0 failed, 240 not yet modelled``, over all files."""
    counts = count_outcomes(result for report in reports for result in report.results)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def print_reports(console: Console, reports: Sequence[Report]) -> None:
    """A table per file, what differs, what is not modelled yet; the totals come last."""
    for report in reports:
        _print_table(console, report)
    _print_failures(console, reports)
    _print_unmodelled(console, reports)
    counts = count_outcomes(result for report in reports for result in report.results)
    style = "bold red" if counts[Outcome.FAILED] else "bold"
    console.print(Text(totals_line(reports), style), soft_wrap=True)


def _groups(
    results: Iterable[Result],
) -> Iterator[tuple[str, str, list[Result]]]:
    """Results by party and subject, in alphabetical order."""
    grouped: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        grouped.setdefault((result.case.party, result.case.subject), []).append(result)
    for party, subject in sorted(grouped, key=lambda key: (key[0].lower(), key[1].lower())):
        yield party, subject, grouped[party, subject]


def _print_table(console: Console, report: Report) -> None:
    heading = Text(PurePath(report.file.name).name, "bold")
    heading.append(f"  {len(report.results)} cases", "dim")
    console.print(heading)
    table = Table(box=SIMPLE, pad_edge=False, header_style="bold", show_footer=True)
    party_heading, subject_heading = report.file.headings
    if party_heading:
        table.add_column(party_heading, no_wrap=True)
    table.add_column(subject_heading, footer="all", ratio=1)
    totals = count_outcomes(report.results)
    for outcome, style in STYLES:
        footer = _count(totals[outcome], style)
        heading_lines = outcome.replace("yet ", "yet\n")
        table.add_column(heading_lines, footer, justify="right", no_wrap=True)
    previous = None
    for party, subject, results in _groups(report.results):
        counts = count_outcomes(results)
        first = [Text("" if party == previous else party)] if party_heading else []
        cells = [_count(counts[outcome], style) for outcome, style in STYLES]
        table.add_row(*first, Text(subject), *cells)
        previous = party
    console.print(Padding(table, (0, 0, 0, 2)))


def _count(number: int, style: str) -> Text:
    return Text(str(number), style) if number else Text("-", "dim")


def _print_failures(console: Console, reports: Sequence[Report]) -> None:
    failed = [r for report in reports for r in report.results if r.differences]
    if not failed:
        return
    console.print(Text("failed", "bold red"))
    for result in failed:
        line = Text(f"  {result.case.id}", "bold")
        line.append(f"  {_place(result.case.party, result.case.subject)}", "dim not bold")
        console.print(line, soft_wrap=True)
        for difference in result.differences[:DIFFERENCES_SHOWN]:
            console.print(Text(f"    {describe(difference, result)}"), soft_wrap=True)
        more = len(result.differences) - DIFFERENCES_SHOWN
        if more > 0:
            console.print(Text(f"    and {more} more", "dim"))
    console.print()


def describe(difference: Difference, result: Result) -> str:
    """One difference on one line."""
    if difference.expected is None and difference.got is None:
        return f"{difference.key}: {difference.problem}"
    text = f"{difference.key}: {difference.problem}; expected {difference.expected!r}"
    if difference.problem != "not produced":
        text += f", got {difference.got!r}"
    if difference.difference is not None:
        text += f", |difference| {difference.difference:.6g}"
    return f"{text}, tolerance {result.case.tolerance}"


def _print_unmodelled(console: Console, reports: Sequence[Report]) -> None:
    results = [r for report in reports for r in report.results]
    pending = [r for r in results if r.outcome == Outcome.UNMODELLED]
    for heading, awaited in ((Outcome.UNMODELLED, False), (AWAITING, True)):
        part = [r for r in pending if is_awaited(r.case) == awaited]
        if part:
            _print_pending(console, heading, part)


def _print_pending(console: Console, heading: str, pending: Sequence[Result]) -> None:
    console.print(Text(heading, "bold yellow"))
    previous = ""
    for party, subject, group in _groups(pending):
        if party != previous:
            console.print(Text(f"  {party}"))
            previous = party
        indent = 4 if party else 2
        names = [result.case.id for result in group]
        for k, line in enumerate(_pack(f"{subject}:", names, console.width - indent - 2)):
            shown = Text(" " * (indent + 2 * (k > 0)) + line, "dim")
            if k == 0:
                shown.stylize("not dim", 0, indent + len(subject) + 1)
            console.print(shown, soft_wrap=True)
    console.print()


def _pack(heading: str, names: Sequence[str], width: int) -> Iterator[str]:
    """A heading and names on lines of at most ``width``, no name broken."""
    line = heading
    for k, name in enumerate(names):
        word = name if k == len(names) - 1 else f"{name},"
        if len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}"
    yield line


def _place(party: str, subject: str) -> str:
    return f"{party}: {subject}" if party else subject


def print_adapters(console: Console, adapters: Sequence[Adapter]) -> None:
    """Which cases each adapter takes."""
    table = Table(box=SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("adapter", no_wrap=True)
    table.add_column("takes", ratio=1)
    for adapter in adapters:
        what = Text(f"{adapter.title}\n")
        place = _place(adapter.party, adapter.subject)
        what.append(f"{place} with {', '.join(adapter.inputs.split())}", "dim")
        table.add_row(adapter.name, what)
    console.print(table)


def to_plain(reports: Sequence[Report]) -> dict[str, Any]:
    """Everything for machines: per file its cases with their outcomes, and the totals."""
    counts = count_outcomes(result for report in reports for result in report.results)
    return {
        "files": [
            {
                "file": report.file.name,
                "cases": [_plain_case(result) for result in report.results],
            }
            for report in reports
        ],
        "totals": {_key(outcome): counts[outcome] for outcome in Outcome},
    }


def _plain_case(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "party": case.party,
        "subject": case.subject,
        "id": case.id,
        "outcome": _key(result.outcome),
        "adapter": result.adapter or None,
        "tolerance": asdict(case.tolerance),
        "differences": [asdict(difference) for difference in result.differences],
    }


def _key(outcome: Outcome) -> str:
    return outcome.replace(" ", "_")
