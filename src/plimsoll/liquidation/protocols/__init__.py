"""The liquidation arithmetic of protocols on chain, in their own integers or without rounding.

Entry points: one module for each protocol, of pure functions; ``load_parameters`` of each gives
what its dated table says. Invariants: how much to liquidate is ``sizing.least_amount``, what a
position must bring is in ``bankruptcy``; what one party loses another gains, to the unit.
"""

from plimsoll.liquidation.protocols import derive, drift_v2, dydx_v4, mango_v4, vega

__all__ = ["derive", "drift_v2", "dydx_v4", "mango_v4", "vega"]
