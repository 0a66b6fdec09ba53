"""Bad, frozen and lost prices of one source or more, lived through by the engine."""

from dataclasses import replace

import pytest

from plimsoll.book import PoolState
from plimsoll.core import Status, stream
from plimsoll.engine import open_state
from plimsoll.market import SanityRules
from tests.book.builders import T0
from tests.engine.feeds import BTC, CALM, ETH, SOURCES, edgy_book, forced, tick
from tests.engine.world import RULES, SECOND, prices_of
from tests.market.test_gates import BAD_TICKS

# -- R17: bad ticks --------------------------------------------------------------------------

VOTING = replace(RULES, sanity=SanityRules(quorum=2))


@pytest.mark.parametrize("bad", BAD_TICKS)
@pytest.mark.parametrize("source", range(3))
def test_no_single_source_liquidates_anyone(bad: str, source: int) -> None:
    """Every corruption of every price, said twice, which confirms a jump, by each source."""
    book = edgy_book()
    start = open_state(book, SOURCES)
    start, outcome = tick(start, VOTING, dict.fromkeys(range(3), CALM), T0)
    assert set(outcome.found.status[5:].tolist()) <= {Status.OK, Status.MARGIN_CALL}
    for name in (BTC, ETH, "BTC/USD:BTC", "BTC", "ETH", "USDT"):
        state, wrong = start, {**CALM, name: BAD_TICKS[bad](CALM[name])}
        for second in (1, 2):
            by_source = {k: wrong if k == source else CALM for k in range(3)}
            state, outcome = tick(state, VOTING, by_source, T0 + second * SECOND)
            assert forced(outcome) == 0
            assert outcome.found.status[5:].max() < Status.LIQUIDATABLE
        assert (state.book.pool_state != PoolState.LIQUIDATING).all()


def test_the_same_tick_from_the_only_source_does_harm() -> None:
    """What the matrix guards against: one source alone is believed when it repeats itself."""
    state = open_state(edgy_book(), ("a",))
    state, _ = tick(state, RULES, {0: CALM}, T0)
    state, outcome = tick(state, RULES, {0: {**CALM, BTC: 100_000.0}}, T0 + SECOND)
    assert forced(outcome) > 0


# -- R18: frozen feeds -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [5, 60, 3_600, 8 * 3_600])
def test_the_first_liquidation_after_an_outage_rests_on_two_fresh_sources(seconds: int) -> None:
    """Fifty orders in which the sources come back, at a price that liquidates."""
    sanity = SanityRules(age_ns_max=10 * SECOND, outage_ns=30 * SECOND)
    rules, crash = replace(RULES, sanity=sanity), prices_of(9_400, 500)
    book = edgy_book()
    for seed in range(50):
        random = stream(seed, "tests", "outage")
        state, _ = tick(open_state(book, SOURCES), rules, dict.fromkeys(range(3), CALM), T0)
        for at in sorted(random.uniform(0, seconds, 2).tolist()):
            now = T0 + round(at * SECOND)
            state, outcome = tick(state, rules, {}, now)
            assert forced(outcome) == 0
            if at > 10:
                assert set(outcome.found.status[5:].tolist()) == {Status.UNKNOWN}
        fresh: set[int] = set()
        now, closed = T0 + seconds * SECOND, 0
        for source in random.permutation([0, 1, 2, *random.integers(0, 3, 3)]).tolist():
            # What a source says again is no second source, even where its jump is confirmed so.
            fresh.add(source)
            state, outcome = tick(state, rules, {source: crash}, now)
            closed += forced(outcome)
            if seconds > 30:
                assert (closed > 0) == (len(fresh) >= 2)
            now += SECOND // 2
        assert closed > 0


def test_without_the_rule_one_source_ends_the_outage() -> None:
    """dYdX, 2025-10-10: what the rule guards against."""
    sanity = SanityRules(age_ns_max=10 * SECOND, resume_quorum=1)
    rules = replace(RULES, sanity=sanity)
    state, _ = tick(open_state(edgy_book(), SOURCES), rules, dict.fromkeys(range(3), CALM), T0)
    state, outcome = tick(state, rules, {1: prices_of(9_400, 500)}, T0 + 3_600 * SECOND)
    assert forced(outcome) > 0


# -- R19: lost sources -----------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(4))
def test_below_the_quorum_nothing_is_known_and_nothing_is_done(lost: int) -> None:
    state = open_state(edgy_book(), SOURCES)
    state, _ = tick(state, VOTING, dict.fromkeys(range(3), CALM), T0)
    later, crash = T0 + 61 * SECOND, prices_of(9_400, 500)
    _, outcome = tick(state, VOTING, dict.fromkeys(range(lost, 3), crash), later)
    if lost < 2:
        assert forced(outcome) > 0
    else:
        assert set(outcome.found.status[5:].tolist()) == {Status.UNKNOWN}
        assert outcome.decisions == ()
