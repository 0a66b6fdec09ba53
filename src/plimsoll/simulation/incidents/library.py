"""All incidents: found by id, played twice, and judged."""

from dataclasses import dataclass
from math import inf, isfinite
from types import MappingProxyType

from plimsoll.core import InputError, did_you_mean
from plimsoll.simulation.incidents.halt import play_halt
from plimsoll.simulation.incidents.hedge_leg import play_hedge_leg
from plimsoll.simulation.incidents.incident import Incident, Play, Played
from plimsoll.simulation.incidents.insurance import play_insurance
from plimsoll.simulation.incidents.offsets import play_offset
from plimsoll.simulation.incidents.prices import play_collateral, play_ratio, play_zeroed
from plimsoll.simulation.incidents.queue import play_queue
from plimsoll.simulation.incidents.record import read_incident
from plimsoll.simulation.incidents.squeezes import play_jelly, play_xpl
from plimsoll.simulation.incidents.withdrawals import (
    play_mango,
    play_pyramid,
    play_settlement,
    play_whale,
)

PLAYS: MappingProxyType[str, Play] = MappingProxyType(
    {
        "B03": play_insurance,
        "B04": play_mango,
        "B05": play_whale,
        "B06": play_jelly,
        "B07": play_xpl,
        "B11": play_collateral,
        "B12": play_queue,
        "B13": play_halt,
        "B18": play_hedge_leg,
        "B23": play_pyramid,
        "B24": play_settlement,
        "B27": play_zeroed,
        "B28": play_ratio,
        "B34": play_offset,
    }
)
"""How each incident is played, by its id; its record is ``records/<id>.toml``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two plays of an incident say.

    ``distance`` is how far the loss without the control is from the published one, relative to it.
    ``is_reproduced`` says whether that is within the tolerance, None where there is none;
    ``is_bounded`` whether the control kept its bound.
    """

    distance: float
    is_reproduced: bool | None
    is_bounded: bool

    @property
    def words(self) -> str:
        """The verdict as people read it."""
        reproduced = {True: "reproduced", False: "NOT REPRODUCED", None: "figures missing"}
        bound = "bound held" if self.is_bounded else "BOUND BROKEN"
        return f"{reproduced[self.is_reproduced]}, {bound}"


def all_incidents() -> tuple[Incident, ...]:
    """Every incident, by id."""
    return tuple(read_incident(incident_id, PLAYS[incident_id]) for incident_id in incident_ids())


def incident_ids() -> tuple[str, ...]:
    """Ids of all incidents, ascending."""
    return tuple(sorted(PLAYS))


def find_incident(incident_id: str) -> Incident:
    """An incident by its id, in any case. Raises InputError with the nearest id."""
    wanted = incident_id.upper()
    if wanted not in PLAYS:
        problem = f"'{incident_id[:60]}' is not in the library"
        raise InputError("incident", problem, did_you_mean(wanted, PLAYS))
    return read_incident(wanted, PLAYS[wanted])


def play_both(incident: Incident) -> tuple[Played, Played]:
    """The incident without its control, then with it."""
    return incident.play(incident.params, False), incident.play(incident.params, True)


def verdict(incident: Incident, off: Played, on: Played) -> Verdict:
    """Whether ``off`` is as published and ``on`` keeps the bound. A NaN is neither."""
    published = incident.published.value
    distance = abs(off.loss - published) / abs(published) if published else inf
    distance = distance if isfinite(distance) else inf
    tolerance = incident.tolerance
    return Verdict(
        distance=distance,
        is_reproduced=None if tolerance is None else distance <= tolerance,
        is_bounded=on.bounded <= incident.bound,
    )
