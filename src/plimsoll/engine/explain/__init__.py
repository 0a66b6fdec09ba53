"""Why an account was liquidated at that moment, from a journal alone.

Entry points: ``read_chronicle`` (whose pools were when in liquidation), ``explain_tick`` (prices,
requirement and every step of the procedures that began at one step) and ``closest_approach`` (how
near an account came). Invariants: the step is made again and must decide what is recorded; every
amount is exact, and start, events and end add up to the last unit.
"""

from plimsoll.engine.explain.liquidation import closest_approach, explain_tick
from plimsoll.engine.explain.scan import Chronicle, Procedure, StateEvent, Touch, read_chronicle
from plimsoll.engine.explain.story import (
    Amount,
    Approach,
    BalanceLine,
    Fill,
    Liquidation,
    Movement,
    PositionLine,
    PriceUsed,
    SourcePrice,
    StepTaken,
)
from plimsoll.engine.explain.trace import TRADE_WORDS, TRANSFER_WORDS

__all__ = [
    "TRADE_WORDS",
    "TRANSFER_WORDS",
    "Amount",
    "Approach",
    "BalanceLine",
    "Chronicle",
    "Fill",
    "Liquidation",
    "Movement",
    "PositionLine",
    "PriceUsed",
    "Procedure",
    "SourcePrice",
    "StateEvent",
    "StepTaken",
    "Touch",
    "closest_approach",
    "explain_tick",
    "read_chronicle",
]
