"""What each pool owns and is exposed to at a market: the columns that charges work on."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind
from plimsoll.core import Bools, Floats, Int64s
from plimsoll.instruments import InstrumentTable, Kind, Payoff, value_coefficient
from plimsoll.margin.kernels import sum_cells, sum_groups, sum_orders
from plimsoll.margin.layout import Layout
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """Open orders in the book's order: ``slot``, signed contracts (buy > 0), limit price."""

    slot: Int64s
    quantity: Floats
    price: Floats
    is_reduce_only: Bools


@dataclass(frozen=True, slots=True)
class Exposure:
    """What pools hold, by slot, cell and group of the layout; NaN where a price is unusable.

    Columns over instruments: ``contract_value`` (settle asset per contract at mark) and
    ``contract_notional`` (USD, >= 0). Over pools: ``is_isolated``. Over cells, in the asset:
    ``cell_balance``, ``cell_equity`` (balance plus unrealised profit); ``cell_price`` is USD.

    Over slots: ``quantity`` in contracts (long > 0), ``cost`` in the settle asset (value of
    the position at its entry prices; 0 for options), ``buys`` and ``sells`` the contracts of
    open orders that are not reduce-only, ``buy_notional`` and ``sell_notional`` those at their
    limits, USD. ``orders`` has them one by one, spot orders too.

    Over groups, USD notional >= 0: ``long`` and ``short`` sides, ``gross`` their sum,
    ``worst_long`` and ``worst_short`` the sides if all buy or all sell orders fill,
    ``order_loss`` what those fills would lose at once against mark, ``spot_reserve`` what open
    spot orders lock; ``group_price`` is the index of the underlying.
    """

    layout: Layout
    instruments: InstrumentTable
    contract_value: Floats
    contract_notional: Floats
    is_isolated: Bools
    cell_balance: Floats
    cell_equity: Floats
    cell_price: Floats
    quantity: Floats
    cost: Floats
    buys: Floats
    sells: Floats
    buy_notional: Floats
    sell_notional: Floats
    orders: OpenOrders
    group_price: Floats
    long: Floats
    short: Floats
    gross: Floats
    worst_long: Floats
    worst_short: Floats
    order_loss: Floats
    spot_reserve: Floats


def notional_coefficient(table: InstrumentTable, price: Floats, index: Floats) -> Floats:
    """USD notional of one contract at ``price``, shape [instruments], always >= 0.

    Linear: multiplier * price in quote. Inverse: the multiplier is quote value already. Quanto:
    multiplier * price in settle. Options: multiplier * index of the underlying.
    """
    is_fixed = table.is_inverse | table.is_option
    in_currency = np.where(is_fixed, table.multiplier, table.multiplier * np.abs(price))
    currency = index[np.where(table.is_quanto, table.settle, table.quote)]
    currency = np.where(table.is_option, index[table.base], currency)
    # An inverse notional needs no mark, but a position whose mark is unusable must not
    # look measured.
    return np.asarray(np.where(np.isnan(price), np.nan, in_currency * currency))


def measure_exposure(book: Book, market: Market, layout: Layout) -> Exposure:
    """Exposure of every pool of a book. The border: here exact units become floats for risk.

    Each amount is one int64-to-float conversion and one product away from exact: a relative
    error of at most 2**-51 per term.
    """
    table = book.instruments
    assets = table.assets
    slots, groups = layout.slot_instrument.size, layout.group_underlying.size
    value = value_coefficient(table.is_inverse, table.multiplier, market.mark)
    notional = notional_coefficient(table, market.mark, market.index)
    settle_unit = assets.unit[table.settle]
    quantity, cost = np.zeros(slots), np.zeros(slots)
    balance, equity = np.zeros(layout.cell_asset.size), np.zeros(layout.cell_asset.size)
    sum_cells(
        book.balances.amount, layout.balance_cell, assets.unit[book.balances.asset], balance,
        book.positions.quantity, book.positions.cost, book.positions.instrument,
        layout.position_slot, layout.slot_cell,
        table.quantity_unit, settle_unit, value, quantity, cost, equity,
    )  # fmt: skip
    long, short, gross = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    worst_long, worst_short = np.zeros(groups), np.zeros(groups)
    buys, sells, buy_notional, sell_notional = (np.zeros(slots) for _ in range(4))
    loss, reserve = np.zeros(groups), np.zeros(groups)
    if book.orders.order_id.size:
        sum_orders(
            book.orders.quantity, book.orders.price, book.orders.instrument,
            book.orders.is_reduce_only, layout.order_slot, layout.slot_group,
            table.quantity_unit, table.price_unit, table.multiplier, market.mark, notional,
            table.of_kind(Kind.SPOT), table.of_payoff(Payoff.INVERSE), table.of_kind(Kind.OPTION),
            market.index[table.base], market.index[table.quote], market.index[table.settle],
            buys, sells, buy_notional, sell_notional, loss, reserve,
        )  # fmt: skip
    sum_groups(
        quantity, buys, sells, buy_notional, sell_notional, layout.slot_instrument,
        layout.slot_group, notional, long, short, gross, worst_long, worst_short,
    )  # fmt: skip
    return Exposure(
        layout, table, value, notional, book.pool_kind == PoolKind.ISOLATED,
        balance, equity, market.index[layout.cell_asset],
        quantity, cost, buys, sells, buy_notional, sell_notional, _orders(book, layout),
        market.index[layout.group_underlying],
        long, short, gross, worst_long, worst_short, loss, reserve,
    )  # fmt: skip


def _orders(book: Book, layout: Layout) -> OpenOrders:
    rows, table = book.orders, book.instruments
    if not rows.order_id.size:
        nothing = np.zeros(0)
        return OpenOrders(layout.order_slot, nothing, nothing, rows.is_reduce_only)
    return OpenOrders(
        layout.order_slot,
        rows.quantity * table.quantity_unit[rows.instrument],
        rows.price * table.price_unit[rows.instrument],
        rows.is_reduce_only,
    )
