"""Twenty thousand accounts with options under ``plimsoll.portfolio``, as in ``test_crowd``."""

import os

import pytest

from tests.margin.watch.crowds import Pursuit, options_crowd

SEEDS = int(os.environ.get("PLIMSOLL_WATCH_SEEDS", "4"))
TICKS = 50


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_change_is_told_at_its_tick(seed: int) -> None:
    pursuit = Pursuit.of(options_crowd(), seed)
    for tick in range(TICKS):
        market = pursuit.tick()
        if tick % 3 == 2:
            pursuit.happen(market)
    assert pursuit.changes > 200
    assert pursuit.watch.stats.evaluated > 20_000
