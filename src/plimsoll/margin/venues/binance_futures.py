"""What the rule files of Binance's futures share: brackets by symbol, in the settle asset.

Every figure by slot is in the asset that the contract settles in: USDT for BTC/USDT:USDT, coins
for BTC/USD:BTC. The rules are numbered in the rule files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, Int32s, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff, value_coefficient
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import Brackets, pick_rows, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import PositionPrices
from plimsoll.margin.parameters import find_entry, instrument_column
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class FuturesParams:
    """Columns over instruments: bracket schedules (empty where there is no rule), the selected

    ``leverage``, and ``contract``, which both legs of hedge mode have in common.
    """

    brackets: Brackets
    leverage: Floats
    contract: Int64s


@dataclass(frozen=True, slots=True)
class SlotMargins:
    """Columns over slots, in the settle asset but for ``rate`` and ``leverage``.

    ``notional`` and the margins are >= 0; ``amount`` is the bracket's maintenance amount, which
    the venue calls cum; ``orders`` is what open orders add to ``initial``.
    """

    notional: Floats
    rate: Floats
    amount: Floats
    leverage: Floats
    initial: Floats
    maintenance: Floats
    orders: Floats


def read_futures(
    params: Mapping[str, Any],
    instruments: InstrumentTable,
    tables: Mapping[Payoff, str],
    place: str,
) -> FuturesParams:
    """Brackets and leverage for perpetuals and dated futures of the payoffs that have a table.

    ``tables`` names each payoff's brackets in ``params``. Raises InputError, naming the place
    below ``place``, on a bracket or leverage that is none.
    """
    listed: dict[str, Any] = dict.fromkeys(instruments.symbols, ())
    for payoff, name in tables.items():
        mine = {
            row.symbol: find_entry(params[name], row) or ()
            for row in instruments.rows
            if row.payoff == payoff and row.kind in (Kind.PERPETUAL, Kind.FUTURE)
        }
        # Built to be refused under its own name; the schedules of all are built below.
        Brackets.build(mine, tuple(mine), f"{place}.{name}")
        listed |= mine
    contracts = {row.contract: k for k, row in enumerate(instruments.rows)}
    return FuturesParams(
        Brackets.build(listed, instruments.symbols, place),
        instrument_column(params["leverage"], instruments, f"{place}.leverage", low=1.0),
        np.array([contracts[row.contract] for row in instruments.rows], dtype=np.int64),
    )


def slot_margins(exposure: Exposure, params: FuturesParams) -> SlotMargins:
    """Margins of every position and of the orders in its symbol; NaN where no rule says."""
    held = exposure.layout.slot_instrument
    brackets, quantity = params.brackets, exposure.quantity
    value = quantity * exposure.contract_value[held]
    notional = np.where(quantity == 0, 0.0, np.abs(value))
    row = brackets.find(held, notional)
    rate, amount = (pick_rows(c, row) for c in (brackets.tiers.rates, brackets.tiers.cumulative))
    leverage = np.minimum(params.leverage[held], pick_rows(brackets.leverage, row))
    initial = np.where(notional == 0, 0.0, notional / leverage)
    return SlotMargins(
        notional=notional,
        rate=rate,
        amount=amount,
        leverage=leverage,
        initial=initial,
        maintenance=np.where(notional == 0, 0.0, notional * rate - amount),
        orders=_order_margins(exposure, params, np.sign(quantity) * notional, initial),
    )


def _order_margins(
    exposure: Exposure, params: FuturesParams, signed: Floats, initial: Floats
) -> Floats:
    """What the initial margin grows by if the worse side of the orders fills, by slot."""
    held = exposure.layout.slot_instrument
    bids, asks = _order_values(exposure)
    worst = np.maximum(np.abs(signed + bids), np.abs(signed - asks))
    limit = pick_rows(params.brackets.leverage, params.brackets.find(held, worst))
    filled = worst / np.minimum(params.leverage[held], limit)
    # The same sum in another order may fall short of the position's margin by a rounding.
    return np.where((bids == 0) & (asks == 0), 0.0, np.maximum(filled - initial, 0.0))


def _order_values(exposure: Exposure) -> tuple[Floats, Floats]:
    """Bids and asks at their limits by slot, in the settle asset; reduce-only ones left out."""
    orders, table = exposure.orders, exposure.instruments
    slots = exposure.quantity.size
    i = exposure.layout.slot_instrument[orders.slot]
    each = value_coefficient(table.is_inverse[i], table.multiplier[i], orders.price)
    value = np.abs(orders.quantity * each)
    sides = (orders.quantity > 0, orders.quantity < 0)
    bids, asks = (
        sum_by(orders.slot, np.where(side & ~orders.is_reduce_only, value, 0.0), slots)
        for side in sides
    )
    return bids, asks


def usd_value(amounts: Floats, price: Floats) -> Floats:
    """Amounts of assets at USD prices; nothing of an asset needs no price."""
    return np.where(amounts == 0, 0.0, amounts * price)


def futures_requirement(exposure: Exposure, params: FuturesParams) -> Requirement:
    """Requirement of every pool in USD: rules 1 to 4 of USD-M and of COIN-M, which are the same.

    Collateral counts in full; positions and orders are charged as ``slot_margins`` says.
    """
    layout = exposure.layout
    margins = slot_margins(exposure, params)
    price = exposure.cell_price[layout.slot_cell]
    value = usd_value(exposure.cell_equity, exposure.cell_price)
    position_im, position_mm, orders = (
        sum_segmented(layout.slot_offsets, usd_value(column, price))
        for column in (margins.initial, margins.maintenance, margins.orders)
    )
    loss = sum_segmented(layout.group_offsets, exposure.order_loss)
    nothing = np.zeros(loss.size)
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, value),
        charges=(
            Charge("positions", position_im, position_mm),
            Charge("open_orders", orders, nothing),
            Charge("open_loss", loss, nothing.copy()),
        ),
        details=(
            Detail(
                "wallet", layout.cell_offsets, layout.cell_asset,
                (("wallet_balance", exposure.cell_balance),
                 ("unrealized_profit", exposure.cell_equity - exposure.cell_balance),
                 ("margin_balance", exposure.cell_equity),
                 ("index_price", exposure.cell_price), ("value", value)),
            ),
            bracket_detail(exposure, margins),
        ),
    )  # fmt: skip


def bracket_detail(exposure: Exposure, margins: SlotMargins) -> Detail:
    """The bracket of each position and its margins, in the settle asset."""
    layout = exposure.layout
    return Detail(
        "brackets", layout.slot_offsets, layout.slot_instrument,
        (("notional", margins.notional), ("maintenance_rate", margins.rate),
         ("maintenance_amount", margins.amount), ("leverage", margins.leverage),
         ("initial_margin", margins.initial), ("open_order_margin", margins.orders),
         ("maintenance_margin", margins.maintenance)),
        by_instrument=True,
    )  # fmt: skip


def futures_prices(exposure: Exposure, market: Market, params: FuturesParams) -> PositionPrices:
    """The liquidation price of every position, all else in its settle asset held at its mark.

    What a position is worth is linear in a level x: the price, or 1 / price where it is
    inverse. With A what the wallet holds beside it, K its slope and w the slopes' magnitudes,
    leg by leg, the venue solves A + K x = sum(w x rate - amount): its published formula, with
    cumL and cumS in hedge mode. No level above 0 is no price. The bankruptcy price has all
    rates and amounts at 0.
    """
    layout, table = exposure.layout, exposure.instruments
    held = layout.slot_instrument
    is_held = exposure.quantity != 0
    is_inverse = table.of_payoff(Payoff.INVERSE)[held]
    sign = np.where(is_inverse, -1.0, 1.0)
    slope = np.where(is_held, sign * exposure.quantity * table.multiplier[held], 0.0)
    value = np.where(is_held, exposure.quantity * exposure.contract_value[held], 0.0)
    maintenance = slot_margins(exposure, params).maintenance
    width = int(params.contract.max(initial=0)) + 1
    _, leg = np.unique(layout.slot_cell * width + params.contract[held], return_inverse=True)
    count = int(leg.max(initial=-1)) + 1

    def by_contract(column: Floats) -> Floats:
        return sum_by(leg, column, count)

    by_cell = sum_by(layout.slot_cell, maintenance, layout.cell_asset.size)
    others = by_cell[layout.slot_cell] - by_contract(maintenance)[leg]
    beside, mark = np.full((2, count), np.nan)
    beside[leg] = exposure.cell_equity[layout.slot_cell] - by_contract(value)[leg] - others
    with np.errstate(divide="ignore", invalid="ignore"):
        mark[leg] = market.mark[held] ** sign
        whole = by_contract(slope)
        level = _solve(params.brackets, held, leg, np.abs(slope), mark, beside, whole)
        prices = tuple(found[leg] ** sign for found in (level, -beside / whole))
    liquidation, bankruptcy = (
        np.where(is_held & (price > 0) & np.isfinite(price), price, np.nan) for price in prices
    )
    return PositionPrices(liquidation, bankruptcy)


def _solve(
    brackets: Brackets,
    held: Int32s,
    leg: Int64s,
    weight: Floats,
    mark: Floats,
    beside: Floats,
    slope: Floats,
) -> Floats:
    """The level at which each contract's account has its maintenance margin; NaN for none.

    As the venue does it: solved with the brackets at mark; where the answer lies in others,
    again with those. What is solved for is concave in the level, so that each answer is nearer
    than the one before and none is met twice, unless there is no solution.
    """
    level, before = mark, np.full(mark.size, np.nan)
    for _ in range(2 * int(np.diff(brackets.tiers.offsets).max(initial=0)) + 2):
        row = brackets.find(held, np.where(weight == 0, 0.0, weight * level[leg]))
        rate, amount = (
            sum_by(leg, np.where(weight == 0, 0.0, column), mark.size)
            for column in (
                weight * pick_rows(brackets.tiers.rates, row),
                pick_rows(brackets.tiers.cumulative, row),
            )
        )
        # Where that is below 0, the next round takes the first brackets.
        before, level = level, -(beside + amount) / (slope - rate)
    return np.where((level == before) & (level > 0), level, np.nan)
