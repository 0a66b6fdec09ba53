"""A pool that may only reduce: what it may still do, in both engines."""

from dataclasses import replace

import pytest

from plimsoll.book import PoolState, digest_book
from plimsoll.core import LedgerError
from plimsoll.engine import EngineState, LiveEngine, open_state, step
from plimsoll.ledger import EventBatch, Placements, Trades
from tests.book.builders import T0, events, fold
from tests.engine.world import DESK, RULES, SECOND, house_book, inputs_of, prices_of, set_states

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
CALM = prices_of(10_000, 500)


def held_back(pool_state: PoolState) -> EngineState:
    """Pool 5, long 2 BTC, in a state of the procedure; pool 6 is short 1 and free."""
    book = fold(
        house_book("a", "b"),
        trades=[DESK.trade(5, BTC, "2", "10000"), DESK.trade(6, BTC, "-1", "10000")],
        transfers=[DESK.deposit(pool, "USDT", "90000") for pool in (5, 6)],
    )
    state, _ = step(open_state(book, ("test",)), RULES, inputs_of(CALM, 0))
    return replace(state, book=set_states(state.book, (5, pool_state)))


def between(quantity: str) -> Trades:
    """Pool 6 buys from pool 5, or sells to it."""
    pool, _, *rest = DESK.trade(6, BTC, quantity, "10000")
    return events(Trades, [(pool, 5, *rest)])


ADDS = {
    "an order": {"placements": events(Placements, [DESK.order(5, 1, ETH, "1", "400")])},
    "a fill": {"trades": events(Trades, [DESK.trade(5, BTC, "0.1", "10000")])},
    "a fill that turns it around": {
        "trades": events(Trades, [DESK.trade(5, BTC, "-2.1", "10000")])
    },
    "a fill as counterparty": {"trades": between("-0.1")},
}
REDUCES = {
    "a reduce-only order": {
        "placements": events(Placements, [DESK.order(5, 1, BTC, "-1", "11000", True)])
    },
    "a fill that closes": {"trades": events(Trades, [DESK.trade(5, BTC, "-2", "10000")])},
    "a close against one who grows": {"trades": between("0.1")},
    "another's order": {"placements": events(Placements, [DESK.order(6, 1, ETH, "1", "400")])},
}


@pytest.mark.parametrize("state", [PoolState.RESTRICTED, PoolState.RESTRICTED_FALLING])
@pytest.mark.parametrize("name", [*ADDS])
def test_what_adds_is_refused_by_both_engines(name: str, state: PoolState) -> None:
    before = held_back(state)
    inputs = inputs_of(CALM, 1, EventBatch(0, **ADDS[name]))
    live, digest = LiveEngine.open(before, RULES), digest_book(before.book)
    for run in (lambda: step(before, RULES, inputs), lambda: live.step(inputs)):
        with pytest.raises(LedgerError, match=r"\[0\]: its pool may only reduce; .* not applied"):
            run()
    assert digest_book(live.book.snapshot()) == digest


@pytest.mark.parametrize("name", [*REDUCES])
def test_what_reduces_is_let_through(name: str) -> None:
    before = held_back(PoolState.RESTRICTED)
    inputs = inputs_of(CALM, 1, EventBatch(0, **REDUCES[name]))
    after, _ = step(before, RULES, inputs)
    live = LiveEngine.open(before, RULES)
    live.step(inputs)
    assert digest_book(live.book.snapshot()) == digest_book(after.book)


@pytest.mark.parametrize("state", [PoolState.NORMAL, PoolState.WARNED, PoolState.CALLED])
def test_milder_states_bind_nothing(state: PoolState) -> None:
    for change in ADDS.values():
        step(held_back(state), RULES, inputs_of(CALM, 1, EventBatch(0, **change)))


def test_a_single_live_fill_is_held_to_it() -> None:
    live = LiveEngine.open(held_back(PoolState.RESTRICTED), RULES)
    row = tuple(int(x) for x in DESK.trade(5, BTC, "0.1", "10000")[:-1])
    with pytest.raises(LedgerError, match=r"trades\[0\]: its pool may only reduce"):
        live.fill(*row, T0 + SECOND)
    less = tuple(int(x) for x in DESK.trade(5, BTC, "-0.1", "10000")[:-1])
    live.fill(*less, T0 + SECOND)


def test_a_batch_that_names_no_pool_is_the_ledgers_to_refuse() -> None:
    before = held_back(PoolState.RESTRICTED)
    row = (99, *DESK.trade(5, BTC, "0.1", "10000")[1:])
    mixed = events(Trades, [DESK.trade(5, BTC, "0.1", "10000"), row])
    with pytest.raises(LedgerError, match=r"no such pool"):
        step(before, RULES, inputs_of(CALM, 1, EventBatch(0, trades=mixed)))
