"""What becomes of pools that closing in the market cannot save: who takes what, who pays.

A lost pool ends at exactly zero in every asset. Its positions go, at prices that leave it
nothing, to a backstop that can bear them, else to the insurance fund; what the fund may not pay
for is closed against counterparties; what these do not reach the fund sells, and its loss is
shared among all or booked as bad debt.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, PoolKind, SystemPool, take_pools
from plimsoll.core import Bools, Floats, Int32s, Int64s
from plimsoll.ledger import (
    EventBatch,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    apply,
    price_to_units,
    trade_values,
)
from plimsoll.ledger.events import join_trades, join_transfers
from plimsoll.liquidation.closing import Holdings, close_trades, pick_rows, takeover_price
from plimsoll.liquidation.waterfall.counterparties import (
    Matches,
    Others,
    deleveraging_price,
    match_positions,
    others_of,
)
from plimsoll.liquidation.waterfall.fund import book_bad_debt
from plimsoll.liquidation.waterfall.losses import Cover, cover_losses, share_equity
from plimsoll.liquidation.waterfall.moves import sweep_balances
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.question import Question
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.shares import share_loss
from plimsoll.liquidation.waterfall.stages import Takeover, TakeoverBy, TakeoverPrice
from plimsoll.margin import assess

FUND = int(SystemPool.INSURANCE_FUND)


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The events, who else was touched, and where the loss went, USD.

    ``fund_paid`` is by instrument. ``needs_whole`` says that counterparties are wanted and the
    book does not hold them; then there are no events.
    """

    trades: Trades
    transfers: Transfers
    touched: Int64s
    fund_paid: Floats
    deleveraged: float
    socialised: float
    needs_whole: bool = False

    @classmethod
    def nothing(cls, instruments: int, needs_whole: bool = False) -> "TakenOver":
        """No event."""
        none = np.zeros(0, dtype=np.int64)
        return cls(Trades(), Transfers(), none, np.zeros(instruments), 0.0, 0.0, needs_whole)


def take_over(
    book: Book, scene: Scene, policy: Policy, lost: Question, in_question: Int64s
) -> TakenOver:
    """The events that end lost pools. ``in_question`` are pools that nobody is closed against."""
    count, held = len(book.instruments), lost.held
    if not lost.pools.size:
        return TakenOver.nothing(count)
    takers = _takers(book, scene, policy, lost)
    if takers is None:
        return TakenOver.nothing(count, needs_whole=True)
    taker, price = takers
    cover = _cover(scene, policy, lost, taker == FUND)
    size = np.abs(held.quantity)
    wanted = np.ceil(size * (1.0 - cover.share) - 1e-6).astype(np.int64).clip(0, size)
    matches, others, given = Matches.nothing(held), None, price
    # Debts without a position, and positions that nobody may be closed against, are unpaid too.
    if wanted.any() or cover.flat_unpaid.any():
        if not scene.is_whole:
            return TakenOver.nothing(count, needs_whole=True)
        found = assess(book, scene.market, scene.models)
        others = others_of(book, scene, in_question, found)
        stage = policy.deleveraging
        if stage is not None:
            given = deleveraging_price(book, scene, stage, held, price)
            matches = match_positions(book, scene, stage, held, wanted, given, lost.rank, others)
    trades, sweep = _pass_on(book, lost, taker, price, given, matches)
    unpaid = _unpaid_usd(book, scene, lost, cover, (price, given), wanted, matches)
    shared = _share(book, scene, policy, others, unpaid, matches.pool)
    is_touched = np.zeros(book.pool_count, dtype=np.bool_)
    for pools in (matches.pool, shared.source, taker):
        is_touched[pools] = True
    is_touched[: len(SystemPool)] = False
    matched = held.notional[matches.row] * matches.quantity
    return TakenOver(
        trades=trades,
        transfers=join_transfers((sweep, shared)),
        touched=np.flatnonzero(is_touched),
        fund_paid=cover.paid,
        deleveraged=float(np.sum(matched / size[matches.row])),
        socialised=_usd(book, scene, shared),
    )


def _takers(
    book: Book, scene: Scene, policy: Policy, lost: Question
) -> tuple[Int32s, Int64s] | None:
    """Who takes each pool over and at which price units, by row; None where the book lacks him."""
    taker = np.full(lost.pools.size, FUND, dtype=np.int32)
    price = takeover_price(book, scene.market, lost.held, lost.found.equity)
    for stage in policy.takeovers:
        if stage.by != TakeoverBy.BACKSTOP:
            continue
        pool = _backstop_pool(book, stage)
        if pool < 0 and not scene.is_whole:
            return None
        if pool >= 0 and pool not in lost.pools:
            at = price if stage.price == TakeoverPrice.BANKRUPTCY else _mark(book, scene, lost.held)
            takes = _backstop_takes(book, scene, stage, lost, at, pool)
            taker[takes] = pool
            price = np.where(takes[lost.held.owner], at, price)
    return taker, price


def _mark(book: Book, scene: Scene, held: Holdings) -> Int64s:
    return price_to_units(book.instruments, held.instrument, scene.market.mark[held.instrument])


def _cover(scene: Scene, policy: Policy, lost: Question, to_fund: Bools) -> Cover:
    """What the fund pays for, of the pools that come to it; what others take needs no cover."""
    rows = to_fund[lost.held.owner]
    cost = np.where(rows, lost.loss, 0.0)
    equity = np.where(to_fund, lost.found.equity, np.maximum(lost.found.equity, 0.0))
    found = cover_losses(scene, policy, lost.held, equity, cost, lost.rank, lost.fund_usd)
    return replace(found, share=np.where(rows, found.share, 1.0))


def _pass_on(
    book: Book, lost: Question, taker: Int32s, price: Int64s, given: Int64s, matches: Matches
) -> tuple[Trades, Transfers]:
    """Trades that empty the pools, and the sweep of what is then in them."""
    held = lost.held
    one = pick_rows(held, matches.row)
    closed, value_one = close_trades(
        book, one, matches.quantity, given[matches.row], matches.pool, TradeReason.DELEVERAGING, 0.0
    )
    at = np.flatnonzero(matches.left > 0)
    two = pick_rows(held, at)
    taken, value_two = close_trades(
        book, two, matches.left[at], price[at], taker[two.owner], TradeReason.TAKEOVER, 0.0
    )
    realised = -held.cost
    np.subtract.at(realised, matches.row, value_one)
    np.subtract.at(realised, at, value_two)
    settle = book.instruments.settle[held.instrument]
    sweep = sweep_balances(book, lost.pools, held.pool, settle, realised, taker)
    return join_trades((closed, taken)), sweep


def _unpaid_usd(
    book: Book, scene: Scene, lost: Question, cover: Cover, prices: tuple[Int64s, Int64s],
    wanted: Int64s, matches: Matches,
) -> float:  # fmt: skip
    """What neither the fund pays nor counterparties gave up: USD >= 0.

    ``prices`` are those that leave a pool nothing and those at which counterparties traded: where
    these are less, the difference is still owed.
    """
    held, table = lost.held, book.instruments
    size = np.maximum(np.abs(held.quantity), 1)
    loss = np.maximum(lost.loss - share_equity(held, lost.found.equity), 0.0)
    matched = np.abs(held.quantity) - matches.left
    short, settle = np.zeros(held.pool.size), table.settle[held.instrument]
    if matched.any():
        due, paid = (trade_values(table, held.instrument, held.quantity, p) for p in prices)
        unit = table.assets.unit[settle] * scene.market.index[settle]
        short = np.maximum((due - paid) * unit, 0.0) * (matched / size)
    missing = loss * ((wanted - matched) / size) + short
    return float(missing.sum() + cover.flat_unpaid.sum())


def _share(
    book: Book, scene: Scene, policy: Policy, others: Others | None, unpaid: float, closed: Int32s
) -> Transfers:
    """Who pays what the fund may not: all by the stage's key, then the bad debt pool.

    Those who were ``closed`` have paid by that.
    """
    reserve = policy.reserve_asset
    if not unpaid > 0 or others is None or reserve < 0:
        return Transfers()
    unit_usd = float(book.instruments.assets.unit[reserve] * scene.market.index[reserve])
    if not np.isfinite(unit_usd):
        return Transfers()
    # What is a unit short by rounding alone is no loss.
    loss = int(np.ceil(unpaid / unit_usd - 1e-3))
    if loss <= 0:
        return Transfers()
    shared = Transfers()
    if policy.socialised is not None:
        shared = share_loss(
            book, scene, policy.socialised, reserve, others, loss, closed, policy.release_ratio
        )
    rest = loss - int(shared.amount.sum())
    debt = book_bad_debt(np.array([reserve], dtype=np.int32), np.array([rest], dtype=np.int64))
    return join_transfers((shared, debt))


def _usd(book: Book, scene: Scene, shared: Transfers) -> float:
    socialised = shared.reason == TransferReason.SOCIALISED_LOSS
    asset = shared.asset[socialised]
    unit = book.instruments.assets.unit[asset] * scene.market.index[asset]
    return float(np.sum(shared.amount[socialised] * unit))


def _backstop_pool(book: Book, stage: Takeover) -> int:
    """The backstop's cross pool; -1 where the book has none."""
    if stage.account not in book.account_ids:
        return -1
    pools = book.pools_of(book.account_ids.index(stage.account))
    cross = pools[book.pool_kind[pools] == PoolKind.CROSS]
    return int(cross[0]) if cross.size else -1


def _backstop_takes(
    book: Book, scene: Scene, stage: Takeover, lost: Question, price: Int64s, pool: int
) -> Bools:
    """The first pools, in order of liquidation, that the backstop can bear all together."""
    fits, fails = 0, lost.pools.size + 1
    order = np.argsort(lost.rank, kind="stable")
    while fails - fits > 1:
        count = (fits + fails) // 2
        chosen = np.zeros(lost.pools.size, dtype=np.bool_)
        chosen[order[:count]] = True
        if _bears(book, scene, stage, lost, price, pool, chosen):
            fits = count
        else:
            fails = count
    takes = np.zeros(lost.pools.size, dtype=np.bool_)
    takes[order[:fits]] = True
    return takes


def _bears(
    book: Book,
    scene: Scene,
    stage: Takeover,
    lost: Question,
    price: Int64s,
    pool: int,
    chosen: Bools,
) -> bool:
    """Whether the backstop stands within its bounds after it has taken the chosen pools."""
    (small, rows), system = lost.part(chosen), np.arange(len(SystemPool))
    trial = take_pools(book, np.concatenate([system, [pool], small.pools]))
    number = len(SystemPool) + 1 + np.arange(small.pools.size)
    held = replace(small.held, pool=number[small.held.owner].astype(np.int32))
    moved = replace(small, pools=number, held=held)
    taker = np.full(number.size, len(SystemPool), dtype=np.int32)
    at = price[rows]
    trades, sweep = _pass_on(trial, moved, taker, at, at, Matches.nothing(moved.held))
    after = apply(
        trial, EventBatch(trial.time_ns, trades=trades, transfers=join_transfers((sweep,)))
    )
    both = [
        assess(take_pools(each, np.array([len(SystemPool)])), scene.market, scene.models)
        for each in (trial, after)
    ]
    before, found = float(both[0].equity[0]), float(both[1].equity[0])
    is_within = before - found <= stage.loss_share_max * max(before, 0.0)
    # A comparison with NaN is false: a backstop that is not known takes nothing.
    return bool(is_within and both[1].margin_ratio[0] <= stage.backstop_ratio_max)
