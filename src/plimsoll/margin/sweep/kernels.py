"""One pass over the rows of each pool: sums by asset, the rules on them, the status.

Nothing is kept between pools but a room of zeros, so that a pool's bits depend on its own rows
alone; pools are shared out among threads in blocks. Which assets and instruments a pool touches
is noted in bit masks, and they are visited in ascending order: the order of the layout's cells,
groups and slots, so that every sum is added as ``measure_exposure`` and ``require`` add it.

Row and asset numbers are made unsigned before they index: Numba wraps negative ones around,
at the cost of a comparison per access. Without tiers a schedule is one row of NaN.
"""

from typing import Any, NamedTuple

import numba as nb
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numba.np.ufunc.parallel import get_thread_id

from plimsoll.book import PoolKind, Rows
from plimsoll.core import Bools, Floats, Int8s, Int32s, Int64s, Status

BLOCK = 4096
"""Pools a thread takes at a time; a book of no more needs no second thread."""

EQUITY, COLLATERAL, INITIAL, MAINTENANCE = range(4)
TIERED_INITIAL, TIERED_MAINTENANCE, SIZE_INITIAL, SIZE_MAINTENANCE, ORDERS, FEES = range(4, 10)
FIGURES = 10
"""Rows of the result; the first four are totals, the others charges."""

UNIT, VALUE, SETTLE_UNIT, NOTIONAL = range(4)
CONTRACT_COLUMNS = 4
PRICE_UNIT, MULTIPLIER, MARK, BASE_INDEX, QUOTE_INDEX, SETTLE_INDEX = range(6)
ORDER_COLUMNS = 6
LINEAR, INVERSE, OPTION, SPOT = range(4)
"""How an order is valued."""

FLOOR, INITIAL_RATE, INITIAL_CUMULATIVE, MAINTENANCE_RATE, MAINTENANCE_CUMULATIVE = range(5)
RATE, CUMULATIVE = 1, 2
LONG, SHORT, GROSS, WORST_LONG, WORST_SHORT, LOSS, RESERVE = range(7)
GROUP_COLUMNS = 8
HELD, BUYS, SELLS, BUY_NOTIONAL, SELL_NOTIONAL = range(5)
SLOT_COLUMNS = 8

_SYSTEM = int(PoolKind.SYSTEM)
_UNKNOWN, _OK, _CALL = int(Status.UNKNOWN), int(Status.OK), int(Status.MARGIN_CALL)
_LIQUIDATABLE, _BANKRUPT = int(Status.LIQUIDATABLE), int(Status.BANKRUPT)
_ONE = np.uint64(1)
_NAN = float("nan")


class Contracts(NamedTuple):
    """Columns over instruments at a market, those of one use side by side.

    ``held`` is [instruments, 4] and ``ordered`` [instruments, 6] (empty where no order is);
    ``unruled`` is empty where every contract has a rule.
    """

    base: Int32s
    settle: Int32s
    held: Floats
    ordered: Floats
    code: Int8s
    unruled: Bools


class Rules(NamedTuple):
    """Columns over assets, and tiers as rows: asset a owns offsets[a] to offsets[a + 1].

    ``brackets`` is [rows, 5], ``haircuts`` [rows, 3]; ``sloped`` the assets with a size rule as
    a bit mask.
    """

    unit: Floats
    index: Floats  # type: ignore[assignment]
    bracket_offsets: Int64s
    brackets: Floats
    haircut_offsets: Int64s
    haircuts: Floats
    size_slope: Floats
    sloped: Any
    fee_rate: float
    call_ratio: float


class Room(NamedTuple):
    """Sums of the pool at hand, zero between pools; the first axis is the thread.

    ``cells`` is [threads, assets], ``groups`` [threads, assets, 8], ``slots`` [threads,
    instruments, 8]; ``owned``, ``under`` and ``used`` are the bit masks of those in use, [threads,
    words]. Rows may be longer than that.
    """

    cells: Floats
    groups: Floats
    slots: Floats
    owned: Any
    under: Any
    used: Any


@intrinsic
def _trailing_zeros(_context: Any, _number: Any) -> Any:
    """LLVM's cttz; undefined at 0."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return nb.uint64(nb.uint64), emit


@nb.njit(inline="always")
def _note(mask: Any, item: Any) -> None:
    mask[item >> np.uint32(6)] |= _ONE << np.uint64(item & np.uint32(63))


@nb.njit(inline="always")
def _find_row(offsets: Int64s, tiers: Floats, asset: Any, value: float) -> Any:
    """The row of the tier that a value falls into; the first one for NaN."""
    row, last = np.uint64(offsets[asset]), np.uint64(offsets[asset + _ONE] - 1)
    while row < last and value > tiers[row + _ONE, FLOOR]:
        row += _ONE
    return row


@nb.njit(inline="always")
def _excess(side: float, rate: float, charged: float) -> float:
    """What a rate on a side asks beyond what is charged; compared so that NaN stays NaN."""
    excess = side * (1.0 if rate > 1.0 else rate) - charged
    return 0.0 if excess < 0.0 else excess


@nb.njit(inline="always")
def _larger(one: float, other: float) -> float:
    """The larger of two; NaN where either is."""
    return other if one < other or other != other else one


@nb.njit(inline="always")
def _initial_margin(
    index: Floats, offsets: Int64s, brackets: Floats, size_slope: Floats, asset: Any, side: float
) -> float:
    """Tiered initial margin of a side, and what the size rule asks beyond it."""
    if side == 0.0:
        return 0.0
    first, row = np.uint64(offsets[asset]), _find_row(offsets, brackets, asset, side)
    tiered: float = side * brackets[row, INITIAL_RATE] - brackets[row, INITIAL_CUMULATIVE]
    slope = size_slope[asset]
    if slope == 0.0:
        return tiered
    rate = brackets[first, INITIAL_RATE] + slope * (side / index[asset])
    return tiered + _excess(side, rate, tiered)


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


@nb.njit(inline="always")
def _add_balances(
    begin: Int64s, end: Int64s, asset: Int32s, amount: Int64s, unit: Floats, pool: int,
    cells: Floats, owned: Any,
) -> None:  # fmt: skip
    """Add a pool's balances to cells."""
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        cell = np.uint32(asset[row])
        cells[cell] += amount[row] * unit[cell]
        _note(owned, cell)


@nb.njit(inline="always")
def _add_positions(
    begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, cost: Int64s,
    contract_base: Int32s, contract_settle: Int32s, contract: Floats, pool: int,
    cells: Floats, groups: Floats, owned: Any, under: Any,
) -> None:  # fmt: skip
    """Add a pool's positions to cells and groups."""
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        if quantity[row] == 0 and cost[row] == 0:
            continue
        i = np.uint32(instrument[row])
        held = quantity[row] * contract[i, UNIT]
        settle = np.uint32(contract_settle[i])
        cells[settle] += held * contract[i, VALUE] - cost[row] * contract[i, SETTLE_UNIT]
        _note(owned, settle)
        if quantity[row] == 0:
            continue
        base = np.uint32(contract_base[i])
        side = abs(held) * contract[i, NOTIONAL]
        groups[base, GROSS] += side
        groups[base, LONG if quantity[row] > 0 else SHORT] += side
        _note(under, base)


@nb.njit(inline="always")
def _value_cells(
    index: Floats, offsets: Int64s, haircuts: Floats, cells: Floats, owned: Any
) -> tuple[float, float]:
    """Equity and collateral value, USD; empties the cells."""
    equity, collateral = 0.0, 0.0
    for word in range(owned.size):
        rest = owned[word]
        owned[word] = 0
        while rest:
            asset = np.uint64((word << 6) + _trailing_zeros(rest))
            rest &= rest - _ONE
            amount = cells[asset]
            cells[asset] = 0.0
            # An asset that holds nothing needs no price.
            value = 0.0 if amount == 0.0 else amount * index[asset]
            haircut = 0.0
            if value > 0.0:
                row = _find_row(offsets, haircuts, asset, value)
                haircut = value * haircuts[row, RATE] - haircuts[row, CUMULATIVE]
            equity += value
            collateral += value - haircut
    return equity, collateral


@nb.njit(inline="always")
def _charge_groups(
    index: Floats, offsets: Int64s, brackets: Floats, size_slope: Floats, sloped: Any,
    fee_rate: float, groups: Floats, under: Any,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """Tiered and size-scaled margin, initial and maintenance each, and fees; empties the groups.

    The few assets with a size rule have a loop of their own, for a branch that depends on the
    asset costs more than finding their brackets twice.
    """
    initial, maintenance, initial_size, maintenance_size, fees = 0.0, 0.0, 0.0, 0.0, 0.0
    for word in range(under.size):
        touched = under[word]
        under[word] = 0
        rest = touched & sloped[word]
        while rest:
            asset = np.uint64((word << 6) + _trailing_zeros(rest))
            rest &= rest - _ONE
            side = _larger(groups[asset, LONG], groups[asset, SHORT])
            if side == 0.0:
                continue
            first, row = np.uint64(offsets[asset]), _find_row(offsets, brackets, asset, side)
            added = size_slope[asset] * (side / index[asset])
            charged = side * brackets[row, INITIAL_RATE] - brackets[row, INITIAL_CUMULATIVE]
            initial_size += _excess(side, brackets[first, INITIAL_RATE] + added, charged)
            charged = side * brackets[row, MAINTENANCE_RATE] - brackets[row, MAINTENANCE_CUMULATIVE]
            maintenance_size += _excess(side, brackets[first, MAINTENANCE_RATE] + added, charged)
        rest = touched
        while rest:
            asset = np.uint64((word << 6) + _trailing_zeros(rest))
            rest &= rest - _ONE
            side = _larger(groups[asset, LONG], groups[asset, SHORT])
            fees += fee_rate * groups[asset, GROSS]
            groups[asset, LONG] = groups[asset, SHORT] = groups[asset, GROSS] = 0.0
            if side == 0.0:
                continue
            row = _find_row(offsets, brackets, asset, side)
            initial += side * brackets[row, INITIAL_RATE] - brackets[row, INITIAL_CUMULATIVE]
            maintenance += (
                side * brackets[row, MAINTENANCE_RATE] - brackets[row, MAINTENANCE_CUMULATIVE]
            )
    return initial, maintenance, initial_size, maintenance_size, fees


@nb.njit(inline="always")
def _hold_slots(
    begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, contract: Floats, pool: int,
    slots: Floats, used: Any,
) -> None:  # fmt: skip
    """Note a pool's contracts by slot."""
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        if quantity[row] != 0:
            i = np.uint32(instrument[row])
            slots[i, HELD] = quantity[row] * contract[i, UNIT]
            _note(used, i)


@nb.njit(inline="always")
def _add_orders(
    begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, price: Int64s, reduces: Bools,
    contract_base: Int32s, contract: Floats, terms: Floats, code: Int8s, pool: int,
    groups: Floats, slots: Floats, under: Any, used: Any,
) -> None:  # fmt: skip
    """Add a pool's orders to slots, the losses of their fills and their reserves to groups."""
    for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
        if reduces[row] or quantity[row] == 0:
            continue
        i = np.uint32(instrument[row])
        base, is_buy = np.uint32(contract_base[i]), quantity[row] > 0
        amount = abs(quantity[row]) * contract[i, UNIT]
        limit, mark, size = price[row] * terms[i, PRICE_UNIT], terms[i, MARK], terms[i, MULTIPLIER]
        _note(under, base)
        if code[i] == SPOT:
            if is_buy:
                groups[base, RESERVE] += amount * size * limit * terms[i, QUOTE_INDEX]
            else:
                groups[base, RESERVE] += amount * size * terms[i, BASE_INDEX]
            continue
        at_limit = contract[i, NOTIONAL]
        if code[i] == INVERSE:
            gap = size * (1.0 / limit - 1.0 / mark)
            worse = -gap if is_buy else gap
        else:
            worse = size * (limit - mark if is_buy else mark - limit)
            if code[i] == LINEAR:
                at_limit = at_limit * (limit / mark)
        # Compared so that a NaN stays: a fill that cannot be valued is no free fill.
        if not worse <= 0.0:
            groups[base, LOSS] += amount * worse * terms[i, SETTLE_INDEX]
        _note(used, i)
        slots[i, BUYS if is_buy else SELLS] += amount
        slots[i, BUY_NOTIONAL if is_buy else SELL_NOTIONAL] += amount * at_limit


@nb.njit(inline="always")
def _fill_orders(
    contract_base: Int32s, contract: Floats, unruled: Bools, groups: Floats, slots: Floats,
    used: Any,
) -> bool:  # fmt: skip
    """Add what orders would open to the groups' worst sides; empties the slots.

    Orders first close what is held, only the rest opens. True where one has no rule.
    """
    is_barred = False
    for word in range(used.size):
        rest = used[word]
        used[word] = 0
        while rest:
            i = np.uint64((word << 6) + _trailing_zeros(rest))
            rest &= rest - _ONE
            base = np.uint32(contract_base[i])
            held, buys, sells = slots[i, HELD], slots[i, BUYS], slots[i, SELLS]
            side = abs(held) * contract[i, NOTIONAL] if held != 0.0 else 0.0
            up, down = side if held > 0.0 else 0.0, side if held < 0.0 else 0.0
            if buys > 0.0:
                opening = max(buys - max(-held, 0.0), 0.0) / buys
                up += slots[i, BUY_NOTIONAL] * opening
            if sells > 0.0:
                opening = max(sells - max(held, 0.0), 0.0) / sells
                down += slots[i, SELL_NOTIONAL] * opening
            groups[base, WORST_LONG] += up
            groups[base, WORST_SHORT] += down
            is_barred |= unruled.size > 0 and unruled[i] and (buys != 0.0 or sells != 0.0)
            slots[i, HELD] = slots[i, BUYS] = slots[i, SELLS] = 0.0
            slots[i, BUY_NOTIONAL] = slots[i, SELL_NOTIONAL] = 0.0
    return is_barred


@nb.njit(inline="always")
def _charge_orders(
    index: Floats, offsets: Int64s, brackets: Floats, size_slope: Floats, fee_rate: float,
    groups: Floats, under: Any,
) -> float:  # fmt: skip
    """What open orders add to the initial margin; empties their part of the groups."""
    total = 0.0
    for word in range(under.size):
        rest = under[word]
        while rest:
            asset = np.uint64((word << 6) + _trailing_zeros(rest))
            rest &= rest - _ONE
            side = _larger(groups[asset, LONG], groups[asset, SHORT])
            filled = _larger(groups[asset, WORST_LONG], groups[asset, WORST_SHORT])
            without = _initial_margin(index, offsets, brackets, size_slope, asset, side)
            with_orders = _initial_margin(index, offsets, brackets, size_slope, asset, filled)
            with_orders += fee_rate * _larger(filled - side, 0.0)
            total += (
                _larger(with_orders - without, 0.0) + groups[asset, LOSS] + groups[asset, RESERVE]
            )
            groups[asset, WORST_LONG] = groups[asset, WORST_SHORT] = 0.0
            groups[asset, LOSS] = groups[asset, RESERVE] = 0.0
    return total


@nb.njit(inline="always")
def _holds_unruled(
    begin: Int64s, end: Int64s, instrument: Int32s, quantity: Int64s, unruled: Bools, pool: int
) -> bool:
    """Whether a pool holds a contract without a rule."""
    found = False
    if unruled.size:
        for row in range(np.uint64(begin[pool]), np.uint64(end[pool])):
            found |= quantity[row] != 0 and unruled[np.uint32(instrument[row])]
    return found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sweep_pools(
    first: int, end: int, thread: int, pools: Int64s, rows: Rows, contracts: Contracts,
    rules: Rules, room: Room, figures: Floats, status: Int8s,
) -> None:  # fmt: skip
    """Fill columns first to end of ``figures`` [10, pools] and ``status``, on one thread."""
    (
        kind, position_begin, position_end, instrument, quantity, cost,
        balance_begin, balance_end, asset, amount,
        order_begin, order_end, order_instrument, order_quantity, order_price, order_reduces,
    ) = rows  # fmt: skip
    base, settle, held, terms, code, unruled = contracts
    (
        unit, index, bracket_offsets, brackets, haircut_offsets, haircuts, slope, sloped, fee_rate,
        call_ratio,
    ) = rules  # fmt: skip
    cells, groups, slots = room.cells[thread], room.groups[thread], room.slots[thread]
    owned, under = room.owned[thread, : sloped.size], room.under[thread, : sloped.size]
    used = room.used[thread, : (code.size + 63) >> 6]
    for k in range(first, end):
        pool = pools[k] if pools.size else k
        if kind[pool] == _SYSTEM:
            for figure in range(FIGURES):
                figures[figure, k] = 0.0
            status[k] = _OK
            continue
        _add_balances(balance_begin, balance_end, asset, amount, unit, pool, cells, owned)
        _add_positions(
            position_begin, position_end, instrument, quantity, cost, base, settle, held, pool,
            cells, groups, owned, under,
        )  # fmt: skip
        barred = _holds_unruled(position_begin, position_end, instrument, quantity, unruled, pool)
        has_orders, orders = order_begin[pool] < order_end[pool], 0.0
        if has_orders:
            _hold_slots(position_begin, position_end, instrument, quantity, held, pool, slots, used)
            _add_orders(
                order_begin, order_end, order_instrument, order_quantity, order_price,
                order_reduces, base, held, terms, code, pool, groups, slots, under, used,
            )  # fmt: skip
            barred |= _fill_orders(base, held, unruled, groups, slots, used)
            orders = _charge_orders(
                index, bracket_offsets, brackets, slope, fee_rate, groups, under
            )
        equity, collateral = _value_cells(index, haircut_offsets, haircuts, cells, owned)
        tiered, kept, size, kept_size, fees = _charge_groups(
            index, bracket_offsets, brackets, slope, sloped, fee_rate, groups, under
        )
        if not has_orders:
            # Nothing, or NaN where what they would be added to is not finite.
            orders = (tiered + size) - (tiered + size)
        if barred:
            # A contract without a rule makes its pool's requirement unknown, not free.
            tiered, kept = _NAN, _NAN
        initial, maintenance = tiered + size + orders + fees, kept + kept_size + fees
        figures[EQUITY, k], figures[COLLATERAL, k] = equity, collateral
        figures[INITIAL, k], figures[MAINTENANCE, k] = initial, maintenance
        figures[TIERED_INITIAL, k], figures[TIERED_MAINTENANCE, k] = tiered, kept
        figures[SIZE_INITIAL, k], figures[SIZE_MAINTENANCE, k] = size, kept_size
        figures[ORDERS, k], figures[FEES, k] = orders, fees
        status[k] = _status(equity, collateral, initial, maintenance, call_ratio)


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
