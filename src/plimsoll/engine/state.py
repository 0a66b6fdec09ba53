"""What goes into a step and what comes out of it."""

from dataclasses import dataclass

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s
from plimsoll.ledger import EventBatch
from plimsoll.margin import Assessment, Plan
from plimsoll.market import Market, PriceBatch, PriceBoard


@dataclass(frozen=True, slots=True)
class EngineState:
    """The book, the last prices by source, and where the book's rows add up."""

    book: Book
    board: PriceBoard
    plan: Plan


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the outside says at ``time_ns``: price observations and events, either empty."""

    time_ns: int
    prices: PriceBatch
    events: EventBatch


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did.

    ``found`` is the state of every pool at the new prices, ``assessment`` the same after the
    ``decisions``, which were applied in order.
    ``called``, ``begun`` and ``taken_over`` are pool numbers, ``taken_over_equity`` USD at the
    takeover, ``closed_notional`` USD by instrument, ``insurance_fund`` USD at index.
    """

    market: Market
    decisions: tuple[EventBatch, ...]
    found: Assessment
    assessment: Assessment
    called: Int64s
    begun: Int64s
    taken_over: Int64s
    taken_over_equity: Floats
    closed_notional: Floats
    insurance_fund: float
