"""dydx.v4: net collateral against summed requirements, in the chain's own integers or in floats.

Units: quantums of 10^resolution coins, quote quantums of 1e-6 USDC, prices of 10^exponent USD,
rates in parts per million (ppm).

1. Net notional of a position = quantums × price × 10^(exponent + resolution + 6), truncated.
   Net collateral = quote balance + sum of net notionals.
2. Initial margin = ceil(|notional| × rate). The rate grows with the market's open notional:
   base up to the lower cap, 100 % from the upper cap on, between them base + floor((100 % -
   base) × (open - lower) / (upper - lower)). An account may choose a higher rate.
3. Maintenance margin = ceil(ceil(|notional| × base rate) × maintenance fraction): rounded twice
   and never scaled by open interest. Both are summed over positions without offsets.
4. An account is liquidatable where the maintenance margin is above 0 and above net collateral:
   strictly, so that the account column says no where our status, at a ratio of 1, says yes.
5. An update that leaves net collateral below the initial margin is still valid where it is no
   worse: the maintenance margin does not rise and net collateral per maintenance margin does
   not fall, compared by cross-multiplication; without any, where net collateral rises.

Only USDC is collateral; other balances are worth something and back nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, did_you_mean
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.arithmetic import EXACT, FLOAT, Arithmetic, Numbers, choose
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import slot_pool, sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import find_entry, instrument_column, number
from plimsoll.market import Market

PPM = 10**6
QUOTE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments, NaN where a market is not listed; caps in quote quantums."""

    initial_ppm: Floats
    custom_ppm: Floats
    fraction_ppm: Floats
    resolution: Floats
    exponent: Floats
    lower_cap: Floats
    upper_cap: Floats
    is_collateral: Bools
    arithmetic: Arithmetic


def net_notional(
    arithmetic: Arithmetic, quantums: Numbers, price: Numbers, exponent: int, resolution: int
) -> Numbers:
    """Signed quote quantums of a position, towards zero; price in units of 10^exponent USD."""
    above, below = arithmetic.power(10, exponent + resolution + QUOTE_DIGITS)
    return arithmetic.trunc(quantums * price * above, below)


def scaled_initial_ppm(
    arithmetic: Arithmetic, base: Numbers, open_notional: Numbers, lower: Numbers, upper: Numbers
) -> Numbers:
    """The initial rate in ppm at an open notional; caps and notional in quote quantums."""
    span = choose(upper > lower, upper - lower, 1)
    raised = base + arithmetic.floor((PPM - base) * (open_notional - lower), span)
    within = choose(open_notional >= upper, PPM, raised)
    return choose((upper == 0) | (open_notional <= lower), base, within)


def initial_margin(arithmetic: Arithmetic, notional: Numbers, rate_ppm: Numbers) -> Numbers:
    """Quote quantums of initial margin, rounded up; ``notional`` in quote quantums, any sign."""
    return arithmetic.ceil(abs(notional) * rate_ppm, PPM)


def maintenance_margin(
    arithmetic: Arithmetic, notional: Numbers, base_ppm: Numbers, fraction_ppm: Numbers
) -> Numbers:
    """Quote quantums of maintenance margin, rounded up at both steps."""
    return arithmetic.ceil(initial_margin(arithmetic, notional, base_ppm) * fraction_ppm, PPM)


def funding_settlement(index: Numbers, last_index: Numbers, quantums: Numbers) -> Numbers:
    """What a position receives since it last settled, quote quantums × 1e6, exact."""
    return -(index - last_index) * quantums


def is_riskier(
    collateral: Numbers, margin: Numbers, than_collateral: Numbers, than_margin: Numbers
) -> Any:
    """Whether one account stands before another in the order of liquidation.

    The order of net collateral per maintenance margin (margins >= 0), ascending, without a
    division: it is total, ties go to the higher margin, and without margins to the poorer.
    """
    left, right = collateral * than_margin, than_collateral * margin
    without = (margin == 0) & (than_margin == 0)
    tied = choose(without, collateral < than_collateral, margin > than_margin)
    # A margin of nothing makes any collateral at or above zero infinitely safe.
    return choose(without | (left == right), tied, left < right)


def is_no_worse(
    before_collateral: Numbers, before_margin: Numbers, after_collateral: Numbers,
    after_margin: Numbers,
) -> Any:  # fmt: skip
    """Whether an update may stand although the initial margin is not met afterwards (rule 5)."""
    without = (before_margin == 0) & (after_margin == 0)
    ratio_holds = after_collateral * before_margin >= before_collateral * after_margin
    reduced = (after_margin <= before_margin) & ratio_holds
    return choose(without, after_collateral > before_collateral, reduced)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    columns = {name: np.full(len(instruments), np.nan) for name in _COLUMNS}
    for i, row in enumerate(instruments.rows):
        market = find_entry(params["markets"], row)
        if market is None or row.kind != Kind.PERPETUAL:
            continue
        where = f"{place}.markets.{row.base}"
        tier = _tier(params, market, where)
        for name in _COLUMNS:
            value = market[name] if name in ("atomic_resolution", "exponent") else tier[name]
            columns[name][i] = number(value, f"{where}.{name}", low=-30)
    if params["arithmetic"] not in ("float", "exact"):
        problem = f"{params['arithmetic']!r} is no arithmetic"
        raise InputError(f"{place}.arithmetic", problem, "write 'float' or 'exact'")
    custom = instrument_column(
        params["custom_initial_margin_fraction"], instruments,
        f"{place}.custom_initial_margin_fraction", 0, 1,
    )  # fmt: skip
    return Params(
        initial_ppm=columns["initial_margin_ppm"],
        custom_ppm=np.where(np.isnan(custom), 0.0, np.rint(custom * PPM)),
        fraction_ppm=columns["maintenance_fraction_ppm"],
        resolution=columns["atomic_resolution"],
        exponent=columns["exponent"],
        lower_cap=columns["open_interest_lower_cap"],
        upper_cap=columns["open_interest_upper_cap"],
        is_collateral=np.array([name == "USDC" for name in instruments.assets.names], np.bool_),
        arithmetic=EXACT if params["arithmetic"] == "exact" else FLOAT,
    )


_COLUMNS = (
    "initial_margin_ppm", "maintenance_fraction_ppm", "atomic_resolution", "exponent",
    "open_interest_lower_cap", "open_interest_upper_cap",
)  # fmt: skip


def _tier(params: Mapping[str, Any], market: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The figures of a market's liquidity tier, or those it states itself."""
    name = market.get("liquidity_tier")
    if name is None:
        return market
    if name not in params["liquidity_tiers"]:
        remedy = did_you_mean(str(name), params["liquidity_tiers"])
        raise InputError(f"{where}.liquidity_tier", f"unknown tier {name!r}", remedy)
    tier: Mapping[str, Any] = params["liquidity_tiers"][name]
    return tier


@dataclass(frozen=True, slots=True)
class _Slots:
    """Figures of the slots that hold something, in USD."""

    notional: Floats
    initial: Floats
    maintenance: Floats


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    value = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    counted = np.where(params.is_collateral[layout.cell_asset], value, 0.0)
    counted = np.where(np.isnan(value), np.nan, counted)
    slots = _measure(exposure, market, params)
    initial = sum_segmented(layout.slot_offsets, slots.initial)
    maintenance = sum_segmented(layout.slot_offsets, slots.maintenance)
    collateral = sum_segmented(layout.cell_offsets, counted)
    if params.arithmetic.is_exact:
        collateral = _exact_collateral(exposure, params, slots)
    gross = sum_segmented(layout.slot_offsets, np.abs(slots.notional))
    with np.errstate(divide="ignore", invalid="ignore"):
        leverage = np.where(gross == 0, 0.0, gross / collateral)
    account = np.arange(collateral.size + 1, dtype=np.int64)
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=collateral,
        charges=(Charge("positions", initial, maintenance),),
        details=(
            Detail(
                "account", account, np.full(collateral.size, ACCOUNT_ROW, dtype=np.int32),
                (("net_collateral", collateral), ("initial_margin", initial),
                 ("maintenance_margin", maintenance),
                 ("free_collateral", collateral - initial), ("leverage", leverage),
                 ("is_liquidatable",
                  ((maintenance > 0) & (maintenance > collateral)).astype(np.float64))),
            ),
            Detail(
                "position_margin", layout.slot_offsets, layout.slot_instrument,
                (("net_notional", slots.notional), ("initial_margin", slots.initial),
                 ("maintenance_margin", slots.maintenance)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def _measure(exposure: Exposure, market: Market, params: Params) -> _Slots:
    """Notional and margins of every slot; zero where it holds nothing, NaN where unknown."""
    held = exposure.layout.slot_instrument
    found = [np.zeros(held.size) for _ in range(3)]
    rows = exposure.quantity != 0
    known = rows & np.isfinite(params.initial_ppm[held]) & np.isfinite(market.mark[held])
    # Open interest matters only where a cap is set; unknown there is unknown margin.
    capped = params.upper_cap[held] > 0
    known &= ~capped | np.isfinite(market.state.open_interest[held])
    for column in found:
        column[rows & ~known] = np.nan
    at = np.flatnonzero(known)
    for pair in sorted({(int(params.exponent[i]), int(params.resolution[i])) for i in held[at]}):
        same = at[(params.exponent[held[at]] == pair[0]) & (params.resolution[held[at]] == pair[1])]
        for column, part in zip(found, _figures(exposure, market, params, same, pair), strict=True):
            column[same] = part
    usd = market.index[exposure.instruments.quote[held]]
    return _Slots(*(np.where(rows, column * usd, 0.0) for column in found))


def _figures(
    exposure: Exposure, market: Market, params: Params, rows: Any, pair: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """Notional, initial and maintenance in quote units for slots of one price format."""
    arithmetic, (exponent, resolution) = params.arithmetic, pair
    i = exposure.layout.slot_instrument[rows]
    coins = exposure.quantity[rows] * exposure.instruments.multiplier[i]
    size = exposure.instruments.multiplier[i] * market.state.open_interest[i]
    quantums, price, open_quantums = (
        arithmetic.numbers(np.rint(values) if arithmetic.is_exact else values)
        for values in (
            coins * 10.0**-resolution,
            market.mark[i] * 10.0**-exponent,
            np.where(np.isnan(size), 0.0, size) * 10.0**-resolution,
        )
    )
    base, custom, fraction, lower, upper = (
        arithmetic.numbers(column[i])
        for column in (params.initial_ppm, params.custom_ppm, params.fraction_ppm,
                       params.lower_cap, params.upper_cap)
    )  # fmt: skip
    notional = net_notional(arithmetic, quantums, price, exponent, resolution)
    opened = net_notional(arithmetic, open_quantums, price, exponent, resolution)
    rate = scaled_initial_ppm(arithmetic, base, opened, lower, upper)
    chosen = choose(custom > rate, custom, rate)
    parts = (
        notional,
        initial_margin(arithmetic, notional, chosen),
        maintenance_margin(arithmetic, notional, base, fraction),
    )
    scale = 10.0**-QUOTE_DIGITS
    return tuple(np.asarray(part, dtype=np.float64) * scale for part in parts)  # type: ignore[return-value]


def _exact_collateral(exposure: Exposure, params: Params, slots: _Slots) -> Floats:
    """Net collateral as the chain has it: whole quote quantums and truncated notionals, USD.

    Each term is a whole number of millionths below 2^53, so their sum is one, too.
    """
    layout = exposure.layout
    usdc = params.is_collateral[layout.cell_asset]
    quote = np.where(usdc, np.rint(exposure.cell_balance * 10.0**QUOTE_DIGITS), 0.0)
    pools = layout.cell_offsets.size - 1
    cost = np.rint(exposure.cost * 10.0**QUOTE_DIGITS)
    whole = sum_segmented(layout.cell_offsets, quote)
    spent = np.bincount(slot_pool(exposure), weights=cost, minlength=pools)
    worth = np.rint(slots.notional * 10.0**QUOTE_DIGITS)
    return (whole - spent + sum_segmented(layout.slot_offsets, worth)) / 10.0**QUOTE_DIGITS


MODEL = Model(
    name="dydx.v4",
    title="dYdX v4: net collateral, open-interest-scaled initial margin, exact integers",
    table="dydx_v4",
    resolve=resolve,
    require=require,
    dollar="USDC",
)
