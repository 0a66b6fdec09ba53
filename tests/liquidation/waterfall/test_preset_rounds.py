"""Every preset drives the engine: rounds end, lost pools end at zero, nothing is made or lost.

One account is long 1 BTC from 10,000 with 1,500, another short with 5,000; the house model asks for
a tenth, so the long is at its line at 9,444 and bankrupt at 8,500.
"""

from dataclasses import replace

import pytest

from plimsoll.book import Book, PoolState, SystemPool
from plimsoll.core import Status, parse_time
from plimsoll.engine import EngineState, Outcome, Rules
from plimsoll.ledger import conservation_residual
from plimsoll.liquidation.waterfall.policy import resolve_policy
from plimsoll.liquidation.waterfall.preset import load_waterfall, waterfall_names
from tests.book.builders import balances_of, fold, positions_of
from tests.engine.world import DESK, RULES, TABLE, house_book, prices_of, run_ticks

BTC = "BTC/USDT:USDT"
LONG = len(SystemPool)
SHORT, BACKSTOP = LONG + 1, LONG + 2
FUND = SystemPool.INSURANCE_FUND
TODAY = parse_time("2026-11-20", "today")
STEPS = 20
SELLS_ACCOUNTS = {"derive"}
"""Where the first bid comes only when the price has fallen far enough."""


def rules_of(name: str) -> Rules:
    """The rules of the test world with this waterfall."""
    policy = resolve_policy(load_waterfall(name, TODAY), TABLE)
    return replace(RULES, policies=(policy,), fund_policy=policy)


def book_of(quantity: str, long: str, short: str) -> Book:
    """A long, a short and a rich backstop."""
    deposits = zip((LONG, SHORT, BACKSTOP), (long, short, "2000000"), strict=True)
    return fold(
        house_book("long", "short", "HLP"),
        trades=[
            DESK.trade(LONG, BTC, quantity, "10000"),
            DESK.trade(SHORT, BTC, f"-{quantity}", "10000"),
        ],
        transfers=[DESK.deposit(pool, "USDT", amount) for pool, amount in deposits],
    )


def after(
    name: str, price: float, book: Book, steps: int = STEPS
) -> tuple[EngineState, list[Outcome]]:
    """The state some seconds after the price has gone there, and what the steps did."""
    ticks = [prices_of(10_000, 500), *[prices_of(price, 500)] * steps]
    state, outcomes = run_ticks(book, ticks, rules_of(name))
    assert not any(conservation_residual(state.book))
    return state, outcomes


def quantity_of(state: EngineState, pool: int) -> float:
    """Contracts that a pool holds."""
    held = positions_of(state.book, pool)
    return float(held[BTC][0]) if BTC in held else 0.0


SMALL = book_of("1", "1500", "5000")


@pytest.mark.parametrize("name", waterfall_names())
def test_a_pool_lost_in_a_gap_ends_at_zero(name: str) -> None:
    state, outcomes = after(name, 8000, SMALL)
    assert quantity_of(state, LONG) == 0
    assert not any(balances_of(state.book, LONG).values())
    assert state.book.pool_state[LONG] == PoolState.NORMAL
    assert not any(amount < 0 for amount in balances_of(state.book, FUND).values())
    assert sum(LONG in outcome.taken_over for outcome in outcomes) == 1


@pytest.mark.parametrize("name", waterfall_names())
def test_a_pool_just_past_its_line_is_brought_back(name: str) -> None:
    """At 9,440 the ratio is 944 / 940; every waterfall but the auction acts at once."""
    state, outcomes = after(name, 9440, SMALL)
    found, last = outcomes[1].found, outcomes[-1].assessment
    assert found.status[LONG] == Status.LIQUIDATABLE
    acted = outcomes[1].closed_notional.sum() > 0
    if name in SELLS_ACCOUNTS:
        assert not acted
        assert quantity_of(state, LONG) == 1
        return
    assert acted
    assert last.status[LONG] <= Status.MARGIN_CALL
    assert quantity_of(state, LONG) < 1
    # Nobody else's position is touched while the account can pay.
    assert quantity_of(state, SHORT) == -1


def test_an_auction_sells_once_the_price_suits_a_bidder() -> None:
    """From 0.95 to 0.9 it takes a fifth of 900 s: (0.95 - 0.9) / (0.95 - 0.7)."""
    book = SMALL
    before, _ = after("derive", 9440, book, steps=180)
    then, outcomes = after("derive", 9440, book, steps=181)
    assert quantity_of(before, LONG) == 1
    assert 0 < quantity_of(then, LONG) < 1
    assert outcomes[-1].assessment.margin_ratio[LONG] <= 1 / 1.15 + 1e-6


def test_the_backstop_takes_over_below_two_thirds_of_maintenance() -> None:
    """At 9,050 equity is 550 of 905: below 2/3, above zero. At 9,150 it is 650 of 915, above."""
    state, _ = after("hyperliquid", 9050, SMALL, steps=1)
    assert quantity_of(state, BACKSTOP) == 1
    assert not any(balances_of(state.book, LONG).values())
    state, _ = after("hyperliquid", 9150, SMALL, steps=1)
    assert quantity_of(state, BACKSTOP) == quantity_of(state, LONG) == 0
    assert balances_of(state.book, LONG)["USDT"] > 600


def test_a_fifth_of_a_large_position_goes_first() -> None:
    """20 BTC are 188,800 USDC: above 100,000, so 4 go; 10 BTC are below and go whole."""
    state, _ = after("hyperliquid", 9440, book_of("20", "30000", "60000"), steps=1)
    assert quantity_of(state, LONG) == 16
    state, _ = after("hyperliquid", 9440, book_of("10", "15000", "60000"), steps=1)
    assert quantity_of(state, LONG) == 0


def test_what_is_seized_leaves_nothing() -> None:
    """Synthetix takes all collateral when it flags, Vega what is in the margin account."""
    for name in ("synthetix", "vega"):
        state, _ = after(name, 9440, SMALL, steps=1)
        assert not any(balances_of(state.book, LONG).values())
