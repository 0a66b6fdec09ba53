"""Admission: events from outside that may not be, refused before the ledger applies them.

The whole batch is refused, with the event named. Judged is the state that the batch would leave,
not the request, so no second path leads around a limit. What the engine decides itself is not
asked here, nor is a deposit that is taken back: that is the venue's correction.
"""

import numpy as np

from plimsoll.book import Book, LiveBook, MarketPhase, PoolKind, PoolState, SystemPool, take_pools
from plimsoll.core import Bools, Floats, Int64s, LedgerError, Status, distinct, sum_by
from plimsoll.engine.gates import GateRules, GateState, withdrawn
from plimsoll.engine.renumber import renumbered
from plimsoll.engine.rules import Rules
from plimsoll.instruments.exact import BASE, COINS, EXCHANGE, PAYMENT
from plimsoll.ledger import EventBatch, TradeReason, TransferReason, apply
from plimsoll.ledger.checks import check_batch
from plimsoll.liquidation.closing import holdings_of
from plimsoll.margin import assess
from plimsoll.margin.exposure import measure_exposure, notional_coefficient
from plimsoll.margin.layout import lay_out_book
from plimsoll.market import Market

SYSTEM = len(SystemPool)
REFUSED = "the batch was not applied"
REDUCE_ONLY = (int(PoolState.RESTRICTED), int(PoolState.RESTRICTED_FALLING))
"""States in which a pool's positions may shrink and not grow."""


def admit(
    book: Book | LiveBook, market: Market, batch: EventBatch, rules: Rules, state: GateState
) -> None:
    """Raises LedgerError, naming the event, where a batch may not be applied at a market.

    It costs what the batch holds, and next to nothing where every market is open and nothing
    leaves a pool.
    """
    reason = batch.transfers.reason
    takes = (reason == TransferReason.WITHDRAWAL) | (reason == TransferReason.MARGIN)
    admit_states(book, batch)
    if not takes.any() and not book.market_phase.any() and not batch.phases.phase.size:
        return
    check_batch(book, batch)
    admit_phases(book, batch)
    if takes.any():
        _admit_outflow(book, market, batch, rules.gates, state)
        _admit_withdrawals(book, market, batch, np.flatnonzero(takes), rules)


def admit_phases(book: Book | LiveBook, batch: EventBatch) -> None:
    """Raises LedgerError on an event that its market's phase does not allow.

    HALTED allows nothing, CANCEL_ONLY cancels, REDUCE_ONLY also reduce-only orders and fills that
    leave every customer's position smaller. The phases are those before the batch.
    """
    phase = book.market_phase
    if not phase.any():
        return
    placed, trades = batch.placements, batch.trades
    if (phase == MarketPhase.HALTED).any():
        cancelled = phase[_order_instruments(book, batch)] == MarketPhase.HALTED
        _refuse("cancels", cancelled, "the market is halted", "wait until it is cancel-only")
    remedy = "wait until the market reopens"
    shut = phase[placed.instrument] >= MarketPhase.CANCEL_ONLY
    _refuse("placements", shut, "the market takes no orders", remedy)
    shut = phase[trades.instrument] >= MarketPhase.CANCEL_ONLY
    _refuse("trades", shut, "nothing is traded in the market", remedy)
    adds = (phase[placed.instrument] == MarketPhase.REDUCE_ONLY) & ~placed.is_reduce_only
    _refuse("placements", adds, "the market is reduce-only", "place a reduce-only order")
    opened = len(batch.accounts.ids) + batch.pools.account.size
    everyone = np.ones(book.pool_count + opened, dtype=np.bool_)
    asked = phase[trades.instrument] == MarketPhase.REDUCE_ONLY
    grows = _increases(book, batch, asked, everyone)
    remedy = "trade at most what closes the position"
    _refuse("trades", grows, "it increases a position in a reduce-only market", remedy)


def admit_states(book: Book | LiveBook, batch: EventBatch) -> None:
    """Raises LedgerError on an order or fill that adds to a pool which may only reduce."""
    trades = batch.trades
    if not batch.placements.pool.size and not trades.pool.size:
        return
    touched = np.concatenate([batch.placements.pool, trades.pool, trades.counterparty])
    touched = touched[(touched >= 0) & (touched < book.pool_count)]
    restricted, falling = REDUCE_ONLY
    state = book.pool_state[touched]
    held_back = touched[(state == restricted) | (state == falling)]
    if not held_back.size:
        return
    check_batch(book, batch)
    # Pools that the batch opens are bound by nothing yet.
    opened = len(batch.accounts.ids) + batch.pools.account.size
    bound = np.zeros(book.pool_count + opened, dtype=np.bool_)
    bound[held_back] = True
    adds = bound[batch.placements.pool] & ~batch.placements.is_reduce_only
    _refuse("placements", adds, "its pool may only reduce", "place a reduce-only order")
    asked = bound[trades.pool] | bound[trades.counterparty]
    grows = _increases(book, batch, asked, bound)
    _refuse("trades", grows, "its pool may only reduce", "trade at most what closes the position")


def _refuse(table: str, bad: Bools, problem: str, remedy: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LedgerError(f"{table}[{row}]", problem, f"{REFUSED}; {remedy}")


def _order_instruments(book: Book | LiveBook, batch: EventBatch) -> Int64s:
    """Instruments of the orders that a batch cancels."""
    rows = book.rows
    ids = book.orders.table.columns[0] if isinstance(book, LiveBook) else book.orders.order_id
    found = np.zeros(batch.cancels.pool.size, dtype=np.int64)
    pairs = zip(batch.cancels.pool.tolist(), batch.cancels.order_id.tolist(), strict=True)
    for event, (pool, order_id) in enumerate(pairs):
        first, end = int(rows.order_begin[pool]), int(rows.order_end[pool])
        at = first + int(np.searchsorted(ids[first:end], order_id))
        found[event] = rows.order_instrument[at]
    return found


def _increases(book: Book | LiveBook, batch: EventBatch, asked: Bools, bound: Bools) -> Bools:
    """Fills, of those asked for, that leave a bound customer's position larger or turned around.

    ``bound`` is by pool, those that the batch opens included. Fills are taken one after another;
    a spot position is the balance of the base asset.
    """
    trades, units = batch.trades, book.instruments.exact
    grows = np.zeros(trades.pool.size, dtype=np.bool_)
    held: dict[tuple[int, int], int] = {}
    for event in np.flatnonzero(asked & (trades.reason == TradeReason.FILL)).tolist():
        instrument = int(trades.instrument[event])
        is_spot = units[instrument, PAYMENT] == EXCHANGE
        asset = int(units[instrument, BASE]) if is_spot else -1
        step = int(trades.quantity[event]) * (int(units[instrument, COINS]) if is_spot else 1)
        for pool, change in ((trades.pool[event], step), (trades.counterparty[event], -step)):
            if pool < SYSTEM or not bound[pool]:
                continue
            key = int(pool), -1 - asset if is_spot else instrument
            before = held.get(key)
            if before is None:
                before = _held(book, int(pool), instrument, asset)
            grows[event] |= before * change >= 0 or abs(change) > abs(before)
            held[key] = before + change
    return grows


def _held(book: Book | LiveBook, pool: int, instrument: int, asset: int) -> int:
    """Units of a pool's position, or of its balance where ``asset`` is not -1."""
    if pool >= book.pool_count:
        return 0
    rows, wanted = book.rows, instrument if asset < 0 else asset
    begin, end, ids, values = (
        (rows.position_begin, rows.position_end, rows.instrument, rows.quantity)
        if asset < 0
        else (rows.balance_begin, rows.balance_end, rows.asset, rows.amount)
    )
    own = slice(int(begin[pool]), int(end[pool]))
    at = np.flatnonzero(ids[own] == wanted)
    return int(values[own][at[0]]) if at.size else 0


def _admit_outflow(
    book: Book | LiveBook, market: Market, batch: EventBatch, rules: GateRules, state: GateState
) -> None:
    """Raises LedgerError where withdrawals of a window would come to more than its limit."""
    leaves = withdrawn(book, batch)
    if leaves is None or not rules.outflows:
        return
    opened = state.opened(book, batch.time_ns, rules)
    assets = book.instruments.assets
    with np.errstate(divide="ignore", invalid="ignore"):
        per_usd = 1.0 / (market.index * assets.unit)
    for number, limit in enumerate(rules.outflows):
        # Where no price says what the floor is worth there is none.
        floor = np.nan_to_num(limit.floor_usd * per_usd, nan=0.0)
        most = np.maximum(limit.share * opened.held[number], floor)
        # Where prices have moved the floor an asset may be beyond it that nobody takes out now.
        over = np.flatnonzero((leaves > 0) & (opened.left[number] + leaves > most))
        if over.size:
            asset = int(over[0])
            moved = batch.transfers
            of_asset = (moved.reason == TransferReason.WITHDRAWAL) & (moved.asset == asset)
            row = int(np.flatnonzero(of_asset)[-1])
            left = (most[asset] - opened.left[number, asset]) * assets.unit[asset]
            raise LedgerError(
                f"transfers[{row}]",
                f"withdrawals of {assets.names[asset]} would pass the venue's limit for "
                f"{limit.window_ns / 1e9:,.0f} s, of which {max(left, 0.0):,.2f} are left",
                f"{REFUSED}; withdraw less, or in the next window",
            )


def _admit_withdrawals(
    book: Book | LiveBook, market: Market, batch: EventBatch, rows: Int64s, rules: Rules
) -> None:
    """Raises LedgerError where a pool that pays would keep less than it must after the batch."""
    moved = batch.transfers
    payer = np.where(moved.amount > 0, moved.source, moved.target)[rows].astype(np.int64)
    payer, rows = payer[payer >= SYSTEM], rows[payer >= SYSTEM]
    if not payer.size:
        return
    after, pools = _after(book, batch)
    asked = distinct(payer)
    at = np.searchsorted(pools, asked)
    free, needed = _free_and_needed(after, market, at, rules)
    with np.errstate(invalid="ignore"):
        refused = ~(free >= needed)
    if not refused.any():
        return
    k = int(np.flatnonzero(refused)[0])
    row = int(rows[np.flatnonzero(payer == asked[k])[0]])
    place = f"transfers[{row}]"
    if after.pool_state[at[k]] == PoolState.LIQUIDATING:
        remedy = f"{REFUSED}; wait until the liquidation has ended"
        raise LedgerError(place, f"pool {asked[k]} is being liquidated", remedy)
    if not np.isfinite(free[k]) or not np.isfinite(needed[k]):
        remedy = f"{REFUSED}; wait until every price that the pool needs is usable"
        raise LedgerError(place, f"what pool {asked[k]} must hold is not known", remedy)
    raise LedgerError(
        place,
        f"it would leave pool {asked[k]} {free[k]:,.2f} where {needed[k]:,.2f} must stay",
        f"{REFUSED}; withdraw less, or close positions first",
    )


def _after(book: Book | LiveBook, batch: EventBatch) -> tuple[Book, Int64s]:
    """The pools that a batch touches as it would leave them, and their numbers, ascending.

    Pools that it opens come last. A pool's assessment needs no row but its own.
    """
    old = book.pool_count
    parts = (
        np.arange(SYSTEM),
        *(batch.cancels.pool, batch.placements.pool, batch.trades.pool),
        *(batch.trades.counterparty, batch.transfers.source, batch.transfers.target),
        batch.states.pool,
    )
    touched = distinct(np.concatenate(parts).astype(np.int64))
    known = touched[touched < old]
    opened = len(batch.accounts.ids) + batch.pools.account.size
    pools = np.concatenate([known, old + np.arange(opened)])
    part = book.take(known) if isinstance(book, LiveBook) else take_pools(book, known)
    number = np.zeros(old + opened, dtype=np.int64)
    number[pools] = np.arange(pools.size)
    return apply(part, renumbered(batch, number)), pools


def _free_and_needed(
    book: Book, market: Market, pools: Int64s, rules: Rules
) -> tuple[Floats, Floats]:
    """What pools have that may stand for what must stay, and what must; NaN where not known."""
    found = assess(book, market, rules.models)
    rates = notional_coefficient(book.instruments, market.mark, market.index)
    held = holdings_of(book, pools, rates)
    notional = sum_by(held.owner, held.notional, pools.size)
    free = found.collateral_value[pools].copy()
    if not rules.gates.counts_unrealised:
        free -= np.maximum(_unrealised(book, market)[pools], 0.0)
    needed = np.maximum(found.initial_margin[pools], rules.gates.withdrawal_share * notional)
    barred = (found.status[pools] == Status.UNKNOWN) | (
        (book.pool_state[pools] == PoolState.LIQUIDATING)
        & (book.pool_kind[pools] != PoolKind.SYSTEM)
    )
    free[barred] = np.nan
    return free, needed


def _unrealised(book: Book, market: Market) -> Floats:
    """Unrealised profit by pool, USD: value at mark less cost, which options do not have."""
    layout = lay_out_book(book)
    exposure = measure_exposure(book, market, layout)
    profit = exposure.cell_equity - exposure.cell_balance
    # An asset that nothing is settled in needs no price.
    value = np.where(profit == 0, 0.0, profit * exposure.cell_price)
    pool = np.repeat(np.arange(book.pool_count), np.diff(layout.cell_offsets))
    return sum_by(pool, value, book.pool_count)
