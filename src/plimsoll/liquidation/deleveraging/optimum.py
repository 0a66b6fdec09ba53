"""The cheapest closes by a linear or integer programme (HiGHS, through SciPy).

Kept apart from the package's entry, which needs no SciPy. The programme first takes as little
beyond the budget as whole lots allow, then costs as little as it can.
"""

import math

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from plimsoll.core import Floats, InputError, Int64s, sum_exact
from plimsoll.liquidation.deleveraging.allocation import check_columns
from plimsoll.liquidation.deleveraging.measures import measure_overshoot
from plimsoll.liquidation.deleveraging.policies import Closes

SOLVER_MAX = 2**40
"""Larger sums of lots are beyond the solver's tolerance of 1e-6 in floating point."""


def close_at_least_cost(
    cost: Floats, capacity: Int64s, lot: Int64s, account: Int64s, budget: int
) -> Closes:
    """Whole lots whose sum reaches ``budget``: least overshoot, then least total ``cost``.

    ``cost`` is finite, per unit closed; a lot that is not whole stays open. With one lot for all
    the linear programme suffices, as its corners are whole; else it is an integer programme.
    Rows are solved in order of their account ids, so that their order here changes nothing.
    Raises InputError where the columns do not fit or are too large for the solver.
    """
    check_columns(capacity, lot, account)
    if cost.shape != capacity.shape or not np.all(np.isfinite(cost)):
        raise InputError("cost", "is missing or unknown", "give each row what a unit costs")
    order = np.argsort(account, kind="stable")
    common = math.gcd(*lot.tolist()) if lot.size else 1
    size, most = lot[order] // common, capacity[order] // lot[order]
    available = sum_exact(size * most)
    if available > SOLVER_MAX:
        raise InputError("deleveraging", "is too large to optimise", "use larger lots")
    reach = sum_exact(size * most) * common
    needed = -(-min(budget, reach) // common)
    price = cost[order] * size
    if np.all(size == 1):
        count = _solve_linear(price, most, needed)
    else:
        count = _solve_integer(price, size, most, needed)
    if np.any((count < 0) | (count > most)) or sum_exact(size * count) < needed:
        raise InputError("deleveraging", "the solver's answer is no plan", "use larger lots")
    closed = np.zeros(capacity.size, dtype=np.int64)
    closed[order] = count * lot[order]
    uncovered = max(budget - reach, 0)
    taken = sum_exact(closed)
    return Closes(closed, uncovered, measure_overshoot(taken, budget - uncovered, 0))


def _solve_linear(price: Floats, most: Int64s, needed: int) -> Int64s:
    if most.size == 0:
        return most
    found = linprog(
        price,
        A_eq=np.ones((1, most.size)),
        b_eq=[float(needed)],
        bounds=np.column_stack([np.zeros(most.size), most]),
        method="highs-ds",
    )
    return _whole(found)


def _solve_integer(price: Floats, size: Int64s, most: Int64s, needed: int) -> Int64s:
    bounds = Bounds(0, most)
    options = {"mip_rel_gap": 0.0}
    whole = np.ones(most.size)
    reach = LinearConstraint(size[np.newaxis].astype(np.float64), needed, np.inf)
    least = _whole(milp(size, constraints=reach, bounds=bounds, integrality=whole, options=options))
    total = sum_exact(least * size)
    exact = LinearConstraint(size[np.newaxis].astype(np.float64), total, total)
    found = milp(price, constraints=exact, bounds=bounds, integrality=whole, options=options)
    return _whole(found)


def _whole(found: object) -> Int64s:
    """The solver's answer in whole lots; raises InputError where it has none."""
    answer = getattr(found, "x", None)
    if answer is None:
        problem = f"the solver found no plan ({getattr(found, 'message', '')})"
        raise InputError("deleveraging", problem, "use larger lots")
    return np.asarray(np.rint(answer), dtype=np.int64)
