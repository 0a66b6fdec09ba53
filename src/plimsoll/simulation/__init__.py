"""Made worlds: a price path of a real crash, and books of accounts to carry through it.

Entry points: ``crash_path`` and ``generate_population``. Invariants: all randomness comes from
named streams of a seed, so the same seed gives the same bytes; every figure stands in a dated
table with its source or the admission that there is none; a population is one ``EventBatch``
and reaches a book only through ``ledger.apply``.
"""

from plimsoll.simulation.crash import CRASH_START_NS, crash_path, crash_table
from plimsoll.simulation.population import (
    PopulationSummary,
    describe_population,
    generate_population,
    population_instruments,
    population_table,
)

__all__ = [
    "CRASH_START_NS",
    "PopulationSummary",
    "crash_path",
    "crash_table",
    "describe_population",
    "generate_population",
    "population_instruments",
    "population_table",
]
