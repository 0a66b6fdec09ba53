"""The stages that move money: reduce in the market, take over, repay debts."""

import numpy as np

from plimsoll.book import Book, SystemPool, rows_of
from plimsoll.core import Bools, Floats, Int64s, sum_by
from plimsoll.ledger import TradeReason, Trades, TransferReason, Transfers
from plimsoll.liquidation.closing import (
    Holdings,
    close_trades,
    forced_price,
    takeover_price,
)
from plimsoll.liquidation.policy import Policy
from plimsoll.market import Market


def reduce_pools(
    book: Book, market: Market, policy: Policy, held: Holdings, share: Floats, fee_share: Floats
) -> tuple[Trades, Transfers, Floats]:
    """Close ``share`` (by owner, 0 to 1) of each position in the market.

    ``fee_share`` (by owner, 0 to 1) is the part of the liquidation fee that is taken. Returns
    the trades, the fees to the insurance fund, and the USD notional closed by row of
    ``held``. Quantities round up, so a step always closes something; fees round down.
    """
    wanted = share[held.owner]
    at = np.flatnonzero(wanted > 0)
    part = _pick(held, at)
    size = np.abs(part.quantity)
    # 60 % of 5 is 3, although 5 * 0.6 in floating point is a little more.
    quantity = np.ceil(size * wanted[at] - 1e-6).astype(np.int64).clip(1, size)
    price = forced_price(book, market, part, policy.slippage_rate)
    trades, value = close_trades(
        book, part, quantity, price, SystemPool.MARKET, TradeReason.LIQUIDATION,
        policy.taker_fee_rate,
    )  # fmt: skip
    rate = policy.liquidation_fee_rate[book.instruments.base[part.instrument]]
    taken = fee_share[part.owner]
    # Where it is capped, a unit stays for what the other amounts round up.
    amount = np.floor(np.abs(value) * rate * taken) - (taken < 1)
    fees = Transfers(
        source=part.pool,
        target=np.full(at.size, SystemPool.INSURANCE_FUND, dtype=np.int32),
        asset=book.instruments.settle[part.instrument],
        amount=np.maximum(amount, 0).astype(np.int64),
        reason=np.full(at.size, TransferReason.LIQUIDATION_FEE, dtype=np.int8),
    )
    closed = np.zeros(held.pool.size)
    closed[at] = part.notional * quantity / size
    return trades, fees, closed


def take_over(
    book: Book, market: Market, held: Holdings, pools: Int64s, is_lost: Bools, equity: Floats
) -> tuple[Trades, Transfers, Floats]:
    """The insurance fund takes all positions at the bankruptcy price and all balances.

    Returns the trades, the sweep and the USD notional by row of ``held``. The sweep moves
    exactly what the trades leave, debts included: the pool ends at zero in every asset.
    """
    at = np.flatnonzero(is_lost[held.owner])
    part = _pick(held, at)
    price = takeover_price(book, market, part, equity)
    trades, value = close_trades(
        book, part, np.abs(part.quantity), price, SystemPool.INSURANCE_FUND,
        TradeReason.TAKEOVER, 0.0,
    )  # fmt: skip
    realised = -value - part.cost
    lost = pools[is_lost]
    rows, offsets = rows_of(book.balances.offsets, lost)
    source = np.concatenate([np.repeat(lost, np.diff(offsets)), part.pool]).astype(np.int32)
    count = source.size
    sweep = Transfers(
        source=source,
        target=np.full(count, SystemPool.INSURANCE_FUND, dtype=np.int32),
        asset=np.concatenate([book.balances.asset[rows], book.instruments.settle[part.instrument]]),
        amount=np.concatenate([book.balances.amount[rows], realised]),
        reason=np.full(count, TransferReason.TAKEOVER, dtype=np.int8),
    )
    closed = np.zeros(held.pool.size)
    closed[at] = part.notional
    return trades, sweep, closed


def repay_debts(book: Book, market: Market, policy: Policy, pools: Int64s) -> Transfers:
    """Sell what pools without positions own, pro rata, for what they owe, at index.

    Each pool pays its debts as far as its assets go after slippage; what then remains owed is
    the next round's takeover.
    """
    table = book.instruments.assets
    rows, offsets = rows_of(book.balances.offsets, pools)
    owner = np.repeat(np.arange(pools.size, dtype=np.int64), np.diff(offsets))
    asset, amount = book.balances.asset[rows], book.balances.amount[rows]
    # An asset of which nothing is left needs no price.
    value = np.where(amount == 0, 0.0, amount * table.unit[asset] * market.index[asset])
    owned = sum_by(owner, np.maximum(value, 0.0), pools.size)
    owed = sum_by(owner, np.maximum(-value, 0.0), pools.size)
    keep = 1.0 - policy.slippage_rate
    paid = np.minimum(owed, owned * keep)
    with np.errstate(divide="ignore", invalid="ignore"):
        sold = np.where(owned > 0, paid / keep / owned, 0.0)[owner]
        bought = np.where(owed > 0, paid / owed, 0.0)[owner]
    moved = np.where(
        amount > 0,
        np.minimum(np.ceil(amount * sold), amount),
        -np.floor(-amount * bought),
    ).astype(np.int64)
    return Transfers(
        source=pools[owner].astype(np.int32),
        target=np.full(rows.size, SystemPool.MARKET, dtype=np.int32),
        asset=asset,
        amount=moved,
        reason=np.full(rows.size, TransferReason.CONVERSION, dtype=np.int8),
    )


def _pick(held: Holdings, at: Int64s) -> Holdings:
    return Holdings(
        held.pool[at],
        held.owner[at],
        held.instrument[at],
        held.quantity[at],
        held.cost[at],
        held.notional[at],
    )
