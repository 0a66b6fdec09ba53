"""Conservation under waterfalls that lean on an insurance fund."""

import pytest

from plimsoll.liquidation import waterfall_names
from tests.liquidation.waterfall.conservation import (
    BY_ALL,
    BY_FUND,
    BY_PROTOCOL,
    BY_QUEUE,
    assert_reached,
    conserve,
)
from tests.liquidation.waterfall.sequences import setting_of


@pytest.mark.parametrize("preset", BY_FUND)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    assert_reached(conserve(preset), setting_of((preset,)).rules.policies[0])


def test_every_preset_is_in_one_of_the_modules() -> None:
    assert sorted((*BY_FUND, *BY_QUEUE, *BY_ALL, *BY_PROTOCOL)) == sorted(waterfall_names())
