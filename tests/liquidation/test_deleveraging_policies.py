"""Policies of auto-deleveraging: published examples, the venues' ranks, enumeration, properties."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation import load_waterfall, waterfall_names
from plimsoll.liquidation.deleveraging import (
    AllocationKey,
    Candidates,
    DeleveragingPolicy,
    HedgeRule,
    RankForm,
    charge_closes,
    contract_capacity,
    deleverage,
    hedged_part,
    measure_concentration,
    measure_coverage,
    measure_overshoot,
    order_candidates,
    profit_capacity,
    rank_candidates,
)
from plimsoll.liquidation.deleveraging.optimum import close_at_least_cost
from plimsoll.liquidation.waterfall.stages import AutoDeleveraging

UNIT = 10**8
OPEN = HedgeRule.OPEN


def candidates_of(rows: list[dict[str, int]]) -> Candidates:
    """Rows with what is not named left plain: 1 unit, bought at 100, marked at 110, equity 20."""
    plain = {"quantity": 1, "mark_value": 110, "entry_value": 100, "bankrupt_value": 90,
             "equity": 20, "maintenance_margin": 5, "hedged": 0}  # fmt: skip
    full = [{"account": k, **plain, **row} for k, row in enumerate(rows)]
    names = Candidates.__slots__
    return Candidates(**{n: np.array([row[n] for row in full], dtype=np.int64) for n in names})


def by_profit(profits: list[int], **columns: list[int]) -> Candidates:
    rows = [{"mark_value": 1000 + p, "entry_value": 1000} for p in profits]
    for name, values in columns.items():
        rows = [{**row, name: value} for row, value in zip(rows, values, strict=True)]
    return candidates_of(rows)


def ones(candidates: Candidates) -> np.ndarray:
    return np.ones(candidates.account.size, dtype=np.int64)


@pytest.mark.parametrize(
    ("key", "taken", "hhi"),
    [
        # Profits 100, 50, 30, 20 at leverage 5, 10, 2, 20; 500, 500, 60, 400 tie in front.
        (AllocationKey.QUEUE, [60, 0, 0, 0], 1.0),
        (AllocationKey.PROFIT, [30, 15, 9, 6], 0.345),
        (AllocationKey.LEVERAGE, [20.54794521, 20.54794521, 2.46575342, 16.43835616], 0.311),
    ],
)
def test_the_policies_on_four_winners(key: AllocationKey, taken, hhi: float) -> None:
    pnl, leverage = [100, 50, 30, 20], [5, 10, 2, 20]
    rows = [
        {"mark_value": (1000 + p) * UNIT, "entry_value": 1000 * UNIT,
         "equity": (1000 + p) * UNIT // lev}
        for p, lev in zip(pnl, leverage, strict=True)
    ]  # fmt: skip
    candidates = candidates_of(rows)
    # Entry values are equal, so leverage times profit rate orders as leverage times profit.
    policy = DeleveragingPolicy(key, RankForm.HYPERLIQUID_DECOMPILED, OPEN)
    capacity = profit_capacity(candidates)
    got = deleverage(candidates, capacity, ones(candidates), 60 * UNIT, policy)
    assert (got.closed / UNIT).tolist() == pytest.approx(taken, abs=1e-8)
    assert (got.uncovered, got.overshoot) == (0, measure_overshoot(1, 1, 0))
    found = measure_concentration(got.closed, capacity)
    assert found.hhi == pytest.approx(hhi, abs=5e-4)
    assert found.capacity_share == pytest.approx(0.3)


def rank_by_hand(form: RankForm, row: dict[str, int], one: int) -> Fraction:
    mark, entry, equity = row["mark_value"], row["entry_value"], row["equity"]
    profit, margin = mark - entry, row["maintenance_margin"]
    rate = Fraction(profit, abs(entry))
    if form == RankForm.BITMEX:
        leverage = Fraction(abs(mark), mark - row["bankrupt_value"])
        return rate * leverage if profit > 0 else rate / leverage
    if form == RankForm.BINANCE:
        return Fraction(max(profit, 0), max(equity - profit, one)) * Fraction(margin, equity)
    leverage = Fraction(abs(mark), equity)
    if form == RankForm.HYPERLIQUID_DOCS:
        moved = Fraction(mark, entry) if mark > 0 else Fraction(entry, mark)
        return moved * leverage
    if form == RankForm.BLUEFIN:
        return max(rate, 0) / max(Fraction(margin, abs(mark)), Fraction(equity, abs(mark)))
    return max(rate, 0) * leverage


VALUES = st.fixed_dictionaries(
    {
        "entry_value": st.integers(1, 300),
        "mark_value": st.integers(1, 300),
        "equity": st.integers(1, 300),
        "maintenance_margin": st.integers(0, 40),
    }
)


@pytest.mark.parametrize("form", RankForm)
@settings(deadline=None)
@given(rows=st.lists(VALUES, min_size=1, max_size=6), short=st.booleans(), one=st.integers(1, 50))
def test_every_rank_is_its_formula(form: RankForm, rows, short: bool, one: int) -> None:
    sign = -1 if short else 1
    rows = [
        {**row, "mark_value": sign * row["mark_value"], "entry_value": sign * row["entry_value"],
         "bankrupt_value": sign * row["mark_value"] - row["equity"]}
        for row in rows
    ]  # fmt: skip
    candidates = candidates_of(rows)
    ranks = rank_candidates(candidates, form, one)
    by_hand = [rank_by_hand(form, row, one) for row in rows]
    pairs = zip(ranks.numerator.tolist(), ranks.denominator.tolist(), strict=True)
    assert [Fraction(n, d) for n, d in pairs] == by_hand
    assert ranks.as_floats() == pytest.approx([float(rank) for rank in by_hand])
    order = order_candidates(candidates, ranks).tolist()
    assert order == sorted(range(len(rows)), key=lambda row: (-by_hand[row], row))


def test_hyperliquids_two_forms_disagree() -> None:
    """1 % in profit at 20x against 50 % at 10x: 20.2 over 15, but 0.2 under 5."""
    candidates = candidates_of(
        [
            {"mark_value": 1010, "entry_value": 1000, "equity": 1010 // 20},
            {"mark_value": 1500, "entry_value": 1000, "equity": 150},
        ]
    )
    candidates = replace(candidates, equity=np.array([50, 150]))
    docs = rank_candidates(candidates, RankForm.HYPERLIQUID_DOCS, 1)
    program = rank_candidates(candidates, RankForm.HYPERLIQUID_DECOMPILED, 1)
    assert docs.as_floats() == pytest.approx([1.01 * 20.2, 15])
    assert program.as_floats() == pytest.approx([0.01 * 20.2, 5])
    assert order_candidates(candidates, docs).tolist() == [0, 1]
    assert order_candidates(candidates, program).tolist() == [1, 0]


def test_without_equity_leverage_has_no_bound_and_a_loss_stays_behind() -> None:
    candidates = candidates_of(
        [{"equity": 0}, {"equity": 1}, {"equity": -5, "mark_value": 90}, {"entry_value": 110}]
    )
    ranks = rank_candidates(candidates, RankForm.HYPERLIQUID_DECOMPILED, 1)
    assert ranks.as_floats() == pytest.approx([np.inf, 11, 0, 0])
    assert order_candidates(candidates, ranks).tolist() == [0, 1, 2, 3]
    binance = rank_candidates(candidates, RankForm.BINANCE, 1)
    assert binance.as_floats() == pytest.approx([0, 10 * 5, 0, 0])
    assert order_candidates(candidates, binance).tolist() == [1, 0, 2, 3]


def test_contracts_and_wealth_are_two_spaces() -> None:
    """D. Robinson: 1,500 short on 2 ETH; the first in line holds 1 ETH and gained 1,500."""
    candidates = by_profit([1500, 900], quantity=[1, 1], equity=[1500, 9000])
    policy = DeleveragingPolicy(AllocationKey.QUEUE, hedges=OPEN)
    contracts = contract_capacity(candidates, budget=2, deficit=1500)
    closed = deleverage(candidates, contracts, ones(candidates), 2, policy)
    assert closed.closed.tolist() == [1, 1]
    assert charge_closes(candidates, closed.closed, 1500).tolist() == [750, 750]
    wealth = profit_capacity(candidates)
    taken = deleverage(candidates, wealth, ones(candidates), 1500, policy)
    assert taken.closed.tolist() == [1500, 0]


def test_nobody_is_closed_into_a_loss() -> None:
    """750 a contract: 1,500 of profit pays for 2 of 5, 749 for none, a loss for none."""
    candidates = by_profit([1500, 749, -10, 10**6], quantity=[5, 5, 5, 5])
    assert contract_capacity(candidates, budget=4, deficit=3000).tolist() == [2, 0, 0, 5]
    assert contract_capacity(candidates, budget=4, deficit=0).tolist() == [5, 5, 5, 5]
    policy = DeleveragingPolicy(hedges=OPEN)
    capacity = contract_capacity(candidates, budget=10, deficit=7500)
    closes = deleverage(candidates, capacity, ones(candidates), 10, policy)
    assert (closes.closed.tolist(), closes.uncovered) == ([2, 0, 0, 5], 3)


def test_equity_can_stand_against_a_deficit_that_profits_do_not() -> None:
    candidates = by_profit([30, 20, -40], equity=[500, 10, -7])
    found = measure_coverage(candidates, 100)
    assert (found.profit, found.equity) == (50, 510)
    assert (found.is_solvent, found.is_coverable) == (True, False)


@pytest.mark.parametrize(
    ("rule", "share", "budget", "closed", "uncovered"),
    [
        (HedgeRule.OPEN, 0, 10, [10, 0], 0),
        (HedgeRule.LAST, 0, 10, [2, 8], 0),
        (HedgeRule.LAST, 0, 12, [2, 10], 0),
        (HedgeRule.LAST, 0, 15, [5, 10], 0),
        (HedgeRule.LIMITED, 500_000, 20, [6, 10], 4),
        (HedgeRule.LIMITED, 0, 20, [2, 10], 8),
    ],
)
def test_the_leg_of_a_hedge_comes_last(rule, share, budget, closed, uncovered: int) -> None:
    """The first in the queue holds 10, of which 8 hedge another position of his."""
    candidates = by_profit([900, 100], quantity=[10, 10], hedged=[8, 0])
    policy = DeleveragingPolicy(AllocationKey.QUEUE, hedges=rule, hedge_share_millionths=share)
    got = deleverage(candidates, candidates.quantity, ones(candidates), budget, policy)
    assert (got.closed.tolist(), got.uncovered) == (closed, uncovered)


def test_what_offsets_is_shared_by_size_and_rounds_up() -> None:
    group = np.array([1, 1, 1, 2, 2, 3])
    delta = np.array([10, 5, -6, -4, -3, 0])
    assert hedged_part(group, delta).tolist() == [4, 2, 6, 0, 0, 0]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.integers(-9, 9), st.integers(-(2**62), 2**62)))
    )
)
def test_what_offsets_is_exact_however_large(rows) -> None:
    group, delta = (np.array([row[k] for row in rows], dtype=np.int64) for k in range(2))
    sides = {(g, side): 0 for g in range(4) for side in (True, False)}
    for g, d in rows:
        sides[g, d > 0] += abs(d)
    expected = [
        -(-abs(d) * min(sides[g, True], sides[g, False]) // sides[g, d > 0]) if d else 0
        for g, d in rows
    ]
    assert hedged_part(group, delta).tolist() == expected
    assert hedged_part(group, delta, 4).tolist() == expected


CANDIDATE = st.tuples(
    st.integers(-20, 40), st.integers(1, 12), st.integers(-5, 60), st.integers(0, 12)
)
BOOKS = st.lists(CANDIDATE, min_size=1, max_size=7)
POLICIES = st.builds(
    DeleveragingPolicy,
    st.sampled_from(AllocationKey),
    st.sampled_from(RankForm),
    st.sampled_from(HedgeRule),
    st.integers(0, 10**6),
    st.integers(1, 10),
)


def book_of(rows) -> Candidates:
    profit, quantity, equity, hedged = (list(column) for column in zip(*rows, strict=True))
    return replace(
        by_profit(profit, quantity=quantity, equity=equity,
                  hedged=[min(h, q) for h, q in zip(hedged, quantity, strict=True)]),
        account=np.arange(len(rows)) * 3 + 1,
    )  # fmt: skip


@settings(deadline=None)
@given(BOOKS, POLICIES, st.integers(1, 4), st.integers(0, 80))
def test_feasible_exactly_where_capacity_suffices(rows, policy, size: int, budget: int) -> None:
    candidates = book_of(rows)
    lot = np.full(len(rows), size)
    got = deleverage(candidates, candidates.quantity, lot, budget, policy)
    assert np.all((got.closed >= 0) & (got.closed <= candidates.quantity))
    taken = int(got.closed.sum())
    assert got.overshoot.amount == taken - (budget - got.uncovered)
    assert 0 <= got.overshoot.amount < size
    if policy.hedges != HedgeRule.LIMITED:
        assert (got.uncovered == 0) == (int(candidates.quantity.sum()) >= budget)
    if got.uncovered:
        assert got.overshoot.amount == 0
    assert np.all(got.closed <= -(-budget // size) * size)


@settings(deadline=None)
@given(BOOKS, POLICIES, st.randoms(use_true_random=False), st.integers(0, 80))
def test_who_pays_depends_on_ids_not_on_the_order(rows, policy, random, budget: int) -> None:
    candidates = book_of(rows)
    moved = list(range(len(rows)))
    random.shuffle(moved)
    at = np.array(moved)
    names = Candidates.__slots__
    shuffled = Candidates(**{name: getattr(candidates, name)[at] for name in names})
    straight = deleverage(candidates, candidates.quantity, ones(candidates), budget, policy)
    other = deleverage(shuffled, shuffled.quantity, ones(shuffled), budget, policy)
    assert other.closed.tolist() == straight.closed[at].tolist()


@settings(deadline=None)
@given(BOOKS, POLICIES, st.integers(0, 80))
def test_a_larger_budget_takes_more_but_for_a_lot(rows, policy, budget: int) -> None:
    candidates = book_of(rows)
    less = deleverage(candidates, candidates.quantity, ones(candidates), budget, policy).closed
    more = deleverage(candidates, candidates.quantity, ones(candidates), budget + 1, policy).closed
    assert more.sum() >= less.sum()
    slack = 0 if policy.key == AllocationKey.QUEUE else 1
    assert np.all(less - more <= slack)


@settings(deadline=None)
@given(BOOKS, st.data())
def test_by_profit_all_lose_the_same_part_but_for_a_lot(rows, data) -> None:
    candidates = book_of(rows)
    capacity = profit_capacity(candidates)
    total = int(capacity.sum())
    budget = data.draw(st.integers(0, total))
    policy = DeleveragingPolicy(hedges=OPEN)
    taken = deleverage(candidates, capacity, ones(candidates), budget, policy).closed
    assert int(taken.sum()) == budget
    for own, profit in zip(taken.tolist(), capacity.tolist(), strict=True):
        assert abs(own - Fraction(budget * profit, max(total, 1))) < 1


@settings(deadline=None)
@given(BOOKS, st.data())
def test_by_profit_is_the_least_largest_haircut(rows, data) -> None:
    """min t with h <= t * c and sum(h) = budget, by linear programme: t = budget / sum(c)."""
    candidates = book_of(rows)
    capacity = profit_capacity(candidates)
    if not capacity.any():
        return
    budget = data.draw(st.integers(0, int(capacity.sum())))
    n = capacity.size
    rows_of_haircuts = np.column_stack([np.eye(n), -capacity])
    total = np.append(np.ones(n), 0.0)[np.newaxis]
    found = linprog(
        np.append(np.zeros(n), 1.0), A_ub=rows_of_haircuts, b_ub=np.zeros(n), A_eq=total,
        b_eq=[budget], bounds=[(0, None)] * (n + 1), method="highs",
    )  # fmt: skip
    taken = deleverage(
        candidates, capacity, ones(candidates), budget, DeleveragingPolicy(hedges=OPEN)
    ).closed
    positive = capacity > 0
    largest = np.max(taken[positive] / capacity[positive])
    smallest = capacity[positive].min()
    assert found.fun - 1e-9 <= largest < found.fun + 1 / smallest + 1e-9


SMALL = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=4
)


def cheapest_by_trying_all(rows, budget: int) -> tuple[int, int]:
    """Least overshoot, then least cost, over every plan of whole lots."""
    choices = [range(0, capacity // lot * lot + 1, lot) for _, capacity, lot in rows]
    most = sum(max(choice) for choice in choices)
    needed = min(budget, most)
    plans = [plan for plan in itertools.product(*choices) if sum(plan) >= needed]
    return min(
        (sum(plan), sum(h * row[0] for h, row in zip(plan, rows, strict=True))) for plan in plans
    )


@settings(deadline=None)
@given(SMALL, st.integers(0, 30), st.booleans())
def test_the_optimum_is_that_of_trying_all(rows, budget: int, equal: bool) -> None:
    rows = [(c, q, rows[0][2] if equal else lot) for c, q, lot in rows]
    cost, capacity, lot = (np.array([row[k] for row in rows]) for k in range(3))
    account = np.arange(len(rows)) * 2
    got = close_at_least_cost(cost.astype(float), capacity, lot, account, budget)
    assert np.all((got.closed >= 0) & (got.closed <= capacity) & (got.closed % lot == 0))
    best = cheapest_by_trying_all(rows, budget)
    assert (int(got.closed.sum()), int((cost * got.closed).sum())) == best
    assert got.uncovered == max(budget - int((capacity // lot * lot).sum()), 0)
    assert got.overshoot.amount == best[0] - (budget - got.uncovered)
    back = close_at_least_cost(
        cost[::-1].astype(float), capacity[::-1], lot[::-1], account[::-1], budget
    )
    assert back.closed[::-1].tolist() == got.closed.tolist()


@pytest.mark.parametrize(
    ("cost", "capacity", "told"),
    [
        ([1.0, np.nan], [1, 1], "cost: is missing or unknown"),
        ([1.0], [1, 1], "cost: is missing or unknown"),
        ([1.0, 1.0], [2**41, 1], "too large to optimise"),
    ],
)
def test_what_the_solver_cannot_answer_is_refused(cost, capacity, told: str) -> None:
    account = np.arange(2)
    with pytest.raises(InputError, match=told):
        close_at_least_cost(np.array(cost), np.array(capacity), np.ones(2, int), account, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"account": np.array([1, 1])}, "account: an id occurs twice"),
        ({"quantity": np.array([0, 1])}, "quantity: is not above 0"),
        ({"hedged": np.array([2, 0])}, "hedged: is not within"),
        ({"equity": np.array([1.5, 2])}, "equity: is no int64 column"),
        ({"mark_value": np.array([2**62, 1])}, "mark_value: is too large"),
    ],
)
def test_candidates_that_are_not_what_they_say_are_refused(change, told: str) -> None:
    candidates = replace(by_profit([1, 2]), **change)
    with pytest.raises(InputError, match=told):
        deleverage(candidates, np.ones(2, int), np.ones(2, int), 1, DeleveragingPolicy())


@pytest.mark.parametrize(("budget", "share"), [(-1, 0), (1, -1), (1, 10**6 + 1)])
def test_a_budget_or_share_out_of_range_is_refused(budget: int, share: int) -> None:
    candidates = by_profit([1, 2])
    policy = DeleveragingPolicy(hedge_share_millionths=share)
    with pytest.raises(InputError, match="out of range"):
        deleverage(candidates, np.ones(2, int), np.ones(2, int), budget, policy)


def test_an_overshoot_carries_its_horizon() -> None:
    later = measure_overshoot(taken=50, needed=60, horizon_ns=10**9)
    assert (later.amount, later.horizon_ns) == (-10, 10**9)


def test_nothing_taken_has_no_concentration() -> None:
    found = measure_concentration(np.array([0, 0]), np.array([5, 0]))
    assert np.isnan(found.hhi)
    assert found.capacity_share == 0


@pytest.mark.parametrize("name", waterfall_names())
def test_a_waterfall_has_a_rank_exactly_where_it_has_a_queue(name: str) -> None:
    stages = load_waterfall(name, parse_time("2026-11-20", "test")).stages
    for stage in stages:
        if isinstance(stage, AutoDeleveraging):
            assert (stage.rank is None) == (stage.key != AllocationKey.QUEUE)
