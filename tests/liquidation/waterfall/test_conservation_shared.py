"""Conservation under waterfalls that share losses among all."""

import pytest

from tests.liquidation.waterfall.conservation import BY_ALL, check_preset


@pytest.mark.parametrize("preset", BY_ALL)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    check_preset(preset)
