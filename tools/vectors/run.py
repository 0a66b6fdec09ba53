"""A case through its adapter: passed, failed or not yet modelled."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from plimsoll.core import PlimsollError
from tools.vectors.adapters import find_adapter
from tools.vectors.cases import Case
from tools.vectors.compare import Difference, compare


class Outcome(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    UNMODELLED = "not yet modelled"


@dataclass(frozen=True, slots=True)
class Result:
    """A case, the name of the adapter that took it (empty if none did), what differs."""

    case: Case
    adapter: str
    differences: tuple[Difference, ...]

    @property
    def outcome(self) -> Outcome:
        """Failed where anything differs, passed only where an adapter answered."""
        if self.differences:
            return Outcome.FAILED
        return Outcome.PASSED if self.adapter else Outcome.UNMODELLED


def run_case(case: Case) -> Result:
    """The result of one case. Derived figures are compared as far as the adapter gives them."""
    adapter = find_adapter(case)
    if adapter is None:
        return Result(case, "", ())
    try:
        answer = adapter.answer(case)
    # One case must not hide the others, whatever its figures make the engine raise.
    except Exception as error:
        return Result(case, adapter.name, (Difference("inputs", _told(error), None, None),))
    return Result(case, adapter.name, tuple(_differences(case, answer)))


def _differences(case: Case, answer: Any) -> list[Difference]:
    found = list(compare("expected", case.expected, answer, case.tolerance))
    for name, value in case.derived.items():
        if isinstance(answer, dict) and name in answer:
            key = f"derived_not_published.{name}"
            found += compare(key, value, answer[name], case.tolerance)
    return found


def _told(error: Exception) -> str:
    text = str(error) if isinstance(error, PlimsollError) else f"{type(error).__name__}: {error}"
    return f"the adapter stopped ({' '.join(text.split())})"
