"""Lists of legs at steps in powers of two, and the guards that they keep up to date.

A *guard* is a certified lower bound of one gap of one pool: how far its margin is from the next
threshold on one side. It has a *leg* for every row of the market that the gap depends on, with
the least and the largest slope of the gap along that row. Legs stand in lists by row and level.
A list of level n >= 1 remembers the price it was brought up to, its *sync point*, and is brought
up again only when the row has moved by a step, unit * 2**(n - 1), from it; lists of level 0
follow every tick. So

    gap(now) >= value - sum of (largest |slope| * step) over the guard's legs,

``value`` being the bound at the sync points. The gap is positive while the value stays above
that sum, its *floor*. A guard whose value meets its floor has fired; ``guards`` says what then.

Why that holds. Let y be the vector of sync points of a guard's legs and x the market; both lie
in the guard's box, in which its slopes bound every finite change. (1) A leg is put only into a
list whose sync point lies in the box; later sync points lie in every box that the row has.
(2) When a list is brought up from y_r to y'_r, the gap at y changes by no less than the worse
slope times the move, and that is what the value changes by. (3) Between bring-ups |x_r - y_r|
is below the step, so the gap at x is no less than the gap at y less the floor. (4) Steps are a
unit times a power of two, floors are rounded up and slopes outwards. Each update rounds by at
most 2**-52 of what it adds or of the ceiling; the floor keeps ``error``, more than all of them
together in 2**31 updates (``guards``).

Lists are chains of chunks of one arena; a leg knows its place in its list, and the last entry
of a list takes the place of one that leaves. Of each row the nearest price at which any list is
due is kept, so that a tick that reaches none costs one comparison.
"""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.core import Floats, Int32s, Int64s
from plimsoll.margin.watch.compiled import inlined, kernel

Records: TypeAlias = NDArray[np.void]

ENTRY = np.dtype([("guard", "i4"), ("leg", "i4"), ("low", "f4"), ("high", "f4")])
LIST = np.dtype([("sync", "f8"), ("head", "i4"), ("fill", "i4")])
GUARD = np.dtype([("value", "f8"), ("floor", "f4"), ("ceiling", "f4")])
CARD = np.dtype(
    [("error", "f4"), ("owner", "i4"), ("first", "i4"), ("legs", "i4"), ("turns", "i4")]
)

CHUNK_BITS = 5
CHUNK = 1 << CHUNK_BITS
"""Entries in a chunk of the arena."""
LEVELS = 10
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of it, less whole numbers, lie as far apart as can be."""

# Places in ``Ladder.tally``.
FREE_CHUNKS, FREE_HOT, FREE_COLD, FIRED, ASKED, LEGS_END = range(6)
UPDATES, LISTS, RENEWED, LOOKED = range(6, 10)
TALLIES = 10


class Ladder(NamedTuple):
    """All guards and their legs.

    Over rows of the market: ``price`` now; ``low`` and ``high`` [phases, rows], the boxes in which
    slopes hold, pool p having those of phase p modulo phases; ``inner_low`` and ``inner_high``,
    what all of them share; ``near_low`` and ``near_high``, between which no list is due; the
    usual ``move``, the shortest step, ``unit``, and how many phases of lists are in use,
    ``spread``. ``lists`` [rows * kinds]: sync point, the first chunk or -1, and how many entries
    that one has; all others are full. ``level_first`` [levels + 1], ``factor`` and ``phase``
    [kinds] say which is which; a kind's step is unit * factor. ``entries`` [chunks * 32],
    ``chain`` [chunks], the next chunk or -1, and ``home`` [chunks], the key of the list that a
    chunk belongs to, row * kinds + kind, are the arena.

    ``guards`` has what an update needs: value, floor, ceiling; those of short steps have the
    first numbers, so that they lie close together. ``cards``: the rounding that the floor keeps,
    2 * pool + side (-1: none), the block of its legs, and how often it was moved (-1: it is not
    to be). ``legs``: where each one's entry is, -1 in no list; ``block_free`` [legs + 1] heads
    chains of free blocks by size. ``by_pool`` [2 * pools] has each pool's guards or -1.
    ``fired``, ``asked``, ``free_chunks``, ``free_hot`` and ``free_cold`` are stacks; ``tally``
    has their heights and counts work.
    """

    price: Floats
    low: Floats
    high: Floats
    inner_low: Floats
    inner_high: Floats
    near_low: Floats
    near_high: Floats
    move: Floats
    unit: Floats
    spread: Int32s
    lists: Records
    level_first: Int32s
    factor: Floats
    phase: Floats
    entries: Records
    chain: Int32s
    home: Int32s
    free_chunks: Int32s
    guards: Records
    cards: Records
    free_hot: Int32s
    free_cold: Int32s
    legs: Int32s
    block_free: Int32s
    fired: Int32s
    asked: Int32s
    by_pool: Int32s
    tally: Int64s


@inlined
def take_block(ladder: Ladder, size: int) -> int:
    """The first of ``size`` free legs in a row."""
    first = ladder.block_free[size]
    if first >= 0:
        ladder.block_free[size] = ladder.legs[first]
        return int(first)
    first = ladder.tally[LEGS_END]
    ladder.tally[LEGS_END] += size
    return int(first)


@inlined
def give_block(ladder: Ladder, first: int, size: int) -> None:
    """Free a block of legs."""
    ladder.legs[first] = ladder.block_free[size]
    ladder.block_free[size] = first


@inlined
def key_at(ladder: Ladder, at: int) -> int:
    """The key of the list that an entry stands in."""
    return int(ladder.home[at >> CHUNK_BITS])


@inlined
def take_out(ladder: Ladder, leg: int) -> None:
    """Take a leg out of its list: the list's last entry takes its place."""
    at = ladder.legs[leg]
    home = ladder.lists[key_at(ladder, at)]
    chunk, last = home["head"], home["fill"] - 1
    end = chunk * CHUNK + last
    if end != at:
        hole, filler = ladder.entries[at], ladder.entries[end]
        hole["guard"], hole["leg"] = filler["guard"], filler["leg"]
        hole["low"], hole["high"] = filler["low"], filler["high"]
        ladder.legs[filler["leg"]] = at
    if last == 0:
        ladder.free_chunks[ladder.tally[FREE_CHUNKS]] = chunk
        ladder.tally[FREE_CHUNKS] += 1
        chunk = ladder.chain[chunk]
        home["head"] = chunk
        last = CHUNK if chunk >= 0 else 0
    home["fill"] = last


@inlined
def put_in(ladder: Ladder, key: int, guard: int, leg: int, low: float, high: float) -> None:
    """Put a leg into a list that ``open_list`` has seen."""
    home = ladder.lists[key]
    chunk, fill = home["head"], home["fill"]
    if chunk < 0 or fill == CHUNK:
        ladder.tally[FREE_CHUNKS] -= 1
        fresh = ladder.free_chunks[ladder.tally[FREE_CHUNKS]]
        ladder.chain[fresh], ladder.home[fresh] = chunk, key
        home["head"] = fresh
        chunk, fill = fresh, 0
    at = chunk * CHUNK + fill
    entry = ladder.entries[at]
    entry["guard"], entry["leg"], entry["low"], entry["high"] = guard, leg, low, high
    ladder.legs[leg] = at
    home["fill"] = fill + 1


@inlined
def open_list(ladder: Ladder, row: int, key: int) -> float:
    """The sync point of a list about to get a leg; an empty one is brought to the present."""
    kind = key - row * ladder.phase.size
    step = ladder.unit[row] * ladder.factor[kind]
    if ladder.lists[key]["head"] < 0:
        ladder.lists[key]["sync"] = sync_point(ladder, row, kind, step)
    sync = float(ladder.lists[key]["sync"])
    ladder.near_low[row] = max(ladder.near_low[row], sync - step)
    ladder.near_high[row] = min(ladder.near_high[row], sync + step)
    return sync


@kernel
def bring_up(ladder: Ladder, key: int, move: float) -> None:
    """Apply a move of the sync point to all guards of a list; what meets its floor has fired."""
    entries, guards = ladder.entries, ladder.guards
    chunk, size, done = ladder.lists[key]["head"], ladder.lists[key]["fill"], 0
    is_fall = move < 0.0
    while chunk >= 0:
        first = chunk * CHUNK
        done += size
        for at in range(first, first + size):
            slope = entries[at]["high"] if is_fall else entries[at]["low"]
            guard = entries[at]["guard"]
            value = guards[guard]["value"] + slope * move
            guards[guard]["value"] = value
            if not guards[guard]["floor"] < value < guards[guard]["ceiling"]:
                guards[guard]["floor"], guards[guard]["ceiling"] = -np.inf, np.inf
                ladder.fired[ladder.tally[FIRED]] = guard
                ladder.tally[FIRED] += 1
        chunk, size = ladder.chain[chunk], CHUNK
    ladder.tally[UPDATES] += done
    ladder.tally[LISTS] += 1


@inlined
def sync_point(ladder: Ladder, row: int, kind: int, step: float) -> float:
    """Where a list is brought up to: the nearest point of its own grid inside all boxes.

    Grids of one level, of two levels and of two rows differ in phase: rows that move together
    would else have all their lists come up at the same ticks.
    """
    price = ladder.price[row]
    if step == 0.0:
        return float(price)
    start = (ladder.phase[kind] + row * GOLDEN) % 1.0 * step
    point = start + math.floor((price - start) / step + 0.5) * step
    return float(min(max(point, ladder.inner_low[row]), ladder.inner_high[row]))


@kernel
def follow(ladder: Ladder, row: int, price: float) -> None:
    """Move a row to a price inside its boxes, and bring up the lists it is a step away from."""
    ladder.price[row] = price
    if ladder.near_low[row] < price < ladder.near_high[row]:
        return
    near_low, near_high, kinds = -np.inf, np.inf, ladder.phase.size
    for kind in range(kinds):
        key = row * kinds + kind
        if ladder.lists[key]["head"] < 0:
            continue
        before, step = ladder.lists[key]["sync"], ladder.unit[row] * ladder.factor[kind]
        point = before
        if not abs(price - before) < step:
            point = sync_point(ladder, row, kind, step)
            if point != before:
                ladder.lists[key]["sync"] = point
                bring_up(ladder, key, point - before)
        near_low, near_high = max(near_low, point - step), min(near_high, point + step)
    ladder.near_low[row], ladder.near_high[row] = near_low, near_high


@kernel
def follow_all(ladder: Ladder, rows: Int32s, prices: Floats) -> None:
    """Move rows to prices inside their boxes."""
    for at in range(rows.size):
        follow(ladder, rows[at], prices[at])


@inlined
def pick_list(ladder: Ladder, row: int, step: float, pool: int, low: float, high: float) -> int:
    """The key of the list with the longest step not above ``step``, of the pool's phase.

    Its sync point lies between ``low`` and ``high``, the pool's box.
    """
    ratio, level = step / ladder.unit[row], 0
    if ratio >= 1.0:
        # ratio = m * 2**e with m in [1/2, 1): level e has the step unit * 2**(e - 1) <= step.
        level = min(math.frexp(min(ratio, 1e15))[1], LEVELS - 1)
    while True:
        first = ladder.level_first[level]
        count = min(ladder.level_first[level + 1] - first, ladder.spread[row])
        # Pools of equal phases would come up together in all their rows.
        key = row * ladder.phase.size + first + (pool + row) % count
        if level == 0 or low <= open_list(ladder, row, key) <= high:
            break
        level -= 1
    if level == 0:
        open_list(ladder, row, key)
    return int(key)
