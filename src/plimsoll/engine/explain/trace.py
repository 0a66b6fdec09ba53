"""One pool's own part of a journal's batches, posted event by event on a book of it alone.

What a pool holds depends on its own events only, so everyone on the other side is the market
here; and trades and transfers are posted in the order in which ``ledger.apply`` posts them, so
that what each of them booked is known to the unit.
"""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from plimsoll.book import Book, PoolState, SystemPool, take_pools
from plimsoll.core import Bools, Int32s, Int64s, LedgerError, Status
from plimsoll.engine.decide import assess_pools
from plimsoll.engine.explain.story import (
    Amount,
    BalanceLine,
    Fill,
    Movement,
    PositionLine,
    StepTaken,
)
from plimsoll.engine.rules import Rules
from plimsoll.ledger import EventBatch, TradeReason, Trades, TransferReason, Transfers, apply
from plimsoll.market import Market

SYSTEM: Final = len(SystemPool)
TRADE_WORDS: Final = MappingProxyType(
    {
        TradeReason.FILL: "traded",
        TradeReason.LIQUIDATION: "closed in the market by force",
        TradeReason.TAKEOVER: "taken over",
        TradeReason.CLOSE_OUT: "closed out",
        TradeReason.DELEVERAGING: "deleveraged against others",
    }
)
TRANSFER_WORDS: Final = MappingProxyType(
    {
        TransferReason.DEPOSIT: "deposit",
        TransferReason.WITHDRAWAL: "withdrawal",
        TransferReason.MARGIN: "margin moved",
        TransferReason.FUNDING: "funding",
        TransferReason.LIQUIDATION_FEE: "liquidation fee",
        TransferReason.TAKEOVER: "balances taken over",
        TransferReason.CONVERSION: "assets sold for debts",
        TransferReason.BAD_DEBT: "debt booked as bad debt",
        TransferReason.AUCTION: "sold by auction",
        TransferReason.SOCIALISED_LOSS: "share of a socialised loss",
    }
)
"""What each reason means, in words for people."""


@dataclass(frozen=True, slots=True)
class Happening:
    """A batch of the journal, the prices at its step, and whether the engine decided it."""

    batch: EventBatch
    market: Market
    is_decision: bool


def owns(own: Int64s, *columns: Int32s) -> Bools:
    """Rows in which any of the columns names one of the pools ``own``."""
    return np.asarray(np.any([np.isin(column, own) for column in columns], axis=0))


def restrict(batch: EventBatch, own: Int64s) -> EventBatch:
    """What of a batch concerns the pools ``own``, ascending, numbered from the system's on.

    It opens no accounts and no pools.
    """

    def number(column: Int32s) -> Int32s:
        found = SYSTEM + np.searchsorted(own, column)
        other = np.where(column < SYSTEM, column, SystemPool.MARKET)
        return np.where(np.isin(column, own), found, other).astype(np.int32)

    def kept(table: Any, *pools: str) -> Any:
        keep = owns(own, *(getattr(table, name) for name in pools))
        part = replace(table, **{one.name: getattr(table, one.name)[keep] for one in fields(table)})
        return replace(part, **{name: number(getattr(part, name)) for name in pools})

    return EventBatch(
        batch.time_ns,
        cancels=kept(batch.cancels, "pool"),
        placements=kept(batch.placements, "pool"),
        trades=kept(batch.trades, "pool", "counterparty"),
        transfers=kept(batch.transfers, "source", "target"),
        states=kept(batch.states, "pool"),
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """The pool that is traced, in the book of everyone."""

    book: Book
    pool: int
    rules: Rules

    @property
    def own(self) -> Int64s:
        """Its number, as a column."""
        return np.array([self.pool], dtype=np.int64)

    def other(self, first: int, second: int) -> str:
        """The name of who is on the other side."""
        number = second if first == self.pool else first
        if number < SYSTEM:
            return SystemPool(number).name
        known = number < self.book.pool_count
        return self.book.pool_name(number) if known else f"pool {number}"


def trace(
    book: Book, pool: int, happenings: tuple[Happening, ...], rules: Rules
) -> tuple[StepTaken, ...]:
    """The steps that batches were for a pool, from how it stood in ``book``."""
    small = take_pools(book, np.append(np.arange(SYSTEM), pool))
    subject, steps = _Subject(book, pool, rules), []
    for one in happenings:
        mine = restrict(one.batch, subject.own)
        if mine.event_count:
            small, step = _take_step(small, subject, one, mine)
            steps.append(step)
    return tuple(steps)


def _take_step(
    small: Book, subject: _Subject, one: Happening, mine: EventBatch
) -> tuple[Book, StepTaken]:
    pools = np.array([SYSTEM], dtype=np.int64)
    before = assess_pools(small, pools, one.market, subject.rules)
    small = apply(small, EventBatch(mine.time_ns, cancels=mine.cancels, placements=mine.placements))
    small, fills = _fills(small, subject, one.batch.trades, mine)
    small, movements = _movements(small, subject, one.batch.transfers, mine)
    small = apply(small, EventBatch(mine.time_ns, states=mine.states))
    after = assess_pools(small, pools, one.market, subject.rules)
    states = [PoolState(state) for state in mine.states.state.tolist()]
    return small, StepTaken(
        time_ns=mine.time_ns,
        is_decision=one.is_decision,
        stages=_stages(mine, fills, movements, states),
        orders_cancelled=int(mine.cancels.pool.size),
        orders_placed=int(mine.placements.pool.size),
        fills=fills,
        movements=movements,
        state=states[-1] if states else None,
        ratio_before=float(before.margin_ratio[0]),
        ratio_after=float(after.margin_ratio[0]),
        equity_before=float(before.equity[0]),
        equity_after=float(after.equity[0]),
        status_after=Status(after.status[0]),
    )


def _stages(
    mine: EventBatch,
    fills: tuple[Fill, ...],
    movements: tuple[Movement, ...],
    states: list[PoolState],
) -> tuple[str, ...]:
    """What a batch did to the pool, in words, in the order in which it did it."""
    words = []
    if PoolState.LIQUIDATING in states:
        words.append("procedure begins")
    if mine.cancels.pool.size:
        words.append("orders cancelled")
    if mine.placements.pool.size:
        words.append("orders placed")
    words += [TRADE_WORDS[fill.reason] for fill in fills]
    words += [TRANSFER_WORDS[movement.reason] for movement in movements]
    if states and states[-1] == PoolState.NORMAL:
        words.append("procedure ends")
    elif states and states[-1] != PoolState.LIQUIDATING:
        words.append(states[-1].name.lower().replace("_", " "))
    return tuple(dict.fromkeys(words))


def _fills(
    small: Book, subject: _Subject, whole: Trades, mine: EventBatch
) -> tuple[Book, tuple[Fill, ...]]:
    """Post the pool's trades one by one; ``whole`` says who was on the other side."""
    table, found = small.instruments, []
    rows = np.flatnonzero(owns(subject.own, whole.pool, whole.counterparty))
    for number, row in enumerate(rows.tolist()):
        trade = Trades(*(getattr(mine.trades, one.name)[[number]] for one in fields(Trades)))
        after = apply(small, EventBatch(mine.time_ns, trades=trade))
        is_taker, i = int(trade.pool[0]) == SYSTEM, int(trade.instrument[0])
        sign, fee = (1, int(trade.fee[0])) if is_taker else (-1, 0)
        changes = balances_of(after, SYSTEM) - balances_of(small, SYSTEM)
        settle = int(table.settle[i])
        changes[settle] += fee
        part = table.rows[i]
        found.append(
            Fill(
                symbol=part.symbol,
                quantity=_decimal(sign * int(trade.quantity[0]), part.quantity_decimals),
                price=_decimal(int(trade.price[0]), part.price_decimals),
                counterparty=subject.other(int(whole.pool[row]), int(whole.counterparty[row])),
                reason=TradeReason(int(trade.reason[0])),
                booked=tuple(
                    amount_of(small, k, int(changes[k])) for k in np.flatnonzero(changes).tolist()
                ),
                fee=amount_of(small, settle, fee),
                left=_decimal(int(quantities_of(after, SYSTEM)[i]), part.quantity_decimals),
            )
        )
        small = after
    return small, tuple(found)


def _movements(
    small: Book, subject: _Subject, whole: Transfers, mine: EventBatch
) -> tuple[Book, tuple[Movement, ...]]:
    """Post the pool's transfers; ``whole`` says who was on the other side."""
    found, moved = [], mine.transfers
    rows = np.flatnonzero(owns(subject.own, whole.source, whole.target))
    for number, row in enumerate(rows.tolist()):
        sign = 1 if int(moved.target[number]) == SYSTEM else -1
        found.append(
            Movement(
                amount=amount_of(small, int(moved.asset[number]), sign * int(moved.amount[number])),
                counterparty=subject.other(int(whole.source[row]), int(whole.target[row])),
                reason=TransferReason(int(moved.reason[number])),
            )
        )
    return apply(small, EventBatch(mine.time_ns, transfers=moved)), tuple(found)


def reconcile(
    start: Book, end: Book, pool: int, steps: tuple[StepTaken, ...]
) -> tuple[tuple[BalanceLine, ...], tuple[PositionLine, ...]]:
    """How a pool's balances and positions came from one book to a later one.

    Raises LedgerError where what the steps say does not add up to what the books hold.
    """
    fills = [fill for step in steps for fill in step.fills]
    movements = [movement for step in steps for movement in step.movements]
    first, last = balances_of(start, pool), balances_of(end, pool)
    balances = []
    for k, asset in enumerate(start.instruments.assets.names):
        booked = [one.value for fill in fills for one in fill.booked if one.asset == asset]
        fees = [fill.fee.value for fill in fills if fill.fee.asset == asset]
        moved = {
            reason: sum(
                (
                    one.amount.value
                    for one in movements
                    if one.amount.asset == asset and one.reason == reason
                ),
                Decimal(0),
            )
            for reason in dict.fromkeys(
                one.reason for one in movements if one.amount.asset == asset
            )
        }
        line = BalanceLine(
            asset,
            amount_of(start, k, int(first[k])).value,
            sum(booked, Decimal(0)),
            -sum(fees, Decimal(0)),
            tuple(moved.items()),
            amount_of(end, k, int(last[k])).value,
        )
        total = line.start + line.booked + line.fees + sum(moved.values(), Decimal(0))
        _check(asset, total, line.end)
        if line.start or line.end or booked or moved:
            balances.append(line)
    return tuple(balances), _positions(start, end, pool, fills)


def _positions(start: Book, end: Book, pool: int, fills: list[Fill]) -> tuple[PositionLine, ...]:
    first, last = quantities_of(start, pool), quantities_of(end, pool)
    positions = []
    for i, part in enumerate(start.instruments.rows):
        traded = [fill.quantity for fill in fills if fill.symbol == part.symbol]
        begun = _decimal(int(first[i]), part.quantity_decimals)
        ended = _decimal(int(last[i]), part.quantity_decimals)
        _check(part.symbol, begun + sum(traded, Decimal(0)), ended)
        if begun or ended or traded:
            line = PositionLine(part.symbol, begun, sum(traded, Decimal(0)), ended)
            positions.append(line)
    return tuple(positions)


def _check(what: str, told: Decimal, held: Decimal) -> None:
    if told != held:
        problem = f"the events leave {told}, the book holds {held}"
        raise LedgerError(what, problem, "report it, with the journal")


def balances_of(book: Book, pool: int) -> Int64s:
    """A pool's balances by asset, in exact units."""
    rows = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
    out = np.zeros(len(book.instruments.assets.names), dtype=np.int64)
    out[book.balances.asset[rows]] = book.balances.amount[rows]
    return out


def quantities_of(book: Book, pool: int) -> Int64s:
    """A pool's positions by instrument, in exact units."""
    rows = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
    out = np.zeros(len(book.instruments), dtype=np.int64)
    out[book.positions.instrument[rows]] = book.positions.quantity[rows]
    return out


def amount_of(book: Book, asset: int, units: int) -> Amount:
    """Units of an asset as an exact amount."""
    assets = book.instruments.assets
    return Amount(assets.names[asset], _decimal(units, assets.decimals[asset]))


def _decimal(units: int, decimals: int) -> Decimal:
    return Decimal(units).scaleb(-decimals)
