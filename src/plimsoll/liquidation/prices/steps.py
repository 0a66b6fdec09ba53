"""What a holder can do to a pool, as batches of its account: bring in, close, cancel."""

import numpy as np

from plimsoll.book import SystemPool
from plimsoll.core import Bools
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    price_to_units,
    trade_values,
)
from plimsoll.liquidation.prices.pool import PoolPath


def deposit(pool: PoolPath, asset: int, units: int) -> EventBatch:
    """Units of an asset come in from outside."""
    transfers = Transfers(
        source=np.array([SystemPool.WORLD], dtype=np.int32),
        target=np.array([pool.number], dtype=np.int32),
        asset=np.array([asset], dtype=np.int32),
        amount=np.array([units], dtype=np.int64),
        reason=np.array([TransferReason.DEPOSIT], dtype=np.int8),
    )
    return EventBatch(pool.account.time_ns + 1, transfers=transfers)


def close(pool: PoolPath, row: int, fee_rate: float, units: int) -> EventBatch:
    """Units of one position, a row of the pool's book, are closed at mark, for a fee."""
    held, table = pool.book.positions, pool.book.instruments
    instrument = held.instrument[row : row + 1]
    quantity = np.array([-np.sign(held.quantity[row]) * units], dtype=np.int64)
    price = price_to_units(table, instrument, pool.path.market.mark[instrument])
    value = np.abs(trade_values(table, instrument, quantity, price))
    trades = Trades(
        pool=np.array([pool.number], dtype=np.int32),
        counterparty=np.array([SystemPool.MARKET], dtype=np.int32),
        instrument=instrument,
        quantity=quantity,
        price=price,
        fee=np.ceil(value * fee_rate).astype(np.int64),
        reason=np.array([TradeReason.FILL], dtype=np.int8),
    )
    return EventBatch(pool.account.time_ns + 1, trades=trades)


def cancel(pool: PoolPath, chosen: Bools) -> EventBatch:
    """Some of the pool's orders are cancelled, a mask over the rows of its book."""
    ids = pool.book.orders.order_id[chosen]
    owner = np.full(ids.size, pool.number, dtype=np.int32)
    return EventBatch(pool.account.time_ns + 1, cancels=Cancels(owner, ids))
