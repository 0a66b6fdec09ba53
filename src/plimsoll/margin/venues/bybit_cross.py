"""bybit.cross: Bybit's unified trading account in cross margin, and isolated positions.

1. Margin balance: see ``bybit_account``. It is less what open orders would lose at once against
   mark ("order loss"). Option value is no part of it.
2. Position value: contracts at the average entry price, from 2 September 2025 on at the mark
   price; in the settle asset. Isolated positions keep their entry value for the initial margin.
3. Initial margin: value / leverage + closing fee. The leverage is the selected one, but at most
   what the risk limit tier of the value allows.
4. Maintenance margin: the value at the marginal rates of the risk limit tiers (value × rate of its
   tier - deduction) + closing fee.
5. Closing fee: the taker fee at the bankruptcy price, entry value × (1 - side / leverage) × rate;
   inverse contracts × (1 + side / leverage), since their value is in coins.
6. Hedge mode. What of a leg the other leg covers has no maintenance margin at the tiers, and pays
   its closing fee twice; its initial margin stays value / leverage + fees.
7. Options. Bought: nothing. Written, per unit of the underlying with index S and strike K:
   maintenance = max(k S, k mark) + mark + f S, initial = max(max(a S - out-of-the-money amount,
   b S) + max(average price, mark), maintenance).
8. Open orders first close what is held; the rest of each side needs value / leverage at the limit,
   the fee to open and the fee to close. The larger side counts. Option orders need the premium
   (bought) or the initial margin at the limit (written). Open spot orders have a haircut loss that
   no source states: the pool is UNKNOWN.
9. Isolated positions show a bankruptcy price, where the margin less the closing fee is gone, and
   a liquidation price, where maintenance margin less the closing fee is left, by tick: a long's
   rounded up, a short's down. The margin beyond the initial one pays its own closing fee from 2
   September 2025 on.

Sources: Bybit help centre, "The New Margin Calculation: Adjustments and Implications" (18 September
2025), "Order Cost (Perpetuals & Futures Trading)" (30 October 2024), "Initial and Maintenance
Margin Calculation (Options)" (4 December 2023), "Liquidation Price Calculation under Isolated Mode"
(10 September 2024 and 27 May 2026); announcement-info/margin-parameters; responses of GET
/v5/position/list from 2021 to 2026.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import MarginalTiers, slot_pool, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import instrument_column, instrument_schedules
from plimsoll.margin.position_prices import inverse_price, linear_price, round_down, round_up
from plimsoll.margin.venues.bybit_account import (
    WalletTiers,
    in_price,
    measure_wallet,
    resolve_wallet,
    wallet_detail,
)
from plimsoll.market import Market

BASES = ("entry", "mark")


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments, NaN where the table says nothing.

    Tiers are over position values in the settle asset. ``initial_min`` and ``maintenance_rate``
    are whole-position: value × (1 / highest leverage) and value × rate of the value's tier.
    ``opposite`` is the instrument of a leg's other leg, -1 where there is none.
    """

    wallet: WalletTiers
    by_mark: bool
    maintenance: MarginalTiers
    maintenance_rate: MarginalTiers
    initial_min: MarginalTiers
    leverage: Floats
    taker_fee_rate: Floats
    price_tick: Floats
    option_maintenance_rate: Floats
    option_initial_rate: Floats
    option_initial_rate_min: Floats
    option_liquidation_fee_rate: Floats
    option_average_price: Floats
    is_option: Bools
    is_outright: Bools
    is_inverse: Bools
    opposite: Int64s


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    if params["position_value"] not in BASES:
        problem = f"{params['position_value']!r} is no basis of a position's value"
        raise InputError(f"{place}.position_value", problem, "write 'entry' or 'mark'")
    limits = {
        key: _by_floor(rows, f"{place}.risk_limits.{key}")
        for key, rows in params["risk_limits"].items()
    }
    maintenance, initial = (
        instrument_schedules(limits, instruments, column, f"{place}.risk_limits")
        for column in (1, 2)
    )
    is_option = instruments.of_kind(Kind.OPTION)

    def column(name: str, low: float = 0.0, high: float = 1.0) -> Floats:
        return instrument_column(params[name], instruments, f"{place}.{name}", low, high)

    # The venue lists options in stablecoins alone.
    has_rule = np.where(is_option & instruments.of_payoff(Payoff.LINEAR), 1.0, np.nan)
    return Params(
        wallet=resolve_wallet(params, instruments, place),
        by_mark=params["position_value"] == "mark",
        maintenance=maintenance,
        maintenance_rate=_whole(maintenance),
        initial_min=_whole(initial),
        leverage=column("leverage", 1.0, np.inf),
        taker_fee_rate=column("taker_fee_rate"),
        price_tick=column("price_tick", np.nextafter(0.0, 1.0), np.inf),
        option_maintenance_rate=column("option_maintenance_rate") * has_rule,
        option_initial_rate=column("option_initial_rate"),
        option_initial_rate_min=column("option_initial_rate_min"),
        option_liquidation_fee_rate=column("option_liquidation_fee_rate"),
        option_average_price=column("option_average_price", 0.0, np.inf),
        is_option=is_option,
        is_outright=~is_option & ~instruments.of_kind(Kind.SPOT),
        is_inverse=instruments.of_payoff(Payoff.INVERSE) & ~is_option,
        opposite=_opposite_legs(instruments),
    )


def _by_floor(rows: Sequence[Sequence[float]], place: str) -> list[list[float]]:
    """Rows (floor, maintenance rate, least initial rate) from the venue's (risk limit,
    maintenance rate, highest leverage); no least rate where no leverage is listed. The last
    tier has no end: the venue lets no position grow past it, but prices may carry one there.
    """
    floor, listed = 0.0, []
    try:
        for risk_limit, rate, *leverage in rows:
            listed.append([floor, rate, 1.0 / leverage[0] if leverage else 0.0])
            floor = risk_limit
    except (TypeError, ValueError, ZeroDivisionError):
        problem, remedy = "rows are no tiers", "give [risk limit, maintenance rate, leverage]"
        raise InputError(place, problem, remedy) from None
    return listed


def _whole(tiers: MarginalTiers) -> MarginalTiers:
    """The same tiers, each rate on all of a value."""
    return replace(tiers, cumulative=np.zeros(tiers.cumulative.size))


def _opposite_legs(instruments: InstrumentTable) -> Int64s:
    other = {"long": "short", "short": "long"}
    return np.array(
        [instruments.index.get(f"{row.contract}#{other.get(row.leg)}", -1)
         for row in instruments.rows],
        dtype=np.int64,
    )  # fmt: skip


def closing_fee(
    entry_value: Floats, leverage: Floats, side: Floats, rate: Floats, is_inverse: Bools
) -> Floats:
    """Taker fee for closing at the bankruptcy price, in the settle asset, elementwise.

    ``side`` is 1 for long, -1 for short; ``rate`` a fraction.
    """
    toward = np.where(is_inverse, side, -side)
    return np.asarray(entry_value * (1.0 + toward / leverage) * rate)


def maintenance_at_bankruptcy(
    size: Floats, bankruptcy_price: Floats, rate: Floats, is_inverse: Bools
) -> Floats:
    """``positionMM`` of a cross position in a classic (not unified) account, elementwise.

    Settle asset; ``size`` >= 0 in base (inverse: in quote). It is what would be left at the
    bankruptcy price, no requirement on the mark: these figures do not add up to an account's.
    Source: responses of GET /v5/position/list of 2023 and 2024.
    """
    with np.errstate(divide="ignore"):
        value = np.where(is_inverse, size / bankruptcy_price, size * bankruptcy_price)
    return value * rate


@dataclass(frozen=True, slots=True)
class _Positions:
    """Columns over slots, in the settle asset: values >= 0, margins without fees, fees."""

    entry_value: Floats
    initial_value: Floats
    value: Floats
    initial: Floats
    maintenance: Floats
    fee: Floats
    option_initial: Floats
    option_maintenance: Floats


def _measure_positions(exposure: Exposure, market: Market, params: Params) -> _Positions:
    held, quantity = exposure.layout.slot_instrument, exposure.quantity
    is_held = params.is_outright[held] & (quantity != 0)
    entry_value = np.where(is_held, np.abs(exposure.cost), 0.0)
    at_mark = np.where(is_held, np.abs(quantity * exposure.contract_value[held]), 0.0)
    value = at_mark if params.by_mark else entry_value
    is_lone = exposure.is_isolated[slot_pool(exposure)]
    initial_value = np.where(is_lone, entry_value, value)
    initial = _initial(params, exposure, initial_value)
    covered = _covered(exposure, params)
    fee = _fee(params, exposure, entry_value, initial_value, initial, np.sign(quantity))
    cushion, option_maintenance = _option_terms(exposure, market, params)
    paid = _dearer(params.option_average_price, market.mark)
    option_initial = np.maximum(cushion + paid, option_maintenance)
    units = np.where(params.is_option[held] & (quantity < 0), -quantity, 0.0)
    units = units * exposure.instruments.multiplier[held]
    # An option without a rule makes its pool's requirement unknown, not free.
    barred = params.is_option & np.isnan(params.option_maintenance_rate)
    unknown = np.where(barred[held] & (quantity != 0), np.nan, 0.0)
    return _Positions(
        entry_value,
        initial_value,
        value,
        initial,
        params.maintenance.amount(held, value * (1.0 - covered)),
        fee * (1.0 + covered),
        in_price(units, option_initial[held]) + unknown,
        in_price(units, option_maintenance[held]) + unknown,
    )


def _initial(params: Params, exposure: Exposure, value: Floats) -> Floats:
    """Value / leverage by slot, at the leverage that the value's tier allows."""
    held = exposure.layout.slot_instrument
    selected = np.where(value == 0, 0.0, value / params.leverage[held])
    return np.maximum(selected, params.initial_min.amount(held, value))


def _fee(
    params: Params, exposure: Exposure, entry_value: Floats, value: Floats, initial: Floats,
    side: Floats,
) -> Floats:  # fmt: skip
    held = exposure.layout.slot_instrument
    with np.errstate(divide="ignore", invalid="ignore"):
        leverage = value / initial
        rate, is_inverse = params.taker_fee_rate[held], params.is_inverse[held]
        fee = closing_fee(entry_value, leverage, side, rate, is_inverse)
    return np.where(entry_value == 0, 0.0, fee)


def _covered(exposure: Exposure, params: Params) -> Floats:
    """Fraction of each slot's position that the other leg of its contract covers."""
    held, quantity = exposure.layout.slot_instrument, exposure.quantity
    if not np.any(params.opposite >= 0) or not held.size:
        return np.zeros(held.size)
    width = len(exposure.instruments)
    # Slots are in order of pool and instrument.
    first = slot_pool(exposure) * width
    key, wanted = first + held, first + params.opposite[held]
    at = np.minimum(np.searchsorted(key, wanted), held.size - 1)
    is_pair = (params.opposite[held] >= 0) & (key[at] == wanted) & (quantity * quantity[at] < 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.minimum(np.abs(quantity[at] / quantity), 1.0)
    return np.where(is_pair, fraction, 0.0)


def _option_terms(exposure: Exposure, market: Market, params: Params) -> tuple[Floats, Floats]:
    """Per unit of underlying written, [instruments]: what initial margin adds to the price, and

    the maintenance margin; settle asset, NaN for what is no option.
    """
    table = exposure.instruments
    spot, mark = market.index[table.base] / market.index[table.settle], market.mark
    away = np.where(table.is_call, table.strike - spot, spot - table.strike)
    cushion = np.maximum(
        params.option_initial_rate * spot - np.maximum(away, 0.0),
        params.option_initial_rate_min * spot,
    )
    rate = params.option_maintenance_rate
    fee = params.option_liquidation_fee_rate * spot
    return cushion, np.maximum(rate * spot, rate * mark) + mark + fee


def _dearer(price: Floats, mark: Floats) -> Floats:
    """The larger of a price, NaN where there is none, and the mark."""
    return np.where(np.isnan(price), mark, np.maximum(price, mark))


@dataclass(frozen=True, slots=True)
class _Orders:
    """Columns over slots, in the settle asset: initial margin, and loss against mark."""

    initial: Floats
    loss: Floats


def _measure_orders(
    exposure: Exposure, market: Market, params: Params, positions: _Positions
) -> _Orders:
    """What open orders need; see rule 8. An order's side is worth its limit price."""
    orders, table = exposure.orders, exposure.instruments
    held, slots = exposure.layout.slot_instrument, exposure.quantity.size
    if not orders.quantity.size:
        return _Orders(np.zeros(slots), np.zeros(slots))
    slot, row = orders.slot, held[orders.slot]
    size = np.where(orders.is_reduce_only, 0.0, orders.quantity) * table.multiplier[row]
    is_buy, inverse = size > 0, params.is_inverse[row]
    value = np.abs(np.where(inverse, size / orders.price, size * orders.price))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(
            inverse, size / market.mark[row] - size / orders.price,
            size * (orders.price - market.mark[row]),
        )  # fmt: skip
    outright = params.is_outright[row] & (size != 0)

    def by_slot(mask: Bools, amount: Floats) -> Floats:
        return sum_by(slot, np.where(mask, amount, 0.0), slots)

    quantity, opening = exposure.quantity, []
    for placed, closes in ((exposure.buys, -quantity), (exposure.sells, quantity)):
        beyond = np.maximum(placed - np.maximum(closes, 0.0), 0.0)
        opening.append(np.where(placed > 0, beyond / np.where(placed > 0, placed, 1.0), 0.0))
    sides = [
        _side_margin(exposure, params, positions, by_slot(outright & mask, value) * opens, sign)
        for mask, opens, sign in ((is_buy, opening[0], 1.0), (~is_buy, opening[1], -1.0))
    ]
    held_margin = positions.initial + positions.fee
    extra = np.maximum(np.maximum(sides[0], sides[1]) - held_margin, 0.0)
    is_busy = by_slot(outright, np.ones(size.size)) > 0
    option = params.is_option[row] & (size != 0)
    premium = by_slot(option & is_buy, value) * opening[0]
    cushion, floor = _option_terms(exposure, market, params)
    each = np.maximum(cushion[row] + _dearer(orders.price, market.mark[row]), floor[row])
    written = by_slot(option & ~is_buy, np.abs(size) * each) * opening[1]
    spot = ~params.is_outright[row] & ~params.is_option[row] & (orders.quantity != 0)
    unknown = by_slot(spot, np.full(size.size, np.nan))
    return _Orders(
        np.where(is_busy, extra, 0.0) + premium + written + unknown,
        by_slot(outright, np.maximum(gap, 0.0)),
    )


def _side_margin(
    exposure: Exposure, params: Params, positions: _Positions, opened: Floats, side: float
) -> Floats:
    """Initial margin of a slot's long or short side with orders of value ``opened`` filled."""
    is_side = exposure.quantity * side > 0
    value = np.where(is_side, positions.initial_value, 0.0) + opened
    initial = _initial(params, exposure, value)
    rate = params.taker_fee_rate[exposure.layout.slot_instrument]
    to_open = in_price(opened, rate)
    sides = np.full(opened.size, side)
    to_close = _fee(params, exposure, opened, value, initial, sides)
    return initial + np.where(is_side, positions.fee, 0.0) + to_open + to_close


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, table = exposure.layout, exposure.instruments
    held = layout.slot_instrument
    positions = _measure_positions(exposure, market, params)
    orders = _measure_orders(exposure, market, params, positions)
    price = market.index[table.settle][held]
    is_open = params.is_outright[held] & (exposure.quantity != 0)
    gain = exposure.quantity * exposure.contract_value[held] - exposure.cost
    profit = sum_by(layout.slot_cell, np.where(is_open, gain, 0.0), layout.cell_asset.size)
    wallet = measure_wallet(exposure, params.wallet, profit)

    def of_pools(amount: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, in_price(amount, price))

    none = np.zeros(held.size)
    by_slot = (
        ("position_margin", positions.initial, positions.maintenance),
        ("closing_fee", positions.fee, positions.fee),
        ("options", positions.option_initial, positions.option_maintenance),
        ("open_orders", orders.initial, none),
    )
    borrowed = [
        sum_segmented(layout.cell_offsets, amount)
        for amount in (wallet.borrow_initial, wallet.borrow_maintenance)
    ]
    balance = sum_segmented(layout.cell_offsets, wallet.counted)
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, wallet.value),
        collateral_value=balance - of_pools(orders.loss),
        charges=(
            *(Charge(name, of_pools(im), of_pools(mm)) for name, im, mm in by_slot),
            Charge("borrowing", borrowed[0], borrowed[1]),
        ),
        details=(
            wallet_detail(exposure, wallet),
            Detail(
                "margins", layout.slot_offsets, held,
                (("position_value", positions.value),
                 ("initial_margin",
                  positions.initial + positions.fee + positions.option_initial),
                 ("maintenance_margin",
                  positions.maintenance + positions.fee + positions.option_maintenance),
                 ("closing_fee", positions.fee), ("open_orders", orders.initial),
                 ("order_loss", orders.loss)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def prices(
    exposure: Exposure, _requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Prices beside isolated positions; the venue gives no fixed one for cross positions."""
    held, quantity = exposure.layout.slot_instrument, exposure.quantity
    positions = _measure_positions(exposure, market, params)
    inverse, is_long = params.is_inverse[held], quantity > 0
    size = quantity * exposure.instruments.multiplier[held]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = np.where(inverse, -size / exposure.cost, exposure.cost / size)
    extra = exposure.cell_balance[exposure.layout.slot_cell] - positions.initial - positions.fee
    if params.by_mark:
        toward = np.where(inverse, np.sign(quantity), -np.sign(quantity))
        extra = extra / (1.0 + toward * params.taker_fee_rate[held])
    margin, nothing = positions.initial + extra, np.zeros(held.size)
    if params.by_mark:
        with np.errstate(invalid="ignore"):
            at_rate = params.maintenance_rate.amount(held, positions.value)
            rate, left = at_rate / positions.value, margin
        deduction = at_rate - positions.maintenance
    else:
        rate, deduction, left = nothing, nothing, margin - positions.maintenance

    def price(left: Floats, rate: Floats, deduction: Floats) -> Floats:
        arguments = (size, entry, left, rate, deduction)
        found = np.where(inverse, inverse_price(*arguments), linear_price(*arguments))
        tick = params.price_tick[held]
        rounded = np.where(is_long, round_up(found, tick), round_down(found, tick))
        is_shown = params.is_outright[held] & exposure.is_isolated[slot_pool(exposure)]
        return np.where(is_shown, np.where(np.isnan(tick), found, rounded), np.nan)

    return PositionPrices(price(left, rate, deduction), price(margin, nothing, nothing))


MODEL = Model(
    name="bybit.cross",
    title="Bybit unified trading account: cross margin, isolated positions, hedge mode, options",
    table="bybit_cross",
    resolve=resolve,
    require=require,
    prices=prices,
)
