"""Bytes to plain data: mappings, lists, text, truth values, nothing and exact numbers.

YAML is read as JSON with another layout: a plain scalar is what JSON would make of it and text
otherwise, so ``no`` stays a word, ``0x10`` and ``1_000`` are no numbers and a date is text.
Anchors, tags, repeated keys and deep nesting are refused. What is wrong with a single value
is left in its place as a ``Fault``, so that the reader can say which value it was.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import yaml

from plimsoll.connectors.document import Number
from plimsoll.core import InputError

SIZE_MAX = 16 * 2**20
DEPTH_MAX = 20
DIGITS_MAX = 30
DECIMALS_MAX = 30
EXPONENT_END = 18

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_WORDS = (("", None), ("~", None), ("null", None), ("true", True), ("false", False))
_JSON_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)
_DEEP = (f"nested more than {DEPTH_MAX} levels deep", "flatten it")


@dataclass(frozen=True, slots=True)
class Fault:
    """Stands where a value cannot be used."""

    problem: str
    remedy: str


def show(text: str) -> str:
    """Text quoted for an error message, short and on one line."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def parse_plain(data: bytes, name: str) -> object:
    """The plain data in a YAML or JSON file; the suffix of ``name`` decides, else the content.

    Raises InputError with the line as its place, or with an empty place for the whole file.
    """
    text = _decode(data)
    lower = name.lower()
    is_yaml = lower.endswith((".yaml", ".yml"))
    if lower.endswith(".json") or (not is_yaml and text.lstrip()[0] in "{["):
        return _parse_json(text)
    return _parse_yaml(text)


def _decode(data: bytes) -> str:
    if len(data) > SIZE_MAX:
        raise InputError("", f"is larger than {SIZE_MAX >> 20} MiB", "split it by account")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise InputError("", "is not UTF-8 text (UTF-16 or binary)", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputError(f"line {line}", problem, "save the file as UTF-8") from error
    if not text.strip():
        raise InputError("", "is empty", "start from one of the files in examples/")
    return text


def parse_number(text: str) -> Number | Fault:
    """A number in JSON's notation, exact; a fault where it is out of range."""
    fault = Fault(
        f"{text[:40]} is out of range",
        f"stay below 1e{EXPONENT_END} with at most {DIGITS_MAX} digits",
    )
    try:
        value = Decimal(text)
    except InvalidOperation:
        return fault
    _, digits, exponent = value.as_tuple()
    if not value:
        return Number(0)
    too_fine = len(digits) > DIGITS_MAX or int(exponent) < -DECIMALS_MAX
    return fault if too_fine or value.adjusted() >= EXPONENT_END else Number(value)


def _parse_json(text: str) -> object:
    _check_depth(text)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=parse_number,
            parse_int=parse_number,
            parse_constant=lambda word: Fault(f"{word} is not a number", "give a finite number"),
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(place, f"not JSON: {error.msg}", "mend the JSON there") from error


def _check_depth(text: str) -> None:
    """Refuses deep nesting before a recursive parser meets it."""
    depth = 0
    for token in _JSON_TOKENS.finditer(text):
        first = token.group()[0]
        depth += (first in "[{") - (first in "]}")
        if depth > DEPTH_MAX:
            raise InputError(f"line {text.count(chr(10), 0, token.start()) + 1}", *_DEEP)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | Fault:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    return Fault(f"the key {show(twice)} appears twice", "keep one of them")


def _parse_yaml(text: str) -> object:
    try:
        return _tree(yaml.parse(text, Loader=LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        is_tab = mark is not None and text[mark.index : mark.index + 1] == "\t"
        remedy = "indent with spaces, not tabs" if is_tab else "mend the YAML there"
        raise InputError(place, f"not YAML: {error.problem}", remedy) from error
    except yaml.YAMLError as error:
        remedy = "remove control characters and save it as UTF-8"
        raise InputError("", "holds a character that YAML does not allow", remedy) from error


def _tree(events: Iterator[yaml.Event]) -> object:
    """Plain data of the one document in a stream of events, without recursion."""
    root: list[object] = []
    stack: list[list[object] | dict[str, object]] = [root]
    pending: list[str | None] = [None]
    for event in events:
        mark = event.start_mark
        place = "" if mark is None else f"line {mark.line + 1}"
        _refuse_extras(event, place, is_second=bool(root))
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            pending.pop()
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            continue
        parent, key = stack[-1], pending[-1]
        if isinstance(parent, dict) and key is None:
            pending[-1] = _key(event, parent, place)
            continue
        value = _value(event)
        if isinstance(parent, list):
            parent.append(value)
        elif key is not None:
            parent[key], pending[-1] = value, None
        if isinstance(value, list | dict):
            stack.append(value)
            pending.append(None)
            if len(stack) > DEPTH_MAX + 1:
                raise InputError(place, *_DEEP)
    return root[0] if root else None


def _refuse_extras(event: yaml.Event, place: str, is_second: bool) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise InputError(place, "anchors and aliases (& and *) are refused", "write the value out")
    tag = getattr(event, "tag", None)
    if tag:
        raise InputError(place, f"the tag {show(tag)} is refused", "leave it out")
    if isinstance(event, yaml.DocumentStartEvent) and is_second:
        raise InputError(place, "a second document begins", "put one document into a file")


def _key(event: yaml.Event, parent: dict[str, object], place: str) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise InputError(place, "a key is a mapping or a list", "use a word as the key")
    key = str(event.value)
    if key in parent:
        raise InputError(place, f"the key {show(key)} appears twice", "keep one of them")
    return key


def _value(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> object:
    if not isinstance(event, yaml.ScalarEvent):
        return {} if isinstance(event, yaml.MappingStartEvent) else []
    text = str(event.value)
    if event.style not in (None, ""):
        return text
    if _NUMBER.fullmatch(text):
        return parse_number(text)
    return next((value for word, value in _WORDS if word == text), text)
