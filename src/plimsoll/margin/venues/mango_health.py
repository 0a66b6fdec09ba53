"""Mango v4's health as a pure function of columns: perpetuals into tokens, tokens into accounts.

One formula serves all kinds of health; they differ in the weights and prices of ``Sides``. A
liquidation that asks how much of something brings health to zero calls it, too: in every amount
health is piecewise linear, at the asset side above a balance of zero and the liability side below.
Source: rules of mango-v4 (health, spot order and perpetual contributions), in venue order.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by


@dataclass(frozen=True, slots=True)
class Sides:
    """What an amount is worth above zero (asset) and below (liability); rows of one kind.

    Weights are factors; prices are USD per unit for tokens, settle token per unit of base for
    perpetuals. NaN is unknown.
    """

    asset_weight: Floats
    liability_weight: Floats
    asset_price: Floats
    liability_price: Floats

    def take(self, rows: Int64s) -> "Sides":
        """The sides of some rows."""
        return Sides(
            self.asset_weight[rows],
            self.liability_weight[rows],
            self.asset_price[rows],
            self.liability_price[rows],
        )

    def worth(self, amount: Floats) -> Floats:
        """Weighted value of signed amounts, row by row; nothing is worth 0 at any price."""
        below = amount < 0
        weight = np.where(below, self.liability_weight, self.asset_weight)
        price = np.where(below, self.liability_price, self.asset_price)
        return times(amount, weight * price)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of accounts; ``balance`` in units, without profit and without orders' reserves."""

    pool: Int64s
    balance: Floats
    sides: Sides


@dataclass(frozen=True, slots=True)
class Perps:
    """Positions in perpetuals; ``token`` is the row of the settle token among the tokens.

    ``quantity`` (signed), ``bids`` and ``asks`` (>= 0) are units of the base, ``quote`` is the
    settle token's side of the position: what was got less what was paid, funding included.
    ``overall_weight`` is the share of a profit that counts.
    """

    token: Int64s
    quantity: Floats
    quote: Floats
    bids: Floats
    asks: Floats
    overall_weight: Floats
    sides: Sides


@dataclass(frozen=True, slots=True)
class SpotOrders:
    """Spot markets with open orders; ``base`` and ``quote`` are rows of the tokens.

    Reserves are units that sell orders (base) and buy orders (quote) hold, >= 0.
    ``highest_bid`` and ``lowest_ask`` are quote per base; NaN where it is not known.
    """

    base: Int64s
    quote: Int64s
    reserved_base: Floats
    reserved_quote: Floats
    highest_bid: Floats
    lowest_ask: Floats


@dataclass(frozen=True, slots=True)
class Health:
    """Health and what it is made of.

    ``profit`` by perpetual, in its settle token; ``balance`` by token, with those profits in
    it; ``token_value`` by token and ``order_value`` by spot market, USD; ``total`` by pool, USD.
    """

    profit: Floats
    balance: Floats
    token_value: Floats
    order_value: Floats
    total: Floats


def health(tokens: Tokens, perps: Perps, orders: SpotOrders, pools: int) -> Health:
    """Health of ``pools`` accounts at the weights and prices of the columns."""
    profit = perp_profit(perps)
    balance = tokens.balance + sum_by(perps.token, profit, tokens.balance.size)
    token_value = tokens.sides.worth(balance)
    order_value = spot_order_value(tokens, balance, orders)
    total = sum_by(tokens.pool, token_value, pools)
    total = total + sum_by(tokens.pool[orders.quote], order_value, pools)
    return Health(profit, balance, token_value, order_value, total)


def perp_profit(perps: Perps) -> Floats:
    """What each perpetual adds to its settle token, in that token's units.

    The quote side, the worse of all bids or all asks filling at the price of their side, the
    base weighted; of a profit the overall weight counts, of a loss all.
    """
    sides = perps.sides
    bids = sides.worth(perps.quantity + perps.bids) - times(perps.bids, sides.liability_price)
    asks = sides.worth(perps.quantity - perps.asks) + times(perps.asks, sides.asset_price)
    unweighted = perps.quote + np.minimum(bids, asks)
    return np.where(unweighted > 0, unweighted * perps.overall_weight, unweighted)


def spot_order_value(tokens: Tokens, balance: Floats, orders: SpotOrders) -> Floats:
    """What each market's reserves are worth to health at least, USD >= 0.

    All of a market's reserves end as base or all as quote, whichever is worth less, as if every
    other market had already filled into the same token. No joint outcome, in which each market
    fills its buys or its sells or nothing, undercuts the sum. ``balance`` is by token, profits
    in it.
    """
    base, quote = tokens.sides.take(orders.base), tokens.sides.take(orders.quote)
    with np.errstate(divide="ignore", invalid="ignore"):
        bought = times(orders.reserved_quote, quote.asset_price / base.liability_price)
        bought = _least(bought, times(orders.reserved_quote, 1.0 / orders.highest_bid))
        sold = times(orders.reserved_base, base.asset_price / quote.liability_price)
    sold = _least(sold, times(orders.reserved_base, orders.lowest_ask))
    as_base, as_quote = orders.reserved_base + bought, orders.reserved_quote + sold
    rows = np.concatenate([orders.base, orders.quote])
    highest = balance + sum_by(rows, np.concatenate([as_base, as_quote]), balance.size)
    found = np.minimum(
        _effect(base, highest[orders.base], as_base),
        _effect(quote, highest[orders.quote], as_quote),
    )
    return np.where((as_base == 0) | (as_quote == 0), 0.0, found)


def weighted_liabilities(tokens: Tokens, perps: Perps, found: Health, pools: int) -> Floats:
    """Weighted debts and losses of each pool, USD >= 0; health over them is the health ratio.

    A loss counts in full beside a deposit in its settle token that makes up for it.
    """
    lost = sum_by(perps.token, np.maximum(-found.profit, 0.0), tokens.balance.size)
    owed = np.maximum(-tokens.balance, 0.0) + lost
    each = tokens.sides.liability_weight * tokens.sides.liability_price
    return sum_by(tokens.pool, times(owed, each), pools)


def assets_and_liabilities(
    tokens: Tokens, perps: Perps, orders: SpotOrders, pools: int
) -> tuple[Floats, Floats]:
    """Both sides of each pool's balance sheet at asset prices, unweighted, USD >= 0.

    A perpetual is two entries, its base and its quote side.
    """
    price = tokens.sides.asset_price
    settle = price[perps.token]
    base = times(perps.quantity, perps.sides.asset_price)
    entries = (
        (tokens.pool, times(tokens.balance, price)),
        (tokens.pool[orders.base], times(orders.reserved_base, price[orders.base])),
        (tokens.pool[orders.quote], times(orders.reserved_quote, price[orders.quote])),
        (tokens.pool[perps.token], times(perps.quote, settle)),
        (tokens.pool[perps.token], times(base, settle)),
    )
    owned, owed = np.zeros(pools), np.zeros(pools)
    for pool, value in entries:
        owned += sum_by(pool, np.maximum(value, 0.0), pools)
        owed += sum_by(pool, np.maximum(-value, 0.0), pools)
    return owned, owed


def leverage(assets: Floats, liabilities: Floats) -> Floats:
    """Liabilities over equity; 0 without liabilities, infinite where they leave no equity."""
    equity = assets - liabilities
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(equity <= 0, np.inf, liabilities / equity)
    return np.where(liabilities == 0, 0.0, found)


def times(amount: Floats, each: Floats) -> Floats:
    """Product in which an amount of zero is zero, even of something unknown."""
    return np.where(amount == 0, 0.0, amount * each)


def _least(amount: Floats, known: Floats) -> Floats:
    """The lower of two amounts where the second is known, else the first."""
    return np.where(np.isnan(known), amount, np.minimum(amount, known))


def _effect(sides: Sides, highest: Floats, amount: Floats) -> Floats:
    """What ``amount`` added last, up to the balance ``highest``, adds to health, USD."""
    above = np.where(highest >= amount, amount, np.where(highest < 0, 0.0, highest))
    asset = times(above, sides.asset_weight * sides.asset_price)
    return asset + times(amount - above, sides.liability_weight * sides.liability_price)
