"""``plimsoll.standard`` as a Polars query, for a book of linear and inverse perpetuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s
from plimsoll.instruments import InstrumentTable, Payoff


@dataclass(frozen=True, slots=True)
class PolarsStandard:
    """The same four figures per pool, grouped anew at each call as a query is."""

    table: InstrumentTable
    params: Mapping[str, Any]
    positions: pl.DataFrame
    balances: pl.DataFrame
    orders: pl.DataFrame

    @classmethod
    def build(cls, book: Book, params: Mapping[str, Any]) -> "PolarsStandard":
        """The peer for a book under a table's parameters."""
        held, owned, placed = book.positions, book.balances, book.orders
        return cls(
            book.instruments,
            params,
            pl.DataFrame(
                {"pool": _pools(held.offsets), "instrument": held.instrument,
                 "quantity": held.quantity, "cost": held.cost}
            ),
            pl.DataFrame(
                {"pool": _pools(owned.offsets), "asset": owned.asset, "units": owned.amount}
            ),
            pl.DataFrame(
                {"pool": _pools(placed.offsets), "instrument": placed.instrument,
                 "quantity": placed.quantity, "units": placed.price,
                 "reduces": placed.is_reduce_only}
            ),
        )  # fmt: skip

    def assess(self, mark: Floats, index: Floats) -> pl.DataFrame:
        """Columns pool, equity, collateral, initial, maintenance; USD, idle pools left out."""
        instruments = self._instruments(mark, index)
        assets = pl.LazyFrame(
            {"asset": np.arange(index.size, dtype=np.int32), "price": index,
             "unit": self.table.assets.unit}
        )  # fmt: skip
        collateral = self._collateral(instruments, assets)
        requirement = self._requirement(instruments, assets)
        return (
            collateral.join(requirement, on="pool", how="full", coalesce=True)
            .with_columns(pl.all().exclude("pool").fill_null(0.0))
            .collect()
        )

    def _instruments(self, mark: Floats, index: Floats) -> pl.LazyFrame:
        table = self.table
        inverse = table.payoff == Payoff.INVERSE
        size = table.multiplier
        return pl.LazyFrame(
            {
                "instrument": np.arange(len(table), dtype=np.int32),
                "base": table.base,
                "settle": table.settle,
                "step": table.quantity_unit,
                "tick": np.array([10.0**-row.price_decimals for row in table.rows]),
                "size": size,
                "inverse": inverse,
                "mark": mark,
                "worth": np.where(inverse, -size / mark, size * mark),
                "notional": np.where(inverse, size, size * mark) * index[table.quote],
                "cost_unit": table.assets.unit[table.settle],
                "settle_price": index[table.settle],
            }
        )

    def _collateral(self, instruments: pl.LazyFrame, assets: pl.LazyFrame) -> pl.LazyFrame:
        column = pl.col
        profit = self.positions.lazy().join(instruments, on="instrument").select(
            "pool",
            asset="settle",
            amount=column("quantity") * column("step") * column("worth")
            - column("cost") * column("cost_unit"),
        )  # fmt: skip
        owned = self.balances.lazy().join(assets, on="asset").select(
            "pool", "asset", amount=column("units") * column("unit")
        )  # fmt: skip
        cells = (
            pl.concat([owned, profit])
            .group_by("pool", "asset")
            .agg(column("amount").sum())
            .join(assets, on="asset")
            .select("pool", "asset", value=column("amount") * column("price"))
        )
        # An asset without haircuts backs nothing: a schedule that removes all of it.
        listed = {name: self.params["haircuts"].get(name, [[0, 1.0]]) for name in self._names}
        positive = column("value").clip(lower_bound=0.0)
        return (
            self._tiered(cells, "asset", positive, listed, (1,))
            .group_by("pool")
            .agg(
                equity=column("value").sum(),
                collateral=(column("value") - column("amount_1")).sum(),
            )
        )

    def _requirement(self, instruments: pl.LazyFrame, assets: pl.LazyFrame) -> pl.LazyFrame:
        column = pl.col
        groups = self._groups(instruments).join(assets, left_on="base", right_on="asset")
        brackets, fee = self.params["brackets"], self.params["fee_provision_rate"]
        slopes = [float(self.params["size_slopes"].get(name, 0.0)) for name in self._names]
        known = [name for name in self._names if name in brackets]
        rules = pl.LazyFrame(
            {
                "base": np.array([self._names.index(name) for name in known], dtype=np.int32),
                "slope": [slopes[self._names.index(name)] for name in known],
                "first_1": [brackets[name][0][1] for name in known],
                "first_2": [brackets[name][0][2] for name in known],
            }
        )
        groups = groups.join(rules, on="base")

        def charged(rate: int, amount: pl.Expr) -> pl.Expr:
            asked = column(f"first_{rate}") + column("slope") * amount / column("price")
            scaled = amount * asked.clip(upper_bound=1.0)
            tiered = column(f"amount_{rate}")
            scales = column("slope") > 0
            return pl.when(scales).then(pl.max_horizontal(tiered, scaled)).otherwise(tiered)

        side, filled = column("side"), column("filled")
        first = self._tiered(groups, "base", side, brackets, (1, 2)).with_columns(
            initial=charged(2, side), maintenance=charged(1, side)
        ).drop("amount_1", "amount_2")  # fmt: skip
        both = self._tiered(first, "base", filled, brackets, (2,))
        rise = charged(2, filled) - column("initial") + fee * (filled - side).clip(lower_bound=0.0)
        orders, fees = rise.clip(lower_bound=0.0) + column("loss"), fee * column("gross")
        return both.group_by("pool").agg(
            initial=(column("initial") + orders + fees).sum(),
            maintenance=(column("maintenance") + fees).sum(),
        )

    def _groups(self, instruments: pl.LazyFrame) -> pl.LazyFrame:
        """USD by pool and underlying: larger side, the same if orders fill, gross, loss."""
        column = pl.col
        zero = pl.lit(0.0)
        held = self.positions.lazy().join(instruments, on="instrument").select(
            "pool", "instrument", held=column("quantity") * column("step"), buys=zero, sells=zero,
            buy_notional=zero, sell_notional=zero, loss=zero,
        )  # fmt: skip
        contracts = column("quantity").abs() * column("step")
        buy, limit = column("quantity") > 0, column("units") * column("tick")
        moved = pl.when("inverse").then(1.0).otherwise(limit / column("mark"))
        at_limit = contracts * column("notional") * moved
        gap = pl.when("inverse").then(1.0 / column("mark") - 1.0 / limit).otherwise(
            limit - column("mark")
        )  # fmt: skip
        worse = (pl.when(buy).then(gap).otherwise(-gap)).clip(lower_bound=0.0)
        placed = (
            self.orders.lazy().filter(~column("reduces")).join(instruments, on="instrument").select(
                "pool", "instrument", held=zero,
                buys=pl.when(buy).then(contracts).otherwise(0.0),
                sells=pl.when(buy).then(0.0).otherwise(contracts),
                buy_notional=pl.when(buy).then(at_limit).otherwise(0.0),
                sell_notional=pl.when(buy).then(0.0).otherwise(at_limit),
                loss=contracts * worse * column("size") * column("settle_price"),
            )
        )  # fmt: skip
        value = column("held").abs() * column("notional")
        long = pl.when(column("held") > 0).then(value).otherwise(0.0)
        short = pl.when(column("held") < 0).then(value).otherwise(0.0)

        def opened(wanted: str, worth: str, closes: pl.Expr) -> pl.Expr:
            part = (column(wanted) - closes.clip(lower_bound=0.0)).clip(lower_bound=0.0)
            return pl.when(column(wanted) > 0).then(
                column(worth) * part / column(wanted)
            ).otherwise(0.0)  # fmt: skip

        up = long + opened("buys", "buy_notional", -column("held"))
        down = short + opened("sells", "sell_notional", column("held"))
        return (
            pl.concat([held, placed])
            .group_by("pool", "instrument")
            .agg(pl.all().sum())
            .join(instruments, on="instrument")
            .select("pool", "base", "loss", long=long, short=short, up=up, down=down)
            .group_by("pool", "base")
            .agg(pl.all().sum())
            .select(
                "pool", "base", "loss",
                side=pl.max_horizontal("long", "short"), filled=pl.max_horizontal("up", "down"),
                gross=column("long") + column("short"),
            )
        )  # fmt: skip

    def _tiered(
        self,
        frame: pl.LazyFrame,
        key: str,
        value: pl.Expr,
        schedules: Mapping[str, Any],
        rates: tuple[int, ...],
    ) -> pl.LazyFrame:
        """The frame with ``amount_<rate>``: marginal tiers of a value on its key's schedule."""
        tiers = [
            (self._names.index(name), float(row[0]), *_marginal(schedules[name], number, rates))
            for name in self._names
            for number, row in enumerate(schedules.get(name, ()))
        ]
        columns = [f"{what}_{rate}" for rate in rates for what in ("rate", "constant")]
        steps = pl.LazyFrame(tiers, schema=[key, "floor", *columns], orient="row").with_columns(
            pl.col(key).cast(pl.Int32)
        )
        return (
            frame.with_columns(tiered=value)
            .sort("tiered")
            .join_asof(
                steps.sort("floor"), left_on="tiered", right_on="floor", by=key,
                allow_exact_matches=False, check_sortedness=False,
            )
            .with_columns(
                (pl.col("tiered") * pl.col(f"rate_{rate}") - pl.col(f"constant_{rate}"))
                .fill_null(0.0)
                .alias(f"amount_{rate}")
                for rate in rates
            )
            .drop("tiered", "floor", *columns)
        )  # fmt: skip

    @property
    def _names(self) -> tuple[str, ...]:
        return self.table.assets.names


def _marginal(rows: list[list[float]], number: int, rates: tuple[int, ...]) -> list[float]:
    """Rate and constant of one tier, for each wanted column."""
    figures = []
    for rate in rates:
        before = [0.0, *(row[rate] for row in rows)]
        constant = sum(rows[k][0] * (rows[k][rate] - before[k]) for k in range(number + 1))
        figures += [float(rows[number][rate]), float(constant)]
    return figures


def _pools(offsets: Int64s) -> Int64s:
    return np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))
