"""Changes written into a live book, and single events from check to row in one call."""

from typing import Any

import numba as nb

from plimsoll.book.arena import SPARE
from plimsoll.book.kernels import (
    FREE,
    LIVE,
    ROOMS,
    Table,
    arrange,
    count_demand,
    view_int32,
    view_int64,
)
from plimsoll.book.kernels import TOP as ROWS_TOP
from plimsoll.core import Int64s
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments.exact import COINS, COLUMNS, EXCHANGE, PAYMENT
from plimsoll.ledger.kernels import (
    LEG_WORK,
    NOWHERE,
    PAID_WORK,
    SOUND,
    BalanceChanges,
    Held,
    Owned,
    PositionChanges,
    TradeColumns,
    TransferColumns,
    clear_tally,
    find_residual,
    post,
    tally,
    value_trade,
)

REFUSED, DONE, SPARSE = range(3)
"""A single event that must go the way of a batch, which says why not or makes room; one that is

posted; the same, leaving an arena that should shrink."""


@nb.njit(cache=True, nogil=True, error_model="numpy")
def write_changes(
    held: Table, owned: Table, positions: PositionChanges, balances: BalanceChanges
) -> None:
    """Write changes into a live book that has room for them; what holds nothing goes.

    ``row`` of the changes becomes where they are now.
    """
    _, quantity, cost = held.columns
    rows, is_kept = positions.row, positions.is_kept
    arrange(held, positions.pool, positions.instrument, is_kept, rows)
    for k in range(rows.size):
        if is_kept[k]:
            quantity[rows[k]], cost[rows[k]] = positions.quantity[k], positions.cost[k]
    _, amount = owned.columns
    rows, is_kept = balances.row, balances.is_kept
    arrange(owned, balances.pool, balances.asset, is_kept, rows)
    for k in range(rows.size):
        if is_kept[k]:
            amount[rows[k]] = balances.amount[k]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _has_room(table: Table, demand: int) -> Any:
    return table.state[ROWS_TOP] + demand <= table.columns[0].size


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _is_sparse(table: Table) -> Any:
    return table.columns[0].size > 2 * table.state[LIVE] + 2 * SPARE


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _positions_at(addresses: Int64s) -> Table:
    pools, rows = addresses[0], addresses[1]
    return Table(
        view_int64(addresses[2], pools), view_int64(addresses[3], pools),
        view_int32(addresses[4], pools), view_int64(addresses[5], FREE + ROOMS),
        (view_int32(addresses[6], rows), view_int64(addresses[7], rows),
         view_int64(addresses[8], rows)),
    )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _balances_at(addresses: Int64s) -> Table:
    pools, rows = addresses[9], addresses[10]
    return Table(
        view_int64(addresses[11], pools), view_int64(addresses[12], pools),
        view_int32(addresses[13], pools), view_int64(addresses[14], FREE + ROOMS),
        (view_int32(addresses[15], rows), view_int64(addresses[16], rows)),
    )  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _units_at(addresses: Int64s) -> Any:
    return view_int64(addresses[18], addresses[17] * COLUMNS).reshape(addresses[17], COLUMNS)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _post_one(addresses: Int64s, event: Int64s, is_trade: bool) -> int:
    """One event, the last of whose numbers is a trade's value or a transfer's amount."""
    held, owned, units = _positions_at(addresses), _balances_at(addresses), _units_at(addresses)
    assets = addresses[19]
    size = units.shape[0] + 2 * assets
    both = view_int64(addresses[20], 4 * size)
    sums, scratch = both[: 2 * size].reshape(size, 2), both[2 * size :].reshape(size, 2)
    instrument, quantity, cost = held.columns
    asset, amount = owned.columns
    traded, moved = event[: 6 if is_trade else 0], event[: 0 if is_trade else 4]
    t, m = traded.reshape(6, traded.size // 6), moved.reshape(4, moved.size // 4)
    legs, payments = (2, 8) if is_trade else (0, 2)
    work = event[6:]
    paid = LEG_WORK * legs
    positions, balances, found = post(
        Held(held.begin, held.end, instrument, quantity, cost),
        Owned(owned.begin, owned.end, asset, amount),
        units, assets,
        TradeColumns(t[0], t[1], t[2], t[3], t[4], t[5]),
        TransferColumns(m[0], m[1], m[2], m[3]),
        work[:paid].reshape(LEG_WORK, legs),
        work[paid : paid + PAID_WORK * payments].reshape(PAID_WORK, payments),
    )  # fmt: skip
    if found != SOUND:
        return REFUSED
    held_demand = count_demand(held, positions.pool, positions.instrument, positions.is_kept, False)
    owned_demand = count_demand(owned, balances.pool, balances.asset, balances.is_kept, False)
    if not (_has_room(held, held_demand) and _has_room(owned, owned_demand)):
        return REFUSED
    tally(positions, balances, units, assets, scratch)
    residual = find_residual(positions, balances, units, assets, scratch)
    clear_tally(positions, balances, units, assets, scratch)
    if residual >= 0:
        return REFUSED
    tally(positions, balances, units, assets, sums)
    write_changes(held, owned, positions, balances)
    return SPARSE if _is_sparse(held) or _is_sparse(owned) else DONE


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _is_amount(value: int) -> bool:
    return -UNITS_MAX <= value <= UNITS_MAX


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_one(
    addresses: Int64s,
    pool: int,
    counterparty: int,
    instrument: int,
    quantity: int,
    price: int,
    fee: int,
) -> int:
    """One trade, posted whole or not at all: DONE or SPARSE, else REFUSED.

    ``addresses`` are ``LiveBook.addresses``. What is allowed here the batch's checks allow;
    what they might not goes to them.
    """
    pools, units = addresses[0], _units_at(addresses)
    if not (0 <= pool < pools and 0 <= counterparty < pools and pool != counterparty):
        return REFUSED
    if not 0 <= instrument < units.shape[0]:
        return REFUSED
    if quantity == 0 or price <= 0:
        return REFUSED
    if not (_is_amount(quantity) and _is_amount(price) and _is_amount(fee)):
        return REFUSED
    contract = units[instrument]
    if contract[PAYMENT] == EXCHANGE and contract[COINS] <= 0:
        return REFUSED
    value = value_trade(contract, quantity, price)
    if value == NOWHERE:
        return REFUSED
    event = view_int64(addresses[22], addresses[21])
    event[0], event[1], event[2] = pool, counterparty, instrument
    event[3], event[4], event[5] = quantity, fee, value
    return _post_one(addresses, event, True)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def transfer_one(addresses: Int64s, source: int, target: int, asset: int, amount: int) -> int:
    """One transfer, as ``fill_one`` posts a trade."""
    pools, assets = addresses[0], addresses[19]
    if not (0 <= source < pools and 0 <= target < pools and 0 <= asset < assets):
        return REFUSED
    if not _is_amount(amount):
        return REFUSED
    event = view_int64(addresses[22], addresses[21])
    event[0], event[1], event[2], event[3] = source, target, asset, amount
    return _post_one(addresses, event, False)
