"""How each venue deleverages, read from the table beside this module."""

from dataclasses import dataclass
from enum import StrEnum

from plimsoll.core import DatedTable, InputError, did_you_mean, load_tables, table_at
from plimsoll.liquidation.deleveraging.policies import AllocationKey
from plimsoll.liquidation.deleveraging.ranks import RankForm


class ClosePrice(StrEnum):
    """Where a counterparty is closed."""

    BANKRUPTCY = "bankruptcy"
    MARK = "mark"
    PREVIOUS_ORACLE = "previous_oracle"


@dataclass(frozen=True, slots=True)
class VenueRule:
    """A venue's order, the price it closes at, and why that is unconfirmed ("" where it is not).

    ``rank`` is None where the venue does not rank by a published form.
    """

    key: AllocationKey
    rank: RankForm | None
    price: ClosePrice
    unconfirmed: str


def venue_tables() -> tuple[DatedTable, ...]:
    """The dated tables, oldest first."""
    return load_tables("plimsoll.liquidation.deleveraging", "venues")


def load_venue_rule(venue: str, as_of_ns: int) -> VenueRule:
    """The rule of a venue in force at ``as_of_ns``. Raises InputError where it is not known."""
    table = table_at(venue_tables(), as_of_ns)
    rules = {name: rule for name, rule in table.params.items() if isinstance(rule, dict)}
    if venue not in rules:
        raise InputError("venue", f"'{venue}' has no rule", did_you_mean(venue, rules))
    rule = rules[venue]
    return VenueRule(
        key=AllocationKey(rule["key"]),
        rank=RankForm(rule["rank"]) if "rank" in rule else None,
        price=ClosePrice(rule["price"]),
        unconfirmed=str(table.unconfirmed.get(venue, "")),
    )
