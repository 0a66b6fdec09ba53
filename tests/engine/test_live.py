"""The live engine against ``step``: the same decisions, byte for byte, and the same book."""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.book import Book, LiveBook, SystemPool, digest_book, take_pools
from plimsoll.core import LedgerError, Status, stream
from plimsoll.engine import LiveEngine, LiveOutcome, Outcome, load_rules, open_state, step
from plimsoll.ledger import (
    EventBatch,
    Trades,
    Transfers,
    apply,
    conservation_residual,
    encode_batch,
)
from plimsoll.margin import assess
from plimsoll.market import PriceBatch
from tests.book.builders import STANDARD, T0, events, fold
from tests.engine.world import (
    DESK,
    RULES,
    SANITY,
    house_book,
    inputs_of,
    prices_of,
)
from tests.margin.random_books import CONTRACTS, TABLE, random_book
from tests.margin.random_books import DESK as RANDOM_DESK

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SYSTEM = len(SystemPool)
MARGINS = ("initial_margin", "maintenance_margin")


def assert_alike(
    outcome: Outcome, live: LiveOutcome, engine: LiveEngine, book: Book, clear_ratio: float
) -> None:
    assert [*map(encode_batch, outcome.decisions)] == [*map(encode_batch, live.decisions)]
    for name in ("called", "taken_over"):
        assert getattr(outcome, name).tolist() == getattr(live, name).tolist(), name
    snapshot = engine.book.snapshot()
    assert digest_book(snapshot) == digest_book(book)
    assert not any(conservation_residual(snapshot))
    found = outcome.assessment
    # The watch keeps a call until the ratio is below the one at which calls clear.
    is_kept = (found.status == Status.OK) & (found.margin_ratio >= clear_ratio)
    settled = (found.status <= Status.MARGIN_CALL) & ~is_kept
    settled[:SYSTEM] = False
    assert engine.watch.status[settled].tolist() == found.status[settled].tolist()


def random_prices(random: np.random.Generator, last: np.ndarray) -> np.ndarray:
    """Most ticks are small, some are crashes, and now and then a price is lost or found."""
    size = random.choice([0.002, 0.02, 0.3], p=[0.6, 0.3, 0.1])
    moved = last * np.exp(random.normal(0.0, size, last.size))
    moved[random.random(last.size) < 0.5] = np.nan
    return moved


def random_events(random: np.random.Generator, book, market, time_ns: int) -> EventBatch:
    """A few deposits, withdrawals and fills among customers and with the market."""
    pools = random.integers(SYSTEM, book.pool_count, 4)
    symbols = [BTC, ETH, "BTC/USD:BTC", "SOL/USDT:USDT"]
    transfers = [
        RANDOM_DESK.deposit(int(pool), "USDT", str(round(float(random.uniform(-500, 2_000)), 2)))
        for pool in pools[:2]
    ]
    trades = []
    for pool in pools[2:]:
        symbol = symbols[random.integers(len(symbols))]
        price = market.mark[TABLE.find(symbol, "")]
        if np.isfinite(price):
            quantity = str(round(float(random.normal(0.0, 2.0)), 3))
            trades.append(RANDOM_DESK.trade(int(pool), symbol, quantity, f"{price:.2f}"))
    trades = [trade for trade in trades if trade[3] != 0]
    return EventBatch(
        time_ns, trades=events(Trades, trades), transfers=events(Transfers, transfers)
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_are_decided_alike(seed: int) -> None:
    random = stream(seed, "tests", "live")
    drawn = random_book(seed, accounts=120, sound=True)
    rules = load_rules(TABLE, (STANDARD,), SANITY, T0)
    state = open_state(drawn.book, ("test",))
    prices, rows = drawn.market.price.copy(), np.arange(drawn.market.price.size, dtype=np.int32)
    clear, engine, acted = rules.models.models[0].margin_call_clear_ratio, None, 0
    for tick in range(40):
        time_ns = drawn.book.time_ns + 1_000_000_000 * (tick + 1)
        seen = prices if tick == 0 else random_prices(random, prices)
        kept = np.flatnonzero(np.isfinite(seen))
        if tick % 10 == 9:
            seen[kept[0]] = np.nan  # said to be no number: the row is lost until the next
        batch = PriceBatch(
            np.zeros(kept.size, np.int32), rows[kept], seen[kept], np.full(kept.size, time_ns)
        )
        prices = np.where(np.isfinite(seen), seen, prices)
        happened = EventBatch(time_ns)
        if tick % 3 == 2:
            happened = random_events(random, state.book, drawn.market, time_ns)
        inputs = inputs_with(time_ns, batch, happened)
        if engine is None:
            engine = LiveEngine.open(state, rules)
        state, outcome = step(state, rules, inputs)
        assert_alike(outcome, engine.step(inputs), engine, state.book, clear)
        acted += len(outcome.decisions)
    assert acted > 3


def inputs_with(time_ns: int, prices: PriceBatch, happened: EventBatch):
    return replace(inputs_of({}, 0), time_ns=time_ns, prices=prices, events=happened)


def small_engine(deposit: str = "1100") -> tuple[LiveEngine, int]:
    """One account, long 1 BTC from 10,000, at a calm market; maintenance is 1,000."""
    book = fold(
        house_book("a"),
        trades=[DESK.trade(SYSTEM, BTC, "1", "10000")],
        transfers=[DESK.deposit(SYSTEM, "USDT", deposit)],
    )
    engine = LiveEngine.open(open_state(book, ("test",)), RULES)
    engine.step(inputs_of(prices_of(10_000, 500), 1))
    return engine, T0 + 2_000_000_000


def one_trade(engine: LiveEngine, quantity: str, price: str) -> tuple[int, ...]:
    trade = events(Trades, [DESK.trade(SYSTEM, BTC, quantity, price)])
    return tuple(
        int(getattr(trade, name)[0])
        for name in ("pool", "counterparty", "instrument", "quantity", "price", "fee")
    )


def test_a_fill_that_breaks_the_line_is_liquidated_at_once() -> None:
    engine, time_ns = small_engine()
    calm = engine.fill(*one_trade(engine, "0.0001", "10000"), time_ns)
    assert not calm.decisions
    outcome = engine.fill(*one_trade(engine, "1", "10000"), time_ns + 1)
    assert outcome.in_question.tolist() == [SYSTEM]
    assert outcome.decisions


def test_a_deposit_and_a_withdrawal_are_seen() -> None:
    engine, time_ns = small_engine("1300")
    usdt = engine.book.instruments.assets.find("USDT", "")
    assert not engine.transfer(SystemPool.WORLD, SYSTEM, usdt, 5_000_000_000, time_ns).decisions
    out = engine.transfer(SYSTEM, SystemPool.WORLD, usdt, 5_350_000_000, time_ns + 1)
    assert out.in_question.tolist() == [SYSTEM]


def test_refused_events_change_nothing() -> None:
    engine, time_ns = small_engine()
    before = digest_book(engine.book.snapshot())
    bad = EventBatch(time_ns, trades=events(Trades, [DESK.trade(77, BTC, "1", "10000")]))
    with pytest.raises(LedgerError):
        engine.step(replace(inputs_of(prices_of(9_000, 500), 2), events=bad))
    with pytest.raises(LedgerError):
        engine.step(replace(inputs_of({}, 2), events=replace(bad, time_ns=time_ns + 5)))
    assert digest_book(engine.book.snapshot()) == before
    assert digest_book(engine.state().book) == before


def test_a_called_pool_that_calms_down_is_cleared_and_may_be_called_again() -> None:
    engine, _ = small_engine("1250")
    seen = []
    for second, price in enumerate((9_900, 9_990, 11_000, 9_900, 11_000), start=2):
        outcome = engine.step(inputs_of(prices_of(price, 500), second))
        seen.append([int(s) for b in outcome.decisions for s in b.states.state])
    assert seen[0] == [1]
    assert [0] in seen
    assert seen.count([1]) == 2


def test_the_book_is_a_live_one() -> None:
    engine, _ = small_engine()
    assert isinstance(engine.book, LiveBook)


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_what_if_is_what_a_posted_trade_comes_to(seed: int, swept: bool) -> None:
    random = stream(seed, "tests", "what_if")
    drawn = random_book(100 + seed, accounts=40, sound=True)
    rules = load_rules(TABLE, (STANDARD,), SANITY, T0)
    if not swept:
        models = [replace(m, model=replace(m.model, sweep=None)) for m in rules.models.models]
        rules = replace(rules, models=replace(rules.models, models=tuple(models)))
    engine = LiveEngine.open(open_state(drawn.book, ("test",)), rules)
    rows = np.arange(drawn.market.price.size, dtype=np.int32)
    time_ns = drawn.book.time_ns + 1
    batch = PriceBatch(
        np.zeros(rows.size, np.int32), rows, drawn.market.price, np.full(rows.size, time_ns)
    )
    engine.step(inputs_with(time_ns, batch, EventBatch(time_ns)))
    before = engine.book.snapshot()
    for _ in range(60):
        pool = int(random.integers(SYSTEM, before.pool_count))
        contract = CONTRACTS[random.integers(len(CONTRACTS))]
        price = drawn.market.mark[TABLE.find(contract.symbol, "")]
        if not np.isfinite(price):
            continue
        size = f"{random.choice([-1, 1]) * np.exp(random.uniform(-7, 5)):.4f}"
        if float(size) == 0:
            continue
        trade = events(Trades, [RANDOM_DESK.trade(pool, contract.symbol, size, f"{price:.6f}")])
        told = engine.what_if(
            pool, int(trade.instrument[0]), int(trade.quantity[0]), int(trade.price[0]), 17
        )
        posted = apply(before, EventBatch(time_ns, trades=replace(trade, fee=trade.fee + 17)))
        alone = assess(take_pools(posted, np.array([pool])), engine.market, rules.models)
        for name in (
            "status",
            "equity",
            "collateral_value",
            "initial_margin",
            "maintenance_margin",
        ):
            assert np.array_equal(getattr(told, name), getattr(alone, name), equal_nan=True), name
    assert digest_book(engine.book.snapshot()) == digest_book(before)
