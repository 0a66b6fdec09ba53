"""mango.v4: health of tokens, perpetuals and spot orders on Mango v4, three kinds of it.

1. One formula (``mango_health``), three kinds: maintenance health at maintenance weights and
   oracle prices; liquidation end health at initial weights and oracle prices; initial health at
   initial weights scaled by rule 5, assets at the lower and liabilities at the higher of oracle
   and stable price. Initial <= liquidation end <= maintenance.
2. A perpetual's quote side plus its weighted base, with all bids or all asks filled, whichever is
   worse, is profit in its settle token; above zero its overall weight counts. It is added to the
   token's balance before the token is weighted. Reduce-only orders count like all others.
3. A token counts balance × price × weight, by the sign of the balance with rule 2 in it.
4. Open spot orders have set funds aside, which balances include: buys quantity × limit of the
   quote, sells their quantity of the base. What is free counts by rule 3, what is set aside as
   all base or all quote, whichever is worth less, for each market as if all others had filled.
5. Above ``deposit_scale_start`` a token's initial asset weight is multiplied by start / (deposits
   × price), above ``borrow_scale_start`` its initial liability weight by borrows × price / start;
   the price is the higher of oracle and stable, and deposits include what orders could bring.
6. Liquidation begins where maintenance health is below 0 (strictly, so that the account's column
   says no where our status, at a ratio of 1, says yes). Once begun it goes on until liquidation
   end health is above ``liquidation_end_health``. Initial health below 0 bars new risk.
7. Maintenance weights may move on a straight line between two times (``maintenance_shift``).
8. Without its oracle a token with a balance at or above zero may be left out, and spot orders
   with it: what remains is a lower bound of initial health. The status is UNKNOWN all the same.

The mark of a perpetual is its oracle's price in the settle token; its lot is the contract
multiplier. Profit and funding not settled, beyond quantity × (mark - entry), are ``unsettled``,
counted while a position or an order is open in the market.
Maintenance margin is what health takes off balances and profits at maintenance weights, initial
margin the same for initial health. Nothing else is listed: other contracts are UNKNOWN.
"""

from typing import NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, Int64s, sum_by
from plimsoll.instruments import Kind
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.venues.mango_health import (
    Health,
    Perps,
    SpotOrders,
    Tokens,
    assets_and_liabilities,
    health,
    leverage,
    times,
    weighted_liabilities,
)
from plimsoll.margin.venues.mango_parameters import (
    HealthKind,
    Params,
    perp_sides,
    resolve,
    token_sides,
)
from plimsoll.market import Market


class _Rows(NamedTuple):
    """What accounts hold, before weights and prices.

    Tokens are the cells of the layout, then bases of spot orders that have no cell: ``asset``,
    ``pool``, ``held`` (balance with what orders set aside), ``worth`` (that with profit at mark
    and what is unsettled), ``free`` (what is not set aside). The rest is by slot.
    """

    pool: Int64s
    asset: Int64s
    held: Floats
    worth: Floats
    free: Floats
    quantity: Floats
    quote: Floats
    bids: Floats
    asks: Floats
    orders: SpotOrders


class _Measured(NamedTuple):
    """One kind of health: its columns and what came of them."""

    tokens: Tokens
    perps: Perps
    health: Health


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    rows = _rows(exposure, params)
    measured = tuple(_measure(exposure, market, params, rows, kind) for kind in HealthKind)
    initial, _, maintenance = measured
    pools = exposure.is_isolated.size
    counted, borrowed, perps, orders = _lines(rows, maintenance, pools)
    counted_less, borrowed_more, perps_more, orders_more = _lines(rows, initial, pools)
    value = times(rows.worth, market.index[rows.asset])
    collateral = sum_by(rows.pool, counted, pools)
    less = sum_by(rows.pool, counted - counted_less, pools)
    return Requirement(
        equity=sum_by(rows.pool, value, pools),
        collateral_value=collateral,
        charges=(
            Charge("borrows", borrowed_more, borrowed),
            Charge("initial_weights", less, np.zeros(pools)),
            Charge("perps", perps_more, perps),
            Charge("spot_orders", orders_more, orders),
        ),
        details=(
            _account_detail(rows, measured, market.index[rows.asset], params),
            _token_detail(exposure, rows, initial, maintenance),
            _perp_detail(exposure, rows, measured),
        ),
    )


def _rows(exposure: Exposure, params: Params) -> _Rows:
    layout, table = exposure.layout, exposure.instruments
    slots, held = layout.slot_instrument.size, layout.slot_instrument
    is_spot = table.of_kind(Kind.SPOT)[held]
    bids, asks = (
        sum_by(exposure.orders.slot, np.maximum(sign * exposure.orders.quantity, 0.0), slots)
        for sign in (1.0, -1.0)
    )
    cells = layout.cell_asset.size
    cell_pool = np.repeat(np.arange(exposure.is_isolated.size), np.diff(layout.cell_offsets))
    width = len(table.assets.names)
    # Cells stand in the order of pool and asset, so a base's cell, if any, is found by bisection.
    keys = cell_pool * width + layout.cell_asset
    spot = np.flatnonzero(is_spot & ((bids > 0) | (asks > 0)))
    wanted = slot_pool(exposure)[spot] * width + table.base[held[spot]]
    place = np.searchsorted(keys, wanted)
    is_known = (place < cells) & (keys[np.minimum(place, cells - 1)] == wanted)
    more = np.unique(wanted[~is_known])
    base = np.where(is_known, place, cells + np.searchsorted(more, wanted))
    orders = _spot_orders(exposure, spot, base, bids, asks)
    count = cells + more.size
    none = np.zeros(more.size)
    is_open = (exposure.quantity != 0) | (bids > 0) | (asks > 0)
    unsettled = np.where(is_open, params.unsettled[held], 0.0)
    balance = np.concatenate([exposure.cell_balance, none])
    reserved = sum_by(orders.base, orders.reserved_base, count)
    reserved = reserved + sum_by(orders.quote, orders.reserved_quote, count)
    multiplier = table.multiplier[held]
    return _Rows(
        np.concatenate([cell_pool, more // width]),
        np.concatenate([layout.cell_asset, more % width]),
        balance,
        np.concatenate([exposure.cell_equity, none]) + sum_by(layout.slot_cell, unsettled, count),
        balance - reserved,
        exposure.quantity * multiplier,
        unsettled - exposure.cost,
        np.where(is_spot, 0.0, bids * multiplier),
        np.where(is_spot, 0.0, asks * multiplier),
        orders,
    )


def _spot_orders(
    exposure: Exposure, spot: Int64s, base: Int64s, bids: Floats, asks: Floats
) -> SpotOrders:
    """Rule 4's markets: the slots ``spot``, whose base tokens are the rows ``base``."""
    rows, slots = exposure.orders, exposure.layout.slot_instrument.size
    is_buy = rows.quantity > 0
    highest, lowest = np.zeros(slots), np.full(slots, np.inf)
    np.maximum.at(highest, rows.slot[is_buy], rows.price[is_buy])
    np.minimum.at(lowest, rows.slot[~is_buy], rows.price[~is_buy])
    paid = sum_by(rows.slot, np.where(is_buy, rows.quantity * rows.price, 0.0), slots)
    return SpotOrders(
        base,
        exposure.layout.slot_cell[spot],
        asks[spot],
        paid[spot],
        np.where(bids > 0, highest, np.nan)[spot],
        np.where(asks > 0, lowest, np.nan)[spot],
    )


def _measure(
    exposure: Exposure, market: Market, params: Params, rows: _Rows, kind: HealthKind
) -> _Measured:
    layout = exposure.layout
    sides, overall = perp_sides(kind, market, params)
    held = layout.slot_instrument.astype(np.int64)
    tokens = Tokens(rows.pool, rows.free, token_sides(kind, market, params).take(rows.asset))
    perps = Perps(
        layout.slot_cell, rows.quantity, rows.quote, rows.bids, rows.asks, overall[held],
        sides.take(held),
    )  # fmt: skip
    return _Measured(tokens, perps, health(tokens, perps, rows.orders, exposure.is_isolated.size))


def _lines(rows: _Rows, measured: _Measured, pools: int) -> tuple[Floats, Floats, Floats, Floats]:
    """What counts by token, and by pool what is owed and what perpetuals and orders take off.

    The four add up to health: collateral first, at the profits of the mark, then less debts,
    less the weights of perpetuals, less the doubt about orders. Only rounding can make the last
    two fall below zero.
    """
    tokens, _, found = measured
    marked = tokens.sides.worth(rows.worth)
    profit = sum_by(measured.perps.token, found.profit, rows.held.size)
    unreserved = tokens.sides.worth(rows.held + profit)
    owed, weighted = _not_below_zero(-marked), _not_below_zero(marked - unreserved)
    doubt = sum_by(rows.pool, unreserved, pools) - found.total
    return (
        _not_below_zero(marked),
        sum_by(rows.pool, owed, pools),
        sum_by(rows.pool, weighted, pools),
        _not_below_zero(doubt),
    )


def _not_below_zero(values: Floats) -> Floats:
    """Values of at least zero; what is unknown stays so."""
    return np.where(values <= 0, 0.0, values)


def _lower_bound(rows: _Rows, measured: _Measured, oracle: Floats, pools: int) -> Floats:
    """Rule 8: health without tokens that have no oracle; NaN where one of them may be owed.

    What orders have set aside is worth at least nothing, so a market of unknown worth adds 0.
    """
    found = measured.health
    blind = np.isnan(oracle) & (rows.free >= 0) & (found.balance >= 0)
    orders = np.where(np.isnan(found.order_value), 0.0, found.order_value)
    return sum_by(rows.pool, np.where(blind, 0.0, found.token_value), pools) + sum_by(
        rows.pool[rows.orders.quote], orders, pools
    )


def _flag(holds: Bools, of: Floats) -> Floats:
    """1 where a claim holds, 0 where not, NaN where the figure it is about is unknown."""
    return np.where(np.isnan(of), np.nan, holds)


def _account_detail(
    rows: _Rows, measured: tuple[_Measured, ...], oracle: Floats, params: Params
) -> Detail:
    """The protocol's own figures, one row for each pool; ``measured`` is by kind of health."""
    initial, end, maintenance = measured
    pools = maintenance.health.total.size
    kept, ended = maintenance.health.total, end.health.total
    owed = weighted_liabilities(maintenance.tokens, maintenance.perps, maintenance.health, pools)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(owed == 0, np.inf, kept / owed)
    # Maintenance prices are the oracle's, as a balance sheet wants them.
    sheet = assets_and_liabilities(maintenance.tokens, maintenance.perps, rows.orders, pools)
    columns = (
        ("initial_health", initial.health.total),
        ("liquidation_end_health", ended),
        ("maintenance_health", kept),
        ("health_ratio", ratio),
        ("assets", sheet[0]),
        ("liabilities", sheet[1]),
        ("leverage", leverage(*sheet)),
        ("initial_health_lower_bound", _lower_bound(rows, initial, oracle, pools)),
        ("is_liquidatable", _flag(kept < 0, kept)),
        ("may_end_liquidation", _flag(ended > params.liquidation_end_health, ended)),
    )
    label = np.full(pools, ACCOUNT_ROW, dtype=np.int32)
    return Detail("account", np.arange(pools + 1, dtype=np.int64), label, columns)


def _token_detail(
    exposure: Exposure, rows: _Rows, initial: _Measured, maintenance: _Measured
) -> Detail:
    """Balances and weights by token."""
    layout = exposure.layout
    cells = layout.cell_asset.size
    sides, kept = initial.tokens.sides, maintenance.tokens.sides
    columns = (
        ("balance", rows.held),
        ("free_balance", rows.free),
        ("effective_balance", maintenance.health.balance),
        ("index_price", exposure.cell_price),
        ("initial_asset_price", sides.asset_price),
        ("initial_liability_price", sides.liability_price),
        ("initial_asset_weight", sides.asset_weight),
        ("initial_liability_weight", sides.liability_weight),
        ("maintenance_asset_weight", kept.asset_weight),
        ("maintenance_liability_weight", kept.liability_weight),
        ("initial_value", initial.health.token_value),
        ("maintenance_value", maintenance.health.token_value),
    )
    return Detail(
        "tokens", layout.cell_offsets, layout.cell_asset,
        tuple((name, column[:cells]) for name, column in columns),
    )  # fmt: skip


def _perp_detail(exposure: Exposure, rows: _Rows, measured: tuple[_Measured, ...]) -> Detail:
    """Positions as the protocol has them, and what each kind of health makes of their profit."""
    layout = exposure.layout
    profits = (
        (f"{kind.name.lower()}_profit", found.health.profit)
        for kind, found in zip(HealthKind, measured, strict=True)
    )
    columns = (
        ("base", rows.quantity), ("quote", rows.quote), ("bids", rows.bids), ("asks", rows.asks),
        *profits,
    )  # fmt: skip
    return Detail("perps", layout.slot_offsets, layout.slot_instrument, columns, by_instrument=True)


MODEL = Model(
    name="mango.v4",
    title="Mango v4: initial, liquidation end and maintenance health of tokens, perps and orders",
    table="mango_v4",
    resolve=resolve,
    require=require,
    dollar="USDC",
)
