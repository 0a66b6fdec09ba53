"""Option minimum: what options cost at least, whatever the scenarios say of them.

A short option far out of the money shows no loss in any scenario and can still ruin its writer,
so clearing houses ask a fixed amount for each contract. Sources: CME advisories on the short
option minimum (a share of the outright margin); FINRA Rule 4210(g) ($.375 per unit).
"""

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import Kind
from plimsoll.margin.charges.sums import sum_slots
from plimsoll.margin.exposure import Exposure


def option_minimum(exposure: Exposure, per_contract: Floats, counts_long: bool) -> Floats:
    """The minimum of each group, USD >= 0, shape [groups]; NaN where a rate is.

    ``per_contract`` is USD, one per instrument. Only short options count unless
    ``counts_long``; what is no option never does.
    """
    held = exposure.layout.slot_instrument
    contracts = np.abs(exposure.quantity) if counts_long else np.maximum(-exposure.quantity, 0.0)
    counts = exposure.instruments.of_kind(Kind.OPTION)[held] & (contracts > 0)
    return sum_slots(exposure, np.where(counts, contracts * per_contract[held], 0.0))
