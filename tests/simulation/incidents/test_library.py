"""The library: what is in it, what a verdict says, and every incident played."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from math import inf, isfinite, nan
from typing import Any

import pytest

from plimsoll.core import InputError, parse_time
from plimsoll.simulation.incidents import Figure, Incident, Played
from plimsoll.simulation.incidents.library import (
    all_incidents,
    find_incident,
    incident_ids,
    play_both,
    verdict,
)

IDS = incident_ids()
# What takes a second and more; smaller ones of these are compared beside their own tests.
SLOW = frozenset({"B03", "B12", "B18"})


@dataclass(frozen=True, slots=True)
class Watched(Mapping[str, Any]):
    """Figures of a record that note by their path which of them a play asks for."""

    figures: Mapping[str, Any]
    asked: set[str]
    path: str = ""

    def __getitem__(self, key: str) -> Any:
        value = self.figures[key]
        if isinstance(value, Mapping):
            return Watched(value, self.asked, f"{self.path}{key}.")
        self.asked.add(f"{self.path}{key}")
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)


def figure_paths(figures: Mapping[str, Any], path: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in figures.items():
        inner = figure_paths(value, f"{path}{key}.") if isinstance(value, Mapping) else set()
        found |= inner or {f"{path}{key}"}
    return found


@cache
def watched_plays(incident_id: str) -> tuple[Played, Played, frozenset[str]]:
    """Both plays, and the paths of the figures that they asked for."""
    incident, asked = find_incident(incident_id), set[str]()
    off, on = play_both(replace(incident, params=Watched(incident.params, asked)))
    return off, on, frozenset(asked)


def plays(incident_id: str) -> tuple[Played, Played]:
    return watched_plays(incident_id)[:2]


def test_the_issue_s_incidents_are_there() -> None:
    assert set(IDS) >= {
        "B03", "B04", "B05", "B06", "B07", "B11", "B12", "B13", "B18", "B23", "B24", "B27", "B28",
        "B34",
    }  # fmt: skip
    assert list(IDS) == sorted(set(IDS))


def test_an_incident_is_found_in_any_case() -> None:
    assert find_incident("b13").id == "B13"


def test_an_unknown_incident_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'B1x' is not in the library; did you mean 'B1\d'\?"):
        find_incident("B1x")


@pytest.mark.parametrize("incident", all_incidents(), ids=lambda incident: incident.id)
def test_an_incident_says_what_it_must(incident: Incident) -> None:
    assert all((incident.title, incident.story, incident.control, incident.source))
    assert incident.bound_text
    assert parse_time(incident.date, "date") < parse_time(incident.retrieved, "retrieved")
    assert 0 < incident.published.value < inf
    assert isfinite(incident.bound)
    # Either the loss comes out within 15 %, or it is said why it cannot.
    assert (incident.tolerance is None) == bool(incident.why_not)
    assert incident.tolerance is None or 0 < incident.tolerance <= 0.15


@pytest.mark.parametrize("incident_id", IDS)
def test_the_loss_comes_out_and_the_control_keeps_its_bound(incident_id: str) -> None:
    incident = find_incident(incident_id)
    off, on = plays(incident_id)
    found = verdict(incident, off, on)
    assert found.is_reproduced is not False, found
    assert found.is_bounded, (on.bounded, incident.bound)
    # A control that costs nothing to leave off is none.
    assert off.bounded > incident.bound or on.loss < off.loss
    assert on.loss <= off.loss
    assert all(isfinite(p.loss) and isfinite(p.bounded) for p in (off, on))


@pytest.mark.parametrize("incident_id", IDS)
def test_moments_are_in_order_and_tell_figures(incident_id: str) -> None:
    for played in plays(incident_id):
        times = [moment.time_ns for moment in played.moments]
        assert times
        assert times == sorted(times)
        assert all(moment.text for moment in played.moments)
        figures = [figure for moment in played.moments for figure in moment.figures]
        assert figures
        assert all(figure.name and figure.unit for figure in figures)


@pytest.mark.parametrize("incident_id", sorted(set(IDS) - SLOW))
def test_two_plays_are_the_same_bit_for_bit(incident_id: str) -> None:
    assert play_both(find_incident(incident_id)) == plays(incident_id)


@pytest.mark.parametrize("incident", all_incidents(), ids=lambda incident: incident.id)
def test_assumptions_are_of_its_own_figures(incident: Incident) -> None:
    found = incident.assumptions
    assert found
    for assumption in found:
        name = assumption.partition(":")[0].split(".")[0]
        assert name == "bound" or name in incident.params, assumption


@pytest.mark.parametrize("incident_id", IDS)
def test_a_play_asks_for_every_figure_of_its_record(incident_id: str) -> None:
    asked = watched_plays(incident_id)[2]
    assert asked == figure_paths(find_incident(incident_id).params)


def test_every_record_has_its_line_in_the_library() -> None:
    folder = files("plimsoll.simulation.incidents").joinpath("records")
    names = sorted(record.name for record in folder.iterdir())
    assert names == [f"{incident_id.lower()}.toml" for incident_id in IDS]


def made(loss: float, bounded: float) -> Played:
    return Played((), loss, bounded)


@pytest.mark.parametrize(
    ("loss", "bounded", "tolerance", "distance", "is_reproduced", "is_bounded"),
    [
        (115.0, 1.0, 0.15, 0.15, True, True),
        (84.9, 1.0, 0.15, 0.151, False, True),
        (115.1, 1.1, 0.15, 0.151, False, False),
        (100.0, nan, 0.15, 0.0, True, False),
        (nan, 0.0, 0.15, inf, False, True),
        (300.0, 0.0, None, 2.0, None, True),
    ],
)
def test_a_verdict(
    loss: float, bounded: float, tolerance: float | None, distance: float,
    is_reproduced: bool | None, is_bounded: bool,
) -> None:  # fmt: skip
    published = Figure("lost", 100.0, "USD")
    incident = replace(find_incident("B13"), published=published, tolerance=tolerance, bound=1.0)
    found = verdict(incident, made(loss, 9.0), made(0.0, bounded))
    assert found.distance == pytest.approx(distance)
    assert (found.is_reproduced, found.is_bounded) == (is_reproduced, is_bounded)
