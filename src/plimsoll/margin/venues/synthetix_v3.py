"""synthetix.v3: perps against a skewed oracle, Synthetix v3.

1. A trade fills at oracle price × (1 + (skew before + skew after) / (2 × skew scale)): who adds to
   the market's skew pays for it. A position's entry price is that fill.
2. Available margin = discounted collateral + profit at the oracle price - debt.
3. Initial ratio = |size| / skew scale × initial ratio of the market + its minimum initial ratio;
   maintenance ratio = initial ratio × maintenance scalar. Margins = notional × ratio, plus the
   market's minimum position margin on both; summed over positions.
4. Whoever flags an account for liquidation is rewarded: the larger of a ratio of the notional and
   one of the collateral, plus the cost of flagging, between a floor and a cap; more liquidation
   windows cost more. Both requirements contain this reward: an account is liquidatable where
   available margin < maintenance + reward, and may withdraw what exceeds initial + reward.
5. A window liquidates at most (maker + taker fee) × skew scale × multiplier × seconds.

Debt is a balance below zero. Assets the table does not list make the status UNKNOWN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import sum_segmented
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.kernels import largest_in_segments
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, find_entry, number
from plimsoll.market import Market

MARKET_FIGURES = (
    "skew_scale", "initial_margin_ratio", "minimum_initial_margin_ratio",
    "maintenance_margin_scalar", "minimum_position_margin", "flag_reward_ratio",
    "window_multiplier", "window_seconds", "maker_fee", "taker_fee",
)  # fmt: skip
KEEPER_FIGURES = (
    "flag_cost", "minimum_reward", "profit_ratio", "collateral_scaling", "maximum_reward",
    "collateral_reward_ratio", "window_cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Params:
    """Figures by instrument (rows of ``markets`` as in MARKET_FIGURES), by asset, of keepers.

    NaN where the table says nothing.
    """

    markets: Floats
    discount: Floats
    keepers: tuple[float, ...]


def fill_price(price: Floats, skew: Floats, size: Floats, skew_scale: Floats) -> Floats:
    """Price a trade of ``size`` (signed coins) fills at, ``skew`` being that before it."""
    return price * (1 + (2 * skew + size) / (2 * skew_scale))


def position_ratios(
    size: Floats, skew_scale: Floats, ratio: Floats, minimum: Floats, scalar: Floats
) -> tuple[Floats, Floats]:
    """Initial and maintenance ratio of a position of ``size`` coins."""
    initial = np.abs(size) / skew_scale * ratio + minimum
    return initial, initial * scalar


def keeper_reward(flagged: Floats, collateral: Floats, windows: Floats, params: Params) -> Floats:
    """What liquidating an account pays its keepers, USD, elementwise.

    ``flagged`` is the sum of flag ratio × notional, ``windows`` the most that a position needs.
    """
    cost, least, profit, scaling, most, ratio, window = params.keepers
    floor = max(cost + least, cost * (1 + profit))
    cap = np.where(collateral == 0, most, np.minimum(collateral * scaling, most))
    base = np.maximum(flagged, ratio * collateral) + cost
    return np.minimum(np.maximum(base, floor), cap) + window * (windows - 1)


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments and assets of a book."""
    markets = np.full((len(MARKET_FIGURES), len(instruments)), np.nan)
    for i, row in enumerate(instruments.rows):
        entry = find_entry(params["markets"], row)
        if entry is None or row.kind != Kind.PERPETUAL:
            continue
        for k, name in enumerate(MARKET_FIGURES):
            markets[k, i] = number(entry[name], f"{place}.markets.{row.base}.{name}")
    names = instruments.assets.names
    return Params(
        markets=markets,
        discount=asset_column(params["collateral_discounts"], names, f"{place}.discounts", 0, 1),
        keepers=tuple(number(params[name], f"{place}.{name}") for name in KEEPER_FIGURES),
    )


def require(exposure: Exposure, _market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    layout = exposure.layout
    assets, pools = layout.cell_asset, layout.cell_offsets
    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    held = np.where(exposure.cell_balance == 0, 0.0, exposure.cell_balance * exposure.cell_price)
    discount = np.where(held > 0, held * params.discount[assets], 0.0)
    available = sum_segmented(pools, worth - np.where(held == 0, 0.0, discount))
    collateral = sum_segmented(pools, np.where(held < 0, 0.0, held))
    scale, ratio, least, scalar, minimum, flag, multiplier, seconds, maker, taker = (
        row[layout.slot_instrument] for row in params.markets
    )
    size = exposure.quantity * exposure.instruments.multiplier[layout.slot_instrument]
    notional = np.abs(exposure.quantity) * exposure.contract_notional[layout.slot_instrument]
    initial, maintenance = position_ratios(size, scale, ratio, least, scalar)
    window = (maker + taker) * scale * multiplier * seconds
    idle = exposure.quantity == 0

    def by_pool(values: Floats) -> Floats:
        return sum_segmented(layout.slot_offsets, np.where(idle, 0.0, values))

    windows = np.where(idle, 0.0, np.ceil(np.abs(size) / window))
    flagged, most = by_pool(flag * notional), np.zeros(collateral.size)
    largest_in_segments(layout.slot_offsets, windows, most)
    reward = np.where(most == 0, 0.0, keeper_reward(flagged, collateral, most, params))
    lines = (
        Charge("positions", by_pool(notional * initial), by_pool(notional * maintenance)),
        Charge("minimum_position_margin", by_pool(minimum), by_pool(minimum)),
        Charge("keeper_reward", reward, reward),
    )
    whole = Requirement(sum_segmented(pools, worth), available, lines, ())
    free = available - whole.initial_margin
    row = np.full(available.size, ACCOUNT_ROW, dtype=np.int32)
    return Requirement(
        equity=whole.equity,
        collateral_value=available,
        charges=lines,
        details=(
            Detail(
                "account", np.arange(available.size + 1, dtype=np.int64), row,
                (("available_margin", available), ("withdrawable", np.where(free > 0, free, 0.0)),
                 ("liquidation_windows", most), ("keeper_reward", reward)),
            ),
            Detail(
                "position_margin", layout.slot_offsets, layout.slot_instrument,
                (("initial_ratio", initial), ("maintenance_ratio", maintenance),
                 ("liquidation_windows", windows)),
                by_instrument=True,
            ),
        ),
    )  # fmt: skip


MODEL = Model(
    name="synthetix.v3",
    title="Synthetix v3 perps: ratios that rise with size over skew scale, keeper rewards",
    table="synthetix_v3",
    resolve=resolve,
    require=require,
    dollar="USD",
    exemptions=(
        (
            "twice_the_book_is_twice_the_equity_and_no_cheaper",
            "the minimum position margin is paid once, and keepers' rewards are capped",
        ),
    ),
)
