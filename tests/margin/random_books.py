"""Seeded random books, each with the market it is judged at and the story the oracle reads.

Books are made by ``ledger.apply`` alone. Sizes span eight orders of magnitude and collateral
three around what the positions need, so that every tier and every status occurs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from plimsoll.book import Book
from plimsoll.core import stream
from plimsoll.instruments import Kind
from plimsoll.market import Market
from tests.book.builders import Desk, fold, market_of, open_book, table_of
from tests.margin.oracle import Contract, Fill, Order, Pool

MULTIPLIERS = {
    "BTC/USDT:USDT": "0.001",
    "ETH/USDT:USDT": "0.01",
    "SOL/USDT:USDT": "1",
    "DOGE/USDT:USDT": "100",
    "ICP/USDT:USDT": "1",
    "BTC/USDC:USDC": "0.001",
    "ETH/USDC:USDC": "1",
    "BTC/USDT:USDT-261225": "0.001",
    "BTC/USD:BTC": "100",
    "ETH/USD:ETH": "10",
    "BTC/USD:BTC-261225": "100",
    "ETH/USD:ETH-261225": "10",
    "ETH/USD:BTC": "0.000001",
    "MOON/USDT:USDT": "1",
    "BTC/USDT": "1",
    "ETH/USDC": "1",
    "MOON/USDT": "1",
    "DEAD/USDT:USDT": "1",
}
DECIMALS = {"USDT": 6, "USDC": 6, "USD": 6, "BTC": 8, "ETH": 8, "SOL": 8, "DOGE": 6, "MOON": 6}
DECIMALS |= {"ICP": 6, "LUNC": 6}
INDEX = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0, "DOGE": 0.2, "ICP": 8.0, "MOON": 0.05}
INDEX |= {"USDT": 1.0, "USDC": 1.0, "USD": 1.0, "LUNC": 0.0001}
COLLATERAL = ("USDT", "USDT", "USDC", "USD", "BTC", "ETH", "SOL", "DOGE", "MOON", "LUNC")

TABLE = table_of(MULTIPLIERS, DECIMALS)
DESK = Desk(TABLE)
CONTRACTS = tuple(
    Contract(
        row.symbol,
        "spot" if row.kind == Kind.SPOT else row.payoff.name.lower(),
        row.base,
        row.quote,
        row.settle,
        Fraction(row.contract_multiplier),
        Fraction(1, 10 ** DECIMALS[row.settle]),
    )
    for row in TABLE.rows
    if row.base != "DEAD"  # listed, never priced, held by nobody
)


@dataclass(frozen=True)
class RandomBook:
    """A book, its market, and per pool (from pool 5 on) what the oracle is told."""

    book: Book
    market: Market
    marks: dict[str, Fraction]
    index: dict[str, Fraction]
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Draw:
    """Random figures at one market, as texts that books and oracle both take."""

    random: np.random.Generator
    marks: dict[str, float]
    index: dict[str, float]
    sound: bool

    def among(self, *choices: int) -> int:
        """One of the choices."""
        return int(self.random.choice(choices))

    def scale(self, low: float, high: float) -> float:
        """Log-uniform between two bounds."""
        return float(np.exp(self.random.uniform(np.log(low), np.log(high))))

    def price(self, symbol: str, spread: float) -> str:
        """A price within a spread around the mark."""
        return f"{self.marks[symbol] * np.exp(self.random.uniform(-spread, spread)):.6f}"

    def quantity(self, contract: Contract, usd: float) -> str:
        """Signed contracts worth about ``usd``, at least the smallest quantity."""
        size = float(contract.multiplier)
        if contract.payoff == "inverse":
            each = size * self.index[contract.quote]
        else:
            money = contract.settle if contract.payoff == "quanto" else contract.quote
            each = size * self.marks[contract.symbol] * self.index[money]
        amount = max(round(usd / each, 4), 0.0001)
        return f"{amount if self.random.random() < 0.55 else -amount:.4f}"


def draw_prices(random: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Marks and indices: coins anywhere within a factor of two, stablecoins near one."""
    index = {
        asset: level
        * float(np.exp(random.uniform(-0.02, 0.02) if level == 1 else random.normal(0, 0.3)))
        for asset, level in INDEX.items()
    } | {"USD": 1.0}
    marks = {
        c.symbol: index[c.base] / index[c.quote] * float(np.exp(random.uniform(-0.01, 0.01)))
        for c in CONTRACTS
    }
    return marks, index


def draw_fills(draw: Draw, usd: float, count: int, lone: bool) -> Iterator[tuple[Fill, tuple]]:
    """Fills and their rows, pool left 0; a contract may be filled again, closed or flipped."""
    derivative = [c for c in CONTRACTS if c.payoff != "spot" and c.base != "MOON"]
    spot = [c for c in CONTRACTS if c.payoff == "spot"]
    unruled = spot if draw.sound else [c for c in CONTRACTS if c.symbol == "MOON/USDT:USDT"]
    contract = None
    for _ in range(count):
        kind = draw.random.random()
        choices = derivative if kind < 0.93 or lone else spot if kind < 0.99 else unruled
        if contract is None or (not lone and draw.random.random() < 0.6):
            contract = choices[int(draw.random.integers(len(choices)))]
        quantity = draw.quantity(contract, usd * draw.scale(0.05, 1))
        price = draw.price(contract.symbol, draw.scale(0.001, 0.2))
        value = abs(contract.value(Fraction(Decimal(quantity)), Fraction(Decimal(price))))
        fee = f"{float(value) * 0.0004:.6f}"
        fill = Fill(contract, Fraction(quantity), Fraction(price), Fraction(fee))
        yield fill, DESK.trade(0, contract.symbol, quantity, price, fee)


def draw_orders(draw: Draw, usd: float, fills: list[Fill]) -> Iterator[tuple[Order, tuple]]:
    """Orders and their rows, half of them on contracts that are held."""
    held = [fill.contract for fill in fills]
    for k in range(draw.among(0, 0, 1, 2, 5)):
        choices = held if held and draw.random.random() < 0.5 else CONTRACTS[:13] + CONTRACTS[14:16]
        contract = choices[int(draw.random.integers(len(choices)))]
        quantity = draw.quantity(contract, usd * draw.scale(0.01, 2))
        price, reduces = draw.price(contract.symbol, 0.05), bool(draw.random.random() < 0.15)
        order = Order(contract, Fraction(quantity), Fraction(price), reduces)
        yield order, DESK.order(0, 100 - k, contract.symbol, quantity, price, reduces)


def draw_deposits(draw: Draw, usd: float) -> Iterator[tuple[tuple[str, Fraction], tuple]]:
    """Deposits and their rows; now and then a debt."""
    for _ in range(draw.among(1, 1, 2, 4)):
        asset = COLLATERAL[int(draw.random.integers(len(COLLATERAL)))]
        worth = usd * draw.scale(0.005, 2) * (-0.2 if draw.random.random() < 0.1 else 1)
        amount = f"{min(max(worth / draw.index[asset], -1e11), 1e11):.6f}"
        yield (asset, Fraction(amount)), DESK.deposit(0, asset, amount)


def random_book(seed: int, accounts: int | None = None, sound: bool = False) -> RandomBook:
    """The book of a seed: one to three accounts, or as many as asked for.

    A sound one holds no contract that the house model has no rule for.
    """
    random = stream(seed, "random book")
    draw = Draw(random, *draw_prices(random), sound)
    count = accounts if accounts is not None else draw.among(1, 2, 3)
    isolated = tuple(sorted(int(a) for a in random.integers(count, size=count // 2)))
    book = open_book(TABLE, *(f"account {k}" for k in range(count)))
    pools, orders, trades, transfers = [], [], [], []
    for number in range(count + len(isolated)):
        usd = draw.scale(30, 3e9)
        lone = number >= count
        filled = list(draw_fills(draw, usd, draw.among(0, 1, 2, 3, 6), lone))
        placed = list(draw_orders(draw, usd, [fill for fill, _ in filled]))
        paid = list(draw_deposits(draw, usd))
        pools.append(
            Pool(
                tuple(deposit for deposit, _ in paid),
                tuple(fill for fill, _ in filled),
                tuple(order for order, _ in placed),
            )
        )
        trades += [(5 + number, *row[1:]) for _, row in filled]
        orders += [(5 + number, *row[1:]) for _, row in placed]
        transfers += [(row[0], 5 + number, *row[2:]) for _, row in paid]
    shuffled = [orders[k] for k in random.permutation(len(orders))]
    book = fold(book, (), isolated, shuffled, trades, transfers)
    return RandomBook(
        book,
        market_of(TABLE, draw.marks, draw.index),
        {symbol: Fraction(price) for symbol, price in draw.marks.items()},
        {asset: Fraction(price) for asset, price in draw.index.items()},
        tuple(pools),
    )
