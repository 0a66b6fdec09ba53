"""Twenty thousand accounts of ``plimsoll.standard``, swept at every tick: none missed, none early.

``PLIMSOLL_WATCH_SEEDS=100 python -m pytest tests/margin/watch/test_crowd.py`` takes more.
"""

import os

import pytest

from tests.margin.watch.crowds import Pursuit, futures_crowd

SEEDS = int(os.environ.get("PLIMSOLL_WATCH_SEEDS", "5"))
TICKS = 250


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_change_is_told_at_its_tick(seed: int) -> None:
    pursuit = Pursuit.of(futures_crowd(), seed)
    for tick in range(TICKS):
        market = pursuit.tick()
        if tick % 2:
            pursuit.happen(market)
    assert pursuit.changes > 300
    assert pursuit.watch.stats.evaluated > 20_000
