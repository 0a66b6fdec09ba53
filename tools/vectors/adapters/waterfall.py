"""Cases of the liquidation waterfall: who is closed, and how likely it comes to that."""

from typing import Any

import numpy as np

from plimsoll.liquidation import close_by_queue, rank_queue
from plimsoll.liquidation.prices import hit_probability
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

# Subjects that belong to the waterfall and have no adapter yet, by party; reported as such.
AWAITED: tuple[tuple[str, str], ...] = ()


def deleveraging_queue(case: Case) -> dict[str, Any]:
    """Places in a queue of auto-deleveraging, and what each position in front is closed by."""
    side = next(name for name in ("longs", "shorts") if name in case.inputs)
    rows = case.inputs[side]
    names = [str(row["account"]) for row in rows]
    quantity = np.array([float(row["qty"]) for row in rows])
    queue = rank_queue(quantity, np.array([float(row["score"]) for row in rows]))
    wanted = next(float(v) for name, v in case.inputs.items() if name.startswith("liquidated"))
    closed = close_by_queue(quantity, queue, wanted)
    return {
        "percentile": dict(zip(names, queue.percentile.tolist(), strict=True)),
        "fills": {name: part for name, part in zip(names, closed.tolist(), strict=True) if part},
    }


def first_passage(case: Case) -> float:
    """Probability that a price reaches a barrier in time; the case counts in years."""
    x = {name: float(value) for name, value in case.inputs.items()}
    return hit_probability(x["B"] / x["S"], x["vol"], x["T"], x["mu"])


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("*", "*adl*", "longs liquidated_short bankruptcy_price?", deleveraging_queue),
    Adapter("*", "*adl*", "shorts liquidated_long bankruptcy_price?", deleveraging_queue),
    Adapter("", "*corr", "S B mu vol T", first_passage),
)
