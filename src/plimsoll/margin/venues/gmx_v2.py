"""gmx.v2: one position, one collateral, GMX v2.

1. Every position stands alone: give it a pool of its own (margin_mode isolated). A pool with
   several adds them up, each at its own figures.
2. Size is what the position was entered for, in USD. Remaining collateral = collateral + profit +
   price impact of closing, where it is a loss, + 0 where it is a gain - closing fees.
3. Price impact = factor × imbalance before^exponent - factor × imbalance after^exponent, at the
   factor for the better where closing shrinks the market's imbalance and for the worse where it
   grows it; a loss counts up to a share of the size.
4. Liquidatable where remaining collateral is below the minimum in USD, at or below zero, or below
   size × minimum collateral factor: strictly, where our status calls the line itself.

The fee for being liquidated is not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import find_entry, number
from plimsoll.market import Market

FIGURES = (
    "min_collateral_factor", "closing_fee_rate", "positive_impact_factor",
    "negative_impact_factor", "impact_exponent", "max_impact_factor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Params:
    """``markets`` has a row per name in FIGURES over instruments, NaN where none is listed."""

    markets: Floats
    min_collateral_usd: float


def closing_impact(
    skew: Floats, size: Floats, better: Floats, worse: Floats, exponent: Floats
) -> Floats:
    """USD gained (> 0) or lost by closing a position, elementwise.

    ``skew`` is longs less shorts before, ``size`` the signed position, both in USD. Where closing
    turns the imbalance to the other side, what there was is charged at the better factor and
    what is new at the worse one.
    """
    before, after = np.abs(skew), np.abs(skew - size)
    same_side = (skew >= 0) == (skew - size >= 0)
    factor = np.where(after < before, better, worse)
    kept = factor * before**exponent - factor * after**exponent
    crossed = better * before**exponent - worse * after**exponent
    return np.where(same_side, kept, crossed)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    markets = np.full((len(FIGURES), len(instruments)), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(params["markets"], row)
        if entry is not None and row.kind == Kind.PERPETUAL:
            for k, name in enumerate(FIGURES):
                markets[k, i] = number(entry[name], f"{place}.markets.{row.base}.{name}")
    return Params(markets, number(params["min_collateral_usd"], f"{place}.min_collateral_usd"))


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    held = layout.slot_instrument
    settle = market.index[exposure.instruments.settle[held]]
    idle = exposure.quantity == 0
    factor, fee, better, worse, exponent, most = (row[held] for row in params.markets)
    size = np.abs(exposure.cost) * settle
    notional = exposure.quantity * exposure.contract_notional[held]
    each = exposure.contract_notional[held]
    skew = np.where((better == 0) & (worse == 0), 0.0, market.state.skew[held]) * each
    impact = closing_impact(skew, notional, better, worse, exponent)
    loss = np.where(impact < 0, np.maximum(impact, -most * size), 0.0 * impact)

    def by_pool(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, np.where(idle, 0.0, values))

    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    equity = sum_segmented(layout.cell_offsets, worth)
    least = np.where(size * factor < params.min_collateral_usd, params.min_collateral_usd,
                     size * factor)  # fmt: skip
    fees, impacts, needed = by_pool(fee * size), by_pool(loss), by_pool(least)
    remaining = equity - fees + impacts
    short = (remaining < needed) | ((remaining <= 0) & (needed > 0))
    return Requirement(
        equity=equity,
        collateral_value=remaining,
        charges=(Charge("minimum_collateral", needed, needed),),
        details=(
            Detail(
                "account", np.arange(equity.size + 1, dtype=np.int64),
                np.full(equity.size, ACCOUNT_ROW, dtype=np.int32),
                (("size", by_pool(size)), ("closing_fee", fees), ("price_impact", impacts),
                 ("remaining_collateral", remaining),
                 ("is_liquidatable", short.astype(np.float64))),
            ),
        ),
    )  # fmt: skip


MODEL = Model(
    name="gmx.v2",
    title="GMX v2: isolated positions, remaining collateral after impact and fees",
    table="gmx_v2",
    resolve=resolve,
    require=require,
    dollar="USDC",
    exemptions=(
        (
            "twice_the_book_is_twice_the_equity_and_no_cheaper",
            "the least collateral in USD does not grow with the position",
        ),
    ),
)
