"""On random books of every model, all borders, found by a scan that shares no code with them.

``make books`` looks at a thousand accounts a model, and their isolated pools; a test run at a few.
"""

import os
import sys
from collections.abc import Iterator

import numba as nb
import pytest

from plimsoll.core import Status
from plimsoll.margin import MODELS, Model
from tests.liquidation.price_books import Judged, describe, judge_books
from tests.margin.exam_books import exam_book

BOOKS = int(os.environ.get("PLIMSOLL_BOOKS", "2"))
PLAIN = 12
"""So many pools of each model are asked once more without their crowd."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Books of one pool are no work for several threads."""
    threads = nb.get_num_threads()
    nb.set_num_threads(1)
    yield
    nb.set_num_threads(threads)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_borders_are_those_of_a_dense_scan(model: Model) -> None:
    market = exam_book(model, BOOKS, seed=11).market
    judged = []
    for one in judge_books(model, BOOKS):
        case, found, factors = one.case, one.found, one.factors
        place = (model.name, case.pool.name, case.direction.name, factors, one.seen.borders)
        assert one.worst <= 1e-9, place
        assert sides_agree(one), place
        for crossing in found.crossings:
            step = 1e-9 if crossing.is_safe_above else -1e-9
            pair = (crossing.factor * (1 - step), crossing.factor * (1 + step))
            worse, safe = (one.is_safe(market, factor) for factor in pair)
            assert (worse, safe) in ((False, True), (None, True), (None, False)), place
        if len(judged) < PLAIN:
            assert one.plain() == found, place
        judged.append(one)
    sys.stdout.write(f"{describe(model.name, judged)}\n")
    assert len(judged) >= BOOKS // 2


def sides_agree(one: Judged) -> bool:
    """Whether walking from today over the borders gives every scanned side.

    Sides that are UNKNOWN are left to the borders.
    """
    is_safe_now = one.found.status < Status.LIQUIDATABLE
    for factor, side in zip(one.seen.factors, one.seen.sides, strict=True):
        passed = sum(min(1.0, factor) < border <= max(1.0, factor) for border in one.factors)
        if side is not None and None not in one.seen.sides and side != (is_safe_now ^ passed % 2):
            return False
    return True
