"""What Vega's three margin rules share: the terms of a market, its units, what a party holds.

1. A market trades whole units of size, 10^position decimals to a contract, and counts money in
   whole units of its settlement asset, 10^decimals to a coin. Prices are in units of money, too.
2. Risk factors are stated, or follow from a lognormal model of the price over tau years:
   long = 1 - e^(mu tau) N(N^-1(lambda) - s) / lambda, short = e^(mu tau) N(s - N^-1(1 - lambda)) /
   lambda - 1, with s = sigma sqrt(tau) and lambda the risk aversion. They are the expected loss,
   per unit of price, of the worst lambda of outcomes. The rate r, which a market states, too, does
   not enter.
3. In an auction orders count at the auction price, the higher of mark and indicative uncrossing
   price, where that is more than at their limits. ``indicative_price`` names a market in an
   auction; 0 there says that nothing would uncross yet.
4. Only linear perpetuals and futures have a rule. A market that the parameters do not list, or a
   perpetual whose accrued funding they do not state although it is charged, is unknown.

Sources: vegaprotocol/specs, 0018-RSKM, 0019-MCAL; vegaprotocol/vega at commit a50750cc
(2024-10-22), tests in core/risk and core/integration/features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from math import exp, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, did_you_mean, sum_by
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff
from plimsoll.margin.arithmetic import EXACT, FLOAT, Arithmetic, Numbers, choose
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.parameters import asset_column, find_entry, instrument_column, number
from plimsoll.market import Market

FRACTION_DIGITS = 18
"""Decimals of a risk or slippage factor in exact arithmetic."""
LEVEL_DIGITS = 5
"""Decimals of the factors that scale maintenance to the other levels; what is beyond is cut."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a market charges; columns or single numbers.

    The factors are in units of 1 / ``one``, which is 10^18 exact and 1 in floats; sizes are in
    units of 1 / ``position_factor`` contracts.
    """

    long: Numbers
    short: Numbers
    linear: Numbers
    quadratic: Numbers
    one: Numbers
    position_factor: Numbers

    def of(self, rows: Any) -> "Terms":
        """The terms of some rows of the columns."""
        return Terms(
            self.long[rows], self.short[rows], self.linear[rows], self.quadratic[rows],
            self.one[rows], self.position_factor[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Units:
    """How sizes and money of each instrument are counted: multiples of contracts and of coins.

    Both scales are 1 in floats; NaN where they are not known.
    """

    arithmetic: Arithmetic
    size_scale: Floats
    money_scale: Floats


@dataclass(frozen=True, slots=True)
class Orders:
    """Open orders one by one: the row of ``Holdings``, side, size > 0 and limit price."""

    row: Int64s
    is_buy: Bools
    size: Numbers
    price: Numbers


@dataclass(frozen=True, slots=True)
class Holdings:
    """Positions and orders of the slots that hold something and are known, one row each.

    ``slot`` says which slot a row is, ``is_unknown`` which slots hold something that no rule
    covers. ``position`` is signed, ``buys`` and ``sells`` are sizes, ``buy_value`` and
    ``sell_value`` sizes × limit prices, ``price`` the mark; all in the arithmetic's units.
    """

    slot: Int64s
    is_unknown: Bools
    position: Numbers
    price: Numbers
    buys: Numbers
    sells: Numbers
    buy_value: Numbers
    sell_value: Numbers
    orders: Orders


def lognormal_factors(
    risk_aversion: float, tau: float, mu: float, sigma: float
) -> tuple[float, float]:
    """Risk factors of a long and a short position under lognormal prices.

    ``risk_aversion`` is a probability within (0, 1), ``tau`` in years, ``mu`` and ``sigma`` a
    year.
    """
    normal = NormalDist()
    deviation, growth = sigma * sqrt(tau), exp(mu * tau)
    low, high = normal.inv_cdf(risk_aversion), normal.inv_cdf(1 - risk_aversion)
    return (
        1 - growth * normal.cdf(low - deviation) / risk_aversion,
        growth * normal.cdf(deviation - high) / risk_aversion - 1,
    )


def decimal_units(value: float, digits: int) -> int:
    """A decimal in whole units of 10^-digits, digits beyond cut off: as it is written, exact."""
    return int(Decimal(repr(value)).scaleb(digits).to_integral_value(ROUND_DOWN))


def larger(left: Numbers, right: Numbers) -> Numbers:
    """The larger of two, elementwise; integers of any size, too."""
    return choose(left > right, left, right)


def order_value(
    size: Numbers, limit_value: Numbers, mark: Numbers, auction_price: Numbers
) -> Numbers:
    """What one side's orders count as, size × price; ``auction_price`` is 0 outside auctions.

    ``limit_value`` is the sum of size × limit price.
    """
    auctioned = larger(limit_value, size * auction_price)
    return choose(auction_price > 0, auctioned, size * mark)


def read_arithmetic(params: Mapping[str, Any], place: str) -> Arithmetic:
    """Floats, or the protocol's integers."""
    if params["arithmetic"] not in ("float", "exact"):
        problem = f"{params['arithmetic']!r} is no arithmetic"
        raise InputError(f"{place}.arithmetic", problem, "write 'float' or 'exact'")
    return EXACT if params["arithmetic"] == "exact" else FLOAT


def read_market(
    params: Mapping[str, Any], row: Instrument, known: tuple[str, ...], place: str
) -> Mapping[str, Any] | None:
    """The entry of a linear perpetual or future in ``markets``; None where there is none."""
    entry = find_entry(params["markets"], row)
    if entry is None or row.payoff != Payoff.LINEAR or row.kind not in (
        Kind.PERPETUAL, Kind.FUTURE,
    ):  # fmt: skip
        return None
    where = f"{place}.markets.{row.symbol}"
    if not isinstance(entry, Mapping):
        raise InputError(where, f"{entry!r} is no market", "give its figures by name")
    for name in entry:
        if name not in known:
            raise InputError(where, f"unknown figure '{name}'", did_you_mean(name, known))
    return entry


def figure(entry: Mapping[str, Any], name: str, place: str, low: float = 0.0) -> float:
    """A figure that a market must state; InputError naming it where it does not."""
    if name not in entry:
        raise InputError(place, f"{name} is missing", "state it")
    return number(entry[name], f"{place}.{name}", low)


def resolve_units(
    params: Mapping[str, Any], instruments: InstrumentTable, known: tuple[str, ...], place: str
) -> Units:
    """Scales of sizes and money; exact arithmetic needs the decimals of markets and assets."""
    arithmetic = read_arithmetic(params, place)
    size, money = np.ones(len(instruments)), np.ones(len(instruments))
    if arithmetic.is_exact:
        names = instruments.assets.names
        decimals = asset_column(params["decimals"], names, f"{place}.decimals", 0, 18)
        money = 10.0 ** decimals[instruments.settle]
        for i, row in enumerate(instruments.rows):
            entry = read_market(params, row, known, place)
            where = f"{place}.markets.{row.symbol}"
            digits = np.nan if entry is None else figure(entry, "position_decimals", where, -18)
            # Below zero the protocol trades tens or hundreds of contracts: whole ones count those.
            size[i] = 10.0 ** max(digits, 0.0)
    return Units(arithmetic, size, money)


def position_factors(units: Units) -> Numbers:
    """Units of size in a contract, by instrument; unknown ones are 1 and must not be used."""
    return units.arithmetic.numbers(np.where(np.isnan(units.size_scale), 1.0, units.size_scale))


def cut_decimals(arithmetic: Arithmetic, column: Floats, digits: int) -> Numbers:
    """A column of decimals in units of 10^-digits, exact, or as it is; 0 where unknown."""
    known = np.where(np.isnan(column), 0.0, column)
    if not arithmetic.is_exact:
        return known
    return arithmetic.numbers([decimal_units(float(value), digits) for value in known])


def cut_products(units: Units, factor: Floats, coins: Floats) -> Numbers:
    """factor × coins by instrument, in money × 10^18, exact, or as it is; 0 where unknown."""
    known = np.isfinite(factor) & np.isfinite(coins) & np.isfinite(units.money_scale)
    if not units.arithmetic.is_exact:
        return np.where(known, factor * coins, 0.0)
    return units.arithmetic.numbers(
        [
            decimal_units(float(f), FRACTION_DIGITS) * decimal_units(float(c), FRACTION_DIGITS)
            * int(scale) // 10**FRACTION_DIGITS if is_known else 0
            for f, c, scale, is_known in zip(factor, coins, units.money_scale, known, strict=True)
        ]
    )  # fmt: skip


def level_factors(
    params: Mapping[str, Any], name: str, instruments: InstrumentTable, place: str
) -> Numbers:
    """Factors of a level in units of 10^-5, by instrument, cut as the protocol cuts them."""
    column = instrument_column(params[name], instruments, f"{place}.{name}", 1)
    return read_arithmetic(params, place).numbers(cut_decimals(EXACT, column, LEVEL_DIGITS))


def hold(exposure: Exposure, market: Market, units: Units, is_listed: Bools) -> Holdings:
    """What all pools hold in markets that are listed and priced."""
    orders, held = exposure.orders, exposure.layout.slot_instrument
    live = np.flatnonzero(~orders.is_reduce_only & (orders.quantity != 0))
    is_active = exposure.quantity != 0
    is_active[orders.slot[live]] = True
    is_known = is_active & (is_listed & np.isfinite(market.mark))[held]
    slot = np.flatnonzero(is_known).astype(np.int64)
    row_of = np.cumsum(is_known) - 1
    live = live[is_known[orders.slot[live]]]
    i, j = held[slot], held[orders.slot[live]]

    def whole(values: Floats) -> Numbers:
        return units.arithmetic.numbers(np.rint(values) if units.arithmetic.is_exact else values)

    per_contract = exposure.instruments.multiplier * units.size_scale
    size = whole(np.abs(orders.quantity[live]) * per_contract[j])
    limit = whole(orders.price[live] * units.money_scale[j])
    row, is_buy = row_of[orders.slot[live]], orders.quantity[live] > 0

    def added(values: Numbers, rows: Any) -> Numbers:
        return sum_rows(units.arithmetic, row[rows], values[rows], slot.size)

    return Holdings(
        slot, is_active & ~is_known,
        position=whole(exposure.quantity[slot] * per_contract[i]),
        price=whole(market.mark[i] * units.money_scale[i]),
        buys=added(size, is_buy), sells=added(size, ~is_buy),
        buy_value=added(size * limit, is_buy), sell_value=added(size * limit, ~is_buy),
        orders=Orders(row, is_buy, size, limit),
    )  # fmt: skip


def sum_rows(arithmetic: Arithmetic, ids: Int64s, values: Numbers, count: int) -> Numbers:
    """Sum of ``values`` by id, in order of the rows, shape [count]."""
    if not arithmetic.is_exact:
        return sum_by(ids, values, count)
    out = arithmetic.numbers(np.zeros(count))
    np.add.at(out, ids, values)
    return out


def in_asset(exposure: Exposure, units: Units, holdings: Holdings, values: Numbers) -> Floats:
    """Money of ``Holdings`` rows in coins of the settle asset, by slot; NaN where unknown."""
    out = np.where(holdings.is_unknown, np.nan, 0.0)
    scale = units.money_scale[exposure.layout.slot_instrument[holdings.slot]]
    out[holdings.slot] = np.asarray(values, dtype=np.float64) / scale
    return out


def in_usd(exposure: Exposure, market: Market, coins: Floats) -> Floats:
    """Coins of each slot's settle asset in USD; a slot without any needs no price."""
    settle = exposure.instruments.settle[exposure.layout.slot_instrument]
    return np.where(coins == 0, 0.0, coins * market.index[settle])
