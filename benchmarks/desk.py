"""A book of derivatives desks: futures and options on everything the house model lists.

Drawn evenly over its contracts, so that most positions are options and an account spans several
underlyings: what a scan of scenarios finds hardest.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

import numpy as np

from plimsoll.book import Balances, Book, ModelChoice, Orders, PoolKind, Positions, SystemPool
from plimsoll.core import (
    NS_PER_SECOND,
    Floats,
    Int32s,
    Int64s,
    offsets_from_counts,
    parse_time,
    stream,
    table_at,
)
from plimsoll.instruments import InstrumentTable, Kind, parse_symbol, value_coefficient
from plimsoll.margin import find_model
from plimsoll.margin.charges import model_values
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.margin.registry import model_tables
from plimsoll.market import Market, Quality, SystemState

MODEL = ModelChoice("plimsoll.portfolio")
AS_OF_NS = parse_time("2026-03-02T12:00:00Z", "benchmarks")
SEED = 11
INSTRUMENTS = 2_000
POSITIONS = 10
"""Mean number of positions of an account."""
EXPIRIES = ("260306", "260327", "260424", "260626", "260925", "261225")
PRICES = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0, "XRP": 2.0, "BNB": 600.0, "DOGE": 0.2}
OPTIONS = {"BTC": 0.3, "ETH": 0.3, "SOL": 0.15, "XRP": 0.1, "BNB": 0.075, "DOGE": 0.075}
"""Shares of the listed options."""
ORDERS_SHARE, COINS_SHARE = 0.3, 0.3
"""Shares of accounts with open orders and with coins as collateral, as in the population."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A book under ``plimsoll.portfolio`` and its market."""

    book: Book
    market: Market


# One, for the benchmarks that share it stand together.
@lru_cache(maxsize=1)
def open_desk(accounts: int) -> Desk:
    """A book of that many accounts; the same at every call."""
    random = stream(SEED, "benchmarks", "desk")
    table = _contracts()
    market = _market(table, random)
    each = notional_coefficient(table, market.mark, market.index)
    wealth = np.exp(random.normal(np.log(20_000.0), 1.5, accounts))
    count = random.poisson(POSITIONS, accounts)
    pool, instrument = _distinct_rows(random, np.repeat(np.arange(accounts), count), len(table))
    usd = wealth[pool] * np.exp(random.normal(-1.0, 1.0, pool.size))
    sign = np.where(random.random(pool.size) < 0.55, 1.0, -1.0)
    quantity = np.rint(sign * usd / each[instrument] / table.quantity_unit[instrument])
    entry = market.mark[instrument] * np.exp(random.normal(0.0, 0.03, pool.size))
    worth = quantity * table.quantity_unit[instrument] * value_coefficient(
        table.is_inverse[instrument], table.multiplier[instrument], entry
    )  # fmt: skip
    is_option = table.of_kind(Kind.OPTION)[instrument]
    cost = np.where(is_option, 0.0, worth / table.assets.unit[table.settle[instrument]])
    held = Positions(
        _offsets(pool, accounts),
        instrument,
        quantity.astype(np.int64),
        np.rint(cost).astype(np.int64),
    )
    return Desk(
        replace(
            Book.empty(table, (MODEL,)),
            account_ids=tuple(f"account {k}" for k in range(accounts)),
            account_model=np.zeros(accounts, dtype=np.int32),
            pool_account=np.concatenate([np.full(len(SystemPool), -1), np.arange(accounts)]).astype(
                np.int32
            ),
            pool_kind=np.repeat(
                [PoolKind.SYSTEM, PoolKind.CROSS], [len(SystemPool), accounts]
            ).astype(np.int8),
            pool_state=np.zeros(len(SystemPool) + accounts, dtype=np.int8),
            pool_since_ns=np.zeros(len(SystemPool) + accounts, dtype=np.int64),
            positions=held,
            balances=_balances(random, table, market, wealth),
            orders=_orders(random, table, market, wealth, held),
        ),
        market,
    )


def _contracts() -> InstrumentTable:
    names = table_at(model_tables(find_model(MODEL.name, "benchmarks")), AS_OF_NS).params[
        "underlyings"
    ]
    dated = [f"USDT:USDT-{expiry}" for expiry in EXPIRIES[1::2]]
    symbols = [
        f"{base}/{form}"
        for base in names
        for form in ("USDT:USDT", "USDC:USDC", f"USD:{base}", *dated)
    ]
    left = INSTRUMENTS - len(symbols)
    for base, share in OPTIONS.items():
        per_expiry = round(left * share / len(EXPIRIES) / 2)
        for expiry in EXPIRIES:
            for level in np.linspace(0.6, 1.5, per_expiry):
                strike = float(f"{PRICES[base] * level:.5g}")
                symbols += [f"{base}/USDT:USDT-{expiry}-{strike:g}-{right}" for right in "CP"]
    rows = [
        replace(row, contract_multiplier=Decimal(10)) if row.settle == row.base else row
        for row in map(parse_symbol, dict.fromkeys(symbols))
    ]
    return InstrumentTable.build(rows[:INSTRUMENTS], {"USD": 2, "USDT": 6, "USDC": 6})


def _market(table: InstrumentTable, random: np.random.Generator) -> Market:
    """Prices of one instant; options are marked at their model value."""
    index = np.array(
        [1.0 if name.startswith("USD") else PRICES.get(name, 5.0) for name in table.assets.names]
    )
    count, assets = len(table), index.size
    years = np.maximum(table.expiry_ns - AS_OF_NS, 0) / (365 * 86_400 * NS_PER_SECOND)
    forward = index[table.base] * np.exp(0.05 * years)
    is_option = table.of_kind(Kind.OPTION)
    basis = np.exp(random.normal(0.0, 5e-4, count))
    mark = np.where(is_option, 0.0, forward * basis)
    moneyness = np.where(is_option, table.strike, forward) / forward
    vol = np.where(is_option, 0.55 + 0.3 * np.log(moneyness) ** 2, np.nan)
    market = Market(
        table, AS_OF_NS, np.concatenate([mark, index]),
        np.full(count + assets, AS_OF_NS), np.full(count + assets, Quality.GOOD, dtype=np.int8),
        np.ones(count + assets, dtype=np.int8), vol, np.where(is_option, forward, np.nan),
        np.zeros(assets), SystemState.unknown(table),
    )  # fmt: skip
    mark = np.where(is_option, model_values(market), mark)
    return replace(market, price=np.concatenate([mark, index]))


def _balances(
    random: np.random.Generator, table: InstrumentTable, market: Market, wealth: Floats
) -> Balances:
    """Dollars of one kind in every account, coins in some."""
    accounts, names = wealth.size, table.assets.names
    coins = np.array([names.index(name) for name in ("BTC", "ETH", "USDC", "SOL")])
    rows = [(np.arange(accounts), np.full(accounts, names.index("USDT")))]
    owners = np.flatnonzero(random.random(accounts) < COINS_SHARE)
    rows.append((owners, random.choice(coins, owners.size)))
    pool, asset = (np.concatenate(column) for column in zip(*rows, strict=True))
    usd = wealth[pool] * np.exp(random.normal(0.5, 1.0, pool.size))
    amount = np.rint(usd / market.index[asset] / table.assets.unit[asset]).astype(np.int64)
    order = np.lexsort((asset, pool))
    return Balances(_offsets(pool[order], accounts), asset[order].astype(np.int32), amount[order])


def _orders(
    random: np.random.Generator, table: InstrumentTable, market: Market, wealth: Floats,
    held: Positions,
) -> Orders:  # fmt: skip
    """One or two orders near mark for some accounts, every other one on what they hold."""
    accounts = wealth.size
    has_orders = random.random(accounts) < ORDERS_SHARE
    pool = np.repeat(np.arange(accounts), np.where(has_orders, random.integers(1, 3, accounts), 0))
    drawn = random.integers(0, len(table), pool.size)
    counts = np.diff(held.offsets)[len(SystemPool) :][pool]
    turn = random.integers(0, 1 << 30, pool.size) % np.maximum(counts, 1)
    own = held.offsets[len(SystemPool) + pool] + turn
    mine = (random.random(pool.size) < 0.5) & (counts > 0)
    last = max(held.instrument.size - 1, 0)
    instrument = np.where(mine, held.instrument[np.minimum(own, last)], drawn).astype(np.int32)
    each = notional_coefficient(table, market.mark, market.index)[instrument]
    size = wealth[pool] * np.exp(random.normal(-1.5, 1.0, pool.size)) / each
    sign = np.where(random.random(pool.size) < 0.5, 1.0, -1.0)
    limit = market.mark[instrument] * np.exp(random.normal(0.0, 0.01, pool.size))
    decimals = np.array([row.price_decimals for row in table.rows])[instrument]
    return Orders(
        _offsets(pool, accounts),
        np.arange(pool.size),
        instrument,
        np.rint(sign * size / table.quantity_unit[instrument]).astype(np.int64),
        np.maximum(np.rint(limit * 10.0**decimals), 1).astype(np.int64),
        random.random(pool.size) < 0.1,
    )


def _distinct_rows(
    random: np.random.Generator, pool: Int64s, instruments: int
) -> tuple[Int64s, Int32s]:
    """Each row's pool with an instrument drawn for it, sorted, without repetitions in a pool."""
    keys = np.unique(pool * instruments + random.integers(0, instruments, pool.size))
    return keys // instruments, (keys % instruments).astype(np.int32)


def _offsets(pool: Int64s, accounts: int) -> Int64s:
    """Row offsets of all pools; the system's hold nothing."""
    return offsets_from_counts(
        np.bincount(pool + len(SystemPool), minlength=len(SystemPool) + accounts)
    )
