"""Sorting by digits against NumPy's stable order, for keys of every width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.ledger.sort import sort_keys


def assert_sorted(keys: np.ndarray) -> None:
    expected = np.argsort(keys, kind="stable")
    mine, order = keys.copy(), np.empty(keys.size, dtype=np.int64)
    sort_keys(mine, order)
    assert order.tolist() == expected.tolist()
    assert mine.tolist() == keys[expected].tolist()


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**63 - 1)), max_size=60))
def test_any_keys(keys: list[int]) -> None:
    assert_sorted(np.array(keys, dtype=np.int64))


@pytest.mark.parametrize("bits", range(1, 63))
def test_many_keys_of_each_width(bits: int) -> None:
    keys = np.random.default_rng(bits).integers(0, 2**bits, 3000)
    keys[1500:] = keys[:1500]
    assert_sorted(keys)
