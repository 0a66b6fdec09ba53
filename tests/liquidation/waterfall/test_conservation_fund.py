"""Conservation under waterfalls that lean on an insurance fund."""

import pytest

from plimsoll.liquidation import waterfall_names
from tests.liquidation.waterfall.conservation import (
    BY_ALL,
    BY_FUND,
    BY_PROTOCOL,
    BY_QUEUE,
    check_preset,
)


@pytest.mark.parametrize("preset", BY_FUND)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    check_preset(preset)


def test_every_preset_is_in_one_of_the_modules() -> None:
    assert sorted((*BY_FUND, *BY_QUEUE, *BY_ALL, *BY_PROTOCOL)) == sorted(waterfall_names())
