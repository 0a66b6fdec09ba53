"""``step`` as a function: the same in, the same out, and nothing of what went in is altered."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from plimsoll.book import Book, PoolState, SystemPool, digest_book
from plimsoll.core import LedgerError, Status
from plimsoll.engine import load_rules, open_state, step
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    StateChanges,
    Trades,
    Transfers,
    conservation_residual,
    encode_batch,
)
from plimsoll.margin import assess
from plimsoll.market import Quality, SanityRules
from tests.book.builders import T0, balances_of, events, fold, positions_of
from tests.engine.world import (
    DESK,
    HOUSE,
    RULES,
    SANITY,
    SECOND,
    TABLE,
    house_book,
    inputs_of,
    prices_of,
    run_ticks,
)

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
CALM = prices_of(10_000, 500)


def one_long(deposit: str, accounts: tuple[str, ...] = ("a",)) -> Book:
    """Accounts that are long 1 BTC from 10,000 with a deposit each: maintenance 1,000."""
    pools = range(len(SystemPool), len(SystemPool) + len(accounts))
    return fold(
        house_book(*accounts),
        trades=[DESK.trade(pool, BTC, "1", "10000") for pool in pools],
        transfers=[DESK.deposit(pool, "USDT", deposit) for pool in pools],
    )


def arrays_of(value: object, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array inside frozen structures, by its path."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from arrays_of(item, f"{path}[{number}]")


def test_the_same_in_gives_the_same_out_and_what_went_in_stays() -> None:
    book = one_long("1100", ("a", "b", "c"))
    book = fold(book, orders=[DESK.order(5, 1, BTC, "1", "9000")])
    state, _ = run_ticks(book, [CALM])
    events_in = EventBatch(0, transfers=events(Transfers, [DESK.deposit(6, "USDT", "30000")]))
    inputs = inputs_of(prices_of(8500, 500), 1, events_in)
    before = {path: (array.copy(), array) for path, array in arrays_of((state, inputs, RULES))}
    assert len(before) > 50
    first, one = step(state, RULES, inputs)
    second, two = step(state, RULES, inputs)
    assert one.taken_over.tolist() == [5, 7]
    assert [*map(encode_batch, one.decisions)] == [*map(encode_batch, two.decisions)]
    for (path, a), (_, b) in zip(arrays_of((first, one)), arrays_of((second, two)), strict=True):
        assert a.tobytes() == b.tobytes(), path
    for path, (copy, array) in before.items():
        assert copy.tobytes() == array.tobytes(), path


def test_decisions_come_in_order_and_carry_the_time_of_the_step() -> None:
    book = fold(one_long("1200", ("called", "sick")), transfers=[DESK.deposit(6, "USDT", "-300")])
    state, (outcome,) = run_ticks(book, [CALM])
    assert outcome.called.tolist() == [5]
    assert outcome.begun.tolist() == [6]
    calls, *rounds = outcome.decisions
    assert calls.states.pool.tolist() == [5]
    assert calls.states.state.tolist() == [PoolState.CALLED]
    assert [batch.states.pool.tolist() for batch in rounds] == [[6], [6]]
    assert [batch.trades.pool.size for batch in rounds] == [1, 0]
    assert {batch.time_ns for batch in outcome.decisions} == {T0}
    assert state.book.time_ns == T0


# -- margin calls ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratios", "calls", "states"),
    [
        # Sent from 0.8333 on, cleared below 0.6667.
        ((0.83, 0.82), (0, 0), "NN"),
        ((0.84, 0.84, 0.9, 0.99, 0.84), (1, 0, 0, 0, 0), "CCCCC"),
        ((0.84, 0.82, 0.67, 0.84), (1, 0, 0, 0), "CCCC"),
        ((0.84, 0.66, 0.7, 0.83), (1, 0, 0, 0), "CNNN"),
        ((0.84, 0.66, 0.84, 0.66, 0.84), (1, 0, 1, 0, 1), "CNCNC"),
    ],
)
def test_a_call_is_sent_once_and_cleared_with_hysteresis(
    ratios: tuple[float, ...], calls: tuple[int, ...], states: str
) -> None:
    # Maintenance 0.1 p, collateral 1,000 + p - 10,000: p = 9,000 r / (r - 0.1).
    path = [prices_of(9000 * ratio / (ratio - 0.1), 500) for ratio in ratios]
    book = one_long("1000")
    state = open_state(book, ("test",))
    for second, (prices, sent, name) in enumerate(zip(path, calls, states, strict=True)):
        state, outcome = step(state, RULES, inputs_of(prices, second))
        ratio = outcome.found.margin_ratio[5]
        assert ratio == pytest.approx(ratios[second])
        assert outcome.called.tolist() == [5] * sent
        wanted = {"N": PoolState.NORMAL, "C": PoolState.CALLED}[name]
        assert state.book.pool_state[5] == wanted
        changed = sent or (second and states[second] != states[second - 1])
        assert len(outcome.decisions) == bool(changed)


def test_the_calls_ratios_are_the_models_own() -> None:
    choice = replace(
        HOUSE,
        overrides=HOUSE.overrides[:-1]
        + ', "margin_call_ratio": 0.5, "margin_call_clear_ratio": 0.4}',
    )
    rules = load_rules(TABLE, (choice,), SANITY, T0)
    book = replace(one_long("1900"), models=(choice,))
    _, outcomes = run_ticks(book, [CALM, prices_of(10_800, 500), prices_of(11_000, 500)], rules)
    # 1000 / 1900, 1080 / 2700 = 0.4 (no lower, so it stays), 1100 / 2900
    assert [outcome.called.tolist() for outcome in outcomes] == [[5], [], []]
    assert [len(outcome.decisions) for outcome in outcomes] == [1, 0, 1]


def test_a_called_pool_that_falls_further_is_liquidated_and_may_be_called_again() -> None:
    # Ratio 0.86, 1.125, then 0.9 or less and the procedure ended.
    state, outcomes = run_ticks(
        one_long("1200"), [prices_of(9950, 500), prices_of(9675, 500), prices_of(9675, 500)]
    )
    assert [o.called.tolist() for o in outcomes] == [[5], [], [5]]
    assert [o.begun.tolist() for o in outcomes] == [[], [5], []]
    ratio = outcomes[1].assessment.margin_ratio[5]
    assert 0.8334 < ratio <= 0.9
    assert outcomes[1].assessment.status[5] == Status.MARGIN_CALL
    assert state.book.pool_state[5] == PoolState.CALLED


# -- liquidation through the step ------------------------------------------------------------


def test_one_pools_fall_is_settled_within_the_step() -> None:
    state, (outcome,) = run_ticks(one_long("1000", ("a", "b")), [prices_of(8500, 500)])
    assert outcome.found.status[5:].tolist() == [Status.BANKRUPT] * 2
    assert outcome.assessment.status[5:].tolist() == [Status.OK] * 2
    assert outcome.taken_over_equity == pytest.approx([-500, -500])
    assert outcome.closed_notional[TABLE.find(BTC, "")] == pytest.approx(17_000)
    book = state.book
    assert [balances_of(book, pool) for pool in (5, 6)] == [{}, {}]
    assert positions_of(book, SystemPool.INSURANCE_FUND) == {}
    # 2 * (8,491.5 - 9,000 - 4.24575), which nobody had put in.
    assert float(balances_of(book, SystemPool.BAD_DEBT)["USDT"]) == pytest.approx(-1025.4915)
    assert outcome.insurance_fund == 0
    assert set(conservation_residual(book)) == {0}


@pytest.mark.parametrize("deposit", ["1000", "1200", "1500"])
def test_the_assessment_after_decisions_is_that_of_the_whole_book(deposit: str) -> None:
    """Only the pools acted on are looked at again; what comes out is the sweep, to the bit."""
    book = fold(one_long(deposit, ("a", "b", "c")), transfers=[DESK.deposit(6, "USDT", "5000")])
    ticks = [prices_of(price, 500) for price in (9700, 9300, 9400)]
    _, outcomes = run_ticks(book, ticks)
    at = [outcome.begun.size > 0 for outcome in outcomes].index(True)
    last, (rest, _) = outcomes[at], run_ticks(book, ticks[: at + 1])
    swept = assess(rest.book, last.market, RULES.models)
    for name in ("status", "equity", "collateral_value", "initial_margin", "maintenance_margin"):
        assert getattr(swept, name).tobytes() == getattr(last.assessment, name).tobytes()
    for mine, theirs in zip(swept.charges, last.assessment.charges, strict=True):
        assert mine.initial.tobytes() == theirs.initial.tobytes()
        assert mine.maintenance.tobytes() == theirs.maintenance.tobytes()


def test_events_come_before_the_judgement() -> None:
    """A deposit in the same step saves the account; a withdrawal fells it."""
    for amount, begins in (("500", False), ("-500", True)):
        deposit = EventBatch(0, transfers=events(Transfers, [DESK.deposit(5, "USDT", amount)]))
        state = open_state(one_long("1300"), ("test",))
        _, outcome = step(state, RULES, inputs_of(CALM, 0, deposit))
        assert outcome.begun.tolist() == [5] * begins


def test_accounts_may_join_a_running_engine() -> None:
    state, _ = run_ticks(one_long("1300"), [CALM])
    joined = EventBatch(
        0,
        accounts=NewAccounts(("late",), np.zeros(1, np.int32)),
        trades=events(Trades, [DESK.trade(6, ETH, "-10", "500")]),
        transfers=events(Transfers, [DESK.deposit(6, "USDC", "510")]),
    )
    state, outcome = step(state, RULES, inputs_of(CALM, 1, joined))
    assert outcome.assessment.maintenance_margin[5:].tolist() == [1000, 500]
    assert outcome.called.tolist() == [6]


def test_refused_events_raise_and_change_nothing() -> None:
    state, _ = run_ticks(one_long("1300"), [CALM])
    digest = digest_book(state.book)
    bad = EventBatch(0, transfers=events(Transfers, [DESK.deposit(99, "USDT", "1")]))
    with pytest.raises(LedgerError, match=r"transfers.target\[0\]: no such pool"):
        step(state, RULES, inputs_of(CALM, 1, bad))
    late = EventBatch(
        T0 + 5 * SECOND, states=StateChanges(np.array([5], np.int32), np.zeros(1, np.int8))
    )
    with pytest.raises(LedgerError, match="another time"):
        step(state, RULES, replace(inputs_of(CALM, 1), events=late))
    assert digest_book(state.book) == digest


# -- unusable prices -------------------------------------------------------------------------

STRICT = replace(RULES, sanity=SanityRules(age_ns_max=2 * SECOND, jump_max=0.1))


def without(prices: Mapping[str, float], *names: str) -> dict[str, float]:
    return {name: price for name, price in prices.items() if name not in names}


def statuses(book: Book, ticks: list[dict[str, float]]) -> tuple[list[str], list[int], Book]:
    """Status of pool 5 as found at each tick, number of decisions, and the book at the end."""
    state, outcomes = run_ticks(book, ticks, STRICT)
    names = [Status(int(o.found.status[5])).name for o in outcomes]
    return names, [len(o.decisions) for o in outcomes], state.book


def test_a_stale_price_silences_the_engine_until_it_is_fresh() -> None:
    sick = prices_of(9_400, 500)
    silent = without(sick, BTC)
    # Ages of the mark: 0, 1, 2, 3, 4 seconds; then seen again.
    names, decisions, book = statuses(one_long("1700"), [CALM, *[silent] * 4, sick])
    assert names == ["OK", "OK", "OK", "UNKNOWN", "UNKNOWN", "MARGIN_CALL"]
    assert decisions == [0, 0, 0, 0, 0, 1]
    assert book.pool_state[5] == PoolState.CALLED


def test_a_jump_is_held_until_it_is_confirmed() -> None:
    crash = prices_of(8_000, 500)
    names, decisions, book = statuses(one_long("1300"), [CALM, crash, crash])
    assert names == ["OK", "UNKNOWN", "BANKRUPT"]
    assert decisions[:2] == [0, 0]
    assert positions_of(book, 5) == {}


def test_a_spike_that_is_not_confirmed_moves_nothing() -> None:
    names, decisions, book = statuses(one_long("1300"), [CALM, prices_of(100, 500), CALM])
    assert names == ["OK", "UNKNOWN", "OK"]
    assert decisions == [0, 0, 0]
    assert digest_book(book) == digest_book(one_long("1300"))


@pytest.mark.parametrize("broken", [0.0, -1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [BTC, "USDT"])
def test_a_broken_price_is_no_price(broken: float, name: str) -> None:
    names, decisions, _ = statuses(one_long("900"), [{**CALM, name: broken}, CALM])
    assert names == ["UNKNOWN", "LIQUIDATABLE"]
    assert decisions[0] == 0
    state, (outcome,) = run_ticks(one_long("900"), [{**CALM, name: broken}], STRICT)
    row = TABLE.find(name, "") if "/" in name else len(TABLE) + TABLE.assets.find(name, "")
    wanted = Quality.NOT_POSITIVE if np.isfinite(broken) else Quality.NOT_FINITE
    assert outcome.market.quality[row] == wanted
    assert state.book.pool_state[5] == PoolState.NORMAL


def test_one_accounts_unknown_price_does_not_shield_another() -> None:
    book = one_long("900", ("sees", "blind"))
    book = fold(book, trades=[DESK.trade(6, ETH, "1", "500")])
    state, (outcome,) = run_ticks(book, [without(CALM, ETH)])
    assert outcome.found.status[5:].tolist() == [Status.LIQUIDATABLE, Status.UNKNOWN]
    assert outcome.begun.tolist() == [5]
    assert positions_of(state.book, 6) == positions_of(book, 6)


def test_a_pool_caught_in_the_procedure_by_a_failing_price_goes_on_when_it_is_back() -> None:
    changes = StateChanges(np.array([5], np.int32), np.array([PoolState.LIQUIDATING], np.int8))
    state = open_state(one_long("1050"), ("test",))
    state, outcome = step(
        state, STRICT, inputs_of(without(CALM, BTC), 0, EventBatch(0, states=changes))
    )
    assert outcome.decisions == ()
    assert state.book.pool_state[5] == PoolState.LIQUIDATING
    state, outcome = step(state, STRICT, inputs_of(CALM, 1))
    assert outcome.begun.size == 0
    assert state.book.pool_state[5] == PoolState.NORMAL
    assert outcome.assessment.margin_ratio[5] <= 0.9
