"""A ledger as plain Python: dictionaries of unbounded integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from plimsoll.book import Book, SystemPool
from plimsoll.core import Int32s, Int64s
from plimsoll.instruments import InstrumentTable, Payoff

Trade = tuple[int, int, int, int, int, int]
"""Pool, counterparty, instrument, quantity, price, fee; in exact units."""


@dataclass(frozen=True, slots=True)
class DictLedger:
    """Positions (quantity, cost) by (pool, instrument), balances by (pool, asset).

    It checks nothing and forgets the state before. ``settle`` and ``rate`` are by instrument;
    a linear trade is worth quantity * price * rate, an inverse one -quantity * rate / price.
    """

    positions: dict[tuple[int, int], tuple[int, int]]
    balances: dict[tuple[int, int], int]
    settle: tuple[int, ...]
    is_inverse: tuple[bool, ...]
    rate: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, book: Book) -> "DictLedger":
        """The ledger of a book of linear and inverse perpetuals."""
        table, held, owned = book.instruments, book.positions, book.balances
        return cls(
            dict(zip(_keys(held.offsets, held.instrument),
                     zip(held.quantity.tolist(), held.cost.tolist(), strict=True), strict=True)),
            dict(zip(_keys(owned.offsets, owned.asset), owned.amount.tolist(), strict=True)),
            tuple(table.settle.tolist()),
            tuple((table.payoff == Payoff.INVERSE).tolist()),
            tuple(_rate(table, i) for i in range(len(table))),
        )  # fmt: skip

    def copy(self) -> "DictLedger":
        """One that can be changed on its own."""
        return DictLedger(
            self.positions.copy(), self.balances.copy(), self.settle, self.is_inverse, self.rate
        )

    def apply(self, trades: Sequence[Trade]) -> None:
        """Book some trades, one after the other."""
        positions, balances = self.positions, self.balances
        for pool, other, instrument, quantity, price, fee in trades:
            top, bottom = self.rate[instrument]
            if self.is_inverse[instrument]:
                value = _divided(-quantity * top, price * bottom)
            else:
                value = _divided(quantity * price * top, bottom)
            asset = self.settle[instrument]
            for owner, change, paid in ((pool, quantity, value), (other, -quantity, -value)):
                key = (owner, instrument)
                held, cost = positions.get(key, (0, 0))
                realised = 0
                if owner >= len(SystemPool) and held * change < 0:
                    closed = min(abs(held), abs(change))
                    cost_part = _divided(cost * closed, abs(held))
                    paid_part = _divided(paid * closed, abs(change))
                    realised = -paid_part - cost_part
                    cost -= paid_part + cost_part
                positions[key] = (held + change, cost + paid)
                if realised:
                    cash = (owner, asset)
                    balances[cash] = balances.get(cash, 0) + realised
            if fee:
                for owner, amount in ((pool, -fee), (int(SystemPool.FEES), fee)):
                    balances[owner, asset] = balances.get((owner, asset), 0) + amount


def _keys(offsets: Int64s, ids: Int32s) -> list[tuple[int, int]]:
    pools = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    return list(zip(pools.tolist(), ids.tolist(), strict=True))


def _rate(table: InstrumentTable, i: int) -> tuple[int, int]:
    row = table.rows[i]
    exponent = table.assets.decimals[table.settle[i]] - row.quantity_decimals
    exponent += row.price_decimals if row.payoff == Payoff.INVERSE else -row.price_decimals
    rate = Fraction(row.contract_multiplier) * Fraction(10) ** exponent
    return rate.numerator, rate.denominator


def _divided(top: int, bottom: int) -> int:
    """top / bottom > 0 to the nearest integer, ties to even."""
    quotient, rest = divmod(top, bottom)
    return quotient + (2 * rest > bottom or (2 * rest == bottom and quotient & 1))
