"""What events make of positions and balances: the one meaning, for books of either kind.

A batch is posted on copies of the rows it touches, so that nothing has changed before all of it
is known to be sound. Sums may pass the end of 64 bits on their way: they wrap, the turns are
counted, and only where the last sum lies matters. What a trade leaves to one customer's
position must fit at every step.
"""

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from plimsoll.book import SystemPool
from plimsoll.book.kernels import add_wide, find_row
from plimsoll.core import Int32s, Int64s
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments.exact import (
    BASE,
    BOTTOM,
    COINS,
    COST,
    DIVIDES,
    EXCHANGE,
    PAYMENT,
    SETTLE,
    TOP,
)
from plimsoll.ledger.wide import TOO_LARGE, multiply_divide, multiply_high

LEG_WORK, PAID_WORK = 19, 14
"""Rows of what ``post`` works in."""
SOUND, TRADES, TRADE_QUANTITY, BALANCES, QUANTITIES, COSTS = range(6)
"""Whether all fits, or where it does not."""
NOWHERE = -(2**63)
"""A value that needs integers wider than those here."""

_MAX = UNITS_MAX
_MAX_WIDE = np.uint64(UNITS_MAX)
_ZERO = np.uint64(0)
_SYSTEM_POOLS = len(SystemPool)
_FEES = int(SystemPool.FEES)
_FEW = 24
_DIGIT = 11
"""Bits of a digit in sorting; fewer keys than ``_FEW`` are quicker to insert one by one."""


class Held(NamedTuple):
    """Positions of a book, as in ``Rows``."""

    begin: Int64s
    end: Int64s
    instrument: Int32s
    quantity: Int64s
    cost: Int64s


class Owned(NamedTuple):
    """Balances of a book, as in ``Rows``."""

    begin: Int64s
    end: Int64s
    asset: Int32s
    amount: Int64s


class TradeColumns(NamedTuple):
    """The columns of ``Trades`` that are posted, and the value of each trade."""

    pool: Int64s
    counterparty: Int64s
    instrument: Int64s
    quantity: Int64s
    fee: Int64s
    value: Int64s


class TransferColumns(NamedTuple):
    """The columns of ``Transfers`` that are posted."""

    source: Int64s
    target: Int64s
    asset: Int64s
    amount: Int64s


class PositionChanges(NamedTuple):
    """Positions touched, by pool and instrument: what they held and what they hold now.

    ``row`` is the row, or -1 - (the row it would be inserted before) where there is none;
    ``is_kept`` is 1 where anything is held now.
    """

    pool: Int64s
    instrument: Int64s
    row: Int64s
    old_quantity: Int64s
    old_cost: Int64s
    quantity: Int64s
    cost: Int64s
    is_kept: Int64s


class BalanceChanges(NamedTuple):
    """Balances touched, by pool and asset; the rest as in ``PositionChanges``."""

    pool: Int64s
    asset: Int64s
    row: Int64s
    old_amount: Int64s
    amount: Int64s
    is_kept: Int64s


@nb.njit(cache=True, nogil=True, error_model="numpy")
def value_trade(units: Int64s, quantity: int, price: int) -> Any:
    """Value in units of the settle asset, half to even; ``NOWHERE`` where 128 bits are too few.

    ``units`` is the instrument's row of ``exact_units``. The formula is ``value_ratio``'s.
    """
    top, size = np.uint64(units[TOP]), np.uint64(abs(quantity))
    if top == _ZERO or price <= 0:
        return NOWHERE
    if units[DIVIDES]:
        bottom = np.uint64(units[BOTTOM])
        if multiply_high(bottom, np.uint64(price)) != _ZERO:
            return NOWHERE
        whole = multiply_divide(size, top, bottom * np.uint64(price))
        is_negative = quantity > 0
    else:
        if multiply_high(size, top) != _ZERO:
            return NOWHERE
        whole = multiply_divide(size * top, np.uint64(price), np.uint64(units[BOTTOM]))
        is_negative = quantity < 0
    if whole == TOO_LARGE or whole > _MAX_WIDE:
        return NOWHERE
    return -np.int64(whole) if is_negative else np.int64(whole)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def value_trades(
    units: Int64s, instrument: Int64s, quantity: Int64s, price: Int64s, value: Int64s
) -> None:
    """``value_trade`` of each trade into ``value``."""
    for k in range(value.size):
        value[k] = value_trade(units[instrument[k]], quantity[k], price[k])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _portion(amount: int, part: int, whole: int) -> Any:
    """amount * part / whole, half to even, for 0 < part <= whole."""
    if part == whole:
        return amount
    size = np.int64(multiply_divide(np.uint64(abs(amount)), np.uint64(part), np.uint64(whole)))
    return -size if amount < 0 else size


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sum(a: int, b: int) -> Any:
    """The sum, wrapped around; of signed numbers the compiler assumes that none is."""
    return np.int64(np.uint64(a) + np.uint64(b))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _is_too_large(amount: int) -> bool:
    # Of two amounts in range this sees even a sum that has wrapped around.
    return amount > _MAX or amount < -_MAX


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_leg(changes: PositionChanges, slot: int, change: int, value: int) -> Any:
    """One leg on a customer's position; what it realised, and whether all of it fits.

    A leg that adds to a position adds its value to the cost. One that reduces it realises the
    difference between its value and the part of the cost that it closes; one that flips it
    closes all and opens the rest.
    """
    held, paid = changes.quantity[slot], changes.cost[slot]
    paid_part = value_part = 0
    if held != 0 and (held > 0) != (change > 0):
        closed = min(abs(held), abs(change))
        # Parts of the old cost and of the new value that the closed quantity stands for.
        paid_part = _portion(paid, closed, abs(held))
        value_part = _portion(value, closed, abs(change))
    realised = _sum(-value_part, -paid_part)
    quantity, cost = _sum(held, change), _sum(paid - paid_part, value - value_part)
    changes.quantity[slot], changes.cost[slot] = quantity, cost
    if _is_too_large(realised):
        return realised, TRADES
    if _is_too_large(quantity):
        return realised, TRADE_QUANTITY
    return realised, TRADES if _is_too_large(cost) else SOUND


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sort_by_digits(keys: Int64s, order: Int64s) -> None:
    """Stable, from the last digit to the first of those that any key has."""
    largest, shift, digits = keys.max(), 0, 1 << _DIGIT
    sorted_, before = np.empty(keys.size, dtype=np.int64), np.zeros(digits + 1, dtype=np.int64)
    for k in range(keys.size):
        order[k] = k
    while largest >> shift > 0:
        before[:] = 0
        for k in range(keys.size):
            before[((keys[k] >> shift) & (digits - 1)) + 1] += 1
        for digit in range(digits):
            before[digit + 1] += before[digit]
        for k in range(keys.size):
            item = order[k]
            digit = (keys[item] >> shift) & (digits - 1)
            sorted_[before[digit]] = item
            before[digit] += 1
        order[:] = sorted_
        shift += _DIGIT


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sort(keys: Int64s, order: Int64s) -> None:
    """The stable order that sorts the keys, which are not negative."""
    if keys.size > _FEW:
        _sort_by_digits(keys, order)
        return
    for k in range(keys.size):
        place = k
        while place > 0 and keys[order[place - 1]] > keys[k]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _group(keys: Int64s, order: Int64s, slot: Int64s, first: Int64s) -> int:
    """Number the distinct keys in order: ``slot`` of each item, ``first`` item of each number."""
    _sort(keys, order)
    count, last = 0, 0
    for k in range(order.size):
        item = order[k]
        if count == 0 or keys[item] != last:
            first[count] = item
            last = keys[item]
            count += 1
        slot[item] = count - 1
    return count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _add(totals: Int64s, turns: Int64s, slot: int, amount: int) -> None:
    """Add to a total that may pass the end of 64 bits; its turns around it are counted."""
    old = totals[slot]
    total = _sum(old, amount)
    totals[slot] = total
    if amount > 0 and total < old:
        turns[slot] += 1
    elif amount < 0 and total > old:
        turns[slot] -= 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _list_legs(units: Int64s, trades: TradeColumns, legs: Int64s) -> int:
    """Both sides of every trade but spot, [pool, instrument, quantity, cost]; how many.

    Both of a trade before those of the next: who meets whom must not alter the order.
    """
    count = 0
    for k in range(trades.pool.size):
        i = trades.instrument[k]
        payment = units[i, PAYMENT]
        if payment != EXCHANGE:
            # What is paid at once leaves no cost; futures keep their value as cost.
            cost = trades.value[k] if payment == COST else 0
            pools, sign = (trades.pool[k], trades.counterparty[k]), 1
            for pool in pools:
                legs[0, count], legs[1, count] = pool, i
                legs[2, count], legs[3, count] = sign * trades.quantity[k], sign * cost
                sign, count = -1, count + 1
    return count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _locate(begin: Int64s, end: Int64s, ids: Any, pool: int, wanted: int) -> Any:
    if pool >= begin.size:
        return -1
    row = find_row(begin[pool], end[pool], ids, wanted)
    return row if row < end[pool] and ids[row] == wanted else -1 - row


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _touch_positions(held: Held, legs: Int64s, first: Int64s, part: Int64s) -> PositionChanges:
    """The positions of some legs as they stand; ``part`` is [8, positions] and of zeros."""
    changes = PositionChanges(
        part[0], part[1], part[2], part[3], part[4], part[5], part[6], part[7]
    )
    for slot in range(first.size):
        pool, i = legs[0, first[slot]], legs[1, first[slot]]
        row = _locate(held.begin, held.end, held.instrument, pool, i)
        changes.pool[slot], changes.instrument[slot], changes.row[slot] = pool, i, row
        if row >= 0:
            changes.old_quantity[slot] = changes.quantity[slot] = held.quantity[row]
            changes.old_cost[slot] = changes.cost[slot] = held.cost[row]
    return changes


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_legs(
    legs: Int64s, slot: Int64s, changes: PositionChanges, turns: Int64s, realised: Int64s
) -> Any:
    """Post legs in order; what each realised, in settle units (profit > 0).

    The system's pools only accumulate, since they meet everybody, and realise when they are
    flat, with their first leg. ``turns`` is [2, positions] and of zeros.
    """
    for k in range(slot.size):
        if legs[0, k] < _SYSTEM_POOLS:
            _add(changes.quantity, turns[0], slot[k], legs[2, k])
            _add(changes.cost, turns[1], slot[k], legs[3, k])
        else:
            realised[k], found = _post_leg(changes, slot[k], legs[2, k], legs[3, k])
            if found != SOUND:
                return found
    for k in range(changes.pool.size):
        if turns[0, k] != 0:
            return TRADE_QUANTITY
        if turns[1, k] != 0:
            return TRADES
    for k in range(slot.size):
        at = slot[k]
        if legs[0, k] < _SYSTEM_POOLS and changes.quantity[at] == 0:
            realised[k] = -changes.cost[at]
            changes.cost[at] = 0
    for k in range(changes.pool.size):
        changes.is_kept[k] = changes.quantity[k] != 0 or changes.cost[k] != 0
    return SOUND


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _pay(payments: Int64s, count: int, pool: int, asset: int, amount: int) -> int:
    """List a payment, unless it is of nothing; how many there are."""
    if amount == 0:
        return count
    payments[0, count], payments[1, count], payments[2, count] = pool, asset, amount
    return count + 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _list_payments(
    units: Int64s, trades: TradeColumns, transfers: TransferColumns, payments: Int64s, count: int
) -> Any:
    """What trades pay at once, fees and transfers as [pool, asset, amount]; whether all fits."""
    for k in range(trades.pool.size):
        pool, other, i = trades.pool[k], trades.counterparty[k], trades.instrument[k]
        settle = units[i, SETTLE]
        if units[i, PAYMENT] != COST:
            count = _pay(payments, count, pool, settle, -trades.value[k])
            count = _pay(payments, count, other, settle, trades.value[k])
        if units[i, PAYMENT] == EXCHANGE:
            size, coins = trades.quantity[k], units[i, COINS]
            if coins <= 0 or abs(size) > _MAX // coins:
                return count, TRADE_QUANTITY
            count = _pay(payments, count, pool, units[i, BASE], size * coins)
            count = _pay(payments, count, other, units[i, BASE], -size * coins)
        count = _pay(payments, count, pool, settle, -trades.fee[k])
        count = _pay(payments, count, _FEES, settle, trades.fee[k])
    for k in range(transfers.source.size):
        asset, amount = transfers.asset[k], transfers.amount[k]
        count = _pay(payments, count, transfers.source[k], asset, -amount)
        count = _pay(payments, count, transfers.target[k], asset, amount)
    return count, SOUND


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_payments(owned: Owned, payments: Int64s, total: int, assets: int, work: Int64s) -> Any:
    """Balances after so many payments, and whether they fit; ``work`` is of zeros."""
    keys, order, slot = work[0, :total], work[1, :total], work[2, :total]
    first, turns = work[3], work[4]
    for k in range(total):
        keys[k] = payments[0, k] * assets + payments[1, k]
    count = _group(keys, order, slot, first)
    part = work[5:, :count]
    changes = BalanceChanges(part[0], part[1], part[2], part[3], part[4], part[5])
    for k in range(count):
        pool, asset = payments[0, first[k]], payments[1, first[k]]
        row = _locate(owned.begin, owned.end, owned.asset, pool, asset)
        changes.pool[k], changes.asset[k], changes.row[k] = pool, asset, row
        if row >= 0:
            changes.old_amount[k] = changes.amount[k] = owned.amount[row]
    for k in range(total):
        _add(changes.amount, turns, slot[k], payments[2, k])
    found = SOUND
    for k in range(count):
        changes.is_kept[k] = changes.amount[k] != 0
        if turns[k] != 0 or _is_too_large(changes.amount[k]):
            found = BALANCES
    return changes, found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def post(
    held: Held,
    owned: Owned,
    units: Int64s,
    assets: int,
    trades: TradeColumns,
    transfers: TransferColumns,
    work: Int64s,
    paid_work: Int64s,
) -> Any:
    """What trades, then transfers, change: positions, balances, and whether all of it fits.

    The rows are read, not written. ``units`` are the ``exact_units`` of all instruments. What
    comes back lies in ``work`` [LEG_WORK, legs] and ``paid_work`` [PAID_WORK, payments], which
    come as zeros: a trade has up to 2 legs and 8 payments, a transfer has 2.
    """
    total = _list_legs(units, trades, work[:4])
    legs, keys, order, slot = work[:4, :total], work[4, :total], work[5, :total], work[6, :total]
    for k in range(total):
        keys[k] = legs[0, k] * units.shape[0] + legs[1, k]
    count = _group(keys, order, slot, work[7])
    positions = _touch_positions(held, legs, work[7, :count], work[8:16, :count])
    realised = work[16, :total]
    found = _post_legs(legs, slot, positions, work[17:19, :count], realised)
    payments, paid = paid_work[:3], 0
    for k in range(total):
        paid = _pay(payments, paid, legs[0, k], units[legs[1, k], SETTLE], realised[k])
    paid, all_paid = _list_payments(units, trades, transfers, payments, paid)
    balances, owned_found = _post_payments(owned, payments, paid, assets, paid_work[3:])
    found = found if found != SOUND else all_paid
    found = found if found != SOUND else owned_found
    for k in range(count):
        if found == SOUND and _is_too_large(positions.quantity[k]):
            found = QUANTITIES
    for k in range(count):
        if found == SOUND and _is_too_large(positions.cost[k]):
            found = COSTS
    return positions, balances, found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def tally(
    positions: PositionChanges, balances: BalanceChanges, units: Int64s, assets: int, sums: Int64s
) -> None:
    """Add what changed to sums laid out as ``LiveBook.sums``."""
    instruments = units.shape[0]
    for k in range(positions.pool.size):
        i = positions.instrument[k]
        add_wide(sums, i, positions.quantity[k] - positions.old_quantity[k])
        cost = positions.cost[k] - positions.old_cost[k]
        add_wide(sums, instruments + assets + units[i, SETTLE], cost)
    for k in range(balances.pool.size):
        amount = balances.amount[k] - balances.old_amount[k]
        add_wide(sums, instruments + balances.asset[k], amount)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _is_cancelled(sums: Int64s, at: int, assets: int) -> Any:
    return sums[at, 0] == sums[at + assets, 0] and sums[at, 1] == sums[at + assets, 1]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def find_residual(
    positions: PositionChanges, balances: BalanceChanges, units: Int64s, assets: int, sums: Int64s
) -> Any:
    """The row of ``sums``, where the same changes were tallied, that should be zero and is not.

    Per asset, what balances gain must be what costs gain; per instrument, quantities must gain
    nothing. Returns the instrument, or instruments + asset, or -1 where all is conserved.
    """
    instruments = units.shape[0]
    for k in range(balances.pool.size):
        at = instruments + balances.asset[k]
        if not _is_cancelled(sums, at, assets):
            return at
    for k in range(positions.pool.size):
        i = positions.instrument[k]
        at = instruments + units[i, SETTLE]
        if not _is_cancelled(sums, at, assets):
            return at
        if sums[i, 0] != 0 or sums[i, 1] != 0:
            return i
    return -1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def clear_tally(
    positions: PositionChanges, balances: BalanceChanges, units: Int64s, assets: int, sums: Int64s
) -> None:
    """Make zero what ``tally`` of the same changes wrote to."""
    instruments = units.shape[0]
    for k in range(positions.pool.size):
        i = positions.instrument[k]
        at = instruments + assets + units[i, SETTLE]
        sums[i, 0] = sums[i, 1] = sums[at, 0] = sums[at, 1] = 0
    for k in range(balances.pool.size):
        at = instruments + balances.asset[k]
        sums[at, 0] = sums[at, 1] = 0
