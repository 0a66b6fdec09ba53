"""Parameters of plimsoll.portfolio: from its table to columns over a book's instruments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, did_you_mean
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.charges import (
    ClosingTime,
    JointColumns,
    MarginalTiers,
    VolShocks,
    ranged_moves,
    residual_haircuts,
)
from plimsoll.margin.parameters import DEFAULT, number
from plimsoll.pricing import TenorLaw

SCENARIOS = 48
"""How many joint scenarios a table states; fixed, so that a kernel may be built for it."""

UNDERLYING = frozenset({"class", "recent", "floor", "daily_volume"})
FAMILY = frozenset({"bloc", "offset", "alone", "basis_min", "basis_year"})


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters as columns over assets, instruments and scenarios.

    ``price_range`` [assets] is NaN for what has none. ``move`` and ``weight`` are [assets,
    scenarios], 0 and 1 for what is not scanned. ``pair_move`` [grids, scenarios] with ``grid``
    [instruments] serves contracts; a pair of coins moves by the ratio of its own. ``units`` of
    volatility are [scenarios]. ``fall`` and ``rise`` [assets] are depegs, 0 where scanned.
    """

    initial_factor: float
    price_range: Floats
    move: Floats
    weight: Floats
    columns: JointColumns
    pair_move: Floats
    grid: Int64s
    vol_units: Floats
    vol: VolShocks
    closing: ClosingTime
    basis_min: Floats
    basis_year: Floats
    short_option_rate: float
    fee_rate: float
    option_fee_rate: float
    haircuts: MarginalTiers
    fall: Floats
    rise: Floats


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    listed = _underlyings(params, names, place)
    units, vol_units = _scenarios(params, listed, place)
    price_range = listed["range"]
    is_scanned = ~np.isnan(price_range)
    move, weight = ranged_moves(units, vol_units, price_range)
    move = np.where(is_scanned[:, np.newaxis], move, 0.0)
    fall, rise, is_currency = _depegs(params["depeg"], names, is_scanned, f"{place}.depeg")
    pair_move, grid = _grids(instruments, move, is_scanned, is_currency, str(params["currency"]))
    factor = _positive(params, "initial_factor", place, low=1.0)
    blocs = np.array(list(params["scenarios"].values())[:-1], dtype=np.float64)
    is_apart = np.any(blocs != blocs[0], axis=0)
    together = np.where(is_apart | (np.abs(blocs[0]) > 1), np.inf, np.abs(blocs[0]))
    taken = factor * np.where(is_scanned, price_range, fall)
    return Params(
        initial_factor=factor,
        price_range=price_range,
        move=move,
        weight=weight,
        columns=JointColumns(
            coin_profit=np.where(is_scanned[:, np.newaxis], move * weight, 0.0),
            direction=np.sign(move).astype(np.int8),
            # Twice a shock of volatility is no move that one underlying makes alone.
            reach=np.where(np.abs(vol_units) > 1, np.inf, together),
            is_apart=is_apart,
            alone=np.where(is_scanned, listed["alone"], 0.0),
            offset=np.where(
                is_scanned,
                np.minimum(listed["offset"], _positive(params, "offset_cap", place, 0.0, 1.0)),
                0.0,
            ),
        ),
        pair_move=pair_move,
        grid=grid,
        vol_units=vol_units,
        vol=_vol_shocks(params["volatility"], f"{place}.volatility"),
        closing=ClosingTime(
            price_range,
            listed["daily_volume"] * _positive(params, "participation", place, 1e-9, 1.0),
            _positive(params, "horizon_days", place, 1e-9),
        ),
        basis_min=listed["basis_min"],
        basis_year=listed["basis_year"],
        short_option_rate=_positive(params, "short_option_rate", place, 0.0, 1.0),
        fee_rate=_positive(params, "fee_rate", place, 0.0, 1.0),
        option_fee_rate=_positive(params, "option_fee_rate", place, 0.0, 1.0),
        haircuts=residual_haircuts(params["haircuts"], names, taken, f"{place}.haircuts"),
        fall=fall,
        rise=rise,
    )


def _positive(
    params: Mapping[str, Any], name: str, place: str, low: float = 0.0, high: float = np.inf
) -> float:
    return number(params[name], f"{place}.{name}", low, high)


def _entry(table: Any, wanted: frozenset[str], place: str) -> Mapping[str, Any]:
    """An entry that has just the wanted keys."""
    if not isinstance(table, Mapping) or set(table) != wanted:
        raise InputError(place, "is no full entry", f"give {', '.join(sorted(wanted))}")
    return table


def _underlyings(
    params: Mapping[str, Any], names: tuple[str, ...], place: str
) -> dict[str, Floats]:
    """Columns over assets by name, NaN for what is not listed; ``bloc`` numbers the column."""
    keys = ("range", "alone", "offset", "basis_min", "basis_year", "daily_volume", "bloc")
    out = {key: np.full(len(names), np.nan) for key in keys}
    buffer = 1.0 + _positive(params, "range_buffer", place)
    blocs = list(params["scenarios"])[:-1]
    for name, row in params["underlyings"].items():
        if name not in names:
            continue
        here = f"{place}.underlyings.{name}"
        entry = _entry(row, UNDERLYING, here)
        if entry["class"] not in params["classes"]:
            remedy = did_you_mean(str(entry["class"]), params["classes"])
            raise InputError(f"{here}.class", f"unknown class {entry['class']!r}", remedy)
        where = f"{place}.classes.{entry['class']}"
        family = _entry(params["classes"][entry["class"]], FAMILY, where)
        if family["bloc"] not in blocs:
            remedy = did_you_mean(str(family["bloc"]), blocs)
            raise InputError(f"{where}.bloc", f"no scenarios for {family['bloc']!r}", remedy)
        k = names.index(name)
        recent = buffer * _positive(entry, "recent", here)
        largest = max(recent, _positive(entry, "floor", here))
        out["range"][k] = number(largest, f"{here}.recent", 1e-6, 0.999999)
        out["daily_volume"][k] = _positive(entry, "daily_volume", here, 1e-6)
        out["bloc"][k] = blocs.index(family["bloc"])
        for key, high in (("alone", 1.0), ("offset", 1.0), ("basis_min", 1.0), ("basis_year", 10)):
            out[key][k] = _positive(family, key, where, 0.0, high)
    return out


def _scenarios(
    params: Mapping[str, Any], listed: Mapping[str, Floats], place: str
) -> tuple[Floats, Floats]:
    """Units of range, [assets, scenarios], 0 for what is not listed, and of volatility."""
    table = params["scenarios"]
    where = f"{place}.scenarios"
    if list(table)[-1] != "volatility" or len(table) < 2:
        raise InputError(where, "does not end in volatility", "list the blocs first")
    columns = []
    for name, values in table.items():
        if not isinstance(values, list) or len(values) != SCENARIOS:
            raise InputError(f"{where}.{name}", "is no full column", f"give {SCENARIOS} numbers")
        columns.append([number(value, f"{where}.{name}", -100, 100) for value in values])
    by_bloc, bloc = np.array(columns), listed["bloc"]
    is_listed = ~np.isnan(bloc)
    units = np.zeros((bloc.size, SCENARIOS))
    units[is_listed] = by_bloc[bloc[is_listed].astype(np.int64)]
    return units, by_bloc[-1]


def _vol_shocks(table: Mapping[str, Any], place: str) -> VolShocks:
    law = TenorLaw(
        short_power=_positive(table, "short_power", place),
        long_power=_positive(table, "long_power", place),
        split_is_short=False,
        whole_days=False,
        reference_days=_positive(table, "reference_days", place, 1e-6),
        days_min=_positive(table, "days_min", place, 1e-6),
    )
    return VolShocks(
        _positive(table, "up", place),
        _positive(table, "down", place),
        law,
        _positive(table, "vol_min_up", place),
        _positive(table, "vol_min_down", place),
    )


def _depegs(
    table: Mapping[str, Any], names: tuple[str, ...], is_scanned: Bools, place: str
) -> tuple[Floats, Floats, Bools]:
    """Fall and rise by asset, 0 for what is scanned, and which assets are listed by name."""
    fall, rise = np.zeros(len(names)), np.zeros(len(names))
    for k, name in enumerate(names):
        pair = table.get(name, table.get(DEFAULT))
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError(f"{place}.{name}", "is no pair", "give [fall, rise], 0.05 for 5 %")
        if not is_scanned[k]:
            fall[k], rise[k] = (number(x, f"{place}.{name}", 0.0, 1.0) for x in pair)
    return fall, rise, np.array([name in table for name in names]) & ~is_scanned


def _grids(
    instruments: InstrumentTable,
    move: Floats,
    is_scanned: Bools,
    is_currency: Bools,
    currency: str,
) -> tuple[Floats, Int64s]:
    """Moves of each pair of base and quote that contracts have a rule for, and each one's row."""
    names = instruments.assets.names
    base, quote, settle = instruments.base, instruments.quote, instruments.settle
    is_quoted = (quote == settle) | np.array([names[k] == currency for k in quote], dtype=np.bool_)
    has_rule = is_scanned[base] & is_quoted & (is_scanned | is_currency)[settle]
    has_rule &= ~instruments.of_kind(Kind.SPOT)
    key = np.where(has_rule, base.astype(np.int64) * len(names) + quote, -1)
    pairs = np.unique(key[has_rule])
    # What the quote does not move by itself has a move of 0.
    ratio = (1.0 + move[pairs // len(names)]) / (1.0 + move[pairs % len(names)]) - 1.0
    plain = ~is_scanned[pairs % len(names)]
    ratio[plain] = move[pairs[plain] // len(names)]
    grid = np.where(has_rule, np.searchsorted(pairs, key), -1)
    return ratio, grid.astype(np.int64)
