"""Slope ranges of a pool's figures along each row of the market that it depends on."""

import numba as nb

from plimsoll.book import Rows
from plimsoll.core import Floats
from plimsoll.margin.watch.contract import (
    C_HIGH,
    C_LOW,
    E_HIGH,
    E_LOW,
    M_HIGH,
    M_LOW,
    RANGES,
    Slopes,
)
from plimsoll.margin.watch.scenario.bounds import (
    curved_slopes,
)
from plimsoll.margin.watch.scenario.house import (
    ALPHA_HIGH,
    ALPHA_LOW,
    BASE,
    BETA_HIGH,
    BETA_LOW,
    CELL,
    CODE,
    COUNTED_HIGH,
    COUNTED_LOW,
    D_HIGH,
    D_LOW,
    DELTA_HIGH,
    DELTA_LOW,
    DF_LOW,
    DT_LOW,
    DV_LOW,
    F_LOW,
    FEE_RATE,
    FLOOR_HIGH,
    FLOOR_LOW,
    FREE,
    GC_HIGH,
    GC_LOW,
    GW_HIGH,
    GW_LOW,
    INDEX_HIGH,
    INDEX_LOW,
    INVERSE,
    IS_SCANNED,
    LEG,
    LINEAR,
    MONEY,
    NET_HIGH,
    NET_LOW,
    OPEN,
    OPEN_HIGH,
    OPEN_LOW,
    OPTION,
    OPTION_FEES,
    P_LOW,
    QUANTO,
    QUOTE,
    SETTLE,
    SHORTS,
    SIZE,
    T_LOW,
    TIME_HIGH,
    TIME_LOW,
    UNIT,
    V_LOW,
    JointHouse,
    JointScratch,
)
from plimsoll.margin.watch.scenario.options import (
    times,
)

CLOSE_TO = 2.0**-44
"""Part of the largest term that a range of slopes is widened by for the rounding of its sum."""


@nb.njit(forceinline=True)
def write_leg(
    slopes: Slopes, row: int, equity: tuple[float, float], counted: tuple[float, float],
    low: float, high: float,
) -> None:  # fmt: skip
    """Append a row and its ranges."""
    at = slopes.tally[0] * RANGES
    slack = (abs(low) + abs(high) + abs(equity[0]) + abs(equity[1])) * CLOSE_TO
    slopes.ranges[at + C_LOW], slopes.ranges[at + C_HIGH] = counted
    slopes.ranges[at + E_LOW], slopes.ranges[at + E_HIGH] = equity
    slopes.ranges[at + M_LOW], slopes.ranges[at + M_HIGH] = low - slack, high + slack
    slopes.row[slopes.tally[0]] = row
    slopes.tally[0] += 1


@nb.njit(forceinline=True)
def add_index(sums: Floats, a: float, b: float, low: float, high: float) -> None:
    """Add a product of ranges to the slope of margin along an asset's index."""
    least, most = times(a, b, low, high)
    sums[INDEX_LOW] += least
    sums[INDEX_HIGH] += most


@nb.njit(forceinline=True)
def shape_slopes(
    house: JointHouse, scratch: JointScratch, model: int, u: int, row: int
) -> tuple[float, float, float, float]:
    """Slopes of margin through the charge, and through the loss, along a multiple of a shape."""
    sums, totals = scratch.sums[u], scratch.totals
    own = model * house.asset_unit.size + u
    if row == own:
        return sums[GC_LOW], sums[GC_HIGH], sums[GW_LOW], sums[GW_HIGH]
    shape = house.shapes[row]
    a, b, c, d = curved_slopes(scratch, u, house.assets[own], shape, shape)
    low, high = times(totals[ALPHA_LOW], totals[ALPHA_HIGH], -b, -a)
    least, most = times(sums[BETA_LOW], sums[BETA_HIGH], -d, -c)
    return low, high, least, most


@nb.njit(forceinline=True)
def settled_slope(
    house: JointHouse, scratch: JointScratch, model: int, asset: int, equity: tuple[float, float],
    is_free: bool, is_open: bool,
) -> tuple[float, float]:  # fmt: skip
    """The slope of margin along a mark through the cell that it settles in.

    ``is_free``: the scan sees the cell move; ``is_open``: so does the depeg.
    """
    sums, net = scratch.sums[asset], scratch.net[asset]
    if house.assets[model * house.asset_unit.size + asset, IS_SCANNED] != 0.0:
        low, high = times(equity[0], equity[1], net[NET_LOW], net[NET_HIGH])
        if is_free:
            a, b = times(equity[0], equity[1], sums[GC_LOW], sums[GC_HIGH])
            low, high = low + a, high + b
        return low, high
    if not is_open:
        return 0.0, 0.0
    totals = scratch.totals
    low, high = times(totals[DELTA_LOW], totals[DELTA_HIGH], sums[OPEN_LOW], sums[OPEN_HIGH])
    return times(equity[0], equity[1], low, high)


@nb.njit(forceinline=True)
def write_outright(
    house: JointHouse, scratch: JointScratch, model: int, i: int, size: float,
    low: Floats, high: Floats, slopes: Slopes,
) -> None:  # fmt: skip
    """The leg along a mark, and what the position adds along indices."""
    ids, count = house.ids[i], house.ids.shape[0]
    base, settle, code, sums = ids[BASE], ids[SETTLE], ids[CODE], scratch.sums
    b, c, m = count + base, count + settle, count + ids[MONEY]
    row, net = house.shape[model, i], scratch.net[ids[LEG]]
    fee = house.numbers[model, FEE_RATE] * abs(size)
    gc_low, gc_high, gw_low, gw_high = shape_slopes(house, scratch, model, base, row)
    is_inverse = code == INVERSE
    cancels = is_inverse and row == model * house.asset_unit.size + base and settle == base
    if cancels:
        gc_low = gc_high = 0.0
    g_low, g_high = gc_low + gw_low, gc_high + gw_high
    if is_inverse:
        least, most = 1.0 / (high[i] * high[i]), 1.0 / (low[i] * low[i])
        value_low, value_high = times(least, most, size, size)
        worth = times(1.0 / high[i], 1.0 / low[i], size, size)
        deltas, fees, sign = worth, (fee, fee), -1.0
        fee_low = fee_high = 0.0
    else:
        value_low = value_high = size
        worth = times(low[i], high[i], size, size)
        deltas, fees, sign = (size, size), (fee * low[i], fee * high[i]), 1.0
        fee_low, fee_high = fee * low[m], fee * high[m]
    equity = times(value_low, value_high, low[c], high[c])
    counted = times(
        value_low, value_high,
        low[c] * sums[settle, COUNTED_LOW], high[c] * sums[settle, COUNTED_HIGH],
    )  # fmt: skip
    # A long inverse contract gains equity as its own worth in coins falls.
    through_scan = times(sign * equity[0], sign * equity[1], g_low, g_high)
    through_cell = settled_slope(house, scratch, model, settle, equity, not cancels, code == QUANTO)
    m_low = through_scan[0] + through_cell[0] + fee_low
    m_high = through_scan[1] + through_cell[1] + fee_high
    if is_inverse:
        turned = times(-value_high, -value_low, low[b], high[b])
        by_net = times(turned[0], turned[1], net[NET_LOW], net[NET_HIGH])
        m_low, m_high = m_low + by_net[0], m_high + by_net[1]
    write_leg(slopes, i, equity, counted, m_low, m_high)
    add_index(sums[settle], worth[0], worth[1], g_low, g_high)
    add_index(sums[ids[MONEY]], fees[0], fees[1], 1.0, 1.0)
    if code == QUANTO:
        q = count + ids[QUOTE]
        deltas = times(size, size, low[c] / high[q], high[c] / low[q])
        nets = times(net[NET_LOW], net[NET_HIGH], low[b], high[b])
        along = times(size, size, 1.0 / high[q], 1.0 / low[q])
        add_index(sums[settle], along[0], along[1], nets[0], nets[1])
        along = times(-size, -size, low[c] / (high[q] * high[q]), high[c] / (low[q] * low[q]))
        add_index(sums[ids[QUOTE]], along[0], along[1], nets[0], nets[1])
    add_index(sums[base], deltas[0], deltas[1], net[NET_LOW], net[NET_HIGH])


@nb.njit(forceinline=True)
def option_slope(
    house: JointHouse, scratch: JointScratch, model: int, i: int, o: int, contracts: float,
    leg: int,
) -> tuple[float, float]:  # fmt: skip
    """The slope of margin through the scan along what rows ``leg`` and leg + 1 of a box bound."""
    u, totals = house.ids[i, BASE], scratch.totals
    sums, box = scratch.sums[u], house.box[o]
    rule = house.assets[model * house.asset_unit.size + u]
    a, b, c, d = curved_slopes(scratch, u, rule, box[leg], box[leg + 1])
    low_c, high_c = times(totals[ALPHA_LOW], totals[ALPHA_HIGH], -b, -a)
    low_w, high_w = times(sums[BETA_LOW], sums[BETA_HIGH], -d, -c)
    return times(low_c + low_w, high_c + high_w, contracts, contracts)


@nb.njit(forceinline=True)
def write_option(
    house: JointHouse, scratch: JointScratch, model: int, i: int, contracts: float,
    low: Floats, high: Floats, slopes: Slopes,
) -> None:  # fmt: skip
    """Legs along mark, forward and volatility, and what the option adds along indices and time."""
    ids, count, totals = house.ids[i], house.ids.shape[0], scratch.totals
    base, settle, sums = ids[BASE], ids[SETTLE], scratch.sums
    b, c, f = count + base, count + settle, count + house.asset_unit.size + i
    size, net = contracts * house.units[i, SIZE], scratch.net[ids[LEG]]
    o = model * (house.now.shape[0] // house.numbers.shape[0]) + ids[OPTION]
    greeks = house.greeks[o]
    equity = times(size, size, low[c], high[c])
    counted = times(
        size, size, low[c] * sums[settle, COUNTED_LOW], high[c] * sums[settle, COUNTED_HIGH]
    )
    at_mark = settled_slope(house, scratch, model, settle, equity, True, True)
    write_leg(slopes, i, equity, counted, at_mark[0], at_mark[1])
    nets = times(net[NET_LOW], net[NET_HIGH], low[b], high[b])
    nets = times(nets[0], nets[1], size, size)
    owed = 0.0, 0.0
    if ids[CODE] == LINEAR:
        owed = settled_slope(house, scratch, model, settle, equity, False, True)
        if house.assets[model * house.asset_unit.size + settle, IS_SCANNED] != 0.0:
            owed = 0.0, 0.0
    nothing = 0.0, 0.0
    for leg, d in ((F_LOW, DF_LOW), (V_LOW, DV_LOW), (T_LOW, DT_LOW)):
        scan = option_slope(house, scratch, model, i, o, contracts, leg)
        scan = times(scan[0], scan[1], low[c], high[c])
        matched = times(nets[0], nets[1], greeks[d], greeks[d + 1])
        kept = times(greeks[d], greeks[d + 1], low[f], high[f])
        if leg == F_LOW:
            kept = kept[0] + greeks[D_LOW], kept[1] + greeks[D_HIGH]
        pegged = times(-owed[1], -owed[0], kept[0], kept[1])
        m_low, m_high = scan[0] + matched[0] + pegged[0], scan[1] + matched[1] + pegged[1]
        if leg == T_LOW:
            totals[TIME_LOW] += m_low
            totals[TIME_HIGH] += m_high
        else:
            row = f if leg == F_LOW else f + count
            write_leg(slopes, row, nothing, nothing, m_low, m_high)
    scan = option_slope(house, scratch, model, i, o, contracts, P_LOW)
    add_index(sums[settle], scan[0], scan[1], 1.0, 1.0)
    deltas = times(greeks[D_LOW], greeks[D_HIGH], size, size)
    add_index(sums[base], deltas[0], deltas[1], net[NET_LOW], net[NET_HIGH])


@nb.njit(forceinline=True)
def write_indices(house: JointHouse, scratch: JointScratch, model: int, slopes: Slopes) -> None:
    """Legs along the indices of a pool's assets, behind those of its contracts."""
    totals, assets, none = scratch.totals, house.asset_unit.size, 0.0
    for k in range(scratch.tally[0]):
        a = scratch.used[k]
        sums = scratch.sums[a]
        if sums[CELL + 1] != none or sums[CELL + 2] != none or sums[CELL] != none:
            if house.assets[model * assets + a, IS_SCANNED] != 0.0:
                net = scratch.net[a]
                add_index(sums, sums[FREE + 1], sums[FREE + 2], sums[GC_LOW], sums[GC_HIGH])
                add_index(sums, sums[CELL + 1], sums[CELL + 2], net[NET_LOW], net[NET_HIGH])
            else:
                d_low, d_high = times(
                    totals[DELTA_LOW], totals[DELTA_HIGH], sums[OPEN_LOW], sums[OPEN_HIGH]
                )
                add_index(sums, sums[OPEN + 1], sums[OPEN + 2], d_low, d_high)
        add_index(sums, sums[SHORTS], sums[SHORTS], sums[FLOOR_LOW], sums[FLOOR_HIGH])
        add_index(sums, sums[OPTION_FEES], sums[OPTION_FEES], 1.0, 1.0)
        equity = sums[CELL + 1], sums[CELL + 2]
        counted = times(equity[0], equity[1], sums[COUNTED_LOW], sums[COUNTED_HIGH])
        is_idle = equity[0] == none and equity[1] == none
        if not (is_idle and sums[INDEX_LOW] == none and sums[INDEX_HIGH] == none):
            row = house.ids.shape[0] + a
            write_leg(slopes, row, equity, counted, sums[INDEX_LOW], sums[INDEX_HIGH])


@nb.njit(forceinline=True)
def write_legs(
    house: JointHouse, rows: Rows, pool: int, model: int, low: Floats, high: Floats,
    scratch: JointScratch, slopes: Slopes,
) -> None:  # fmt: skip
    """Fill the ranges along every row that a pool depends on."""
    slopes.tally[0] = 0
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i, contracts = rows.instrument[row], 0.0
        contracts = rows.quantity[row] * house.units[i, UNIT]
        if contracts == 0.0:
            continue
        if house.ids[i, OPTION] >= 0:
            write_option(house, scratch, model, i, contracts, low, high, slopes)
        else:
            size = contracts * house.units[i, SIZE]
            write_outright(house, scratch, model, i, size, low, high, slopes)
    write_indices(house, scratch, model, slopes)
    totals, nothing = scratch.totals, (0.0, 0.0)
    if totals[TIME_LOW] != 0.0 or totals[TIME_HIGH] != 0.0:
        write_leg(slopes, low.size - 1, nothing, nothing, totals[TIME_LOW], totals[TIME_HIGH])
