"""An incident as one HTML file that opens offline: the plot of its figures, its timeline."""

from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from plimsoll.app.incident import (
    IncidentStudy,
    distance_text,
    figure_names,
    figure_path,
    moment_text,
    short_amount,
    timeline,
)
from plimsoll.app.report.charts import Chart
from plimsoll.app.report.frame import (
    render_chart,
    render_frame,
    render_header,
    render_notes,
    render_tiles,
)
from plimsoll.app.report.style import FUND, STATUS_COLOURS, dress_figure
from plimsoll.core import InputError, Status, format_time
from plimsoll.simulation.incidents import Moment

CHARTS_MAX = 3
_NS_PER_MS = 1_000_000
_LEFT = ' style="text-align:left"'


def write_incident_report(study: IncidentStudy, path: Path) -> None:
    """Writes the page. Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(render_incident_report(study), encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise InputError(str(path), problem, "choose another --report") from error


def render_incident_report(study: IncidentStudy) -> str:
    """The page as text; the same study gives the same text."""
    incident = study.incident
    title = f"{incident.id}: {incident.title}"
    names = figure_names(study)[:CHARTS_MAX]
    notes = [f"Control: {incident.control}", f"Bound: {incident.bound_text}."]
    if incident.why_not:
        notes.append(f"Why no reproduction: {incident.why_not}")
    notes.append(f"Sources: {incident.source}")
    notes += [f"Assumed: {assumption}" for assumption in incident.assumptions]
    return render_frame(
        title,
        (
            render_header(title, incident.date, incident.story),
            render_tiles(_tiles(study)),
            *(render_chart(_draw(study, k, name)) for k, name in enumerate(names)),
            _table(study),
            render_notes(notes),
        ),
    )


def _tiles(study: IncidentStudy) -> tuple[tuple[str, str], ...]:
    incident, unit = study.incident, study.incident.published.unit
    return (
        (f"Published: {incident.published.name}", short_amount(incident.published.value, unit)),
        ("Played without the control", short_amount(study.off.loss, unit)),
        ("Distance from the published", distance_text(study)),
        ("Played with the control", short_amount(study.on.loss, unit)),
        (f"Bounded, at most {incident.bound:,.4g}", f"{study.on.bounded:,.4g}"),
        ("Verdict", study.verdict.words),
    )


def _draw(study: IncidentStudy, number: int, name: str) -> Chart:
    """One figure over time in both plays."""
    figure = go.Figure()
    dress_figure(figure, 320)
    unit = ""
    colours = (STATUS_COLOURS[Status.LIQUIDATABLE], FUND)
    sides = ("without the control", "with it")
    for played, side, colour in zip((study.off, study.on), sides, colours, strict=True):
        times, values, found = figure_path(played, name)
        unit = unit or found
        figure.add_scatter(
            x=np.array(times) / _NS_PER_MS, y=values, name=side, mode="lines+markers",
            line={"color": colour, "width": 2, "shape": "hv"}, marker={"size": 5},
            hovertemplate="%{y:,.6~g}",
        )  # fmt: skip
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d %H:%M:%S UTC")
    figure.update_xaxes(title_text="time (UTC)", title_standoff=22)
    figure.update_yaxes(title_text=f"{name} ({unit})", exponentformat="B", minexponent=3)
    caption = "As found at the moments of the timeline below, each held until the next one."
    return Chart(f"figure-{number}", name[:1].upper() + name[1:], caption, True, figure)


def _table(study: IncidentStudy) -> str:
    head = "".join(
        f'<th scope="col"{_LEFT}>{name}</th>'
        for name in ("Time (UTC)", "Without the control", "With it")
    )
    body = "".join(
        f'<tr><th scope="row" class="time">{format_time(row.time_ns)[:19].replace("T", " ")}</th>'
        f"<td>{_cell(row.off)}</td><td>{_cell(row.on)}</td></tr>"
        for row in timeline(study)
    )
    return (
        '<section id="timeline"><h2>Timeline</h2><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _cell(moment: Moment | None) -> str:
    words, _, figures = moment_text(moment).partition("\n")
    below = f'<div class="caption">{escape(figures)}</div>' if figures else ""
    return escape(words) + below
