"""Segments against loops, parts of a book, its digest and its names."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from plimsoll.book import (
    Book,
    SystemPool,
    clone_account,
    compact_book,
    digest_book,
    insert_rows,
    locate_rows,
    rows_of,
    take_pools,
    take_segments,
)
from plimsoll.core import InputError, offsets_from_counts
from plimsoll.ledger import conservation_residual
from tests.book.builders import Desk, balances_of, fold, open_book, positions_of, table_of

TABLE = table_of({"BTC/USDT:USDT": "1", "ETH/USD:ETH": "10"}, {"USDT": 6, "BTC": 8})
DESK = Desk(TABLE)

pools_of_ids = st.lists(st.sets(st.integers(0, 12)).map(sorted), min_size=1, max_size=6)


def flat(pools: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and ids of lists of ids."""
    counts = np.array([len(ids) for ids in pools], np.int64)
    return offsets_from_counts(counts), np.array([i for ids in pools for i in ids], np.int64)


@given(pools_of_ids, st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 13)), max_size=12))
def test_rows_are_located_as_a_search_would(pools, wanted) -> None:
    offsets, ids = flat(pools)
    wanted = [(pool % len(pools), i) for pool, i in wanted]
    rows, found = locate_rows(
        offsets, ids, np.array([p for p, _ in wanted], np.int64), np.array([i for _, i in wanted])
    )
    expected = [int(offsets[p]) + sum(i < w for i in pools[p]) for p, w in wanted]
    assert rows.tolist() == expected
    assert found.tolist() == [w in pools[p] for p, w in wanted]


@given(pools_of_ids, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_rows_are_inserted_in_their_place(pools, wanted) -> None:
    offsets, ids = flat(pools)
    new = sorted({(p % len(pools), i) for p, i in wanted if i not in pools[p % len(pools)]})
    at = np.array([p for p, _ in new], np.int64)
    fresh = np.array([i for _, i in new], np.int64)
    rows, _ = locate_rows(offsets, ids, at, fresh)
    grown, (merged, tag) = insert_rows(
        offsets, at, rows, ((ids, fresh), (ids * 0, np.ones(len(new), np.int64)))
    )
    expected = [sorted([*own, *(i for p, i in new if p == k)]) for k, own in enumerate(pools)]
    assert (grown.tolist(), merged.tolist()) == tuple(c.tolist() for c in flat(expected))
    assert tag.sum() == len(new)
    assert sorted(merged[tag == 1]) == sorted(fresh)


@given(pools_of_ids, st.lists(st.integers(0, 5), max_size=8))
def test_segments_are_taken_in_the_order_asked_for(pools, chosen) -> None:
    offsets, ids = flat(pools)
    chosen = [k % len(pools) for k in chosen]
    expected_offsets, expected = flat([pools[k] for k in chosen])
    taken, (column,) = take_segments(offsets, np.array(chosen, np.int64), (ids,))
    assert (taken.tolist(), column.tolist()) == (expected_offsets.tolist(), expected.tolist())
    rows, _ = rows_of(offsets, np.array(chosen, np.int64))
    assert ids[rows].tolist() == expected.tolist()


@pytest.fixture
def book() -> Book:
    """Alice with a cross and an isolated pool, Bob with one, all of them busy."""
    opened = fold(open_book(TABLE, "alice", "bob"), pools=(0,))
    return fold(
        opened,
        transfers=[
            DESK.deposit(5, "USDT", "100"),
            DESK.deposit(6, "BTC", "2"),
            DESK.deposit(7, "USDT", "30", source=5),
        ],
        trades=[
            DESK.trade(5, "BTC/USDT:USDT", "1", "60000"),
            DESK.trade(7, "ETH/USD:ETH", "-3", "2500"),
            DESK.trade(6, "BTC/USDT:USDT", "-2", "60000"),
        ],
        orders=[
            DESK.order(7, 4, "ETH/USD:ETH", "1", "2500"),
            DESK.order(6, 4, "ETH/USD:ETH", "1", "1"),
        ],
    )


def test_names_and_pools(book: Book) -> None:
    assert book.pool_count == 8
    assert book.find_account("bob", "") == 1
    assert book.pools_of(0).tolist() == [5, 7]
    names = [book.pool_name(pool) for pool in range(8)]
    system = ["@world", "@market", "@insurance_fund", "@fees", "@bad_debt"]
    assert names == [*system, "alice", "bob", "alice [ETH/USD:ETH]"]
    assert fold(book, pools=(1,)).pool_name(8) == "bob [isolated]"
    with pytest.raises(InputError, match=r"^--account: unknown account 'alicia'; did you mean"):
        book.find_account("alicia", "--account")


def test_a_clone_is_one_account_and_touches_nothing(book: Book) -> None:
    before = digest_book(book)
    clone = clone_account(book, "alice")
    assert clone.account_ids == ("alice",)
    assert clone.pool_account.tolist() == [-1] * 5 + [0, 0]
    for mine, theirs in ((5, 5), (6, 7)):
        assert balances_of(clone, mine) == balances_of(book, theirs)
        assert positions_of(clone, mine) == positions_of(book, theirs)
        assert clone.pool_name(mine) == book.pool_name(theirs)
    assert clone.orders.order_id.tolist() == [4]
    after = fold(clone, trades=[DESK.trade(5, "BTC/USDT:USDT", "-1", "50000")])
    assert balances_of(after, 5)["USDT"] == 70 - 10_000
    assert digest_book(book) == before
    assert digest_book(clone_account(book, "alice")) == digest_book(clone)


def test_pools_are_taken_in_the_order_asked_for(book: Book) -> None:
    part = take_pools(book, np.array([7, 5]))
    assert [part.pool_name(k) for k in (0, 1)] == ["alice [ETH/USD:ETH]", "alice"]
    assert balances_of(part, 1) == balances_of(book, 5)
    assert part.orders.offsets.tolist() == [0, 1, 1]


def test_rows_that_hold_nothing_do_not_count(book: Book) -> None:
    back = [DESK.deposit(7, "BTC", amount) for amount in ("1", "-1")]
    there = [DESK.trade(6, "ETH/USD:ETH", "5", "2000"), DESK.trade(6, "ETH/USD:ETH", "-5", "2000")]
    touched = fold(book, trades=there, transfers=back)
    plain = fold(book)
    assert touched.positions.instrument.size > plain.positions.instrument.size
    assert touched.balances.asset.size > plain.balances.asset.size
    assert digest_book(touched) == digest_book(plain)
    small = compact_book(touched)
    assert small.positions.offsets.tolist() == plain.positions.offsets.tolist()
    assert small.positions.cost.tolist() == plain.positions.cost.tolist()
    assert conservation_residual(small) == conservation_residual(touched)


@pytest.mark.parametrize(
    "change",
    [
        {"transfers": [DESK.deposit(6, "BTC", "0.00000001")]},
        {"transfers": [DESK.deposit(6, "USDT", "2")]},
        {"trades": [DESK.trade(6, "ETH/USD:ETH", "0.0001", "2500")]},
        {"orders": [DESK.order(5, 1, "ETH/USD:ETH", "1", "2500")]},
        {"accounts": ("carol",)},
        {"pools": (1,)},
    ],
    ids=str,
)
def test_everything_that_is_held_counts(book: Book, change: dict) -> None:
    assert digest_book(fold(book, **change)) != digest_book(fold(book))


def test_clock_states_and_choices_count(book: Book) -> None:
    states = book.pool_state.copy()
    states[6] = 1
    others = [
        replace(book, sequence=book.sequence + 1),
        replace(book, time_ns=book.time_ns + 1),
        replace(book, pool_state=states),
        replace(book, pool_since_ns=book.pool_since_ns + 1),
        replace(book, market_phase=book.market_phase + 1),
        replace(book, models=(replace(book.models[0], overrides='{"fee_provision_rate":0}'),)),
        replace(book, account_ids=("alice", "rob")),
    ]
    assert len({digest_book(b) for b in (book, *others)}) == len(others) + 1


def test_a_new_book_holds_the_system_alone() -> None:
    empty = Book.empty(TABLE, ())
    assert empty.pool_count == len(SystemPool)
    assert not any(conservation_residual(empty))
    assert digest_book(empty) == digest_book(Book.empty(TABLE, ()))
