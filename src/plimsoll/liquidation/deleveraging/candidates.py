"""Who may be closed in auto-deleveraging, and how far.

A close takes profit from a counterparty: it trades at the bankruptcy price of the position being
liquidated, worse than mark. Capacity is therefore positive profit, not equity (arXiv:2512.01112v3
and 2602.15182): equity can exceed a deficit that profits do not cover.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import InputError, Int64s, sum_exact
from plimsoll.core.exact import UNITS_MAX
from plimsoll.liquidation.deleveraging.allocation import (
    Integers,
    check_distinct,
    integers,
    scale_whole,
)
from plimsoll.liquidation.deleveraging.kernels import offset_sides


@dataclass(frozen=True, slots=True)
class Candidates:
    """Positions opposite the one being liquidated; int64 columns, shape [candidates].

    ``account`` is a distinct id (of the account or the pool) and decides every tie, smallest
    first. ``quantity`` > 0 counts the units held on the opposite side, ``hedged`` (0 to
    quantity) those of them that offset other positions of the account. ``mark_value``,
    ``entry_value`` and ``bankrupt_value`` are the position's value at mark, at entry and where
    its pool has nothing left, in settle units with the ledger's sign; ``equity`` and
    ``maintenance_margin`` are the pool's.
    """

    account: Int64s
    quantity: Int64s
    mark_value: Int64s
    entry_value: Int64s
    bankrupt_value: Int64s
    equity: Int64s
    maintenance_margin: Int64s
    hedged: Int64s

    @property
    def profit(self) -> Int64s:
        """Unrealised profit, settle units; a loss is below 0."""
        return self.mark_value - self.entry_value


@dataclass(frozen=True, slots=True)
class Coverage:
    """A deficit and what stands against it, settle units, all >= 0.

    ``equity`` is that of the candidates as far as it is above 0, ``profit`` what they could give.
    """

    deficit: int
    profit: int
    equity: int

    @property
    def is_solvent(self) -> bool:
        """Whether the candidates own enough."""
        return self.equity >= self.deficit

    @property
    def is_coverable(self) -> bool:
        """Whether their profits are enough, which is what deleveraging can reach."""
        return self.profit >= self.deficit


def check_candidates(candidates: Candidates) -> None:
    """Raises InputError unless the columns are what ``Candidates`` says."""
    size = candidates.account.size
    for name in Candidates.__slots__:
        column = getattr(candidates, name)
        if column.dtype != np.int64 or column.shape != (size,):
            raise InputError(name, "is no int64 column as long as the others", "count in units")
        # A difference of two values must still fit, and nothing may wrap around.
        if name != "account" and np.any((column >= UNITS_MAX) | (column <= -UNITS_MAX)):
            raise InputError(name, "is too large for the ledger", "use fewer decimals")
    check_distinct(candidates.account)
    if np.any(candidates.quantity < 1):
        raise InputError("quantity", "is not above 0", "leave out who holds nothing")
    if np.any(candidates.hedged < 0) or np.any(candidates.hedged > candidates.quantity):
        raise InputError("hedged", "is not within the quantity", "count what offsets others")


def profit_capacity(candidates: Candidates) -> Int64s:
    """Settle units that each can give: its profit, 0 at a loss."""
    return np.maximum(candidates.profit, 0)


def contract_capacity(candidates: Candidates, budget: int, deficit: int) -> Int64s:
    """Quantity units that may be closed of each, where closing ``budget`` costs ``deficit``.

    All that is held, but no more than its positive profit pays for at deficit / budget settle
    units per unit closed, so that nobody is closed into a loss.
    """
    if deficit <= 0 or budget <= 0:
        return candidates.quantity.copy()
    return scale_whole(profit_capacity(candidates), budget, deficit, candidates.quantity)


def hedged_part(group: Int64s, delta: Int64s, groups: int | None = None) -> Int64s:
    """How much of each position offsets others of its group, in its own units, >= 0.

    ``group`` numbers account and underlying together, from 0 to ``groups`` - 1 where that is
    given; ``delta`` is signed, in one unit for all rows of a group. The smaller of the two sides
    offsets as much of the larger one, shared over the larger side's rows by size and rounded up.
    """
    if groups is None:
        names, group = np.unique(group, return_inverse=True)
        groups = names.size
    hedged = np.zeros(delta.size, dtype=np.int64)
    if np.abs(delta.astype(np.float64)).sum() < UNITS_MAX:
        offset_sides(group, delta, np.zeros((groups, 2), dtype=np.int64), hedged)
        return hedged
    sides = np.zeros((groups, 2), dtype=object)
    size, is_long = abs(integers(delta)), (delta > 0).astype(np.int64)
    np.add.at(sides, (group, is_long), size)
    own, other = sides[group, is_long], sides[group, 1 - is_long]
    part = -(-size * np.minimum(own, other) // np.maximum(own, 1))
    return np.asarray(part, dtype=np.int64)


def measure_coverage(candidates: Candidates, deficit: int) -> Coverage:
    """What stands against a deficit."""
    return Coverage(
        deficit=deficit,
        profit=sum_exact(profit_capacity(candidates)),
        equity=sum_exact(np.maximum(candidates.equity, 0)),
    )


def leverage_weight(candidates: Candidates) -> Integers:
    """Profit times leverage, in millionths of a settle unit, rounded down; 0 at a loss.

    Leverage is value at mark over equity, which counts as 1 unit where there is none.
    """
    size = abs(integers(candidates.mark_value)) * 10**6
    gained: Integers = integers(profit_capacity(candidates)) * size
    return np.asarray(gained // integers(np.maximum(candidates.equity, 1)), dtype=object)
