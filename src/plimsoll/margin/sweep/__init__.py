"""Assessments in one pass over a book, for models whose figures need no more.

Entry point: ``sweep_tiered``. Invariants: a sweep gives the figures of its model's ``require`` to
the last bit; it reads the rows of a book once and writes nothing but figures; the number of
threads changes no bit.
"""

from plimsoll.margin.sweep.tiered import TieredRules, sweep_tiered

__all__ = ["TieredRules", "sweep_tiered"]
