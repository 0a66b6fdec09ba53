"""A price path as the engine's inputs."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int64s
from plimsoll.instruments import InstrumentTable
from plimsoll.market import PriceBatch, PricePath

PAR = frozenset({"USD", "USDT", "USDC", "FDUSD", "DAI", "TUSD"})
"""Assets that a replay holds at 1 USD: the path has no market for them."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows of ``Market.price`` that a path prices, and from which of its columns.

    Contracts take their underlying's perpetual price as mark, coins take it as index; column
    -1 stands for par.
    """

    path: PricePath
    row: Int64s
    column: Int64s

    def prices(self, tick: int) -> Floats:
        """Prices of the rows at a tick; NaN where the path has none."""
        padded = np.append(self.path.price[tick], 1.0)
        return np.asarray(padded[self.column])

    def last_prices(self, tick: int) -> Floats:
        """As ``prices``, but where the path has none at the tick, the last one before it."""
        backwards = self.path.price[tick::-1]
        last = np.argmax(np.isfinite(backwards), axis=0)
        padded = np.append(backwards[last, np.arange(last.size)], 1.0)
        return np.asarray(padded[self.column])

    def observations(self, tick: int) -> PriceBatch:
        """What the one source of the path says at a tick; missing prices are not said."""
        price = self.prices(tick)
        seen = np.isfinite(price)
        count = int(seen.sum())
        return PriceBatch(
            source=np.zeros(count, dtype=np.int32),
            row=self.row[seen].astype(np.int32),
            price=price[seen],
            time_ns=np.full(count, self.path.time_ns[tick], dtype=np.int64),
        )


def known_part(path: PricePath, underlyings: Collection[str]) -> PricePath:
    """The columns of a path that a population can trade: known and priced at the start.

    InputError where none is left.
    """
    keep = [
        column
        for column, symbol in enumerate(path.symbols)
        if symbol.partition("/")[0] in underlyings and np.isfinite(path.price[0, column])
    ]
    if not keep:
        known = ", ".join(sorted(underlyings)[:5])
        problem = "none of its symbols is known and priced at the start"
        raise InputError(path.source, problem, f"give prices of {known} or others")
    symbols = tuple(path.symbols[column] for column in keep)
    return PricePath(symbols, path.time_ns, path.price[:, keep], path.source)


def feed_of(path: PricePath, instruments: InstrumentTable) -> Feed:
    """The feed for a table. InputError where an instrument's underlying is not in the path."""
    bases = [symbol.partition("/")[0] for symbol in path.symbols]
    rows, columns = [], []
    for row, instrument in enumerate(instruments.rows):
        if instrument.base not in bases:
            remedy = "leave it out or give a path that has it"
            raise InputError(path.source, f"no price for {instrument.symbol}", remedy)
        rows.append(row)
        columns.append(bases.index(instrument.base))
    for asset, name in enumerate(instruments.assets.names):
        if name in PAR or name in bases:
            rows.append(len(instruments) + asset)
            columns.append(-1 if name in PAR else bases.index(name))
    return Feed(path, np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64))
