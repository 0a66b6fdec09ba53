"""Conservation under waterfalls that deleverage by a queue."""

import pytest

from tests.liquidation.waterfall.conservation import BY_QUEUE, check_preset


@pytest.mark.parametrize("preset", BY_QUEUE)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    check_preset(preset)
