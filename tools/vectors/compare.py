"""Expected figures against answers, key by key."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tools.vectors.cases import Tolerance

_WHOLE = re.compile(r"-?[0-9]+")
_RATIONAL = re.compile(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?")


@dataclass(frozen=True, slots=True)
class Difference:
    """One expected figure that was not met; ``difference`` is None where it has no size."""

    key: str
    problem: str
    expected: Any
    got: Any
    difference: float | None = None


def compare(key: str, expected: Any, got: Any, tolerance: Tolerance) -> Iterator[Difference]:
    """Every difference under ``key``; ``got`` may hold more than is expected, never less.

    Numbers pass within the tolerance, anything else if it is equal. An integer beyond what
    JSON readers keep is written as text, and compared as the integer it is; so is a
    fraction, "1/3". Nothing expected is a difference too: a case without figures proves nothing.
    """
    if isinstance(expected, str) and isinstance(got, int) and _WHOLE.fullmatch(expected):
        expected = int(expected)
    if isinstance(expected, str) and isinstance(got, Fraction) and _RATIONAL.fullmatch(expected):
        expected = Fraction(expected)
    if isinstance(expected, Mapping | list) and not expected:
        yield Difference(key, "holds no figure", expected, got)
    elif isinstance(expected, Mapping):
        yield from _compare_names(key, expected, got, tolerance)
    elif isinstance(expected, list):
        yield from _compare_rows(key, expected, got, tolerance)
    elif not _is_number(expected):
        if type(got) is not type(expected) or got != expected:
            yield Difference(key, "differs", expected, got)
    elif not _is_number(got):
        yield Difference(key, "is not a number", expected, got)
    elif isinstance(got, float) and not math.isfinite(got):
        yield Difference(key, "is not finite", expected, got)
    elif not tolerance.allows(abs(got - expected), expected):
        yield Difference(key, "differs", expected, got, abs(got - expected))


def _compare_names(
    key: str, expected: Mapping[str, Any], got: Any, tolerance: Tolerance
) -> Iterator[Difference]:
    answers = got if isinstance(got, Mapping) else {}
    for name, value in expected.items():
        if name in answers:
            yield from compare(f"{key}.{name}", value, answers[name], tolerance)
        else:
            yield Difference(f"{key}.{name}", "not produced", value, None)


def _compare_rows(
    key: str, expected: list[Any], got: Any, tolerance: Tolerance
) -> Iterator[Difference]:
    answers = got if isinstance(got, Sequence) and not isinstance(got, str) else ()
    for row, value in enumerate(expected):
        if row < len(answers):
            yield from compare(f"{key}[{row}]", value, answers[row], tolerance)
        else:
            yield Difference(f"{key}[{row}]", "not produced", value, None)
    if len(answers) > len(expected):
        problem = f"has {len(answers)} rows instead of {len(expected)}"
        yield Difference(key, problem, expected, got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)
