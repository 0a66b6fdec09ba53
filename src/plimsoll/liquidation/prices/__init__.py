"""Where a pool gets liquidated, how likely that is, and the smallest steps that prevent it.

Entry points: ``liquidation_prices`` and ``find_remedies``. Invariants: every answer was asked of
``assess`` at the prices or amounts that are told; that there is no such price is an answer, and
so is that it cannot be known; nothing here changes a book that it was given.
"""

from plimsoll.liquidation.prices.influence import Influence, influences
from plimsoll.liquidation.prices.passage import exit_probability, hit_probability, median_days
from plimsoll.liquidation.prices.path import Direction, MarketPath, move_market
from plimsoll.liquidation.prices.pool import PoolPath, pool_paths
from plimsoll.liquidation.prices.price import (
    FACTOR_MAX,
    FACTOR_MIN,
    Crossing,
    LiquidationPrice,
    liquidation_price,
    liquidation_prices,
)
from plimsoll.liquidation.prices.remedies import ALL_ORDERS, Remedy, RemedyKind, find_remedies

__all__ = [
    "ALL_ORDERS",
    "FACTOR_MAX",
    "FACTOR_MIN",
    "Crossing",
    "Direction",
    "Influence",
    "LiquidationPrice",
    "MarketPath",
    "PoolPath",
    "Remedy",
    "RemedyKind",
    "exit_probability",
    "find_remedies",
    "hit_probability",
    "influences",
    "liquidation_price",
    "liquidation_prices",
    "median_days",
    "move_market",
    "pool_paths",
]
