"""Columns of ``plimsoll.portfolio`` for judging one pool at a time, and room to work in."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from plimsoll.core import NS_PER_SECOND, Floats, Int8s, Int32s, Int64s, offsets_from_counts
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.model import ModelSet
from plimsoll.margin.venues import plimsoll_portfolio
from plimsoll.margin.venues.plimsoll_portfolio_parameters import SCENARIOS, Params

LINEAR, INVERSE, QUANTO, UNRULED = range(4)
"""How a contract is valued; options have a number besides."""
CODE, BASE, QUOTE, SETTLE, MONEY, OPTION, LEG = range(7)
"""Columns of ``ids``: assets by number, ``MONEY`` the one that a notional is in, the option's
number or -1, and the leg for basis."""
UNIT, SIZE, STRIKE, EXPIRY, IS_CALL = range(5)
"""Columns of ``units``: contracts per unit, multiplier, strike, expiry in seconds, is a call."""
SHORT_RATE, FEE_RATE, OPTION_FEE, VOL_UP, VOL_DOWN, SHORT_POWER, LONG_POWER = range(7)
REFERENCE_DAYS, DAYS_MIN, VOL_MIN_UP, VOL_MIN_DOWN, KINDS = range(7, 12)
NUMBERS = 12
IS_SCANNED, OFFSET, CLOSING, GROWTH_MAX, FALL, RISE, BASIS_MIN, BASIS_YEAR = range(8)
LOSSES = 8
"""First of 8 columns of ``assets``: largest losses of a USD long, then short: in all scenarios, in
falls, in rises, alone."""
ASSET_COLUMNS = LOSSES + 8
SPOT_EXPIRY, NO_EXPIRY = -math.inf, math.inf
"""Of the coin itself, whose basis is nothing, and of perpetuals."""

P_LOW, P_HIGH, F_LOW, F_HIGH, V_LOW, V_HIGH, T_LOW, T_HIGH = range(8)
"""Rows of ``box``: profit and its slopes along forward, volatility and time."""
BOX_ROWS = 8
D_LOW, D_HIGH, DF_LOW, DF_HIGH, DV_LOW, DV_HIGH, DT_LOW, DT_HIGH = range(8)
"""Columns of ``greeks``: delta and its slopes."""
GREEKS = 8
BOX_KEYS, NOW_KEYS = 6, 3
POWER_MAX = 0.5
"""Up to here a shocked volatility times sqrt(T) rises with T at every tenor."""

# Sums by asset; three in a row are a figure, its least and its most over the box.
CELL, FREE, OPEN, COINS, HELD = 0, 3, 6, 9, 12
"""In coins: equity, equity that the scan sees, and equity less what is owed; in USD: contracts that
are multiples of the coin, but for those that its equity cancels, and all of them."""
VALUE, LOSS, WORST, DOWN, UP, LONE = 15, 18, 21, 24, 27, 30
"""USD: of the cell; loss of positions; with coins, in all scenarios, falls, rises, alone."""
LONG, SHORT = 33, 36
"""USD of legs for basis."""
SHORTS, OPTION_FEES, LONG_LOSS, SHORT_LOSS, RATE_LEAST, RATE_MOST, RATE_SLOPE = range(39, 46)
COUNTED_LOW, COUNTED_HIGH, OPEN_LOW, OPEN_HIGH, FLOOR_LOW, FLOOR_HIGH = range(46, 52)
BETA_LOW, BETA_HIGH, GC_LOW, GC_HIGH, GW_LOW, GW_HIGH, INDEX_LOW, INDEX_HIGH = range(52, 60)
IS_CURVED, HAS_ROW, SAME_UP, SAME_DOWN = range(60, 64)
SUMS = 64
NET, RATE, RATE_LOW, RATE_HIGH, NET_LOW, NET_HIGH = 0, 3, 4, 5, 6, 7
"""Columns of ``net``: three sums, the rate now and over the box, slopes of margin along the net."""
LEG_SUMS = 8
CHARGE, LONG_LEFT, SHORT_LEFT, JOINT, DEPEG, FLOORS, OWN = 0, 3, 6, 9, 12, 15, 18
ALPHA_LOW, ALPHA_HIGH, DELTA_LOW, DELTA_HIGH, TIME_LOW, TIME_HIGH = range(21, 27)
TERMS, FEES, CLOSE, BASIS, LONES, STEEP = range(27, 33)
TOTALS = 33
"""Sums of a pool."""


class JointHouse(NamedTuple):
    """Rules and units as columns, and what is known of options at the last market and box.

    ``block`` [models] numbers a model's rules, -1 for others. ``shape`` [models, instruments]
    names the row of ``shapes`` [rows, scenarios] that an outright contract's profits are a
    multiple of, -1 without a rule; row model * assets + asset is the asset's own. ``bars``
    [models * assets, 3, scenarios] are 0 in falls, in rises and in moves alone, else infinite.
    ``kind`` [models, scenarios] picks ``shocks`` [models, kinds], units of volatility. Options
    have rows model * options + option: ``growth`` and ``log_growth`` of the forward, ``scale``,
    the weight and growth of the settle asset, ``now`` [.., scenarios], profits in the settle
    asset at ``now_key`` (forward, volatility, time), ``box`` and ``greeks`` valid in ``box_key``,
    the ends of these; ``delta`` is that of ``now``.
    """

    block: Int32s
    ids: Int32s
    units: Floats
    asset_unit: Floats
    leg_asset: Int32s
    leg_expiry: Floats
    numbers: Floats
    assets: Floats
    shape: Int32s
    shapes: Floats
    bars: Floats
    kind: Int8s
    shocks: Floats
    tier_offsets: Int64s
    tier_floors: Floats
    tier_rates: Floats
    tier_cumulative: Floats
    growth: Floats
    log_growth: Floats
    scale: Floats
    now: Floats
    delta: Floats
    now_key: Floats
    box: Floats
    greeks: Floats
    box_key: Floats


class JointScratch(NamedTuple):
    """Room for one pool.

    ``sums`` [assets, 64]; the assets and legs in use; by leg ``net`` [legs, 8]; profits that are
    no multiple of the coin's, ``rows`` [assets, 3, scenarios]: now, least, most; ``joint`` [3,
    scenarios], their sum over underlyings; scenarios that may be worst, ``worst`` [assets + 1,
    5, scenarios], and how many, ``counts`` [assets + 1, 5].
    """

    sums: Floats
    is_used: Int8s
    used: Int32s
    net: Floats
    is_leg_used: Int8s
    legs: Int32s
    rows: Floats
    joint: Floats
    worst: Int32s
    counts: Int32s
    profits: Floats
    pieces: Floats
    totals: Floats
    tally: Int64s


def is_joint(models: ModelSet) -> list[bool]:
    """Which models ``evaluate_joint`` knows, by model; powers of tenor above 1/2 it does not."""
    return [
        m.model is plimsoll_portfolio.MODEL
        and max(m.params.vol.law.short_power, m.params.vol.law.long_power) <= POWER_MAX
        for m in models.models
    ]


def joint_house(models: ModelSet, table: InstrumentTable, origin_ns: int) -> JointHouse:
    """The rules of a book's scenario models; seconds count from ``origin_ns``."""
    known = is_joint(models)
    block = np.where(known, np.cumsum(known) - 1, -1).astype(np.int32)
    params: list[Params] = [m.params for m, k in zip(models.models, known, strict=True) if k]
    names, legs, leg_of = table.assets.names, *_legs(table, origin_ns)
    is_option = table.of_kind(Kind.OPTION)
    options = np.flatnonzero(is_option)
    code = np.full(len(table), LINEAR, dtype=np.int32)
    code[table.of_payoff(Payoff.INVERSE)] = INVERSE
    code[table.of_payoff(Payoff.QUANTO)] = QUANTO
    code[table.of_kind(Kind.SPOT)] = UNRULED
    rank = np.where(is_option, np.cumsum(is_option) - 1, -1)
    money = np.where(code == QUANTO, table.settle, table.quote)
    ids = np.stack([code, table.base, table.quote, table.settle, money, rank, leg_of], axis=1)
    expiry = _seconds(table.expiry_ns, origin_ns)
    units = [table.quantity_unit, table.multiplier, table.strike, expiry, table.is_call]
    shape, shapes = _shapes(params, table)
    tiers = [p.haircuts for p in params]
    rows, scenarios = len(params) * options.size, SCENARIOS
    growth = _of_options(params, lambda p: 1.0 + _pair_moves(p)[options], scenarios)
    return JointHouse(
        block,
        np.ascontiguousarray(ids, dtype=np.int32),
        np.stack([np.asarray(u, np.float64) for u in units], axis=1),
        table.assets.unit,
        np.concatenate([np.arange(len(names)), legs[0]]).astype(np.int32),
        np.concatenate([np.full(len(names), SPOT_EXPIRY), legs[1]]),
        np.array([_numbers(p) for p in params]).reshape(-1, NUMBERS),
        np.concatenate([_asset_columns(p) for p in params] or [np.zeros((0, ASSET_COLUMNS))]),
        shape,
        shapes,
        np.concatenate([_bars(p) for p in params] or [np.zeros((0, 3, scenarios))]),
        *_kinds(params),
        offsets_from_counts(
            np.concatenate([np.diff(t.offsets) for t in tiers] or [np.zeros(0, np.int64)])
        ),
        np.concatenate([np.zeros(0), *(t.floors for t in tiers)]),
        np.concatenate([np.zeros(0), *(t.rates for t in tiers)]),
        np.concatenate([np.zeros(0), *(t.cumulative for t in tiers)]),
        growth,
        np.log(growth),
        _of_options(
            params,
            lambda p: (1.0 + p.move[table.settle[options]]) * p.weight[table.base[options]],
            scenarios,
        ),
        np.zeros((rows, scenarios)),
        np.zeros(rows),
        np.full((rows, NOW_KEYS), np.nan),
        np.zeros((rows, BOX_ROWS, scenarios)),
        np.zeros((rows, GREEKS)),
        np.full((rows, BOX_KEYS), np.nan),
    )


def joint_scratch(house: JointHouse) -> JointScratch:
    """Room for one pool of that many assets and legs."""
    assets, legs = house.asset_unit.size, house.leg_asset.size
    return JointScratch(
        np.zeros((assets, SUMS)), np.zeros(assets, dtype=np.int8),
        np.zeros(assets, dtype=np.int32), np.zeros((legs, LEG_SUMS)), np.zeros(legs, dtype=np.int8),
        np.zeros(legs, dtype=np.int32), np.zeros((assets, 3, SCENARIOS)),
        np.zeros((3, SCENARIOS)), np.zeros((assets + 1, 5, SCENARIOS), dtype=np.int32),
        np.zeros((assets + 1, 5), dtype=np.int32), np.zeros((7, SCENARIOS)),
        np.zeros((SCENARIOS + 1 + 16, 8)), np.zeros(TOTALS), np.zeros(2, dtype=np.int64),
    )  # fmt: skip


def _legs(table: InstrumentTable, origin_ns: int) -> tuple[tuple[Int64s, Floats], Int64s]:
    """Distinct pairs of underlying and expiry, in seconds, and each instrument's leg.

    Legs of the coins themselves come first.
    """
    pairs = np.stack([table.base.astype(np.int64), table.expiry_ns], axis=1)
    found, turn = np.unique(pairs, axis=0, return_inverse=True)
    assets = len(table.assets.names)
    seconds = _seconds(found[:, 1], origin_ns)
    return (found[:, 0], seconds), turn.reshape(-1).astype(np.int64) + assets


def _seconds(expiry_ns: Int64s, origin_ns: int) -> Floats:
    return np.where(expiry_ns == 0, NO_EXPIRY, (expiry_ns - origin_ns) / NS_PER_SECOND)


def _numbers(p: Params) -> list[float]:
    law = p.vol.law
    return [
        p.short_option_rate, p.fee_rate, p.option_fee_rate, p.vol.up, p.vol.down,
        law.short_power, law.long_power, law.reference_days, law.days_min,
        p.vol.vol_min_up, p.vol.vol_min_down, float(np.unique(p.vol_units).size),
    ]  # fmt: skip


def _asset_columns(p: Params) -> Floats:
    """What the rules say of assets, [assets, columns]."""
    out = np.zeros((p.price_range.size, ASSET_COLUMNS))
    out[:, IS_SCANNED] = ~np.isnan(p.price_range)
    out[:, OFFSET] = p.columns.offset
    # Days to close are loss / range / capacity; NaN stays NaN.
    out[:, CLOSING] = 1.0 / (p.price_range * p.closing.capacity * 3.0 * p.closing.horizon_days)
    out[:, GROWTH_MAX] = np.maximum(1.0 / p.price_range, 1.0)
    out[:, FALL], out[:, RISE] = p.fall, p.rise
    out[:, BASIS_MIN], out[:, BASIS_YEAR] = p.basis_min, p.basis_year
    counted = np.concatenate([np.ones_like(_bars(p)[:, :1], np.bool_), _bars(p) == 0.0], axis=1)
    for side, first in ((1.0, LOSSES), (-1.0, LOSSES + 4)):
        losses = np.where(counted, -side * p.columns.coin_profit[:, np.newaxis], 0.0)
        out[:, first : first + 4] = np.maximum(losses.max(axis=2), 0.0)
    return out


def _bars(p: Params) -> Floats:
    """0 for scenarios of falls, rises and moves alone, infinite for others, [assets, 3, ..]."""
    columns = p.columns
    counts = [
        columns.direction < 0,
        columns.direction > 0,
        columns.reach <= columns.alone[:, np.newaxis],
    ]
    return np.where(np.stack(counts, axis=1), 0.0, np.inf)


def _shapes(params: list[Params], table: InstrumentTable) -> tuple[Int32s, Floats]:
    """What outright contracts gain per USD of their value, and which of these each has."""
    assets = len(table.assets.names)
    is_inverse = table.of_payoff(Payoff.INVERSE)
    shape = np.full((len(params), len(table)), -1, dtype=np.int32)
    coins = [p.columns.coin_profit for p in params]
    others: list[Floats] = []
    for k, p in enumerate(params):
        move = _pair_moves(p)
        in_coin = np.where(is_inverse[:, np.newaxis], move / (1.0 + move), move)
        profit = in_coin * (1.0 + p.move[table.settle]) * p.weight[table.base]
        own = coins[k][table.base]
        close = np.all(np.abs(profit - own) <= 2.0**-50 * np.abs(own), axis=1)
        for i in np.flatnonzero(p.grid >= 0):
            shape[k, i] = k * assets + table.base[i]
            if not close[i]:
                shape[k, i] = len(params) * assets + len(others)
                others.append(profit[i])
    return shape, np.concatenate(
        [np.zeros((0, SCENARIOS)), *coins, np.array(others).reshape(-1, SCENARIOS)]
    )


def _pair_moves(p: Params) -> Floats:
    """Moves of what instruments are priced in, [instruments, scenarios]; 0 without a rule."""
    return np.asarray(np.concatenate([p.pair_move, np.zeros((1, SCENARIOS))])[p.grid])


def _kinds(params: list[Params]) -> tuple[Int8s, Floats]:
    """Distinct shocks of volatility, and which one each scenario has."""
    kind = np.zeros((len(params), SCENARIOS), dtype=np.int8)
    shocks = np.zeros((len(params), SCENARIOS))
    for k, p in enumerate(params):
        units, turn = np.unique(p.vol_units, return_inverse=True)
        shocks[k, : units.size], kind[k] = units, turn.reshape(-1)
    return kind, shocks


def _of_options(params: list[Params], column: Callable[[Params], Floats], scenarios: int) -> Floats:
    parts = [np.ascontiguousarray(column(p)) for p in params]
    return np.concatenate([np.zeros((0, scenarios)), *parts])
