"""kraken.futures: Kraken Derivatives, cross and isolated margin, for professional clients.

1. Wallets. Linear contracts (USD a coin, settled in USD) share the multi-collateral wallet.
   Inverse ones (1 USD a contract) are backed by the wallet of their coin. An account that holds
   inverse contracts and no linear one is such a wallet: its coin counts in full.
2. Margin equity = sum of balance in USD * (1 - haircut) + unrealised profit or loss. An asset
   that is not listed counts as nothing, what is owed counts in full.
3. Conversion. A loss that USD does not cover is paid from other collateral, that of the lowest
   haircut first, for a fee.
4. Levels. The initial and maintenance rate of a contract grow in levels with the size of its
   position: USD for linear contracts, contracts (= USD) for inverse ones. A level ends at its
   upper figure. Its rates hold for the whole position, on its value at mark.
5. Netting. Of cross positions on one underlying in one wallet, perpetual and dated, the larger
   of the margins of the long and the short ones is required. Isolated ones are not netted.
6. Open orders add to the initial margin what rule 5 asks more if the worse side of them fills.
7. Equity protection. Liquidation starts when margin equity falls to the maintenance margin at
   that price; the limit of the order is where the equity is zero. Both are cut to the tick, down
   for a long and up for a short.

Sources: support.kraken.com, "Margining & Liquidations: Multi-Collateral", "Equity Protection
Process", the margin schedules and contract specifications of Multi-M and Coin-M derivatives,
"Fees & Charges for Multi-Collateral Futures", "Unified Wallet FAQ".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s, sum_by
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import schedules, slot_pool, sum_segmented, worst_side
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import DEFAULT, asset_column, find_entry, instrument_column
from plimsoll.margin.position_prices import inverse_price, linear_price, round_down, round_up
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Levels by instrument, padded to the longest, shape [instruments, levels].

    ``floors`` are USD, inf past the last level; a contract without levels has NaN rates.
    By asset: ``haircut`` (1 where unlisted), ``conversion_fee``; ``by_haircut`` lists the
    assets that may be converted, lowest haircut first. ``usd`` is the index of USD.
    """

    floors: Floats
    maintenance_rate: Floats
    initial_rate: Floats
    haircut: Floats
    conversion_fee: Floats
    by_haircut: Int64s
    usd: int
    tick: Floats


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    names = instruments.assets.names
    found = {row.symbol: _levels(params, row, place) for row in instruments.rows}
    tiers = [schedules(found, instruments.symbols, k, f"{place}.levels") for k in (1, 2)]
    maintenance, initial = tiers
    if np.any(initial.rates < maintenance.rates):
        problem, remedy = "an initial rate is below maintenance", "list floor, maintenance, initial"
        raise InputError(f"{place}.levels", problem, remedy)
    counts = np.diff(maintenance.offsets)
    width = max(int(counts.max(initial=0)), 1)
    floors = np.full((len(instruments), width), np.inf)
    rates = [np.full((len(instruments), width), np.nan) for _ in tiers]
    for i, count in enumerate(counts):
        rows = slice(maintenance.offsets[i], maintenance.offsets[i + 1])
        floors[i, :count] = maintenance.floors[rows]
        for padded, tier in zip(rates, tiers, strict=True):
            padded[i, :count] = tier.rates[rows]
    haircut = asset_column(params["haircuts"], names, f"{place}.haircuts", 0, 1)
    convertible = [a for a, name in enumerate(names) if name != "USD" and not np.isnan(haircut[a])]
    return Params(
        floors=floors,
        maintenance_rate=rates[0],
        initial_rate=rates[1],
        haircut=np.where(np.isnan(haircut), 1.0, haircut),
        conversion_fee=asset_column(
            params["conversion_fees"], names, f"{place}.conversion_fees", 0, 1
        ),
        by_haircut=np.array(sorted(convertible, key=lambda a: (haircut[a], names[a])), np.int64),
        usd=names.index("USD") if "USD" in names else -1,
        tick=instrument_column(params["tick_size"], instruments, f"{place}.tick_size", 1e-12),
    )


def _levels(params: Mapping[str, Any], row: Instrument, place: str) -> Any:
    """The levels of a contract: its own, else its class's; () where the venue has no such one."""
    if row.quote != "USD" or row.kind not in (Kind.PERPETUAL, Kind.FUTURE):
        return ()
    if row.payoff == Payoff.INVERSE:
        dated = row.kind == Kind.FUTURE
        table = params["levels_inverse_future" if dated else "levels_inverse_perpetual"]
        return find_entry(table, row) or ()
    if row.settle != "USD":
        return ()
    own = find_entry(params["levels_linear"], row)
    if own is not None:
        return own
    name = find_entry(params["margin_class"], row)
    if name is None:
        return ()
    if name not in params["class_levels"] or name == DEFAULT:
        remedy = f"use one of {', '.join(params['class_levels'])}"
        raise InputError(f"{place}.margin_class.{row.symbol}", f"unknown class {name!r}", remedy)
    return params["class_levels"][name]


@dataclass(frozen=True, slots=True)
class PositionMargins:
    """By slot, USD: what the position, and it with all its buys or sells filled, asks alone.

    ``netting`` is the row of each slot's netting set: two for every group, linear and inverse.
    """

    netting: Int64s
    is_long: Bools
    value: Floats
    initial: Floats
    maintenance: Floats
    maintenance_rate: Floats
    initial_if_bought: Floats
    initial_if_sold: Floats


def measure_margins(exposure: Exposure, market: Market, params: Params) -> PositionMargins:
    """Rule 4 for every slot; 0 for slots without position and orders."""
    layout, table = exposure.layout, exposure.instruments
    held = layout.slot_instrument
    inverse = table.of_payoff(Payoff.INVERSE)[held]
    in_usd = np.abs(exposure.contract_value[held]) * market.index[table.settle[held]]
    # An inverse contract is 1 USD for its level, whatever the coin's index says of its value.
    each = np.where(inverse, table.multiplier[held] * market.index[table.quote[held]], in_usd)

    def margin(contracts: Floats, rates: Floats) -> tuple[Floats, Floats]:
        rate = _level_rate(params.floors[held], rates[held], contracts * each)
        return np.where(contracts == 0, 0.0, contracts * in_usd * rate), rate

    size = np.abs(exposure.quantity)
    maintenance, rate = margin(size, params.maintenance_rate)
    bought = np.maximum(exposure.quantity + exposure.buys, 0.0)
    sold = np.maximum(exposure.sells - exposure.quantity, 0.0)
    return PositionMargins(
        netting=layout.slot_group * 2 + inverse,
        is_long=exposure.quantity > 0,
        value=np.where(size == 0, 0.0, size * in_usd),
        initial=margin(size, params.initial_rate)[0],
        maintenance=maintenance,
        maintenance_rate=rate,
        initial_if_bought=margin(bought, params.initial_rate)[0],
        initial_if_sold=margin(sold, params.initial_rate)[0],
    )


def _level_rate(floors: Floats, rates: Floats, size: Floats) -> Floats:
    """The rate of the level each size ends in, [slots]; NaN for NaN and without levels."""
    level = np.zeros(size.size, dtype=np.int64)
    for k in range(1, floors.shape[1]):
        level = np.where(size > floors[:, k], k, level)
    return np.asarray(rates[np.arange(size.size), level] + 0.0 * size)


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    margins = measure_margins(exposure, market, params)
    long, short = margins.is_long, exposure.quantity < 0
    initial = worst_side(_by_set(margins, exposure, margins.initial, long),
                         _by_set(margins, exposure, margins.initial, short))  # fmt: skip
    maintenance = worst_side(_by_set(margins, exposure, margins.maintenance, long),
                             _by_set(margins, exposure, margins.maintenance, short))  # fmt: skip
    every = np.ones(long.size, dtype=np.bool_)
    filled = worst_side(_by_set(margins, exposure, margins.initial_if_bought, every),
                        _by_set(margins, exposure, margins.initial_if_sold, every))  # fmt: skip
    sets = layout.group_offsets * 2
    orders = sum_segmented(sets, np.maximum(filled - initial, 0.0))
    # The venue has no spot orders in its futures wallets.
    barred = np.where(exposure.spot_reserve == 0, 0.0, np.nan)
    value, counted = _collateral(exposure, params)
    fee = _conversion(exposure, params, value)
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, counted),
        charges=(
            Charge("positions", sum_segmented(sets, initial), sum_segmented(sets, maintenance)),
            Charge(
                "open_orders",
                orders + sum_segmented(layout.group_offsets, barred),
                np.zeros(orders.size),
            ),
            Charge("conversion", fee, fee.copy()),
        ),
        details=(
            Detail(
                "collateral", layout.cell_offsets, layout.cell_asset,
                (("balance", exposure.cell_balance), ("equity", exposure.cell_equity),
                 ("value", value), ("collateral_value", counted)),
            ),
            Detail(
                "margin", layout.slot_offsets, layout.slot_instrument,
                (("value", margins.value), ("initial_margin", margins.initial),
                 ("maintenance_margin", margins.maintenance),
                 ("initial_if_bought", margins.initial_if_bought),
                 ("initial_if_sold", margins.initial_if_sold)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


def _by_set(margins: PositionMargins, exposure: Exposure, amount: Floats, rows: Bools) -> Floats:
    """Amounts of some slots added up by netting set."""
    count = 2 * exposure.layout.group_underlying.size
    return sum_by(margins.netting, np.where(rows, amount, 0.0), count)


def _collateral(exposure: Exposure, params: Params) -> tuple[Floats, Floats]:
    """USD value of each cell, and what of it counts."""
    layout, table = exposure.layout, exposure.instruments
    active = (exposure.quantity != 0) | (exposure.buys != 0) | (exposure.sells != 0)
    inverse = active & table.of_payoff(Payoff.INVERSE)[layout.slot_instrument]
    cells, pools = layout.cell_asset.size, layout.cell_offsets.size - 1
    pool = np.repeat(np.arange(pools), np.diff(layout.cell_offsets))
    has_linear = sum_by(slot_pool(exposure), np.where(active & ~inverse, 1.0, 0.0), pools) > 0
    is_coin = sum_by(layout.slot_cell, np.where(inverse, 1.0, 0.0), cells) > 0
    haircut = np.where(is_coin & ~has_linear[pool], 0.0, params.haircut[layout.cell_asset])
    equity = exposure.cell_equity
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    return value, np.where(value > 0, value * (1.0 - haircut), value)


def _conversion(exposure: Exposure, params: Params, value: Floats) -> Floats:
    """The fee of covering a shortfall of USD from other collateral, by pool, in USD."""
    layout = exposure.layout
    pools = layout.cell_offsets.size - 1
    fee = np.zeros(pools)
    pool = np.repeat(np.arange(pools), np.diff(layout.cell_offsets))
    usd = layout.cell_asset == params.usd
    short = sum_by(pool[usd], np.where(value[usd] < 0, -value[usd], 0.0), pools)
    if not short.any():
        return fee
    for asset in params.by_haircut:
        cells = layout.cell_asset == asset
        owned = sum_by(pool[cells], np.where(value[cells] > 0, value[cells], 0.0), pools)
        converted = np.minimum(owned, short)
        fee = fee + converted * params.conversion_fee[asset]
        short = short - converted
    return fee


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Rule 7 for each position, the others held still."""
    table, held = exposure.instruments, exposure.layout.slot_instrument
    margins, pool = measure_margins(exposure, market, params), slot_pool(exposure)
    long = _by_set(margins, exposure, margins.maintenance, margins.is_long)
    short = _by_set(margins, exposure, margins.maintenance, exposure.quantity < 0)
    # A position on the smaller side asks for nothing.
    counts = margins.is_long == (long >= short)[margins.netting]
    own = np.where(counts, margins.maintenance, 0.0)
    usd = market.index[table.settle[held]]
    others = requirement.maintenance_margin[pool] - own
    inverse = table.of_payoff(Payoff.INVERSE)[held]
    size = exposure.quantity * table.multiplier[held]
    mark, none = market.mark[held], np.zeros(held.size)

    def price(margin: Floats, rate: Floats) -> Floats:
        exact = np.where(
            inverse,
            inverse_price(size, mark, margin / usd, rate, none),
            linear_price(size, mark, margin / usd, rate, none),
        )
        tick = params.tick[held]
        cut = np.where(margins.is_long, round_down(exact, tick), round_up(exact, tick))
        return np.where(np.isnan(tick), exact, cut)

    return PositionPrices(
        liquidation=price(
            requirement.collateral_value[pool] - others,
            np.where(counts, margins.maintenance_rate, 0.0),
        ),
        bankruptcy=price(requirement.equity[pool], none),
    )


MODEL = Model(
    name="kraken.futures",
    title="Kraken Derivatives: levels by position, sides netted by underlying, haircut collateral",
    table="kraken_futures",
    resolve=resolve,
    require=require,
    dollar="USD",
    prices=prices,
)
