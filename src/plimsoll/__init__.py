"""plimsoll: an open cross-margin risk engine for crypto derivatives.

One path runs through every use, live or simulated: market data and events come in,
``ledger.apply`` changes the book, ``margin.assess`` states what each pool of collateral
owes, ``liquidation.plan`` answers with events that go back through ``ledger.apply``.
Import from the rooms (``plimsoll.book``, ``plimsoll.margin``, ...); ARCHITECTURE.md is the map.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
