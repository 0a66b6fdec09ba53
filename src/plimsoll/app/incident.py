"""An incident played with and without its control, and set side by side for people."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from plimsoll.simulation.incidents import Figure, Incident, Moment, Played
from plimsoll.simulation.incidents.library import Verdict, play_both, verdict

THOUSAND = 1000.0
MILLION = 1e6
PATH_TIMES_MIN = 3


@dataclass(frozen=True, slots=True)
class IncidentStudy:
    """An incident, its two plays and what they say."""

    incident: Incident
    off: Played
    on: Played
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline: what happened at a time without and with the control."""

    time_ns: int
    off: Moment | None
    on: Moment | None


def study_incident(incident: Incident) -> IncidentStudy:
    """Both plays, judged."""
    off, on = play_both(incident)
    return IncidentStudy(incident, off, on, verdict(incident, off, on))


def timeline(study: IncidentStudy) -> tuple[Row, ...]:
    """The moments of both plays by time; those of one time side by side, in their order."""
    times = sorted({moment.time_ns for moment in (*study.off.moments, *study.on.moments)})
    return tuple(row for time_ns in times for row in _rows_at(study, time_ns))


def _rows_at(study: IncidentStudy, time_ns: int) -> Iterator[Row]:
    off, on = (
        [moment for moment in played.moments if moment.time_ns == time_ns]
        for played in (study.off, study.on)
    )
    for k in range(max(len(off), len(on))):
        yield Row(time_ns, off[k] if k < len(off) else None, on[k] if k < len(on) else None)


def figure_names(study: IncidentStudy) -> tuple[str, ...]:
    """Names of the figures whose path is worth drawing: those told first come first.

    Either play shows them at three times or more, and the two do not show the same.
    """
    names: dict[str, None] = {}
    for played in (study.off, study.on):
        times: dict[str, set[int]] = {}
        for moment in played.moments:
            for figure in moment.figures:
                times.setdefault(figure.name, set()).add(moment.time_ns)
        names.update(dict.fromkeys(name for name, at in times.items() if len(at) >= PATH_TIMES_MIN))
    return tuple(
        name for name in names if figure_path(study.off, name) != figure_path(study.on, name)
    )


def figure_path(played: Played, name: str) -> tuple[list[int], list[float], str]:
    """Times, values and the unit of a figure, as far as a play shows it."""
    found = [
        (moment.time_ns, figure)
        for moment in played.moments
        for figure in moment.figures
        if figure.name == name
    ]
    unit = found[0][1].unit if found else ""
    return [when for when, _ in found], [figure.value for _, figure in found], unit


def figure_text(figure: Figure) -> str:
    """``fund 391.00 BTC``: the name before the amount."""
    return f"{figure.name} {amount_text(figure.value, figure.unit)}"


def amount_text(value: float, unit: str) -> str:
    """An amount in its unit: to the hundredth, whole from a thousand on or where it is whole."""
    if not math.isfinite(value):
        return f"unknown {unit}"
    is_whole = abs(value) >= THOUSAND or round(value, 2) == round(value)
    # Adding 0 makes a minus zero a plain one.
    return f"{round(value) + 0:,} {unit}" if is_whole else f"{value:,.2f} {unit}"


def short_amount(value: float, unit: str) -> str:
    """An amount where room is scarce: in millions from ten thousand on."""
    if abs(value) >= MILLION / 100:
        decimals = 2 if abs(value) < 100 * MILLION else 1
        return f"{value / MILLION:,.{decimals}f} M {unit}"
    return amount_text(value, unit)


def moment_text(moment: Moment | None) -> str:
    """What happened, and its figures in a line below."""
    if moment is None:
        return ""
    figures = ", ".join(figure_text(figure) for figure in moment.figures)
    return f"{moment.text}\n{figures}" if figures else moment.text


def distance_text(study: IncidentStudy) -> str:
    """How far the loss without the control is from the published one, in per cent of it."""
    published = study.incident.published.value
    if not math.isfinite(study.verdict.distance):
        return "—"
    sign = "+" if study.off.loss >= published else "−"
    return f"{sign}{study.verdict.distance:.1%}"
