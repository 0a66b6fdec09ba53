"""Boxes: how far each row of the market may move before slopes are found anew.

A pool's slopes hold in the box of its phase. Boxes of different phases differ in reach, and each
is drawn anew around the present when a row leaves it, so that only a few of a row's pools are
judged again at one tick.
"""

import numpy as np

from plimsoll.core import Bools, Floats, Int64s
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.watch.ladder import Ladder
from plimsoll.margin.watch.market_rows import MarketRows
from plimsoll.market import Market

MOVE_USUAL = 0.05
"""Relative daily move of a price, a forward or a volatility that nothing is said about."""
MOVE_PEGGED = 0.002
"""The same for an asset within 5 % of a dollar."""
MOVE_RATE = 0.002
"""Daily move of an interest rate."""
DAY_SECONDS = 86_400.0
STEP_SHARE = 2.0**-6
"""The shortest step, in usual daily moves."""
BOX_MOVES, BOX_MAX = 6.0, 0.4
"""Reach of the widest box in usual moves, and at most; its upper edge stays below twice the
lower, so that differences of prices inside are exact."""


def usual_moves(market: Market) -> Floats:
    """Daily moves by row of ``MarketRows``, for a watch that is told none.

    They only steer how work is shared out: results do not depend on them.
    """
    count, assets, index = len(market.instruments), market.index.size, market.index
    pegged = np.where(np.abs(index - 1.0) < 0.05, MOVE_PEGGED, MOVE_USUAL)
    contracts = np.full(count, MOVE_USUAL)
    rates = np.full(assets, MOVE_RATE)
    return np.concatenate([contracts, pegged, contracts, contracts, rates, [DAY_SECONDS]])


def with_price_moves(market: Market, price_moves: Floats) -> Floats:
    """``usual_moves`` with those of prices given, by row of ``Market.price``."""
    moves = usual_moves(market)
    moves[: price_moves.size] = price_moves
    return moves


def draw_boxes(
    ladder: Ladder, layout: MarketRows, rows: Int64s, price: Floats, moves: Floats, boxes: Int64s
) -> None:
    """Draw some boxes of some rows around ``price`` [rows]."""
    share = (0.5 + 0.5 * (boxes + 1) / ladder.low.shape[0])[:, np.newaxis]
    fraction = share * np.minimum(BOX_MOVES * moves[rows], BOX_MAX)
    low, high = price / (1.0 + fraction), price * (1.0 + fraction)
    is_rate, is_time = rows >= layout.rate, rows == layout.time
    reach = share * BOX_MOVES * moves[rows]
    low, high = np.where(is_rate, price - reach, low), np.where(is_rate, price + reach, high)
    # Time only goes on, and a day of it is reach enough.
    low = np.where(is_time, price, low)
    high = np.where(is_time, price + share * moves[rows], high)
    ladder.low[np.ix_(boxes, rows)] = low
    ladder.high[np.ix_(boxes, rows)] = high
    ladder.inner_low[rows] = ladder.low[:, rows].max(axis=0)
    ladder.inner_high[rows] = ladder.high[:, rows].min(axis=0)


def rest_rows(
    ladder: Ladder, layout: MarketRows, rows: Int64s, price: Floats, moves: Floats
) -> None:
    """Set the usual move and the shortest step of those of some rows that have no leg."""
    kinds = ladder.phase.size
    heads = ladder.lists["head"].reshape(-1, kinds)[rows]
    is_free = (heads < 0).all(axis=1)
    free = rows[is_free]
    move = np.where(free < layout.rate, np.abs(price[is_free]), 1.0) * moves[free]
    ladder.move[free] = np.where(np.isfinite(move), move, 0.0)
    # Not zero where the product was: a step has to be above 0.
    ladder.unit[free] = np.where(ladder.move[free] > 0.0, ladder.move[free] * STEP_SHARE, 1.0)
    ladder.near_low[free], ladder.near_high[free] = -np.inf, np.inf


def marked_by(
    layout: MarketRows, table: InstrumentTable, rows: Int64s
) -> tuple[Bools, Bools, bool]:
    """Contracts and assets that depend on any of some rows, and whether the time is among them."""
    count, assets = layout.instruments, layout.assets
    is_moved = np.zeros(layout.count, dtype=np.bool_)
    is_moved[rows] = True
    index = is_moved[layout.index : layout.index + assets].copy()
    index |= is_moved[layout.rate : layout.rate + assets]
    contract = index[table.base] | index[table.quote] | index[table.settle]
    for first in (layout.mark, layout.forward, layout.vol):
        contract |= is_moved[first : first + count]
    return contract, index, bool(is_moved[layout.time])
