"""What the protocols' own tests publish of their liquidations, through the public API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tools.vectors.adapters import find_adapter
from tools.vectors.cases import Case, parse_tolerance
from tools.vectors.run import Outcome, run_case

PATH = Path(__file__).parents[2] / "vectors" / "liquidations.jsonl"
LINES = [msgspec.json.decode(line) for line in PATH.read_bytes().splitlines()]


def case_of(line: Mapping[str, Any]) -> Case:
    tolerance = parse_tolerance(line["tolerance"], line["case"])
    return Case(
        line["party"], line["subject"], line["case"], line["inputs"], line["expected"], {},
        tolerance,
    )  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["case"]))
def test_the_figures_are_the_protocols(line: Mapping[str, Any]) -> None:
    result = run_case(case_of(line))
    assert result.differences == ()
    assert result.outcome == Outcome.PASSED


def test_integers_are_met_exactly() -> None:
    exact = [line for line in LINES if line["party"] in ("dydx-v4", "drift-v2", "vega")]
    assert len(exact) == 48
    assert {line["tolerance"] for line in exact} == {0}


def test_each_case_stands_once_with_its_source() -> None:
    assert len({line["case"] for line in LINES}) == len(LINES) == 92
    assert all(" at commit " in line["source"] for line in LINES)
    assert all(find_adapter(case_of(line)) for line in LINES)
