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

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, sum_by
from plimsoll.instruments import Kind
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    ClosingTime,
    ExpiryLegs,
    Fills,
    JointScan,
    Moves,
    RiskRows,
    ScanSide,
    concentration_charge,
    contract_delta,
    contract_profits,
    depeg_loss,
    independent_excess,
    matched_basis,
    minimum_excess,
    order_fills,
    quote_notional,
    risk_rows,
    row_profits,
    scan_jointly,
    sum_segmented,
    unit_vol_moves,
)
from plimsoll.margin.charges.concentration import SPOT
from plimsoll.margin.exposure import Exposure, notional_coefficient
from plimsoll.margin.model import Model, ResolvedModel, Sweep
from plimsoll.margin.sweep import (
    JointSheet,
    JointTerms,
    build_repricing,
    prepare_joint,
    sweep_joint,
)
from plimsoll.margin.venues.plimsoll_portfolio_parameters import SCENARIOS, Params, resolve
from plimsoll.market import Market


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
    held = _lines(exposure, market, params, rows, value, scan.held, (np.zeros(fills.buys.size),))
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


def usd_deltas(market: Market) -> Floats:
    """USD of the underlying that one long contract moves with, shape [instruments]."""
    return contract_delta(market) * market.index[market.instruments.base]


def option_floors(market: Market, params: Params) -> Floats:
    """USD that one contract sold costs at least, shape [instruments]; 0 for all but options."""
    table = market.instruments
    each = params.short_option_rate * table.multiplier * market.index[table.base]
    return np.where(table.of_kind(Kind.OPTION), each, 0.0)


def closing_fees(market: Market, params: Params) -> Floats:
    """USD of the fee to close one contract, shape [instruments]."""
    table, index = market.instruments, market.index
    per_option = params.option_fee_rate * table.multiplier * index[table.base]
    outright = params.fee_rate * notional_coefficient(table, market.mark, index)
    return np.where(table.of_kind(Kind.OPTION), per_option, outright)


def prepare(market: Market, resolved: ResolvedModel) -> JointSheet:
    """The sheet that pools are swept from."""
    params: Params = resolved.params
    return prepare_joint(
        market,
        JointTerms(
            profits=contract_scenarios(market, params),
            delta=usd_deltas(market),
            fee=closing_fees(market, params),
            floor=option_floors(market, params),
            owed=quote_notional(market),
            columns=params.columns,
            fall=params.fall,
            rise=params.rise,
            closing=params.closing,
            basis_year=params.basis_year,
            basis_min=params.basis_min,
            haircuts=params.haircuts,
            repricing=build_repricing(
                market, params.pair_move, params.grid, params.move, params.weight,
                params.vol_units, params.vol,
                (params.short_option_rate, params.fee_rate, params.option_fee_rate),
            ),
            initial_factor=params.initial_factor,
            call_ratio=resolved.margin_call_ratio,
            currency=resolved.currency,
        ),
    )  # fmt: skip


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
    fills: tuple[Floats, ...],
) -> _Lines:
    """Rules 5 to 7 of what is held with the worst of some fills, contracts by slot."""
    table, layout, asset = exposure.instruments, exposure.layout, rows.asset
    instrument, count, quantity = layout.slot_instrument, rows.asset.size, exposure.quantity
    each = option_floors(market, params)[instrument]
    delta = usd_deltas(market)[instrument]
    is_scanned = ~np.isnan(params.price_range[layout.cell_asset])
    coins = np.where(is_scanned, value, 0.0)
    short = np.maximum(-quantity, 0.0)
    least = sum_by(rows.slot_row, np.where(short == 0, 0.0, short * each), count)
    floor, basis = least, np.zeros(count)
    for added in fills:
        # Sold beyond what is sold already; a fill that buys back asks for nothing.
        more = np.maximum(-(quantity + added), 0.0) - short
        sold = sum_by(rows.slot_row, np.where(more > 0, more * each, 0.0), count)
        floor = np.maximum(floor, least + sold)
        legs = ExpiryLegs(
            np.concatenate([rows.slot_row, rows.cell_row]),
            np.concatenate([table.expiry_ns[instrument], np.full(coins.size, SPOT)]),
            np.concatenate([np.where(quantity == 0, 0.0, quantity * delta), coins]),
            np.concatenate([np.where(added == 0, 0.0, added * delta), np.zeros(coins.size)]),
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
    layout, quantity = exposure.layout, exposure.quantity
    each = closing_fees(market, params)[layout.slot_instrument]
    size = np.abs(quantity)
    fees = sum_segmented(layout.slot_offsets, np.where(size == 0, 0.0, size * each))
    lock = sum_segmented(layout.group_offsets, exposure.spot_reserve)
    if not (np.any(fills.buys) or np.any(fills.sells)):
        return fees, lock
    cases = (np.zeros(size.size), fills.buys, -fills.sells)
    filled = _lines(exposure, market, params, rows, value, scan.filled, cases)
    rise = filled.total(rows, scan.filled) - held.total(rows, scan.held)
    more = np.maximum(np.abs(quantity + fills.buys), np.abs(quantity - fills.sells)) - size
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


__all__ = ["MODEL", "SCENARIOS", "Params", "contract_scenarios", "prepare", "require", "resolve"]

MODEL = Model(
    name="plimsoll.portfolio",
    title="House model: joint scenarios over positions and collateral, capped offsets",
    table="plimsoll_portfolio",
    resolve=resolve,
    require=require,
    reprices_options=True,
    sweep=Sweep(prepare, sweep_joint, lambda _rows, sheet: sheet.own_room()),
)
