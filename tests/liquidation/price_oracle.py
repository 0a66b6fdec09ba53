"""Liquidation prices by brute force: a dense scan of statuses and plain halving.

What moves with a price is written out here once more, in scalar Python; of the engine only
``assess`` is asked, whose status is the claim under test.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Status
from plimsoll.margin import ModelSet, assess
from plimsoll.market import Market, Quality
from tests.margin.option_books import plain_black76

NS_PER_YEAR = 365 * 86_400 * 10**9


@dataclass(frozen=True)
class Scan:
    """Borders by rising factor, and the scanned factors with whether the pool is safe there.

    None where its status is UNKNOWN. ``required`` is the maintenance margin there, USD.
    """

    borders: tuple[float, ...]
    factors: tuple[float, ...]
    sides: tuple[bool | None, ...]
    required: tuple[float, ...]


def moved_market(market: Market, factors: dict[str, float]) -> Market:
    """Every index, mark and forward after the assets' prices were multiplied."""
    table = market.instruments
    price, forward = market.price.copy(), market.forward.copy()
    for i, row in enumerate(table.rows):
        growth = factors.get(row.base, 1.0) / factors.get(row.quote, 1.0)
        if growth == 1.0:
            continue
        if row.strike:
            price[i] = option_mark(market, i, growth)
        else:
            price[i] *= growth
        forward[i] *= growth
    for asset, factor in factors.items():
        price[len(table) + table.assets.names.index(asset)] *= factor
    quality = np.where(np.isnan(price) & ~np.isnan(market.price), Quality.MISSING, market.quality)
    return replace(market, price=price, forward=forward, quality=quality.astype(np.int8))


def option_mark(market: Market, i: int, growth: float) -> float:
    """The mark plus the change of the Black-76 value at the same volatility, at least 0."""
    row = market.instruments.rows[i]
    years = (row.expiry_ns - market.as_of_ns) / NS_PER_YEAR
    vol, strike, now = float(market.implied_vol[i]), float(row.strike), float(market.forward[i])
    worth = []
    for forward in (now, now * growth):
        value = plain_black76(forward, strike, years, vol, row.is_call)
        worth.append(value / forward if row.settle == row.base else value)
    return max(float(market.mark[i]) + worth[1] - worth[0], 0.0)


def statuses(
    book: Book, market: Market, models: ModelSet, betas: dict[str, float], factor: float
) -> tuple[list[bool | None], list[float]]:
    """Of every pool at a factor: whether it is safe, None where UNKNOWN, and what it requires."""
    there = moved_market(market, {asset: factor**beta for asset, beta in betas.items()})
    with np.errstate(all="ignore"):
        found = assess(book, there, models)
    safe = [None if s == Status.UNKNOWN else bool(s < Status.LIQUIDATABLE) for s in found.status]
    return safe, found.maintenance_margin.tolist()


def is_safe(
    book: Book, market: Market, models: ModelSet, betas: dict[str, float], factor: float
) -> bool | None:
    """Whether the book's only pool is safe at a factor; None where it is UNKNOWN."""
    return statuses(book, market, models, betas, factor)[0][0]


def scan_together(
    book: Book,
    alone: tuple[Book, ...],
    market: Market,
    models: ModelSet,
    betas: dict[str, float],
    points: int,
) -> list[Scan]:
    """Of every pool, borders to 1e-10 between ``points`` factors even in log price, 0.1 to 10.

    ``book`` has all the pools, for the scan; ``alone`` each of them, for halving its borders.
    """
    factors = [math.exp(x) for x in np.linspace(-math.log(10), math.log(10), points)]
    rows = [statuses(book, market, models, betas, factor) for factor in factors]
    scans = []
    for column, small in enumerate(alone):
        sides = [safe[column] for safe, _ in rows]
        borders = []
        for start, end, side, other in zip(factors, factors[1:], sides, sides[1:], strict=False):
            if side is other:
                continue
            low, high = start, end
            while high - low > 1e-10 * high:
                middle = 0.5 * (low + high)
                if is_safe(small, market, models, betas, middle) is side:
                    low = middle
                else:
                    high = middle
            borders.append(0.5 * (low + high))
        required = tuple(needed[column] for _, needed in rows)
        scans.append(Scan(tuple(borders), tuple(factors), tuple(sides), required))
    return scans
