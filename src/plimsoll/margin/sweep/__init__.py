"""Assessments in one pass over a book, for models whose figures need no more.

Entry points: ``prepare_tiered`` and ``sweep_tiered``, ``prepare_joint`` and ``sweep_joint``;
``worst_losses`` is the bare scan. Invariants: a sweep gives the figures of its model's
``require`` to the last bit; it reads the rows of a book once and writes nothing but figures; the
number of threads changes no bit.
"""

from plimsoll.margin.sweep.joint import (
    JointSheet,
    JointTerms,
    prepare_joint,
    sweep_joint,
    zero_figures,
)
from plimsoll.margin.sweep.joint_reprice import Prices, Repricing, build_repricing, reprice_rows
from plimsoll.margin.sweep.tiered import (
    TieredRules,
    TieredSheet,
    prepare_tiered,
    sweep_tiered,
    tiered_room,
)
from plimsoll.margin.sweep.worst_loss import worst_losses

__all__ = [
    "JointSheet",
    "JointTerms",
    "Prices",
    "Repricing",
    "TieredRules",
    "TieredSheet",
    "build_repricing",
    "prepare_joint",
    "prepare_tiered",
    "reprice_rows",
    "sweep_joint",
    "sweep_tiered",
    "tiered_room",
    "worst_losses",
    "zero_figures",
]
