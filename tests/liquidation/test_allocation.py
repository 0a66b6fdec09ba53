"""Allocation against fractions: caps, sums, ties, lots, and what order and size may change."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.core import InputError
from plimsoll.liquidation.deleveraging.allocation import (
    fill_in_order,
    integers,
    order_by_fraction,
    scale_whole,
    share_by_weight,
    split_by_weight,
)

ROW = st.tuples(
    st.one_of(st.integers(0, 12), st.integers(0, 2**61)),  # weight
    st.one_of(st.integers(0, 40), st.integers(0, 2**61)),  # capacity
    st.integers(1, 5),  # lot
)
ROWS = st.lists(ROW, max_size=9)


def columns(rows) -> tuple:
    weight, capacity, lot = (np.array([row[k] for row in rows], dtype=np.int64) for k in range(3))
    return integers(weight), capacity, lot, np.arange(len(rows), dtype=np.int64) * 7 + 3


def exact_shares(rows, amount: int) -> list[Fraction]:
    """Water-filling by rounds of saturation: slow, and unlike the implementation it never sorts."""
    share = [Fraction(0)] * len(rows)
    for weights in ([w for w, _, _ in rows], [c * (w == 0) for w, c, _ in rows]):
        left = Fraction(amount) - sum(share)
        active = {k for k, w in enumerate(weights) if w > 0 and rows[k][1] > 0}
        while active and left > 0:
            level = left / sum(weights[k] for k in active)
            full = {k for k in active if rows[k][1] <= level * weights[k]}
            for k in full or active:
                share[k] = Fraction(rows[k][1]) if full else level * weights[k]
            left -= sum(share[k] for k in full or active)
            active = active - full if full else set()
    return share


@settings(deadline=None)
@given(ROWS, st.data())
def test_shares_are_within_a_lot_of_exact_ones(rows, data) -> None:
    weight, capacity, lot, account = columns(rows)
    total = sum(capacity.tolist())
    amount = data.draw(st.integers(0, total + 5))
    got = share_by_weight(weight, capacity, lot, account, amount).tolist()
    assert all(0 <= g <= row[1] for g, row in zip(got, rows, strict=True))
    assert all(g % row[2] == 0 or g == row[1] for g, row in zip(got, rows, strict=True))
    for g, exact, row in zip(got, exact_shares(rows, amount), rows, strict=True):
        # Where zero weights follow, what the others round up is not theirs to bear.
        if all(w > 0 for w, _, _ in rows):
            assert abs(g - exact) < row[2]
    if total < amount:
        assert got == capacity.tolist()
    else:
        assert 0 <= sum(got) - amount < max((row[2] for row in rows), default=1)


@settings(deadline=None)
@given(ROWS, st.data())
def test_units_add_up_exactly_and_only_capacity_stops_them(rows, data) -> None:
    weight, capacity, _, account = columns(rows)
    total = sum(capacity.tolist())
    amount = data.draw(st.integers(0, total + 5))
    ones = np.ones_like(capacity)
    got = share_by_weight(weight, capacity, ones, account, amount)
    assert sum(got.tolist()) == min(amount, total)
    exact = exact_shares(rows, amount)
    assert all(abs(g - e) < 1 for g, e in zip(got.tolist(), exact, strict=True))


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False), st.data())
def test_the_order_of_the_rows_changes_nobodys_share(rows, random, data) -> None:
    weight, capacity, lot, account = columns(rows)
    amount = data.draw(st.integers(0, sum(capacity.tolist()) + 1))
    moved = list(range(len(rows)))
    random.shuffle(moved)
    at = np.array(moved, dtype=np.int64)
    straight = share_by_weight(weight, capacity, lot, account, amount)
    shuffled = share_by_weight(weight[at], capacity[at], lot[at], account[at], amount)
    assert shuffled.tolist() == straight[at].tolist()


@settings(deadline=None)
@given(ROWS, st.data())
def test_a_larger_amount_takes_no_more_than_a_lot_less_of_anyone(rows, data) -> None:
    weight, capacity, lot, account = columns(rows)
    amount = data.draw(st.integers(0, sum(capacity.tolist()) + 1))
    less = share_by_weight(weight, capacity, lot, account, amount)
    more = share_by_weight(weight, capacity, lot, account, amount + 1)
    assert np.all(less - more <= lot)


def test_largest_remainders_can_cost_a_row_its_lot() -> None:
    """The Alabama paradox: 10 units by 6, 6, 2 are 4, 4, 2; 11 of them 5, 5, 1."""
    weight, capacity = integers(np.array([6, 6, 2])), np.full(3, 99)
    ones, ids = np.ones(3, dtype=np.int64), np.arange(3)
    assert share_by_weight(weight, capacity, ones, ids, 10).tolist() == [4, 4, 2]
    assert share_by_weight(weight, capacity, ones, ids, 11).tolist() == [5, 5, 1]


def test_equal_remainders_go_to_the_smallest_id() -> None:
    weight, capacity = integers(np.array([1, 1, 1])), np.full(3, 9)
    ones = np.ones(3, dtype=np.int64)
    got = share_by_weight(weight, capacity, ones, np.array([30, 10, 20]), 5)
    assert got.tolist() == [1, 2, 2]


@settings(deadline=None)
@given(ROWS, st.booleans(), st.data())
def test_compiled_shares_are_those_of_python_integers(rows, is_even: bool, data) -> None:
    """Columns of int64, whose sums here do not always fit, against unbounded integers."""
    weight, capacity, lot, account = columns(rows)
    lot = np.ones_like(lot) if is_even else lot
    account = np.array(data.draw(st.permutations(account.tolist())), dtype=np.int64)
    amount = data.draw(st.integers(0, sum(capacity.tolist()) + 2))
    got = share_by_weight(weight.astype(np.int64), capacity, lot, account, amount)
    assert got.tolist() == share_by_weight(weight, capacity, lot, account, amount).tolist()


def one_at_a_time(count: int, last: int) -> tuple[list[int], int]:
    """Capacities of rows of equal weight, and an amount, of which each pass fills only one more.

    Each level lies just above the capacity that it fills, so it rises by little; in falling order
    a pass comes to that row last.
    """
    level, gap, capacity = Fraction(2**57), Fraction(2**55), []
    amount = level * count
    for left in range(count, last, -1):
        capacity.append(int(level - gap))
        higher = (level * left - capacity[-1]) / (left - 1)
        level, gap = higher, (higher - level) / 2
    return [*[2**61] * last, *reversed(capacity)], int(amount)


def test_rows_that_fill_up_one_by_one_are_all_found() -> None:
    capacity, amount = one_at_a_time(16, 4)
    ones, ids = np.ones(16, dtype=np.int64), np.arange(16)
    got = share_by_weight(ones, np.array(capacity), ones, ids, amount)
    assert (
        got.tolist()
        == share_by_weight(integers(ones), np.array(capacity), ones, ids, amount).tolist()
    )
    assert got[4:].tolist() == capacity[4:]
    assert sum(got.tolist()) == amount


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2**62)] * 2, st.integers(1, 2**62)), max_size=6),
    st.one_of(st.integers(0, 2**62), st.integers(0, 2**90)),
    st.one_of(st.integers(1, 2**62), st.integers(1, 2**90)),
)
def test_products_round_down_and_stop_at_the_bound(rows, top: int, bottom: int) -> None:
    amount, bound, size = (np.array([row[k] for row in rows], dtype=np.int64) for k in range(3))
    whole = [min(a * top // bottom, b) for a, b, _ in rows]
    assert scale_whole(amount, top, bottom, bound).tolist() == whole
    each = [min(a * b // c, a) for a, b, c in rows]
    assert scale_whole(amount, bound, size, amount).tolist() == each


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), max_size=8),
    st.integers(0, 2**60),
)
def test_fractions_are_ordered_exactly(pairs, huge: int) -> None:
    """Scaled by numbers that floats cannot tell apart: (n + 1) / n against (n + 2) / (n + 1)."""
    pairs = [(n or (d == 0), d) for n, d in pairs]
    pairs += [(huge + k + 1, huge + k) for k in range(3)]
    ids = np.array([(k * 5) % (len(pairs) + 7) * 10 + k for k in range(len(pairs))])
    top, bottom = (np.array([p[k] for p in pairs], dtype=object) for k in range(2))

    def key(row: int) -> tuple[float | Fraction, int]:
        n, d = pairs[row]
        return (-Fraction(n, d) if d else -np.inf * (1 if n > 0 else -1)), ids[row]

    got = order_by_fraction(top, bottom, ids).tolist()
    assert got == sorted(range(len(pairs)), key=key)


@settings(deadline=None)
@given(ROWS, st.data())
def test_in_order_all_ahead_are_full_and_the_last_lot_ends_it(rows, data) -> None:
    _, capacity, lot, _ = columns(rows)
    total = sum(capacity.tolist())
    amount = data.draw(st.integers(0, total + 3))
    order = np.array(data.draw(st.permutations(range(len(rows)))), dtype=np.int64)
    got = fill_in_order(capacity, lot, order, amount)
    assert np.all((got >= 0) & (got <= capacity))
    touched = [row for row in order.tolist() if got[row]]
    assert all(got[row] == capacity[row] for row in touched[:-1])
    if total < amount:
        assert got.tolist() == capacity.tolist()
    elif touched:
        assert 0 <= sum(got.tolist()) - amount < lot[touched[-1]]
    more = fill_in_order(capacity, lot, order, amount + 1)
    assert np.all(more >= got)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**61), min_size=1, max_size=9), st.integers(0, 2**61))
def test_a_split_is_exact_and_within_a_unit(weights, amount: int) -> None:
    weight = np.array(weights, dtype=object)
    account = np.arange(len(weights), dtype=np.int64)
    if amount and not any(weights):
        with pytest.raises(InputError, match="nobody is left"):
            split_by_weight(weight, account, amount)
        return
    got = split_by_weight(weight, account, amount).tolist()
    assert sum(got) == amount
    for part, own in zip(got, weights, strict=True):
        assert abs(part - Fraction(amount * own, sum(weights) or 1)) < 1


@pytest.mark.parametrize(
    ("capacity", "lot", "account", "told"),
    [
        ([1, 2], [1], [1, 2], "lot: is no int64 column"),
        ([1.0, 2.0], [1, 1], [1, 2], "capacity: is no int64 column"),
        ([-1, 2], [1, 1], [1, 2], "capacity: is below 0"),
        ([2**63 - 1, 2], [1, 1], [1, 2], "capacity: is below 0 or too large"),
        ([1, 2], [0, 1], [1, 2], "lot: is below 1"),
        ([1, 2], [1, 1], [2, 2], "account: an id occurs twice"),
    ],
)
def test_columns_that_do_not_fit_are_refused(capacity, lot, account, told: str) -> None:
    weight = integers(np.array([1, 1]))
    with pytest.raises(InputError, match=told):
        share_by_weight(weight, np.array(capacity), np.array(lot), np.array(account), 1)


def test_a_negative_weight_is_refused() -> None:
    ones = np.ones(2, dtype=np.int64)
    with pytest.raises(InputError, match="weight is below 0"):
        share_by_weight(integers(np.array([-1, 1])), ones, ones, np.arange(2), 1)
