"""What an incident is: a story with a published figure, played with and without its control."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A named number of an incident; ``unit`` as a person would read it (USD, BTC, accounts)."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the story: what happened at ``time_ns`` and the figures that show it."""

    time_ns: int
    text: str
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Played:
    """One run: the ``moments`` in order, ``loss`` in the unit of the published one.

    ``bounded`` is the figure that the control must keep within the stated bound.
    """

    moments: tuple[Moment, ...]
    loss: float
    bounded: float


@dataclass(frozen=True, slots=True)
class Incident:
    """A real failure as a scenario.

    ``published`` is the loss as reported, with its source, ``tolerance`` the relative distance
    within which the run without the control must reproduce it; where the published figures do not
    allow that, it is None and ``why_not`` says so. ``bound`` is the most that ``Played.bounded``
    may be with the control on, in ``bound_text``'s words. ``params`` are the figures the scenario
    starts from, from the dated table; ``play`` takes them and whether the control is on.
    """

    id: str
    title: str
    date: str
    story: str
    control: str
    source: str
    published: Figure
    tolerance: float | None
    why_not: str
    bound: float
    bound_text: str
    params: Any
    play: Callable[[Any, bool], Played]
