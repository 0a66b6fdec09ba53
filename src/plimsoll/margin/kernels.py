"""Flat loops over columns: arrays in, the caller's arrays filled, fixed order of addition.

No ``fastmath`` and no reduction across pools, so a pool's numbers are the same bits alone or
among a million. Rows that hold nothing are skipped: an unpriced zero must not become NaN.
"""

import numba as nb

from plimsoll.core import Bools, Floats, Int32s, Int64s


@nb.njit(cache=True, nogil=True)
def sum_cells(
    amount: Int64s, balance_cell: Int64s, balance_unit: Floats, balance: Floats,
    quantity: Int64s, cost: Int64s, instrument: Int32s, position_slot: Int64s, slot_cell: Int64s,
    quantity_unit: Floats, settle_unit: Floats, value: Floats, slot_quantity: Floats,
    slot_cost: Floats, equity: Floats,
) -> None:  # fmt: skip
    """Fill ``balance`` and ``equity`` by cell, quantity (contracts) and cost by slot."""
    for row in range(amount.size):
        if amount[row] != 0:
            balance[balance_cell[row]] += amount[row] * balance_unit[row]
    for cell in range(balance.size):
        equity[cell] = balance[cell]
    for row in range(quantity.size):
        if quantity[row] == 0 and cost[row] == 0:
            continue
        i, slot = instrument[row], position_slot[row]
        contracts = quantity[row] * quantity_unit[i]
        slot_quantity[slot] = contracts
        slot_cost[slot] = cost[row] * settle_unit[i]
        equity[slot_cell[slot]] += contracts * value[i] - slot_cost[slot]


@nb.njit(cache=True, nogil=True)
def sum_orders(
    quantity: Int64s, price: Int64s, instrument: Int32s, is_reduce_only: Bools,
    order_slot: Int64s, slot_group: Int64s,
    quantity_unit: Floats, price_unit: Floats, multiplier: Floats, mark: Floats, notional: Floats,
    is_spot: Bools, is_inverse: Bools, is_option: Bools,
    base_index: Floats, quote_index: Floats, settle_index: Floats,
    buys: Floats, sells: Floats, buy_notional: Floats, sell_notional: Floats,
    loss: Floats, reserve: Floats,
) -> None:  # fmt: skip
    """Fill order sums: contracts and USD notional at the order's price by slot and side,

    what fills would lose against mark and what spot orders lock, in USD by group.
    """
    for row in range(quantity.size):
        if is_reduce_only[row] or quantity[row] == 0:
            continue
        i, slot = instrument[row], order_slot[row]
        group = slot_group[slot]
        contracts = abs(quantity[row]) * quantity_unit[i]
        limit = price[row] * price_unit[i]
        is_buy = quantity[row] > 0
        if is_spot[i]:
            if is_buy:
                reserve[group] += contracts * multiplier[i] * limit * quote_index[i]
            else:
                reserve[group] += contracts * multiplier[i] * base_index[i]
            continue
        if is_option[i]:
            at_limit = notional[i]
            worse = multiplier[i] * (limit - mark[i] if is_buy else mark[i] - limit)
        elif is_inverse[i]:
            at_limit = notional[i]
            gap = multiplier[i] * (1.0 / limit - 1.0 / mark[i])
            worse = -gap if is_buy else gap
        else:
            at_limit = notional[i] * (limit / mark[i])
            worse = multiplier[i] * (limit - mark[i] if is_buy else mark[i] - limit)
        # Compared so that a NaN stays: a fill that cannot be valued is no free fill.
        if not worse <= 0.0:
            loss[group] += contracts * worse * settle_index[i]
        if is_buy:
            buys[slot] += contracts
            buy_notional[slot] += contracts * at_limit
        else:
            sells[slot] += contracts
            sell_notional[slot] += contracts * at_limit


@nb.njit(cache=True, nogil=True)
def sum_groups(
    quantity: Floats, buys: Floats, sells: Floats, buy_notional: Floats, sell_notional: Floats,
    slot_instrument: Int32s, slot_group: Int64s, notional: Floats,
    long: Floats, short: Floats, gross: Floats, worst_long: Floats, worst_short: Floats,
) -> None:  # fmt: skip
    """Fill USD notionals by group. Orders first close what is held, only the rest opens."""
    for slot in range(quantity.size):
        held = quantity[slot]
        if held == 0.0 and buys[slot] == 0.0 and sells[slot] == 0.0:
            continue
        group = slot_group[slot]
        side = abs(held) * notional[slot_instrument[slot]] if held != 0.0 else 0.0
        gross[group] += side
        up, down = 0.0, 0.0
        if held > 0.0:
            long[group] += side
            up = side
        elif held < 0.0:
            short[group] += side
            down = side
        if buys[slot] > 0.0:
            opening = max(buys[slot] - max(-held, 0.0), 0.0) / buys[slot]
            up += buy_notional[slot] * opening
        if sells[slot] > 0.0:
            opening = max(sells[slot] - max(held, 0.0), 0.0) / sells[slot]
            down += sell_notional[slot] * opening
        worst_long[group] += up
        worst_short[group] += down


@nb.njit(cache=True, nogil=True)
def sum_segments(offsets: Int64s, values: Floats, out: Floats) -> None:
    """out[p] = sum of values[offsets[p]:offsets[p + 1]], first to last."""
    for pool in range(out.size):
        total = 0.0
        for row in range(offsets[pool], offsets[pool + 1]):
            total += values[row]
        out[pool] = total


@nb.njit(cache=True, nogil=True)
def tier_amounts(
    offsets: Int64s, floors: Floats, rates: Floats, cumulative: Floats, ids: Int32s,
    values: Floats, out: Floats,
) -> None:  # fmt: skip
    """out[k] = marginal-tier amount of values[k] >= 0 on schedule ids[k]; NaN stays NaN.

    A schedule without tiers gives NaN: nothing is known of it.
    """
    for k in range(values.size):
        first, end = offsets[ids[k]], offsets[ids[k] + 1]
        value = values[k]
        if value == 0.0:
            out[k] = 0.0
        elif first == end or value != value:
            out[k] = float("nan")
        else:
            tier = first
            while tier + 1 < end and value > floors[tier + 1]:
                tier += 1
            out[k] = value * rates[tier] - cumulative[tier]


@nb.njit(cache=True, nogil=True)
def match_rows(
    offsets: Int64s, ids: Int32s, known_offsets: Int64s, known_ids: Int32s, out: Int64s
) -> int:
    """out[row] = the known row of the same pool with the same id; returns how many have none."""
    missing = 0
    for pool in range(offsets.size - 1):
        for row in range(offsets[pool], offsets[pool + 1]):
            out[row] = -1
            for known in range(known_offsets[pool], known_offsets[pool + 1]):
                if known_ids[known] == ids[row]:
                    out[row] = known
                    break
            if out[row] < 0:
                missing += 1
    return missing


@nb.njit(cache=True, nogil=True)
def size_excess(
    ids: Int32s, base_rate: Floats, slope: Floats, notional: Floats, price: Floats,
    charged: Floats, out: Floats,
) -> None:  # fmt: skip
    """out[k] = what the size-scaled rate asks of notional[k] beyond charged[k]; NaN stays NaN."""
    for k in range(notional.size):
        rate, amount = slope[ids[k]], notional[k]
        if rate == 0.0 or amount == 0.0:
            out[k] = 0.0
            continue
        # Compared so that a NaN stays one: min and max might drop it.
        scaled = base_rate[ids[k]] + rate * (amount / price[k])
        excess = amount * (1.0 if scaled > 1.0 else scaled) - charged[k]
        out[k] = 0.0 if excess < 0.0 else excess


@nb.njit(cache=True, nogil=True)
def scan_slots(
    quantity: Floats, slot_instrument: Int32s, slot_group: Int64s, profits: Floats, out: Floats
) -> None:
    """out[group] += quantity × profits[instrument], in the order of the slots."""
    for slot in range(quantity.size):
        held = quantity[slot]
        if held == 0.0:
            continue
        group, i = slot_group[slot], slot_instrument[slot]
        for k in range(out.shape[1]):
            out[group, k] += held * profits[i, k]


@nb.njit(cache=True, nogil=True)
def worst_cells(cells: Floats, out: Floats) -> None:
    """out[row] = the largest loss of a row of profits, >= 0; NaN where a cell is NaN."""
    for row in range(out.size):
        worst = 0.0
        for k in range(cells.shape[1]):
            cell = cells[row, k]
            if cell != cell:
                worst = cell
                break
            worst = max(worst, -cell)
        out[row] = worst


@nb.njit(cache=True, nogil=True)
def largest_in_segments(offsets: Int64s, values: Floats, out: Floats) -> None:
    """out[p] = the largest of values[offsets[p]:offsets[p + 1]] above 0; NaN where one is."""
    for pool in range(out.size):
        largest = 0.0
        for row in range(offsets[pool], offsets[pool + 1]):
            value = values[row]
            if value != value:
                largest = value
                break
            largest = max(largest, value)
        out[pool] = largest
