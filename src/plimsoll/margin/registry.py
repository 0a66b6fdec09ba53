"""The margin models there are, by name, with the parameters in force."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec

from plimsoll.book import ModelChoice
from plimsoll.core import DatedTable, InputError, did_you_mean, load_tables, table_at
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.model import Model, ModelSet, ResolvedModel
from plimsoll.margin.venues import VENUES


def _load(name: str) -> Model:
    model: Model = import_module(f"plimsoll.margin.venues.{name}").MODEL
    return model


MODELS: tuple[Model, ...] = tuple(_load(name) for name in VENUES)


def find_model(name: str, place: str) -> Model:
    """The model of a name; InputError naming ``place`` where there is none."""
    for model in MODELS:
        if model.name == name:
            return model
    remedy = did_you_mean(name, [model.name for model in MODELS])
    raise InputError(place, f"unknown model '{name[:60]}'", remedy)


def model_tables(model: Model) -> tuple[DatedTable, ...]:
    """The model's dated tables, oldest first."""
    return load_tables(model.package, model.table)


def takes_parameter(name: str, parameter: str, as_of_ns: int, place: str) -> bool:
    """Whether a model's table in force has a parameter; InputError on an unknown model."""
    return parameter in table_at(model_tables(find_model(name, place)), as_of_ns).params


def load_models(
    instruments: InstrumentTable,
    choices: tuple[ModelChoice, ...],
    as_of_ns: int,
    places: tuple[str, ...] = (),
) -> ModelSet:
    """The chosen models with the parameters in force at ``as_of_ns``, aligned to a table.

    Overrides replace whole parameters, except tables by name, which they merge into. Raises
    InputError on an unknown model, an unknown parameter or a value a model refuses, naming
    the choice by its entry in ``places``, if given.
    """
    names = places or tuple(f"models[{number}]" for number in range(len(choices)))
    return ModelSet(
        tuple(
            _resolve(instruments, choice, as_of_ns, place)
            for choice, place in zip(choices, names, strict=True)
        )
    )


def _resolve(
    instruments: InstrumentTable, choice: ModelChoice, as_of_ns: int, place: str
) -> ResolvedModel:
    model = find_model(choice.name, f"{place}.model")
    table = table_at(model_tables(model), as_of_ns)
    params = table.params
    where = f"{place}.params"
    merged = _merge(params, _overrides(choice, where), where)
    call = _fraction(merged, "margin_call_ratio", where)
    clear = _fraction(merged, "margin_call_clear_ratio", where)
    if clear > call:
        problem, remedy = f"{clear} is above margin_call_ratio {call}", "lower it too"
        raise InputError(f"{where}.margin_call_clear_ratio", problem, remedy)
    return ResolvedModel(
        model=model,
        params=model.resolve(merged, instruments, where),
        currency=str(merged["currency"]),
        margin_call_ratio=call,
        margin_call_clear_ratio=clear,
        unconfirmed=tuple(table.unconfirmed.items()),
    )


def _overrides(choice: ModelChoice, place: str) -> dict[str, Any]:
    try:
        overrides = msgspec.json.decode(choice.overrides, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InputError(place, f"overrides are no JSON object ({error})", "mend them") from None
    if "currency" in overrides:
        problem = "is the unit of the model's own figures"
        raise InputError(f"{place}.currency", problem, "leave it out; it converts nothing")
    return overrides


def _merge(params: Mapping[str, Any], overrides: Mapping[str, Any], place: str) -> dict[str, Any]:
    merged = dict(params)
    for name, value in overrides.items():
        if name not in params:
            raise InputError(place, f"unknown parameter '{name}'", did_you_mean(name, params))
        is_table = isinstance(params[name], Mapping)
        if is_table != isinstance(value, Mapping):
            remedy = "give a table by name" if is_table else "give a single value"
            raise InputError(f"{place}.{name}", "has the wrong shape", remedy)
        merged[name] = {**params[name], **value} if is_table else value
    return merged


def _fraction(params: Mapping[str, Any], name: str, place: str) -> float:
    value = params[name]
    if not isinstance(value, int | float) or not 0 < value <= 1:
        raise InputError(f"{place}.{name}", f"{value!r} is no fraction", "use 0.8 for 80 %")
    return float(value)
