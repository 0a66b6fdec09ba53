"""compound.v3: the health of a loan in one base asset, Compound III ("Comet").

1. One asset is lent, the base. Its balance is a deposit above zero and the debt below; every
   other balance above zero is collateral. Nothing else can be owed: such a pool is UNKNOWN.
2. Liquidation: the base balance plus the sum of collateral × liquidate collateral factor is
   below zero. So the collateral value is that sum (and a deposit of the base at par), the
   maintenance margin is the debt.
3. Borrowing: the same sum at the lower borrow collateral factors must stay at or above zero.
4. An absorbed account loses all collateral at its liquidation factor; what that leaves beyond
   the debt returns as base, what it lacks is the protocol's loss.

An asset that the table does not list makes the status UNKNOWN, and so does any contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import initial_of_loan, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Collateral factors by asset, NaN where it is not listed, 1 for the base; ``is_base``."""

    borrow: Floats
    liquidate: Floats
    absorb: Floats
    is_base: Bools


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets."""
    names = instruments.assets.names
    is_base = np.array([name == params["base"] for name in names], dtype=np.bool_)
    keys = ("borrow_collateral_factor", "liquidate_collateral_factor", "liquidation_factor")
    columns = [
        np.where(is_base, 1.0, asset_column(params[key], names, f"{place}.{key}", 0, 1))
        for key in keys
    ]
    borrow, liquidate, absorb = columns
    if np.any(borrow > liquidate):
        problem = "a borrow factor is above its liquidate factor"
        raise InputError(f"{place}.borrow_collateral_factor", problem, "lower it")
    return Params(borrow, liquidate, absorb, is_base)


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    assets, pools = layout.cell_asset, layout.cell_offsets
    balance = exposure.cell_balance
    value = np.where(balance == 0, 0.0, balance * exposure.cell_price)
    owed = np.where(value > 0, 0.0, -value)
    foreign = np.where((balance < 0) & ~params.is_base[assets], np.nan, 0.0)
    debt = sum_segmented(pools, owed + foreign)

    def counted(factor: Floats) -> Floats:
        return sum_segmented(pools, np.where(value < 0, 0.0, _times(value, factor[assets])))

    at_liquidation, at_borrow = counted(params.liquidate), counted(params.borrow)
    held = (exposure.quantity != 0) | (exposure.buys != 0) | (exposure.sells != 0)
    debt_line = debt + sum_segmented(layout.slot_offsets, np.where(held, np.nan, 0.0))
    more = initial_of_loan(debt, at_liquidation, at_borrow) - debt
    return Requirement(
        equity=sum_segmented(pools, value),
        collateral_value=at_liquidation,
        charges=(
            Charge("debt", debt_line, debt_line),
            Charge("borrow_limit", np.where(more < 0, 0.0, more), np.zeros(debt.size)),
        ),
        details=(
            Detail(
                "account", np.arange(debt.size + 1, dtype=np.int64),
                np.full(debt.size, ACCOUNT_ROW, dtype=np.int32),
                (("debt", debt), ("liquidation_surplus", at_liquidation - debt),
                 ("available_to_borrow", np.where(at_borrow > debt, at_borrow - debt, 0.0)),
                 ("absorbed_collateral", counted(params.absorb))),
            ),
            Detail(
                "collateral", pools, assets,
                (("balance", balance), ("index_price", exposure.cell_price), ("value", value),
                 ("borrow_collateral_factor", params.borrow[assets]),
                 ("liquidate_collateral_factor", params.liquidate[assets])),
            ),
        ),
    )  # fmt: skip


def _times(value: Floats, factor: Floats) -> Floats:
    """Product; nothing of an unlisted asset needs no factor."""
    return np.where(value == 0, 0.0, value * factor)


MODEL = Model(
    name="compound.v3",
    title="Compound III: health of a loan in one base asset, borrow and liquidate factors",
    table="compound_v3",
    resolve=resolve,
    require=require,
)
