"""A live book's arenas against dictionaries, and its parts against the book it was made from."""

from dataclasses import fields

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from plimsoll.book import Arena, Book, LiveBook, compact_book, digest_book, take_pools
from plimsoll.core import InputError
from tests.book.builders import Desk, fold, open_book, table_of

TABLE = table_of({"BTC/USDT:USDT": "1", "ETH/USD:ETH": "10", "BTC/USDT": "1"}, {"USDT": 6})
DESK = Desk(TABLE)
Held = dict[tuple[int, int], int]


def assert_sound(arena: Arena) -> None:
    """Rows of a pool rise by id, blocks lie apart, and the arena is not too large."""
    table = arena.table
    ids = table.columns[0]
    blocks = sorted(zip(table.begin.tolist(), table.end.tolist(), table.room.tolist(), strict=True))
    top = 0
    for begin, end, room in blocks:
        assert begin <= end <= begin + room
        assert (np.diff(ids[begin:end]) > 0).all()
        if room:
            assert begin >= top
            top = begin + room
    assert top <= arena.capacity
    assert arena.live == int((table.end - table.begin).sum())


def held_by(arena: Arena) -> Held:
    """(pool, id) with the value of each row."""
    table = arena.table
    ids, values = table.columns
    return {
        (pool, int(ids[row])): int(values[row])
        for pool in range(table.begin.size)
        for row in range(table.begin[pool], table.end[pool])
    }


def change(arena: Arena, held: Held, wanted: dict[tuple[int, int], int]) -> None:
    """Give rows values, or take them away where the value is 0, in the arena and in ``held``."""
    keys = sorted(wanted)
    pools, ids = (np.array([key[i] for key in keys], np.int64) for i in (0, 1))
    values = np.array([wanted[key] for key in keys], np.int64)
    is_kept = (values != 0).astype(np.int64)
    arena.reserve(pools, ids, is_kept)
    rows = arena.arrange(pools, ids, is_kept)
    assert ((rows >= 0) == (values != 0)).all()
    arena.table.columns[1][rows[rows >= 0]] = values[rows >= 0]
    arena.shrink()
    held.update(wanted)
    for key in keys:
        if not held[key]:
            del held[key]


keys = st.tuples(st.integers(0, 5), st.integers(-9, 30))
steps = st.lists(
    st.one_of(st.dictionaries(keys, st.integers(-1, 3), max_size=40), st.integers(0, 70)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_an_arena_equals_a_dictionary(steps: list) -> None:
    offsets = np.array([0, 2, 2, 5, 5, 5, 6], np.int64)
    ids = np.array([1, 4, -3, 0, 7, 2], np.int64)
    arena = Arena(offsets[:-1], offsets[1:], (ids, ids * 10 + 1))
    held = held_by(arena)
    assert len(held) == 6
    for step in steps:
        if isinstance(step, int):
            arena.add_pools(step)
        elif step:
            change(arena, held, step)
        assert held_by(arena) == held
        assert_sound(arena)


def test_rooms_that_were_left_are_used_again() -> None:
    empty = np.zeros(2, np.int64)
    arena = Arena(empty, empty, (empty[:0], empty[:0]))
    held: Held = {}
    for turn in range(500):
        change(arena, held, {(0, i): 1 for i in range(20)})
        change(arena, held, {(0, i): 0 for i in range(20)})
        change(arena, held, {(1, turn): 1})
        change(arena, held, {(1, turn): 0})
    assert held_by(arena) == held == {}
    assert arena.capacity <= 64 + 32


def test_an_arena_shrinks_and_stays_within_its_bound() -> None:
    empty = np.zeros(100, np.int64)
    arena = Arena(empty, empty, (empty[:0], empty[:0]))
    held: Held = {}
    for pool in range(100):
        change(arena, held, {(pool, i): 1 for i in range(100)})
    assert arena.capacity <= 2 * 10_000 + 128 + 128
    for pool in range(100):
        change(arena, held, {(pool, i): 0 for i in range(100)})
        assert arena.capacity <= 2 * arena.live + 128
        assert_sound(arena)


@pytest.fixture
def book() -> Book:
    """Three accounts and an isolated pool, with a closed position and an emptied balance."""
    book = fold(
        open_book(TABLE, "alice", "bob", "carol"),
        pools=(1,),
        transfers=[DESK.deposit(pool, "USDT", "1000") for pool in (5, 6, 8)],
        trades=[
            DESK.trade(5, "BTC/USDT:USDT", "2", "60000"),
            DESK.trade(8, "ETH/USD:ETH", "-3", "2500", "0.01"),
            DESK.trade(5, "BTC/USDT", "0.1", "60000"),
        ],
        orders=[DESK.order(6, i, "BTC/USDT:USDT", "1", "50000", i == 4) for i in (9, -2, 4)],
    )
    return fold(
        book,
        trades=[DESK.trade(5, "BTC/USDT:USDT", "-2", "60000")],
        transfers=[DESK.deposit(6, "USDT", "-1000")],
    )


def assert_equal(one: Book, other: Book) -> None:
    """Every field is the same, row by row."""
    for name in ("instruments", "account_ids", "models", "sequence", "time_ns"):
        assert getattr(one, name) == getattr(other, name)
    for name in (
        "account_model",
        "pool_account",
        "pool_kind",
        "pool_state",
        "pool_since_ns",
        "market_phase",
    ):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("positions", "balances", "orders"):
        mine, theirs = getattr(one, name), getattr(other, name)
        for column in fields(mine):
            a, b = getattr(mine, column.name), getattr(theirs, column.name)
            assert np.array_equal(a, b)
            assert a.dtype == b.dtype


@pytest.mark.parametrize("pools", [[], [6], [8, 0, 5], [3, 7], list(range(9))])
def test_parts_are_what_take_pools_takes(book: Book, pools: list[int]) -> None:
    taken = np.array(pools, np.int64)
    assert_equal(LiveBook.of(book).take(taken), compact_book(take_pools(book, taken)))


def test_a_snapshot_is_the_book_and_does_not_change(book: Book) -> None:
    live = LiveBook.of(book)
    snapshot = live.snapshot()
    assert digest_book(snapshot) == digest_book(book)
    live.balances.table.columns[1][:] += 1
    live.pool_state[5] = 2
    assert digest_book(snapshot) == digest_book(book)
    assert digest_book(live.snapshot()) != digest_book(book)


def test_rows_are_the_columns_and_the_same_until_one_is_replaced(book: Book) -> None:
    live, plain = LiveBook.of(book), compact_book(book).rows
    rows = live.rows
    for name in rows._fields:
        mine, theirs = getattr(rows, name), getattr(plain, name)
        assert np.array_equal(mine[: theirs.size], theirs), name
    assert live.rows is rows
    assert live.addresses is live.addresses
    before = live.addresses
    one = np.zeros(1, np.int32)
    live.open_pools(("dave",), one, one + 3, one.astype(np.int8) + 1)
    assert live.rows.position_begin.size == live.pool_count == book.pool_count + 1
    assert live.addresses is not before
    assert live.rows.kind[-1] == 1
    assert live.account_ids == (*book.account_ids, "dave")


def test_accounts_are_found(book: Book) -> None:
    live = LiveBook.of(book)
    assert live.find_account("bob", "here") == 1
    none = np.zeros(1, np.int32)
    live.open_pools(("dave",), none, none + 3, none.astype(np.int8) + 1)
    assert live.find_account("dave", "here") == 3
    with pytest.raises(InputError, match=r"^here: unknown account 'boby'; did you mean 'bob'\?"):
        live.find_account("boby", "here")


def test_memory_is_told_by_part(book: Book) -> None:
    live = LiveBook.of(book)
    parts = dict(live.memory_bytes)
    assert list(parts) == ["positions", "balances", "orders", "pools", "accounts", "sums"]
    table = live.positions.table
    arrays = (table.begin, table.end, table.room, table.state, *table.columns)
    assert parts["positions"] == sum(array.nbytes for array in arrays)
