"""Pools under ``plimsoll.portfolio``: sums over entries, then lines and status, pools together."""

import math
from typing import Any, TypeAlias

import numba as nb
import numpy as np

from plimsoll.core import Floats, Int8s, Status
from plimsoll.margin.sweep.joint_tables import (
    ALONE_AT,
    BASES_AT,
    BASIS_AT,
    CALL_RATIO,
    CASES_AT,
    CONCENTRATION_AT,
    CONCENTRATIONS_AT,
    COUNTED_AT,
    DEPEG_AT,
    EQUITY_AT,
    EXCESS_AT,
    FACTOR,
    FEES_AT,
    FLOOR_AT,
    FLOORS_AT,
    INITIAL_AT,
    JOINT_AT,
    JOINT_FILLED_AT,
    LIMIT_AT,
    LOCK_AT,
    LONG_AT,
    LONGS_AT,
    MAINTENANCE_AT,
    MINIMUM_AT,
    MORE_FEES_AT,
    MOST_AT,
    ODD_AT,
    ODDS_AT,
    ORDERS_AT,
    OWN_AT,
    OWNS_AT,
    PLAIN,
    POOLS,
    POSITIONS_AT,
    SHORT_AT,
    SHORTS_AT,
    STATUS_AT,
    JointRoom,
    lane_of,
)
from plimsoll.margin.sweep.vectors import LANES
from plimsoll.margin.sweep.words import ONE, larger

EQUITY_LINE, COLLATERAL, INITIAL, MAINTENANCE, CHARGES = range(5)
"""Rows of the figures. From CHARGES on six lines, initial and maintenance, then orders and fees."""
LINES = 6
ORDERS_LINE, FEES_LINE, FIGURES = range(CHARGES + LINES, CHARGES + LINES + 3)

Sums: TypeAlias = tuple[float, float, float, float, float, float]
"""Of a pool: NaN or 0; the worst loss of moving alone; standalone losses less twice the long and

less twice the short side; what all sold options ask, and what each underlying's ask of it.
"""

_UNKNOWN, _OK, _CALL = int(Status.UNKNOWN), int(Status.OK), int(Status.MARGIN_CALL)
_LIQUIDATABLE, _BANKRUPT = int(Status.LIQUIDATABLE), int(Status.BANKRUPT)


@nb.njit(forceinline=True)
def sum_entries(place: int, room: JointRoom) -> None:
    """Add the entries of a pool up as held, to ``place`` of ``room.totals``."""
    lanes, losses, totals = room.lanes, room.losses, room.totals
    odds, alone, long, short, floors, own = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    concentrations, bases = 0.0, 0.0
    entry, end = room.firsts[place], room.firsts[place + 1]
    while entry < end:
        odds += lanes[lane_of(entry, ODD_AT)]
        alone = larger(alone, losses[entry, 3])
        long += lanes[lane_of(entry, LONG_AT)]
        short += lanes[lane_of(entry, SHORT_AT)]
        floors += lanes[lane_of(entry, FLOOR_AT)]
        own += lanes[lane_of(entry, OWN_AT)]
        concentrations += lanes[lane_of(entry, CONCENTRATION_AT)]
        bases += lanes[lane_of(entry, BASIS_AT)]
        entry += np.uint64(lanes[lane_of(entry, CASES_AT)])
    totals[ODDS_AT * POOLS + place], totals[ALONE_AT * POOLS + place] = odds, alone
    totals[LONGS_AT * POOLS + place], totals[SHORTS_AT * POOLS + place] = long, short
    totals[FLOORS_AT * POOLS + place], totals[OWNS_AT * POOLS + place] = floors, own
    totals[CONCENTRATIONS_AT * POOLS + place] = concentrations
    totals[BASES_AT * POOLS + place] = bases


@nb.njit(forceinline=True)
def worst_case(held: Any, bought: Any, sold: Any, column: int, lanes: Floats) -> float:
    """The largest of a column over an underlying's cases."""
    at = np.uint64(column * POOLS)
    return larger(larger(lanes[held + at], lanes[bought + at]), lanes[sold + at])


@nb.njit(forceinline=True)
def rise_of_fills(place: int, room: JointRoom) -> float:
    """What lines 4 to 7 of a pool rise by at the worst fills of its orders, USD >= 0."""
    lanes, losses, totals = room.lanes, room.losses, room.totals
    odds, alone, long, short, floors, own = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    both, held = 0.0, 0.0
    entry, end = room.firsts[place], room.firsts[place + 1]
    while entry < end:
        cases = np.uint64(lanes[lane_of(entry, CASES_AT)])
        # Without fills all three are one.
        bought = entry + (ONE if cases > ONE else np.uint64(0))
        sold = bought + bought - entry
        at, buys, sells = lane_of(entry, 0), lane_of(bought, 0), lane_of(sold, 0)
        odds += worst_case(at, buys, sells, ODD_AT, lanes)
        alone = larger(larger(alone, losses[entry, 3]), larger(losses[bought, 3], losses[sold, 3]))
        long += worst_case(at, buys, sells, LONG_AT, lanes)
        short += worst_case(at, buys, sells, SHORT_AT, lanes)
        floor = worst_case(at, buys, sells, FLOOR_AT, lanes)
        floors += floor
        own += larger(floor - worst_case(at, buys, sells, POSITIONS_AT, lanes), 0.0)
        concentration = worst_case(at, buys, sells, CONCENTRATION_AT, lanes)
        both += concentration + worst_case(at, buys, sells, BASIS_AT, lanes)
        held += lanes[lane_of(entry, CONCENTRATION_AT)] + lanes[lane_of(entry, BASIS_AT)]
        entry += cases
    _, charge, minimum = lines_of(totals[JOINT_AT * POOLS + place], sums_at(place, totals))
    filled = (odds, alone, long, short, floors, own)
    _, charge_filled, more = lines_of(totals[JOINT_FILLED_AT * POOLS + place], filled)
    return larger((charge_filled + more + both) - (charge + minimum + held), 0.0)


@nb.njit(forceinline=True)
def sums_at(place: int, totals: Floats) -> Sums:
    """What ``lines_of`` reads, of a pool as held."""
    return (
        totals[ODDS_AT * POOLS + place], totals[ALONE_AT * POOLS + place],
        totals[LONGS_AT * POOLS + place], totals[SHORTS_AT * POOLS + place],
        totals[FLOORS_AT * POOLS + place], totals[OWNS_AT * POOLS + place],
    )  # fmt: skip


@nb.njit(forceinline=True)
def lines_of(joint: float, sums: Sums) -> tuple[float, float, float]:
    """A pool's worst joint loss, charge and minimum for sold options, USD >= 0."""
    odds, alone, long_left, short_left, floors, own = sums
    most = larger(joint + odds, alone)
    charge = larger(most, larger(long_left, short_left))
    # Not less than all options ask, nor than each underlying's options ask of it.
    return most, charge, larger(floors - charge, own)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def close_pools(count: int, factor: float, room: JointRoom) -> None:
    """Add the entries of some pools up to the first places of ``room.totals``, with ORDERS_AT."""
    totals = room.totals
    for place in range(count):
        if totals[JOINT_FILLED_AT * POOLS + place] == PLAIN:
            continue
        sum_entries(place, room)
        rise = 0.0
        # A pool without orders to fill is not touched by the rounding of the difference.
        if totals[JOINT_FILLED_AT * POOLS + place] >= 0.0:
            rise = factor * rise_of_fills(place, room)
        orders = rise + totals[MORE_FEES_AT * POOLS + place] + totals[LOCK_AT * POOLS + place]
        totals[ORDERS_AT * POOLS + place] = orders


@nb.njit(cache=True, nogil=True, error_model="numpy")
def draw_lines(count: int, rules: Floats, totals: Floats) -> None:
    """Fill lines, margins and status of the first places of ``totals``."""
    factor, call = rules[FACTOR], rules[CALL_RATIO]
    for k in range((count + LANES - 1) // LANES * LANES):
        most, charge, minimum = lines_of(totals[k + JOINT_AT * POOLS], sums_at(k, totals))
        limit, depegs = larger(charge - most, 0.0), totals[k + DEPEG_AT * POOLS]
        # ``independent_excess``
        excess = larger(math.sqrt(charge * charge + depegs * depegs) - charge, 0.0)
        excess = excess if depegs != 0.0 else 0.0
        concentration, basis = totals[k + CONCENTRATIONS_AT * POOLS], totals[k + BASES_AT * POOLS]
        fees = totals[k + FEES_AT * POOLS]
        initial = (
            factor * most + factor * limit + factor * minimum + factor * concentration
            + factor * basis + factor * excess + totals[k + ORDERS_AT * POOLS] + fees
        )  # fmt: skip
        maintenance = most + limit + minimum + concentration + basis + excess + fees
        totals[k + MOST_AT * POOLS], totals[k + LIMIT_AT * POOLS] = most, limit
        totals[k + MINIMUM_AT * POOLS], totals[k + EXCESS_AT * POOLS] = minimum, excess
        totals[k + INITIAL_AT * POOLS], totals[k + MAINTENANCE_AT * POOLS] = initial, maintenance
        equity, counted = totals[k + EQUITY_AT * POOLS], totals[k + COUNTED_AT * POOLS]
        # Last to first, the first reason that holds decides; what is not finite before all.
        ratio = maintenance / counted
        found = _CALL if ratio >= call else _OK
        found = _LIQUIDATABLE if ratio >= 1.0 else found
        found = _OK if maintenance == 0.0 else found
        is_short = (counted <= 0.0) & ((maintenance > 0.0) | (counted < 0.0))
        found = _LIQUIDATABLE if is_short else found
        found = _BANKRUPT if equity < 0.0 else found
        is_known = (
            (abs(equity) < math.inf) & (abs(counted) < math.inf)
            & (abs(initial) < math.inf) & (abs(maintenance) < math.inf)
        )  # fmt: skip
        totals[k + STATUS_AT * POOLS] = found if is_known else _UNKNOWN


@nb.njit(forceinline=True)
def copy_column(
    column: int, totals: Floats, line: int, first: int, count: int, is_zero: bool, figures: Floats
) -> None:  # fmt: skip
    """Fill a line of figures with a column of totals; zeros are left alone.

    ``is_zero`` tells that the line holds zeros already.
    """
    start, place = np.uint64(column * POOLS), np.uint64(first)
    row, some = figures[line], np.uint64(0)
    # Bits, as floats are not compared several at a time; the highest is a zero's sign.
    bits, bits_before = totals.view(np.uint64), row.view(np.uint64)
    for k in range(np.uint64(count)):
        some |= bits[start + k]
    if some << ONE == 0 and not is_zero:
        for k in range(np.uint64(count)):
            some |= bits_before[place + k]
    if some << ONE != 0:
        for k in range(np.uint64(count)):
            row[place + k] = totals[start + k]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def write_figures(
    first: int, count: int, totals: Floats, is_zero: bool, figures: Floats, status: Int8s
) -> None:  # fmt: skip
    """Fill columns of figures, and status, from ``first`` on from the first places of ``totals``.

    The rows of ``figures`` are EQUITY_LINE, COLLATERAL, INITIAL, MAINTENANCE, six lines from
    CHARGES on (joint scan, offset limit, short option minimum, concentration, basis, depeg),
    initial then maintenance each, ORDERS_LINE and FEES_LINE, in USD; NaN, and UNKNOWN, where a
    price or a rule is missing. ``is_zero`` tells that they hold nothing yet.
    """
    for line, column in enumerate(
        (EQUITY_AT, COUNTED_AT, INITIAL_AT, MAINTENANCE_AT, MOST_AT, LIMIT_AT, MINIMUM_AT,
         CONCENTRATIONS_AT, BASES_AT, EXCESS_AT, ORDERS_AT, FEES_AT)
    ):  # fmt: skip
        copy_column(column, totals, line, first, count, is_zero, figures)
    for k in range(count):
        status[first + k] = np.int8(totals[k + STATUS_AT * POOLS])
