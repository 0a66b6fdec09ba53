"""plimsoll.portfolio: the house model that margins a whole portfolio by scenarios.

1. Ranges. An underlying's price range is the larger of its recent range with a buffer and its
   floor through the cycle, both in the table: calm markets do not lower margin below the floor.
2. Scenarios. 48 fixed joint scenarios move every underlying by a signed share of its own range
   and options' volatility by a shock scaled with tenor, with floors: all together on a grid of
   price and volatility; far moves, weighted down to one range's linear loss; one bloc of
   underlyings ahead of the other. Options are revalued from their own model value, so that a
   move of nothing is no profit, whatever mark and model disagree on.
3. Collateral. A coin's equity is revalued in the same scenarios, so that one that falls with
   what it backs costs twice. Of its published haircut only what exceeds the scanned range is
   taken: the range stands for the fall, the rest for size. The range counts as at initial
   margin, so that more collateral never lowers what is free.
4. Joint scan. Inside an underlying everything nets. Across underlyings the charge is the worst
   joint scenario, or one underlying moving alone if that is worse; the offset limit is what the
   cap on credit for opposed sides refuses on top. The two lines add up to the sum of
   standalone losses less the credit; where correlation breaks for good, the credit is missing.
5. Short options cost at least a fixed share of the index each.
6. Concentration. What takes longer to close than the range's horizon is exposed to more.
7. Basis. Deltas that hedge each other across expiries, or a coin with its contracts, pay for
   the basis between them.
8. Depeg. Currencies outside the scan leave their peg the worse way; independent of the market,
   that adds as squares. What is owed in an asset of no known range may double.
9. Open orders add to the initial margin what the worst fills, none, all buys or all sells of
   each underlying, would add to 4 to 7, with the loss of fills worse than mark, fees, and what
   spot orders lock.
10. Fee provision: the cost of closing everything held.
Maintenance margin is lines 4 to 8 and 10; initial margin is ``initial_factor`` times 4 to 8, with
9 and 10.

Contracts have a rule where their underlying is listed and they are quoted in the currency or
in what they settle in, a coin or a currency that is listed. Others are UNKNOWN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, did_you_mean, sum_by
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    ClosingTime,
    ExpiryLegs,
    Fills,
    JointColumns,
    JointScan,
    MarginalTiers,
    Moves,
    RiskRows,
    ScanSide,
    VolShocks,
    concentration_charge,
    contract_delta,
    contract_profits,
    depeg_loss,
    independent_excess,
    matched_basis,
    minimum_excess,
    order_fills,
    quote_notional,
    ranged_moves,
    residual_haircuts,
    risk_rows,
    row_profits,
    scan_jointly,
    sum_segmented,
    unit_vol_moves,
)
from plimsoll.margin.charges.concentration import SPOT
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import DEFAULT, number
from plimsoll.market import Market
from plimsoll.pricing import TenorLaw

SCENARIOS = 48
"""How many joint scenarios a table states; fixed, so that a kernel may be built for it."""

UNDERLYING = frozenset({"class", "recent", "floor", "daily_volume"})
FAMILY = frozenset({"bloc", "offset", "alone", "basis_min", "basis_year"})


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters as columns over assets, instruments and scenarios.

    ``price_range`` [assets] is NaN for what has none. ``move`` and ``weight`` are [assets,
    scenarios], 0 and 1 for what is not scanned. ``pair_move`` [grids, scenarios] with ``grid``
    [instruments] serves contracts; a pair of coins moves by the ratio of its own. ``units`` of
    volatility are [scenarios]. ``fall`` and ``rise`` [assets] are depegs, 0 where scanned.
    """

    initial_factor: float
    price_range: Floats
    move: Floats
    weight: Floats
    columns: JointColumns
    pair_move: Floats
    grid: Int64s
    vol_units: Floats
    vol: VolShocks
    closing: ClosingTime
    basis_min: Floats
    basis_year: Floats
    short_option_rate: float
    fee_rate: float
    option_fee_rate: float
    haircuts: MarginalTiers
    fall: Floats
    rise: Floats


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    listed = _underlyings(params, names, place)
    units, vol_units = _scenarios(params, listed, place)
    price_range = listed["range"]
    is_scanned = ~np.isnan(price_range)
    move, weight = ranged_moves(units, vol_units, price_range)
    move = np.where(is_scanned[:, np.newaxis], move, 0.0)
    fall, rise, is_currency = _depegs(params["depeg"], names, is_scanned, f"{place}.depeg")
    pair_move, grid = _grids(instruments, move, is_scanned, is_currency, str(params["currency"]))
    factor = _positive(params, "initial_factor", place, low=1.0)
    blocs = np.array(list(params["scenarios"].values())[:-1], dtype=np.float64)
    is_apart = np.any(blocs != blocs[0], axis=0)
    together = np.where(is_apart | (np.abs(blocs[0]) > 1), np.inf, np.abs(blocs[0]))
    taken = factor * np.where(is_scanned, price_range, fall)
    return Params(
        initial_factor=factor,
        price_range=price_range,
        move=move,
        weight=weight,
        columns=JointColumns(
            coin_profit=np.where(is_scanned[:, np.newaxis], move * weight, 0.0),
            direction=np.sign(move).astype(np.int8),
            # Twice a shock of volatility is no move that one underlying makes alone.
            reach=np.where(np.abs(vol_units) > 1, np.inf, together),
            is_apart=is_apart,
            alone=np.where(is_scanned, listed["alone"], 0.0),
            offset=np.where(
                is_scanned,
                np.minimum(listed["offset"], _positive(params, "offset_cap", place, 0.0, 1.0)),
                0.0,
            ),
        ),
        pair_move=pair_move,
        grid=grid,
        vol_units=vol_units,
        vol=_vol_shocks(params["volatility"], f"{place}.volatility"),
        closing=ClosingTime(
            price_range,
            listed["daily_volume"] * _positive(params, "participation", place, 1e-9, 1.0),
            _positive(params, "horizon_days", place, 1e-9),
        ),
        basis_min=listed["basis_min"],
        basis_year=listed["basis_year"],
        short_option_rate=_positive(params, "short_option_rate", place, 0.0, 1.0),
        fee_rate=_positive(params, "fee_rate", place, 0.0, 1.0),
        option_fee_rate=_positive(params, "option_fee_rate", place, 0.0, 1.0),
        haircuts=residual_haircuts(params["haircuts"], names, taken, f"{place}.haircuts"),
        fall=fall,
        rise=rise,
    )


def _positive(
    params: Mapping[str, Any], name: str, place: str, low: float = 0.0, high: float = np.inf
) -> float:
    return number(params[name], f"{place}.{name}", low, high)


def _entry(table: Any, wanted: frozenset[str], place: str) -> Mapping[str, Any]:
    """An entry that has just the wanted keys."""
    if not isinstance(table, Mapping) or set(table) != wanted:
        raise InputError(place, "is no full entry", f"give {', '.join(sorted(wanted))}")
    return table


def _underlyings(
    params: Mapping[str, Any], names: tuple[str, ...], place: str
) -> dict[str, Floats]:
    """Columns over assets by name, NaN for what is not listed; ``bloc`` numbers the column."""
    keys = ("range", "alone", "offset", "basis_min", "basis_year", "daily_volume", "bloc")
    out = {key: np.full(len(names), np.nan) for key in keys}
    buffer = 1.0 + _positive(params, "range_buffer", place)
    blocs = list(params["scenarios"])[:-1]
    for name, row in params["underlyings"].items():
        if name not in names:
            continue
        here = f"{place}.underlyings.{name}"
        entry = _entry(row, UNDERLYING, here)
        if entry["class"] not in params["classes"]:
            remedy = did_you_mean(str(entry["class"]), params["classes"])
            raise InputError(f"{here}.class", f"unknown class {entry['class']!r}", remedy)
        where = f"{place}.classes.{entry['class']}"
        family = _entry(params["classes"][entry["class"]], FAMILY, where)
        if family["bloc"] not in blocs:
            remedy = did_you_mean(str(family["bloc"]), blocs)
            raise InputError(f"{where}.bloc", f"no scenarios for {family['bloc']!r}", remedy)
        k = names.index(name)
        recent = buffer * _positive(entry, "recent", here)
        largest = max(recent, _positive(entry, "floor", here))
        out["range"][k] = number(largest, f"{here}.recent", 1e-6, 0.999999)
        out["daily_volume"][k] = _positive(entry, "daily_volume", here, 1e-6)
        out["bloc"][k] = blocs.index(family["bloc"])
        for key, high in (("alone", 1.0), ("offset", 1.0), ("basis_min", 1.0), ("basis_year", 10)):
            out[key][k] = _positive(family, key, where, 0.0, high)
    return out


def _scenarios(
    params: Mapping[str, Any], listed: Mapping[str, Floats], place: str
) -> tuple[Floats, Floats]:
    """Units of range, [assets, scenarios], 0 for what is not listed, and of volatility."""
    table = params["scenarios"]
    where = f"{place}.scenarios"
    if list(table)[-1] != "volatility" or len(table) < 2:
        raise InputError(where, "does not end in volatility", "list the blocs first")
    columns = []
    for name, values in table.items():
        if not isinstance(values, list) or len(values) != SCENARIOS:
            raise InputError(f"{where}.{name}", "is no full column", f"give {SCENARIOS} numbers")
        columns.append([number(value, f"{where}.{name}", -100, 100) for value in values])
    by_bloc, bloc = np.array(columns), listed["bloc"]
    is_listed = ~np.isnan(bloc)
    units = np.zeros((bloc.size, SCENARIOS))
    units[is_listed] = by_bloc[bloc[is_listed].astype(np.int64)]
    return units, by_bloc[-1]


def _vol_shocks(table: Mapping[str, Any], place: str) -> VolShocks:
    law = TenorLaw(
        short_power=_positive(table, "short_power", place),
        long_power=_positive(table, "long_power", place),
        split_is_short=False,
        whole_days=False,
        reference_days=_positive(table, "reference_days", place, 1e-6),
        days_min=_positive(table, "days_min", place, 1e-6),
    )
    return VolShocks(
        _positive(table, "up", place),
        _positive(table, "down", place),
        law,
        _positive(table, "vol_min_up", place),
        _positive(table, "vol_min_down", place),
    )


def _depegs(
    table: Mapping[str, Any], names: tuple[str, ...], is_scanned: Bools, place: str
) -> tuple[Floats, Floats, Bools]:
    """Fall and rise by asset, 0 for what is scanned, and which assets are listed by name."""
    fall, rise = np.zeros(len(names)), np.zeros(len(names))
    for k, name in enumerate(names):
        pair = table.get(name, table.get(DEFAULT))
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError(f"{place}.{name}", "is no pair", "give [fall, rise], 0.05 for 5 %")
        if not is_scanned[k]:
            fall[k], rise[k] = (number(x, f"{place}.{name}", 0.0, 1.0) for x in pair)
    return fall, rise, np.array([name in table for name in names]) & ~is_scanned


def _grids(
    instruments: InstrumentTable,
    move: Floats,
    is_scanned: Bools,
    is_currency: Bools,
    currency: str,
) -> tuple[Floats, Int64s]:
    """Moves of each pair of base and quote that contracts have a rule for, and each one's row."""
    names = instruments.assets.names
    base, quote, settle = instruments.base, instruments.quote, instruments.settle
    is_quoted = (quote == settle) | np.array([names[k] == currency for k in quote], dtype=np.bool_)
    has_rule = is_scanned[base] & is_quoted & (is_scanned | is_currency)[settle]
    has_rule &= ~instruments.of_kind(Kind.SPOT)
    key = np.where(has_rule, base.astype(np.int64) * len(names) + quote, -1)
    pairs = np.unique(key[has_rule])
    # What the quote does not move by itself has a move of 0.
    ratio = (1.0 + move[pairs // len(names)]) / (1.0 + move[pairs % len(names)]) - 1.0
    plain = ~is_scanned[pairs % len(names)]
    ratio[plain] = move[pairs[plain] // len(names)]
    grid = np.where(has_rule, np.searchsorted(pairs, key), -1)
    return ratio, grid.astype(np.int64)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    equity = exposure.cell_equity
    # An asset that holds nothing needs no price.
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    haircut = params.haircuts.amount(layout.cell_asset, np.where(value > 0, value, 0.0))
    rows = risk_rows(layout)
    fills = order_fills(exposure, market)
    profits = contract_scenarios(market, params)
    scan = scan_jointly(exposure, rows, fills, value, profits, params.columns)
    held = _lines(exposure, market, params, rows, value, scan.held, (exposure.quantity,))
    charge = scan.held.charge
    owed = quote_notional(market)
    depegs = depeg_loss(exposure, value, owed, params.fall, params.rise)
    depeg = independent_excess(charge, sum_segmented(layout.cell_offsets, depegs))
    fees, orders = _orders(exposure, market, params, rows, value, scan, fills, held)
    factor = params.initial_factor
    lines = (
        ("joint_scan", scan.held.joint),
        ("offset_limit", minimum_excess(charge, scan.held.joint)),
        ("short_option_minimum", held.minimum),
        ("concentration", sum_segmented(rows.offsets, held.concentration)),
        ("basis", sum_segmented(rows.offsets, held.basis)),
        ("depeg", depeg),
    )
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, value - haircut),
        charges=(
            *(Charge(name, factor * line, line) for name, line in lines),
            Charge("open_orders", orders, np.zeros(orders.size)),
            Charge("fee_provision", fees, fees),
        ),
        details=(
            Detail(
                "collateral", layout.cell_offsets, layout.cell_asset,
                (("balance", exposure.cell_balance), ("equity", equity),
                 ("index_price", exposure.cell_price), ("value", value),
                 ("haircut", haircut), ("collateral_value", value - haircut),
                 ("depeg_loss", depegs)),
            ),
            _underlying_detail(exposure, rows, value, profits, params, scan, held),
        ),
    )  # fmt: skip


def contract_scenarios(market: Market, params: Params) -> Floats:
    """Weighted profit in USD of one long contract, shape [instruments, scenarios].

    What settles in a scanned coin is worth that coin's moved price. NaN without a rule or price.
    """
    table = market.instruments
    vol_move = unit_vol_moves(market, params.vol_units, params.vol)
    moves = Moves(params.pair_move, params.grid, vol_move)
    profits = contract_profits(market, moves, from_mark=False)
    settled = market.index[table.settle][:, np.newaxis] * (1.0 + params.move[table.settle])
    return np.asarray(profits * settled * params.weight[table.base])


@dataclass(frozen=True, slots=True)
class _Lines:
    """Rules 5 to 7 for one side of a scan; ``minimum`` by pool, the others by row."""

    floor: Floats
    minimum: Floats
    concentration: Floats
    basis: Floats

    def total(self, rows: RiskRows, side: ScanSide) -> Floats:
        """Rules 4 to 7, shape [pools]."""
        others = sum_segmented(rows.offsets, self.concentration + self.basis)
        return side.charge + self.minimum + others


def _lines(
    exposure: Exposure,
    market: Market,
    params: Params,
    rows: RiskRows,
    value: Floats,
    side: ScanSide,
    quantities: tuple[Floats, ...],
) -> _Lines:
    """Rules 5 to 7, at the worst of some quantities by slot."""
    table, layout, asset = exposure.instruments, exposure.layout, rows.asset
    instrument, count = layout.slot_instrument, rows.asset.size
    index = market.index[table.base]
    is_option = table.of_kind(Kind.OPTION)
    each = np.where(is_option, params.short_option_rate * table.multiplier * index, 0.0)
    delta = contract_delta(market) * index
    is_scanned = ~np.isnan(params.price_range[layout.cell_asset])
    coins = np.where(is_scanned, value, 0.0)
    floor, basis = np.zeros(count), np.zeros(count)
    for quantity in quantities:
        short = np.maximum(-quantity, 0.0)
        least = np.where(short == 0, 0.0, short * each[instrument])
        floor = np.maximum(floor, sum_by(rows.slot_row, least, count))
        legs = ExpiryLegs(
            np.concatenate([rows.slot_row, rows.cell_row]),
            np.concatenate([table.expiry_ns[instrument], np.full(coins.size, SPOT)]),
            np.concatenate([np.where(quantity == 0, 0.0, quantity * delta[instrument]), coins]),
        )
        charge = matched_basis(
            legs, market.as_of_ns, params.basis_year[asset], params.basis_min[asset]
        )
        basis = np.maximum(basis, charge)
    own = sum_segmented(rows.offsets, minimum_excess(floor, side.positions))
    closing = ClosingTime(
        params.closing.price_range[asset], params.closing.capacity[asset],
        params.closing.horizon_days,
    )  # fmt: skip
    return _Lines(
        floor=floor,
        # Not less than all options ask, nor than each underlying's options ask of it.
        minimum=np.maximum(sum_segmented(rows.offsets, floor) - side.charge, own),
        concentration=concentration_charge(side.positions, closing),
        basis=basis,
    )


def _orders(
    exposure: Exposure,
    market: Market,
    params: Params,
    rows: RiskRows,
    value: Floats,
    scan: JointScan,
    fills: Fills,
    held: _Lines,
) -> tuple[Floats, Floats]:
    """Fee provision of what is held, and what open orders add to the initial margin, [pools]."""
    layout, table, quantity = exposure.layout, exposure.instruments, exposure.quantity
    per_option = params.option_fee_rate * table.multiplier * market.index[table.base]
    outright = params.fee_rate * exposure.contract_notional
    each = np.where(table.of_kind(Kind.OPTION), per_option, outright)[layout.slot_instrument]
    size = np.abs(quantity)
    fees = sum_segmented(layout.slot_offsets, np.where(size == 0, 0.0, size * each))
    lock = sum_segmented(layout.group_offsets, exposure.spot_reserve)
    if not (np.any(fills.buys) or np.any(fills.sells)):
        return fees, lock
    quantities = (quantity, quantity + fills.buys, quantity - fills.sells)
    filled = _lines(exposure, market, params, rows, value, scan.filled, quantities)
    rise = filled.total(rows, scan.filled) - held.total(rows, scan.held)
    more = np.maximum(np.abs(quantities[1]), np.abs(quantities[2])) - size
    more_fees = np.where(more > 0, more * each, 0.0)
    # A pool without orders is not touched by the rounding of the difference.
    slots = (fills.buys != 0) | (fills.sells != 0)
    has_orders = sum_segmented(layout.slot_offsets, slots.astype(np.float64)) > 0
    added = params.initial_factor * np.where(has_orders, np.maximum(rise, 0.0), 0.0)
    return fees, added + sum_segmented(layout.slot_offsets, more_fees) + lock


def _underlying_detail(
    exposure: Exposure,
    rows: RiskRows,
    value: Floats,
    profits: Floats,
    params: Params,
    scan: JointScan,
    held: _Lines,
) -> Detail:
    """By underlying: what it loses alone, in the worst joint scenario, in the worst in which

    blocs part; its part of the credit, pro rata to the standalone loss; the other charges.
    """
    pool = np.repeat(np.arange(scan.worst.size), np.diff(rows.offsets))
    side = scan.held
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(side.total > 0, 1.0 - side.charge / side.total, 0.0)
    joint, apart = (
        row_profits(exposure, rows, scenario, value, profits, params.columns)
        for scenario in (scan.worst, scan.worst_apart)
    )
    return Detail(
        "underlyings", rows.offsets, rows.asset,
        (("price_range", np.where(params.columns.alone > 0, params.price_range, 0.0)[rows.asset]),
         ("position_loss", side.positions), ("standalone_loss", side.standalone),
         ("alone_loss", scan.alone), ("joint_profit", joint), ("apart_profit", apart),
         ("credit", side.standalone * np.maximum(share, 0.0)[pool]),
         ("joint_scenario", scan.worst[pool].astype(np.float64)),
         ("apart_scenario", scan.worst_apart[pool].astype(np.float64)),
         ("short_option_floor", held.floor), ("concentration", held.concentration),
         ("basis", held.basis)),
    )  # fmt: skip


MODEL = Model(
    name="plimsoll.portfolio",
    title="House model: joint scenarios over positions and collateral, capped offsets",
    table="plimsoll_portfolio",
    resolve=resolve,
    require=require,
    reprices_options=True,
)
