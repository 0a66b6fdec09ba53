"""Closing positions: prices, trades and what they realise, to the unit.

All stages close through here. What a full close realises is -(value at the price) - cost, the
same integers that ``ledger.apply`` will book, so a stage can move what is left in one batch.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, SystemPool, rows_of
from plimsoll.core import Floats, Int32s, Int64s, sum_by
from plimsoll.instruments import value_coefficient
from plimsoll.ledger import TradeReason, Trades, price_to_units, trade_values
from plimsoll.liquidation.bankruptcy import bankruptcy_price
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.margin.arithmetic import FLOAT
from plimsoll.market import Market

PRICE_RANGE = 100.0
"""Bankruptcy prices further from the mark than this factor would overflow the ledger."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Positions of some pools, row by row, leaving out empty ones.

    ``pool`` is the book's pool number, ``owner`` the place of the pool among those asked for.
    ``notional`` is USD >= 0 at mark.
    """

    pool: Int32s
    owner: Int64s
    instrument: Int32s
    quantity: Int64s
    cost: Int64s
    notional: Floats


def holdings_of(book: Book, pools: Int64s, notional: Floats) -> Holdings:
    """What the given pools hold; ``notional`` is USD per contract, shape [instruments]."""
    rows, offsets = rows_of(book.positions.offsets, pools)
    owner = np.repeat(np.arange(pools.size, dtype=np.int64), np.diff(offsets))
    held = book.positions.quantity[rows] != 0
    rows, owner = rows[held], owner[held]
    instrument = book.positions.instrument[rows]
    quantity = book.positions.quantity[rows]
    contracts = np.abs(quantity) * book.instruments.quantity_unit[instrument]
    return Holdings(
        pool=pools[owner].astype(np.int32),
        owner=owner,
        instrument=instrument,
        quantity=quantity,
        cost=book.positions.cost[rows],
        notional=contracts * notional[instrument],
    )


def pick_rows(held: Holdings, at: Int64s) -> Holdings:
    """Some rows of holdings, in the order of ``at``."""
    return Holdings(
        held.pool[at],
        held.owner[at],
        held.instrument[at],
        held.quantity[at],
        held.cost[at],
        held.notional[at],
    )


def forced_price(book: Book, market: Market, held: Holdings, slippage_rate: float) -> Int64s:
    """Price units at which forced orders trade: mark, worse by the slippage."""
    worse = np.where(held.quantity > 0, 1.0 - slippage_rate, 1.0 + slippage_rate)
    return price_to_units(book.instruments, held.instrument, market.mark[held.instrument] * worse)


def closing_costs(
    book: Book, market: Market, held: Holdings, policy: Policy
) -> tuple[Floats, Floats]:
    """USD lost by closing each position in the market, and its liquidation fee, by row.

    Taken at the price at which it would trade, so that they are what the ledger will book.
    """
    table, i = book.instruments, held.instrument
    inverse, multiplier = table.is_inverse[i], table.multiplier[i]
    price = forced_price(book, market, held, policy.slippage_rate) * table.price_unit[i]
    traded = value_coefficient(inverse, multiplier, price)
    worth = value_coefficient(inverse, multiplier, market.mark[i])
    usd = np.abs(held.quantity) * table.quantity_unit[i] * market.index[table.settle[i]]
    value = usd * np.abs(traded)
    lost = usd * np.abs(worth - traded) + value * policy.taker_fee_rate
    return lost, value * policy.liquidation_fee_rate[table.base[i]]


def takeover_price(book: Book, market: Market, held: Holdings, equity: Floats) -> Int64s:
    """Price units at which a pool's positions leave it with nothing: their bankruptcy prices.

    ``equity`` (USD, by owner) is shared over the positions by notional. A price stays within a
    factor PRICE_RANGE of the mark, for it may be negative or infinite; what that leaves is swept
    with the balances.
    """
    table = book.instruments
    total = sum_by(held.owner, held.notional, equity.size)
    share = held.notional / np.where(total > 0, total, 1.0)[held.owner]
    i = held.instrument
    mark, currency = market.mark[i], market.index[table.settle[i]]
    per_point = held.quantity * table.quantity_unit[i] * table.multiplier[i] * currency
    inverse = table.is_inverse[i]
    price = bankruptcy_price(FLOAT, mark, equity[held.owner] * share, per_point, inverse)
    # A mark may be below zero, where the larger factor is the lower bound.
    near, far = mark / PRICE_RANGE, mark * PRICE_RANGE
    price = np.clip(price, np.minimum(near, far), np.maximum(near, far))
    return price_to_units(table, i, price)


def with_system(held: Holdings, pool: SystemPool) -> Int32s:
    """A system pool as the counterparty of every row."""
    return np.full(held.pool.size, pool, dtype=np.int32)


def close_trades(
    book: Book,
    held: Holdings,
    quantity: Int64s,
    price: Int64s,
    counterparty: Int32s,
    reason: TradeReason,
    fee_rate: float,
) -> tuple[Trades, Int64s]:
    """Trades that close ``quantity`` (> 0, units) of each position with a ``counterparty`` (pools).

    The value is in settle units with the sign of the traded quantity; the fee is taken on
    its magnitude.
    """
    traded = -np.sign(held.quantity) * quantity
    value = trade_values(book.instruments, held.instrument, traded, price)
    count = held.pool.size
    return Trades(
        pool=held.pool,
        counterparty=counterparty,
        instrument=held.instrument,
        quantity=traded,
        price=price,
        fee=np.rint(np.abs(value) * fee_rate).astype(np.int64),
        reason=np.full(count, reason, dtype=np.int8),
    ), value
