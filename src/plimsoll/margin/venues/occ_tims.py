"""occ.tims: customer portfolio margin of the OCC's Theoretical Intermarket Margin System.

1. Class groups. Everything on one underlying is one group: its options, futures and the
   underlying itself, held as a balance. Assets listed as cash count at their fraction and move no
   price. Stock of no class is not eligible: it backs nothing, and owing it is UNKNOWN.
2. Valuation points. Ten, equidistant: five down and five up to the range of the class. Prices
   move, volatilities do not; options are valued by Black-76 against their marks.
3. Product groups. At each point the losses of a group's classes count in full and their gains at
   the group's offset; a class in no product group stands alone.
4. Requirement: the largest loss of a product group at any point, but at least a minimum for each
   option contract, long or short, by its units of the underlying.
5. Initial and maintenance margin are the same, and the account's equity backs them.

Open orders are not margined, but one in a contract that cannot be valued makes its pool UNKNOWN.
The OCC values American options with dividends; Black-76 values a European one, which is less
for a put deep in the money.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    Holdings,
    Moves,
    contract_profits,
    grids_by_base,
    in_usd,
    list_holdings,
    option_minimum,
    scan_groups,
    sum_segmented,
    worst_loss,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, number
from plimsoll.margin.venues.cboe_regt import product_classes
from plimsoll.market import Market

STEPS = 5
"""Valuation points on each side of the price."""


@dataclass(frozen=True, slots=True)
class Params:
    """Rules by asset, NaN where there is none.

    ``move_down`` and ``move_up`` are fractions of the price, ``cash`` the fraction of a balance
    that counts. ``product_group`` numbers each asset's group, a number of its own where it
    stands alone; ``offset`` is the fraction of gains that counts in each group.
    """

    cash: Floats
    move_down: Floats
    move_up: Floats
    product_group: Int64s
    offset: Floats
    minimum_per_unit: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets of a book."""
    names = instruments.assets.names
    cash = asset_column(params["cash"], names, f"{place}.cash", high=1.0)
    down, up = np.full(len(names), np.nan), np.full(len(names), np.nan)
    kinds = product_classes(params, names, cash, ("move_down", "move_up"), place)
    for i, kind in kinds.items():
        # A fall by all of it leaves no price to value at.
        down[i] = number(params["move_down"][kind], f"{place}.move_down.{kind}", high=0.99)
        up[i] = number(params["move_up"][kind], f"{place}.move_up.{kind}")
    group, offset = _product_groups(params, names, place)
    least = number(params["minimum_per_unit"], f"{place}.minimum_per_unit")
    return Params(cash, down, up, group, offset, least)


def _product_groups(
    params: Mapping[str, Any], names: tuple[str, ...], place: str
) -> tuple[Int64s, Floats]:
    """Number of each asset's product group, and the offset of each number."""
    member, offsets = params["product_group"], params["product_group_offset"]
    listed = sorted({str(member[name]) for name in names if name in member})
    for group in listed:
        if group not in offsets:
            problem, remedy = f"'{group}' has no offset", "state it under product_group_offset"
            raise InputError(f"{place}.product_group", problem, remedy)
    number_of = {group: k for k, group in enumerate(listed)}
    numbers = [
        number_of[str(member[name])] if name in member else len(listed) + k
        for k, name in enumerate(names)
    ]
    stated = [number(offsets[g], f"{place}.product_group_offset.{g}", high=1.0) for g in listed]
    return np.array(numbers, dtype=np.int64), np.array(stated + [1.0] * len(names))


def valuation_moves(instruments: InstrumentTable, params: Params) -> Moves:
    """The ten points of each underlying with a class (rule 2), lowest first."""
    listed = tuple(int(a) for a in np.flatnonzero(~np.isnan(params.move_down)))
    step = np.arange(1, STEPS + 1) / STEPS
    rows = list(listed)
    # Where nothing is listed, a row that no instrument names.
    down = params.move_down[rows] if listed else np.zeros(1)
    up = params.move_up[rows] if listed else np.zeros(1)
    price = np.concatenate(
        [-down[:, np.newaxis] * step[::-1], up[:, np.newaxis] * step], axis=1
    )  # fmt: skip
    still = np.zeros((len(instruments), price.shape[1]))
    return Moves(price, grids_by_base(instruments, listed), still)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    rows, pools = list_holdings(exposure), exposure.is_isolated.size
    classes = _class_profits(exposure, market, params, rows)
    floors = np.zeros(rows.pool.size)
    table = exposure.instruments
    floors[rows.group_row] = option_minimum(
        exposure, params.minimum_per_unit * table.multiplier, counts_long=True
    )
    keys, product = np.unique(
        rows.pool * params.offset.size + params.product_group[rows.asset], return_inverse=True
    )
    gains = params.offset[keys % params.offset.size][product][:, np.newaxis]
    counted = np.where(classes > 0, classes * gains, classes)
    points = np.stack(
        [sum_by(product, np.ascontiguousarray(counted[:, k]), keys.size)
         for k in range(counted.shape[1])], axis=1,
    )  # fmt: skip
    loss = worst_loss(points)
    excess = np.maximum(sum_by(product, floors, keys.size) - loss, 0.0)
    owner = keys // params.offset.size
    scan, least = sum_by(owner, loss, pools), sum_by(owner, excess, pools)
    equity, collateral_value, collateral = _collateral(exposure, params)
    figures = [("minimum", floors), ("product_group_loss", loss[product])]
    figures += [(f"point_{k + 1}", classes[:, k]) for k in range(classes.shape[1])]
    scanned = rows.detail("scan", figures, _is_stock(params), pools)
    return Requirement(
        equity=equity,
        collateral_value=collateral_value,
        charges=(Charge("scan", scan, scan.copy()), Charge("minimum", least, least.copy())),
        details=(collateral, scanned),
    )


def _class_profits(exposure: Exposure, market: Market, params: Params, rows: Holdings) -> Floats:
    """Profit of each class group at each point, USD, shape [rows, 10]."""
    layout, moves = exposure.layout, valuation_moves(exposure.instruments, params)
    profits = in_usd(contract_profits(market, moves, from_mark=True), market, moves)
    out = np.zeros((rows.pool.size, profits.shape[1]))
    out[rows.group_row] = scan_groups(exposure, profits)
    # What cannot be valued cannot be ordered unseen either.
    ordered = (exposure.buys > 0) | (exposure.sells > 0)
    blind = ordered & np.asarray(np.isnan(profits).any(axis=1))[layout.slot_instrument]
    out[rows.group_row[layout.slot_group[blind]]] = np.nan
    # Profit and options that are settled in the asset move with it as its balance does.
    owned = np.where(_is_stock(params)[layout.cell_asset], exposure.cell_equity, 0.0)
    held = np.flatnonzero(owned != 0)
    grid = np.full(params.cash.size, -1, dtype=np.int64)
    grid[_is_stock(params)] = np.arange(len(moves.price_move))
    value = owned[held] * exposure.cell_price[held]
    move = moves.price_move[grid[layout.cell_asset[held]]]
    out[rows.cell_row[held]] += value[:, np.newaxis] * move
    return out


def _is_stock(params: Params) -> Bools:
    return np.asarray(~np.isnan(params.move_down))


def _collateral(exposure: Exposure, params: Params) -> tuple[Floats, Floats, Detail]:
    """Equity, collateral value (rules 1 and 5) and the cells behind them."""
    layout, equity = exposure.layout, exposure.cell_equity
    # An asset that holds nothing needs no price.
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    fraction = params.cash[layout.cell_asset]
    cash = np.where(value > 0, value * fraction, value)
    foreign = np.where(value >= 0, 0.0, np.nan)
    is_stock = _is_stock(params)[layout.cell_asset]
    counted = np.where(~np.isnan(fraction), cash, np.where(is_stock, value, foreign))
    detail = Detail(
        "collateral", layout.cell_offsets, layout.cell_asset,
        (("balance", exposure.cell_balance), ("equity", equity),
         ("index_price", exposure.cell_price), ("value", value), ("collateral_value", counted)),
    )  # fmt: skip
    offsets = layout.cell_offsets
    return sum_segmented(offsets, value), sum_segmented(offsets, counted), detail


MODEL = Model(
    name="occ.tims",
    title="OCC TIMS: customer portfolio margin at ten valuation points",
    table="occ_tims",
    resolve=resolve,
    require=require,
    reprices_options=True,
)
