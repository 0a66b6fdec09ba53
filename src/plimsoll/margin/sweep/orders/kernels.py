"""Slots, groups and charges of the pools that have orders, as many at a time as the lists hold."""

from typing import Any

import numba as nb
import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Bools, Floats, Int8s, Int32s, Int64s
from plimsoll.margin.sweep.columns import (
    BASE_INDEX,
    BUY_NOTIONAL,
    BUYS,
    FILL_COLUMNS,
    FILLED,
    GROUP_COLUMNS,
    HELD,
    INVERSE,
    ITEM,
    LINEAR,
    LOCKED,
    LONG,
    LOSS,
    LOST,
    MARK,
    MULTIPLIER,
    NAMES,
    OPEN,
    OPEN_CONSTANT,
    ORDERS,
    OWNER,
    PRICE_UNIT,
    QUOTE_INDEX,
    RESERVE,
    SELL_NOTIONAL,
    SELLS,
    SETTLE_INDEX,
    SHORT,
    SIDE,
    SLOT_COLUMNS,
    SPOT,
    STEP,
    WORST_LONG,
    WORST_SHORT,
    Contracts,
    Records,
    Room,
    Rules,
    Words,
)
from plimsoll.margin.sweep.words import ONE, SIX, TWO, bit, count_below, excess, larger, lowest


@nb.njit(inline="always")
def _at_limit(code: int, notional: float, limit: float, mark: float) -> float:
    """USD notional of a contract at an order's limit."""
    return notional * (limit / mark) if code == LINEAR else notional


@nb.njit(inline="always")
def _loss_of_fill(code: int, multiplier: float, limit: float, mark: float, is_buy: bool) -> float:
    """What a contract filled at an order's limit loses at once against mark, settle asset."""
    if code == INVERSE:
        gap = multiplier * (1.0 / limit - 1.0 / mark)
        return -gap if is_buy else gap
    return multiplier * (limit - mark if is_buy else mark - limit)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def list_slots(
    first: int, end: int, pools: Int64s, order_begin: Int64s, order_end: Int64s,
    order_instrument: Int32s, order_quantity: Int64s, order_price: Int64s, order_reduces: Bools,
    begins: Int64s, ends: Int64s, instrument: Int32s, quantity: Int64s,
    contract: Records, terms: Floats, code: Int8s,
    slots: Floats, under: Words, used: Words, slot_names: Words, slot_sums: Floats,
) -> Any:  # fmt: skip
    """List slots in the groups that have orders, spot aside; how many."""
    listed: Any = np.uint64(0)
    for k in range(np.uint64(first), np.uint64(end)):
        pool = np.uint64(pools[k]) if pools.size else k
        if order_begin[pool] == order_end[pool]:
            continue
        for row in range(np.uint64(order_begin[pool]), np.uint64(order_end[pool])):
            i, amount = np.uint32(order_instrument[row]), abs(order_quantity[row])
            if order_reduces[row] or amount == 0 or code[i] == SPOT:
                continue
            is_buy, limit = order_quantity[row] > 0, order_price[row] * terms[i, PRICE_UNIT]
            contracts, base = amount * contract[i].unit, contract[i].base
            worth = contracts * _at_limit(code[i], contract[i].notional, limit, terms[i, MARK])
            slots[i, BUYS if is_buy else SELLS] += contracts
            slots[i, BUY_NOTIONAL if is_buy else SELL_NOTIONAL] += worth
            used[i >> SIX] |= bit(i)
            under[base >> SIX] |= bit(base)
        for row in range(np.uint64(begins[pool]), np.uint64(ends[pool])):
            i = np.uint32(instrument[row])
            base = contract[i].base
            if under[base >> SIX] & bit(base):
                slots[i, HELD] = quantity[row] * contract[i].unit
                used[i >> SIX] |= bit(i)
        under[:] = 0
        for word in range(np.uint64(used.size)):
            rest, used[word] = used[word], 0
            while rest:
                i, rest = lowest(word, rest), rest & (rest - ONE)
                slot_names[listed, OWNER], slot_names[listed, ITEM] = k, i
                for column in range(SLOT_COLUMNS):
                    slot_sums[listed, column], slots[i, column] = slots[i, column], 0.0
                listed += ONE
    return listed


@nb.njit(cache=True, nogil=True, error_model="numpy")
def list_fills(
    first: int, end: int, pools: Int64s, order_begin: Int64s, order_end: Int64s,
    order_instrument: Int32s, order_quantity: Int64s, order_price: Int64s, order_reduces: Bools,
    contract: Records, terms: Floats, code: Int8s,
    listed: Any, slot_names: Words, slot_sums: Floats, groups: Floats, under: Words,
    fill_names: Words, fill_sums: Floats,
) -> Any:  # fmt: skip
    """List groups with orders: sides before and after fills, losses, what is locked; how many."""
    slot, filled = np.uint64(0), np.uint64(0)
    for k in range(np.uint64(first), np.uint64(end)):
        pool = np.uint64(pools[k]) if pools.size else k
        if order_begin[pool] == order_end[pool]:
            continue
        for row in range(np.uint64(order_begin[pool]), np.uint64(order_end[pool])):
            i, is_buy = np.uint32(order_instrument[row]), order_quantity[row] > 0
            if order_reduces[row] or order_quantity[row] == 0:
                continue
            a, amount = contract[i].base, abs(order_quantity[row]) * contract[i].unit
            limit, size = order_price[row] * terms[i, PRICE_UNIT], terms[i, MULTIPLIER]
            under[a >> SIX] |= bit(a)
            if code[i] == SPOT:
                bought = amount * size * limit * terms[i, QUOTE_INDEX]
                groups[a, RESERVE] += bought if is_buy else amount * size * terms[i, BASE_INDEX]
                continue
            worse = _loss_of_fill(code[i], size, limit, terms[i, MARK], is_buy)
            # Compared so that a NaN stays: a fill that cannot be valued is no free fill.
            if not worse <= 0.0:
                groups[a, LOSS] += amount * worse * terms[i, SETTLE_INDEX]
        while slot < listed and slot_names[slot, OWNER] == k:
            i, held = slot_names[slot, ITEM], slot_sums[slot, HELD]
            buys, sells = slot_sums[slot, BUYS], slot_sums[slot, SELLS]
            side = abs(held) * contract[i].notional if held != 0.0 else 0.0
            up, down = side if held > 0.0 else 0.0, side if held < 0.0 else 0.0
            a = contract[i].base
            groups[a, LONG] += up
            groups[a, SHORT] += down
            # Orders first close what is held, only the rest opens.
            if buys > 0.0:
                up += slot_sums[slot, BUY_NOTIONAL] * (max(buys - max(-held, 0.0), 0.0) / buys)
            if sells > 0.0:
                down += slot_sums[slot, SELL_NOTIONAL] * (max(sells - max(held, 0.0), 0.0) / sells)
            groups[a, WORST_LONG] += up
            groups[a, WORST_SHORT] += down
            slot += ONE
        filled = _take_groups(k, filled, groups, under, fill_names, fill_sums)
    return filled


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _take_groups(
    k: Any, filled: Any, groups: Floats, under: Words, fill_names: Words, fill_sums: Floats
) -> Any:
    """List the groups of column k and empty them; how many are listed."""
    for word in range(np.uint64(under.size)):
        rest, under[word] = under[word], 0
        while rest:
            a, rest = lowest(word, rest), rest & (rest - ONE)
            fill_names[filled, OWNER], fill_names[filled, ITEM] = k, a
            fill_sums[filled, SIDE] = larger(groups[a, LONG], groups[a, SHORT])
            fill_sums[filled, FILLED] = larger(groups[a, WORST_LONG], groups[a, WORST_SHORT])
            fill_sums[filled, LOST], fill_sums[filled, LOCKED] = groups[a, LOSS], groups[a, RESERVE]
            for column in range(GROUP_COLUMNS):
                groups[a, column] = 0.0
            filled += ONE
    return filled


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_fills(
    filled: Any, fill_names: Words, fill_sums: Floats, index: Floats, shift: int, floors: Floats,
    rates: Floats, slope: Floats, fee_rate: float, figures: Floats,
) -> None:  # fmt: skip
    """Charge what orders add: the rise if the worse side fills, its loss, what is locked."""
    for row in range(np.uint64(filled)):
        k, a = fill_names[row, OWNER], fill_names[row, ITEM]
        before, after = 0.0, 0.0
        for turn in range(np.uint64(2)):
            side = fill_sums[row, turn]
            before, after = after, 0.0
            if side != 0.0:
                tier, base = a << shift, a << shift << TWO
                for lane in range(tier, tier + (ONE << shift), STEP):
                    tier += count_below(floors, lane, side)
                tier <<= TWO
                after = side * rates[tier + OPEN] - rates[tier + OPEN_CONSTANT]
                if slope.size and slope[a] != 0.0:
                    added = slope[a] * (side / index[a])
                    after += excess(side, rates[base + OPEN] + added, after)
        after += fee_rate * larger(fill_sums[row, FILLED] - fill_sums[row, SIDE], 0.0)
        rise = larger(after - before, 0.0)
        figures[ORDERS, k] += rise + fill_sums[row, LOST] + fill_sums[row, LOCKED]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def list_unruled(
    first: int, end: int, pools: Int64s, begins: Int64s, ends: Int64s, instrument: Int32s,
    quantity: Int64s, unruled: Bools, barred: Words,
) -> None:  # fmt: skip
    """Mark pools, from ``first`` on, that hold a contract without a rule."""
    for k in range(np.uint64(first), np.uint64(end)):
        pool, found = np.uint64(pools[k]) if pools.size else k, False
        for row in range(np.uint64(begins[pool]), np.uint64(ends[pool])):
            found |= quantity[row] != 0 and unruled[np.uint32(instrument[row])]
        barred[k - np.uint64(first)] = found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _end_of_lists(
    first: int, end: int, pools: Int64s, begins: Int64s, ends: Int64s, order_begin: Int64s,
    order_end: Int64s, slots: int, listed: int,
) -> int:  # fmt: skip
    """The column before which lists of some length may run full, one after ``first`` at least."""
    most = 0
    for k in range(first, end):
        pool = pools[k] if pools.size else k
        placed = order_end[pool] - order_begin[pool]
        if placed:
            most += min(placed + ends[pool] - begins[pool], slots)
            if most > listed:
                return k
    return end


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_orders(
    first: int, end: int, pools: Int64s, rows: Rows, contracts: Contracts, rules: Rules,
    room: Room, thread: int, barred: Words, figures: Floats,
) -> None:  # fmt: skip
    """Add the charge for orders to columns first to end; bar pools that order without a rule."""
    assets, at = rules.unit.size, (rules.unit.size + 63) >> 6
    sums, words = room.sums[thread], room.words[thread]
    start = assets + 1 + room.pools * assets
    groups = sums[start : start + GROUP_COLUMNS * assets].reshape((assets, GROUP_COLUMNS))
    start += GROUP_COLUMNS * assets
    slots = sums[start : start + SLOT_COLUMNS * room.slots].reshape((room.slots, SLOT_COLUMNS))
    start += SLOT_COLUMNS * room.slots
    listed = room.listed
    slot_sums = sums[start : start + SLOT_COLUMNS * listed].reshape((listed, SLOT_COLUMNS))
    start += SLOT_COLUMNS * listed
    fill_sums = sums[start : start + FILL_COLUMNS * listed].reshape((listed, FILL_COLUMNS))
    under, start = words[at : 2 * at], 2 * at + 3 * room.pools + room.pools * assets
    used, start = words[start : start + ((room.slots + 63) >> 6)], start + ((room.slots + 63) >> 6)
    slot_names = words[start : start + NAMES * listed].reshape((listed, NAMES))
    start += NAMES * listed
    fill_names = words[start : start + NAMES * listed].reshape((listed, NAMES))
    column = first
    while first < end:
        last = _end_of_lists(
            first, end, pools, rows.position_begin, rows.position_end, rows.order_begin,
            rows.order_end, room.slots, listed,
        )  # fmt: skip
        slotted = list_slots(
            first, last, pools, rows.order_begin, rows.order_end, rows.order_instrument,
            rows.order_quantity, rows.order_price, rows.order_reduces, rows.position_begin,
            rows.position_end, rows.instrument, rows.quantity, contracts.held, contracts.ordered,
            contracts.code, slots, under, used, slot_names, slot_sums,
        )  # fmt: skip
        filled = list_fills(
            first, last, pools, rows.order_begin, rows.order_end, rows.order_instrument,
            rows.order_quantity, rows.order_price, rows.order_reduces, contracts.held,
            contracts.ordered, contracts.code, slotted, slot_names, slot_sums, groups, under,
            fill_names, fill_sums,
        )  # fmt: skip
        charge_fills(
            filled, fill_names, fill_sums, rules.index, rules.shift, rules.floors, rules.rates,
            rules.slope, rules.fee_rate, figures,
        )  # fmt: skip
        for row in range(slotted if contracts.unruled.size else 0):
            is_ordered = slot_sums[row, BUYS] != 0.0 or slot_sums[row, SELLS] != 0.0
            if is_ordered and contracts.unruled[slot_names[row, ITEM]]:
                barred[slot_names[row, OWNER] - np.uint64(column)] = True
        first = last
