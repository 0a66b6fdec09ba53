"""The insurance fund's own housekeeping: sell what it took over, keep one reserve asset.

Between a takeover and the sale of what was taken the fund may be short; so a round and what the
fund does about it are one batch, computed whole and looked at before it is posted, and no book
that anyone sees holds the state between them.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book, Rows, SystemPool, take_pools
from plimsoll.core import Int32s, Int64s
from plimsoll.ledger import EventBatch, TradeReason, Trades, TransferReason, Transfers, apply
from plimsoll.ledger.events import join_trades, join_transfers
from plimsoll.liquidation.closing import (
    close_trades,
    forced_price,
    holdings_of,
    pick_rows,
    with_system,
)
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import Throttle
from plimsoll.liquidation.waterfall.throttle import limit_units
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market


def settle_fund(book: Book, scene: Scene, policy: Policy) -> EventBatch:
    """Close the fund's positions in the market, convert its balances, cover a shortfall.

    Positions and assets without a usable price, in a halted market or beyond the fund's throttle
    are kept for a later step. A shortfall of the reserve asset is paid by the bad debt pool: a
    loss that is still to be shared out.
    """
    table, market = book.instruments, scene.market
    fund = np.array([SystemPool.INSURANCE_FUND], dtype=np.int64)
    held = holdings_of(book, fund, notional_coefficient(table, market.mark, market.index))
    held = pick_rows(held, np.flatnonzero(np.isfinite(held.notional)))
    limit = limit_units(scene, policy.fund.throttle if policy.fund is not None else Throttle())
    closed = np.minimum(np.abs(held.quantity), limit[held.instrument])
    held, closed = pick_rows(held, np.flatnonzero(closed > 0)), closed[closed > 0]
    price = forced_price(book, market, held, policy.slippage_rate)
    trades, _ = close_trades(
        book, held, closed, price, with_system(held, SystemPool.MARKET), TradeReason.CLOSE_OUT,
        policy.taker_fee_rate,
    )  # fmt: skip
    # What a close in part realises is known to the unit only where the ledger books it.
    system = take_pools(book, np.arange(len(SystemPool)))
    after = apply(system, EventBatch(market.as_of_ns, trades=trades)) if closed.size else book
    left = fund_balances(after)
    return EventBatch(
        time_ns=market.as_of_ns,
        trades=trades if trades.pool.size else Trades(),
        transfers=_convert(book, market, policy, left),
    )


def settle_round(
    book: Book, scene: Scene, policy: Policy, batch: EventBatch
) -> tuple[EventBatch, Book]:
    """The round's batch with the fund's own events behind it, and the book after both.

    ``policy`` is that of the fund. Conservation is exact: ``apply`` refuses anything else. In the
    end the fund owes nothing: where it would, the bad debt pool pays, so that the check never
    stops the market.
    """
    after = apply(book, batch)
    settlement = settle_fund(after, scene, policy)
    joined = _joined(batch, settlement)
    end = _follow(book, after, batch, settlement)
    short = np.minimum(fund_balances(end), 0)
    # A debt in an asset without a price cannot be exchanged; nobody waits for it.
    owed = np.flatnonzero(short < 0).astype(np.int32)
    if owed.size:
        cover = book_bad_debt(owed, -short[owed])
        joined = replace(joined, transfers=join_transfers((joined.transfers, cover)))
        paid = apply(end, EventBatch(batch.time_ns, transfers=cover))
        end = replace(paid, sequence=end.sequence)
    return joined, end


def _follow(book: Book, after: Book, batch: EventBatch, settlement: EventBatch) -> Book:
    """The book after ``batch``, then ``settlement``, as one batch of both would leave it.

    Only a system's position tells one batch from two: it realises what it has gained where it is
    flat at the end of one. The fund's are not flat between the two; the market's may be.
    """
    if not settlement.event_count:
        return after
    instrument, market = settlement.trades.instrument, int(SystemPool.MARKET)
    is_between = np.zeros(len(book.instruments), dtype=np.bool_)
    is_between[batch.trades.instrument[batch.trades.counterparty == market]] = True
    rows = slice(after.positions.offsets[market], after.positions.offsets[market + 1])
    is_between[after.positions.instrument[rows][after.positions.quantity[rows] != 0]] = False
    if is_between[instrument].any():
        return apply(book, _joined(batch, settlement))
    second = replace(settlement, time_ns=batch.time_ns)
    return replace(apply(after, second), sequence=after.sequence)


def book_bad_debt(asset: Int32s, amount: Int64s) -> Transfers:
    """The bad debt pool pays the fund amounts >= 0 of some assets, in their units."""
    return _move(
        SystemPool.BAD_DEBT, SystemPool.INSURANCE_FUND, asset, amount, TransferReason.BAD_DEBT
    )


def fund_holds(rows: Rows) -> bool:
    """Whether the fund has a position that is still to be sold."""
    pool = int(SystemPool.INSURANCE_FUND)
    held = rows.quantity[rows.position_begin[pool] : rows.position_end[pool]]
    return bool(np.any(held != 0))


def fund_value(book: Book, market: Market) -> float:
    """USD value of the insurance fund's balances at index."""
    balances = fund_balances(book) * book.instruments.assets.unit
    return float(np.sum(np.where(balances == 0, 0.0, balances * market.index)))


def fund_balances(book: Book) -> Int64s:
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
            book_bad_debt(np.array([reserve], dtype=np.int32), shortfall),
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


def _joined(batch: EventBatch, settlement: EventBatch) -> EventBatch:
    return replace(
        batch,
        trades=join_trades((batch.trades, settlement.trades)),
        transfers=join_transfers((batch.transfers, settlement.transfers)),
    )
