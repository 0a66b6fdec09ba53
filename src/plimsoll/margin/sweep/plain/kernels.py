"""Plain pools: what they own, and the basis of underlyings with several contracts."""

import numba as nb
import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Floats, Int32s, Int64s
from plimsoll.margin.sweep.joint_tables import (
    AMOUNT_UNIT,
    BASES_AT,
    CASES,
    COUNTED_AT,
    DELTA,
    DEPEG_AT,
    EQUITY_AT,
    FLOORS_AT,
    JOINT_FILLED_AT,
    LOCK_AT,
    MORE_FEES_AT,
    ODDS_AT,
    ORDERS_AT,
    OWNS_AT,
    PLAIN,
    POOLS,
    SETTLE,
    SETTLE_UNIT,
    UNIT,
    JointRoom,
    JointTables,
    Shape,
    UInt64s,
    value_asset,
)
from plimsoll.margin.sweep.plain.columns import BASE_BIT, LEG_MASK
from plimsoll.margin.sweep.plain.vectors import PLACE_BIT, SCAN_PLAIN
from plimsoll.margin.sweep.vectors import EXPECT_READS, LANES
from plimsoll.margin.sweep.words import ONE

AHEAD = 256
"""Rows that positions are fetched ahead."""
_ROW = np.uint64((1 << PLACE_BIT) - 1)


@nb.njit(forceinline=True)
def scan_plain(
    shape: Shape, pool: int, place: int, listed: int, rows: Rows, tables: JointTables,
    room: JointRoom, pointers: int,
) -> int:  # fmt: skip
    """Measure a pool, if it is plain, to ``place`` of ``room.totals``; bases are left out.

    Returns where the list in ``room.listed`` then ends, or -1 if the pool is not plain.
    """
    first, end = rows.position_begin[pool], rows.position_end[pool]
    balance, last_balance = rows.balance_begin[pool], rows.balance_end[pool]
    has_orders = rows.order_begin[pool] != rows.order_end[pool]
    is_long = end - first > room.listed.size - listed
    if first == end or has_orders or last_balance - balance > 1 or is_long:
        return -1
    # What a pool reads, one some pools further will: rows of pools follow each other as a rule.
    EXPECT_READS(rows.instrument, first + AHEAD)
    for ahead in (AHEAD, AHEAD + LANES):
        EXPECT_READS(rows.quantity, first + ahead)
        EXPECT_READS(rows.cost, first + ahead)
    i = np.uint32(rows.instrument[first])
    settle, worth = tables.ids[i, SETTLE], 0.0
    if last_balance != balance:
        if rows.asset[balance] != settle:
            return -1
        worth = rows.amount[balance] * tables.assets[settle, AMOUNT_UNIT]
    found = SCAN_PLAIN(
        shape, tables, rows, room, pointers, first, end, place, listed, tables.keys[i],
        tables.numbers[i, SETTLE_UNIT], worth,
    )  # fmt: skip
    if found < 0:
        return -1
    totals, at = room.totals, np.uint64(place)
    value, counted, depeg = value_asset(
        settle, totals[at + np.uint64(EQUITY_AT * POOLS)], totals[at + np.uint64(DEPEG_AT * POOLS)],
        tables.assets, tables.asset_ids, tables.tiers,
    )  # fmt: skip
    totals[at + np.uint64(EQUITY_AT * POOLS)] = value
    totals[at + np.uint64(COUNTED_AT * POOLS)] = counted
    totals[at + np.uint64(DEPEG_AT * POOLS)] = depeg
    totals[at + np.uint64(JOINT_FILLED_AT * POOLS)] = PLAIN
    for column in (ODDS_AT, FLOORS_AT, OWNS_AT, BASES_AT, MORE_FEES_AT, LOCK_AT, ORDERS_AT):
        totals[at + np.uint64(column * POOLS)] = 0.0
    return int(found)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def add_bases(
    span: int, count: int, listed: UInt64s, instrument: Int32s, quantity: Int64s, numbers: Floats,
    keys: UInt64s, rates: Floats, totals: Floats,
) -> None:  # fmt: skip
    """Add to BASES_AT the basis of underlyings with several contracts, in the order of rows.

    ``span`` is the number of legs that an asset owns.
    """
    k, end = np.uint64(0), np.uint64(count)
    while k < end:
        name, row = listed[k], listed[k] & _ROW
        k, last = k + ONE, row
        while k < end and listed[k] == name + ONE:
            name, last, k = name + ONE, last + ONE, k + ONE
        i, j = np.uint32(instrument[row - ONE]), np.uint32(instrument[row])
        if row != last or keys[i] == keys[j]:
            basis = basis_of_rows(
                row - ONE, last + ONE, span, instrument, quantity, numbers, keys, rates
            )
        else:
            # Most have two legs: without a branch on their sides, which nobody can foresee.
            one = quantity[row - ONE] * numbers[i, UNIT] * numbers[i, DELTA]
            other = quantity[row] * numbers[j, UNIT] * numbers[j, DELTA]
            near, far = rates[rate_of(keys[i], span), 2], rates[rate_of(keys[j], span), 2]
            basis = matched_legs(
                positive(one) + positive(other), positive(-one) + positive(-other),
                positive(one) * near + positive(other) * far,
                positive(-one) * near + positive(-other) * far,
            )  # fmt: skip
        totals[(name >> np.uint64(PLACE_BIT)) + np.uint64(BASES_AT * POOLS)] += basis


@nb.njit(cache=True, nogil=True, error_model="numpy")
def basis_of_rows(
    first: int, end: int, span: int, instrument: Int32s, quantity: Int64s, numbers: Floats,
    keys: UInt64s, rates: Floats,
) -> float:  # fmt: skip
    """The basis of an underlying's rows, whose legs rise; contracts of one leg net."""
    up, down, rolled_up, rolled_down = 0.0, 0.0, 0.0, 0.0
    row, last = np.uint64(first), np.uint64(end)
    while row < last:
        key, net = keys[np.uint32(instrument[row])], 0.0
        while row < last and keys[np.uint32(instrument[row])] == key:
            i = np.uint32(instrument[row])
            net += quantity[row] * numbers[i, UNIT] * numbers[i, DELTA]
            row += ONE
        rate = rates[rate_of(key, span), 2]
        up, down = up + positive(net), down + positive(-net)
        rolled_up += positive(net) * rate
        rolled_down += positive(-net) * rate
    return matched_legs(up, down, rolled_up, rolled_down)


@nb.njit(forceinline=True)
def matched_legs(up: float, down: float, rolled_up: float, rolled_down: float) -> float:
    """``matched_basis`` of deltas long and short and of what they lose to basis."""
    less = down if down < up else up
    basis = less * (rolled_up / up + rolled_down / down)
    return 0.0 if (up == 0.0) | (down == 0.0) else basis


@nb.njit(forceinline=True)
def positive(number: float) -> float:
    """A number, or 0 where it is less."""
    return number if number > 0.0 else 0.0


@nb.njit(forceinline=True)
def rate_of(key: np.uint64, span: int) -> np.uint64:
    """The row of ``JointTables.rates`` of a key, whose leg is a place among CASES of nets."""
    base, leg = (key >> np.uint64(BASE_BIT)) - ONE, key & np.uint64(LEG_MASK)
    return leg - base * np.uint64(span) * np.uint64(CASES - 1)
