"""Cases of the loss side: who is closed, which layer pays, what a gap costs."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from plimsoll.core import Int64s
from plimsoll.liquidation.deleveraging import (
    AllocationKey,
    Candidates,
    DeleveragingPolicy,
    HedgeRule,
    RankForm,
    charge_closes,
    deleverage,
    order_candidates,
    profit_capacity,
    rank_candidates,
)
from plimsoll.liquidation.layers import Layer, absorb_loss, require_cover
from plimsoll.liquidation.negative_balance import price_gap_risk
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

UNIT = 10**10
"""Smallest units in 1 of a case's currency or contract."""
ENTRY = 1000
FORMS = (
    ("docs_index", "first_docs", RankForm.HYPERLIQUID_DOCS),
    ("decompiled", "first_decompiled", RankForm.HYPERLIQUID_DECOMPILED),
)


def deleveraging_policies(case: Case) -> dict[str, list[float]]:
    """What each winner gives up under a queue, by profit, by profit times leverage."""
    given = case.inputs
    profit = _exact(given["pnl"])
    leverage = _exact(given["lev"])
    candidates = _candidates([ENTRY + p for p in profit], leverage)
    return {
        "queue": _taken(candidates, given["deficit"], AllocationKey.QUEUE),
        "pro_rata": _taken(candidates, given["deficit"], AllocationKey.PROFIT),
        "leverage_weighted": _taken(candidates, given["deficit"], AllocationKey.LEVERAGE),
    }


def contracts_and_wealth(case: Case) -> dict[str, float]:
    """What the first of a queue pays where contracts are counted, and where money is.

    The next in line holds the rest of the contracts, and gained what the first did.
    """
    given = case.inputs
    held = _exact([given["top_long_eth"], given["bad_short_eth"] - given["top_long_eth"]])
    gained, deficit = _exact([given["top_equity"]])[0], _units(given["deficit"])
    candidates = _candidates([ENTRY + gained] * 2, [Fraction(2), Fraction(1)])
    quantity = _column([size * UNIT for size in held])
    queue = DeleveragingPolicy(AllocationKey.QUEUE, hedges=HedgeRule.OPEN)
    ones = np.ones(2, dtype=np.int64)
    closes = deleverage(candidates, quantity, ones, _units(given["bad_short_eth"]), queue)
    top, following = charge_closes(candidates, closes.closed, deficit).tolist()
    wealth = deleverage(candidates, profit_capacity(candidates), ones, deficit, queue)
    return {
        "contract_queue_top_pays": top / UNIT,
        "contract_queue_next_pays": following / UNIT,
        "wealth_queue_top_pays": int(wealth.closed[0]) / UNIT,
        "top_equity_haircut_contract": float(top / (gained * UNIT)),
    }


def hyperliquid_ranks(case: Case) -> dict[str, Any]:
    """The two published forms of one venue's rank, and who stands first by each."""
    names = sorted(case.inputs)
    moved = _exact([case.inputs[name]["mark_over_entry"] for name in names])
    leverage = _exact([case.inputs[name]["lev"] for name in names])
    candidates = _candidates([ENTRY * ratio for ratio in moved], leverage)
    answer: dict[str, Any] = {}
    for key, first, form in FORMS:
        ranks = rank_candidates(candidates, form, UNIT)
        answer[key] = ranks.as_floats()
        answer[first] = names[int(order_candidates(candidates, ranks)[0])]
    return answer


def layers_of_loss(case: Case) -> dict[str, Any]:
    """What each layer pays of a loss, and what none of them does."""
    layers = tuple(Layer(str(name), int(capacity)) for name, capacity in case.inputs["layers"])
    used, uncovered = absorb_loss(int(case.inputs["loss"]), layers)
    return {"used": list(used), "uncovered": uncovered}


def cover_requirements(case: Case) -> dict[str, int]:
    """What a default fund must hold by three rules."""
    losses = np.array(case.inputs["stress_loss_over_margin"], dtype=np.int64)
    found = require_cover(losses, np.arange(losses.shape[1], dtype=np.int64))
    return {"cover1": found.cover_1, "cover2": found.cover_2, "emir_art42": found.emir_42}


def gap_risk(case: Case) -> dict[str, float]:
    """Expected bad debt and bankruptcy of a leveraged position under jumps."""
    given = case.inputs
    leverage, *jump = (
        np.array([float(given[k])]) for k in ("leverage", "mJ", "sJ", "lam_per_year")
    )
    found = price_gap_risk(leverage, np.array([True]), *jump)
    return {
        "put": float(found.loss_per_jump[0]),
        "p_jump_bankrupt": float(found.bankruptcy_per_jump[0]),
        "p_day": float(found.bankruptcy_per_day[0]),
    }


def _taken(candidates: Candidates, deficit: float, key: AllocationKey) -> list[float]:
    ones = np.ones(candidates.account.size, dtype=np.int64)
    policy = DeleveragingPolicy(key, hedges=HedgeRule.OPEN)
    capacity = profit_capacity(candidates)
    closes = deleverage(candidates, capacity, ones, _units(deficit), policy)
    return [taken / UNIT for taken in closes.closed.tolist()]


def _candidates(mark_value: Sequence[Fraction], leverage: Sequence[Fraction]) -> Candidates:
    """Positions entered at the same value, in the order of their accounts."""
    count = len(mark_value)
    equity = [mark / lev for mark, lev in zip(mark_value, leverage, strict=True)]
    zeros = np.zeros(count, dtype=np.int64)
    return Candidates(
        account=np.arange(count, dtype=np.int64),
        quantity=np.ones(count, dtype=np.int64),
        mark_value=_column([mark * UNIT for mark in mark_value]),
        entry_value=np.full(count, ENTRY * UNIT, dtype=np.int64),
        bankrupt_value=zeros,
        equity=_column([own * UNIT for own in equity]),
        maintenance_margin=zeros,
        hedged=zeros,
    )


def _column(values: Sequence[Fraction]) -> Int64s:
    return np.array([round(value) for value in values], dtype=np.int64)


def _exact(values: Sequence[float]) -> list[Fraction]:
    """Figures as they are written, not as floating point rounds them."""
    return [Fraction(str(value)) for value in values]


def _units(value: float) -> int:
    return round(Fraction(str(value)) * UNIT)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("", "*contagion", "pnl lev deficit", deleveraging_policies),
    Adapter(
        "",
        "*contagion",
        "bad_short_eth deficit top_long_eth top_equity",
        contracts_and_wealth,
    ),
    Adapter("", "*contagion", "A B", hyperliquid_ranks),
    Adapter("", "*waterfall", "loss layers", layers_of_loss),
    Adapter("", "*waterfall", "stress_loss_over_margin", cover_requirements),
    Adapter("", "*waterfall", "lam_per_year mJ sJ leverage", gap_risk),
)
