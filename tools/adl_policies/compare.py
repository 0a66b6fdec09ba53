"""The policies on the event's shocks: on the coins themselves, and on generated accounts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plimsoll.core import Int64s, stream, sum_exact
from plimsoll.liquidation.deleveraging import (
    AllocationKey,
    Candidates,
    DeleveragingPolicy,
    HedgeRule,
    RankForm,
    deleverage,
    measure_concentration,
    profit_capacity,
)
from plimsoll.liquidation.deleveraging.allocation import (
    fill_in_order,
    integers,
    order_by_fraction,
    split_by_weight,
)
from plimsoll.liquidation.deleveraging.optimum import close_at_least_cost
from tools.adl_policies.data import Shocks

OPEN = HedgeRule.OPEN
DOCS = RankForm.HYPERLIQUID_DOCS
PROGRAM = RankForm.HYPERLIQUID_DECOMPILED

ACCOUNTS = 200
"""Winners generated for each shock."""
ZIPF = 1.15
"""Profit of the k-th largest winner, k to this power, inverted: over 19,337 users the largest 1,
10 and 100 hold 17, 45 and 68 %; published of the notional closed: 15.7, 45.8 and 77.6 %."""
LEVERAGE = (0.175, 1.0)
"""Median (published: 0.15 to 0.20) and deviation of the logarithm, a choice of ours."""
GAIN = (2.0, 3.0)
"""Beta law of profit over entry value, a choice of ours."""


@dataclass(frozen=True, slots=True)
class Row:
    """One policy over all decisions, in cents.

    ``overshoot`` is measured at the decision (horizon 0); ``lots_over`` is the most that one
    decision overshoots, in lots. ``hhi`` (concentration over those who pay) and
    ``largest_haircut`` (of anyone's profit) are means over decisions, weighted by what is taken.
    """

    policy: str
    taken: int
    overshoot: int
    lots_over: float
    uncovered: int
    payers: int
    hhi: float
    largest_haircut: float
    profit_closed: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Who could pay, and for what, cents; ``candidates`` in the order of ``capacity``."""

    candidates: Candidates
    capacity: Int64s
    budget: int


Policy = Callable[[Decision, int], Int64s]


def by_coins(shocks: Shocks, lot: int) -> list[Row]:
    """Each wave's deficits on the profits of its coins, each coin's winners taken as one.

    The files hold no accounts, so ranks and contracts have no meaning here. ``production`` is
    what the venue's queue closed, ``own coin`` each coin's deficit on its own winners.
    """
    waves = [np.flatnonzero(shocks.wave == wave) for wave in np.unique(shocks.wave)]
    decisions = [_coin_decision(shocks, rows) for rows in waves]
    own = np.minimum(shocks.deficit, shocks.capacity)
    needed = [int(shocks.deficit[rows].sum()) for rows in waves]
    found = [
        _row("production", decisions, [shocks.closed[rows] for rows in waves], needed, lot),
        _row("own coin", decisions, [own[rows] for rows in waves], needed, lot),
    ]
    for name, policy in (
        ("largest profit first", _largest_first),
        ("pro rata by profit (default)", _by(AllocationKey.PROFIT)),
    ):
        found.append(_row(name, decisions, [policy(d, lot) for d in decisions], needed, lot))
    return found


def by_accounts(shocks: Shocks, lot: int, seed: int) -> list[Row]:
    """Each shock's deficit on generated winners who share its profit, without other coins'."""
    generator = stream(seed, "adl-policies")
    rows = np.flatnonzero((shocks.deficit > 0) & (shocks.capacity > 0))
    decisions = [_account_decision(shocks, int(row), generator) for row in rows]
    needed = shocks.deficit[rows].tolist()
    found = []
    for name, policy in (
        ("queue, Hyperliquid's documentation", _by(AllocationKey.QUEUE, DOCS)),
        ("queue, Hyperliquid's program", _by(AllocationKey.QUEUE, PROGRAM)),
        ("queue, BitMEX", _by(AllocationKey.QUEUE, RankForm.BITMEX)),
        ("queue, Binance", _by(AllocationKey.QUEUE, RankForm.BINANCE)),
        ("queue, Bluefin", _by(AllocationKey.QUEUE, RankForm.BLUEFIN)),
        ("pro rata by contracts", _by(AllocationKey.CONTRACTS)),
        ("pro rata by profit (default)", _by(AllocationKey.PROFIT)),
        ("by profit times leverage", _by(AllocationKey.LEVERAGE)),
        ("optimum: least notional", _optimum),
    ):
        found.append(_row(name, decisions, [policy(d, lot) for d in decisions], needed, lot))
    return found


def _by(key: AllocationKey, rank: RankForm = PROGRAM) -> Policy:
    policy = DeleveragingPolicy(key, rank, OPEN, currency_unit=100)

    def take(decision: Decision, lot: int) -> Int64s:
        size = np.full(decision.capacity.size, lot, dtype=np.int64)
        return deleverage(
            decision.candidates, decision.capacity, size, decision.budget, policy
        ).closed

    return take


def _largest_first(decision: Decision, lot: int) -> Int64s:
    """The queue by profit alone: the coin with most of it pays until it is gone."""
    profit = integers(decision.capacity)
    order = order_by_fraction(profit, profit * 0 + 1, decision.candidates.account)
    size = np.full(decision.capacity.size, lot, dtype=np.int64)
    return fill_in_order(decision.capacity, size, order, decision.budget)


def _optimum(decision: Decision, lot: int) -> Int64s:
    """Least notional closed for the money: where profit is the largest part of the position."""
    candidates, capacity = decision.candidates, decision.capacity
    cost = np.abs(candidates.mark_value) / np.maximum(capacity, 1)
    size = np.full(capacity.size, lot, dtype=np.int64)
    return close_at_least_cost(cost, capacity, size, candidates.account, decision.budget).closed


def _coin_decision(shocks: Shocks, rows: Int64s) -> Decision:
    capacity = shocks.capacity[rows]
    budget = min(sum_exact(shocks.deficit[rows]), sum_exact(capacity))
    ones = np.ones(rows.size, dtype=np.int64)
    zeros = np.zeros(rows.size, dtype=np.int64)
    candidates = Candidates(rows.astype(np.int64), ones, capacity, zeros, zeros, ones, zeros, zeros)
    return Decision(candidates, capacity, budget)


def _account_decision(shocks: Shocks, row: int, generator: np.random.Generator) -> Decision:
    account = np.arange(ACCOUNTS, dtype=np.int64)
    rank = generator.permutation(ACCOUNTS) + 1
    weight = np.rint(1e9 * rank**-ZIPF).astype(np.int64)
    profit = split_by_weight(integers(weight), account, int(shocks.capacity[row]))
    gain = np.clip(generator.beta(*GAIN, ACCOUNTS), 0.01, 0.95)
    median, deviation = LEVERAGE
    leverage = median * np.exp(deviation * generator.standard_normal(ACCOUNTS))
    # In a crash the winners are short: what they owe fell in value by the gain.
    entry = -np.rint(profit / gain).astype(np.int64) - 1
    mark = entry + profit
    equity = np.rint(-mark / leverage).astype(np.int64) + 1
    candidates = Candidates(
        account=account,
        quantity=np.maximum(-mark, 1),
        mark_value=mark,
        entry_value=entry,
        bankrupt_value=mark - equity,
        equity=equity,
        maintenance_margin=-mark // 50,
        hedged=np.zeros(ACCOUNTS, dtype=np.int64),
    )
    capacity = profit_capacity(candidates)
    return Decision(candidates, capacity, min(int(shocks.deficit[row]), sum_exact(capacity)))


def _row(
    name: str, decisions: list[Decision], taken: list[Int64s], needed: list[int], lot: int
) -> Row:
    sums = [sum_exact(part) for part in taken]
    pairs = [(part, d.capacity) for part, d in zip(taken, decisions, strict=True) if part.any()]
    found = [measure_concentration(*pair) for pair in pairs]
    weight = np.array([float(part.sum()) for part, _ in pairs])
    room = sum(sum_exact(decision.capacity) for decision in decisions)
    over = [max(took - need, 0) for took, need in zip(sums, needed, strict=True)]
    return Row(
        policy=name,
        taken=sum(sums),
        overshoot=sum(over),
        lots_over=max(over) / lot,
        uncovered=sum(max(need - took, 0) for took, need in zip(sums, needed, strict=True)),
        payers=sum(int(np.count_nonzero(part)) for part in taken),
        hhi=float(np.average([one.hhi for one in found], weights=weight)),
        largest_haircut=float(np.average([one.largest_haircut for one in found], weights=weight)),
        profit_closed=sum(sums) / room,
    )
