"""Reading a table's parameters into columns: by symbol, else by base asset, else a default.

A parameter table is keyed by what a venue lists it by. ``"BTC/USDT:USDT"`` speaks of one
contract, ``"BTC"`` of every contract on that underlying, ``"default"`` of all others. What
nothing speaks of is NaN, and so UNKNOWN: no number is invented.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError
from plimsoll.instruments import Instrument, InstrumentTable
from plimsoll.margin.charges import MarginalTiers, schedules

DEFAULT = "default"


def number(value: object, place: str, low: float = 0.0, high: float = np.inf) -> float:
    """A finite number within bounds; InputError naming ``place`` otherwise."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or not low <= value <= high:  # type: ignore[call-overload, operator]
        raise InputError(place, f"{value!r} is no number from {low:g} to {high:g}", "mend it")
    return float(value)  # type: ignore[arg-type]


def find_entry(table: Mapping[str, Any], row: Instrument) -> Any:
    """The entry of a contract: its own, its underlying's, the default, else None."""
    for key in (row.contract, row.base, DEFAULT):
        if key in table:
            return table[key]
    return None


def instrument_column(
    table: Mapping[str, Any],
    instruments: InstrumentTable,
    place: str,
    low: float = 0.0,
    high: float = np.inf,
) -> Floats:
    """One number per instrument, NaN where the table speaks of none, shape [instruments]."""
    out = np.full(len(instruments), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(table, row)
        if entry is not None:
            out[i] = number(entry, f"{place}.{row.symbol}", low, high)
    return out


def asset_column(
    table: Mapping[str, Any],
    names: Sequence[str],
    place: str,
    low: float = 0.0,
    high: float = np.inf,
) -> Floats:
    """One number per asset, NaN where the table speaks of none, shape [assets]."""
    out = np.full(len(names), np.nan)
    for i, name in enumerate(names):
        entry = table.get(name, table.get(DEFAULT))
        if entry is not None:
            out[i] = number(entry, f"{place}.{name}", low, high)
    return out


def instrument_schedules(
    table: Mapping[str, Sequence[Sequence[float]]],
    instruments: InstrumentTable,
    column: int,
    place: str,
) -> MarginalTiers:
    """Tier schedules, one per instrument; empty where the table speaks of none."""
    found = {row.symbol: find_entry(table, row) or () for row in instruments.rows}
    return schedules(found, instruments.symbols, column, place)


def asset_schedules(
    table: Mapping[str, Sequence[Sequence[float]]],
    names: Sequence[str],
    column: int,
    place: str,
) -> MarginalTiers:
    """Tier schedules, one per asset; the default's, or an empty one, for what is not listed."""
    found = {name: table.get(name, table.get(DEFAULT, ())) for name in names}
    return schedules(found, names, column, place)
