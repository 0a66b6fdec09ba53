"""The sweep: one pass over a book gives the figures of the rule sheet, to the last bit."""

from dataclasses import replace

import numba as nb
import numpy as np
import pytest

from plimsoll.book import Book
from plimsoll.margin import MODELS, Assessment, Model, ModelSet, assess, find_model, load_models
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


def test_the_number_of_threads_changes_no_bit() -> None:
    drawn = exam_book(find_model("plimsoll.standard", ""), 9000)
    models, most = models_of(SWEPT[0]), nb.get_num_threads()
    try:
        found = []
        for threads in (1, most):
            nb.set_num_threads(threads)
            found.append(assess(drawn.book, drawn.market, models))
    finally:
        nb.set_num_threads(most)
    assert_same(*found)
