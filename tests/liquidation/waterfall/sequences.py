"""Random sequences of steps: prices that gap and vanish, and events of every kind, from a seed.

Hypothesis draws a ``Sequence``: a seed, how wild prices are and which kinds of events there are.
Prices and events follow from it and from the books on the way, so a sequence is short to write
down, and shrinks to the fewest kinds that fail.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from hypothesis import strategies as st

from plimsoll.book import Book, MarketPhase, ModelChoice, SystemPool
from plimsoll.core import LedgerError, stream
from plimsoll.engine import EngineState, Inputs, Outcome, Rules, load_rules, open_state, step
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.ledger import (
    Cancels,
    EventBatch,
    PhaseChanges,
    Placements,
    Trades,
    TransferReason,
    Transfers,
)
from plimsoll.liquidation import load_waterfall, resolve_policy
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import PriceBatch
from tests.book.builders import STANDARD, T0, Desk, events, fold, open_book, table_of
from tests.engine.world import HOUSE, SANITY, SECOND
from tests.liquidation.test_random_worlds import STEEP

SYSTEM = len(SystemPool)
STEPS = 200
MULTIPLIERS = {
    "BTC/USDT:USDT": "0.01",
    "BTC/USDT:USDT-261225": "0.01",
    "ETH/USDC:USDC": "0.1",
    "BTC/USD:BTC": "100",
    "ETH/USD:BTC": "0.00001",
    "ETH/USDT": "1",
}
TABLE = table_of(MULTIPLIERS, {"USDT": 6, "USDC": 6, "USD": 6, "BTC": 8, "ETH": 8})
BACKSTOP = "HLP"
ACCOUNTS = ("a", "b", "c", "d", "e", "f", BACKSTOP)
ISOLATED = (0, 3)
"""Accounts with a pool for an isolated position."""
STABLE = frozenset({"USDT", "USDC", "USD"})
RULES_NS = T0 + 400 * 86_400 * SECOND
"""When the presets of today are in force."""
LAPSES = (1, 1, 1, 5, 45, 600)
"""Seconds between steps: within windows and rests, and past them."""


class Happens(StrEnum):
    """Kinds of events, and of what prices do beside moving."""

    FILL = "customers trade with each other, and pay margin in"
    MARKET = "a customer trades with the market"
    DEPOSIT = "a customer pays in, or a correction takes back"
    WITHDRAWAL = "a customer takes out"
    MARGIN = "margin moves between the pools of an account"
    FUNDING = "holders of a contract pay or get funding"
    ORDER = "an order is placed or cancelled"
    FUND = "the fund is filled"
    PHASE = "a market closes or opens"
    BLIND = "a price is missing, or said to be no number"
    GAP = "prices gap, through bankruptcy"
    DEPEG = "a stablecoin leaves its peg"


OF_LENDERS = frozenset({Happens.DEPOSIT, Happens.WITHDRAWAL, Happens.MARGIN, Happens.FUND})
"""What happens where nothing is traded; to take back more than there is makes a debt."""


@dataclass(frozen=True)
class Setting:
    """Where a sequence plays: rules, contracts and assets (by row), and prices [rows] at the start.

    ``usd`` is what one unit of each instrument's quantity and of each asset is worth at the start.
    Assets are coins (``is_coin``), the dollar, or stablecoins, which may leave their peg
    (``is_stable``).
    """

    name: str
    table: InstrumentTable
    rules: Rules
    choices: tuple[ModelChoice, ...]
    contracts: tuple[int, ...]
    assets: tuple[int, ...]
    price: np.ndarray
    usd: np.ndarray
    is_coin: np.ndarray
    is_stable: np.ndarray

    @classmethod
    def of(
        cls, name: str, rules: Rules, choices: tuple[ModelChoice, ...], table: InstrumentTable,
        contracts: tuple[str, ...], assets: tuple[str, ...], prices: dict[str, float],
    ) -> "Setting":  # fmt: skip
        """A setting of contracts and assets by name."""
        price = np.array([prices.get(key, np.nan) for key in (*table.symbols, *table.assets.names)])
        count = len(table)
        each = notional_coefficient(table, price[:count], price[count:]) * table.quantity_unit
        names = table.assets.names
        return cls(
            name, table, rules, choices,
            tuple(table.find(symbol, "") for symbol in contracts),
            tuple(table.assets.find(asset, "") for asset in assets),
            price, np.concatenate([each, price[count:] * table.assets.unit]),
            np.array([asset not in STABLE for asset in names]),
            np.array([asset in STABLE - {"USD"} for asset in names]),
        )  # fmt: skip

    @property
    def desk(self) -> Desk:
        """Amounts as people write them, in units."""
        return Desk(self.table)


@functools.cache
def setting_of(presets: tuple[str, ...], choice: ModelChoice = STANDARD) -> Setting:
    """The small world under a house model, its accounts liquidated in turn by the presets."""
    choices = (choice,) * len(presets)
    policies = tuple(resolve_policy(load_waterfall(name, RULES_NS), TABLE) for name in presets)
    rules = load_rules(TABLE, choices, replace(SANITY, age_ns_max=0), T0)
    rules = replace(rules, policies=policies, fund_policy=policies[0])
    coins = {"BTC": 10_000.0, "ETH": 500.0, "USDT": 1.0, "USDC": 1.0, "USD": 1.0}
    marks = {symbol: coins[symbol.partition("/")[0]] for symbol in MULTIPLIERS}
    assets = ("USDT", "USDC", "BTC", "ETH")
    name = "+".join(presets)
    return Setting.of(name, rules, choices, TABLE, tuple(MULTIPLIERS), assets, coins | marks)


@dataclass(frozen=True)
class Sequence:
    """What a sequence follows from: a seed, the kinds of things that happen, and how wildly.

    ``model`` and ``other`` are small numbers that a test may choose settings by.
    """

    seed: int
    kinds: frozenset[Happens]
    wild: float
    fund: float
    model: int
    other: int


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """Any sequence; every kind of event in most, the fund from nothing to plenty."""
    few = st.frozensets(st.sampled_from(Happens), min_size=1)
    return Sequence(
        seed=draw(st.integers(0, 2**63 - 1)),
        kinds=draw(st.one_of(st.just(frozenset(Happens)), st.just(frozenset(Happens)), few)),
        wild=draw(st.sampled_from([0.003, 0.01, 0.03])),
        fund=draw(st.sampled_from([0.0, 0.0, 50.0, 3_000.0, 1e6])),
        model=draw(st.integers(0, 2)),
        other=draw(st.integers(0, 63)),
    )


def setting_for(preset: str, sequence: Sequence, presets: tuple[str, ...]) -> Setting:
    """The preset's setting for a sequence: one of three models; in some, half the accounts

    have another preset.
    """
    choice = (HOUSE, STEEP, STANDARD)[sequence.model]
    if sequence.other < len(presets) // 2:
        other = presets[(2 * sequence.other + sequence.model) % len(presets)]
        return setting_of((preset, other), choice)
    return setting_of((preset,), choice)


@dataclass(frozen=True)
class Moment:
    """One step: the state and the inputs it came from, and what it led to.

    ``refused`` are inputs that were tried before and whose events were refused.
    """

    number: int
    before: EngineState
    inputs: Inputs
    after: EngineState
    outcome: Outcome
    refused: Inputs | None


def opening_book(setting: Setting, sequence: Sequence) -> Book:
    """Empty accounts, a fund and a backstop that have something."""
    models, desk = setting.choices, setting.desk
    book = open_book(setting.table, models=models)
    for number in range(len(models)):
        mine = tuple(a for k, a in enumerate(ACCOUNTS) if k % len(models) == number)
        book = fold(book, mine, model=number)
    isolated = tuple(book.account_ids.index(ACCOUNTS[k]) for k in ISOLATED)
    backstop = int(book.pools_of(book.account_ids.index(BACKSTOP))[0])
    money = setting.table.assets.names[setting.assets[0]]
    reserve = setting.rules.fund_policy.reserve_asset
    deposits = [desk.deposit(backstop, money, f"{max(sequence.fund, 50.0):.4f}")]
    if reserve in setting.assets and sequence.fund > 0:
        units = int(sequence.fund / setting.usd[len(setting.table) + reserve])
        deposits.append((SystemPool.WORLD, SystemPool.INSURANCE_FUND, reserve, units, 0))
    return fold(book, pools=isolated, transfers=deposits)


def live(setting: Setting, sequence: Sequence, steps: int = STEPS) -> Iterator[Moment]:
    """A sequence, step by step. What the gates refuse is left out, and the step taken without."""
    random = stream(sequence.seed, "sequences")
    state = open_state(opening_book(setting, sequence), ("test",))
    time_ns, level = T0 + 1, np.ones(len(setting.table.assets.names))
    for number in range(steps):
        time_ns += LAPSES[int(random.integers(len(LAPSES)))] * SECOND
        level = moved(setting, sequence, random, level)
        prices = seen(setting, sequence, random, level, time_ns)
        batch = EventBatch(time_ns)
        if number == 0 or random.random() < 0.6:
            batch = happened(setting, sequence, random, state.book, level, time_ns)
        inputs, refused = Inputs(time_ns, prices, batch), None
        try:
            after, outcome = step(state, setting.rules, inputs)
        except LedgerError:
            inputs, refused = replace(inputs, events=EventBatch(time_ns)), inputs
            after, outcome = step(state, setting.rules, inputs)
        yield Moment(number, state, inputs, after, outcome, refused)
        state = after


# --- prices --------------------------------------------------------------------------------------


def moved(
    setting: Setting, sequence: Sequence, random: np.random.Generator, level: np.ndarray
) -> np.ndarray:
    """Each asset's price as a factor of its first: a walk that is drawn back to where it began."""
    change = random.normal(0.0, sequence.wild, level.size) - 0.02 * np.log(level)
    if Happens.GAP in sequence.kinds and random.random() < 0.05:
        change += random.uniform(-1.2, 0.9) * (0.5 + 0.5 * random.random(level.size))
    coins = np.where(setting.is_coin, level * np.exp(change), level)
    if Happens.DEPEG in sequence.kinds:
        has_left = random.random(level.size) < 0.01
        peg = np.where(has_left, random.uniform(0.5, 1.02, level.size), 0.9 * level + 0.1)
        coins = np.where(setting.is_stable, peg, coins)
    return coins


def seen(
    setting: Setting,
    sequence: Sequence,
    random: np.random.Generator,
    level: np.ndarray,
    time_ns: int,
) -> PriceBatch:
    """What is observed of prices: all, or all but one that is missing or no number."""
    table = setting.table
    basis = 1.0 + random.uniform(-0.002, 0.002, len(table))
    price = setting.price * np.concatenate([level[table.base] * basis, level])
    rows = np.flatnonzero(np.isfinite(price))
    if Happens.BLIND in sequence.kinds and random.random() < 0.08:
        lost = int(random.integers(rows.size))
        if random.random() < 0.5:
            rows = np.delete(rows, lost)
        else:
            price[rows[lost]] = np.nan
    count = rows.size
    return PriceBatch(
        np.zeros(count, np.int32),
        rows.astype(np.int32),
        price[rows],
        np.full(count, time_ns, np.int64),
    )


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """Random rows of events, in exact units, on a book at prices about to be seen."""

    setting: Setting
    random: np.random.Generator
    book: Book
    level: np.ndarray

    def among(self, choices: tuple[int, ...] | np.ndarray) -> int:
        """One of the choices."""
        return int(choices[int(self.random.integers(len(choices)))])

    def of(self, *numbers: float) -> float:
        """One of the numbers."""
        return numbers[int(self.random.integers(len(numbers)))]

    def customers(self) -> np.ndarray:
        """Pools of accounts."""
        return np.arange(SYSTEM, self.book.pool_count)

    def pay(self, pool: int, usd: float) -> tuple[int, ...]:
        """A deposit of about so much, in some asset; negative takes back."""
        asset = self.among(self.setting.assets)
        units = int(usd / (self.setting.usd[len(self.setting.table) + asset] * self.level[asset]))
        return SystemPool.WORLD, pool, asset, units, TransferReason.DEPOSIT

    def price(self, instrument: int, spread: float) -> int:
        """Price units about the mark."""
        row, base = self.setting.table.rows[instrument], self.setting.table.base[instrument]
        near = self.setting.price[instrument] * self.level[base]
        near *= 1.0 + self.random.uniform(-spread, spread)
        return max(round(near * 10**row.price_decimals), 1)

    def size(self, instrument: int, usd: float) -> int:
        """Quantity units worth about so much, with either sign unless it is a leg."""
        units = max(round(usd / self.setting.usd[instrument]), 1)
        symbol = self.setting.table.symbols[instrument]
        if symbol.endswith("#long") or self.setting.table.kind[instrument] == Kind.SPOT:
            return units
        if symbol.endswith("#short") or self.random.random() < 0.5:
            return -units
        return units

    def trade(self, counterparty: int | None) -> tuple[list, list]:
        """A fill, and margin that both sides pay in for it."""
        instrument = self.among(self.setting.contracts)
        count = self.book.pool_count - SYSTEM
        at, further = int(self.random.integers(count)), int(self.random.integers(1, count))
        pool, other = SYSTEM + at, SYSTEM + (at + further) % count
        other = other if counterparty is None else counterparty
        usd = 10.0 ** self.random.uniform(1.0, 4.5)
        row = (pool, other, instrument, self.size(instrument, usd),
               self.price(instrument, 0.001), int(self.random.integers(0, 1000)), 0)  # fmt: skip
        rate = self.of(0.0, 0.03, 0.12, 0.3)
        payers = [side for side in (pool, other) if side >= SYSTEM and rate > 0]
        return [row], [self.pay(side, usd * rate) for side in payers]

    def leave(self, reason: TransferReason) -> list:
        """Some of a balance leaves a pool: to the world, or to another pool of its account."""
        owned = self.book.balances
        rows = np.flatnonzero(owned.amount > 0)
        pools = np.searchsorted(owned.offsets, rows, side="right") - 1
        rows = rows[pools >= SYSTEM]
        if not rows.size:
            return []
        at = self.among(rows)
        pool = int(np.searchsorted(owned.offsets, at, side="right")) - 1
        target = int(SystemPool.WORLD)
        if reason == TransferReason.MARGIN:
            target = self.among(self.book.pools_of(int(self.book.pool_account[pool])))
        share = self.of(0.05, 0.3, 1.0)
        amount = int(owned.amount[at] * share)
        return [(pool, target, int(owned.asset[at]), amount, reason)] if target != pool else []

    def funding(self) -> list:
        """Everyone who holds a contract pays, or gets, a part of its notional."""
        instrument, held = self.among(self.setting.contracts), self.book.positions
        settle = int(self.setting.table.settle[instrument])
        unit = self.setting.usd[len(self.setting.table) + settle]
        rows = np.flatnonzero((held.instrument == instrument) & (held.quantity != 0))
        pools = np.searchsorted(held.offsets, rows, side="right") - 1
        rate = self.random.uniform(-0.02, 0.02) * self.setting.usd[instrument] / unit
        return [
            (pool, SystemPool.MARKET, settle, int(quantity * rate), TransferReason.FUNDING)
            for pool, quantity in zip(pools.tolist(), held.quantity[rows].tolist(), strict=True)
            if pool >= SYSTEM
        ]

    def order(self) -> tuple[list, list]:
        """A placement and a cancel, either or both."""
        open_orders, placed, gone = self.book.orders, [], []
        if open_orders.order_id.size and self.random.random() < 0.5:
            at = int(self.random.integers(open_orders.order_id.size))
            pool = int(np.searchsorted(open_orders.offsets, at, side="right")) - 1
            gone.append((pool, int(open_orders.order_id[at])))
        if open_orders.order_id.size < 12:
            instrument = self.among(self.setting.contracts)
            quantity = self.size(instrument, 10.0 ** self.random.uniform(1.0, 4.0))
            is_reduce_only = bool(self.random.random() < 0.2)
            placed.append(
                (self.among(self.customers()), self.book.sequence, instrument, quantity,
                 self.price(instrument, 0.05), is_reduce_only)
            )  # fmt: skip
        return placed, gone

    def phase(self) -> list:
        """A market closes; more often one that is closed opens."""
        shut = np.flatnonzero(self.book.market_phase > MarketPhase.NORMAL)
        if shut.size and self.random.random() < 0.7:
            return [(self.among(shut), MarketPhase.NORMAL)]
        return [(self.among(self.setting.contracts), self.among(tuple(MarketPhase)))]


def happened(
    setting: Setting,
    sequence: Sequence,
    random: np.random.Generator,
    book: Book,
    level: np.ndarray,
    time_ns: int,
) -> EventBatch:
    """One to three things that happen at a time; what concerns one gate stands alone."""
    draw = Draw(setting, random, book, level)
    kinds = sorted(sequence.kinds if setting.contracts else sequence.kinds & OF_LENDERS)
    if not kinds:
        return EventBatch(time_ns)
    fills, paid, placed, gone = [], [], [], []
    for _ in range(int(random.integers(1, 4))):
        kind = kinds[int(random.integers(len(kinds)))]
        if kind == Happens.FILL or (kind == Happens.MARKET and random.random() < 0.5):
            trades, deposits = draw.trade(SystemPool.MARKET if kind == Happens.MARKET else None)
            fills, paid = fills + trades, paid + deposits
        elif kind == Happens.DEPOSIT:
            usd = 10.0 ** random.uniform(1.0, 3.5)
            usd *= draw.of(1.0, 1.0, 1.0, -0.3) if setting.contracts else draw.of(1.0, -0.6)
            paid.append(draw.pay(draw.among(draw.customers()), usd))
        elif kind in (Happens.WITHDRAWAL, Happens.MARGIN) and not paid:
            out = kind == Happens.WITHDRAWAL
            paid += draw.leave(TransferReason.WITHDRAWAL if out else TransferReason.MARGIN)
        elif kind == Happens.FUNDING:
            paid += draw.funding()
        elif kind == Happens.ORDER and not placed and not gone:
            placed, gone = draw.order()
        elif kind == Happens.FUND and random.random() < 0.1:
            paid.append(draw.pay(SystemPool.INSURANCE_FUND, 10.0 ** random.uniform(1.0, 4.0)))
        elif kind == Happens.PHASE and not fills and not placed and random.random() < 0.3:
            return EventBatch(time_ns, phases=events(PhaseChanges, draw.phase()))
    return EventBatch(
        time_ns,
        cancels=events(Cancels, gone),
        placements=events(Placements, placed),
        trades=events(Trades, fills),
        transfers=events(Transfers, [row for row in paid if row[3] != 0]),
    )
