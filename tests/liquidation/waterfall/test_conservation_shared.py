"""Conservation under waterfalls that share losses among all."""

import pytest

from tests.liquidation.waterfall.conservation import BY_ALL, assert_reached, conserve
from tests.liquidation.waterfall.sequences import setting_of


@pytest.mark.parametrize("preset", BY_ALL)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    assert_reached(conserve(preset), setting_of((preset,)).rules.policies[0])
