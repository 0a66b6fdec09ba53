"""aave.v3: the health of a loan against collateral, Aave v3 (and v2, by its thresholds).

1. Every balance above zero is collateral, every balance below zero a debt; both at the oracle
   price. There are no positions: a contract has no rule here.
2. Average liquidation threshold = sum of (collateral × threshold) / sum of collateral, and the
   average loan-to-value alike, each floored to a basis point as the protocol's integers are.
3. In an e-mode the category's figures stand for those of its assets.
4. Health factor = collateral × average threshold / debt. Below 1 the loan is liquidated. So the
   collateral value is collateral × average threshold, the maintenance margin is the debt.
5. New debt may bring the debt to collateral × average loan-to-value: that is the initial margin.
6. A liquidator may repay the close factor of a debt, all of it below a lower health factor.

An asset that the table does not list as collateral makes the status UNKNOWN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, did_you_mean
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import initial_of_loan, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, number
from plimsoll.market import Market

BASIS_POINTS = 1e4
NO_CATEGORY = "none"


@dataclass(frozen=True, slots=True)
class Params:
    """Fractions by asset, NaN where an asset is not listed; close factors as fractions of debt."""

    loan_to_value: Floats
    liquidation_threshold: Floats
    close_factor: float
    close_factor_health: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets, the account's e-mode in them."""
    names = instruments.assets.names
    columns = {
        key: asset_column(params[key], names, f"{place}.{key}", 0, 1)
        for key in ("loan_to_value", "liquidation_threshold")
    }
    category = params["e_mode"]
    if category != NO_CATEGORY:
        categories = params["e_mode_categories"]
        if category not in categories:
            remedy = did_you_mean(str(category), categories)
            raise InputError(f"{place}.e_mode", f"unknown category {category!r}", remedy)
        entry = categories[category]
        inside = np.array([name in entry["collateral"] for name in names], dtype=np.bool_)
        for key, column in columns.items():
            value = number(entry[key], f"{place}.e_mode_categories.{category}.{key}", 0, 1)
            columns[key] = np.where(inside, value, column)
    if np.any(columns["loan_to_value"] > columns["liquidation_threshold"]):
        problem = "a loan-to-value is above its liquidation threshold"
        raise InputError(f"{place}.loan_to_value", problem, "lower it")
    return Params(
        columns["loan_to_value"],
        columns["liquidation_threshold"],
        number(params["close_factor"], f"{place}.close_factor", 0, 1),
        number(params["close_factor_health"], f"{place}.close_factor_health", 0, 1),
    )


def average_in_basis_points(weighted: Floats, collateral: Floats) -> Floats:
    """``weighted`` over ``collateral`` floored to a basis point, as a fraction; 0 over nothing.

    A quotient a rounding below a whole basis point is that basis point.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        points = np.floor(weighted / collateral * BASIS_POINTS * (1 + 1e-13)) / BASIS_POINTS
    return np.where(collateral == 0, 0.0, points)


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    assets, pools = layout.cell_asset, layout.cell_offsets
    balance = exposure.cell_balance
    value = np.where(balance == 0, 0.0, balance * exposure.cell_price)
    # Compared so that an unknown price stays unknown on both sides.
    collateral_by_cell = np.where(value < 0, 0.0, value)
    debt_by_cell = np.where(value > 0, 0.0, -value)
    collateral = sum_segmented(pools, collateral_by_cell)
    debt = sum_segmented(pools, debt_by_cell)

    def average(fraction: Floats) -> Floats:
        held = np.where(collateral_by_cell == 0, 0.0, collateral_by_cell * fraction[assets])
        return average_in_basis_points(sum_segmented(pools, held), collateral)

    threshold, loan_to_value = average(params.liquidation_threshold), average(params.loan_to_value)
    counted, borrowable = collateral * threshold, collateral * loan_to_value
    debt_line = debt + _barred(exposure)
    more = initial_of_loan(debt, counted, borrowable) - debt
    health = _health_factor(counted, debt)
    closable = np.where(health <= params.close_factor_health, 1.0, params.close_factor)
    account = np.arange(counted.size + 1, dtype=np.int64)
    return Requirement(
        equity=sum_segmented(pools, value),
        collateral_value=counted,
        charges=(
            Charge("debt", debt_line, debt_line),
            Charge("borrow_limit", np.where(more < 0, 0.0, more), np.zeros(debt.size)),
        ),
        details=(
            Detail(
                "account", account, np.full(counted.size, ACCOUNT_ROW, dtype=np.int32),
                (("health_factor", health), ("debt", debt), ("collateral", collateral),
                 ("liquidation_threshold", threshold), ("loan_to_value", loan_to_value),
                 ("available_to_borrow", np.where(borrowable > debt, borrowable - debt, 0.0)),
                 ("close_factor", np.where(health < 1, closable, 0.0))),
            ),
            Detail(
                "collateral", pools, assets,
                (("balance", balance), ("index_price", exposure.cell_price), ("value", value),
                 ("loan_to_value", params.loan_to_value[assets]),
                 ("liquidation_threshold", params.liquidation_threshold[assets])),
            ),
        ),
    )  # fmt: skip


def _health_factor(counted: Floats, debt: Floats) -> Floats:
    """Counted collateral over debt; infinite without debt."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(debt == 0, np.inf, counted / debt)


def _barred(exposure: Exposure) -> Floats:
    """NaN for pools that hold or order a contract, else 0."""
    held = (exposure.quantity != 0) | (exposure.buys != 0) | (exposure.sells != 0)
    return sum_segmented(exposure.layout.slot_offsets, np.where(held, np.nan, 0.0))


MODEL = Model(
    name="aave.v3",
    title="Aave v3: health of loans against collateral, with e-mode and close factor",
    table="aave_v3",
    resolve=resolve,
    require=require,
    exemptions=(
        (
            "more_collateral_never_worsens",
            "the average threshold is floored to a basis point, so a deposit may cost one",
        ),
        (
            "twice_the_book_is_twice_the_equity_and_no_cheaper",
            "the quotient under the floor may round the other way",
        ),
    ),
)
