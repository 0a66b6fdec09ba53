"""Brackets, risk limits and discount tiers: examples of marginal tiers.

Venues list a tier by its floor or by its cap, and state the constant that makes a piecewise
amount continuous under several names: maintenance amount, cum, deduction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plimsoll.margin.charges import cumulative_amounts
from tools.vectors.adapters.documents import ASSET, LINEAR, explain_collateral, explain_position
from tools.vectors.cases import Case


def next_constant(case: Case) -> dict[str, float]:
    """Maintenance amount of a bracket from the one before it."""
    inputs = case.inputs
    name = next(name for name in inputs if name.startswith("floor_"))
    rates = [inputs["mmr_prev"], inputs["mmr_n"]]
    # The floor of the bracket before does not enter: its own constant is given.
    constants = _constants([0.0, inputs[name]], rates, inputs["cum_prev"])
    return {f"cum_{name.removeprefix('floor_')}": constants[1]}


def constant_at(case: Case) -> dict[str, float]:
    """Maintenance amount and rate of the bracket that a position falls into."""
    unit = next(name for name in case.inputs if name.startswith("floors_")).removeprefix("floors_")
    floors, rates = case.inputs[f"floors_{unit}"], case.inputs["mmr"]
    size = abs(case.inputs[f"position_{unit}"])
    # A position that ends exactly at a floor is still in the bracket below it.
    level = max(int(np.searchsorted(floors, size, side="left")) - 1, 0)
    constants = _constants(floors, rates)
    return {f"maintenance_amount_{unit}": constants[level], "mmr": rates[level]}


def constants_by_level(case: Case) -> dict[str, float]:
    """Maintenance amounts of a chain of brackets, by level from 1."""
    floors, rates = zip(*case.inputs["floors_mmr"], strict=True)
    constants = _constants(floors, rates)
    return {f"cum_level{level}": constant for level, constant in enumerate(constants, start=1)}


def bracket_table(case: Case) -> dict[str, Any]:
    """Maintenance amounts of a bracket table, and margins that a document gives under it."""
    columns = case.inputs["columns"]
    floors, leverages, rates = (
        [row[columns.index(name)] for row in case.inputs["rows"]]
        for name in ("notionalFloor", "maxLeverage", "mmr")
    )
    brackets = [
        [floor, rate, 1 / leverage]
        for floor, rate, leverage in zip(floors, rates, leverages, strict=True)
    ]
    asked: Mapping[str, float] = {**case.derived, **case.expected}.get("mm_at_notional", {})
    return {
        "cum": _constants(floors, rates),
        "mm_at_notional": {
            notional: _position(float(notional), 1.0, brackets)["maintenance_margin"]
            for notional in asked
        },
    }


def deductions(case: Case) -> dict[str, list[float]]:
    """Maintenance margin deductions of a risk-limit table."""
    caps, rates = case.inputs["caps"], case.inputs["mmr"]
    return {"mm_deduction": _constants([0.0, *caps[:-1]], rates)}


def tiered_position(case: Case) -> dict[str, float]:
    """Margins of a position under tiers by cap, through a document."""
    caps, rates = zip(*case.inputs["tiers"], strict=True)
    quantity, price = case.inputs["qty"], case.inputs["entry"]
    if abs(quantity) * price > caps[-1]:
        raise ValueError("the position is larger than the last tier")
    # The initial rate is that of the leverage the account has selected, on every tier.
    initial = 1 / case.inputs["leverage"]
    floors = [0.0, *caps[:-1]]
    brackets = [[floor, rate, initial] for floor, rate in zip(floors, rates, strict=True)]
    return _position(quantity, price, brackets)


def discounted_asset(case: Case) -> dict[str, float]:
    """Collateral value of an asset under discount tiers by amount, through a document."""
    price = case.inputs["price"]
    floor, haircuts = 0.0, []
    for cap, ratio in case.inputs["tiers"]:
        haircuts.append([floor * price, 1 - ratio])
        floor = cap
    if floor is not None:
        # Nothing counts past a last tier that ends.
        haircuts.append([floor * price, 1.0])
    params = {"haircuts": {ASSET: haircuts}}
    explained = explain_collateral(case.inputs["amount"], price, params)
    return {"discounted": explained.collateral_value}


def _constants(floors: Sequence[float], rates: Sequence[float], first: float = 0.0) -> list[float]:
    if len(floors) != len(rates):
        raise ValueError(f"{len(floors)} tiers but {len(rates)} rates")
    return [float(x) for x in cumulative_amounts(np.array(floors), np.array(rates), first)]


def _position(
    quantity: float, price: float, brackets: Sequence[Sequence[float]]
) -> dict[str, float]:
    explained = explain_position(LINEAR, quantity, price, {"brackets": {ASSET: brackets}})
    (exposure,) = (table for table in explained.details if table.name == "exposure")
    ((_, figures),) = exposure.rows
    return {
        "position_value": figures[exposure.columns.index("charged_side")],
        "initial_margin": explained.initial_margin,
        "maintenance_margin": explained.maintenance_margin,
    }
