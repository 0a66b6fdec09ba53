"""The book that is measured: generated accounts in an engine that has seen its first prices."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from plimsoll.app.feed import Feed, feed_of
from plimsoll.app.replay import MODEL, opening_batch, path_sanity
from plimsoll.book import Book, SystemPool
from plimsoll.core import NS_PER_SECOND, stream
from plimsoll.engine import EngineState, Inputs, Rules, load_rules, open_state, step
from plimsoll.ledger import EventBatch, TradeReason
from plimsoll.liquidation.closing import close_trades, forced_price, holdings_of, with_system
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market
from plimsoll.simulation import crash_path, crash_table

SEED = 7
STEP_NS = 900 * NS_PER_SECOND
SLIPPAGE_RATE = 0.001
FEE_RATE = 0.0005


@dataclass(frozen=True, slots=True)
class World:
    """An engine after its first tick on the path of 10 October 2025."""

    feed: Feed
    rules: Rules
    state: EngineState
    market: Market

    @property
    def book(self) -> Book:
        """The book as it stands."""
        return self.state.book

    def tick(self, number: int) -> Inputs:
        """What the path says at a tick: prices and no events."""
        time_ns = int(self.feed.path.time_ns[number])
        return Inputs(time_ns, self.feed.observations(number), EventBatch(time_ns))


# Two, so that a book of a million accounts is made once for the benchmarks that share it.
@lru_cache(maxsize=2)
def open_world(accounts: int) -> World:
    """A generated book of that many accounts; the same at every call."""
    path = crash_path(crash_table(), SEED, STEP_NS)
    time_ns = int(path.time_ns[0])
    instruments, opening, _ = opening_batch(path, accounts, SEED, 0.01)
    feed = feed_of(path, instruments)
    rules = load_rules(instruments, (MODEL,), path_sanity(path), time_ns)
    empty = open_state(Book.empty(instruments, (MODEL,)), (path.source,))
    inputs = Inputs(time_ns, feed.observations(0), opening)
    state, outcome = step(empty, rules, inputs)
    return World(feed, rules, state, outcome.market)


def liquidating_trades(book: Book, market: Market, count: int, seed: int) -> EventBatch:
    """Forced closes of ``count`` positions drawn from the book, every other one in part.

    All positions where there are fewer.
    """
    rates = notional_coefficient(book.instruments, market.mark, market.index)
    held = holdings_of(book, np.arange(len(SystemPool), book.pool_count), rates)
    drawn = stream(seed, "benchmarks", "liquidations").permutation(held.pool.size)[:count]
    drawn.sort()
    held = type(held)(*(getattr(held, name)[drawn] for name in held.__slots__))
    whole = np.abs(held.quantity)
    quantity = np.where(np.arange(drawn.size) % 2 == 0, whole, (whole + 1) // 2)
    price = forced_price(book, market, held, SLIPPAGE_RATE)
    trades, _ = close_trades(
        book,
        held,
        quantity,
        price,
        with_system(held, SystemPool.MARKET),
        TradeReason.LIQUIDATION,
        FEE_RATE,
    )
    return EventBatch(market.as_of_ns, trades=trades)
