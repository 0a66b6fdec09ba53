"""The live engine against ``step`` where everyone is wanted: deleveraging and shared losses.

Worlds and events are those of the conservation tests: prices that gap and vanish, markets that
close, events that are refused.
"""

from collections import Counter

import pytest

from plimsoll.book import digest_book
from plimsoll.core import LedgerError
from plimsoll.engine import LiveEngine, open_state
from plimsoll.ledger import TradeReason, TransferReason, encode_batch
from plimsoll.liquidation import waterfall_names
from tests.book.builders import STANDARD
from tests.engine.world import HOUSE
from tests.liquidation.test_random_worlds import STEEP
from tests.liquidation.waterfall.sequences import (
    Happens,
    Sequence,
    Setting,
    live,
    opening_book,
    setting_for,
    setting_of,
)

TICKS = 100
MODELS = (HOUSE, STEEP, STANDARD)


def assert_alike(setting: Setting, sequence: Sequence, ticks: int) -> Counter[str]:
    """Plays a sequence on both engines; counts the ticks at which one needed everyone."""
    engine = LiveEngine.open(open_state(opening_book(setting, sequence), ("test",)), setting.rules)
    seen: Counter[str] = Counter()
    for moment in live(setting, sequence, ticks):
        place = (setting.name, sequence.seed, moment.number)
        if moment.refused is not None:
            with pytest.raises(LedgerError):
                engine.step(moment.refused)
            seen["refused"] += 1
        found, outcome = engine.step(moment.inputs), moment.outcome
        made = [*map(encode_batch, outcome.decisions)]
        assert [*map(encode_batch, found.decisions)] == made, place
        assert found.called.tolist() == outcome.called.tolist(), place
        assert found.taken_over.tolist() == outcome.taken_over.tolist(), place
        assert digest_book(engine.book.snapshot()) == digest_book(moment.after.book), place
        for batch in outcome.decisions:
            seen["deleveraged"] += bool((batch.trades.reason == TradeReason.DELEVERAGING).any())
            shared = batch.transfers.reason == TransferReason.SOCIALISED_LOSS
            seen["socialised"] += bool(shared.any())
        seen["taken over"] += outcome.taken_over.size
        seen["quiet"] += not found.woken.size
    return seen


@pytest.mark.parametrize("preset", waterfall_names())
def test_any_waterfall_is_decided_alike(preset: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(2):
        sequence = Sequence(seed, frozenset(Happens), 0.01, 50.0 * seed, 2 * seed, 63)
        seen += assert_alike(setting_for(preset, sequence, waterfall_names()), sequence, TICKS)
    assert seen["refused"]
    assert seen["taken over"]


@pytest.mark.parametrize("presets", [("house",), ("house", "deribit")], ids="+".join)
def test_the_houses_whole_waterfall_is_decided_alike(presets: tuple[str, ...]) -> None:
    """Over an empty fund, alone and beside another waterfall in one book."""
    seen: Counter[str] = Counter()
    for seed in range(3):
        sequence = Sequence(100 + seed, frozenset(Happens), 0.02, 0.0, seed, 63)
        seen += assert_alike(setting_of(presets, MODELS[seed]), sequence, TICKS)
    assert seen["deleveraged"]
    assert seen["socialised"]


def test_calm_ticks_wake_nobody() -> None:
    """So that the two engines do not agree by doing the same work."""
    kinds = frozenset({Happens.FILL, Happens.DEPOSIT})
    sequence = Sequence(5, kinds, 0.0001, 50.0, 0, 63)
    assert assert_alike(setting_of(("house",)), sequence, TICKS)["quiet"] > TICKS // 4
