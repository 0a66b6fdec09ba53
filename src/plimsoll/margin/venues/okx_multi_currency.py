"""okx.multi_currency: OKX's multi-currency margin mode, cross and isolated.

1. Currency equity = balance + unrealised profit + value of options. In cross margin long options
   stand apart: only short options, with their negative value, belong to what is counted.
2. Adjusted equity (collateral value) = the sum over currencies of what is counted at its discount
   rate, marginal by amount, and at its index price; what is owed counts in full.
3. Contracts: maintenance = notional at mark × rate of the position tier, initial = notional /
   leverage. One tier holds for the whole position, found by size: all contracts of one family,
   its expiries together. A leverage beyond the tier's is cut to it.
4. Short options, per coin, F the forward of the same expiry: initial = max(a, b - OTM / F) ×
   factor + mark; maintenance = c × factor + mark, for puts max(c, c × mark) × factor + mark.
   USD-margined: the terms in a, b and c times the index price (max(c × index, c × mark) for
   puts). The factor goes by all short options and sell orders on the underlying. Long options
   need no margin.
5. Orders: an option sold to open needs max(initial - price, least), bought to close
   max(price - initial, 0), bought to open its price. Contracts need what the worse side filling
   adds to the initial margin; spot orders what they lock.
6. What is owed needs margin at the rates of its tier.
7. The fee of a liquidation stands beside the maintenance margin: a rate of the notional, of the
   coins under short options, and of a debt with its maintenance margin. OKX's margin ratio is
   the reciprocal of maintenance here over collateral value.
8. Isolated positions are backed by their own margin and profit, not discounted; an option's by
   its margin alone, since its maintenance contains the mark. The published liquidation price is
   the solution of ratio = 1 moved one tick toward the mark.

Sources: OKX help, "Multi-currency margin mode", "Option margin", "Tiered maintenance margin ratio
rules"; responses of GET /api/v5/account/positions, which rules 3, 4, 7 and 8 reproduce.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    MarginalTiers,
    WholeTiers,
    borrowing_margin,
    marginal_rows,
    read_tiers,
    slot_pool,
    sum_segmented,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import DEFAULT, find_entry, instrument_column, number
from plimsoll.margin.position_prices import inverse_price, linear_price
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters as columns over instruments or, ``discounts`` and ``borrowing``, assets.

    ``tiers`` has maintenance and initial rates by size in coins (inverse: quote value);
    ``family`` numbers what shares a tier. ``floor_rate`` .. ``order_min`` are the venue's a, b,
    c and least order margin. ``fee_rate`` is of notional, of options of their coins.
    """

    tiers: WholeTiers
    family: Int64s
    leverage: Floats
    floor_rate: Floats
    base_rate: Floats
    maintenance_rate: Floats
    order_min: Floats
    factors: WholeTiers
    fee_rate: Floats
    tick: Floats
    discounts: MarginalTiers
    borrowing: WholeTiers
    borrowing_fee_rate: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    rows, names = instruments.rows, instruments.assets.names
    families = {family: k for k, family in enumerate(dict.fromkeys(map(_family, rows)))}
    rates = _option_rates(params["option_rates"], instruments, f"{place}.option_rates")
    fees = [
        instrument_column(params[name], instruments, f"{place}.{name}", 0.0, 1.0)
        for name in ("liquidation_fee_rates", "option_liquidation_fee_rates")
    ]
    tiers = [find_tiers(params["position_tiers"], row, f"{place}.position_tiers") for row in rows]
    factors = [
        read_tiers(
            find_entry(params["option_factors"], row) or (), 1, f"{place}.option_factors", np.inf
        )
        for row in rows
    ]
    return Params(
        tiers=WholeTiers.build(tiers, 2),
        family=np.array([families[_family(row)] for row in rows], dtype=np.int64),
        leverage=instrument_column(
            params["leverage"], instruments, f"{place}.leverage", 0.01, 1000.0
        ),
        floor_rate=rates[0],
        base_rate=rates[1],
        maintenance_rate=rates[2],
        order_min=rates[3],
        factors=WholeTiers.build(factors, 1),
        fee_rate=np.where(instruments.of_kind(Kind.OPTION), fees[1], fees[0]),
        tick=instrument_column(params["tick_sizes"], instruments, f"{place}.tick_sizes"),
        discounts=MarginalTiers.build(
            [
                marginal_rows(_by_name(params["discounts"], name, 1, f"{place}.discounts"), 0.0)
                for name in names
            ]
        ),
        borrowing=WholeTiers.build(
            [_by_name(params["borrowing"], name, 2, f"{place}.borrowing") for name in names], 2
        ),
        borrowing_fee_rate=number(
            params["borrowing_fee_rate"], f"{place}.borrowing_fee_rate", 0.0, 1.0
        ),
    )


def find_tiers(table: Mapping[str, Any], row: Instrument, place: str) -> list[tuple[float, ...]]:
    """Position tiers (largest size, maintenance rate, initial rate) of a contract, from a table.

    A contract's own entry, its family's (``"BTC/USD:USD-*"`` for every expiry), its
    underlying's or the default; none where the table speaks of none.
    """
    keys = (row.contract, _family(row), row.base, DEFAULT)
    key = next((key for key in keys if key in table), None)
    tiers = [] if key is None else read_tiers(table[key], 2, f"{place}.{key}")
    if any(initial < maintenance for _, maintenance, initial in tiers):
        problem = "an initial rate is below maintenance"
        raise InputError(f"{place}.{key}", problem, "list size, maintenance, initial")
    return tiers


def largest_leverage(initial_rate: Floats) -> Floats:
    """The highest leverage that a tier's initial rate allows, cut to two decimals."""
    # A rate that is a sum of steps may be off in its last bit.
    return np.asarray(np.floor(100.0 / initial_rate + 1e-6) / 100.0)


def _family(row: Instrument) -> str:
    """What shares position tiers: the legs of a perpetual, the expiries of a dated future."""
    if row.kind == Kind.OPTION:
        return f"{row.base} options"
    return row.contract if not row.expiry_ns else f"{row.base}/{row.quote}:{row.settle}-*"


def _by_name(
    table: Mapping[str, Any], name: str, width: int, place: str
) -> list[tuple[float, ...]]:
    return read_tiers(table.get(name, table.get(DEFAULT, ())), width, f"{place}.{name}")


def _option_rates(table: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Floats:
    """a, b, c and the least order margin by instrument, shape [4, instruments]."""
    out = np.full((4, len(instruments)), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(table, row)
        if row.kind != Kind.OPTION or entry is None:
            continue
        if not isinstance(entry, list | tuple) or len(entry) != 4:
            problem = f"{entry!r} is no list of a, b, c and the least order margin"
            raise InputError(f"{place}.{row.base}", problem, "write [0.10, 0.15, 0.03, 0.10]")
        out[:, i] = [number(x, f"{place}.{row.base}", 0.0, 1.0) for x in entry]
    return out


@dataclass(frozen=True, slots=True)
class Margins:
    """Margins by slot in the settle asset, shape [slots]; ``price`` is its USD index.

    ``size`` is what the tier was found by, ``fee`` that of a liquidation, ``short_initial`` the
    initial margin of one coin of a short option, ``orders`` what open orders add.
    """

    size: Floats
    notional: Floats
    maintenance_rate: Floats
    initial_rate: Floats
    initial: Floats
    maintenance: Floats
    fee: Floats
    orders: Floats
    short_initial: Floats
    price: Floats


@dataclass(frozen=True, slots=True)
class Currencies:
    """What pools own by cell: ``value`` in USD, ``counted`` of it, ``owed`` in the asset."""

    value: Floats
    counted: Floats
    owed: Floats
    borrowing_initial: Floats
    borrowing_maintenance: Floats
    borrowing_fee: Floats
    detail: Detail


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    is_option = exposure.instruments.of_kind(Kind.OPTION)[layout.slot_instrument]
    margins = measure_margins(exposure, market, params)
    # Long options stand apart in cross margin, all options in isolated margin.
    apart = is_option & ((exposure.quantity > 0) | exposure.is_isolated[slot_pool(exposure)])
    currencies = count_currencies(exposure, params, apart)

    def by_pool(slots: Floats, where: Bools) -> Floats:
        return sum_segmented(layout.slot_offsets, np.where(where, slots * margins.price, 0.0))

    held = exposure.quantity != 0
    initial, maintenance, fees, orders = (
        np.where(active, column, 0.0)
        for active, column in (
            (held, margins.initial),
            (held, margins.maintenance),
            (held, margins.fee),
            (margins.orders != 0, margins.orders),
        )
    )
    cells = layout.cell_offsets
    none = np.zeros(exposure.is_isolated.size)
    charges = (
        Charge(
            "contracts",
            by_pool(initial, held & ~is_option),
            by_pool(maintenance, held & ~is_option),
        ),
        Charge(
            "short_options",
            by_pool(initial, held & is_option),
            by_pool(maintenance, held & is_option),
        ),
        Charge(
            "open_orders",
            by_pool(orders, orders != 0)
            + sum_segmented(layout.group_offsets, exposure.spot_reserve),
            none,
        ),
        Charge(
            "borrowing",
            sum_segmented(cells, currencies.borrowing_initial),
            sum_segmented(cells, currencies.borrowing_maintenance),
        ),
        Charge(
            "liquidation_fees",
            none,
            by_pool(fees, held) + sum_segmented(cells, currencies.borrowing_fee),
        ),
    )
    return Requirement(
        equity=sum_segmented(cells, currencies.value),
        collateral_value=sum_segmented(cells, currencies.counted),
        charges=charges,
        details=(currencies.detail, margins_detail(exposure, margins)),
    )


def count_currencies(exposure: Exposure, params: Params, apart: Bools) -> Currencies:
    """Rules 1, 2 and 6; ``apart`` says whose option values do not back others, shape [slots]."""
    layout, equity = exposure.layout, exposure.cell_equity
    value = np.where(
        apart & (exposure.quantity != 0),
        exposure.quantity * exposure.contract_value[layout.slot_instrument],
        0.0,
    )
    amount = equity - sum_by(layout.slot_cell, value, equity.size)
    price, asset = exposure.cell_price, layout.cell_asset
    isolated = exposure.is_isolated[_cell_pool(exposure)]
    positive = np.where(amount > 0, amount, 0.0)
    discounted = params.discounts.amount(asset, positive)
    # Compared so that a NaN stays one: an amount that cannot be known is not owed in full.
    backing = np.where(isolated | ~(amount > 0), amount, discounted)
    counted = np.where(backing == 0, 0.0, backing * price)
    owed = np.where(~isolated & (amount < 0), -amount, 0.0)
    initial, maintenance = borrowing_margin(params.borrowing, asset, owed, price)
    fee = params.borrowing_fee_rate * (np.where(owed == 0, 0.0, owed * price) + maintenance)
    detail = Detail(
        "currencies", layout.cell_offsets, asset,
        (("balance", exposure.cell_balance), ("equity", equity), ("index_price", price),
         ("counted", amount), ("discounted_equity", counted), ("owed", owed),
         ("borrowing_initial", initial), ("borrowing_maintenance", maintenance)),
    )  # fmt: skip
    worth = np.where(equity == 0, 0.0, equity * price)
    return Currencies(worth, counted, owed, initial, maintenance, fee, detail)


def _cell_pool(exposure: Exposure) -> Int64s:
    offsets = exposure.layout.cell_offsets
    return np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))


def measure_margins(exposure: Exposure, market: Market, params: Params) -> Margins:
    """Rules 3 to 5 and 7, by slot."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    is_option = table.of_kind(Kind.OPTION)[held]
    is_short = exposure.quantity < 0
    price = market.index[table.settle][held]
    multiplier = table.multiplier[held]
    contracts = np.abs(exposure.quantity)
    coins = contracts * multiplier
    open_buys, open_sells = _opening(exposure)
    # What decides the tier: of options the short side with its sell orders, else all held.
    sized = np.where(is_option, np.where(is_short, contracts, 0.0) + open_sells, contracts)
    size = _family_size(exposure, params, sized * multiplier)
    row = params.tiers.find(held, size)
    unit = np.abs(exposure.contract_value[held])
    rates = np.maximum(1.0 / params.leverage[held], params.tiers.figure(1, row))
    notional = contracts * unit
    factor = params.factors.figure(0, params.factors.find(held, size))
    short_initial, short_maintenance = _short_options(exposure, market, params, factor)
    initial = np.where(is_option, np.where(is_short, coins * short_initial, 0.0), notional * rates)
    maintenance = np.where(
        is_option,
        np.where(is_short, coins * short_maintenance, 0.0),
        notional * params.tiers.figure(0, row),
    )
    # The fee of a short option is a part of a coin, whatever it settles in.
    coin = market.index[table.base][held] / price
    fee = params.fee_rate[held] * np.where(
        is_option, np.where(is_short, coins * coin, 0.0), notional
    )
    filled = size + np.maximum(open_buys, open_sells) * multiplier
    filled_rate = np.maximum(
        1.0 / params.leverage[held], params.tiers.figure(1, params.tiers.find(held, filled))
    )
    worst = _worst_side(exposure, unit, price, open_buys, open_sells)
    rise = np.maximum(worst * filled_rate - np.where(contracts == 0, 0.0, initial), 0.0)
    ordered = (exposure.buys > 0) | (exposure.sells > 0)
    orders = np.where(ordered & ~is_option, rise, 0.0)
    orders = orders + _option_orders(exposure, market, params, short_initial)
    return Margins(
        size, notional, params.tiers.figure(0, row), rates, initial, maintenance, fee, orders,
        short_initial, price,
    )  # fmt: skip


def _family_size(exposure: Exposure, params: Params, sizes: Floats) -> Floats:
    """Sizes by slot added up over the family in the pool, given back to each slot."""
    family = params.family[exposure.layout.slot_instrument]
    width = int(params.family.max(initial=0)) + 1
    _, row = np.unique(slot_pool(exposure) * width + family, return_inverse=True)
    total = sum_by(row, sizes, int(row.max(initial=-1)) + 1)
    return np.asarray(total[row])


def _opening(exposure: Exposure) -> tuple[Floats, Floats]:
    """Contracts of buy and sell orders that open rather than close, by slot."""
    held = exposure.quantity
    buys = np.maximum(exposure.buys - np.maximum(-held, 0.0), 0.0)
    sells = np.maximum(exposure.sells - np.maximum(held, 0.0), 0.0)
    return buys, sells


def _worst_side(
    exposure: Exposure, unit: Floats, price: Floats, open_buys: Floats, open_sells: Floats
) -> Floats:
    """Notional in the settle asset if the larger side of orders fills, at limits, by slot."""
    sides = []
    for held, opening, ordered, notional in (
        (np.maximum(exposure.quantity, 0.0), open_buys, exposure.buys, exposure.buy_notional),
        (np.maximum(-exposure.quantity, 0.0), open_sells, exposure.sells, exposure.sell_notional),
    ):
        share = opening / np.where(ordered > 0, ordered, 1.0)
        at_limit = np.where(ordered > 0, share * notional / price, 0.0)
        sides.append(np.where(held > 0, held * unit, 0.0) + at_limit)
    return np.asarray(np.maximum(sides[0], sides[1]))


def _short_options(
    exposure: Exposure, market: Market, params: Params, factor: Floats
) -> tuple[Floats, Floats]:
    """Initial and maintenance margin of one coin of each slot's option if short, settle asset."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    forward, strike, mark = market.forward[held], table.strike[held], market.mark[held]
    is_call = table.is_call[held]
    # Coin-margined options are margined in coins: the rates are parts of one already.
    in_coin = table.of_payoff(Payoff.INVERSE)[held]
    index = (market.index[table.base] / market.index[table.quote])[held]
    scale = np.where(in_coin, 1.0, index)
    out_of_money = np.maximum(np.where(is_call, strike - forward, forward - strike), 0.0)
    rate = np.maximum(params.floor_rate[held], params.base_rate[held] - out_of_money / forward)
    c = params.maintenance_rate[held]
    maintenance = np.where(is_call, c * scale, np.maximum(c * scale, c * mark)) * factor + mark
    # Far in the money the put's own term could pass the initial margin, which never is less.
    return np.maximum(rate * scale * factor + mark, maintenance), maintenance


def _option_orders(
    exposure: Exposure, market: Market, params: Params, short_initial: Floats
) -> Floats:
    """What open orders on options need, in the settle asset by slot."""
    table, held, orders = exposure.instruments, exposure.layout.slot_instrument, exposure.orders
    slot = orders.slot
    if not slot.size or not table.of_kind(Kind.OPTION).any():
        return np.zeros(held.size)
    i = held[slot]
    index = (market.index[table.base] / market.index[table.quote])[i]
    least = params.order_min[i] * np.where(table.of_payoff(Payoff.INVERSE)[i], 1.0, index)
    open_buys, open_sells = _opening(exposure)
    is_buy = orders.quantity > 0
    opening = np.where(
        is_buy,
        (open_buys / np.where(exposure.buys > 0, exposure.buys, 1.0))[slot],
        (open_sells / np.where(exposure.sells > 0, exposure.sells, 1.0))[slot],
    )
    opening = np.where(orders.is_reduce_only, 0.0, opening)
    initial = short_initial[slot]
    to_open = np.where(is_buy, orders.price, np.maximum(initial - orders.price, least))
    to_close = np.where(is_buy, np.maximum(orders.price - initial, 0.0), 0.0)
    each = np.where(opening > 0, opening * to_open, 0.0)
    each = each + np.where(opening < 1, (1.0 - opening) * to_close, 0.0)
    amount = np.abs(orders.quantity) * table.multiplier[i] * each
    return sum_by(slot, np.where(table.of_kind(Kind.OPTION)[i], amount, 0.0), held.size)


def margins_detail(exposure: Exposure, margins: Margins) -> Detail:
    """Margins by position, in its settle asset."""
    layout = exposure.layout
    return Detail(
        "margins", layout.slot_offsets, layout.slot_instrument,
        (("tier_size", margins.size), ("notional", margins.notional),
         ("maintenance_rate", margins.maintenance_rate), ("initial_rate", margins.initial_rate),
         ("initial", margins.initial), ("maintenance", margins.maintenance),
         ("liquidation_fee", margins.fee), ("open_orders", margins.orders),
         ("short_initial_per_coin", margins.short_initial)),
        by_instrument=True,
    )  # fmt: skip


def prices(
    exposure: Exposure, _requirement: Requirement, _market: Market, params: Params
) -> PositionPrices:
    """Rule 8: what OKX shows beside isolated contracts; NaN in cross margin and for options.

    Where the tick is not known the liquidation price stands unmoved.
    """
    table, layout = exposure.instruments, exposure.layout
    held = layout.slot_instrument
    quantity, cost = exposure.quantity, exposure.cost
    size = quantity * table.multiplier[held]
    inverse = table.of_payoff(Payoff.INVERSE)[held]
    row = params.tiers.find(
        held, _family_size(exposure, params, np.abs(quantity) * table.multiplier[held])
    )
    rate = params.tiers.figure(0, row) + params.fee_rate[held]
    margin = exposure.cell_balance[layout.slot_cell]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = np.where(inverse, -size / cost, cost / size)
    none = np.zeros(size.size)
    stated = exposure.is_isolated[slot_pool(exposure)] & ~table.of_kind(Kind.OPTION)[held]
    found = []
    for each in (rate, none):
        price = np.where(
            inverse,
            inverse_price(size, entry, margin, each, none),
            linear_price(size, entry, margin, each, none),
        )
        found.append(np.where(stated, price, np.nan))
    tick = np.where(np.isnan(params.tick), 0.0, params.tick)[held]
    return PositionPrices(found[0] + np.sign(size) * tick, found[1])


MODEL = Model(
    name="okx.multi_currency",
    title="OKX multi-currency margin: discounted equity, tiers for whole positions, short options",
    table="okx_multi_currency",
    resolve=resolve,
    require=require,
    reprices_options=True,
    prices=prices,
)
