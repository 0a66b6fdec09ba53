"""okx.portfolio: OKX's portfolio margin mode.

1. A risk unit is everything on one underlying: perpetuals, dated futures and options in USDT,
   USDC and USD or coin, and the coin itself as far as it hedges them ("spot in use": what of a
   positive balance the unit's negative delta takes up).
2. Maintenance of a unit = max(max(MR1, MR2, MR6) + MR4 + MR9, MR7), initial = 1.3 × that. MR3
   (vega across expiries) and MR5 (interest) of options are not published and not counted.
3. MR1, spot shock: the largest loss over three price moves up and down and none, of the index
   price, with each move of volatility: none, up or down, in points or as a percentage.
4. MR2, time decay: what a day's passing costs at unchanged prices.
5. MR4, basis: each expiry's net delta, at a flat rate for perpetuals and at a yearly move × years
   for what expires.
6. MR6, extreme move: half the larger loss of twice MR1's widest move.
7. MR7, minimum charge: a rate on each contract's delta, times multipliers in marginal tiers.
8. MR8, borrowing: what is owed needs margin at the rates of its tier; with its maintenance it
   pays the one liquidation fee there is.
9. MR9, stablecoin depeg: net deltas in USDT, USDC and USD that offset each other (USDT-USD, then
   USDT-USDC, then USDC-USD) pay factors by volume and by the pair's index price.
10. Collateral is as in okx.multi_currency, but options count at their value, long and short.
    Isolated positions are margined by that model's rules.
11. Open orders add to the initial margin what all buys or all sells filling would.

Options need the venue's table of volatility moves, which is published only in part: without it
in the account's parameters a pool that holds options is UNKNOWN. Sources: OKX help, "Portfolio
margin mode (Risk Unit Merge)" and "Multi-currency margin mode vs. portfolio margin mode"; the
API's position builder sample, whose two units and account totals this reproduces.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    DepegTiers,
    MarginalTiers,
    Moves,
    contract_delta,
    contract_profits,
    grids_by_base,
    hedged_volumes,
    in_usd,
    minimum_excess,
    model_values,
    multiplier_tiers,
    option_years,
    quote_deltas,
    scan_groups,
    slot_pool,
    sum_by_expiry,
    sum_segmented,
    sum_slots,
    worst_loss,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import DEFAULT, asset_column, number
from plimsoll.margin.venues import okx_multi_currency
from plimsoll.market import Market
from plimsoll.market.surface import NS_PER_YEAR

STABLECOINS = ("USDT", "USDC", "USD")
HEDGES = ((0, 2), (0, 1), (1, 2))
"""Which of the stablecoins offset each other, in the venue's order."""

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters as columns over assets, NaN where the table speaks of none.

    ``moves``, [grids, 9], are MR1's seven price moves and MR6's two; ``grid`` is the grid of each
    instrument, ``asset_grid`` of each asset, -1 where it has none.
    ``vol_shocks``, [rows, 3], are days, points and percent. ``quotes`` are the assets of
    ``STABLECOINS``, -1 where the book has none.
    """

    moves: Floats
    grid: Int64s
    asset_grid: Int64s
    vol_shocks: Floats
    extreme_weight: float
    perpetual_rate: Floats
    annual_move: Floats
    minimum_rate: Floats
    multipliers: MarginalTiers
    depeg: DepegTiers
    quotes: tuple[int, ...]
    initial_factor: float
    positions: okx_multi_currency.Params


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    shocks, extremes = params["spot_shocks"], params["extreme_moves"]
    listed = [k for k, name in enumerate(names) if {name, DEFAULT} & shocks.keys()]
    extreme = asset_column(extremes, names, f"{place}.extreme_moves", 0.0, 1.0)
    grids = [
        _price_moves(shocks.get(names[k], shocks.get(DEFAULT)), f"{place}.spot_shocks.{names[k]}")
        for k in listed
    ]
    asset_grid = np.full(len(names), -1, dtype=np.int64)
    asset_grid[listed] = np.arange(len(listed))
    return Params(
        moves=np.column_stack([np.array(grids), extreme[listed], -extreme[listed]]),
        grid=grids_by_base(instruments, tuple(listed)),
        asset_grid=asset_grid,
        vol_shocks=_vol_shocks(params["vol_shocks"], f"{place}.vol_shocks"),
        extreme_weight=number(params["extreme_weight"], f"{place}.extreme_weight", 0.0, 1.0),
        perpetual_rate=asset_column(
            params["basis_perpetual_rates"], names, f"{place}.basis_perpetual_rates", 0.0, 1.0
        ),
        annual_move=asset_column(
            params["basis_annual_moves"], names, f"{place}.basis_annual_moves", 0.0, 10.0
        ),
        minimum_rate=asset_column(
            params["minimum_rates"], names, f"{place}.minimum_rates", 0.0, 1.0
        ),
        multipliers=multiplier_tiers(
            params["minimum_multipliers"], names, f"{place}.minimum_multipliers"
        ),
        depeg=DepegTiers.read(params["depeg_tiers"], f"{place}.depeg_tiers"),
        quotes=tuple(names.index(coin) if coin in names else -1 for coin in STABLECOINS),
        initial_factor=number(params["initial_factor"], f"{place}.initial_factor", 1.0, 10.0),
        positions=okx_multi_currency.resolve(params, instruments, place),
    )


def _price_moves(listed: object, place: str) -> list[float]:
    """No move, and each listed move up and down."""
    if not isinstance(listed, list | tuple) or len(listed) != 3:
        raise InputError(place, f"{listed!r} is no list of three moves", "write [0.04, 0.08, 0.12]")
    sizes = [number(size, place, 0.0, 1.0) for size in listed]
    return [0.0, *(sign * size for size in sizes for sign in (1.0, -1.0))]


def _vol_shocks(rows: object, place: str) -> Floats:
    """Rows of days to expiry, points and percent, [rows, 3]."""
    problem = f"{rows!r} is no list of [days to expiry, points, percent]"
    remedy = "write [[0, 0.30, 0.50], ...] with rising days"
    if not isinstance(rows, list | tuple):
        raise InputError(place, problem, remedy)
    if not all(isinstance(row, list | tuple) and len(row) == 3 for row in rows):
        raise InputError(place, problem, remedy)
    out = np.array([[number(x, place) for x in row] for row in rows]).reshape(-1, 3)
    if np.any(np.diff(out[:, 0]) <= 0):
        raise InputError(place, "days do not rise", remedy)
    return out


@dataclass(frozen=True, slots=True)
class Units:
    """Risk units, USD by group: the venue's MR figures, ``raw_minimum`` MR7 before multipliers,

    ``delta`` net, ``spot_in_use`` in coins. ``scenario`` is the largest of MR1, MR2 and MR6,
    ``excess`` what MR7 asks beyond it with MR4 and MR9.
    """

    delta: Floats
    spot_in_use: Floats
    mr1: Floats
    mr2: Floats
    mr4: Floats
    mr6: Floats
    raw_minimum: Floats
    mr7: Floats
    mr9: Floats
    scenario: Floats
    excess: Floats

    @property
    def maintenance(self) -> Floats:
        """The unit's maintenance margin."""
        return self.scenario + self.mr4 + self.mr9 + self.excess


@dataclass(frozen=True, slots=True)
class Scene:
    """What one contract does, by instrument: its ``profits`` in USD, [instruments, scenarios]

    as of ``scenario_profits``; its delta in ``coins`` and in USD.
    """

    profits: Floats
    coins: Floats
    usd: Floats


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, isolated = exposure.layout, exposure.is_isolated
    scene = set_scene(market, params)
    units = measure_units(exposure, scene, market, params)
    alone = okx_multi_currency.require(exposure, market, params.positions)
    found = {charge.name: charge for charge in alone.charges}
    is_option = exposure.instruments.of_kind(Kind.OPTION)[layout.slot_instrument]
    currencies = okx_multi_currency.count_currencies(
        exposure, params.positions, is_option & isolated[slot_pool(exposure)]
    )
    none = np.zeros(isolated.size)

    def by_pool(groups: Floats) -> Floats:
        return np.where(isolated, 0.0, sum_segmented(layout.group_offsets, groups))

    def unit_charge(name: str, groups: Floats) -> Charge:
        needed = by_pool(groups)
        return Charge(name, params.initial_factor * needed, needed)

    def own(name: str) -> Charge:
        """A charge of isolated positions."""
        charge = found[name]
        return Charge(
            name,
            np.where(isolated, charge.initial, 0.0),
            np.where(isolated, charge.maintenance, 0.0),
        )

    cells = layout.cell_offsets
    orders = _open_orders(exposure, units, scene, market, params)
    charges = (
        unit_charge("scenario_loss", units.scenario),
        unit_charge("basis", units.mr4),
        unit_charge("stablecoin_depeg", units.mr9),
        unit_charge("minimum_charge", units.excess),
        own("contracts"),
        own("short_options"),
        Charge("open_orders", by_pool(orders) + own("open_orders").initial, none),
        Charge(
            "borrowing",
            sum_segmented(cells, currencies.borrowing_initial),
            sum_segmented(cells, currencies.borrowing_maintenance),
        ),
        Charge(
            "liquidation_fees",
            none,
            np.where(isolated, found["liquidation_fees"].maintenance, 0.0)
            + sum_segmented(cells, currencies.borrowing_fee),
        ),
    )
    return Requirement(
        equity=sum_segmented(cells, currencies.value),
        collateral_value=sum_segmented(cells, currencies.counted),
        charges=charges,
        details=(currencies.detail, _units_detail(exposure, units)),
    )


def set_scene(market: Market, params: Params) -> Scene:
    """The scenarios and deltas of every contract at a market."""
    table = market.instruments
    coins = contract_delta(market)
    price = np.where(table.of_kind(Kind.OPTION), market.forward, market.mark)
    return Scene(scenario_profits(market, params), coins, coins * price * market.index[table.quote])


def scenario_profits(market: Market, params: Params) -> Floats:
    """Profit of one contract in USD, [instruments, scenarios]: MR1's, then MR6's two, MR2's one.

    With options MR1 has five states of volatility: as it is, up and down by points, up and down
    by percent. Contracts move with the index price; a gain or loss in coin counts at the price
    it is made at.
    """
    table = market.instruments
    is_option = table.of_kind(Kind.OPTION)
    states = 5 if is_option.any() else 1
    moves = np.hstack([np.tile(params.moves[:, :-2], (1, states)), params.moves[:, -2:]])
    by_instrument = np.vstack([moves, np.full(moves.shape[1], np.nan)])[params.grid]
    worth = np.select(
        [table.of_payoff(Payoff.LINEAR), table.of_payoff(Payoff.INVERSE)],
        [table.multiplier * market.index[table.base], table.multiplier * market.index[table.quote]],
        default=np.nan,
    )
    out = worth[:, np.newaxis] * by_instrument
    decay = np.zeros((len(table), 1))
    if states > 1:
        vol_move = _vol_moves(market, params, moves.shape[1])
        shocked = _option_profits(market, Moves(moves, params.grid, vol_move))
        out[is_option] = shocked[is_option]
        still = np.zeros((len(moves), 1))
        day = Moves(still, params.grid, decay, years_elapsed=1.0 / DAYS_PER_YEAR)
        decay[is_option] = _option_profits(market, day)[is_option]
    return np.hstack([out, decay])


def _option_profits(market: Market, moves: Moves) -> Floats:
    """Change of an option's value in USD; what is paid in coin is worth the coin's moved price."""
    table = market.instruments
    profits = in_usd(contract_profits(market, moves, from_mark=False), market, moves)
    in_coin = table.of_payoff(Payoff.INVERSE)
    value = model_values(market) * table.multiplier * market.index[table.settle]
    growth = moves.price_move[np.maximum(moves.grid, 0)]
    return profits + np.where(in_coin, value, 0.0)[:, np.newaxis] * growth


def _vol_moves(market: Market, params: Params, scenarios: int) -> Floats:
    """Relative moves of volatility by instrument in MR1's states, 0 in MR6's two scenarios."""
    table = params.vol_shocks
    vol = market.implied_vol
    out = np.zeros((vol.size, scenarios))
    if not len(table):
        out[market.instruments.of_kind(Kind.OPTION)] = np.nan
        return out
    days = option_years(market) * DAYS_PER_YEAR
    points, percent = (np.interp(days, table[:, 0], table[:, k]) for k in (1, 2))
    width = (scenarios - 2) // 5
    for state, move in enumerate((points / vol, -points / vol, percent, -percent), start=1):
        # A fall by more than all of it leaves none.
        out[:, state * width : (state + 1) * width] = np.maximum(move, -1.0)[:, np.newaxis]
    return out


def measure_units(exposure: Exposure, scene: Scene, market: Market, params: Params) -> Units:
    """Every risk unit of every pool."""
    layout, table = exposure.layout, exposure.instruments
    held, under = layout.slot_instrument, layout.group_underlying
    is_held = exposure.quantity != 0
    delta = np.where(is_held, exposure.quantity * scene.usd[held], 0.0)
    coins = np.where(is_held, exposure.quantity * scene.coins[held], 0.0)
    in_use = _spot_in_use(exposure, sum_slots(exposure, coins))
    cells = scan_groups(exposure, scene.profits)
    _add_spot(cells, np.where(in_use == 0, 0.0, in_use * exposure.group_price), under, params)
    mr1, mr6, mr2 = (worst_loss(part) for part in (cells[:, :-3], cells[:, -3:-1], cells[:, -1:]))
    mr6 = params.extreme_weight * mr6
    mr4 = _basis(exposure, delta, market, params)
    rate = params.minimum_rate[table.base[held]]
    raw = sum_slots(exposure, np.where(is_held, np.abs(delta) * rate, 0.0))
    mr7 = params.multipliers.amount(under, raw)
    mr9 = _depeg(exposure, delta, market, params)
    scenario = np.maximum(np.maximum(mr1, mr2), mr6)
    return Units(
        delta=sum_slots(exposure, delta),
        spot_in_use=in_use,
        mr1=mr1,
        mr2=mr2,
        mr4=mr4,
        mr6=mr6,
        raw_minimum=raw,
        mr7=mr7,
        mr9=mr9,
        scenario=scenario,
        excess=minimum_excess(mr7, scenario + mr4 + mr9),
    )


def _spot_in_use(exposure: Exposure, delta: Floats) -> Floats:
    """Coins of the underlying's own balance that hedge a negative delta (coins), by group."""
    layout = exposure.layout
    pools = np.arange(exposure.is_isolated.size)
    width = len(exposure.instruments.assets.names)
    cells = np.repeat(pools, np.diff(layout.cell_offsets)) * width + layout.cell_asset
    groups = np.repeat(pools, np.diff(layout.group_offsets)) * width + layout.group_underlying
    if not cells.size:
        return np.zeros(groups.size)
    cell = np.minimum(np.searchsorted(cells, groups), cells.size - 1)
    owned = np.where(cells[cell] == groups, exposure.cell_equity[cell], 0.0)
    return np.where((delta < 0) & (owned > 0), np.minimum(owned, -delta), 0.0)


def _add_spot(cells: Floats, worth: Floats, under: Int32s, params: Params) -> None:
    """Add the profit of spot in use, USD by group, to its unit's scenarios, in place."""
    rows = np.flatnonzero(worth)
    moves = params.moves[params.asset_grid[under[rows]]]
    mr1, mr6 = moves[:, :-2], moves[:, -2:]
    states = (cells.shape[1] - 3) // mr1.shape[1]
    cells[rows, :-1] += worth[rows, np.newaxis] * np.hstack([np.tile(mr1, (1, states)), mr6])


def _basis(exposure: Exposure, delta: Floats, market: Market, params: Params) -> Floats:
    """MR4 by group: every expiry's net delta at the rate of its time to go."""
    sums = sum_by_expiry(exposure, delta)
    under = exposure.layout.group_underlying[sums.group]
    years = (sums.expiry_ns - market.as_of_ns) / NS_PER_YEAR
    dated = params.annual_move[under] * years
    rate = np.where(sums.expiry_ns == 0, params.perpetual_rate[under], dated)
    charged = np.where(sums.net == 0, 0.0, np.abs(sums.net) * rate)
    return sum_by(sums.group, charged, exposure.layout.group_underlying.size)


def _depeg(exposure: Exposure, delta: Floats, market: Market, params: Params) -> Floats:
    """MR9 by group: what stablecoins offset of each other, at the price of the pair."""
    layout = exposure.layout
    count = layout.group_underlying.size
    quote = exposure.instruments.quote[layout.slot_instrument]
    deltas = quote_deltas(layout.slot_group, quote, delta, params.quotes, count)
    # A stablecoin that the book does not know of has no delta either.
    index = [market.index[coin] if coin >= 0 else np.nan for coin in params.quotes]
    out = np.zeros(count)
    for (first, second), hedged in zip(HEDGES, hedged_volumes(deltas, HEDGES), strict=True):
        out += params.depeg.charge(np.full(count, index[first] / index[second]), hedged)
    return out


def _open_orders(
    exposure: Exposure, units: Units, scene: Scene, market: Market, params: Params
) -> Floats:
    """Rule 11, USD by group."""
    if not exposure.orders.slot.size:
        return np.zeros(units.scenario.size)
    filled = [
        measure_units(
            replace(exposure, quantity=exposure.quantity + change), scene, market, params
        ).maintenance
        for change in (exposure.buys, -exposure.sells)
    ]
    rise = np.maximum(np.maximum(filled[0], filled[1]) - units.maintenance, 0.0)
    return params.initial_factor * rise + exposure.order_loss + exposure.spot_reserve


def _units_detail(exposure: Exposure, units: Units) -> Detail:
    layout = exposure.layout
    return Detail(
        "risk_units", layout.group_offsets, layout.group_underlying,
        (("delta", units.delta), ("spot_in_use", units.spot_in_use), ("mr1", units.mr1),
         ("mr2", units.mr2), ("mr4", units.mr4), ("mr6", units.mr6),
         ("mr7_raw", units.raw_minimum), ("mr7", units.mr7), ("mr9", units.mr9),
         ("maintenance", units.maintenance)),
    )  # fmt: skip


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """What OKX shows beside isolated contracts; NaN in portfolio margin."""
    return okx_multi_currency.prices(exposure, requirement, market, params.positions)


MODEL = Model(
    name="okx.portfolio",
    title="OKX portfolio margin: risk units by underlying, nine risk modules",
    table="okx_portfolio",
    resolve=resolve,
    require=require,
    reprices_options=True,
    prices=prices,
)
