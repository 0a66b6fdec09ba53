"""``plimsoll incident``: the list, the story, JSON, the page, and what a wrong id gets."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from plimsoll.app.cli import incident as command
from plimsoll.app.incident import (
    Row,
    amount_text,
    distance_text,
    figure_names,
    figure_path,
    moment_text,
    short_amount,
    study_incident,
    timeline,
)
from plimsoll.simulation.incidents import Figure, Incident, Moment, Played
from plimsoll.simulation.incidents.library import find_incident
from tests.app.command import Finished, plimsoll

QUICK = ("B13", "B24", "B28")


@pytest.fixture
def a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tuple(find_incident(name) for name in QUICK)
    monkeypatch.setattr(command, "all_incidents", lambda: chosen)


def made(off: Played, on: Played, **changes: object) -> Incident:
    """An incident that plays what it is given."""
    found = replace(find_incident("B13"), play=lambda _, control: on if control else off)
    return replace(found, **changes)


def words(done: Finished) -> str:
    return " ".join(done.out.split())


@pytest.mark.usefixtures("a_few")
def test_the_list_has_a_row_for_each_and_counts_them() -> None:
    done = plimsoll("incident")
    assert done.code == 0, done.err
    for name in QUICK:
        assert name in done.out
        assert find_incident(name).date in done.out
    assert "2 of 2 losses are reproduced within their tolerance, 3 of 3 controls" in words(done)
    assert re.search(r"B24 .*14.55 M USD +14.56 M USD +0 USD", done.out)


@pytest.mark.usefixtures("a_few")
def test_the_list_as_json_is_what_each_says_alone() -> None:
    listed = plimsoll("incident", "--format", "json").json
    assert [row["id"] for row in listed] == list(QUICK)
    assert listed[0] == plimsoll("incident", "B13", "--format", "json").json
    assert all(row["is_bounded"] for row in listed)


def test_the_story_has_both_plays_side_by_side() -> None:
    done = plimsoll("incident", "b13")
    assert done.code == 0, done.err
    (line,) = [row for row in done.out.splitlines() if "10-10 21:35:00" in row]
    assert line.count("batch 1 is posted") == 2
    text = words(done)
    incident = find_incident("B13")
    for part in (incident.story, incident.control, incident.why_not, incident.source):
        assert part in text
    assert "462,098 USD 312,876 USD −32.3% 0 USD" in text
    assert "Assumed, as no source states it:" in done.out


def test_json_has_the_moments_with_their_figures() -> None:
    found = plimsoll("incident", "B13", "--format", "json").json
    assert found["published"] == {"name": "paid on 27 claims", "value": 462097.79, "unit": "USD"}
    assert (found["is_reproduced"], found["is_bounded"], found["tolerance"]) == (None, True, None)
    short = found["moments_without_control"][1]
    assert short["time"].startswith("2025-10-10T21:35:00")
    assert {"name": "fund", "value": 250000.0, "unit": "USD"} in short["figures"]
    assert found["assumptions"]


def test_an_unknown_id_is_one_line_and_code_2() -> None:
    done = plimsoll("incident", "B31x")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(
        r"error: incident: 'B31x' is not in the library; did you mean 'B\d\d'\?\n", done.err
    )


def test_a_report_needs_an_incident(tmp_path: Path) -> None:
    done = plimsoll("incident", "--report", tmp_path / "all.html")
    assert done.code == 2
    assert "name it, e.g. B13" in done.err


def test_the_page_opens_offline_and_has_plots_and_timeline(tmp_path: Path) -> None:
    page = tmp_path / "b13.html"
    done = plimsoll("incident", "B13", "--report", page)
    assert done.code == 0
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', text)
    data = re.findall(r'id="figure-\d-chart-data">(.*?)</script>', text)
    drawn = [json.loads(each)["data"] for each in data]
    assert drawn
    assert all([line["name"] for line in lines] == ["without the control", "with it"]
               for lines in drawn)  # fmt: skip
    assert "failsafe halts the chain" in text
    assert find_incident("B13").title in text
    again = tmp_path / "again.html"
    plimsoll("incident", "B13", "--report", again)
    assert again.read_bytes() == page.read_bytes()


def test_a_page_that_cannot_be_written_is_code_2(tmp_path: Path) -> None:
    done = plimsoll("incident", "B13", "--report", tmp_path / "missing" / "b13.html")
    assert done.code == 2
    assert "choose another --report" in done.err


def test_a_broken_bound_is_code_1_and_loud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    moments = (Moment(0, "it <b>happens</b> [red]"),)
    broken = made(Played(moments, 5.0, 9.0), Played(moments, 1.0, 2.0), bound=1.0, why_not="",
                  published=Figure("lost", 10.0, "USD"), tolerance=0.15)  # fmt: skip
    monkeypatch.setattr(command, "all_incidents", lambda: (broken,))
    monkeypatch.setattr(command, "find_incident", lambda _: broken)
    done = plimsoll("incident")
    assert done.code == 1
    assert "NOT REPRODUCED" in done.out
    assert "BOUND BROKEN" in done.out
    page = tmp_path / "page.html"
    told = plimsoll("incident", "B13", "--report", page)
    assert told.code == 1
    assert "Verdict: NOT REPRODUCED, BOUND BROKEN." in told.out
    assert "it <b>happens</b> [red]" in told.out
    assert "it &lt;b&gt;happens&lt;/b&gt; [red]" in page.read_text(encoding="utf-8")


def test_help_has_an_example() -> None:
    done = plimsoll("incident", "--help")
    assert done.code == 0
    assert "plimsoll incident B13 --report halt.html" in done.out


def test_moments_of_one_time_stand_side_by_side_in_their_order() -> None:
    one, two, three = Moment(1, "one"), Moment(1, "two"), Moment(2, "three")
    study = study_incident(made(Played((one, two), 1.0, 1.0), Played((one, three), 0.0, 0.0)))
    assert timeline(study) == (Row(1, one, one), Row(1, two, None), Row(2, None, three))


def test_a_figure_is_drawn_where_it_has_a_path_and_the_plays_differ() -> None:
    def moments(values: list[float]) -> tuple[Moment, ...]:
        return tuple(
            Moment(k, "", (Figure("path", value, "USD"), Figure("same", 1.0, "USD")))
            for k, value in enumerate(values)
        )

    study = study_incident(
        made(Played(moments([1.0, 2.0, 3.0]), 1.0, 1.0), Played(moments([1.0, 1.0, 1.0]), 0.0, 0.0))
    )
    assert figure_names(study) == ("path",)
    assert figure_path(study.off, "path") == ([0, 1, 2], [1.0, 2.0, 3.0], "USD")
    short = study_incident(made(Played(moments([1.0, 2.0]), 1.0, 1.0), Played((), 0.0, 0.0)))
    assert figure_names(short) == ()


@pytest.mark.parametrize(
    ("value", "unit", "text", "short"),
    [
        (245.04936, "BTC", "245.05 BTC", "245.05 BTC"),
        (-0.0, "USD", "0 USD", "0 USD"),
        (1e-5, "BTC", "0 BTC", "0 BTC"),
        (27.0, "accounts", "27 accounts", "27 accounts"),
        (462_097.79, "USD", "462,098 USD", "0.46 M USD"),
        (811_110_000.0, "USD", "811,110,000 USD", "811.1 M USD"),
        (-100_000.0, "USD", "-100,000 USD", "-0.10 M USD"),
        (float("nan"), "USD", "unknown USD", "unknown USD"),
    ],
)
def test_amounts(value: float, unit: str, text: str, short: str) -> None:
    assert amount_text(value, unit) == text
    assert short_amount(value, unit) == short


def test_a_moment_and_a_distance_in_words() -> None:
    moment = Moment(0, "it falls", (Figure("fund", 1.5, "BTC"), Figure("left", 0.0, "BTC")))
    assert moment_text(moment) == "it falls\nfund 1.50 BTC, left 0 BTC"
    assert moment_text(None) == ""
    published = Figure("lost", 100.0, "USD")
    nothing = Played((), 0.0, 0.0)
    for loss, text in ((115.0, "+15.0%"), (90.0, "−10.0%"), (float("nan"), "—")):
        study = study_incident(made(Played((), loss, 0.0), nothing, published=published))
        assert distance_text(study) == text
