"""Worst losses over scenarios against exact sums, at every kind of width."""

from fractions import Fraction

import numba as nb
import numpy as np
import pytest

from plimsoll.core import Floats, InputError, Int32s, Int64s, stream
from plimsoll.margin.sweep import worst_losses

INSTRUMENTS = 7


def draw(
    scenarios: int, pools: int = 60, seed: int = 0
) -> tuple[Int64s, Int64s, Int32s, Floats, Floats]:
    """Pools of 0 to 9 rows, with rows between them that nobody owns."""
    random = stream(seed, "worst losses", str(scenarios))
    counts = random.integers(0, 10, pools)
    begin = np.cumsum(counts + 2) - counts
    end = begin + counts
    rows = int(end[-1]) + 3
    instrument = random.integers(0, INSTRUMENTS, rows).astype(np.int32)
    contracts = np.where(random.random(rows) < 0.2, 0.0, random.normal(size=rows))
    return begin, end, instrument, contracts, random.normal(size=(INSTRUMENTS, scenarios))


@pytest.mark.parametrize("scenarios", [1, 5, 8, 16, 27, 33, 48, 64, 128, 129, 200])
def test_against_exact_sums(scenarios: int) -> None:
    begin, end, instrument, contracts, profits = draw(scenarios)
    out = np.empty(begin.size)
    worst_losses(begin, end, instrument, contracts, profits, out)
    for pool in range(begin.size):
        exact = [
            sum(
                (
                    Fraction(contracts[row]) * Fraction(profits[instrument[row], k])
                    for row in range(begin[pool], end[pool])
                ),
                Fraction(0),
            )
            for k in range(scenarios)
        ]
        assert out[pool] == pytest.approx(max(0.0, float(-min(exact))), rel=1e-14, abs=1e-14)
    assert out.max() > 0.0


def test_gains_alone_lose_nothing() -> None:
    out = np.full(2, np.nan)
    begin, end = np.array([0, 2]), np.array([2, 2])
    worst_losses(begin, end, np.zeros(2, np.int32), np.ones(2), np.ones((1, 33)), out)
    assert out.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("scenarios", [48, 200])
@pytest.mark.parametrize("place", [0, 47, -1])
def test_nan_stays_in_its_pools(scenarios: int, place: int) -> None:
    begin, end, instrument, contracts, profits = draw(scenarios, seed=1)
    before, after = np.empty(begin.size), np.empty(begin.size)
    worst_losses(begin, end, instrument, contracts, profits, before)
    profits[3, place] = np.nan
    worst_losses(begin, end, instrument, contracts, profits, after)
    holds = np.array([3 in instrument[a:b] for a, b in zip(begin, end, strict=True)])
    assert np.array_equal(np.isnan(after), holds)
    assert np.array_equal(after[~holds], before[~holds])


@pytest.mark.parametrize("odd", [INSTRUMENTS, -1])
def test_a_row_that_names_no_instrument_is_unknown(odd: int) -> None:
    begin, end, instrument, contracts, profits = draw(48, seed=2)
    pool = int(np.argmax(end - begin))
    instrument[begin[pool]] = odd
    out = np.empty(begin.size)
    worst_losses(begin, end, instrument, contracts, profits, out)
    assert np.flatnonzero(np.isnan(out)).tolist() == [pool]


def test_neither_company_nor_threads_nor_layout_change_a_bit() -> None:
    begin, end, instrument, contracts, profits = draw(48, pools=3000, seed=3)
    most, whole = nb.get_num_threads(), np.empty(begin.size)
    worst_losses(begin, end, instrument, contracts, profits, whole)
    found = np.empty(begin.size)
    try:
        nb.set_num_threads(1)
        worst_losses(begin, end, instrument, contracts, np.asfortranarray(profits), found)
    finally:
        nb.set_num_threads(most)
    assert found.tobytes() == whole.tobytes()
    chosen = np.array([2999, 17, 4])
    alone = np.empty(chosen.size)
    worst_losses(begin[chosen], end[chosen], instrument, contracts, profits, alone)
    assert alone.tobytes() == whole[chosen].tobytes()


def test_shapes_that_do_not_fit_are_refused() -> None:
    begin, end, instrument, contracts, profits = draw(16)
    out = np.empty(begin.size)
    with pytest.raises(InputError, match="give one of each"):
        worst_losses(begin, end, instrument[1:], contracts, profits, out)
    for wrong in (out[1:], out):
        with pytest.raises(InputError, match="scenarios"):
            worst_losses(
                begin, end, instrument, contracts, profits[:, :0] if wrong is out else profits,
                wrong,
            )  # fmt: skip
