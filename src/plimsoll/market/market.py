"""What the rest of the engine may know of prices at one instant."""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from plimsoll.core import Floats, Int8s, Int64s, format_time
from plimsoll.instruments import InstrumentTable
from plimsoll.market.state import SystemState
from plimsoll.market.surface import Surface


class Quality(IntEnum):
    """Whether a price may be used, and why not."""

    GOOD = 0
    MISSING = 1
    STALE = 2
    NOT_FINITE = 3
    NOT_POSITIVE = 4
    JUMP = 5
    NO_QUORUM = 6
    FROZEN = 7
    APART = 8
    RESUMING = 9
    OFF_REFERENCE = 10
    DIVERGED = 11


REASONS = MappingProxyType(
    {
        Quality.MISSING: "is missing",
        Quality.STALE: "is stale",
        Quality.NOT_FINITE: "is not a finite number",
        Quality.NOT_POSITIVE: "is not positive",
        Quality.JUMP: "jumped and is not confirmed yet",
        Quality.NO_QUORUM: "has too few usable sources",
        Quality.FROZEN: "has not moved for too long",
        Quality.APART: "has sources that disagree",
        Quality.RESUMING: "waits for enough fresh sources after an outage",
        Quality.OFF_REFERENCE: "is far from its reference and too few sources say so",
        Quality.DIVERGED: "is too far from what the asset redeems for",
    }
)


@dataclass(frozen=True, slots=True)
class Market:
    """Prices at ``as_of_ns``; anything unusable is NaN with its reason in ``quality``.

    ``price``, ``time_ns``, ``quality`` and ``sources_used`` have one row per instrument
    (its mark price) followed by one per asset (its index price in USD). ``time_ns`` is the
    oldest observation that went into a price. ``implied_vol`` (fraction a year),
    ``forward`` (in quote) have one row per instrument; ``rate`` (continuous, a year) one per
    asset. ``surfaces`` holds at most one volatility surface per underlying; ``state`` is the
    condition of the venue itself, where its rules look at it.
    """

    instruments: InstrumentTable
    as_of_ns: int
    price: Floats
    time_ns: Int64s
    quality: Int8s
    sources_used: Int8s
    implied_vol: Floats
    forward: Floats
    rate: Floats
    state: SystemState
    surfaces: tuple[Surface, ...] = ()

    def surface_of(self, underlying: str) -> Surface | None:
        """The surface of an underlying (an asset's name), if there is one."""
        return next((s for s in self.surfaces if s.underlying == underlying), None)

    @property
    def mark(self) -> Floats:
        """Mark price per instrument, shape [instruments], in its quote (options: settle)."""
        return self.price[: len(self.instruments)]

    @property
    def index(self) -> Floats:
        """USD per unit of each asset, shape [assets]."""
        return self.price[len(self.instruments) :]

    def describe(self, row: int) -> str:
        """Why the price in ``row`` cannot be used, in words a user can act on."""
        count = len(self.instruments)
        what = (
            f"mark price of {self.instruments.rows[row].symbol}"
            if row < count
            else f"index price of {self.instruments.assets.names[row - count]}"
        )
        quality = Quality(int(self.quality[row]))
        if quality == Quality.GOOD:
            return f"{what} is good"
        text = f"{what} {REASONS[quality]}"
        if quality == Quality.STALE:
            age_s = (self.as_of_ns - int(self.time_ns[row])) / 1e9
            text += f" (seen {format_time(int(self.time_ns[row]))}, {age_s:,.0f} s ago)"
        return text
