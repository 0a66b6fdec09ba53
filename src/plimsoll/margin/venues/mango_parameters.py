"""Parameters of mango.v4, and the weights and prices each kind of health takes from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, did_you_mean, parse_time
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.parameters import DEFAULT, find_entry, instrument_column, number
from plimsoll.margin.venues.mango_health import Sides
from plimsoll.market import Market

WEIGHTS = (
    "initial_asset_weight", "initial_liability_weight", "maintenance_asset_weight",
    "maintenance_liability_weight",
)  # fmt: skip
OVERALL = ("initial_overall_weight", "maintenance_overall_weight")
STARTS = ("deposit_scale_start", "borrow_scale_start")
SHIFT = ("start", "end", "asset_weight", "liability_weight")
NEVER_NS = 2**62
SMALLEST_START = 1e-6
"""USD; the protocol counts in millionths."""

STABLE_PRICES = ("market", "oracle")


class HealthKind(IntEnum):
    """Which weights and prices health is taken at (rule 1), from the lowest to the highest."""

    INITIAL = 0
    LIQUIDATION_END = 1
    MAINTENANCE = 2


@dataclass(frozen=True, slots=True)
class Weights:
    """Factors by token or contract, NaN where it is not listed."""

    initial_asset: Floats
    initial_liability: Floats
    maintenance_asset: Floats
    maintenance_liability: Floats


@dataclass(frozen=True, slots=True)
class Shift:
    """Where maintenance weights move to, and from when till when; by token, NEVER_NS for none."""

    start_ns: Int64s
    end_ns: Int64s
    asset: Floats
    liability: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over assets and, of perpetuals and ``unsettled`` (settle token), instruments.

    Scale starts are USD, infinite where a bank has none. ``has_stable_prices`` says that initial
    health takes stable prices from the market; ``liquidation_end_health`` is USD.
    """

    token_weights: Weights
    deposit_scale_start: Floats
    borrow_scale_start: Floats
    shift: Shift
    perp_weights: Weights
    initial_overall: Floats
    maintenance_overall: Floats
    unsettled: Floats
    has_stable_prices: bool
    liquidation_end_health: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    source = params["stable_price"]
    if source not in STABLE_PRICES:
        remedy = did_you_mean(str(source), STABLE_PRICES)
        raise InputError(f"{place}.stable_price", f"unknown source {source!r}", remedy)
    names = instruments.assets.names
    tokens = [params["tokens"].get(name, params["tokens"].get(DEFAULT)) for name in names]
    listed = [_is_listed(instruments, i) for i in range(len(instruments))]
    perps = [
        find_entry(params["perps"], row) if is_perp else None
        for row, is_perp in zip(instruments.rows, listed, strict=True)
    ]
    where = [f"{place}.tokens.{name}" for name in names]
    factors = _columns(tokens, WEIGHTS, (*STARTS, "maintenance_shift"), where)
    market_place = [f"{place}.perps.{symbol}" for symbol in instruments.symbols]
    market_factors = _columns(perps, (*WEIGHTS, *OVERALL), (), market_place)
    weights, perp_weights = Weights(*factors), Weights(*market_factors[:4])
    _check_order(weights, where)
    _check_order(perp_weights, market_place)
    initial_overall, maintenance_overall = market_factors[4:]
    for i in np.flatnonzero((initial_overall > maintenance_overall) | (maintenance_overall > 1)):
        remedy = "order them: initial, maintenance, 1"
        raise InputError(market_place[i], "overall weights are out of order", remedy)
    unsettled = instrument_column(
        params["unsettled"], instruments, f"{place}.unsettled", low=-np.inf
    )
    return Params(
        token_weights=weights,
        deposit_scale_start=_starts(tokens, "deposit_scale_start", where),
        borrow_scale_start=_starts(tokens, "borrow_scale_start", where),
        shift=_shift(tokens, weights, where),
        perp_weights=perp_weights,
        initial_overall=initial_overall,
        maintenance_overall=maintenance_overall,
        unsettled=np.where(np.isnan(unsettled), 0.0, unsettled),
        has_stable_prices=source == "market",
        liquidation_end_health=number(
            params["liquidation_end_health"], f"{place}.liquidation_end_health", -np.inf, 0.0
        ),
    )


def _is_listed(instruments: InstrumentTable, i: int) -> bool:
    """Whether the protocol has such contracts: linear perpetuals, without hedge mode."""
    row = instruments.rows[i]
    return row.kind == Kind.PERPETUAL and row.payoff == Payoff.LINEAR and not row.leg


def _columns(
    entries: list[Any], keys: tuple[str, ...], optional: tuple[str, ...], places: list[str]
) -> list[Floats]:
    """One column for each key, NaN where there is no entry; InputError on a key of no meaning."""
    found = np.full((len(keys), len(entries)), np.nan)
    for i, (entry, place) in enumerate(zip(entries, places, strict=True)):
        if entry is None:
            continue
        known = (*keys, *optional)
        if not isinstance(entry, Mapping):
            raise InputError(place, f"{entry!r} is no table", f"give {', '.join(keys)}")
        for name in entry:
            if name not in known:
                raise InputError(place, f"unknown key '{name}'", did_you_mean(name, known))
        found[:, i] = [number(entry.get(key), f"{place}.{key}", 0, 1e6) for key in keys]
    return list(found)


def _check_order(weights: Weights, places: list[str]) -> None:
    """InputError where weights would not make initial health the lowest and maintenance next."""
    rising = (
        (weights.initial_asset > weights.maintenance_asset)
        | (weights.maintenance_asset > 1)
        | (weights.maintenance_liability < 1)
        | (weights.initial_liability < weights.maintenance_liability)
    )
    for i in np.flatnonzero(rising):
        remedy = (
            "order them: initial asset, maintenance asset, 1, maintenance and initial liability"
        )
        raise InputError(places[i], "weights are out of order", remedy)


def _starts(entries: list[Any], name: str, places: list[str]) -> Floats:
    """Where scaling starts by token, USD; infinite where a token does not say."""
    return np.array(
        [
            np.inf
            if entry is None or name not in entry
            else number(entry[name], f"{place}.{name}", SMALLEST_START)
            for entry, place in zip(entries, places, strict=True)
        ]
    )


def _shift(entries: list[Any], weights: Weights, places: list[str]) -> Shift:
    """Moving maintenance weights, by token."""
    count = len(entries)
    start, end = np.full(count, NEVER_NS), np.full(count, NEVER_NS + 1)
    asset, liability = weights.maintenance_asset.copy(), weights.maintenance_liability.copy()
    for i, entry in enumerate(entries):
        if entry is None or "maintenance_shift" not in entry:
            continue
        shift, place = entry["maintenance_shift"], f"{places[i]}.maintenance_shift"
        if not isinstance(shift, Mapping) or set(shift) != set(SHIFT):
            raise InputError(place, f"{shift!r} is no shift", f"give {', '.join(SHIFT)}")
        start[i], end[i] = (parse_time(str(shift[key]), f"{place}.{key}") for key in SHIFT[:2])
        if end[i] <= start[i]:
            raise InputError(f"{place}.end", "is not after the start", "swap the two")
        low, high = weights.initial_asset[i], weights.initial_liability[i]
        asset[i] = number(shift["asset_weight"], f"{place}.asset_weight", low, 1)
        liability[i] = number(shift["liability_weight"], f"{place}.liability_weight", 1, high)
    return Shift(start, end, asset, liability)


def token_sides(kind: HealthKind, market: Market, params: Params) -> Sides:
    """Weights and prices of every asset for one kind of health (rules 1, 5 and 7)."""
    oracle, weights, state = market.index, params.token_weights, market.state
    if kind == HealthKind.MAINTENANCE:
        shift = params.shift
        moved = (market.as_of_ns - shift.start_ns) / (shift.end_ns - shift.start_ns)
        share = np.clip(moved, 0.0, 1.0)
        asset = (1 - share) * weights.maintenance_asset + share * shift.asset
        liability = (1 - share) * weights.maintenance_liability + share * shift.liability
        return Sides(asset, liability, oracle, oracle)
    if kind == HealthKind.LIQUIDATION_END:
        return Sides(weights.initial_asset, weights.initial_liability, oracle, oracle)
    stable = state.asset_stable_price if params.has_stable_prices else oracle
    low, high = np.minimum(oracle, stable), np.maximum(oracle, stable)
    asset, liability = scaled_weights(
        weights.initial_asset, weights.initial_liability, state.deposits * high,
        state.borrows * high, params.deposit_scale_start, params.borrow_scale_start,
    )  # fmt: skip
    return Sides(asset, liability, low, high)


def scaled_weights(
    asset: Floats, liability: Floats, deposits: Floats, borrows: Floats,
    deposit_start: Floats, borrow_start: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Rule 5: initial weights at the USD value of a token's deposits and borrows.

    NaN where such a value is unknown and there is a start; a start of infinity asks for none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(deposits <= deposit_start, asset, asset * (deposit_start / deposits))
        higher = np.where(borrows <= borrow_start, liability, liability * (borrows / borrow_start))
    return (
        np.where(np.isinf(deposit_start), asset, lower),
        np.where(np.isinf(borrow_start), liability, higher),
    )


def perp_sides(kind: HealthKind, market: Market, params: Params) -> tuple[Sides, Floats]:
    """Weights and prices of every instrument for one kind of health, and its overall weight."""
    oracle, weights = market.mark, params.perp_weights
    if kind == HealthKind.MAINTENANCE:
        sides = Sides(weights.maintenance_asset, weights.maintenance_liability, oracle, oracle)
        return sides, params.maintenance_overall
    stable = oracle
    if kind == HealthKind.INITIAL and params.has_stable_prices:
        stable = market.state.stable_price
    low, high = np.minimum(oracle, stable), np.maximum(oracle, stable)
    sides = Sides(weights.initial_asset, weights.initial_liability, low, high)
    return sides, params.initial_overall
