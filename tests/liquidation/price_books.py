"""Random books of one model, with their liquidation prices beside those of a dense scan.

Pools that move along one direction stand in one book, so that a price is asked of all of them by
one ``assess``. What the engine answers there is what it answers each alone, to the last bit (the
entry exam holds that, and ``test_price_books`` once more here). Shared are the factors that every
search begins with and the scan's; the search goes on alone, and so does every border's halving.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from plimsoll.book import Book, take_pools
from plimsoll.core import Floats, Int8s, Status, stream
from plimsoll.instruments import Kind
from plimsoll.liquidation.prices import Direction, LiquidationPrice, PoolPath, liquidation_price
from plimsoll.liquidation.prices import pool_paths as paths_of
from plimsoll.liquidation.prices.crossings import Side, Trials
from plimsoll.margin import Assessment, Model, ModelSet, assess, lay_out
from plimsoll.market import Market
from tests.liquidation.price_oracle import Scan, is_safe, scan_together
from tests.margin.exam_books import INDEX, TABLE, ExamBook, exam_book, models_of

POINTS = 96
SHARED_MIN = 24
"""A search asks for its knots, more than these, at once; what it asks later is its own."""
JOINT = 12
"""Joint directions drawn for a model: all assets move, each at a beta of its own."""
KINDS = ("pools", "with a border", "with several", "across a tier", "with options",
         "of several assets")  # fmt: skip
"""What a pool is counted as; a tier is any bend of the requirement on the way to a border."""


@dataclass(frozen=True)
class Case:
    """A pool, the direction it is asked along, and where it stands in its crowd."""

    pool: PoolPath
    direction: Direction
    column: int


@dataclass(frozen=True)
class Crowd:
    """Pools along one direction as one book, and what was asked of it so far, by factor."""

    cases: tuple[Case, ...]
    book: Book
    answers: dict[float, tuple[Int8s, Floats]] = field(default_factory=dict)

    @property
    def betas(self) -> dict[str, float]:
        """Beta by asset."""
        direction = self.cases[0].direction
        return dict(zip(direction.assets, direction.betas, strict=True))

    def trials(self, factors: Floats, column: int) -> Trials:
        """One pool's answers at some factors."""
        missing = [factor for factor in factors.tolist() if factor not in self.answers]
        lead = self.cases[0]
        plan = lay_out(self.book) if missing else None
        for factor in missing:
            market = lead.pool.market_at(lead.direction, factor)
            with np.errstate(all="ignore"):
                found = assess(self.book, market, lead.pool.models, plan)
            self.answers[factor] = sides(found)
        rows = [self.answers[factor] for factor in factors.tolist()]
        side = np.array([row[0][column] for row in rows], dtype=np.int8)
        return Trials(factors, side, np.array([row[1][column] for row in rows]))


@dataclass(frozen=True)
class SharedPath(PoolPath):
    """A pool that takes the answers to its first question from its crowd."""

    crowd: Crowd
    column: int

    @classmethod
    def within(cls, crowd: Crowd, case: Case) -> "SharedPath":
        """The pool of a case."""
        pool = case.pool
        return cls(
            pool.account, pool.number, pool.models, pool.path, pool.book, pool.plan, crowd,
            case.column,
        )  # fmt: skip

    def try_factors(self, direction: Direction, factors: Floats) -> Trials:
        """As any pool does, the first factors with its crowd."""
        if factors.size < SHARED_MIN:
            return PoolPath.try_factors(self, direction, factors)
        return self.crowd.trials(factors, self.column)


@dataclass(frozen=True)
class Judged:
    """A pool's liquidation prices and the scan's; ``plain`` asks the same without a crowd."""

    case: Case
    found: LiquidationPrice
    seen: Scan

    @property
    def factors(self) -> list[float]:
        """The borders found."""
        return [crossing.factor for crossing in self.found.crossings]

    def plain(self) -> LiquidationPrice:
        """The liquidation prices of the pool on its own."""
        return liquidation_price(self.case.pool, self.case.direction)

    def is_safe(self, market: Market, factor: float) -> bool | None:
        """What the oracle says of one price."""
        pool, direction = self.case.pool, self.case.direction
        betas = dict(zip(direction.assets, direction.betas, strict=True))
        return is_safe(pool.book, market, pool.models, betas, factor)

    @property
    def worst(self) -> float:
        """The largest relative distance from a border of the scan to the nearest one found."""
        return max(
            (
                min((abs(f - border) / border for f in self.factors), default=np.inf)
                for border in self.seen.borders
            ),
            default=0.0,
        )

    def kinds(self) -> Iterator[str]:
        """What makes this book more than a line."""
        book = self.case.pool.book
        held = book.positions.instrument[book.positions.quantity != 0]
        has_options = bool(np.any(TABLE.kind[held] == Kind.OPTION))
        yield "pools"
        if self.factors:
            yield "with a border"
        if len(self.factors) > 1:
            yield "with several"
        if has_options:
            yield "with options"
        if len(self.case.pool.assets()) > 1:
            yield "of several assets"
        if not has_options and not book.orders.order_id.size and self._bends():
            yield "across a tier"

    def _bends(self) -> bool:
        """Whether the requirement is no line in the price on the way to a border."""
        if not self.factors or len(self.case.direction.assets) > 1:
            return False
        near = min(self.factors, key=lambda factor: abs(np.log(factor)))
        factor, required = np.array(self.seen.factors), np.array(self.seen.required)
        way = (factor >= min(near, 1.0)) & (factor <= max(near, 1.0))
        slope = np.diff(required[way]) / np.diff(factor[way])
        scale = required[way].max(initial=0.0)
        return bool(slope.size > 1 and np.ptp(slope) > 1e-6 * scale)


def sides(found: Assessment) -> tuple[Int8s, Floats]:
    """Side and health of every pool, as ``PoolPath.try_factors`` tells them."""
    known = found.status != Status.UNKNOWN
    is_safe_now = known & (found.status < Status.LIQUIDATABLE)
    side = np.where(is_safe_now, Side.SAFE, np.where(known, Side.LIQUIDATABLE, Side.UNKNOWN))
    health = np.minimum(found.excess_margin, found.equity)
    return side.astype(np.int8), np.where(known, health, np.nan)


def judge_books(model: Model, accounts: int) -> Iterator[Judged]:
    """Every pool of known status of so many random accounts, judged both ways."""
    models, crowd = models_of(model), exam_book(model, accounts, seed=11)
    for group in gather(crowd, models):
        books = tuple(case.pool.book for case in group.cases)
        scans = scan_together(group.book, books, crowd.market, models, group.betas, POINTS)
        for case, seen in zip(group.cases, scans, strict=True):
            found = liquidation_price(SharedPath.within(group, case), case.direction)
            if found.status != Status.UNKNOWN:
                yield Judged(case, found, seen)


def gather(crowd: ExamBook, models: ModelSet) -> list[Crowd]:
    """The accounts' pools by the direction drawn for each."""
    random = stream(5, "directions")
    joint = [draw_joint(random) for _ in range(JOINT)]
    by_direction: dict[Direction, list[tuple[PoolPath, int]]] = {}
    for account, name in enumerate(crowd.book.account_ids):
        paths = paths_of(crowd.book, crowd.market, models, name)
        for pool, row in zip(paths, crowd.book.pools_of(account).tolist(), strict=True):
            names = pool.assets()
            if not names:
                continue
            if len(names) > 1 and random.random() < 0.25:
                chosen = joint[int(random.integers(JOINT))]
            else:
                chosen = Direction.along(names[int(random.integers(len(names)))])
            by_direction.setdefault(chosen, []).append((pool, row))
    groups = []
    for direction, pools in by_direction.items():
        book = take_pools(crowd.book, np.array([row for _, row in pools], dtype=np.int64))
        cases = (Case(pool, direction, column) for column, (pool, _) in enumerate(pools))
        groups.append(Crowd(tuple(cases), book))
    return groups


def draw_joint(random: np.random.Generator) -> Direction:
    """All assets at random betas, after a random leader."""
    names = [name for name in INDEX if name != "USD"]
    random.shuffle(names)
    betas = (1.0, *(round(float(random.uniform(0.3, 1.8)), 2) for _ in names[1:]))
    return Direction(tuple(names), betas)


def describe(name: str, judged: list[Judged]) -> str:
    """One line on a model's books."""
    counts = Counter(kind for one in judged for kind in one.kinds())
    worst = max((one.worst for one in judged), default=0.0)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    return f"{name}: {told}; worst relative difference {worst:.1e}"
