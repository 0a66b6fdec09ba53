"""Rounds of one step: nobody is left out of them, and there are few."""

from dataclasses import replace

import numpy as np

from plimsoll.book import PoolState
from plimsoll.core import Status
from plimsoll.engine import load_rules, open_state, step
from plimsoll.liquidation import load_waterfall, resolve_policy
from tests.book.builders import T0, fold, open_book, positions_of
from tests.engine.world import DESK, HOUSE, SANITY, TABLE, inputs_of, prices_of
from tests.liquidation.test_random_worlds import STEEP
from tests.liquidation.waterfall.sequences import RULES_NS

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def test_who_fails_under_another_waterfall_is_not_left_out() -> None:
    """Pool 5 is bankrupt and closed against pool 7, over an empty fund; pool 6, under the other

    waterfall, is just past its line and has to be looked at in the same step.
    """
    choices = (HOUSE, HOUSE)
    rules = load_rules(TABLE, choices, SANITY, T0)
    names = ("house", "deribit")
    policies = tuple(resolve_policy(load_waterfall(name, RULES_NS), TABLE) for name in names)
    rules = replace(rules, policies=policies, fund_policy=policies[0])
    book = open_book(TABLE, "lost", models=choices)
    book = fold(book, ("near",), model=1)
    book = fold(book, ("winner",), model=0)
    book = fold(
        book,
        trades=[
            DESK.trade(5, BTC, "1", "10000", other=7),
            DESK.trade(6, ETH, "20", "500"),
        ],
        transfers=[
            DESK.deposit(5, "USDT", "1500"),
            DESK.deposit(6, "USDT", "1890"),
            DESK.deposit(7, "USDT", "9000"),
        ],
    )
    state, outcome = step(open_state(book, ("test",)), rules, inputs_of(prices_of(8_000, 450), 0))
    assert outcome.found.status[5:8].tolist() == [Status.BANKRUPT, Status.LIQUIDATABLE, Status.OK]
    assert outcome.taken_over.tolist() == [5]
    assert outcome.deleveraged > 0
    assert 6 in outcome.begun
    assert outcome.assessment.status[6] < Status.LIQUIDATABLE
    assert state.book.pool_state[6] == PoolState.NORMAL


def test_closing_by_tier_ends_soon_where_margin_bends_all_along() -> None:
    """A charge that grows with size has no bracket below; a fifth goes at a time."""
    rules = load_rules(TABLE, (STEEP,), SANITY, T0)
    policy = resolve_policy(load_waterfall("bitmex", RULES_NS), TABLE)
    rules = replace(rules, policies=(policy,), fund_policy=policy)
    book = fold(
        open_book(TABLE, "a", models=(STEEP,)),
        trades=[DESK.trade(5, BTC, "1.7", "10000")],
        transfers=[DESK.deposit(5, "USDT", "1078")],
    )
    state, outcome = step(open_state(book, ("test",)), rules, inputs_of(prices_of(9_400, 500), 0))
    assert outcome.begun.tolist() == [5]
    assert not outcome.taken_over.size
    assert outcome.assessment.status[5] < Status.LIQUIDATABLE
    assert 0 < float(positions_of(state.book, 5)[BTC][0]) < 1.7
    sizes = [int(np.abs(batch.trades.quantity).sum()) for batch in outcome.decisions]
    assert 1 <= np.count_nonzero(sizes) <= 25
