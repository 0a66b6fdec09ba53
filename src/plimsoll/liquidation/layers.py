"""A loss through the layers that stand for it, in their order, and how large a fund must be.

A clearing house's layers and a venue's differ in names alone: each pays what it can of what is
left, and used + uncovered = loss holds after every one. All amounts are integers >= 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plimsoll.core import (
    DatedTable,
    InputError,
    Int64s,
    did_you_mean,
    load_tables,
    sum_exact,
    table_at,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer and the most it can pay of a loss, in minor units >= 0."""

    name: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Losses by layer: ``used`` int64 [losses, layers], ``uncovered`` [losses].

    Each row of ``used`` and its ``uncovered`` add up to its loss.
    """

    used: Int64s
    uncovered: Int64s


@dataclass(frozen=True, slots=True)
class CoverRequirements:
    """What a default fund must hold under three rules, minor units.

    ``cover_1`` is the largest stressed loss over margin, ``cover_2`` the sum of the two largest
    (PFMI Principle 4), ``emir_42`` the larger of the largest and the second plus the third (EMIR
    Article 42(3)): each in the scenario where it is greatest.
    """

    cover_1: int
    cover_2: int
    emir_42: int


def absorb_loss(loss: int, layers: tuple[Layer, ...]) -> tuple[tuple[int, ...], int]:
    """What each layer pays of one loss >= 0, in their order, and what none of them does."""
    _check(loss >= 0 and all(layer.capacity >= 0 for layer in layers))
    used, left = [], loss
    for layer in layers:
        used.append(min(left, layer.capacity))
        left -= used[-1]
    return tuple(used), left


def absorb_losses(losses: Int64s, capacity: Int64s) -> Absorbed:
    """Many losses, each through layers of its own; ``capacity`` is [losses, layers]."""
    _check(losses.dtype == np.int64 and capacity.dtype == np.int64)
    _check(capacity.ndim == 2 and capacity.shape[:1] == losses.shape)
    _check(not np.any(losses < 0) and not np.any(capacity < 0))
    used = np.zeros_like(capacity)
    left = losses.copy()
    # Subtraction layer by layer: sums of capacities might not fit.
    for layer in range(capacity.shape[1]):
        used[:, layer] = np.minimum(left, capacity[:, layer])
        left -= used[:, layer]
    return Absorbed(used, left)


def layer_tables() -> tuple[DatedTable, ...]:
    """The dated tables of orders, oldest first."""
    return load_tables("plimsoll.liquidation", "layers")


def load_layer_order(name: str, as_of_ns: int) -> tuple[str, ...]:
    """Names of the layers of a known order, first to pay first, in force at ``as_of_ns``.

    ``emir`` is that of a European clearing house, ``venue`` that of a crypto venue. Raises
    InputError where the name is not known.
    """
    orders = table_at(layer_tables(), as_of_ns).params
    if name not in orders:
        raise InputError("layers", f"'{name}' is no order", did_you_mean(name, orders))
    return tuple(orders[name])


def build_layers(order: tuple[str, ...], names: list[str], capacity: Int64s) -> tuple[Layer, ...]:
    """Layers of the given capacities, put in ``order``; one that is not named holds nothing.

    Raises InputError on a name that the order does not have, or has twice in ``names``.
    """
    given = dict(zip(names, capacity.tolist(), strict=True))
    for name in names:
        if name not in order or names.count(name) > 1:
            remedy = did_you_mean(name, order)
            raise InputError("layers", f"'{name}' is not in the order once", remedy)
    return tuple(Layer(name, given.get(name, 0)) for name in order)


def require_cover(losses: Int64s, group: Int64s) -> CoverRequirements:
    """Cover rules over stressed losses beyond margin, int64 [scenarios, members] >= 0.

    ``group`` [members] numbers members that stand and fall together: affiliated accounts count
    as one. Raises InputError where there is nothing to measure.
    """
    _check(losses.ndim == 2 and losses.dtype == np.int64 and losses.shape[1:] == group.shape)
    _check(losses.size > 0 and not np.any(losses < 0))
    largest = [_three_largest(row, group) for row in losses]
    return CoverRequirements(
        cover_1=max(first for first, _, _ in largest),
        cover_2=max(first + second for first, second, _ in largest),
        emir_42=max(max(first, second + third) for first, second, third in largest),
    )


def bad_debt_quantile(losses: Int64s, probability: float) -> int:
    """The smallest total that simulated losses [draws, accounts] exceed at most that rarely.

    For many small correlated accounts, which the cover rules miss: with n draws it is the total
    of rank ceil(probability * n). ``probability`` is within (0, 1), such as 0.999.
    """
    _check(losses.ndim == 2 and losses.shape[0] > 0 and 0 < probability < 1)
    totals = sorted(sum_exact(row) for row in losses)
    # A rank that is whole but for rounding is that rank.
    return totals[max(int(np.ceil(probability * len(totals) - 1e-9)), 1) - 1]


def _three_largest(losses: NDArray[np.int64], group: Int64s) -> tuple[int, int, int]:
    totals: dict[int, int] = {}
    for member, loss in zip(group.tolist(), losses.tolist(), strict=True):
        totals[member] = totals.get(member, 0) + loss
    first, second, third = sorted([*totals.values(), 0, 0, 0], reverse=True)[:3]
    return first, second, third


def _check(holds: bool) -> None:
    if not holds:
        problem = "columns do not fit, or an amount is below 0"
        raise InputError("layers", problem, "give whole amounts from 0 up, of one shape")
