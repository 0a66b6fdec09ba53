"""Every benchmark at toy size: what it prints, and that peers agree. Never how long it took."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.__main__ import ACCURACY_MAX, BENCHMARKS, main
from benchmarks.lines import Line, Load, relative_difference
from benchmarks.report import write_report
from benchmarks.timing import Timing, time_laps

TOY = Load(
    accounts=(200,), tick_accounts=200, peak_accounts=300, peak_trades=50, shrink=100, repeats=1
)
KEYS = ["name", "value", "unit", "peer", "ratio_peer", "ratio_limit", "accuracy"]
FIGURES = ("value", "ratio_peer", "ratio_limit")
WITHOUT_FIGURES = {
    "machine.read",
    "machine.copy",
    "startup.help",
    "startup.margin",
    "pricing_black.multiply_add",
    "pricing_surface.660_quotes",
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_lines(name: str, capsys: pytest.CaptureFixture[str]):
    assert main([name, "--format", "json"], TOY) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert lines
    for line in lines:
        assert list(line) == KEYS
        assert line["name"].split(".")[0] == name
        assert line["unit"]
        assert line["peer"]
        assert all(line[key] > 0 and math.isfinite(line[key]) for key in FIGURES)
        assert (line["accuracy"] is None) == (line["name"] in WITHOUT_FIGURES)
        assert line["accuracy"] is None or line["accuracy"] <= ACCURACY_MAX


def test_table(capsys: pytest.CaptureFixture[str]):
    assert main(["lay_out"], TOY) == 0
    shown = capsys.readouterr().out
    assert "lay_out.200" in shown
    assert "laying out anew" in shown


def test_unknown_name(capsys: pytest.CaptureFixture[str]):
    assert main(["assess_all"], TOY) == 2
    assert "assess_all: unknown benchmark" in capsys.readouterr().err


@pytest.mark.parametrize(("accuracy", "code"), [(1e-12, 0), (1e-3, 1), (math.nan, 1), (None, 0)])
def test_a_wrong_answer_is_not_fast(
    accuracy: float | None, code: int, monkeypatch: pytest.MonkeyPatch
):
    line = Line("made.up", 1.0, "ms", "nobody", 1.0, 1.0, accuracy)
    monkeypatch.setattr("benchmarks.__main__.BENCHMARKS", {"made": lambda load: iter([line])})
    assert main(["made"], TOY) == code


def test_relative_difference():
    ones = np.ones(2)
    assert relative_difference([]) == 0.0
    assert relative_difference([(ones, ones), (np.array([100.0]), np.array([101.0]))]) == 1 / 101
    # Below one unit the difference itself counts.
    assert relative_difference([(np.array([0.25]), np.array([0.5]))]) == 0.25
    for pairs in ([(ones, ones), (ones * np.nan, ones)], [(ones, ones * np.nan), (ones, ones)]):
        assert math.isnan(relative_difference(pairs))


def test_laps_are_taken_in_turn_after_one_that_does_not_count():
    first, second = iter([90.0, 1.0, 2.0, 6.0]), iter([90.0, 5.0, 4.0, 3.0])
    timings = time_laps(3, lambda: next(first), lambda: next(second))
    assert timings == (Timing(best=1.0, median=2.0), Timing(best=3.0, median=4.0))


def test_the_report_is_the_lines_with_their_claims_and_a_chart(tmp_path: Path):
    lines = [
        Line(f"growth.{what}.{accounts}", value, "us", "one sweep", 2.0, 0.5, None)
        for accounts, value in ((1_000, 10.0), (100_000, 40.0))
        for what in ("tick", "fill")
    ]
    write_report(lines, {"growth": "Claim: made up."}, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "Claim: made up." in page
    assert "| tick.100000 | 40.0 | us | one sweep | 2.00 | 0.500 | – |" in page
    chart = ET.parse(tmp_path / "growth.svg").getroot()
    circles = [node for node in chart.iter() if node.tag.endswith("circle")]
    assert len(circles) == 4
    heights = {float(node.attrib["cy"]) for node in circles}
    assert len(heights) == 2


def test_a_run_writes_its_report(tmp_path: Path):
    assert main(["lay_out", "--report", str(tmp_path)], TOY) == 0
    page = (tmp_path / "performance.md").read_text()
    assert "## lay_out" in page
    assert not (tmp_path / "growth.svg").exists()
