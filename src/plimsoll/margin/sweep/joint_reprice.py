"""Rows of a sheet of ``plimsoll.portfolio`` at new prices, one contract at a time.

When a price moves only the rows of contracts that it stands in change. The kernel writes into a
sheet's tables what ``prepare`` would write at those prices and the same time, to the last bit: it
does the same operations in the same order, and Black-76 has the same bits alone as in a grid.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from plimsoll.core import Floats, Int32s, Int64s
from plimsoll.instruments import Kind, Payoff
from plimsoll.margin.charges import VolShocks, option_years
from plimsoll.margin.sweep.joint_tables import (
    BASE_INDEX,
    DELTA,
    FEE,
    FLOOR,
    ODD,
    OWED,
    PRICE,
    QUOTE_INDEX,
    SETTLE_INDEX,
    VALUE,
    JointTables,
)
from plimsoll.margin.sweep.plain.columns import fill_plain
from plimsoll.market import Market
from plimsoll.pricing.kernels import DEVIATION_MIN, black_value, option_status, reduce_option
from plimsoll.pricing.numerics import Z_MAX, fma, normal_cdf
from plimsoll.pricing.shocks import tenor_multiplier
from plimsoll.pricing.status import PriceStatus

PAYOFF, IS_OPTION, IS_CALL, GRID, BASE, QUOTE, SETTLE, IS_SPOT = range(8)
"""Columns of ``Repricing.ids``."""
MULTIPLIER, STRIKE, YEARS, TENOR = range(4)
"""Columns of ``Repricing.numbers``; TENOR is the factor on a volatility shock."""
UP, DOWN, VOL_MIN_UP, VOL_MIN_DOWN, SHORT_RATE, FEE_RATE, OPTION_FEE_RATE = range(7)
"""Entries of ``Repricing.rates``."""
MOVE, IN_COIN, LOG_GROWTH = range(3)
"""Kinds of ``Repricing.moves``."""

_INVERSE, _QUANTO, _LINEAR = int(Payoff.INVERSE), int(Payoff.QUANTO), int(Payoff.LINEAR)
_GOOD, _EXPIRED = int(PriceStatus.OK), int(PriceStatus.EXPIRED)
# As in pricing.grid: below, a growth of volatility, or its logarithm, stands for nothing left.
_VOL_GROWTH_MIN, _LOG_GROWTH_MIN = 1e-14, -1000.0


class Repricing(NamedTuple):
    """What does not move with prices. ``ids`` and ``numbers`` [instruments, ...] by column.

    ``moves`` [3, grids, scenarios]: relative moves, those of an inverse contract in coins, and
    logarithms of growth. ``growth`` and ``weight`` [assets, scenarios], ``vol_units``
    [scenarios], ``rates`` [7].
    """

    ids: Int64s
    numbers: Floats
    moves: Floats
    growth: Floats
    weight: Floats
    vol_units: Floats
    rates: Floats


class Prices(NamedTuple):
    """``mark``, ``forward`` and ``vol`` [instruments], ``index`` [assets], as in ``Market``."""

    mark: Floats
    index: Floats  # type: ignore[assignment]
    forward: Floats
    vol: Floats

    @classmethod
    def of_market(cls, market: Market) -> "Prices":
        """Copies, to be moved."""
        return cls(
            market.mark.copy(), market.index.copy(), market.forward.copy(),
            market.implied_vol.copy(),
        )  # fmt: skip


def build_repricing(
    market: Market, pair_move: Floats, grid: Int64s, move: Floats, weight: Floats,
    vol_units: Floats, vol: VolShocks, rates: tuple[float, float, float],
) -> Repricing:  # fmt: skip
    """Columns at a market's time; ``rates`` of sold options, of fees, of fees of options."""
    table = market.instruments
    years = option_years(market)
    is_option, is_spot = table.of_kind(Kind.OPTION), table.of_kind(Kind.SPOT)
    ids = np.stack(
        [table.payoff, is_option, table.is_call, grid, table.base, table.quote, table.settle,
         is_spot],
        axis=1,
    ).astype(np.int64)  # fmt: skip
    tenor = np.ones(len(table))
    tenor[is_option] = tenor_multiplier(vol.law, years[is_option] * 365.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.maximum(np.log1p(pair_move), _LOG_GROWTH_MIN)
        moves = np.stack([pair_move, pair_move / (1.0 + pair_move), logs])
    return Repricing(
        ids, np.stack([table.multiplier, table.strike, years, tenor], axis=1), moves, 1.0 + move,
        np.ascontiguousarray(weight), np.ascontiguousarray(vol_units),
        np.array([vol.up, vol.down, vol.vol_min_up, vol.vol_min_down, *rates]),
    )  # fmt: skip


@nb.njit(forceinline=True)
def shocked_growth(vol: float, unit: float, tenor: float, rates: Floats) -> float:
    """1 plus the relative move of an option's volatility, as from ``unit_vol_moves``."""
    if unit == 0.0:
        return 1.0
    move = unit * (rates[UP] if unit > 0.0 else rates[DOWN])
    shocked = vol * (1.0 + move * tenor)
    floor = rates[VOL_MIN_UP] if move > 0.0 else 0.0
    # Compared so that a NaN stays.
    shocked = floor if shocked < floor else shocked  # noqa: FURB136
    if move == 0.0:
        shocked = vol + 0.0 * shocked
    if unit < 0.0:
        least = rates[VOL_MIN_DOWN]
        least = least if least < vol else vol  # noqa: FURB136
        shocked = least if shocked < least else shocked  # noqa: FURB136
    return float(1.0 + (shocked / vol - 1.0))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_option(i: int, prices: Prices, repricing: Repricing, row: Floats) -> None:
    """Fill ``row`` with an option's profits in its settle asset."""
    ids, numbers, moves = repricing.ids, repricing.numbers, repricing.moves
    forward, vol, years = prices.forward[i], prices.vol[i], numbers[i, YEARS]
    strike, size, grid = numbers[i, STRIKE], numbers[i, MULTIPLIER], ids[i, GRID]
    is_call, in_coin = ids[i, IS_CALL] != 0, ids[i, PAYOFF] == _INVERSE
    f, k, h, inverse, t = reduce_option(forward, strike, years, vol, 1.0)
    base = black_value(f, k, h, t, is_call)
    if in_coin:
        base = base / forward if forward > 0.0 else math.nan
    is_known = True
    for s in range(repricing.vol_units.size):
        vols = shocked_growth(vol, repricing.vol_units[s], numbers[i, TENOR], repricing.rates)
        is_known &= math.isfinite(vols)
        growth = 1.0 + moves[MOVE, grid, s]
        bounded = _VOL_GROWTH_MIN if vols < _VOL_GROWTH_MIN else vols  # noqa: FURB136
        inverse_vols = 1.0 / bounded
        moved = fma(h, inverse_vols, moves[LOG_GROWTH, grid, s] * inverse_vols * inverse)
        value = black_value(f * growth, k, moved, t * vols, is_call)
        if in_coin and forward > 0.0:
            value /= forward * growth
        row[s] = (value - base) * size
    if not is_known:
        row[:] = math.nan


@nb.njit(cache=True, nogil=True, error_model="numpy")
def fill_outright(i: int, prices: Prices, repricing: Repricing, row: Floats) -> float:
    """Fill ``row`` with the profits of a contract without curvature; returns its delta, coins."""
    ids, size, mark = repricing.ids, repricing.numbers[i, MULTIPLIER], prices.mark[i]
    is_inverse, grid = ids[i, PAYOFF] == _INVERSE, ids[i, GRID]
    scale = size / mark if is_inverse else size * mark
    kind = IN_COIN if is_inverse else MOVE
    for s in range(repricing.vol_units.size):
        row[s] = scale * repricing.moves[kind, grid, s] if grid >= 0 else math.nan
    if is_inverse:
        return float(size / mark)
    if ids[i, PAYOFF] == _QUANTO:
        return float(size * prices.index[ids[i, SETTLE]] / prices.index[ids[i, QUOTE]])
    return math.nan if math.isnan(mark) else float(size)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def reprice_rows(
    instruments: Int32s, prices: Prices, repricing: Repricing, tables: JointTables
) -> None:
    """Write some contracts' rows of a sheet at new prices, as ``prepare`` would write them.

    Contracts are those whose mark, forward or volatility has moved, or the index of their base,
    quote or settle asset; the indices of these assets are written too. On one thread; for other
    compiled code as well.
    """
    ids, index, numbers, rates = repricing.ids, prices.index, tables.numbers, repricing.rates
    scenarios = repricing.vol_units.size
    for i in instruments:
        row, mark, size = tables.profits[i], prices.mark[i], repricing.numbers[i, MULTIPLIER]
        base, quote, settle = ids[i, BASE], ids[i, QUOTE], ids[i, SETTLE]
        is_option, payoff = ids[i, IS_OPTION] != 0, ids[i, PAYOFF]
        if is_option:
            delta = option_delta(i, prices, repricing) * size
            row[:] = math.nan
            if ids[i, GRID] >= 0:
                fill_option(i, prices, repricing, row)
        else:
            delta = fill_outright(i, prices, repricing, row)
        odd = 0.0
        for s in range(scenarios):
            settled = index[settle] * repricing.growth[settle, s]
            row[s] = row[s] * settled * repricing.weight[base, s]
            odd = math.nan if math.isnan(row[s]) else odd
        row[scenarios:] = row[scenarios - 1]
        is_inverse = payoff == _INVERSE and not is_option
        numbers[i, VALUE] = -size / mark if is_inverse else size * mark
        numbers[i, DELTA], numbers[i, ODD] = delta * index[base], odd
        at = prices.forward[i] if is_option else mark
        owes = payoff == _LINEAR and ids[i, IS_SPOT] == 0
        numbers[i, OWED] = delta * at * index[quote] if owes else 0.0
        numbers[i, FLOOR] = rates[SHORT_RATE] * size * index[base] if is_option else 0.0
        notional = (size if is_inverse else size * abs(mark)) * (
            index[settle] if payoff == _QUANTO else index[quote]
        )
        notional = math.nan if math.isnan(mark) else notional
        fee = rates[OPTION_FEE_RATE] * size * index[base]
        numbers[i, FEE] = fee if is_option else rates[FEE_RATE] * notional
        terms = tables.terms[i]
        terms[SETTLE_INDEX], terms[QUOTE_INDEX] = index[settle], index[quote]
        terms[BASE_INDEX] = index[base]
        for asset in (base, quote, settle):
            tables.assets[asset, PRICE] = index[asset]
    fill_plain(instruments, tables)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def option_delta(i: int, prices: Prices, repricing: Repricing) -> float:
    """The forward delta of an option, as from ``greeks``."""
    numbers, ids = repricing.numbers, repricing.ids
    forward, strike, years = prices.forward[i], numbers[i, STRIKE], numbers[i, YEARS]
    f, _, h, _, t = reduce_option(forward, strike, years, prices.vol[i], 1.0)
    sign, flat = 1.0 if ids[i, IS_CALL] != 0 else -1.0, 2.0 * t < DEVIATION_MIN
    status = option_status(forward, strike, years, prices.vol[i], 1.0)
    if status not in (_GOOD, _EXPIRED) or (flat and h == 0.0):
        return math.nan
    if flat:
        return float(sign * f / forward * (1.0 if sign * h > 0.0 else 0.0))
    d1 = min(max(h + t, -Z_MAX), Z_MAX)
    return float(sign * f / forward * normal_cdf(sign * d1))
