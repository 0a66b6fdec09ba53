"""When, and at what, a price may be used: the rules that observations are judged by."""

from dataclasses import dataclass

from plimsoll.core import NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Reference:
    """About what a row is worth: ``price`` in the row's own unit, within a ``factor`` either way.

    It catches a wrong unit, which moves a price by powers of ten or to a ratio; a price outside
    is used only once enough sources agree on it. ``name`` is a symbol or an asset.
    """

    name: str
    price: float
    factor: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """A claim on another asset: one ``asset`` redeems for ``rate`` of ``into``.

    Its index stays within ``band`` (a fraction) of what it redeems for. From ``pause_gap`` on
    (a fraction; None for never) redemption itself is in doubt and the price may not be used.
    """

    asset: str
    into: str
    rate: float
    band: float
    pause_gap: float | None = None


@dataclass(frozen=True, slots=True)
class AverageBand:
    """A price stays within a ``factor``, either way, of its own average over about ``span_ns``.

    For a market whose own trades make its price; ``name`` is a symbol or an asset.
    """

    name: str
    span_ns: int
    factor: float


@dataclass(frozen=True, slots=True)
class SanityRules:
    """When a price may be used.

    Of one source: ``age_ns_max`` is how old it may be, ``jump_max`` the largest believable move
    between two observations, as a fraction; a larger one waits for a second observation near the
    first. ``frozen_ns_max`` is for how long a source may repeat one price (None: for ever), except
    of the names in ``pegs``, which may stand still.

    Among sources: one counts only while at least half of the others lie within ``apart_max`` of it
    (a fraction of the larger price), ``quorum`` of those that count are needed, and
    ``resume_quorum``, where there are as many, after ``outage_ns`` without a usable price, as at
    the start. Names in ``single_source`` are quoted by one source alone and need one.

    Of the price they make: ``references``, ``bands`` and ``anchors``, applied in this order.
    """

    age_ns_max: int = 60 * NS_PER_SECOND
    clock_skew_ns_max: int = 5 * NS_PER_SECOND
    jump_max: float = 0.5
    quorum: int = 1
    apart_max: float = 0.1
    resume_quorum: int = 2
    outage_ns: int = 60 * NS_PER_SECOND
    frozen_ns_max: int | None = None
    pegs: tuple[str, ...] = ()
    single_source: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    bands: tuple[AverageBand, ...] = ()
    anchors: tuple[Anchor, ...] = ()
