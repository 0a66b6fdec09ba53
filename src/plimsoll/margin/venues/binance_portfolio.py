"""binance.portfolio: Binance Portfolio Margin, classic and Pro: one uniMMR for all wallets.

1. Equity of an asset E = margin asset - margin loan + futures wallets + unrealised profit of
   USD-M and COIN-M contracts. Account equity = sum of min(E × index × collateral rate, E ×
   index): the rate cuts what is positive, a debt counts in full. The classic program has one
   rate for an asset, and an asset without one backs nothing; Pro has rates marginal by value
   in USD, and an asset whose tiers are not known makes the account UNKNOWN.
2. Maintenance of futures: that of USD-M and COIN-M, notional at mark × rate - amount, the
   brackets of COIN-M in coins, at the index price of the asset they are in.
3. Maintenance of margin loans: loan × rate at the index price; the rate goes by the leverage
   class of the cross margin account: 10 % at 3x, 8 % at 5x, 5 % at 10x. The loan of an asset
   is what the account states (balances are after loans), at least its negative balance.
4. uniMMR = equity / maintenance margin, the sum of 2 and 3. Above 1.2 the account trades;
   below, it may only reduce; at 1.05 it is liquidated. So that a margin ratio of 1 is that
   point, the line uni_mmr_levels adds 5 % of the maintenance margin: uniMMR = 1.05 / ratio.
5. Initial margin, classic: futures as for USD-M with their open orders, a loan / (leverage -
   1); in any case 1.2 × maintenance margin. Pro asks for nothing but the latter.

Open margin (spot) orders have no rule here: UNKNOWN. Sources stand in the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, did_you_mean, sum_by
from plimsoll.instruments import InstrumentTable, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import MarginalTiers, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_schedules, number
from plimsoll.margin.venues.binance_futures import (
    FuturesParams,
    bracket_detail,
    read_futures,
    slot_margins,
    usd_value,
)
from plimsoll.market import Market

PROGRAMS = ("classic", "pro")
TABLES = MappingProxyType({Payoff.LINEAR: "brackets", Payoff.INVERSE: "coin_m_brackets"})


@dataclass(frozen=True, slots=True)
class Params:
    """``rates`` by asset, marginal in USD; ``loans`` in coins by asset; levels of uniMMR."""

    futures: FuturesParams
    rates: MarginalTiers
    is_inverse: Bools
    is_pro: bool
    loans: Floats
    loan_rate: float
    loan_leverage: float
    liquidation_level: float
    reduce_only_level: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters as columns; both families of futures, collateral of the account's program."""
    program = params["program"]
    if program not in PROGRAMS:
        problem = f"{program!r} is no program of portfolio margin"
        raise InputError(f"{place}.program", problem, did_you_mean(str(program), PROGRAMS))
    names = instruments.assets.names
    table = "collateral_rates_pro" if program == "pro" else "collateral_rates"
    leverage = number(params["margin_leverage"], f"{place}.margin_leverage", low=2.0)
    classes = params["loan_maintenance_rates"]
    if f"{leverage:g}" not in classes:
        remedy = did_you_mean(f"{leverage:g}", classes)
        raise InputError(f"{place}.margin_leverage", f"{leverage:g} is no class", remedy)
    rate_place = f"{place}.loan_maintenance_rates"
    liquidation = number(params["liquidation_uni_mmr"], f"{place}.liquidation_uni_mmr", low=1.0)
    return Params(
        futures=read_futures(params, instruments, TABLES, place),
        rates=asset_schedules(params[table], names, 1, f"{place}.{table}"),
        is_inverse=instruments.of_payoff(Payoff.INVERSE),
        is_pro=program == "pro",
        loans=_loans(params["loans"], names, f"{place}.loans"),
        loan_rate=number(classes[f"{leverage:g}"], rate_place, high=1.0),
        loan_leverage=leverage,
        liquidation_level=liquidation,
        reduce_only_level=number(
            params["reduce_only_uni_mmr"], f"{place}.reduce_only_uni_mmr", low=liquidation
        ),
    )


def _loans(table: Mapping[str, Any], names: tuple[str, ...], place: str) -> Floats:
    out = np.zeros(len(names))
    for name, loan in table.items():
        if name not in names:
            problem = "is an asset that nothing in the document names"
            raise InputError(f"{place}.{name}", problem, "give its balance and index price too")
        out[names.index(name)] = number(loan, f"{place}.{name}")
    return out


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD; brackets and loans in their assets in the details."""
    layout = exposure.layout
    value = usd_value(exposure.cell_equity, exposure.cell_price)
    counted = _counted(exposure, params, value)
    loan = _loan(exposure, params)
    margins = slot_margins(exposure, params.futures)
    price = exposure.cell_price[layout.slot_cell]
    inverse = params.is_inverse[layout.slot_instrument]

    def of_pools(by_slot: Floats, mask: Bools) -> Floats:
        return sum_segmented(layout.slot_offsets, usd_value(np.where(mask, by_slot, 0.0), price))

    loaned = sum_segmented(layout.cell_offsets, usd_value(loan, exposure.cell_price))
    maintenance = [of_pools(margins.maintenance, mask) for mask in (~inverse, inverse)]
    maintenance.append(loaned * params.loan_rate)
    initial = [of_pools(margins.initial, mask) for mask in (~inverse, inverse)]
    initial.append(loaned / (params.loan_leverage - 1))
    loss = sum_segmented(layout.group_offsets, exposure.order_loss)
    orders = of_pools(margins.orders, np.ones(inverse.size, dtype=np.bool_)) + loss
    if params.is_pro:
        # What cannot be valued stays NaN: times 0, not left out.
        initial, orders = [column * 0.0 for column in initial], orders * 0.0
    total = maintenance[0] + maintenance[1] + maintenance[2]
    taken = initial[0] + initial[1] + initial[2] + orders
    names = ("usd_m_positions", "coin_m_positions", "margin_loans")
    lines = [Charge(*line) for line in zip(names, initial, maintenance, strict=True)]
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, counted),
        charges=(
            *lines,
            Charge("open_orders", orders, np.zeros(orders.size)),
            Charge(
                "uni_mmr_levels",
                np.maximum(params.reduce_only_level * total - taken, 0.0),
                (params.liquidation_level - 1) * total,
            ),
        ),
        details=(
            Detail(
                "collateral", layout.cell_offsets, layout.cell_asset,
                (("balance", exposure.cell_balance), ("equity", exposure.cell_equity),
                 ("index_price", exposure.cell_price), ("value", value),
                 ("collateral_value", counted), ("loan", loan),
                 ("loan_maintenance_margin", loan * params.loan_rate)),
            ),
            bracket_detail(exposure, margins),
        ),
    )  # fmt: skip


def _counted(exposure: Exposure, params: Params, value: Floats) -> Floats:
    """Rule 1, in USD by cell."""
    assets = exposure.layout.cell_asset
    positive = np.where(value > 0, value, 0.0)
    rated = params.rates.amount(assets, positive)
    if not params.is_pro:
        listed = np.diff(params.rates.offsets)[assets] > 0
        rated = np.where(listed, rated, 0.0)
    return np.where(value > 0, rated, value)


def _loan(exposure: Exposure, params: Params) -> Floats:
    """Loans in coins by cell, >= 0; NaN for an account whose stated loan has no cell."""
    layout = exposure.layout
    pools = layout.cell_offsets.size - 1
    cell_pool = np.repeat(np.arange(pools), np.diff(layout.cell_offsets))
    stated = np.where(exposure.is_isolated[cell_pool], 0.0, params.loans[layout.cell_asset])
    wanted = np.where(exposure.is_isolated, 0, np.count_nonzero(params.loans))
    found = sum_by(cell_pool, (stated > 0).astype(np.float64), pools)
    loan = np.maximum(stated, -exposure.cell_balance)
    return np.where(found[cell_pool] < wanted[cell_pool], np.nan, np.maximum(loan, 0.0))


MODEL = Model(
    name="binance.portfolio",
    title="Binance Portfolio Margin, classic and Pro: collateral rates, brackets, loans, uniMMR",
    table="binance_portfolio",
    resolve=resolve,
    require=require,
)
