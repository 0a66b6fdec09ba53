"""Foundations that know no finance: statuses, errors, time, exact numbers, digests, seeds, tables.

Entry points: ``Status``, ``InputError``, ``load_tables``. Invariants: nothing here reads a
clock or owns randomness; every other room may import this one and it imports none of them.
"""

from plimsoll.core.arrays import (
    Bools,
    Floats,
    Int8s,
    Int32s,
    Int64s,
    distinct,
    offsets_from_counts,
    sum_by,
    turns_of,
)
from plimsoll.core.digest import digest_columns
from plimsoll.core.errors import (
    InputError,
    JournalError,
    LedgerError,
    PlimsollError,
    did_you_mean,
)
from plimsoll.core.exact import decimals_for, scale_to_units, sum_exact, to_units
from plimsoll.core.seeds import stream
from plimsoll.core.status import Status
from plimsoll.core.tables import DatedTable, load_tables, table_at
from plimsoll.core.time import NS_PER_SECOND, format_time, parse_time

__all__ = [
    "NS_PER_SECOND",
    "Bools",
    "DatedTable",
    "Floats",
    "InputError",
    "Int8s",
    "Int32s",
    "Int64s",
    "JournalError",
    "LedgerError",
    "PlimsollError",
    "Status",
    "decimals_for",
    "did_you_mean",
    "digest_columns",
    "distinct",
    "format_time",
    "load_tables",
    "offsets_from_counts",
    "parse_time",
    "scale_to_units",
    "stream",
    "sum_by",
    "sum_exact",
    "table_at",
    "to_units",
    "turns_of",
]
