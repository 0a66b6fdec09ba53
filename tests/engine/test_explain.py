"""Why an account was liquidated: what the journal says, told and added up to the last unit."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from plimsoll.app.replay import ReplayRequest, run_replay
from plimsoll.book import PoolState, SystemPool
from plimsoll.core import InputError, JournalError, LedgerError, Status
from plimsoll.engine import Outcome
from plimsoll.engine.explain import (
    TRADE_WORDS,
    TRANSFER_WORDS,
    Liquidation,
    closest_approach,
    explain_tick,
    read_chronicle,
)
from plimsoll.engine.explain.trace import Happening, reconcile, trace
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    StateChanges,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    apply,
    decode_batch,
    encode_batch,
    read_records,
)
from plimsoll.market import PricePath, Quality
from plimsoll.simulation import crash_path, crash_table
from tests.book.builders import T0, events
from tests.engine.story import TICKS, write
from tests.engine.test_step import one_long
from tests.engine.test_verify import forge, same
from tests.engine.world import DESK, RULES, TABLE, inputs_of, prices_of, run_ticks

SECOND = 1_000_000_000
BTC = "BTC/USDT:USDT"
SYSTEM = len(SystemPool)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "story.db"


def told(path: Path, account: str, number: int = -1) -> Liquidation:
    chronicle = read_chronicle(path)
    procedures = chronicle.procedures(chronicle.pools_of(account))
    (found,) = explain_tick(path, chronicle, (procedures[number],))
    return found


# -- the story: "a" is taken over, "b" reduced, "c" never touched -------------------------------


def test_a_takeover_is_told_with_prices_requirement_and_amounts(path: Path) -> None:
    write(path)
    found = told(path, "a")
    assert (found.pool, found.began_ns, found.ended_ns) == ("a", T0 + 3 * SECOND, T0 + 3 * SECOND)
    # Long 1 from 10,000 on 1,300: at 8,600 equity is -100, at 10,600 it was 1,900 for 1,060.
    assert found.found.status == Status.BANKRUPT
    assert found.found.equity == pytest.approx(-100)
    assert found.found.maintenance_margin == pytest.approx(860)
    assert sum(line.maintenance for line in found.found.charges) == pytest.approx(860)
    assert found.ratio_previous == pytest.approx(1060 / 1900)
    assert found.called_ns is None
    mark = found.prices[0]
    assert (mark.kind, mark.name, mark.price, mark.previous) == ("mark", BTC, 8600.0, 10_600.0)
    assert mark.quality == Quality.GOOD
    assert [(one.source, one.price, one.verdict) for one in mark.sources] == [
        ("test", 8600.0, Quality.GOOD)
    ]
    assert mark.time_ns == found.began_ns
    first = found.steps[0]
    assert first.stages[:3] == ("procedure begins", "orders cancelled", "taken over")
    assert (first.orders_cancelled, first.state) == (1, PoolState.LIQUIDATING)
    (fill,) = first.fills
    assert (fill.counterparty, fill.reason) == ("INSURANCE_FUND", TradeReason.TAKEOVER)
    assert (fill.quantity, fill.left, fill.fee.value) == (Decimal(-1), 0, 0)
    # Profit to the last unit: what it was sold for less what it had cost.
    assert fill.booked[0].value == fill.price - 10_000
    (line,) = found.balances
    assert (line.asset, line.start, line.end) == ("USDT", Decimal(1300), Decimal(0))
    assert line.booked == fill.booked[0].value
    assert dict(line.moved) == {TransferReason.TAKEOVER: -(line.start + line.booked)}
    (position,) = found.positions
    assert (position.start, position.traded, position.end) == (1, -1, 0)
    assert found.steps[-1].state == PoolState.NORMAL


def test_a_reduction_is_told_fill_by_fill(path: Path) -> None:
    write(path)
    found = told(path, "b")
    assert found.found.margin_ratio == pytest.approx(860 / 500)
    first = found.steps[0]
    (fill,) = first.fills
    assert (fill.counterparty, fill.reason) == ("MARKET", TradeReason.LIQUIDATION)
    # Half to even at the asset's unit, as the ledger rounds; the mark less ten basis points.
    assert fill.price == Decimal("8591.4")
    closed = Fraction(str(-fill.quantity))
    gain = closed * (Fraction("8591.4") - 10_000)
    assert fill.booked[0].value == Decimal(str(float(gain)))
    assert fill.fee.value == round(Decimal(str(float(closed * 85914 / 10 / 2000))), 6)
    (moved,) = first.movements
    assert (moved.reason, moved.counterparty) == (TransferReason.LIQUIDATION_FEE, "INSURANCE_FUND")
    assert moved.amount.value < 0
    assert first.ratio_before == pytest.approx(found.found.margin_ratio)
    assert first.ratio_after <= 0.9
    assert found.steps[-1].stages == ("procedure ends",)


def test_a_call_before_it_is_remembered(path: Path) -> None:
    # The call at 9,700 stands; 9,600 is past the line.
    write(path, (*TICKS[:2], inputs_of(prices_of(9_550, 500), 2)))
    found = told(path, "a")
    assert found.called_ns == T0 + SECOND
    assert found.previous_ns == T0 + SECOND
    assert found.ratio_previous == pytest.approx(970 / 1000)


def test_what_comes_from_outside_meanwhile_is_told_apart(path: Path) -> None:
    """A pool that no price lets go on stays in its procedure, and gets a deposit there."""
    lost = {**prices_of(8_600, 500), BTC: float("nan")}
    put = EventBatch(0, states=StateChanges(np.array([6], np.int32), np.array([2], np.int8)))
    paid = EventBatch(0, transfers=events(Transfers, [DESK.deposit(6, "USDT", "25.5")]))
    write(
        path,
        (
            TICKS[0],
            inputs_of(lost, 1, put),
            inputs_of({}, 2, paid),
            inputs_of(prices_of(10_000, 500), 3),
        ),
    )
    found = told(path, "b")
    assert (found.began_ns, found.ended_ns) == (T0 + SECOND, T0 + 3 * SECOND)
    assert found.found.status == Status.UNKNOWN
    assert [(step.is_decision, step.stages) for step in found.steps] == [
        (False, ("deposit",)),
        (True, ("procedure ends",)),
    ]
    assert found.steps[0].movements[0].counterparty == "WORLD"
    assert dict(found.balances[0].moved) == {TransferReason.DEPOSIT: Decimal("25.5")}


def test_a_journal_that_ends_before_the_procedure(path: Path) -> None:
    lost = {**prices_of(8_600, 500), BTC: float("nan")}
    put = EventBatch(0, states=StateChanges(np.array([6], np.int32), np.array([2], np.int8)))
    write(path, (TICKS[0], inputs_of(lost, 1, put)))
    found = told(path, "b")
    assert found.ended_ns is None
    assert found.steps == ()
    assert found.balances[0].start == found.balances[0].end == Decimal(1900)


def test_several_that_begin_at_one_step_are_told_together(path: Path) -> None:
    write(path)
    chronicle = read_chronicle(path)
    procedures = chronicle.procedures((5, 6, 7))
    assert [one.pool for one in procedures] == [5, 6]
    both = explain_tick(path, chronicle, procedures)
    assert [one.account for one in both] == ["a", "b"]
    assert both[0] == told(path, "a")


def test_an_account_that_was_never_liquidated(path: Path) -> None:
    write(path)
    chronicle = read_chronicle(path)
    pools = chronicle.pools_of("c")
    assert chronicle.procedures(pools) == ()
    found = closest_approach(path, chronicle, "c")
    assert found is not None
    # Long 1 from 10,000 on 6,000 and, by then, 0.01 BTC less a tenth of it.
    assert (found.pool, found.time_ns) == ("c", T0 + 3 * SECOND)
    assert found.margin_ratio == pytest.approx(860 / (6000 - 1400 + 0.9 * 86))
    # That of one that was liquidated is what was found.
    bankrupt = closest_approach(path, chronicle, "a")
    assert bankrupt is not None
    assert bankrupt.status == Status.BANKRUPT


def test_an_account_that_holds_nothing_comes_no_nearer(path: Path) -> None:
    opening = replace(
        TICKS[0].events, accounts=NewAccounts(("a", "b", "c", "d"), np.zeros(4, np.int32))
    )
    write(path, (replace(TICKS[0], events=opening), *TICKS[1:]))
    chronicle = read_chronicle(path)
    found = closest_approach(path, chronicle, "d")
    assert found is not None
    assert found.margin_ratio == 0


def test_unknown_accounts_are_named(path: Path) -> None:
    write(path)
    with pytest.raises(InputError, match=r"ACCOUNT: unknown account 'x'; known: 'a', 'b', 'c'"):
        read_chronicle(path).pools_of("x")


def test_a_decision_that_was_altered_is_found(path: Path, tmp_path: Path) -> None:
    write(path)

    def dearer(record) -> list[tuple[str, bytes]]:
        if record.kind != "decision":
            return same(record)
        batch = decode_batch(record.payload)
        trades = replace(batch.trades, price=batch.trades.price + 1)
        return [(record.kind, encode_batch(replace(batch, trades=trades)))]

    forged = forge(path, tmp_path / "forged.db", dearer)
    with pytest.raises(JournalError, match="decides otherwise"):
        told(forged, "a")


def test_what_does_not_add_up_is_refused(path: Path) -> None:
    write(path)
    chronicle = read_chronicle(path)
    (one,) = (p for p in chronicle.procedures(chronicle.pools_of("b")))
    (found,) = explain_tick(path, chronicle, (one,))
    book = one_long("1900")
    with pytest.raises(LedgerError, match="USDT: the events leave .*, the book holds 1900"):
        reconcile(book, book, SYSTEM, found.steps[:1])


def test_what_others_do_to_a_pool_is_told_from_its_side() -> None:
    """It deals with a customer as the other side, and pays its share of a loss."""
    book = one_long("1900", ("a", "b"))
    _, (outcome,) = run_ticks(book, [prices_of(10_000, 500)])
    trade = DESK.trade(SYSTEM + 1, BTC, "0.4", "9900", other=SYSTEM)
    row = (*trade[:-1], TradeReason.DELEVERAGING)
    usdt = TABLE.assets.find("USDT", "")
    shared = (SYSTEM, SystemPool.BAD_DEBT, usdt, 1_000_001, TransferReason.SOCIALISED_LOSS)
    batch = EventBatch(
        T0 + SECOND, trades=events(Trades, [row]), transfers=events(Transfers, [shared])
    )
    (step,) = trace(book, SYSTEM, (Happening(batch, outcome.market, True),), RULES)
    (fill,), (moved,) = step.fills, step.movements
    assert (fill.counterparty, fill.quantity, fill.left) == ("b", Decimal("-0.4"), Decimal("0.6"))
    assert fill.booked[0].value == Decimal("0.4") * (9900 - 10_000)
    assert (moved.counterparty, moved.amount.value) == ("BAD_DEBT", Decimal("-1.000001"))
    assert step.stages == ("deleveraged against others", "share of a socialised loss")
    ((line,), _) = reconcile(book, apply(book, batch), SYSTEM, (step,))
    assert line.end == Decimal("1858.999999")


def test_every_reason_has_its_words() -> None:
    assert set(TRADE_WORDS) == set(TradeReason)
    assert set(TRANSFER_WORDS) == set(TransferReason)


# -- a crash, all of it ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worst minutes of the built-in crash on 1,200 accounts."""
    journal = tmp_path_factory.mktemp("crash") / "crash.db"
    whole = crash_path(crash_table(), 7, 60 * SECOND)
    keep = (whole.time_ns >= 1_760_130_000 * SECOND) & (whole.time_ns < 1_760_131_500 * SECOND)
    short = PricePath(whole.symbols, whole.time_ns[keep], whole.price[keep], whole.source)

    def ignore(tick: int, outcome: Outcome) -> None:
        del tick, outcome

    run_replay(ReplayRequest(short, 1200, 7, journal), ignore)
    return journal


def test_every_liquidation_of_a_crash_adds_up_to_the_last_unit(crash: Path) -> None:
    chronicle = read_chronicle(crash)
    procedures = chronicle.procedures(tuple(range(SYSTEM, len(chronicle.pool_account))))
    begun = sum(
        int((decode_batch(record.payload).states.state == PoolState.LIQUIDATING).sum())
        for record in read_records(crash)
        if record.kind == "decision"
    )
    assert len(procedures) == begun > 150
    accounts = set()
    for _, group in groupby(procedures, key=lambda one: one.tick):
        together = tuple(group)
        for one, found in zip(together, explain_tick(crash, chronicle, together), strict=True):
            accounts.add(found.account)
            assert found.found.status >= Status.LIQUIDATABLE
            assert found.steps[0].stages[0] == "procedure begins"
            assert found.steps[0].ratio_before == found.found.margin_ratio
            assert found.ended_ns == one.ended_ns
            for line in found.balances:
                moved = sum(amount for _, amount in line.moved)
                assert line.start + line.booked + line.fees + moved == line.end
            for line in found.positions:
                assert line.start + line.traded == line.end
            total = sum(charge.maintenance for charge in found.found.charges)
            assert total == found.found.maintenance_margin
    assert len(accounts) > 150
