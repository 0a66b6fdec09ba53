"""The engine of ``step`` at the cost of what changes: a book in place, the watch before ``assess``.

After every call the book, the decisions and the pools' standing are those that ``step`` would
have reached; only pools that something can have happened to are looked at:

- those whose status the watch says has changed, at a tick or through an event;
- those whose procedure and status do not agree yet, which are *under review* at every step: in
  liquidation, called without a call in force, or in call without having been called.
"""

from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np

from plimsoll.book import LiveBook, PoolState, SystemPool
from plimsoll.core import Floats, Int64s, LedgerError, Status
from plimsoll.engine.admission import REDUCE_ONLY, admit, admit_phases, admit_states
from plimsoll.engine.decide import Decided, assess_pools, decide
from plimsoll.engine.emergency import change_phases
from plimsoll.engine.gates import GateState
from plimsoll.engine.renumber import renumbered
from plimsoll.engine.rules import Rules, rules_at
from plimsoll.engine.state import EngineState, Inputs
from plimsoll.engine.step import open_state
from plimsoll.ledger import (
    EventBatch,
    Preview,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    apply,
    apply_live,
    fill,
    transfer,
)
from plimsoll.ledger.checks import check_batch
from plimsoll.ledger.events import one_row
from plimsoll.liquidation import Pace, fund_holds
from plimsoll.liquidation.calls import Trend
from plimsoll.margin import Assessment, assess
from plimsoll.margin.watch import Watch
from plimsoll.market import Market, PriceBatch, PriceBoard

SYSTEM = len(SystemPool)


def _none() -> Int64s:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LiveOutcome:
    """What a call did: ``decisions`` in order, and the pools that were ``woken``: looked at.

    ``called``, ``in_question`` and ``taken_over`` are pool numbers, as in ``Outcome``.
    """

    decisions: tuple[EventBatch, ...] = ()
    woken: Int64s = field(default_factory=_none)
    called: Int64s = field(default_factory=_none)
    in_question: Int64s = field(default_factory=_none)
    taken_over: Int64s = field(default_factory=_none)


@final
class LiveEngine:
    """An engine that holds its book; made by ``open``. It belongs to one thread.

    After an error of an event batch the book is as before; the prices of that call are not taken.
    """

    __slots__ = (
        "_board", "_gates", "_market", "_pace", "_preview", "_review", "_rooms", "_rules",
        "_rules_now", "_watch", "book",
    )  # fmt: skip

    book: LiveBook
    _board: PriceBoard
    _gates: GateState
    _market: Market
    _pace: Pace
    _preview: Preview
    _review: Int64s
    _rules: Rules
    _rooms: dict[int, Any]
    _rules_now: Rules | None
    _watch: Watch

    @classmethod
    def open(cls, state: EngineState, rules: Rules) -> "LiveEngine":
        """Go on from a state: what is due at its prices is found at the first step."""
        self = cls.__new__(cls)
        self.book = LiveBook.of(state.book)
        self._board, self._rules, self._rooms, self._rules_now = state.board, rules, {}, None
        self._pace, self._gates = state.pace, state.gates
        self._preview = Preview(self.book)
        self._market = state.board.market(state.book.time_ns, rules.sanity)
        own = tuple(
            tuple((level.ratio, level.clear_ratio) for level in ladder.announced)
            for ladder in rules.ladders
        )
        self._watch = Watch.arm(self.book, self._market, rules.models, holds=True, own_levels=own)
        state_of, status = state.book.pool_state, self._watch.status
        is_due = (state_of != PoolState.NORMAL) | (status >= Status.MARGIN_CALL)
        is_due |= self._watch.reached(np.arange(state_of.size)) > 0
        is_due[:SYSTEM] = False
        self._review = np.flatnonzero(is_due)
        return self

    @property
    def watch(self) -> Watch:
        """The watch over the book; read it, do not drive it."""
        return self._watch

    @property
    def market(self) -> Market:
        """The market of the last step."""
        return self._market

    def state(self) -> EngineState:
        """The state that ``step`` would have come to; copies the book."""
        state = open_state(self.book.snapshot(), self._board.sources)
        return replace(state, board=self._board, pace=self._pace, gates=self._gates)

    def step(self, inputs: Inputs) -> LiveOutcome:
        """Prices, then events, then decisions. Raises LedgerError where events are refused."""
        if inputs.events.event_count and inputs.events.time_ns != inputs.time_ns:
            raise LedgerError("inputs.events", "are of another time", "give both the step's time")
        before, sanity = self._board.last_mark(), self._rules.sanity
        board = self._board.observe(inputs.prices, sanity)
        market = board.market(inputs.time_ns, sanity)
        touched = _none()
        if inputs.events.event_count:
            touched = self._take(inputs.events, market)
        self._board = board.remember(market, sanity)
        phases = change_phases(
            self.book, self._board, market, self._gates, self._rules.gates, sanity
        )
        if not phases.event_count:
            return self._see(market, touched, before)
        self._gates = self._gates.after(self.book, phases, self._rules.gates, decided=True)
        apply_live(self.book, phases)
        outcome = self._see(market, touched, before)
        return replace(outcome, decisions=(phases, *outcome.decisions))

    def _take(self, batch: EventBatch, market: Market) -> Int64s:
        """Post a batch from outside, if it may be; the pools it touched."""
        admit(self.book, market, batch, self._rules, self._gates)
        gates = self._gates.after(self.book, batch, self._rules.gates, decided=False)
        touched = apply_live(self.book, batch)
        self._gates = gates
        return touched

    def observe(self, market: Market) -> LiveOutcome:
        """A step without events at a market made elsewhere, with volatilities and forwards, say."""
        return self._see(market, _none(), self._market.mark)

    def _see(self, market: Market, touched: Int64s, before: Floats) -> LiveOutcome:
        """Move to a market; decide on what it has changed and on the pools touched."""
        self._market = market
        self._rooms.clear()
        self._rules_now = None
        changed = self._watch.tick(market).pool
        # Only now: a pool is judged at the prices that came with what it did.
        if touched.size:
            self._watch.rearm(self.book, self._rules.models, touched)
        return self._settle(np.concatenate([changed, touched]), before)

    def fill(
        self, pool: int, counterparty: int, instrument: int, quantity: int, price: int, fee: int,
        time_ns: int,
    ) -> LiveOutcome:  # fmt: skip
        """One trade, judged at the market of the last step; what is due then is a step of its own.

        Units as in ``Trades``: exact units of the instrument, its price and its settle asset.
        Raises LedgerError where the market's phase or a pool's state does not allow it.
        """
        is_bound = self._may_only_reduce(pool) or self._may_only_reduce(counterparty)
        if is_bound or self.book.market_phase.any():
            row = (pool, counterparty, instrument, quantity, price, fee, TradeReason.FILL)
            batch = EventBatch(time_ns, trades=one_row(Trades(), row))
            check_batch(self.book, batch)
            admit_phases(self.book, batch)
            admit_states(self.book, batch)
        fill(self.book, pool, counterparty, instrument, quantity, price, fee, time_ns)
        return self._touch(pool, counterparty, time_ns)

    def _may_only_reduce(self, pool: int) -> bool:
        # Compared as plain integers: enumerations would cost a fill half its time.
        return 0 <= pool < self.book.pool_count and int(self.book.pool_state[pool]) in REDUCE_ONLY

    def transfer(
        self, source: int, target: int, asset: int, amount: int, time_ns: int
    ) -> LiveOutcome:
        """One transfer, judged as ``fill`` is; ``amount`` counts units of the asset."""
        transfer(self.book, source, target, asset, amount, time_ns)
        return self._touch(source, target, time_ns)

    def withdraw(self, pool: int, asset: int, amount: int, time_ns: int) -> LiveOutcome:
        """A withdrawal of ``amount`` (> 0, units of the asset), as a step of its own.

        Raises LedgerError where the gates refuse it; nothing is changed then.
        """
        row = (pool, SystemPool.WORLD, asset, amount, TransferReason.WITHDRAWAL)
        batch = EventBatch(time_ns, transfers=one_row(Transfers(), row))
        return self.step(Inputs(time_ns, PriceBatch.nothing(), batch))

    def what_if(
        self, pool: int, instrument: int, quantity: int, price: int, fee: int = 0
    ) -> Assessment:
        """How a pool would stand after a trade with the market, at the market of the last step.

        Units as in ``Trades``; one row, nothing is changed. Raises LedgerError where a fill
        would be refused.
        """
        number = int(self.book.account_model[self.book.pool_account[pool]])
        resolved = self._prepared().models.models[number]
        sweep = resolved.model.sweep
        if sweep is None:
            return self.what_if_posted(pool, instrument, quantity, price, fee)
        sheet = resolved.sheet_at(self._market)
        if number not in self._rooms:
            self._rooms[number] = sweep.room(self.book.rows, sheet)
        rows = self._preview.trade(pool, instrument, quantity, price, fee)
        return sweep.run(rows, None, sheet, self._rooms[number])

    def what_if_posted(
        self, pool: int, instrument: int, quantity: int, price: int, fee: int = 0
    ) -> Assessment:
        """``what_if`` by posting the trade to a small book: for models without a sweep."""
        part = self.book.take(np.append(np.arange(SYSTEM), pool))
        row = (SYSTEM, SystemPool.MARKET, instrument, quantity, price, fee, TradeReason.FILL)
        after = apply(part, EventBatch(part.time_ns, trades=one_row(Trades(), row)))
        return assess_pools(after, np.array([SYSTEM]), self._market, self._prepared())

    def _touch(self, pool: int, other: int, time_ns: int) -> LiveOutcome:
        """Judge and guard two pools again; the system's are not margined."""
        pools = [each for each in (pool, other) if each >= SYSTEM]
        changes = self._watch.rearm(self.book, self._rules.models, np.array(pools, dtype=np.int64))
        if not changes.pool.size:
            # What is under review is so until the next step.
            return LiveOutcome()
        self._review = np.union1d(self._review, changes.pool)
        return self.step(Inputs(time_ns, PriceBatch.nothing(), EventBatch(time_ns)))

    def _settle(self, touched: Int64s, before: Floats) -> LiveOutcome:
        """Decide on the pools touched and those under review, and post what was decided.

        ``before`` [instruments] is the mark of the step before.
        """
        woken = np.union1d(touched, self._review)
        woken = woken[woken >= SYSTEM]
        if not woken.size and not fund_holds(self.book.rows):
            return LiveOutcome()
        pools = np.concatenate([np.arange(SYSTEM), woken])
        decided = self._decide(pools, before, is_whole=False)
        if decided.needs_whole:
            pools = np.arange(self.book.pool_count)
            decided = self._decide(pools, before, is_whole=True)
            woken = np.union1d(woken, decided.touched)
        self._pace = decided.pace
        decisions = tuple(renumbered(batch, pools) for batch in decided.batches)
        for batch in decisions:
            self._watch.rearm(self.book, self._rules.models, apply_live(self.book, batch))
        # What the watch holds as found, though it passed before anything was done, is let go.
        unsettled = self._unsettled(woken)
        self._watch.rearm(self.book, self._rules.models, unsettled, forgets=True)
        self._review = self._unsettled(woken)
        taken = [item.taken_over for item in decided.rounds]
        return LiveOutcome(
            decisions=decisions,
            woken=woken,
            called=pools[decided.called],
            in_question=pools[decided.in_question],
            taken_over=pools[np.concatenate([_none(), *taken])],
        )

    def _decide(self, pools: Int64s, before: Floats, is_whole: bool) -> Decided:
        """Decisions on some pools; on all of them where counterparties are wanted: a sweep."""
        part, rules = self.book.take(pools), self._prepared()
        found = assess(part, self._market, rules.models)
        return decide(part, found, self._market, rules, self._pace, before, is_whole)

    def _prepared(self) -> Rules:
        """The rules with what they need of the market in force, made once for it."""
        if self._rules_now is None:
            self._rules_now = rules_at(self._rules, self._market)
        return self._rules_now

    def _unsettled(self, pools: Int64s) -> Int64s:
        """Pools whose procedure and status do not say the same: nothing would wake them.

        The watch reports where a level begins and where it is over; a pool with another level
        announced than the watch has for it would pass its next line unnoticed, and a dwell passes
        without a tick.
        """
        state = self.book.pool_state[pools]
        status = self._watch.statuses(pools)
        model = self.book.account_model[self.book.pool_account[pools]]
        announced, trend = np.zeros((2, pools.size), dtype=np.int8)
        for number, ladder in enumerate(self._rules.ladders):
            at = np.flatnonzero(model == number)
            announced[at] = ladder.steps.level[state[at]]
            trend[at] = ladder.steps.trend[state[at]]
        agrees = (status == Status.UNKNOWN) | (self._watch.reached(pools) == announced)
        agrees &= (status != Status.MARGIN_CALL) | (announced > 0)
        is_over = (state == PoolState.LIQUIDATING) | (status >= Status.LIQUIDATABLE)
        return np.asarray(pools[~agrees | (trend != Trend.SETTLED) | is_over])
