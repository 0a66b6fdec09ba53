"""What goes into a step and what comes out of it."""

from dataclasses import dataclass

from plimsoll.book import Book
from plimsoll.core import Floats, Int64s
from plimsoll.engine.gates import GateState
from plimsoll.ledger import EventBatch
from plimsoll.liquidation import Pace
from plimsoll.margin import Assessment, Plan
from plimsoll.market import Market, PriceBatch, PriceBoard


@dataclass(frozen=True, slots=True)
class EngineState:
    """The book, the last prices by source, where its rows add up, and what rules remember.

    That is the throttles' ``pace``, and when phases changed and what has been withdrawn: ``gates``.
    """

    book: Book
    board: PriceBoard
    plan: Plan
    pace: Pace
    gates: GateState


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
    ``called``, ``begun``, ``taken_over`` and ``touched`` (others, who were closed against or paid)
    are pool numbers, ``taken_over_equity`` USD at the
    takeover, ``closed_notional`` USD by instrument, ``insurance_fund`` USD at index,
    ``deleveraged`` (notional closed against counterparties) and ``socialised`` USD.
    """

    market: Market
    decisions: tuple[EventBatch, ...]
    found: Assessment
    assessment: Assessment
    called: Int64s
    touched: Int64s
    begun: Int64s
    taken_over: Int64s
    taken_over_equity: Floats
    closed_notional: Floats
    insurance_fund: float
    deleveraged: float
    socialised: float
