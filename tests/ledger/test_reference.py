"""Random histories: the ledger equals a slow reference, conserves, and survives its codec."""

from dataclasses import fields

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings

from plimsoll.book import Book
from plimsoll.core import LedgerError
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    NewAccounts,
    NewPools,
    Placements,
    StateChanges,
    Trades,
    Transfers,
    apply,
    conservation_residual,
    decode_batch,
    encode_batch,
)
from tests.book.builders import STANDARD, events, table_of
from tests.ledger.reference import SYSTEM_POOLS, Reference

TABLE = table_of(
    {
        "BTC/USDT:USDT": "0.001",
        "DOGE/USDT:USDT": "7",
        "BTC/USD:BTC": "100",
        "ETH/USD:BTC": "0.000001",
        "BTC/USD:BTC-261225-80000-C": "1",
        "BTC/USDT": "1",
    },
    {"USDT": 2, "BTC": 5},
    quantity_decimals=3,
    price_decimals=2,
)
ASSETS = len(TABLE.assets.names)
instruments = st.integers(0, len(TABLE) - 1)
# Small numbers meet often: positions close, flip and go flat.
quantities = st.one_of(st.integers(1, 4), st.integers(1, 10**9)).flatmap(
    lambda n: st.sampled_from([n, -n])
)
prices = st.one_of(st.integers(1, 9), st.integers(1, 10**8))
amounts = st.integers(-(10**12), 10**12)
reasons = st.integers(0, 3)


@st.composite
def batches(draw: st.DrawFn, time_ns: int, known: Reference) -> EventBatch:
    """A batch that may be applied after what is known."""
    new = draw(st.integers(0, 2))
    accounts = known.accounts + new
    isolated = draw(st.lists(st.integers(0, accounts - 1), max_size=2)) if accounts else []
    count = len(known.pool_accounts) + new + len(isolated)
    pools = st.integers(0, count - 1)
    open_orders = sorted(known.orders)
    cancelled = draw(st.lists(st.sampled_from(open_orders), unique=True)) if open_orders else []
    order_keys = st.tuples(pools, st.integers(-3, 9)).filter(lambda k: k not in known.orders)
    placed = draw(st.lists(order_keys, unique=True, max_size=4))
    pairs = st.tuples(pools, pools).filter(lambda pair: pair[0] != pair[1])
    fees = st.integers(-50, 500)
    trades = draw(
        st.lists(st.tuples(pairs, instruments, quantities, prices, fees, reasons), max_size=8)
    )
    moved = draw(
        st.lists(st.tuples(pools, pools, st.integers(0, ASSETS - 1), amounts, reasons), max_size=4)
    )
    states = draw(st.dictionaries(pools, st.integers(0, 2), max_size=2))
    details = st.tuples(instruments, quantities, prices, st.booleans())
    return EventBatch(
        time_ns,
        accounts=NewAccounts(
            tuple(f"account {known.accounts + k}" for k in range(new)), np.zeros(new, np.int32)
        ),
        pools=NewPools.isolated(np.array(isolated, np.int32)),
        cancels=events(Cancels, cancelled),
        placements=events(Placements, [(*key, *draw(details)) for key in placed]),
        trades=events(Trades, [(*pair, *rest) for pair, *rest in trades]),
        transfers=events(Transfers, moved),
        states=events(StateChanges, states.items()),
    )


def rows_of_book(book: Book, offsets: np.ndarray, *columns: np.ndarray) -> list[tuple[int, ...]]:
    """(pool, values...) of each row."""
    pools = np.repeat(np.arange(book.pool_count), np.diff(offsets))
    return [tuple(row) for row in zip(*(c.tolist() for c in (pools, *columns)), strict=True)]


def assert_same(book: Book, reference: Reference) -> None:
    owned, held, orders = book.balances, book.positions, book.orders
    balances = rows_of_book(book, owned.offsets, owned.asset, owned.amount)
    assert balances == sorted(balances)
    assert {row[:2]: row[2] for row in balances if row[2]} == {
        key: amount for key, amount in reference.balances.items() if amount
    }
    positions = rows_of_book(book, held.offsets, held.instrument, held.quantity, held.cost)
    assert positions == sorted(positions)
    assert {row[:2]: row[2:] for row in positions if any(row[2:])} == {
        key: position for key, position in reference.positions.items() if any(position)
    }
    listed = rows_of_book(
        book,
        orders.offsets,
        orders.order_id,
        orders.instrument,
        orders.quantity,
        orders.price,
        orders.is_reduce_only,
    )
    assert listed == [(*key, *reference.orders[key]) for key in sorted(reference.orders)]
    assert book.pool_account.tolist() == reference.pool_accounts
    states = {pool: state for pool, state in enumerate(book.pool_state.tolist()) if state}
    assert states == {pool: state for pool, state in reference.states.items() if state}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_ledger_equals_the_reference_and_conserves(data: st.DataObject) -> None:
    book = Book.empty(TABLE, (STANDARD,))
    reference = Reference(TABLE, [-1] * SYSTEM_POOLS)
    for time_ns in range(data.draw(st.integers(1, 4), label="batches")):
        batch = data.draw(batches(time_ns, reference))
        book = apply(book, batch)
        reference.apply(batch)
        assert_same(book, reference)
        assert conservation_residual(book) == (0,) * (ASSETS + len(TABLE))


def assert_equal_batches(one: EventBatch, other: EventBatch) -> None:
    assert one.time_ns == other.time_ns
    for table in fields(EventBatch)[1:]:
        mine, theirs = getattr(one, table.name), getattr(other, table.name)
        for column in fields(mine):
            a, b = getattr(mine, column.name), getattr(theirs, column.name)
            assert np.array_equal(a, b)
            assert column.name == "ids" or a.dtype == b.dtype


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_batch_survives_its_bytes(data: st.DataObject) -> None:
    batch = data.draw(batches(12, Reference(TABLE, [-1] * SYSTEM_POOLS)))
    payload = encode_batch(batch)
    decoded = decode_batch(payload)
    assert_equal_batches(decoded, batch)
    assert encode_batch(decoded) == payload
    book = Book.empty(TABLE, (STANDARD,))
    assert conservation_residual(apply(book, decoded)) == conservation_residual(apply(book, batch))


def test_equal_batches_give_equal_bytes_however_they_lie_in_memory() -> None:
    rows = [(0, 1, 0, 5, 7, 0, 0), (1, 0, 0, -5, 7, 0, 0)]
    plain = events(Trades, rows)
    strided = Trades(
        *(np.repeat(getattr(plain, f.name), 2)[::2] for f in fields(Trades)),
    )
    swapped = Trades(
        *(getattr(plain, f.name).astype(getattr(plain, f.name).dtype.newbyteorder(">"))
          for f in fields(Trades))
    )  # fmt: skip
    expected = encode_batch(EventBatch(1, trades=plain))
    assert encode_batch(EventBatch(1, trades=strided)) == expected
    assert encode_batch(EventBatch(1, trades=swapped)) == expected
    assert encode_batch(EventBatch(1)) == msgspec.msgpack.encode([1, 1, {}])


SOUND = encode_batch(EventBatch(1, transfers=events(Transfers, [(0, 5, 0, 1, 0)])))


def altered(table: str, column: str, value: object) -> bytes:
    """The sound payload with one column replaced."""
    version, time_ns, tables = msgspec.msgpack.decode(SOUND)
    tables[table] = {**tables.get(table, {}), column: value}
    return msgspec.msgpack.encode([version, time_ns, tables])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        SOUND[:-1],
        SOUND + b"\x00",
        msgspec.msgpack.encode([2, 1, {}]),
        msgspec.msgpack.encode([1, 1]),
        msgspec.msgpack.encode({"time_ns": 1}),
        msgspec.msgpack.encode([1, "now", {}]),
        msgspec.msgpack.encode([1, 1, {"transfers": 3}]),
        altered("transfers", "amount", ["<f8", bytes(8)]),
        altered("transfers", "amount", ["O", bytes(8)]),
        altered("transfers", "amount", ["<i8", bytes(7)]),
        altered("transfers", "amount", ["text", b"1"]),
        altered("accounts", "ids", ["<i8", bytes(8)]),
        altered("accounts", "ids", ["text", b"\xff"]),
    ],
)
def test_bytes_that_are_no_batch_are_refused(payload: bytes) -> None:
    with pytest.raises(LedgerError, match=r"^batch: cannot be decoded .*; restore the journal$"):
        decode_batch(payload)


@settings(max_examples=200)
@given(st.binary(max_size=60))
@example(SOUND)
def test_any_bytes_decode_or_are_refused(payload: bytes) -> None:
    try:
        batch = decode_batch(payload)
    except LedgerError:
        return
    assert decode_batch(encode_batch(batch)).time_ns == batch.time_ns
