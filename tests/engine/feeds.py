"""Several sources that speak to an engine, accounts near their lines, and what was forced."""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book
from plimsoll.engine import EngineState, Inputs, Outcome, Rules, step
from plimsoll.ledger import EventBatch, TradeReason
from plimsoll.market import PriceBatch
from tests.book.builders import fold
from tests.engine.world import DESK, house_book, observations, prices_of

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
CALM = prices_of(10_000, 500)
FORCED = (TradeReason.LIQUIDATION, TradeReason.TAKEOVER, TradeReason.CLOSE_OUT)
SOURCES = ("a", "b", "c")


def said(source: int, prices: dict[str, float], time_ns: int) -> PriceBatch:
    batch = observations(prices, time_ns)
    return replace(batch, source=np.full(batch.row.size, source, np.int32))


def joined(parts: list[PriceBatch]) -> PriceBatch:
    return PriceBatch(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("source", "row", "price", "time_ns"))
    )  # fmt: skip


def tick(
    state: EngineState, rules: Rules, by_source: dict[int, dict[str, float]], time_ns: int
) -> tuple[EngineState, Outcome]:
    parts = [said(source, prices, time_ns) for source, prices in by_source.items()]
    prices = joined(parts) if parts else PriceBatch.nothing()
    return step(state, rules, Inputs(time_ns, prices, EventBatch(time_ns)))


def forced(outcome: Outcome) -> int:
    """Trades by force that a step decided."""
    return sum(int(np.isin(batch.trades.reason, FORCED).sum()) for batch in outcome.decisions)


def edgy_book() -> Book:
    """Accounts just above their lines: long and short of each contract, on dollars and on coins."""
    contracts = ((BTC, "1", "10000"), (ETH, "20", "500"), ("BTC/USD:BTC", "100", "10000"))
    names = [f"{side} {symbol}" for symbol, _, _ in contracts for side in ("long", "short")]
    book = house_book(*names, "on coins")
    pools = iter(range(5, 12))
    trades, transfers = [], []
    for symbol, quantity, entry in contracts:
        for sign in ("", "-"):
            pool = next(pools)
            trades.append(DESK.trade(pool, symbol, f"{sign}{quantity}", entry))
            transfers.append(DESK.deposit(pool, "USDT", "1050"))
    pool = next(pools)
    trades.append(DESK.trade(pool, BTC, "-1", "10000"))
    transfers.append(DESK.deposit(pool, "ETH", "2.5"))
    return fold(book, trades=trades, transfers=transfers)
