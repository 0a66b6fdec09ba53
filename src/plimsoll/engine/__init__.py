"""The live state machine: inputs come in, are answered with decisions, and both are journaled.

Entry points: ``step`` (pure: state and inputs in, state and decisions out), ``LiveEngine`` (the
same at the cost of what changes), ``Session`` (a journal around it) and ``verify_journal``.
Invariants: nothing leaves before it is written down; events that a gate refuses change nothing;
decisions follow from inputs and rules alone, so a journal replays bit for bit; starting up is
recovering.
"""

from plimsoll.engine.admission import admit
from plimsoll.engine.codec import Header
from plimsoll.engine.emergency import reopen
from plimsoll.engine.gates import GateRules, GateState, OutflowLimit, load_gates
from plimsoll.engine.live import LiveEngine, LiveOutcome
from plimsoll.engine.rules import Rules, load_rules
from plimsoll.engine.session import Session
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.engine.step import open_state, step
from plimsoll.engine.verify import Verification, verify_journal

__all__ = [
    "EngineState",
    "GateRules",
    "GateState",
    "Header",
    "Inputs",
    "LiveEngine",
    "LiveOutcome",
    "Outcome",
    "OutflowLimit",
    "Rules",
    "Session",
    "Verification",
    "admit",
    "load_gates",
    "load_rules",
    "open_state",
    "reopen",
    "step",
    "verify_journal",
]
