"""lighter.cross: perpetuals on Lighter, cross and isolated.

1. Account value = USDC collateral + sum of (mark - entry) × position.
2. Each market has three fractions of notional at mark, initial > maintenance > close-out; a
   requirement is their sum over positions, without offsets. The initial fraction is that of the
   leverage the account selected (in whole basis points, never below the market's least), or the
   market's default. Orders need nothing until they fill.
3. Below the initial requirement nothing may be enlarged. Below maintenance, orders are cancelled
   and positions sold at their zero price or better, up to 1 % of the gain going to the insurance
   fund. Below close-out the insurance fund takes everything over.
4. Zero price = mark × (1 - m × value / maintenance) of a long, (1 + ...) of a short, m being the
   market's maintenance fraction: a fill there leaves value / maintenance as it was, so that
   after the last one both are zero.

The venue states rule 4 in words; the formula is derived from them. Only linear perpetuals have
rules here; a market without fractions, or a spot order, makes its pool UNKNOWN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    listed_assets,
    listed_collateral,
    slot_pool,
    sum_segmented,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.parameters import find_entry, instrument_column, number
from plimsoll.margin.position_prices import linear_price
from plimsoll.market import Market

FRACTIONS = 4
BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Params:
    """Fractions of notional per instrument, NaN where there is no rule."""

    initial: Floats
    maintenance: Floats
    close_out: Floats
    is_collateral: Bools


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    found = np.full((len(instruments), FRACTIONS), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(params["fractions"], row)
        is_linear = row.kind == Kind.PERPETUAL and row.payoff == Payoff.LINEAR and not row.leg
        if entry is not None and is_linear:
            found[i] = _fractions(entry, f"{place}.fractions.{row.symbol}")
    default, least, maintenance, close_out = found.T
    leverage = instrument_column(params["leverage"], instruments, f"{place}.leverage", low=1.0)
    selected = np.floor(BASIS_POINTS / leverage) / BASIS_POINTS
    initial = np.where(np.isnan(leverage), default, np.maximum(selected, least))
    names = instruments.assets.names
    return Params(
        initial=initial,
        maintenance=maintenance,
        close_out=close_out,
        is_collateral=listed_assets(params["collateral"], names, f"{place}.collateral"),
    )


def _fractions(entry: object, place: str) -> list[float]:
    """Default and least initial, maintenance, close-out."""
    if not isinstance(entry, Sequence) or len(entry) != FRACTIONS:
        remedy = "give default initial, least initial, maintenance and close-out fraction"
        raise InputError(place, f"{entry!r} are no fractions of a market", remedy)
    found = [number(value, place, high=1.0) for value in entry]
    if not found[0] >= found[1] > found[2] > found[3]:
        raise InputError(place, "do not fall", "initial > maintenance > close-out")
    return found


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    held = layout.slot_instrument
    cash = listed_collateral(exposure, params.is_collateral)
    # Rows that hold nothing need neither a price nor fractions, unless they have orders.
    idle = (exposure.quantity == 0) & (exposure.buys == 0) & (exposure.sells == 0)
    notional = np.where(idle, 0.0, np.abs(exposure.quantity) * exposure.contract_notional[held])
    margins = [
        np.where(idle, 0.0, notional * rate[held])
        for rate in (params.initial, params.maintenance, params.close_out)
    ]
    initial, maintenance, close_out = (
        sum_segmented(layout.slot_offsets, margin) for margin in margins
    )
    # Spot orders lock what is not known here.
    spot = np.where(exposure.spot_reserve == 0, 0.0, np.nan)
    initial = initial + sum_segmented(layout.group_offsets, spot)
    positions = Detail(
        "position_margins", layout.slot_offsets, held,
        (("notional", notional), ("initial_margin", margins[0]),
         ("maintenance_margin", margins[1]), ("close_out_margin", margins[2])),
        by_instrument=True,
    )  # fmt: skip
    pool = np.repeat(np.arange(initial.size), np.diff(layout.cell_offsets))
    levels = (("account_value", cash.counted), ("close_out_margin", close_out))
    account = Detail(
        "account", layout.cell_offsets, layout.cell_asset,
        tuple((name, column[pool]) for name, column in levels),
    )  # fmt: skip
    return Requirement(
        equity=cash.equity,
        collateral_value=cash.counted,
        charges=(Charge("positions", initial, maintenance),),
        details=(cash.detail, positions, account),
    )


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Where liquidation begins; and, as the bankruptcy price, the zero price (rule 4)."""
    held, pool = exposure.layout.slot_instrument, slot_pool(exposure)
    table = exposure.instruments
    usd, mark, rate = market.index[table.settle][held], market.mark[held], params.maintenance[held]
    coins = exposure.quantity * table.multiplier[held]
    value = requirement.collateral_value[pool]
    needed = requirement.maintenance_margin[pool]
    own = np.abs(coins) * mark * rate
    nothing = np.zeros(coins.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = mark * (1.0 - np.sign(coins) * rate * value / needed)
        liquidation = linear_price(coins, mark, (value - needed) / usd + own, rate, nothing)
    return PositionPrices(liquidation, np.where((coins != 0) & (zero > 0), zero, np.nan))


MODEL = Model(
    name="lighter.cross",
    title="Lighter: initial, maintenance and close-out fractions per market, cross and isolated",
    table="lighter_cross",
    resolve=resolve,
    require=require,
    dollar="USDC",
    prices=prices,
)
