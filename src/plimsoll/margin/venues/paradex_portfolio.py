"""paradex.portfolio: scenario margin of perpetuals and dated options on Paradex.

1. Account value as in paradex.cross: USDC at its index price + unrealised profit at mark.
2. SCAN risk, per underlying: the largest loss over its scenarios, each a move of spot and of
   volatility with a weight on the result. A perpetual moves with spot; an option is repriced at
   shocked spot and volatility, against its mark. In the last half hour, while the settlement
   price is averaged, only the part of an option that is still open moves.
3. Shocked volatility = volatility × (1 + shock × (30 / max(1, days))^power), power 0.30 below 30
   days to expiry and 0.13 from 30 on; a shock up ends at ``vol_min_up`` or above.
4. Orders: each loses what its fill would have lost in the scenario, and gains nothing. They
   count in the initial margin alone.
5. Minimum delta = (unhedged × |net delta| + hedged × hedged delta) × spot, where hedged delta is
   (gross - |net|) / 2. With orders, the larger side that can come about is the unhedged one.
6. Net margin = max(SCAN risk, minimum delta), added up over underlyings.
7. Initial margin = net margin + funding provision (what perpetuals will pay over eight hours, if
   anything) + fee provision on positions and orders. Maintenance = ``maintenance_factor`` × net
   margin of the positions + funding provision + fee provision on positions.

Deltas are in USD: a perpetual's is its notional at mark, an option's its delta × spot. Other
underlyings, dated and inverse futures and spot orders have no rule here: UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    Moves,
    contract_delta,
    contract_profits,
    listed_assets,
    listed_collateral,
    option_years,
    scan_groups,
    sum_segmented,
    sum_slots,
    worst_loss,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import instrument_column, number
from plimsoll.margin.venues.paradex_cross import fee_rates
from plimsoll.market import Market
from plimsoll.pricing.grid import MOVE_MAX
from plimsoll.pricing.shocks import PARADEX, shock_vol

DAYS_PER_YEAR = 365.0
AVERAGING_YEARS = 0.5 / 24 / DAYS_PER_YEAR
SCENARIO = ("spot shock", "vol shock", "weight")


@dataclass(frozen=True, slots=True)
class Params:
    """Grids as rows of moves and weights, [grids, scenarios]; ``grid`` is [instruments],

    ``asset_grid`` [assets], -1 for none. By grid: ``vol_min_up``, ``unhedged``, ``hedged``.
    """

    price_move: Floats
    vol_shock: Floats
    weight: Floats
    grid: Int64s
    asset_grid: Int64s
    vol_min_up: Floats
    unhedged: Floats
    hedged: Floats
    maintenance_factor: float
    funding_rate: Floats
    fee_rate: Floats
    option_fee_cap: float
    is_option: Bools
    is_collateral: Bools


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    names = instruments.assets.names
    tables = [params[name] for name in ("scenarios", "vol_min_up", "minimum_delta")]
    listed = [base for base in names if all(base in table for table in tables)]
    scenarios = _scenarios({base: tables[0][base] for base in listed}, f"{place}.scenarios")
    factors = [_factors(tables[2][base], f"{place}.minimum_delta.{base}") for base in listed]
    unhedged, hedged = np.array([*factors, (0.0, 0.0)]).T
    asset_grid = np.full(len(names), -1, dtype=np.int64)
    asset_grid[[names.index(base) for base in listed]] = np.arange(len(listed))
    is_option = instruments.of_kind(Kind.OPTION)
    has_leg = np.array([bool(row.leg) for row in instruments.rows], dtype=np.bool_)
    has_rule = (is_option | instruments.of_kind(Kind.PERPETUAL)) & ~has_leg
    has_rule &= ~instruments.of_payoff(Payoff.INVERSE)
    floors = [number(tables[1][base], f"{place}.vol_min_up.{base}") for base in listed]
    return Params(
        price_move=scenarios[:, :, 0],
        vol_shock=scenarios[:, :, 1],
        weight=scenarios[:, :, 2],
        grid=np.where(has_rule, asset_grid[instruments.base], -1),
        asset_grid=asset_grid,
        vol_min_up=np.array([*floors, 0.0]),
        unhedged=unhedged,
        hedged=hedged,
        maintenance_factor=number(
            params["maintenance_factor"], f"{place}.maintenance_factor", high=1.0
        ),
        funding_rate=instrument_column(
            params["funding_rate_8h"], instruments, f"{place}.funding_rate_8h", -1.0, 1.0
        ),
        fee_rate=fee_rates(params["taker_fee"], is_option, f"{place}.taker_fee"),
        option_fee_cap=number(params["option_fee_cap"], f"{place}.option_fee_cap", high=1.0),
        is_option=is_option,
        is_collateral=listed_assets(params["collateral"], names, f"{place}.collateral"),
    )


def _scenarios(table: Mapping[str, Any], place: str) -> Floats:
    """[grids + 1, scenarios, 3]; short grids, and the last one of no underlying, weigh nothing."""
    rows = {}
    for base, listed in table.items():
        where = f"{place}.{base}"
        if not isinstance(listed, Sequence) or not listed:
            raise InputError(where, f"{listed!r} are no scenarios", f"give {SCENARIO} in rows")
        rows[base] = [_scenario(row, where) for row in listed]
    out = np.zeros((len(rows) + 1, max(map(len, rows.values()), default=1), len(SCENARIO)))
    for k, grid in enumerate(rows.values()):
        out[k, : len(grid)] = grid
    return out


def _scenario(row: object, place: str) -> tuple[float, float, float]:
    if not isinstance(row, Sequence) or len(row) != len(SCENARIO):
        raise InputError(place, f"{row!r} is no scenario", f"give {', '.join(SCENARIO)}")
    spot, vol, weight = row
    return (
        number(spot, place, -0.999, MOVE_MAX),
        number(vol, place, -1.0, MOVE_MAX),
        number(weight, place, 0.0, 1.0),
    )


def _factors(entry: object, place: str) -> tuple[float, float]:
    if not isinstance(entry, Sequence) or len(entry) != 2:
        raise InputError(place, f"{entry!r} are no factors", "give unhedged, then hedged")
    unhedged, hedged = (number(value, place, high=1.0) for value in entry)
    if hedged > unhedged:
        raise InputError(place, "hedged is above unhedged", "swap the two")
    return unhedged, hedged


class _Net(NamedTuple):
    """SCAN risk and minimum delta by group, in USD, and the scenario that is worst."""

    scan: Floats
    minimum: Floats
    scenario: Floats


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    cash = listed_collateral(exposure, params.is_collateral)
    profits = contract_profits(market, scenario_moves(market, params), from_mark=True)
    profits *= market.index[market.instruments.settle][:, np.newaxis]
    held = scan_groups(exposure, profits * _open_share(market, params)[:, np.newaxis])
    filled = held - _order_losses(exposure, market, params, profits)
    delta = _contract_deltas(exposure, market, params)
    none = np.zeros(exposure.quantity.size)
    net = [
        _net_margin(exposure, params, cells, delta, buys, sells)
        for cells, buys, sells in ((filled, exposure.buys, exposure.sells), (held, none, none))
    ]
    funding = _funding(exposure, market, params)
    fees = _fees(exposure, market, params)
    # Spot has a wallet of its own, of which nothing is known here.
    spot = np.where(exposure.spot_reserve == 0, 0.0, np.nan)
    factor = params.maintenance_factor
    excess = [np.maximum(side.minimum - side.scan, 0.0) for side in net]
    charges = tuple(
        Charge(
            name,
            sum_segmented(layout.group_offsets, initial),
            sum_segmented(layout.group_offsets, maintenance),
        )
        for name, initial, maintenance in (
            ("scan_risk", net[0].scan + spot, factor * net[1].scan),
            ("minimum_delta", excess[0], factor * excess[1]),
            ("funding_provision", funding, funding),
            ("fee_provision", *fees),
        )
    )
    underlyings = Detail(
        "underlyings", layout.group_offsets, layout.group_underlying,
        (("scan_risk", net[0].scan), ("worst_scenario", net[0].scenario),
         ("minimum_delta", net[0].minimum), ("position_scan_risk", net[1].scan),
         ("position_worst_scenario", net[1].scenario),
         ("position_minimum_delta", net[1].minimum),
         ("funding_provision", funding), ("fee_provision", fees[0])),
    )  # fmt: skip
    return Requirement(cash.equity, cash.counted, charges, (cash.detail, underlyings))


def scenario_moves(market: Market, params: Params) -> Moves:
    """Rules 2 and 3: each instrument's moves of price and, for options, of volatility."""
    table = market.instruments
    vol_move = np.zeros((len(table), params.price_move.shape[1]))
    days = option_years(market) * DAYS_PER_YEAR
    for grid, shocks in enumerate(params.vol_shock):
        rows = np.flatnonzero(params.is_option & (params.grid == grid))
        vol = market.implied_vol[rows][:, np.newaxis]
        floor = float(params.vol_min_up[grid])
        shocked = shock_vol(PARADEX, vol, days[rows][:, np.newaxis], shocks, floor, absolute=False)
        vol_move[rows] = np.minimum(shocked / vol - 1.0, MOVE_MAX)
    return Moves(params.price_move, params.grid, vol_move)


def _open_share(market: Market, params: Params) -> Floats:
    """The part of each instrument that still moves: options fade while they are averaged."""
    left = np.clip(option_years(market) / AVERAGING_YEARS, 0.0, 1.0)
    return np.where(params.is_option, left, 1.0)


def _order_losses(exposure: Exposure, market: Market, params: Params, profits: Floats) -> Floats:
    """What orders lose in each scenario when filled at their limits, USD >= 0, by group."""
    orders, layout, table = exposure.orders, exposure.layout, exposure.instruments
    out = np.zeros((layout.group_underlying.size, profits.shape[1]))
    counts = ~orders.is_reduce_only & (orders.quantity != 0)
    rows = np.flatnonzero(counts & ~table.of_kind(Kind.SPOT)[layout.slot_instrument[orders.slot]])
    if not rows.size:
        return out
    slot = orders.slot[rows]
    i, quantity = layout.slot_instrument[slot], orders.quantity[rows]
    usd = table.multiplier[i] * market.index[table.settle[i]]
    above = (orders.price[rows] - market.mark[i]) * usd
    gap = np.sign(quantity)[:, np.newaxis] * (above[:, np.newaxis] - profits[i])
    size = np.abs(quantity) * _open_share(market, params)[i]
    losses = size[:, np.newaxis] * np.maximum(gap, 0.0)
    for k in range(profits.shape[1]):
        out[:, k] = sum_by(layout.slot_group[slot], losses[:, k], len(out))
    return out


def _contract_deltas(exposure: Exposure, market: Market, params: Params) -> Floats:
    """Delta in USD of one contract held long, [instruments]; NaN where there is no rule."""
    spot = market.index[exposure.instruments.base]
    delta = np.where(params.is_option, contract_delta(market) * spot, exposure.contract_notional)
    return np.where(params.grid >= 0, delta, np.nan)


def minimum_delta(
    long: Floats, short: Floats, bought: Floats, sold: Floats, unhedged: Floats, hedged: Floats
) -> Floats:
    """Rule 5, elementwise: deltas of long and short positions, then of orders, all >= 0.

    In the unit of the deltas; ``unhedged`` and ``hedged`` are fractions.
    """
    up, down = long + bought, short + sold
    open_delta = np.maximum(np.maximum(up - short, down - long), 0.0)
    matched = np.maximum(up, down) - open_delta
    return np.where((up == 0) & (down == 0), 0.0, unhedged * open_delta + hedged * matched)


def _net_margin(
    exposure: Exposure, params: Params, cells: Floats, delta: Floats, buys: Floats, sells: Floats
) -> _Net:
    layout = exposure.layout
    each = delta[layout.slot_instrument]

    def side(contracts: Floats, sign: float) -> Floats:
        amounts = np.where(contracts == 0, 0.0, contracts * each * sign)
        return sum_slots(exposure, np.maximum(amounts, 0.0))

    # An order for what has a negative delta counts on the other side.
    minimum = minimum_delta(
        side(exposure.quantity, 1.0), side(exposure.quantity, -1.0),
        side(buys, 1.0) + side(sells, -1.0), side(buys, -1.0) + side(sells, 1.0),
        params.unhedged[params.asset_grid[layout.group_underlying]],
        params.hedged[params.asset_grid[layout.group_underlying]],
    )  # fmt: skip
    weighted = cells * params.weight[params.asset_grid[layout.group_underlying]]
    scan = worst_loss(weighted)
    scenario = np.argmin(weighted, axis=1) + 1.0
    return _Net(scan, minimum, np.where(scan > 0, scenario, np.nan))


def _funding(exposure: Exposure, market: Market, params: Params) -> Floats:
    """What perpetuals pay over eight hours on spot, netted by underlying, USD >= 0."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    each = params.funding_rate * table.multiplier * market.index[table.base]
    pays = (exposure.quantity != 0) & table.of_kind(Kind.PERPETUAL)[held]
    paid = np.where(pays, exposure.quantity * each[held], 0.0)
    return np.maximum(sum_slots(exposure, paid), 0.0)


def _fees(exposure: Exposure, market: Market, params: Params) -> tuple[Floats, Floats]:
    """Taker fees by group, USD: of positions and orders, and of positions alone."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    rate, mark = params.fee_rate, market.mark * market.index[table.settle]
    option_fee = table.multiplier * np.minimum(
        rate * market.index[table.base], params.option_fee_cap * mark
    )
    fee = np.where(params.is_option, option_fee, rate * exposure.contract_notional)[held]
    size = np.abs(exposure.quantity)
    orders = exposure.buys + exposure.sells
    initial, maintenance = (
        sum_slots(exposure, np.where(amount == 0, 0.0, amount * fee))
        for amount in (size + orders, size)
    )
    return initial, maintenance


MODEL = Model(
    name="paradex.portfolio",
    title="Paradex portfolio margin: weighted scenarios with tails, minimum delta, provisions",
    table="paradex_portfolio",
    resolve=resolve,
    require=require,
    dollar="USDC",
    reprices_options=True,
)
