"""The watch over a book: which pools a tick can have moved, found as a sweep would find them."""

from typing import Any, final

import numpy as np

from plimsoll.book import Book, Rows, take_pools
from plimsoll.core import Floats, InputError, Int8s, Int32s, Int64s, Status, distinct
from plimsoll.margin.assess import Plan, assess, lay_out
from plimsoll.margin.assessment import Assessment
from plimsoll.margin.model import ModelSet
from plimsoll.margin.watch.boxes import draw_boxes, marked_by, rest_rows, usual_moves
from plimsoll.margin.watch.build import (
    Pairs,
    Watched,
    desk_of,
    empty_ladder,
    empty_log,
    grown,
    legs_by_row,
    longer,
    ratios_of,
    rungs_of,
    with_pools,
)
from plimsoll.margin.watch.changes import Changes, WatchStats
from plimsoll.margin.watch.contract import ASSESSED, Desk
from plimsoll.margin.watch.ladder import (
    ASKED,
    FIRED,
    LISTS,
    LOOKED,
    RENEWED,
    UPDATES,
    Ladder,
)
from plimsoll.margin.watch.loop import (
    ASK,
    CROWD,
    DONE,
    LEFT_BOX,
    LOG_FULL,
    NO_ROOM,
    UNKNOWN,
    guard_asked,
    judge_all,
    loosen_fired,
    move_rows,
    note_found,
    release_all,
    run,
    touched_pools,
)
from plimsoll.margin.watch.loose import Loose, crowd_of, sweep_loose
from plimsoll.margin.watch.machine import (
    Log,
    Rungs,
    make_machine,
    set_desk,
    set_ladder,
    set_log,
    set_rows,
    set_rungs,
)
from plimsoll.margin.watch.market_rows import MarketRows
from plimsoll.market import Market


@final
class Watch:
    """Knows every pool's status at the last tick, and looks only at pools that may have left it.

    Made by ``arm``. Pools of ``plimsoll.standard`` and ``plimsoll.portfolio`` are guarded by
    compiled code; those of a model that has no such code here are assessed at every tick, which
    is right but slow. A watch changes with every call; it belongs to one thread.
    """

    __slots__ = (
        "_assessed", "_book", "_desk", "_holds", "_ladder", "_layout", "_levels", "_log", "_loose",
        "_machine", "_market", "_models", "_moves", "_nothing", "_own", "_plan", "_pools",
        "_reached", "_rows", "_rungs", "_standing",
    )  # fmt: skip

    _book: Book | Watched
    _market: Market
    _layout: MarketRows
    _models: ModelSet
    _levels: Pairs
    _own: tuple[Pairs, ...]
    _reached: Int8s
    _holds: bool
    _moves: Floats
    _machine: Any
    _ladder: Ladder
    _desk: Desk
    _rows: Rows
    _rungs: Rungs
    _log: Log
    _loose: Loose
    _pools: int
    _standing: Int64s
    _plan: tuple[Book, Plan] | None
    _nothing: Changes
    _assessed: int

    @classmethod
    def arm(
        cls,
        book: Book | Watched,
        market: Market,
        models: ModelSet,
        moves: Floats | None = None,
        levels: Pairs = (),
        holds: bool = False,
        own_levels: tuple[Pairs, ...] = (),
    ) -> "Watch":
        """A watch over all pools of a book, as they stand at a market.

        ``moves`` are usual daily moves by row of ``MarketRows``: fractions, but for rates and the
        seconds in a day; 0 for what never moves (``usual_moves`` where None). ``levels`` are
        margin ratios to watch besides 1 and each model's margin call, each with the ratio, no
        larger, that it clears below. If it ``holds``, a pool keeps its margin call until its
        ratio is below the model's clear ratio, and being liquidatable or bankrupt until ``rearm``
        names it, as the engine's procedure does; else a status is what an assessment says at that
        tick. ``own_levels`` are more such pairs for each model, all rising; where one has the
        ratio of the model's margin call it stands for it.
        """
        every = (*levels, *(pair for pairs in own_levels for pair in pairs))
        if not all(0.0 < clear <= ratio <= 1.0 for ratio, clear in every):
            problem = "are no pairs of fractions, a ratio and what it clears below"
            raise InputError("levels", problem, "use (0.8, 0.7) for 80 % until below 70 %")
        self = cls.__new__(cls)
        self._book, self._market, self._models = book, market, models
        self._levels, self._holds, self._own = levels, holds, own_levels
        self._layout = MarketRows.of(book.instruments, market.as_of_ns)
        self._moves = usual_moves(market) if moves is None else moves
        self._pools, self._assessed = book.pool_count, 0
        self._standing, self._plan = np.zeros(0, dtype=np.int64), None
        self._loose = Loose()
        self._build()
        self._nothing = self._take_changes()
        self._judge(np.arange(self._pools, dtype=np.int32), 0)
        self._ask(0)
        self._take_changes()
        return self

    @property
    def status(self) -> Int8s:
        """Status of every pool, shape [pools], as a sweep at the last tick would have it."""
        return self._statuses(np.arange(self._pools), self._rungs.rung[: self._pools])

    @property
    def level(self) -> Int8s:
        """Level of every pool, shape [pools], as ``Changes.level``."""
        return self._rungs.rung[: self._pools].copy()

    @property
    def market(self) -> Market:
        """The market that the watch has come to."""
        return self._market_now()

    @property
    def market_rows(self) -> MarketRows:
        """Where rows of ``replay`` lie."""
        return self._layout

    @property
    def stats(self) -> WatchStats:
        """Work done and memory held."""
        count, ladder = self._ladder.tally, self._ladder
        parts = {
            "entries": (ladder.entries, ladder.chain, ladder.home, ladder.free_chunks),
            "legs": (ladder.legs,),
            "guards": (ladder.guards, ladder.cards, ladder.free_hot, ladder.free_cold),
            "lists": (ladder.lists,),
            "boxes": (ladder.low, ladder.high),
            "pools": (ladder.by_pool, ladder.asked, self._rungs.rung, self._desk.model),
            "fired": (ladder.fired,),
        }
        return WatchStats(
            evaluated=int(count[LOOKED]),
            renewed=int(count[RENEWED]),
            assessed=self._assessed,
            updates=int(count[UPDATES]),
            lists=int(count[LISTS]),
            loose=self._loose.count,
            bytes=tuple((name, sum(c.nbytes for c in part)) for name, part in parts.items()),
        )

    def status_of(self, pool: int) -> Status:
        """Status of one pool."""
        return Status(int(self.statuses(np.array([pool]))[0]))

    def statuses(self, pools: Int64s) -> Int8s:
        """Status of some pools."""
        return self._statuses(pools, self._rungs.rung[pools])

    def reached(self, pools: Int64s) -> Int8s:
        """How many of its model's own levels each pool has reached; -1 for one that is UNKNOWN."""
        rung, model = self._rungs.rung[pools], np.maximum(self._desk.model[pools], 0)
        return np.where(rung == UNKNOWN, np.int8(-1), self._reached[model, np.maximum(rung, 0)])

    def tick(self, market: Market) -> Changes:
        """Move to a market; returns the pools whose status or level it changed.

        Of what is no row, its surfaces and its venue's state, only models that are assessed at
        every tick know anything.
        """
        if market.instruments is not self._market.instruments:
            raise InputError("market", "is of other instruments", "arm a new watch")
        before, after = self._ladder.price, self._layout.vector(market)
        moved = np.flatnonzero((after != before) & ~(np.isnan(after) & np.isnan(before)))
        self._market = market
        if moved.size or self._has_unguarded:
            offsets = np.array([0, moved.size], dtype=np.int64)
            self._advance(offsets, moved.astype(np.int32), after[moved])
        return self._take_changes()

    def replay(self, offsets: Int64s, rows: Int32s, values: Floats) -> Changes:
        """Many ticks at once: tick k sets rows[offsets[k]:offsets[k + 1]] of ``market_rows``.

        Within a tick a row may occur once.
        """
        self._advance(offsets, rows, values)
        return self._take_changes()

    def rearm(
        self, book: Book | Watched, models: ModelSet, pools: Int64s, forgets: bool = False
    ) -> Changes:
        """Go on with a book and models that differ in the given pools alone.

        ``pools`` must name every pool with other rows or other rules than before, new ones
        included, each once. Returns those whose status or level that changed; a new pool counts
        as OK before. So does one that it ``forgets``, whatever level it has kept.
        """
        if book.instruments is not self._book.instruments:
            raise InputError("book", "is of other instruments", "arm a new watch")
        self._book, rows = book, book.rows
        if book.pool_count > self._pools:
            self._add_pools(book)
        if models is not self._models:
            self._models = models
            self._set_rules()
        if rows is not self._rows:
            self._rows = rows
            set_rows(self._machine, rows)
        if self._standing.size:
            self._standing, self._plan = np.setdiff1d(self._standing, pools), None
        self._loose.drop(pools)
        if forgets:
            held = self._rungs.rung[pools]
            self._rungs.rung[pools] = np.minimum(held, 0)
        if self._judge(pools.astype(np.int32), 0, is_event=True):
            self._ask(0, is_event=True)
        return self._take_changes()

    def _build(self) -> None:
        """Columns for the book as it is, without a guard."""
        book, layout, rows = self._book, self._layout, self._book.rows
        legs = legs_by_row(rows, layout, self._models, book.instruments, self._pools)
        self._ladder, x = empty_ladder(self._pools, *legs), layout.vector(self._market)
        self._ladder.price[:] = x
        everything = np.arange(layout.count)
        rest_rows(self._ladder, layout, everything, x, self._moves)
        boxes = np.arange(self._ladder.low.shape[0])
        draw_boxes(self._ladder, layout, everything, x, self._moves, boxes)
        self._desk = desk_of(self._models, layout, book.instruments, self._models_of(0))
        found = ratios_of(self._models, self._levels, self._holds, self._own)
        ratios, clears, self._reached = found
        self._rungs, self._rows, self._log = (
            rungs_of(ratios, clears, self._pools),
            rows,
            empty_log(),
        )
        self._machine = make_machine(self._ladder, self._desk, self._rows, self._rungs, self._log)

    def _models_of(self, first: int) -> Int32s:
        """The model of each pool from ``first`` on, -1 for the system's."""
        account = self._book.pool_account[first : self._book.pool_count]
        if not self._book.account_model.size:
            return np.full(account.size, -1, dtype=np.int32)
        model = self._book.account_model[np.maximum(account, 0)]
        return np.where(account < 0, -1, model).astype(np.int32)

    def _add_pools(self, book: Book | Watched) -> None:
        """Make room for pools that are new."""
        known, count = self._desk.model.size, book.pool_count
        if count > known:
            more = max(count - known, known // 2)
            self._ladder = with_pools(self._ladder, more)
            self._desk = self._desk._replace(model=longer(self._desk.model, more, -1))
            self._rungs = self._rungs._replace(rung=longer(self._rungs.rung, more))
            set_ladder(self._machine, self._ladder)
            set_desk(self._machine, self._desk)
            set_rungs(self._machine, self._rungs)
        self._desk.model[self._pools : count] = self._models_of(self._pools)
        self._pools = count

    def _set_rules(self) -> None:
        """Take over the models' rules and ratios."""
        model = self._desk.model
        model[: self._pools] = self._models_of(0)
        self._desk = desk_of(self._models, self._layout, self._book.instruments, model)
        found = ratios_of(self._models, self._levels, self._holds, self._own)
        ratios, clears, self._reached = found
        self._rungs = self._rungs._replace(ratios=ratios, clears=clears)
        set_desk(self._machine, self._desk)
        set_rungs(self._machine, self._rungs)

    def _advance(self, offsets: Int64s, rows: Int32s, values: Floats) -> None:
        """All ticks, seeing to whatever the compiled loop cannot do by itself."""
        ticks = offsets.size - 1
        cursor = np.array([0, 0, ticks], dtype=np.int64)
        while cursor[0] < ticks:
            # What has no guard is assessed at every tick.
            cursor[2] = cursor[0] + 1 if self._has_unguarded else ticks
            code = run(self._machine, offsets, rows, values, cursor, crowd_of(self._pools))
            tick = int(cursor[0])
            if code == DONE:
                if self._standing.size:
                    self._ask(tick - 1)
                self._sweep_loose(tick - 1)
            elif code == LEFT_BOX:
                part = slice(int(offsets[tick]), int(offsets[tick + 1]))
                self._leave_box(rows[part], values[part], tick)
                cursor[1] = 1
            elif code == CROWD:
                fired = np.zeros(self._ladder.tally[FIRED], dtype=np.int32)
                self._loose.add(fired[: loosen_fired(self._machine, fired)], self._pools)
            elif code == ASK:
                self._ask(tick)
                self._sweep_loose(tick)
                cursor[:2] = tick + 1, 0
            else:
                self._make_room(code)

    @property
    def _has_unguarded(self) -> bool:
        return bool(self._standing.size or self._loose.count)

    def _sweep_loose(self, tick: int) -> None:
        """Sweep the loose pools, and guard some of them again once a storm is over."""
        if self._loose.count:
            market, model = self._market_now(), self._desk.model
            for swept in sweep_loose(self._rows, self._loose, model, market, self._models):
                self._note(tick, *swept)
            if self._judge(self._loose.take_due().astype(np.int32), tick):
                self._ask(tick)

    def _make_room(self, code: int) -> None:
        if code == LOG_FULL:
            bigger = empty_log(2 * self._log.pool.size)
            for name in bigger._fields:
                old = getattr(self._log, name)
                getattr(bigger, name)[: old.size] = old
            self._log = bigger
            set_log(self._machine, bigger)
        elif code == NO_ROOM:
            self._ladder = grown(self._ladder, self._desk.slopes.row.size)
            set_ladder(self._machine, self._ladder)

    def _market_now(self) -> Market:
        """The market with the rows that the ladder has come to."""
        x = self._ladder.price
        if not np.array_equal(x, self._layout.vector(self._market), equal_nan=True):
            self._market = self._layout.market(x, self._market)
        return self._market

    def _leave_box(self, moved: Int32s, values: Floats, tick: int) -> None:
        """Move rows some of which leave boxes, or are lost or found again."""
        ladder, layout = self._ladder, self._layout
        is_out = ~((ladder.inner_low[moved] <= values) & (values <= ladder.inner_high[moved]))
        lost, to = moved[is_out].astype(np.int64), values[is_out]
        is_left = ~((ladder.low[:, lost] <= to) & (to <= ladder.high[:, lost])).all(axis=1)
        boxes = np.flatnonzero(is_left)
        touched = self._touched(lost, boxes)
        if boxes.size == is_left.size:
            # Rows that were or will be NaN can have no legs; the others start afresh.
            release_all(self._machine, touched)
            rest_rows(ladder, layout, lost, to, self._moves)
        draw_boxes(ladder, layout, lost, to, self._moves, boxes)
        move_rows(self._machine, moved, values)
        if self._standing.size:
            self._standing, self._plan = np.setdiff1d(self._standing, touched), None
        # Guards whose slopes have ended are placed anew, whatever the move has made of them.
        if touched.size <= crowd_of(self._pools):
            self._loose.drop(touched.astype(np.int64))
            self._judge(touched, tick)
            return
        is_compiled = self._desk.code[self._desk.model[touched]] != ASSESSED
        release_all(self._machine, touched)
        self._loose.add(touched[is_compiled], self._pools)
        self._judge(touched[~is_compiled], tick)

    def _touched(self, rows: Int64s, boxes: Int64s) -> Int32s:
        """Guarded pools of some boxes with anything that depends on some rows of the market."""
        marks = marked_by(self._layout, self._book.instruments, rows)
        out = np.empty(self._pools, dtype=np.int32)
        return out[: touched_pools(self._machine, boxes, *marks, self._loose.mask, out)]

    def _judge(self, wanted: Int32s, tick: int, is_event: bool = False) -> bool:
        """Judge and guard pools; whether any has been put on ``asked``."""
        done, code = 0, NO_ROOM
        while True:
            code, done = judge_all(self._machine, tick, wanted, done, is_event)
            if code in (DONE, ASK):
                return bool(code == ASK)
            self._make_room(code)

    def _ask(self, tick: int, is_event: bool = False) -> None:
        """Let ``assess`` say how pools stand that compiled code cannot judge."""
        count = self._ladder.tally
        asked = distinct(self._ladder.asked[: count[ASKED]].astype(np.int64))
        count[ASKED] = 0
        if not asked.size and not self._standing.size:
            return
        if asked.size or self._plan is None:
            pools = np.union1d(asked, self._standing)
            book = self._take(pools)
            plan = lay_out(book, None, self._models)
        else:
            pools, (book, plan) = self._standing, self._plan
        result = assess(book, self._market_now(), self._models, plan)
        self._assessed += pools.size
        self._note(tick, pools, result, is_event)
        if asked.size:
            self._plan = None
            self._guard_asked(asked)
        elif self._plan is None:
            self._plan = book, plan

    def _note(self, tick: int, pools: Int64s, found: Assessment, is_event: bool = False) -> None:
        """Put pools, or all loose ones where none is named, on rungs; log those that change."""
        done, calls = 0, self._calls
        columns = found.status, found.collateral_value, found.maintenance_margin
        while done < found.status.size:
            done = note_found(
                self._machine, tick, done, pools, self._loose.mask, calls, *columns, is_event
            )
            if done < found.status.size:
                self._make_room(LOG_FULL)

    def _take(self, pools: Int64s) -> Book:
        book = self._book
        return take_pools(book, pools) if isinstance(book, Book) else book.take(pools)

    def _guard_asked(self, asked: Int64s) -> None:
        """Guard pools just assessed; what cannot be is assessed at every tick from now on."""
        wanted, done = asked.astype(np.int32), 0
        is_left = np.zeros(asked.size, dtype=np.bool_)
        while done < asked.size:
            done = guard_asked(self._machine, wanted, done, is_left)
            if done < asked.size:
                self._make_room(NO_ROOM)
        if is_left.any():
            self._standing = np.union1d(self._standing, asked[is_left])

    @property
    def _calls(self) -> Floats:
        """Margin call ratios, shape [models]."""
        return np.array([m.margin_call_ratio for m in self._models.models])

    def _statuses(self, pools: Int64s | Int32s, rung: Int8s) -> Int8s:
        """The statuses that rungs stand for."""
        model = np.maximum(self._desk.model[pools], 0)
        ratios = self._rungs.ratios[model]
        calls = self._calls[model]
        before_call = (ratios < calls[:, np.newaxis]).sum(axis=1)
        last = ratios.shape[1]
        choices = [rung == UNKNOWN, rung > last, rung == last, rung > before_call]
        statuses = [Status.UNKNOWN, Status.BANKRUPT, Status.LIQUIDATABLE, Status.MARGIN_CALL]
        return np.asarray(np.select(choices, statuses, default=Status.OK), dtype=np.int8)

    def _take_changes(self) -> Changes:
        """What the log holds; the log is empty then."""
        count = int(self._log.tally[0])
        if not count and hasattr(self, "_nothing"):
            return self._nothing
        log = self._log
        tick, pool = log.tick[:count].copy(), log.pool[:count].copy()
        before, after = log.before[:count].copy(), log.after[:count].copy()
        self._log.tally[0] = 0
        return Changes(
            tick=tick,
            pool=pool,
            status_before=self._statuses(pool, before),
            status=self._statuses(pool, after),
            level_before=before,
            level=after,
        )
