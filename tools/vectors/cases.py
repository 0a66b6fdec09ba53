"""The three schemas of vector files, read into one kind of case.

The schema is recognised by content: an object with ``vectors`` holds the examples of peer
implementations, a list of objects with ``venue`` the examples and responses of venues, a list of
objects with ``topic`` quantitative methods.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from plimsoll.core import InputError

T = TypeVar("T")

SCHEMAS = "an object with 'vectors', or a list of cases with 'venue' or 'topic'"
PROFILE = "_profile"
"""An input ``x_profile`` names an entry of the file's profiles, which stands in as ``x``."""


NOISE = 1e-10
"""What is left of figures that cancel, and differs from machine to machine: no relative error."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest difference that still passes; relative to the expected figure or absolute."""

    value: float
    is_relative: bool

    def allows(self, difference: float, expected: float) -> bool:
        """Whether a difference >= 0 from ``expected`` passes; never where it is NaN."""
        if not self.is_relative:
            return difference <= self.value
        return difference <= (NOISE if abs(expected) < NOISE else self.value * abs(expected))

    def __str__(self) -> str:
        return f"{self.value:g} {'rel' if self.is_relative else 'abs'}"


@dataclass(frozen=True, slots=True)
class Case:
    """One published example.

    ``party`` is the peer or venue, empty in files by topic; ``subject`` the model or topic.
    ``expected`` is what was published; ``derived`` what the file's compiler worked out on top.
    """

    party: str
    subject: str
    id: str
    inputs: Mapping[str, Any]
    expected: Any
    derived: Mapping[str, Any]
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class VectorFile:
    """The cases of one file; ``headings`` names what ``party`` and ``subject`` are in it."""

    name: str
    headings: tuple[str, str]
    cases: tuple[Case, ...]


class _PeerCase(msgspec.Struct, frozen=True):
    peer: str
    model: str
    id: str
    inputs: dict[str, Any]
    expected: Any
    tolerance: Any


class _PeerFile(msgspec.Struct, frozen=True):
    profiles: dict[str, Any]
    vectors: list[_PeerCase]


class _VenueCase(msgspec.Struct, frozen=True):
    venue: str
    model: str
    id: str
    inputs: dict[str, Any]
    expected: Any
    tolerance: Any
    derived_not_published: dict[str, Any] = msgspec.field(default_factory=dict)


class _QuantCase(msgspec.Struct, frozen=True):
    topic: str
    id: str
    inputs: dict[str, Any]
    expected: Any
    tolerance: Any


def read_file(path: Path) -> VectorFile:
    """The cases of a file. Raises InputError where it cannot be read or fits no schema."""
    name = str(path)
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise InputError(name, problem, "check the path") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(name, f"is not JSON ({error})", "give a file of vectors") from None
    vectors = raw.get("vectors") if isinstance(raw, dict) else raw
    if not isinstance(vectors, list):
        raise InputError(name, "fits no schema of vectors", f"give {SCHEMAS}")
    if not vectors:
        raise InputError(name, "holds no cases", "give at least one")
    if isinstance(raw, dict):
        return VectorFile(name, ("peer", "model"), _peer_cases(raw, name))
    first = vectors[0] if isinstance(vectors[0], dict) else {}
    if "venue" in first:
        return VectorFile(name, ("venue", "model"), _venue_cases(vectors, name))
    if "topic" in first:
        return VectorFile(name, ("", "topic"), _quant_cases(vectors, name))
    raise InputError(name, "fits no schema of vectors", f"give {SCHEMAS}")


def _peer_cases(raw: Mapping[str, Any], name: str) -> tuple[Case, ...]:
    file = _convert(raw, _PeerFile, name)
    cases = []
    for k, case in enumerate(file.vectors):
        place = f"{name} vectors[{k}]"
        inputs = _with_profiles(case.inputs, file.profiles, place)
        tolerance = parse_tolerance(case.tolerance, place)
        cases.append(Case(case.peer, case.model, case.id, inputs, case.expected, {}, tolerance))
    return tuple(cases)


def _venue_cases(raw: Sequence[Any], name: str) -> tuple[Case, ...]:
    return tuple(
        Case(
            case.venue,
            case.model,
            case.id,
            case.inputs,
            case.expected,
            case.derived_not_published,
            parse_tolerance(case.tolerance, f"{name}[{k}]"),
        )
        for k, case in enumerate(_convert(raw, list[_VenueCase], name))
    )


def _quant_cases(raw: Sequence[Any], name: str) -> tuple[Case, ...]:
    return tuple(
        Case(
            "",
            case.topic,
            case.id,
            case.inputs,
            case.expected,
            {},
            parse_tolerance(case.tolerance, f"{name}[{k}]"),
        )
        for k, case in enumerate(_convert(raw, list[_QuantCase], name))
    )


def _convert(raw: Any, schema: type[T], name: str) -> T:
    try:
        return msgspec.convert(raw, schema)
    except msgspec.ValidationError as error:
        remedy = "give every case the fields of its schema"
        raise InputError(name, str(error), remedy) from None


def _with_profiles(
    inputs: Mapping[str, Any], profiles: Mapping[str, Any], place: str
) -> Mapping[str, Any]:
    resolved = {}
    for key, value in inputs.items():
        if not key.endswith(PROFILE):
            resolved[key] = value
        elif isinstance(value, str) and value in profiles:
            resolved[key.removesuffix(PROFILE)] = profiles[value]
        else:
            remedy = "name an entry of the file's profiles"
            raise InputError(f"{place}.inputs.{key}", f"unknown profile {value!r}", remedy)
    return resolved


def parse_tolerance(raw: Any, place: str) -> Tolerance:
    """A tolerance from ``{"kind": "abs", "value": 0.01}``, ``0.01`` (absolute) or ``"1e-8 rel"``.

    Raises InputError, naming ``place``, on anything else.
    """
    kind: Any = "abs"
    value = raw
    if isinstance(raw, dict):
        kind, value = raw.get("kind"), raw.get("value")
    elif isinstance(raw, str):
        value, _, kind = raw.strip().partition(" ")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if kind not in ("abs", "rel") or not 0 <= number < math.inf:
        remedy = 'write 0.01, "1e-8 rel" or {"kind": "abs", "value": 0.01}'
        raise InputError(f"{place}.tolerance", f"{raw!r} is no tolerance", remedy)
    return Tolerance(number, kind == "rel")
