"""The words stay true: samples are real output, links lead somewhere, cited names exist."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "plimsoll"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "decisions").glob("*.md")))
CITED = re.compile(r"`((?:\w+/)+\w+\.py):([\w.]+)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.name


@pytest.mark.parametrize(
    ("pattern", "lines_max"), [("README.md", 45), ("ARCHITECTURE.md", 150), ("decisions/*.md", 30)]
)
def test_a_page_stays_short(pattern: str, lines_max: int) -> None:
    pages = list(ROOT.glob(pattern))
    assert pages
    for page in pages:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= lines_max, page


def test_the_sample_in_the_readme_is_real_output() -> None:
    sample = re.search(r"```\n\$ \S*plimsoll (.*)\n((?:.*\n)*?)```", text_of("README.md"))
    assert sample is not None
    command = "from plimsoll.app.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, *shlex.split(sample[1])],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    shown = [line for line in sample[2].splitlines() if line]
    assert len(shown) >= 6
    assert [line for line in shown if line not in printed] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def defined_names(path: Path) -> set[str]:
    """Names that a module defines; of its classes, also ``Class.member``."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            names |= {f"{node.name}.{child.name}" for child in members}
    return names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_cited_functions_exist(page: Path) -> None:
    cited = CITED.findall(page.read_text(encoding="utf-8"))
    if page.name == "ARCHITECTURE.md":
        assert len(cited) > 30
    for path, name in cited:
        assert (SOURCE / path).is_file(), f"{path}:{name}"
        assert name in defined_names(SOURCE / path), f"{path}:{name}"


def test_the_map_of_rooms_is_complete() -> None:
    named = re.findall(r"^\| `(\w+)` \|", text_of("ARCHITECTURE.md"), re.MULTILINE)
    assert sorted(named) == sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
