"""bitmex.isolated: BitMEX positions, each on margin of its own, in whole satoshis.

1. Units. The venue counts money in whole smallest units of the settle currency: satoshis of
   BTC, millionths of USDT. Every step is rounded up to a whole one, cost and mark value to the
   nearest. (The venue rounds the value of each contract: its cost of an inverse position may be
   off by half a unit a contract from that at the average price.) Products of floats carry noise
   of a few 2**-52, so a step first takes off ``NOISE``: an exact whole number is not lifted to
   the next by its own rounding.
2. Contracts. Inverse (XBTUSD: 1 USD a contract), linear (in USDT) and quanto (ETHUSD: a fixed
   number of satoshis per point, settled in BTC). Spot and options have no rule here.
3. Risk limit. Rates are the base rates up to the contract's base risk limit. Each step begun
   beyond it, by mark value plus opening orders, adds the base maintenance rate to both rates.
   The initial rate is at least 1 / the selected leverage.
4. posInit = ceil(posCost * initial rate).
5. posComm = ceil((posCost2 + posInit) * taker): the fee to close at the bankruptcy value, for
   longs and shorts alike. posCost2, the cost after sessions settled, is posCost unless stated.
   Venues of the same design may charge it on posCross, too.
6. posMaint = ceil(posCost * maintenance rate) + posComm, + ceil(posCost * funding rate), one
   predicted payment, where the position pays it.
7. posMargin = posInit + posComm + posCross - posLoss; maintMargin = posMargin + unrealisedPnl.
   posCross is what an isolated position's margin holds beyond posInit and posComm.
8. Open orders. What only closes a position is free. Of what opens, offers count in full and bids
   as far as they exceed them: ceil(cost * initial rate), the entry fee and the exit fee at the
   bankruptcy value. Bids above and offers below mark reserve the difference at once.
9. Prices. Liquidation where the loss from entry is posMargin - posMaint, bankruptcy where it is
   posInit + posCross. Both go to the tick below for a short, above for a long; a table may say
   that bankruptcy goes the other way, as at KuCoin Futures, whose arithmetic is the same.

Sources: responses of the venue's position and margin endpoints, 2017 to 2020; bitmex.com,
"Risk Limits Examples", "Exchange Guide", "Liquidation".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import slot_pool, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import asset_column, find_entry, instrument_column
from plimsoll.margin.position_prices import inverse_price, linear_price, round_down, round_up
from plimsoll.market import Market

NOISE = 1e-9
"""What a product may exceed a whole number by and still count as it, plus 2**-51 of itself: twice
what two roundings can do. Exact for rates of six decimals up to 2e9 units (20 BTC), beyond that
now and then one unit low."""


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments, NaN where the table is silent.

    ``unit`` is the smallest unit in the settle asset. Rates are fractions of cost;
    ``risk_limit`` (inf: none) and ``risk_step`` are in the settle asset; ``pos_cost2``,
    ``pos_cross`` and ``pos_loss`` are read from a response, in smallest units. ``is_margin``,
    over assets, says which the venue takes as margin; ``margin_is_own`` that the balance of an
    isolated pool is the margin of the one position in it.
    """

    unit: Floats
    initial_rate: Floats
    maintenance_rate: Floats
    leverage: Floats
    taker_fee: Floats
    funding_rate: Floats
    risk_limit: Floats
    risk_step: Floats
    tick: Floats
    pos_cost2: Floats
    pos_cross: Floats
    pos_loss: Floats
    closing_fee_on_cross: bool
    bankruptcy_rounds_away: bool
    is_margin: Floats
    margin_is_own: bool = True


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """The venue's fields by slot, in whole smallest units of the settle asset, shape [slots].

    ``pos_cost`` and what follows from it are >= 0 on both sides; ``mark_value`` has the sign of
    value (an inverse long below 0). ``order_init`` includes the fees of ``order_cost``.
    """

    pos_cost: Floats
    pos_cost2: Floats
    pos_init: Floats
    pos_cross: Floats
    pos_loss: Floats
    pos_comm: Floats
    maintenance: Floats
    funding: Floats
    pos_margin: Floats
    mark_value: Floats
    unrealised_pnl: Floats
    order_cost: Floats
    order_init: Floats
    order_premium: Floats
    initial_rate: Floats
    maintenance_rate: Floats

    @property
    def pos_maint(self) -> Floats:
        """Maintenance, closing fee and predicted funding."""
        return self.maintenance + self.pos_comm + self.funding


def ceil_whole(amount: Floats) -> Floats:
    """The whole number at or above each amount >= 0, but for rounding noise (see ``NOISE``)."""
    return np.asarray(np.ceil(amount - (NOISE + 2.0**-51 * amount)) + 0.0)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""

    def column(name: str, low: float = 0.0, high: float = np.inf) -> Floats:
        return instrument_column(params[name], instruments, f"{place}.{name}", low, high)

    names = instruments.assets.names
    decimals = asset_column(params["decimals"], names, f"{place}.decimals", 0, 18)
    # Spot and options have no rule, whatever a table says of their coin.
    ruled = instruments.of_kind(Kind.PERPETUAL) | instruments.of_kind(Kind.FUTURE)
    limit, step = _risk_limits(params["risk_limits"], instruments, f"{place}.risk_limits")
    return Params(
        unit=np.where(ruled, 10.0 ** -decimals[instruments.settle], np.nan),
        initial_rate=column("initial_rate", high=1),
        maintenance_rate=column("maintenance_rate", high=1),
        leverage=column("leverage", low=0.01),
        taker_fee=column("taker_fee", high=1),
        funding_rate=np.where(
            instruments.of_kind(Kind.PERPETUAL), column("funding_rate", -1, 1), 0.0
        ),
        risk_limit=limit,
        risk_step=step,
        tick=column("tick_size", low=1e-12),
        pos_cost2=column("pos_cost2"),
        pos_cross=column("pos_cross", low=-np.inf),
        pos_loss=column("pos_loss"),
        closing_fee_on_cross=_flag(params, "closing_fee_on_cross", place),
        bankruptcy_rounds_away=_flag(params, "bankruptcy_rounds_away", place),
        is_margin=np.where(np.isnan(decimals), 0.0, 1.0),
    )


def _flag(params: Mapping[str, Any], name: str, place: str) -> bool:
    value = params[name]
    if not isinstance(value, bool):
        raise InputError(f"{place}.{name}", f"{value!r} is not true or false", "give one of them")
    return value


def _risk_limits(
    table: Mapping[str, Any], instruments: InstrumentTable, place: str
) -> tuple[Floats, Floats]:
    """Base risk limit and step by instrument: [limit, step], [limit] or [] for none."""
    limit, step = np.full(len(instruments), np.inf), np.full(len(instruments), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(table, row)
        if not entry:
            continue
        numbers = [x for x in entry if isinstance(x, int | float) and np.isfinite(x) and x > 0]
        if len(numbers) != len(entry) or len(entry) > 2:
            problem, remedy = f"{entry!r} is no risk limit", "give [base limit, step] or []"
            raise InputError(f"{place}.{row.symbol}", problem, remedy)
        limit[i] = numbers[0]
        step[i] = numbers[1] if len(numbers) == 2 else np.nan
    return limit, step


def measure_positions(exposure: Exposure, market: Market, params: Params) -> PositionFigures:
    """The venue's fields of every slot; 0 for slots without position and orders."""
    held = exposure.layout.slot_instrument
    holds = exposure.quantity != 0
    per_unit = 1.0 / params.unit[held]
    signed_value = np.where(holds, exposure.quantity * exposure.contract_value[held], 0.0)
    cost = np.where(holds, np.rint(np.abs(exposure.cost) * per_unit), 0.0)
    mark_value = np.where(holds, np.rint(signed_value * per_unit), 0.0)
    pnl = np.where(holds, np.rint((signed_value - exposure.cost) * per_unit), 0.0)
    order_cost, premium = _order_costs(exposure, market, params)
    rate_initial, rate_maintenance = _rates(params, held, np.abs(mark_value) + order_cost)

    def of_position(amount: Floats) -> Floats:
        return np.where(holds, amount, 0.0)

    fee, read_cross = params.taker_fee[held], params.pos_cross[held]
    init = of_position(ceil_whole(cost * rate_initial))
    cost2 = of_position(np.where(np.isnan(params.pos_cost2[held]), cost, params.pos_cost2[held]))
    loss = of_position(np.nan_to_num(params.pos_loss[held]))
    fee_base = cost2 + init
    if params.closing_fee_on_cross:
        fee_base = fee_base + np.nan_to_num(read_cross)
    comm = of_position(ceil_whole(fee_base * fee))
    margin = np.rint(exposure.cell_balance[exposure.layout.slot_cell] * per_unit)
    own = np.where(_is_lone(exposure, params), margin - init - comm + loss, 0.0)
    cross = of_position(np.where(np.isnan(read_cross), own, read_cross))
    pays = np.maximum(np.sign(exposure.quantity) * params.funding_rate[held], 0.0)
    order_init = ceil_whole(order_cost * rate_initial)
    fees = ceil_whole(order_cost * fee) + ceil_whole((order_cost + order_init) * fee)
    return PositionFigures(
        pos_cost=cost, pos_cost2=cost2, pos_init=init, pos_cross=cross, pos_loss=loss,
        pos_comm=comm,
        maintenance=of_position(ceil_whole(cost * rate_maintenance)),
        funding=of_position(ceil_whole(cost * pays)),
        pos_margin=init + comm + cross - loss,
        mark_value=mark_value, unrealised_pnl=pnl,
        order_cost=order_cost,
        order_init=np.where(order_cost == 0, 0.0, order_init + fees),
        order_premium=premium,
        initial_rate=rate_initial, maintenance_rate=rate_maintenance,
    )  # fmt: skip


def _is_lone(exposure: Exposure, params: Params) -> Any:
    """Slots alone in an isolated pool, whose balance is their margin before profit."""
    pool = slot_pool(exposure)
    pools = exposure.layout.slot_offsets.size - 1
    held = sum_by(pool, np.where(exposure.quantity != 0, 1.0, 0.0), pools)
    return params.margin_is_own & (exposure.is_isolated & (held == 1))[pool]


def _rates(params: Params, held: Any, risk_value: Floats) -> tuple[Floats, Floats]:
    """Initial and maintenance rate of each slot at its risk limit and leverage."""
    base, unit = params.maintenance_rate[held], params.unit[held]
    limit, step = params.risk_limit[held] / unit, params.risk_step[held] / unit
    with np.errstate(invalid="ignore"):
        # Compared so that a NaN value stays one.
        begun = np.ceil((risk_value - limit) / step)
        steps = np.where(risk_value <= limit, 0.0, begun)
    initial = np.fmax(params.initial_rate[held] + steps * base, 1.0 / params.leverage[held])
    # A step that is not known makes both rates unknown, whatever the leverage says.
    return np.where(np.isnan(steps), np.nan, initial), base * (1.0 + steps)


def _order_costs(exposure: Exposure, market: Market, params: Params) -> tuple[Floats, Floats]:
    """Cost of the orders that open, and what they would lose at once against mark, by slot."""
    layout, table, orders = exposure.layout, exposure.instruments, exposure.orders
    slots = layout.slot_instrument.size
    if not orders.slot.size:
        return np.zeros(slots), np.zeros(slots)
    i = layout.slot_instrument[orders.slot]
    is_buy = orders.quantity > 0
    contracts = np.where(orders.is_reduce_only, 0.0, np.abs(orders.quantity))
    inverse = table.of_payoff(Payoff.INVERSE)[i]
    at_limit = np.where(inverse, -table.multiplier[i] / orders.price,
                        table.multiplier[i] * orders.price)  # fmt: skip
    gap = (at_limit - exposure.contract_value[i]) * np.where(is_buy, 1.0, -1.0)
    # A mark that is unusable must not make an order free.
    cost = np.where(contracts == 0, 0.0, contracts * np.abs(at_limit) + 0.0 * market.mark[i])
    loss = np.where(contracts == 0, 0.0, contracts * np.maximum(gap, 0.0))

    def by_slot(amount: Floats, rows: Any) -> Floats:
        return sum_by(orders.slot, np.where(rows, amount, 0.0), slots)

    buys = np.maximum(exposure.buys - np.maximum(-exposure.quantity, 0.0), 0.0)
    sells = np.maximum(exposure.sells - np.maximum(exposure.quantity, 0.0), 0.0)
    bid = _share(np.maximum(buys - sells, 0.0), exposure.buys)
    offer = _share(sells, exposure.sells)
    opened = by_slot(cost, is_buy) * bid + by_slot(cost, ~is_buy) * offer
    lost = by_slot(loss, is_buy) * _share(buys, exposure.buys) + by_slot(loss, ~is_buy) * offer
    unit = params.unit[layout.slot_instrument]
    # Spot orders, too, are in no rule: their unit is NaN.
    idle = by_slot(contracts, contracts > 0) == 0
    return (
        np.where(idle, 0.0, np.rint(opened / unit)),
        np.where(idle, 0.0, ceil_whole(lost / unit)),
    )


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(part.size), where=whole != 0)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    held = layout.slot_instrument
    figures = measure_positions(exposure, market, params)
    nothing = np.zeros(held.size)

    def in_usd(units: Floats) -> Floats:
        usd = units * params.unit[held] * market.index[exposure.instruments.settle[held]]
        return sum_segmented(layout.slot_offsets, np.where(units == 0, 0.0, usd))

    lines = (
        ("position_margin", figures.pos_init, figures.maintenance),
        ("closing_fee", figures.pos_comm, figures.pos_comm),
        ("predicted_funding", nothing, figures.funding),
        ("open_orders", figures.order_init, nothing),
        ("order_premium", figures.order_premium, nothing),
    )
    equity = exposure.cell_equity
    # An asset that holds nothing needs no price; what is no margin backs nothing, but is owed.
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    backs = (params.is_margin[layout.cell_asset] != 0) | (value < 0) | np.isnan(value)
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, np.where(backs, value, 0.0)),
        charges=tuple(Charge(name, in_usd(im), in_usd(mm)) for name, im, mm in lines),
        details=(_detail(exposure, figures),),
    )


def _detail(exposure: Exposure, figures: PositionFigures) -> Detail:
    """The venue's fields under its names, in smallest units; rates are fractions."""
    columns = (
        ("posCost", figures.pos_cost), ("posCost2", figures.pos_cost2),
        ("posInit", figures.pos_init), ("posCross", figures.pos_cross),
        ("posLoss", figures.pos_loss), ("posComm", figures.pos_comm),
        ("posMaint", figures.pos_maint), ("posMargin", figures.pos_margin),
        ("maintMargin", figures.pos_margin + figures.unrealised_pnl),
        ("markValue", figures.mark_value), ("unrealisedPnl", figures.unrealised_pnl),
        ("grossOpenCost", figures.order_cost), ("initMargin", figures.order_init),
        ("grossOpenPremium", figures.order_premium),
        ("initMarginReq", figures.initial_rate), ("maintMarginReq", figures.maintenance_rate),
    )  # fmt: skip
    layout = exposure.layout
    return Detail("margin", layout.slot_offsets, layout.slot_instrument, columns, True)


def prices(
    exposure: Exposure, _requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Prices from each position's own margin."""
    figures = measure_positions(exposure, market, params)
    unit = params.unit[exposure.layout.slot_instrument]
    return own_prices(
        exposure,
        params,
        (figures.pos_margin - figures.pos_maint) * unit,
        (figures.pos_init + figures.pos_cross) * unit,
        figures.pos_cost * unit,
    )


def own_prices(
    exposure: Exposure, params: Params, to_liquidation: Floats, to_bankruptcy: Floats, start: Floats
) -> PositionPrices:
    """Where a position has lost so much from being worth ``start`` >= 0; all in settle asset."""
    held = exposure.layout.slot_instrument
    table, tick = exposure.instruments, params.tick[held]
    inverse = table.of_payoff(Payoff.INVERSE)[held]
    size = exposure.quantity * table.multiplier[held]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = np.where(inverse, np.abs(size) / start, start / np.abs(size))
    none = np.zeros(held.size)

    def price(loss: Floats, up: Any) -> Floats:
        exact = np.where(
            inverse,
            inverse_price(size, entry, loss, none, none),
            linear_price(size, entry, loss, none, none),
        )
        on_tick = np.where(up, round_up(exact, tick), round_down(exact, tick))
        return np.where(np.isnan(tick), exact, on_tick)

    is_long = exposure.quantity > 0
    away = np.full(held.size, params.bankruptcy_rounds_away)
    return PositionPrices(
        liquidation=price(to_liquidation, is_long),
        bankruptcy=price(to_bankruptcy, is_long != away),
    )


EXEMPTIONS = (
    (
        "twice_the_book_is_twice_the_equity_and_no_cheaper",
        "each step is rounded up to a whole satoshi, so twice a position can need a few less",
    ),
)

MODEL = Model(
    name="bitmex.isolated",
    title="BitMEX: every position on margin of its own, in whole satoshis",
    table="bitmex_isolated",
    resolve=resolve,
    require=require,
    exemptions=EXEMPTIONS,
    is_segregated=True,
    prices=prices,
)
