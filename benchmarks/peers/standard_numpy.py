"""``plimsoll.standard`` in plain NumPy, for a book of linear and inverse perpetuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plimsoll.book import Book
from plimsoll.core import Bools, Floats, Int64s
from plimsoll.instruments import Payoff

Tiers = Sequence[Sequence[float]]
NOTHING_COUNTS: Tiers = ((0.0, 1.0),)


@dataclass(frozen=True, slots=True)
class NumpyStandard:
    """The same four figures per pool; which row adds to which is resolved once, as in a plan.

    ``slot`` numbers (pool, instrument) pairs, ``cell`` (pool, asset), ``group`` (pool,
    underlying).
    """

    book: Book
    params: Mapping[str, Any]
    position_slot: Int64s
    order_slot: Int64s
    balance_cell: Int64s
    slot_cell: Int64s
    slot_group: Int64s
    slot_instrument: Int64s
    cell_pool: Int64s
    cell_asset: Int64s
    group_pool: Int64s
    group_base: Int64s

    @classmethod
    def build(cls, book: Book, params: Mapping[str, Any]) -> "NumpyStandard":
        """The peer for a book under a table's parameters."""
        table, assets = book.instruments, len(book.instruments.assets.names)
        held, orders, owned = book.positions, book.orders, book.balances
        slots, slot = np.unique(
            np.concatenate(
                [_pools(each.offsets) * len(table) + each.instrument for each in (held, orders)]
            ),
            return_inverse=True,
        )
        pool, instrument = slots // len(table), slots % len(table)
        cells, cell = np.unique(
            np.concatenate(
                [_pools(owned.offsets) * assets + owned.asset,
                 pool * assets + table.settle[instrument]]
            ),
            return_inverse=True,
        )  # fmt: skip
        groups, group = np.unique(pool * assets + table.base[instrument], return_inverse=True)
        positions, balances = held.quantity.size, owned.amount.size
        return cls(
            book, params, slot[:positions], slot[positions:], cell[:balances], cell[balances:],
            group, instrument, cells // assets, cells % assets, groups // assets, groups % assets,
        )  # fmt: skip

    def assess(self, mark: Floats, index: Floats) -> Floats:
        """Equity, collateral value, initial and maintenance margin in USD, shape [4, pools]."""
        book, table, pools = self.book, self.book.instruments, self.book.pool_count
        inverse = table.payoff == Payoff.INVERSE
        notional = np.where(inverse, table.multiplier, table.multiplier * mark)
        notional *= index[table.quote]
        i = book.positions.instrument
        contracts = book.positions.quantity * table.quantity_unit[i]
        value, counted = self._collateral(mark, index, inverse, contracts)
        held = _sum(self.position_slot, contracts, self.slot_instrument.size)
        side, filled, gross, loss = self._sides(mark, index, inverse, notional, held)
        price = index[self.group_base]
        initial, maintenance, with_orders = (
            self._charged(rate, amount, price)
            for rate, amount in ((2, side), (1, side), (2, filled))
        )
        fee_rate = self.params["fee_provision_rate"]
        fees = fee_rate * gross
        rise = with_orders - initial + fee_rate * np.maximum(filled - side, 0.0)
        orders = np.maximum(rise, 0.0) + loss
        return np.stack(
            [
                _sum(self.cell_pool, value, pools),
                _sum(self.cell_pool, counted, pools),
                _sum(self.group_pool, initial + orders + fees, pools),
                _sum(self.group_pool, maintenance + fees, pools),
            ]
        )

    def _collateral(
        self, mark: Floats, index: Floats, inverse: Bools, contracts: Floats
    ) -> tuple[Floats, Floats]:
        """USD value of each cell before and after the haircut."""
        book, table = self.book, self.book.instruments
        i, unit = book.positions.instrument, table.assets.unit
        worth = np.where(inverse, -table.multiplier / mark, table.multiplier * mark)
        profit = contracts * worth[i] - book.positions.cost * unit[table.settle[i]]
        equity = _sum(
            self.balance_cell, book.balances.amount * unit[book.balances.asset], self.cell_pool.size
        )
        np.add.at(equity, self.slot_cell[self.position_slot], profit)
        value = equity * index[self.cell_asset]
        names, haircuts = table.assets.names, self.params["haircuts"]
        schedules = [haircuts.get(name, NOTHING_COUNTS) for name in names]
        haircut = _tiered(schedules, 1, self.cell_asset, np.maximum(value, 0.0))
        return value, value - haircut

    def _sides(
        self, mark: Floats, index: Floats, inverse: Bools, notional: Floats, held: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """By group, USD: the larger side, the larger if orders fill, gross, loss of fills."""
        orders, table = self.book.orders, self.book.instruments
        slots, groups = held.size, self.group_pool.size
        i, is_buy = orders.instrument, orders.quantity > 0
        contracts = np.abs(orders.quantity) * table.quantity_unit[i] * ~orders.is_reduce_only
        decimals = np.array([row.price_decimals for row in table.rows])
        limit, size = orders.price * 10.0 ** -decimals[i], table.multiplier[i]
        at_limit = contracts * notional[i] * np.where(inverse[i], 1.0, limit / mark[i])
        worse = np.where(inverse[i], size / mark[i] - size / limit, size * (limit - mark[i]))
        lost = contracts * np.maximum(np.where(is_buy, worse, -worse), 0.0)
        loss = _sum(self.slot_group[self.order_slot], lost * index[table.settle[i]], groups)
        exposure = np.abs(held) * notional[self.slot_instrument]
        long, short = exposure * (held > 0), exposure * (held < 0)
        worst = []
        for now, closes, chosen in (
            (long, np.maximum(-held, 0.0), is_buy),
            (short, np.maximum(held, 0.0), ~is_buy),
        ):
            row = self.order_slot[chosen]
            wanted = _sum(row, contracts[chosen], slots)
            worth = _sum(row, at_limit[chosen], slots)
            # An order first closes what is held on the other side; only the rest opens.
            opens = np.maximum(wanted - closes, 0.0) / np.where(wanted > 0, wanted, 1.0)
            worst.append(_sum(self.slot_group, now + worth * opens, groups))
        sides = [_sum(self.slot_group, each, groups) for each in (long, short)]
        return np.maximum(*sides), np.maximum(*worst), sides[0] + sides[1], loss

    def _charged(self, rate: int, amount: Floats, price: Floats) -> Floats:
        """Brackets, or the size rule where it asks for more; ``rate`` is the table's column."""
        names = self.book.instruments.assets.names
        brackets = [self.params["brackets"].get(name, ()) for name in names]
        tiered = _tiered(brackets, rate, self.group_base, amount)
        slope = np.array([self.params["size_slopes"].get(name, 0.0) for name in names])
        base = np.array([rows[0][rate] if rows else np.nan for rows in brackets])
        rates = np.minimum(base[self.group_base] + slope[self.group_base] * amount / price, 1.0)
        return np.where(slope[self.group_base] > 0, np.maximum(tiered, amount * rates), tiered)


def _pools(offsets: Int64s) -> Int64s:
    return np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))


def _sum(rows: Int64s, values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(rows, weights=values, minlength=count), dtype=np.float64)


def _tiered(
    schedules: Sequence[Tiers], rate: int, ids: NDArray[np.int64], amount: Floats
) -> Floats:
    """Marginal-tier amount of each value on the schedule of its id."""
    out = np.full(amount.size, np.nan)
    for number, rows in enumerate(schedules):
        at = np.flatnonzero(ids == number)
        if not rows or not at.size:
            continue
        floors = np.array([row[0] for row in rows])
        rates = np.array([row[rate] for row in rows])
        constants = np.cumsum(floors * np.diff(rates, prepend=0.0))
        tier = np.searchsorted(floors[1:], amount[at])
        out[at] = amount[at] * rates[tier] - constants[tier]
    return out
