"""cme.span: the Standard Portfolio Analysis of Risk, futures and options on futures.

1. Scenarios. Sixteen, always in one order: the price unchanged, then up and down by one third,
   two thirds and the whole of the price scan range, each with volatility up and down by its scan
   range; last the extreme moves up and down, a multiple of the price scan range with volatility
   unchanged, of which a fraction of the profit or loss is covered.
2. Risk arrays. What one long contract gains or loses in each from now to one trading day on:
   options by Black-76 at their shocked volatility, the price scan range a fraction of the price,
   the volatility scan range absolute (0.6 adds 60 points), a volatility never below nothing. A
   fall of more than the whole price leaves a millionth of it.
3. Scanning risk: the largest loss of all positions on an underlying in any one scenario.
4. Composite delta: an option's delta after the trading day, averaged over the seven prices
   without the extremes at their probabilities.
5. Calendar spreads. Net composite deltas of expiries on opposite sides form spreads; a spread of
   one coin asks a fraction of the price.
6. Inter-commodity credit. Pairs of underlyings, in order, form spreads of so many deltas of each
   on opposite sides; each side gets a fraction of its weighted price risk back: per delta, the
   mean of the worst scenario and its twin of the other volatility, less the mean of the first
   two (time and volatility alone). A credit never exceeds the scanning risk.
7. Short option minimum: each short option asks at least a fraction of the outright margin of
   its size; the requirement of an underlying is the larger of that and of what stands above.
8. Maintenance is the requirement; initial is a multiple of it.
9. Net option value is credited in full: the collateral value holds options at their marks.
   Other assets count less their haircut where listed; unlisted ones back nothing.

The price scan range and what goes with it are the clearing house's daily data. What the table
lacks and no override states leaves whoever needs it UNKNOWN. Open orders are not margined, but
one in a contract that cannot be scanned makes its pool UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    Moves,
    contract_delta,
    contract_profits,
    grids_by_base,
    group_pool,
    in_usd,
    option_minimum,
    option_years,
    scan_groups,
    sum_by_expiry,
    sum_segmented,
    sum_slots,
    worst_loss,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, number
from plimsoll.market import Market
from plimsoll.pricing import greeks
from plimsoll.pricing.grid import MOVE_MAX

THIRDS = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)
"""Prices without the extremes, as fractions of the price scan range, in their order."""

EXTREMES = (1.0, -1.0)
LEFT_MIN = 1e-6
"""What a fall leaves of a price at least: a coin-settled contract has no value at none."""

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class PairCredit:
    """An inter-commodity spread: assets, deltas of each in one spread, fraction credited."""

    asset: tuple[int, int]
    ratio: tuple[float, float]
    rate: float


@dataclass(frozen=True, slots=True)
class Params:
    """Fractions by asset, NaN where nothing is known, and what holds for all of them.

    ``delta_weight`` holds one weight for each of ``THIRDS``.
    """

    price_range: Floats
    vol_range: Floats
    calendar_rate: Floats
    option_minimum: Floats
    haircut: Floats
    credits: tuple[PairCredit, ...]
    delta_weight: tuple[float, ...]
    extreme_move: float
    extreme_cover: float
    look_ahead_years: float
    initial_ratio: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets of a book."""
    names = instruments.assets.names

    def column(name: str, high: float = np.inf) -> Floats:
        return asset_column(params[name], names, f"{place}.{name}", high=high)

    def single(name: str, low: float = 0.0, high: float = np.inf) -> float:
        return number(params[name], f"{place}.{name}", low, high)

    weights = params["delta_weights"]
    if not isinstance(weights, Sequence) or len(weights) != 4:
        remedy = "give one each for none, one, two and three thirds of the range"
        raise InputError(f"{place}.delta_weights", "there are not four weights", remedy)
    each = [number(weight, f"{place}.delta_weights", high=1.0) for weight in weights]
    return Params(
        price_range=column("price_scan_range"),
        vol_range=column("vol_scan_range"),
        calendar_rate=column("intra_commodity_charge"),
        option_minimum=column("short_option_minimum"),
        haircut=column("collateral_haircut", 1.0),
        credits=_credits(params["inter_commodity_credit"], names, place),
        delta_weight=tuple(each[(k + 1) // 2] for k in range(len(THIRDS))),
        extreme_move=single("extreme_move"),
        extreme_cover=single("extreme_cover", high=1.0),
        look_ahead_years=single("look_ahead_days") / DAYS_PER_YEAR,
        initial_ratio=single("initial_ratio", low=1.0),
    )  # fmt: skip


def _credits(table: Mapping[str, Any], names: Sequence[str], place: str) -> tuple[PairCredit, ...]:
    """The pairs of the table that a book knows both sides of, in the table's order."""
    found = []
    for pair, row in table.items():
        sides, inner = pair.split("/"), f"{place}.inter_commodity_credit.{pair}"
        if len(sides) != 2 or not isinstance(row, Sequence) or len(row) != 3:
            remedy = 'write "BTC/ETH" = [deltas of BTC, deltas of ETH, fraction credited]'
            raise InputError(inner, "is no pair of underlyings with three numbers", remedy)
        first, second = (number(ratio, inner, low=1e-12) for ratio in row[:2])
        rate = number(row[2], inner, high=1.0)
        if all(side in names for side in sides):
            assets = (names.index(sides[0]), names.index(sides[1]))
            found.append(PairCredit(assets, (first, second), rate))
    return tuple(found)


def scenario_moves(market: Market, params: Params) -> Moves:
    """The sixteen scenarios of each underlying with a price scan range (rules 1 and 2)."""
    table = market.instruments
    listed = tuple(int(a) for a in np.flatnonzero(~np.isnan(params.price_range)))
    shape = np.concatenate(
        [np.repeat(THIRDS, 2), np.multiply(EXTREMES, params.extreme_move)]
    )  # fmt: skip
    # Where nothing is listed, a row that no instrument names.
    ranges = params.price_range[list(listed)] if listed else np.zeros(1)
    price = np.maximum(ranges[:, np.newaxis] * shape, LEFT_MIN - 1.0)
    sign = np.concatenate([np.tile([1.0, -1.0], len(THIRDS)), np.zeros(len(EXTREMES))])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = params.vol_range[table.base] / market.implied_vol
    # A volatility of next to nothing has no relative move that could be taken.
    relative = np.where(relative > MOVE_MAX, np.nan, relative)
    vol = np.maximum(relative[:, np.newaxis] * sign, -1.0)
    return Moves(price, grids_by_base(table, listed), vol, params.look_ahead_years)


def scenario_weights(params: Params) -> Floats:
    """Fraction of each scenario's profit or loss that counts, shape [16]."""
    return np.repeat((1.0, params.extreme_cover), (2 * len(THIRDS), len(EXTREMES)))


def risk_arrays(market: Market, params: Params) -> Floats:
    """Profit of one long contract in each scenario as it counts, USD, [instruments, 16].

    A loss is negative here; the clearing house writes it positive.
    """
    table, moves = market.instruments, scenario_moves(market, params)
    usd = in_usd(contract_profits(market, moves, from_mark=False), market, moves)
    # A premium in coin is worth more when the coin is.
    in_coin = table.of_kind(Kind.OPTION) & table.of_payoff(Payoff.INVERSE)
    rows = np.flatnonzero(in_coin & (moves.grid >= 0))
    value = market.mark[rows] * table.multiplier[rows] * market.index[table.settle[rows]]
    usd[rows] += value[:, np.newaxis] * moves.price_move[moves.grid[rows]]
    return usd * scenario_weights(params)


def composite_delta(market: Market, params: Params) -> Floats:
    """Coins that one long contract moves with on average (rule 4), shape [instruments]."""
    table = market.instruments
    out = contract_delta(market)
    rows = np.flatnonzero(table.of_kind(Kind.OPTION))
    if rows.size:
        # All seven prices of all options at once: [7, options], then flat.
        moves = np.multiply.outer(THIRDS, params.price_range[table.base[rows]])
        forward = market.forward[rows] * (1.0 + np.maximum(moves, LEFT_MIN - 1.0))
        years = option_years(market, params.look_ahead_years)[rows]
        count = len(THIRDS)
        delta = greeks(
            forward.ravel(), np.tile(table.strike[rows], count), np.tile(years, count),
            np.tile(market.implied_vol[rows], count), np.tile(table.is_call[rows], count),
        ).delta.reshape(forward.shape)  # fmt: skip
        average = np.zeros(rows.size)
        for weight, at_price in zip(params.delta_weight, delta, strict=True):
            average += weight * at_price
        out[rows] = average * table.multiplier[rows]
    return out


@dataclass(frozen=True, slots=True)
class _Commodities:
    """What each group asks, USD >= 0 but for ``price_risk``; ``delta`` in coins."""

    cells: Floats
    scan: Floats
    delta: Floats
    price_risk: Floats
    calendar: Floats
    credit: Floats
    minimum: Floats


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    found = _commodities(exposure, market, params)
    scan = found.scan - found.credit
    excess = np.maximum(found.minimum - (scan + found.calendar), 0.0)
    lines = (
        ("scanning_risk", scan),
        ("intra_commodity_spreads", found.calendar),
        ("short_option_minimum", excess),
    )
    charges = []
    for name, values in lines:
        asked = sum_segmented(layout.group_offsets, values)
        charges.append(Charge(name, params.initial_ratio * asked, asked))
    equity, counted, collateral = _collateral(exposure, params)
    figures = [("scanning_risk", found.scan), ("composite_delta", found.delta),
               ("price_risk", found.price_risk), ("inter_commodity_credit", found.credit),
               ("intra_commodity_spreads", found.calendar),
               ("short_option_minimum", found.minimum)]  # fmt: skip
    figures += [(f"scenario_{k + 1}", found.cells[:, k]) for k in range(found.cells.shape[1])]
    scanned = Detail("scan", layout.group_offsets, layout.group_underlying, tuple(figures))
    return Requirement(equity, counted, tuple(charges), (collateral, scanned))


def _commodities(exposure: Exposure, market: Market, params: Params) -> _Commodities:
    layout, table = exposure.layout, exposure.instruments
    held, under = exposure.quantity != 0, layout.group_underlying
    arrays = risk_arrays(market, params)
    cells = scan_groups(exposure, arrays)
    scan = worst_loss(cells)
    # What cannot be scanned cannot be ordered unseen either.
    ordered = (exposure.buys > 0) | (exposure.sells > 0)
    blind = np.asarray(np.isnan(arrays).any(axis=1))[layout.slot_instrument]
    scan = scan + sum_slots(exposure, np.where(ordered & blind, np.nan, 0.0))
    each = composite_delta(market, params)[layout.slot_instrument]
    deltas = np.where(held, exposure.quantity * each, 0.0)
    net = sum_by_expiry(exposure, deltas)
    long = sum_by(net.group, np.maximum(net.net, 0.0), under.size)
    short = sum_by(net.group, np.maximum(-net.net, 0.0), under.size)
    spread = np.minimum(long, short)
    calendar = spread * exposure.group_price * params.calendar_rate[under]
    per_option = params.option_minimum * params.price_range * market.index
    minimum = option_minimum(exposure, per_option[table.base] * table.multiplier, counts_long=False)
    delta = sum_slots(exposure, deltas)
    price_risk = _price_risk(cells)
    return _Commodities(
        cells, scan, delta, price_risk, np.where(spread == 0, 0.0, calendar),
        np.minimum(_pair_credit(exposure, delta, price_risk, params), scan), minimum,
    )  # fmt: skip


def _price_risk(cells: Floats) -> Floats:
    """Loss of the worst scenario by price alone (rule 6), USD >= 0, shape [groups]."""
    losses, row = -cells, np.arange(len(cells))
    worst = np.argmax(losses, axis=1)
    twin = np.where(worst < 2 * len(THIRDS), worst ^ 1, worst)
    by_time = (losses[:, 0] + losses[:, 1]) / 2
    return np.asarray(np.maximum((losses[row, worst] + losses[row, twin]) / 2 - by_time, 0.0))


def _pair_credit(exposure: Exposure, delta: Floats, price_risk: Floats, params: Params) -> Floats:
    """Inter-commodity credit of each group (rule 6), USD >= 0."""
    under, pool = exposure.layout.group_underlying, group_pool(exposure)
    rest, credit = delta.copy(), np.zeros(delta.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_delta = np.where(delta == 0, 0.0, price_risk / np.abs(delta))
    for pair in params.credits:
        first, second = (_groups_of(asset, under, pool, exposure) for asset in pair.asset)
        both = np.flatnonzero((first >= 0) & (second >= 0))
        sides = (first[both], second[both])
        opposite = rest[sides[0]] * rest[sides[1]] < 0
        formed = np.minimum(*(np.abs(rest[s]) / r for s, r in zip(sides, pair.ratio, strict=True)))
        formed = np.where(opposite, formed, 0.0)
        for side, ratio in zip(sides, pair.ratio, strict=True):
            credit[side] += formed * ratio * per_delta[side] * pair.rate
            rest[side] -= np.sign(rest[side]) * formed * ratio
    return credit


def _groups_of(asset: int, under: Int32s, pool: Int64s, exposure: Exposure) -> Int64s:
    """The group of an asset in each pool, -1 where it has none."""
    out = np.full(exposure.is_isolated.size, -1, dtype=np.int64)
    groups = np.flatnonzero(under == asset)
    out[pool[groups]] = groups
    return out


def _collateral(exposure: Exposure, params: Params) -> tuple[Floats, Floats, Detail]:
    """Equity, collateral value (rule 9) and the cells behind them."""
    layout, table = exposure.layout, exposure.instruments
    cells = layout.cell_asset.size
    i, held = layout.slot_instrument, exposure.quantity != 0
    is_option = table.of_kind(Kind.OPTION)[i]
    worth = np.where(held, exposure.quantity * exposure.contract_value[i] - exposure.cost, 0.0)
    options = sum_by(layout.slot_cell, np.where(is_option, worth, 0.0), cells)
    others = sum_by(layout.slot_cell, np.where(is_option, 0.0, worth), cells)
    own = exposure.cell_balance + others
    # An asset that holds nothing needs no price.
    own = np.where(own == 0, 0.0, own * exposure.cell_price)
    options = np.where(options == 0, 0.0, options * exposure.cell_price)
    haircut = params.haircut[layout.cell_asset]
    kept = np.where(np.isnan(haircut), 0.0, 1.0 - haircut)
    counted = np.where(own > 0, own * kept, own) + options
    detail = Detail(
        "collateral", layout.cell_offsets, layout.cell_asset,
        (("balance", exposure.cell_balance), ("index_price", exposure.cell_price),
         ("value", own), ("net_option_value", options), ("collateral_value", counted)),
    )  # fmt: skip
    offsets = layout.cell_offsets
    return sum_segmented(offsets, own + options), sum_segmented(offsets, counted), detail


MODEL = Model(
    name="cme.span",
    title="CME SPAN: sixteen scenarios, calendar spreads, credits and a short option minimum",
    table="cme_span",
    resolve=resolve,
    require=require,
    reprices_options=True,
)
