"""derive.standard: Derive's standard manager (SRM): perpetuals, options and coins, no offsets.

Each underlying is a market by itself; what they need is added up. S is its spot, n the size of a
position in coins, mtm the value of an option by rules 1 and 2 of ``derive_pricing``, undiscounted.

1. Counted: cash + unsettled profit of perpetuals + coins × S × their margin factor. For the
   initial margin a coin counts only × its initial scale.
2. Perpetuals: n × mark × initial or maintenance fraction.
3. A short option alone, with otm = out-of-the-money amount / S and up = max(``spot_max`` - otm,
   ``spot_min``) × S × n: a call needs up + |mtm| initially and ``call_maintenance`` × S × n +
   |mtm| to stay; a put max(``put_maintenance`` × S × n, ``put_value`` × |mtm|) + |mtm| to stay and
   max(up + |mtm|, ``maintenance_scale`` × that) initially. A long option needs and counts nothing.
4. Options of one expiry need what their shorts need alone, or, if less, the most they can lose at
   any settlement price + unpaired scale × forward × calls that are net short.
5. Peg loss, initial: max(0, threshold - stablecoin) × factor × S × (perpetuals + short options).
6. Low confidence, initial, where the least confidence is below the threshold: (1 - confidence) ×
   factor × S × amount. Perpetuals: spot and the perpetual; options, per expiry: spot and their
   own, on the shorts; coins: spot.
7. Maintenance excess = counted - maintenance. Below 0 an account is liquidated; buffer margin
   as in derive.pmrm2.
8. Mark to market = cash + unsettled profit + all options + coins at their price: the equity.

Spot prices are in USD and count one for one in the stablecoin, but for rule 8. Coins cannot be
owed. Resting orders are not on chain and need nothing here. Contracts that settle in anything
else, and underlyings without parameters, have no rule: UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int32s, Int64s, sum_by
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import expiry_groups, settlement_losses, slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import DEFAULT, find_entry, number
from plimsoll.margin.venues.derive_portfolio import (
    buffer_margin,
    least_by,
    listed_contracts,
    low_confidence,
    peg_loss,
    times,
)
from plimsoll.margin.venues.derive_pricing import (
    FACTOR_MAX,
    Unstated,
    fill_unstated,
    instrument_options,
    option_values,
    read_unstated,
)
from plimsoll.market import Market

OPTION_FIGURES = (
    "spot_max", "spot_min", "call_maintenance", "put_maintenance", "put_value",
    "maintenance_scale", "unpaired_initial", "unpaired_maintenance",
)  # fmt: skip


class OptionRates(NamedTuple):
    """Rules 3 and 4's figures as columns over options, NaN where there is no rule."""

    spot_max: Floats
    spot_min: Floats
    call_maintenance: Floats
    put_maintenance: Floats
    put_value: Floats
    maintenance_scale: Floats
    unpaired_initial: Floats
    unpaired_maintenance: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """Columns over instruments or assets, NaN where there is no rule.

    ``confidence`` has thresholds of perpetuals, options and coins, then the factor; ``peg`` a
    threshold and a factor; ``cash`` is an asset, -1 where a book has none.
    """

    initial: Floats
    maintenance: Floats
    options: OptionRates
    margin_factor: Floats
    initial_scale: Floats
    confidence: tuple[float, float, float, float]
    peg: tuple[float, float]
    buffer_fraction: float
    cash: int
    is_option: Bools
    unstated: Unstated


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    names = instruments.assets.names
    has_rule, is_option = listed_contracts(instruments, str(params["cash"]))
    perpetuals = np.full((2, len(instruments)), np.nan)
    options = np.full((len(OPTION_FIGURES), len(instruments)), np.nan)
    for i in np.flatnonzero(has_rule):
        row, table = instruments.rows[i], "options" if is_option[i] else "perpetuals"
        entry, where = find_entry(params[table], row), f"{place}.{table}.{row.symbol}"
        if entry is None:
            continue
        if is_option[i]:
            options[:, i] = _option_figures(entry, where)
        else:
            perpetuals[:, i] = _fractions(entry, where, ("initial", "maintenance"))
            if perpetuals[0, i] < perpetuals[1, i]:
                raise InputError(where, "maintenance is above initial", "swap the two")
    coins = np.full((2, len(names)), np.nan)
    for k, name in enumerate(names):
        entry = params["collateral"].get(name, params["collateral"].get(DEFAULT))
        if entry is not None and name != params["cash"]:
            where = f"{place}.collateral.{name}"
            coins[:, k] = _fractions(entry, where, ("margin factor", "initial scale"))

    def figure(table: str, name: str) -> float:
        return number(params[table].get(name), f"{place}.{table}.{name}", 0.0, FACTOR_MAX)

    return Params(
        perpetuals[0], perpetuals[1], OptionRates(*options), coins[0], coins[1],
        confidence=(
            figure("confidence", "perpetual_threshold"),
            figure("confidence", "option_threshold"),
            figure("confidence", "collateral_threshold"),
            figure("confidence", "factor"),
        ),
        peg=(figure("peg_loss", "threshold"), figure("peg_loss", "factor")),
        buffer_fraction=number(params["buffer_fraction"], f"{place}.buffer_fraction"),
        cash=names.index(params["cash"]) if params["cash"] in names else -1,
        is_option=is_option,
        unstated=read_unstated(params["unstated"], f"{place}.unstated"),
    )  # fmt: skip


def _option_figures(entry: object, place: str) -> list[float]:
    if not isinstance(entry, Mapping):
        raise InputError(place, f"{entry!r} are no figures", f"name {', '.join(OPTION_FIGURES)}")
    return [number(entry.get(name), f"{place}.{name}", 0.0, 10.0) for name in OPTION_FIGURES]


def _fractions(entry: object, place: str, names: tuple[str, str]) -> list[float]:
    if not isinstance(entry, Sequence) or len(entry) != 2:
        remedy = f"give {names[0]}, then {names[1]}"
        raise InputError(place, f"{entry!r} are no two fractions", remedy)
    return [number(value, place, 0.0, 1.0) for value in entry]


@dataclass(frozen=True, slots=True)
class Positions:
    """Rows of one kind: ``pool``, ``row`` of the instruments or assets, ``coins`` signed.

    ``price`` is what one coin's worth of it is worth, USD; ``spot`` one coin of the underlying on
    the scale of what settles; ``confidence`` the least of its own feed's and spot's.
    """

    pool: Int64s
    row: Int32s
    coins: Floats
    price: Floats
    spot: Floats
    confidence: Floats


class Expiries(NamedTuple):
    """Options of a pool, underlying and expiry: ``group`` of each leg; by group, ``pool``."""

    group: Int64s
    pool: Int64s


class Columns(NamedTuple):
    """What accounts hold. ``cash`` is [pools], in USD, with unsettled profit.

    By leg: ``forward`` and ``strike`` on the scale of what settles, and ``is_call``.
    """

    stable_price: float
    cash: Floats
    perpetuals: Positions
    coins: Positions
    legs: Positions
    expiries: Expiries
    forward: Floats
    strike: Floats
    is_call: Bools


class Margins(NamedTuple):
    """Rules 1 to 8, USD, shape [pools]; pairs are initial and maintenance charges >= 0."""

    equity: Floats
    counted: Floats
    perpetuals: tuple[Floats, Floats]
    options: tuple[Floats, Floats]
    collateral_scale: Floats
    peg: Floats
    confidence: Floats


def measure_margins(columns: Columns, params: Params) -> Margins:
    """The rules over columns: positions of any accounts, aligned to the parameters' rows."""
    pools = columns.cash.size
    perpetuals, legs, coins = columns.perpetuals, columns.legs, columns.coins
    owned = coin_values(coins)
    counted = owned * params.margin_factor[coins.row]
    scaled = counted * (1.0 - params.initial_scale[coins.row])
    traded = np.abs(perpetuals.coins) * perpetuals.spot
    sold = times(np.maximum(-legs.coins, 0.0), legs.spot)
    at_risk = sum_by(perpetuals.pool, traded, pools) + sum_by(legs.pool, sold, pools)
    perpetual = perpetual_margins(perpetuals, params)
    option = expiry_margins(columns, params)
    return Margins(
        equity=columns.cash
        + sum_by(legs.pool, legs.coins * legs.price, pools)
        + sum_by(coins.pool, coins.coins * coins.price, pools),
        counted=columns.cash + sum_by(coins.pool, counted, pools),
        perpetuals=(
            sum_by(perpetuals.pool, perpetual[0], pools),
            sum_by(perpetuals.pool, perpetual[1], pools),
        ),
        options=(
            sum_by(columns.expiries.pool, option[0], pools),
            sum_by(columns.expiries.pool, option[1], pools),
        ),
        collateral_scale=sum_by(coins.pool, scaled, pools),
        peg=times(at_risk, np.full(pools, peg_loss(columns.stable_price, *params.peg))),
        confidence=_low_confidences(columns, params, traded, sold, owned),
    )


def coin_values(coins: Positions) -> Floats:
    """Rule 1's coins × S, USD, by row; NaN where one is owed: no manager lends coins."""
    return np.where(coins.coins < 0, np.nan, coins.coins * coins.spot)


def perpetual_margins(rows: Positions, params: Params) -> tuple[Floats, Floats]:
    """Rule 2, by row, USD >= 0: initial and maintenance."""
    notional = np.abs(rows.coins) * rows.price
    return notional * params.initial[rows.row], notional * params.maintenance[rows.row]


def short_margins(columns: Columns, params: Params) -> tuple[Floats, Floats]:
    """Rule 3, by leg, USD >= 0: initial and maintenance; 0 for a long one."""
    rates = OptionRates(*(column[columns.legs.row] for column in params.options))
    spot, value = columns.legs.spot, columns.legs.price
    gap = np.where(columns.is_call, columns.strike - spot, spot - columns.strike)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.maximum(gap, 0.0) / spot
    up = np.maximum(rates.spot_max - apart, rates.spot_min) * spot + value
    call = rates.call_maintenance * spot + value
    put = np.maximum(rates.put_maintenance * spot, rates.put_value * value) + value
    initial = np.where(columns.is_call, up, np.maximum(up, put * rates.maintenance_scale))
    sold = np.maximum(-columns.legs.coins, 0.0)
    return times(sold, initial), times(sold, np.where(columns.is_call, call, put))


def expiry_margins(columns: Columns, params: Params) -> tuple[Floats, Floats]:
    """Rule 4, by expiry of a pool, USD >= 0: initial and maintenance."""
    legs, (group, pool) = columns.legs, columns.expiries
    alone = short_margins(columns, params)
    loss = settlement_losses(
        group, pool.size, columns.strike, columns.is_call, legs.coins, np.zeros(group.size)
    )
    calls = sum_by(group, np.where(columns.is_call, legs.coins, 0.0), pool.size)
    unpaired = np.maximum(-calls, 0.0)
    forward, *scales = np.full((3, pool.size), np.nan)
    forward[group] = columns.forward
    scales[0][group] = params.options.unpaired_initial[legs.row]
    scales[1][group] = params.options.unpaired_maintenance[legs.row]
    # A leg without a rule or a price leaves its expiry without a figure.
    unknown = sum_by(group, 0.0 * (legs.price + params.options.spot_max[legs.row]), pool.size)
    initial, maintenance = (
        np.minimum(sum_by(group, margin, pool.size), loss + times(unpaired, scale * forward))
        + unknown
        for margin, scale in zip(alone, scales, strict=True)
    )
    return initial, maintenance


def _low_confidences(
    columns: Columns, params: Params, traded: Floats, sold: Floats, owned: Floats
) -> Floats:
    """Rule 6, [pools]; the amounts by row, USD."""
    perpetual, option, collateral, factor = params.confidence
    perpetuals, coins, legs = columns.perpetuals, columns.coins, columns.legs
    (group, pool), pools = columns.expiries, columns.cash.size
    least = least_by(group, legs.confidence, np.ones(pool.size))
    shorts = sum_by(group, sold, pool.size)
    return (
        sum_by(
            perpetuals.pool, low_confidence(traded, perpetuals.confidence, perpetual, factor), pools
        )
        + sum_by(pool, low_confidence(shorts, least, option, factor), pools)
        + sum_by(coins.pool, low_confidence(owned, coins.confidence, collateral, factor), pools)
    )


def measure_columns(exposure: Exposure, market: Market, params: Params) -> Columns:
    """What the pools of a book hold, rows of nothing left out."""
    layout, table = exposure.layout, exposure.instruments
    stable = float(market.index[params.cash]) if params.cash >= 0 else np.nan
    spot = market.index * stable
    slots = np.flatnonzero(exposure.quantity)
    is_option = params.is_option[layout.slot_instrument[slots]]
    contracts, options = slots[~is_option], slots[is_option]
    feeds = fill_unstated(market.state.asset_confidence, params.unstated.confidence)
    priced = instrument_options(market, params.unstated)
    unit = option_values(priced, np.ones(1), priced.vol[:, np.newaxis], np.ones(len(table)))[:, 0]
    price = np.where(params.is_option, unit, market.mark) * stable
    least = np.minimum(priced.confidence, feeds[table.base])

    def rows(chosen: Int64s) -> Positions:
        held = layout.slot_instrument[chosen]
        coins = exposure.quantity[chosen] * table.multiplier[held]
        base = table.base[held]
        pool = slot_pool(exposure)[chosen]
        return Positions(pool, held, coins, price[held], spot[base], least[held])

    legs, perpetuals = rows(options), rows(contracts)
    groups = expiry_groups(exposure, params.is_option)
    group = groups.group[exposure.quantity[groups.slots] != 0]
    value = exposure.quantity * exposure.contract_value[layout.slot_instrument]
    profit = (value - exposure.cost)[contracts] * stable
    cash, coins = _balances(exposure, params, spot, feeds)
    return Columns(
        stable_price=stable,
        cash=cash + sum_by(perpetuals.pool, profit, cash.size),
        perpetuals=perpetuals,
        coins=coins,
        legs=legs,
        expiries=Expiries(group, groups.pool),
        forward=priced.forward[legs.row] * stable,
        strike=table.strike[legs.row] * stable,
        is_call=table.is_call[legs.row],
    )


def _balances(
    exposure: Exposure, params: Params, spot: Floats, feeds: Floats
) -> tuple[Floats, Positions]:
    """Cash of every pool in USD, and the coins beside it."""
    layout, balance = exposure.layout, exposure.cell_balance
    pools = exposure.is_isolated.size
    pool = np.repeat(np.arange(pools, dtype=np.int64), np.diff(layout.cell_offsets))
    is_cash = layout.cell_asset == params.cash
    value = times(balance, exposure.cell_price)
    rows = np.flatnonzero(~is_cash & (balance != 0))
    asset = layout.cell_asset[rows]
    coins = Positions(
        pool[rows], asset, balance[rows], exposure.cell_price[rows], spot[asset], feeds[asset]
    )
    return sum_by(pool[is_cash], value[is_cash], pools), coins


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD; the details in the stablecoin, as the venue has it."""
    columns = measure_columns(exposure, market, params)
    found = measure_margins(columns, params)
    none = np.zeros(found.equity.size)
    charges = (
        Charge("perpetuals", *found.perpetuals),
        Charge("options", *found.options),
        Charge("collateral_scale", found.collateral_scale, none),
        Charge("peg_loss", found.peg, none),
        Charge("low_confidence", found.confidence, none),
    )
    partial = Requirement(found.equity, found.counted, charges, ())
    stable, rows = columns.stable_price, np.arange(none.size + 1, dtype=np.int64)
    maintenance = found.counted - partial.maintenance_margin
    buffer = buffer_margin(maintenance, found.equity, params.buffer_fraction)
    account = (
        ("mark_to_market", found.equity / stable),
        ("initial_excess", (found.counted - partial.initial_margin) / stable),
        ("maintenance_excess", maintenance / stable),
        ("buffer_margin", buffer / stable),
    )
    details = (
        Detail("account", rows, np.full(none.size, ACCOUNT_ROW, dtype=np.int32), account),
        _position_detail(exposure, columns, params),
        _coin_detail(exposure, params),
    )
    return Requirement(found.equity, found.counted, charges, details)


def _position_detail(exposure: Exposure, columns: Columns, params: Params) -> Detail:
    """Each contract by itself: what it is worth, and that less what it alone needs."""
    layout, stable = exposure.layout, columns.stable_price
    figures = np.zeros((3, exposure.quantity.size))
    slots = np.flatnonzero(exposure.quantity)
    is_option = params.is_option[layout.slot_instrument[slots]]
    contracts, options = slots[~is_option], slots[is_option]
    value = exposure.quantity * exposure.contract_value[layout.slot_instrument] - exposure.cost
    figures[0, contracts] = value[contracts]
    figures[0, options] = columns.legs.coins * columns.legs.price / stable
    perpetual, short = perpetual_margins(columns.perpetuals, params), short_margins(columns, params)
    for side in range(2):
        figures[1 + side, contracts] = figures[0, contracts] - perpetual[side] / stable
        figures[1 + side, options] = -short[side] / stable
    names = ("mark_value", "initial_excess", "maintenance_excess")
    columns_of = tuple(zip(names, figures, strict=True))
    return Detail("position_margin", layout.slot_offsets, layout.slot_instrument, columns_of, True)


def _coin_detail(exposure: Exposure, params: Params) -> Detail:
    """Cash and coins: what they are worth, and what of it counts."""
    layout, asset = exposure.layout, exposure.layout.cell_asset
    is_cash, balance = asset == params.cash, exposure.cell_balance
    value = times(balance, exposure.cell_price)
    # Spot counts one for one, so its price cancels.
    counted = times(balance, exposure.cell_price * params.margin_factor[asset])
    maintenance = np.where(is_cash, balance, counted)
    initial = np.where(is_cash, balance, times(counted, params.initial_scale[asset]))
    return Detail(
        "collateral", layout.cell_offsets, asset,
        (("balance", balance), ("index_price", exposure.cell_price), ("value", value),
         ("margin_factor", np.where(is_cash, 1.0, params.margin_factor[asset])),
         ("initial_excess", initial), ("maintenance_excess", maintenance)),
    )  # fmt: skip


MODEL = Model(
    name="derive.standard",
    title="Derive standard margin (SRM): perpetuals, options and coins without offsets",
    table="derive_standard",
    resolve=resolve,
    require=require,
    dollar="USDC",
    reprices_options=True,
)
