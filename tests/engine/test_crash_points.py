"""A crash at any place of a journal: what was decided has exactly one effect after recovery.

R16. A tick with its inputs and decisions becomes durable as one, so a crash loses it whole and it
is said again. A journal may still end inside a tick, as a copy of it cut short does: then the
engine goes on from what is there, repeats nothing and leaves nothing out.
"""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from plimsoll.book import Book, digest_book
from plimsoll.core import stream
from plimsoll.engine import EngineState, Inputs, Rules, Session, step, verify_journal
from plimsoll.engine.fold import fold, read_header, rules_of
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    Record,
    TradeReason,
    Trades,
    Transfers,
    conservation_residual,
    decode_batch,
    read_records,
)
from plimsoll.market import PriceBatch
from tests.book.builders import events
from tests.engine.story import create
from tests.engine.world import DESK, inputs_of, prices_of

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
ACCOUNTS = 6
HISTORIES = 70
FORCED = (TradeReason.LIQUIDATION, TradeReason.TAKEOVER, TradeReason.CLOSE_OUT)


def history(seed: int) -> list[Inputs]:
    """A crash in six ticks: accounts with long and short positions, deposits on the way."""
    random = stream(seed, "tests", "crash points")
    pools = range(5, 5 + ACCOUNTS)
    rows = [
        (pool, symbol, f"{random.choice([-1, 1, 1]) * random.uniform(0.2, 2):.3f}", entry)
        for pool in pools
        for symbol, entry in ((BTC, "10000"), (ETH, "500"))
    ]
    opening = EventBatch(
        0,
        accounts=NewAccounts(tuple(f"a{k}" for k in pools), np.zeros(ACCOUNTS, np.int32)),
        trades=events(Trades, [DESK.trade(*row) for row in rows]),
        transfers=events(
            Transfers,
            [DESK.deposit(pool, "USDT", f"{random.uniform(1_500, 6_000):.2f}") for pool in pools],
        ),
    )
    ticks, btc, eth = [inputs_of(prices_of(10_000, 500), 0, opening)], 10_000.0, 500.0
    for second in range(1, 7):
        btc *= float(np.exp(random.normal(-0.04, 0.05)))
        eth *= float(np.exp(random.normal(-0.04, 0.07)))
        later = None
        if random.random() < 0.5:
            row = DESK.deposit(int(random.choice(pools)), "USDT", f"{random.uniform(1, 400):.2f}")
            later = EventBatch(0, transfers=events(Transfers, [row]))
        ticks.append(inputs_of(prices_of(btc, eth), second, later))
    return ticks


@dataclass(frozen=True)
class Written:
    """A journal, and what the book was after each of its ticks."""

    path: Path
    ticks: list[Inputs]
    records: list[Record]
    books: list[Book]


def write(path: Path, ticks: list[Inputs]) -> Written:
    books = []
    with create(path) as session:
        for inputs in ticks:
            session.handle(inputs)
            books.append(session.state.book)
    return Written(path, ticks, list(read_records(path)), books)


def resumed(written: Written, cut: int) -> tuple[EngineState, Rules, int, bool]:
    """The state after the first ``cut`` records; the tick that they end in, and whether inside."""
    records = written.records[:cut]
    header, first = read_header(iter(records), "cut")
    state = fold(header, first, records[1:], "cut").state
    number = sum(record.kind == "tick" for record in records) - 1
    is_inside = written.records[cut].kind in ("input", "decision")
    return state, rules_of(header, first, "cut"), number, is_inside


def completed(written: Written, cut: int) -> EngineState:
    """What the engine makes of a journal cut short, once it has finished the tick cut through."""
    state, rules, number, is_inside = resumed(written, cut)
    if not is_inside:
        return state
    inputs = written.ticks[number]
    # Prices that are there are not said again, nor are events.
    kinds = [record.kind for record in written.records[:cut]]
    last_tick = len(kinds) - 1 - kinds[::-1].index("tick")
    rest = replace(inputs, prices=PriceBatch.nothing())
    if "input" in kinds[last_tick:]:
        rest = replace(rest, events=EventBatch(inputs.time_ns))
    state, _ = step(state, rules, rest)
    return state


def holdings(book: Book) -> tuple[Counter, Counter]:
    """What every customer holds: positions with their costs, and balances, in exact units."""
    held, owned = Counter(), Counter()
    for pool in range(5, book.pool_count):
        rows = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
        columns = (book.positions.instrument[rows], book.positions.quantity[rows])
        for instrument, quantity, cost in zip(*columns, book.positions.cost[rows], strict=True):
            held[pool, int(instrument), "quantity"] += int(quantity)
            held[pool, int(instrument), "cost"] += int(cost)
        rows = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
        for asset, amount in zip(
            book.balances.asset[rows], book.balances.amount[rows], strict=True
        ):
            owned[pool, int(asset)] += int(amount)
    return +held | -held, +owned | -owned


def forced_trades(records: list[Record]) -> int:
    decided = [decode_batch(r.payload) for r in records if r.kind == "decision"]
    return sum(int(np.isin(batch.trades.reason, FORCED).sum()) for batch in decided)


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    folder = tmp_path_factory.mktemp("journals")
    return [write(folder / f"{seed}.db", history(seed)) for seed in range(HISTORIES)]


def test_whatever_record_a_journal_ends_with_each_decision_has_one_effect(
    histories: list[Written],
) -> None:
    cuts, inside, forced = 0, 0, 0
    for written in histories:
        forced += forced_trades(written.records)
        for cut in range(2, len(written.records)):
            state = completed(written, cut)
            number = sum(r.kind == "tick" for r in written.records[:cut]) - 1
            reference = written.books[number]
            assert holdings(state.book) == holdings(reference), (written.path, cut)
            assert not any(conservation_residual(state.book))
            cuts += 1
            inside += written.records[cut].kind in ("input", "decision")
    assert cuts >= 1_000
    assert inside >= 300
    assert forced >= 300


def test_what_was_not_committed_is_decided_again_and_only_once(
    histories: list[Written], tmp_path: Path
) -> None:
    """Appended, not committed: the journal that comes of it is the same to the last hash."""
    for number, written in enumerate(histories[:12]):
        path = tmp_path / f"{number}.db"
        session, lost = create(path), 1 + number % (len(written.ticks) - 1)
        for inputs in written.ticks[:lost]:
            session.handle(inputs)
            session.commit()
        session.handle(written.ticks[lost])
        session.journal.close()
        with Session.recover(path) as again:
            assert digest_book(again.state.book) == digest_book(written.books[lost - 1])
            for inputs in written.ticks[lost:]:
                again.handle(inputs)
                again.commit()
        assert [r.hash for r in read_records(path)] == [r.hash for r in written.records]


def test_a_file_cut_short_recovers_and_goes_on(histories: list[Written], tmp_path: Path) -> None:
    decided = [
        (written, [k for k, record in enumerate(written.records) if record.kind == "decision"])
        for written in histories
    ]
    for number, (written, inside) in enumerate([each for each in decided if each[1]][:12]):
        cut = inside[number % len(inside)]
        path = tmp_path / f"{number}.db"
        shutil.copy(written.path, path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM records WHERE sequence >= ?", (cut,))
            connection.commit()
        tick = sum(r.kind == "tick" for r in written.records[:cut]) - 1
        with Session.recover(path) as session:
            time_ns = written.ticks[tick].time_ns
            session.handle(Inputs(time_ns, PriceBatch.nothing(), EventBatch(time_ns)))
            for inputs in written.ticks[tick + 1 :]:
                session.handle(inputs)
        assert holdings(session.state.book) == holdings(written.books[-1])
        assert verify_journal(path).conservation_residual == 0
