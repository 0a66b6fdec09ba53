"""``plimsoll.portfolio`` one pool at a time: its figures at a market and its slopes over a box.

With x a row of the market, inside a box low <= x <= high, of the rule sheet's lines:

- Equity and collateral value are those of the tiered model: a cell holds e = balance + sum of
  quantity * value(mark) - cost, options at mark; it is worth v = e * index and counts for c(v),
  continuous, with slope 1 below 0 and 1 - rate of v's tier above.
- Outright contracts. Profit in scenario s is kappa * shape_s with kappa = quantity * multiplier *
  mark * index of settle (1 / mark for inverse ones) and a fixed shape: the coin's own, move *
  weight, unless the quote or the settle asset is another scanned coin. An underlying's row of
  profits is R_s = N * coin_s + others_s, N being the sum of such kappa and of the coin's worth.
  An inverse contract settled in its coin adds kappa and takes as much from the coin's worth: it
  leaves N as it is, whatever its mark. Options: ``options``.
- A worst loss over a set of scenarios, max(0, max of -R_s), has slopes within the hull of -dR_s
  over those s that can be the worst somewhere in the box (whose greatest loss is not below the
  greatest of all least ones) and 0 where no loss can be. Of an underlying with others = 0 it is
  piecewise linear in N alone.
- The joint charge c = max(J, L, S): J is a worst loss of the sum of all rows, or of one row moving
  alone; L the sum of (1 - 2 o) w + 2 o u, S alike with falls. Its slopes are within the hull of
  those that can be the largest. u = w where all that can be worst is a rise.
- Maintenance margin is max(F - c, O) + hypot(c, D) + concentration + basis + fees: F all floors of
  short options, O the sum of max(floor - loss, 0). hypot has slopes c / h and D / h, at
  c_low / hypot(c_low, D_high) to c_high / hypot(c_high, D_low) for the first, the second alike.
- Concentration, l * (g - 1) with g = sqrt(1 + k l), has the rising slope g - 1 + k l / (2 g), and
  most - 1 from g = most on.
- Basis. With nets n_k of rates r_k, sides P, N and their mean rates b: min(P, N) * (b_P + b_N). Its
  slope along a net on the smaller side is r_k + the other's b, on the larger one (r_k - b) *
  smaller
  / larger; means lie between the least and the largest rate. Rates fall as time passes.
- Depeg. D is the sum of |open| times fall or rise. A linear contract owes in its quote what it is
  worth, so that its mark does not move ``open``; an option owes delta * forward.
- Fees and floors are products of rows.

All are continuous and piecewise smooth in the box; chains of them have slopes within the products
and sums of these ranges, and so do finite changes along any segment. Open orders move the initial
margin only; where one could make a pool UNKNOWN, ``assess`` is asked.
"""

import math

import numba as nb

from plimsoll.book import Rows
from plimsoll.core import Floats
from plimsoll.margin.borrowing import BORROW
from plimsoll.margin.watch.contract import (
    COLLATERAL,
    COUNTED,
    EQUITY,
    ERROR,
    MAINTENANCE,
    Slopes,
)
from plimsoll.margin.watch.scenario.bounds import (
    add_closing,
    add_floor,
    add_legs,
    bound_basis,
    bound_charge,
    fold_curved,
    fold_flat,
    set_slopes,
)
from plimsoll.margin.watch.scenario.house import (
    BASE,
    BASIS,
    CELL,
    CHARGE,
    CLOSE,
    CODE,
    COINS,
    COUNTED_HIGH,
    COUNTED_LOW,
    DEPEG,
    FALL,
    FEES,
    FLOORS,
    FREE,
    HAS_ROW,
    IS_CURVED,
    IS_SCANNED,
    MONEY,
    OPEN,
    OPEN_HIGH,
    OPEN_LOW,
    OPTION,
    OPTION_FEES,
    OWN,
    QUANTO,
    RISE,
    SETTLE,
    STEEP,
    TIME_HIGH,
    TIME_LOW,
    JointHouse,
    JointScratch,
)
from plimsoll.margin.watch.scenario.legs import (
    write_legs,
)
from plimsoll.margin.watch.scenario.options import (
    times,
)
from plimsoll.margin.watch.scenario.positions import (
    add_amounts,
    add_held,
    add_net,
    add_three,
    begin,
    order_terms,
)
from plimsoll.margin.watch.standard import ERROR_ROWS, ERROR_UNIT, rate_range, tier_amount


@nb.njit(forceinline=True)
def count_asset(
    house: JointHouse, schedule: int, value: float, least: float, most: float, sums: Floats
) -> float:
    """What a cell's value counts for; leaves the range of that figure's slope."""
    counted, low, high = value, 1.0, 1.0
    if value > 0.0:
        counted -= tier_amount(
            house.tier_offsets, house.tier_floors, house.tier_rates, house.tier_cumulative,
            schedule, value,
        )  # fmt: skip
    if most > 0.0:
        lowest, highest = rate_range(
            house.tier_offsets, house.tier_floors, house.tier_rates, schedule, max(least, 0.0), most
        )
        low, high = 1.0 - highest, 1.0 if least < 0.0 else 1.0 - lowest
    sums[COUNTED_LOW], sums[COUNTED_HIGH] = low, high
    return counted


@nb.njit(forceinline=True)
def add_depeg(
    sums: Floats, rule: Floats, price: float, low: float, high: float, totals: Floats
) -> None:
    """Add what an asset loses that leaves its peg; leaves the range of that figure's slope."""
    opened = sums[OPEN] * price
    least, most = times(sums[OPEN + 1], sums[OPEN + 2], low, high)
    fall, rise = rule[FALL], rule[RISE]
    at_least, at_most = (
        (least * fall if least > 0.0 else -least * rise),
        (most * fall if most > 0.0 else -most * rise),
    )
    straddles = least <= 0.0 <= most
    totals[DEPEG] += opened * fall if opened > 0.0 else -opened * rise
    totals[DEPEG + 1] += 0.0 if straddles else min(at_least, at_most)
    totals[DEPEG + 2] += max(at_least, at_most)
    sums[OPEN_LOW] = fall if least > 0.0 else -rise
    sums[OPEN_HIGH] = -rise if most < 0.0 else fall


@nb.njit(forceinline=True)
def add_cells(
    house: JointHouse, scratch: JointScratch, model: int, x: Floats, low: Floats, high: Floats,
    figures: Floats,
) -> None:  # fmt: skip
    """Equity and collateral value; coins go to their underlyings, what has a peg to the depeg."""
    count, assets, totals = house.ids.shape[0], house.asset_unit.size, scratch.totals
    equity, collateral, all_counted = 0.0, 0.0, 0.0
    for k in range(scratch.tally[0]):
        a = scratch.used[k]
        sums, row = scratch.sums[a], count + a
        if sums[CELL + 1] == 0.0 and sums[CELL + 2] == 0.0 and sums[CELL] == 0.0:
            continue
        value = sums[CELL] * x[row]
        least, most = times(sums[CELL + 1], sums[CELL + 2], low[row], high[row])
        counted = count_asset(house, model * assets + a, value, least, most, sums)
        equity += value
        collateral += counted
        all_counted += abs(counted)
        rule = house.assets[model * assets + a]
        if rule[IS_SCANNED] != 0.0:
            sums[HAS_ROW] = 1.0
            free = times(sums[FREE + 1], sums[FREE + 2], low[row], high[row])
            add_three(sums, COINS, sums[FREE] * x[row], free[0], free[1])
            add_net(scratch, a, value, least, most)
        else:
            add_depeg(sums, rule, x[row], low[row], high[row], totals)
    figures[EQUITY], figures[COLLATERAL], figures[COUNTED] = equity, collateral, all_counted


@nb.njit(forceinline=True)
def fold_all(
    house: JointHouse, scratch: JointScratch, model: int, x: Floats, low: Floats, high: Floats
) -> None:
    """Every underlying's losses, concentration, floor and legs; then the charge over all."""
    count, assets, totals = house.ids.shape[0], house.asset_unit.size, scratch.totals
    for k in range(scratch.tally[0]):
        u = scratch.used[k]
        sums, row = scratch.sums[u], model * assets + u
        if sums[HAS_ROW] == 0.0:
            continue
        rule = house.assets[row]
        if sums[IS_CURVED] != 0.0:
            fold_curved(scratch, u, rule, house.shapes[row], house.bars[row])
        else:
            fold_flat(sums, rule, house.shapes[row], scratch.joint, totals)
        add_closing(sums, rule, totals)
        add_floor(sums, low[count + u], high[count + u], x[count + u], totals)
        totals[FEES] += sums[OPTION_FEES] * x[count + u]
    bound_charge(scratch)
    clock = x.size - 1
    add_legs(house, scratch, model, x[clock], low[clock], high[clock])
    bound_basis(house, scratch)
    set_slopes(house, scratch, model)


@nb.njit(forceinline=True, error_model="numpy")
def judge_joint(
    house: JointHouse, rows: Rows, pool: int, model: int, x: Floats, low: Floats, high: Floats,
    scratch: JointScratch, slopes: Slopes, figures: Floats,
) -> bool:  # fmt: skip
    """What ``evaluate_joint`` does."""
    model, totals = house.block[model], scratch.totals
    if model < 0:
        return False
    begin(scratch)
    terms = add_amounts(house, rows, pool, x, high, scratch)
    terms += add_held(house, rows, pool, model, x, low, high, scratch)
    if not terms < math.inf:
        return False
    terms += order_terms(house, rows, pool, model, x, scratch, low, high)
    if not terms < math.inf:
        return False
    add_cells(house, scratch, model, x, low, high, figures)
    fold_all(house, scratch, model, x, low, high)
    charge = totals[CHARGE]
    total = max(totals[FLOORS] - charge, totals[OWN]) + math.hypot(charge, totals[DEPEG])
    figures[MAINTENANCE] = total + totals[CLOSE] + totals[BASIS] + totals[FEES]
    write_legs(house, rows, pool, model, low, high, scratch, slopes)
    lines = rows.position_end[pool] - rows.position_begin[pool]
    lines += rows.balance_end[pool] - rows.balance_begin[pool]
    figures[ERROR] = terms * ERROR_UNIT * (lines + ERROR_ROWS) * (4.0 + 2.0 * totals[STEEP])
    steepest = max(abs(totals[TIME_LOW]), abs(totals[TIME_HIGH]))
    figures[ERROR] += steepest * abs(x[x.size - 1]) * 2.0**-50
    found = figures[COLLATERAL] + figures[EQUITY] + figures[MAINTENANCE] + figures[ERROR]
    return bool(found - found == 0.0)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def evaluate_joint(
    house: JointHouse, rows: Rows, pool: int, model: int, x: Floats, low: Floats, high: Floats,
    scratch: JointScratch, slopes: Slopes, figures: Floats,
) -> bool:  # fmt: skip
    """A pool's figures and slope ranges; false where only ``assess`` can say.

    ``x``, ``low`` and ``high`` are rows of ``MarketRows``.
    """
    return judge_joint(
        BORROW(house), BORROW(rows), pool, model, x, low, high, BORROW(scratch),
        BORROW(slopes), figures,
    )  # fmt: skip


@nb.njit(cache=True, nogil=True)
def is_joint_stuck(house: JointHouse, rows: Rows, pool: int, model: int, x: Floats) -> bool:
    """Whether a pool is UNKNOWN for as long as the prices that are missing are missing.

    True where something held has no rule, or lacks a price that its equity or margin needs.
    """
    count, block = house.ids.shape[0], house.block[model]
    if block < 0:
        return False
    for row in range(rows.position_begin[pool], rows.position_end[pool]):
        i = rows.instrument[row]
        if rows.quantity[row] == 0:
            continue
        ids, f = house.ids[i], count + house.asset_unit.size + i
        needed = x[i] + x[count + ids[BASE]] + x[count + ids[SETTLE]]
        if ids[OPTION] >= 0:
            needed += x[f] + x[f + count]
        elif ids[CODE] != QUANTO:
            needed += x[count + ids[MONEY]]
        if house.shape[block, i] < 0 or math.isnan(needed):
            return True
    return False
