"""Independent programs that do the same work, written as their own users would write them.

Entry points: ``NumpyStandard``, ``PandasStandard``, ``PolarsStandard``, ``DictLedger``.
Invariants: a peer reads the columns of a book and the numbers of a table, and computes with
nothing else of plimsoll's.
"""

from benchmarks.peers.dict_ledger import DictLedger
from benchmarks.peers.standard_numpy import NumpyStandard
from benchmarks.peers.standard_pandas import PandasStandard
from benchmarks.peers.standard_polars import PolarsStandard

__all__ = ["DictLedger", "NumpyStandard", "PandasStandard", "PolarsStandard"]
