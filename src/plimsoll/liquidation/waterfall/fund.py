"""The insurance fund's own housekeeping: sell what it took over, keep one reserve asset."""

import numpy as np

from plimsoll.book import Book, SystemPool
from plimsoll.core import Int32s, Int64s
from plimsoll.ledger import EventBatch, TradeReason, Trades, TransferReason, Transfers
from plimsoll.ledger.events import join_transfers
from plimsoll.liquidation.closing import close_trades, forced_price, holdings_of
from plimsoll.liquidation.policy import Policy
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market


def settle_fund(book: Book, market: Market, policy: Policy) -> EventBatch:
    """Close the fund's positions in the market, convert its balances, cover a shortfall.

    Positions and assets without a usable price are kept until they have one. A shortfall of
    the reserve asset is paid by the bad debt pool: a loss that is still to be shared out.
    """
    table = book.instruments
    fund = np.array([SystemPool.INSURANCE_FUND], dtype=np.int64)
    held = holdings_of(book, fund, notional_coefficient(table, market.mark, market.index))
    priced = np.isfinite(held.notional)
    held = type(held)(*(getattr(held, name)[priced] for name in held.__slots__))
    price = forced_price(book, market, held, policy.slippage_rate)
    trades, value = close_trades(
        book, held, np.abs(held.quantity), price, SystemPool.MARKET, TradeReason.CLOSE_OUT,
        policy.taker_fee_rate,
    )  # fmt: skip
    left = _balances(book)
    np.add.at(left, table.settle[held.instrument], -value - held.cost - trades.fee)
    return EventBatch(
        time_ns=market.as_of_ns,
        trades=trades if trades.pool.size else Trades(),
        transfers=_convert(book, market, policy, left),
    )


def fund_value(book: Book, market: Market) -> float:
    """USD value of the insurance fund's balances at index."""
    balances = _balances(book) * book.instruments.assets.unit
    return float(np.sum(np.where(balances == 0, 0.0, balances * market.index)))


def _balances(book: Book) -> Int64s:
    """The fund's balance in each asset, in units, shape [assets]."""
    pool = SystemPool.INSURANCE_FUND
    first, end = book.balances.offsets[pool], book.balances.offsets[pool + 1]
    found = np.zeros(len(book.instruments.assets.names), dtype=np.int64)
    found[book.balances.asset[first:end]] = book.balances.amount[first:end]
    return found


def _convert(book: Book, market: Market, policy: Policy, left: Int64s) -> Transfers:
    """Exchange every other asset for the reserve at index; then no debt may remain in it."""
    reserve = policy.reserve_asset
    if reserve < 0 or not np.isfinite(market.index[reserve]):
        return Transfers()
    unit = book.instruments.assets.unit
    assets = np.flatnonzero((left != 0) & np.isfinite(market.index)).astype(np.int32)
    assets = assets[assets != reserve]
    worth = left[assets] * unit[assets] * market.index[assets]
    received = np.rint(worth / (unit[reserve] * market.index[reserve])).astype(np.int64)
    final = int(left[reserve]) + int(received.sum())
    shortfall = np.array([max(-final, 0)], dtype=np.int64)
    to_fund = np.full(assets.size, reserve, dtype=np.int32)
    return join_transfers(
        (
            _move(SystemPool.INSURANCE_FUND, SystemPool.MARKET, assets, left[assets],
                  TransferReason.CONVERSION),
            _move(SystemPool.MARKET, SystemPool.INSURANCE_FUND, to_fund, received,
                  TransferReason.CONVERSION),
            _move(SystemPool.BAD_DEBT, SystemPool.INSURANCE_FUND,
                  np.array([reserve], dtype=np.int32), shortfall, TransferReason.BAD_DEBT),
        )
    )  # fmt: skip


def _move(
    source: SystemPool, target: SystemPool, asset: Int32s, amount: Int64s, reason: TransferReason
) -> Transfers:
    count = asset.size
    return Transfers(
        np.full(count, source, dtype=np.int32),
        np.full(count, target, dtype=np.int32),
        asset,
        amount,
        np.full(count, reason, dtype=np.int8),
    )
