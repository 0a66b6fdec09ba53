"""The liquidation price that is true: where the whole pool becomes liquidatable.

Entry point: ``liquidation_prices``. A trial price moves everything on the asset (``path``) and
asks ``assess``, the judge that the engine asks, so that all positions, coins as collateral,
tiers that change on the way, open orders and what a model counts as due are in the answer. Where
a venue states a formula for one position, with the others held at today's figures, that one is
``Model.prices``; the two agree where nothing else moves.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s, Status
from plimsoll.instruments import Kind
from plimsoll.liquidation.prices.crossings import Side, Trials, find_borders, is_border
from plimsoll.liquidation.prices.path import Direction
from plimsoll.liquidation.prices.pool import PoolPath, pool_paths
from plimsoll.margin import ModelSet
from plimsoll.market import Market
from plimsoll.market.surface import years_between

FACTOR_MIN: Final = 1e-3
FACTOR_MAX: Final = 1e3
"""The range of prices that is searched, as factors of today's."""

_FALLS: Final = (
    0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92,
    0.97, 0.99, 0.999,
)  # fmt: skip
_OPTION_STEPS: Final = 129
_OPTION_RANGE: Final = 3.0
_DEVIATIONS: Final = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_KNOTS_APART: Final = 2e-3
_TRIALS_MAX: Final = 600
_TRIALS_MAX_OPTIONS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Crossing:
    """A border on the price axis.

    ``factor`` is the first trial past it, on the side that is not safe, ``safe_factor`` the last
    on the safe one (between liquidatable and unknown: the liquidatable one); they are at most
    1.4e-14 of the price apart. ``price`` is that of the leading asset at ``factor``. ``beyond``
    is the pool's status there: LIQUIDATABLE, BANKRUPT or UNKNOWN.
    """

    price: float
    factor: float
    safe_factor: float
    beyond: Status

    @property
    def is_safe_above(self) -> bool:
        """Whether the pool is safe at higher prices, as a long is."""
        return self.safe_factor > self.factor

    @property
    def move(self) -> float:
        """Move of the leading asset from today's price, a fraction."""
        return self.factor - 1.0


@dataclass(frozen=True, slots=True)
class LiquidationPrice:
    """Where a pool stands along a direction, and every border on it by rising price.

    ``price`` is the leading asset's price today, of what ``priced_by`` names: "index" (USD), or
    a contract's symbol (its mark, in quote) where there is no index. ``down`` and ``up`` are the
    nearest borders either side; None says that there is none between ``FACTOR_MIN`` and
    ``FACTOR_MAX`` of today's price, or for a pool of status UNKNOWN that none can be told.
    ``trials`` counts the assessments it took; ``assumptions`` says what stood in for inputs that
    the market does not state.
    """

    pool: int
    direction: Direction
    status: Status
    price: float
    priced_by: str
    crossings: tuple[Crossing, ...]
    trials: int
    assumptions: tuple[str, ...]

    @property
    def down(self) -> Crossing | None:
        """The nearest border at or below today's price."""
        below = [crossing for crossing in self.crossings if crossing.factor <= 1.0]
        return below[-1] if below else None

    @property
    def up(self) -> Crossing | None:
        """The nearest border above today's price."""
        return next((crossing for crossing in self.crossings if crossing.factor > 1.0), None)


def liquidation_prices(
    book: Book,
    market: Market,
    models: ModelSet,
    account_id: str,
    directions: tuple[Direction, ...] = (),
) -> tuple[LiquidationPrice, ...]:
    """Liquidation prices of each pool of an account, along each direction that it depends on.

    Without ``directions``, along every asset that the pool depends on. Raises InputError on an
    unknown account or asset.
    """
    found = []
    for pool in pool_paths(book, market, models, account_id):
        mine = set(pool.assets())
        wanted = directions or tuple(Direction.along(name) for name in pool.assets())
        for direction in wanted:
            direction.factors(1.0, book.instruments.assets)
            if mine & set(direction.assets):
                found.append(liquidation_price(pool, direction))
    return tuple(found)


def liquidation_price(pool: PoolPath, direction: Direction) -> LiquidationPrice:
    """Every border of one pool along one direction."""
    status = Status(pool.now().status[0])
    price, priced_by = reference_price(pool, direction.assets[0])
    crossings: tuple[Crossing, ...] = ()
    count = 1
    if status != Status.UNKNOWN:
        options = _moving_options(pool, direction)
        limit = _TRIALS_MAX_OPTIONS if options.size else _TRIALS_MAX
        trials = find_borders(
            lambda factors: pool.try_factors(direction, factors),
            _knots(pool, direction, options),
            limit,
        )
        count += trials.factor.size
        at = np.flatnonzero(is_border(trials))
        crossings = tuple(_crossing(pool, direction, trials, int(step), price) for step in at)
    return LiquidationPrice(
        pool=pool.number,
        direction=direction,
        status=status,
        price=price,
        priced_by=priced_by,
        crossings=crossings,
        trials=count,
        assumptions=_assumptions(pool, direction),
    )


def reference_price(pool: PoolPath, asset: str) -> tuple[float, str]:
    """An asset's price today and what it is of: its index, else the mark of a contract on it."""
    market, table = pool.path.market, pool.book.instruments
    number = table.assets.find(asset, "direction")
    if np.isfinite(market.index[number]):
        return float(market.index[number]), "index"
    for i in pool.held().tolist():
        if table.base[i] == number and table.kind[i] != Kind.OPTION:
            return float(market.mark[i]), table.symbols[i]
    return float("nan"), "index"


def _crossing(
    pool: PoolPath, direction: Direction, trials: Trials, step: int, price: float
) -> Crossing:
    """The border in a step: the worse of its sides is past it."""
    rank = {Side.SAFE: 0, Side.LIQUIDATABLE: 1, Side.UNKNOWN: 2}
    low, high = step, step + 1
    past, safe = sorted((low, high), key=lambda at: -rank[Side(int(trials.side[at]))])
    factor = float(trials.factor[past])
    beyond = Status(pool.assess_at(direction, factor).status[0])
    return Crossing(price * factor, factor, float(trials.factor[safe]), beyond)


def _moving_options(pool: PoolPath, direction: Direction) -> Int64s:
    """Rows of ``MarketPath`` of the options that the pool holds and the direction moves."""
    table, rows = pool.book.instruments, pool.path.rows
    factors = direction.factors(2.0, table.assets)
    moves = factors[table.base[rows]] != factors[table.quote[rows]]
    return np.flatnonzero(np.isin(rows, pool.held()) & moves)


def _knots(pool: PoolPath, direction: Direction, options: Int64s) -> Floats:
    """Where the axis is sampled first: a ladder either side of today and, where options are held,

    even steps of log price and for each expiry and strike the price at the strike and at whole
    standard deviations around it, where values bend.
    """
    falls = 1.0 - np.array(_FALLS)
    parts = [np.array([1.0]), falls, 1.0 / falls]
    if options.size:
        reach = np.log(_OPTION_RANGE)
        parts.append(np.exp(np.linspace(-reach, reach, _OPTION_STEPS)))
        table, path = pool.book.instruments, pool.path
        rows = path.rows[options]
        factors = direction.factors(np.e, table.assets)
        beta = np.log(factors[table.base[rows]] / factors[table.quote[rows]])
        years = np.maximum(years_between(path.market.as_of_ns, table.expiry_ns[rows]), 0.0)
        log_money = np.log(table.strike[rows] / path.forward[options])
        deviation = path.vol[options] * np.sqrt(years)
        at = (log_money[:, np.newaxis] + np.outer(deviation, _DEVIATIONS)) / beta[:, np.newaxis]
        parts.append(np.exp(at[np.isfinite(at) & (np.abs(at) < -np.log(FACTOR_MIN))]))
    knots = np.unique(np.clip(np.concatenate(parts), FACTOR_MIN, FACTOR_MAX))
    # Knots nearly on top of each other say the same; 1 is always among those kept.
    bucket = np.rint(np.log(knots) / _KNOTS_APART)
    _, first = np.unique(bucket, return_index=True)
    return np.unique(np.append(knots[first], [1.0, FACTOR_MIN, FACTOR_MAX]))


def _assumptions(pool: PoolPath, direction: Direction) -> tuple[str, ...]:
    path, symbols = pool.path, pool.book.instruments.symbols
    told = []
    for k in _moving_options(pool, direction).tolist():
        symbol = symbols[path.rows[k]]
        if path.assumed_forward[k]:
            told.append(f"forward of {symbol} is not stated: the index stands in for it")
        if path.assumed_vol[k]:
            told.append(f"implied_vol of {symbol} is not stated: taken from its mark")
    return tuple(told)
