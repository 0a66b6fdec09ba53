"""An oracle of plimsoll.standard: slow, obvious, exact fractions, no line shared with the model.

It reads the rules' parameters from the table's text, walks every tier slice by slice and works
from what an account did (deposits and fills), not from the positions a ledger made of it.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "src/plimsoll/margin/venues/plimsoll_standard.toml"
BLOCKS = tomllib.loads(TABLE.read_text(), parse_float=Fraction)["table"]
PARAMS: dict[str, Any] = BLOCKS[-1]["params"]


@dataclass(frozen=True)
class Contract:
    """What is traded; ``payoff`` is spot, linear, inverse or quanto; ``tick`` the settle unit."""

    symbol: str
    payoff: str
    base: str
    quote: str
    settle: str
    multiplier: Fraction
    tick: Fraction

    def value(self, quantity: Fraction, price: Fraction) -> Fraction:
        """Worth of a quantity in the settle asset."""
        if self.payoff == "inverse":
            return -quantity * self.multiplier / price
        return quantity * self.multiplier * price

    def notional(self, quantity: Fraction, price: Fraction, index: dict[str, Fraction]) -> Fraction:
        """USD notional of a quantity at a price, >= 0."""
        if self.payoff == "inverse":
            return abs(quantity) * self.multiplier * index[self.quote]
        currency = self.settle if self.payoff == "quanto" else self.quote
        return abs(quantity) * self.multiplier * price * index[currency]


@dataclass(frozen=True)
class Fill:
    """A trade of the pool; the fee is in the settle asset."""

    contract: Contract
    quantity: Fraction
    price: Fraction
    fee: Fraction


@dataclass(frozen=True)
class Order:
    """An open order; quantity > 0 buys."""

    contract: Contract
    quantity: Fraction
    price: Fraction
    reduces: bool


@dataclass(frozen=True)
class Pool:
    """Everything that happened to a pool."""

    deposits: tuple[tuple[str, Fraction], ...]
    fills: tuple[Fill, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Verdict:
    """What the pool must hold, in USD; None where no rule says. ``turnover`` is the scale of the

    terms whose difference is equity, ``tiers`` the highest bracket reached by underlying.
    """

    status: str
    equity: Fraction
    collateral_value: Fraction
    turnover: Fraction
    charges: dict[str, tuple[Fraction, Fraction]] | None
    tiers: dict[str, int]

    @property
    def initial_margin(self) -> Fraction | None:
        """Sum of the charges."""
        return None if self.charges is None else total(i for i, _ in self.charges.values())

    @property
    def maintenance_margin(self) -> Fraction | None:
        """Sum of the charges."""
        return None if self.charges is None else total(m for _, m in self.charges.values())


def total(amounts: Iterable[Fraction]) -> Fraction:
    """Exact sum."""
    return sum(amounts, Fraction(0))


def walk(tiers: list[list[Any]], column: int, value: Fraction) -> Fraction:
    """Each slice of a value at the rate of its own tier."""
    amount = Fraction(0)
    for k, tier in enumerate(tiers):
        ceiling = tiers[k + 1][0] if k + 1 < len(tiers) else value
        amount += max(min(value, ceiling) - tier[0], 0) * tier[column]
    return amount


def slope_excess(
    tiers: list[list[Any]], column: int, slope: Fraction, side: Fraction, price: Fraction
) -> Fraction:
    """What the size-scaled rate on the whole side asks beyond the tiers."""
    if slope == 0 or side == 0:
        return Fraction(0)
    rate = min(tiers[0][column] + slope * side / price, 1)
    return max(side * rate - walk(tiers, column, side), 0)


def judge(pool: Pool, marks: dict[str, Fraction], index: dict[str, Fraction]) -> Verdict:
    """The verdict on one pool."""
    equity_in, turnover = asset_equity(pool, marks, index)
    equity = collateral = Fraction(0)
    for asset, amount in equity_in.items():
        value = amount * index[asset] if amount else Fraction(0)
        equity += value
        collateral += counted(asset, value)
    underlyings = sorted(
        {f.contract.base for f in pool.fills} | {o.contract.base for o in pool.orders}
    )
    lines: dict[str, list[Fraction]] = {}
    tiers = {}
    for base in underlyings:
        found = charge_underlying(pool, base, marks, index)
        if found is None:
            return Verdict("UNKNOWN", equity, collateral, turnover, None, {})
        charged, tiers[base] = found
        for name, pair in charged.items():
            sums = lines.setdefault(name, [Fraction(0), Fraction(0)])
            sums[0] += pair[0]
            sums[1] += pair[1]
    charges = {name: (initial, maintenance) for name, (initial, maintenance) in lines.items()}
    status = standing(equity, collateral, total(m for _, m in charges.values()))
    return Verdict(status, equity, collateral, turnover, charges, tiers)


def standing(equity: Fraction, collateral: Fraction, maintenance: Fraction) -> str:
    """The status of a pool whose every figure is known."""
    if equity < 0:
        return "BANKRUPT"
    if collateral < maintenance or (collateral == maintenance != 0):
        return "LIQUIDATABLE"
    called = maintenance > 0 and maintenance >= PARAMS["margin_call_ratio"] * collateral
    return "MARGIN_CALL" if called else "OK"


def asset_equity(
    pool: Pool, marks: dict[str, Fraction], index: dict[str, Fraction]
) -> tuple[dict[str, Fraction], Fraction]:
    """Equity by asset, and the USD turnover of all terms in it.

    What a fill cost was rounded to the settle asset's unit once, half to even, when it happened.
    """
    owned: dict[str, Fraction] = {}
    turnover = Fraction(0)

    def add(asset: str, amount: Fraction) -> None:
        nonlocal turnover
        owned[asset] = owned.get(asset, Fraction(0)) + amount
        turnover += abs(amount) * index[asset]

    held: dict[Contract, Fraction] = {}
    for asset, amount in pool.deposits:
        add(asset, amount)
    for fill in pool.fills:
        contract = fill.contract
        add(
            contract.settle,
            -round(contract.value(fill.quantity, fill.price) / contract.tick) * contract.tick,
        )
        add(contract.settle, -fill.fee)
        if contract.payoff == "spot":
            add(contract.base, fill.quantity)
        else:
            held[contract] = held.get(contract, Fraction(0)) + fill.quantity
    for contract, quantity in held.items():
        if quantity:
            add(contract.settle, contract.value(quantity, marks[contract.symbol]))
    return owned, turnover


def counted(asset: str, value: Fraction) -> Fraction:
    """Collateral value of an asset's equity in USD."""
    if value <= 0:
        return value
    tiers = PARAMS["haircuts"].get(asset)
    return value - walk(tiers, 1, value) if tiers else Fraction(0)


def charge_underlying(
    pool: Pool, base: str, marks: dict[str, Fraction], index: dict[str, Fraction]
) -> tuple[dict[str, tuple[Fraction, Fraction]], int] | None:
    """(initial, maintenance) by charge for one underlying and its bracket; None without a rule.

    Orders of an instrument close what is held in it before they open; what opens is valued at
    the average price of the orders on its side.
    """
    contracts = sorted(
        {e.contract for e in (*pool.fills, *pool.orders) if e.contract.base == base},
        key=lambda c: c.symbol,
    )
    zero = Fraction(0)
    long = short = all_bought = all_sold = gross = loss = lock = zero
    for contract in contracts:
        orders = [o for o in pool.orders if o.contract == contract and not o.reduces]
        if contract.payoff == "spot":
            for o in orders:
                if o.quantity > 0:
                    lock += o.quantity * o.price * index[contract.quote]
                else:
                    lock += -o.quantity * index[base]
            continue
        mark = marks[contract.symbol]
        held = total(f.quantity for f in pool.fills if f.contract == contract)
        notional = contract.notional(held, mark, index)
        gross += notional
        long += notional if held > 0 else 0
        short += notional if held < 0 else 0
        all_bought += notional if held > 0 else 0
        all_sold += notional if held < 0 else 0
        for o in orders:
            fill_profit = contract.value(o.quantity, mark) - contract.value(o.quantity, o.price)
            loss += max(-fill_profit, 0) * index[contract.settle]
        for sign in (1, -1):
            side = [o for o in orders if o.quantity * sign > 0]
            quantity = total(abs(o.quantity) for o in side)
            if quantity == 0:
                continue
            opening = max(quantity - max(-sign * held, 0), 0)
            at_limits = total(contract.notional(o.quantity, o.price, index) for o in side)
            opened = at_limits * opening / quantity
            if sign > 0:
                all_bought += opened
            else:
                all_sold += opened
    side, filled = max(long, short), max(all_bought, all_sold)
    tiers = PARAMS["brackets"].get(base)
    if tiers is None:
        if filled:
            return None
        tiers = [[0, zero, zero]]
    slope, fee_rate = PARAMS["size_slopes"].get(base, zero), PARAMS["fee_provision_rate"]
    price = index.get(base)
    tiered = [walk(tiers, column, side) for column in (2, 1)]
    size = [slope_excess(tiers, column, slope, side, price) for column in (2, 1)]
    after = walk(tiers, 2, filled) + slope_excess(tiers, 2, slope, filled, price)
    after += fee_rate * max(filled - side, 0)
    orders = max(after - tiered[0] - size[0], 0) + loss + lock
    fees = fee_rate * gross
    return {
        "tiered_notional": (tiered[0], tiered[1]),
        "size_scaled": (size[0], size[1]),
        "open_orders": (orders, zero),
        "fee_provision": (fees, fees),
    }, sum(1 for tier in tiers if side > tier[0])
