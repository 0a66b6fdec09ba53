"""One rule file and one dated table for each margin model.

Entry point: the ``MODEL`` of each module, listed in ``margin.registry``. Invariants: a rule
file reads like the venue's rule sheet; numbers stand in the table beside it, dated, sourced
and never edited in place; what no source confirms is marked there.
"""

from plimsoll.margin.venues import plimsoll_standard

__all__ = ["plimsoll_standard"]
