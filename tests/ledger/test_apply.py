"""Events with the balances and positions they must leave; malformed ones must leave nothing."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from plimsoll.book import (
    Book,
    MarketPhase,
    ModelChoice,
    PoolKind,
    PoolState,
    SystemPool,
    digest_book,
)
from plimsoll.core import LedgerError
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    NewAccounts,
    NewPools,
    PhaseChanges,
    Placements,
    StateChanges,
    Trades,
    Transfers,
    apply,
    conservation_residual,
    price_to_units,
    trade_values,
)
from tests.book.builders import (
    Desk,
    balances_of,
    events,
    fold,
    open_book,
    positions_of,
    table_of,
)

TABLE = table_of(
    {
        "BTC/USDT:USDT": "0.001",
        "BTC/USD:BTC": "100",
        "ETH/USD:BTC": "0.000001",
        "BTC/USD:BTC-261225-80000-C": "1",
        "BTC/USDT": "1",
    },
    {"USDT": 6, "BTC": 8},
)
DESK = Desk(TABLE)
LINEAR, INVERSE, QUANTO, OPTION, SPOT = TABLE.symbols
USDT, BTC = TABLE.assets.find("USDT", ""), TABLE.assets.find("BTC", "")
ALICE, BOB = 5, 6
MAX = 2**62


@pytest.fixture
def book() -> Book:
    """Alice and Bob, with nothing."""
    return open_book(TABLE, "alice", "bob")


def decimals(texts: dict) -> dict:
    """Expected amounts as written in the tables below."""
    return {
        key: tuple(map(Decimal, text)) if isinstance(text, tuple) else Decimal(text)
        for key, text in texts.items()
    }


# what alice trades with the market; her balances; her positions as (quantity, cost)
TRADES = {
    "linear opens at cost": (
        [(LINEAR, "10", "60000")],
        {},
        {LINEAR: ("10", "600")},
    ),
    "linear adds": (
        [(LINEAR, "10", "60000"), (LINEAR, "5", "62000")],
        {},
        {LINEAR: ("15", "910")},
    ),
    "linear closes a part at average cost": (
        [(LINEAR, "10", "60000"), (LINEAR, "10", "62000"), (LINEAR, "-5", "64000")],
        {"USDT": "15"},
        {LINEAR: ("15", "915")},
    ),
    "linear closes all": (
        [(LINEAR, "-10", "60000"), (LINEAR, "10", "61000")],
        {"USDT": "-10"},
        {},
    ),
    "linear flips: all of the old realised, the rest at the new price": (
        [(LINEAR, "10", "60000"), (LINEAR, "-15", "61000")],
        {"USDT": "10"},
        {LINEAR: ("-5", "-305")},
    ),
    "inverse gains the reciprocal's change, 600 (1/50,000 - 1/60,000)": (
        [(INVERSE, "6", "50000"), (INVERSE, "-6", "60000")],
        {"BTC": "0.002"},
        {},
    ),
    "inverse short loses more on the way up than it gains on the way down": (
        [(INVERSE, "-6", "50000"), (INVERSE, "3", "40000"), (INVERSE, "3", "60000")],
        {"BTC": "0.0005"},
        {},
    ),
    "inverse opens with the cost of a short in coins": (
        [(INVERSE, "6", "50000")],
        {},
        {INVERSE: ("6", "-0.012")},
    ),
    "quanto pays bitcoin for points": (
        [(QUANTO, "1000", "2400"), (QUANTO, "-400", "2500")],
        {"BTC": "0.04"},
        {QUANTO: ("600", "1.44")},
    ),
    "an option's premium is paid at once": (
        [(OPTION, "2", "0.05"), (OPTION, "-0.5", "0.08")],
        {"BTC": "-0.06"},
        {OPTION: ("1.5", "0")},
    ),
    "an option sold is paid for at once": (
        [(OPTION, "-2", "0.05")],
        {"BTC": "0.1"},
        {OPTION: ("-2", "0")},
    ),
    "spot exchanges balances": (
        [(SPOT, "2", "50000"), (SPOT, "-0.5", "52000")],
        {"BTC": "1.5", "USDT": "-74000"},
        {},
    ),
    "fees and rebates": (
        [(LINEAR, "10", "60000", "0.3"), (LINEAR, "-10", "60000", "-0.1")],
        {"USDT": "-0.2"},
        {},
    ),
    "a cost that does not divide is rounded once, half to even": (
        [(LINEAR, "0.0003", "33333"), (LINEAR, "-0.0001", "33333")],
        {},
        {LINEAR: ("0.0002", "0.006667")},
    ),
}


@pytest.mark.parametrize("case", TRADES)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "a batch each"])
def test_trades(book: Book, case: str, together: bool) -> None:
    trades, balances, positions = TRADES[case]
    rows = [DESK.trade(ALICE, *trade) for trade in trades]
    for batch in [rows] if together else [[row] for row in rows]:
        book = fold(book, trades=batch)
    assert balances_of(book, ALICE) == decimals(balances)
    assert positions_of(book, ALICE) == decimals(positions)
    assert not any(conservation_residual(book))


def test_the_other_side_of_everything(book: Book) -> None:
    book = fold(
        book,
        transfers=[DESK.deposit(ALICE, "USDT", "1000")],
        trades=[
            DESK.trade(ALICE, LINEAR, "10", "60000", "0.5"),
            DESK.trade(ALICE, LINEAR, "-4", "61000", other=BOB),
        ],
    )
    assert balances_of(book, SystemPool.WORLD) == decimals({"USDT": "-1000"})
    assert balances_of(book, SystemPool.FEES) == decimals({"USDT": "0.5"})
    assert positions_of(book, SystemPool.MARKET) == decimals({LINEAR: ("-10", "-600")})
    assert positions_of(book, BOB) == decimals({LINEAR: ("4", "244")})
    assert balances_of(book, ALICE) == decimals({"USDT": "1003.5"})


def test_the_system_only_accumulates_until_it_is_flat(book: Book) -> None:
    book = fold(book, trades=[DESK.trade(ALICE, LINEAR, "10", "60000")])
    book = fold(book, trades=[DESK.trade(BOB, LINEAR, "-4", "61000")])
    assert positions_of(book, SystemPool.MARKET) == decimals({LINEAR: ("-6", "-356")})
    assert balances_of(book, SystemPool.MARKET) == {}
    book = fold(book, trades=[DESK.trade(ALICE, LINEAR, "-6", "62000")])
    assert positions_of(book, SystemPool.MARKET) == {}
    assert balances_of(book, SystemPool.MARKET) == decimals({"USDT": "-16"})


def test_trades_of_one_batch_count_in_their_order_for_both_sides(book: Book) -> None:
    """Bob is first the counterparty, then the one who trades."""
    rows = [
        DESK.trade(BOB, LINEAR, "10", "60000"),
        DESK.trade(ALICE, LINEAR, "30", "61000", other=BOB),
        DESK.trade(BOB, LINEAR, "15", "62000"),
    ]
    at_once, in_turn = fold(book, trades=rows), book
    for row in rows:
        in_turn = fold(in_turn, trades=[row])
    for pool in (ALICE, BOB, SystemPool.MARKET):
        assert balances_of(at_once, pool) == balances_of(in_turn, pool)
        assert positions_of(at_once, pool) == positions_of(in_turn, pool)
    assert positions_of(at_once, BOB) == decimals({LINEAR: ("-5", "-305")})
    assert balances_of(at_once, BOB) == decimals({"USDT": "-5"})


def test_an_isolated_pool_is_funded_from_the_cross_pool(book: Book) -> None:
    """It is opened, funded and used in one batch."""
    book = fold(
        book,
        pools=(0,),
        transfers=[
            DESK.deposit(ALICE, "USDT", "1000"),
            DESK.deposit(7, "USDT", "300", source=ALICE),
        ],
        trades=[DESK.trade(7, LINEAR, "10", "60000", "0.5")],
    )
    assert (book.pool_account[7], book.pool_kind[7]) == (0, PoolKind.ISOLATED)
    assert balances_of(book, ALICE) == decimals({"USDT": "700"})
    assert balances_of(book, 7) == decimals({"USDT": "299.5"})
    assert positions_of(book, 7) == decimals({LINEAR: ("10", "600")})
    assert book.pools_of(0).tolist() == [ALICE, 7]
    assert book.pool_name(7) == f"alice [{LINEAR}]"


def test_orders_are_placed_sorted_and_cancelled(book: Book) -> None:
    rows = [(ALICE, 9), (BOB, 4), (ALICE, 3), (ALICE, 7)]
    book = fold(book, orders=[DESK.order(*row, LINEAR, "1", "60000") for row in rows])
    assert book.orders.order_id.tolist() == [3, 7, 9, 4]
    assert book.orders.offsets.tolist() == [0] * 6 + [3, 4]
    cancels = events(Cancels, [(ALICE, 9), (BOB, 4)])
    placed = events(Placements, [DESK.order(BOB, 5, SPOT, "-1", "60000", True)])
    book = apply(book, EventBatch(book.time_ns, cancels=cancels, placements=placed))
    assert book.orders.order_id.tolist() == [3, 7, 5]
    assert book.orders.offsets.tolist() == [0] * 6 + [2, 3]
    assert book.orders.quantity.tolist() == [10_000, 10_000, -10_000]
    assert book.orders.is_reduce_only.tolist() == [False, False, True]


def test_states_sequence_and_time(book: Book) -> None:
    changes = events(StateChanges, [(BOB, PoolState.CALLED)])
    after = apply(book, EventBatch(77, states=changes))
    assert after.pool_state[[ALICE, BOB]].tolist() == [PoolState.NORMAL, PoolState.CALLED]
    assert (after.sequence, after.time_ns) == (book.sequence + 1, 77)
    assert book.pool_state[BOB] == PoolState.NORMAL
    assert after.pool_since_ns[[ALICE, BOB]].tolist() == [0, 77]
    phases = events(PhaseChanges, [(1, MarketPhase.HALTED)])
    assert apply(after, EventBatch(78, phases=phases)).market_phase.tolist()[:3] == [0, 3, 0]
    assert EventBatch(77, states=changes).event_count == 1


@pytest.mark.parametrize(
    ("symbol", "quantity", "price", "value"),
    [
        (LINEAR, 1, 5_000_000_000_000, 5_000),
        (LINEAR, 1, 500_000_000, 0),  # half a unit goes to the even neighbour
        (LINEAR, 1, 1_500_000_000, 2),
        (LINEAR, -1, 1_500_000_000, -2),
        (LINEAR, 1, 2_500_000_000, 2),
        (LINEAR, 10**15, 10**11, 10**17),  # a product of 10**26
        (INVERSE, 10_000, 3 * 10**8, -3_333_333_333),
        (INVERSE, -10_000, 6 * 10**8, 1_666_666_667),
    ],
)
def test_values_are_rounded_once(symbol: str, quantity: int, price: int, value: int) -> None:
    i = np.array([TABLE.find(symbol, "")], np.int32)
    assert trade_values(TABLE, i, np.array([quantity]), np.array([price])).tolist() == [value]


def test_prices_in_units_are_at_least_one() -> None:
    prices = price_to_units(TABLE, np.array([0, 0, 0], np.int32), np.array([60e3, 1e-9, 1.4e-8]))
    assert prices.tolist() == [6 * 10**12, 1, 1]


# -- refusals ------------------------------------------------------------------------------------

TRADE = DESK.trade(ALICE, LINEAR, "1", "60000")
ORDER = DESK.order(ALICE, 8, LINEAR, "1", "60000")


def changed(row: tuple, column: int, value: object) -> tuple:
    return (*row[:column], value, *row[column + 1 :])


def isolated(*accounts: int) -> NewPools:
    return NewPools.isolated(np.array(accounts, np.int32))


def accounts(*ids: str, model: int = 0) -> NewAccounts:
    return NewAccounts(ids, np.full(len(ids), model, np.int32))


REFUSED = [
    ({"accounts": accounts("alice")}, r"accounts\.ids\[0\]: account 'alice' exists;"),
    ({"accounts": accounts("carol", "carol")}, r"accounts\.ids\[1\]: account 'carol' exists;"),
    *(
        ({"accounts": accounts(name)}, r"accounts\.ids\[0\]: '.*' cannot name an account;")
        for name in ("", "@market", "a\nb", "a\tb", "\ud800", "\x00")
    ),
    ({"accounts": accounts("carol", model=1)}, r"accounts\.model\[0\]: no such model;"),
    ({"accounts": accounts("carol", model=-1)}, r"accounts\.model\[0\]: no such model;"),
    ({"accounts": NewAccounts(("x", "y"))}, r"accounts: columns differ in length;"),
    (
        {"pools": NewPools.isolated(np.array([0, 2], np.int32))},
        r"pools\.account\[1\]: no such account;",
    ),
    (
        {"pools": NewPools.isolated(np.array([-1], np.int32))},
        r"pools\.account\[0\]: no such account;",
    ),
    ({"cancels": [(7, 1)]}, r"cancels\.pool\[0\]: no such pool;"),
    ({"cancels": [(ALICE, 2)]}, r"cancels\.order_id\[0\]: no such open order;"),
    ({"cancels": [(BOB, 1)]}, r"cancels\.order_id\[0\]: no such open order;"),
    ({"cancels": [(ALICE, 1), (ALICE, 1)]}, r"cancels\.order_id\[1\]: cancelled twice;"),
    ({"placements": [changed(ORDER, 0, 7)]}, r"placements\.pool\[0\]: no such pool;"),
    ({"placements": [changed(ORDER, 1, 1)]}, r"placements\.order_id\[0\]: an open order has this"),
    ({"placements": [ORDER, ORDER]}, r"placements\.order_id\[1\]: placed twice;"),
    ({"placements": [changed(ORDER, 2, 5)]}, r"placements\.instrument\[0\]: no such instrument;"),
    ({"placements": [changed(ORDER, 3, 0)]}, r"placements\.quantity\[0\]: an order of nothing;"),
    ({"placements": [changed(ORDER, 3, -MAX - 1)]}, r"placements\.quantity\[0\]: too large;"),
    ({"placements": [changed(ORDER, 4, 0)]}, r"placements\.price\[0\]: not a price;"),
    ({"placements": [changed(ORDER, 4, MAX + 1)]}, r"placements\.price\[0\]: not a price;"),
    ({"trades": [TRADE, changed(TRADE, 0, 7)]}, r"trades\.pool\[1\]: no such pool;"),
    ({"trades": [changed(TRADE, 0, -1)]}, r"trades\.pool\[0\]: no such pool;"),
    ({"trades": [changed(TRADE, 1, 7)]}, r"trades\.counterparty\[0\]: no such pool;"),
    ({"trades": [changed(TRADE, 1, ALICE)]}, r"trades\.counterparty\[0\]: trades with itself;"),
    ({"trades": [changed(TRADE, 2, -1)]}, r"trades\.instrument\[0\]: no such instrument;"),
    ({"trades": [changed(TRADE, 3, 0)]}, r"trades\.quantity\[0\]: a trade of nothing;"),
    ({"trades": [changed(TRADE, 3, MAX + 1)]}, r"trades\.quantity\[0\]: too large;"),
    ({"trades": [changed(TRADE, 4, -5)]}, r"trades\.price\[0\]: not a price;"),
    ({"trades": [changed(TRADE, 5, MAX + 1)]}, r"trades\.fee\[0\]: too large;"),
    ({"transfers": [(0, 7, USDT, 1, 0)]}, r"transfers\.target\[0\]: no such pool;"),
    ({"transfers": [(-1, 5, USDT, 1, 0)]}, r"transfers\.source\[0\]: no such pool;"),
    ({"transfers": [(0, 5, 99, 1, 0)]}, r"transfers\.asset\[0\]: no such asset;"),
    ({"transfers": [(0, 5, USDT, MAX + 1, 0)]}, r"transfers\.amount\[0\]: too large;"),
    ({"states": [(7, 0)]}, r"states\.pool\[0\]: no such pool;"),
    ({"phases": [(99, 0)]}, r"phases\.instrument\[0\]: no such instrument;"),
    ({"phases": [(0, 4)]}, r"phases\.phase\[0\]: no such phase;"),
    ({"states": [(5, 11)]}, r"states\.state\[0\]: no such state;"),
    (
        {"transfers": replace(events(Transfers, [(0, 5, USDT, 1, 0)]), amount=np.array([1, 2]))},
        r"transfers: columns differ in length;",
    ),
    ({"time_ns": 0}, r"batch\.time_ns: 1970-01-01T00:00:00Z is before the book's 1970-"),
]
KINDS = {
    "cancels": Cancels,
    "placements": Placements,
    "trades": Trades,
    "transfers": Transfers,
    "states": StateChanges,
    "phases": PhaseChanges,
}


@pytest.mark.parametrize(("parts", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_malformed_event_is_named_and_changes_nothing(
    book: Book, parts: dict, message: str
) -> None:
    book = fold(book, orders=[DESK.order(ALICE, 1, LINEAR, "1", "60000")])
    columns = {
        name: events(KINDS[name], part) if isinstance(part, list) else part
        for name, part in parts.items()
    }
    sound = {"transfers": events(Transfers, [DESK.deposit(ALICE, "USDT", "1")])}
    before = digest_book(book)
    with pytest.raises(LedgerError, match=f"^{message}"):
        apply(book, EventBatch(**{"time_ns": book.time_ns, **sound, **columns}))
    assert digest_book(book) == before
    apply(book, EventBatch(book.time_ns, **sound))


def test_spot_finer_than_its_coin_is_refused() -> None:
    table = table_of({"BTC/USDT": "1"}, {"USDT": 6, "BTC": 3})
    with pytest.raises(LedgerError, match=r"^trades\.instrument\[0\]: quantity finer than asset"):
        fold(open_book(table, "alice"), trades=[Desk(table).trade(5, "BTC/USDT", "1", "2")])


# Amounts that wrap around int64 cancel like any other, so conservation alone would not see them.
HUGE = {
    "transfers past the end": ("transfers", [(0, ALICE, USDT, MAX, 0)] * 2),
    "transfers around the end": ("transfers", [(0, ALICE, USDT, MAX, 0)] * 5),
    "a position past the end": ("trades", [changed(changed(TRADE, 3, MAX), 4, 1)] * 2),
    "a position around the end": ("trades", [changed(changed(TRADE, 3, MAX), 4, 1)] * 3),
    "a position around the end, on both sides": (
        "trades",
        [changed(changed(changed(TRADE, 1, BOB), 3, MAX), 4, 1)] * 3,
    ),
    "the market's position": (
        "trades",
        [changed(changed(changed(TRADE, 0, pool), 3, MAX), 4, 1) for pool in (5, 6)] * 2,
    ),
    "a value": ("trades", [changed(TRADE, 3, MAX)]),
    "an inverse value": (
        "trades",
        [changed(changed(changed(TRADE, 2, TABLE.find(INVERSE, "")), 3, MAX), 4, 1)],
    ),
    "coins bought": (
        "trades",
        [changed(changed(changed(TRADE, 2, TABLE.find(SPOT, "")), 3, MAX), 4, 1)],
    ),
    "fees": ("trades", [changed(TRADE, 5, MAX)] * 3),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_does_not_fit_is_refused(book: Book, case: str) -> None:
    name, rows = HUGE[case]
    before = digest_book(book)
    with pytest.raises(LedgerError, match="does not fit the ledger"):
        apply(book, EventBatch(book.time_ns, **{name: events(KINDS[name], rows)}))
    assert digest_book(book) == before


def test_the_largest_amount_fits(book: Book) -> None:
    book = fold(book, transfers=[(0, ALICE, USDT, MAX, 0)])
    assert balances_of(book, ALICE)["USDT"] == Decimal(MAX).scaleb(-6)
    assert not any(conservation_residual(book))
    with pytest.raises(LedgerError, match="does not fit the ledger"):
        fold(book, transfers=[(0, ALICE, USDT, 1, 0)])


def test_many_large_amounts_that_cancel_fit(book: Book) -> None:
    back_and_forth = [(0, ALICE, USDT, MAX, 0), (ALICE, 0, USDT, MAX, 0)] * 9
    assert balances_of(fold(book, transfers=back_and_forth), ALICE) == {}


def test_an_account_keeps_the_model_it_was_opened_with() -> None:
    models = (ModelChoice("a"), ModelChoice("b"))
    book = fold(Book.empty(TABLE, models), ("x", "y"), model=1)
    assert book.account_model.tolist() == [1, 1]
    with pytest.raises(LedgerError, match="no such model"):
        fold(book, ("z",), model=2)
