"""Extended scan: a grid of near moves at full weight, and far moves at a fraction of their loss.

Near moves run in equal buckets over a range, each with volatility up, unchanged and down. Far
moves lie outside it, with volatility up, and count for factor × range / |move|, so that a
future's far loss shrinks to its loss at the range's edge and what stays is curvature. A
dampener forgives small books the rest. Results are in USD at the moved price; where a venue
keeps its books in coin, a result is restated in coins at the move's, or the edge's, price.
Source: Deribit, "Portfolio Margin" and private/pme/simulate (reproduces its sample).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, Int64s
from plimsoll.instruments import Kind
from plimsoll.margin.charges.scan.contracts import Moves, option_years
from plimsoll.margin.charges.sums import slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.kernels import scan_slots
from plimsoll.market import Market
from plimsoll.pricing import TenorLaw, shock_vol

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class ExtendedGrid:
    """Scenarios, one row per asset; shapes [grids, scenarios], NaN for one that has none.

    ``price_move`` is relative. ``weight`` is the fraction of a result that counts. ``edge`` is
    the move at whose price a result in coin is stated. ``forgiven`` is how many dampeners a
    loss is spared. ``vol_side``, shape [scenarios], is 1 for volatility up, 0 same, -1 down.
    """

    price_move: Floats
    weight: Floats
    edge: Floats
    forgiven: Floats
    vol_side: Floats


def extended_grid(
    price_range: Floats, buckets: int, far_moves: Sequence[float], factor: Floats
) -> ExtendedGrid:
    """The grids of assets by their ``price_range`` and weight ``factor``, shape [grids] each.

    Near scenarios come first, from the fall to the rise, ``buckets`` to each side of zero,
    three columns each: volatility up, same, down. Then ``far_moves``, volatility up.
    """
    steps = np.repeat(np.arange(-buckets, buckets + 1) / buckets, 3)
    near = price_range[:, np.newaxis] * steps
    far = np.broadcast_to(np.array(far_moves, np.float64), (len(near), len(far_moves)))
    multiple = np.abs(far) / price_range[:, np.newaxis]
    ones, zeros = np.ones(near.shape), np.zeros(near.shape)
    return ExtendedGrid(
        price_move=np.hstack([near, far]),
        weight=np.hstack([ones, factor[:, np.newaxis] / multiple]),
        edge=np.hstack([near, np.sign(far) * price_range[:, np.newaxis]]),
        forgiven=np.hstack([zeros, np.maximum(multiple, 1.0) - 1.0]),
        vol_side=np.concatenate(
            [np.tile([1.0, 0.0, -1.0], 2 * buckets + 1), np.ones(len(far_moves))]
        ),
    )


@dataclass(frozen=True, slots=True)
class VolRanges:
    """Volatility shocks, one entry per grid: relative ``up`` and ``down`` >= 0 at the tenor

    law's reference, and the volatility below which a shock up does not end.
    """

    up: Floats
    down: Floats
    floor_up: Floats
    laws: tuple[TenorLaw, ...]


def vol_moves(market: Market, grid: Int64s, vol_side: Floats, ranges: VolRanges) -> Floats:
    """Relative volatility moves, shape [instruments, scenarios]; 0 for all but options.

    ``grid`` is each instrument's row, -1 for none. NaN where a volatility is missing.
    """
    is_option = market.instruments.of_kind(Kind.OPTION)
    days = option_years(market) * DAYS_PER_YEAR
    out = np.zeros((grid.size, vol_side.size))
    for row, law in enumerate(ranges.laws):
        here = np.flatnonzero(is_option & (grid == row))
        vol = market.implied_vol[here]
        sides = [
            shock_vol(law, vol, days[here], np.full(here.size, move), floor, absolute=False)
            for move, floor in (
                (ranges.up[row], float(ranges.floor_up[row])),
                (-ranges.down[row], 0.0),
            )
        ]
        up, down = (shocked[:, np.newaxis] / vol[:, np.newaxis] - 1.0 for shocked in sides)
        same = np.where(np.isnan(vol), np.nan, 0.0)[:, np.newaxis]
        out[here] = np.where(vol_side > 0, up, np.where(vol_side < 0, down, same))
    return out


@dataclass(frozen=True, slots=True)
class RiskVectors:
    """One row per underlying and settle asset of a pool, in that order.

    ``pool``, ``underlying`` and ``settle`` (asset numbers) say which; ``slot_row`` is the row
    of each slot, ``spot_row`` that of each asset held that moves by itself. Consecutive rows on
    one underlying are a unit: unit u owns rows ``unit_offsets`` [u] to [u + 1] and is in pool
    ``unit_pool`` on asset ``unit_underlying``.
    """

    pool: Int64s
    underlying: Int64s
    settle: Int64s
    slot_row: Int64s
    spot_row: Int64s
    unit_offsets: Int64s
    unit_pool: Int64s
    unit_underlying: Int64s


@dataclass(frozen=True, slots=True)
class SpotValues:
    """Assets that move with their own price: pool, asset number and USD value, elementwise."""

    pool: Int64s
    asset: Int64s
    value: Floats


def risk_vectors(exposure: Exposure, spot: SpotValues) -> RiskVectors:
    """The vectors of all slots and all spot values; a spot asset is settled in itself."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    width = max(len(table.assets.names), 1)
    key = (slot_pool(exposure) * width + table.base[held]) * width + table.settle[held]
    own = (spot.pool * width + spot.asset) * width + spot.asset
    keys, row = np.unique(np.concatenate([key, own]), return_inverse=True)
    unit = keys // width
    starts = np.flatnonzero(np.concatenate([[True], unit[1:] != unit[:-1]])[: unit.size])
    return RiskVectors(
        pool=unit // width,
        underlying=unit % width,
        settle=keys % width,
        slot_row=row[: key.size].astype(np.int64),
        spot_row=row[key.size :].astype(np.int64),
        unit_offsets=np.concatenate([starts, [unit.size]]).astype(np.int64),
        unit_pool=unit[starts] // width,
        unit_underlying=unit[starts] % width,
    )


def scan_vectors(
    exposure: Exposure, vectors: RiskVectors, spot: SpotValues, profits: Floats, moves: Moves
) -> Floats:
    """Profit of each vector in each scenario, shape [vectors, scenarios].

    ``profits`` is [instruments, scenarios], USD of one long contract. Slots that hold nothing
    are skipped. Grids are those of ``moves``; the grid of an asset is its row.
    """
    out = np.zeros((vectors.pool.size, profits.shape[1]))
    scan_slots(
        exposure.quantity, exposure.layout.slot_instrument, vectors.slot_row,
        np.ascontiguousarray(profits), out,
    )  # fmt: skip
    worth = spot.value[:, np.newaxis]
    np.add.at(
        out, vectors.spot_row, np.where(worth == 0, 0.0, worth * moves.price_move[spot.asset])
    )
    return out


@dataclass(frozen=True, slots=True)
class CellRules:
    """What each vector's cells count for; shapes [vectors].

    ``grid`` is the row of its underlying, -1 for none. ``in_coin`` restates results in coins,
    valued at today's price. ``dampener`` and ``gain_max`` are USD, ``gain_share`` the fraction
    of a gain that offsets other vectors of the unit.
    """

    grid: Int64s
    in_coin: Bools
    dampener: Floats
    gain_share: Floats
    gain_max: Floats


def weigh_cells(cells: Floats, grid: ExtendedGrid, rules: CellRules) -> None:
    """Turn profits in USD at the moved price into what counts, in place.

    In order: weight, dampener (losses only, down to nothing), restatement in coin, share of
    gains. A cell of exactly zero stays zero whatever is unknown of its rules; NaN stays NaN.
    """
    _weigh(
        cells, rules.grid, grid.weight, grid.edge, grid.forgiven,
        rules.in_coin, rules.dampener, rules.gain_share, rules.gain_max,
    )  # fmt: skip


def worst_of_units(cells: Floats, vectors: RiskVectors) -> Floats:
    """The largest loss of each unit, its vectors added cell by cell; >= 0, shape [units]."""
    out = np.empty(vectors.unit_pool.size)
    _worst(cells, vectors.unit_offsets, out)
    return out


@nb.njit(cache=True, nogil=True)
def _weigh(
    cells: Floats, grid: Int64s, weight: Floats, edge: Floats, forgiven: Floats,
    in_coin: Bools, dampener: Floats, gain_share: Floats, gain_max: Floats,
) -> None:  # fmt: skip
    for row in range(grid.size):
        g = grid[row]
        for k in range(cells.shape[1]):
            cell = cells[row, k]
            if cell == 0.0:
                continue
            if g < 0:
                cells[row, k] = np.nan
                continue
            cell *= weight[g, k]
            if cell < 0.0 and forgiven[g, k] > 0.0:
                cell += forgiven[g, k] * dampener[row]
                # In this order min() keeps a NaN: an unknown dampener forgives nothing.
                cell = min(cell, 0.0)
            if in_coin[row]:
                cell /= 1.0 + edge[g, k]
            if cell > 0.0:
                cell = min(cell * gain_share[row], gain_max[row])
            cells[row, k] = cell


@nb.njit(cache=True, nogil=True)
def _worst(cells: Floats, offsets: Int64s, out: Floats) -> None:
    for unit in range(out.size):
        worst = 0.0
        for k in range(cells.shape[1]):
            total = 0.0
            for row in range(offsets[unit], offsets[unit + 1]):
                total += cells[row, k]
            if total != total:
                worst = total
                break
            worst = max(worst, -total)
        out[unit] = worst


def net_short_charge(net: Floats, per_option: float) -> Floats:
    """A fixed amount for every option sold net, in the unit of ``per_option``, >= 0.

    ``net`` is the signed number of options, calls and puts together, of one strike. Source:
    Deribit's portfolio margin page before 2024, "short options contingency".
    """
    return np.where(net < 0, -net, 0.0 * net) * per_option
