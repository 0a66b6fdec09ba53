"""What options are worth: values, Greeks, implied volatility, surfaces and shocks to them.

Entry points: ``black76``, ``greeks``, ``reprice_grid``, ``implied_vol`` and ``fit_chain``.
Invariants: columns in, columns out, and an element's bits depend on its own inputs alone, not on
its place, its batch or the number of threads; an element that cannot be priced is NaN with a
``PriceStatus`` that says why; a quote that is not fitted is counted with its reason; a surface
that shows arbitrage says so.
"""

from plimsoll.pricing.arbitrage import ArbitrageReport, scan_surface
from plimsoll.pricing.black import (
    Greeks,
    OptionValues,
    black76,
    greeks,
    payoff_in_coin,
    spot_greeks,
    value_in_coin,
)
from plimsoll.pricing.forwards import Forwards, ForwardSource, carry_forward, chain_forwards
from plimsoll.pricing.grid import (
    OptionColumns,
    OptionShocks,
    reprice_grid,
    shocks_of_grid,
    subtract_base,
)
from plimsoll.pricing.implied import (
    ConvertedPrices,
    ImpliedVols,
    half_tick_error,
    implied_vol,
    price_from_coin,
)
from plimsoll.pricing.quotes import OptionQuotes, QuoteRules, describe_flags, flag_quotes
from plimsoll.pricing.shocks import TenorLaw, shock_vol, tenor_multiplier
from plimsoll.pricing.smile import SmileFigures, smile_figures
from plimsoll.pricing.status import PriceStatus
from plimsoll.pricing.surface import ChainFit, fit_chain, fit_surface

__all__ = [
    "ArbitrageReport",
    "ChainFit",
    "ConvertedPrices",
    "ForwardSource",
    "Forwards",
    "Greeks",
    "ImpliedVols",
    "OptionColumns",
    "OptionQuotes",
    "OptionShocks",
    "OptionValues",
    "PriceStatus",
    "QuoteRules",
    "SmileFigures",
    "TenorLaw",
    "black76",
    "carry_forward",
    "chain_forwards",
    "describe_flags",
    "fit_chain",
    "fit_surface",
    "flag_quotes",
    "greeks",
    "half_tick_error",
    "implied_vol",
    "payoff_in_coin",
    "price_from_coin",
    "reprice_grid",
    "scan_surface",
    "shock_vol",
    "shocks_of_grid",
    "smile_figures",
    "spot_greeks",
    "subtract_base",
    "tenor_multiplier",
    "value_in_coin",
]
