"""Waterfalls by name, from the dated tables of ``plimsoll.liquidation.presets``.

A table's params are the fields of ``Waterfall`` and ``stages``, an array of tables. What no
source confirms stands in ``[table.unconfirmed]`` by its path: ``"stages[2].from_ratio"``,
``release_ratio``, ``"stages[2]"`` for a stage that does not say all its venue does.
"""

from dataclasses import fields
from typing import Any

from plimsoll.core import DatedTable, InputError, did_you_mean, load_tables, table_at
from plimsoll.liquidation.presets import PRESETS
from plimsoll.liquidation.presets.decode import (
    RANGES,
    RATE,
    check_keys,
    check_order,
    decode_stage,
    take_number,
    take_table,
    take_text,
)
from plimsoll.liquidation.waterfall.stages import Throttle, Waterfall

PACKAGE = "plimsoll.liquidation.presets"
TEXTS = ("title", "reserve_asset")
RATIOS = ("release_ratio", "slippage_rate", "taker_fee_rate")
KEYS = (*TEXTS, *RATIOS, "liquidation_fee_rates", "stages")


def waterfall_names() -> tuple[str, ...]:
    """The names that ``load_waterfall`` takes, the house's first."""
    return PRESETS


def waterfall_tables(name: str) -> tuple[DatedTable, ...]:
    """A waterfall's dated tables, oldest first. Raises InputError on an unknown name."""
    if name not in PRESETS:
        remedy = did_you_mean(name, PRESETS)
        raise InputError("waterfall", f"unknown waterfall '{name[:60]}'", remedy)
    return load_tables(PACKAGE, name)


def load_waterfall(name: str, as_of_ns: int) -> Waterfall:
    """The waterfall of a name in force at ``as_of_ns``.

    Raises InputError on an unknown name, on a date before its first table, and on a table that
    says what no waterfall can: the place names the key, as ``presets.okx.stages[3].from_ratio``.
    """
    return decode_waterfall(table_at(waterfall_tables(name), as_of_ns))


def waterfall_of(model_name: str) -> str:
    """The name of the waterfall under which a margin model's pools are liquidated.

    The model's own entry stands before its venue's, which is its name up to the first dot; a
    model without either has the house's. Raises InputError where an entry names no waterfall.
    """
    params = load_tables(PACKAGE, "models")[-1].params
    chosen = params["models"]
    venue = model_name.split(".", maxsplit=1)[0]
    name = str(chosen.get(model_name, chosen.get(venue, params["default"])))
    if name not in PRESETS:
        problem = f"'{model_name[:60]}' has the unknown waterfall '{name[:60]}'"
        raise InputError("presets.models", problem, did_you_mean(name, PRESETS))
    return name


def decode_waterfall(table: DatedTable) -> Waterfall:
    """One table as a waterfall; InputError on whatever ``load_waterfall`` refuses."""
    place = f"presets.{table.name}"
    params = table.params
    check_keys(params, KEYS, place)
    for key in KEYS:
        if key not in params:
            raise InputError(f"{place}.{key}", "is missing", "it has no default")
    title, reserve = (take_text(params[key], f"{place}.{key}") for key in TEXTS)
    release, slippage, fee = (
        take_number(params[key], RANGES[key], f"{place}.{key}") for key in RATIOS
    )
    stages = params["stages"]
    if not isinstance(stages, list):
        remedy = "write [[table.params.stages]]"
        raise InputError(f"{place}.stages", "is no array of tables", remedy)
    decoded = tuple(
        decode_stage(stage, f"{place}.stages[{number}]") for number, stage in enumerate(stages)
    )
    check_order(decoded, f"{place}.stages")
    waterfall = Waterfall(
        name=table.name,
        title=title,
        source=table.source,
        stages=decoded,
        release_ratio=release,
        slippage_rate=slippage,
        taker_fee_rate=fee,
        liquidation_fee_rates=_fee_rates(params["liquidation_fee_rates"], place),
        reserve_asset=reserve,
        unconfirmed=tuple(table.unconfirmed.items()),
    )
    _check_unconfirmed(waterfall, place)
    return waterfall


def parameter_paths(waterfall: Waterfall) -> tuple[str, ...]:
    """The paths that ``[table.unconfirmed]`` may name, in the order of the waterfall."""
    paths = ["effective_from", *(key for key in KEYS if key != "stages")]
    paths += [f"liquidation_fee_rates.{asset}" for asset, _ in waterfall.liquidation_fee_rates]
    for number, stage in enumerate(waterfall.stages):
        paths.append(f"stages[{number}]")
        for field in fields(stage):
            paths.append(f"stages[{number}].{field.name}")
            if isinstance(getattr(stage, field.name), Throttle):
                paths += [f"stages[{number}].{field.name}.{part.name}" for part in fields(Throttle)]
    return tuple(paths)


def _fee_rates(value: object, place: str) -> tuple[tuple[str, float], ...]:
    rates: dict[str, Any] = dict(take_table(value, f"{place}.liquidation_fee_rates"))
    if "default" not in rates:
        remedy = "give the rate of all assets that are not named"
        raise InputError(f"{place}.liquidation_fee_rates.default", "is missing", remedy)
    return tuple(
        (asset, take_number(rate, RATE, f"{place}.liquidation_fee_rates.{asset}"))
        for asset, rate in rates.items()
    )


def _check_unconfirmed(waterfall: Waterfall, place: str) -> None:
    known = parameter_paths(waterfall)
    for path, reason in waterfall.unconfirmed:
        at = f"{place}.unconfirmed"
        if path not in known:
            problem = f"'{path[:60]}' is no path of the table"
            raise InputError(at, problem, did_you_mean(path, known))
        take_text(reason, f"{at}.{path}")
