"""The tick: rows move, guards fire, the pools behind them are judged and guarded anew."""

from typing import Any

import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Bools, Floats, Int8s, Int32s, Int64s, Status
from plimsoll.margin.watch.compiled import entry, inlined, kernel
from plimsoll.margin.watch.contract import (
    C_HIGH,
    C_LOW,
    COLLATERAL,
    COUNTED,
    E_HIGH,
    E_LOW,
    EQUITY,
    ERROR,
    JOINT,
    M_HIGH,
    M_LOW,
    MAINTENANCE,
    RANGES,
    TIERED,
    Desk,
)
from plimsoll.margin.watch.dispatch import joint_figures, joint_stuck
from plimsoll.margin.watch.guards import has_room, place, release, renew
from plimsoll.margin.watch.ladder import ASKED, FIRED, LOOKED, Ladder, follow_all
from plimsoll.margin.watch.machine import Log, Rungs
from plimsoll.margin.watch.standard import evaluate_tiered, is_tiered_stuck

DONE, LEFT_BOX, CROWD, NO_ROOM, LOG_FULL, ASK = range(6)
"""Why the loop stopped: all ticks done, or what its caller has to see to before it goes on."""

FALL, RISE = 0, 1
_UNKNOWN, _OK, _BANKRUPT = int(Status.UNKNOWN), int(Status.OK), int(Status.BANKRUPT)
UNKNOWN, UNSURE = -1, -2
"""Rungs of a pool that ``assess`` calls UNKNOWN, and of one that only it can tell."""


@kernel
def figures_of(ladder: Ladder, desk: Desk, rows: Rows, pool: int) -> bool:
    """Figures and slopes of a pool by its evaluator; false where only ``assess`` can say."""
    model, box = desk.model[pool], pool % ladder.low.shape[0]
    low, high = ladder.low[box], ladder.high[box]
    ladder.tally[LOOKED] += 1
    if desk.code[model] == TIERED:
        return bool(
            evaluate_tiered(
                desk.tiered, rows, pool, model, ladder.price, low, high, desk.tiered_scratch,
                desk.slopes, desk.figures,
            )
        )  # fmt: skip
    if desk.code[model] == JOINT:
        return bool(
            joint_figures(
                desk.joint, rows, pool, model, ladder.price, low, high, desk.joint_scratch,
                desk.slopes, desk.figures,
            )
        )  # fmt: skip
    return False


@inlined
def is_stuck(ladder: Ladder, desk: Desk, rows: Rows, pool: int) -> bool:
    """Whether an UNKNOWN pool stays so until a row that is NaN gets a number again.

    Where its model cannot tell, it is assessed at every tick.
    """
    model = desk.model[pool]
    if desk.code[model] == TIERED:
        return bool(is_tiered_stuck(desk.tiered, rows, pool, model, ladder.price))
    if desk.code[model] == JOINT:
        return bool(joint_stuck(desk.joint, rows, pool, model, ladder.price))
    return False


@inlined
def rung_of(rungs: Rungs, model: int, before: int, figures: Floats, is_event: bool) -> int:
    """The rung that figures put a pool on; ``UNSURE`` where rounding could put it on another."""
    error, count = figures[ERROR], int(rungs.ratios.shape[1])
    collateral, margin = figures[COLLATERAL], figures[MAINTENANCE]
    is_kept = before == count + 1 and rungs.clears[model, count - 1] == 0.0 and not is_event
    if abs(figures[EQUITY]) <= error and error > 0.0 and not is_kept:
        return UNSURE
    if figures[EQUITY] < 0.0 or is_kept:
        return count + 1
    rung = 0
    if margin == 0.0:
        if figures[COUNTED] != 0.0 and abs(collateral) <= error:
            return UNSURE
        rung = 0 if figures[COUNTED] == 0.0 or collateral > 0.0 else count
    for k in range(count):
        clear = rungs.clears[model, k]
        is_kept = k < before <= count and clear < rungs.ratios[model, k]
        if is_kept and clear == 0.0:
            rung = rung if is_event else k + 1
        if margin == 0.0 or (is_kept and clear == 0.0 and not is_event):
            continue
        is_lower = is_kept and clear > 0.0
        gap = (clear if is_lower else rungs.ratios[model, k]) * collateral - margin
        if abs(gap) <= 4.0 * error:
            return UNSURE
        if gap < 0.0:
            rung = k + 1
    return rung


@kernel
def guard_side(ladder: Ladder, desk: Desk, rungs: Rungs, pool: int, rung: int, side: int) -> None:
    """Guard the gap of a pool to the next worse rung (``FALL``) or the next better (``RISE``)."""
    slopes, figures = desk.slopes, desk.figures
    last, model = rungs.ratios.shape[1], desk.model[pool]
    level = rung if side == FALL else rung - 1
    kept = rungs.clears[model, min(max(level, 0), last - 1)]
    if rung < 0 or level < 0 or level > last or (side == RISE and kept == 0.0):
        release(ladder, pool, side)
        return
    sign = 1.0 if side == FALL else -1.0
    of_collateral, of_equity, of_margin = 0.0, sign, 0.0
    if level < last:
        ratio = rungs.ratios[model, level] if side == FALL else kept
        of_collateral, of_equity, of_margin = sign * ratio, 0.0, -sign
    gap = of_collateral * figures[COLLATERAL] + of_equity * figures[EQUITY]
    gap += of_margin * figures[MAINTENANCE] - 4.0 * figures[ERROR]
    for k in range(slopes.tally[0]):
        r, at = slopes.ranges, k * RANGES
        c_low, c_high = of_collateral * r[at + C_LOW], of_collateral * r[at + C_HIGH]
        e_low, e_high = of_equity * r[at + E_LOW], of_equity * r[at + E_HIGH]
        m_low, m_high = of_margin * r[at + M_LOW], of_margin * r[at + M_HIGH]
        slopes.low[k] = min(c_low, c_high) + min(e_low, e_high) + min(m_low, m_high)
        slopes.high[k] = max(c_low, c_high) + max(e_low, e_high) + max(m_low, m_high)
    place(ladder, slopes, pool, side, gap, figures[ERROR])


@inlined
def note(rungs: Rungs, log: Log, tick: int, pool: int, rung: int) -> None:
    """Put a pool on a rung and log it if that is another one."""
    before = rungs.rung[pool]
    if rung != before:
        at = log.tally[0]
        log.tick[at], log.pool[at], log.before[at], log.after[at] = tick, pool, before, rung
        log.tally[0] += 1
        rungs.rung[pool] = rung


@kernel
def judge(
    ladder: Ladder, desk: Desk, rows: Rows, rungs: Rungs, log: Log, tick: int, pool: int,
    is_event: bool,
) -> None:  # fmt: skip
    """Find a pool's rung and guard it anew; what only ``assess`` can tell is put on ``asked``."""
    rung, model = UNSURE, desk.model[pool]
    if figures_of(ladder, desk, rows, pool):
        rung = rung_of(rungs, model, rungs.rung[pool], desk.figures, is_event)
    if rung == UNSURE:
        release(ladder, pool, FALL)
        release(ladder, pool, RISE)
        ladder.asked[ladder.tally[ASKED]] = pool
        ladder.tally[ASKED] += 1
        return
    note(rungs, log, tick, pool, rung)
    guard_side(ladder, desk, rungs, pool, rung, FALL)
    guard_side(ladder, desk, rungs, pool, rung, RISE)


@entry
def judge_all(
    machine: Any, tick: int, pools: Int32s, start: int, is_event: bool
) -> tuple[int, int]:
    """Judge some pools; returns why it stopped and how many are done."""
    ladder, desk, rows = machine.ladder, machine.desk, machine.rows
    rungs, log, legs = machine.rungs, machine.log, machine.desk.slopes.row.size
    for k in range(start, pools.size):
        if not has_room(ladder, legs):
            return NO_ROOM, k
        if log.tally[0] == log.pool.size:
            return LOG_FULL, k
        if desk.model[pools[k]] >= 0:
            judge(ladder, desk, rows, rungs, log, tick, pools[k], is_event)
    return ASK if ladder.tally[ASKED] > 0 else DONE, pools.size


@entry
def guard_asked(machine: Any, pools: Int32s, start: int, is_left: Bools) -> int:
    """Guard pools that ``assess`` has put on their rungs; returns how many are done.

    It stops for want of room. is_left[k] is set for a pool that can neither be guarded nor is
    UNKNOWN for good: such a one has to be assessed at every tick.
    """
    ladder, desk, rows, rungs = machine.ladder, machine.desk, machine.rows, machine.rungs
    for k in range(start, pools.size):
        if not has_room(ladder, desk.slopes.row.size):
            return k
        pool = pools[k]
        rung = rungs.rung[pool]
        if rung == UNKNOWN:
            is_left[k] = not is_stuck(ladder, desk, rows, pool)
        else:
            is_left[k] = not figures_of(ladder, desk, rows, pool)
            if not is_left[k]:
                guard_side(ladder, desk, rungs, pool, rung, FALL)
                guard_side(ladder, desk, rungs, pool, rung, RISE)
    return int(pools.size)


@entry
def run(
    machine: Any, offsets: Int64s, moved: Int32s, prices: Floats, cursor: Int64s, crowd: int
) -> int:
    """Ticks from cursor[0] to cursor[2], each the rows offsets[tick] to offsets[tick + 1] of
    ``moved``; why it stopped, ``CROWD`` where more than ``crowd`` guards have fired.

    cursor[1] says that the rows of the tick have moved already.
    """
    ladder, desk, rows = machine.ladder, machine.desk, machine.rows
    rungs, log, legs = machine.rungs, machine.log, machine.desk.slopes.row.size
    while cursor[0] < cursor[2]:
        tick = cursor[0]
        first, end = offsets[tick], offsets[tick + 1]
        if cursor[1] == 0:
            for at in range(first, end):
                row = moved[at]
                if not ladder.inner_low[row] <= prices[at] <= ladder.inner_high[row]:
                    return LEFT_BOX
            follow_all(ladder, moved[first:end], prices[first:end])
            cursor[1] = 1
        if ladder.tally[FIRED] > crowd:
            return CROWD
        while ladder.tally[FIRED] > 0:
            if not has_room(ladder, legs):
                return NO_ROOM
            if log.tally[0] == log.pool.size:
                return LOG_FULL
            ladder.tally[FIRED] -= 1
            guard = ladder.fired[ladder.tally[FIRED]]
            owner = ladder.cards[guard]["owner"]
            if owner >= 0 and not renew(ladder, desk.slopes, guard):
                judge(ladder, desk, rows, rungs, log, tick, owner >> 1, False)
        if ladder.tally[ASKED] > 0:
            return ASK
        cursor[0] += 1
        cursor[1] = 0
    return DONE


@entry
def move_rows(machine: Any, moved: Int32s, prices: Floats) -> None:
    """Move rows to prices inside their boxes."""
    follow_all(machine.ladder, moved, prices)


@inlined
def rung_of_ratio(rungs: Rungs, model: int, before: int, ratio: float, is_event: bool) -> int:
    """The rung that a margin ratio puts a pool on that is neither UNKNOWN nor bankrupt."""
    rung = 0
    for level in range(rungs.ratios.shape[1]):
        line, clear = rungs.ratios[model, level], rungs.clears[model, level]
        is_kept = level < before <= rungs.ratios.shape[1] and clear < line
        if is_kept and (clear > 0.0 or not is_event):
            line = clear
        if ratio >= line:
            rung = level + 1
    return rung


@kernel
def note_rows(
    desk: Desk, rungs: Rungs, log: Log, tick: int, start: int, pools: Int64s, mask: Bools,
    calls: Floats, status: Int8s, collateral: Floats, margin: Floats, is_event: bool,
) -> int:  # fmt: skip
    """``note_found`` with a machine's parts."""
    count, is_all = rungs.ratios.shape[1], pools.size == 0
    for k in range(start, min(status.size, mask.size) if is_all else status.size):
        if is_all and not mask[k]:
            continue
        pool = k if is_all else pools[k]
        before, model = rungs.rung[pool], max(desk.model[pool], 0)
        is_held = before > count and rungs.clears[model, count - 1] == 0.0 and not is_event
        is_calm = status[k] == _OK and before == 0 and calls[model] <= rungs.ratios[model, 0]
        if is_calm or (is_held and status[k] != _UNKNOWN):
            # Below the margin call is below all levels. Here and there no figure need be read.
            continue
        if log.tally[0] == log.pool.size:
            return k
        if status[k] == _UNKNOWN:
            rung = UNKNOWN
        elif status[k] == _BANKRUPT:
            rung = count + 1
        else:
            # As ``margin_ratio`` has it.
            c, m, ratio = collateral[k], margin[k], 0.0
            if c <= 0.0 and (m > 0.0 or c < 0.0):
                ratio = np.inf
            elif m != 0.0:
                ratio = m / c
            rung = rung_of_ratio(rungs, model, before, ratio, is_event)
        note(rungs, log, tick, pool, rung)
    return int(status.size)


@entry
def note_found(
    machine: Any, tick: int, start: int, pools: Int64s, mask: Bools, calls: Floats, status: Int8s,
    collateral: Floats, margin: Floats, is_event: bool,
) -> int:  # fmt: skip
    """Put pools on the rungs that an assessment says, as ``rung_of`` does with figures.

    Its row k is of pools[k]; where there are no ``pools``, of pool k, if that is in ``mask``.
    ``calls`` are the models' margin call ratios. Returns how many rows are done: it stops where
    the log is full.
    """
    return int(
        note_rows(
            machine.desk, machine.rungs, machine.log, tick, start, pools, mask, calls, status,
            collateral, margin, is_event,
        )
    )  # fmt: skip


@entry
def loosen_fired(machine: Any, out: Int32s) -> int:
    """Give up all guards of the pools whose guards have fired; fill ``out`` with them."""
    ladder, found = machine.ladder, 0
    while ladder.tally[FIRED] > 0:
        ladder.tally[FIRED] -= 1
        owner = ladder.cards[ladder.fired[ladder.tally[FIRED]]]["owner"]
        # One of a pool that is out already has no owner any more.
        if owner >= 0:
            release(ladder, owner >> 1, FALL)
            release(ladder, owner >> 1, RISE)
            out[found] = owner >> 1
            found += 1
    return found


@entry
def release_all(machine: Any, pools: Int32s) -> None:
    """Give up the guards of pools."""
    ladder = machine.ladder
    for pool in pools:
        release(ladder, pool, FALL)
        release(ladder, pool, RISE)


@entry
def touched_pools(
    machine: Any, boxes: Int64s, is_contract: Bools, is_asset: Bools, is_late: bool, loose: Bools,
    out: Int32s,
) -> int:  # fmt: skip
    """Fill ``out`` with the pools of some boxes that have a contract or an asset that is marked.

    ``is_late``: the time has left the box, which moves every pool but tiered ones. Those that
    are ``loose`` have nothing that a box could end. Returns how many.
    """
    rows, desk, found = machine.rows, machine.desk, 0
    end, all_boxes = min(rows.kind.size, desk.model.size), machine.ladder.low.shape[0]
    for first in range(0, end, all_boxes):
        for box in boxes:
            pool = first + box
            if pool >= end or (pool < loose.size and loose[pool]) or desk.model[pool] < 0:
                continue
            is_touched = is_late and desk.code[desk.model[pool]] != TIERED
            for row in range(rows.position_begin[pool], rows.position_end[pool]):
                is_touched |= is_contract[rows.instrument[row]]
            for row in range(rows.order_begin[pool], rows.order_end[pool]):
                is_touched |= is_contract[rows.order_instrument[row]]
            for row in range(rows.balance_begin[pool], rows.balance_end[pool]):
                is_touched |= is_asset[rows.asset[row]]
            if is_touched:
                out[found] = pool
                found += 1
    return found
