"""binance.usdm: Binance USD-M futures in single-asset mode, cross and isolated.

1. Wallets. Each settle asset (USDT, USDC, ...) margins its own contracts. Margin balance =
   wallet balance + unrealised profit; all of it counts. Isolated positions have wallets of
   their own.
2. Maintenance margin = notional at mark × rate - maintenance amount, by the symbol's bracket
   that the position's notional falls into; the amount (the API's cum) is floor × (rate - rate
   of the bracket before) + amount before. In hedge mode each leg has a bracket of its own.
3. Initial margin = notional at mark / selected leverage. A leverage above what the bracket
   allows counts as the highest allowed.
4. Open orders. With bids and asks at their own prices: max(|position + bids|, |position -
   asks|) / leverage, less what the position has taken; and the open loss, what fills would
   lose at once against mark. Reduce-only orders take nothing. Initial margin only.
5. Liquidation from maintenance margin = margin balance on. The price shown for it is the
   root of wallet balance - TMM + UPNL + profit = maintenance margin in the symbol's price, TMM
   and UPNL being the other symbols' maintenance margin and profit; for one position
   (WB - TMM + UPNL + cum - side × q × entry) / (q × rate - side × q).

The venue shows margins cut to 8 decimals; here they are not cut. Sources: Binance FAQ
b3c689c1f50a44cabb3a84e663b81d93 (liquidation price), 87fa7ee33b574f7084d42bd2ce2e463b (cost of
an order), API GET /fapi/v1/leverageBracket, five isolated positions of 24 October 2024.
"""

from collections.abc import Mapping
from typing import Any

from plimsoll.instruments import InstrumentTable, Payoff
from plimsoll.margin.assessment import Requirement
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model, PositionPrices
from plimsoll.margin.venues.binance_futures import (
    FuturesParams,
    futures_prices,
    futures_requirement,
    read_futures,
)
from plimsoll.market import Market


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> FuturesParams:
    """Brackets (in the settle asset) and leverage of linear perpetuals and dated futures."""
    return read_futures(params, instruments, {Payoff.LINEAR: "brackets"}, place)


def require(exposure: Exposure, _market: Market, params: FuturesParams) -> Requirement:
    """Requirement of every pool, in USD; details in the settle asset."""
    return futures_requirement(exposure, params)


def prices(
    exposure: Exposure, _requirement: Requirement, market: Market, params: FuturesParams
) -> PositionPrices:
    """Rule 5, in quote; both legs of a contract show the same price."""
    return futures_prices(exposure, market, params)


MODEL = Model(
    name="binance.usdm",
    title="Binance USD-M futures: brackets by symbol, selected leverage, single-asset mode",
    table="binance_usdm",
    resolve=resolve,
    require=require,
    is_segregated=True,
    prices=prices,
)
