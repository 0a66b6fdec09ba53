"""vega.capped: Vega's fully collateralised markets, futures whose price cannot pass a cap.

1. A long position is margined on its size × price, a short one on size × (cap - price), at the
   mark, at which profit is settled into the balance: equity less margin does not move with it.
2. Orders add the larger of buys × their average limit and sells × (cap - theirs), all of them,
   although the specification would let those that close a position be free; so the protocol's own
   tests have it. Averages are rounded down. An auction changes nothing.
3. Margin is rounded up. All four levels (maintenance, search, initial, release) are the same.
4. Nobody who has posted the margin can be liquidated: the margin covers every price. The line is
   crossed below it, not on it, where all who post exactly what is asked stand. So maintenance
   here is the margin less a billionth of it, which keeps them below our ratio of 1.
5. A mark or an order above the cap cannot be; the status is UNKNOWN.

Source: vegaprotocol/specs, 0019-MCAL, fully collateralised mode; test figures of
vegaprotocol/vega at commit a50750cc (2024-10-22), core/integration/features/capped-futures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.venues.vega_markets import (
    Units,
    figure,
    hold,
    in_asset,
    in_usd,
    larger,
    position_factors,
    read_market,
    resolve_units,
)
from plimsoll.market import Market

FIGURES = ("max_price", "position_decimals")
COVERED = 1 - 1e-9
"""Of the margin, what is maintenance: see rule 4."""


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments: ``cap`` in quote, NaN where a market is not listed."""

    units: Units
    position_factor: Numbers
    cap: Floats


def capped_position(open_volume: Numbers, price: Numbers, cap: Numbers) -> Numbers:
    """Size × the most that a signed position can lose a contract."""
    return choose(open_volume > 0, open_volume * price, -open_volume * (cap - price))


def capped_orders(
    buys: Numbers, buy_price: Numbers, sells: Numbers, sell_price: Numbers, cap: Numbers
) -> Numbers:
    """The same for the larger side of open orders, sizes >= 0 at their average limits."""
    return larger(buys * buy_price, sells * (cap - sell_price))


def capped_margin(arithmetic: Arithmetic, value: Numbers, position_factor: Numbers) -> Numbers:
    """Margin of a sum of the above, rounded up, in money."""
    return arithmetic.ceil(value, position_factor)


def average_price(arithmetic: Arithmetic, value: Numbers, size: Numbers) -> Numbers:
    """Average limit of orders, rounded down; 0 without any."""
    return arithmetic.floor(value, choose(size > 0, size, 1))


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    units = resolve_units(params, instruments, FIGURES, place)
    cap = np.full(len(instruments), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = read_market(params, row, FIGURES, place)
        # Only dated futures are capped.
        if entry is not None and row.kind == Kind.FUTURE:
            cap[i] = figure(entry, "max_price", f"{place}.markets.{row.symbol}")
    return Params(units, position_factors(units), cap)


def _is_above_cap(exposure: Exposure, cap: Floats) -> Bools:
    """Slots with an order above the cap."""
    orders, held = exposure.orders, exposure.layout.slot_instrument
    out = np.zeros(held.size, dtype=np.bool_)
    above = orders.price > cap[held[orders.slot]]
    out[orders.slot[above & (orders.quantity != 0) & ~orders.is_reduce_only]] = True
    return out


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, units = exposure.layout, params.units
    is_listed = np.isfinite(params.cap) & np.isfinite(units.money_scale)
    holdings = hold(exposure, market, units, is_listed & ~(market.mark > params.cap))
    above = _is_above_cap(exposure, params.cap)
    i = layout.slot_instrument[holdings.slot]
    arithmetic, scaled = units.arithmetic, params.cap[i] * units.money_scale[i]
    cap = arithmetic.numbers(np.rint(scaled) if arithmetic.is_exact else scaled)
    position = capped_position(holdings.position, holdings.price, cap)
    averages = (
        average_price(arithmetic, holdings.buy_value, holdings.buys),
        average_price(arithmetic, holdings.sell_value, holdings.sells),
    )
    orders = capped_orders(holdings.buys, averages[0], holdings.sells, averages[1], cap)
    factor = params.position_factor[i]
    alone = capped_margin(arithmetic, position, factor)
    whole = capped_margin(arithmetic, position + orders, factor)

    def coins(values: Numbers) -> Floats:
        found = in_asset(exposure, units, holdings, values)
        return np.where(above, np.nan, found)

    def usd(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, in_usd(exposure, market, values))

    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    equity = sum_segmented(layout.cell_offsets, worth)
    margin = coins(whole)
    lines = (("positions", usd(coins(alone))), ("orders", usd(coins(whole - alone))))
    level = usd(margin)
    return Requirement(
        equity=equity,
        collateral_value=equity,
        charges=tuple(Charge(name, amount, amount * COVERED) for name, amount in lines),
        details=(
            Detail(
                "account", np.arange(equity.size + 1, dtype=np.int64),
                np.full(equity.size, ACCOUNT_ROW, dtype=np.int32),
                (("maintenance_margin", level), ("search_level", level),
                 ("initial_margin", level), ("release_level", level)),
            ),
            Detail(
                "market_margin", layout.slot_offsets, layout.slot_instrument,
                (("margin", margin), ("order_margin", coins(whole - alone))),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


MODEL = Model(
    name="vega.capped",
    title="Vega fully collateralised markets: what a position under a price cap can lose",
    table="vega_capped",
    resolve=resolve,
    require=require,
    is_segregated=True,
)
