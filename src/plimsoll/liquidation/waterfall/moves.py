"""Stages that move money without touching anyone else: close in the market, auction, repay."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, SystemPool, rows_of
from plimsoll.core import Floats, Int32s, Int64s, sum_by
from plimsoll.ledger import TradeReason, Trades, TransferReason, Transfers, price_to_units
from plimsoll.ledger.events import join_transfers
from plimsoll.liquidation.closing import close_trades, forced_price, pick_rows, with_system
from plimsoll.liquidation.protocols import derive
from plimsoll.liquidation.waterfall.choose import choose_quantities
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.question import Question
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import Auction, CloseBy, CloseOut, FeeTo
from plimsoll.liquidation.waterfall.throttle import limit_units, throttle_quantities
from plimsoll.margin import Assessment
from plimsoll.margin.arithmetic import FLOAT
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Closed:
    """Closes: the events, the ``pools`` acted on, and the USD notional closed by row."""

    trades: Trades
    transfers: Transfers
    pools: Int64s
    notional: Floats


def close_in_market(
    book: Book, scene: Scene, policy: Policy, stage: CloseOut, question: Question
) -> Closed:
    """Close part of each pool's positions in the market; the liquidation fee goes with it."""
    held, count = question.held, question.pools.size
    cost = sum_by(held.owner, question.loss, count) + sum_by(held.owner, question.fee, count)
    is_recent = question.acted_within(scene.market.as_of_ns, stage.whole_within_s)
    wanted = choose_quantities(book, scene, policy, stage, held, question.found, cost, is_recent)
    limit = limit_units(scene, stage.throttle)
    keeps_shape = stage.by != CloseBy.RELIEF
    wanted = throttle_quantities(held, wanted, limit, question.rank, keeps_shape)
    share = wanted / np.maximum(np.abs(held.quantity), 1)
    # The fee takes no more than closing leaves: it must not make the debt that it insures.
    lost = sum_by(held.owner, share * question.loss, count)
    left = np.maximum(question.found.equity - lost, 0.0)
    due = sum_by(held.owner, share * question.fee, count)
    paid = np.clip(left / np.where(due > 0, due, np.inf), 0.0, 1.0)
    paid[due == 0] = 1.0
    fee_pool = _fee_pool(policy, stage, question.fund_usd)
    return _reduce(book, scene.market, policy, question, wanted, paid, fee_pool)


def _reduce(
    book: Book, market: Market, policy: Policy, question: Question, wanted: Int64s,
    fee_share: Floats, fee_pool: SystemPool,
) -> Closed:  # fmt: skip
    """Close ``wanted`` units (by row, 0 to what is held) in the market.

    ``fee_share`` (by pool, 0 to 1) is the part of the liquidation fee that is taken. Fees round
    down.
    """
    held, at = question.held, np.flatnonzero(wanted > 0)
    part, quantity = pick_rows(held, at), wanted[at]
    price = forced_price(book, market, part, policy.slippage_rate)
    trades, value = close_trades(
        book, part, quantity, price, with_system(part, SystemPool.MARKET),
        TradeReason.LIQUIDATION, policy.taker_fee_rate,
    )  # fmt: skip
    rate = policy.liquidation_fee_rate[book.instruments.base[part.instrument]]
    taken = fee_share[part.owner]
    # Where it is capped, a unit stays for what the other amounts round up.
    amount = np.floor(np.abs(value) * rate * taken) - (taken < 1)
    fees = Transfers(
        source=part.pool,
        target=np.full(at.size, fee_pool, dtype=np.int32),
        asset=book.instruments.settle[part.instrument],
        amount=np.maximum(amount, 0).astype(np.int64),
        reason=np.full(at.size, TransferReason.LIQUIDATION_FEE, dtype=np.int8),
    )
    closed = np.zeros(held.pool.size)
    closed[at] = part.notional * quantity / np.abs(part.quantity)
    return Closed(trades, fees, question.pools[np.unique(part.owner)], closed)


def _fee_pool(policy: Policy, stage: CloseOut, fund_usd: float) -> SystemPool:
    """Who gets the liquidation fee: the fund until it holds its target, or the liquidator."""
    if stage.fee_to == FeeTo.LIQUIDATOR:
        return SystemPool.MARKET
    fund = policy.fund
    is_full = fund is not None and fund.target is not None and fund_usd >= fund.target
    return SystemPool.FEES if is_full else SystemPool.INSURANCE_FUND


def auction_pools(
    book: Book, market: Market, policy: Policy, stage: Auction, question: Question
) -> Closed:
    """Sell shares of whole accounts to an outside bidder once his discount is reached.

    He takes the share of every position at mark and is paid, in the reserve asset, the part of the
    equity that the discount leaves him; the account's fee goes to the fund.
    """
    held, found = question.held, question.found
    share, price = _auction_shares(stage, market.as_of_ns, question.since_ns, found)
    unit = _reserve_usd(book, market, policy)
    if not np.isfinite(unit):
        # Nobody can be paid: the auction goes on when the reserve has a price again.
        share = np.zeros_like(share)
    wanted = np.ceil(np.abs(held.quantity) * share[held.owner] - 1e-6).astype(np.int64)
    at = np.flatnonzero(wanted > 0)
    part, quantity = pick_rows(held, at), wanted[at]
    mark = price_to_units(book.instruments, part.instrument, market.mark[part.instrument])
    trades, _ = close_trades(
        book, part, quantity, mark, with_system(part, SystemPool.MARKET),
        TradeReason.LIQUIDATION, 0.0,
    )  # fmt: skip
    sold = np.flatnonzero(share > 0)
    given = (share * np.maximum(found.equity, 0.0) * (1.0 - price))[sold] / unit
    fee = (share * np.abs(found.equity) * stage.fee_rate)[sold] / unit
    to = ((SystemPool.MARKET, TransferReason.AUCTION, given),
          (SystemPool.INSURANCE_FUND, TransferReason.LIQUIDATION_FEE, fee))  # fmt: skip
    transfers = join_transfers(
        tuple(
            Transfers(
                source=question.pools[sold].astype(np.int32),
                target=np.full(sold.size, target, dtype=np.int32),
                asset=np.full(sold.size, policy.reserve_asset, dtype=np.int32),
                amount=np.floor(amount).astype(np.int64),
                reason=np.full(sold.size, reason, dtype=np.int8),
            )
            for target, reason, amount in to
        )
    )
    closed = np.zeros(held.pool.size)
    closed[at] = part.notional * quantity / np.abs(part.quantity)
    return Closed(trades, transfers, question.pools[sold], closed)


def _auction_shares(
    stage: Auction, now_ns: int, since_ns: Int64s, found: Assessment
) -> tuple[Floats, Floats]:
    """The share that a bidder takes of each account, 0 while he waits, and its discount."""
    terms = derive.Parameters(
        stage.start, stage.cutoff, stage.fast_s, stage.slow_s, stage.insolvent_s, stage.fee_rate,
        stage.buffer,
    )  # fmt: skip
    share, price = np.zeros(since_ns.size), np.ones(since_ns.size)
    rows = zip(since_ns.tolist(), found.equity.tolist(), found.excess_margin.tolist(), strict=True)
    for row, (since, equity, excess) in enumerate(rows):
        price[row] = derive.discount(FLOAT, (now_ns - since) / 1e9, terms)
        if price[row] <= stage.bid_discount:
            account = derive.Account(equity, excess, 0.0)
            share[row] = min(derive.share_max(FLOAT, account, price[row], terms), 1.0)
    return share, price


def _reserve_usd(book: Book, market: Market, policy: Policy) -> float:
    """USD of one unit of the reserve asset; NaN where it has no price."""
    asset = policy.reserve_asset
    if asset < 0:
        return float("nan")
    return float(book.instruments.assets.unit[asset] * market.index[asset])


def repay_debts(
    book: Book, market: Market, policy: Policy, pools: Int64s, margin_ratio: Floats
) -> Transfers:
    """Sell what pools without positions own, pro rata, for what they owe, at index.

    Each pool pays its debts as far as its assets go after slippage; what then remains owed is
    the next round's takeover. Of a debt a close factor lets only so much be repaid in one round,
    while the pool's ``margin_ratio`` (by pool) is below the ratio from which all of it may.
    """
    if not pools.size:
        return Transfers()
    table = book.instruments.assets
    rows, offsets = rows_of(book.balances.offsets, pools)
    owner = np.repeat(np.arange(pools.size, dtype=np.int64), np.diff(offsets))
    asset, amount = book.balances.asset[rows], book.balances.amount[rows]
    # An asset of which nothing is left needs no price.
    value = np.where(amount == 0, 0.0, amount * table.unit[asset] * market.index[asset])
    owned = sum_by(owner, np.maximum(value, 0.0), pools.size)
    owed = sum_by(owner, np.maximum(-value, 0.0), pools.size)
    keep = 1.0 - policy.slippage_rate
    stage = policy.close_out
    factor = np.ones(pools.size)
    if stage is not None:
        whole_ratio = np.inf if stage.whole_ratio is None else stage.whole_ratio
        factor = np.where(margin_ratio >= whole_ratio, 1.0, stage.share_max)
    paid = np.minimum(owed * factor, owned * keep)
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


def sweep_balances(
    book: Book, pools: Int64s, owner_pool: Int32s, asset: Int32s, realised: Int64s, taker: Int32s
) -> Transfers:
    """All that ``pools`` have passes to their ``taker`` (by pool), debts included.

    ``realised`` is what closing puts into ``asset`` of ``owner_pool``, row by row, in the same
    batch: afterwards the pools are at exactly zero in every asset.
    """
    rows, offsets = rows_of(book.balances.offsets, pools)
    source = np.concatenate([np.repeat(pools, np.diff(offsets)), owner_pool]).astype(np.int32)
    place = np.searchsorted(pools, source)
    return Transfers(
        source=source,
        target=taker[place].astype(np.int32),
        asset=np.concatenate([book.balances.asset[rows], asset]),
        amount=np.concatenate([book.balances.amount[rows], realised]),
        reason=np.full(source.size, TransferReason.TAKEOVER, dtype=np.int8),
    )
