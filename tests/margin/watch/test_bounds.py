"""What the watch certifies: every guard's bound is a bound, and its lists are whole."""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.margin import Assessment, assess, load_models
from plimsoll.margin.watch import Watch
from plimsoll.margin.watch.ladder import CHUNK, FREE_CHUNKS, FREE_COLD, FREE_HOT, Ladder
from tests.book.builders import STANDARD, T0
from tests.margin.random_books import TABLE, random_book
from tests.margin.watch.test_watch import Walk

FALL = 0


def entries_of(ladder: Ladder, key: int) -> list[int]:
    """Where the entries of a list lie."""
    found, chunk, size = [], int(ladder.lists[key]["head"]), int(ladder.lists[key]["fill"])
    while chunk >= 0:
        found += range(chunk * CHUNK, chunk * CHUNK + size)
        chunk, size = int(ladder.chain[chunk]), CHUNK
    return found


def assert_whole(ladder: Ladder) -> None:
    """Every leg of every guard stands in its list once, and nothing else does."""
    owned = np.flatnonzero(ladder.cards["owner"] >= 0)
    legs = {}
    for guard in owned:
        card = ladder.cards[guard]
        assert ladder.by_pool[card["owner"]] == guard
        for leg in range(card["first"], card["first"] + card["legs"]):
            legs[leg] = guard
    kinds, chunks = ladder.phase.size, 0
    for key in np.flatnonzero(ladder.lists["head"] >= 0):
        row = key // kinds
        step = ladder.unit[row] * ladder.factor[key % kinds]
        sync, price = ladder.lists[key]["sync"], ladder.price[row]
        assert sync == price or abs(price - sync) < step
        assert ladder.near_low[row] >= sync - step
        assert ladder.near_high[row] <= sync + step
        places = entries_of(ladder, int(key))
        chunks += -(-len(places) // CHUNK)
        for at in places:
            entry = ladder.entries[at]
            assert legs.pop(int(entry["leg"])) == entry["guard"]
            assert (ladder.home[at // CHUNK], ladder.legs[entry["leg"]]) == (key, at)
    assert not legs
    assert ladder.tally[FREE_CHUNKS] == ladder.chain.size - chunks
    assert ladder.tally[FREE_HOT] + ladder.tally[FREE_COLD] == ladder.guards.size - owned.size


def bound_of(ladder: Ladder, guard: int) -> float:
    """A guard's bound at the present prices, out of its legs."""
    card, kinds = ladder.cards[guard], ladder.phase.size
    bound = float(ladder.guards[guard]["value"])
    for leg in range(card["first"], card["first"] + card["legs"]):
        at = ladder.legs[leg]
        key = ladder.home[at // CHUNK]
        ahead = ladder.price[key // kinds] - ladder.lists[key]["sync"]
        slope = ladder.entries[at]["high" if ahead < 0 else "low"]
        bound += float(slope) * ahead
    return bound


def assert_bounds(watch: Watch, found: Assessment) -> int:
    """Guards against falling are below the gaps they stand for; returns how many."""
    ladder, rungs, guards = watch._ladder, watch._rungs, 0
    for pool in range(5, found.status.size):
        guard, rung = ladder.by_pool[2 * pool + FALL], rungs.rung[pool]
        if guard < 0 or not np.isfinite(ladder.guards[guard]["floor"]):
            continue
        last = rungs.ratios.shape[1]
        gap = found.equity[pool]
        if rung < last:
            gap = rungs.ratios[0, rung] * found.collateral_value[pool]
            gap -= found.maintenance_margin[pool]
        assert bound_of(ladder, guard) <= gap + ladder.cards[guard]["error"]
        guards += 1
    return guards


@pytest.mark.parametrize("seed", range(4))
def test_guards_are_lower_bounds_in_whole_lists(seed: int) -> None:
    drawn = random_book(seed + 200, accounts=80)
    models, walk = load_models(TABLE, (STANDARD,), T0), Walk.of(seed, drawn.market)
    watch, checked = Watch.arm(drawn.book, drawn.market, models, levels=((0.5, 0.5),)), 0
    assert_whole(watch._ladder)
    for tick in range(60):
        market = walk.step()
        watch.tick(market)
        if tick % 6 == 0:
            assert_whole(watch._ladder)
            checked += assert_bounds(watch, assess(drawn.book, market, models))
    assert checked > 200


def test_bounds_hold_while_one_price_walks_out_of_its_box() -> None:
    drawn = random_book(300, accounts=120, sound=True)
    models, market = load_models(TABLE, (STANDARD,), T0), drawn.market
    watch = Watch.arm(drawn.book, market, models)
    row = TABLE.index["BTC/USDT:USDT"]
    for factor in np.concatenate([np.full(60, 1.01), np.full(140, 0.99)]):
        price = market.price.copy()
        price[row] *= factor
        market = replace(market, price=price)
        watch.tick(market)
        found = assess(drawn.book, market, models)
        assert np.array_equal(watch.status, found.status)
    assert assert_bounds(watch, found) > 30
    assert_whole(watch._ladder)
