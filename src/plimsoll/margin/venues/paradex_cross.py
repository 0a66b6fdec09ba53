"""paradex.cross: futures and dated options on Paradex, cross and isolated.

1. Account value = USDC at its index price + unrealised profit at mark. Other assets back nothing.
2. A market's requirement looks at the larger side that can come about: buy open size =
   max(0, buy orders + position), sell open size = max(0, sell orders - position).
3. Futures: net initial margin = open size × fraction × mark; the fraction is the market's, or
   1 / the leverage selected where that is more. Maintenance = ``maintenance_factor`` × the
   market's fraction × position × mark.
4. Options, per unit and on spot S: a long min(premium multiplier × mark, long ITM × S); a short
   max(short ITM × S - out-of-the-money amount, short OTM × S), a put at most put cap × S. Their
   initial and maintenance fractions are listed separately.
5. Spreads (where ``unpaired_scale`` is listed): options on one underlying that expire together,
   at least one of them short, need min(sum of rule 4, settlement loss + unpaired scale × net
   short calls × S). Orders count in the initial margin as if their larger side had filled, and
   never lower it.
6. Fee provision: taker fee on the open size (initial) or position (maintenance); an option's is
   at most ``option_fee_cap`` of its mark.
7. Open loss, initial only: what orders would lose against mark when they fill.

Balances are after the premium of options, which the venue counts as profit at mark less cost.
Markets without a fraction, inverse contracts and spot orders have no rule here: UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    ExpiryGroups,
    expiry_groups,
    listed_assets,
    listed_collateral,
    settlement_losses,
    sum_segmented,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import find_entry, instrument_column, number
from plimsoll.market import Market

OPTION_COLUMNS = ("premium multiplier", "long ITM", "short ITM", "short OTM", "short put cap")


class OptionRates(NamedTuple):
    """Rule 4's fractions, per instrument, NaN where there is no rule."""

    premium: Floats
    long_itm: Floats
    short_itm: Floats
    short_otm: Floats
    put_cap: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters over instruments; ``unpaired_scale`` is initial and maintenance, or empty."""

    fraction: Floats
    selected: Floats
    maintenance_factor: float
    initial_options: OptionRates
    maintenance_options: OptionRates
    unpaired_scale: tuple[float, ...]
    fee_rate: Floats
    option_fee_cap: float
    is_option: Bools
    is_collateral: Bools


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    is_option = instruments.of_kind(Kind.OPTION) & ~instruments.of_payoff(Payoff.INVERSE)
    is_future = instruments.of_kind(Kind.PERPETUAL) | instruments.of_kind(Kind.FUTURE)
    has_leg = np.array([bool(row.leg) for row in instruments.rows], dtype=np.bool_)
    is_future = is_future & ~instruments.of_payoff(Payoff.INVERSE) & ~has_leg
    listed = instrument_column(params["initial_fractions"], instruments,
                               f"{place}.initial_fractions", high=1.0)  # fmt: skip
    leverage = instrument_column(params["leverage"], instruments, f"{place}.leverage", low=1.0)
    fraction = np.where(is_future, listed, np.nan)
    initial, maintenance = option_rates(params["options"], instruments, f"{place}.options")
    names = instruments.assets.names
    return Params(
        fraction=fraction,
        selected=np.fmax(fraction, 1.0 / leverage) + 0.0 * fraction,
        maintenance_factor=number(
            params["maintenance_factor"], f"{place}.maintenance_factor", high=1.0
        ),
        initial_options=initial,
        maintenance_options=maintenance,
        unpaired_scale=_unpaired_scale(params["unpaired_scale"], f"{place}.unpaired_scale"),
        fee_rate=fee_rates(params["taker_fee"], is_option, f"{place}.taker_fee"),
        option_fee_cap=number(params["option_fee_cap"], f"{place}.option_fee_cap", high=1.0),
        is_option=is_option,
        is_collateral=listed_assets(params["collateral"], names, f"{place}.collateral"),
    )


def option_rates(
    table: Mapping[str, Any], instruments: InstrumentTable, place: str
) -> tuple[OptionRates, OptionRates]:
    """Initial and maintenance fractions of options, NaN where the table has none."""
    found = np.full((2, len(OPTION_COLUMNS), len(instruments)), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(table, row)
        if entry is None or row.kind != Kind.OPTION or row.payoff == Payoff.INVERSE:
            continue
        where = f"{place}.{row.symbol}"
        if not isinstance(entry, Sequence) or [_length(side) for side in entry] != [5, 5]:
            remedy = f"give {', '.join(OPTION_COLUMNS)} for initial, then for maintenance"
            raise InputError(where, f"{entry!r} are no option fractions", remedy)
        for side in range(2):
            found[side, :, i] = [number(value, where, high=10.0) for value in entry[side]]
        if np.any(found[1, :, i] > found[0, :, i]):
            raise InputError(where, "a maintenance fraction is above initial", "swap the rows")
    return OptionRates(*found[0]), OptionRates(*found[1])


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sequence) else -1


def _unpaired_scale(value: object, place: str) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or len(value) not in (0, 2):
        problem = f"{value!r} is no pair of numbers"
        raise InputError(place, problem, "give initial and maintenance, or [] for no spreads")
    scale = tuple(number(item, place) for item in value)
    if scale and scale[0] < scale[1]:
        raise InputError(place, "maintenance is above initial", "swap the two")
    return scale


def fee_rates(table: Mapping[str, Any], is_option: Bools, place: str) -> Floats:
    """Taker fee of each instrument, by kind; InputError where either kind's is no fraction."""
    futures, options = (
        number(table.get(kind), f"{place}.{kind}", high=1.0) for kind in ("futures", "options")
    )
    return np.where(is_option, options, futures)


class _Sides(NamedTuple):
    """By slot: contracts if all buys or all sells fill, and what one contract is, in USD."""

    buy: Floats
    sell: Floats
    notional: Floats
    fee: Floats


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    held, is_option = layout.slot_instrument, params.is_option[layout.slot_instrument]
    cash = listed_collateral(exposure, params.is_collateral)
    sides = _sides(exposure, market, params)
    size, open_size = np.abs(exposure.quantity), np.maximum(sides.buy, sides.sell)

    def times(amount: Floats, each: Floats) -> Floats:
        return np.where(amount == 0, 0.0, amount * each)

    futures = [
        np.where(is_option, 0.0, times(amount, sides.notional * rate[held] * factor))
        for amount, rate, factor in (
            (open_size, params.selected, 1.0),
            (size, params.fraction, params.maintenance_factor),
        )
    ]
    fees = [times(amount, sides.fee) for amount in (open_size, size)]
    alone, options = _options(exposure, market, params, sides)
    # Spot has a wallet of its own, of which nothing is known here.
    spot = np.where(exposure.spot_reserve == 0, 0.0, np.nan)
    by_slot, by_group = layout.slot_offsets, layout.group_offsets
    none = np.zeros(cash.equity.size)
    charges = (
        Charge("futures", *(sum_segmented(by_slot, margin) for margin in futures)),
        Charge("options", *options),
        Charge("fee_provision", *(sum_segmented(by_slot, fee) for fee in fees)),
        Charge("open_loss", sum_segmented(by_group, exposure.order_loss + spot), none),
    )
    markets = Detail(
        "markets", by_slot, held,
        (("buy_open_size", sides.buy), ("sell_open_size", sides.sell),
         ("net_initial_margin", futures[0] + alone[0]),
         ("net_maintenance_margin", futures[1] + alone[1]),
         ("initial_fees", fees[0]), ("maintenance_fees", fees[1])),
        by_instrument=True,
    )  # fmt: skip
    partial = Requirement(cash.equity, cash.counted, charges, ())
    details = (cash.detail, markets, _account(exposure, partial))
    return Requirement(cash.equity, cash.counted, charges, details)


def _sides(exposure: Exposure, market: Market, params: Params) -> _Sides:
    table, held = exposure.instruments, exposure.layout.slot_instrument
    usd, multiplier = market.index[table.settle], table.multiplier
    notional = exposure.contract_notional
    rate, cap = params.fee_rate, params.option_fee_cap
    option_fee = np.minimum(
        rate * market.index[table.base] * multiplier, cap * multiplier * market.mark * usd
    )
    fee = np.where(params.is_option, option_fee, rate * notional)
    return _Sides(
        np.maximum(exposure.buys + exposure.quantity, 0.0),
        np.maximum(exposure.sells - exposure.quantity, 0.0),
        notional[held],
        fee[held],
    )


def _options(
    exposure: Exposure, market: Market, params: Params, sides: _Sides
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Rules 4 and 5: initial and maintenance margins by slot, alone, and by pool, in spreads."""
    held = exposure.layout.slot_instrument
    is_option = params.is_option[held]
    long, short = np.maximum(exposure.quantity, 0.0), np.maximum(-exposure.quantity, 0.0)

    def leg(rates: OptionRates, bought: Floats, sold: Floats) -> tuple[Floats, Floats]:
        """The side that costs more: its margin in USD, and its signed contracts; by slot."""
        up, down = unit_option_margins(rates, market, params.is_option)
        up = np.where(~is_option | (bought == 0), 0.0, bought * up[held])
        down = np.where(~is_option | (sold == 0), 0.0, sold * down[held])
        margin = np.maximum(up, down)
        return margin, np.where(is_option, np.where(down > up, -sold, bought), 0.0)

    held_alone = [
        leg(rates, long, short) for rates in (params.initial_options, params.maintenance_options)
    ]
    filled = leg(params.initial_options, sides.buy, sides.sell)
    alone = filled[0], held_alone[1][0]
    if not params.unpaired_scale:
        offsets = exposure.layout.slot_offsets
        return alone, (sum_segmented(offsets, alone[0]), sum_segmented(offsets, alone[1]))
    groups = expiry_groups(exposure, params.is_option)
    scales = params.unpaired_scale
    grouped = [
        _group_margins(exposure, market, groups, margin, contracts, scale)
        for (margin, contracts), scale in (
            (filled, scales[0]), (held_alone[0], scales[0]), (held_alone[1], scales[1])
        )
    ]  # fmt: skip
    pools = exposure.is_isolated.size
    initial = sum_by(groups.pool, np.maximum(grouped[0], grouped[1]), pools)
    return alone, (initial, sum_by(groups.pool, grouped[2], pools))


def unit_option_margins(
    rates: OptionRates, market: Market, is_option: Bools
) -> tuple[Floats, Floats]:
    """Rule 4's margin in USD of one contract held long and of one held short, [instruments]."""
    table = market.instruments
    usd = market.index[table.settle]
    spot = market.index[table.base] / usd
    out_of_money = np.maximum((table.strike - spot) * np.where(table.is_call, 1.0, -1.0), 0.0)
    long = np.minimum(rates.premium * market.mark, rates.long_itm * spot)
    short = np.maximum(rates.short_itm * spot - out_of_money, rates.short_otm * spot)
    short = np.where(table.is_call, short, np.minimum(short, rates.put_cap * spot))
    # Without a mark a short option's value is not known, so neither is its account.
    short = short + 0.0 * market.mark
    each = np.where(is_option, table.multiplier * usd, np.nan)
    return long * each, short * each


def _group_margins(
    exposure: Exposure,
    market: Market,
    groups: ExpiryGroups,
    margin: Floats,
    contracts: Floats,
    scale: float,
) -> Floats:
    """Rule 5: what each group of options needs, in USD, given its legs' margins alone."""
    slots, count = groups.slots, groups.pool.size
    table, held = exposure.instruments, exposure.layout.slot_instrument[groups.slots]
    legs = contracts[slots]
    usd = market.index[table.settle][held]
    units = np.where(legs == 0, 0.0, legs * table.multiplier[held])
    value = np.where(legs == 0, 0.0, units * market.mark[held] * usd)
    is_call = table.is_call[held]
    loss = settlement_losses(
        groups.group, count, table.strike[held], is_call, np.where(legs == 0, 0.0, units * usd),
        value,
    )  # fmt: skip
    calls = sum_by(groups.group, np.where(is_call, units, 0.0), count)
    spot = np.full(count, np.nan)
    spot[groups.group] = market.index[table.base][held]
    reserve = np.where(calls < 0, scale * -calls * spot, 0.0)
    has_short = np.zeros(count, dtype=np.bool_)
    np.logical_or.at(has_short, groups.group, legs < 0)
    apart = sum_by(groups.group, margin[slots], count)
    return np.where(has_short, np.minimum(apart, loss + reserve), apart)


def _account(exposure: Exposure, requirement: Requirement) -> Detail:
    """Account value and what is free to withdraw, on the row of the cash."""
    layout = exposure.layout
    pool = np.repeat(np.arange(exposure.is_isolated.size), np.diff(layout.cell_offsets))
    value = requirement.collateral_value
    unspent = (value - requirement.initial_margin)[pool]
    owned = exposure.cell_balance
    cash = np.where(owned == 0, 0.0, owned * exposure.cell_price)
    return Detail(
        "account", layout.cell_offsets, layout.cell_asset,
        (("account_value", value[pool]), ("free_collateral", np.minimum(unspent, cash))),
    )  # fmt: skip


MODEL = Model(
    name="paradex.cross",
    title="Paradex: cross and isolated margin of futures and dated options",
    table="paradex_cross",
    resolve=resolve,
    require=require,
    dollar="USDC",
)
