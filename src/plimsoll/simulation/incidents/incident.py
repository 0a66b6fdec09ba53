"""What an incident is: a story with a published figure, played with and without its control."""

from collections.abc import Callable, Mapping
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


Play = Callable[[Mapping[str, Any], bool], Played]
"""Plays an incident: from its params, and with the control or without."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A real failure as a scenario: its record, and how it is played.

    ``published`` is the loss as reported, with its source, ``tolerance`` the relative distance
    within which the run without the control must reproduce it; where the published figures do not
    allow that, it is None and ``why_not`` says so. ``bound`` is the most that ``Played.bounded``
    may be with the control on, in ``bound_text``'s words. ``params`` are the figures that ``play``
    starts from; ``unconfirmed`` has the path of each that no source confirms, with the reason.
    """

    id: str
    title: str
    date: str
    story: str
    control: str
    source: str
    retrieved: str
    published: Figure
    tolerance: float | None
    why_not: str
    bound: float
    bound_text: str
    params: Mapping[str, Any]
    unconfirmed: Mapping[str, str]
    play: Play

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What no source confirms, as ``path: why``."""
        return tuple(f"{path}: {reason}" for path, reason in self.unconfirmed.items())
