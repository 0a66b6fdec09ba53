"""Admission: which events a market's phase, a pool's margin and the venue's outflow refuse."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from plimsoll.book import Book, MarketPhase, ModelChoice, PoolState, SystemPool, digest_book
from plimsoll.core import InputError, LedgerError, Status
from plimsoll.engine import (
    EngineState,
    LiveEngine,
    OutflowLimit,
    Rules,
    Session,
    load_gates,
    load_rules,
    open_state,
    step,
    verify_journal,
)
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    NewAccounts,
    NewPools,
    PhaseChanges,
    Placements,
    Trades,
    TransferReason,
    Transfers,
)
from plimsoll.market import Anchor, AverageBand, Reference, SanityRules
from tests.book.builders import T0, Desk, balances_of, events, fold, open_book, table_of
from tests.engine.world import (
    DESK,
    HOUSE,
    RULES,
    SANITY,
    SECOND,
    TABLE,
    house_book,
    inputs_of,
    observations,
    prices_of,
    set_states,
)

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
CALM = prices_of(10_000, 500)
LOOSE = replace(RULES.gates, counts_unrealised=True, withdrawal_share=0.0)


def rules_with(**gates: object) -> Rules:
    return replace(RULES, gates=replace(RULES.gates, **gates))  # type: ignore[arg-type]


def withdrawal(
    pool: int, asset: str, amount: str, reason: TransferReason = TransferReason.WITHDRAWAL,
    target: int = SystemPool.WORLD,
) -> tuple:  # fmt: skip
    return pool, target, TABLE.assets.find(asset, ""), DESK.units(asset, amount), reason


def started(book: Book, rules: Rules = RULES, prices: dict[str, float] = CALM) -> EngineState:
    """The state after a first tick."""
    state, _ = step(open_state(book, ("test",)), rules, inputs_of(prices, 0))
    return state


def refusal(state: EngineState, rules: Rules, batch: EventBatch, seconds: int = 1) -> str:
    """What a batch is refused with, the same by both engines and with nothing changed; or ''."""
    inputs, digest = inputs_of(CALM, seconds, batch), digest_book(state.book)
    live, told = LiveEngine.open(state, rules), []
    for run in (lambda: step(state, rules, inputs), lambda: live.step(inputs)):
        try:
            run()
            told.append("")
        except LedgerError as error:
            told.append(str(error))
    assert told[0] == told[1]
    assert digest_book(state.book) == digest
    if told[0]:
        assert digest_book(live.book.snapshot()) == digest_book(live.state().book) == digest
        assert np.array_equal(live.state().gates.left, state.gates.left)
    return told[0]


# -- phases ----------------------------------------------------------------------------------


def phased(phase: MarketPhase) -> EngineState:
    """Pool 5 is long 2 BTC with two orders, pool 6 short 1; the BTC market is in a phase."""
    book = fold(
        house_book("a", "b"),
        orders=[DESK.order(5, 1, BTC, "1", "9000"), DESK.order(5, 7, ETH, "1", "400")],
        trades=[DESK.trade(5, BTC, "2", "10000"), DESK.trade(6, BTC, "-1", "10000")],
        transfers=[DESK.deposit(pool, "USDT", "90000") for pool in (5, 6)],
    )
    state = started(book)
    changes = PhaseChanges(np.array([TABLE.find(BTC, "")], np.int32), np.array([phase], np.int8))
    state, _ = step(state, RULES, inputs_of(CALM, 0, EventBatch(0, phases=changes)))
    return state


def trades(*rows: tuple) -> EventBatch:
    return EventBatch(0, trades=events(Trades, rows))


def places(*rows: tuple) -> EventBatch:
    return EventBatch(0, placements=events(Placements, rows))


BUY, REDUCE = DESK.order(5, 2, BTC, "1", "9000"), DESK.order(5, 3, BTC, "-1", "11000", True)
CANCEL = EventBatch(0, cancels=events(Cancels, [(5, 7), (5, 1)]))
SELL, GROW = DESK.trade(5, BTC, "-1", "10000"), DESK.trade(5, BTC, "0.1", "10000")
FLIP = DESK.trade(5, BTC, "-2.0001", "10000")
# What happens: the least phase that refuses it, and how.
PHASE_CASES = {
    "cancel": (CANCEL, 3, r"cancels\[1\]: the market is halted"),
    "order": (places(BUY), 1, r"placements\[0\]: the market"),
    "reduce-only order": (places(REDUCE), 2, r"placements\[0\]: the market takes no orders"),
    "second order": (places(REDUCE, BUY), 1, r"placements\[[01]\]: "),
    "smaller": (trades(SELL), 2, r"trades\[0\]: nothing is traded"),
    "closed": (trades(SELL, SELL), 2, r"trades\[0\]: nothing is traded"),
    "larger": (trades(GROW), 1, r"trades\[0\]: "),
    "flipped at once": (trades(FLIP), 1, r"trades\[0\]: "),
    "flipped by the third": (trades(SELL, SELL, SELL), 1, r"trades\[[02]\]: "),
    "grown from nothing": (trades(SELL, SELL, GROW), 1, r"trades\[[02]\]: "),
    "both smaller": (trades(DESK.trade(6, BTC, "1", "10000", other=5)), 2, r"trades\[0\]: "),
    "the other flipped": (
        trades(DESK.trade(5, BTC, "-1.5", "10000", other=6)),
        1,
        r"trades\[0\]: ",
    ),
    "a buyer without": (trades(DESK.trade(5, BTC, "-0.1", "10000", other=7)), 1, r"trades\[0\]: "),
    "elsewhere": (trades(DESK.trade(5, ETH, "1", "500")), 4, ""),
}


@pytest.mark.parametrize("name", PHASE_CASES)
@pytest.mark.parametrize("phase", MarketPhase)
def test_a_phase_allows_less_than_the_last(phase: MarketPhase, name: str) -> None:
    batch, refused_from, message = PHASE_CASES[name]
    if name == "a buyer without":
        batch = replace(batch, accounts=NewAccounts(("c",), np.zeros(1, np.int32)))
    told = refusal(phased(phase), RULES, batch)
    assert bool(told) == (phase >= refused_from)
    if told:
        assert re.match(message, told)
        assert "the batch was not applied; " in told


def test_forced_trades_are_refused_where_nothing_is_traded() -> None:
    batch = trades((*SELL[:-1], 2), (*GROW[:-1], 2))
    for phase in MarketPhase:
        assert bool(refusal(phased(phase), RULES, batch)) == (phase >= MarketPhase.CANCEL_ONLY)


def test_in_a_reduce_only_spot_market_coins_may_be_sold_and_no_more() -> None:
    table = table_of({"BTC/USDT": "1", "BTC/USDT:USDT": "1"}, {"USDT": 6, "BTC": 8})
    desk = Desk(table)
    rules = load_rules(table, (HOUSE,), SANITY, T0)
    book = fold(
        open_book(table, "a", models=(HOUSE,)),
        transfers=[desk.deposit(5, "BTC", "2"), desk.deposit(5, "USDT", "90000")],
    )
    changes = PhaseChanges(
        np.array([table.find("BTC/USDT", "")], np.int32),
        np.array([MarketPhase.REDUCE_ONLY], np.int8),
    )
    prices = {"BTC/USDT": 1e4, "BTC/USDT:USDT": 1e4, "BTC": 1e4, "USDT": 1.0}
    batch = EventBatch(0, phases=changes)
    state = open_state(book, ("test",))
    state, _ = step(state, rules, inputs_in(table, prices, 0, batch))
    for sold, passes in (("1.5", True), ("2", True), ("2.0001", False), ("-0.1", False)):
        row = desk.trade(5, "BTC/USDT", str(-float(sold)), "10000")
        inputs = inputs_in(table, prices, 1, trades(row))
        if passes:
            step(state, rules, inputs)
        else:
            with pytest.raises(LedgerError, match=r"trades\[0\]: it increases a position"):
                step(state, rules, inputs)


def inputs_in(table, prices, seconds: int, batch: EventBatch):
    inputs = inputs_of({}, seconds, batch)
    return replace(inputs, prices=observations(prices, inputs.time_ns, table))


def test_a_single_live_fill_is_held_to_the_phase() -> None:
    for phase in MarketPhase:
        state = phased(phase)
        for row, refused_from in ((SELL, 2), (GROW, 1)):
            engine = LiveEngine.open(state, RULES)
            engine.step(inputs_of(CALM, 1))
            before = digest_book(engine.book.snapshot())
            if phase < refused_from:
                engine.fill(*(int(x) for x in row[:-1]), T0 + 2 * SECOND)
                assert digest_book(engine.book.snapshot()) != before
                continue
            with pytest.raises(LedgerError, match=r"trades\[0\]: "):
                engine.fill(*(int(x) for x in row[:-1]), T0 + 2 * SECOND)
            assert digest_book(engine.book.snapshot()) == before


# -- withdrawals -----------------------------------------------------------------------------


def long_book(deposit: str, entry: str = "10000", quantity: str = "1") -> Book:
    return fold(
        house_book("a", "b"),
        trades=[DESK.trade(5, BTC, quantity, entry)],
        transfers=[DESK.deposit(5, "USDT", deposit)],
    )


def takes(*rows: tuple) -> EventBatch:
    return EventBatch(0, transfers=events(Transfers, rows))


@pytest.mark.parametrize(
    ("entry", "counts", "most"),
    [
        ("10000", False, "3000"),  # 5000 less an initial margin of 2000
        ("9000", False, "3000"),  # a thousand of profit stays
        ("9000", True, "4000"),
        ("11000", False, "2000"),  # a loss counts in full
        ("11000", True, "2000"),
    ],
)
def test_what_must_stay_is_the_initial_margin(entry: str, counts: bool, most: str) -> None:
    rules, state = rules_with(counts_unrealised=counts), started(long_book("5000", entry))
    over = f"{float(most) + 0.000001:.6f}"
    assert refusal(state, rules, takes(withdrawal(5, "USDT", most))) == ""
    told = refusal(state, rules, takes(withdrawal(5, "USDT", over)))
    assert told.startswith("transfers[0]: it would leave pool 5 2,000.00 where 2,000.00 must stay")


def test_the_event_that_empties_a_pool_is_named() -> None:
    batch = takes(
        DESK.deposit(6, "USDT", "10"),
        withdrawal(6, "USDT", "10"),
        DESK.deposit(5, "USDT", "100"),
        withdrawal(5, "USDT", "3101"),
    )
    told = refusal(started(long_book("5000")), RULES, batch)
    assert told.startswith("transfers[3]: ")
    assert told.endswith("the batch was not applied; withdraw less, or close positions first")


def test_the_batch_is_judged_by_what_it_leaves() -> None:
    close = events(Trades, [DESK.trade(5, BTC, "-1", "10000")])
    batch = replace(takes(withdrawal(5, "USDT", "5000")), trades=close)
    assert refusal(started(long_book("5000")), RULES, batch) == ""
    more = events(Trades, [DESK.trade(5, BTC, "1", "10000")])
    batch = replace(takes(withdrawal(5, "USDT", "1500")), trades=more)
    assert refusal(started(long_book("5000")), RULES, batch).startswith("transfers[0]: ")


@pytest.mark.parametrize(
    "row",
    [
        (SystemPool.WORLD, 5, TABLE.assets.find("USDT", ""), -3_000_000_001, 1),
        withdrawal(5, "USDT", "3000.000001", TransferReason.MARGIN, 6),
        withdrawal(5, "USDT", "3000.000001", TransferReason.WITHDRAWAL, 6),
    ],
    ids=["turned around", "margin to another pool", "a withdrawal to another pool"],
)
def test_no_other_path_leads_around_the_limit(row: tuple) -> None:
    assert refusal(started(long_book("5000")), RULES, takes(row)).startswith("transfers[0]: ")


def test_margin_of_an_isolated_position_opened_in_the_same_batch() -> None:
    isolated = NewPools.isolated(np.array([0], np.int32))
    for amount, passes in (("3000", True), ("3001", False)):
        row = withdrawal(5, "USDT", amount, TransferReason.MARGIN, 7)
        batch = replace(takes(row), pools=isolated)
        assert (refusal(started(long_book("5000")), RULES, batch) == "") == passes


def test_what_is_not_known_does_not_leave() -> None:
    book = fold(long_book("5000"), transfers=[DESK.deposit(5, "MOON", "1"),
                                              DESK.deposit(6, "USDT", "5")])  # fmt: skip
    prices = {name: price for name, price in CALM.items() if name != BTC}
    state, _ = step(open_state(book, ("test",)), RULES, inputs_of(prices, 0))
    inputs = inputs_of(prices, 1, takes(withdrawal(5, "USDT", "1")))
    with pytest.raises(LedgerError, match=r"^transfers\[0\]: what pool 5 must hold is not known"):
        step(state, RULES, inputs)
    step(state, RULES, inputs_of(prices, 1, takes(withdrawal(6, "USDT", "5"))))


def test_nothing_leaves_a_pool_that_is_being_liquidated() -> None:
    book = set_states(long_book("50000"), (5, PoolState.LIQUIDATING))
    state = open_state(book, ("test",))
    with pytest.raises(LedgerError, match=r"^transfers\[0\]: pool 5 is being liquidated"):
        step(state, RULES, inputs_of(CALM, 1, takes(withdrawal(5, "USDT", "1"))))


def test_a_live_withdrawal_is_a_step_of_its_own() -> None:
    engine = LiveEngine.open(started(long_book("5000")), RULES)
    usdt = TABLE.assets.find("USDT", "")
    engine.step(inputs_of(CALM, 1))
    before = digest_book(engine.book.snapshot())
    with pytest.raises(LedgerError, match=r"^transfers\[0\]: it would leave"):
        engine.withdraw(5, usdt, 3_000_000_001, T0 + 2 * SECOND)
    assert digest_book(engine.book.snapshot()) == before
    engine.withdraw(5, usdt, 3_000_000_000, T0 + 2 * SECOND)
    assert balances_of(engine.book.snapshot(), 5) == {"USDT": 2000}


# -- withdraw, then be liquidated ------------------------------------------------------------

FORTY_TIMES = ModelChoice(
    "plimsoll.standard",
    json.dumps({**json.loads(HOUSE.overrides), "brackets": {"BTC": [[0, 0.0125, 0.025]]}}),
)
STEEP = load_rules(TABLE, (FORTY_TIMES,), SANITY, T0)


def test_whoever_withdraws_to_the_edge_keeps_a_tenth_of_the_notional() -> None:
    """R26, after the ETH whale of 2025-03-12: 200 sizes, both sides, in profit and in loss."""
    sizes = np.exp(np.linspace(np.log(0.01), np.log(2_000), 200))
    bare = replace(STEEP, gates=replace(LOOSE, outflows=()))
    gated = replace(STEEP, gates=replace(STEEP.gates, outflows=()))
    caught = 0
    for number, size in enumerate(sizes.tolist()):
        side, entry = (-1, 1)[number % 2], (9_500, 10_000, 10_200)[number % 3]
        quantity = round(side * size, 4)
        notional = Fraction(str(abs(quantity))) * 10_000
        profit = Fraction(str(quantity)) * (10_000 - entry)
        deposit = round(float(notional) * 0.3 + 10, 2)
        book = fold(
            open_book(TABLE, "a", models=(FORTY_TIMES,)),
            trades=[DESK.trade(5, BTC, str(quantity), str(entry))],
            transfers=[DESK.deposit(5, "USDT", str(deposit))],
        )
        state = started(book, gated)
        equity = Fraction(str(deposit)) + min(profit, 0)
        most = equity - max(notional / 40, notional / 10)
        units = int(most * 10**6) - 1
        usdt = TABLE.assets.find("USDT", "")
        for taken, passes in ((units, True), (units + 3, False)):
            batch = takes((5, SystemPool.WORLD, usdt, taken, TransferReason.WITHDRAWAL))
            told = ""
            try:
                after, outcome = step(state, gated, inputs_of(CALM, 1, batch))
            except LedgerError as error:
                told = str(error)
            assert (told == "") == passes, (quantity, taken, told)
        found = outcome.assessment
        assert found.collateral_value[5] >= found.initial_margin[5]
        assert found.collateral_value[5] >= 0.1 * float(notional) * (1 - 1e-9)
        # Then the market turns by 2 %: without the gate the venue has the position.
        against = prices_of(10_000 * (1 - 0.02 * side), 500)
        _, outcome = step(after, gated, inputs_of(against, 2))
        assert outcome.found.status[5] == Status.OK
        edge = Fraction(str(deposit)) + profit - notional / 40
        batch = takes((5, SystemPool.WORLD, usdt, int(edge * 10**6) - 1, TransferReason.WITHDRAWAL))
        after, _ = step(started(book, bare), bare, inputs_of(CALM, 1, batch))
        _, outcome = step(after, bare, inputs_of(against, 2))
        caught += int(outcome.found.status[5] >= Status.LIQUIDATABLE)
    assert caught == 200


# -- the venue's outflow ---------------------------------------------------------------------

HOURLY = OutflowLimit(3600 * SECOND, 0.1, 0.0)
DAILY = OutflowLimit(86_400 * SECOND, 0.15, 0.0)
SLOW = replace(SANITY, age_ns_max=2**60)


def outflow_rules(*limits: OutflowLimit) -> Rules:
    return replace(rules_with(outflows=limits), sanity=SLOW)


def take_at(
    state: EngineState, rules: Rules, seconds: int, amount: str, asset: str = "USDT"
) -> EngineState | str:
    batch = takes(withdrawal(5, asset, amount))
    try:
        return step(state, rules, inputs_of(CALM, seconds, batch))[0]
    except LedgerError as error:
        return str(error)


def rich_state(rules: Rules) -> EngineState:
    book = fold(
        house_book("a", "b"),
        transfers=[
            DESK.deposit(5, "USDT", "6000"),
            DESK.deposit(6, "USDT", "4000"),
            DESK.deposit(5, "BTC", "1"),
        ],
    )
    return started(book, rules)


def test_a_window_lets_out_its_share_of_what_was_held_when_it_began() -> None:
    rules = outflow_rules(HOURLY, DAILY)
    state = rich_state(rules)
    # T0 is 21:15, so the hour ends 2,700 seconds later and the day 9,900.
    story = [
        (10, "600", True),
        (20, "400.000001", False),
        (30, "400", True),
        (2_699, "0.000001", False),
        (2_700, "500", True),  # a new hour, but the day lets out 1,500 of 10,000
        (2_800, "0.000001", False),
        (9_899, "1", False),
        (9_900, "850", True),  # a tenth of the 8,500 that are left
        (9_901, "0.000001", False),
    ]
    for seconds, amount, passes in story:
        result = take_at(state, rules, seconds, amount)
        assert isinstance(result, EngineState) == passes, (seconds, result)
        if isinstance(result, EngineState):
            state = result
        else:
            assert result.startswith("transfers[0]: withdrawals of USDT would pass the venue's")
    # Another asset has its own windows.
    assert isinstance(take_at(state, rules, 9_902, "0.1", "BTC"), EngineState)
    assert isinstance(take_at(state, rules, 9_902, "0.11", "BTC"), str)


def test_the_floor_is_worth_dollars_and_needs_a_price() -> None:
    rules = outflow_rules(replace(HOURLY, share=0.0, floor_usd=5_000.0))
    state = rich_state(rules)
    assert isinstance(take_at(state, rules, 1, "5000"), EngineState)
    assert "of which 5,000.00 are left" in str(take_at(state, rules, 1, "5001"))
    assert isinstance(take_at(state, rules, 1, "0.5", "BTC"), EngineState)
    assert isinstance(take_at(state, rules, 1, "0.51", "BTC"), str)
    silent = {name: price for name, price in CALM.items() if name != "USDT"}
    state, _ = step(open_state(state.book, ("test",)), rules, inputs_of(silent, 0))
    batch = takes(withdrawal(5, "USDT", "1"))
    with pytest.raises(LedgerError, match="of which 0.00 are left"):
        step(state, rules, inputs_of(silent, 1, batch))


def test_an_asset_beyond_its_floor_does_not_hold_up_another() -> None:
    """The floor in BTC halves as BTC doubles, so that more has left than may."""
    rules = outflow_rules(replace(HOURLY, share=0.0, floor_usd=5_000.0))
    state = take_at(rich_state(rules), rules, 1, "0.5", "BTC")
    assert isinstance(state, EngineState)
    prices = prices_of(20_000, 500)
    after, _ = step(state, rules, inputs_of(prices, 2, takes(withdrawal(5, "USDT", "100"))))
    assert balances_of(after.book, 5)["USDT"] == 5_900
    with pytest.raises(LedgerError, match="withdrawals of BTC"):
        step(after, rules, inputs_of(prices, 3, takes(withdrawal(5, "BTC", "0.000001"))))


def test_all_accounts_share_the_window_and_the_last_event_is_named() -> None:
    rules = outflow_rules(HOURLY)
    batch = takes(withdrawal(5, "USDT", "600"), withdrawal(6, "USDT", "401"))
    assert refusal(rich_state(rules), rules, batch).startswith("transfers[1]: withdrawals of USDT")


def test_a_recovered_session_remembers_what_has_left(tmp_path: Path) -> None:
    path, gates = tmp_path / "journal.db", replace(RULES.gates, outflows=(HOURLY,))
    sanity = replace(
        SLOW,
        frozen_ns_max=2**61,
        pegs=("USDT",),
        references=(Reference("USDT", 1.0, 2.0),),
        bands=(AverageBand("BTC", 3600 * SECOND, 3.0),),
        anchors=(Anchor("USDC", "USD", 1.0, 0.1, None), Anchor("MOON", "USD", 0.5, 0.1, 0.5)),
    )
    opening = EventBatch(
        0,
        accounts=NewAccounts(("a", "b"), np.zeros(2, np.int32)),
        transfers=events(Transfers, [DESK.deposit(5, "USDT", "10000")]),
    )
    with Session.create(path, TABLE, (HOUSE,), ("x", "y"), sanity, T0, gates) as session:
        told = inputs_of(CALM, 0, opening)
        session.handle(told)
        both = replace(told.prices, source=np.ones_like(told.prices.source))
        session.handle(replace(inputs_of({}, 0), prices=both))
        session.handle(inputs_of(CALM, 10, takes(withdrawal(5, "USDT", "900"))))
        kept = session.state
    found = verify_journal(path, decide_again=True)
    assert found.state_hash == session.state_hash
    recovered = Session.recover(path)
    assert recovered.rules.gates == gates
    assert recovered.rules.sanity == sanity
    for name in ("phase_since_ns", "set_phase", "window", "left", "held"):
        assert np.array_equal(getattr(recovered.state.gates, name), getattr(kept.gates, name))
    for name in ("good_ns", "is_lost", "average", "changed_ns"):
        mine, theirs = getattr(recovered.state.board, name), getattr(kept.board, name)
        assert np.array_equal(mine, theirs, equal_nan=True), name
    with recovered, pytest.raises(LedgerError, match="of which 100.00 are left"):
        recovered.handle(inputs_of(CALM, 20, takes(withdrawal(5, "USDT", "100.1"))))


def test_the_house_gates_are_dated_and_sourced() -> None:
    gates = load_gates(T0)
    assert gates.withdrawal_share == 0.1
    assert not gates.counts_unrealised
    assert gates.halt_after_ns is None
    assert [(limit.window_ns // SECOND, limit.share, limit.floor_usd) for limit in gates.outflows]
    assert gates.outflows == (
        OutflowLimit(3600 * SECOND, 0.01, 1e6), OutflowLimit(86_400 * SECOND, 0.1, 1e7),
    )  # fmt: skip
    with pytest.raises(InputError, match="no parameters are in force"):
        load_gates(0)


def test_default_rules_are_those_of_today() -> None:
    assert load_rules(TABLE, (HOUSE,), SanityRules(), T0).gates == load_gates(T0)
