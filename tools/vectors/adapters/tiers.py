"""The constants of marginal tiers: maintenance amounts from floors and rates.

Venues state the constant that makes a piecewise amount continuous under several names:
maintenance amount, cum, deduction.
"""

from collections.abc import Sequence

import numpy as np

from plimsoll.margin.charges import cumulative_amounts
from tools.vectors.cases import Case


def next_constant(case: Case) -> dict[str, float]:
    """Maintenance amount of a bracket from the one before it."""
    inputs = case.inputs
    name = next(name for name in inputs if name.startswith("floor_"))
    rates = [inputs["mmr_prev"], inputs["mmr_n"]]
    # The floor of the bracket before does not enter: its own constant is given.
    found = constants([0.0, inputs[name]], rates, inputs["cum_prev"])
    return {f"cum_{name.removeprefix('floor_')}": found[1]}


def constant_at(case: Case) -> dict[str, float]:
    """Maintenance amount and rate of the bracket that a position falls into."""
    unit = next(name for name in case.inputs if name.startswith("floors_")).removeprefix("floors_")
    floors, rates = case.inputs[f"floors_{unit}"], case.inputs["mmr"]
    size = abs(case.inputs[f"position_{unit}"])
    # A position that ends exactly at a floor is still in the bracket below it.
    level = max(int(np.searchsorted(floors, size, side="left")) - 1, 0)
    return {f"maintenance_amount_{unit}": constants(floors, rates)[level], "mmr": rates[level]}


def constants_by_level(case: Case) -> dict[str, float]:
    """Maintenance amounts of a chain of brackets, by level from 1."""
    floors, rates = zip(*case.inputs["floors_mmr"], strict=True)
    found = constants(floors, rates)
    return {f"cum_level{level}": constant for level, constant in enumerate(found, start=1)}


def constants(floors: Sequence[float], rates: Sequence[float], first: float = 0.0) -> list[float]:
    """The constant of each tier; ValueError where floors and rates are not as many."""
    if len(floors) != len(rates):
        raise ValueError(f"{len(floors)} tiers but {len(rates)} rates")
    return [float(x) for x in cumulative_amounts(np.array(floors), np.array(rates), first)]
