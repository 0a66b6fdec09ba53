"""Conservation where venues' own margin models decide, each under its venue's own waterfall."""

import os
import sys
from collections import Counter
from dataclasses import replace

import pytest

from plimsoll.core import stream
from plimsoll.engine import load_rules
from plimsoll.instruments import Kind
from plimsoll.liquidation import waterfall_of
from plimsoll.margin import MODELS, Model
from tests.book.builders import T0
from tests.engine.world import SANITY
from tests.liquidation.waterfall.conservation import play
from tests.liquidation.waterfall.sequences import STEPS, Happens, Sequence, Setting
from tests.margin.exam_books import TABLE, choice_of, draw_prices, listing_of

SEQUENCES = -(-int(os.environ.get("PLIMSOLL_SEQUENCES", "0")) // 100)
"""A hundredth of what is asked for: scenario models take fifty times as long as the house's."""
STEPS_MIN = 60
OPTIONS_ONLY = ("cboe.regt", "occ.tims")
"""Models of contracts that need more than a price, which sequences do not have."""
PLAYED = tuple(model for model in MODELS if model.name not in OPTIONS_ONLY)
FIRST = tuple({waterfall_of(model.name): model for model in reversed(PLAYED)}.values())
"""A test run plays the beginning of one sequence, of the first model of each waterfall."""


def setting_of_model(model: Model) -> Setting:
    """The exam's contracts and assets as far as the model lists them and a price is enough.

    A model that keeps currencies apart is given contracts of one.
    """
    listing, choice = listing_of(model), (choice_of(model),)
    plain = [s for s in listing.contracts if "#" not in s]
    plain = [s for s in plain if TABLE.kind[TABLE.index[s]] != Kind.OPTION]
    # A profit in what a model does not take as collateral leaves a pool UNKNOWN.
    plain = [s for s in plain if TABLE.rows[TABLE.index[s]].settle in listing.assets]
    assets = listing.assets
    if model.is_segregated:
        settles = [TABLE.rows[TABLE.index[s]].settle for s in plain]
        money = max(settles, key=settles.count)
        plain = [s for s, settle in zip(plain, settles, strict=True) if settle == money]
        assets = (money,)
    rules = load_rules(TABLE, choice, replace(SANITY, age_ns_max=0), T0)
    prices = draw_prices(stream(7, "venues"))
    return Setting.of(model.name, rules, choice, TABLE, tuple(plain), assets, prices)


@pytest.mark.parametrize("model", PLAYED if SEQUENCES else FIRST, ids=lambda model: model.name)
def test_nothing_is_made_or_lost_in_any_sequence(model: Model) -> None:
    total: Counter[str] = Counter()
    setting = setting_of_model(model)
    for seed in range(max(SEQUENCES, 1)):
        fund = (0.0, 300.0, 1e5)[seed % 3]
        sequence = Sequence(seed, frozenset(Happens), 0.02, fund, 0, 0)
        play(setting, sequence, total, STEPS if SEQUENCES else STEPS_MIN)
    sys.stdout.write(f"{model.name}: {dict(sorted(total.items()))}\n")
    assert total["steps"] >= STEPS_MIN
    assert total["begun"]
