"""vega.isolated: Vega's isolated margin: a share of the entry value, orders on top.

1. Position margin = |average entry price × size| × the margin factor that the party has chosen,
   rounded down. It is set aside when trades are made and never filled up; the factor must be above
   the larger risk factor plus the linear slippage factor.
2. Order margin = margin factor × the larger of the two sides, rounded down (the protocol's own
   estimator rounds half up). On each side the best-priced orders, as far as they would close the
   position, are free; the others count at their limits, in an auction at the auction price where
   that is more. It lies in an account of its own.
3. Maintenance margin is that of cross margin for the position without orders; search and release
   level are 0. Initial margin is the position margin, and at least the initial level, which is
   what the protocol asks of the position margin when the mode is chosen.
4. A pool holds both accounts of its market: the order margin is no collateral of the position, as
   far as it is there; what it lacks adds to the initial margin. A position whose margin account is
   below the maintenance margin is closed (strictly, where our status calls the line itself); it
   loses what is left, and its orders stay.
5. Trades that increase a position add margin factor × their value. Those that reduce it release
   (balance + size × (average trade price - mark)) × the share closed, by what the protocol's own
   tests assert: with the average price rounded down and the size taken positive for shorts, too,
   where the specification would take it negative. Those that end or turn it release all and add
   margin for what is new, at the last trades' prices.

Give every market a pool of its own (margin_mode isolated); a pool with several adds them up.
A party that has other markets in cross margin is two accounts here.
Source: vegaprotocol/specs, 0019-MCAL; test figures of vegaprotocol/vega at commit a50750cc
(2024-10-22), core/risk/isolated_margin_test.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, turns_of
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import instrument_column
from plimsoll.margin.venues import vega_cross as cross
from plimsoll.margin.venues.vega_markets import (
    FRACTION_DIGITS,
    Holdings,
    Orders,
    Terms,
    cut_decimals,
    hold,
    in_asset,
    in_usd,
    larger,
    sum_rows,
)
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Terms as under cross margin; ``factor`` is the margin factor in units of 1 / ``one``."""

    markets: cross.Params
    factor: Numbers


@dataclass(frozen=True, slots=True)
class Figures:
    """Margins of every slot in coins of its settle asset; NaN where unknown."""

    position_margin: Floats
    order_margin: Floats
    maintenance: Floats
    funding: Floats
    initial_level: Floats


def opening_sizes(ids: Int64s, priority: Numbers, size: Numbers, covered: Numbers) -> Numbers:
    """What of each order opens, when all execute in ascending ``priority``, shape [orders].

    Orders with the same id share ``covered[id]``, the size that they close before they open.
    """
    left, opened = covered.copy(), size.copy()
    in_turn = np.argsort(priority, kind="stable")
    for turn in turns_of(ids[in_turn]):
        rows = in_turn[turn]
        closed = -larger(-left[ids[rows]], -size[rows])
        opened[rows] = size[rows] - closed
        left[ids[rows]] -= closed
    return opened


def opening_value(
    arithmetic: Arithmetic, orders: Orders, position: Numbers, auction_price: Numbers
) -> Numbers:
    """Size × price of what opens on the larger side, by row; ``auction_price`` 0 outside them."""
    count = position.size
    ids = 2 * orders.row + ~orders.is_buy
    covered = arithmetic.numbers(np.zeros(2 * count))
    covered[0::2], covered[1::2] = larger(-position, 0 * position), larger(position, 0 * position)
    priority = choose(orders.is_buy, -orders.price, orders.price)
    opened = opening_sizes(ids, priority, orders.size, covered)
    value = opened * larger(orders.price, auction_price[orders.row])
    sums = sum_rows(arithmetic, ids, value, 2 * count)
    return larger(sums[0::2], sums[1::2])


def margin_of(arithmetic: Arithmetic, value: Numbers, factor: Numbers, terms: Terms) -> Numbers:
    """Margin of a value (size × price), rounded down, in money."""
    return arithmetic.floor(value * factor, terms.one * terms.position_factor)


def estimated_margin_of(
    arithmetic: Arithmetic, value: Numbers, factor: Numbers, terms: Terms
) -> Numbers:
    """The same as the protocol's estimator has it, rounded half up."""
    if not arithmetic.is_exact:
        return margin_of(arithmetic, value, factor, terms)
    whole = terms.one * terms.position_factor
    return arithmetic.floor(2 * value * factor + whole, 2 * whole)


def released_margin(
    arithmetic: Arithmetic, balance: Numbers, size: Numbers, closed: Numbers,
    price_gain: Numbers, terms: Terms,
) -> Numbers:  # fmt: skip
    """What leaves the margin account when ``closed`` of ``size`` > 0 is closed, rounded down.

    ``price_gain`` is the average trade price, rounded down, less the mark.
    """
    theoretical = balance * terms.position_factor + size * price_gain
    released = arithmetic.floor(theoretical * closed, size * terms.position_factor)
    return choose(released > 0, released, 0)


def margin_transfer(
    arithmetic: Arithmetic, old: Numbers, trades: Sequence[tuple[Numbers, Numbers]],
    is_buy: bool, balance: Numbers, mark: Numbers, factor: Numbers, terms: Terms,
) -> Numbers:  # fmt: skip
    """What trades on one side move into a margin account, below 0 out of it (rule 5).

    ``old`` is the signed position before, ``trades`` (size, price) in the order they were made,
    ``balance`` what the margin account holds. All single numbers.
    """
    traded = sum(size for size, _ in trades)
    closing = 0 if old == 0 or (old > 0) == is_buy else min(abs(old), traded)
    if 0 < closing < abs(old):
        average = arithmetic.floor(sum(size * price for size, price in trades), traded)
        return -released_margin(arithmetic, balance, abs(old), closing, average - mark, terms)
    value, skipped = 0 * old, closing
    for size, price in trades:
        opened = max(size - skipped, 0)
        skipped = max(skipped - size, 0)
        value += opened * price
    return margin_of(arithmetic, value, factor, terms) - (balance if closing else 0)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    markets = cross.resolve(params, instruments, place)
    where = f"{place}.margin_factor"
    column = instrument_column(params["margin_factor"], instruments, where)
    factor = cut_decimals(markets.units.arithmetic, column, FRACTION_DIGITS)
    terms = markets.terms
    least = larger(terms.long, terms.short) + terms.linear
    for i, row in enumerate(instruments.rows):
        if markets.is_listed[i] and np.isfinite(column[i]) and factor[i] <= least[i]:
            floor = float(least[i]) / float(terms.one[i])
            problem = f"{column[i]:g} is not above {floor:g}, its risk factor and slippage"
            raise InputError(f"{where}.{row.symbol}", problem, "raise it")
    known = cross.Params(
        markets.units, markets.is_listed & np.isfinite(column), terms, markets.funding,
        markets.indicative, markets.levels,
    )  # fmt: skip
    return Params(known, factor)


def measure(exposure: Exposure, market: Market, params: Params) -> Figures:
    """Margins of every slot."""
    markets = params.markets
    units, arithmetic = markets.units, markets.units.arithmetic
    holdings = hold(exposure, market, units, markets.is_listed)
    instrument = exposure.layout.slot_instrument[holdings.slot]
    terms, factor = markets.terms.of(instrument), params.factor[instrument]
    held = cross.held_of(holdings, markets, instrument).without_orders()
    lines = cross.maintenance_lines(arithmetic, held, holdings.price, terms)
    opened = opening_value(
        arithmetic, holdings.orders, holdings.position,
        cross.auction_prices(holdings, markets, instrument),
    )  # fmt: skip
    level = cross.margin_level(arithmetic, lines.total, markets.levels[1][instrument])
    entry = arithmetic.numbers(_entry_value(exposure, params, holdings, instrument))

    def coins(values: Numbers) -> Floats:
        return in_asset(exposure, units, holdings, values)

    return Figures(
        position_margin=coins(margin_of(arithmetic, entry, factor, terms)),
        order_margin=coins(margin_of(arithmetic, opened, factor, terms)),
        maintenance=coins(lines.total),
        funding=coins(lines.funding),
        initial_level=coins(level),
    )


def _entry_value(exposure: Exposure, params: Params, holdings: Holdings, instrument: Any) -> Floats:
    """|average entry price × size| of each row, size × price."""
    units = params.markets.units
    scale = units.money_scale[instrument] * units.size_scale[instrument]
    value = np.abs(exposure.cost[holdings.slot]) * scale
    return np.asarray(np.rint(value) if units.arithmetic.is_exact else value)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    figures = measure(exposure, market, params)

    def usd(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, in_usd(exposure, market, values))

    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    equity = sum_segmented(layout.cell_offsets, worth)
    ordered, position = usd(figures.order_margin), usd(figures.position_margin)
    maintenance, funding = usd(figures.maintenance), usd(figures.funding)
    level = usd(figures.initial_level)
    # Written so that a NaN on either side stays one.
    spare = np.where(equity < 0, 0.0, equity)
    locked = np.where(spare < ordered, spare, ordered)
    nothing = 0.0 * equity
    return Requirement(
        equity=equity,
        collateral_value=equity - locked,
        charges=(
            Charge("positions", position, maintenance - funding),
            Charge("funding", nothing, funding),
            Charge("initial_level", _excess(level, position), nothing),
            Charge("order_shortfall", ordered - locked, nothing),
        ),
        details=(
            Detail(
                "account", np.arange(equity.size + 1, dtype=np.int64),
                np.full(equity.size, ACCOUNT_ROW, dtype=np.int32),
                (("margin_account", equity - locked), ("maintenance_margin", maintenance),
                 ("search_level", nothing), ("initial_level", level),
                 ("release_level", nothing), ("position_margin", position),
                 ("order_margin", ordered)),
            ),
            Detail(
                "market_margin", layout.slot_offsets, layout.slot_instrument,
                (("position_margin", figures.position_margin),
                 ("order_margin", figures.order_margin),
                 ("maintenance_margin", figures.maintenance),
                 ("initial_level", figures.initial_level)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def _excess(amount: Floats, other: Floats) -> Floats:
    gap = amount - other
    return np.where(gap < 0, 0.0, gap)


MODEL = Model(
    name="vega.isolated",
    title="Vega isolated margin: a chosen share of the entry value, orders on the larger side",
    table="vega_isolated",
    resolve=resolve,
    require=require,
    is_segregated=True,
)
