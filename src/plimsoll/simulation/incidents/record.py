"""An incident's record: one TOML file of ``records``, checked key by key.

``[incident]`` tells what happened, what was published and what the control must bound; its
``published`` figure is a ``value``, or the ``param`` that the play starts from, too. ``[params]``
holds the figures of the play: numbers, texts, and lists and tables of them. ``[unconfirmed]`` has
the reason for each that no source confirms, by its path: ``leverage``, ``"coins.*.low"`` for those
of all coins, ``bound`` for the record's. Line breaks in texts are spaces.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from fnmatch import fnmatchcase
from importlib.resources import files
from math import isfinite
from types import MappingProxyType
from typing import Any

from plimsoll.core import InputError, did_you_mean
from plimsoll.liquidation.presets.decode import (
    NOT_NEGATIVE,
    PART,
    POSITIVE,
    check_keys,
    take_number,
    take_table,
    take_text,
)
from plimsoll.simulation.incidents.incident import Figure, Incident, Play

SECTIONS = ("incident", "params", "unconfirmed")
TEXTS = ("id", "title", "story", "control", "source", "bound_text")
KEYS = (*TEXTS, "date", "retrieved", "bound", "published")
EITHER = ("tolerance", "why_not")
PUBLISHED, PUBLISHED_EITHER = ("name", "unit"), ("value", "param")


def read_incident(incident_id: str, play: Play) -> Incident:
    """The incident of an id from its record in the package, with its play.

    Raises InputError where there is no such record, and on what ``decode_incident`` refuses.
    """
    name = f"{incident_id.lower()}.toml"
    record = files("plimsoll.simulation.incidents").joinpath("records", name)
    if not record.is_file():
        raise InputError(f"records.{incident_id.lower()}", "is missing", f"write records/{name}")
    return decode_incident(record.read_text(encoding="utf-8"), incident_id, play)


def decode_incident(text: str, incident_id: str, play: Play) -> Incident:
    """A record's text as the incident of an id.

    Raises InputError on whatever no record says: the place names file and key, as
    ``records.b11.incident.published.value``.
    """
    place = f"records.{incident_id.lower()}"
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(place, f"is no TOML: {error}", "mend it there") from error
    document = _take_keys(parsed, SECTIONS, (), place)
    params = take_table(document["params"], f"{place}.params")
    at = f"{place}.incident"
    record = _take_keys(document["incident"], KEYS, EITHER, at)
    texts = {key: _take_prose(record[key], f"{at}.{key}") for key in TEXTS}
    if texts["id"] != incident_id:
        raise InputError(f"{at}.id", f"'{texts['id'][:60]}' is not {incident_id}", "name the file")
    tolerance, why_not = None, ""
    if _take_one(record, EITHER, at) == "tolerance":
        tolerance = take_number(record["tolerance"], PART, f"{at}.tolerance")
    else:
        why_not = _take_prose(record["why_not"], f"{at}.why_not")
    paths = ("bound", *_paths(params, f"{place}.params"))
    return Incident(
        id=incident_id,
        title=texts["title"],
        date=_take_day(record["date"], f"{at}.date"),
        story=texts["story"],
        control=texts["control"],
        source=texts["source"],
        retrieved=_take_day(record["retrieved"], f"{at}.retrieved"),
        published=_take_published(record["published"], params, f"{at}.published"),
        tolerance=tolerance,
        why_not=why_not,
        bound=take_number(record["bound"], NOT_NEGATIVE, f"{at}.bound"),
        bound_text=texts["bound_text"],
        params=MappingProxyType(dict(params)),
        unconfirmed=_take_reasons(document["unconfirmed"], paths, f"{place}.unconfirmed"),
        play=play,
    )


def _take_published(table: object, params: Mapping[str, Any], place: str) -> Figure:
    """The published figure, its own or the one that the play starts from, too."""
    given = _take_keys(table, PUBLISHED, PUBLISHED_EITHER, place)
    name, unit = (take_text(given[key], f"{place}.{key}") for key in PUBLISHED)
    chosen = _take_one(given, PUBLISHED_EITHER, place)
    value = given[chosen]
    if chosen == "param":
        param = take_text(value, f"{place}.param")
        if param not in params:
            problem = f"'{param[:60]}' is none of the params"
            raise InputError(f"{place}.param", problem, did_you_mean(param, params))
        value = params[param]
    return Figure(name, take_number(value, POSITIVE, f"{place}.{chosen}"), unit)


def _take_reasons(table: object, paths: tuple[str, ...], place: str) -> MappingProxyType[str, str]:
    """Why no source confirms a figure, by a path that leads to one."""
    reasons = take_table(table, place)
    for path in reasons:
        if not any(fnmatchcase(known, path) for known in paths):
            problem = f"'{path[:60]}' leads to no figure"
            raise InputError(f"{place}.{path}", problem, did_you_mean(path, paths))
    return MappingProxyType(
        {path: _take_prose(reason, f"{place}.{path}") for path, reason in reasons.items()}
    )


def _paths(figures: Mapping[str, object], place: str) -> Iterator[str]:
    """The path of each figure and of each table of them; InputError where one is none."""
    for key, value in figures.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{path}" for path in _paths(value, f"{place}.{key}"))
        else:
            _check_figure(value, f"{place}.{key}")


def _check_figure(value: object, place: str) -> None:
    if isinstance(value, list):
        for number, part in enumerate(value):
            _check_figure(part, f"{place}[{number}]")
    elif not isinstance(value, str) and (
        isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)
    ):
        problem = f"{value!r} is neither a finite number nor a text"
        raise InputError(place, problem, "write one of the two")


def _take_keys(
    table: object, required: tuple[str, ...], others: tuple[str, ...], place: str
) -> Mapping[str, Any]:
    """A table that has what it must have and nothing unknown."""
    given = take_table(table, place)
    check_keys(given, (*required, *others), place)
    for key in required:
        if key not in given:
            raise InputError(f"{place}.{key}", "is missing", "it has no default")
    return given


def _take_one(table: Mapping[str, Any], keys: tuple[str, ...], place: str) -> str:
    """The one of the keys that a table has."""
    found = [key for key in keys if key in table]
    if len(found) != 1:
        problem = f"has {' and '.join(found) or 'none of ' + ', '.join(keys)}"
        raise InputError(place, problem, f"give exactly one of {', '.join(keys)}")
    return found[0]


def _take_day(value: object, place: str) -> str:
    """A day as people write it: ``2025-10-10``."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InputError(place, f"{value!r} is no day", "write it as 2025-10-10, without quotes")
    return value.isoformat()


def _take_prose(value: object, place: str) -> str:
    """A text, its lines joined."""
    return take_text(" ".join(value.split()) if isinstance(value, str) else value, place)
