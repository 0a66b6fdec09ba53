"""deribit.standard: Deribit's segregated standard margin (S:SM).

1. Every settlement currency is a book of its own. Equity is its balance plus the profit of
   futures plus the value of options at mark; the margin balance is equity without the options.
2. Futures and perpetuals, each contract by itself: |coins| × (base + slope × |coins|), where
   coins are USD size / mark for inverse contracts. Linear ones: times the mark, in the currency.
3. Short options, per coin of underlying, in coin: IM = max(15 % - OTM/S, 10 %) + mark,
   MM = 7.5 % + mark; S is the index, OTM = max(K - S, 0) for calls, max(S - K, 0) for puts.
   Puts: MM = max(7.5 %, 7.5 % × mark) + mark, and IM is at least MM. Linear options: the
   percentages are of the index, in the currency.
4. Long options need nothing and back nothing.
5. Open orders add to IM: futures at rule 2's initial rate with the order's own price and size;
   options sold at rule 3's percentage plus a fee, without the mark; options bought at their
   premium; spot what the order locks. Every order counts but those that may only reduce.
6. Liquidation when MM reaches the margin balance. There is no margin call.

Quanto contracts do not exist there: the status of whoever holds one is UNKNOWN. A spot sale
counts in the book of its quote currency, where the order is listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import slot_pool, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import instrument_column
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class OrderRates:
    """Initial rates, shape [instruments], NaN where the venue states none.

    ``base`` and ``slope`` (rate per coin) are those of futures, ``option_high`` and
    ``option_low`` the fractions of short options, ``option_fee`` the fee in an order to sell one.
    """

    base: Floats
    slope: Floats
    option_high: Floats
    option_low: Floats
    option_fee: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """Rates as columns over instruments. ``contract`` is the first row of each one's contract,

    which its legs, if an account has any, are netted in.
    """

    initial: OrderRates
    maintenance_base: Floats
    option_maintenance: Floats
    contract: Int64s


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    initial = resolve_order_rates(params, instruments, place)
    base = _rates(params, "maintenance_base", instruments, place)
    option = _rates(params, "option_maintenance", instruments, place)
    for name, low, high in (
        ("maintenance_base", base, initial.base),
        ("option_maintenance", option, initial.option_low),
    ):
        if np.any(low > high):
            problem = "a maintenance rate is above the initial one"
            raise InputError(f"{place}.{name}", problem, "lower it")
    first = {row.contract: i for i, row in reversed(list(enumerate(instruments.rows)))}
    contract = np.array([first[row.contract] for row in instruments.rows], dtype=np.int64)
    return Params(initial, base, option, contract)


def resolve_order_rates(
    params: Mapping[str, Any], instruments: InstrumentTable, place: str
) -> OrderRates:
    """The rates that orders are margined at, under any of the venue's models."""
    return OrderRates(
        base=_rates(params, "initial_base", instruments, place),
        slope=_rates(params, "slope_per_coin", instruments, place),
        option_high=_rates(params, "option_initial_max", instruments, place),
        option_low=_rates(params, "option_initial_min", instruments, place),
        option_fee=_rates(params, "option_fee", instruments, place),
    )


def _rates(
    params: Mapping[str, Any], name: str, instruments: InstrumentTable, place: str
) -> Floats:
    rates = instrument_column(params[name], instruments, f"{place}.{name}", 0.0, 1.0)
    return np.where(instruments.of_payoff(Payoff.QUANTO), np.nan, rates)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, pool = exposure.layout, slot_pool(exposure)
    pools = layout.slot_offsets.size - 1
    margins = position_margins(exposure, market, params)
    is_option = exposure.instruments.of_kind(Kind.OPTION)[layout.slot_instrument]
    orders = order_margins(exposure, market, params.initial)
    charges = (
        *(
            Charge(
                name,
                sum_by(pool, np.where(mask, margins.initial, 0.0), pools),
                sum_by(pool, np.where(mask, margins.maintenance, 0.0), pools),
            )
            for name, mask in (("futures", ~is_option), ("options", is_option))
        ),
        Charge("open_orders", sum_by(pool, orders, pools), np.zeros(pools)),
    )
    value, options = in_index(exposure, exposure.cell_equity), option_values(exposure)
    bare = Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, value - in_index(exposure, options)),
        charges=charges,
        details=(),
    )
    contracts = Detail(
        "contracts", layout.slot_offsets, layout.slot_instrument,
        (("size_currency", margins.size), ("initial_margin", margins.initial),
         ("maintenance_margin", margins.maintenance), ("open_orders_margin", orders)),
        by_instrument=True,
    )  # fmt: skip
    return replace(bare, details=(currency_view(exposure, bare), contracts))


@dataclass(frozen=True, slots=True)
class SlotMargins:
    """Of each slot's position, shape [slots]: ``size`` in coins, signed, and margins in USD."""

    size: Floats
    initial: Floats
    maintenance: Floats


def position_margins(exposure: Exposure, market: Market, params: Params) -> SlotMargins:
    """Margins of positions, each contract by itself; its legs are netted in the first of them."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    is_option, inverse = table.of_kind(Kind.OPTION), table.of_payoff(Payoff.INVERSE)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(inverse & ~is_option, table.multiplier / market.mark, table.multiplier)
    quantity = _net_quantity(exposure, params.contract)
    size = np.where(quantity == 0, 0.0, quantity * each[held])
    coins = np.abs(size)
    # What one coin of an outright is worth in its settle asset: itself, or its price.
    price = np.where(inverse, 1.0, market.mark)[held]
    sold = short_option_margins(
        exposure.instruments, market, params.initial, params.option_maintenance
    )
    settle = market.index[table.settle][held]
    initial, maintenance = (
        np.where(
            is_option[held],
            np.where(size < 0, coins * option[held], 0.0),
            coins * (base[held] + params.initial.slope[held] * coins) * price,
        )
        * settle
        for option, base in (
            (sold.initial, params.initial.base),
            (sold.maintenance, params.maintenance_base),
        )
    )
    idle = size == 0
    return SlotMargins(size, np.where(idle, 0.0, initial), np.where(idle, 0.0, maintenance))


def _net_quantity(exposure: Exposure, contract: Int64s) -> Floats:
    """Contracts by slot, shape [slots]; the legs of one contract added up in the first."""
    held, pool = exposure.layout.slot_instrument, slot_pool(exposure)
    if np.array_equal(contract, np.arange(contract.size)):
        return exposure.quantity
    _, first, row = np.unique(
        pool * contract.size + contract[held], return_index=True, return_inverse=True
    )
    out = np.zeros(held.size)
    out[first] = sum_by(row, exposure.quantity, first.size)
    return out


@dataclass(frozen=True, slots=True)
class ShortOption:
    """What one option sold needs, in its settle asset per coin of underlying, [instruments].

    ``order`` is the part without the mark.
    """

    order: Floats
    initial: Floats
    maintenance: Floats


def short_option_margins(
    table: InstrumentTable, market: Market, rates: OrderRates, maintenance: Floats
) -> ShortOption:
    """Rule 3 for every instrument; of no meaning for what is no option."""
    index = market.index[table.base] / market.index[table.quote]
    whole = np.where(table.of_payoff(Payoff.INVERSE), 1.0, index)
    beyond = np.where(table.is_call, table.strike - index, index - table.strike)
    share = np.maximum(rates.option_high - np.maximum(beyond, 0.0) / index, rates.option_low)
    first, least = share * whole, maintenance * whole
    least = np.where(table.is_call, least, np.maximum(least, maintenance * market.mark))
    first_with_mark, kept = first + market.mark, least + market.mark
    return ShortOption(
        order=first,
        initial=np.where(table.is_call, first_with_mark, np.maximum(first_with_mark, kept)),
        maintenance=kept,
    )


def order_margins(exposure: Exposure, market: Market, rates: OrderRates) -> Floats:
    """Rule 5: initial margin of open orders in USD, added up by slot, shape [slots]."""
    table, orders = exposure.instruments, exposure.orders
    i = exposure.layout.slot_instrument[orders.slot]
    inverse, is_buy = table.of_payoff(Payoff.INVERSE)[i], orders.quantity > 0
    size = np.abs(orders.quantity) * table.multiplier[i]
    settle = market.index[table.settle][i]
    with np.errstate(divide="ignore", invalid="ignore"):
        coins = np.where(inverse, size / orders.price, size)
    future = coins * (rates.base[i] + rates.slope[i] * coins)
    future *= np.where(inverse, 1.0, orders.price) * settle
    index = market.index[table.base] / market.index[table.quote]
    fee = rates.option_fee * np.where(table.of_payoff(Payoff.INVERSE), 1.0, index)
    sold = short_option_margins(table, market, rates, rates.option_low).order + fee
    option = size * np.where(is_buy, orders.price, sold[i]) * settle
    spot = size * np.where(is_buy, orders.price * settle, market.index[table.base][i])
    margin = np.select(
        [table.of_kind(Kind.OPTION)[i], table.of_kind(Kind.SPOT)[i]], [option, spot], future
    )
    # A contract whose mark is unusable is no contract to trade, at whatever price.
    margin = np.where(np.isnan(market.mark[i]), np.nan, margin)
    free = orders.is_reduce_only | (orders.quantity == 0)
    return sum_by(orders.slot, np.where(free, 0.0, margin), exposure.quantity.size)


def in_index(exposure: Exposure, amount: Floats) -> Floats:
    """USD value of an amount of each cell's asset, shape [cells]; nothing needs no price."""
    return np.where(amount == 0, 0.0, amount * exposure.cell_price)


def option_values(exposure: Exposure) -> Floats:
    """Value of the options settled in each cell's asset, in the asset, shape [cells]."""
    layout = exposure.layout
    is_option = exposure.instruments.of_kind(Kind.OPTION)[layout.slot_instrument]
    worth = exposure.quantity * exposure.contract_value[layout.slot_instrument]
    counts = is_option & (exposure.quantity != 0)
    return sum_by(layout.slot_cell, np.where(counts, worth, 0.0), layout.cell_asset.size)


def currency_view(exposure: Exposure, bare: Requirement) -> Detail:
    """The account as the venue shows it in every currency: a pool's totals over its price.

    ``balance``, ``session_profit`` (of futures, unsettled), ``options_value`` and ``equity`` are
    the asset's own; the rest is the whole pool's. A session's gain cannot be withdrawn.
    """
    layout = exposure.layout
    cells = np.diff(layout.cell_offsets)
    options = option_values(exposure)
    session = exposure.cell_equity - exposure.cell_balance - options
    gain = np.maximum(sum_segmented(layout.cell_offsets, in_index(exposure, session)), 0.0)
    available = bare.collateral_value - bare.initial_margin
    with np.errstate(divide="ignore", invalid="ignore"):
        totals = [
            (name, np.repeat(total, cells) / exposure.cell_price)
            for name, total in (
                ("margin_balance", bare.collateral_value),
                ("initial_margin", bare.initial_margin),
                ("maintenance_margin", bare.maintenance_margin),
                ("available_funds", available),
                ("available_withdrawal_funds", available - gain),
            )
        ]
    return Detail(
        "currencies", layout.cell_offsets, layout.cell_asset,
        (("index_price", exposure.cell_price), ("balance", exposure.cell_balance),
         ("session_profit", session), ("options_value", options),
         ("equity", exposure.cell_equity), *totals),
    )  # fmt: skip


MODEL = Model(
    name="deribit.standard",
    title="Deribit S:SM: rates that rise with size, options by moneyness, by currency",
    table="deribit_standard",
    resolve=resolve,
    require=require,
    dollar="USDC",
    is_segregated=True,
)
