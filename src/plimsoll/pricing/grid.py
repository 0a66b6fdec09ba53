"""Options under scenarios: every option repriced under every joint move of price and vol."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s, Int64s
from plimsoll.market import ScenarioGrid
from plimsoll.pricing.kernels import fill_grid, fill_reduced

MOVE_MAX = 1e6
"""A greater move is a mistake."""

_VOL_GROWTH_MIN = 1e-14
# Stands for the logarithm of nothing, where 0 × infinity would not be a number.
_LOG_GROWTH_MIN = -1000.0


@dataclass(frozen=True, slots=True)
class OptionColumns:
    """Options as columns of shape [options], in the units of ``black76``.

    The value of an option with ``is_coin_settled`` is in coins: over the forward of its scenario.
    """

    forward: Floats
    strike: Floats
    time: Floats
    vol: Floats
    is_call: Bools
    discount: Floats
    is_coin_settled: Bools

    def __post_init__(self) -> None:
        columns = (self.forward, self.strike, self.time, self.vol, self.is_call, self.discount,
                   self.is_coin_settled)  # fmt: skip
        if self.forward.ndim != 1 or any(c.shape != self.forward.shape for c in columns):
            raise InputError(
                "option columns",
                f"shapes {', '.join(str(c.shape) for c in columns)} differ or are not flat",
                "give one number per option in every column",
            )


@dataclass(frozen=True, slots=True)
class OptionShocks:
    """Scenarios in which the move of vol differs between options, as it does by tenor.

    ``price_move`` is [scenarios]; ``vol_move`` is [rows, scenarios], and ``vol_row``, [options],
    names each option's row. Both are relative: 0.5 raises by half, -1 leaves nothing.
    """

    price_move: Floats
    vol_move: Floats
    vol_row: Int64s

    def __post_init__(self) -> None:
        if self.price_move.ndim != 1 or self.vol_move.shape[1:] != self.price_move.shape:
            raise InputError(
                "option shocks",
                f"vol moves of shape {self.vol_move.shape} for {self.price_move.shape} scenarios",
                "give [rows, scenarios]",
            )
        moves = np.concatenate([self.price_move, self.vol_move.ravel()])
        if not np.all((moves >= -1.0) & (moves <= MOVE_MAX)):
            raise InputError(
                "option shocks",
                f"a move is below -1, above {MOVE_MAX:g} or not a number",
                "mend the scenarios",
            )
        if self.vol_row.size and not 0 <= self.vol_row.min() <= self.vol_row.max() < len(
            self.vol_move
        ):
            raise InputError("option shocks", "an option names a missing row", "mend vol_row")


def shocks_of_grid(grid: ScenarioGrid, option_count: int) -> OptionShocks:
    """The same moves of vol for all options."""
    rows = np.zeros(option_count, np.int64)
    return OptionShocks(grid.price_move, grid.vol_move[np.newaxis], rows)


def reprice_grid(options: OptionColumns, shocks: OptionShocks, out: Floats) -> Int8s:
    """Fill the caller's ``out``, shape [options, scenarios], with values; returns statuses.

    Values are as from ``black76`` with forward × (1 + price move) and vol × (1 + vol move), to
    5e-15 of the smaller of the forward and the strike, and bit for bit the same at a move of zero.
    Statuses, shape [options], are ``PriceStatus``; rows without a value are NaN. A price move of
    -1 leaves coin-settled calls NaN and puts infinite. Runs on all threads; their number changes
    no bit.
    """
    count, scenarios = options.forward.size, shocks.price_move.size
    if out.shape != (count, scenarios) or out.dtype != np.float64 or not out.flags.c_contiguous:
        raise InputError(
            "reprice_grid",
            f"out is {out.dtype} of shape {out.shape} for {count} options × {scenarios} scenarios",
            "give a C-ordered float64 array of [options, scenarios]",
        )
    if shocks.vol_row.shape != (count,):
        raise InputError(
            "reprice_grid",
            f"{shocks.vol_row.size} rows of vol moves for {count} options",
            "give one per option",
        )
    forward, strike, time, vol, discount = (
        np.ascontiguousarray(column, np.float64)
        for column in (options.forward, options.strike, options.time, options.vol, options.discount)
    )
    status, reduced = np.empty(count, np.int8), np.empty((5, count))
    fill_reduced(forward, strike, time, vol, discount, status, reduced)
    growth, vol_growth = 1.0 + shocks.price_move, 1.0 + shocks.vol_move
    inverse_vol_growth = 1.0 / np.maximum(vol_growth, _VOL_GROWTH_MIN)
    with np.errstate(divide="ignore"):
        log_growth = np.maximum(np.log1p(shocks.price_move), _LOG_GROWTH_MIN)
    fill_grid(
        reduced, np.ascontiguousarray(options.is_call, np.bool_),
        np.where(options.is_coin_settled, forward, 0.0),
        np.ascontiguousarray(shocks.vol_row, np.int64), growth,
        log_growth * inverse_vol_growth, np.ascontiguousarray(vol_growth), inverse_vol_growth, out,
    )  # fmt: skip
    return status


def subtract_base(out: Floats, base: Floats) -> None:
    """Turn values ``out``, shape [options, scenarios], into profits of a long option in place.

    ``base`` is each option's value before the move, shape [options], in the same currency.
    """
    np.subtract(out, base[:, np.newaxis], out=out)
