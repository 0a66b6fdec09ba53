"""ftx.2022: FTX before it closed on 11 November 2022; historical, for replays.

1. Total account value. Each asset counts at its index price: USD and what was credited as USD in
   full; another coin held with the smaller of its total weight and 1.1 / (1 + factor *
   sqrt(coins)), an unlisted one with nothing; what is owed in full. All profit is in USD.
2. Open size of a contract: the position with either all buys or all sells filled, the larger of
   the two, in coins.
3. Position IMF = max(1 / leverage, IMF factor * sqrt(open size)) * IMF weight. Collateral used =
   open size at mark * IMF. For a long it is at most 1: it cannot lose more than it is worth.
4. Position MMF = max(3 %, 0.6 * IMF factor * sqrt(open size)) * MMF weight, on the position at
   mark; for a long at most 1. Below the account's MMF, the mean weighted by notional, the venue
   sold in the market; so the maintenance margin is the sum of notional * MMF.
5. Contracts on one underlying are not netted.
6. Borrowing. A coin owed needs max(1.1 / initial weight - 1, factor * sqrt(coins)) of its value
   initially and max(1.03 / initial weight - 1, 0.6 * factor * sqrt(coins)) to be kept.
7. New positions are judged by initial weights: what those count less than the total weights is
   a charge on the initial margin alone. So are the values of open spot orders.
8. Below the auto-close fraction, max(MMF / 2, MMF - 6 %), backstop providers took the account's
   positions, each at its zero price: mark * (1 - margin per dollar) for a long, (1 + ...) for a
   short, the account's value being shared out by maintenance collateral.

Sources: FTX help centre, archived: "Account Margin Management", "Collateral Management",
"Liquidations", "Contract Specs".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    root_size_rate,
    root_size_weight,
    slot_pool,
    sum_segmented,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import asset_column, instrument_column, number
from plimsoll.margin.position_prices import linear_price
from plimsoll.market import Market

LEVERAGE_MAX = 20.0
"""The highest an account could select; above it the MMF followed another rule."""


@dataclass(frozen=True, slots=True)
class Params:
    """By instrument: ``base_imf``, ``imf_factor`` (per root of a coin; NaN: no rule) and weights.

    By asset: ``weight_total`` and ``weight_initial`` (0 where unlisted), ``coin_factor``; NaN
    factors and initial weights where unlisted, so that owing such a coin is UNKNOWN.
    """

    base_imf: Floats
    imf_factor: Floats
    imf_weight: Floats
    mmf_weight: Floats
    weight_total: Floats
    weight_initial: Floats
    borrow_weight: Floats
    coin_factor: Floats
    mmf_min: float
    mmf_ratio: float
    weight_gain: float
    borrow_initial: float
    borrow_maintenance: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    names = instruments.assets.names

    def column(name: str, low: float, high: float) -> Floats:
        return instrument_column(params[name], instruments, f"{place}.{name}", low, high)

    def assets(name: str, high: float) -> Floats:
        return asset_column(params[name], names, f"{place}.{name}", 0.0, high)

    def scalar(name: str, high: float) -> float:
        return number(params[name], f"{place}.{name}", 0.0, high)

    total, initial = assets("weight_total", 1), assets("weight_initial", 1)
    # Every contract was linear and settled in USD.
    usd = np.array([name == "USD" for name in names])[instruments.settle]
    ruled = instruments.of_payoff(Payoff.LINEAR) & usd
    ruled &= instruments.of_kind(Kind.PERPETUAL) | instruments.of_kind(Kind.FUTURE)
    return Params(
        base_imf=1.0 / column("leverage", 0.01, LEVERAGE_MAX),
        imf_factor=np.where(ruled, column("imf_factors", 0.0, np.inf), np.nan),
        imf_weight=column("imf_weights", 0.0, np.inf),
        mmf_weight=column("mmf_weights", 0.0, np.inf),
        weight_total=np.nan_to_num(total),
        weight_initial=np.nan_to_num(np.minimum(np.fmin(initial, total), total)),
        borrow_weight=initial,
        coin_factor=assets("coin_factors", np.inf),
        mmf_min=scalar("mmf_min", 1),
        mmf_ratio=scalar("mmf_ratio", 1),
        weight_gain=scalar("weight_gain", 2),
        borrow_initial=scalar("borrow_initial", 2),
        borrow_maintenance=scalar("borrow_maintenance", 2),
    )


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """By slot: open size in coins and USD, the two fractions, and what they ask, in USD."""

    open_size: Floats
    open_notional: Floats
    notional: Floats
    imf: Floats
    mmf: Floats
    collateral_used: Floats
    maintenance_collateral: Floats


def measure_positions(exposure: Exposure, market: Market, params: Params) -> PositionFigures:
    """Rules 2 to 4 for every slot; 0 for slots without position and orders."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    if_bought = exposure.quantity + exposure.buys
    if_sold = exposure.quantity - exposure.sells
    is_long = np.abs(if_bought) >= np.abs(if_sold)
    is_long &= if_bought > 0
    contracts = np.maximum(np.abs(if_bought), np.abs(if_sold))
    active, holds = contracts != 0, exposure.quantity != 0
    size = contracts * table.multiplier[held]
    cap = np.where(is_long, 1.0, np.inf)
    imf = root_size_rate(params.base_imf[held], params.imf_factor[held], size)
    imf = np.minimum(imf * params.imf_weight[held], cap)
    scaled = params.mmf_ratio * params.imf_factor[held]
    mmf = root_size_rate(np.full(held.size, params.mmf_min), scaled, size)
    mmf = np.minimum(mmf * params.mmf_weight[held], np.where(exposure.quantity > 0, 1.0, np.inf))
    # The notional of a contract is at mark, and NaN where the mark is unusable.
    each = exposure.contract_notional[held] + 0.0 * market.mark[held]
    open_notional = np.where(active, contracts * each, 0.0)
    notional = np.where(holds, np.abs(exposure.quantity) * each, 0.0)
    return PositionFigures(
        open_size=np.where(active, size, 0.0),
        open_notional=open_notional,
        notional=notional,
        imf=np.where(active, imf, 0.0),
        mmf=np.where(holds, mmf, 0.0),
        collateral_used=np.where(active, open_notional * imf, 0.0),
        maintenance_collateral=np.where(holds, notional * mmf, 0.0),
    )


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    figures = measure_positions(exposure, market, params)
    value, total, initial, borrowed = _collateral(exposure, params)
    by_slot, by_cell = layout.slot_offsets, layout.cell_offsets
    nothing = np.zeros(layout.slot_offsets.size - 1)
    reserve = sum_segmented(layout.group_offsets, exposure.spot_reserve)
    charges = (
        Charge(
            "positions",
            sum_segmented(by_slot, figures.collateral_used),
            sum_segmented(by_slot, figures.maintenance_collateral),
        ),
        Charge("borrowing", *(sum_segmented(by_cell, margin) for margin in borrowed)),
        Charge("initial_weights", sum_segmented(by_cell, total - initial), nothing),
        Charge("spot_orders", reserve, nothing.copy()),
    )
    return Requirement(
        equity=sum_segmented(by_cell, value),
        collateral_value=sum_segmented(by_cell, total),
        charges=charges,
        details=(
            Detail(
                "collateral", by_cell, layout.cell_asset,
                (("balance", exposure.cell_equity), ("value", value),
                 ("total_collateral", total), ("initial_collateral", initial),
                 ("borrow_initial", borrowed[0]), ("borrow_maintenance", borrowed[1])),
            ),
            Detail(
                "margin", by_slot, layout.slot_instrument,
                (("openSize", figures.open_size), ("openNotional", figures.open_notional),
                 ("notional", figures.notional),
                 ("initialMarginRequirement", figures.imf),
                 ("maintenanceMarginRequirement", figures.mmf),
                 ("collateralUsed", figures.collateral_used),
                 ("maintenanceCollateral", figures.maintenance_collateral)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def _collateral(
    exposure: Exposure, params: Params
) -> tuple[Floats, Floats, Floats, tuple[Floats, Floats]]:
    """By cell, in USD: value, what of it counts in all and initially, margins on what is owed."""
    asset, coins = exposure.layout.cell_asset, exposure.cell_equity
    value = np.where(coins == 0, 0.0, coins * exposure.cell_price)
    size, owed = np.abs(coins), coins < 0
    factor = params.coin_factor[asset]
    discount = np.nan_to_num(factor)

    def counted(weight: Floats) -> Floats:
        share = root_size_weight(weight[asset], discount, size, params.weight_gain)
        return np.where(value > 0, value * share, value)

    def margin(gain: float, ratio: float) -> Floats:
        with np.errstate(divide="ignore"):
            least = gain / params.borrow_weight[asset] - 1.0
        rate = root_size_rate(np.maximum(least, 0.0), ratio * factor, size)
        return np.where(owed, -value * rate, 0.0)

    return (
        value,
        counted(params.weight_total),
        counted(params.weight_initial),
        (
            margin(params.borrow_initial, 1.0),
            margin(params.borrow_maintenance, params.mmf_ratio),
        ),
    )


def auto_close_fraction(mmf: Floats) -> Floats:
    """The margin fraction below which backstop providers took over, from the account's MMF."""
    return np.maximum(mmf / 2.0, mmf - 0.06)


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Mark at which the account's fraction falls to its MMF, others held; zero price of rule 8."""
    held, pool = exposure.layout.slot_instrument, slot_pool(exposure)
    figures = measure_positions(exposure, market, params)
    usd = market.index[exposure.instruments.settle[held]]
    mark = market.mark[held]
    account = requirement.collateral_value[pool]
    maintenance = requirement.maintenance_margin[pool]
    others = maintenance - figures.maintenance_collateral
    coins = exposure.quantity * exposure.instruments.multiplier[held]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = figures.maintenance_collateral / maintenance
        per_dollar = share * account / figures.notional
    zero = mark * (1.0 - np.sign(exposure.quantity) * per_dollar)
    return PositionPrices(
        liquidation=linear_price(
            coins, mark, (account - others) / usd, figures.mmf, np.zeros(held.size)
        ),
        bankruptcy=np.where((exposure.quantity != 0) & (zero > 0), zero, np.nan),
    )


MODEL = Model(
    name="ftx.2022",
    title="FTX, historical: root-size margin fractions, haircut collateral, cross margin",
    table="ftx_2022",
    resolve=resolve,
    require=require,
    dollar="USD",
    exemptions=(
        (
            "twice_the_book_is_twice_the_equity_and_no_cheaper",
            "where size discounts a holding, initial weights ask less and its value falls instead",
        ),
    ),
    prices=prices,
)
