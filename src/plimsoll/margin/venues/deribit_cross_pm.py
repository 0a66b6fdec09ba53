"""deribit.cross_pm: Deribit's cross portfolio margin (X:PM), one account in USD.

1. Equity is the USD value of every asset's equity (balance, profit of futures, options at
   mark), and so is the margin balance. Liquidation when MM reaches it; no margin call.
2. The risk matrix of S:PM (deribit.segregated_pm, rules 2 to 4), all in USD at the moved price.
   The equity itself is in it: an asset whose equity_side_impact is "both" moves with its
   underlying, one of "none" does not. An asset may stand in another's bucket (stETH in ETH's).
3. Contracts on one underlying form a vector for each currency they settle in. The vectors of an
   underlying are added cell by cell, the profits of each counting for its currency's pnl_offset
   up to max_offsetable_pnl. Underlyings add: no two are in one correlation set.
4. Roll shock and delta shock as in S:PM, vector by vector; the equity has no part in them.
5. Haircuts take from what backs initial margin alone: they stand as a charge of IM.
6. RMM, IM and MM as in S:PM. The venue shows these totals in every currency, over its price.

An asset without a haircut and a side in the table is UNKNOWN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Charge, Requirement
from plimsoll.margin.charges import SpotValues, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column
from plimsoll.margin.venues import deribit_segregated_pm as segregated
from plimsoll.margin.venues.deribit_standard import currency_view, in_index
from plimsoll.market import Market

SIDES = ("none", "both")


@dataclass(frozen=True, slots=True)
class Params:
    """What S:PM has, and columns over assets: ``haircut`` (fraction), ``side`` (1 where equity

    moves in the matrix, 0 where not; NaN unknown), ``bucket`` (the asset it moves with).
    """

    matrix: segregated.Params
    haircut: Floats
    side: Floats
    bucket: Int64s


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    sides = np.full(len(names), np.nan)
    bucket = np.arange(len(names), dtype=np.int64)
    for i, name in enumerate(names):
        side = params["equity_side_impact"].get(name)
        if side is not None:
            if side not in SIDES:
                inner = f"{place}.equity_side_impact.{name}"
                raise InputError(inner, f"unknown side {side!r}", f"write one of {SIDES}")
            sides[i] = SIDES.index(side)
        into = params["equity_bucket"].get(name)
        if into is not None:
            # Without the other asset in the book there are no prices to move it by.
            sides[i] = sides[i] if into in names else np.nan
            bucket[i] = names.index(into) if into in names else i
    return Params(
        matrix=segregated.resolve(params, instruments, place),
        haircut=asset_column(params["haircut"], names, f"{place}.haircut", 0.0, 1.0),
        side=sides,
        bucket=bucket,
    )


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    asset, offsets = layout.cell_asset, layout.cell_offsets
    value = in_index(exposure, exposure.cell_equity)
    pool = np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))
    moving = np.flatnonzero(params.side[asset] == 1)
    spot = SpotValues(pool[moving], params.bucket[asset[moving]], value[moving])
    scanned = segregated.scan_matrix(exposure, market, params.matrix.matrix, spot, coin_books=False)
    charges, detail = segregated.matrix_charges(exposure, market, params.matrix, scanned)
    known = np.where(np.isnan(params.side[asset]), np.nan, params.haircut[asset])
    taken = np.where(value == 0, 0.0, np.maximum(value, 0.0) * known)
    haircut = sum_segmented(offsets, taken)
    equity = sum_segmented(offsets, value)
    charges = (*charges, Charge("haircut", haircut, np.zeros(haircut.size)))
    bare = Requirement(equity, equity.copy(), charges, ())
    return Requirement(
        equity, bare.collateral_value, charges, (currency_view(exposure, bare), detail)
    )


MODEL = Model(
    name="deribit.cross_pm",
    title="Deribit X:PM: one risk matrix over all currencies and the equity itself, in USD",
    table="deribit_cross_pm",
    resolve=resolve,
    require=require,
    dollar="USDC",
    reprices_options=True,
)
