"""cboe.regt: strategy-based margin for stock, equity options and index options.

1. Cash. Assets listed as cash count at their fraction; other balances are stock, and their class
   says what they ask. Stock of no class is no margin security: it backs nothing, and owing it is
   UNKNOWN. Options have no value to borrow on, and the proceeds of short ones stay in cash, so
   the collateral value is cash and stock alone.
2. Stock asks a fraction of its value, long or short: initially one rate, then a lower one.
3. A long option is paid in full and asks nothing.
4. A short option asks its premium and the rate of its class on the underlying, less what it is
   out of the money, but at least 10 % (of the underlying for a call, of the strike for a put).
5. A spread - a long option that lives as long as the short one, both calls or both puts - asks
   what its strikes can lose.
6. A short call and a short put, straddle or strangle, ask the greater side, and the premium of
   the other.
7. A short option covered by stock asks what it is in the money: the stock counts no more than
   will be got for it.
8. Stock protected by an option that fixes its price asks, as maintenance, 10 % of the strike and
   what the option is out of the money, where that is less than its own rate. With an option sold
   besides that is a collar.
9. Conversions and their reverse (stock, and two options that fix its price) ask, as maintenance,
   10 % of the strike and what the short option is in the money.
10. The options of one expiry may be one spread where as many calls and as many puts are long as
   short: it asks the most that it can lose at any of its strikes.
11. Whatever pairing of the account's legs asks least holds (``charges.strategies`` has how).
12. Open orders ask initially, each by itself, for what they would open: a bought option its
   price, a sold one what it asks beyond its premium, stock its rate.

Futures and perpetuals are no securities: they have no rule here. A class's stock maintenance
has no minimum by share price, and options with more than nine months to go no loan value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    Holdings,
    Legs,
    StockRules,
    list_holdings,
    slot_pool,
    sort_legs,
    strategy_margin,
    sum_segmented,
)
from plimsoll.margin.charges.options.strategies import UNCOVERED
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import DEFAULT, asset_column, number
from plimsoll.market import Market

CHARGES = (
    "stock", "uncovered_options", "straddles", "spreads", "covered_options", "conversions",
)  # fmt: skip
"""The columns of ``strategy_margin``."""


@dataclass(frozen=True, slots=True)
class Params:
    """Rates by asset, NaN where there is none; ``rank`` orders instruments by expiry and strike.

    ``cash`` is the fraction of a balance that counts; ``option_rate``, ``initial``,
    ``maintenance`` and ``short_maintenance`` (both of stock) are fractions of the underlying.
    """

    cash: Floats
    option_rate: Floats
    initial: Floats
    maintenance: Floats
    short_maintenance: Floats
    option_rate_min: float
    protected_rate: float
    rank: Int64s


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table by the class of each asset of a book."""
    names = instruments.assets.names
    cash = asset_column(params["cash"], names, f"{place}.cash", high=1.0)

    kinds = product_classes(params, names, cash, ("option_rate",), place)

    def by_class(name: str) -> Floats:
        out = np.full(len(names), np.nan)
        for i, kind in kinds.items():
            if kind in params[name]:
                out[i] = number(params[name][kind], f"{place}.{name}.{kind}", high=1.0)
        return out

    initial, maintenance = by_class("stock_initial"), by_class("stock_maintenance")
    short = by_class("short_stock_maintenance")
    if np.any(initial < np.fmax(maintenance, short)):
        problem = "an initial rate is below maintenance"
        raise InputError(f"{place}.stock_initial", problem, "raise it")
    table = instruments
    return Params(
        cash, by_class("option_rate"), initial, maintenance, short,
        number(params["option_rate_min"], f"{place}.option_rate_min", high=1.0),
        number(params["protected_rate"], f"{place}.protected_rate", high=1.0),
        _rank(table),
    )  # fmt: skip


def product_classes(
    params: Mapping[str, Any],
    names: Sequence[str],
    cash: Floats,
    rules: tuple[str, ...],
    place: str,
) -> Mapping[int, str]:
    """The class of each asset that has one and is no cash, by its number.

    Raises InputError where a class is missing from one of the parameters ``rules``.
    """
    table, found = params["product_class"], {}
    for i, asset in enumerate(names):
        kind = table.get(asset, table.get(DEFAULT))
        if kind is None or not np.isnan(cash[i]):
            continue
        for rule in rules:
            if not isinstance(kind, str) or kind not in params[rule]:
                remedy = f"name one of: {', '.join(params[rule])}"
                raise InputError(f"{place}.product_class.{asset}", f"no class {kind!r}", remedy)
        found[i] = kind
    return found


def _rank(table: InstrumentTable) -> Int64s:
    """Place of each instrument by expiry, strike, right and symbol, whatever order it is in."""
    symbol = np.argsort(np.argsort(np.array(table.symbols, dtype=np.str_)))
    order = np.lexsort((symbol, table.is_call, table.strike, table.expiry_ns))
    return np.argsort(order).astype(np.int64)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    rows = list_holdings(exposure)
    collateral = _collateral(exposure, params)
    is_stock = ~np.isnan(params.initial)[exposure.layout.cell_asset]
    stock = np.zeros(rows.pool.size)
    stock[rows.cell_row] = np.where(is_stock, exposure.cell_balance, 0.0)
    need = _short_need(exposure, market, params)
    initial, maintenance = _strategies(exposure, market, params, rows, stock, need)
    pools = exposure.is_isolated.size
    orders = _orders(exposure, market, params, rows, stock, need)
    charges = [
        Charge(
            name,
            sum_by(rows.pool, initial[:, k], pools),
            sum_by(rows.pool, maintenance[:, k], pools),
        )
        for k, name in enumerate(CHARGES)
    ]
    columns = [("units", stock), ("price", market.index[rows.asset])]
    for level, figures in (("initial", initial), ("maintenance", maintenance)):
        columns += [(f"{level}_{name}", figures[:, k]) for k, name in enumerate(CHARGES)]
    detail = rows.detail("strategies", columns, ~np.isnan(params.initial), pools)
    offsets = exposure.layout.cell_offsets
    return Requirement(
        equity=sum_segmented(offsets, collateral.columns[2][1]),
        collateral_value=sum_segmented(offsets, collateral.columns[3][1]),
        charges=(*charges, Charge("open_orders", orders, np.zeros(pools))),
        details=(collateral, detail),
    )


def _collateral(exposure: Exposure, params: Params) -> Detail:
    """Value of each cell with its options, and what of its balance counts (rule 1)."""
    asset, balance = exposure.layout.cell_asset, exposure.cell_balance
    price, fraction = exposure.cell_price, params.cash[asset]
    # An asset that holds nothing needs no price.
    value = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * price)
    owned = np.where(balance == 0, 0.0, balance * price)
    cash = np.where(owned > 0, owned * fraction, owned)
    foreign = np.where(owned >= 0, 0.0, np.nan)
    is_stock = ~np.isnan(params.initial[asset])
    counted = np.where(~np.isnan(fraction), cash, np.where(is_stock, owned, foreign))
    return Detail(
        "collateral", exposure.layout.cell_offsets, asset,
        (("balance", balance), ("index_price", price), ("value", value),
         ("collateral_value", counted)),
    )  # fmt: skip


def _short_need(exposure: Exposure, market: Market, params: Params) -> Floats:
    """What a unit short asks beyond its premium (rule 4), USD; NaN for what is no option."""
    table, index = exposure.instruments, market.index
    spot, strike = index[table.base], table.strike * index[table.quote]
    out_of_money = np.maximum(np.where(table.is_call, strike - spot, spot - strike), 0.0)
    least = params.option_rate_min * np.where(table.is_call, spot, strike)
    need = np.maximum(params.option_rate[table.base] * spot - out_of_money, least)
    return np.where(table.of_kind(Kind.OPTION), need, np.nan)


def _strategies(
    exposure: Exposure,
    market: Market,
    params: Params,
    rows: Holdings,
    stock: Floats,
    need: Floats,
) -> tuple[Floats, Floats]:
    """Initial and maintenance of each row by what it is for (rules 2 to 11)."""
    layout, table, index = exposure.layout, exposure.instruments, market.index
    held = exposure.quantity != 0
    is_option = table.of_kind(Kind.OPTION)[layout.slot_instrument]
    slots = np.flatnonzero(held & is_option)
    i, row = layout.slot_instrument[slots], rows.group_row[layout.slot_group]
    legs = sort_legs(
        row[slots], params.rank[i], rows.pool.size,
        Legs(
            np.zeros(0, dtype=np.int64), exposure.quantity[slots] * table.multiplier[i],
            table.strike[i] * index[table.quote[i]], table.expiry_ns[i], table.is_call[i],
            market.mark[i] * index[table.settle[i]], need[i],
        ),
    )  # fmt: skip
    price, asset = index[rows.asset], rows.asset
    first = params.initial[asset]
    initial = strategy_margin(legs, StockRules(price, stock, first, first, np.inf))
    long, short = params.maintenance[asset], params.short_maintenance[asset]
    rules = StockRules(price, stock, long, short, params.protected_rate)
    maintenance = strategy_margin(legs, rules)
    # What is paired initially may stay paired so.
    less = _add(initial) < _add(maintenance)
    maintenance = np.where(less[:, np.newaxis], initial, maintenance)
    barred = row[held & ~is_option]
    initial[barred, UNCOVERED] = np.nan
    maintenance[barred, UNCOVERED] = np.nan
    return initial, maintenance


def _add(figures: Floats) -> Floats:
    total = np.zeros(len(figures))
    for k in range(figures.shape[1]):
        total += figures[:, k]
    return total


def _orders(
    exposure: Exposure,
    market: Market,
    params: Params,
    rows: Holdings,
    stock: Floats,
    need: Floats,
) -> Floats:
    """What open orders ask initially (rule 12), USD, shape [pools]."""
    layout, table, orders = exposure.layout, exposure.instruments, exposure.orders
    slot, i = orders.slot, layout.slot_instrument[orders.slot]
    is_spot, is_option = (table.of_kind(kind)[i] for kind in (Kind.SPOT, Kind.OPTION))
    size = np.where(orders.is_reduce_only, 0.0, np.abs(orders.quantity))
    owned = stock[rows.group_row[layout.slot_group[slot]]]
    holds = np.where(is_spot, owned, exposure.quantity[slot])
    opening = np.where(
        orders.quantity > 0,
        _opened(slot, np.where(orders.quantity > 0, size, 0.0), -holds, layout.slot_group.size),
        _opened(slot, np.where(orders.quantity < 0, size, 0.0), holds, layout.slot_group.size),
    )
    cost = orders.price * market.index[table.settle[i]]
    is_cash = ~np.isnan(params.cash[table.base[i]])
    rate = np.where(is_cash, 1.0, params.initial[table.base[i]])
    asked = np.where(orders.quantity > 0, cost, need[i]) * table.multiplier[i]
    each = np.where(is_spot, cost * rate, np.where(is_option, asked, np.nan))
    # What has no price now cannot be judged, though its limit is known.
    each = np.where(np.isnan(market.mark[i]), np.nan, each)
    charge = np.where(size == 0, 0.0, opening * each)
    return sum_by(slot_pool(exposure)[slot], charge, exposure.is_isolated.size)


def _opened(slot: Int64s, size: Floats, closes: Floats, slots: int) -> Floats:
    """Of each order's ``size`` the part beyond what its side first closes, pro rata in a slot."""
    whole = sum_by(slot, size, slots)[slot]
    opening = np.maximum(whole - np.maximum(closes, 0.0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole == 0, 0.0, size * (opening / whole))


MODEL = Model(
    name="cboe.regt",
    title="Reg T and Cboe: strategy-based margin for stock, equity and index options",
    table="cboe_regt",
    resolve=resolve,
    require=require,
)
