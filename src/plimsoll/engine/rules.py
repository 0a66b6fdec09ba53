"""Everything that decisions depend on besides inputs, resolved once."""

from dataclasses import dataclass

from plimsoll.book import ModelChoice
from plimsoll.instruments import InstrumentTable
from plimsoll.liquidation import Policy, load_policy
from plimsoll.margin import ModelSet, load_models
from plimsoll.market import SanityRules


@dataclass(frozen=True, slots=True)
class Rules:
    """Margin models, liquidation policy and price sanity, with the parameters in force."""

    models: ModelSet
    policy: Policy
    sanity: SanityRules


def load_rules(
    instruments: InstrumentTable,
    choices: tuple[ModelChoice, ...],
    sanity: SanityRules,
    as_of_ns: int,
) -> Rules:
    """The rules in force at ``as_of_ns`` for a book of these instruments and models."""
    return Rules(
        models=load_models(instruments, choices, as_of_ns),
        policy=load_policy(instruments, as_of_ns),
        sanity=sanity,
    )
