"""The watch over the scenario model, and over both models at once: a sweep at every tick."""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.book import Book, ModelChoice
from plimsoll.core import NS_PER_SECOND, stream
from plimsoll.margin import find_model, load_models
from plimsoll.margin.watch import Watch
from plimsoll.market import Market, SystemState
from tests.book.builders import T0, fold
from tests.margin.exam_books import DESK, TABLE, choice_of, exam_book
from tests.margin.watch.swept import Swept, seen
from tests.margin.watch.test_watch import LEVELS, assert_agree, both

PORTFOLIO = find_model("plimsoll.portfolio", "")
SCALES = (1e-4, 2e-3, 2e-2, 0.2)


def moved(draw: np.random.Generator, values: np.ndarray, share: float) -> np.ndarray:
    """Some of the values, each a little or a lot away."""
    chosen = draw.random(values.size) < share
    return np.where(
        chosen, values * np.exp(draw.normal(0.0, draw.choice(SCALES), values.size)), values
    )


def next_market(draw: np.random.Generator, market: Market) -> Market:
    """Prices, forwards and volatilities move, time passes, and now and then a number is lost."""
    later = int(draw.choice([0, 1, 900, 40_000], p=[0.5, 0.3, 0.15, 0.05])) * NS_PER_SECOND
    share = float(draw.choice([0.02, 0.3, 1.0], p=[0.7, 0.2, 0.1]))
    return replace(
        market,
        as_of_ns=market.as_of_ns + later,
        price=moved(draw, market.price, share),
        forward=moved(draw, market.forward, share if draw.random() < 0.5 else 0.0),
        implied_vol=moved(draw, market.implied_vol, share if draw.random() < 0.3 else 0.0),
    )


def lose(draw: np.random.Generator, market: Market) -> Market:
    """The market without one price and one volatility."""
    price, vol = market.price.copy(), market.implied_vol.copy()
    price[draw.integers(price.size)] = np.nan
    vol[draw.integers(vol.size)] = np.nan
    return replace(market, price=price, implied_vol=vol)


def happen(draw: np.random.Generator, book: Book) -> tuple[Book, set[int]]:
    """The book after deposits and a fill of an option, and whom they met."""
    pools = [int(p) for p in draw.integers(5, book.pool_count, 2)]
    transfers = [DESK.deposit(p, "USDT", f"{draw.normal(0, 3e4):.2f}") for p in pools]
    option = next(row.symbol for row in TABLE.rows if row.strike > 0 and row.settle == "USDT")
    symbol = str(draw.choice(["BTC/USDT:USDT", option]))
    trades = [DESK.trade(pools[0], symbol, f"{draw.normal(0, 3):.3f}", "1000")]
    if book.pool_kind[pools[0]] != 1:
        trades = []
    return fold(book, trades=trades, transfers=transfers), set(pools)


@pytest.mark.parametrize("seed", range(6))
def test_scenario_books_tick_by_tick(seed: int) -> None:
    draw = stream(seed, "scenario walk")
    drawn = exam_book(PORTFOLIO, 60, seed)
    models = load_models(TABLE, drawn.book.models, T0)
    watch, swept = both(drawn.book, drawn.market, models, LEVELS if seed % 2 else (), seed % 3 == 0)
    market = drawn.market
    for tick in range(60):
        market = next_market(draw, market)
        shown = lose(draw, market) if tick % 13 == 12 else market
        assert set(seen(watch.tick(shown))) == swept.look(shown, 0), tick
        if tick % 4 == 3:
            swept.book, pools = happen(draw, swept.book)
            changes = watch.rearm(swept.book, models, np.array(sorted(pools), dtype=np.int64))
            assert set(seen(changes)) == swept.look(shown, 0, frozenset(pools)), tick
    assert_agree(watch, swept)
    assert watch.stats.evaluated > 60


@pytest.mark.parametrize("seed", range(2))
def test_a_book_of_both_models(seed: int) -> None:
    draw = stream(seed, "both walk")
    drawn = exam_book(PORTFOLIO, 60, seed + 20)
    owner = (np.arange(len(drawn.book.account_ids)) % 2).astype(np.int32)
    standard = ModelChoice("plimsoll.standard")
    book = replace(drawn.book, models=(choice_of(PORTFOLIO), standard), account_model=owner)
    models = load_models(TABLE, book.models, T0)
    watch, market = None, drawn.market
    swept = Swept(book, models)
    for tick in range(60):
        market = next_market(draw, market)
        if watch is None:
            watch, swept = both(book, market, models)
        assert set(seen(watch.tick(market))) == swept.look(market, 0), tick
    assert_agree(watch, swept)


def test_a_market_of_the_same_numbers_has_nobody_judged() -> None:
    """A feed makes a new market at every tick, and a new state of the venue with it."""
    drawn = exam_book(PORTFOLIO, 60, 3)
    models = load_models(TABLE, drawn.book.models, T0)
    watch = Watch.arm(drawn.book, drawn.market, models)
    before = watch.stats.evaluated
    again = replace(drawn.market, state=SystemState.unknown(TABLE), surfaces=())
    assert before >= 60
    assert watch.tick(again).pool.size == 0
    assert watch.stats.evaluated == before
