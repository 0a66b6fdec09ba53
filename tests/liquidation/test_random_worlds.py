"""Whatever the books and however prices gap: what must hold after every step of the engine."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from plimsoll.book import Book, ModelChoice, PoolKind, PoolState, SystemPool, digest_book
from plimsoll.core import Status
from plimsoll.engine import EngineState, Outcome, Rules, load_rules, open_state, step
from plimsoll.ledger import apply, conservation_residual, encode_batch
from plimsoll.market import SanityRules
from tests.book.builders import STANDARD, T0, fold, open_book
from tests.engine.world import (
    DESK,
    HOUSE,
    MULTIPLIERS,
    SANITY,
    TABLE,
    inputs_of,
    observations,
    prices_of,
)

FIRST = len(SystemPool)
COINS = {"BTC": 10_000.0, "ETH": 500.0}
# A house model with every charge, so that sizes matter: brackets, a slope, tiers of haircuts.
STEEP = ModelChoice(
    "plimsoll.standard",
    json.dumps(
        {
            "brackets": {
                name: [[0, 0.004, 0.01], [20_000, 0.02, 0.04], [200_000, 0.1, 0.2]]
                for name in COINS
            },
            "size_slopes": {"BTC": 0.001, "ETH": 0.0},
            "haircuts": {"BTC": [[0, 0.05], [10_000, 0.3]], "ETH": [[0, 0.1]]},
        }
    ),
)
JUMPY = SanityRules(jump_max=0.5)
"""Jumps beyond a half wait for their confirmation, so some ticks are UNKNOWN."""

Row = tuple[int, ...]
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


@dataclass(frozen=True)
class World:
    """What books and prices a story is told with: rows of events in exact units, and ticks.

    A tick has the factors by which the coins move and the names that are not seen then.
    """

    model: ModelChoice
    sanity: SanityRules
    accounts: int
    isolated: tuple[int, ...]
    orders: tuple[Row, ...]
    trades: tuple[Row, ...]
    deposits: tuple[Row, ...]
    ticks: tuple[tuple[float, float, frozenset[str]], ...]

    def book(self) -> Book:
        """The book that the story begins with."""
        names = (f"account {k}" for k in range(self.accounts))
        book = open_book(TABLE, *names, models=(self.model,))
        return fold(book, (), self.isolated, self.orders, self.trades, self.deposits)


@functools.cache
def rules_of(model: ModelChoice, sanity: SanityRules) -> Rules:
    return load_rules(TABLE, (model,), sanity, T0)


def usd_of(symbol: str) -> float:
    """USD notional of one contract at the start."""
    if symbol == "ETH/USD:BTC":
        return 0.00001 * COINS["ETH"] * COINS["BTC"]
    base, settle = symbol.partition("/")[0], symbol.partition(":")[2]
    return float(MULTIPLIERS[symbol]) * (1.0 if settle == base else COINS[base])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    model = draw(st.sampled_from([HOUSE, STEEP, STANDARD]))
    accounts = draw(st.integers(1, 3))
    isolated = draw(st.lists(st.integers(0, accounts - 1), max_size=2))
    trades, deposits, orders = [], [], []
    for number in range(accounts + len(isolated)):
        pool = FIRST + number
        lone = number >= accounts
        symbols = draw(
            st.lists(
                st.sampled_from([*MULTIPLIERS]),
                min_size=0 if not lone else 1,
                max_size=4 if not lone else 1,
                unique=True,
            )
        )
        gross = 0.0
        for symbol in symbols:
            usd = draw(st.sampled_from([3.0, 100.0, 5_000.0, 70_000.0, 2_000_000.0]))
            side = draw(st.sampled_from([1, 1, -1]))
            base = COINS[symbol.partition("/")[0]]
            entry = base * draw(st.floats(0.95, 1.05))
            size = max(round(usd / usd_of(symbol), 4), 0.0001)
            trades.append(DESK.trade(pool, symbol, f"{side * size:.4f}", f"{entry:.4f}"))
            if draw(st.booleans()):
                orders.append(
                    DESK.order(pool, len(orders), symbol, f"{size:.4f}", f"{base * 0.97:.4f}")
                )
            gross += usd
        assets = draw(st.lists(st.sampled_from(["USDT", "BTC", "ETH", "MOON"]), min_size=1,
                               max_size=3, unique=True))  # fmt: skip
        for asset in assets:
            worth = max(gross, 10.0) * draw(st.sampled_from([0.01, 0.06, 0.12, 0.3, 1.0]))
            worth *= draw(st.sampled_from([1, 1, 1, 1, -0.3]))
            price = {"USDT": 1.0, "MOON": 0.5}.get(asset) or COINS[asset]
            deposits.append(DESK.deposit(pool, asset, f"{worth / price:.6f}"))
    moves = st.floats(0.4, 2.0)
    blind = st.frozensets(st.sampled_from(["BTC/USDT:USDT", "ETH", "USDT"]), max_size=1)
    seen = st.one_of(st.just(frozenset()), st.just(frozenset()), blind)
    path = draw(st.lists(st.tuples(moves, moves, seen), min_size=1, max_size=4))
    sanity = draw(st.sampled_from([SANITY, SANITY, JUMPY]))
    return World(
        model,
        sanity,
        accounts,
        tuple(isolated),
        tuple(orders),
        tuple(trades),
        tuple(deposits),
        ((1.0, 1.0, frozenset()), *path),
    )


def lives(world: World) -> Iterator[tuple[EngineState, EngineState, Outcome]]:
    """The state before and after every tick, and what the tick did."""
    rules = rules_of(world.model, replace(world.sanity, age_ns_max=0))
    state, coins = open_state(world.book(), ("test",)), dict(COINS)
    for second, (btc, eth, blind) in enumerate(world.ticks):
        coins = {"BTC": coins["BTC"] * btc, "ETH": coins["ETH"] * eth}
        prices = prices_of(round(coins["BTC"], 4), round(coins["ETH"], 4))
        seen = {name: price for name, price in prices.items() if name not in blind}
        inputs = inputs_of(seen, second)
        assert inputs.prices.row.size == observations(seen, inputs.time_ns).row.size
        after, outcome = step(state, rules, inputs)
        yield state, after, outcome
        state = after


def quantities(book: Book) -> dict[tuple[int, int], int]:
    pools = np.repeat(np.arange(book.pool_count), np.diff(book.positions.offsets))
    rows = zip(pools.tolist(), book.positions.instrument.tolist(), strict=True)
    return dict(zip(rows, book.positions.quantity.tolist(), strict=True))


def holdings(book: Book, pool: int) -> tuple[dict[int, tuple[int, int]], dict[int, int], int]:
    """Everything a pool holds: (quantity, cost) by instrument, balances, number of orders."""
    held, owned = book.positions, book.balances
    rows = range(held.offsets[pool], held.offsets[pool + 1])
    positions = {int(held.instrument[r]): (int(held.quantity[r]), int(held.cost[r])) for r in rows}
    rows = range(owned.offsets[pool], owned.offsets[pool + 1])
    balances = {int(owned.asset[r]): int(owned.amount[r]) for r in rows}
    return (
        {i: row for i, row in positions.items() if any(row)},
        {asset: amount for asset, amount in balances.items() if amount},
        int(book.orders.offsets[pool + 1] - book.orders.offsets[pool]),
    )


NOTHING: tuple[dict[int, tuple[int, int]], dict[int, int], int] = ({}, {}, 0)


@settings(max_examples=120, deadline=None, derandomize=True, phases=PHASES)
@given(worlds())
def test_what_holds_after_every_step(world: World) -> None:
    for before, after, outcome in lives(world):
        book, found, later = after.book, outcome.found, outcome.assessment
        customer = book.pool_kind != PoolKind.SYSTEM
        unknown = found.status == Status.UNKNOWN
        # Nothing is made or lost.
        assert set(conservation_residual(book)) == {0}
        # Whoever can be judged is not left beyond the line, nor in the procedure.
        assert np.array_equal(later.status == Status.UNKNOWN, unknown)
        judged = customer & ~unknown
        assert (later.status[judged] < Status.LIQUIDATABLE).all()
        assert (book.pool_state[judged] != PoolState.LIQUIDATING).all()
        # Nobody owes more than is owned, and what fell whole owes nothing.
        assert (later.equity[judged] >= 0).all()
        assert (later.collateral_value[judged] >= 0).all()
        for pool in outcome.taken_over.tolist():
            assert holdings(book, pool) == NOTHING
        # Only pools that failed are touched, and those who stand against their losses; none grows.
        was_in = before.book.pool_state == PoolState.LIQUIDATING
        failed = (found.status >= Status.LIQUIDATABLE) | (was_in & ~unknown)
        old, new = quantities(before.book), quantities(book)
        for (pool, instrument), quantity in new.items():
            if pool >= FIRST:
                held = old[pool, instrument]
                assert quantity * held >= 0
                assert abs(quantity) <= abs(held)
        for pool in range(FIRST, book.pool_count):
            if not failed[pool] and pool not in outcome.touched:
                assert holdings(book, pool) == holdings(before.book, pool)
                assert book.pool_state[pool] == before.book.pool_state[pool] or (
                    pool in outcome.called or found.status[pool] == Status.OK
                )
        begun = set(outcome.begun.tolist()) - set(outcome.touched.tolist())
        assert begun <= set(np.flatnonzero(failed).tolist())
        # Reducing never asks for more than before; whoever was closed against may lose a hedge.
        judged[outcome.touched] = False
        assert (later.maintenance_margin[judged] <= found.maintenance_margin[judged] + 1e-9).all()
        # The fund keeps nothing but its reserve, and is never in debt.
        fund = holdings(book, SystemPool.INSURANCE_FUND)
        reserve = TABLE.assets.names.index("USDT")
        if outcome.begun.size and np.isfinite(outcome.market.index[reserve]):
            assert fund == NOTHING or (fund[0] == {} and [*fund[1]] == [reserve])
            assert all(amount > 0 for amount in fund[1].values())


@settings(max_examples=25, deadline=None, derandomize=True, phases=PHASES)
@given(worlds())
def test_the_same_story_ends_the_same_to_the_byte(world: World) -> None:
    for (before, one, first), (_, other, second) in zip(lives(world), lives(world), strict=True):
        assert [*map(encode_batch, first.decisions)] == [*map(encode_batch, second.decisions)]
        assert digest_book(one.book) == digest_book(other.book)
        again = before.book
        for batch in first.decisions:
            again = apply(again, batch)
        assert digest_book(again) == digest_book(one.book)
