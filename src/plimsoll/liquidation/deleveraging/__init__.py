"""Auto-deleveraging: whose positions are closed against one that nobody else takes.

Entry points: ``deleverage`` (one decision over all candidates) and ``order_candidates`` (the
queue as venues rank it). Invariants: nobody is closed beyond his capacity, whose default is what
his positive profit covers; the sum reaches the budget wherever capacities do, and what they do
not reach is said; amounts are integers, and the order of the rows changes nothing. The cheapest
closes by a linear or integer programme are in ``deleveraging.optimum``, which needs SciPy.
"""

from plimsoll.liquidation.deleveraging.candidates import (
    Candidates,
    Coverage,
    contract_capacity,
    hedged_part,
    measure_coverage,
    profit_capacity,
)
from plimsoll.liquidation.deleveraging.measures import (
    Concentration,
    Overshoot,
    measure_concentration,
    measure_overshoot,
)
from plimsoll.liquidation.deleveraging.policies import (
    AllocationKey,
    Closes,
    DeleveragingPolicy,
    HedgeRule,
    charge_closes,
    deleverage,
)
from plimsoll.liquidation.deleveraging.queue import (
    Queue,
    close_by_queue,
    queue_score,
    rank_queue,
)
from plimsoll.liquidation.deleveraging.ranks import (
    RankForm,
    Ranks,
    order_candidates,
    rank_candidates,
)

__all__ = [
    "AllocationKey",
    "Candidates",
    "Closes",
    "Concentration",
    "Coverage",
    "DeleveragingPolicy",
    "HedgeRule",
    "Overshoot",
    "Queue",
    "RankForm",
    "Ranks",
    "charge_closes",
    "close_by_queue",
    "contract_capacity",
    "deleverage",
    "hedged_part",
    "measure_concentration",
    "measure_coverage",
    "measure_overshoot",
    "order_candidates",
    "profit_capacity",
    "queue_score",
    "rank_candidates",
    "rank_queue",
]
