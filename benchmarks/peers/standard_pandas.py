"""``plimsoll.standard`` in pandas, for a book of linear contracts without orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plimsoll.book import Book
from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable


@dataclass(frozen=True, slots=True)
class PandasStandard:
    """The four figures and the status per pool, by joins and grouped sums.

    ``positions`` and ``balances`` name their pool in a column, as rows from a database would.
    """

    table: InstrumentTable
    params: Mapping[str, Any]
    positions: pd.DataFrame
    balances: pd.DataFrame
    pools: int

    @classmethod
    def build(cls, book: Book, params: Mapping[str, Any]) -> "PandasStandard":
        """The peer for a book under a table's parameters."""
        held, owned = book.positions, book.balances
        pools = np.arange(book.pool_count)
        positions = pd.DataFrame(
            {
                "pool": np.repeat(pools, np.diff(held.offsets)),
                "instrument": held.instrument,
                "quantity": held.quantity,
                "cost": held.cost,
            }
        )
        balances = pd.DataFrame(
            {
                "pool": np.repeat(pools, np.diff(owned.offsets)),
                "asset": owned.asset,
                "amount": owned.amount * book.instruments.assets.unit[owned.asset],
            }
        )
        return cls(book.instruments, params, positions, balances, book.pool_count)

    def assess(self, mark: Floats, index: Floats) -> pd.DataFrame:
        """Equity, collateral, initial and maintenance in USD, and the status; a row per pool."""
        held = self.positions.merge(self._contracts(mark, index), on="instrument")
        contracts = held["quantity"] * held["step"]
        held["amount"] = contracts * held["worth"] - held["cost"] * held["cost_unit"]
        worth = contracts * held["notional"]
        held["long"], held["short"] = worth.clip(lower=0.0), (-worth).clip(lower=0.0)
        found = self._collateral(held, index).join(self._requirement(held), how="outer")
        found = found.reindex(range(self.pools), fill_value=0.0).fillna(0.0)
        ratio = found["maintenance"] / found["collateral"]
        found["status"] = np.select(
            [found["equity"] < 0, (ratio >= 1) | (found["collateral"] < 0),
             ratio >= self.params["margin_call_ratio"]],
            [4, 3, 2],
            default=1,
        )  # fmt: skip
        return found

    def _contracts(self, mark: Floats, index: Floats) -> pd.DataFrame:
        table = self.table
        return pd.DataFrame(
            {
                "instrument": np.arange(len(table), dtype=np.int32),
                "base": table.base,
                "asset": table.settle,
                "step": table.quantity_unit,
                "worth": table.multiplier * mark,
                "notional": table.multiplier * mark * index[table.quote],
                "cost_unit": table.assets.unit[table.settle],
            }
        )

    def _collateral(self, held: pd.DataFrame, index: Floats) -> pd.DataFrame:
        columns = ["pool", "asset", "amount"]
        rows = pd.concat([self.balances[columns], held[columns]])
        cells = rows.groupby(["pool", "asset"], sort=False, as_index=False)["amount"].sum()
        cells["equity"] = cells["amount"] * index[cells["asset"]]
        cells["positive"] = cells["equity"].clip(lower=0.0)
        # An asset without haircuts backs nothing: a schedule that removes all of it.
        names = self.table.assets.names
        listed = {name: self.params["haircuts"].get(name, [[0, 1.0]]) for name in names}
        cells = self._tiered(cells, "asset", "positive", listed, {"haircut": 1})
        cells["collateral"] = cells["equity"] - cells["haircut"]
        return cells.groupby("pool")[["equity", "collateral"]].sum()

    def _requirement(self, held: pd.DataFrame) -> pd.DataFrame:
        sides = ["long", "short"]
        groups = held.groupby(["pool", "base"], sort=False, as_index=False)[sides].sum()
        groups["side"] = groups[sides].max(axis=1)
        fees = self.params["fee_provision_rate"] * (groups["long"] + groups["short"])
        rates = {"maintenance": 1, "initial": 2}
        groups["fees"] = fees
        groups = self._tiered(groups, "base", "side", self.params["brackets"], rates)
        for name in rates:
            groups[name] += groups["fees"]
        return groups.groupby("pool")[list(rates)].sum()

    def _tiered(
        self, frame: pd.DataFrame, key: str, value: str, schedules: Mapping[str, Any],
        rates: Mapping[str, int],
    ) -> pd.DataFrame:  # fmt: skip
        """The frame with an amount per name in ``rates``: marginal tiers of a value."""
        rows = []
        for number, name in enumerate(self.table.assets.names):
            constants, before = dict.fromkeys(rates, 0.0), dict.fromkeys(rates, 0.0)
            for tier in schedules.get(name, ()):
                row = {key: np.int32(number), "floor": float(tier[0])}
                for what, column in rates.items():
                    constants[what] += tier[0] * (tier[column] - before[what])
                    before[what] = tier[column]
                    row |= {f"{what}_rate": tier[column], f"{what}_constant": constants[what]}
                rows.append(row)
        steps = pd.DataFrame(rows).astype({key: frame[key].dtype}).sort_values("floor")
        found = pd.merge_asof(
            frame.sort_values(value), steps, left_on=value, right_on="floor", by=key,
            allow_exact_matches=False,
        )  # fmt: skip
        for what in rates:
            amount = found[value] * found[f"{what}_rate"] - found[f"{what}_constant"]
            found[what] = amount.fillna(0.0)
        return found
