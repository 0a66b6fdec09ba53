"""Edges of a waterfall, under every preset: the market goes on, and the fund is never in debt.

A price gaps through bankruptcy; one pool has a market's whole open interest; the fund has exactly
nothing; two accounts default in one tick. In 500 cases, and on the live engine too.
"""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plimsoll.book import Book, SystemPool, digest_book
from plimsoll.core import Status
from plimsoll.engine import Inputs, LiveEngine, Outcome, open_state, step
from plimsoll.ledger import (
    EventBatch,
    Trades,
    TransferReason,
    Transfers,
    conservation_residual,
    encode_batch,
)
from plimsoll.liquidation import waterfall_names
from tests.book.builders import STANDARD, T0, Desk, balances_of, events, fold, open_book
from tests.engine.world import HOUSE, SECOND, prices_of
from tests.engine.world import observations as observed
from tests.liquidation.test_random_worlds import STEEP
from tests.liquidation.waterfall.invariants import check_moment
from tests.liquidation.waterfall.sequences import (
    BACKSTOP,
    TABLE,
    Moment,
    Setting,
    setting_of,
)

CASES = 125
"""So many of each edge: 500 in all."""
LINEAR, LATER, OTHER = "BTC/USDT:USDT", "BTC/USDT:USDT-261225", "ETH/USDC:USDC"
FUND = SystemPool.INSURANCE_FUND
FIRST = len(SystemPool)
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
MODELS = (HOUSE, STEEP, STANDARD)


class Edge(StrEnum):
    """What befalls the venue."""

    GAP = "the price gaps through bankruptcy"
    WHOLE = "one pool holds a market's whole open interest on its side"
    EMPTY = "the fund has exactly nothing"
    TWO = "two accounts default in one tick"


@dataclass(frozen=True)
class Case:
    """Accounts against each other: ``sizes`` USD of the winners, ``share`` of it as margin.

    The loser holds the other side of all of them, ``hedge`` of it offset by a later contract. The
    price then moves against him by ``gap`` (a factor); ``fund`` is USD.
    """

    edge: Edge
    preset: str
    model: int
    sizes: tuple[float, ...]
    share: float
    hedge: float
    is_long: bool
    gap: float
    fund: float
    is_isolated: bool


@st.composite
def cases(draw: st.DrawFn, edge: Edge) -> Case:
    """Any case of an edge, under any preset."""
    count = draw(st.integers(1, 4))
    usd = st.sampled_from([20.0, 900.0, 30_000.0, 400_000.0])
    is_long = draw(st.booleans())
    through = draw(st.floats(1.05, 3.0))
    return Case(
        edge=edge,
        preset=draw(st.sampled_from(waterfall_names())),
        model=draw(st.integers(0, 2)),
        sizes=tuple(draw(usd) for _ in range(count)),
        share=draw(st.sampled_from([0.25, 0.4, 0.6])),
        hedge=draw(st.sampled_from([0.0, 0.0, 0.5])),
        is_long=is_long,
        gap=through,
        fund=0.0 if edge == Edge.EMPTY else draw(st.sampled_from([0.0, 40.0, 1e6])),
        is_isolated=draw(st.booleans()),
    )


def text(amount: float, places: int = 4) -> str:
    """An amount as a person writes it."""
    return str(Decimal(f"{amount:.{places}f}"))


def book_of(case: Case, setting: Setting) -> Book:
    """Winners, a loser who faces them all, a bystander, a backstop; perhaps a second loser."""
    desk, winners = setting.desk, len(case.sizes)
    names = ("loser", "second", "bystander", BACKSTOP, *(f"winner {k}" for k in range(winners)))
    book = open_book(TABLE, *names, models=setting.choices)
    book = fold(book, pools=(0,) if case.is_isolated else ())
    loser = loser_of(case, book)
    sign, total = (1 if case.is_long else -1), sum(case.sizes)
    trades, paid = [], [desk.deposit(FIRST + 2, "USDT", "5000")]
    for k, usd in enumerate(case.sizes):
        # A contract is a hundredth of a coin: 100 USD at the start.
        quantity = text(sign * usd / 100)
        trades.append(desk.trade(loser, LINEAR, quantity, "10000", other=FIRST + 4 + k))
        paid.append(desk.deposit(FIRST + 4 + k, "USDT", text(usd)))
    if case.hedge > 0:
        trades.append(desk.trade(loser, LATER, text(-sign * total * case.hedge / 100), "10000"))
    paid.append(desk.deposit(loser, "USDT", text(total * case.share * (1 - case.hedge))))
    if case.edge == Edge.TWO:
        # The second loses by the other coin, to the market, and in another currency.
        trades.append(desk.trade(FIRST + 1, OTHER, text(sign * total / 50), "500"))
        paid.append(desk.deposit(FIRST + 1, "USDC", text(total * case.share)))
    elif case.edge != Edge.WHOLE:
        trades.append(desk.trade(FIRST + 1, LINEAR, text(sign * total / 400), "10000"))
        paid.append(desk.deposit(FIRST + 1, "USDT", text(total)))
    paid.append(desk.deposit(FIRST + 3, "USDC", text(case.fund or 50.0)))
    reserve = setting.rules.fund_policy.reserve_asset
    if case.fund:
        units = int(case.fund / setting.usd[len(TABLE) + reserve])
        paid.append((SystemPool.WORLD, FUND, reserve, units, TransferReason.DEPOSIT))
    return fold(book, trades=trades, transfers=paid)


def levels(case: Case) -> list[tuple[float, float]]:
    """Prices of BTC and ETH: calm, then through what the loser has, then there, then half back."""
    through = case.share * case.gap
    factor = 1 - min(through, 0.95) if case.is_long else 1 + through
    both = factor if case.edge == Edge.TWO else 1.0
    half = (1 + factor) / 2
    return [(1.0, 1.0), (factor, both), (factor, both), (half, (1 + both) / 2)]


def loser_of(case: Case, book: Book) -> int:
    """The pool that is to fall."""
    return book.pool_count - 1 if case.is_isolated else FIRST


def bystanders_events(case: Case, desk: Desk, time_ns: int, price: float) -> EventBatch:
    """A deposit, and a trade in the market that gaps, on the winners' side."""
    quantity = "-0.01" if case.is_long else "0.01"
    return EventBatch(
        time_ns,
        trades=events(Trades, [desk.trade(FIRST + 2, LINEAR, quantity, text(price))]),
        transfers=events(Transfers, [desk.deposit(FIRST + 2, "USDT", "1")]),
    )


def is_met(case: Case, book: Book, outcome: Outcome) -> bool:
    """Whether a case is what it says, on the book before it and at the prices after."""
    loser, held = loser_of(case, book), book.positions
    fell = outcome.found.status == Status.BANKRUPT
    if case.edge == Edge.EMPTY and balances_of(book, FUND):
        return False
    if case.edge == Edge.WHOLE:
        pools = np.repeat(np.arange(book.pool_count), np.diff(held.offsets))
        side = np.sign(held.quantity) == (1 if case.is_long else -1)
        others = side & (held.instrument == TABLE.find(LINEAR, "")) & (pools >= FIRST)
        if set(pools[others].tolist()) != {loser}:
            return False
    return bool(fell[loser]) and (case.edge != Edge.TWO or np.count_nonzero(fell) >= 2)


def play(case: Case, total: Counter[str]) -> None:
    """Every tick by both engines; after the fall a bystander still pays in and trades."""
    setting = setting_of((case.preset,), MODELS[case.model])
    book, desk = book_of(case, setting), setting.desk
    state = open_state(book, ("test",))
    engine = LiveEngine.open(state, setting.rules)
    for number, (btc, eth) in enumerate(levels(case)):
        time_ns = T0 + (number + 1) * 60 * SECOND
        marks = prices_of(10_000 * btc, 500 * eth)
        known = {k: v for k, v in marks.items() if k in TABLE.index or k in TABLE.assets.names}
        known |= {LATER: 10_000 * btc, OTHER: 500 * eth, "ETH/USDT": 500 * eth}
        batch = bystanders_events(case, desk, time_ns, 10_000 * btc)
        inputs = Inputs(time_ns, observed(known, time_ns, TABLE), batch)
        after, outcome = step(state, setting.rules, inputs)
        total += check_moment(setting, Moment(number, state, inputs, after, outcome, None))
        assert not any(conservation_residual(after.book))
        assert not after.book.market_phase.any()
        found = engine.step(inputs)
        made = [*map(encode_batch, outcome.decisions)]
        assert [*map(encode_batch, found.decisions)] == made
        assert digest_book(engine.book.snapshot()) == digest_book(after.book)
        assert number != 1 or is_met(case, state.book, outcome)
        state = after
    total["cases"] += 1


@pytest.mark.parametrize("edge", Edge, ids=lambda edge: edge.name.lower())
def test_an_edge_is_passed(edge: Edge) -> None:
    total: Counter[str] = Counter()

    @settings(
        max_examples=CASES, deadline=None, derandomize=True, database=None, phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases(edge))
    def run(case: Case) -> None:
        play(case, total)

    run()
    assert total["cases"] >= CASES
    assert total["taken over"] >= CASES // 2
    assert total["deleveraged"]
    assert total["socialised"]
    assert total["BAD_DEBT"]
