"""The watch: after a tick, only pools that it can have pushed over a threshold are judged again.

Entry point: ``Watch.arm``. Invariants: at every tick the watch's statuses are those that
``assess`` of the whole book would give, no pool missed and none early; bounds are certified, the
usual moves it is told only change how much work it does.
"""

from plimsoll.margin.watch.boxes import usual_moves, with_price_moves
from plimsoll.margin.watch.build import Watched
from plimsoll.margin.watch.changes import Changes, WatchStats
from plimsoll.margin.watch.market_rows import MarketRows
from plimsoll.margin.watch.watch import Watch

__all__ = [
    "Changes",
    "MarketRows",
    "Watch",
    "WatchStats",
    "Watched",
    "usual_moves",
    "with_price_moves",
]
