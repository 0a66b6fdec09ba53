"""Everything that decisions depend on besides inputs, resolved once."""

from dataclasses import dataclass, replace

from plimsoll.book import ModelChoice
from plimsoll.engine.gates import GateRules, load_gates
from plimsoll.instruments import InstrumentTable
from plimsoll.liquidation import Policy, load_policy, waterfall_of
from plimsoll.liquidation.calls import Ladder, load_ladders
from plimsoll.margin import ModelSet, load_models
from plimsoll.market import Market, SanityRules


@dataclass(frozen=True, slots=True)
class Rules:
    """Margin models, waterfalls and price sanity, with the parameters in force.

    ``ladders`` has the margin-call levels of each model and ``policies`` its waterfall, in the
    book's order. The fund trades and keeps its reserve by the first waterfall, the house's where
    there is no model.
    """

    models: ModelSet
    ladders: tuple[Ladder, ...]
    policies: tuple[Policy, ...]
    fund_policy: Policy
    sanity: SanityRules
    gates: GateRules


def rules_at(rules: Rules, market: Market) -> Rules:
    """The rules with what the models need of a market prepared once, for a step at it."""
    return replace(rules, models=rules.models.at(market))


def load_rules(
    instruments: InstrumentTable,
    choices: tuple[ModelChoice, ...],
    sanity: SanityRules,
    as_of_ns: int,
    gates: GateRules | None = None,
) -> Rules:
    """The rules in force at ``as_of_ns`` for a book of these instruments and models.

    ``gates`` are the house's where none are given.
    """
    names = [waterfall_of(choice.name) for choice in choices]
    policies = tuple(load_policy(instruments, as_of_ns, name) for name in names)
    house = load_policy(instruments, as_of_ns)
    models = load_models(instruments, choices, as_of_ns)
    return Rules(
        models=models,
        ladders=load_ladders(choices, models.models, as_of_ns),
        policies=policies,
        fund_policy=policies[0] if policies else house,
        sanity=sanity,
        gates=load_gates(as_of_ns) if gates is None else gates,
    )
