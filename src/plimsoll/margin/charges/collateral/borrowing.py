"""Borrowing: margin on what an account owes, at the rates of the tier its debt falls into.

Sources: OKX, position builder sample (2 % maintenance and 10 % initial of a USDT liability) and
position tiers of margin pairs.
"""

from plimsoll.core import Floats, Int32s
from plimsoll.margin.charges.tiers.caps import WholeTiers


def borrowing_margin(
    tiers: WholeTiers, asset: Int32s, owed: Floats, price: Floats
) -> tuple[Floats, Floats]:
    """Initial and maintenance margin in USD on amounts owed (in the asset, >= 0), elementwise.

    ``tiers`` has one schedule per asset with the figures maintenance rate and initial rate, by
    amount. Nothing owed needs nothing; what no tier takes is NaN.
    """
    row = tiers.find(asset, owed)
    return _on(tiers.figure(1, row), owed, price), _on(tiers.figure(0, row), owed, price)


def _on(rate: Floats, owed: Floats, price: Floats) -> Floats:
    out = owed * price * rate
    out[owed == 0] = 0.0
    return out
