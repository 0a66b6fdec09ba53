"""The sweep of plimsoll.portfolio: its rule sheet's figures to the last bit, and its room."""

from dataclasses import replace

import numba as nb
import numpy as np
import pytest

from benchmarks.desk import AS_OF_NS, MODEL, Desk, open_desk
from benchmarks.futures_book import PORTFOLIO, FuturesBook, open_futures
from plimsoll.book import Balances, Book, Positions, SystemPool
from plimsoll.core import InputError, Status, offsets_from_counts, stream
from plimsoll.margin import Assessment, ModelSet, assess, load_models
from plimsoll.margin.sweep import JointSheet, Prices, reprice_rows, sweep_joint, zero_figures
from plimsoll.margin.sweep.joint_tables import JOINT_FILLED_AT, PLAIN, POOLS
from plimsoll.margin.venues.plimsoll_portfolio import prepare
from tests.margin.test_sweep import apart, assert_same

ACCOUNTS = 1500
EMPTY = ("cells", "sums", "nets", "slots", "marks", "used")
"""What of a room is zero between pools."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    """Futures and options on every underlying, coins as collateral, orders on what is held."""
    return open_desk(ACCOUNTS)


@pytest.fixture(scope="module")
def models(desk: Desk) -> ModelSet:
    return load_models(desk.book.instruments, (MODEL,), AS_OF_NS)


@pytest.fixture(scope="module")
def sheet(desk: Desk, models: ModelSet) -> JointSheet:
    return prepare(desk.market, models.models[0])


@pytest.fixture(scope="module")
def swept(desk: Desk, sheet: JointSheet) -> Assessment:
    return sweep_joint(desk.book.rows, None, sheet)


def test_a_desk_to_the_last_bit(desk: Desk, models: ModelSet, swept: Assessment) -> None:
    assert_same(swept, assess(desk.book, desk.market, apart(models)))
    held = [np.count_nonzero(charge.initial) for charge in swept.charges]
    assert min(held) > 0
    assert set(swept.status.tolist()) >= {Status.OK, Status.MARGIN_CALL, Status.LIQUIDATABLE}


@pytest.mark.parametrize("seed", range(6))
def test_missing_prices_are_unknown_in_both(desk: Desk, models: ModelSet, seed: int) -> None:
    random = stream(seed, "missing prices")
    price, vol = desk.market.price.copy(), desk.market.implied_vol.copy()
    price[random.integers(0, price.size, 40)] = np.nan
    vol[random.integers(0, vol.size, 40)] = np.nan
    # An index that coins and contracts alike are priced at.
    price[-1 - seed * 5] = np.nan
    market = replace(desk.market, price=price, implied_vol=vol)
    found = assess(desk.book, market, models)
    assert_same(found, assess(desk.book, market, apart(models)))
    assert np.count_nonzero(found.status == Status.UNKNOWN) > 10


@pytest.mark.parametrize(
    "overrides", ['{"offset_cap": 0.0}', '{"participation": 0.00001, "short_option_rate": 0.2}']
)
def test_other_parameters_to_the_last_bit(desk: Desk, overrides: str) -> None:
    models = load_models(desk.book.instruments, (replace(MODEL, overrides=overrides),), AS_OF_NS)
    assert_same(
        assess(desk.book, desk.market, models), assess(desk.book, desk.market, apart(models))
    )


def test_some_pools_equal_themselves_among_all(
    desk: Desk, sheet: JointSheet, swept: Assessment
) -> None:
    chosen = np.array([ACCOUNTS, 3, 700, 699, 8])
    found = sweep_joint(desk.book.rows, chosen, sheet)
    assert found.initial_margin.tobytes() == swept.initial_margin[chosen].tobytes()
    assert found.status.tobytes() == swept.status[chosen].tobytes()


def test_a_room_serves_call_after_call_and_is_left_empty(
    desk: Desk, sheet: JointSheet, swept: Assessment
) -> None:
    room = sheet.own_room()
    for pool in range(5, desk.book.pool_count, 7):
        found = sweep_joint(desk.book.rows, np.array([pool]), sheet, room)
        assert found.initial_margin[0] == swept.initial_margin[pool]
        assert not any(getattr(room, name).any() for name in EMPTY)


def test_the_number_of_threads_changes_no_bit(
    desk: Desk, sheet: JointSheet, swept: Assessment
) -> None:
    most = nb.get_num_threads()
    try:
        nb.set_num_threads(1)
        assert_same(sweep_joint(desk.book.rows, None, sheet), swept)
    finally:
        nb.set_num_threads(most)


def test_figures_of_a_call_before_leave_nothing(
    desk: Desk, sheet: JointSheet, swept: Assessment
) -> None:
    for before in (0.0, np.nan, 7.0):
        out = zero_figures(desk.book.pool_count)
        out[:] = before
        found = sweep_joint(desk.book.rows, None, sheet, out=out)
        assert_same(found, swept)
        assert np.shares_memory(found.equity, out)


def test_figures_of_other_pools_are_refused(desk: Desk, sheet: JointSheet) -> None:
    with pytest.raises(InputError, match="zero_figures"):
        sweep_joint(desk.book.rows, None, sheet, out=zero_figures(desk.book.pool_count - 1))


@pytest.mark.parametrize("seed", range(4))
def test_repriced_rows_are_those_of_a_new_sheet(desk: Desk, models: ModelSet, seed: int) -> None:
    random = stream(seed, "repricing")
    table, moved = desk.book.instruments, prepare(desk.market, models.models[0])
    price = desk.market.price * np.exp(random.normal(0.0, 0.1, desk.market.price.size))
    forward = desk.market.forward * np.exp(random.normal(0.0, 0.1, len(table)))
    vol = desk.market.implied_vol * np.exp(random.normal(0.0, 0.5, len(table)))
    for column in (price, forward, vol):
        column[random.integers(0, column.size, 9)] = np.nan
    market = replace(desk.market, price=price, forward=forward, implied_vol=vol)
    chosen = np.arange(len(table), dtype=np.int32)
    reprice_rows(chosen, Prices.of_market(market), moved.repricing, moved.tables)
    fresh = prepare(market, models.models[0])
    for name, mine, theirs in zip(moved.tables._fields, moved.tables, fresh.tables, strict=True):
        assert np.array_equal(mine, theirs, equal_nan=True), name


def test_one_price_rewrites_one_row(desk: Desk, models: ModelSet) -> None:
    before, moved = (prepare(desk.market, models.models[0]) for _ in range(2))
    prices = Prices.of_market(desk.market)
    prices.mark[3] *= 1.01
    reprice_rows(np.array([3], np.int32), prices, moved.repricing, moved.tables)
    for old, new in zip(before.tables, moved.tables, strict=True):
        if len(old) == len(before.tables.profits):
            assert np.array_equal(np.delete(old, 3, 0), np.delete(new, 3, 0), equal_nan=True)
    assert not np.array_equal(before.tables.profits[3], moved.tables.profits[3])


@pytest.fixture(scope="module")
def futures() -> FuturesBook:
    """Linear contracts on many underlyings, one collateral, no orders: plain pools."""
    return open_futures(ACCOUNTS, model=PORTFOLIO)


def crowd(futures: FuturesBook, seed: int) -> Book:
    """Pools of the same book with many contracts on few underlyings, some held at zero; a few own

    a second asset, be it one that scenarios move or not, or nothing.
    """
    book, random = futures.book, stream(seed, "crowd")
    count = random.integers(0, 14, book.pool_count)
    count[: len(SystemPool)] = 0
    rows = [np.sort(random.choice(70, each, replace=False)) for each in count]
    instrument = np.concatenate(rows).astype(np.int32)
    quantity = np.rint(random.normal(0.0, 1e12, instrument.size)).astype(np.int64)
    cost = np.rint(random.normal(0.0, 1e9, instrument.size)).astype(np.int64)
    quantity[random.random(instrument.size) < 0.1] = 0
    cost[random.random(instrument.size) < 0.1] = 0
    money = len(book.instruments.assets.names) - 1
    owned = random.integers(0, 4, book.pool_count)
    owned[: len(SystemPool)] = 0
    assets: list[list[int]] = [[], [money], [0, money], [1]]
    asset = np.concatenate([assets[each] for each in owned]).astype(np.int32)
    amounts = np.rint(random.normal(1e13, 1e13, asset.size)).astype(np.int64)
    each = np.array([len(row) for row in assets])[owned]
    return replace(
        book,
        positions=Positions(offsets_from_counts(count), instrument, quantity, cost),
        balances=Balances(offsets_from_counts(each), asset, amounts),
    )


def test_futures_to_the_last_bit(futures: FuturesBook) -> None:
    found = assess(futures.book, futures.market, futures.models)
    assert_same(found, assess(futures.book, futures.market, apart(futures.models)))
    assert np.count_nonzero(found.charges[4].maintenance) > ACCOUNTS // 5


@pytest.mark.parametrize("seed", range(4))
def test_crowded_underlyings_to_the_last_bit(futures: FuturesBook, seed: int) -> None:
    book, price = crowd(futures, seed), futures.market.price.copy()
    if seed % 2:
        price[5 * seed] = np.nan
    market = replace(futures.market, price=price)
    found = assess(book, market, futures.models)
    assert_same(found, assess(book, market, apart(futures.models)))
    assert np.any(found.status == Status.UNKNOWN) == bool(seed % 2)


def test_plain_pools_alone_equal_themselves_among_all(futures: FuturesBook) -> None:
    book = crowd(futures, 0)
    sheet = prepare(futures.market, futures.models.models[0])
    whole, room = sweep_joint(book.rows, None, sheet), sheet.own_room()
    for pool in range(0, book.pool_count, 11):
        found = sweep_joint(book.rows, np.array([pool]), sheet, room)
        assert found.initial_margin.tobytes() == whole.initial_margin[[pool]].tobytes()
        assert not any(getattr(room, name).any() for name in EMPTY)


def test_the_number_of_threads_changes_no_bit_of_plain_pools(futures: FuturesBook) -> None:
    book, sheet = crowd(futures, 1), prepare(futures.market, futures.models.models[0])
    most, swept = nb.get_num_threads(), sweep_joint(book.rows, None, sheet)
    try:
        nb.set_num_threads(1)
        assert_same(sweep_joint(book.rows, None, sheet), swept)
    finally:
        nb.set_num_threads(most)


def test_only_plain_pools_take_the_short_way(futures: FuturesBook) -> None:
    sheet = prepare(futures.market, futures.models.models[0])
    room, book = sheet.own_room(), crowd(futures, 0)
    owned = np.diff(book.balances.offsets)
    plain = (np.diff(book.positions.offsets) > 0) & (owned < 2)
    plain &= (owned == 0) | (book.balances.asset[book.balances.offsets[:-1] - (owned == 0)] > 1)
    for pool in range(len(SystemPool), 200):
        sweep_joint(book.rows, np.array([pool]), sheet, room)
        assert (room.totals[JOINT_FILLED_AT * POOLS] == PLAIN) == plain[pool]


def test_a_line_opens_with_its_factor(swept: Assessment) -> None:
    scan = swept.charges[0]
    assert np.array_equal(scan.initial, scan.factor * scan.maintenance)
    assert scan.factor > 1.0
