"""Rows of events in exact units, and the tables that the ledger takes them in."""

from typing import NamedTuple

import numpy as np

from plimsoll.book import SystemPool
from plimsoll.ledger import Placements, TradeReason, Trades, TransferReason, Transfers


class DepositRow(NamedTuple):
    """An amount, in asset units, from the world to a pool."""

    pool: int
    asset: int
    amount: int
    reason: TransferReason


class TradeRow(NamedTuple):
    """A trade with the market: signed contracts and a price, in the instrument's units."""

    pool: int
    instrument: int
    quantity: int
    price: int


class OrderRow(NamedTuple):
    """An order to place: signed contracts (buy > 0) and its limit."""

    pool: int
    instrument: int
    quantity: int
    price: int
    is_reduce_only: bool


def trades_of(openings: list[TradeRow]) -> Trades:
    """Fills against the market, in order, without fees."""
    pool, instrument, quantity, price = np.array(openings, dtype=np.int64).reshape(-1, 4).T
    count = len(openings)
    return Trades(
        pool=pool.astype(np.int32),
        counterparty=np.full(count, SystemPool.MARKET, dtype=np.int32),
        instrument=instrument.astype(np.int32),
        quantity=quantity,
        price=price,
        fee=np.zeros(count, dtype=np.int64),
        reason=np.full(count, TradeReason.FILL, dtype=np.int8),
    )


def transfers_of(deposits: list[DepositRow]) -> Transfers:
    """Transfers from the world; nothing for amounts of zero."""
    moved = [deposit for deposit in deposits if deposit.amount]
    pool, asset, amount, reason = np.array(moved, dtype=np.int64).reshape(-1, 4).T
    return Transfers(
        source=np.full(len(moved), SystemPool.WORLD, dtype=np.int32),
        target=pool.astype(np.int32),
        asset=asset.astype(np.int32),
        amount=amount,
        reason=reason.astype(np.int8),
    )


def placements_of(orders: list[OrderRow], first_id: int = 1) -> Placements:
    """Orders with ids that count up from ``first_id``."""
    pool, instrument, quantity, price, flag = np.array(orders, dtype=np.int64).reshape(-1, 5).T
    return Placements(
        pool=pool.astype(np.int32),
        order_id=np.arange(first_id, first_id + len(orders), dtype=np.int64),
        instrument=instrument.astype(np.int32),
        quantity=quantity,
        price=price,
        is_reduce_only=flag.astype(np.bool_),
    )
