"""binance.coinm: Binance COIN-M futures, cross and isolated; every figure in coins.

1. Wallets. Each coin margins its own contracts. Margin balance = wallet balance + unrealised
   profit, in coins; profit of a long is contract size × (1 / entry - 1 / mark). Isolated
   positions have wallets of their own.
2. Maintenance margin = notional × rate - maintenance amount with notional = contracts ×
   contract size / mark, by the pair's bracket in coins; the amount (the API's cum) as for
   USD-M. In hedge mode each leg has a bracket of its own.
3. Initial margin = notional / selected leverage. A leverage above what the bracket allows
   counts as the highest allowed.
4. Open orders take margin as for USD-M, at contracts × contract size / limit price.
5. Liquidation from maintenance margin = margin balance on. For one position of N USD the price
   shown is N × (rate + side) / (WB - TMM + UPNL + cum + side × N / entry).

Sources: Binance FAQ ceccfcfb4e3a45e3b48b0b1bb1a8ae46 (5 February 2021) and, for leverage and
margin, be2c7d9d95b04a7e8044ed02dd7dfe5c; a position of a real account (25,119.97445760).
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
    """Brackets (in coins) and leverage of inverse perpetuals and dated futures."""
    return read_futures(params, instruments, {Payoff.INVERSE: "brackets"}, place)


def require(exposure: Exposure, _market: Market, params: FuturesParams) -> Requirement:
    """Requirement of every pool in USD, the coins at their index price; details in coins."""
    return futures_requirement(exposure, params)


def prices(
    exposure: Exposure, _requirement: Requirement, market: Market, params: FuturesParams
) -> PositionPrices:
    """Rule 5, in quote; both legs of a contract show the same price."""
    return futures_prices(exposure, market, params)


MODEL = Model(
    name="binance.coinm",
    title="Binance COIN-M futures: brackets in coins, selected leverage, each coin by itself",
    table="binance_coinm",
    resolve=resolve,
    require=require,
    is_segregated=True,
    prices=prices,
)
