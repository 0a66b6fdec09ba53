"""On random books of every model, all borders, found by a scan that shares no code with them.

``PLIMSOLL_BOOKS=1000 python -m pytest tests/liquidation/test_price_books.py`` looks at a thousand
accounts a model, and their isolated pools; a test run at a few.
"""

import os
from collections.abc import Iterator

import numba as nb
import numpy as np
import pytest

from plimsoll.core import Status, stream
from plimsoll.liquidation.prices import Direction, PoolPath, liquidation_price, pool_paths
from plimsoll.margin import MODELS, Model
from tests.liquidation.price_oracle import Scan, is_safe, scan
from tests.margin.exam_books import exam_book, models_of

BOOKS = int(os.environ.get("PLIMSOLL_BOOKS", "2"))
POINTS = 48


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Books of one pool are no work for several threads."""
    threads = nb.get_num_threads()
    nb.set_num_threads(1)
    yield
    nb.set_num_threads(threads)


def draw_direction(random: np.random.Generator, pool: PoolPath) -> Direction:
    """One asset that the pool depends on, or in a quarter of cases all of them at random betas."""
    names = pool.assets()
    if len(names) > 1 and random.random() < 0.25:
        betas = (1.0, *(round(float(random.uniform(0.3, 1.8)), 2) for _ in names[1:]))
        return Direction(names, betas)
    return Direction.along(names[int(random.integers(len(names)))])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_borders_are_those_of_a_dense_scan(model: Model) -> None:
    models, crowd = models_of(model), exam_book(model, BOOKS, seed=11)
    random = stream(5, "directions")
    judged = 0
    for name in crowd.book.account_ids:
        for pool in pool_paths(crowd.book, crowd.market, models, name):
            if not pool.assets():
                continue
            direction = draw_direction(random, pool)
            betas = dict(zip(direction.assets, direction.betas, strict=True))
            found = liquidation_price(pool, direction)
            if found.status == Status.UNKNOWN:
                continue
            seen = scan(pool.book, crowd.market, pool.models, betas, POINTS)
            factors = [crossing.factor for crossing in found.crossings]
            place = (model.name, pool.name, direction.name, factors, seen.borders)
            assert all(any(near(f, border) for f in factors) for border in seen.borders), place
            assert sides_agree(seen, factors, found.status < Status.LIQUIDATABLE), place
            for crossing in found.crossings:
                step = 1e-9 if crossing.is_safe_above else -1e-9
                pair = (crossing.factor * (1 - step), crossing.factor * (1 + step))
                worse, safe = (
                    is_safe(pool.book, crowd.market, pool.models, betas, factor) for factor in pair
                )
                assert (worse, safe) in ((False, True), (None, True), (None, False)), place
            judged += 1
    assert judged >= BOOKS // 2


def near(factor: float, border: float) -> bool:
    """Whether two factors agree to 1e-9."""
    return abs(factor - border) <= 1e-9 * border


def sides_agree(seen: Scan, factors: list[float], is_safe_now: bool) -> bool:
    """Whether walking from today over the borders gives every scanned side.

    Sides that are UNKNOWN are left to the borders.
    """
    for factor, side in zip(seen.factors, seen.sides, strict=True):
        passed = sum(min(1.0, factor) < border <= max(1.0, factor) for border in factors)
        if side is not None and None not in seen.sides and side != (is_safe_now ^ passed % 2):
            return False
    return True
