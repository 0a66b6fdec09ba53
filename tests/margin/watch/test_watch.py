"""The watch against a full sweep at every tick: statuses, levels and the log of changes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from plimsoll.book import Book, ModelChoice
from plimsoll.core import stream
from plimsoll.margin import ModelSet, load_models
from plimsoll.margin.watch import Watch
from plimsoll.market import Market
from tests.book.builders import STANDARD, T0, fold
from tests.margin.random_books import DESK, TABLE, random_book
from tests.margin.watch.swept import Swept, seen

STRICT = ModelChoice(
    "plimsoll.standard",
    '{"fee_provision_rate": 0.002, "size_slopes": {"BTC": 0.0001, "ETH": 0.00001}}',
)
LEVELS = ((0.5, 0.5), (0.3, 0.2))


@dataclass
class Walk:
    """Random markets: small moves, jumps, and prices that are lost and come back."""

    random: np.random.Generator
    market: Market
    whole: np.ndarray

    @classmethod
    def of(cls, seed: int, market: Market) -> "Walk":
        """A walk that starts at a market."""
        return cls(stream(seed, "walk"), market, market.price.copy())

    def step(self) -> Market:
        """The next market."""
        draw, rows = self.random, self.whole.size
        price = self.market.price.copy()
        count = 1 if draw.random() < 0.6 else int(draw.integers(1, rows))
        chosen = draw.choice(rows, count, replace=False)
        kind = draw.random()
        if kind < 0.85:
            scale = draw.choice([1e-4, 1e-3, 1e-2])
            self.whole[chosen] *= np.exp(draw.normal(0.0, scale, count))
        elif kind < 0.95:
            self.whole[chosen] *= np.exp(draw.normal(0.0, draw.choice([0.1, 0.5])))
        price[chosen] = self.whole[chosen]
        if kind >= 0.97:
            price[chosen[:2]] = np.nan
        elif kind >= 0.95:
            price = np.where(np.isfinite(self.whole), self.whole, price)
        self.market = replace(self.market, price=price)
        return self.market


def drawn_events(draw: np.random.Generator, book: Book, market: Market) -> tuple[Book, set[int]]:
    """The book after some deposits, fills, closings and orders, and whom they met."""
    pools = [int(p) for p in draw.integers(5, book.pool_count, 3)]
    marks = {s: market.price[TABLE.index[s]] for s in ("BTC/USDT:USDT", "ETH/USD:ETH")}
    transfers = [DESK.deposit(p, "USDT", f"{draw.normal(0, 1e5):.2f}") for p in pools[:1]]
    transfers += [DESK.deposit(p, "BTC", f"{draw.normal(0, 1):.4f}") for p in pools[1:2]]
    trades = [
        DESK.trade(p, s, f"{draw.normal(0, 100):.4f}", f"{mark:.4f}", "1")
        for p in pools[1:]
        for s, mark in marks.items()
        if np.isfinite(mark) and book.pool_kind[p] == 1
    ]
    orders = [
        DESK.order(p, int(draw.integers(1 << 40)), "BTC/USDT:USDT", "5", "50000")
        for p in pools[:1]
        if book.pool_kind[p] == 1
    ]
    held = book.positions
    for pool in pools[2:]:
        for row in range(held.offsets[pool], held.offsets[pool + 1]):
            if held.quantity[row]:
                i = int(held.instrument[row])
                trades.append((pool, 1, i, -int(held.quantity[row]), 10**8, 0, 0))
    return fold(book, (), (), orders, trades, transfers), set(pools)


def both(
    book: Book, market: Market, models: ModelSet, levels: tuple = (), holds: bool = False
) -> tuple[Watch, Swept]:
    """A watch and its witness, in agreement."""
    watch = Watch.arm(book, market, models, None, levels, holds)
    swept = Swept(book, models, levels, holds)
    swept.look(market, 0)
    assert_agree(watch, swept)
    return watch, swept


def assert_agree(watch: Watch, swept: Swept) -> None:
    assert watch.level[5:].tolist() == swept.level[5:].tolist()
    assert watch.status[5:].tolist() == swept.status[5:].tolist()


def follow(watch: Watch, swept: Swept, walk: Walk, ticks: int, busy: bool) -> None:
    """Move both along a walk, with events in between, and compare them at every tick."""
    for tick in range(ticks):
        market = walk.step()
        assert set(seen(watch.tick(market))) == swept.look(market, 0), tick
        if busy and tick % 3 == 2:
            book, pools = drawn_events(walk.random, swept.book, market)
            swept.book = book
            changes = watch.rearm(book, swept.models, np.array(sorted(pools), dtype=np.int64))
            assert set(seen(changes)) == swept.look(market, 0, frozenset(pools)), tick
        if tick % 10 == 0:
            assert_agree(watch, swept)
    assert_agree(watch, swept)


def mixed(book: Book) -> Book:
    """The same book under two models, account by account."""
    owner = (np.arange(len(book.account_ids)) % 2).astype(np.int32)
    return replace(book, models=(STANDARD, STRICT), account_model=owner)


def cases() -> Iterator[tuple[int, bool, bool, bool]]:
    for seed in range(12):
        yield seed, seed % 2 == 0, seed % 3 == 0, seed % 4 < 2


@pytest.mark.parametrize(("seed", "holds", "two", "busy"), list(cases()))
def test_random_books_tick_by_tick(seed: int, holds: bool, two: bool, busy: bool) -> None:
    drawn = random_book(seed, accounts=60)
    book = mixed(drawn.book) if two else drawn.book
    models = load_models(TABLE, book.models, T0)
    watch, swept = both(book, drawn.market, models, LEVELS if seed % 2 else (), holds)
    follow(watch, swept, Walk.of(seed, drawn.market), 120, busy)


def path_of(walk: Walk, ticks: int) -> tuple[list[Market], np.ndarray, np.ndarray, np.ndarray]:
    """Markets of a walk, and the same as columns for ``replay``."""
    markets, rows, values, counts = [], [], [], [0]
    for _ in range(ticks):
        before = walk.market.price
        market = walk.step()
        same = (market.price == before) | (np.isnan(market.price) & np.isnan(before))
        moved = np.flatnonzero(~same)
        markets.append(market)
        rows.append(moved)
        values.append(market.price[moved])
        counts.append(moved.size)
    offsets = np.cumsum(counts, dtype=np.int64)
    return markets, offsets, np.concatenate(rows).astype(np.int32), np.concatenate(values)


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_logs_what_ticks_would(seed: int) -> None:
    drawn = random_book(seed + 50, accounts=100)
    models = load_models(TABLE, (STANDARD,), T0)
    watch, swept = both(drawn.book, drawn.market, models, LEVELS, seed % 2 == 0)
    markets, *columns = path_of(Walk.of(seed, drawn.market), 150)
    found = seen(watch.replay(*columns))
    expected = set().union(*(swept.look(market, k) for k, market in enumerate(markets)))
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [change[0] for change in found] == sorted(change[0] for change in found)
    assert_agree(watch, swept)
