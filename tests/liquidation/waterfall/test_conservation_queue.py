"""Conservation under waterfalls that deleverage by a queue."""

import pytest

from tests.liquidation.waterfall.conservation import BY_QUEUE, assert_reached, conserve
from tests.liquidation.waterfall.sequences import setting_of


@pytest.mark.parametrize("preset", BY_QUEUE)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    assert_reached(conserve(preset), setting_of((preset,)).rules.policies[0])
