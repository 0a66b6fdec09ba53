"""One pass over the rows of each pool, and passes over what it leaves: rules, totals, status.

Pools go through all passes in chunks that caches hold; blocks of chunks are shared out among
threads. Sums of the pool at hand stand in a room that is zero between pools, so that a pool's
bits depend on its own rows alone. Assets and instruments are visited in ascending order, as are
the cells, groups and slots of a layout, so that every sum is added as ``measure_exposure`` and
``require`` add it.

Numbers that index are unsigned: Numba wraps negative ones around, at the cost of a comparison for
every access. No pass hands arrays to an inlined function, for that counts references in its loop.
Figures begin as zeros, and what stays zero is never written: memory nobody touched costs nothing.
"""

from typing import Any

import numba as nb
import numpy as np
from numba.np.ufunc.parallel import get_thread_id

from plimsoll.book import PoolKind, Rows
from plimsoll.core import Floats, Int8s, Int32s, Int64s, Status
from plimsoll.margin.sweep.columns import (
    BLOCK,
    COLLATERAL,
    CONSTANT,
    EQUITY,
    FEES,
    GROSS,
    GROUP_COLUMNS,
    HAIRCUT_CONSTANT,
    HAIRCUT_FLOOR,
    HAIRCUT_RATE,
    INITIAL,
    LONG,
    MAINTENANCE,
    OPEN,
    OPEN_CONSTANT,
    ORDERS,
    RATE,
    SHORT,
    SIZE_INITIAL,
    SIZE_MAINTENANCE,
    STEP,
    TIERED_INITIAL,
    TIERED_MAINTENANCE,
    Contracts,
    Records,
    Room,
    Rules,
    Words,
)
from plimsoll.margin.sweep.orders.kernels import charge_orders, list_unruled
from plimsoll.margin.sweep.words import (
    ONE,
    SIX,
    THREE,
    TWO,
    bit,
    count_below,
    excess,
    larger,
    lowest,
)

_SYSTEM = int(PoolKind.SYSTEM)
_UNKNOWN, _OK, _CALL = int(Status.UNKNOWN), int(Status.OK), int(Status.MARGIN_CALL)
_LIQUIDATABLE, _BANKRUPT = int(Status.LIQUIDATABLE), int(Status.BANKRUPT)
_NAN = float("nan")


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_rows(
    first: int, end: int, pools: Int64s,
    begins: Int64s, ends: Int64s, instrument: Int32s, quantity: Int64s, cost: Int64s,
    owned_begins: Int64s, owned_ends: Int64s, asset: Int32s, amount: Int64s, unit: Floats,
    held: Records, shift: int, floors: Floats, rates: Floats, fee_rate: float,
    cells: Floats, owned: Words, cell_amount: Floats, cell_asset: Words, cell_end: Words,
    falling: Words, figures: Floats,
) -> Any:  # fmt: skip
    """Charge brackets and fees, list cells; list pools whose underlyings fall, and count them.

    Each row is charged as the last of its group, for most are; the next may take that back.
    """
    listed, fallen = np.uint64(0), np.uint64(0)
    for k in range(np.uint64(first), np.uint64(end)):
        pool = np.uint64(pools[k]) if pools.size else k
        for row in range(np.uint64(owned_begins[pool]), np.uint64(owned_ends[pool])):
            a = np.uint32(asset[row])
            cells[a], owned[a >> SIX] = cells[a] + amount[row] * unit[a], owned[a >> SIX] | bit(a)
        # The last cell is nobody's: what is there before the first row.
        money, total, under, falls = np.uint32(unit.size), 0.0, np.uint32(0), False
        up, down, gross, side, initial, kept, fees = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        before, kept_before, fees_before = 0.0, 0.0, 0.0
        for row in range(np.uint64(begins[pool]), np.uint64(ends[pool])):
            units, paid = quantity[row], cost[row]
            if units == 0 and paid == 0:
                continue
            contract = held[np.uint32(instrument[row])]
            if contract.settle != money:
                cells[money], money = total, contract.settle
                total, owned[money >> SIX] = cells[money], owned[money >> SIX] | bit(money)
            many = units * contract.unit
            total += many * contract.value - paid * contract.settle_unit
            if units == 0:
                continue
            worth = abs(many) * contract.notional
            if contract.base != under:
                falls |= contract.base < under
                under, before, kept_before, fees_before = contract.base, initial, kept, fees
                up, down = worth if units > 0 else 0.0, 0.0 if units > 0 else worth
                gross, side = worth, worth
            else:
                up, down = up + (worth if units > 0 else 0.0), down + (0.0 if units > 0 else worth)
                gross, side = gross + worth, larger(up, down)
            fees = fees_before + fee_rate * gross
            if side != 0.0:
                lane = np.uint64(under) << shift
                tier = lane + count_below(floors, lane, side)
                if shift > THREE:
                    for more in range(lane + STEP, lane + (ONE << shift), STEP):
                        tier += count_below(floors, more, side)
                tier <<= TWO
                initial = before + (side * rates[tier + OPEN] - rates[tier + OPEN_CONSTANT])
                kept = kept_before + (side * rates[tier + RATE] - rates[tier + CONSTANT])
        cells[money] = total
        for word in range(np.uint64(owned.size)):
            rest, owned[word] = owned[word], 0
            while rest:
                a, rest = lowest(word, rest), rest & (rest - ONE)
                cell_asset[listed], cell_amount[listed], cells[a] = a, cells[a], 0.0
                listed += ONE
        cell_end[k - np.uint64(first)], falling[fallen] = listed, k
        figures[TIERED_INITIAL, k], figures[TIERED_MAINTENANCE, k] = initial, kept
        figures[FEES, k], fallen = fees, fallen + np.uint64(falls)
    return fallen


@nb.njit(cache=True, nogil=True, error_model="numpy")
def value_cells(
    first: int, end: int, cell_amount: Floats, cell_asset: Words, cell_end: Words,
    index: Floats, offsets: Int64s, haircuts: Floats, figures: Floats,
) -> None:  # fmt: skip
    """Fill equity and, less haircuts, collateral value from listed cells."""
    cell = np.uint64(0)
    for k in range(np.uint64(first), np.uint64(end)):
        equity, collateral = 0.0, 0.0
        while cell < cell_end[k - np.uint64(first)]:
            a, amount = cell_asset[cell], cell_amount[cell]
            # An asset that holds nothing needs no price.
            value = 0.0 if amount == 0.0 else amount * index[a]
            tier, last = np.uint64(offsets[a]), np.uint64(offsets[a + ONE]) - ONE
            while tier < last and value > haircuts[tier + ONE, HAIRCUT_FLOOR]:
                tier += ONE
            haircut = value * haircuts[tier, HAIRCUT_RATE] - haircuts[tier, HAIRCUT_CONSTANT]
            equity += value
            collateral += value - (haircut if value > 0.0 else 0.0)
            cell += ONE
        figures[EQUITY, k], figures[COLLATERAL, k] = equity, collateral


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_sizes(
    first: int, end: int, pools: Int64s, begins: Int64s, ends: Int64s, instrument: Int32s,
    quantity: Int64s, held: Records, index: Floats, shift: int, floors: Floats, rates: Floats,
    slope: Floats, figures: Floats,
) -> None:  # fmt: skip
    """Charge what the size rule asks beyond the brackets, as ``charge_rows`` does."""
    for k in range(np.uint64(first), np.uint64(end)):
        pool = np.uint64(pools[k]) if pools.size else k
        up, down, under = 0.0, 0.0, np.uint32(0)
        initial, kept, before, kept_before = 0.0, 0.0, 0.0, 0.0
        for row in range(np.uint64(begins[pool]), np.uint64(ends[pool])):
            units, contract = quantity[row], held[np.uint32(instrument[row])]
            if units == 0 or slope[contract.base] == 0.0:
                continue
            worth = abs(units * contract.unit) * contract.notional
            if contract.base != under:
                under, before, kept_before, up, down = contract.base, initial, kept, 0.0, 0.0
            up, down = up + (worth if units > 0 else 0.0), down + (0.0 if units > 0 else worth)
            side = larger(up, down)
            if side != 0.0:
                base = np.uint64(under) << shift
                tier, base = base, base << TWO
                for lane in range(tier, tier + (ONE << shift), STEP):
                    tier += count_below(floors, lane, side)
                tier <<= TWO
                added = slope[under] * (side / index[under])
                charged = side * rates[tier + OPEN] - rates[tier + OPEN_CONSTANT]
                initial = before + excess(side, rates[base + OPEN] + added, charged)
                charged = side * rates[tier + RATE] - rates[tier + CONSTANT]
                kept = kept_before + excess(side, rates[base + RATE] + added, charged)
        figures[SIZE_INITIAL, k], figures[SIZE_MAINTENANCE, k] = initial, kept


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sum_groups(
    pool: Any, begins: Int64s, ends: Int64s, instrument: Int32s, quantity: Int64s,
    held: Records, groups: Floats, under: Words,
) -> None:  # fmt: skip
    """Add a pool's sides to its groups, in whatever order its underlyings come."""
    for row in range(np.uint64(begins[pool]), np.uint64(ends[pool])):
        units, contract = quantity[row], held[np.uint32(instrument[row])]
        if units != 0:
            worth, base = abs(units * contract.unit) * contract.notional, contract.base
            groups[base, GROSS] += worth
            groups[base, LONG if units > 0 else SHORT] += worth
            under[base >> SIX] |= bit(base)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_groups(
    k: Any, groups: Floats, under: Words, index: Floats, shift: int, floors: Floats,
    rates: Floats, slope: Floats, fee_rate: float, figures: Floats,
) -> None:  # fmt: skip
    """Charge brackets, fees and sizes of a column anew, from groups; empties them."""
    initial, kept, fees, size, kept_size = 0.0, 0.0, 0.0, 0.0, 0.0
    for word in range(np.uint64(under.size)):
        rest, under[word] = under[word], 0
        while rest:
            a, rest = lowest(word, rest), rest & (rest - ONE)
            side = larger(groups[a, LONG], groups[a, SHORT])
            fees += fee_rate * groups[a, GROSS]
            groups[a, LONG], groups[a, SHORT], groups[a, GROSS] = 0.0, 0.0, 0.0
            if side == 0.0:
                continue
            tier, base = a << shift, a << shift << TWO
            for lane in range(tier, tier + (ONE << shift), STEP):
                tier += count_below(floors, lane, side)
            tier <<= TWO
            charged = side * rates[tier + OPEN] - rates[tier + OPEN_CONSTANT]
            charged_kept = side * rates[tier + RATE] - rates[tier + CONSTANT]
            initial, kept = initial + charged, kept + charged_kept
            if slope.size and slope[a] != 0.0:
                added = slope[a] * (side / index[a])
                size += excess(side, rates[base + OPEN] + added, charged)
                kept_size += excess(side, rates[base + RATE] + added, charged_kept)
    figures[TIERED_INITIAL, k], figures[TIERED_MAINTENANCE, k] = initial, kept
    figures[FEES, k] = fees
    if slope.size:
        figures[SIZE_INITIAL, k], figures[SIZE_MAINTENANCE, k] = size, kept_size


@nb.njit(inline="always")
def _status(
    equity: float, collateral: float, initial: float, maintenance: float, call_ratio: float
) -> int:
    """The status of one pool; whatever is not finite is UNKNOWN before anything is compared."""
    if not (
        np.isfinite(equity) and np.isfinite(collateral)
        and np.isfinite(initial) and np.isfinite(maintenance)
    ):  # fmt: skip
        return _UNKNOWN
    if equity < 0.0:
        return _BANKRUPT
    if collateral <= 0.0 and (maintenance > 0.0 or collateral < 0.0):
        return _LIQUIDATABLE
    if maintenance == 0.0:
        return _OK
    ratio = maintenance / collateral
    return _LIQUIDATABLE if ratio >= 1.0 else _CALL if ratio >= call_ratio else _OK


@nb.njit(cache=True, nogil=True, error_model="numpy")
def add_up(
    first: int, end: int, pools: Int64s, kind: Int8s, is_sized: bool, is_ordered: bool,
    barred: Words, call_ratio: float, figures: Floats, status: Int8s,
) -> None:  # fmt: skip
    """Fill totals and status; the system's pools need nothing and are worth nothing."""
    for k in range(np.uint64(first), np.uint64(end)):
        if kind[np.uint64(pools[k]) if pools.size else k] == _SYSTEM:
            figures[:, k] = 0.0
            status[k] = _OK
            continue
        tiered, kept, fees = (
            figures[TIERED_INITIAL, k], figures[TIERED_MAINTENANCE, k], figures[FEES, k]
        )  # fmt: skip
        size, kept_size, orders = 0.0, 0.0, 0.0
        if is_sized:
            size, kept_size = figures[SIZE_INITIAL, k], figures[SIZE_MAINTENANCE, k]
        if is_ordered:
            orders = figures[ORDERS, k]
        known = tiered + size
        if not np.isfinite(known):
            # What orders add is unknown where what they add to is.
            orders += known - known
            figures[ORDERS, k] = orders
        if barred.size and barred[k - np.uint64(first)]:
            # A contract without a rule makes its pool's requirement unknown, not free.
            tiered, kept = _NAN, _NAN
            figures[TIERED_INITIAL, k], figures[TIERED_MAINTENANCE, k] = tiered, kept
        initial, maintenance = tiered + size + orders + fees, kept + kept_size + fees
        figures[INITIAL, k], figures[MAINTENANCE, k] = initial, maintenance
        status[k] = _status(
            figures[EQUITY, k], figures[COLLATERAL, k], initial, maintenance, call_ratio
        )


@nb.njit(cache=True, nogil=True, error_model="numpy")
def charge_chunk(
    first: int, end: int, pools: Int64s, rows: Rows, contracts: Contracts, rules: Rules,
    room: Room, thread: int, figures: Floats,
) -> None:  # fmt: skip
    """Fill columns first to end of ``figures``, but for orders and totals."""
    assets, chunk = rules.unit.size, room.pools
    sums, words, at = room.sums[thread], room.words[thread], (rules.unit.size + 63) >> 6
    cells, cell_amount = sums[: assets + 1], sums[assets + 1 : assets + 1 + chunk * assets]
    owned, under = words[:at], words[at : 2 * at]
    cell_end, falling = words[2 * at : 2 * at + chunk], words[2 * at + chunk : 2 * at + 2 * chunk]
    cell_asset = words[2 * at + 3 * chunk : 2 * at + 3 * chunk + chunk * assets]
    fallen = charge_rows(
        first, end, pools, rows.position_begin, rows.position_end, rows.instrument,
        rows.quantity, rows.cost, rows.balance_begin, rows.balance_end, rows.asset, rows.amount,
        rules.unit, contracts.held, rules.shift, rules.floors, rules.rates, rules.fee_rate,
        cells, owned, cell_amount, cell_asset, cell_end, falling, figures,
    )  # fmt: skip
    value_cells(
        first, end, cell_amount, cell_asset, cell_end,
        rules.index, rules.haircut_offsets, rules.haircuts, figures,
    )  # fmt: skip
    if rules.slope.size:
        charge_sizes(
            first, end, pools, rows.position_begin, rows.position_end, rows.instrument,
            rows.quantity, contracts.held, rules.index, rules.shift, rules.floors, rules.rates,
            rules.slope, figures,
        )  # fmt: skip
    start = assets + 1 + chunk * assets
    groups = sums[start : start + GROUP_COLUMNS * assets].reshape((assets, GROUP_COLUMNS))
    for each in range(fallen):
        k = falling[each]
        sum_groups(
            np.uint64(pools[k]) if pools.size else k, rows.position_begin, rows.position_end,
            rows.instrument, rows.quantity, contracts.held, groups, under,
        )  # fmt: skip
        charge_groups(
            k, groups, under, rules.index, rules.shift, rules.floors, rules.rates, rules.slope,
            rules.fee_rate, figures,
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sweep_pools(
    first: int, end: int, thread: int, pools: Int64s, rows: Rows, contracts: Contracts,
    rules: Rules, room: Room, figures: Floats, status: Int8s,
) -> None:  # fmt: skip
    """Fill columns first to end of ``figures`` [10, pools], zeros before, and ``status``."""
    start = 2 * ((rules.unit.size + 63) >> 6) + 2 * room.pools
    marks = room.pools if contracts.unruled.size else 0
    barred = room.words[thread, start : start + marks]
    for low in range(first, end, room.pools):
        high = min(low + room.pools, end)
        charge_chunk(low, high, pools, rows, contracts, rules, room, thread, figures)
        if marks:
            list_unruled(
                low, high, pools, rows.position_begin, rows.position_end, rows.instrument,
                rows.quantity, contracts.unruled, barred,
            )  # fmt: skip
        if room.slots:
            charge_orders(low, high, pools, rows, contracts, rules, room, thread, barred, figures)
        add_up(
            low, high, pools, rows.kind, rules.slope.size > 0, room.slots > 0, barred,
            rules.call_ratio, figures, status,
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def sweep_blocks(
    pools: Int64s, rows: Rows, contracts: Contracts, rules: Rules, room: Room, figures: Floats,
    status: Int8s,
) -> None:  # fmt: skip
    """``sweep_pools`` of all columns, block by block on all threads."""
    for block in nb.prange((status.size + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        sweep_pools(
            first, min(first + BLOCK, status.size), get_thread_id(),
            pools, rows, contracts, rules, room, figures, status,
        )  # fmt: skip
