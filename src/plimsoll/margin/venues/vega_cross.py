"""vega.cross: Vega's cross margin, in the protocol's integers or in floats.

1. Each market is margined by itself, on the larger of a long and a short side, without offsets
   between markets. A side counts where position and orders on it would leave the party there:
   open volume × price × risk factor, slippage of open volume (price × (linear factor × volume +
   quadratic factor × volume²), without a look at the order book), and all orders of that side ×
   price × risk factor, even those that would only close.
2. A perpetual adds funding: funding factor × the payment accrued so far × open volume, where it
   is a cost.
3. Maintenance margin is the sum, rounded up. Search, initial and release level are maintenance ×
   their factors, cut to five decimals, rounded down. Orders are what the margin is above that of
   the position alone.
4. Prices: the mark, at which profit is settled into the balance. In an auction orders count at
   the auction price or their limits, whichever is more; positions still at the mark.
5. Below the search level a margin account is filled up from the party's general account to the
   initial level; above the release level it is emptied down to it. A party is closed out when,
   after the search, it has less than the maintenance margin: strictly, where our status calls the
   line itself. A pool here is the general account with the margin accounts it feeds, one asset.

Terms of markets, units and auctions: see vega_markets. Source: vegaprotocol/specs, 0019-MCAL and
0010-MARG; test figures of vegaprotocol/vega at commit a50750cc (2024-10-22).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.instruments import Instrument, InstrumentTable, Kind
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import instrument_column, number
from plimsoll.margin.venues.vega_markets import (
    FRACTION_DIGITS,
    LEVEL_DIGITS,
    Holdings,
    Terms,
    Units,
    cut_decimals,
    cut_products,
    figure,
    hold,
    in_asset,
    in_usd,
    larger,
    level_factors,
    lognormal_factors,
    order_value,
    position_factors,
    read_market,
    resolve_units,
)
from plimsoll.market import Market

FIGURES = (
    "risk_factor_long", "risk_factor_short", "lognormal", "linear_slippage", "quadratic_slippage",
    "funding_factor", "position_decimals",
)  # fmt: skip
LEVELS = ("search_factor", "initial_factor", "release_factor")
LEVEL_UNITS = 10**LEVEL_DIGITS


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments; rows that are not listed hold nothing of use.

    ``funding`` is what a unit of open volume adds where it pays, in money × ``one`` a contract;
    ``indicative`` the indicative uncrossing price in quote, NaN outside auctions; ``levels`` the
    search, initial and release factors in units of 10^-5.
    """

    units: Units
    is_listed: Bools
    terms: Terms
    funding: Numbers
    indicative: Floats
    levels: tuple[Numbers, Numbers, Numbers]


@dataclass(frozen=True, slots=True)
class Held:
    """What one party has in one market, elementwise: signed ``open_volume``, orders by side.

    ``buy_value`` and ``sell_value`` are what orders count as (``order_value``);
    ``funding_per_unit`` is in money × ``one`` a contract, above 0 where longs pay.
    """

    open_volume: Numbers
    buys: Numbers
    sells: Numbers
    buy_value: Numbers
    sell_value: Numbers
    funding_per_unit: Numbers

    def without_orders(self) -> "Held":
        """The position alone."""
        none = 0 * self.open_volume
        return replace(self, buys=none, sells=none, buy_value=none, sell_value=none)


@dataclass(frozen=True, slots=True)
class MaintenanceLines:
    """What maintenance margin consists of: each line is what the rounded sum rises by, >= 0."""

    positions: Numbers
    slippage: Numbers
    funding: Numbers
    orders: Numbers

    @property
    def total(self) -> Numbers:
        """The maintenance margin, in money."""
        return self.positions + self.slippage + self.funding + self.orders


def maintenance_lines(
    arithmetic: Arithmetic, held: Held, price: Numbers, terms: Terms
) -> MaintenanceLines:
    """Maintenance margin of a market at a mark, elementwise (rules 1 to 3)."""
    volume, factor = held.open_volume, terms.position_factor
    long, short = larger(volume, 0 * volume), larger(-volume, 0 * volume)
    # Everything over one denominator, so that only the sums are rounded.
    whole = factor * factor * terms.one
    risks = (long * price * terms.long * factor, short * price * terms.short * factor)
    slippages = tuple(
        price * (terms.linear * side * factor + terms.quadratic * side * side)
        for side in (long, short)
    )
    orders = (
        choose(volume + held.buys > 0, held.buy_value * terms.long * factor, 0),
        choose(held.sells - volume > 0, held.sell_value * terms.short * factor, 0),
    )
    due = held.funding_per_unit * volume * factor
    due = choose(due > 0, due, 0)
    slipped = [risk + slip for risk, slip in zip(risks, slippages, strict=True)]
    position = larger(*slipped)
    ordered = larger(slipped[0] + orders[0], slipped[1] + orders[1])
    sums = [
        arithmetic.ceil(amount, whole)
        for amount in (larger(*risks), position, position + due, ordered + due)
    ]
    return MaintenanceLines(sums[0], sums[1] - sums[0], sums[2] - sums[1], sums[3] - sums[2])


def margin_level(arithmetic: Arithmetic, maintenance: Numbers, factor: Numbers) -> Numbers:
    """Search, initial or release level; ``factor`` in units of 10^-5."""
    return arithmetic.floor(maintenance * factor, LEVEL_UNITS)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    units = resolve_units(params, instruments, FIGURES, place)
    columns = {name: np.full(len(instruments), np.nan) for name in _COLUMNS}
    payment = instrument_column(
        params["funding_payment"], instruments, f"{place}.funding_payment", -np.inf
    )
    for i, row in enumerate(instruments.rows):
        entry = read_market(params, row, FIGURES, place)
        if entry is not None:
            where = f"{place}.markets.{row.symbol}"
            for name, value in _read_figures(entry, row, where).items():
                columns[name][i] = value
    funding = cut_products(units, columns["funding_factor"], payment)
    fractions = [
        cut_decimals(units.arithmetic, columns[name], FRACTION_DIGITS) for name in _COLUMNS[:4]
    ]
    one = cut_decimals(units.arithmetic, np.ones(len(instruments)), FRACTION_DIGITS)
    levels = [level_factors(params, name, instruments, place) for name in LEVELS]
    is_charged = columns["funding_factor"] != 0
    is_listed = np.isfinite(columns["linear_slippage"]) & np.isfinite(units.money_scale)
    return Params(
        units=units,
        is_listed=is_listed & (np.isfinite(payment) | ~is_charged),
        terms=Terms(fractions[0], fractions[1], fractions[2], fractions[3], one,
                    position_factors(units)),
        funding=funding,
        indicative=instrument_column(
            params["indicative_price"], instruments, f"{place}.indicative_price"
        ),
        levels=(levels[0], levels[1], levels[2]),
    )  # fmt: skip


_COLUMNS = (
    "risk_factor_long", "risk_factor_short", "linear_slippage", "quadratic_slippage",
    "funding_factor",
)  # fmt: skip


def _read_figures(entry: Mapping[str, Any], row: Instrument, where: str) -> dict[str, float]:
    """The figures of one market; a dated future has no funding."""
    long, short = _read_risk_factors(entry, where)
    is_perpetual = row.kind == Kind.PERPETUAL
    return {
        "risk_factor_long": long,
        "risk_factor_short": short,
        "linear_slippage": figure(entry, "linear_slippage", where),
        "quadratic_slippage": number(
            entry.get("quadratic_slippage", 0), f"{where}.quadratic_slippage"
        ),
        "funding_factor": figure(entry, "funding_factor", where) if is_perpetual else 0.0,
    }


def _read_risk_factors(entry: Mapping[str, Any], where: str) -> tuple[float, float]:
    if "lognormal" not in entry:
        return figure(entry, "risk_factor_long", where), figure(entry, "risk_factor_short", where)
    model, inner = entry["lognormal"], f"{where}.lognormal"
    if not isinstance(model, Mapping):
        raise InputError(inner, f"{model!r} is no model", "give its figures by name")
    if "risk_factor_long" in entry or "risk_factor_short" in entry:
        raise InputError(inner, "stands beside risk factors", "give one or the other")
    aversion = figure(model, "risk_aversion", inner)
    if not 0 < aversion < 1:
        raise InputError(f"{inner}.risk_aversion", f"{aversion:g} is no probability", "mend it")
    return lognormal_factors(
        aversion, figure(model, "tau", inner), figure(model, "mu", inner, -np.inf),
        figure(model, "sigma", inner),
    )  # fmt: skip


def auction_prices(holdings: Holdings, params: Params, instrument: Any) -> Numbers:
    """The auction price of each row, 0 outside auctions; ``instrument`` is that of the rows."""
    units = params.units
    indicative = params.indicative[instrument]
    price = np.where(np.isnan(indicative), 0.0, indicative * units.money_scale[instrument])
    exact = units.arithmetic.numbers(np.rint(price) if units.arithmetic.is_exact else price)
    return choose(np.isnan(indicative), 0 * exact, larger(exact, holdings.price))


def held_of(holdings: Holdings, params: Params, instrument: Any) -> Held:
    """What the rows of ``holdings`` are margined on."""
    auction = auction_prices(holdings, params, instrument)
    values = [
        order_value(size, value, holdings.price, auction)
        for size, value in (
            (holdings.buys, holdings.buy_value), (holdings.sells, holdings.sell_value)
        )
    ]  # fmt: skip
    return Held(
        holdings.position, holdings.buys, holdings.sells, values[0], values[1],
        params.funding[instrument],
    )  # fmt: skip


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, arithmetic = exposure.layout, params.units.arithmetic
    holdings = hold(exposure, market, params.units, params.is_listed)
    instrument = layout.slot_instrument[holdings.slot]
    lines = maintenance_lines(
        arithmetic, held_of(holdings, params, instrument), holdings.price,
        params.terms.of(instrument),
    )  # fmt: skip

    def coins(values: Numbers) -> Floats:
        return in_asset(exposure, params.units, holdings, values)

    def usd(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, in_usd(exposure, market, values))

    search, initial, release = (
        coins(margin_level(arithmetic, lines.total, factor[instrument])) for factor in params.levels
    )
    maintenance = coins(lines.total)
    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    equity = sum_segmented(layout.cell_offsets, worth)
    return Requirement(
        equity=equity,
        collateral_value=equity,
        charges=_charges(arithmetic, lines, params.levels[1][instrument],
                         lambda values: usd(coins(values))),
        details=(
            Detail(
                "account", np.arange(equity.size + 1, dtype=np.int64),
                np.full(equity.size, ACCOUNT_ROW, dtype=np.int32),
                (("maintenance_margin", usd(maintenance)), ("search_level", usd(search)),
                 ("initial_margin", usd(initial)), ("release_level", usd(release))),
            ),
            Detail(
                "market_margin", layout.slot_offsets, layout.slot_instrument,
                (("maintenance_margin", maintenance), ("order_margin", coins(lines.orders)),
                 ("search_level", search), ("initial_margin", initial),
                 ("release_level", release)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def _charges(
    arithmetic: Arithmetic, lines: MaintenanceLines, factor: Numbers, usd: Any
) -> tuple[Charge, ...]:
    """The lines of both margins; initial ones are what the rounded level rises by."""
    total, level, charges = 0 * lines.positions, 0 * lines.positions, []
    for name in ("positions", "slippage", "funding", "orders"):
        line = getattr(lines, name)
        total = total + line
        raised = margin_level(arithmetic, total, factor)
        charges.append(Charge(name, usd(raised - level), usd(line)))
        level = raised
    return tuple(charges)


MODEL = Model(
    name="vega.cross",
    title="Vega cross margin: risk factors and slippage by market, four levels, exact integers",
    table="vega_cross",
    resolve=resolve,
    require=require,
    is_segregated=True,
)
