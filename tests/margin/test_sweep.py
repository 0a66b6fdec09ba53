"""The sweep: one pass over a book gives the figures of the rule sheet, to the last bit."""

from dataclasses import replace

import msgspec
import numba as nb
import numpy as np
import pytest

from benchmarks.futures_book import FuturesBook, open_futures
from plimsoll.book import Book, ModelChoice, Orders, PoolKind, Rows, SystemPool, take_pools
from plimsoll.core import offsets_from_counts, stream
from plimsoll.margin import (
    MODELS,
    Assessment,
    Model,
    ModelSet,
    Plan,
    assess,
    find_model,
    lay_out,
    load_models,
)
from plimsoll.margin.sweep import TieredSheet, prepare_tiered, sweep_tiered
from plimsoll.margin.sweep.columns import ALONE, CHUNK, LISTED
from plimsoll.margin.sweep.tiered import tiered_room
from plimsoll.market import Market
from tests.book.builders import STANDARD, T0, fold
from tests.margin.exam_books import exam_book, models_of
from tests.margin.random_books import DESK, TABLE, random_book

SWEPT = tuple(model for model in MODELS if model.sweep is not None)
FIGURES = ("equity", "collateral_value", "initial_margin", "maintenance_margin")


def apart(models: ModelSet) -> ModelSet:
    """The same models by their rule sheets alone."""
    return ModelSet(
        tuple(replace(one, model=replace(one.model, sweep=None)) for one in models.models)
    )


def assert_same(swept: Assessment, generic: Assessment) -> None:
    assert swept.status.tobytes() == generic.status.tobytes()
    for name in FIGURES:
        assert np.array_equal(getattr(swept, name), getattr(generic, name), equal_nan=True), name
    assert [c.name for c in swept.charges] == [c.name for c in generic.charges]
    for mine, theirs in zip(swept.charges, generic.charges, strict=True):
        assert np.array_equal(mine.initial, theirs.initial, equal_nan=True), mine.name
        assert np.array_equal(mine.maintenance, theirs.maintenance, equal_nan=True), mine.name


def judge(book: Book, market: Market, models: ModelSet) -> Assessment:
    swept = assess(book, market, models)
    assert_same(swept, assess(book, market, apart(models)))
    return swept


def test_the_house_model_is_swept() -> None:
    assert find_model("plimsoll.standard", "") in SWEPT


@pytest.mark.parametrize("block", range(10))
def test_random_books_to_the_last_bit(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        drawn = random_book(seed)
        judge(drawn.book, drawn.market, load_models(TABLE, (STANDARD,), T0))


@pytest.mark.parametrize("model", SWEPT, ids=lambda model: model.name)
@pytest.mark.parametrize("seed", range(3))
def test_the_exams_books_to_the_last_bit(model: Model, seed: int) -> None:
    drawn = exam_book(model, 300, seed)
    judge(drawn.book, drawn.market, models_of(model))


def test_a_missing_price_is_unknown_in_both() -> None:
    drawn = random_book(11, accounts=80, sound=True)
    models = load_models(TABLE, (STANDARD,), T0)
    for row in range(0, drawn.market.price.size, 3):
        price = drawn.market.price.copy()
        price[row] = np.nan
        judge(drawn.book, replace(drawn.market, price=price), models)


def test_rows_of_nothing_are_inert_in_both() -> None:
    drawn = random_book(12, accounts=60, sound=True)
    pools = range(5, drawn.book.pool_count)
    trades = [DESK.trade(pool, "DEAD/USDT:USDT", q, "2") for pool in pools for q in ("10", "-10")]
    models = load_models(TABLE, (STANDARD,), T0)
    before = judge(drawn.book, drawn.market, models)
    assert_same(judge(fold(drawn.book, trades=trades), drawn.market, models), before)


def test_two_models_share_a_book() -> None:
    drawn = random_book(13, accounts=100, sound=True)
    strict = replace(STANDARD, overrides='{"fee_provision_rate": 0.002}')
    owner = (np.arange(len(drawn.book.account_ids)) % 2).astype(np.int32)
    mixed = replace(drawn.book, models=(STANDARD, strict), account_model=owner)
    judge(mixed, drawn.market, load_models(TABLE, mixed.models, T0))


def test_only_a_model_without_a_sweep_gets_a_layout() -> None:
    drawn = random_book(14, accounts=40, sound=True)
    swept = load_models(TABLE, (STANDARD,), T0)
    bare, begun = apart(swept), Plan.begin(drawn.book)
    assert begun.serves(swept)
    assert not begun.serves(bare)
    assert lay_out(drawn.book, begun, swept) == begun
    laid = lay_out(drawn.book, begun, bare)
    assert laid.serves(bare)
    alone = assess(drawn.book, drawn.market, bare)
    for plan in (begun, laid, None):
        for models in (swept, bare):
            assert_same(assess(drawn.book, drawn.market, models, plan), alone)
    mixed = replace(
        drawn.book,
        models=(STANDARD, STANDARD),
        account_model=(np.arange(len(drawn.book.account_ids)) % 2).astype(np.int32),
    )
    both = ModelSet((*swept.models, *bare.models))
    plan = lay_out(mixed, None, both)
    assert [layout is None for layout in plan.layouts] == [True, False]
    assert_same(assess(mixed, drawn.market, both, plan), alone)


def test_the_number_of_threads_changes_no_bit() -> None:
    drawn = exam_book(find_model("plimsoll.standard", ""), 9000)
    pools = np.resize(np.arange(drawn.book.pool_count), ALONE + 5000)
    drawn = replace(drawn, book=take_pools(drawn.book, pools))
    models, most = models_of(SWEPT[0]), nb.get_num_threads()
    try:
        found = []
        for threads in (1, most):
            nb.set_num_threads(threads)
            found.append(assess(drawn.book, drawn.market, models))
    finally:
        nb.set_num_threads(most)
    assert_same(*found)


def with_orders(futures: FuturesBook, each: int) -> Book:
    """The book with ``each`` random orders in every account's pool."""
    book, draw = futures.book, stream(3, "test", "orders")
    pools = book.pool_kind != PoolKind.SYSTEM
    offsets = offsets_from_counts(pools.astype(np.int64) * each)
    count = int(offsets[-1])
    instrument = draw.integers(0, len(book.instruments), count).astype(np.int32)
    near = futures.market.mark[instrument] * draw.uniform(0.9, 1.1, count)
    held = np.rint(draw.normal(0.0, 1e5, count) / near / 1e-8).astype(np.int64)
    orders = Orders(
        offsets, np.arange(count), instrument, held, np.rint(near / 1e-8).astype(np.int64),
        draw.random(count) < 0.2,
    )  # fmt: skip
    return replace(book, orders=orders)


def with_gaps(rows: Rows) -> Rows:
    """The same pools, with rows between them that nobody owns."""
    columns, moved = rows._asdict(), {}
    for table, names in (
        ("position", ("instrument", "quantity", "cost")),
        ("balance", ("asset", "amount")),
        ("order", ("order_instrument", "order_quantity", "order_price", "order_reduces")),
    ):
        begin, end = columns[f"{table}_begin"], columns[f"{table}_end"]
        shift = 2 * np.arange(1, begin.size + 1)
        moved |= {f"{table}_begin": begin + shift, f"{table}_end": end + shift}
        for name in names:
            moved[name] = np.insert(columns[name], np.repeat(begin, 2), 1)
    return rows._replace(**moved)


def sheet_of(market: Market, models: ModelSet) -> TieredSheet:
    (one,) = models.models
    return prepare_tiered(market, one.params.tiered, one.margin_call_ratio, one.currency)


def test_many_contracts_of_many_underlyings_to_the_last_bit() -> None:
    futures = open_futures(1000)
    swept = judge(futures.book, futures.market, futures.models)
    assert np.unique(swept.status[len(SystemPool) :]).size >= 2


def test_orders_beyond_what_lists_hold_to_the_last_bit() -> None:
    futures = open_futures(CHUNK + 88)
    book = with_orders(futures, 40)
    assert LISTED + len(book.instruments) < CHUNK * 40
    swept = judge(book, futures.market, futures.models)
    assert swept.charges[2].initial[len(SystemPool) :].min() > 0


@pytest.mark.parametrize("count", [1, 8, 9, 17, 40])
def test_any_number_of_brackets_to_the_last_bit(count: int) -> None:
    rows = [[1000 * 2**k, 0.01 + 0.001 * k, 0.02 + 0.002 * k] for k in range(count)]
    rows[0][0] = 0
    overrides = {"brackets": {"BTC": rows, "ETH": rows[:1]}, "size_slopes": {"SOL": 1e-6}}
    choice = ModelChoice("plimsoll.standard", msgspec.json.encode(overrides).decode())
    drawn = random_book(17, accounts=120, sound=True)
    judge(drawn.book, drawn.market, load_models(TABLE, (choice,), T0))


def test_a_pool_alone_in_a_kept_room_is_itself_among_all() -> None:
    futures = open_futures(200)
    book, sheet = with_orders(futures, 3), sheet_of(futures.market, futures.models)
    every = sweep_tiered(book.rows, None, sheet)
    room = tiered_room(book.rows, sheet, 1)
    for pool in range(book.pool_count):
        alone = sweep_tiered(book.rows, np.array([pool]), sheet, room)
        assert alone.status[0] == every.status[pool]
        for name in FIGURES:
            assert getattr(alone, name)[0] == getattr(every, name)[pool], (pool, name)


def test_rows_that_nobody_owns_change_no_bit() -> None:
    futures = open_futures(300)
    book, sheet = with_orders(futures, 2), sheet_of(futures.market, futures.models)
    assert_same(
        sweep_tiered(with_gaps(book.rows), None, sheet), sweep_tiered(book.rows, None, sheet)
    )
