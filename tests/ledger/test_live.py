"""A live book against ``apply``: the same batches, the same errors, the same digest."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from plimsoll.book import Book, LiveBook, digest_book, take_pools
from plimsoll.core import LedgerError, stream
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    NewAccounts,
    Trades,
    Transfers,
    apply,
    apply_live,
    audit,
    deposit,
    fill,
    transfer,
)
from plimsoll.ledger.wide import TOO_LARGE, multiply_divide, multiply_floor
from tests.book.builders import STANDARD, Desk, events, fold, open_book
from tests.book.test_live import assert_sound
from tests.ledger import test_apply as plain
from tests.ledger.reference import SYSTEM_POOLS, Reference
from tests.ledger.test_reference import (
    ASSETS,
    TABLE,
    amounts,
    batches,
    prices,
    quantities,
    rows_of_book,
)

MAX = 2**62
ZEROS = (0,) * (ASSETS + len(TABLE))


def assert_same(live: LiveBook, book: Book) -> None:
    assert digest_book(live.snapshot()) == digest_book(book)
    assert not any(audit(live))
    for arena in (live.positions, live.balances, live.orders):
        assert_sound(arena)


def rows_by_pool(book: Book) -> list[str]:
    """A digest of each pool, whatever else the book holds."""
    plain = replace(book, sequence=0, time_ns=0, account_ids=(), account_model=np.zeros(0, np.int8))
    return [digest_book(take_pools(plain, np.array([pool]))) for pool in range(book.pool_count)]


def problem_of(call: Callable[..., object], *values: object) -> str:
    """What a call says is wrong, nothing where it succeeds."""
    try:
        call(*values)
    except LedgerError as error:
        return str(error)
    return ""


def apply_both(book: Book, live: LiveBook, batch: EventBatch) -> tuple[Book, bool]:
    """The book after the batch, if it is allowed, and the live one with it."""
    problem = problem_of(apply, book, batch)
    assert problem_of(apply_live, LiveBook.of(book), batch) == problem
    if problem:
        assert problem_of(apply_live, live, batch) == problem
        assert_same(live, book)
        return book, False
    after, touched = apply(book, batch), apply_live(live, batch)
    assert_same(live, after)
    before, now = rows_by_pool(book), rows_by_pool(after)
    moved = {pool for pool, digest in enumerate(now) if [digest] != before[pool : pool + 1]}
    assert moved <= set(touched.tolist())
    assert (np.diff(touched) > 0).all()
    return after, True


@st.composite
def spoiled(draw: st.DrawFn, batch: EventBatch, known: Reference) -> EventBatch:
    """A batch with one more event, which ``apply`` mostly refuses."""
    huge = [(0, 1, 0, MAX, 0)] * draw(st.integers(1, 6))
    return draw(
        st.sampled_from(
            [
                replace(batch, time_ns=-1),
                replace(batch, accounts=NewAccounts(("@",), np.zeros(1, np.int32))),
                replace(batch, accounts=NewAccounts(("account 0",), np.zeros(1, np.int32))),
                replace(batch, cancels=events(Cancels, [(0, 99)])),
                replace(batch, trades=events(Trades, [(5, 1, 0, MAX, MAX, 0, 0)])),
                replace(batch, trades=events(Trades, [(0, 1, 4, MAX, 1, 0, 0)] * 3)),
                replace(batch, trades=events(Trades, [(0, 99, 0, 1, 1, 0, 0)])),
                replace(batch, transfers=events(Transfers, huge)),
            ]
        )
    )


@settings(max_examples=70, deadline=None)
@given(st.data())
def test_batches_do_to_a_live_book_what_apply_does(data: st.DataObject) -> None:
    book, known = Book.empty(TABLE, (STANDARD,)), Reference(TABLE, [-1] * SYSTEM_POOLS)
    live = LiveBook.of(book)
    for time_ns in range(data.draw(st.integers(1, 6), label="batches")):
        batch = data.draw(batches(time_ns, known))
        if data.draw(st.booleans()):
            book, is_done = apply_both(book, live, data.draw(spoiled(batch, known)))
            if is_done:
                break
        book, is_done = apply_both(book, live, batch)
        assert is_done
        known.apply(batch)
    # Made anew from what it has become, it is the same.
    assert_same(LiveBook.of(book), book)


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just(fill),
            st.tuples(
                st.integers(-1, 8), st.integers(0, 8), st.integers(-1, len(TABLE)),
                st.one_of(quantities, st.sampled_from([0, MAX, -MAX, MAX + 1])),
                st.one_of(prices, st.sampled_from([0, -1, MAX, MAX + 1])),
                st.integers(-50, 500),
            ),
        ),
        st.tuples(
            st.just(transfer),
            st.tuples(
                st.integers(-1, 8), st.integers(0, 8), st.integers(-1, ASSETS),
                st.one_of(amounts, st.sampled_from([MAX, -MAX, MAX + 1])),
            ),
        ),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(EVENTS)
@example([(fill, (5, 6, 2, 7 * 10**9, 3, 0)), (fill, (5, 6, 2, -(10**9), 10**9 + 1, 0))])
def test_one_event_is_a_batch_of_one(given_events: list) -> None:
    book = open_book(TABLE, "alice", "bob", "carol")
    live, together = LiveBook.of(book), LiveBook.of(book)
    for step, (call, values) in enumerate(given_events):
        time_ns = book.time_ns + step % 3
        kind, name = (Trades, "trades") if call is fill else (Transfers, "transfers")
        batch = EventBatch(time_ns, **{name: events(kind, [(*values, 0)])})
        problem = problem_of(apply_live, together, batch)
        assert problem_of(call, live, *values, time_ns) == problem
        assert (live.sequence, live.time_ns) == (together.sequence, together.time_ns)
    assert_same(live, together.snapshot())


def test_a_large_batch_is_posted_as_the_reference_posts_it() -> None:
    """Large enough to be sorted another way, in which MARKET meets everybody."""
    draw = stream(6, "tests", "large batch")
    book = open_book(TABLE, *(f"account {i}" for i in range(3000)))
    known = Reference(TABLE, [-1] * SYSTEM_POOLS)
    known.apply(EventBatch(0, accounts=NewAccounts(book.account_ids)))
    columns = draw.integers(
        [5, 0, 0, -9, 1, -3, 0], [3005, 5, len(TABLE), 9, 10**6, 9, 4], (2000, 7)
    )
    trades = events(Trades, columns[columns[:, 3] != 0].tolist())
    batch = EventBatch(book.time_ns, trades=trades)
    known.apply(batch)
    after, is_done = apply_both(book, LiveBook.of(book), batch)
    assert is_done
    owned = rows_of_book(after, after.balances.offsets, after.balances.asset, after.balances.amount)
    filled = {row[:2]: row[2] for row in owned if row[2]}
    assert filled == {key: amount for key, amount in known.balances.items() if amount}


@pytest.mark.parametrize("case", plain.TRADES)
def test_trades_one_by_one(case: str) -> None:
    trades, balances, positions = plain.TRADES[case]
    live = LiveBook.of(open_book(plain.TABLE, "alice", "bob"))
    for step, trade in enumerate(trades):
        row = plain.DESK.trade(plain.ALICE, *trade)
        fill(live, *row[:-1], live.time_ns + step)
    book = live.snapshot()
    assert plain.balances_of(book, plain.ALICE) == plain.decimals(balances)
    assert plain.positions_of(book, plain.ALICE) == plain.decimals(positions)
    assert not any(audit(live))


def test_a_deposit_comes_from_the_world() -> None:
    live = LiveBook.of(open_book(TABLE, "alice"))
    deposit(live, np.int32(5), 0, 70, live.time_ns)
    deposit(live, 5, 0, -30, live.time_ns)
    assert live.snapshot().balances.amount.tolist() == [-40, 40]


REFUSED = [parts for parts, _ in plain.REFUSED]
HUGE = [{name: rows} for name, rows in plain.HUGE.values()]


@pytest.mark.parametrize("parts", [*REFUSED, *HUGE], ids=lambda value: str(value)[:40])
def test_what_apply_refuses_is_refused_alike(parts: dict) -> None:
    order = plain.DESK.order(plain.ALICE, 1, plain.LINEAR, "1", "60000")
    book = fold(open_book(plain.TABLE, "alice", "bob"), orders=[order])
    columns = {
        name: events(plain.KINDS[name], part) if isinstance(part, list) else part
        for name, part in parts.items()
    }
    sound = {"transfers": events(Transfers, [plain.DESK.deposit(plain.ALICE, "USDT", "1")])}
    batch = EventBatch(**{"time_ns": book.time_ns, **sound, **columns})
    _, is_done = apply_both(book, LiveBook.of(book), batch)
    assert not is_done


def test_a_part_of_a_book_is_carried_on_although_it_does_not_balance() -> None:
    desk = Desk(TABLE)
    whole = fold(
        open_book(TABLE, "alice", "bob"),
        trades=[desk.trade(5, "BTC/USDT:USDT", "3", "600", other=6)],
    )
    part = take_pools(whole, np.array([0, 1, 2, 3, 4, 5]))
    live = LiveBook.of(part)
    row = desk.trade(5, "BTC/USDT:USDT", "-1", "700")
    fill(live, *row[:-1], part.time_ns)
    after = apply(part, EventBatch(part.time_ns, trades=events(Trades, [row])))
    assert digest_book(live.snapshot()) == digest_book(after)
    assert any(audit(live))


def test_an_account_of_sums_that_is_wrong_is_found() -> None:
    live = LiveBook.of(open_book(TABLE, "alice"))
    deposit(live, 5, 0, 70, live.time_ns)
    live.balances.table.columns[1][0] += 1
    with pytest.raises(LedgerError, match="its sums are not those of its rows"):
        audit(live)


def test_opening_and_closing_does_not_leak() -> None:
    """200,000 opens, closes, flips and payments: the arenas stay within their bound."""
    pools = 40
    live = LiveBook.of(open_book(TABLE, *(f"account {i}" for i in range(pools))))
    draw = stream(5, "tests", "live")
    rows = draw.integers([5, 0, -2], [5 + pools, len(TABLE), 3], (200_000, 3)).tolist()
    largest = 0
    for step, (pool, i, size) in enumerate(rows):
        if size:
            fill(live, pool, 1, i, size, 60_000, 0, live.time_ns)
        else:
            deposit(live, pool, 0, step % 7 - 3, live.time_ns)
        if step % 500 == 0:
            for arena in (live.positions, live.balances):
                assert_sound(arena)
                assert arena.capacity <= 2 * arena.live + 128
                largest = max(largest, arena.live)
    assert largest > 200
    assert not any(audit(live))
    held = live.snapshot().positions
    for pool in range(live.pool_count):
        rows_of_pool = range(held.offsets[pool], held.offsets[pool + 1])
        for row in rows_of_pool:
            fill(live, pool, 2, held.instrument[row], -held.quantity[row], 60_000, 0, live.time_ns)
    system = live.take(np.arange(5, live.pool_count)).positions
    assert system.quantity.size == 0


naturals = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 70), st.integers(2**62, 2**64 - 1))


@settings(max_examples=500, deadline=None)
@given(naturals, naturals, naturals.filter(bool))
@example(2**64 - 1, 2**64 - 1, 2**64 - 1)
@example(3, 2**63, 2**63 + 1)
@example(5, 5 * 2**61, 2**62)
@example(2**63, 3, 2**63 + 2**62)
def test_wide_products_divide_half_to_even(a: int, b: int, divisor: int) -> None:
    expected = round(Fraction(a * b, divisor))
    found = int(multiply_divide(np.uint64(a), np.uint64(b), np.uint64(divisor)))
    assert found == min(expected, int(TOO_LARGE))
    whole, rest = multiply_floor(np.uint64(a), np.uint64(b), np.uint64(divisor))
    fits = a * b // divisor <= int(TOO_LARGE)
    assert (int(whole), int(rest)) == (divmod(a * b, divisor) if fits else (int(TOO_LARGE), 0))
