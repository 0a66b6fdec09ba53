"""The plain books that are measured: linear contracts, one currency, no orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

import msgspec
import numpy as np

from plimsoll.book import (
    Balances,
    Book,
    MarketPhase,
    ModelChoice,
    Orders,
    PoolKind,
    PoolState,
    Positions,
    SystemPool,
)
from plimsoll.core import (
    NS_PER_SECOND,
    Floats,
    Int32s,
    Int64s,
    distinct,
    format_time,
    offsets_from_counts,
    parse_time,
    stream,
)
from plimsoll.instruments import InstrumentTable, parse_symbol
from plimsoll.margin import ModelSet, load_models
from plimsoll.market import Market, SystemState

AS_OF = "2025-10-10T21:15:00Z"
WEEK_NS = 7 * 86_400 * NS_PER_SECOND
DOLLAR, DOLLAR_DECIMALS = "USDT", 6
UNDERLYINGS = 100
CONTRACTS_EACH = 20
"""One perpetual and 19 weekly futures."""
PERPETUAL_SHARE = 0.6
"""Of the positions in an underlying; the futures share the rest, the sooner the more."""
POPULARITY_EXPONENT = 0.8
POSITIONS_MEAN = 10.3
"""Draws per account: about one in thirty falls on a contract drawn before."""
DAILY_VOLATILITY = (0.03, 0.08)
DOLLAR_VOLATILITY = 0.002
NOTIONAL_LOG = (8.0, 1.5)
"""Mean and deviation of the logarithm of a position's notional, USD."""
QUANTITY_MAX = 10.0**18
STANDARD, PORTFOLIO = "plimsoll.standard", "plimsoll.portfolio"
EQUITY_FLOOR = MappingProxyType({STANDARD: 0.011, PORTFOLIO: 0.08})
EQUITY_LOG = (-2.0, 1.0)
"""Equity over gross notional is this floor, near the usual maintenance margin, and a lognormal."""
BRACKETS = (
    (0, 0.01, 0.02),
    (50_000, 0.015, 0.03),
    (400_000, 0.02, 0.04),
    (1_000_000, 0.025, 0.05),
    (4_000_000, 0.05, 0.1),
    (40_000_000, 0.1, 0.2),
    (100_000_000, 0.25, 0.5),
)
"""Of the most popular underlying; the floors of others fall with their popularity."""


@dataclass(frozen=True, slots=True)
class FuturesBook:
    """A book under one of the house models and its market.

    ``moves`` are usual relative daily moves by row of ``Market.price``.
    """

    book: Book
    market: Market
    models: ModelSet
    moves: Floats


def open_futures(accounts: int, seed: int = 7, model: str = STANDARD) -> FuturesBook:
    """A book of that many accounts, about ten positions each; the same at every call.

    2,000 linear contracts on 100 made-up underlyings, margined and settled in USDT, the one
    collateral. Sizes are lognormal on both sides, margins lie from near the line to far away.
    """
    table, popularity = _contracts()
    draw = stream(seed, "benchmarks", "futures", "prices")
    coins = np.exp(draw.normal(3.0, 3.0, UNDERLYINGS))
    volatility = draw.uniform(*DAILY_VOLATILITY, UNDERLYINGS)
    basis = draw.normal(0.0, 0.002, len(table)) * (table.expiry_ns > 0)
    within = np.arange(1, CONTRACTS_EACH) ** -1.0
    within *= (1.0 - PERPETUAL_SHARE) / within.sum()
    shares = np.outer(popularity, np.concatenate([[PERPETUAL_SHARE], within])).ravel()
    # Assets are ordered by name, and so are the underlyings, before the dollar.
    index, moves = np.append(coins, 1.0), np.append(volatility, DOLLAR_VOLATILITY)
    market = _market(table, index, basis)
    return _fill_book(table, market, moves, popularity, shares, accounts, seed, model)


def futures_on(
    symbols: Sequence[str], prices: Floats, volatility: Floats, accounts: int, seed: int = 7
) -> FuturesBook:
    """The same kind of book on linear perpetuals settled in USDT, the first the most popular.

    ``prices`` are marks and ``volatility`` usual daily moves, shape [symbols].
    """
    rows = [replace(parse_symbol(name), contract_multiplier=Decimal(1)) for name in symbols]
    table = InstrumentTable.build(rows, {DOLLAR: DOLLAR_DECIMALS})
    assets = len(table.assets.names)
    index, moves = np.ones(assets), np.full(assets, DOLLAR_VOLATILITY)
    index[table.base], moves[table.base] = prices, volatility
    weights = np.arange(1, len(rows) + 1) ** -POPULARITY_EXPONENT
    shares = weights / weights.sum()
    popularity = np.zeros(assets)
    popularity[table.base] = shares
    market = _market(table, index, np.zeros(len(table)))
    return _fill_book(table, market, moves, popularity, shares, accounts, seed)


def _fill_book(
    table: InstrumentTable, market: Market, moves: Floats, popularity: Floats, shares: Floats,
    accounts: int, seed: int, name: str = STANDARD,
) -> FuturesBook:  # fmt: skip
    """Accounts on contracts; ``moves`` and ``popularity`` by asset, ``shares`` by contract."""
    overrides = _brackets if name == STANDARD else _underlyings
    model = ModelChoice(name, overrides(table, popularity))
    models = load_models(table, (model,), market.as_of_ns)
    offsets, instrument = _holdings(accounts, shares, seed)
    moves = np.concatenate([moves[table.base], moves])
    floor = EQUITY_FLOOR[name]
    quantity, cost, amount = _amounts(table, market, moves, offsets, instrument, floor, seed)
    system = len(SystemPool)
    before, pools = np.zeros(system, dtype=np.int64), accounts + system
    nothing = np.zeros(0, dtype=np.int64)
    book = Book(
        instruments=table,
        account_ids=tuple(map(str, range(accounts))),
        account_model=np.zeros(accounts, dtype=np.int32),
        models=(model,),
        pool_account=np.concatenate([before - 1, np.arange(accounts)]).astype(np.int32),
        pool_kind=np.repeat([PoolKind.SYSTEM, PoolKind.CROSS], [system, accounts]).astype(np.int8),
        pool_state=np.full(pools, PoolState.NORMAL, dtype=np.int8),
        pool_since_ns=np.zeros(pools, dtype=np.int64),
        market_phase=np.full(len(table), MarketPhase.NORMAL, dtype=np.int8),
        positions=Positions(np.concatenate([before, offsets]), instrument, quantity, cost),
        balances=Balances(
            np.concatenate([before, np.arange(accounts + 1)]),
            np.full(accounts, table.assets.find(DOLLAR, "futures_book"), dtype=np.int32),
            amount,
        ),
        orders=Orders(
            np.zeros(pools + 1, dtype=np.int64), nothing, nothing.astype(np.int32),
            nothing, nothing, nothing.astype(np.bool_),
        ),
        sequence=1,
        time_ns=market.as_of_ns,
    )  # fmt: skip
    return FuturesBook(book, market, models, moves)


def _contracts() -> tuple[InstrumentTable, Floats]:
    """The contracts, and the share of positions that each underlying attracts."""
    now = parse_time(AS_OF, "futures_book")
    days = [format_time(now + week * WEEK_NS)[2:10] for week in range(1, CONTRACTS_EACH)]
    endings = ("", *(f"-{day.replace('-', '')}" for day in days))
    rows = [
        replace(
            parse_symbol(f"C{number:03d}/{DOLLAR}:{DOLLAR}{ending}"),
            contract_multiplier=Decimal(1),
        )
        for number in range(UNDERLYINGS)
        for ending in endings
    ]
    weights = np.arange(1, UNDERLYINGS + 1) ** -POPULARITY_EXPONENT
    return InstrumentTable.build(rows, {DOLLAR: DOLLAR_DECIMALS}), weights / weights.sum()


def _market(table: InstrumentTable, index: Floats, basis: Floats) -> Market:
    """Fresh prices of everything: ``index`` by asset, and marks a ``basis`` away from it."""
    rows, now = len(table) + index.size, parse_time(AS_OF, "futures_book")
    return Market(
        instruments=table,
        as_of_ns=now,
        price=np.concatenate([index[table.base] * (1.0 + basis), index]),
        time_ns=np.full(rows, now, dtype=np.int64),
        quality=np.zeros(rows, dtype=np.int8),
        sources_used=np.ones(rows, dtype=np.int8),
        implied_vol=np.full(len(table), np.nan),
        forward=np.full(len(table), np.nan),
        rate=np.zeros(index.size),
        state=SystemState.unknown(table),
    )


def _brackets(table: InstrumentTable, popularity: Floats) -> str:
    """Brackets for every underlying, by its popularity [assets]."""
    scale = np.round(popularity / popularity.max(), 6).tolist()
    bases = np.unique(table.base).tolist()
    names = [table.assets.names[k] for k in bases]
    brackets = {
        name: [(floor * scale[k], *rates) for floor, *rates in BRACKETS]
        for k, name in zip(bases, names, strict=True)
    }
    return msgspec.json.encode({"brackets": brackets}).decode()


def _underlyings(table: InstrumentTable, popularity: Floats) -> str:
    """Ranges and volumes for every underlying under the scenario model."""
    names = [table.assets.names[k] for k in np.unique(table.base)]
    entries = {
        name: {"class": "large", "recent": 0.1, "floor": 0.15, "daily_volume": 1e11 * share}
        for name, share in zip(names, popularity[np.unique(table.base)].tolist(), strict=True)
    }
    return msgspec.json.encode({"underlyings": entries}).decode()


def _holdings(accounts: int, shares: Floats, seed: int) -> tuple[Int64s, Int32s]:
    """Offsets [accounts + 1] and the contract of each position, ascending within an account."""
    draw = stream(seed, "benchmarks", "futures", "holdings")
    count = np.maximum(draw.poisson(POSITIONS_MEAN, accounts), 1)
    edges, instruments = np.cumsum(shares), shares.size
    drawn = np.searchsorted(edges, draw.random(count.sum()) * edges[-1], side="right")
    account = np.repeat(np.arange(accounts, dtype=np.int64), count)
    keys = distinct(account * instruments + np.minimum(drawn, instruments - 1))
    held = np.bincount(keys // instruments, minlength=accounts).astype(np.int64)
    return offsets_from_counts(held), (keys % instruments).astype(np.int32)


def _amounts(
    table: InstrumentTable, market: Market, moves: Floats, offsets: Int64s, instrument: Int32s,
    floor: float, seed: int,
) -> tuple[Int64s, Int64s, Int64s]:  # fmt: skip
    """Quantity and cost of each position, and the dollars of each account, in exact units."""
    draw = stream(seed, "benchmarks", "futures", "amounts")
    accounts, rows = offsets.size - 1, instrument.size
    mark, dollar = market.mark[instrument], 10**DOLLAR_DECIMALS
    wanted = draw.lognormal(*NOTIONAL_LOG, rows) * np.where(draw.random(rows) < 0.5, -1.0, 1.0)
    # Of the cheapest coins nobody holds more units than the ledger stores.
    units = np.clip(wanted / mark / table.quantity_unit[instrument], -QUANTITY_MAX, QUANTITY_MAX)
    quantity = np.rint(units).astype(np.int64)
    value = quantity * table.quantity_unit[instrument] * mark
    entry = np.exp(-draw.normal(0.0, 1.0, rows) * moves[instrument])
    cost = np.rint(value * entry * dollar).astype(np.int64)
    gross = np.add.reduceat(np.abs(value), offsets[:-1])
    profit = np.add.reduceat(value - value * entry, offsets[:-1])
    equity = gross * (floor + draw.lognormal(*EQUITY_LOG, accounts))
    # What a winner has drawn out beyond its deposits is a balance below zero.
    return quantity, cost, np.rint((equity - profit) * dollar).astype(np.int64)
