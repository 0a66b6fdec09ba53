"""What the entry exam is sat on: one table of every kind of contract, and random books of it.

A model is examined on what it lists: the contracts and collateral that a lone account holding
them gets an answer for. Books are made by ``ledger.apply`` alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from plimsoll.book import Book, ModelChoice
from plimsoll.core import Status, stream
from plimsoll.instruments import Kind
from plimsoll.margin import Model, ModelSet, assess, load_models
from plimsoll.market import Market, PriceBoard, SanityRules
from tests.book.builders import T0, Desk, fold, observe, open_book, table_of
from tests.margin.exam_params import EXAM_PARAMS

MULTIPLIERS = MappingProxyType(
    {
        "BTC/USDT:USDT": "0.001",
        "ETH/USDT:USDT": "0.01",
        "SOL/USDT:USDT": "1",
        "DOGE/USDT:USDT": "100",
        "BTC/USDC:USDC": "0.001",
        "ETH/USDC:USDC": "1",
        "SOL/USDC:USDC": "1",
        "BTC/USDT:USDT-261225": "0.001",
        "BTC/USD:BTC": "100",
        "ETH/USD:ETH": "10",
        "BTC/USD:BTC-261225": "100",
        "ETH/USD:ETH-261225": "10",
        "BTC/USD:USD": "1",
        "ETH/USD:USD": "1",
        "ETH/USD:BTC": "0.000001",
        "BTC/USDT:USDT#long": "0.001",
        "BTC/USDT:USDT#short": "0.001",
        "BTC/USDT": "1",
        "ETH/USDC": "1",
        "BTC/USD:BTC-251031-60000-C": "1",
        "BTC/USD:BTC-251031-50000-P": "1",
        "BTC/USD:BTC-260327-80000-C": "1",
        "BTC/USD:BTC-260327-40000-P": "1",
        "ETH/USD:ETH-251031-2600-C": "1",
        "ETH/USD:ETH-260327-2000-P": "1",
        "BTC/USDC:USDC-251031-62000-C": "1",
        "ETH/USDC:USDC-260327-2500-P": "1",
        "BTC/USDT:USDT-251031-58000-P": "1",
        "BTC/USDT:USDT-260327-70000-C": "1",
        "IBM/USD:USD-251219-100-C": "100",
        "IBM/USD:USD-251219-95-P": "100",
        "DEAD/USDT:USDT": "1",  # listed, never priced, held by nobody
    }
)
DECIMALS = {"USDT": 6, "USDC": 6, "USD": 6, "BTC": 8, "ETH": 8, "SOL": 8, "DOGE": 6, "IBM": 4}
DECIMALS |= {"WBTC": 8, "WETH": 8, "LINK": 6}
INDEX = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0, "DOGE": 0.2, "IBM": 98.0}
INDEX |= {"WBTC": 60_000.0, "WETH": 2_500.0, "LINK": 15.0}
INDEX |= {"USDT": 1.0, "USDC": 1.0, "USD": 1.0}
ASSETS = tuple(DECIMALS)

TABLE = table_of(MULTIPLIERS, DECIMALS)
DESK = Desk(TABLE)
PRICED = tuple(symbol for symbol in TABLE.symbols if not symbol.startswith("DEAD"))
CONTRACTS = tuple(symbol for symbol in PRICED if ":" in symbol)
RULES = SanityRules()


@dataclass(frozen=True)
class ExamBook:
    """A book and the market it is judged at."""

    book: Book
    market: Market


@dataclass(frozen=True)
class Listing:
    """What a model has rules for, of the exam's contracts and assets.

    ``debts`` may be owed, ``funding`` is an asset that counts as collateral.
    """

    contracts: tuple[str, ...]
    assets: tuple[str, ...]
    debts: tuple[str, ...]
    funding: str

    @property
    def is_lender(self) -> bool:
        """Whether the model has no rule for any contract: then accounts owe assets instead."""
        return not self.contracts


def choice_of(model: Model, more: Mapping[str, Any] = MappingProxyType({})) -> ModelChoice:
    """The model under the parameters it is examined with."""
    return ModelChoice(model.name, json.dumps({**EXAM_PARAMS.get(model.name, {}), **more}))


def models_of(model: Model) -> ModelSet:
    """The model, resolved for the exam's table."""
    return load_models(TABLE, (choice_of(model),), T0)


def draw_prices(random: np.random.Generator) -> dict[str, float]:
    """Marks and indices: coins anywhere within a factor of two, stablecoins near one."""
    index = {
        asset: level
        * float(np.exp(random.uniform(-0.02, 0.02) if level == 1 else random.normal(0, 0.2)))
        for asset, level in INDEX.items()
    } | {"USD": 1.0}
    marks = {}
    for symbol in PRICED:
        row = TABLE.rows[TABLE.index[symbol]]
        spot = index[row.base] / index[row.quote]
        if row.kind == Kind.OPTION:
            # Any positive premium will do: models that need a volatility are given one.
            intrinsic = max((spot - float(row.strike)) * (1 if row.is_call else -1), 0.0)
            premium = intrinsic + spot * float(random.uniform(0.01, 0.05))
            marks[symbol] = premium / spot if row.settle == row.base else premium
        else:
            marks[symbol] = spot * float(np.exp(random.uniform(-0.01, 0.01)))
    for leg in ("#long", "#short"):
        marks[f"BTC/USDT:USDT{leg}"] = marks["BTC/USDT:USDT"]
    return marks | index


def with_vols(market: Market) -> Market:
    """The market with volatilities and forwards of its options."""
    is_option = TABLE.of_kind(Kind.OPTION)
    forward = market.index[TABLE.base] / market.index[TABLE.quote] * 1.01
    vol = 0.5 + 0.01 * np.arange(len(TABLE))
    return replace(
        market,
        implied_vol=np.where(is_option, vol, np.nan),
        forward=np.where(is_option, forward, np.nan),
    )


def market_at(prices: Mapping[str, float]) -> Market:
    """A market of sound prices at T0."""
    board = observe(PriceBoard.empty(TABLE, ("test",)), prices, T0, RULES)
    return with_vols(board.market(T0, RULES))


@cache
def listing_of(model: Model) -> Listing:
    """What the model answers for, found by asking about each contract and asset alone."""
    owing = tuple(f"-{asset}" for asset in ASSETS)
    names = (*CONTRACTS, *ASSETS, *owing)
    book = open_book(TABLE, *names, models=(choice_of(model),))
    pools = range(5, 5 + len(names))
    asked = dict(zip(names, pools, strict=True))
    book = fold(
        book,
        trades=[DESK.trade(asked[s], s, "-1" if "#short" in s else "1", "0.5") for s in CONTRACTS]
        + [DESK.trade(asked[s], s, "-2", "0.5") for s in CONTRACTS if "#" not in s],
        transfers=[DESK.deposit(asked[asset], asset, "1") for asset in ASSETS]
        + [DESK.deposit(asked[debt], debt[1:], "-1") for debt in owing],
    )
    market = market_at(draw_prices(stream(1, "exam listing")))
    result = assess(book, market, models_of(model))
    known = [name for name in names if result.status[asked[name]] != Status.UNKNOWN]
    counted = [name for name in known if result.collateral_value[asked[name]] > 0]
    return Listing(
        tuple(name for name in known if "/" in name),
        tuple(name for name in known if name in ASSETS),
        tuple(name[1:] for name in known if name in owing),
        next(name for name in ASSETS if name in counted),
    )


def usd_each(symbol: str, prices: Mapping[str, float]) -> float:
    """About what one contract stands for in USD."""
    row = TABLE.rows[TABLE.index[symbol]]
    size = float(row.contract_multiplier)
    if row.settle == row.base and row.kind != Kind.OPTION:
        return size * prices[row.quote]
    if row.settle not in (row.base, row.quote):
        return size * prices[symbol] * prices[row.settle]
    return size * prices[row.base]


def draw_quantity(
    random: np.random.Generator, symbol: str, usd: float, prices: Mapping[str, float]
) -> str:
    """Signed contracts worth about ``usd``; a leg keeps its side."""
    amount = max(round(usd / usd_each(symbol, prices), 4), 0.0001)
    is_short = symbol.endswith("#short") or (
        not symbol.endswith("#long") and random.random() < 0.45
    )
    return f"{-amount if is_short else amount:.4f}"


def exam_book(model: Model, accounts: int, seed: int = 2025) -> ExamBook:
    """Random accounts over what the model lists, from 30 USD to 30 million, each funded."""
    random = stream(seed, "exam book")
    prices, listing = draw_prices(random), listing_of(model)
    contracts = listing.contracts
    isolable = [s for s in contracts if TABLE.kind[TABLE.index[s]] != Kind.OPTION]
    isolated = tuple(sorted(int(a) for a in random.integers(accounts, size=accounts // 2)))
    isolated = isolated if isolable else ()
    trades, orders, transfers = [], [], []
    for number in range(accounts + len(isolated)):
        pool = 5 + number
        usd = float(np.exp(random.uniform(np.log(30), np.log(3e7))))
        lone = number >= accounts
        choices = isolable if lone else contracts
        count = 1 if lone else int(random.choice([0, 1, 2, 3, 6]))
        for symbol in random.choice(choices, size=min(count, len(choices)), replace=False):
            quantity = draw_quantity(random, symbol, usd * random.uniform(0.05, 1), prices)
            price = prices[symbol] * np.exp(random.uniform(-0.1, 0.1))
            trades.append(DESK.trade(pool, symbol, quantity, f"{price:.6f}"))
        for k in range(int(random.choice([0, 0, 1, 2])) if choices else 0):
            symbol = str(random.choice(choices))
            quantity = draw_quantity(random, symbol, usd * random.uniform(0.01, 1), prices)
            price = prices[symbol] * np.exp(random.uniform(-0.05, 0.05))
            reduces = bool(random.random() < 0.15)
            orders.append(DESK.order(pool, 100 - k, symbol, quantity, f"{price:.6f}", reduces))
        for asset in random.choice(listing.assets, size=random.integers(1, 3)):
            worth = usd * float(np.exp(random.uniform(np.log(0.05), np.log(3))))
            worth *= -0.2 if random.random() < 0.05 and asset in listing.debts else 1
            transfers.append(DESK.deposit(pool, str(asset), f"{worth / prices[asset]:.6f}"))
            if listing.is_lender and random.random() < 0.8:
                debt = str(random.choice(listing.debts))
                owed = -abs(worth) * random.uniform(0.05, 1) / prices[debt]
                transfers.append(DESK.deposit(pool, debt, f"{owed:.6f}"))
    book = open_book(TABLE, *(f"account {k}" for k in range(accounts)), models=(choice_of(model),))
    return ExamBook(fold(book, (), isolated, orders, trades, transfers), market_at(prices))
