"""Scenarios: joint moves of prices and volatilities, as fractions."""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.core import Floats, InputError
from plimsoll.instruments import Kind
from plimsoll.market.market import Market, Quality


@dataclass(frozen=True, slots=True)
class ScenarioGrid:
    """Scenarios as columns, shape [scenarios]: relative price move and relative vol move.

    ``price_move`` -0.1 is a fall by a tenth; ``vol_move`` 0.5 raises every implied
    volatility by half.
    """

    price_move: Floats
    vol_move: Floats

    def __post_init__(self) -> None:
        moves = np.concatenate([self.price_move, self.vol_move])
        if self.price_move.shape != self.vol_move.shape or not np.all(moves >= -1):
            raise InputError("scenarios", "moves must pair up and be at least -1", "mend the grid")


def product_grid(price_moves: Floats, vol_moves: Floats) -> ScenarioGrid:
    """Every price move with every vol move; the vol move varies fastest."""
    return ScenarioGrid(
        np.repeat(price_moves, vol_moves.size), np.tile(vol_moves, price_moves.size)
    )


def shock_market(market: Market, asset_moves: Floats) -> Market:
    """The market after each asset's USD price moved by ``asset_moves``, shape [assets].

    A mark moves as its base asset does against its quote asset. An option's mark is not
    known without a pricing model, so it becomes missing rather than wrong.
    """
    table = market.instruments
    growth = 1.0 + asset_moves
    mark_growth = growth[table.base] / growth[table.quote]
    touched = table.of_kind(Kind.OPTION) & (mark_growth != 1.0)
    price = market.price * np.concatenate([np.where(touched, np.nan, mark_growth), growth])
    quality = market.quality.copy()
    quality[: len(table)][touched] = Quality.MISSING
    return replace(market, price=price, quality=quality, forward=market.forward * mark_growth)
