"""What a unified trading account of Bybit is worth as margin; common to its margin modes.

1. Wallet. Each asset's wallet balance counts at its index price. A balance above zero counts at
   the asset's collateral value ratio, by tiers of the quantity held, each slice at its own ratio;
   a balance below zero is a debt and counts in full.
2. Unrealised profit of perpetuals and futures counts in full, in whichever asset it settles.
   Option value counts under portfolio margin alone.
3. The margin of an isolated position is set aside in its settle asset and counts in full.
4. A debt needs margin: its quantity at the borrowing tiers of the asset.

Sources: Bybit help centre, "Understanding Collateral Value Ratios in Unified Trading Account" (18
September 2025), "Trading Terms and Formulas in Unified Trading Account" (13 March 2026); API, GET
/v5/spot-margin-trade/collateral and /v5/spot-margin-trade/position-tiers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Detail
from plimsoll.margin.charges import MarginalTiers
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.parameters import asset_schedules


@dataclass(frozen=True, slots=True)
class WalletTiers:
    """Marginal tiers by asset, floors in units of the asset; empty where nothing is known."""

    ratio: MarginalTiers
    borrow_initial: MarginalTiers
    borrow_maintenance: MarginalTiers


@dataclass(frozen=True, slots=True)
class Wallet:
    """Columns over cells in USD: what is owned, what of it counts, what debts need.

    ``counted`` is before the unrealised profit of ``profit``, which is in the asset.
    """

    value: Floats
    profit: Floats
    counted: Floats
    borrow_initial: Floats
    borrow_maintenance: Floats


def resolve_wallet(
    params: Mapping[str, Any], instruments: InstrumentTable, place: str
) -> WalletTiers:
    """Tiers of ``collateral_tiers`` (floor, ratio) and ``borrow_tiers`` (floor, MM, IM rate)."""
    names = instruments.assets.names
    ratios, loans = f"{place}.collateral_tiers", f"{place}.borrow_tiers"
    initial = asset_schedules(params["borrow_tiers"], names, 2, loans)
    maintenance = asset_schedules(params["borrow_tiers"], names, 1, loans)
    if np.any(initial.rates < maintenance.rates):
        problem = "an initial rate is below maintenance"
        raise InputError(loans, problem, "list floor, maintenance, initial")
    ratio = asset_schedules(params["collateral_tiers"], names, 1, ratios)
    return WalletTiers(ratio, initial, maintenance)


def measure_wallet(exposure: Exposure, tiers: WalletTiers, profit: Floats) -> Wallet:
    """The wallet of every cell; ``profit`` by cell is what counts in full, in the asset."""
    layout, price = exposure.layout, exposure.cell_price
    assets, balance = layout.cell_asset, exposure.cell_balance
    held, debt = np.maximum(balance, 0.0), np.maximum(-balance, 0.0)
    is_lone = np.repeat(exposure.is_isolated, np.diff(layout.cell_offsets))
    counted = np.where(is_lone, held, tiers.ratio.amount(assets, held)) - debt
    return Wallet(
        in_price(exposure.cell_equity, price),
        profit,
        in_price(counted, price) + in_price(profit, price),
        in_price(tiers.borrow_initial.amount(assets, debt), price),
        in_price(tiers.borrow_maintenance.amount(assets, debt), price),
    )


def wallet_detail(exposure: Exposure, wallet: Wallet) -> Detail:
    """The rows behind a margin balance, by asset."""
    layout = exposure.layout
    return Detail(
        "collateral", layout.cell_offsets, layout.cell_asset,
        (("balance", exposure.cell_balance), ("equity", exposure.cell_equity),
         ("index_price", exposure.cell_price), ("value", wallet.value),
         ("unrealised_profit", wallet.profit), ("collateral_value", wallet.counted)),
    )  # fmt: skip


def in_price(amount: Floats, price: Floats) -> Floats:
    """Amount × price, elementwise; what is nothing needs no price."""
    return np.where(amount == 0, 0.0, amount * price)
