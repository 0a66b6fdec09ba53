"""Joint scan: one set of scenarios moves every underlying, and a pool nets what they do to it.

Contracts are revalued once, [instruments × scenarios]; coins held move with them. Inside an
underlying everything nets. Across underlyings a pool is charged the sum of what each would lose
alone, less a credit for opposed sides. With A the sum of standalone losses w, J the worst joint
loss (together, bloc against bloc, or one underlying alone), u and d the losses of rises and of
falls, o the offset of an underlying, and the sides L = sum of o × (w - u), S = sum of o × (w - d):

    charge = A - min(A - J, 2 × min(L, S)) = max(J, A - 2 L, A - 2 S).

Two linear legs of losses a >= b in opposite directions give A - J = 2 b at most, so an offset of
1 nets them in full and one of 0 not at all. The three terms are sums over underlyings, so that
one pass over a pool's rows is enough, and the worst fills of open orders are the worst of each
underlying, term by term, exactly. Sources: CME SPAN (inter-commodity credit as a fraction of both
legs' scanning risk); Nasdaq Clearing's statement of 13 September 2018 on what an uncapped offset
costs when it breaks.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, Int8s, Int32s, Int64s, sum_by
from plimsoll.instruments import Kind, value_coefficient
from plimsoll.margin.charges.scan.contracts import option_years
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.layout import Layout
from plimsoll.market import Market
from plimsoll.pricing import TenorLaw, shock_vol
from plimsoll.pricing.numerics import fma


def ranged_moves(units: Floats, vol_units: Floats, price_range: Floats) -> tuple[Floats, Floats]:
    """Relative moves and weights of scenarios stated in ranges, shape [assets, scenarios].

    ``units`` [assets, scenarios] counts ranges: u × range up to one range, beyond it the range
    compounded |u| times, weighted by range / |move| so that a linear contract loses its range's
    loss and what remains is curvature. ``vol_units`` [scenarios] counts volatility shocks,
    weighted by 1 / |v| beyond one. A range of NaN gives NaN.
    """
    each = price_range[:, np.newaxis]
    far = np.abs(units) > 1
    compounded = (1.0 + np.sign(units) * each) ** np.abs(units) - 1.0
    move = np.where(far, compounded, units * each)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(far, each / np.abs(move), np.where(np.isnan(each), np.nan, 1.0))
    return move, weight / np.maximum(np.abs(vol_units), 1.0)


@dataclass(frozen=True, slots=True)
class VolShocks:
    """Volatility shocks: relative sizes at the law's reference, and floors, fractions a year."""

    up: float
    down: float
    law: TenorLaw
    vol_min_up: float
    vol_min_down: float


def unit_vol_moves(market: Market, vol_units: Floats, shocks: VolShocks) -> Floats:
    """Relative moves of volatility, [instruments, scenarios]; 0 for all but options.

    ``vol_units``, [scenarios], counts shocks, signed. A shock down stops at its floor and never
    lifts a volatility that is below it. NaN where a volatility is missing.
    """
    rows = np.flatnonzero(market.instruments.of_kind(Kind.OPTION))
    vol, days = market.implied_vol[rows], option_years(market)[rows] * 365.0
    out = np.zeros((len(market.instruments), vol_units.size))
    for unit in np.unique(vol_units[vol_units != 0]):
        move = np.full(rows.size, unit * (shocks.up if unit > 0 else shocks.down))
        shocked = shock_vol(shocks.law, vol, days, move, shocks.vol_min_up, absolute=False)
        if unit < 0:
            shocked = np.maximum(shocked, np.minimum(vol, shocks.vol_min_down))
        columns = np.flatnonzero(vol_units == unit)
        out[np.ix_(rows, columns)] = (shocked / vol - 1.0)[:, np.newaxis]
    return out


@dataclass(frozen=True, slots=True)
class JointColumns:
    """What a scan knows of its scenarios.

    ``coin_profit``, [assets, scenarios]: weighted profit per USD of a coin, 0 for what is not
    scanned. ``direction``, [assets, scenarios]: sign of the asset's move. ``reach``,
    [scenarios]: size of a move that all make together, in ranges; inf where it may not stand
    for one underlying alone. ``is_apart``, [scenarios]: whether blocs part. ``alone``,
    [assets]: the reach within which the asset moves alone. ``offset``, [assets]: 0 to 1.
    """

    coin_profit: Floats
    direction: Int8s
    reach: Floats
    is_apart: Bools
    alone: Floats
    offset: Floats


@dataclass(frozen=True, slots=True)
class RiskRows:
    """Rows of a scan: each asset that is an underlying, a coin or both in a pool, in order.

    Pool p owns rows ``offsets`` [p] to [p + 1]; the others say which row each belongs to.
    """

    offsets: Int64s
    asset: Int32s
    slot_row: Int64s
    cell_row: Int64s


def risk_rows(layout: Layout) -> RiskRows:
    """The rows of all pools. Groups and cells of a layout are sorted by asset within a pool."""
    groups, cells = layout.group_underlying.size, layout.cell_asset.size
    offsets = np.zeros(layout.slot_offsets.size, dtype=np.int64)
    asset = np.empty(groups + cells, dtype=np.int32)
    group_row, cell_row = np.empty(groups, np.int64), np.empty(cells, np.int64)
    _merge_rows(
        layout.group_offsets, layout.group_underlying, layout.cell_offsets, layout.cell_asset,
        offsets, asset, group_row, cell_row,
    )  # fmt: skip
    return RiskRows(offsets, asset[: offsets[-1]], group_row[layout.slot_group], cell_row)


@dataclass(frozen=True, slots=True)
class Fills:
    """Open orders by slot, as if each side filled: contracts and what that loses at once, USD.

    A fill at a limit worse than mark loses the difference; a better limit gains nothing, since
    by then the mark has come to it.
    """

    buys: Floats
    sells: Floats
    buy_loss: Floats
    sell_loss: Floats


def order_fills(exposure: Exposure, market: Market) -> Fills:
    """Fills of the orders that are neither reduce-only nor spot; NaN where mark is unusable."""
    table, orders, slots = exposure.instruments, exposure.orders, exposure.quantity.size
    nothing = np.zeros(slots)
    if not orders.quantity.size:
        return Fills(nothing, nothing, nothing, nothing)
    held = exposure.layout.slot_instrument[orders.slot]
    opens = ~orders.is_reduce_only & (orders.quantity != 0) & ~table.of_kind(Kind.SPOT)[held]
    inverse, multiplier = table.is_inverse[held], table.multiplier[held]
    at_mark = value_coefficient(inverse, multiplier, market.mark[held])
    gain = at_mark - value_coefficient(inverse, multiplier, orders.price)
    profit = orders.quantity * gain * market.index[table.settle[held]]
    # maximum() keeps a NaN: a fill that cannot be valued is no free fill.
    loss = np.where(opens, np.maximum(-profit, 0.0), 0.0)
    is_buy = orders.quantity > 0
    return Fills(
        exposure.buys,
        exposure.sells,
        sum_by(orders.slot, np.where(is_buy, loss, 0.0), slots),
        sum_by(orders.slot, np.where(is_buy, 0.0, loss), slots),
    )


@dataclass(frozen=True, slots=True)
class ScanSide:
    """A scan's figures in USD; NaN where a price or a rule is missing.

    By row, >= 0: ``positions``, the worst loss without coins, ``standalone``, the worst with
    them. By pool: ``total``, the sum of standalone; ``joint``, the worst joint loss, >= 0;
    ``long_left`` and ``short_left``, the total less twice a side.
    """

    positions: Floats
    standalone: Floats
    total: Floats
    joint: Floats
    long_left: Floats
    short_left: Floats

    @property
    def charge(self) -> Floats:
        """Sum of standalone losses less the credit, shape [pools]."""
        return np.asarray(np.maximum(self.joint, np.maximum(self.long_left, self.short_left)))


@dataclass(frozen=True, slots=True)
class JointScan:
    """A scan as positions are, and with the worst of an underlying's orders filled: none, all

    buys or all sells. ``alone``, by row, is the worst loss of moving alone. ``worst`` and
    ``worst_apart``, by pool, number the worst scenario of all and of those in which blocs part;
    -1 for no loss.
    """

    held: ScanSide
    filled: ScanSide
    alone: Floats
    worst: Int64s
    worst_apart: Int64s


def scan_jointly(
    exposure: Exposure,
    rows: RiskRows,
    fills: Fills,
    cell_value: Floats,
    profits: Floats,
    columns: JointColumns,
) -> JointScan:
    """The scan of all pools.

    ``profits``, [instruments, scenarios], are weighted USD of one long contract; ``cell_value``
    is the USD value of what each cell's coins are worth now. Slots and cells that hold nothing
    are skipped, so that what they cannot be priced at does not matter.
    """
    layout, pools = exposure.layout, rows.offsets.size - 1
    most = int(np.max(np.diff(rows.offsets), initial=0))
    by_row = np.zeros((5, rows.asset.size))
    by_pool, worst = np.zeros((8, pools)), np.full((2, pools), -1, dtype=np.int64)
    scenarios = profits.shape[1]
    _scan_pools(
        rows.offsets, rows.asset, layout.slot_offsets, rows.slot_row, layout.slot_instrument,
        layout.cell_offsets, rows.cell_row, exposure.quantity, fills.buys, fills.sells,
        fills.buy_loss, fills.sell_loss, cell_value, np.ascontiguousarray(profits),
        columns.coin_profit, columns.direction, columns.reach, columns.is_apart, columns.alone,
        columns.offset, np.empty((3, most, scenarios)), np.empty((2, scenarios)),
        np.empty(most, dtype=np.bool_), by_row, by_pool, worst,
    )  # fmt: skip
    return JointScan(
        held=ScanSide(by_row[0], by_row[1], *by_pool[:4]),
        filled=ScanSide(by_row[2], by_row[3], *by_pool[4:]),
        alone=by_row[4],
        worst=worst[0],
        worst_apart=worst[1],
    )


def row_profits(
    exposure: Exposure,
    rows: RiskRows,
    scenario: Int64s,
    cell_value: Floats,
    profits: Floats,
    columns: JointColumns,
) -> Floats:
    """Profit of each row in one scenario of its pool, USD, shape [rows]; 0 where it is -1."""
    count = rows.asset.size
    pool = np.repeat(np.arange(scenario.size), np.diff(rows.offsets))
    column = scenario[pool]
    slot_column = column[rows.slot_row]
    profit = profits[exposure.layout.slot_instrument, slot_column]
    held = np.where((exposure.quantity == 0) | (slot_column < 0), 0.0, exposure.quantity * profit)
    cell_column = column[rows.cell_row]
    coin = columns.coin_profit[exposure.layout.cell_asset, cell_column]
    idle = (cell_value == 0) | (coin == 0) | (cell_column < 0)
    owned = np.where(idle, 0.0, cell_value * coin)
    return sum_by(rows.slot_row, held, count) + sum_by(rows.cell_row, owned, count)


@nb.njit(cache=True, nogil=True)
def _merge_rows(
    group_offsets: Int64s, group_asset: Int32s, cell_offsets: Int64s, cell_asset: Int32s,
    offsets: Int64s, asset: Int32s, group_row: Int64s, cell_row: Int64s,
) -> None:  # fmt: skip
    """Fill the union of two sorted lists of assets, pool by pool, and where each one went."""
    row = 0
    for pool in range(offsets.size - 1):
        group, cell = group_offsets[pool], cell_offsets[pool]
        group_end, cell_end = group_offsets[pool + 1], cell_offsets[pool + 1]
        while group < group_end or cell < cell_end:
            takes_group = group < group_end and (
                cell == cell_end or group_asset[group] <= cell_asset[cell]
            )
            asset[row] = group_asset[group] if takes_group else cell_asset[cell]
            if takes_group:
                group_row[group] = row
                group += 1
            if cell < cell_end and cell_asset[cell] == asset[row]:
                cell_row[cell] = row
                cell += 1
            row += 1
        offsets[pool + 1] = row


@nb.njit(cache=True, nogil=True)
def _scan_pools(
    row_offsets: Int64s, row_asset: Int32s, slot_offsets: Int64s, slot_row: Int64s,
    slot_instrument: Int32s, cell_offsets: Int64s, cell_row: Int64s,
    quantity: Floats, buys: Floats, sells: Floats, buy_loss: Floats, sell_loss: Floats,
    cell_value: Floats, profits: Floats, coin_profit: Floats, direction: Int8s, reach: Floats,
    is_apart: Bools, alone: Floats, offset: Floats, cells: Floats, joint: Floats, ordered: Bools,
    by_row: Floats, by_pool: Floats, worst: Int64s,
) -> None:  # fmt: skip
    """Fill ``by_row``, ``by_pool`` and ``worst`` pool by pool; the rest is scratch.

    ``cells`` is [held, bought, sold][rows][scenarios], ``joint`` [held, filled][scenarios].
    """
    for pool in range(row_offsets.size - 1):
        first, end = row_offsets[pool], row_offsets[pool + 1]
        cells[0, : end - first] = 0.0
        joint[:] = 0.0
        ordered[: end - first] = False
        for slot in range(slot_offsets[pool], slot_offsets[pool + 1]):
            row = slot_row[slot] - first
            _add_slot(
                cells, row, ordered, profits[slot_instrument[slot]], quantity[slot],
                buys[slot], sells[slot], buy_loss[slot], sell_loss[slot],
            )  # fmt: skip
        for row in range(first, end):
            local = row - first
            for k in range(3 if ordered[local] else 1):
                if k > 0:
                    cells[k, local] += cells[0, local]
                loss = _worst_loss(cells[k, local])
                by_row[2, row] = _larger(by_row[2, row], loss)
                if k == 0:
                    by_row[0, row] = loss
        for cell in range(cell_offsets[pool], cell_offsets[pool + 1]):
            if cell_value[cell] != 0.0:
                row = cell_row[cell] - first
                coin = coin_profit[row_asset[first + row]]
                for s in range(coin.size):
                    if coin[s] != 0.0:
                        for k in range(3 if ordered[row] else 1):
                            cells[k, row, s] += cell_value[cell] * coin[s]
        _fold_rows(
            cells, joint, ordered, first, end, row_asset, direction, reach, alone, offset,
            by_row, by_pool, pool,
        )  # fmt: skip
        _close_pool(joint, is_apart, by_pool, worst, pool)


@nb.njit(cache=True, nogil=True)
def _add_slot(
    cells: Floats, row: int, ordered: Bools, profit: Floats, held: float, bought: float,
    sold: float, buy_loss: float, sell_loss: float,
) -> None:  # fmt: skip
    """Add one slot to its row: what is held, and what its buys and its sells would add."""
    scenarios = profit.size
    if (bought != 0.0 or sold != 0.0) and not ordered[row]:
        cells[1, row], cells[2, row] = 0.0, 0.0
        ordered[row] = True
    if held != 0.0:
        for s in range(scenarios):
            cells[0, row, s] = fma(held, profit[s], cells[0, row, s])
    if bought != 0.0:
        for s in range(scenarios):
            cells[1, row, s] += bought * profit[s] - buy_loss
    if sold != 0.0:
        for s in range(scenarios):
            cells[2, row, s] -= sold * profit[s] + sell_loss


@nb.njit(cache=True, nogil=True)
def _fold_rows(
    cells: Floats, joint: Floats, ordered: Bools, first: int, end: int, row_asset: Int32s,
    direction: Int8s, reach: Floats, alone: Floats, offset: Floats,
    by_row: Floats, by_pool: Floats, pool: int,
) -> None:  # fmt: skip
    """Turn each row's cells into its losses and add them to the pool's."""
    for row in range(first, end):
        local, asset = row - first, row_asset[row]
        for s in range(reach.size):
            least = cells[0, local, s]
            joint[0, s] += least
            if ordered[local]:
                least = _smaller(_smaller(least, cells[1, local, s]), cells[2, local, s])
            joint[1, s] += least
        long_left, short_left, most_alone = -np.inf, -np.inf, 0.0
        for k in range(3 if ordered[local] else 1):
            standalone, down, up, lone = _row_losses(
                cells[k, local], direction[asset], reach, alone[asset]
            )
            by_row[3, row] = _larger(by_row[3, row], standalone)
            twice = 2.0 * offset[asset]
            long_left = _larger(long_left, standalone - twice * (standalone - up))
            short_left = _larger(short_left, standalone - twice * (standalone - down))
            most_alone = _larger(most_alone, lone)
            if k == 0:
                by_row[1, row], by_row[4, row] = standalone, lone
                by_pool[0, pool] += standalone
                by_pool[1, pool] = _larger(by_pool[1, pool], lone)
                by_pool[2, pool] += long_left
                by_pool[3, pool] += short_left
        by_pool[4, pool] += by_row[3, row]
        by_pool[5, pool] = _larger(by_pool[5, pool], most_alone)
        by_pool[6, pool] += long_left
        by_pool[7, pool] += short_left


@nb.njit(cache=True, nogil=True)
def _close_pool(joint: Floats, is_apart: Bools, by_pool: Floats, worst: Int64s, pool: int) -> None:
    """Fold the pool's scenarios into its joint losses, and note the worst ones."""
    most, most_apart = 0.0, 0.0
    for s in range(is_apart.size):
        loss = -joint[0, s]
        by_pool[1, pool] = _larger(by_pool[1, pool], loss)
        by_pool[5, pool] = _larger(by_pool[5, pool], -joint[1, s])
        if loss > most:
            most, worst[0, pool] = loss, s
        if is_apart[s] and loss > most_apart:
            most_apart, worst[1, pool] = loss, s


@nb.njit(cache=True, nogil=True)
def _row_losses(
    cells: Floats, direction: Int8s, reach: Floats, alone: float
) -> tuple[float, float, float, float]:
    """The largest loss of a row of profits: in all scenarios, in falls, in rises, alone."""
    standalone, down, up, lone = 0.0, 0.0, 0.0, 0.0
    for s in range(cells.size):
        loss = -cells[s]
        standalone = _larger(standalone, loss)
        if direction[s] < 0:
            down = _larger(down, loss)
        elif direction[s] > 0:
            up = _larger(up, loss)
        if reach[s] <= alone:
            lone = _larger(lone, loss)
    return standalone, down, up, lone


@nb.njit(cache=True, nogil=True)
def _worst_loss(cells: Floats) -> float:
    worst = 0.0
    for s in range(cells.size):
        worst = _larger(worst, -cells[s])
    return worst


@nb.njit(cache=True, nogil=True)
def _larger(left: float, right: float) -> float:
    """The larger of two; NaN where either is."""
    return right if right > left or right != right else left


@nb.njit(cache=True, nogil=True)
def _smaller(left: float, right: float) -> float:
    """The smaller of two; NaN where either is."""
    return right if right < left or right != right else left
