"""``apply_live`` and single events: what ``apply`` does, on a book that changes in place."""

from typing import Any, NamedTuple

import numpy as np

from plimsoll.book import LiveBook, SystemPool
from plimsoll.core import Int64s, LedgerError, distinct
from plimsoll.ledger.checks import check_batch
from plimsoll.ledger.events import (
    EventBatch,
    Placements,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    new_pools,
    one_row,
)
from plimsoll.ledger.kernels import tally
from plimsoll.ledger.live_kernels import (
    REFUSED,
    SPARSE,
    fill_one,
    transfer_one,
    write_changes,
)
from plimsoll.ledger.posting import Posted, post_batch, residuals_of


def apply_live(live: LiveBook, batch: EventBatch) -> Int64s:
    """Post a batch in place; the pools it touched, by number. It costs what the batch holds.

    The meaning is ``apply``'s: the same checks, errors and amounts. Raises LedgerError, naming
    the event, and changes nothing.
    """
    check_batch(live, batch)
    posted = post_batch(live.rows, live.instruments, batch)
    changes = _order_changes(batch)
    _reserve(live, posted, changes)
    # From here on nothing can be refused.
    accounts, kinds = new_pools(live.account_count, batch)
    first = live.pool_count
    if kinds.size:
        live.open_pools(batch.accounts.ids, batch.accounts.model, accounts, kinds)
    _write_orders(live, changes, batch.placements)
    tally(*posted, live.instruments.exact, len(live.instruments.assets.names), live.sums[0])
    write_changes(live.positions.table, live.balances.table, *posted)
    live.pool_state[batch.states.pool] = batch.states.state
    live.pool_since_ns[batch.states.pool] = batch.time_ns
    live.market_phase[batch.phases.instrument] = batch.phases.phase
    live.sequence += 1
    live.time_ns = batch.time_ns
    _shrink(live)
    parts = (
        posted.positions.pool,
        posted.balances.pool,
        changes.pool,
        batch.states.pool.astype(np.int64),
        np.arange(first, live.pool_count),
    )
    return distinct(np.concatenate(parts))


def fill(
    live: LiveBook,
    pool: int,
    counterparty: int,
    instrument: int,
    quantity: int,
    price: int,
    fee: int,
    time_ns: int,
) -> None:
    """One trade in place, as a batch of it would post it: units and signs are ``Trades``'.

    Raises LedgerError and changes nothing; OverflowError where a number exceeds 64 bits.
    """
    if time_ns >= live.time_ns:
        outcome = fill_one(
            live.addresses, int(pool), int(counterparty), int(instrument), int(quantity),
            int(price), int(fee),
        )  # fmt: skip
        if outcome != REFUSED:
            _end(live, outcome, time_ns)
            return
    row = (pool, counterparty, instrument, quantity, price, fee, TradeReason.FILL)
    apply_live(live, EventBatch(int(time_ns), trades=one_row(Trades(), row)))


def transfer(
    live: LiveBook, source: int, target: int, asset: int, amount: int, time_ns: int
) -> None:
    """One transfer in place, as a batch of it would post it: units are ``Transfers``'.

    Raises LedgerError and changes nothing; OverflowError where a number exceeds 64 bits.
    """
    if time_ns >= live.time_ns:
        outcome = transfer_one(live.addresses, int(source), int(target), int(asset), int(amount))
        if outcome != REFUSED:
            _end(live, outcome, time_ns)
            return
    row = (source, target, asset, amount, TransferReason.DEPOSIT)
    apply_live(live, EventBatch(int(time_ns), transfers=one_row(Transfers(), row)))


def deposit(live: LiveBook, pool: int, asset: int, amount: int, time_ns: int) -> None:
    """``transfer`` from the world outside; a withdrawal is negative."""
    transfer(live, SystemPool.WORLD, pool, asset, amount, time_ns)


def audit(live: LiveBook) -> tuple[int, ...]:
    """``conservation_residual`` of a live book, from its running sums.

    Raises LedgerError where these are not those of all its rows, which are added up anew.
    """
    if not np.array_equal(live.sums[0], live.count_sums()):
        raise LedgerError("book", "its sums are not those of its rows", "recover it; report it")
    return residuals_of(live.instruments, live.sums[0])


def _end(live: LiveBook, outcome: int, time_ns: int) -> None:
    live.sequence += 1
    live.time_ns = int(time_ns)
    if outcome == SPARSE:
        _shrink(live)


def _shrink(live: LiveBook) -> None:
    for arena in (live.positions, live.balances, live.orders):
        arena.shrink()


class _OrderChanges(NamedTuple):
    """Orders placed (kept) and cancelled, by pool and id; ``event`` is the placement's row."""

    pool: Int64s
    order_id: Int64s
    is_kept: Int64s
    event: Int64s


def _order_changes(batch: EventBatch) -> _OrderChanges:
    cancels, placed = batch.cancels, batch.placements
    pools = np.concatenate([cancels.pool, placed.pool]).astype(np.int64)
    ids = np.concatenate([cancels.order_id, placed.order_id]).astype(np.int64)
    order = np.lexsort((ids, pools))
    event = order - cancels.pool.size
    return _OrderChanges(pools[order], ids[order], (event >= 0).astype(np.int64), event)


def _reserve(live: LiveBook, posted: Posted, orders: _OrderChanges) -> None:
    """See to it that every change finds room, before the first is made."""
    positions, balances = posted
    live.positions.reserve(positions.pool, positions.instrument, positions.is_kept)
    live.balances.reserve(balances.pool, balances.asset, balances.is_kept)
    live.orders.reserve(orders.pool, orders.order_id, orders.is_kept)


def _write_orders(live: LiveBook, changes: _OrderChanges, placed: Placements) -> None:
    if changes.pool.size == 0:
        return
    rows = live.orders.arrange(changes.pool, changes.order_id, changes.is_kept)
    is_kept = changes.event >= 0
    rows, event = rows[is_kept], changes.event[is_kept]
    values: list[Any] = [placed.quantity, placed.price, placed.instrument, placed.is_reduce_only]
    columns: tuple[Any, ...] = live.orders.table.columns[1:]
    for column, value in zip(columns, values, strict=True):
        column[rows] = value[event]
