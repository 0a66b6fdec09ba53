"""Plain data into typed structures, strictly, with the exact place of whatever does not fit."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import inspect as types

from plimsoll.connectors.document import Ignored, Number
from plimsoll.connectors.plain import Fault, show
from plimsoll.core import InputError, did_you_mean

Rewrites: TypeAlias = Mapping[type, Callable[[Mapping[str, object], str], Mapping[str, object]]]
"""Per structure, a function from (plain mapping, place) to the mapping it shall be filled with."""

LEAVES = (
    (types.StrType, str, "text", "put it in quotes"),
    (types.BoolType, bool, "true or false", "write true or false"),
    (types.CustomType, Number, "a number", "write a plain number such as -1.5, without quotes"),
)
BOUNDS = (
    ("exclusiveMinimum", "is not above 0", "give a number above 0"),
    ("minimum", "is below 0", "give 0 or more"),
)


def join_place(place: str, key: str) -> str:
    """The dotted path of a member: ``market.index.BTC``, ``instruments['BTC/USDT:USDT']``."""
    if not key.isidentifier() or not key.isascii():
        return f"{place}[{show(key)}]"
    return f"{place}.{key}" if place else key


def fill(kind: types.Type, value: object, place: str, rewrites: Rewrites) -> Any:
    """``value`` as ``kind`` (a type as ``msgspec.inspect`` describes it) wants it.

    Null means not given. Raises InputError, naming the place below ``place``, on unknown and
    missing fields, on wrong types, on numbers of the wrong sign and on faults.
    """
    if isinstance(value, Fault):
        raise InputError(place, value.problem, value.remedy)
    match kind:
        case types.Metadata(type=inner, extra_json_schema=extra):
            filled = fill(inner, value, place, rewrites)
            _check_bounds(filled, extra or {}, place)
            return filled
        case types.UnionType(types=members):
            inner = next(m for m in members if not isinstance(m, types.NoneType))
            return None if value is None else fill(inner, value, place, rewrites)
        case types.StructType():
            return _fill_struct(kind, value, place, rewrites)
        case types.DictType(value_type=inner):
            return {
                key: fill(inner, item, join_place(place, key), rewrites)
                for key, item in expect_mapping(value, place).items()
            }
        case types.VarTupleType(item_type=inner):
            return tuple(
                fill(inner, item, f"{place}[{i}]", rewrites)
                for i, item in enumerate(_expect_list(value, place))
            )
        case types.LiteralType(values=values):
            if value not in values:
                shown = show(value) if isinstance(value, str) else _describe(value)
                remedy = f"write {' or '.join(map(repr, values))}"
                raise InputError(place, f"{shown} is not one of the choices", remedy)
            return value
        case types.AnyType():
            return _sound(value, place)
        case types.CustomType(cls=cls) if cls is Ignored:
            return None
    return _leaf(kind, value, place)


def expect_mapping(value: object, place: str) -> Mapping[str, object]:
    """``value`` if it is a mapping. Raises InputError where it is not."""
    if isinstance(value, Fault):
        raise InputError(place, value.problem, value.remedy)
    if not isinstance(value, Mapping):
        problem = f"expected a mapping, got {_describe(value)}"
        raise InputError(place, problem, "write it as 'name: value' pairs")
    return value


def _expect_list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        problem = f"expected a list, got {_describe(value)}"
        raise InputError(place, problem, "begin each item with '- ' or put all in [ ]")
    return value


def _fill_struct(kind: types.StructType, value: object, place: str, rewrites: Rewrites) -> Any:
    given = expect_mapping(value, place)
    if kind.cls in rewrites:
        given = rewrites[kind.cls](given, place)
    names = [field.encode_name for field in kind.fields]
    for key in given:
        if key not in names:
            raise InputError(join_place(place, key), "unknown field", did_you_mean(key, names))
    filled = {}
    for field in kind.fields:
        inner = join_place(place, field.encode_name)
        item = given.get(field.encode_name)
        if item is not None:
            filled[field.name] = fill(field.type, item, inner, rewrites)
        elif field.required:
            raise InputError(inner, "is missing", _example(field))
    build: Callable[..., Any] = kind.cls
    return build(**filled)


def _example(field: types.Field) -> str:
    extra = field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None
    meaning = str((extra or {}).get("description", "")).rstrip(".")
    return f"add it ({meaning})" if meaning else "add it"


def _check_bounds(value: object, extra: Mapping[str, Any], place: str) -> None:
    if isinstance(value, Number):
        for name, problem, remedy in BOUNDS:
            if name in extra and (value < 0 or (not value and name == "exclusiveMinimum")):
                raise InputError(place, f"{value} {problem}", remedy)


def _sound(value: object, place: str) -> object:
    """The value itself, once no fault is found anywhere in it."""
    if isinstance(value, Fault):
        raise InputError(place, value.problem, value.remedy)
    if isinstance(value, Mapping):
        for key, item in value.items():
            _sound(item, join_place(place, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _sound(item, f"{place}[{i}]")
    return value


def _leaf(kind: types.Type, value: object, place: str) -> object:
    for described, cls, noun, remedy in LEAVES:
        if isinstance(kind, described):
            if not isinstance(value, cls):
                raise InputError(place, f"expected {noun}, got {_describe(value)}", remedy)
            return value
    raise TypeError(f"{place}: {kind} has no rule")


def _describe(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {show(value)}"
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "a mapping"
