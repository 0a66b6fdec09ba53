"""``plimsoll.standard`` one pool at a time: its figures at a market and its slopes over a box.

With x_r a row of the market, C the collateral value, E the equity and M the maintenance margin
of the rule sheet, inside a box low <= x <= high:

- A cell's value is v = e * index, e being the balance plus quantity * value(mark) - cost. It
  counts for c(v), a continuous function with slope 1 below 0 and 1 - rate of v's tier above (0
  for an asset without tiers). So dc/dv is within the least and the largest of those slopes
  that v's own range over the box meets, c' say, and
      dC/dmark  = c' * index * quantity * dvalue/dmark,    dC/dindex = c' * e,
  dE alike with c' = 1; dvalue/dmark is the multiplier (linear, quanto) or multiplier / mark²
  (inverse).
- A group's side s = max(long, short) has slope 1 to the larger side and 0 to the other, where one
  is the larger all over the box, else something between. Its charge is m(s, index) =
  max(T(s), S), T being the brackets, continuous with slope the rate of s's bracket, and S =
  s * min(1, b + k * s / index), or T alone where k is 0. dS/ds is b + 2 k s / index until the
  min is 1 and 1 from there; where it changes, b + k s / index = 1, so it is at most 2 - b.
  A maximum of two continuous piecewise smooth functions has slopes within the union of theirs.
  dS/dindex is between -k (s / index)² and 0.
- Fees are fee_rate * (long + short). A notional is quantity * multiplier * mark * index of
  the quote (linear), of settle (quanto), or quantity * multiplier * index of the quote.

All of them are continuous and piecewise smooth, so that along any segment inside the box each of
C, E and M changes by at most the integral of these ranges: the ranges bound finite changes as well.
Products of ranges are taken end by end, each factor over the whole box. Slopes are computed in
floats as well: each is widened by ``ERROR`` per unit of its row, which is more than its rounding,
so that not even a long walk to and fro adds up to a bound that is too high.

Open orders move the initial margin only. They matter here where they make a pool UNKNOWN;
whatever could do so is left to ``assess``.
"""

from typing import NamedTuple

import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Bools, Floats, Int8s, Int32s, Int64s
from plimsoll.margin.watch.compiled import inlined, kernel
from plimsoll.margin.watch.contract import (
    C_HIGH,
    C_LOW,
    COLLATERAL,
    COUNTED,
    E_HIGH,
    E_LOW,
    EQUITY,
    ERROR,
    M_HIGH,
    M_LOW,
    MAINTENANCE,
    RANGES,
    Slopes,
)

LINEAR, INVERSE, QUANTO, SPOT, UNRULED = range(5)
"""How a contract is valued; ``UNRULED`` ones have no rule, ``SPOT`` ones only rest in orders."""

ERROR_UNIT = 2.0**-49
"""Rounding of a figure per row and per unit of its terms: 16 times what IEEE 754 allows."""
ERROR_ROWS = 32
"""Operations on a pool that do not grow with its rows."""

CELL, CELL_LOW, CELL_HIGH, COUNTED_LOW, COUNTED_HIGH = range(5)
LONG, LONG_LOW, LONG_HIGH, SHORT, SHORT_LOW, SHORT_HIGH, RATE_LOW, RATE_HIGH = range(5, 13)
INDEX_LOW, INDEX_HIGH = 13, 14
SUMS = 16
"""Sums by asset: of its cell, of its group, and the slopes of margin along its index."""


class House(NamedTuple):
    """Rules and units as columns; what differs between models has them as first axis.

    Tier schedules are CSR tables, schedule model * assets + asset.
    """

    code: Int8s
    size_unit: Floats
    base: Int32s
    money: Int32s
    settle: Int32s
    asset_unit: Floats
    margin_offsets: Int64s
    margin_floors: Floats
    margin_rates: Floats
    margin_cumulative: Floats
    haircut_offsets: Int64s
    haircut_floors: Floats
    haircut_rates: Floats
    haircut_cumulative: Floats
    has_initial: Bools
    size_slope: Floats
    fee_rate: Floats


class Scratch(NamedTuple):
    """Room for one pool: 16 ``sums`` by asset, and the assets that are in use."""

    sums: Floats
    is_used: Bools
    used: Int32s
    tally: Int64s


@inlined
def use(scratch: Scratch, asset: int) -> None:
    """Begin sums of an asset."""
    if not scratch.is_used[asset]:
        scratch.is_used[asset] = True
        scratch.used[scratch.tally[0]] = asset
        scratch.tally[0] += 1
        for at in range(asset * SUMS, (asset + 1) * SUMS):
            scratch.sums[at] = 0.0


@inlined
def order_prices(house: House, rows: Rows, row: int, first: int, price: Floats) -> float:
    """NaN where an order lacks a rule or a price that it may need, else some number."""
    count, i = house.code.size, rows.order_instrument[row]
    if rows.order_quantity[row] == 0 or rows.order_reduces[row]:
        return 0.0
    base = house.base[i]
    if house.code[i] == SPOT:
        return float(price[count + (house.money[i] if rows.order_quantity[row] > 0 else base)])
    if house.code[i] == UNRULED or not house.has_initial[first + base]:
        return np.nan
    scaled = price[count + base] if house.size_slope[first + base] != 0.0 else 0.0
    settled = price[count + house.money[i]] + price[count + house.settle[i]]
    return float(price[i] + settled + scaled)


@kernel
def is_tiered_stuck(house: House, rows: Rows, pool: int, model: int, price: Floats) -> bool:
    """Whether a pool is UNKNOWN for as long as the prices that are missing are missing.

    True where a term of its equity, its margin or its orders' margin is NaN at whatever price
    the other rows have.
    """
    count, first = house.code.size, model * house.asset_unit.size
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i = rows.instrument[row]
        if rows.quantity[row] == 0 and rows.cost[row] == 0:
            continue
        schedule = first + house.base[i]
        if np.isnan(price[i]):
            return True
        if rows.quantity[row] != 0 and (
            house.code[i] == UNRULED
            or house.margin_offsets[schedule] == house.margin_offsets[schedule + 1]
            or np.isnan(price[count + house.money[i]])
            or (house.size_slope[schedule] != 0.0 and np.isnan(price[count + house.base[i]]))
        ):
            return True
    for row in range(rows.balance_begin[pool], rows.balance_end[pool]):
        asset = rows.asset[row]
        if rows.amount[row] != 0 and np.isnan(price[count + asset]):
            settles = False
            for other in range(rows.position_begin[pool], rows.position_end[pool]):
                settles |= house.settle[rows.instrument[other]] == asset
            if not settles:
                return True
    for row in range(rows.order_begin[pool], rows.order_end[pool]):
        i = rows.order_instrument[row]
        # A fill of an inverse contract needs the coin's index only where it loses at once.
        is_needed = house.code[i] != INVERSE or np.isnan(price[i])
        if is_needed and np.isnan(order_prices(house, rows, row, first, price)):
            return True
    return False


@inlined
def add_balances(
    house: House, rows: Rows, pool: int, price: Floats, high: Floats, scratch: Scratch
) -> float:
    """Sum a pool's balances by asset; the size of their terms, NaN where one has no price."""
    count, sums, terms = house.code.size, scratch.sums, 0.0
    for row in range(rows.balance_begin[pool], rows.balance_end[pool]):
        asset = rows.asset[row]
        amount = rows.amount[row] * house.asset_unit[asset]
        if amount != 0.0:
            use(scratch, asset)
            at = asset * SUMS
            sums[at + CELL] += amount
            sums[at + CELL_LOW] += amount
            sums[at + CELL_HIGH] += amount
            terms += abs(amount) * (high[count + asset] + 0.0 * price[count + asset])
    return terms


@inlined
def add_positions(
    house: House, rows: Rows, pool: int, model: int, price: Floats, low: Floats, high: Floats,
    scratch: Scratch,
) -> float:  # fmt: skip
    """Sum a pool's positions by asset, at the market and over the box.

    Returns the size of their terms, NaN where one has no price or no rule.
    """
    count, sums, terms = house.code.size, scratch.sums, 0.0
    first = model * house.asset_unit.size
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i, units = rows.instrument[row], rows.quantity[row]
        if units == 0 and rows.cost[row] == 0:
            continue
        base, settle, money = house.base[i], house.settle[i], house.money[i]
        use(scratch, base)
        use(scratch, settle)
        use(scratch, money)
        size = units * house.size_unit[i]
        cost = rows.cost[row] * house.asset_unit[settle]
        at_low, at_high = (high[i], low[i]) if size < 0.0 else (low[i], high[i])
        if house.code[i] == INVERSE:
            now, least, most = -size / price[i], -size / at_low, -size / at_high
            notional = least_notional = most_notional = abs(size)
        else:
            now, least, most = size * price[i], size * at_low, size * at_high
            notional = abs(now)
            least_notional, most_notional = min(abs(least), abs(most)), max(abs(least), abs(most))
        cell, row_of_money = settle * SUMS, count + money
        sums[cell + CELL] += now - cost
        sums[cell + CELL_LOW] += least - cost
        sums[cell + CELL_HIGH] += most - cost
        side = base * SUMS + (LONG if size > 0.0 else SHORT)
        in_usd = most_notional * high[row_of_money]
        sums[side] += notional * price[row_of_money]
        sums[side + 1] += least_notional * low[row_of_money]
        sums[side + 2] += in_usd
        larger = max(abs(least), abs(most)) + abs(cost)
        terms += 4.0 * in_usd + larger * high[count + settle]
        if house.code[i] >= SPOT and units != 0:
            terms = np.nan
        if house.size_slope[first + base] != 0.0:
            terms += 0.0 * price[count + base]
    return terms


@inlined
def tier_amount(
    offsets: Int64s, floors: Floats, rates: Floats, cumulative: Floats, schedule: int, value: float
) -> float:
    """Marginal-tier amount of a value > 0 on a schedule that has tiers."""
    tier, end = offsets[schedule], offsets[schedule + 1]
    while tier + 1 < end and value > floors[tier + 1]:
        tier += 1
    return float(value * rates[tier] - cumulative[tier])


@inlined
def rate_range(
    offsets: Int64s, floors: Floats, rates: Floats, schedule: int, low: float, high: float
) -> tuple[float, float]:
    """Least and largest rate of the tiers that values from low to high fall into."""
    tier, end = offsets[schedule], offsets[schedule + 1]
    while tier + 1 < end and low > floors[tier + 1]:
        tier += 1
    least = most = rates[tier]
    while tier + 1 < end and high > floors[tier + 1]:
        tier += 1
        least, most = min(least, rates[tier]), max(most, rates[tier])
    return least, most


@inlined
def count_cells(
    house: House, model: int, price: Floats, low: Floats, high: Floats, scratch: Scratch,
    figures: Floats,
) -> None:  # fmt: skip
    """Add up equity and collateral value; leave each cell's range of c'."""
    count, assets, sums = house.code.size, house.asset_unit.size, scratch.sums
    equity, collateral, all_counted = 0.0, 0.0, 0.0
    for k in range(scratch.tally[0]):
        asset = scratch.used[k]
        at, row, schedule = asset * SUMS, count + asset, model * assets + asset
        held_low, held_high = sums[at + CELL_LOW], sums[at + CELL_HIGH]
        if held_low == 0.0 and held_high == 0.0:
            # What holds nothing needs no price.
            continue
        value = sums[at + CELL] * price[row]
        least = min(held_low * low[row], held_low * high[row])
        most = max(held_high * low[row], held_high * high[row])
        is_listed = house.haircut_offsets[schedule + 1] > house.haircut_offsets[schedule]
        equity += value
        counted = value if value <= 0.0 or is_listed else 0.0
        if counted > 0.0:
            counted -= tier_amount(
                house.haircut_offsets, house.haircut_floors, house.haircut_rates,
                house.haircut_cumulative, schedule, value,
            )  # fmt: skip
        collateral += counted
        all_counted += abs(counted)
        slope_low = slope_high = 1.0
        if most > 0.0:
            lowest = highest = 1.0
            if is_listed:
                lowest, highest = rate_range(
                    house.haircut_offsets, house.haircut_floors, house.haircut_rates,
                    schedule, max(least, 0.0), most,
                )  # fmt: skip
            slope_low = 1.0 - highest
            slope_high = 1.0 if least < 0.0 else 1.0 - lowest
        sums[at + COUNTED_LOW], sums[at + COUNTED_HIGH] = slope_low, slope_high
    figures[EQUITY], figures[COLLATERAL], figures[COUNTED] = equity, collateral, all_counted


@inlined
def charge_groups(
    house: House, model: int, price: Floats, low: Floats, high: Floats, scratch: Scratch,
    figures: Floats,
) -> bool:  # fmt: skip
    """Add up maintenance margin; leave each group's range of dm/ds. False without a rule."""
    count, assets, sums, margin = house.code.size, house.asset_unit.size, scratch.sums, 0.0
    is_ruled = True
    for k in range(scratch.tally[0]):
        asset = scratch.used[k]
        at, row, schedule = asset * SUMS, count + asset, model * assets + asset
        long, short = sums[at + LONG], sums[at + SHORT]
        side = max(long, short)
        if side == 0.0:
            continue
        first_tier = house.margin_offsets[schedule]
        if first_tier == house.margin_offsets[schedule + 1]:
            is_ruled = False
            continue
        least = max(sums[at + LONG_LOW], sums[at + SHORT_LOW])
        most = max(sums[at + LONG_HIGH], sums[at + SHORT_HIGH])
        charge = tier_amount(
            house.margin_offsets, house.margin_floors, house.margin_rates,
            house.margin_cumulative, schedule, side,
        )  # fmt: skip
        lowest, highest = rate_range(
            house.margin_offsets, house.margin_floors, house.margin_rates, schedule, least, most
        )
        slope = house.size_slope[schedule]
        if slope != 0.0:
            base_rate = house.margin_rates[first_tier]
            charge = max(charge, side * min(base_rate + slope * (side / price[row]), 1.0))
            small, large = slope * (least / high[row]), slope * (most / low[row])
            is_capped = base_rate + large > 1.0
            steepest = max(2.0 - base_rate, 1.0) if is_capped else base_rate + 2.0 * large
            lowest = min(lowest, base_rate + 2.0 * small, 1.0)
            highest = max(highest, steepest)
            sums[at + INDEX_LOW] -= large * (most / low[row])
        margin += charge + house.fee_rate[model] * (long + short)
        sums[at + RATE_LOW], sums[at + RATE_HIGH] = lowest, highest
    figures[MAINTENANCE] = margin
    return is_ruled


@inlined
def product(a: float, b: float, low: float, high: float) -> tuple[float, float]:
    """The range of x * y for a <= x <= b and 0 <= low <= y <= high."""
    return min(a * low, a * high), max(b * low, b * high)


@inlined
def write_contracts(
    house: House, rows: Rows, pool: int, model: int, low: Floats, high: Floats, scratch: Scratch,
    slopes: Slopes,
) -> int:  # fmt: skip
    """Fill the ranges of dC, dE and dM along a pool's marks; returns how many there are."""
    count, fee, sums, out = house.code.size, house.fee_rate[model], scratch.sums, slopes
    legs = 0
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i = rows.instrument[row]
        if rows.quantity[row] == 0:
            continue
        size = rows.quantity[row] * house.size_unit[i]
        money, group = house.money[i], house.base[i] * SUMS
        cell, settled, paid = house.settle[i] * SUMS, count + house.settle[i], count + money
        own, other = (LONG, SHORT) if size > 0.0 else (SHORT, LONG)
        is_larger = sums[group + own + 1] >= sums[group + other + 2]
        is_smaller = sums[group + own + 2] <= sums[group + other + 1] and not is_larger
        rate_low = fee + (sums[group + RATE_LOW] if is_larger else 0.0)
        rate_high = fee + (0.0 if is_smaller else sums[group + RATE_HIGH])
        amount, at = abs(size), legs * RANGES
        if house.code[i] == INVERSE:
            least, most = size / (high[i] * high[i]), size / (low[i] * low[i])
            if size < 0.0:
                least, most = most, least
            margin_low = margin_high = 0.0
            of_money = product(rate_low, rate_high, amount, amount)
        else:
            least = most = size
            margin_low, margin_high = product(
                rate_low, rate_high, amount * low[paid], amount * high[paid]
            )
            of_money = product(rate_low, rate_high, amount * low[i], amount * high[i])
        sums[money * SUMS + INDEX_LOW] += of_money[0]
        sums[money * SUMS + INDEX_HIGH] += of_money[1]
        equity_low, equity_high = product(least, most, low[settled], high[settled])
        counted_low, counted_high = product(
            least, most,
            low[settled] * sums[cell + COUNTED_LOW], high[settled] * sums[cell + COUNTED_HIGH],
        )  # fmt: skip
        out.ranges[at + C_LOW], out.ranges[at + C_HIGH] = counted_low, counted_high
        out.ranges[at + E_LOW], out.ranges[at + E_HIGH] = equity_low, equity_high
        out.ranges[at + M_LOW], out.ranges[at + M_HIGH] = margin_low, margin_high
        out.row[legs] = i
        legs += 1
    return legs


@inlined
def write_assets(house: House, scratch: Scratch, slopes: Slopes, legs: int) -> None:
    """Fill the ranges along the indices of a pool's assets, behind its marks; end its sums."""
    sums = scratch.sums
    for k in range(scratch.tally[0]):
        asset = scratch.used[k]
        scratch.is_used[asset] = False
        at, out = asset * SUMS, legs * RANGES
        low, high = sums[at + CELL_LOW], sums[at + CELL_HIGH]
        margin_low, margin_high = sums[at + INDEX_LOW], sums[at + INDEX_HIGH]
        if low == 0.0 and high == 0.0 and margin_low == 0.0 and margin_high == 0.0:
            continue
        counted = product(low, high, sums[at + COUNTED_LOW], sums[at + COUNTED_HIGH])
        slopes.ranges[out + C_LOW], slopes.ranges[out + C_HIGH] = counted
        slopes.ranges[out + E_LOW], slopes.ranges[out + E_HIGH] = low, high
        slopes.ranges[out + M_LOW], slopes.ranges[out + M_HIGH] = margin_low, margin_high
        slopes.row[legs] = house.code.size + asset
        legs += 1
    slopes.tally[0] = legs


@inlined
def pad_slopes(slopes: Slopes, low: Floats, error: float) -> None:
    """Widen slopes by their own rounding, which is below that of a figure per unit of the row."""
    for k in range(slopes.tally[0]):
        pad = error / low[slopes.row[k]]
        for at in range(k * RANGES, (k + 1) * RANGES, 2):
            if slopes.ranges[at] != 0.0 or slopes.ranges[at + 1] != 0.0:
                slopes.ranges[at] -= pad
                slopes.ranges[at + 1] += pad


@kernel
def evaluate_tiered(
    house: House, rows: Rows, pool: int, model: int, price: Floats, low: Floats, high: Floats,
    scratch: Scratch, slopes: Slopes, figures: Floats,
) -> bool:  # fmt: skip
    """A pool's figures and slope ranges; false where only ``assess`` can say."""
    scratch.tally[0] = 0
    terms = add_balances(house, rows, pool, price, high, scratch)
    terms += add_positions(house, rows, pool, model, price, low, high, scratch)
    for row in range(rows.order_begin[pool], rows.order_end[pool]):
        first = model * house.asset_unit.size
        terms += 0.0 * order_prices(house, rows, row, first, price)
    count_cells(house, model, price, low, high, scratch, figures)
    is_ruled = charge_groups(house, model, price, low, high, scratch, figures)
    legs = write_contracts(house, rows, pool, model, low, high, scratch, slopes)
    write_assets(house, scratch, slopes, legs)
    size = rows.position_end[pool] - rows.position_begin[pool]
    size += rows.balance_end[pool] - rows.balance_begin[pool]
    figures[ERROR] = terms * ERROR_UNIT * (size + ERROR_ROWS)
    pad_slopes(slopes, low, figures[ERROR])
    total = figures[COLLATERAL] + figures[EQUITY] + figures[MAINTENANCE] + figures[ERROR]
    return is_ruled and total - total == 0.0
