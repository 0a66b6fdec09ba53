"""A market as one vector: every number that a margin can depend on is a row of its own.

    [mark per instrument | index per asset | forward per instrument | implied vol per instrument |
     rate per asset | seconds since the origin]

The first part is ``Market.price``. Whatever moves in time alone, an option's time to expiry say,
moves along the last row. A market's surfaces and its venue's state are no rows.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from plimsoll.core import NS_PER_SECOND, Floats
from plimsoll.instruments import InstrumentTable
from plimsoll.market import Market


@final
@dataclass(frozen=True, slots=True)
class MarketRows:
    """Where the rows of a market lie, for an instrument table.

    ``origin_ns`` is the time at which the last row reads 0; times within 50 days of it keep
    every nanosecond.
    """

    instruments: int
    assets: int
    origin_ns: int

    @classmethod
    def of(cls, table: InstrumentTable, origin_ns: int) -> "MarketRows":
        """The rows of markets of a table."""
        return cls(len(table), len(table.assets.names), origin_ns)

    @property
    def count(self) -> int:
        """All rows."""
        return 3 * self.instruments + 2 * self.assets + 1

    @property
    def mark(self) -> int:
        """The first mark price, by instrument."""
        return 0

    @property
    def index(self) -> int:
        """The first index price, by asset."""
        return self.instruments

    @property
    def forward(self) -> int:
        """The first forward, by instrument."""
        return self.instruments + self.assets

    @property
    def vol(self) -> int:
        """The first implied volatility, by instrument."""
        return 2 * self.instruments + self.assets

    @property
    def rate(self) -> int:
        """The first interest rate, by asset."""
        return 3 * self.instruments + self.assets

    @property
    def time(self) -> int:
        """The row of the time."""
        return 3 * self.instruments + 2 * self.assets

    def vector(self, market: Market) -> Floats:
        """The rows of a market, shape [count]."""
        seconds = (market.as_of_ns - self.origin_ns) / NS_PER_SECOND
        parts = (market.price, market.forward, market.implied_vol, market.rate, [seconds])
        return np.concatenate(parts)

    def market(self, x: Floats, like: Market) -> Market:
        """The market with rows ``x``; what is no row is that of ``like``."""
        return replace(
            like,
            as_of_ns=self.origin_ns + round(float(x[self.time]) * NS_PER_SECOND),
            price=x[: self.forward].copy(),
            forward=x[self.forward : self.vol].copy(),
            implied_vol=x[self.vol : self.rate].copy(),
            rate=x[self.rate : self.time].copy(),
        )
