"""A depeg, halts and staged reopening, lived through by the engine."""

import json
from dataclasses import replace

import numpy as np
import pytest

from plimsoll.book import Book, MarketPhase, ModelChoice, digest_book
from plimsoll.core import Floats, LedgerError, Status, stream
from plimsoll.engine import (
    Inputs,
    LiveEngine,
    Outcome,
    load_rules,
    open_state,
    reopen,
    step,
)
from plimsoll.engine.emergency import strayed_markets
from plimsoll.ledger import (
    EventBatch,
    PhaseChanges,
    Trades,
    Transfers,
    encode_batch,
)
from plimsoll.liquidation.waterfall.scene import may_liquidate
from plimsoll.market import PriceBatch, SanityRules, load_anchors
from tests.book.builders import T0, Desk, events, fold, open_book, table_of
from tests.engine.feeds import BTC, CALM, ETH, SOURCES, edgy_book, forced, joined, tick
from tests.engine.world import (
    DESK,
    HOUSE,
    RULES,
    SECOND,
    TABLE,
    house_book,
    inputs_of,
    observations,
    prices_of,
)

# -- R20: a depeg on one venue ---------------------------------------------------------------

# The venue's own order book on 2025-10-10, 21:36 to 22:16 UTC, worst at 21:40, and the others'.
COLLATERAL = {"USDe": (1.0, 0.65, 0.98), "WBETH": (4_082.0, 430.0, 4_040.0),
              "BNSOL": (197.0, 34.9, 195.0)}  # fmt: skip
COINS = {"BTC/USDT:USDT": 112_000.0, "BTC": 112_000.0, "ETH": 3_800.0, "SOL": 185.0, "USDT": 1.0}
DEPEG_TABLE = table_of(
    {"BTC/USDT:USDT": "1"}, {"USDT": 6, "USDe": 6, "WBETH": 8, "BNSOL": 8, "ETH": 8, "SOL": 8}
)
FIVE_PERCENT = ModelChoice(
    "plimsoll.standard",
    json.dumps(
        {
            **json.loads(HOUSE.overrides),
            "brackets": {"BTC": [[0, 0.1, 0.2]]},
            "size_slopes": {"BTC": 0.0},
            "haircuts": {"USDT": [[0, 0.0]], **{name: [[0, 0.05]] for name in COLLATERAL}},
        }
    ),
)


def depeg_book() -> Book:
    """An account on each collateral at 1.3 times its maintenance margin, flat in what moves."""
    desk, pools = Desk(DEPEG_TABLE), range(5, 8)
    trades = [desk.trade(pool, "BTC/USDT:USDT", "1", "112000") for pool in pools]
    transfers = [
        desk.deposit(pool, name, f"{1.3 * 11_200 / 0.95 / par:.6f}")
        for pool, (name, (par, _, _)) in zip(pools, COLLATERAL.items(), strict=True)
    ]
    book = open_book(DEPEG_TABLE, *COLLATERAL, models=(FIVE_PERCENT,))
    return fold(book, trades=trades, transfers=transfers)


def depeg_prices(minute: int, column: int) -> dict[str, float]:
    """Down to the worst in four minutes, back at par after forty; column 1 is the venue's own."""
    depth = min(minute / 4, (40 - minute) / 36)
    moved = {
        name: row[0] * (row[column] / row[0]) ** max(depth, 0) for name, row in COLLATERAL.items()
    }
    return {**COINS, **moved}


def depeg_replay(sources: tuple[int, ...], sanity: SanityRules) -> tuple[int, list[Outcome]]:
    """Forced sales in the forty minutes, with sources that speak by their columns."""
    rules = load_rules(DEPEG_TABLE, (FIVE_PERCENT,), sanity, T0)
    state, outcomes = open_state(depeg_book(), tuple(f"venue {k}" for k in range(len(sources)))), []
    for minute in range(42):
        now = T0 + minute * 60 * SECOND
        parts = []
        for source, column in enumerate(sources):
            batch = observations(depeg_prices(minute, column), now, DEPEG_TABLE)
            parts.append(replace(batch, source=np.full(batch.row.size, source, np.int32)))
        state, outcome = step(state, rules, Inputs(now, joined(parts), EventBatch(now)))
        outcomes.append(outcome)
    return sum(forced(outcome) for outcome in outcomes), outcomes


BELIEVING = SanityRules(jump_max=100.0, age_ns_max=120 * SECOND)
ANCHORS = load_anchors(T0)
CLAMPING = replace(BELIEVING, anchors=tuple(replace(a, pause_gap=None) for a in ANCHORS))


def test_marked_to_its_own_book_the_venue_sells_everyone_out() -> None:
    sold, outcomes = depeg_replay((1,), BELIEVING)
    assert sold >= 3
    assert set(outcomes[-1].taken_over) <= {5, 6, 7}


@pytest.mark.parametrize(
    ("sources", "sanity"),
    [
        ((1,), CLAMPING),
        ((1,), replace(BELIEVING, anchors=ANCHORS)),
        ((1, 2, 2), replace(BELIEVING, quorum=2)),
        ((1, 2, 2), replace(BELIEVING, quorum=2, anchors=ANCHORS)),
    ],
    ids=["held to redemption", "paused", "three venues", "three venues and redemption"],
)
def test_a_depeg_on_one_venue_sells_nobody_out(
    sources: tuple[int, ...], sanity: SanityRules
) -> None:
    sold, outcomes = depeg_replay(sources, sanity)
    assert sold == 0
    index = DEPEG_TABLE.assets.names
    for minute, outcome in enumerate(outcomes):
        for anchor in sanity.anchors if sanity is CLAMPING else ():
            into = 1.0 if anchor.into == "USD" else COINS[anchor.into]
            worth, price = anchor.rate * into, depeg_prices(minute, 1)[anchor.asset]
            expected = min(max(price, worth * (1 - anchor.band)), worth * (1 + anchor.band))
            mark = outcome.market.index[index.index(anchor.asset)]
            assert mark == pytest.approx(expected, rel=1e-12)
    paused = any((o.found.status[5:] == Status.UNKNOWN).any() for o in outcomes)
    assert paused == (sources == (1,) and sanity is not CLAMPING)


# -- halts and reopening ---------------------------------------------------------------------

STAGE = 30 * SECOND
GATED = replace(
    RULES,
    sanity=SanityRules(age_ns_max=10 * SECOND, jump_max=100.0),
    gates=replace(
        RULES.gates, halt_after_ns=20 * SECOND, mark_gap_max=0.2, reopen_stage_ns=STAGE,
        reopen_sources=2,
    ),
)  # fmt: skip
ROW = TABLE.find(BTC, "")


def phases_of(outcome: Outcome) -> dict[str, int]:
    """Phase changes that a step decided, by symbol."""
    return {
        TABLE.symbols[i]: int(phase)
        for batch in outcome.decisions
        for i, phase in zip(batch.phases.instrument, batch.phases.phase, strict=True)
    }


def without_btc(prices: dict[str, float]) -> dict[str, float]:
    return {name: price for name, price in prices.items() if name != BTC}


def test_a_market_without_a_price_closes_and_reopens_in_stages() -> None:
    state, changes = open_state(house_book("a"), SOURCES), {}
    everyone = dict.fromkeys(range(3), CALM)
    nobody = dict.fromkeys(range(3), without_btc(CALM))
    for second in range(0, 200, 2):
        if second < 10 or second >= 100:
            by_source = everyone
        elif second >= 80:
            by_source = {**nobody, 0: CALM}  # one source alone does not reopen it
        else:
            by_source = nobody
        state, outcome = tick(state, GATED, by_source, T0 + second * SECOND)
        if phases_of(outcome):
            changes[second] = phases_of(outcome)
    # Last seen at 8 s and usable until 18 s, so last found usable then; lost from 20 s.
    assert changes == {
        40: {BTC: MarketPhase.CANCEL_ONLY},
        100: {BTC: MarketPhase.REDUCE_ONLY},
        130: {BTC: MarketPhase.NORMAL},
    }
    assert state.book.market_phase.tolist() == state.gates.set_phase.tolist()


def test_a_mark_far_from_its_index_closes_its_market_at_once() -> None:
    state = open_state(house_book("a"), SOURCES)
    state, outcome = tick(state, GATED, dict.fromkeys(range(3), CALM), T0)
    assert phases_of(outcome) == {}
    strayed = {**CALM, BTC: 12_100.0}
    state, outcome = tick(state, GATED, dict.fromkeys(range(3), strayed), T0 + SECOND)
    assert phases_of(outcome) == {BTC: MarketPhase.CANCEL_ONLY}
    assert strayed_markets(outcome.market, 0.2).tolist().count(True) == 1
    # Strayed, it stays shut though its price is fresh.
    for second in (20, 40, 60, 80):
        by_source = dict.fromkeys(range(3), strayed)
        state, outcome = tick(state, GATED, by_source, T0 + second * SECOND)
        assert phases_of(outcome) == {}


def test_a_price_that_fails_again_closes_the_market_again() -> None:
    state = open_state(house_book("a"), SOURCES)
    everyone, nobody = (dict.fromkeys(range(3), x) for x in (CALM, without_btc(CALM)))
    seen = []
    for second in range(0, 150, 5):
        by_source = nobody if 5 <= second < 40 or second >= 75 else everyone
        state, outcome = tick(state, GATED, by_source, T0 + second * SECOND)
        seen += phases_of(outcome).values()
    assert seen == [2, 1, 2]


@pytest.mark.parametrize("phase", MarketPhase)
def test_no_market_opens_further_than_the_operator_set_it(phase: MarketPhase) -> None:
    """A market being wound down is halted when its price fails, and comes back reduce-only."""
    state = open_state(house_book("a"), SOURCES)
    everyone, nobody = (dict.fromkeys(range(3), x) for x in (CALM, without_btc(CALM)))
    state, _ = tick(state, GATED, everyone, T0)
    changes = PhaseChanges(np.array([ROW], np.int32), np.array([phase], np.int8))
    now = T0 + SECOND
    inputs = Inputs(now, PriceBatch.nothing(), EventBatch(now, phases=changes))
    state, _ = step(state, GATED, inputs)
    seen = [int(state.book.market_phase[ROW])]
    for second in range(5, 250, 5):
        by_source = nobody if 10 <= second < 60 else everyone
        state, _ = tick(state, GATED, by_source, T0 + second * SECOND)
        seen.append(int(state.book.market_phase[ROW]))
    assert max(seen) == max(phase, MarketPhase.CANCEL_ONLY)
    assert seen[-1] == seen[0] == phase


def test_by_default_markets_are_the_operators_affair() -> None:
    state = open_state(house_book("a"), SOURCES)
    state, outcome = tick(state, RULES, {}, T0)
    assert outcome.decisions == ()


@pytest.mark.parametrize(
    ("phase", "age_s", "sources", "wanted", "expected"),
    [
        (MarketPhase.HALTED, 30, 2, True, MarketPhase.CANCEL_ONLY),
        (MarketPhase.CANCEL_ONLY, 30, 3, True, MarketPhase.REDUCE_ONLY),
        (MarketPhase.REDUCE_ONLY, 300, 2, True, MarketPhase.NORMAL),
        (MarketPhase.NORMAL, 300, 3, True, None),
        (MarketPhase.HALTED, 29, 3, True, None),
        (MarketPhase.HALTED, 30, 1, True, None),
        (MarketPhase.HALTED, 30, 3, False, None),
    ],
)
def test_reopen_takes_one_step_when_it_is_due(
    phase: MarketPhase, age_s: int, sources: int, wanted: bool, expected: MarketPhase | None
) -> None:
    state = open_state(house_book(), SOURCES)
    rules = replace(RULES, sanity=SanityRules(resume_quorum=1))
    _, outcome = tick(state, rules, dict.fromkeys(range(sources), CALM), T0)
    count = len(TABLE)
    asked = np.zeros(count, dtype=np.bool_)
    asked[ROW] = wanted
    changes = reopen(
        np.full(count, phase, np.int8), np.full(count, T0 - age_s * SECOND), asked,
        outcome.market, np.full(outcome.market.price.size, 2), STAGE,
    )  # fmt: skip
    assert changes.phase.tolist() == ([] if expected is None else [expected])
    assert changes.instrument.tolist() == ([] if expected is None else [ROW])


def test_forced_closes_need_an_open_market_with_a_price() -> None:
    state = open_state(house_book("a"), ("test",))
    changes = PhaseChanges(np.arange(4, dtype=np.int32), np.arange(4, dtype=np.int8))
    prices = {name: price for name, price in CALM.items() if name != TABLE.symbols[5]}
    state, outcome = step(state, RULES, inputs_of(prices, 0, EventBatch(0, phases=changes)))
    expected = [True, True, False, False, True, False]
    assert may_liquidate(state.book.market_phase, outcome.market).tolist() == expected


@pytest.mark.parametrize("phase", [MarketPhase.CANCEL_ONLY, MarketPhase.HALTED])
def test_positions_in_a_shut_market_wait_and_the_others_do_not(phase: MarketPhase) -> None:
    book = fold(
        house_book("shut", "open"),
        trades=[DESK.trade(5, BTC, "1", "10000"), DESK.trade(6, ETH, "20", "500")],
        transfers=[DESK.deposit(pool, "USDT", "1200") for pool in (5, 6)],
    )
    state = open_state(book, ("test",))
    changes = PhaseChanges(np.array([ROW], np.int32), np.array([phase], np.int8))
    state, _ = step(state, RULES, inputs_of(CALM, 0, EventBatch(0, phases=changes)))
    live = LiveEngine.open(state, RULES)
    inputs = inputs_of(prices_of(9_750, 487.5), 1)
    state, outcome = step(state, RULES, inputs)
    assert outcome.found.status[5:].tolist() == [Status.LIQUIDATABLE] * 2
    traded = {int(i) for batch in outcome.decisions for i in batch.trades.instrument}
    assert traded == {TABLE.find(ETH, "")}
    reopened = PhaseChanges(np.array([ROW], np.int32), np.array([0], np.int8))
    again = inputs_of(prices_of(9_750, 487.5), 2, EventBatch(0, phases=reopened))
    after, freed = step(state, RULES, again)
    assert {int(i) for batch in freed.decisions for i in batch.trades.instrument} == {ROW}
    for each, decided in ((inputs, outcome), (again, freed)):
        made = live.step(each).decisions
        assert [*map(encode_batch, made)] == [*map(encode_batch, decided.decisions)]
    assert digest_book(live.book.snapshot()) == digest_book(after.book)


# -- both engines ----------------------------------------------------------------------------


def gated_inputs(random: np.random.Generator, prices: Floats, now: int) -> Inputs:
    """What some of three sources say of some rows; now and then one is wrong."""
    parts = []
    for source in np.flatnonzero(random.random(3) < 0.8).tolist():
        rows = np.flatnonzero(random.random(prices.size) < 0.7).astype(np.int32)
        price = prices[rows] * np.exp(random.normal(0, 0.001, rows.size))
        price[random.random(rows.size) < 0.02] *= random.choice([10.0, 0.1, np.nan, 0.0])
        parts.append(
            PriceBatch(
                np.full(rows.size, source, np.int32), rows, price,
                np.full(rows.size, now, np.int64),
            )
        )  # fmt: skip
    batch = joined(parts) if parts else PriceBatch.nothing()
    happened = EventBatch(now)
    if random.random() < 0.2:
        pool = int(random.integers(5, 12))
        happened = EventBatch(now, transfers=events(Transfers, [DESK.deposit(pool, "USDT", "20")]))
    elif random.random() < 0.2:
        row = DESK.trade(int(random.integers(5, 12)), BTC, "0.01", "10000")
        happened = EventBatch(now, trades=events(Trades, [row]))
    return Inputs(now, batch, happened)


@pytest.mark.parametrize("seed", range(6))
def test_both_engines_halt_reopen_and_refuse_alike(seed: int) -> None:
    random = stream(seed, "tests", "gates")
    state = open_state(edgy_book(), SOURCES)
    engine = LiveEngine.open(state, GATED)
    rows = len(TABLE) + len(TABLE.assets.names)
    prices = np.array([CALM.get(name, 1.0) for name in (*TABLE.symbols, *TABLE.assets.names)])
    assert prices.size == rows
    now, changes, refused = T0, 0, 0
    for _ in range(60):
        now += int(random.choice([1, 3, 12, 40])) * SECOND
        prices = prices * np.exp(random.normal(0, 0.004))
        inputs = gated_inputs(random, prices, now)
        told: list[object] = []
        for run in (lambda: step(state, GATED, inputs), lambda: engine.step(inputs)):  # noqa: B023
            try:
                told.append(run())
            except LedgerError as error:
                told.append(str(error))
        if isinstance(told[0], str):
            assert told[0] == told[1]
            refused += 1
            continue
        state, outcome = told[0]
        assert [*map(encode_batch, outcome.decisions)] == [*map(encode_batch, told[1].decisions)]
        changes += sum(batch.phases.phase.size for batch in outcome.decisions)
        assert digest_book(engine.book.snapshot()) == digest_book(state.book)
        for name in ("phase_since_ns", "set_phase"):
            mine, theirs = getattr(engine.state().gates, name), getattr(state.gates, name)
            assert np.array_equal(mine, theirs)
    assert changes > 3
