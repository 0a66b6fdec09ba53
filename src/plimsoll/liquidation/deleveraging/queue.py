"""Auto-deleveraging by queue: who is closed against a position that nobody else takes.

Positions on the other side stand in order of profit and leverage. Those in front are closed at the
bankruptcy price of the position being liquidated until it is gone. Source: BitMEX, "Auto
Deleveraging" (bitmex.com/app/autoDeleveraging): score and percentile shown to users.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int64s

STEP_PERCENT = 20
"""Traders see their place in the queue in fifths."""


@dataclass(frozen=True, slots=True)
class Queue:
    """``order`` holds rows, first to be closed first; ``percentile`` is by row, 20 to 100.

    A percentile is the share of all quantity that stands no further back, in whole fifths.
    """

    order: Int64s
    percentile: Int64s


def queue_score(mark_value: Floats, entry_value: Floats, bankrupt_value: Floats) -> Floats:
    """Profit times leverage, elementwise; a loss is divided by leverage instead.

    Profit is (mark - entry) / |entry| value, leverage |mark| / (mark - bankrupt) value, all
    values signed as the position's.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        profit = (mark_value - entry_value) / np.abs(entry_value)
        leverage = np.abs(mark_value) / (mark_value - bankrupt_value)
        return np.where(profit > 0, profit * leverage, profit / leverage)


def rank_queue(quantity: Floats, score: Floats) -> Queue:
    """The queue of one side; ``quantity`` > 0 by row. Equal scores keep the order of the rows."""
    if np.any(~(quantity > 0)) or np.any(np.isnan(score)):
        problem = "a quantity is not above 0 or a score is unknown"
        raise InputError("deleveraging queue", problem, "leave such rows out")
    order = np.argsort(-score, kind="stable")
    reached = np.cumsum(quantity[order]) / max(float(np.sum(quantity)), 1e-300) * 100
    percentile = np.empty(quantity.size, dtype=np.int64)
    # A share that is a whole fifth but for rounding is that fifth.
    percentile[order] = np.ceil(reached / STEP_PERCENT - 1e-9).astype(np.int64) * STEP_PERCENT
    return Queue(order, percentile)


def close_by_queue(quantity: Floats, queue: Queue, wanted: float) -> Floats:
    """What each row is closed by, from the front, until ``wanted`` is gone or all are."""
    ahead = np.concatenate([[0.0], np.cumsum(quantity[queue.order])])[:-1]
    closed = np.empty(quantity.size)
    closed[queue.order] = np.clip(wanted - ahead, 0.0, quantity[queue.order])
    return closed
