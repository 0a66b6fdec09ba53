"""Scenario scan: every contract revalued in every scenario, pools reduced over the matrix.

A venue's rule sheet says which moves, how volatility answers, and what each cell counts for;
what is common stands here. Scenarios run by underlying: column k means the k-th move of each
underlying's own grid, so that one matrix holds coins with different ranges.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int64s
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.kernels import scan_slots, worst_cells
from plimsoll.market import Market
from plimsoll.market.surface import NS_PER_YEAR
from plimsoll.pricing import (
    OptionColumns,
    OptionShocks,
    black76,
    greeks,
    reprice_grid,
    value_in_coin,
)


@dataclass(frozen=True, slots=True)
class Moves:
    """Scenarios by instrument.

    ``price_move``, shape [grids, scenarios], holds relative moves of each grid; ``grid``,
    [instruments], names each instrument's row, -1 where the venue has no scenarios for it.
    ``vol_move``, [instruments, scenarios], is the relative move of an option's volatility, tenor
    and floors already in it. ``years_elapsed`` brings expiries nearer (look-ahead, decay).
    """

    price_move: Floats
    grid: Int64s
    vol_move: Floats
    years_elapsed: float = 0.0

    def __post_init__(self) -> None:
        shape = (self.grid.size, self.price_move.shape[1])
        if self.vol_move.shape != shape or not np.all(self.grid < len(self.price_move)):
            problem = f"vol moves of {self.vol_move.shape} where {shape} are needed, or no grid"
            raise InputError("scenario moves", problem, "give one row per instrument")


def contract_profits(market: Market, moves: Moves, from_mark: bool) -> Floats:
    """Profit of one long contract in its settle asset, shape [instruments, scenarios].

    Options are revalued by Black-76 at their own implied volatility and forward; the profit is
    against the mark where ``from_mark``, else against the model's own value (so that no move
    is no profit). NaN where a price, a volatility or the scenarios are missing.
    """
    table = market.instruments
    out = np.full((len(table), moves.price_move.shape[1]), np.nan)
    base = market.mark if from_mark else model_values(market)
    is_option = table.of_kind(Kind.OPTION)
    rows = np.flatnonzero((moves.grid >= 0) & ~is_option)
    out[rows] = _outright_profits(market, rows, moves)
    for grid in np.unique(moves.grid[is_option]):
        if grid >= 0:
            rows = np.flatnonzero((moves.grid == grid) & is_option)
            out[rows] = _option_profits(market, rows, moves.price_move[grid], moves, base[rows])
    return out


def _outright_profits(market: Market, rows: Int64s, moves: Moves) -> Floats:
    """Linear, quanto and spot: multiplier × mark × move. Inverse: coins at the moved price."""
    table = market.instruments
    mark, multiplier = market.mark[rows], table.multiplier[rows]
    inverse = table.of_payoff(Payoff.INVERSE)[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        in_coin = moves.price_move / (1.0 + moves.price_move)
        scale = np.where(inverse, multiplier / mark, multiplier * mark)
    factor = np.vstack([moves.price_move, in_coin])
    row = moves.grid[rows] + inverse * len(moves.price_move)
    return np.asarray(scale[:, np.newaxis] * factor[row])


def option_years(market: Market, years_elapsed: float = 0.0) -> Floats:
    """Years of 365 days to expiry by instrument; of no meaning where there is none."""
    return (market.instruments.expiry_ns - market.as_of_ns) / NS_PER_YEAR - years_elapsed


def _option_profits(
    market: Market, rows: Int64s, price_move: Floats, moves: Moves, base: Floats
) -> Floats:
    table = market.instruments
    in_coin = table.of_payoff(Payoff.INVERSE)[rows]
    forward, vol, strike = market.forward[rows], market.implied_vol[rows], table.strike[rows]
    years = option_years(market, moves.years_elapsed)[rows]
    columns = OptionColumns(
        forward, strike, years, vol, table.is_call[rows], np.ones(rows.size), in_coin
    )
    # A row of zero moves stands in where the vol move is unknown: its NaN must reach the result.
    vol_move = moves.vol_move[rows]
    known = np.asarray(np.isfinite(vol_move).all(axis=1))
    shocks = OptionShocks(
        price_move, np.where(known[:, np.newaxis], vol_move, 0.0), np.arange(rows.size)
    )
    out = np.empty((rows.size, price_move.size))
    reprice_grid(columns, shocks, out)
    out[~known] = np.nan
    return (out - base[:, np.newaxis]) * table.multiplier[rows][:, np.newaxis]


def model_values(market: Market) -> Floats:
    """Black-76 value of each option in its settle asset per unit of underlying; NaN for others."""
    table = market.instruments
    out = np.full(len(table), np.nan)
    rows = np.flatnonzero(table.of_kind(Kind.OPTION))
    if rows.size:
        forward = market.forward[rows]
        value = black76(
            forward, table.strike[rows], option_years(market)[rows], market.implied_vol[rows],
            table.is_call[rows],
        ).value  # fmt: skip
        in_coin = table.of_payoff(Payoff.INVERSE)[rows]
        out[rows] = np.where(in_coin, value_in_coin(value, forward), value)
    return out


def in_usd(profits: Floats, market: Market, moves: Moves | None = None) -> Floats:
    """Profits in USD from profits in the settle asset, same shape.

    At today's index prices; with ``moves``, what settles in its own base coin is worth that
    coin's moved price, as a loss in a falling coin is.
    """
    table = market.instruments
    price = market.index[table.settle][:, np.newaxis]
    if moves is None or not len(moves.price_move):
        return profits * price
    in_base = (table.settle == table.base) & (moves.grid >= 0)
    growth = 1.0 + moves.price_move[np.maximum(moves.grid, 0)]
    return profits * np.where(in_base[:, np.newaxis], price * growth, price)


def scan_groups(exposure: Exposure, profits: Floats) -> Floats:
    """Profit of each group in each scenario, shape [groups, scenarios].

    ``profits`` is [instruments, scenarios], of one long contract. Slots that hold nothing are
    skipped, so that what they cannot be priced at does not matter.
    """
    layout = exposure.layout
    out = np.zeros((layout.group_underlying.size, profits.shape[1]))
    scan_slots(
        exposure.quantity, layout.slot_instrument, layout.slot_group,
        np.ascontiguousarray(profits), out,
    )  # fmt: skip
    return out


def worst_loss(cells: Floats) -> Floats:
    """The largest loss of each row of profits, >= 0, shape [rows]; NaN where a cell is NaN."""
    out = np.empty(len(cells))
    worst_cells(np.ascontiguousarray(cells), out)
    return out


def contract_delta(market: Market) -> Floats:
    """Coins of the underlying that one long contract moves with, shape [instruments].

    Linear and spot: the multiplier. Inverse: multiplier / mark. Options: multiplier × the
    forward delta of Black-76 (not adjusted for a premium paid in coin). Quanto: in USD terms,
    profit per dollar of the underlying.
    """
    table = market.instruments
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = table.multiplier / market.mark
        quanto = table.multiplier * market.index[table.settle] / market.index[table.quote]
    out = np.select(
        [table.of_payoff(Payoff.INVERSE), table.of_payoff(Payoff.QUANTO)],
        [inverse, quanto],
        default=np.where(np.isnan(market.mark), np.nan, table.multiplier),
    )
    return _with_options(out, market, "delta")


def contract_vega(market: Market) -> Floats:
    """Quote asset per 1.00 of volatility of one long contract, [instruments]; 0 but for options."""
    return _with_options(np.zeros(len(market.instruments)), market, "vega")


def _with_options(out: Floats, market: Market, name: str) -> Floats:
    table = market.instruments
    rows = np.flatnonzero(table.of_kind(Kind.OPTION))
    if rows.size:
        found = greeks(
            market.forward[rows], table.strike[rows], option_years(market)[rows],
            market.implied_vol[rows], table.is_call[rows],
        )  # fmt: skip
        value = found.delta if name == "delta" else found.vega
        out[rows] = value * table.multiplier[rows]
    return out


def grids_by_base(table: InstrumentTable, listed: tuple[int, ...]) -> Int64s:
    """Row in ``listed`` (asset numbers) of each instrument's base asset, -1 where it has none."""
    row = np.full(len(table.assets.names), -1, dtype=np.int64)
    row[list(listed)] = np.arange(len(listed))
    return np.asarray(row[table.base])
