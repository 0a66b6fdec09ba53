"""plimsoll.portfolio one pool at a time: figures of ``assess``, slopes that bound every change."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from plimsoll.book import Book
from plimsoll.core import Floats, Status, stream
from plimsoll.instruments import Kind
from plimsoll.margin import ModelSet, assess, find_model, lay_out, load_models
from plimsoll.margin.watch.contract import ERROR, FIGURES, RANGES, Slopes
from plimsoll.margin.watch.market_rows import MarketRows
from plimsoll.margin.watch.scenario import (
    JointHouse,
    JointScratch,
    evaluate_joint,
    is_joint_stuck,
    joint_house,
    joint_scratch,
)
from plimsoll.market import Market
from tests.margin.exam_books import ExamBook, exam_book, models_of
from tests.margin.option_books import draw_document, load_document

MODEL = find_model("plimsoll.portfolio", "")
HOUR = 3600.0


@dataclass(frozen=True)
class Bench:
    """A book, its models and all that evaluating one of its pools takes."""

    book: Book
    market: Market
    models: ModelSet
    layout: MarketRows
    house: JointHouse
    scratch: JointScratch
    slopes: Slopes

    @classmethod
    def of(cls, book: Book, market: Market, models: ModelSet) -> "Bench":
        layout = MarketRows.of(book.instruments, market.as_of_ns - 7_000_000_000)
        house = joint_house(models, book.instruments, layout.origin_ns)
        n = layout.count
        slopes = Slopes(
            np.zeros(n, np.int32), np.zeros(n * RANGES), np.zeros(n, np.int32), np.zeros(n),
            np.zeros(n), np.zeros(n), np.zeros(n, np.int32), np.zeros(1, np.int64),
        )  # fmt: skip
        return cls(book, market, models, layout, house, joint_scratch(house), slopes)

    @property
    def pools(self) -> list[int]:
        return [int(p) for p in np.flatnonzero(self.book.pool_account >= 0)]

    def evaluate(self, pool: int, x: Floats, low: Floats, high: Floats) -> Floats | None:
        """Figures; the slopes are in ``slopes``. None where the evaluator refuses."""
        figures = np.full(FIGURES, np.nan)
        is_known = evaluate_joint(
            self.house, self.book.rows, pool, 0, x, low, high, self.scratch, self.slopes, figures
        )
        return figures if is_known else None

    def legs(self) -> tuple[Floats, Floats]:
        """Rows of the last pool and their ranges, shape [legs, 6]."""
        count = self.slopes.tally[0]
        return self.slopes.row[:count], self.slopes.ranges[: count * RANGES].reshape(-1, RANGES)

    def box(self, random: np.random.Generator, reach: float, hours: float) -> tuple[Floats, Floats]:
        """A box around the market: rows reach up to ``reach`` to each side, time only ahead."""
        x, clock = self.layout.vector(self.market), self.layout.time
        fraction = random.uniform(0.0, reach, x.size)
        low, high = x / (1.0 + fraction), x * (1.0 + fraction)
        low[clock], high[clock] = x[clock], x[clock] + hours * HOUR
        return low, high

    def draw(self, random: np.random.Generator, low: Floats, high: Floats) -> Floats:
        """A point of a box: inside, in a corner, or where few rows have moved."""
        share = random.random(low.size)
        way = random.integers(3)
        if way == 1:
            share = np.round(share)
        elif way == 2:
            share = np.where(random.random(low.size) < 0.1, share, 0.5)
        point = np.clip(low + share * (high - low), low, high)
        point[self.layout.time] = np.floor(point[self.layout.time])
        return point


def check_box(bench: Bench, seed: int, reach: float, hours: float, points: int = 5) -> int:
    """Hold figures and slopes of all pools against ``assess`` at some points of a random box.

    Returns how many pools were held against it.
    """
    random = stream(seed, "scenario boxes")
    low, high = bench.box(random, reach, hours)
    drawn = [bench.draw(random, low, high) for _ in range(points)]
    plan = lay_out(bench.book)
    found = [
        assess(bench.book, bench.layout.market(y, bench.market), bench.models, plan) for y in drawn
    ]
    checked = 0
    for pool in bench.pools:
        exact = np.array(
            [[r.collateral_value[pool], r.equity[pool], r.maintenance_margin[pool]] for r in found]
        )
        known = [bench.evaluate(pool, y, low, high) for y in drawn]
        if any(figures is None for figures in known):
            continue
        checked += 1
        figures = np.array(known)
        error = figures[:, ERROR]
        assert np.all(np.abs(figures[:, :3] - exact) <= error[:, np.newaxis]), pool
        assert np.all(error <= 1e-9 * (1e4 + np.abs(exact).sum(axis=1)) + 1e-3), pool
        rows, ranges = bench.legs()
        assert np.unique(rows).size == rows.size
        for one in range(points):
            for two in range(one):
                move = (drawn[one] - drawn[two])[rows, np.newaxis]
                ends = ranges[:, 0::2] * move, ranges[:, 1::2] * move
                change, slack = exact[one] - exact[two], error[one] + error[two]
                assert np.all(np.minimum(*ends).sum(axis=0) <= change + slack), pool
                assert np.all(change <= np.maximum(*ends).sum(axis=0) + slack), pool
    return checked


def exam(seed: int, accounts: int = 150) -> tuple[ExamBook, Bench]:
    drawn = exam_book(MODEL, accounts, seed)
    return drawn, Bench.of(drawn.book, drawn.market, models_of(MODEL))


@pytest.mark.parametrize("reach", [0.003, 0.03, 0.15, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_slopes_bound_every_change_of_the_exams_books(seed: int, reach: float) -> None:
    _, bench = exam(seed)
    assert check_box(bench, seed, reach, 24.0 * reach) == len(bench.pools)


@pytest.mark.parametrize("block", range(4))
def test_slopes_bound_every_change_of_option_books(block: int) -> None:
    checked = 0
    for seed in range(4 * block, 4 * block + 4):
        quotes = [("USD", "USDC"), ("USD", "USDC", "BTC"), ("USDT",)][seed % 3]
        bases = ("ETH", "SOL") if "BTC" in quotes else ("BTC", "ETH", "SOL")
        portfolio = load_document(draw_document(seed, "plimsoll.portfolio", bases, quotes[:2]))
        models = load_models(
            portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
        )
        bench = Bench.of(portfolio.book, portfolio.market, models)
        for turn, reach in enumerate((0.002, 0.02, 0.1)):
            checked += check_box(bench, seed + 1000 * turn, reach, 6.0)
    assert checked >= 11


def test_evaluating_again_elsewhere_in_other_boxes_changes_no_figure() -> None:
    _, bench = exam(5)
    random = stream(5, "scenario boxes")
    low, high = bench.box(random, 0.1, 4.0)
    x = bench.layout.vector(bench.market)
    before = [bench.evaluate(pool, x, low, high) for pool in bench.pools]
    for _ in range(5):
        others = bench.box(random, 0.1, 4.0)
        y = bench.draw(random, *others)
        for pool in bench.pools:
            bench.evaluate(pool, y, *others)
    after = [bench.evaluate(pool, x, low, high) for pool in bench.pools]
    for one, two in zip(before, after, strict=True):
        assert one is not None
        assert two is not None
        # How far rounding reaches follows from slopes, and these from boxes of before.
        assert np.array_equal(np.delete(one, ERROR), np.delete(two, ERROR))


def test_what_assess_calls_unknown_is_refused() -> None:
    drawn, bench = exam(6, 80)
    x = bench.layout.vector(bench.market)
    plan = lay_out(drawn.book)
    unknown = 0
    for row in range(0, bench.layout.rate, 2):
        y = x.copy()
        y[row] = np.nan
        found = assess(drawn.book, bench.layout.market(y, drawn.market), bench.models, plan)
        for pool in bench.pools:
            is_unknown = found.status[pool] == Status.UNKNOWN
            unknown += is_unknown
            figures = bench.evaluate(pool, y, y, y)
            assert figures is None or not is_unknown
            if is_joint_stuck(bench.house, drawn.book.rows, pool, 0, y):
                assert is_unknown
                assert figures is None
    assert unknown > 100


def test_a_box_that_holds_an_expiry_is_refused() -> None:
    drawn, bench = exam(7, 80)
    x, clock = bench.layout.vector(bench.market), bench.layout.time
    table = drawn.book.instruments
    expiry = bench.layout.origin_ns + x[clock] * 1e9
    first = int(np.min(table.expiry_ns[table.of_kind(Kind.OPTION)]))
    held = drawn.book.positions
    low, high = x / 1.01, x * 1.01
    low[clock], high[clock] = x[clock], (first - bench.layout.origin_ns) / 1e9 + 1.0
    assert first > expiry
    refused = 0
    for pool in bench.pools:
        rows = held.instrument[held.offsets[pool] : held.offsets[pool + 1]]
        if np.any(table.expiry_ns[rows[table.kind[rows] == Kind.OPTION]] == first):
            refused += 1
            assert bench.evaluate(pool, x, low, high) is None
    assert refused > 5


def test_models_without_a_rule_here_are_refused() -> None:
    drawn, bench = exam(8, 20)
    house = bench.house._replace(block=np.full(1, -1, dtype=np.int32))
    other = replace(bench, house=house)
    x = bench.layout.vector(drawn.market)
    assert all(other.evaluate(pool, x, x, x) is None for pool in bench.pools)
