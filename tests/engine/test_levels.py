"""Levels of the margin ratio in the engine: announced once, kept as states, live as in a step."""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.book import PoolState, SystemPool, digest_book
from plimsoll.core import NS_PER_SECOND, stream
from plimsoll.engine import LiveEngine, load_rules, open_state, step
from plimsoll.ledger import EventBatch, StateChanges, encode_batch
from plimsoll.liquidation.calls import Consequence, Ladder, Level
from plimsoll.market import PriceBatch
from tests.book.builders import STANDARD, T0
from tests.engine.test_live import inputs_with, random_events, random_prices
from tests.engine.test_step import BTC, one_long
from tests.engine.world import RULES, SANITY, inputs_of, prices_of
from tests.margin.random_books import TABLE, random_book

SYSTEM = len(SystemPool)
WARN = Level("warn", 0.5, 0.4, 0, 0, (Consequence.NOTICE,))
CALL = Level("call", 5 / 6, 2 / 3, 0, 0, (Consequence.CALL,))
LIMIT = Level("limit", 0.9, 0.87, 0, 0, (Consequence.NO_NEW_RISK,))
LINE = Level("line", 1.0, 1.0, 0, 0, (Consequence.LIQUIDATION,))


def ladder(*levels: Level) -> Ladder:
    return Ladder("test", "", (*levels, LINE), (), ())


def price_at(ratio: float) -> dict[str, float]:
    """Prices at which a long of 1 from 10,000 on 1,000 has this margin ratio."""
    return prices_of(9000 * ratio / (ratio - 0.1), 500)


LETTERS = {
    PoolState.NORMAL: "N",
    PoolState.WARNED: "W",
    PoolState.CALLED: "C",
    PoolState.RESTRICTED: "R",
    PoolState.LIQUIDATING: "L",
    PoolState.WARNED_RISING: "w",
    PoolState.NORMAL_RISING: "n",
    PoolState.CALLED_FALLING: "c",
    PoolState.WARNED_FALLING: "v",
}


@pytest.mark.parametrize(
    ("levels", "ratios", "states", "called"),
    [
        # One after the other, up and down, each with its own distance.
        (
            (WARN, CALL, LIMIT),
            (0.5, 0.84, 0.9, 0.86, 0.66, 0.41, 0.39),
            "WCRCWWN",
            (0, 1, 0, 0, 0, 0, 0),
        ),
        # A jump is announced at its gravest; who is restricted at once is called, too.
        ((WARN, CALL, LIMIT), (0.95, 0.88, 0.3), "RRN", (1, 0, 0)),
        ((CALL,), (0.95, 0.88, 0.67, 0.6), "CCCN", (1, 0, 0, 0)),
        # Two seconds' dwell for a call, three to clear it: a state of its own while it waits.
        (
            (
                WARN,
                replace(
                    CALL, announce_after_ns=2 * NS_PER_SECOND, clear_after_ns=3 * NS_PER_SECOND
                ),
            ),
            (0.84, 0.84, 0.84, 0.6, 0.6, 0.6, 0.6),
            "wwCcccW",
            (0, 0, 1, 0, 0, 0, 0),
        ),
        (
            (replace(CALL, announce_after_ns=2 * NS_PER_SECOND),),
            (0.84, 0.84, 0.8, 0.84, 0.84, 0.84),
            "nnNnnC",
            (0, 0, 0, 0, 0, 1),
        ),
    ],
)
def test_levels_are_announced_and_cleared(
    levels: tuple[Level, ...], ratios: tuple[float, ...], states: str, called: tuple[int, ...]
) -> None:
    rules = replace(RULES, ladders=(ladder(*levels),))
    state, before = open_state(one_long("1000"), ("test",)), "N"
    engine = LiveEngine.open(state, rules)
    for second, (ratio, wanted, sent) in enumerate(zip(ratios, states, called, strict=True)):
        inputs = inputs_of(price_at(ratio), second)
        state, outcome = step(state, rules, inputs)
        live = engine.step(inputs)
        assert outcome.found.margin_ratio[SYSTEM] == pytest.approx(ratio)
        assert LETTERS[PoolState(state.book.pool_state[SYSTEM])] == wanted, second
        assert outcome.called.tolist() == live.called.tolist() == [SYSTEM] * sent
        # Nothing is said twice, and a state event is the only trace of a level.
        assert len(outcome.decisions) == (wanted != before)
        assert [*map(encode_batch, outcome.decisions)] == [*map(encode_batch, live.decisions)]
        before = wanted


def test_a_waiting_pool_that_falls_past_the_line_is_liquidated() -> None:
    late = replace(CALL, announce_after_ns=60 * NS_PER_SECOND)
    rules = replace(RULES, ladders=(ladder(late),))
    state = open_state(one_long("1000"), ("test",))
    state, _ = step(state, rules, inputs_of(price_at(0.9), 0))
    assert state.book.pool_state[SYSTEM] == PoolState.NORMAL_RISING
    state, outcome = step(state, rules, inputs_of(price_at(1.1), 1))
    assert outcome.begun.tolist() == [SYSTEM]
    # A price that is lost stops the clock; found again, it begins anew.
    state = open_state(one_long("1000"), ("test",))
    state, _ = step(state, rules, inputs_of(price_at(0.9), 0))
    state, _ = step(state, rules, inputs_of({**price_at(0.9), BTC: float("nan")}, 30))
    assert state.book.pool_state[SYSTEM] == PoolState.NORMAL
    state, _ = step(state, rules, inputs_of(price_at(0.9), 40))
    state, _ = step(state, rules, inputs_of(price_at(0.9), 99))
    assert state.book.pool_state[SYSTEM] == PoolState.NORMAL_RISING
    state, outcome = step(state, rules, inputs_of(price_at(0.9), 100))
    assert outcome.called.tolist() == [SYSTEM]


@pytest.mark.parametrize("seed", range(8))
def test_the_live_engine_announces_the_same(seed: int) -> None:
    """Random ladders with dwells, random prices, deposits, fills and states set from outside."""
    random = stream(seed, "tests", "levels")
    drawn = random_book(seed, accounts=80, sound=True)
    rules = load_rules(TABLE, (STANDARD,), SANITY, T0)

    def dwell() -> dict[str, int]:
        up, down = random.integers(0, 4, 2) * NS_PER_SECOND
        return {"announce_after_ns": int(up), "clear_after_ns": int(down)}

    low = replace(WARN, ratio=float(random.uniform(0.2, 0.6)), clear_ratio=0.15, **dwell())
    chosen = ladder(low, replace(CALL, **dwell()), replace(LIMIT, **dwell()))
    rules = replace(rules, ladders=(chosen,))
    state = open_state(drawn.book, ("test",))
    prices, rows = drawn.market.price.copy(), np.arange(drawn.market.price.size, dtype=np.int32)
    engine, changed, woken = None, 0, 0
    for tick in range(40):
        time_ns = drawn.book.time_ns + NS_PER_SECOND * (tick + 1)
        seen = prices if tick == 0 else random_prices(random, prices)
        kept = np.flatnonzero(np.isfinite(seen))
        if tick % 10 == 9:
            seen[kept[0]] = np.nan
        batch = PriceBatch(
            np.zeros(kept.size, np.int32), rows[kept], seen[kept], np.full(kept.size, time_ns)
        )
        prices = np.where(np.isfinite(seen), seen, prices)
        happened = EventBatch(time_ns)
        if tick % 3 == 2:
            happened = random_events(random, state.book, drawn.market, time_ns)
        if tick % 7 == 6:
            pools = random.choice(np.arange(SYSTEM, state.book.pool_count), 3, replace=False)
            new = random.choice([0, 1, 3, 4, 5, 6, 7, 8, 9, 10], 3)
            changes = StateChanges(pools.astype(np.int32), new.astype(np.int8))
            happened = replace(happened, states=changes)
        inputs = inputs_with(time_ns, batch, happened)
        if engine is None:
            engine = LiveEngine.open(state, rules)
        state, outcome = step(state, rules, inputs)
        live = engine.step(inputs)
        assert [*map(encode_batch, outcome.decisions)] == [*map(encode_batch, live.decisions)]
        assert outcome.called.tolist() == live.called.tolist()
        assert digest_book(engine.book.snapshot()) == digest_book(state.book)
        changed += sum(each.states.pool.size for each in outcome.decisions)
        woken += live.woken.size
    assert changed > 20
    # The watch serves the levels: most pools are left alone at most steps.
    assert woken < 0.5 * 40 * (state.book.pool_count - SYSTEM)
