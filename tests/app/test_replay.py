"""A replay as a library: the feed, the figures per tick, the casualties and the story."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plimsoll.app.feed import PAR, feed_of, known_part
from plimsoll.app.replay import (
    MODEL,
    ReplayRequest,
    ReplayResult,
    opening_batch,
    path_sanity,
    run_replay,
)
from plimsoll.app.story import format_figure, story_of, summary_of
from plimsoll.book import Book, PoolKind, SystemPool, digest_book
from plimsoll.core import InputError, Status
from plimsoll.engine import Outcome, verify_journal
from plimsoll.instruments import InstrumentTable
from plimsoll.ledger import apply, conservation_residual
from plimsoll.market import PricePath
from tests.book.builders import T0, balances_of, table_of

MINUTE = 60_000_000_000
ACCOUNTS = 300
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT")


def path_of(*rows: tuple[float, float]) -> PricePath:
    """Prices of BTC and ETH a minute apart."""
    times = T0 + MINUTE * np.arange(len(rows), dtype=np.int64)
    return PricePath(SYMBOLS, times, np.array(rows, dtype=np.float64), "test path")


# Calm, down a twentieth, a tick unseen, down by a third in all, a little back.
CRASH = path_of(
    (110_000, 4_000), (104_500, 3_800), (np.nan, np.nan), (74_000, 2_700), (76_000, 2_750)
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReplayResult, list[Outcome], Path]:
    journal = tmp_path_factory.mktemp("replay") / "crash.db"
    outcomes: list[Outcome] = []
    result = run_replay(
        ReplayRequest(CRASH, ACCOUNTS, 5, journal), lambda _, outcome: outcomes.append(outcome)
    )
    return result, outcomes, journal


Played = tuple[ReplayResult, list[Outcome], Path]


# -- the feed --------------------------------------------------------------------------------


@pytest.fixture
def table() -> InstrumentTable:
    return table_of(
        {"BTC/USDT:USDT": "1", "BTC/USD:BTC": "1", "ETH/USDT:USDT": "1"},
        {"USDT": 6, "USDC": 6, "XYZ": 6},
    )


def test_contracts_and_coins_take_their_underlyings_price_and_stablecoins_par(
    table: InstrumentTable,
) -> None:
    feed = feed_of(CRASH, table)
    names = (*table.symbols, *table.assets.names)
    said = dict(zip((names[row] for row in feed.row), feed.prices(0), strict=True))
    assert said == {
        "BTC/USDT:USDT": 110_000, "BTC/USD:BTC": 110_000, "ETH/USDT:USDT": 4_000,
        "BTC": 110_000, "ETH": 4_000, "USD": 1, "USDC": 1, "USDT": 1,
    }  # fmt: skip
    assert {"USD", "USDT", "USDC"} <= PAR


def test_what_was_not_seen_is_not_said(table: InstrumentTable) -> None:
    feed = feed_of(CRASH, table)
    names = (*table.symbols, *table.assets.names)
    batch = feed.observations(2)
    assert {names[row] for row in batch.row} == {"USD", "USDC", "USDT"}
    assert set(batch.time_ns.tolist()) == {T0 + 2 * MINUTE}
    assert set(batch.source.tolist()) == {0}


def test_an_instrument_without_a_price_is_refused(table: InstrumentTable) -> None:
    narrow = PricePath(SYMBOLS[:1], CRASH.time_ns, CRASH.price[:, :1], "narrow")
    with pytest.raises(InputError, match=r"narrow: no price for ETH/USDT:USDT"):
        feed_of(narrow, table)


def test_only_what_is_known_and_priced_at_the_start_is_kept() -> None:
    price = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    times = T0 + MINUTE * np.arange(2)
    path = PricePath(("BTC/USDT:USDT", "ETH/USDT:USDT", "XYZ/USDT:USDT"), times, price, "p")
    known = known_part(path, {"BTC", "ETH"})
    assert known.symbols == ("BTC/USDT:USDT",)
    assert known.price.tolist() == [[1.0], [1.0]]
    with pytest.raises(InputError, match="none of its symbols"):
        known_part(path, {"ABC"})


def test_a_price_may_miss_two_steps() -> None:
    assert path_sanity(CRASH).age_ns_max == 3 * MINUTE
    single = PricePath(SYMBOLS, CRASH.time_ns[:1], CRASH.price[:1], "single")
    assert path_sanity(single).age_ns_max > 0


# -- the opening -----------------------------------------------------------------------------


def test_the_opening_batch_opens_accounts_and_a_fund() -> None:
    table, batch, summary = opening_batch(CRASH, 50, 1, 0.02)
    book = apply(Book.empty(table, (MODEL,)), batch)
    assert len(book.account_ids) == 50
    assert set(conservation_residual(book)) == {0}
    fund = balances_of(book, SystemPool.INSURANCE_FUND)
    assert [*fund] == ["USDT"]
    assert float(fund["USDT"]) == pytest.approx(0.02 * summary.gross_notional_usd, abs=1)
    with pytest.raises(InputError, match="accounts: 0 is no number of accounts"):
        opening_batch(CRASH, 0, 1, 0.02)


# -- the replay ------------------------------------------------------------------------------


def test_every_tick_is_heard_and_counted(played: Played) -> None:
    result, outcomes, _ = played
    history = result.history
    assert len(outcomes) == CRASH.time_ns.size
    assert [outcome.market.as_of_ns for outcome in outcomes] == CRASH.time_ns.tolist()
    # Every account is counted once a tick, by the worst of its pools as they were found.
    assert history.status_counts.sum(axis=1).tolist() == [ACCOUNTS] * len(outcomes)
    owner = result.closing_book.pool_account
    customer = result.closing_book.pool_kind != PoolKind.SYSTEM
    for tick, outcome in enumerate(outcomes):
        counts = dict.fromkeys(Status, 0)
        for account in range(ACCOUNTS):
            found = {Status(s) for s in outcome.found.status[customer & (owner == account)]}
            counts[Status.UNKNOWN if Status.UNKNOWN in found else max(found)] += 1
        assert history.status_counts[tick].tolist() == [counts[status] for status in Status]
        assert history.margin_calls[tick] == outcome.called.size
        assert history.closed_notional[tick].tolist() == outcome.closed_notional.tolist()
        assert history.insurance_fund[tick] == outcome.insurance_fund
        assert history.deleveraged[tick] == outcome.deleveraged
        assert history.socialised[tick] == outcome.socialised
    assert history.status_counts[0, Status.OK] > ACCOUNTS * 0.9
    assert history.status_counts[3, Status.BANKRUPT] > 0


def test_a_tick_unseen_changes_nothing(played: Played) -> None:
    _, outcomes, _ = played
    assert outcomes[2].decisions == ()
    assert outcomes[2].found.status.tolist() == outcomes[1].assessment.status.tolist()


def test_casualties_are_those_taken_over(played: Played) -> None:
    result, outcomes, _ = played
    taken = [(int(p), tick) for tick, o in enumerate(outcomes) for p in o.taken_over]
    assert [(c.pool, c.tick) for c in result.casualties] == taken
    assert len(taken) > 5
    lost = sum(-min(c.equity_end, 0.0) for c in result.casualties)
    assert result.history.bad_debt[-1] == pytest.approx(lost)
    assert np.all(np.diff(result.history.bad_debt) >= 0)
    begun = {int(result.closing_book.pool_account[p]) for o in outcomes for p in o.begun}
    assert result.liquidated_accounts == len(begun)
    for casualty in result.casualties:
        assert casualty.equity_start == outcomes[0].assessment.equity[casualty.pool]
        assert result.opening_notional(casualty.pool) > 0


def test_money_adds_up(played: Played) -> None:
    """The fund's end is its start, plus fees, less losses and closing costs; debt is uncovered."""
    result, _, _ = played
    book = result.closing_book
    assert result.conservation_residual == 0
    assert set(conservation_residual(book)) == {0}
    end = float(balances_of(book, SystemPool.INSURANCE_FUND).get("USDT", 0))
    assert result.history.insurance_fund[-1] == pytest.approx(end)
    owed = -float(balances_of(book, SystemPool.BAD_DEBT).get("USDT", 0))
    assert result.bad_debt_uncovered == pytest.approx(owed)
    # A debt is booked only where the fund is empty; fees have come in since.
    assert owed == 0 or end < owed / 1000


def test_the_journal_holds_the_replay(played: Played) -> None:
    result, _, journal = played
    found = verify_journal(journal, decide_again=True)
    assert found.state_hash == result.state_hash == digest_book(result.closing_book)
    assert found.journal_hash == result.journal_hash
    assert found.events == result.events


def test_a_path_of_one_tick_is_a_replay(tmp_path: Path) -> None:
    path = PricePath(SYMBOLS, CRASH.time_ns[:1], CRASH.price[:1], "single")
    result = run_replay(ReplayRequest(path, 20, 1, tmp_path / "x.db"), lambda *_: None)
    assert result.history.status_counts.shape == (1, len(Status))
    assert summary_of(result)["from"] == summary_of(result)["to"]


# -- the story -------------------------------------------------------------------------------


def test_the_summary_says_what_the_history_holds(played: Played) -> None:
    result, _, _ = played
    summary = summary_of(result)
    assert summary["margin_calls"] == result.history.margin_calls.sum()
    assert summary["liquidated_notional"] == round(result.history.closed_notional.sum(), 2)
    assert summary["taken_over"] == len(result.casualties)
    assert summary["unknown_account_ticks"] == 0
    assert all(isinstance(value, int | float | str) for value in summary.values())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accounts", 1234567, "1,234,567"),
        ("gross_notional", 1234.5, "1,23"),
        ("state_hash", "abc", "abc"),
    ],
)
def test_figures_for_people(name: str, value: object, text: str) -> None:
    assert format_figure(name, value).startswith(text)


def test_the_story_is_told_of_the_worst(played: Played) -> None:
    result, _, _ = played
    story = story_of(result, "A title")
    assert story.title == "A title"
    assert story.symbols == result.instruments.symbols
    assert story.price.shape == (CRASH.time_ns.size, len(result.instruments))
    assert np.isnan(story.price[2]).all()
    ends = [casualty.equity_at_liquidation for casualty in story.casualties]
    assert ends == sorted(c.equity_end for c in result.casualties)[: len(ends)]
    for casualty in story.casualties:
        assert casualty.deficit == max(-casualty.equity_at_liquidation, 0)
        assert re.search(
            r"\d+ positions? at [\d.]+x; (long|short) \S+ lost [\d,]+ USD", casualty.why
        )
    assert any("is unconfirmed" in note for note in story.notes)


# ETH falls at a tick at which BTC is not seen, so a BTC leg is told at its last price.
HALF_SEEN = path_of((110_000, 4_000), (104_500, 4_000), (np.nan, 2_400))


@pytest.mark.parametrize(("path", "last"), [(CRASH, 74_000), (HALF_SEEN, 104_500)])
def test_why_is_the_loss_by_hand(path: PricePath, last: float, tmp_path: Path) -> None:
    """Quantity times the fall; of an inverse contract that of the reciprocal, at the new price."""
    result = run_replay(ReplayRequest(path, 1500, 5, tmp_path / "x.db"), lambda *_: None)
    book, table = result.opening_book, result.instruments
    told = {row.account: row.why for row in story_of(result, "t").casualties}
    kinds = set()
    for casualty in result.casualties:
        why = told.get(book.pool_name(casualty.pool))
        if why is None:
            continue
        lost = {}
        for k in range(*book.positions.offsets[casualty.pool : casualty.pool + 2]):
            row = table.rows[book.positions.instrument[k]]
            size = int(book.positions.quantity[k]) * 10.0**-row.quantity_decimals
            size *= float(row.contract_multiplier)
            column = SYMBOLS.index(f"{row.base}/USDT:USDT")
            start, now = path.price[0, column], path.price[casualty.tick, column]
            now = last if np.isnan(now) else now
            is_inverse = row.settle == row.base
            loss = size * (1 / now - 1 / start) * now if is_inverse else size * (start - now)
            lost[row.symbol] = (loss, "long" if size > 0 else "short", now / start - 1)
            kinds.add(is_inverse)
        symbol = max(lost, key=lambda name: lost[name][0])
        loss, side, move = lost[symbol]
        assert f"{side} {symbol} lost {loss:,.0f} USD as it moved {move:+.1%} from" in why
    assert kinds == {True, False}


def test_a_fund_too_small_leaves_bad_debt(tmp_path: Path) -> None:
    request = ReplayRequest(CRASH, ACCOUNTS, 5, tmp_path / "poor.db", insurance_fund_share=0.0)
    result = run_replay(request, lambda *_: None)
    assert result.insurance_fund_start == 0
    assert result.bad_debt_uncovered > 0
    assert result.conservation_residual == 0
    rich = replace(request, journal=tmp_path / "rich.db", insurance_fund_share=1.0)
    assert run_replay(rich, lambda *_: None).bad_debt_uncovered == 0
