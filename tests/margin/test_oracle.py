"""plimsoll.standard against the oracle on 1,000 random books.

A requirement is a sum of amounts >= 0, so it must agree to 1e-9 of itself. Equity is a
difference of large terms (what was paid, what it is worth), so it and the collateral value
must agree to 1e-9 of the sum of those terms.
"""

import math
from collections import Counter
from typing import Any

import pytest

from plimsoll.core import Status
from plimsoll.margin import assess, load_models
from tests.book.builders import STANDARD, T0
from tests.margin.oracle import PARAMS, Verdict, judge
from tests.margin.random_books import TABLE, random_book

MODELS = load_models(TABLE, (STANDARD,), T0)
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, Verdict, dict[str, Any]]]:
    """For every pool of the books: a name, the oracle's verdict, the model's figures."""
    found = []
    for seed in range(1000):
        case = random_book(seed)
        result = assess(case.book, case.market, MODELS)
        for pool, story in enumerate(case.pools, start=5):
            figures = {
                "status": Status(result.status[pool]).name,
                "equity": result.equity[pool],
                "collateral_value": result.collateral_value[pool],
                "initial_margin": result.initial_margin[pool],
                "maintenance_margin": result.maintenance_margin[pool],
            } | {c.name: (c.initial[pool], c.maintenance[pool]) for c in result.charges}
            verdict = judge(story, case.marks, case.index)
            found.append((f"seed {seed} pool {pool}", verdict, figures))
    return found


def test_status_agrees(judged) -> None:
    assert [n for n, verdict, figures in judged if figures["status"] != verdict.status] == []


@pytest.mark.parametrize("key", ["equity", "collateral_value"])
def test_what_a_pool_owns_agrees(judged, key: str) -> None:
    for name, verdict, figures in judged:
        terms = TOLERANCE * float(verdict.turnover)
        assert abs(figures[key] - getattr(verdict, key)) <= terms, name


def test_what_a_pool_must_hold_agrees(judged) -> None:
    for name, verdict, figures in judged:
        for key in ("initial_margin", "maintenance_margin"):
            expected = getattr(verdict, key)
            if expected is None:
                assert math.isnan(figures[key]), name
            else:
                assert abs(figures[key] - expected) <= TOLERANCE * expected, name


def test_every_charge_agrees(judged) -> None:
    """A line may be the small difference of large ones, so its scale is the requirement."""
    for name, verdict, figures in judged:
        for key, pair in (verdict.charges or {}).items():
            for value, expected in zip(figures[key], pair, strict=True):
                assert abs(value - expected) <= TOLERANCE * verdict.initial_margin, (name, key)


def test_the_books_reach_every_status_and_every_bracket(judged) -> None:
    """Otherwise the agreement above would say little."""
    statuses = Counter(verdict.status for _, verdict, _ in judged)
    assert set(statuses) == {status.name for status in Status}
    assert min(statuses.values()) >= 15
    reached = {(base, tier) for _, v, _ in judged for base, tier in v.tiers.items()}
    for base in ("BTC", "ETH"):
        assert reached >= {(base, k + 1) for k in range(len(PARAMS["brackets"][base]))}
