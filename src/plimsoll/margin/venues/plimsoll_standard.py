"""plimsoll.standard: the house model for cross and isolated margin.

1. Collateral. Each asset's equity (balance plus unrealised profit settled in it) counts at its
   index price, less the marginal haircut of its tiers where it is positive and in full where
   it is negative. An asset without tiers backs nothing, but its debt still counts.
2. Tiered notional. Contracts on one underlying are margined on the larger of their long and
   short sides, at marginal brackets.
3. Size. Where the underlying has a slope, the rate base + slope * coins is charged on that
   side as far as it exceeds the brackets; base is the first bracket's rate.
4. Open orders add to the initial margin what the worse side filling would add, the loss of
   such fills against mark, and what spot orders lock.
5. Fee provision: the cost of closing everything held.

Options and underlyings without brackets have no rule here: the pool's status is UNKNOWN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    MarginalTiers,
    open_order_charge,
    schedules,
    size_scaled_excess,
    sum_segmented,
    worst_side,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, ResolvedModel, Sweep
from plimsoll.margin.sweep import (
    TieredRules,
    TieredSheet,
    prepare_tiered,
    sweep_tiered,
    tiered_room,
)
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters as columns over assets; an empty schedule means the table has none.

    ``size_slope`` is a rate per coin, ``fee_rate`` a fraction of notional. ``tiered`` is all of
    them as the sweep reads them.
    """

    maintenance: MarginalTiers
    initial: MarginalTiers
    haircuts: MarginalTiers
    size_slope: Floats
    fee_rate: float
    has_rule: Floats
    tiered: TieredRules


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names
    brackets = params["brackets"]
    fee_rate = params["fee_provision_rate"]
    slopes = [params["size_slopes"].get(name, 0.0) for name in names]
    numbers = [fee_rate, *slopes]
    if not all(isinstance(x, int | float) and 0 <= x < 1 for x in numbers):
        raise InputError(place, "a rate or slope is no fraction", "use numbers from 0 up to 1")
    is_option = instruments.of_kind(Kind.OPTION)
    maintenance = schedules(brackets, names, 1, f"{place}.brackets")
    initial = schedules(brackets, names, 2, f"{place}.brackets")
    if np.any(initial.rates < maintenance.rates):
        problem = "an initial rate is below maintenance"
        raise InputError(f"{place}.brackets", problem, "list floor, maintenance, initial")
    haircuts = schedules(params["haircuts"], names, 1, f"{place}.haircuts")
    size_slope = np.array(slopes, dtype=np.float64)
    return Params(
        maintenance=maintenance,
        initial=initial,
        haircuts=haircuts,
        size_slope=size_slope,
        fee_rate=float(fee_rate),
        has_rule=np.where(is_option, np.nan, 1.0),
        tiered=TieredRules.build(
            instruments, initial, maintenance, haircuts, size_slope, float(fee_rate), is_option
        ),
    )


def prepare(market: Market, resolved: ResolvedModel) -> TieredSheet:
    """The sheet that pools are swept from."""
    ratio, currency = resolved.margin_call_ratio, resolved.currency
    return prepare_tiered(market, resolved.params.tiered, ratio, currency)


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD. The exposure holds all prices that the rules need."""
    layout = exposure.layout
    value, haircut = _collateral(exposure, params)
    counted = value - haircut
    under = layout.group_underlying
    side = worst_side(exposure.long, exposure.short)
    filled = worst_side(exposure.worst_long, exposure.worst_short)
    both = (params.initial, params.maintenance)
    tiered = [tiers.amount(under, side) for tiers in both]
    scaled = [
        _scaled(params, tiers, exposure, side, charged)
        for tiers, charged in zip(both, tiered, strict=True)
    ]
    tiered_filled = params.initial.amount(under, filled)
    with_orders = tiered_filled + _scaled(params, params.initial, exposure, filled, tiered_filled)
    with_orders += params.fee_rate * np.maximum(filled - side, 0.0)
    orders = open_order_charge(
        with_orders, tiered[0] + scaled[0], exposure.order_loss, exposure.spot_reserve
    )
    fees = params.fee_rate * exposure.gross
    # A contract without a rule makes its pool's requirement unknown, not free.
    barred = _barred(exposure, params)
    charges = tuple(
        Charge(
            name, sum_segmented(layout.group_offsets, im), sum_segmented(layout.group_offsets, mm)
        )
        for name, im, mm in (
            ("tiered_notional", tiered[0] + barred, tiered[1] + barred),
            ("size_scaled", scaled[0], scaled[1]),
            ("open_orders", orders, np.zeros(orders.size)),
            ("fee_provision", fees, fees),
        )
    )
    return Requirement(
        equity=sum_segmented(layout.cell_offsets, value),
        collateral_value=sum_segmented(layout.cell_offsets, counted),
        charges=charges,
        details=(
            Detail(
                "collateral", layout.cell_offsets, layout.cell_asset,
                (("balance", exposure.cell_balance), ("equity", exposure.cell_equity),
                 ("index_price", exposure.cell_price), ("value", value),
                 ("haircut", haircut), ("collateral_value", counted)),
            ),
            Detail(
                "exposure", layout.group_offsets, under,
                (("long", exposure.long), ("short", exposure.short), ("charged_side", side),
                 ("side_with_orders", filled), ("initial_tiered", tiered[0]),
                 ("maintenance_tiered", tiered[1]), ("initial_size", scaled[0]),
                 ("maintenance_size", scaled[1]), ("open_orders", orders), ("fees", fees)),
            ),
        ),
    )  # fmt: skip


def _collateral(exposure: Exposure, params: Params) -> tuple[Floats, Floats]:
    """USD value of each cell and the haircut taken from it."""
    equity = exposure.cell_equity
    # An asset that holds nothing needs no price.
    value = np.where(equity == 0, 0.0, equity * exposure.cell_price)
    assets = exposure.layout.cell_asset
    listed = np.diff(params.haircuts.offsets)[assets] > 0
    haircut = params.haircuts.amount(assets, np.where(value > 0, value, 0.0))
    haircut = np.where(value > 0, np.where(listed, haircut, value), 0.0)
    return value, haircut


def _scaled(
    params: Params, tiers: MarginalTiers, exposure: Exposure, side: Floats, charged: Floats
) -> Floats:
    under = exposure.layout.group_underlying
    return size_scaled_excess(
        under, side, exposure.group_price, tiers.first_rate, params.size_slope, charged
    )


def _barred(exposure: Exposure, params: Params) -> Floats:
    """NaN for groups that hold or order a contract without a rule, else 0."""
    layout = exposure.layout
    barred = np.zeros(layout.group_underlying.size)
    if not np.isnan(params.has_rule).any():
        return barred
    unruled = np.isnan(params.has_rule[layout.slot_instrument])
    # A row emptied of contracts and orders needs no rule.
    in_use = (exposure.quantity != 0) | (exposure.buys != 0) | (exposure.sells != 0)
    np.add.at(barred, layout.slot_group[unruled & in_use], np.nan)
    return barred


MODEL = Model(
    name="plimsoll.standard",
    title="House model: tiered notional by underlying, haircut collateral, cross and isolated",
    table="plimsoll_standard",
    resolve=resolve,
    require=require,
    sweep=Sweep(prepare, sweep_tiered, tiered_room),
)
