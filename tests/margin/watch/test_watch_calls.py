"""The watch's calls: what they take, refuse and tell, and a larger book in boxes of its own."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.futures_book import open_futures
from plimsoll.book import ModelChoice
from plimsoll.core import InputError, Status, stream
from plimsoll.margin import assess, load_models
from plimsoll.margin.watch import MarketRows, Watch, usual_moves, with_price_moves
from tests.book.builders import STANDARD, T0, fold
from tests.margin.exam_books import draw_prices as exam_prices
from tests.margin.exam_books import market_at
from tests.margin.random_books import DESK, TABLE, random_book
from tests.margin.watch.swept import seen
from tests.margin.watch.test_watch import LEVELS, Walk, both, follow


def test_rows_lead_from_a_market_and_back() -> None:
    market = market_at(exam_prices(stream(3, "rows")))
    rows = MarketRows.of(market.instruments, market.as_of_ns - 123_456_789_012_345)
    x = rows.vector(market)
    assert x.size == rows.count == usual_moves(market).size
    assert x[rows.vol + 20] == market.implied_vol[20]
    assert x[rows.forward + 20] == market.forward[20]
    assert x[rows.index] == market.index[0]
    assert x[rows.time] == 123_456.789_012_345
    back = rows.market(x, market)
    assert back.as_of_ns == market.as_of_ns
    for name in ("price", "forward", "implied_vol", "rate"):
        assert np.array_equal(getattr(back, name), getattr(market, name), equal_nan=True)


def test_pools_of_any_other_model_are_assessed_at_every_tick() -> None:
    other = ModelChoice("binance.usdm")
    drawn = random_book(21, accounts=40)
    owner = (np.arange(40) % 2).astype(np.int32)
    book = replace(drawn.book, models=(STANDARD, other), account_model=owner)
    models = load_models(TABLE, book.models, T0)
    watch, swept = both(book, drawn.market, models)
    before = watch.stats.assessed
    follow(watch, swept, Walk.of(1, drawn.market), 40, True)
    assert watch.stats.assessed - before >= 20 * 40


def test_new_pools_are_watched() -> None:
    drawn = random_book(22, accounts=10)
    models = load_models(TABLE, (STANDARD,), T0)
    watch, swept = both(drawn.book, drawn.market, models, LEVELS, True)
    walk = Walk.of(2, drawn.market)
    for number in range(3):
        first = swept.book.pool_count
        trades = [DESK.trade(first, "BTC/USDT:USDT", "50", str(60_000 + 4_000 * number))]
        deposits = [DESK.deposit(first, "USDT", "100"), DESK.deposit(first + 1, "BTC", "1")]
        accounts = tuple(f"new {number} {k}" for k in range(2))
        swept.book = fold(swept.book, accounts, (), (), trades, deposits)
        new = frozenset({first, first + 1})
        changes = watch.rearm(swept.book, models, np.array(sorted(new)))
        assert set(seen(changes)) == swept.look(walk.market, 0, new)
        follow(watch, swept, walk, 10, True)


def test_other_rules_are_taken_over() -> None:
    drawn = random_book(23, accounts=50)
    models = load_models(TABLE, (STANDARD,), T0)
    watch, swept = both(drawn.book, drawn.market, models)
    swept.models = load_models(
        TABLE, (ModelChoice("plimsoll.standard", '{"fee_provision_rate": 0.05}'),), T0
    )
    pools = np.arange(5, drawn.book.pool_count)
    changes = watch.rearm(drawn.book, swept.models, pools)
    assert changes.pool.size
    assert set(seen(changes)) == swept.look(drawn.market, 0, frozenset(pools.tolist()))
    follow(watch, swept, Walk.of(3, drawn.market), 20, False)


def test_one_pools_status_and_a_quiet_tick() -> None:
    drawn = random_book(24, accounts=30)
    models = load_models(TABLE, (STANDARD,), T0)
    watch = Watch.arm(drawn.book, drawn.market, models)
    expected = assess(drawn.book, drawn.market, models).status
    assert [watch.status_of(pool) for pool in range(expected.size)] == expected.tolist()
    assert watch.status_of(0) == Status.OK
    assert watch.tick(drawn.market).pool.size == 0
    stats = watch.stats
    assert stats.memory_bytes == sum(size for _, size in stats.bytes)


def test_what_cannot_be_watched_is_refused() -> None:
    drawn = random_book(25, accounts=2)
    models = load_models(TABLE, (STANDARD,), T0)
    watch = Watch.arm(drawn.book, drawn.market, models)
    stranger = market_at(exam_prices(stream(4, "rows")))
    with pytest.raises(InputError, match="other instruments"):
        watch.tick(stranger)
    with pytest.raises(InputError, match="other instruments"):
        watch.rearm(replace(drawn.book, instruments=stranger.instruments), models, np.array([5]))
    for level in ((0.5, 0.6), (1.2, 1.0), (0.5, 0.0)):
        with pytest.raises(InputError, match="pairs of fractions"):
            Watch.arm(drawn.book, drawn.market, models, None, (level,))


@pytest.mark.parametrize("usual", [1.0, 0.02])
def test_twenty_thousand_accounts_tick_by_tick(usual: float) -> None:
    """Told moves far too small, the watch draws boxes anew all the time: only work may change."""
    world = open_futures(20_000)
    market, draw = world.market, stream(9, "large walk")
    moves = with_price_moves(market, world.moves * usual)
    watch = Watch.arm(world.book, market, world.models, moves)
    x = watch.market_rows.vector(market)
    status, rows, counts, values, expected = watch.status, [], [0], [], []
    base = market.instruments.base
    for tick in range(150):
        moved = np.flatnonzero(base == draw.integers(100))
        if tick % 25 == 24:
            moved = np.arange(len(market.instruments) + 101)
        factor = np.exp(draw.normal(0.0, 0.1 if tick % 25 == 24 else 0.01))
        x[moved] *= factor
        rows.append(moved)
        counts.append(moved.size)
        values.append(x[moved])
        now = replace(market, price=x[: market.price.size].copy())
        expected.append(assess(world.book, now, world.models).status)
    offsets = np.cumsum(counts, dtype=np.int64)
    changes = watch.replay(offsets, np.concatenate(rows).astype(np.int32), np.concatenate(values))
    assert changes.pool.size > 1000
    for tick, swept in enumerate(expected):
        mine = changes.tick == tick
        assert np.array_equal(changes.status_before[mine], status[changes.pool[mine]])
        status[changes.pool[mine]] = changes.status[mine]
        assert np.array_equal(status, swept), tick
    assert np.array_equal(watch.status, status)
