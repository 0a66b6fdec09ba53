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
from plimsoll.ledger.sort import sort_keys
from plimsoll.ledger.wide import TOO_LARGE, multiply_divide, multiply_high

LEG_WORK, PAID_WORK = 12, 9
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
def _post_leg(held: int, paid: int, change: int, value: int) -> Any:
    """One leg on a customer's position: quantity and cost, what it realised, whether all fits.

    A leg that adds to a position adds its value to the cost. One that reduces it realises the
    difference between its value and the part of the cost that it closes; one that flips it
    closes all and opens the rest.
    """
    paid_part = value_part = 0
    if held != 0 and (held > 0) != (change > 0):
        closed = min(abs(held), abs(change))
        # Parts of the old cost and of the new value that the closed quantity stands for.
        paid_part = _portion(paid, closed, abs(held))
        value_part = _portion(value, closed, abs(change))
    realised = _sum(-value_part, -paid_part)
    quantity, cost = _sum(held, change), _sum(paid - paid_part, value - value_part)
    found = SOUND
    if _is_too_large(realised):
        found = TRADES
    elif _is_too_large(quantity):
        found = TRADE_QUANTITY
    elif _is_too_large(cost):
        found = TRADES
    return quantity, cost, realised, found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _add(total: int, turns: int, amount: int) -> Any:
    """A total that may pass the end of 64 bits, and its turns around it, after an amount."""
    added = _sum(total, amount)
    if amount > 0 and added < total:
        turns += 1
    elif amount < 0 and added > total:
        turns -= 1
    return added, turns


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _pay(payments: Int64s, count: int, key: int, amount: int) -> int:
    """List a payment as [key, amount], unless it is of nothing; how many there are.

    One to the same balance as the last is added to it, where 64 bits hold both.
    """
    if amount == 0:
        return count
    if count > 0 and payments[0, count - 1] == key:
        total = _sum(payments[1, count - 1], amount)
        if (total > payments[1, count - 1]) == (amount > 0):
            payments[1, count - 1] = total
            return count
    payments[0, count], payments[1, count] = key, amount
    return count + 1


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _list_legs(units: Int64s, trades: TradeColumns, legs: Int64s) -> int:
    """Both sides of every trade but spot, [key, quantity, cost]; how many.

    Both of a trade before those of the next: who meets whom must not alter the order. A key is
    pool * instruments + instrument.
    """
    count, instruments = 0, units.shape[0]
    for k in range(trades.pool.size):
        i = trades.instrument[k]
        payment = units[i, PAYMENT]
        if payment != EXCHANGE:
            # What is paid at once leaves no cost; futures keep their value as cost.
            cost = trades.value[k] if payment == COST else 0
            legs[0, count] = trades.pool[k] * instruments + i
            legs[1, count], legs[2, count] = trades.quantity[k], cost
            legs[0, count + 1] = trades.counterparty[k] * instruments + i
            legs[1, count + 1], legs[2, count + 1] = -trades.quantity[k], -cost
            count += 2
    return count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _locate(begin: Int64s, end: Int64s, ids: Any, pool: int, wanted: int) -> Any:
    if pool >= begin.size:
        return -1
    row = find_row(begin[pool], end[pool], ids, wanted)
    return row if row < end[pool] and ids[row] == wanted else -1 - row


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_system(quantity: int, cost: int, legs: Int64s, order: Int64s) -> Any:
    """Some legs on a position of the system: quantity, cost, what is realised, whether all fits.

    The system's pools only accumulate, since they meet everybody, and realise when they are flat.
    """
    turns = cost_turns = 0
    for k in range(order.size):
        quantity, turns = _add(quantity, turns, legs[1, order[k]])
        cost, cost_turns = _add(cost, cost_turns, legs[2, order[k]])
    found = SOUND
    if turns != 0:
        found = TRADE_QUANTITY
    elif cost_turns != 0:
        found = TRADES
    if quantity == 0:
        return quantity, 0, -cost, found
    return quantity, cost, 0, found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_legs(
    held: Held, units: Int64s, assets: int, legs: Int64s, order: Int64s,
    changes: PositionChanges, payments: Int64s,
) -> Any:  # fmt: skip
    """Post legs that are sorted by key, those of one position in the order of the batch.

    Returns how many positions they change, how many payments list what they realise (profit > 0),
    and whether all fits: what the batch's first leg that does not says.
    """
    instruments, total = units.shape[0], order.size
    count = paid = first = 0
    failed, found, system_found = total, SOUND, SOUND
    while first < total:
        key, last = legs[0, first], first + 1
        while last < total and legs[0, last] == key:
            last += 1
        pool = key // instruments
        i = key - pool * instruments
        row = _locate(held.begin, held.end, held.instrument, pool, i)
        quantity = cost = 0
        if row >= 0:
            quantity, cost = held.quantity[row], held.cost[row]
        changes.pool[count], changes.instrument[count], changes.row[count] = pool, i, row
        changes.old_quantity[count], changes.old_cost[count] = quantity, cost
        payee = pool * assets + units[i, SETTLE]
        if pool < _SYSTEM_POOLS:
            quantity, cost, realised, problem = _post_system(
                quantity, cost, legs, order[first:last]
            )
            paid = _pay(payments, paid, payee, realised)
            system_found = system_found if system_found != SOUND else problem
        else:
            for k in range(first, last):
                leg = order[k]
                quantity, cost, realised, problem = _post_leg(
                    quantity, cost, legs[1, leg], legs[2, leg]
                )
                if problem != SOUND:
                    if leg < failed:
                        failed, found = leg, problem
                    break
                paid = _pay(payments, paid, payee, realised)
        changes.quantity[count], changes.cost[count] = quantity, cost
        changes.is_kept[count] = quantity != 0 or cost != 0
        count, first = count + 1, last
    return count, paid, found if found != SOUND else system_found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _list_payments(
    units: Int64s, assets: int, trades: TradeColumns, transfers: TransferColumns,
    payments: Int64s, count: int,
) -> Any:  # fmt: skip
    """List what trades pay at once, fees and transfers; how many there are, whether all fits."""
    for k in range(trades.pool.size):
        i = trades.instrument[k]
        pool, other = trades.pool[k] * assets, trades.counterparty[k] * assets
        settle = units[i, SETTLE]
        if units[i, PAYMENT] != COST:
            count = _pay(payments, count, pool + settle, -trades.value[k])
            count = _pay(payments, count, other + settle, trades.value[k])
        if units[i, PAYMENT] == EXCHANGE:
            size, coins, base = trades.quantity[k], units[i, COINS], units[i, BASE]
            if coins <= 0 or abs(size) > _MAX // coins:
                return count, TRADE_QUANTITY
            count = _pay(payments, count, pool + base, size * coins)
            count = _pay(payments, count, other + base, -size * coins)
        count = _pay(payments, count, pool + settle, -trades.fee[k])
        count = _pay(payments, count, _FEES * assets + settle, trades.fee[k])
    for k in range(transfers.source.size):
        asset, amount = transfers.asset[k], transfers.amount[k]
        count = _pay(payments, count, transfers.source[k] * assets + asset, -amount)
        count = _pay(payments, count, transfers.target[k] * assets + asset, amount)
    return count, SOUND


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_payments(
    owned: Owned, payments: Int64s, order: Int64s, assets: int, changes: BalanceChanges
) -> Any:
    """Balances after payments that are sorted by key: how many change, and whether all fit."""
    total, count, first, found = order.size, 0, 0, SOUND
    while first < total:
        key = payments[0, first]
        pool = key // assets
        asset = key - pool * assets
        row = _locate(owned.begin, owned.end, owned.asset, pool, asset)
        amount, turns = owned.amount[row] if row >= 0 else 0, 0
        changes.pool[count], changes.asset[count], changes.row[count] = pool, asset, row
        changes.old_amount[count] = amount
        while first < total and payments[0, first] == key:
            amount, turns = _add(amount, turns, payments[1, order[first]])
            first += 1
        changes.amount[count], changes.is_kept[count] = amount, amount != 0
        if turns != 0 or _is_too_large(amount):
            found = BALANCES
        count += 1
    return count, found


@nb.njit(cache=True, nogil=True, error_model="numpy")
def post(
    held: Held, owned: Owned, units: Int64s, assets: int, trades: TradeColumns,
    transfers: TransferColumns, work: Int64s, paid_work: Int64s,
) -> Any:  # fmt: skip
    """What trades, then transfers, change: positions, balances, and whether all of it fits.

    The rows are read, not written. ``units`` are the ``exact_units`` of all instruments. What
    comes back lies in ``work`` [LEG_WORK, legs] and ``paid_work`` [PAID_WORK, payments], whatever
    these held: a trade has up to 2 legs and 8 payments, a transfer has 2.
    """
    total = _list_legs(units, trades, work[:3])
    order = work[3, :total]
    sort_keys(work[0, :total], order)
    w = work[4:]
    room = PositionChanges(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
    count, paid, found = _post_legs(held, units, assets, work[:3], order, room, paid_work[:2])
    w = work[4:, :count]
    positions = PositionChanges(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
    paid, all_paid = _list_payments(units, assets, trades, transfers, paid_work[:2], paid)
    order = paid_work[2, :paid]
    sort_keys(paid_work[0, :paid], order)
    w = paid_work[3:]
    paid_room = BalanceChanges(w[0], w[1], w[2], w[3], w[4], w[5])
    owned_count, owned_found = _post_payments(owned, paid_work[:2], order, assets, paid_room)
    w = paid_work[3:, :owned_count]
    balances = BalanceChanges(w[0], w[1], w[2], w[3], w[4], w[5])
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
