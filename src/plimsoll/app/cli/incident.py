"""``plimsoll incident``: the library of real failures, and one of them as a story."""

from collections.abc import Iterator
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from plimsoll.app.cli.render import new_table, print_json, stderr, stdout
from plimsoll.app.incident import (
    IncidentStudy,
    amount_text,
    distance_text,
    moment_text,
    short_amount,
    study_incident,
    timeline,
)
from plimsoll.app.report.incident_page import write_incident_report
from plimsoll.core import InputError, format_time
from plimsoll.simulation.incidents import Incident, Moment
from plimsoll.simulation.incidents.library import all_incidents, find_incident

GOOD, BAD, OPEN = "green", "bold red", "yellow"


def run_incident(incident_id: str | None, report: Path | None, as_json: bool) -> bool:
    """Print all incidents or one; True where one is not as published, or a bound is broken."""
    if incident_id is None and report is not None:
        raise InputError("--report", "is the page of one incident", "name it, e.g. B13")
    chosen = all_incidents() if incident_id is None else (find_incident(incident_id),)
    studies = tuple(_with_progress(chosen))
    if report is not None:
        write_incident_report(studies[0], report)
        stderr().print(f"Page written to {report}")
    if as_json:
        plain = [_plain(study) for study in studies]
        print_json(plain if incident_id is None else plain[0])
    elif incident_id is None:
        _print_list(studies)
    else:
        _print_story(studies[0])
    return any(not _is_good(study) for study in studies)


def _is_good(study: IncidentStudy) -> bool:
    return study.verdict.is_reproduced is not False and study.verdict.is_bounded


def _with_progress(chosen: tuple[Incident, ...]) -> Iterator[IncidentStudy]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("Playing", total=len(chosen))
        for incident in chosen:
            progress.update(task, description=f"Playing {incident.id}")
            yield study_incident(incident)
            progress.advance(task)


def _print_list(studies: tuple[IncidentStudy, ...]) -> None:
    console = stdout()
    columns = ("", "Date", "What happened", "Verdict", "Published", "Played", "With control")
    table = new_table("Incidents: the published loss, played without and with a control", columns,
                      texts=4)  # fmt: skip
    for study in studies:
        incident = study.incident
        unit = incident.published.unit
        table.add_row(
            incident.id,
            incident.date,
            incident.title,
            _verdict_text(study, "\n"),
            *(short_amount(value, unit) for value in (
                incident.published.value, study.off.loss, study.on.loss)),
        )  # fmt: skip
    console.print(table)
    held = sum(study.verdict.is_bounded for study in studies)
    judged = [study for study in studies if study.verdict.is_reproduced is not None]
    good = sum(study.verdict.is_reproduced is True for study in judged)
    console.print(
        f"{good} of {len(judged)} losses are reproduced within their tolerance, {held} of "
        f"{len(studies)} controls keep their bound."
    )
    if len(judged) < len(studies):
        console.print(
            f"For {len(studies) - len(judged)} more the published figures do not allow a "
            "reproduction; each says why."
        )
    console.print("plimsoll incident B13 tells one of them.")


def _verdict_text(study: IncidentStudy, between: str) -> Text:
    reproduced = {True: ("reproduced", GOOD), False: ("NOT REPRODUCED", BAD)}
    words, style = reproduced.get(study.verdict.is_reproduced or False, ("", ""))
    if study.verdict.is_reproduced is None:
        words, style = "figures missing", OPEN
    bound = ("bound held", GOOD) if study.verdict.is_bounded else ("BOUND BROKEN", BAD)
    return Text.assemble((words, style), between, bound)


def _print_story(study: IncidentStudy) -> None:
    console, incident = stdout(), study.incident
    console.print(Text(f"{incident.id}  {incident.title}  ({incident.date})", style="bold"))
    console.print()
    console.print(incident.story)
    console.print()
    console.print(f"The control: {incident.control}")
    console.print()
    console.print(_timeline_table(study))
    console.print(_outcome_table(study))
    console.print(Text.assemble("Verdict: ", _verdict_text(study, ", "), "."))
    if incident.why_not:
        console.print(f"Why no reproduction: {incident.why_not}")
    console.print(f"\nSources: {incident.source}")
    _print_assumptions(incident.assumptions)


def _timeline_table(study: IncidentStudy) -> Table:
    rows = timeline(study)
    columns = ("Time (UTC)", "Without the control", "With it")
    first, last = (format_time(rows[k].time_ns)[:10] for k in (0, -1))
    days = first if first == last else f"{first} to {last}"
    table = new_table(f"What happens on {days}", columns, texts=3)
    before = ""
    for row in rows:
        # The day only where there are several, for width is scarce.
        when = format_time(row.time_ns)[11 if first == last else 5 : 19].replace("T", " ")
        table.add_row("" if when == before else when, _cell(row.off), _cell(row.on))
        before = when
    table.columns[0].no_wrap = True
    return table


def _cell(moment: Moment | None) -> Text:
    words, _, figures = moment_text(moment).partition("\n")
    return Text.assemble(words, ("\n" + figures if figures else "", "dim"))


def _outcome_table(study: IncidentStudy) -> Table:
    incident, unit = study.incident, study.incident.published.unit
    table = new_table("Outcome", ("", "Published", "Without", "Distance", "With control"), texts=1)
    table.add_row(
        incident.published.name,
        amount_text(incident.published.value, unit),
        amount_text(study.off.loss, unit),
        distance_text(study),
        amount_text(study.on.loss, unit),
    )
    table.add_row(
        f"bound, at most {incident.bound:,.6g}: {incident.bound_text}",
        "",
        f"{study.off.bounded:,.6g}",
        "",
        f"{study.on.bounded:,.6g}",
    )
    return table


def _print_assumptions(listed: tuple[str, ...]) -> None:
    if not listed:
        return
    console = stdout()
    console.print("\nAssumed, as no source states it:")
    for assumption in listed:
        console.print(f"  {assumption}")


def _plain(study: IncidentStudy) -> dict[str, object]:
    incident = study.incident
    return {
        "id": incident.id,
        "title": incident.title,
        "date": incident.date,
        "story": incident.story,
        "control": incident.control,
        "published": _figure(incident.published.name, incident.published.value,
                             incident.published.unit),
        "tolerance": incident.tolerance,
        "why_not": incident.why_not,
        "loss_without_control": study.off.loss,
        "loss_with_control": study.on.loss,
        "distance": study.verdict.distance,
        "is_reproduced": study.verdict.is_reproduced,
        "bound": incident.bound,
        "bound_text": incident.bound_text,
        "bounded_without_control": study.off.bounded,
        "bounded_with_control": study.on.bounded,
        "is_bounded": study.verdict.is_bounded,
        "moments_without_control": [_moment(moment) for moment in study.off.moments],
        "moments_with_control": [_moment(moment) for moment in study.on.moments],
        "source": incident.source,
        "assumptions": list(incident.assumptions),
    }  # fmt: skip


def _moment(moment: Moment) -> dict[str, object]:
    return {
        "time": format_time(moment.time_ns),
        "text": moment.text,
        "figures": [_figure(f.name, f.value, f.unit) for f in moment.figures],
    }


def _figure(name: str, value: float, unit: str) -> dict[str, object]:
    return {"name": name, "value": value, "unit": unit}
