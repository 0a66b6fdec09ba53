"""bitmex.cross: BitMEX positions that share the wallet of their settle currency.

1. Units, contracts, risk limits, fields and open orders are those of ``bitmex_isolated``: a
   cross position has the same posInit, posComm and posMaint, at the leverage of its risk limit
   unless one is selected. Its posCross is 0 unless stated.
2. The wallet of one settle currency with all profit settled in it, the margin balance, backs
   all cross positions of that currency; each currency is margined by itself.
3. Prices. Liquidation where the margin balance falls to the sum of posMaint with the other
   positions held still, bankruptcy where it falls to 0, both rounded as for isolated positions.
   For a position alone on isolated margin that comes to the same prices as its own rule.

Sources: those of ``bitmex_isolated``; bitmex.com, "Isolated and Cross Margin Examples".
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Requirement
from plimsoll.margin.charges import slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.venues import bitmex_isolated
from plimsoll.margin.venues.bitmex_isolated import EXEMPTIONS, Params, own_prices, require
from plimsoll.market import Market


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""
    return replace(bitmex_isolated.resolve(params, instruments, place), margin_is_own=False)


def prices(
    exposure: Exposure, requirement: Requirement, market: Market, params: Params
) -> PositionPrices:
    """Prices from all that backs a position, its pool's margin balance."""
    held, pool = exposure.layout.slot_instrument, slot_pool(exposure)
    coin_price = market.index[exposure.instruments.settle[held]]
    backing = requirement.collateral_value[pool] / coin_price
    excess = (requirement.collateral_value - requirement.maintenance_margin)[pool] / coin_price
    at_mark = np.abs(exposure.quantity * exposure.contract_value[held])
    return own_prices(exposure, params, excess, backing, at_mark)


MODEL = Model(
    name="bitmex.cross",
    title="BitMEX: cross positions share the wallet of their settle currency",
    table="bitmex_cross",
    resolve=resolve,
    require=require,
    exemptions=EXEMPTIONS,
    is_segregated=True,
    prices=prices,
)
