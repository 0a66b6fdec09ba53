"""How a trade changes a position: what stays at cost and what is realised."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Positions, SystemPool, insert_rows, locate_rows
from plimsoll.core import Int32s, Int64s, distinct, turns_of
from plimsoll.core.exact import add_exact, divide_all_half_even, to_int64


@dataclass(frozen=True, slots=True)
class Legs:
    """One side of trades: ``quantity`` and ``value`` (units of the settle asset) come in."""

    pool: Int32s
    instrument: Int32s
    quantity: Int64s
    value: Int64s


def with_rows(positions: Positions, pools: Int32s, instruments: Int32s, width: int) -> Positions:
    """Positions with a row for every (pool, instrument) named; new rows hold nothing."""
    keys = distinct(pools.astype(np.int64) * width + instruments)
    wanted_pools, wanted = keys // width, (keys % width).astype(np.int32)
    rows, found = locate_rows(positions.offsets, positions.instrument, wanted_pools, wanted)
    missing = ~found
    if not missing.any():
        return positions
    zeros = np.zeros(int(missing.sum()), dtype=np.int64)
    offsets, columns = insert_rows(
        positions.offsets,
        wanted_pools[missing],
        rows[missing],
        (
            (positions.instrument, wanted[missing]),
            (positions.quantity, zeros),
            (positions.cost, zeros),
        ),
    )
    return Positions(offsets, *columns)  # type: ignore[arg-type]


def post_legs(positions: Positions, legs: Legs) -> tuple[Positions, Int64s]:
    """Positions after the legs, and what each leg realised in settle units (profit > 0).

    A leg that adds to a position adds its value to the cost. One that reduces it realises the
    difference between its value and the part of the cost that it closes; one that flips it
    closes all and opens the rest. Legs of one position are taken in order. The system's pools
    only accumulate, since they meet everybody, and realise when they are flat.
    """
    rows, _ = locate_rows(
        positions.offsets, positions.instrument, legs.pool.astype(np.int64), legs.instrument
    )
    at = np.flatnonzero(legs.pool < len(SystemPool))
    quantity = add_exact(positions.quantity, rows[at], legs.quantity[at], "trades.quantity")
    cost = add_exact(positions.cost, rows[at], legs.value[at], "trades")
    realised = np.zeros(rows.size, dtype=np.int64)
    _settle_flat(quantity, cost, realised, rows, at)
    customers = np.flatnonzero(legs.pool >= len(SystemPool))
    for turn in turns_of(rows[customers]):
        _realise(quantity, cost, realised, rows, legs, customers[turn])
    return Positions(positions.offsets, positions.instrument, quantity, cost), realised


def _settle_flat(
    quantity: Int64s, cost: Int64s, realised: Int64s, rows: Int64s, at: Int64s
) -> None:
    touched, first = np.unique(rows[at], return_index=True)
    flat = quantity[touched] == 0
    realised[at[first[flat]]] = -cost[touched[flat]]
    cost[touched[flat]] = 0


def _realise(
    quantity: Int64s, cost: Int64s, realised: Int64s, rows: Int64s, legs: Legs, at: Int64s
) -> None:
    row = rows[at]
    held, paid = quantity[row], cost[row]
    change, value = legs.quantity[at], legs.value[at]
    reduces = (held != 0) & (np.sign(held) != np.sign(change)) & (change != 0)
    closed = np.where(reduces, np.minimum(np.abs(held), np.abs(change)), 0)
    # Parts of the old cost and of the new value that the closed quantity stands for.
    paid_part = _portion(paid, closed, np.abs(held))
    value_part = _portion(value, closed, np.abs(change))
    realised[at] = to_int64(-value_part - paid_part, "trades")
    quantity[row] = to_int64(held + change, "trades.quantity")
    cost[row] = to_int64(paid - paid_part + value - value_part, "trades")


def _portion(amount: Int64s, part: Int64s, whole: Int64s) -> Int64s:
    """amount * part / whole, half to even; 0 where part is 0, all where part is whole."""
    result = np.where(part == whole, amount, 0)
    result[part == 0] = 0
    split = np.flatnonzero((part != 0) & (part != whole))
    if split.size:
        product = amount[split].astype(object) * part[split].astype(object)
        exact = divide_all_half_even(product, whole[split].astype(object))
        result[split] = to_int64(exact, "trades")
    return result
