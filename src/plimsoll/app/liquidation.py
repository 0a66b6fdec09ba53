"""Where the pools of a portfolio are liquidated: the figures that the command and its page show."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from plimsoll.app.dollars import DOLLARS
from plimsoll.book import Book
from plimsoll.connectors import Portfolio
from plimsoll.core import Floats, InputError, Status
from plimsoll.instruments import Kind
from plimsoll.liquidation.prices import (
    Crossing,
    Direction,
    Influence,
    LiquidationPrice,
    PoolPath,
    Remedy,
    exit_probability,
    find_remedies,
    influences,
    liquidation_price,
    median_days,
    pool_paths,
)
from plimsoll.margin import Explanation, ModelSet, explain

HORIZONS: Final = (1.0, 7.0, 30.0)
"""Days for which the probability of liquidation is told."""
_CURVE_POINTS: Final = 241
_CURVE_REACH: Final = 0.6
_CURVE_REACH_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Passage:
    """Probability of reaching a border within each of ``HORIZONS``, and the median days to it."""

    daily_vol: float
    probabilities: tuple[float, ...]
    median_days: float


@dataclass(frozen=True, slots=True)
class Line:
    """One direction of one pool: its borders, and when they may be reached if a vol is known."""

    price: LiquidationPrice
    passage: Passage | None


@dataclass(frozen=True, slots=True)
class ContractPrices:
    """A contract of the pool that the direction moves: its mark today and at the border, and the

    venue's own liquidation price for the position, the others held; NaN where there is none.
    """

    symbol: str
    quantity: float
    mark: float
    mark_there: float
    venue_price: float


@dataclass(frozen=True, slots=True)
class Account:
    """``there`` explains a pool at a border, ``now`` today; ``contracts`` are those that moved,

    ``influences`` what would move the border.
    """

    line: Line
    crossing: Crossing
    now: Explanation
    there: Explanation
    contracts: tuple[ContractPrices, ...]
    influences: tuple[Influence, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """USD along a direction, by rising price of its leading asset; NaN where unknown."""

    price: Floats
    excess_margin: Floats
    collateral_value: Floats
    maintenance_margin: Floats


@dataclass(frozen=True, slots=True)
class PoolStudy:
    """One pool: its lines, the nearest border first told of, remedies, and why it is UNKNOWN."""

    name: str
    path: PoolPath
    now: Explanation
    lines: tuple[Line, ...]
    remedies: tuple[Remedy, ...]
    target_ratio: float

    @property
    def nearest(self) -> tuple[Line, Crossing] | None:
        """The border that the smallest move of its asset reaches, and the line it is on."""
        found = [(line, nearest_crossing(line.price)) for line in self.lines]
        reached = [(line, crossing) for line, crossing in found if crossing is not None]
        return min(reached, key=lambda one: abs(math.log(one[1].factor)), default=None)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: assets, directions, daily vols by asset, and the remedies' target and fee.

    ``target_ratio`` None is where the model's margin call begins.
    """

    assets: tuple[str, ...]
    directions: tuple[Direction, ...]
    daily_vols: tuple[tuple[str, float], ...]
    target_ratio: float | None
    fee_rate: float


def study_account(
    portfolio: Portfolio, models: ModelSet, account: str, question: Question
) -> tuple[PoolStudy, ...]:
    """Studies of an account's pools. Raises InputError on unknown names."""
    book, market = portfolio.book, portfolio.market
    for asset in (*question.assets, *(name for name, _ in question.daily_vols)):
        book.instruments.assets.find(asset, "asset")
    for direction in question.directions:
        direction.factors(1.0, book.instruments.assets)
    resolved = models.models[book.account_model[book.find_account(account, "account")]]
    target = question.target_ratio or resolved.margin_call_ratio
    explanations = explain(book, market, models, account)
    vols = dict(question.daily_vols)
    found = []
    for path, now in zip(pool_paths(book, market, models, account), explanations, strict=True):
        prices = [liquidation_price(path, one) for one in directions_of(path, question)]
        lines = tuple(Line(price, _passage(price, vols)) for price in prices)
        remedies = find_remedies(path, target, question.fee_rate)
        found.append(PoolStudy(path.name, path, now, lines, remedies, target))
    return tuple(found)


def directions_of(path: PoolPath, question: Question) -> tuple[Direction, ...]:
    """What is looked along: as asked, else each coin alone and, of several, all as one."""
    mine = path.assets()
    if question.assets or question.directions:
        alone = tuple(Direction.along(name) for name in question.assets if name in mine)
        joint = tuple(one for one in question.directions if set(one.assets) & set(mine))
        return alone + joint
    coins = tuple(name for name in mine if name not in DOLLARS)
    alone = tuple(Direction.along(name) for name in coins)
    return (*alone, Direction(coins, (1.0,) * len(coins))) if len(coins) > 1 else alone


def nearest_crossing(price: LiquidationPrice) -> Crossing | None:
    """The border that the smaller move of log price reaches."""
    sides = [crossing for crossing in (price.down, price.up) if crossing is not None]
    return min(sides, key=lambda crossing: abs(math.log(crossing.factor)), default=None)


def _distance(price: LiquidationPrice) -> float:
    crossing = nearest_crossing(price)
    return math.inf if crossing is None else abs(math.log(crossing.factor))


def _passage(price: LiquidationPrice, vols: dict[str, float]) -> Passage | None:
    vol = vols.get(price.direction.assets[0])
    if vol is None or price.status == Status.UNKNOWN:
        return None
    if price.status >= Status.LIQUIDATABLE:
        return Passage(vol, (1.0,) * len(HORIZONS), 0.0)
    low = price.down.factor if price.down else 0.0
    high = price.up.factor if price.up else math.inf
    chances = tuple(exit_probability(low, high, vol, days) for days in HORIZONS)
    return Passage(vol, chances, median_days(low, high, vol))


def account_for(study: PoolStudy, line: Line, crossing: Crossing) -> Account:
    """Everything about one border."""
    path, direction = study.path, line.price.direction
    market = path.market_at(direction, crossing.factor)
    name = path.account.account_ids[0]
    there = next(
        one for one in explain(path.account, market, path.models, name) if one.pool == study.name
    )
    marks, marks_there = path.path.market.mark, market.mark
    table = path.book.instruments
    rows = []
    positions = study.now.detail("positions")
    has_prices = "liquidation_price" in positions.columns
    for label, values in positions.rows:
        i = table.index[label]
        row = dict(zip(positions.columns, values, strict=True))
        if table.kind[i] != Kind.SPOT and marks[i] != marks_there[i] and row["quantity"]:
            venue = row["liquidation_price"] if has_prices else math.nan
            rows.append(
                ContractPrices(
                    label, row["quantity"], float(marks[i]), float(marks_there[i]), venue
                )
            )
    moved = influences(path, direction, crossing)
    return Account(line, crossing, study.now, there, tuple(rows), moved)


def draw_curve(study: PoolStudy, line: Line, points: int = _CURVE_POINTS) -> Curve:
    """Figures around today's price, as far as the nearest borders and a little beyond."""
    reach = max(_CURVE_REACH, 1.25 * min(_distance(line.price), _CURVE_REACH_MAX))
    factors = np.exp(np.linspace(-reach, reach, points))
    rows = []
    for factor in factors.tolist():
        result = study.path.assess_at(line.price.direction, factor)
        known = result.status[0] != Status.UNKNOWN
        figures = (result.excess_margin, result.collateral_value, result.maintenance_margin)
        rows.append([float(figure[0]) if known else math.nan for figure in figures])
    excess, value, maintenance = np.array(rows).T
    return Curve(line.price.price * factors, excess, value, maintenance)


def parse_direction(text: str) -> Direction:
    """``BTC=1,ETH=1.2`` as a direction. Raises InputError where it is none."""
    assets, betas = [], []
    for part in text.split(","):
        name, sign, beta = part.partition("=")
        assets.append(name.strip())
        try:
            betas.append(float(beta) if sign else 1.0)
        except ValueError:
            betas.append(math.nan)
    try:
        return Direction(tuple(assets), tuple(betas))
    except InputError as error:
        problem = "is no direction"
        raise InputError(f"--direction {text[:40]}", problem, "write BTC=1,ETH=1.2") from error


def parse_vol(text: str) -> tuple[str, float]:
    """``BTC=3%`` as an asset and its daily vol. Raises InputError where it is none."""
    name, _, vol = text.partition("=")
    try:
        value = float(vol.rstrip("%")) / (100 if vol.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < 10:
        raise InputError(f"--daily-vol {text[:40]}", "is no volatility", "write BTC=3%")
    return name, value


def account_names(book: Book, account: str | None) -> tuple[str, ...]:
    """The accounts that are asked for."""
    return book.account_ids if account is None else (account,)
