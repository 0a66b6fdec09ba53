"""The price of one contract at which an account's margin is used up, others held.

A venue's formula solves equity(p) = maintenance(p) for one position with everything else
frozen at today's figures. One linear equation serves all of them; with a rate of 0 it gives
the bankruptcy price. Sources: Binance FAQ "How to calculate liquidation price of USD-M
futures contracts" and its COIN-M sister; Hyperliquid docs, "Liquidations".
"""

import numpy as np

from plimsoll.core import Floats


def linear_price(
    coins: Floats, entry: Floats, margin: Floats, rate: Floats, deduction: Floats
) -> Floats:
    """Where margin + coins × (p - entry) = |coins| × p × rate - deduction; NaN where p <= 0.

    ``coins`` is signed (long > 0), ``entry`` and the result in quote, ``margin`` (what else
    there is: wallet, other profit, less other maintenance) and ``deduction`` in the settle
    asset. Elementwise; NaN, too, for no position.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        price = (margin + deduction - coins * entry) / (np.abs(coins) * rate - coins)
    return np.where((price > 0) & (coins != 0), price, np.nan)


def inverse_price(
    value: Floats, entry: Floats, margin: Floats, rate: Floats, deduction: Floats
) -> Floats:
    """Where margin + value × (1/entry - 1/p) = |value| / p × rate - deduction; NaN for none.

    ``value`` is the signed quote value of the position (contracts × contract size), ``margin``
    and ``deduction`` in coins.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        price = (np.abs(value) * rate + value) / (margin + deduction + value / entry)
    return np.where((price > 0) & np.isfinite(price) & (value != 0), price, np.nan)


def round_up(price: Floats, tick: Floats) -> Floats:
    """The tick at or above; a price on a tick, but for rounding noise, stays."""
    return np.ceil(price / tick - 1e-9) * tick


def round_down(price: Floats, tick: Floats) -> Floats:
    """The tick at or below; a price on a tick, but for rounding noise, stays."""
    return np.floor(price / tick + 1e-9) * tick
