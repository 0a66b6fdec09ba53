"""What a pool holds, summed by asset, underlying and leg, with ranges over the box."""

import math

import numba as nb

from plimsoll.book import Rows
from plimsoll.core import Floats
from plimsoll.margin.venues.plimsoll_portfolio_parameters import SCENARIOS
from plimsoll.margin.watch.scenario.house import (
    BASE,
    CELL,
    CODE,
    COINS,
    D_HIGH,
    D_LOW,
    EXPIRY,
    FEE_RATE,
    FEES,
    FREE,
    HAS_ROW,
    HELD,
    INVERSE,
    IS_CALL,
    IS_CURVED,
    LEG,
    LEG_SUMS,
    LINEAR,
    MONEY,
    NET,
    OPEN,
    OPTION,
    OPTION_FEE,
    OPTION_FEES,
    P_HIGH,
    P_LOW,
    QUANTO,
    QUOTE,
    RATE_LEAST,
    SETTLE,
    SHORT_RATE,
    SHORTS,
    SIZE,
    STRIKE,
    SUMS,
    UNIT,
    UNRULED,
    JointHouse,
    JointScratch,
)
from plimsoll.margin.watch.scenario.options import (
    YEAR_S,
    bound_option,
    price_option,
    times,
)
from plimsoll.pricing.kernels import reduce_option
from plimsoll.pricing.numerics import normal_cdf

WIDER = 3.0
"""An option's box is at most so many times as wide as one asked for."""


@nb.njit(forceinline=True)
def begin(scratch: JointScratch) -> None:
    """Forget the pool before."""
    for k in range(scratch.tally[0]):
        scratch.is_used[scratch.used[k]] = 0
    for k in range(scratch.tally[1]):
        scratch.is_leg_used[scratch.legs[k]] = 0
    scratch.tally[0] = scratch.tally[1] = 0
    scratch.totals[:] = 0.0
    scratch.joint[:] = 0.0


@nb.njit(forceinline=True)
def use_asset(scratch: JointScratch, asset: int) -> None:
    """Begin sums of an asset."""
    if scratch.is_used[asset] == 0:
        scratch.is_used[asset] = 1
        scratch.used[scratch.tally[0]] = asset
        scratch.tally[0] += 1
        for at in range(SUMS):
            scratch.sums[asset, at] = 0.0
        scratch.sums[asset, RATE_LEAST] = 1e300
        # The coin's own leg, whether it gets one or not.
        scratch.net[asset, :] = 0.0


@nb.njit(forceinline=True)
def curve(scratch: JointScratch, asset: int) -> None:
    """Begin an underlying's profits by scenario."""
    if scratch.sums[asset, IS_CURVED] == 0.0:
        scratch.sums[asset, IS_CURVED] = 1.0
        scratch.rows[asset, :] = 0.0


@nb.njit(forceinline=True)
def add_net(scratch: JointScratch, leg: int, value: float, low: float, high: float) -> None:
    """Add to a leg of basis, USD."""
    if scratch.is_leg_used[leg] == 0:
        scratch.is_leg_used[leg] = 1
        scratch.legs[scratch.tally[1]] = leg
        scratch.tally[1] += 1
        for at in range(LEG_SUMS):
            scratch.net[leg, at] = 0.0
    net = scratch.net[leg]
    net[NET] += value
    net[NET + 1] += low
    net[NET + 2] += high


@nb.njit(forceinline=True)
def add_three(sums: Floats, at: int, value: float, low: float, high: float) -> None:
    """Add to a figure, its least and its most."""
    sums[at] += value
    sums[at + 1] += low
    sums[at + 2] += high


@nb.njit(forceinline=True)
def add_rows(
    scratch: JointScratch, asset: int, now: Floats, least: Floats, most: Floats,
    size: float, value: float, low: float, high: float,
) -> None:  # fmt: skip
    """Add to an underlying's profits ``size`` of what is ``now``, at a price in low..high.

    ``now`` is taken at the price ``value``; ``least`` and ``most`` are per unit of price too.
    """
    rows = scratch.rows[asset]
    for s in range(SCENARIOS):
        rows[0, s] += size * value * now[s]
        a, b = size * least[s], size * most[s]
        a, b = min(a, b), max(a, b)
        rows[1, s] += a * (high if a < 0.0 else low)
        rows[2, s] += b * (low if b < 0.0 else high)


@nb.njit(forceinline=True)
def is_inside(box: Floats, at: int, least: float, most: float, present: float) -> bool:
    """Whether a range known holds one that is wanted, and is not much wider."""
    return bool(
        box[at] <= least <= present <= most <= box[at + 1]
        and box[at + 1] - box[at] <= WIDER * (most - least)
    )


@nb.njit(forceinline=True)
def is_current(house: JointHouse, i: int, o: int, x: Floats, low: Floats, high: Floats) -> bool:
    """Whether an option is known at this market and over this box."""
    count, clock, key, box = house.ids.shape[0], x.size - 1, house.now_key[o], house.box_key[o]
    f = count + house.asset_unit.size + i
    v = f + count
    return bool(
        key[0] == x[f] and key[1] == x[v] and key[2] == x[clock]
        and is_inside(box, 0, low[f], high[f], x[f])
        and is_inside(box, 2, low[v], high[v], x[v])
        and is_inside(box, 4, low[clock], high[clock], x[clock])
    )  # fmt: skip


@nb.njit(cache=True, nogil=True)
def draw_box(box: Floats, at: int, least: float, most: float) -> None:
    """Make a range of an option's box hold a wanted one, and those before it if they are near.

    Pools have boxes of their own; what is bounded once should serve many of them.
    """
    low, high = min(box[at], least), max(box[at + 1], most)
    if not high - low <= WIDER * (most - least):
        low, high = least, most
    box[at], box[at + 1] = low, high


@nb.njit(cache=True, nogil=True)
def refresh_option(
    house: JointHouse, model: int, i: int, o: int, x: Floats, low: Floats, high: Floats,
    scratch: JointScratch,
) -> bool:  # fmt: skip
    """Bring an option's profits and bounds up to the market and box; false where it has none."""
    count, clock = house.ids.shape[0], x.size - 1
    f = count + house.asset_unit.size + i
    v, key, box = f + count, house.now_key[o], house.box_key[o]
    is_known = True
    for at, row in ((0, f), (2, v), (4, clock)):
        if not low[row] <= x[row] <= high[row]:
            return False
        is_known &= is_inside(box, at, low[row], high[row], x[row])
    if not is_known:
        for at, row in ((0, f), (2, v), (4, clock)):
            draw_box(box, at, low[row], high[row])
        if not bound_option(house, model, i, o, scratch.profits[5], scratch.pieces):
            # What is too wide may have been another pool's doing.
            for at, row in ((0, f), (2, v), (4, clock)):
                box[at], box[at + 1] = low[row], high[row]
            if not bound_option(house, model, i, o, scratch.profits[5], scratch.pieces):
                box[0] = math.nan
                return False
    if not (key[0] == x[f] and key[1] == x[v] and key[2] == x[clock]):
        years, strike = (house.units[i, EXPIRY] - x[clock]) / YEAR_S, house.units[i, STRIKE]
        price_option(house, model, i, o, x[f], x[v], years, scratch.profits[5], house.now[o])
        _, _, h, _, t = reduce_option(x[f], strike, years, x[v], 1.0)
        shift = 0.0 if house.units[i, IS_CALL] != 0.0 else 1.0
        house.delta[o] = normal_cdf(h + t) - shift
        key[0], key[1], key[2] = x[f], x[v], x[clock]
    return True


@nb.njit(forceinline=True)
def add_amounts(
    house: JointHouse, rows: Rows, pool: int, x: Floats, high: Floats, scratch: JointScratch
) -> float:
    """Sum a pool's balances by asset; the size of their terms, NaN where one has no price."""
    count, terms = house.ids.shape[0], 0.0
    for row in range(rows.balance_begin[pool], rows.balance_end[pool]):
        asset = rows.asset[row]
        amount = rows.amount[row] * house.asset_unit[asset]
        if amount != 0.0:
            use_asset(scratch, asset)
            for at in (CELL, FREE, OPEN):
                add_three(scratch.sums[asset], at, amount, amount, amount)
            terms += abs(amount) * (high[count + asset] + 0.0 * x[count + asset])
    return terms


@nb.njit(forceinline=True)
def add_outright(
    house: JointHouse, scratch: JointScratch, model: int, i: int, contracts: float, paid: float,
    x: Floats, low: Floats, high: Floats,
) -> float:  # fmt: skip
    """Add a position without optionality to its asset, its underlying and its leg."""
    ids, count = house.ids[i], house.ids.shape[0]
    base, settle, code, sums = ids[BASE], ids[SETTLE], ids[CODE], scratch.sums
    size, row = contracts * house.units[i, SIZE], house.shape[model, i]
    b, c, m = count + base, count + settle, count + ids[MONEY]
    fee, own = house.numbers[model, FEE_RATE] * abs(size), model * house.asset_unit.size + base
    if code == INVERSE:
        value, least, most = size / x[i], size / high[i], size / low[i]
        if size < 0.0:
            least, most = most, least
        cancels = row == own and settle == base
        add_three(sums[settle], CELL, -value - paid, -most - paid, -least - paid)
        if cancels:
            add_three(sums[settle], FREE, -paid, -paid, -paid)
        else:
            add_three(sums[settle], FREE, -value - paid, -most - paid, -least - paid)
        delta, least_delta, most_delta = value, least, most
        scratch.totals[FEES] += fee * x[m]
    else:
        cancels = False
        value, least, most = size * x[i], size * low[i], size * high[i]
        if size < 0.0:
            least, most = most, least
        add_three(sums[settle], CELL, value - paid, least - paid, most - paid)
        add_three(sums[settle], FREE, value - paid, least - paid, most - paid)
        # What settles in its quote owes in it as much as it is worth.
        kept = 0.0 if code == LINEAR else 1.0
        add_three(sums[settle], OPEN, kept * value - paid, kept * least - paid, kept * most - paid)
        delta = least_delta = most_delta = size
        if code == QUANTO:
            q = count + ids[QUOTE]
            delta = size * x[c] / x[q]
            least_delta, most_delta = times(size, size, low[c] / high[q], high[c] / low[q])
        scratch.totals[FEES] += fee * x[i] * x[m]
    in_usd = times(least, most, low[c], high[c])
    if contracts != 0.0:
        nets = times(least_delta, most_delta, low[b], high[b])
        add_net(scratch, ids[LEG], delta * x[b], nets[0], nets[1])
        sums[base, HAS_ROW] = 1.0
        if row == own:
            add_three(sums[base], HELD, value * x[c], in_usd[0], in_usd[1])
            if not cancels:
                add_three(sums[base], COINS, value * x[c], in_usd[0], in_usd[1])
        else:
            curve(scratch, base)
            shape, sign = house.shapes[row], 1.0 if value > 0.0 else -1.0
            low_size, high_size = min(abs(least), abs(most)), max(abs(least), abs(most))
            add_rows(
                scratch, base, shape, shape, shape, sign,
                abs(value) * x[c], low_size * low[c], high_size * high[c],
            )  # fmt: skip
    terms = (max(abs(least), abs(most)) + abs(paid)) * (high[c] + 0.0 * x[c])
    terms += max(abs(least_delta), abs(most_delta)) * (high[b] + 0.0 * x[b])
    return float(terms + fee * (high[m] + 0.0 * x[m]) + 0.0 * x[i] + 0.0 * low[i])


@nb.njit(forceinline=True)
def add_option(
    house: JointHouse, scratch: JointScratch, model: int, i: int, contracts: float, paid: float,
    x: Floats, low: Floats, high: Floats,
) -> float:  # fmt: skip
    """Add an option to its asset, its underlying and its leg; NaN where it has no bounds."""
    ids, count = house.ids[i], house.ids.shape[0]
    base, settle, sums = ids[BASE], ids[SETTLE], scratch.sums
    size, b, c = contracts * house.units[i, SIZE], count + base, count + settle
    f = count + house.asset_unit.size + i
    value, least, most = size * x[i], size * low[i], size * high[i]
    if size < 0.0:
        least, most = most, least
    for at in (CELL, FREE, OPEN):
        add_three(sums[settle], at, value - paid, least - paid, most - paid)
    if contracts == 0.0:
        return float(abs(paid) * (high[c] + 0.0 * x[c]) + 0.0 * x[i])
    o = model * (house.now.shape[0] // house.numbers.shape[0]) + ids[OPTION]
    if not is_current(house, i, o, x, low, high) and not refresh_option(
        house, model, i, o, x, low, high, scratch
    ):
        return math.nan
    greeks, delta = house.greeks[o], house.delta[o]
    deltas = times(greeks[D_LOW], greeks[D_HIGH], size, size)
    if ids[CODE] == LINEAR:
        owed = times(deltas[0], deltas[1], low[f], high[f])
        add_three(sums[settle], OPEN, -size * delta * x[f], -owed[1], -owed[0])
    nets = times(deltas[0], deltas[1], low[b], high[b])
    add_net(scratch, ids[LEG], size * delta * x[b], nets[0], nets[1])
    sums[base, HAS_ROW] = 1.0
    curve(scratch, base)
    box = house.box[o]
    add_rows(scratch, base, house.now[o], box[P_LOW], box[P_HIGH], contracts, x[c], low[c], high[c])
    sums[base, SHORTS] += max(-size, 0.0) * house.numbers[model, SHORT_RATE]
    sums[base, OPTION_FEES] += abs(size) * house.numbers[model, OPTION_FEE]
    strike = house.units[i, STRIKE]
    far = 16.0 * strike / low[f] if ids[CODE] == INVERSE else 16.0 * high[f] + strike
    terms = (max(abs(least), abs(most)) + abs(size) * (1.0 + far)) * (high[c] + 0.0 * x[c])
    return float(terms + abs(size) * (high[b] + 0.0 * x[b]) + 0.0 * x[i] + 0.0 * low[i])


@nb.njit(forceinline=True)
def order_terms(
    house: JointHouse, rows: Rows, pool: int, model: int, x: Floats, scratch: JointScratch,
    low: Floats, high: Floats,
) -> float:  # fmt: skip
    """NaN where an order lacks a rule or a price that it may need, else 0."""
    count, total = house.ids.shape[0], 0.0
    for row in range(rows.order_begin[pool], rows.order_end[pool]):
        i = rows.order_instrument[row]
        ids = house.ids[i]
        if rows.order_quantity[row] == 0 or rows.order_reduces[row]:
            continue
        if ids[CODE] == UNRULED:
            total += x[count + (ids[QUOTE] if rows.order_quantity[row] > 0 else ids[BASE])]
            continue
        if house.shape[model, i] < 0 or rows.order_price[row] <= 0:
            return math.nan
        total += x[i] + x[count + ids[BASE]] + x[count + ids[QUOTE]] + x[count + ids[SETTLE]]
        if ids[OPTION] >= 0:
            o = model * (house.now.shape[0] // house.numbers.shape[0]) + ids[OPTION]
            if not is_current(house, i, o, x, low, high) and not refresh_option(
                house, model, i, o, x, low, high, scratch
            ):
                return math.nan
    return 0.0 * total


@nb.njit(forceinline=True)
def add_held(
    house: JointHouse, rows: Rows, pool: int, model: int, x: Floats, low: Floats, high: Floats,
    scratch: JointScratch,
) -> float:  # fmt: skip
    """Sum a pool's positions; the size of their terms, NaN where one cannot be judged."""
    terms = 0.0
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i, units = rows.instrument[row], rows.quantity[row]
        if units == 0 and rows.cost[row] == 0:
            continue
        ids = house.ids[i]
        if units != 0 and (house.shape[model, i] < 0 or ids[CODE] == UNRULED):
            return math.nan
        for column in (BASE, QUOTE, SETTLE, MONEY):
            use_asset(scratch, ids[column])
        contracts = units * house.units[i, UNIT]
        paid = rows.cost[row] * house.asset_unit[ids[SETTLE]]
        if ids[OPTION] >= 0:
            terms += add_option(house, scratch, model, i, contracts, paid, x, low, high)
        else:
            terms += add_outright(house, scratch, model, i, contracts, paid, x, low, high)
    return terms
