"""Every model against its own vectors: a document in, the venue's figures out."""

from collections import Counter
from pathlib import Path

import pytest

from plimsoll.margin import MODELS, Model
from tools.parity import Line, read_lines, render_page, run_line

ROOT = Path(__file__).parents[2]
LINES = read_lines(ROOT / "tests" / "vectors")


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.file}-{line.case}")
def test_the_figures_are_the_venues(line: Line) -> None:
    assert not run_line(line).failures


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_has_three_cases_or_more(model: Model) -> None:
    assert Counter(line.model for line in LINES)[model.name] >= 3


def test_names_of_cases_are_distinct() -> None:
    assert not [name for name, count in Counter(line.case for line in LINES).items() if count > 1]


def test_the_parity_page_is_current() -> None:
    page = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    assert page == render_page([run_line(line) for line in LINES]), "run make parity"
