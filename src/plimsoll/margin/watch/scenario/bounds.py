"""Ranges over a box of the scan's figures, and of the slopes of the margin along them."""

import math

import numba as nb

from plimsoll.core import Floats, Int32s
from plimsoll.margin.venues.plimsoll_portfolio_parameters import SCENARIOS
from plimsoll.margin.watch.scenario.house import (
    ALPHA_HIGH,
    ALPHA_LOW,
    BASIS,
    BASIS_MIN,
    BASIS_YEAR,
    BETA_HIGH,
    BETA_LOW,
    CHARGE,
    CLOSE,
    CLOSING,
    COINS,
    DELTA_HIGH,
    DELTA_LOW,
    DEPEG,
    DOWN,
    FLOOR_HIGH,
    FLOOR_LOW,
    FLOORS,
    GC_HIGH,
    GC_LOW,
    GROWTH_MAX,
    GW_HIGH,
    GW_LOW,
    HAS_ROW,
    HELD,
    IS_CURVED,
    JOINT,
    LONE,
    LONES,
    LONG,
    LONG_LEFT,
    LONG_LOSS,
    LOSS,
    LOSSES,
    NET,
    NET_HIGH,
    NET_LOW,
    NO_EXPIRY,
    OFFSET,
    OWN,
    RATE,
    RATE_HIGH,
    RATE_LEAST,
    RATE_LOW,
    RATE_MOST,
    RATE_SLOPE,
    SAME_DOWN,
    SAME_UP,
    SHORT,
    SHORT_LEFT,
    SHORT_LOSS,
    SHORTS,
    SPOT_EXPIRY,
    STEEP,
    TIME_LOW,
    UP,
    WORST,
    JointHouse,
    JointScratch,
)
from plimsoll.margin.watch.scenario.options import YEAR_S, times

LISTS = 5
"""Worst scenarios of an underlying are listed for LOSS, WORST, DOWN, UP, LONE, in this order."""


@nb.njit(forceinline=True)
def spread(value: float, a: float, b: float, least: float, most: float, x: Floats, at: int) -> None:
    """Add to a sum ``value`` and to its range a product, a <= x <= b, 0 <= least <= y <= most."""
    x[at] += value
    x[at + 1] += min(a * least, a * most)
    x[at + 2] += max(b * least, b * most)


@nb.njit(cache=True, nogil=True)
def pick_worst(profits: Floats, bars: Floats, listed: Int32s, sums: Floats, at: int) -> int:
    """Fill ``sums`` [at to at + 2] with the largest loss and its range, ``listed`` with scenarios

    that may have it, and return how many. ``profits`` is [3, scenarios]; a bar of infinity
    leaves a scenario out.
    """
    now, least, most = 0.0, 0.0, 0.0
    for s in range(SCENARIOS):
        now = max(now, -profits[0, s] - bars[s])
        least = max(least, -profits[2, s] - bars[s])
        most = max(most, -profits[1, s] - bars[s])
    count = 0
    for s in range(SCENARIOS):
        if -profits[1, s] - bars[s] >= least:
            listed[count] = s
            count += 1
    sums[at], sums[at + 1], sums[at + 2] = now, least, most
    return count


@nb.njit(forceinline=True)
def loss_of(size: float, rule: Floats, column: int) -> float:
    """The largest loss of so many USD of a coin; ``column`` 0 to 3 says in which scenarios."""
    loss = size * rule[LOSSES + column] if size > 0.0 else -size * rule[LOSSES + 4 + column]
    return float(loss)


@nb.njit(forceinline=True)
def range_loss(sums: Floats, of: int, rule: Floats, column: int, at: int) -> None:
    """Largest loss and its range from those of the size at ``of``."""
    low, high = loss_of(sums[of + 1], rule, column), loss_of(sums[of + 2], rule, column)
    sums[at] = loss_of(sums[of], rule, column)
    straddles = sums[of + 1] <= 0.0 <= sums[of + 2]
    sums[at + 1], sums[at + 2] = 0.0 if straddles else min(low, high), max(low, high)


@nb.njit(forceinline=True)
def side_left(size: float, rule: Floats, column: int) -> float:
    """w - 2 o (w - u) of so many USD of a coin, u its loss in falls (1) or rises (2)."""
    twice = 2.0 * rule[OFFSET]
    return float((1.0 - twice) * loss_of(size, rule, 0) + twice * loss_of(size, rule, column))


@nb.njit(forceinline=True)
def fold_flat(sums: Floats, rule: Floats, coin: Floats, joint: Floats, totals: Floats) -> None:
    """An underlying whose profits are a multiple of the coin's: all by its size alone."""
    range_loss(sums, HELD, rule, 0, LOSS)
    range_loss(sums, COINS, rule, 0, WORST)
    range_loss(sums, COINS, rule, 3, LONE)
    low, high = sums[COINS + 1], sums[COINS + 2]
    for column, at in ((2, LONG_LEFT), (1, SHORT_LEFT)):
        one, two = side_left(low, rule, column), side_left(high, rule, column)
        least, most = min(one, two), max(one, two)
        if low <= 0.0 <= high:
            least, most = min(least, 0.0), max(most, 0.0)
        totals[at] += side_left(sums[COINS], rule, column)
        totals[at + 1] += least
        totals[at + 2] += most
    size = sums[COINS]
    for s in range(SCENARIOS):
        joint[0, s] += size * coin[s]
        joint[1, s] += min(low * coin[s], high * coin[s])
        joint[2, s] += max(low * coin[s], high * coin[s])


@nb.njit(cache=True, nogil=True)
def fold_curved(scratch: JointScratch, u: int, rule: Floats, coin: Floats, bars: Floats) -> None:
    """An underlying with other profits: its worst scenarios one by one."""
    sums, rows, joint = scratch.sums[u], scratch.rows[u], scratch.joint
    profits, counts, totals = scratch.profits, scratch.counts[u], scratch.totals
    for of in (HELD, COINS):
        now, low, high = sums[of], sums[of + 1], sums[of + 2]
        for s in range(SCENARIOS):
            profits[0, s] = rows[0, s] + now * coin[s]
            profits[1, s] = rows[1, s] + min(low * coin[s], high * coin[s])
            profits[2, s] = rows[2, s] + max(low * coin[s], high * coin[s])
        worst = scratch.worst[u]
        if of == HELD:
            counts[0] = pick_worst(profits, scratch.profits[6], worst[0], sums, LOSS)
    counts[1] = pick_worst(profits, scratch.profits[6], worst[1], sums, WORST)
    counts[2] = pick_worst(profits, bars[0], worst[2], sums, DOWN)
    counts[3] = pick_worst(profits, bars[1], worst[3], sums, UP)
    counts[4] = pick_worst(profits, bars[2], worst[4], sums, LONE)
    for k in range(3):
        for s in range(SCENARIOS):
            joint[k, s] += profits[k, s]
    twice = 2.0 * rule[OFFSET]
    for of, at, same in ((UP, LONG_LEFT, SAME_UP), (DOWN, SHORT_LEFT, SAME_DOWN)):
        bar = bars[1] if of == UP else bars[0]
        is_same = True
        for k in range(counts[1]):
            is_same &= bar[worst[1, k]] == 0.0
        totals[at] += (1.0 - twice) * sums[WORST] + twice * sums[of]
        if is_same:
            sums[same], least, most = 1.0, sums[WORST + 1], sums[WORST + 2]
        else:
            sums[same] = 0.0
            least, most = times(sums[WORST + 1], sums[WORST + 2], 1.0 - twice, 1.0 - twice)
            least, most = least + twice * sums[of + 1], most + twice * sums[of + 2]
        totals[at + 1] += least
        totals[at + 2] += most


@nb.njit(cache=True, nogil=True)
def hull(
    listed: Int32s, count: int, has_zero: bool, least: Floats, most: Floats
) -> tuple[float, float]:
    """The range of profits' slopes in the listed scenarios, and of 0 where that may be worst."""
    low, high = (0.0, 0.0) if has_zero else (math.inf, -math.inf)
    for k in range(count):
        s = listed[k]
        low, high = min(low, least[s]), max(high, most[s])
    return low, high


@nb.njit(cache=True, nogil=True)
def curved_slopes(
    scratch: JointScratch, u: int, rule: Floats, least: Floats, most: Floats
) -> tuple[float, float, float, float]:
    """Ranges of the slopes of charge and of positions' loss, both with their signs reversed.

    ``least`` and ``most`` [scenarios] bound the slopes of the underlying's profits.
    """
    sums, totals = scratch.sums[u], scratch.totals
    worst, counts = scratch.worst[u], scratch.counts[u]
    everywhere, pools = scratch.worst[-1], scratch.counts[-1]
    floor = totals[CHARGE + 1]
    low, high = hull(everywhere[0], pools[0], floor <= 0.0, least, most)
    others = totals[LONES]
    if sums[LONE + 2] >= floor:
        others -= 1.0
        a, b = hull(worst[4], counts[4], sums[LONE + 1] <= 0.0, least, most)
        low, high = min(low, a), max(high, b)
    if others > 0.0:
        low, high = min(low, 0.0), max(high, 0.0)
    twice = 2.0 * rule[OFFSET]
    w_low, w_high = hull(worst[1], counts[1], sums[WORST + 1] <= 0.0, least, most)
    for of, at, same, column in ((UP, LONG_LEFT, SAME_UP, 3), (DOWN, SHORT_LEFT, SAME_DOWN, 2)):
        if totals[at + 2] < floor:
            continue
        if sums[same] != 0.0:
            a, b = w_low, w_high
        else:
            x, y = hull(worst[column], counts[column], sums[of + 1] <= 0.0, least, most)
            a, b = times(w_low, w_high, 1.0 - twice, 1.0 - twice)
            a, b = a + twice * x, b + twice * y
        low, high = min(low, a), max(high, b)
    a, b = hull(worst[0], counts[0], sums[LOSS + 1] <= 0.0, least, most)
    return low, high, a, b


@nb.njit(forceinline=True)
def flat_slopes(
    scratch: JointScratch, u: int, rule: Floats, coin: Floats
) -> tuple[float, float, float, float]:
    """``curved_slopes`` of an underlying that is a multiple of its coin, along its size."""
    sums, totals = scratch.sums[u], scratch.totals
    floor, others, twice = totals[CHARGE + 1], totals[LONES], 2.0 * rule[OFFSET]
    low, high = hull(scratch.worst[-1, 0], scratch.counts[-1, 0], floor <= 0.0, coin, coin)
    can_be_long, can_be_short = sums[COINS + 2] >= 0.0, sums[COINS + 1] <= 0.0
    is_lone = sums[LONE + 2] >= floor
    if others > (1.0 if is_lone else 0.0):
        low, high = min(low, 0.0), max(high, 0.0)
    for sign, side, can_be in ((-1.0, LOSSES, can_be_long), (1.0, LOSSES + 4, can_be_short)):
        if can_be:
            if is_lone:
                low, high = min(low, sign * rule[side + 3]), max(high, sign * rule[side + 3])
            for column, at in ((2, LONG_LEFT), (1, SHORT_LEFT)):
                if totals[at + 2] >= floor:
                    slope = sign * ((1.0 - twice) * rule[side] + twice * rule[side + column])
                    low, high = min(low, slope), max(high, slope)
    a = -rule[LOSSES] if sums[HELD + 2] >= 0.0 else rule[LOSSES + 4]
    b = rule[LOSSES + 4] if sums[HELD + 1] <= 0.0 else -rule[LOSSES]
    return low, high, a, b


@nb.njit(forceinline=True)
def bound_charge(scratch: JointScratch) -> None:
    """The joint charge and its range, and the scenarios that may be the worst joint one."""
    totals, joint, sums = scratch.totals, scratch.joint, scratch.sums
    now, least, most = 0.0, 0.0, 0.0
    for s in range(SCENARIOS):
        now = max(now, -joint[0, s])
        least = max(least, -joint[2, s])
        most = max(most, -joint[1, s])
    for k in range(scratch.tally[0]):
        u = scratch.used[k]
        if sums[u, HAS_ROW] != 0.0:
            now = max(now, sums[u, LONE])
            least, most = max(least, sums[u, LONE + 1]), max(most, sums[u, LONE + 2])
    totals[JOINT], totals[JOINT + 1], totals[JOINT + 2] = now, least, most
    for k in range(3):
        larger = max(totals[LONG_LEFT + k], totals[SHORT_LEFT + k])
        totals[CHARGE + k] = max(totals[JOINT + k], larger)
    count, floor, lones = 0, totals[CHARGE + 1], 0.0
    for s in range(SCENARIOS):
        if -joint[1, s] >= floor:
            scratch.worst[-1, 0, count] = s
            count += 1
    scratch.counts[-1, 0] = count
    for k in range(scratch.tally[0]):
        u = scratch.used[k]
        if sums[u, HAS_ROW] != 0.0 and sums[u, LONE + 2] >= floor:
            lones += 1.0
    totals[LONES] = lones


@nb.njit(forceinline=True)
def closing_slope(loss: float, closing: float) -> float:
    """The slope of loss * (sqrt(1 + closing * loss) - 1) where that is not capped."""
    growth = math.sqrt(1.0 + closing * loss)
    return growth - 1.0 + 0.5 * loss * closing / growth


@nb.njit(forceinline=True)
def add_closing(sums: Floats, rule: Floats, totals: Floats) -> None:
    """Add concentration; leave the range of its slope along the loss in BETA."""
    closing, most = rule[CLOSING], rule[GROWTH_MAX]
    loss, least, largest = sums[LOSS], sums[LOSS + 1], sums[LOSS + 2]
    if loss != 0.0:
        totals[CLOSE] += loss * (min(math.sqrt(1.0 + closing * loss), most) - 1.0)
    totals[STEEP] = max(totals[STEEP], most)
    capped_from = (most * most - 1.0) / closing
    low = closing_slope(min(least, capped_from), closing)
    high = closing_slope(min(largest, capped_from), closing)
    if largest >= capped_from:
        low, high = min(low, most - 1.0), max(high, most - 1.0)
    if least > capped_from:
        low = high = most - 1.0
    sums[BETA_LOW], sums[BETA_HIGH] = low * (1.0 - 1e-12), high * (1.0 + 1e-12)


@nb.njit(forceinline=True)
def add_floor(sums: Floats, low: float, high: float, now: float, totals: Floats) -> None:
    """Add an underlying's floor of short options and what it exceeds the loss by."""
    floor, least, most = sums[SHORTS] * now, sums[SHORTS] * low, sums[SHORTS] * high
    totals[FLOORS] += floor
    totals[FLOORS + 1] += least
    totals[FLOORS + 2] += most
    totals[OWN] += max(floor - sums[LOSS], 0.0)
    totals[OWN + 1] += max(least - sums[LOSS + 2], 0.0)
    totals[OWN + 2] += max(most - sums[LOSS + 1], 0.0)
    sums[FLOOR_LOW] = 1.0 if least > sums[LOSS + 2] else 0.0
    sums[FLOOR_HIGH] = 1.0 if most > sums[LOSS + 1] else 0.0


@nb.njit(forceinline=True)
def bound_total(totals: Floats) -> tuple[bool, bool]:
    """Slopes of max(floors - c, own) + hypot(c, D) along c and D; which of the max may hold."""
    c_low, c_high = totals[CHARGE + 1], totals[CHARGE + 2]
    d_low, d_high = totals[DEPEG + 1], totals[DEPEG + 2]
    by_floor = totals[FLOORS + 2] - c_low >= totals[OWN + 1] and totals[FLOORS + 2] > 0.0
    by_own = totals[FLOORS + 1] - c_high <= totals[OWN + 2]
    low = high = 1.0
    steep_low = steep_high = 0.0
    if d_high > 0.0:
        low = c_low / math.hypot(c_low, d_high)
        high = c_high / math.hypot(c_high, d_low) if d_low > 0.0 else 1.0
        steep_low = d_low / math.hypot(d_low, c_high) if d_low > 0.0 else 0.0
        steep_high = d_high / math.hypot(d_high, c_low)
    totals[ALPHA_LOW] = low * (1.0 - 1e-12) - (1.0 if by_floor else 0.0)
    totals[ALPHA_HIGH] = high * (1.0 + 1e-12) - (0.0 if by_own else 1.0)
    totals[DELTA_LOW], totals[DELTA_HIGH] = steep_low * (1.0 - 1e-12), steep_high * (1.0 + 1e-12)
    return by_floor, by_own


@nb.njit(forceinline=True)
def set_slopes(house: JointHouse, scratch: JointScratch, model: int) -> None:
    """Leave by underlying the slopes of margin along its coin and its floor, and along its loss."""
    totals, assets = scratch.totals, house.asset_unit.size
    by_floor, by_own = bound_total(totals)
    for k in range(scratch.tally[0]):
        u = scratch.used[k]
        sums, row = scratch.sums[u], model * assets + u
        if sums[HAS_ROW] == 0.0:
            continue
        own_low, own_high = sums[FLOOR_LOW], sums[FLOOR_HIGH]
        # Of two sides that may hold, the slope lies between theirs.
        own_low, own_high = (0.0 if by_floor else own_low), (own_high if by_own else 0.0)
        sums[BETA_LOW] -= own_high
        sums[BETA_HIGH] -= own_low
        sums[FLOOR_LOW] = sums[FLOOR_LOW] if by_own else 1.0
        sums[FLOOR_HIGH] = 1.0 if by_floor else sums[FLOOR_HIGH]
        coin = house.shapes[row]
        if sums[IS_CURVED] != 0.0:
            a, b, c, d = curved_slopes(scratch, u, house.assets[row], coin, coin)
        else:
            a, b, c, d = flat_slopes(scratch, u, house.assets[row], coin)
        sums[GC_LOW], sums[GC_HIGH] = times(totals[ALPHA_LOW], totals[ALPHA_HIGH], -b, -a)
        sums[GW_LOW], sums[GW_HIGH] = times(sums[BETA_LOW], sums[BETA_HIGH], -d, -c)


@nb.njit(forceinline=True)
def rate_at(rule: Floats, expiry: float, now: float) -> float:
    """The basis of a leg; that of the coin itself is nothing."""
    if expiry == SPOT_EXPIRY:
        return 0.0
    years = (expiry - now) / YEAR_S if expiry != NO_EXPIRY else 0.0
    return float(max(math.expm1(rule[BASIS_YEAR] * years), rule[BASIS_MIN]))


@nb.njit(forceinline=True)
def add_legs(
    house: JointHouse, scratch: JointScratch, model: int, now: float, low: float, high: float
) -> None:
    """Sum legs of basis by underlying and side, with the ranges of their rates."""
    for k in range(scratch.tally[1]):
        leg = scratch.legs[k]
        net, u, expiry = scratch.net[leg], house.leg_asset[leg], house.leg_expiry[leg]
        if net[NET] == 0.0 and net[NET + 1] == 0.0 and net[NET + 2] == 0.0:
            continue
        sums, rule = scratch.sums[u], house.assets[model * house.asset_unit.size + u]
        net[RATE] = rate_at(rule, expiry, now)
        net[RATE_LOW], net[RATE_HIGH] = rate_at(rule, expiry, high), rate_at(rule, expiry, low)
        sums[RATE_LEAST] = min(sums[RATE_LEAST], net[RATE_LOW])
        sums[RATE_MOST] = max(sums[RATE_MOST], net[RATE_HIGH])
        if net[RATE_HIGH] > rule[BASIS_MIN]:
            slope = rule[BASIS_YEAR] * (net[RATE_HIGH] + 1.0) / YEAR_S
            sums[RATE_SLOPE] = max(sums[RATE_SLOPE], slope)
        sums[LONG] += max(net[NET], 0.0)
        sums[LONG + 1] += max(net[NET + 1], 0.0)
        sums[LONG + 2] += max(net[NET + 2], 0.0)
        sums[SHORT] += max(-net[NET], 0.0)
        sums[SHORT + 1] += max(-net[NET + 2], 0.0)
        sums[SHORT + 2] += max(-net[NET + 1], 0.0)
        sums[LONG_LOSS] += max(net[NET], 0.0) * net[RATE]
        sums[SHORT_LOSS] += max(-net[NET], 0.0) * net[RATE]


@nb.njit(forceinline=True)
def net_slope(net: Floats, own: int, other: int, sums: Floats) -> tuple[float, float]:
    """The range of the slope of a basis charge along a leg, if that is on the side ``own``."""
    least, most = sums[RATE_LEAST], sums[RATE_MOST]
    low, high = math.inf, -math.inf
    if sums[own + 1] <= sums[other + 2]:
        # The smaller side: each dollar more is matched by the other's average.
        low, high = net[RATE_LOW] + least, net[RATE_HIGH] + most
    if sums[own + 2] >= sums[other + 1]:
        part = min(sums[other + 2] / sums[own + 1], 1.0) if sums[own + 1] > 0.0 else 1.0
        low = min(low, min(net[RATE_LOW] - most, 0.0) * part)
        high = max(high, max(net[RATE_HIGH] - least, 0.0) * part)
    return low, high


@nb.njit(forceinline=True)
def bound_basis(house: JointHouse, scratch: JointScratch) -> None:
    """Add the basis charges; leave the slopes along each leg, and along time in TIME."""
    totals = scratch.totals
    for k in range(scratch.tally[0]):
        sums = scratch.sums[scratch.used[k]]
        up, down = sums[LONG], sums[SHORT]
        if up != 0.0 and down != 0.0:
            lost = sums[LONG_LOSS] / up + sums[SHORT_LOSS] / down
            totals[BASIS] += min(up, down) * lost
        matched = min(sums[LONG + 2], sums[SHORT + 2])
        totals[TIME_LOW] -= 2.0 * matched * sums[RATE_SLOPE]
    for k in range(scratch.tally[1]):
        leg = scratch.legs[k]
        net, sums = scratch.net[leg], scratch.sums[house.leg_asset[leg]]
        low = high = 0.0
        if min(sums[LONG + 2], sums[SHORT + 2]) > 0.0:
            low, high = math.inf, -math.inf
            if net[NET + 2] >= 0.0:
                low, high = net_slope(net, LONG, SHORT, sums)
            if net[NET + 1] <= 0.0:
                a, b = net_slope(net, SHORT, LONG, sums)
                low, high = min(low, -b), max(high, -a)
        net[NET_LOW], net[NET_HIGH] = low, high
