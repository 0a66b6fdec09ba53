"""A burst of forced closes: the benchmark's tick at small scale, and all that it must leave right.

All 162 markets fall at once; some accounts owe besides, without a position. Sums are made here in
Python's integers, not with the ledger's own check.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.burst import (
    CASES,
    CLOSED,
    DELEVERAGED,
    MARKETS,
    Burst,
    Case,
    forced_closes,
    open_burst,
    open_markets,
)
from plimsoll.book import Book, PoolKind, PoolState, SystemPool, digest_book
from plimsoll.core import Int64s, Status
from plimsoll.engine import EngineState, LiveEngine, Outcome
from plimsoll.ledger import TradeReason, TransferReason, apply, encode_batch
from plimsoll.liquidation.deleveraging import allocation
from plimsoll.margin import assess
from tests.liquidation.waterfall.invariants import unit_sums

SYSTEM = len(SystemPool)
ACCOUNTS, DEBTORS, CLOSES = 2000, 20, 400
Found = dict[str, tuple[Burst, EngineState, Outcome]]


@pytest.fixture(scope="module")
def bursts() -> Found:
    """Each case: what was before, and what the tick made of it."""
    world, found = open_markets(ACCOUNTS), Found()
    for case in CASES:
        burst = open_burst(world, case, CLOSES)
        state = replace(burst.state, book=with_debtors(burst.state.book))
        burst = replace(burst, state=state)
        found[case.name] = (burst, *burst.handle())
    return found


def with_debtors(book: Book) -> Book:
    """The book with some accounts that hold nothing and owe 1,000."""
    held, owned = book.positions, book.balances
    quantity, cost, amount = held.quantity.copy(), held.cost.copy(), owned.amount.copy()
    for pool in range(SYSTEM, SYSTEM + DEBTORS):
        rows = slice(held.offsets[pool], held.offsets[pool + 1])
        quantity[rows] = cost[rows] = 0
        amount[owned.offsets[pool] : owned.offsets[pool + 1]] = -(10**9)
    return replace(
        book,
        positions=replace(held, quantity=quantity, cost=cost),
        balances=replace(owned, amount=amount),
    )


def positions_of(book: Book) -> dict[tuple[int, int], int]:
    """Quantities by pool and instrument."""
    held = book.positions
    pools = np.repeat(np.arange(book.pool_count), np.diff(held.offsets)).tolist()
    columns = (pools, held.instrument.tolist(), held.quantity.tolist())
    return {(pool, i): quantity for pool, i, quantity in zip(*columns, strict=True) if quantity}


def reasons_of(outcome: Outcome) -> Counter[TradeReason]:
    """How many trades were decided, by reason."""
    reasons = np.concatenate([batch.trades.reason for batch in outcome.decisions])
    return Counter(TradeReason(reason) for reason in reasons.tolist())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_failing_pool_is_dealt_with(bursts: Found, case: Case) -> None:
    burst, after, outcome = bursts[case.name]
    customer = burst.state.book.pool_kind != PoolKind.SYSTEM
    failed = np.flatnonzero(customer & (outcome.found.status >= Status.LIQUIDATABLE))
    assert forced_closes(outcome) >= CLOSES
    assert failed.size > 2 * DEBTORS
    assert set(failed.tolist()) <= set(outcome.begun.tolist()) | set(outcome.taken_over.tolist())
    fresh = assess(after.book, outcome.market, burst.rules.models)
    assert np.all(fresh.status < Status.LIQUIDATABLE)
    assert np.all(after.book.pool_state != PoolState.LIQUIDATING)
    for name in ("status", "equity", "collateral_value", "maintenance_margin"):
        assert np.array_equal(getattr(outcome.assessment, name), getattr(fresh, name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_appears_and_the_fund_is_never_short(bursts: Found, case: Case) -> None:
    burst, after, outcome = bursts[case.name]
    book, sums = burst.state.book, unit_sums(burst.state.book)
    fund = SystemPool.INSURANCE_FUND
    for batch in outcome.decisions:
        book = apply(book, batch)
        assert unit_sums(book) == sums
        rows = slice(book.balances.offsets[fund], book.balances.offsets[fund + 1])
        assert np.all(book.balances.amount[rows] >= 0)
    assert digest_book(book) == digest_book(after.book)
    held, owned = after.book.positions, after.book.balances
    for pool in outcome.taken_over.tolist():
        assert not held.quantity[held.offsets[pool] : held.offsets[pool + 1]].any()
        assert not held.cost[held.offsets[pool] : held.offsets[pool + 1]].any()
        assert not owned.amount[owned.offsets[pool] : owned.offsets[pool + 1]].any()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nobodys_position_grows_or_turns(bursts: Found, case: Case) -> None:
    burst, after, outcome = bursts[case.name]
    before, now = positions_of(burst.state.book), positions_of(after.book)
    concerned = set(outcome.begun.tolist()) | set(outcome.taken_over.tolist())
    concerned |= set(outcome.touched.tolist())
    for (pool, instrument), quantity in now.items():
        if pool >= SYSTEM:
            old = before[pool, instrument]
            assert old * quantity > 0
            assert abs(quantity) <= abs(old)
            assert quantity == old or pool in concerned


def test_an_ample_fund_leaves_others_alone(bursts: Found) -> None:
    _, _, outcome = bursts[CLOSED.name]
    reasons = reasons_of(outcome)
    assert reasons[TradeReason.LIQUIDATION] > CLOSES // 2
    assert reasons[TradeReason.TAKEOVER] > 0
    assert reasons[TradeReason.DELEVERAGING] == 0
    assert (outcome.deleveraged, outcome.socialised, outcome.touched.size) == (0.0, 0.0, 0)


def test_a_small_fund_is_followed_by_everyone_else(bursts: Found) -> None:
    burst, _, outcome = bursts[DELEVERAGED.name]
    trades = [batch.trades for batch in outcome.decisions]
    instrument = np.concatenate([each.instrument for each in trades])
    reason = np.concatenate([each.reason for each in trades])
    closed = reason == TradeReason.DELEVERAGING
    assert np.unique(instrument[closed]).size > MARKETS // 2
    assert outcome.deleveraged > 0
    # What the debtors owe is nobody's position: those who were not closed share it as far as they
    # gained, and the rest is bad debt.
    moved = [batch.transfers for batch in outcome.decisions]
    for reason_given in (TransferReason.SOCIALISED_LOSS, TransferReason.BAD_DEBT):
        amounts = [each.amount[each.reason == reason_given] for each in moved]
        assert np.concatenate(amounts).sum() > 0
    assert outcome.socialised > 0
    # Counterparties gained on what they are closed of.
    book, market = burst.state.book, outcome.market
    held = book.positions
    other = np.concatenate([each.counterparty for each in trades])[closed].tolist()
    for pool, i in set(zip(other, instrument[closed].tolist(), strict=True)):
        rows = np.arange(held.offsets[pool], held.offsets[pool + 1])
        row = rows[held.instrument[rows] == i][0]
        unit = book.instruments.assets.unit[book.instruments.settle[i]]
        contracts = held.quantity[row] * book.instruments.quantity_unit[i]
        assert contracts * market.mark[i] > held.cost[row] * unit - 1e-6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_live_engine_decides_the_same(bursts: Found, case: Case) -> None:
    burst, after, outcome = bursts[case.name]
    engine = LiveEngine.open(burst.state, burst.rules)
    live = engine.step(burst.inputs)
    found = [encode_batch(batch) for batch in live.decisions]
    assert found == [encode_batch(batch) for batch in outcome.decisions]
    assert digest_book(engine.book.snapshot()) == digest_book(after.book)


def test_compiled_loops_decide_what_python_integers_do(
    bursts: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    burst, _, outcome = bursts[DELEVERAGED.name]

    def by_integers(weight: Int64s, capacity: Int64s, account: Int64s, amount: int) -> Int64s:
        lots = [1] * capacity.size
        shares = allocation._fill_lots(weight.tolist(), capacity.tolist(), lots, account, amount)
        return np.array(shares, dtype=np.int64)

    monkeypatch.setattr(allocation, "_fill_units", by_integers)
    _, again = burst.handle()
    found = [encode_batch(batch) for batch in again.decisions]
    assert found == [encode_batch(batch) for batch in outcome.decisions]
