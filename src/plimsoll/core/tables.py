"""Dated parameter tables: blocks with a start, a source and what is unconfirmed in them."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from plimsoll.core.errors import InputError
from plimsoll.core.time import format_time, parse_time


@dataclass(frozen=True, slots=True)
class DatedTable:
    """One block of a table, in force from ``effective_from_ns`` until the next block.

    ``unconfirmed`` maps a parameter's path to the reason why no source confirms it.
    """

    name: str
    effective_from_ns: int
    source: str
    retrieved: str
    params: MappingProxyType[str, Any]
    unconfirmed: MappingProxyType[str, str]


@cache
def load_tables(package: str, name: str) -> tuple[DatedTable, ...]:
    """All blocks of ``name``.toml in ``package``, oldest first."""
    text = files(package).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    blocks = tomllib.loads(text)["table"]
    tables = (_block(name, block) for block in blocks)
    return tuple(sorted(tables, key=lambda table: table.effective_from_ns))


def _block(name: str, block: dict[str, Any]) -> DatedTable:
    return DatedTable(
        name=name,
        effective_from_ns=parse_time(_day(block["effective_from"]), f"{name}.effective_from"),
        source=str(block["source"]),
        retrieved=_day(block["retrieved"]),
        params=MappingProxyType(block["params"]),
        unconfirmed=MappingProxyType(block.get("unconfirmed", {})),
    )


def _day(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def table_at(tables: tuple[DatedTable, ...], time_ns: int) -> DatedTable:
    """The block in force at ``time_ns``. Raises InputError before the first one."""
    in_force = [table for table in tables if table.effective_from_ns <= time_ns]
    if not in_force:
        first = tables[0]
        raise InputError(
            first.name,
            f"no parameters are in force at {format_time(time_ns)}",
            f"use a date from {format_time(first.effective_from_ns)} on",
        )
    return in_force[-1]
