"""Collateral of venues that count few assets, each in full: mostly one stablecoin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.margin.assessment import Detail
from plimsoll.margin.charges.sums import sum_segmented
from plimsoll.margin.exposure import Exposure


@dataclass(frozen=True, slots=True)
class ListedCollateral:
    """What pools own and what of it counts, in USD, shape [pools]; ``detail`` has the assets."""

    equity: Floats
    counted: Floats
    detail: Detail


def listed_assets(listed: object, names: Sequence[str], place: str) -> Bools:
    """Which of ``names`` are in a parameter's list, shape [assets]; InputError if it is none."""
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise InputError(place, f"{listed!r} is no list of assets", 'write ["USDC"]')
    return np.array([name in listed for name in names], dtype=np.bool_)


def listed_collateral(exposure: Exposure, is_listed: Bools) -> ListedCollateral:
    """Cash and unrealised profit: listed assets count in full, others only where owed.

    ``is_listed`` is [assets]. NaN where an asset that a pool holds has no price.
    """
    layout, equity = exposure.layout, exposure.cell_equity
    # An asset that holds nothing needs no price.
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    # Compared so that a NaN stays one.
    counted = np.where(~is_listed[layout.cell_asset] & (value > 0), 0.0, value)
    detail = Detail(
        "collateral", layout.cell_offsets, layout.cell_asset,
        (("balance", exposure.cell_balance), ("equity", equity),
         ("index_price", exposure.cell_price), ("value", value), ("collateral_value", counted)),
    )  # fmt: skip
    return ListedCollateral(
        sum_segmented(layout.cell_offsets, value), sum_segmented(layout.cell_offsets, counted),
        detail,
    )  # fmt: skip
