"""aave.v2: the health of a loan against collateral, Aave v2: v3's rules without e-modes.

Its close factor is half of the debt at any health factor.
"""

from dataclasses import replace

from plimsoll.margin.venues import aave_v3

MODEL = replace(
    aave_v3.MODEL,
    name="aave.v2",
    title="Aave v2: health of loans against collateral",
    table="aave_v2",
)
