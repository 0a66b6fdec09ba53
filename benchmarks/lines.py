"""What a benchmark says: one line per claim, and how figures are compared."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Timing

Numbers = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Load:
    """How much is measured; the defaults are what the claims speak of.

    ``peak_accounts`` and ``peak_trades`` are published for Hyperliquid on 10 October 2025: the
    accounts there were, and the forced closes that bore one timestamp.
    """

    accounts: tuple[int, ...] = (100_000, 1_000_000)
    tick_accounts: int = 100_000
    peak_accounts: int = 437_723
    peak_trades: int = 22_558
    shrink: int = 1
    repeats: int = 7


class Line(msgspec.Struct, frozen=True):
    """One figure in its context.

    ``value`` is a median. The ratios are speeds over speeds, of the best runs: ours over the
    peer's and ours over the machine's limit, so above 1 is faster. ``accuracy`` is the largest
    relative difference to the peer's figures, None where there are none to compare.
    """

    name: str
    value: float
    unit: str
    peer: str
    ratio_peer: float
    ratio_limit: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Race:
    """Timings of the same work: ours, the peer's and the least the machine could need."""

    ours: Timing
    peer: Timing
    limit: Timing

    def line(self, name: str, value: float, unit: str, peer: str, accuracy: float | None) -> Line:
        """The line of this race; ``value`` is in ``unit``."""
        return Line(
            name=name,
            value=value,
            unit=unit,
            peer=peer,
            ratio_peer=self.peer.best / self.ours.best,
            ratio_limit=self.limit.best / self.ours.best,
            accuracy=accuracy,
        )

    def milliseconds(self, name: str, peer: str, accuracy: float | None) -> Line:
        """The line of this race, told as our median time."""
        return self.line(name, 1e3 * self.ours.median, "ms", peer, accuracy)


def relative_difference(pairs: Iterable[tuple[Numbers, Numbers]]) -> float:
    """Largest relative difference over pairs of equal shape; NaN where either holds one.

    Magnitudes below one unit (a dollar, the smallest amount) count as one.
    """
    largest = [np.max(np.abs(a - b) / np.maximum(np.abs(b), 1.0), initial=0.0) for a, b in pairs]
    # Python's max would lose a NaN.
    return float(np.max(largest, initial=0.0))


def figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    if not math.isfinite(value) or value == 0:
        return f"{value}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
