"""Random sequences under one waterfall: how many, what must hold, and that they reach its stages.

A test run plays a few, the same every time; ``soak`` plays as many as asked for.
"""

import sys
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from plimsoll.ledger import conservation_residual
from plimsoll.liquidation import Policy, waterfall_names
from tests.liquidation.waterfall.invariants import check_moment
from tests.liquidation.waterfall.sequences import (
    STEPS,
    Sequence,
    Setting,
    live,
    sequences,
    setting_for,
    setting_of,
)

SEQUENCES, DRAW = 12, 1
"""How many, and of which draw, in a test run: among them every stage is reached."""
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

# Every preset stands in one module of tests, by what its waterfall ends in.
BY_FUND = ("house", "binance", "bybit", "synthetix")
BY_QUEUE = ("bitmex", "dydx", "hyperliquid", "okx")
BY_ALL = ("deribit", "drift", "mango", "vega")
BY_PROTOCOL = ("aave", "aave_v2", "derive", "paradex")


def play(setting: Setting, sequence: Sequence, total: Counter[str], steps: int = STEPS) -> None:
    """One sequence; what fails says at which step."""
    for moment in live(setting, sequence, steps):
        try:
            total.update(check_moment(setting, moment))
        except AssertionError as error:
            error.add_note(f"step {moment.number} of {sequence}, under {setting.name}")
            raise
    assert not any(conservation_residual(moment.after.book))
    total["sequences"] += 1


def conserve(preset: str, count: int, draw: int) -> tuple[Counter[str], Counter[str]]:
    """So many sequences under a preset: what happened where it stands alone, and with another.

    ``draw`` chooses which.
    """
    alone: Counter[str] = Counter()
    paired: Counter[str] = Counter()

    @seed(draw)
    @settings(
        max_examples=count, deadline=None, derandomize=False, database=None, phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(sequences())
    def run(sequence: Sequence) -> None:
        setting = setting_for(preset, sequence, waterfall_names())
        play(setting, sequence, alone if len(setting.choices) == 1 else paired)

    run()
    for total in (alone, paired):
        assert total["steps"] == STEPS * total["sequences"]
    assert alone["sequences"] + paired["sequences"] >= count
    return alone, paired


def check_preset(preset: str) -> None:
    """The sequences of a test run conserve, and reach every stage of the preset."""
    alone, paired = conserve(preset, SEQUENCES, DRAW)
    for name, total in ((preset, alone), (f"{preset} and another", paired)):
        sys.stdout.write(f"{name}: {dict(sorted(total.items()))}\n")
    assert_reached(alone, setting_of((preset,)).rules.policies[0])


def assert_reached(total: Counter[str], policy: Policy) -> None:
    """That sequences met every stage that a waterfall has."""
    assert total["refused"]
    assert total["unknown"]
    assert total["taken over"]
    assert total["CLOSE_OUT"]
    if policy.close_out is not None:
        assert total["LIQUIDATION"]
    if policy.auction is not None:
        assert total["AUCTION"]
        assert total["waits for auction"]
    if policy.deleveraging is not None:
        assert total["deleveraged"]
    if policy.socialised is not None:
        assert total["socialised"]
    if any(stage.account for stage in policy.takeovers):
        assert total["backed"]
