"""bybit.portfolio: portfolio margin of Bybit's unified trading account.

1. Equity: see ``bybit_account``; option value counts.
2. Risk units: all contracts on one underlying, whatever they settle in.
3. Stress: the mark price moves by each of ``price_moves`` together with volatility up, unchanged
   or down. A contract's profit is size × mark × move; an option's is its Black-76 value (no
   interest, time from the whole second) less its mark, at volatility × (1 + move × (30 / D)^0.3),
   D whole days to expiry, rounded up. Every cell is turned into USD at the settle asset's index
   price, coin-settled profit at the moved one.
4. At each price the volatility that is worst for the unit's options taken together holds. With it
   go the contracts and the spot hedge, which counts only where it gains: max(0, coins × index ×
   move). The largest loss over the prices is the unit's maximum loss.
5. Contingencies are added:
   futures     rate × sum of |coins| × index, over perpetuals and futures;
   options     rate × net short options × index. An option covers another of its own right and
               expiry alone;
   delta, vega and USDT-USDC spread: no source states how they are computed. A unit whose legs
               offset each other (below) needs the amount that the venue shows, else it is UNKNOWN.
6. Maintenance margin = maximum loss + contingencies. Initial margin = maintenance × factor.
7. Open orders add to the initial margin the rise of rules 3 to 6 if all buys or all sells filled,
   whichever is worse. What fills lose at once against mark is taken from the collateral.
8. Debts need the same margin as under cross margin.

Legs offset each other in delta if expiries (perpetuals and the spot hedge are expiries of their
own) have net deltas of both signs; in vega if expiries have net vegas of both signs; in the spread
if quote assets have net deltas of both signs.

Sources: API, GET /v5/asset/portfolio-margin, its sample of 24 March 2026; Bybit help centre,
"Margin Calculations under Portfolio Margin" (4 September 2024); learn.bybit, "Risk Parameter
Adjustment in 2025" (10 February 2025).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.core import NS_PER_SECOND, Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    Moves,
    contract_delta,
    contract_profits,
    contract_vega,
    grids_by_base,
    group_pool,
    in_usd,
    option_years,
    scan_groups,
    sum_segmented,
    sum_slots,
    worst_columns,
    worst_loss,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, number
from plimsoll.margin.venues.bybit_account import (
    WalletTiers,
    in_price,
    measure_wallet,
    resolve_wallet,
    wallet_detail,
)
from plimsoll.market import Market
from plimsoll.market.surface import NS_PER_YEAR
from plimsoll.pricing import tenor_multiplier
from plimsoll.pricing.shocks import BYBIT

DAYS_PER_YEAR = 365.0
NETTED = 1e-9
"""Offsetting positions leave rounding of this share of their gross, which is no position."""


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over assets by underlying, NaN where nothing is known.

    ``price_moves`` is [grids, prices], ``vol_moves`` [grids, vols]; ``grid`` names each
    instrument's row and ``asset_grid`` each underlying's, -1 for none. The three spreads are
    amounts in USD, ``spot_hedge`` coins.
    """

    wallet: WalletTiers
    price_moves: Floats
    vol_moves: Floats
    grid: Int64s
    asset_grid: Int64s
    futures_rate: Floats
    options_rate: Floats
    initial_factor: Floats
    delta_spread: Floats
    vega_spread: Floats
    quote_spread: Floats
    spot_hedge: Floats
    is_option: Bools
    is_outright: Bools


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    moves, vols = params["price_moves"], params["vol_moves"]
    for name in moves:
        if name not in vols:
            problem, remedy = "is missing beside price_moves", "give the moves of volatility"
            raise InputError(f"{place}.vol_moves.{name}", problem, remedy)
    listed = tuple(k for k, name in enumerate(names) if name in moves)
    asset_grid = np.full(len(names), -1, dtype=np.int64)
    asset_grid[list(listed)] = np.arange(len(listed))

    def column(name: str, low: float = 0.0) -> Floats:
        return asset_column(params[name], names, f"{place}.{name}", low)

    is_option = instruments.of_kind(Kind.OPTION)
    return Params(
        wallet=resolve_wallet(params, instruments, place),
        price_moves=_grid(moves, [names[k] for k in listed], f"{place}.price_moves"),
        vol_moves=_grid(vols, [names[k] for k in listed], f"{place}.vol_moves"),
        grid=grids_by_base(instruments, listed),
        asset_grid=asset_grid,
        futures_rate=column("futures_contingency_rate"),
        options_rate=column("option_contingency_rate"),
        initial_factor=column("initial_factor", 1.0),
        delta_spread=column("delta_contingency"),
        vega_spread=column("vega_contingency"),
        quote_spread=column("usdt_usdc_contingency"),
        spot_hedge=np.nan_to_num(column("spot_hedge_coins", -np.inf)),
        is_option=is_option,
        is_outright=~is_option & ~instruments.of_kind(Kind.SPOT),
    )


def _grid(table: Mapping[str, Sequence[float]], names: Sequence[str], place: str) -> Floats:
    """Moves by underlying, the same number for each; one row of one move where none is listed."""
    rows = []
    for name in names:
        if not isinstance(table[name], list | tuple) or not table[name]:
            raise InputError(f"{place}.{name}", "is no list of moves", "give fractions, as -0.1")
        rows.append([number(move, f"{place}.{name}", -1.0, 10.0) for move in table[name]])
    if len({len(row) for row in rows}) > 1:
        problem = f"{', '.join(names)} have different numbers of moves"
        raise InputError(place, problem, "give each the same number")
    return np.array(rows or [[0.0]], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Contracts:
    """One long contract: profit in USD, [instruments, prices] and [instruments, prices × vols];

    coins of the underlying it moves with, and vega; 0 where a row does not apply.
    """

    outright: Floats
    option: Floats
    delta: Floats
    vega: Floats


def _measure_contracts(market: Market, params: Params) -> _Contracts:
    prices, vols = params.price_moves.shape[1], params.vol_moves.shape[1]
    multiplier = tenor_multiplier(BYBIT, option_years(market) * DAYS_PER_YEAR)
    vol_move = params.vol_moves[np.maximum(params.grid, 0)] * multiplier[:, np.newaxis]
    # Time runs from the whole second: the fraction of it that has passed is given back.
    given_back = (market.as_of_ns % NS_PER_SECOND) / NS_PER_YEAR
    moves = Moves(
        np.repeat(params.price_moves, vols, axis=1), params.grid, np.tile(vol_move, (1, prices)),
        years_elapsed=-given_back,
    )  # fmt: skip
    cells = in_usd(contract_profits(market, moves, from_mark=True), market, moves)
    is_outright, is_option = params.is_outright[:, np.newaxis], params.is_option[:, np.newaxis]
    return _Contracts(
        np.where(is_outright, cells[:, ::vols], 0.0),
        np.where(is_option, cells, 0.0),
        contract_delta(market),
        contract_vega(market),
    )


@dataclass(frozen=True, slots=True)
class _Stress:
    """What a book loses by group: profits in USD, [groups, prices]; contingencies, [groups].

    ``cells`` are those of options, [groups, prices × vols], ``vol`` the column that is worst.
    """

    outright: Floats
    cells: Floats
    option: Floats
    vol: Int64s
    spot: Floats
    total: Floats
    loss: Floats
    futures: Floats
    options: Floats

    @property
    def requirement(self) -> Floats:
        """Maximum loss and the contingencies that have a rule."""
        return self.loss + self.futures + self.options


def _stress(exposure: Exposure, params: Params, contracts: _Contracts) -> _Stress:
    """Rules 3 to 5 for what ``exposure`` holds."""
    layout, held, quantity = exposure.layout, exposure.layout.slot_instrument, exposure.quantity
    outright = scan_groups(exposure, contracts.outright)
    cells = scan_groups(exposure, contracts.option)
    option, vol = worst_columns(cells, params.vol_moves.shape[1])
    hedge = in_price(_spot_hedge(exposure, params), exposure.group_price)
    move = params.price_moves[np.maximum(params.asset_grid[layout.group_underlying], 0)]
    spot = np.maximum(hedge[:, np.newaxis] * move, 0.0)
    is_outright = params.is_outright[held] & (quantity != 0)
    coins = np.abs(quantity * contracts.delta[held])
    under = layout.group_underlying
    gross = sum_slots(exposure, np.where(is_outright, coins, 0.0))
    short = _net_short(exposure, params)
    total = outright + option + spot
    return _Stress(
        outright, cells, option, vol, spot, total, worst_loss(total),
        in_price(gross, exposure.group_price * params.futures_rate[under]),
        in_price(short, exposure.group_price * params.options_rate[under]),
    )  # fmt: skip


def _spot_hedge(exposure: Exposure, params: Params) -> Floats:
    """Coins of spot that hedge each group; none for an isolated position."""
    coins = params.spot_hedge[exposure.layout.group_underlying]
    return np.where(exposure.is_isolated[group_pool(exposure)], 0.0, coins)


def _net_short(exposure: Exposure, params: Params) -> Floats:
    """Coins of written options, by group, that no option of the same right and expiry covers."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    is_option = params.is_option[held] & (exposure.quantity != 0)
    line = 2 * _expiry_number(table)[held] + table.is_call[held]
    coins = np.where(is_option, exposure.quantity * table.multiplier[held], 0.0)
    group, net = _nets(exposure, line, coins)
    return sum_by(group, np.maximum(-net, 0.0), exposure.layout.group_underlying.size)


def _expiry_number(table: InstrumentTable) -> Int64s:
    """Number of each instrument's expiry, what has none being one of its own."""
    _, number_of = np.unique(table.expiry_ns, return_inverse=True)
    return np.asarray(number_of, dtype=np.int64)


def _nets(exposure: Exposure, line: Int64s, values: Floats) -> tuple[Int64s, Floats]:
    """Group and net value of each line of each group; a net that is but rounding is 0."""
    width = int(line.max(initial=0)) + 1
    keys, row = np.unique(exposure.layout.slot_group * width + line, return_inverse=True)
    net, gross = sum_by(row, values, keys.size), sum_by(row, np.abs(values), keys.size)
    return keys // width, np.where(np.abs(net) <= NETTED * gross, 0.0, net)


def _offset(exposure: Exposure, line: Int64s, each: Floats, more: Floats) -> Bools:
    """Whether lines of a group have nets of both signs; ``more`` is a line beside, by group."""
    held, quantity = exposure.layout.slot_instrument, exposure.quantity
    group, net = _nets(exposure, line, np.where(quantity == 0, 0.0, quantity * each[held]))
    groups = more.size
    up = np.bincount(group[net > 0], minlength=groups) + (more > 0)
    down = np.bincount(group[net < 0], minlength=groups) + (more < 0)
    return np.asarray((up > 0) & (down > 0))


def _spreads(
    exposure: Exposure, params: Params, contracts: _Contracts
) -> tuple[tuple[str, Floats], ...]:
    """Contingencies without a rule, by group: the venue's amount, else NaN where legs offset."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    under, hedge = exposure.layout.group_underlying, _spot_hedge(exposure, params)
    expiry = _expiry_number(table)[held]
    quote, none = table.quote[held].astype(np.int64), np.zeros(under.size)
    is_busy = sum_slots(exposure, np.abs(exposure.quantity)) > 0
    spreads = (
        ("delta_contingency", params.delta_spread, expiry, contracts.delta, hedge),
        ("vega_contingency", params.vega_spread, expiry, contracts.vega, none),
        ("usdt_usdc_contingency", params.quote_spread, quote, contracts.delta, none),
    )
    found = []
    for name, stated, line, each, more in spreads:
        missing = np.where(_offset(exposure, line, each, more), np.nan, 0.0)
        amount = np.where(np.isnan(stated[under]), missing, stated[under])
        found.append((name, np.where(is_busy, amount, 0.0)))
    return tuple(found)


def _open_orders(
    exposure: Exposure, params: Params, contracts: _Contracts, stress: _Stress
) -> Floats:
    """By group, the rise of the requirement if the worse side of its orders fills."""
    rise = np.zeros(stress.loss.size)
    if exposure.orders.quantity.size:
        for filled in (exposure.quantity + exposure.buys, exposure.quantity - exposure.sells):
            moved = _stress(replace(exposure, quantity=filled), params, contracts)
            rise = np.maximum(rise, moved.requirement - stress.requirement)
    # What a spot order costs in collateral value has no stated rule.
    return np.where(exposure.spot_reserve == 0, rise, np.nan)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, held = exposure.layout, exposure.layout.slot_instrument
    is_held = (exposure.quantity != 0) & (params.is_outright | params.is_option)[held]
    gain = exposure.quantity * exposure.contract_value[held] - exposure.cost
    profit = sum_by(layout.slot_cell, np.where(is_held, gain, 0.0), layout.cell_asset.size)
    wallet = measure_wallet(exposure, params.wallet, profit)
    contracts = _measure_contracts(market, params)
    stress = _stress(exposure, params, contracts)
    lines = (
        ("maximum_loss", stress.loss),
        ("futures_contingency", stress.futures),
        ("option_contingency", stress.options),
        *_spreads(exposure, params, contracts),
    )
    factor = params.initial_factor[layout.group_underlying]
    orders = in_price(_open_orders(exposure, params, contracts, stress), factor)

    def of_pools(amount: Floats) -> Floats:
        return sum_segmented(layout.group_offsets, amount)

    def of_cells(amount: Floats) -> Floats:
        return sum_segmented(layout.cell_offsets, amount)

    return Requirement(
        equity=of_cells(wallet.value),
        collateral_value=of_cells(wallet.counted) - of_pools(exposure.order_loss),
        charges=(
            *(Charge(name, of_pools(in_price(mm, factor)), of_pools(mm)) for name, mm in lines),
            Charge("open_orders", of_pools(orders), np.zeros(exposure.is_isolated.size)),
            Charge("borrowing", of_cells(wallet.borrow_initial),
                   of_cells(wallet.borrow_maintenance)),
        ),
        details=(wallet_detail(exposure, wallet), *_details(exposure, params, stress, lines)),
    )  # fmt: skip


def _details(
    exposure: Exposure, params: Params, stress: _Stress, lines: tuple[tuple[str, Floats], ...]
) -> tuple[Detail, ...]:
    """Risk units as the venue shows them: profits at each price, and what they add up to."""
    layout = exposure.layout
    row = np.maximum(params.asset_grid[layout.group_underlying], 0)
    worst = np.argmin(stress.total, axis=1)
    vol = np.take_along_axis(stress.vol, worst[:, np.newaxis], axis=1)[:, 0]
    summary = (
        ("price_move", params.price_moves[row, worst]),
        ("vol_move", params.vol_moves[row, vol]),
        *lines,
    )
    grids = (("total", stress.total), ("outright", stress.outright), ("option", stress.option),
             ("spot_hedge", stress.spot))  # fmt: skip
    vols = params.vol_moves.shape[1]
    columns = [("risk_units", summary)]
    columns += [
        (name, tuple((str(k + 1), cells[:, k]) for k in range(cells.shape[1])))
        for name, cells in grids
    ]
    cells = tuple(
        (f"{k // vols + 1}_{k % vols + 1}", stress.cells[:, k])
        for k in range(stress.cells.shape[1])
    )
    columns.append(("option_cells", cells))
    return tuple(
        Detail(name, layout.group_offsets, layout.group_underlying, figures)
        for name, figures in columns
    )


MODEL = Model(
    name="bybit.portfolio",
    title="Bybit unified trading account: portfolio margin, 33 scenarios and contingencies",
    table="bybit_portfolio",
    resolve=resolve,
    require=require,
    reprices_options=True,
)
