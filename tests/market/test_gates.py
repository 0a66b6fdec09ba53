"""Prices of several sources: who counts, what an outage needs, what bounds a mark."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import NS_PER_SECOND, InputError, parse_time
from plimsoll.market import (
    Anchor,
    AverageBand,
    Market,
    PriceBoard,
    Quality,
    Reference,
    SanityRules,
    load_anchors,
)
from plimsoll.market.combine import agreeing, row_of
from tests.book.builders import T0, observe, table_of

SECOND, HOUR = NS_PER_SECOND, 3600 * NS_PER_SECOND
TABLE = table_of(
    {"BTC/USDT:USDT": "1", "ETH/USDT:USDT": "1", "BTC/USD:BTC": "100"},
    {"USDT": 6, "USDe": 6, "WBETH": 8, "BNSOL": 8, "SOL": 8},
)
HONEST = {
    "BTC/USDT:USDT": 60e3, "ETH/USDT:USDT": 2_200.0, "BTC/USD:BTC": 60e3,
    "BTC": 60e3, "ETH": 2_200.0, "USDT": 1.0,
}  # fmt: skip
BAD_TICKS = {
    "zero": lambda p: 0.0,
    "negative": lambda p: -p,
    "1e-18": lambda p: 1e-18,
    "1e18": lambda p: 1e18,
    "not a number": lambda p: np.nan,
    "inf": lambda p: np.inf,
    "minus inf": lambda p: -np.inf,
    "x10": lambda p: 10 * p,
    "x0.1": lambda p: 0.1 * p,
    "x1000": lambda p: 1000 * p,
    "a ratio instead of dollars": lambda p: 1.12 if p != 1.0 else 0.00045,
    "six decimals too many": lambda p: p * 1e6,
    "six decimals too few": lambda p: p / 1e6,
    "eight decimals too many": lambda p: p * 1e8,
    "eight decimals too few": lambda p: p / 1e8,
}
NAMES = ("BTC/USDT:USDT", "BTC", "USDT")


class Feeds:
    """Several sources that speak at given times, and the board that hears them."""

    def __init__(self, count: int, rules: SanityRules) -> None:
        self.board = PriceBoard.empty(TABLE, tuple(f"source {k}" for k in range(count)))
        self.rules = rules

    def say(self, source: int, prices: dict[str, float], time_ns: int) -> None:
        self.board = observe(self.board, prices, time_ns, self.rules, source)

    def market(self, time_ns: int) -> Market:
        market = self.board.market(time_ns, self.rules)
        self.board = self.board.remember(market, self.rules)
        return market


def price_of(market: Market, name: str) -> float:
    return float(market.price[row_of(TABLE, name)])


def quality_of(market: Market, name: str) -> Quality:
    return Quality(int(market.quality[row_of(TABLE, name)]))


# -- who counts ------------------------------------------------------------------------------

FINITE = st.floats(min_value=1e-3, max_value=1e6, allow_nan=False)


@given(st.lists(st.tuples(FINITE, st.booleans()), min_size=1, max_size=7), st.floats(0.0, 0.9))
def test_a_source_counts_with_half_of_the_others_near_it(rows, apart_max: float) -> None:
    price = np.array([[p] for p, _ in rows])
    usable = np.array([[u] for _, u in rows])
    live = [k for k, (_, is_usable) in enumerate(rows) if is_usable]
    expected = []
    for k, (own, is_usable) in enumerate(rows):
        others = [rows[j][0] for j in live if j != k]
        near = sum(abs(own - other) <= apart_max * max(own, other) for other in others)
        expected.append(is_usable and 2 * near >= len(others))
    if len(rows) > 1:
        assert agreeing(price, usable, apart_max)[:, 0].tolist() == expected


@given(
    st.lists(st.floats(0.97, 1.03), min_size=2, max_size=6),
    st.floats(min_value=1e-12, max_value=1e12),
    st.integers(0, 6),
)
def test_one_wrong_source_never_moves_the_mark_out_of_what_the_others_say(
    honest: list[float], wrong: float, place: int
) -> None:
    rules = SanityRules(quorum=2)
    said = [60e3 * x for x in honest]
    said.insert(place % (len(said) + 1), 60e3 * wrong)
    feeds = Feeds(len(said), rules)
    for source, price in enumerate(said):
        feeds.say(source, {"BTC": price}, T0)
    found = price_of(feeds.market(T0), "BTC")
    is_near = 0.9 * min(honest) <= wrong <= max(honest) / 0.9
    if not is_near:
        assert 60e3 * min(honest) <= found <= 60e3 * max(honest)
    else:
        assert 60e3 * min(*honest, wrong) <= found <= 60e3 * max(*honest, wrong)


def test_of_two_that_disagree_neither_counts() -> None:
    feeds = Feeds(2, SanityRules())
    feeds.say(0, {"BTC": 60e3}, T0)
    feeds.say(1, {"BTC": 78e3}, T0)
    market = feeds.market(T0)
    assert quality_of(market, "BTC") == Quality.APART
    assert market.describe(row_of(TABLE, "BTC")) == "index price of BTC has sources that disagree"


@pytest.mark.parametrize("bad", BAD_TICKS)
@pytest.mark.parametrize(("sources", "is_first"), [*product((2, 3, 5), (True, False))])
def test_no_bad_tick_of_one_source_makes_a_price(bad: str, sources: int, is_first: bool) -> None:
    """R17: every corruption, by every source, of a mark and of two indices, once and again."""
    for name, wrong_one in product(NAMES, range(sources)):
        feeds = Feeds(sources, SanityRules(quorum=2))
        time_ns = T0
        if not is_first:
            for source in range(sources):
                feeds.say(source, HONEST, time_ns)
            assert price_of(feeds.market(time_ns), name) == HONEST[name]
        # Said three times, the last ones confirm the first one's jump.
        for _ in range(3):
            time_ns += SECOND
            for source in range(sources):
                said = dict(HONEST)
                if source == wrong_one:
                    said[name] = BAD_TICKS[bad](HONEST[name])
                feeds.say(source, said, time_ns)
            found = price_of(feeds.market(time_ns), name)
            assert np.isnan(found) or found == HONEST[name]
            assert np.isnan(found) == (sources == 2)


@pytest.mark.parametrize("bad", BAD_TICKS)
def test_the_first_to_speak_at_the_start_is_not_believed_alone(bad: str) -> None:
    feeds = Feeds(3, SanityRules())
    feeds.say(0, {"BTC": BAD_TICKS[bad](60e3)}, T0)
    assert np.isnan(price_of(feeds.market(T0), "BTC"))
    feeds.say(1, {"BTC": 60e3}, T0)
    assert np.isnan(price_of(feeds.market(T0), "BTC"))
    feeds.say(2, {"BTC": 60e3}, T0)
    assert price_of(feeds.market(T0), "BTC") == 60e3


@pytest.mark.parametrize(("sources", "quorum"), [(n, q) for n in (3, 5, 7) for q in (2, 3)])
def test_lost_sources_below_the_quorum_leave_no_price(sources: int, quorum: int) -> None:
    """R19: for every number lost, the price is the median of the quorum or nothing."""
    for lost in range(sources + 1):
        feeds = Feeds(sources, SanityRules(quorum=quorum))
        for source in range(sources):
            feeds.say(source, {"BTC": 60e3 + source}, T0)
        assert price_of(feeds.market(T0), "BTC") == 60e3 + (sources - 1) / 2
        later = T0 + 61 * SECOND
        for source in range(lost, sources):
            feeds.say(source, {"BTC": 61e3 + source}, later)
        market = feeds.market(later)
        if sources - lost >= quorum:
            assert price_of(market, "BTC") == 61e3 + (lost + sources - 1) / 2
        else:
            assert np.isnan(price_of(market, "BTC"))
            assert quality_of(market, "BTC") == Quality.NO_QUORUM


def test_a_row_with_one_source_by_nature_needs_one() -> None:
    rules = SanityRules(quorum=2, single_source=("BTC/USDT:USDT", "unknown"))
    feeds = Feeds(3, rules)
    feeds.say(1, {"BTC/USDT:USDT": 60e3, "BTC": 60e3}, T0)
    market = feeds.market(T0)
    assert price_of(market, "BTC/USDT:USDT") == 60e3
    assert quality_of(market, "BTC") == Quality.NO_QUORUM


# -- units -----------------------------------------------------------------------------------

BANDED = SanityRules(references=(Reference("BTC", 60e3, 3.0), Reference("unknown", 1.0, 2.0)))


@pytest.mark.parametrize(
    ("price", "quality"),
    [
        (60e3, Quality.GOOD),
        (20e3, Quality.GOOD),
        (180e3, Quality.GOOD),
        (19_999.0, Quality.OFF_REFERENCE),
        (180_001.0, Quality.OFF_REFERENCE),
        (1.12, Quality.OFF_REFERENCE),
        (6e10, Quality.OFF_REFERENCE),
    ],
)
def test_one_source_is_held_to_the_reference(price: float, quality: Quality) -> None:
    """A ratio instead of dollars (cbETH, 2026-02-15) is caught at the first observation."""
    feeds = Feeds(1, BANDED)
    feeds.say(0, {"BTC": price}, T0)
    assert quality_of(feeds.market(T0), "BTC") == quality


def test_enough_sources_confirm_what_is_far_from_the_reference() -> None:
    feeds = Feeds(3, BANDED)
    found = []
    for source in range(3):
        feeds.say(source, {"BTC": 15e3 + source}, T0)
        found.append(price_of(feeds.market(T0), "BTC"))
    assert np.isnan(found[0])
    assert found[1:] == [15_000.5, 15_001.0]


# -- frozen feeds ----------------------------------------------------------------------------

WATCHFUL = SanityRules(frozen_ns_max=30 * SECOND, pegs=("USDT",))


def test_a_feed_that_repeats_itself_is_frozen_unless_it_may_stand_still() -> None:
    feeds = Feeds(1, WATCHFUL)
    for second in range(33):
        feeds.say(0, {"BTC": 60e3, "USDT": 1.0}, T0 + second * SECOND)
    market = feeds.market(T0 + 32 * SECOND)
    assert quality_of(market, "BTC") == Quality.FROZEN
    assert market.describe(row_of(TABLE, "BTC")) == "index price of BTC has not moved for too long"
    assert price_of(market, "USDT") == 1.0
    feeds.say(0, {"BTC": 60_001.0}, T0 + 33 * SECOND)
    assert price_of(feeds.market(T0 + 33 * SECOND), "BTC") == 60_001.0


def test_a_frozen_source_among_several_does_not_count() -> None:
    """The index of 2019-10-31: one of the sources stood still for an hour."""
    feeds = Feeds(3, replace(WATCHFUL, quorum=2))
    for second in range(60):
        time_ns = T0 + second * SECOND
        for source in range(3):
            moved = 60e3 if source == 0 else 60e3 - 10 * second - source
            feeds.say(source, {"BTC": moved}, time_ns)
        market = feeds.market(time_ns)
        if second > 30:
            assert price_of(market, "BTC") == 60e3 - 10 * second - 1.5
    assert market.sources_used[row_of(TABLE, "BTC")] == 2


# -- outages ---------------------------------------------------------------------------------

OUTAGES = [(5, False), (60, False), (3_600, True), (8 * 3_600, True)]


@pytest.mark.parametrize("looks", [True, False], ids=["looked at", "not looked at"])
@pytest.mark.parametrize("repeats", [True, False], ids=["repeats", "is silent"])
@pytest.mark.parametrize(("seconds", "is_outage"), OUTAGES)
def test_after_an_outage_the_first_price_has_two_fresh_sources(
    seconds: int, is_outage: bool, repeats: bool, looks: bool
) -> None:
    """R18: feeds freeze, then come back one after another."""
    rules = SanityRules(
        age_ns_max=10 * SECOND, outage_ns=90 * SECOND, frozen_ns_max=10 * SECOND,
        pegs=("USDT",),
    )  # fmt: skip
    feeds = Feeds(3, rules)
    for source in range(3):
        feeds.say(source, {"BTC": 60e3}, T0)
    assert price_of(feeds.market(T0), "BTC") == 60e3
    for second in np.linspace(0, seconds, 21)[1:-1].round().astype(int).tolist():
        time_ns = T0 + second * SECOND
        if repeats:
            for source in range(3):
                feeds.say(source, {"BTC": 60e3}, time_ns)
        if looks:
            market = feeds.market(time_ns)
            assert np.isnan(price_of(market, "BTC")) == (second > 10)
    back = T0 + seconds * SECOND
    feeds.say(0, {"BTC": 50e3}, back)
    market = feeds.market(back)
    if seconds == 5:
        assert quality_of(market, "BTC") == Quality.GOOD
        return
    if not is_outage:
        assert price_of(market, "BTC") == 50e3
        return
    assert quality_of(market, "BTC") == Quality.RESUMING
    # Saying it again does not help, another source does.
    feeds.say(0, {"BTC": 50_001.0}, back + SECOND)
    assert np.isnan(price_of(feeds.market(back + SECOND), "BTC"))
    feeds.say(1, {"BTC": 50_010.0}, back + 2 * SECOND)
    assert price_of(feeds.market(back + 2 * SECOND), "BTC") == (50_001.0 + 50_010.0) / 2
    # From then on it is no outage any more: what is usable for a while may do with one.
    feeds.say(0, {"BTC": 50_002.0}, back + 13 * SECOND)
    assert price_of(feeds.market(back + 13 * SECOND), "BTC") == 50_002.0


def test_prices_as_old_as_the_outage_do_not_end_it() -> None:
    """dYdX, 2025-10-10: the chain came back with the prices of eight hours before."""
    feeds = Feeds(3, SanityRules())
    for source in range(3):
        feeds.say(source, {"BTC": 60e3}, T0)
    feeds.market(T0)
    back = T0 + 8 * HOUR
    for source in range(3):
        feeds.say(source, {"BTC": 60e3 - source}, T0 + 30 * SECOND)
    assert np.isnan(price_of(feeds.market(back), "BTC"))


def test_a_single_source_resumes_as_it_always_has() -> None:
    feeds = Feeds(1, SanityRules())
    feeds.say(0, {"BTC": 60e3}, T0)
    feeds.market(T0)
    feeds.say(0, {"BTC": 61e3}, T0 + 8 * HOUR)
    assert price_of(feeds.market(T0 + 8 * HOUR), "BTC") == 61e3


# -- bounds ----------------------------------------------------------------------------------


def test_the_slow_average_and_its_band_are_the_formula() -> None:
    """weight = dt / (dt + span), taken on prices that are already held within the band."""
    span = 8 * HOUR
    rules = SanityRules(jump_max=1e9, bands=(AverageBand("BTC", span, 1.5),))
    feeds, average = Feeds(1, rules), None
    before = T0
    path = [0.6, 0.6, 0.7, 1.8, 1.8, 4.0, 0.5, 0.1]
    for step, price in enumerate(path):
        time_ns = T0 + step * 1800 * SECOND
        feeds.say(0, {"BTC": price}, time_ns)
        expected = Fraction(price)
        if average is not None:
            expected = min(max(expected, average / Fraction(3, 2)), average * Fraction(3, 2))
        found = price_of(feeds.market(time_ns), "BTC")
        assert found == pytest.approx(float(expected), rel=1e-12)
        passed = Fraction(time_ns - before)
        weight = passed / (passed + span)
        average = expected if average is None else average + weight * (expected - average)
        before = time_ns
    assert price_of(feeds.market(time_ns), "BTC") > 0.1


def test_a_pumped_pre_launch_market_is_held_by_the_others_and_by_its_average() -> None:
    """XPL, 2025-08-26: 0.60 to 1.80 in two minutes on one venue, 0.55 elsewhere."""
    band = SanityRules(jump_max=10.0, bands=(AverageBand("BTC", 8 * HOUR, 1.25),))
    alone, beside = Feeds(1, band), Feeds(3, replace(band, bands=()))
    for second in range(0, 121, 10):
        pumped = 0.6 * 3 ** (second / 120)
        time_ns = T0 + second * SECOND
        alone.say(0, {"BTC": pumped}, time_ns)
        for source, price in enumerate((pumped, 0.55, 0.56)):
            beside.say(source, {"BTC": price}, time_ns)
        own, mixed = price_of(alone.market(time_ns), "BTC"), price_of(beside.market(time_ns), "BTC")
        assert own <= 0.6 * 1.25 * 1.01
        assert mixed <= 0.6
    assert pumped == pytest.approx(1.8)


ETH_AT = 3_800.0
ANCHORED = (
    Anchor("USDe", "USD", 1.0, 0.025),
    Anchor("WBETH", "ETH", 1.0742, 0.025),
    Anchor("BNSOL", "SOL", 1.0643, 0.025),
    Anchor("unknown", "ETH", 1.0, 0.1),
)


def anchored_market(prices: dict[str, float], anchors: tuple[Anchor, ...] = ANCHORED) -> Market:
    feeds = Feeds(1, SanityRules(anchors=anchors))
    feeds.say(0, {"ETH": ETH_AT, "SOL": 185.0, **prices}, T0)
    return feeds.market(T0)


@pytest.mark.parametrize(
    ("asset", "price", "worth"),
    [
        (asset, worth * factor, worth)
        for asset, worth in (("USDe", 1.0), ("WBETH", 1.0742 * ETH_AT), ("BNSOL", 1.0643 * 185.0))
        for factor in (0.1, 0.65, 0.97, 0.98, 1.0, 1.02, 1.03, 2.0)
    ],
)
def test_a_redeemable_mark_is_held_to_what_it_redeems_for(
    asset: str, price: float, worth: float
) -> None:
    expected = min(max(price, worth * 0.975), worth * 1.025)
    assert price_of(anchored_market({asset: price}), asset) == pytest.approx(expected, rel=1e-15)


def test_from_the_pause_on_the_price_is_not_used() -> None:
    anchor = Anchor("USDe", "USD", 1.0, 0.025, pause_gap=0.1)
    for price, quality in ((0.901, Quality.GOOD), (0.899, Quality.DIVERGED), (1.11, 11)):
        market = anchored_market({"USDe": price}, (anchor,))
        assert quality_of(market, "USDe") == quality
    assert "is too far from what" in market.describe(row_of(TABLE, "USDe"))


def test_without_the_asset_it_redeems_for_there_is_no_mark() -> None:
    feeds = Feeds(1, SanityRules(anchors=ANCHORED))
    feeds.say(0, {"WBETH": 4_000.0}, T0)
    market = feeds.market(T0)
    assert quality_of(market, "WBETH") == Quality.DIVERGED
    assert np.isnan(price_of(market, "WBETH"))


def test_the_table_of_anchors_is_dated_and_complete() -> None:
    anchors = {a.asset: a for a in load_anchors(parse_time("2025-10-10T21:36:00Z", ""))}
    assert {a: x.into for a, x in anchors.items()} == {
        "USDe": "USD", "WBETH": "ETH", "BNSOL": "SOL",
    }  # fmt: skip
    # Chainlink's worst USDe price of that day lies within the band, Binance's own far outside.
    assert 1 - anchors["USDe"].band < 1 - 0.0228
    assert all(x.pause_gap is not None and x.pause_gap > x.band for x in anchors.values())
    with pytest.raises(InputError, match="no parameters are in force"):
        load_anchors(parse_time("2020-01-01T00:00:00Z", ""))
