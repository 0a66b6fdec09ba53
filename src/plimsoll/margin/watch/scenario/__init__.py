"""``plimsoll.portfolio`` one pool at a time, for the watch: figures, and slopes over a box.

Entry point: ``evaluate_joint``. Invariants: figures are those of ``assess`` within ERROR; between
two points of the box no figure changes by more than the slopes say; what cannot be bounded is
refused.
"""

from plimsoll.margin.watch.scenario.evaluate import evaluate_joint, is_joint_stuck
from plimsoll.margin.watch.scenario.house import (
    JointHouse,
    JointScratch,
    is_joint,
    joint_house,
    joint_scratch,
)

__all__ = [
    "JointHouse",
    "JointScratch",
    "evaluate_joint",
    "is_joint",
    "is_joint_stuck",
    "joint_house",
    "joint_scratch",
]
