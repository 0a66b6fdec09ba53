"""The life of a guard: placed when its pool is judged, moved as its gap narrows, released.

A fired guard is moved to shorter steps by ``renew`` as long as its bound at the present prices,
value + sum of (worse slope * (price - sync point)), is positive; only when that is not so can
the pool have crossed, and is judged. One whose value has grown gets longer steps alike.

Rounding. The gap that a guard starts from is certified less four times ``ERROR`` of its pool,
which bounds the rounding of all its terms; one update rounds by no more than 2**-52 of |slope *
move| + ceiling. Between two firings values stay below the ceiling, so that 2**31 updates round
by less than ``ROUNDING`` * ceiling; updates within the tick of the firing add at most ``ERROR``,
which is 16 units in the last place of all terms. ``error`` of a guard's card is the larger of
these two; the floor keeps it, and each renewal takes it from the gap again.
"""

import numpy as np

from plimsoll.margin.watch.compiled import inlined, kernel
from plimsoll.margin.watch.contract import Slopes
from plimsoll.margin.watch.ladder import (
    FREE_CHUNKS,
    FREE_COLD,
    FREE_HOT,
    LEGS_END,
    RENEWED,
    Ladder,
    give_block,
    key_at,
    pick_list,
    put_in,
    take_block,
    take_out,
)

SHARE = 0.6
"""Part of a gap that the steps of its legs may take up."""
GROWTH = 4.0
"""A guard whose value has grown by this factor is moved to longer steps."""
TURNS_MAX = 12
"""A guard is moved this often before its pool is judged anew, for a tighter bound."""
CURVED = 0.25
"""A pool whose slopes are less certain than this is judged instead: its bound loses too much."""
SLOPE_MAX = 1e30
ROUNDING = 2.0**-20
"""Part of the largest value that the floor keeps for the rounding of up to 2**31 updates."""
UP = 1.0 + 2.0**-23
"""Makes a rounding to single precision one upwards."""
HOT_KIND = 10
"""Guards with a leg in a list of a kind below this one are hot: they lie close together."""


@inlined
def has_room(ladder: Ladder, legs: int) -> bool:
    """Whether two guards of that many legs can be placed, whatever lists they need."""
    tally = ladder.tally
    return bool(
        tally[FREE_CHUNKS] > 2 * legs
        and tally[FREE_COLD] > 2
        and tally[LEGS_END] + 2 * legs < ladder.legs.size
    )


@inlined
def give_place(ladder: Ladder, guard: int) -> None:
    """Free a guard's number."""
    ladder.cards[guard]["owner"] = -1
    if guard < ladder.free_hot.size:
        ladder.free_hot[ladder.tally[FREE_HOT]] = guard
        ladder.tally[FREE_HOT] += 1
    else:
        ladder.free_cold[ladder.tally[FREE_COLD]] = guard
        ladder.tally[FREE_COLD] += 1


@inlined
def take_place(ladder: Ladder, is_hot: bool) -> int:
    """A free guard's number, among the hot ones if there is one."""
    if is_hot and ladder.tally[FREE_HOT] > 0:
        ladder.tally[FREE_HOT] -= 1
        return int(ladder.free_hot[ladder.tally[FREE_HOT]])
    ladder.tally[FREE_COLD] -= 1
    return int(ladder.free_cold[ladder.tally[FREE_COLD]])


@kernel
def release(ladder: Ladder, pool: int, side: int) -> None:
    """Give up a pool's guard on one side, if it has one."""
    guard = ladder.by_pool[2 * pool + side]
    if guard < 0:
        return
    first, size = ladder.cards[guard]["first"], ladder.cards[guard]["legs"]
    for leg in range(first, first + size):
        take_out(ladder, leg)
    give_block(ladder, first, size)
    ladder.by_pool[2 * pool + side] = -1
    give_place(ladder, guard)


@inlined
def widen(slopes: Slopes) -> int:
    """Round slope ranges outwards to single precision and leave out rows without a slope.

    Returns how many are left, or -1 where one is too large or NaN.
    """
    left = 0
    for k in range(slopes.tally[0]):
        low, high = slopes.low[k], slopes.high[k]
        if not (-SLOPE_MAX < low <= high < SLOPE_MAX):
            for j in range(slopes.tally[0]):
                slopes.leg[j] = slopes.row[j]
            return -1
        if low == 0.0 and high == 0.0:
            continue
        # Half a unit in the last place is 2**-24 of the number, or 2**-150 next to zero.
        slopes.low[left] = np.float32(low - abs(low) * 2.0**-23 - 2.0**-148)
        slopes.high[left] = np.float32(high + abs(high) * 2.0**-23 + 2.0**-148)
        slopes.leg[left] = slopes.row[k]
        left += 1
    return left


@inlined
def share_out(ladder: Ladder, slopes: Slopes, legs: int, gap: float) -> bool:
    """Leave each leg's part of the gap in ``weight``; whether slopes are certain enough.

    Steps d_r are brought up as rarely as can be where the sum of move_r² / d_r² is least under
    sum of |slope_r| * d_r = SHARE * gap: at d_r in proportion to (move_r² / |slope_r|)**(1/3).
    """
    total, spread, width = 0.0, 0.0, 0.0
    for k in range(legs):
        low, high, move = slopes.low[k], slopes.high[k], ladder.move[slopes.leg[k]]
        steep = max(high, -low) * move
        slopes.weight[k] = steep ** (2 / 3)
        total += slopes.weight[k]
        spread += steep
        width += (high - low) * move
    factor = SHARE * gap / total if total > 0.0 else 0.0
    for k in range(legs):
        slopes.weight[k] *= factor
    return width <= CURVED * spread


@inlined
def fit_lists(
    ladder: Ladder, slopes: Slopes, legs: int, pool: int, gap: float, error: float
) -> tuple[bool, float, float]:
    """Leave in ``key`` the lists that the legs' parts of the gap allow.

    Returns whether one is hot, and the guard's value and floor there. Sync points may lie to the
    bad side of the prices, so that the value is at its floor already: then parts are halved,
    and at last nought, for lists that follow every tick need no floor.
    """
    kinds, box = ladder.phase.size, pool % ladder.low.shape[0]
    is_hot, value, floor = False, gap, error
    for turn in range(3):
        is_hot, value, floor = False, gap, error
        for k in range(legs):
            row, low, high = slopes.leg[k], slopes.low[k], slopes.high[k]
            steep = max(high, -low)
            key = pick_list(
                ladder, row, slopes.weight[k] / steep, pool,
                ladder.low[box, row], ladder.high[box, row],
            )  # fmt: skip
            slopes.key[k] = key
            is_hot |= key - row * kinds < HOT_KIND
            back = ladder.lists[key]["sync"] - ladder.price[row]
            value += high * back if back < 0.0 else low * back
            floor += steep * (ladder.unit[row] * ladder.factor[key - row * kinds])
        if value > floor * UP * UP:
            break
        scale = 0.5 if turn == 0 else 0.0
        for k in range(legs):
            slopes.weight[k] *= scale
    return is_hot, value, floor


@inlined
def file_legs(ladder: Ladder, slopes: Slopes, guard: int, legs: int) -> None:
    """Put a guard's legs into their lists, those that are elsewhere."""
    first = ladder.cards[guard]["first"]
    for k in range(legs):
        key, leg = slopes.key[k], first + k
        at = ladder.legs[leg]
        if at >= 0 and key_at(ladder, at) == key:
            entry = ladder.entries[at]
            entry["guard"], entry["low"], entry["high"] = guard, slopes.low[k], slopes.high[k]
        else:
            if at >= 0:
                take_out(ladder, leg)
            put_in(ladder, key, guard, leg, slopes.low[k], slopes.high[k])


@inlined
def set_guard(
    ladder: Ladder, guard: int, gap: float, value: float, floor: float, error: float
) -> None:
    """Start a guard's bound."""
    record = ladder.guards[guard]
    record["value"], record["floor"], record["ceiling"] = value, floor * UP, GROWTH * gap
    ladder.cards[guard]["error"] = error * UP


@inlined
def has_rows(ladder: Ladder, slopes: Slopes, guard: int, legs: int) -> bool:
    """Whether a guard's legs stand for just the rows of ``slopes``."""
    if ladder.cards[guard]["legs"] != legs:
        return False
    first, kinds = ladder.cards[guard]["first"], ladder.phase.size
    same = 0
    for k in range(legs):
        same += key_at(ladder, ladder.legs[first + k]) // kinds == slopes.leg[k]
    return same == legs


@inlined
def move_place(ladder: Ladder, guard: int, is_hot: bool) -> int:
    """The number a guard has from now on: among the hot ones if it is hot."""
    hot = ladder.free_hot.size
    if is_hot == (guard < hot) or (is_hot and ladder.tally[FREE_HOT] == 0):
        return guard
    fresh = take_place(ladder, is_hot)
    new, old = ladder.cards[fresh], ladder.cards[guard]
    new["error"], new["owner"], new["first"] = old["error"], old["owner"], old["first"]
    new["legs"], new["turns"] = old["legs"], old["turns"]
    ladder.by_pool[old["owner"]] = fresh
    give_place(ladder, guard)
    return int(fresh)


@inlined
def new_guard(ladder: Ladder, owner: int, legs: int, is_hot: bool) -> int:
    """A guard whose legs are in no list yet."""
    guard, first = take_place(ladder, is_hot), take_block(ladder, legs)
    card = ladder.cards[guard]
    card["owner"], card["legs"], card["first"] = owner, legs, first
    ladder.by_pool[owner] = guard
    for leg in range(first, first + legs):
        ladder.legs[leg] = -1
    return guard


@kernel
def place(ladder: Ladder, slopes: Slopes, pool: int, side: int, gap: float, error: float) -> None:
    """Guard a pool's gap, certified to be at least ``gap``, on one side; rounding is ``error``.

    A gap that is not known to be positive gets a guard that any change of one of its rows sets
    off; one that depends on no row needs none.
    """
    legs, owner = widen(slopes), 2 * pool + side
    is_restless = legs < 0 or not gap > 0.0
    legs = slopes.tally[0] if legs < 0 else legs
    guard = ladder.by_pool[owner]
    if is_restless or legs == 0 or (guard >= 0 and not has_rows(ladder, slopes, guard, legs)):
        release(ladder, pool, side)
        guard = -1
    if legs == 0:
        return
    if is_restless:
        restless(ladder, slopes, owner, legs)
        return
    is_certain = share_out(ladder, slopes, legs, gap)
    error = max(error, ROUNDING * gap * GROWTH)
    is_hot, value, floor = fit_lists(ladder, slopes, legs, pool, gap, error)
    if guard < 0:
        guard = new_guard(ladder, owner, legs, is_hot)
    else:
        guard = move_place(ladder, guard, is_hot)
    ladder.cards[guard]["turns"] = 0 if is_certain else -1
    file_legs(ladder, slopes, guard, legs)
    set_guard(ladder, guard, gap, value, floor, error)


@inlined
def restless(ladder: Ladder, slopes: Slopes, owner: int, legs: int) -> None:
    """A guard that any change of one of its rows sets off."""
    guard = new_guard(ladder, owner, legs, False)
    for k in range(legs):
        row, box = slopes.leg[k], 0
        key = pick_list(ladder, row, 0.0, 0, ladder.low[box, row], ladder.high[box, row])
        put_in(ladder, key, guard, ladder.cards[guard]["first"] + k, 0.0, 0.0)
    ladder.cards[guard]["turns"] = -1
    record = ladder.guards[guard]
    record["value"], record["floor"], record["ceiling"] = 0.0, np.inf, np.inf


@kernel
def renew(ladder: Ladder, slopes: Slopes, guard: int) -> bool:
    """Move a guard to the steps that its bound at the present prices allows, if that is positive.

    False where the pool has to be judged.
    """
    card, kinds = ladder.cards[guard], ladder.phase.size
    if card["turns"] < 0 or card["turns"] >= TURNS_MAX:
        return False
    legs, first, error = card["legs"], card["first"], float(card["error"])
    gap = ladder.guards[guard]["value"] - error
    for k in range(legs):
        at = ladder.legs[first + k]
        key = key_at(ladder, at)
        row, low, high = (
            key // kinds,
            float(ladder.entries[at]["low"]),
            float(ladder.entries[at]["high"]),
        )
        slopes.leg[k], slopes.low[k], slopes.high[k] = row, low, high
        ahead = ladder.price[row] - ladder.lists[key]["sync"]
        gap += high * ahead if ahead < 0.0 else low * ahead
    if not gap > 4.0 * error:
        return False
    card["turns"] += 1
    ladder.tally[RENEWED] += 1
    share_out(ladder, slopes, legs, gap)
    error = max(error, ROUNDING * gap * GROWTH)
    is_hot, value, floor = fit_lists(ladder, slopes, legs, card["owner"] >> 1, gap, error)
    guard = move_place(ladder, guard, is_hot)
    file_legs(ladder, slopes, guard, legs)
    set_guard(ladder, guard, gap, value, floor, error)
    return True
