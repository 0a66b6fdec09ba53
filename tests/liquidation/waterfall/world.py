"""Waterfalls of chosen stages, and steps of the engine under them."""

from collections.abc import Mapping
from dataclasses import replace

from plimsoll.book import Book
from plimsoll.engine import EngineState, Outcome, Rules, load_rules, open_state, step
from plimsoll.ledger import conservation_residual
from plimsoll.liquidation import resolve_policy
from plimsoll.liquidation.waterfall.stages import (
    AutoDeleveraging,
    CancelOrders,
    CloseOut,
    InsuranceFund,
    NegativeBalanceProtection,
    SocialisedLoss,
    Stage,
    Takeover,
)
from tests.book.builders import T0
from tests.engine.world import HOUSE, SANITY, TABLE, inputs_of

FULL = load_rules(TABLE, (HOUSE,), SANITY, T0)
"""The house's own waterfall."""

SHARE, FUND, ADL, SHARED = CloseOut(), InsuranceFund(), AutoDeleveraging(), SocialisedLoss()


def rules_with(*stages: Stage, **terms: float) -> Rules:
    """The house's rules with a waterfall of some stages between cancelling and the last one."""
    whole = (CancelOrders(), *stages, NegativeBalanceProtection())
    waterfall = replace(FULL.policies[0].waterfall, stages=whole, **terms)
    policy = resolve_policy(waterfall, TABLE)
    return replace(FULL, policies=(policy,), fund_policy=policy)


def step_once(
    book: Book, rules: Rules, prices: Mapping[str, float], seconds: int = 0
) -> tuple[EngineState, Outcome]:
    """The book after one step, which has to be conserved."""
    return step_on(open_state(book, ("test",)), rules, prices, seconds)


def step_on(
    state: EngineState, rules: Rules, prices: Mapping[str, float], seconds: int
) -> tuple[EngineState, Outcome]:
    """One step further."""
    after, outcome = step(state, rules, inputs_of(prices, seconds))
    assert set(conservation_residual(after.book)) == {0}
    return after, outcome


TAKEOVER = Takeover()
