"""Kinds and states of pools, phases of markets, and the five pools that every book begins with."""

from enum import IntEnum


class PoolKind(IntEnum):
    """Who a pool belongs to and what it backs."""

    SYSTEM = 0
    CROSS = 1
    ISOLATED = 2


class PoolState(IntEnum):
    """Where a pool stands in the house's procedure; changed only by events.

    In order of gravity: NORMAL, WARNED (notice was given), CALLED, RESTRICTED (it may only reduce),
    LIQUIDATING. A state that is RISING or FALLING is the one it is named after, while a graver or
    milder one waits for its dwell to pass since the state event.
    """

    NORMAL = 0
    CALLED = 1
    LIQUIDATING = 2
    WARNED = 3
    RESTRICTED = 4
    NORMAL_RISING = 5
    WARNED_RISING = 6
    WARNED_FALLING = 7
    CALLED_RISING = 8
    CALLED_FALLING = 9
    RESTRICTED_FALLING = 10


class MarketPhase(IntEnum):
    """What may be done in one instrument; changed only by events. Each allows less than the last.

    REDUCE_ONLY lets positions shrink and orders go, CANCEL_ONLY orders go, HALTED nothing; forced
    closes need NORMAL or REDUCE_ONLY.
    """

    NORMAL = 0
    REDUCE_ONLY = 1
    CANCEL_ONLY = 2
    HALTED = 3


class SystemPool(IntEnum):
    """Counterparties of double entry; their index is their pool number.

    WORLD is everything outside: a deposit leaves it, so it stands below zero. MARKET is the
    other side of trades with traders outside the book. BAD_DEBT is what no fund could pay.
    """

    WORLD = 0
    MARKET = 1
    INSURANCE_FUND = 2
    FEES = 3
    BAD_DEBT = 4
