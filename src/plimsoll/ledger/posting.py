"""What a batch makes of positions and balances, before any book is touched."""

from typing import NamedTuple

import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Int64s, LedgerError
from plimsoll.instruments import InstrumentTable
from plimsoll.ledger.events import EventBatch
from plimsoll.ledger.kernels import (
    BALANCES,
    COSTS,
    LEG_WORK,
    PAID_WORK,
    QUANTITIES,
    SOUND,
    TRADE_QUANTITY,
    TRADES,
    BalanceChanges,
    Held,
    Owned,
    PositionChanges,
    TradeColumns,
    TransferColumns,
    find_residual,
    post,
    tally,
)
from plimsoll.ledger.values import plain_int64s, trade_values

_PLACES = (
    (TRADES, "trades"),
    (TRADE_QUANTITY, "trades.quantity"),
    (BALANCES, "balances"),
    (QUANTITIES, "positions.quantity"),
    (COSTS, "positions.cost"),
)


class Posted(NamedTuple):
    """Rows touched, with what they held and what they hold after the batch."""

    positions: PositionChanges
    balances: BalanceChanges


def post_batch(rows: Rows, table: InstrumentTable, batch: EventBatch) -> Posted:
    """What the trades and transfers of a checked batch change; the rows are only read.

    Raises LedgerError where an amount cannot be stored, and where what changed does not cancel
    per asset and per instrument: postings cancel by construction, so that is a fault of ours.
    """
    assets, events, moved = len(table.assets.names), batch.trades.pool, batch.transfers.source
    positions, balances, found = post(
        Held(*rows[1:6]), Owned(*rows[6:10]), table.exact, assets, *_columns_of(table, batch),
        np.empty((LEG_WORK, 2 * events.size), dtype=np.int64),
        np.empty((PAID_WORK, 8 * events.size + 2 * moved.size), dtype=np.int64),
    )  # fmt: skip
    if found != SOUND:
        place = dict(_PLACES)[found]
        raise LedgerError(place, "an amount does not fit the ledger", "use fewer decimals")
    sums = np.zeros((len(table) + 2 * assets, 2), dtype=np.int64)
    tally(positions, balances, table.exact, assets, sums)
    at = find_residual(positions, balances, table.exact, assets, sums)
    if at >= 0:
        raise _residual(table, int(at), sums)
    return Posted(positions, balances)


def wide_sums(sums: Int64s) -> list[int]:
    """Sums held as [high, low] as Python's integers."""
    return [(high << 32) + low for high, low in sums.tolist()]


def residuals_of(table: InstrumentTable, sums: Int64s) -> tuple[int, ...]:
    """Per asset, balances less costs, and per instrument, quantities, of ``LiveBook.sums``."""
    totals, instruments, assets = wide_sums(sums), len(table), len(table.assets.names)
    amounts, costs = totals[instruments : instruments + assets], totals[instruments + assets :]
    return (
        *(amount - cost for amount, cost in zip(amounts, costs, strict=True)),
        *totals[:instruments],
    )


def _columns_of(table: InstrumentTable, batch: EventBatch) -> tuple[TradeColumns, TransferColumns]:
    """The columns as compiled code wants them, however they lie in memory."""
    trades, moved = batch.trades, batch.transfers
    value = trade_values(table, trades.instrument, trades.quantity, trades.price)
    traded = TradeColumns(
        plain_int64s(trades.pool),
        plain_int64s(trades.counterparty),
        plain_int64s(trades.instrument),
        plain_int64s(trades.quantity),
        plain_int64s(trades.fee),
        value,
    )
    transferred = TransferColumns(
        plain_int64s(moved.source),
        plain_int64s(moved.target),
        plain_int64s(moved.asset),
        plain_int64s(moved.amount),
    )
    return traded, transferred


def _residual(table: InstrumentTable, at: int, sums: Int64s) -> LedgerError:
    assets = len(table.assets.names)
    if at < len(table):
        name, place = table.rows[at].symbol, assets + at
    else:
        name, place = table.assets.names[at - len(table)], at - len(table)
    residual = residuals_of(table, sums)[place]
    return LedgerError(name, f"{residual} units appeared", "report it")
