"""The queue of auto-deleveraging: order, places, fills; what is taken is what was wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError
from plimsoll.liquidation import close_by_queue, queue_score, rank_queue

ROWS = st.lists(st.tuples(st.integers(1, 1000), st.integers(-5, 5)), min_size=1, max_size=30)


def test_the_venues_example() -> None:
    """BitMEX, "Auto Deleveraging": six longs against a short of 20."""
    quantity = np.array([10.0, 10, 20, 30, 20, 10])
    queue = rank_queue(quantity, np.array([3.0, 6, 1, 4, 5, 2]))
    assert queue.percentile.tolist() == [80, 20, 100, 60, 40, 80]
    assert close_by_queue(quantity, queue, 20).tolist() == [0, 10, 0, 0, 10, 0]


@given(ROWS, st.integers(0, 40_000))
def test_from_the_front_until_it_is_gone(rows, wanted: int) -> None:
    quantity = np.array([float(q) for q, _ in rows])
    score = np.array([float(s) for _, s in rows])
    queue = rank_queue(quantity, score)
    closed = close_by_queue(quantity, queue, wanted)
    assert closed.sum() == min(wanted, quantity.sum())
    touched = np.flatnonzero(closed)
    for row in touched:
        ahead = score > score[row]
        assert np.array_equal(closed[ahead], quantity[ahead])
    assert sorted(queue.order.tolist()) == list(range(len(rows)))
    assert queue.percentile[queue.order[-1]] == 100


@given(ROWS)
def test_equal_scores_keep_their_order(rows) -> None:
    quantity = np.array([float(q) for q, _ in rows])
    queue = rank_queue(quantity, np.zeros(len(rows)))
    assert queue.order.tolist() == list(range(len(rows)))


def test_profit_times_leverage_and_loss_over_it() -> None:
    """Bought at 100, marked at 110, bankrupt at 90: 10 % at 5.5; marked at 95: -5 % over 19."""
    score = queue_score(np.array([110.0, 95]), np.array([100.0, 100]), np.array([90.0, 90]))
    assert score.tolist() == pytest.approx([0.55, -0.05 / 19])


def test_unknown_scores_and_empty_positions_are_refused() -> None:
    with pytest.raises(InputError, match="score is unknown"):
        rank_queue(np.array([1.0]), np.array([np.nan]))
    with pytest.raises(InputError, match="not above 0"):
        rank_queue(np.array([0.0]), np.array([1.0]))
