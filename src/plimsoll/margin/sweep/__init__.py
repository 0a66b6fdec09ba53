"""Assessments in one pass over a book, for models whose figures need no more.

Entry points: ``prepare_tiered`` and ``sweep_tiered``. Invariants: a sweep gives the figures of
its model's ``require`` to the last bit; it reads the rows of a book once and writes nothing but
figures; the number of threads changes no bit.
"""

from plimsoll.margin.sweep.tiered import TieredRules, TieredSheet, prepare_tiered, sweep_tiered

__all__ = ["TieredRules", "TieredSheet", "prepare_tiered", "sweep_tiered"]
