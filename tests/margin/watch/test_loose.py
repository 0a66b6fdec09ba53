"""Loose pools: what guarding them again may cost, whose turn it is, and how they are swept."""

import numpy as np
import pytest

from plimsoll.core import Int64s
from plimsoll.margin import assess, model_of_pools
from plimsoll.margin.watch.loose import (
    FREE_SHARE,
    GUARD_COST,
    GUARD_SHARE,
    PURSE_MAX,
    Loose,
    sweep_loose,
)
from tests.margin.watch.crowds import futures_crowd

POOLS, TICKS = 50_000, 400


def everybody() -> Int64s:
    return np.arange(POOLS)


@pytest.mark.parametrize("calm", [1, 2, 5, 9, 13, 20, 40, 100])
def test_a_storm_costs_little_more_than_sweeping(calm: int) -> None:
    """All guards are lost again whenever the watch has been left in peace for so many ticks."""
    loose, spent, peace = Loose(), 0.0, calm
    loose.add(everybody().astype(np.int32), POOLS)
    for _ in range(TICKS):
        if peace == 0:
            peace = calm
            is_guarded = ~loose.mask
            loose.add(np.flatnonzero(is_guarded).astype(np.int32), POOLS)
        spent += loose.count
        due = loose.take_due().size
        spent += GUARD_COST * due
        # The next blow waits until there is something to lose.
        peace -= loose.count < POOLS
        assert due <= max(256, POOLS // GUARD_SHARE)
    assert spent <= POOLS * ((1.0 + FREE_SHARE) * TICKS + PURSE_MAX)


def test_once_a_storm_is_over_all_are_guarded_again() -> None:
    loose = Loose()
    loose.add(everybody().astype(np.int32), POOLS)
    ticks = 0
    while loose.count:
        loose.take_due()
        ticks += 1
    assert ticks < TICKS


def test_each_pool_has_its_turn() -> None:
    loose, taken = Loose(), np.zeros(POOLS, dtype=np.int64)
    loose.add(everybody().astype(np.int32), POOLS)
    for _ in range(40 * TICKS):
        due = loose.take_due()
        taken[due] += 1
        if due.size:
            # What was guarded comes loose at once.
            loose.add(due.astype(np.int32), POOLS)
    assert taken.min() >= 1
    assert taken.max() - taken.min() <= 1


@pytest.mark.parametrize("left_out", [0, 100, 15_000])
def test_loose_pools_are_swept_as_all_are(left_out: int) -> None:
    """Whether the whole book is swept or some of it."""
    book, market, models = futures_crowd()
    loose, model = Loose(), model_of_pools(book).astype(np.int32)
    pools = np.arange(5 + left_out, book.pool_count)
    loose.add(pools.astype(np.int32), book.pool_count)
    expected, seen = assess(book, market, models).status, np.zeros(book.pool_count, dtype=np.int64)
    for chosen, found in sweep_loose(book.rows, loose, model, market, models):
        rows = chosen if chosen.size else np.arange(book.pool_count)
        assert np.array_equal(found.status, expected[rows])
        seen[rows] += 1
    assert (seen[pools] == 1).all()
