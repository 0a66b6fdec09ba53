"""Large books on the move: what tests of the watch on twenty thousand accounts share."""

from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.desk import open_desk
from benchmarks.futures_book import open_futures
from plimsoll.book import Book, LiveBook, SystemPool
from plimsoll.core import NS_PER_SECOND, Floats, Int64s, distinct, stream
from plimsoll.instruments import Kind
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    Placements,
    Trades,
    Transfers,
    apply,
    apply_live,
)
from plimsoll.margin import ModelSet, load_models
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.margin.watch import Changes, Watch
from plimsoll.market import Market
from tests.margin.watch.swept import SYSTEM, Change, Swept, seen

ACCOUNTS = 20_000
SMALL, ALL = (1e-4, 1e-3, 1e-2), (1e-3, 1e-2)
"""Deviations of relative moves: of a few rows, and of all."""
EVENTS = 12
"""Pools that are paid in, pay out or trade between two ticks."""
COLUMNS = ("price", "forward", "implied_vol", "rate")
KINDS = ("coin", "rows", "vol", "none", "all", "jump", "back")
CALM = (0.61, 0.2, 0.14, 0.02, 0.01, 0.01, 0.01)
"""How often a tick moves an underlying, a few rows, volatilities, nothing; then all rows a little,
an underlying a lot, and everything back to where it began."""
STORM = (0.4, 0.2, 0.1, 0.05, 0.15, 0.05, 0.05)
"""The same where most pools are without guards most of the time."""


def futures_crowd() -> tuple[Book, Market, ModelSet]:
    """Futures in one currency under ``plimsoll.standard``."""
    world = open_futures(ACCOUNTS)
    return world.book, world.market, world.models


def options_crowd() -> tuple[Book, Market, ModelSet]:
    """Futures, options, coins and open orders under ``plimsoll.portfolio``."""
    desk = open_desk(ACCOUNTS)
    models = load_models(desk.book.instruments, desk.book.models, desk.market.as_of_ns)
    return desk.book, desk.market, models


@dataclass
class Course:
    """Random markets: small moves, jumps, moves of volatility, numbers lost and found again.

    ``whole`` is the market without losses, ``first`` where it began; ``lost`` are rows of its
    columns that are shown as NaN.
    """

    draw: np.random.Generator
    first: Market
    whole: Market
    shares: tuple[float, ...]
    lost: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, market: Market) -> "Course":
        """A course that starts at a market."""
        return cls(stream(seed, "course"), market, market, STORM if seed % 5 == 4 else CALM)

    def step(self) -> Market:
        """The next market."""
        draw = self.draw
        later = int(draw.choice([0, 1, 900, 20_000], p=[0.5, 0.3, 0.15, 0.05])) * NS_PER_SECOND
        self.whole = replace(self.whole, as_of_ns=self.whole.as_of_ns + later)
        kind = draw.choice(KINDS, p=self.shares)
        if kind == "coin":
            self._scale(self._coin(), float(np.exp(draw.normal(0.0, draw.choice(SMALL)))))
        elif kind == "rows":
            rows = draw.integers(self.whole.price.size, size=int(draw.integers(1, 6)))
            self._scale(rows, np.exp(draw.normal(0.0, draw.choice(SMALL), rows.size)))
        elif kind == "all":
            rows, scale = np.arange(self.whole.price.size), draw.choice(ALL)
            common = draw.normal(0.0, scale)
            self._scale(rows, np.exp(common + draw.normal(0.0, scale / 10, rows.size)))
        elif kind == "vol":
            self._move_vols(float(np.exp(draw.normal(0.0, draw.choice([0.01, 0.1, 0.4])))))
        elif kind == "jump":
            self._scale(self._coin(), float(draw.choice([0.6, 0.9, 1.1, 1.7])))
        elif kind == "back":
            self.whole = replace(self.first, as_of_ns=self.whole.as_of_ns)
        return self._shown()

    def _coin(self) -> Int64s:
        """The marks of one underlying's contracts, and its index, by row of ``Market.price``."""
        table = self.whole.instruments
        asset = int(self.draw.choice(np.unique(table.base)))
        return np.append(np.flatnonzero(table.base == asset), len(table) + asset)

    def _scale(self, rows: Int64s, factor: float | Floats) -> None:
        """Move rows of ``Market.price``, and the forwards of contracts among them."""
        price, forward = self.whole.price.copy(), self.whole.forward.copy()
        price[rows] *= factor
        is_mark = rows < forward.size
        forward[rows[is_mark]] *= factor[is_mark] if isinstance(factor, np.ndarray) else factor
        self.whole = replace(self.whole, price=price, forward=forward)

    def _move_vols(self, factor: float) -> None:
        """Move the volatilities of one underlying, or of all."""
        vol = self.whole.implied_vol.copy()
        rows = self._coin()[:-1] if self.draw.random() < 0.7 else np.arange(vol.size)
        vol[rows] *= factor
        self.whole = replace(self.whole, implied_vol=vol)

    def _shown(self) -> Market:
        """The market with what is lost at present, which is more or less now and then."""
        draw = self.draw
        if self.lost and draw.random() < 0.4:
            self.lost = []
        elif draw.random() < 0.08:
            names = draw.choice(COLUMNS, int(draw.integers(1, 4)), p=[0.5, 0.2, 0.2, 0.1])
            self.lost += [(n, int(draw.integers(getattr(self.whole, n).size))) for n in names]
        columns = {name: getattr(self.whole, name).copy() for name, _ in self.lost}
        for name, row in self.lost:
            columns[name][row] = np.nan
        return replace(self.whole, **columns)


def drawn_batch(draw: np.random.Generator, book: Book, market: Market) -> EventBatch:
    """Deposits, withdrawals, fills and orders of a few pools, and now and then a new account."""
    pools = draw.integers(SYSTEM, book.pool_count, EVENTS).astype(np.int32)
    accounts = NewAccounts()
    if draw.random() < 0.3:
        accounts = NewAccounts((f"new {book.pool_count}",), np.zeros(1, dtype=np.int32))
    return EventBatch(
        book.time_ns + 1,
        accounts=accounts,
        placements=_orders(draw, book, market, pools[:2]),
        trades=_trades(draw, book, market, pools[2:8]),
        transfers=_transfers(draw, book, pools[8:]),
    )


def _sizes(draw: np.random.Generator, book: Book, market: Market, rows: Int64s) -> Int64s:
    """Quantities of some contracts worth some thousand dollars, at least the smallest."""
    table = book.instruments
    each = notional_coefficient(table, market.mark, market.index)[rows]
    usd = draw.lognormal(9.0, 1.5, rows.size) * draw.choice([-1.0, 1.0], rows.size)
    size = np.rint(usd / each / table.quantity_unit[rows]).astype(np.int64)
    return np.where(size == 0, 1, size)


def _usable(book: Book, market: Market) -> Int64s:
    """Contracts that have a notional at present."""
    table = book.instruments
    each = notional_coefficient(table, market.mark, market.index)
    is_open = (table.expiry_ns == 0) | (table.expiry_ns > market.as_of_ns)
    return np.flatnonzero(np.isfinite(each) & (each > 0.0) & ~table.of_kind(Kind.SPOT) & is_open)


def _prices(book: Book, market: Market, rows: Int64s) -> Int64s:
    """Marks in each contract's price units."""
    return np.maximum(np.rint(market.mark / book.instruments.price_unit)[rows], 1).astype(np.int64)


def _trades(draw: np.random.Generator, book: Book, market: Market, pools: Int64s) -> Trades:
    """Fills at mark with the market; every other one adds to, closes or turns a position."""
    usable, held = _usable(book, market), book.positions
    rows = draw.choice(usable, pools.size)
    size = _sizes(draw, book, market, rows)
    for k in range(0, pools.size, 2):
        own = range(int(held.offsets[pools[k]]), int(held.offsets[pools[k] + 1]))
        known = [row for row in own if held.instrument[row] in usable and held.quantity[row]]
        if known:
            row = int(draw.choice(known))
            rows[k] = held.instrument[row]
            size[k] = -int(held.quantity[row]) * int(draw.choice([-1, 1, 2]))
    nothing = np.zeros(pools.size, dtype=np.int64)
    return Trades(
        pools.astype(np.int32), np.full(pools.size, SystemPool.MARKET, dtype=np.int32),
        rows.astype(np.int32), size, _prices(book, market, rows), nothing,
        nothing.astype(np.int8),
    )  # fmt: skip


def _orders(draw: np.random.Generator, book: Book, market: Market, pools: Int64s) -> Placements:
    """Orders at mark in contracts that any pool may hold."""
    rows = draw.choice(_usable(book, market), pools.size)
    return Placements(
        pools.astype(np.int32), draw.integers(1 << 40, 1 << 60, pools.size), rows.astype(np.int32),
        _sizes(draw, book, market, rows), _prices(book, market, rows),
        np.zeros(pools.size, dtype=np.bool_),
    )  # fmt: skip


def _transfers(draw: np.random.Generator, book: Book, pools: Int64s) -> Transfers:
    """Amounts of an asset of each pool's own, in and out."""
    owned, rows = book.balances, []
    for pool in pools:
        first, end = owned.offsets[pool], owned.offsets[pool + 1]
        row = int(draw.integers(first, end)) if end > first else 0
        amount = int(abs(int(owned.amount[row])) * draw.normal(0.0, 0.6))
        rows.append((int(SystemPool.WORLD), int(pool), int(owned.asset[row]), amount, 0))
    source, target, asset, amount, reason = np.array(rows, dtype=np.int64).T
    return Transfers(
        source.astype(np.int32), target.astype(np.int32), asset.astype(np.int32), amount,
        reason.astype(np.int8),
    )  # fmt: skip


@dataclass
class Pursuit:
    """A watch and its witness on the same book, events and markets.

    The watch reads a book that changes in place where ``live`` is one, and else the witness's.
    """

    watch: Watch
    swept: Swept
    live: LiveBook | None
    course: Course
    changes: int = 0

    @classmethod
    def of(
        cls, crowd: tuple[Book, Market, ModelSet], seed: int, moves: Floats | None = None
    ) -> "Pursuit":
        """Armed as the seed says: on which kind of book, holding or not, with levels or not."""
        book, market, models = crowd
        levels = ((0.8, 0.7), (0.5, 0.5)) if seed % 2 else ()
        live, holds = LiveBook.of(book) if seed % 4 < 2 else None, seed % 3 == 0
        watch = Watch.arm(live or book, market, models, moves, levels, holds)
        swept = Swept(book, models, levels, holds)
        swept.look(market, 0)
        self = cls(watch, swept, live, Course.of(seed, market))
        self.compare()
        return self

    def tick(self) -> Market:
        """One market further; every change is told, at that tick."""
        market = self.course.step()
        self._note(self.watch.tick(market), self.swept.look(market, 0))
        return market

    def happen(self, market: Market) -> None:
        """One batch of events; every change is told, by the call that names its pools."""
        batch = drawn_batch(self.course.draw, self.swept.book, market)
        before = self.swept.book
        self.swept.book = apply(before, batch)
        if self.live is None:
            new = np.arange(before.pool_count, self.swept.book.pool_count)
            named = (batch.trades.pool, batch.transfers.target, batch.placements.pool, new)
            pools = np.unique(np.concatenate(named)).astype(np.int64)
        else:
            pools = apply_live(self.live, batch)
            pools = distinct(pools[pools >= SYSTEM])
        changes = self.watch.rearm(self.live or self.swept.book, self.swept.models, pools)
        self._note(changes, self.swept.look(market, 0, frozenset(pools.tolist())))

    def _note(self, changes: Changes, expected: set[Change]) -> None:
        found = seen(changes)
        assert len(found) == len(expected)
        assert set(found) == expected
        self.changes += len(found)
        self.compare()

    def compare(self) -> None:
        """All levels and statuses are a sweep's."""
        assert np.array_equal(self.watch.level[SYSTEM:], self.swept.level[SYSTEM:])
        assert np.array_equal(self.watch.status[SYSTEM:], self.swept.status[SYSTEM:])
