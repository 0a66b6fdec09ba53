"""All incidents: found by id, played twice, and judged."""

from dataclasses import dataclass
from math import inf, isfinite

from plimsoll.core import DatedTable, InputError, did_you_mean, load_tables
from plimsoll.simulation.incidents import manipulation, offsets, prices, waterfall
from plimsoll.simulation.incidents.incident import Incident, Played

TABLES = ("manipulation", "offsets", "prices", "waterfall")


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
    found = (
        *manipulation.incidents(),
        *offsets.incidents(),
        *prices.incidents(),
        *waterfall.incidents(),
    )
    return tuple(sorted(found, key=lambda incident: incident.id))


def incident_ids() -> tuple[str, ...]:
    """Ids of all incidents, ascending."""
    return tuple(incident.id for incident in all_incidents())


def find_incident(incident_id: str) -> Incident:
    """An incident by its id, in any case. Raises InputError with the nearest id."""
    by_id = {incident.id: incident for incident in all_incidents()}
    wanted = incident_id.upper()
    if wanted not in by_id:
        problem = f"'{incident_id[:60]}' is not in the library"
        raise InputError("incident", problem, did_you_mean(wanted, by_id))
    return by_id[wanted]


def assumptions_of(incident: Incident) -> tuple[str, ...]:
    """What no source confirms of the figures that an incident starts from, ``name: why``."""
    found: list[str] = []
    for table in incident_tables():
        shared = any(part is incident.params for part in table.params.values())
        if table.params is not incident.params and not shared:
            continue
        # A block of several incidents names each one's figures by its id.
        prefix = f"{incident.id}." if shared else ""
        found += [
            f"{path.removeprefix(prefix)}: {reason}"
            for path, reason in table.unconfirmed.items()
            if path.startswith(prefix)
        ]
    return tuple(found)


def incident_tables() -> tuple[DatedTable, ...]:
    """The dated tables of all incidents."""
    package = "plimsoll.simulation.incidents"
    return tuple(table for name in TABLES for table in load_tables(package, name))


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
