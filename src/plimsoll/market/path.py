"""A price path: mark prices of several instruments at common instants."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int64s


@dataclass(frozen=True, slots=True)
class PricePath:
    """``price[t, i]`` of ``symbols[i]`` at ``time_ns[t]``; NaN where no price was seen.

    ``source`` names where the prices come from, for provenance and reports.
    """

    symbols: tuple[str, ...]
    time_ns: Int64s
    price: Floats
    source: str

    def __post_init__(self) -> None:
        if self.price.shape != (self.time_ns.size, len(self.symbols)):
            raise InputError(
                self.source,
                f"price has shape {self.price.shape}, not (times, symbols)",
                "give one row per time and one column per symbol",
            )
        if np.any(np.diff(self.time_ns) <= 0):
            raise InputError(self.source, "times do not increase", "sort them and drop repeats")
