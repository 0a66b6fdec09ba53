"""Conservation under lenders' and other protocols' waterfalls."""

import pytest

from tests.liquidation.waterfall.conservation import BY_PROTOCOL, check_preset


@pytest.mark.parametrize("preset", BY_PROTOCOL)
def test_nothing_is_made_or_lost_in_any_sequence(preset: str) -> None:
    check_preset(preset)
