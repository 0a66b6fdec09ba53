"""hyperliquid.cross: perpetuals on Hyperliquid, cross and isolated.

1. Collateral. Cash in USDC and unrealised profit count in full. Other assets back nothing,
   but what is owed in them counts.
2. Initial margin = notional at mark / the leverage selected for the coin, which may not exceed
   the coin's maximum. An order reserves its notional / leverage as far as it adds exposure.
3. Maintenance margin = notional × rate - deduction by margin tier; the rate is half of the
   initial margin at the tier's maximum leverage, the deduction makes it continuous.
4. A cross pool holds all cross positions, an isolated one a single position and its margin.
5. Liquidation price: the mark at which the pool's value meets its maintenance margin, all other
   marks held; the margin of the position itself moves with it, through the tier it then has.
   (At first it did not: a table says so by ``maintenance_follows_price``.) No price where the
   result is not above zero. Below ``backstop_share`` of the maintenance margin the positions go
   to the backstop vault.
6. Withdrawable = max(0, value - max(initial margin, ``transfer_floor`` × notional)).
7. Portfolio margin (alpha) lends price × loan-to-value against a balance, and falls back to
   these rules where its caps are reached; it is liquidated half way between loan-to-value and 1.

Only linear perpetuals have rules here; a pool that holds or orders anything else, spot
included, or a coin without tiers, is UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    MarginalTiers,
    listed_assets,
    listed_collateral,
    schedules,
    slot_pool,
    sum_segmented,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import find_entry, instrument_column, number
from plimsoll.margin.position_prices import linear_price
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters over instruments: an empty schedule and a NaN leverage where there is no rule.

    ``tiers`` are in the settle asset. ``is_collateral`` is over assets.
    """

    tiers: MarginalTiers
    leverage: Floats
    is_collateral: Bools
    transfer_floor: float
    backstop_share: float
    maintenance_follows_price: bool


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    follows = params["maintenance_follows_price"]
    if not isinstance(follows, bool):
        where = f"{place}.maintenance_follows_price"
        raise InputError(where, f"{follows!r} is no truth value", "write true or false")
    listed = {row.symbol: _leverage_tiers(params, row, place) for row in instruments.rows}
    rates = {
        symbol: [[floor, 0.5 / leverage] for floor, leverage in tiers]
        for symbol, tiers in listed.items()
    }
    highest = np.array([max((lev for _, lev in t), default=np.nan) for t in listed.values()])
    chosen = instrument_column(params["leverage"], instruments, f"{place}.leverage", low=1.0)
    names = instruments.assets.names
    return Params(
        tiers=schedules(rates, instruments.symbols, 1, f"{place}.tiers"),
        leverage=np.fmin(chosen, highest) + 0.0 * highest,
        is_collateral=listed_assets(params["collateral"], names, f"{place}.collateral"),
        transfer_floor=number(params["transfer_floor"], f"{place}.transfer_floor", high=1.0),
        backstop_share=number(params["backstop_share"], f"{place}.backstop_share", high=1.0),
        maintenance_follows_price=follows,
    )


def _leverage_tiers(
    params: Mapping[str, Any], row: Instrument, place: str
) -> tuple[tuple[float, float], ...]:
    """(floor, maximum leverage) of a contract; none where it has no rule.

    A maximum that an account states for a coin wins over tiers that know no such leverage.
    """
    if row.kind != Kind.PERPETUAL or row.payoff != Payoff.LINEAR or row.leg:
        return ()
    where = f"{place}.tiers.{row.symbol}"
    listed = find_entry(params["tiers"], row)
    tiers = tuple(_tier(tier, where) for tier in listed or ())
    stated = find_entry(params["max_leverage"], row)
    if stated is None:
        return tiers
    highest = number(stated, f"{place}.max_leverage.{row.symbol}", low=1.0)
    return tiers if any(lev == highest for _, lev in tiers) else ((0.0, highest),)


def _tier(tier: object, place: str) -> tuple[float, float]:
    if not isinstance(tier, Sequence) or len(tier) != 2:
        raise InputError(place, f"{tier!r} is no tier", "give [floor, maximum leverage]")
    return number(tier[0], place), number(tier[1], place, low=1.0)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout, table = exposure.layout, exposure.instruments
    held = layout.slot_instrument
    cash = listed_collateral(exposure, params.is_collateral)
    usd = market.index[table.settle][held]
    idle = exposure.quantity == 0
    # In the settle asset first, as the tiers are; then in USD.
    amount = np.where(idle, 0.0, np.abs(exposure.quantity * exposure.contract_value[held]))
    notional = np.where(idle, 0.0, amount * usd)
    maintenance = np.where(idle, 0.0, params.tiers.amount(held, amount) * usd)
    leverage = params.leverage[held]
    initial = np.where(idle, 0.0, np.maximum(notional / leverage, maintenance))
    opening = _opening_notional(exposure)
    reserved = np.where(opening == 0, 0.0, opening / leverage)

    def by_pool(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, values)

    # Spot has a wallet of its own, of which nothing is known here.
    spot = np.where(exposure.spot_reserve == 0, 0.0, np.nan)
    ordered = by_pool(reserved) + sum_segmented(layout.group_offsets, spot)
    charges = (
        Charge("positions", by_pool(initial), by_pool(maintenance)),
        Charge("open_orders", ordered, np.zeros(cash.equity.size)),
    )
    positions = Detail(
        "position_margins", layout.slot_offsets, held,
        (("notional", notional), ("leverage", leverage),
         *_shown_margins(exposure, cash.counted, initial, usd),
         ("maintenance_margin", maintenance), ("order_margin", reserved)),
        by_instrument=True,
    )  # fmt: skip
    partial = Requirement(cash.equity, cash.counted, charges, ())
    account = _account(exposure, partial, by_pool(notional), params)
    return Requirement(cash.equity, cash.counted, charges, (cash.detail, positions, account))


def _opening_notional(exposure: Exposure) -> Floats:
    """Notional of orders at their limits as far as they add exposure, USD by slot."""

    def opens(orders: Floats, opposite: Floats, notional: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.maximum(orders - opposite, 0.0) / orders
            return np.where(orders == 0, 0.0, notional * share)

    short, long = np.maximum(-exposure.quantity, 0.0), np.maximum(exposure.quantity, 0.0)
    return opens(exposure.buys, short, exposure.buy_notional) + opens(
        exposure.sells, long, exposure.sell_notional
    )


def _shown_margins(
    exposure: Exposure, value: Floats, initial: Floats, usd: Floats
) -> tuple[tuple[str, Floats], ...]:
    """Margin used as the venue shows it, and the profit on it.

    An isolated position uses all its margin with its profit, and earns on what was posted; a
    cross one uses its initial margin.
    """
    pool = slot_pool(exposure)
    isolated, idle = exposure.is_isolated[pool], exposure.quantity == 0
    held = exposure.layout.slot_instrument
    profit = (exposure.quantity * exposure.contract_value[held] - exposure.cost) * usd
    profit = np.where(idle, 0.0, profit)
    used = np.where(isolated & ~idle, value[pool], initial)
    with np.errstate(divide="ignore", invalid="ignore"):
        earned = np.where(idle, 0.0, profit / np.where(isolated, used - profit, used))
    return ("margin_used", used), ("return_on_equity", earned)


def withdrawable(
    account_value: Floats, initial_margin: Floats, notional: Floats, transfer_floor: float
) -> Floats:
    """What may leave the account, in its currency, elementwise; NaN stays NaN.

    ``initial_margin`` includes what orders reserve; ``transfer_floor`` is a fraction of notional.
    """
    kept = np.maximum(initial_margin, transfer_floor * notional)
    return np.maximum(account_value - kept, 0.0)


def borrowable(balance: Floats, price: Floats, loan_to_value: Floats) -> Floats:
    """What portfolio margin lends against a balance, in USD, before caps. Source: FAQ."""
    return balance * price * loan_to_value


def liquidation_threshold(loan_to_value: Floats) -> Floats:
    """Share of a balance's value that backs a loan before it is liquidated: 0.75 for 0.5."""
    return 0.5 + 0.5 * loan_to_value


def _account(
    exposure: Exposure, requirement: Requirement, notional: Floats, params: Params
) -> Detail:
    """The pool's own figures, on the row of its cash."""
    layout = exposure.layout
    pool = np.repeat(np.arange(notional.size), np.diff(layout.cell_offsets))
    value, initial = requirement.collateral_value, requirement.initial_margin
    columns = (
        ("account_value", value),
        ("notional", notional),
        ("transfer_requirement", np.maximum(initial, params.transfer_floor * notional)),
        ("withdrawable", withdrawable(value, initial, notional, params.transfer_floor)),
        ("backstop_level", params.backstop_share * requirement.maintenance_margin),
    )
    return Detail(
        "account", layout.cell_offsets, layout.cell_asset,
        tuple((name, column[pool]) for name, column in columns),
    )  # fmt: skip


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """The venue's liquidation price of each position; bankruptcy where the pool's value is gone."""
    held, pool = exposure.layout.slot_instrument, slot_pool(exposure)
    table = exposure.instruments
    usd, mark = market.index[table.settle][held], market.mark[held]
    coins = exposure.quantity * table.multiplier[held]
    value = requirement.collateral_value[pool] / usd
    others = requirement.maintenance_margin[pool] / usd
    nothing = np.zeros(coins.size)
    bankruptcy = linear_price(coins, mark, value, nothing, nothing)
    if not params.maintenance_follows_price:
        return PositionPrices(
            linear_price(coins, mark, value - others, nothing, nothing), bankruptcy
        )
    own = np.where(coins == 0, 0.0, params.tiers.amount(held, np.abs(coins * mark)))
    return PositionPrices(
        _price_over_tiers(params.tiers, exposure, coins, mark, value - others + own), bankruptcy
    )


def _price_over_tiers(
    tiers: MarginalTiers, exposure: Exposure, coins: Floats, mark: Floats, margin: Floats
) -> Floats:
    """Where margin + coins × (p - mark) meets the tiered margin of |coins| × p; NaN for none."""
    held = exposure.layout.slot_instrument
    first, end = tiers.offsets[held], tiers.offsets[held + 1]
    found = np.full(coins.size, np.nan)
    for step in range(int(np.diff(tiers.offsets).max(initial=0))):
        here = first + step < end
        row = np.where(here, first + step, 0)
        is_last = first + step + 1 >= end
        ceiling = np.where(is_last, np.inf, tiers.floors[np.where(is_last, 0, row + 1)])
        price = linear_price(coins, mark, margin, tiers.rates[row], tiers.cumulative[row])
        size = np.abs(coins) * price
        # The two tiers at a floor give the same price, but for rounding.
        floor = np.where(step == 0, 0.0, tiers.floors[row])
        fits = here & (size >= floor * (1 - 1e-12)) & (size <= ceiling * (1 + 1e-12))
        found = np.where(fits & np.isnan(found), price, found)
    return found


MODEL = Model(
    name="hyperliquid.cross",
    title="Hyperliquid: perpetuals by selected leverage and margin tiers, cross and isolated",
    table="hyperliquid_cross",
    resolve=resolve,
    require=require,
    dollar="USDC",
    prices=prices,
)
