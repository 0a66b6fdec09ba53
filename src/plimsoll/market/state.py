"""The condition of a venue itself, where it enters an account's margin.

Open interest, deposits and loans, imbalances, slow prices and confidences move with what all
accounts do; a simulator recomputes them at every step, a connector reads them. NaN is unknown:
a rule that needs the figure makes the status UNKNOWN.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable


@dataclass(frozen=True, slots=True)
class SystemState:
    """Columns over instruments, then over assets; NaN where nothing is known.

    By instrument: ``open_interest`` (contracts, one side), ``skew`` (contracts, longs less
    shorts), ``net_user_pnl`` (settle asset, of all users), ``twap`` and ``stable_price`` (slow
    prices in quote), ``confidence`` of its price, volatility or forward (0 to 1), ``rate``
    (continuous, a year, to its expiry), ``forward_fixed`` (the part of the forward, in quote,
    that a settlement average has already fixed), ``depth`` (contracts that the thinner side of the
    order book takes within what a forced order may lose against mark). By asset: ``deposits`` and
    ``borrows`` (units of the asset), ``asset_twap`` and ``asset_stable_price`` (USD),
    ``asset_confidence``.
    """

    open_interest: Floats
    skew: Floats
    net_user_pnl: Floats
    twap: Floats
    stable_price: Floats
    confidence: Floats
    rate: Floats
    forward_fixed: Floats
    depth: Floats
    deposits: Floats
    borrows: Floats
    asset_twap: Floats
    asset_stable_price: Floats
    asset_confidence: Floats

    @classmethod
    def unknown(cls, instruments: InstrumentTable) -> "SystemState":
        """A state of which nothing is known."""
        contracts = np.full(len(instruments), np.nan)
        assets = np.full(len(instruments.assets.names), np.nan)
        return cls(*(contracts,) * 9, *(assets,) * 5)
