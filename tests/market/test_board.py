"""Prices that may be used, and in which words the others are refused."""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.core import NS_PER_SECOND, InputError
from plimsoll.market import (
    Market,
    PriceBatch,
    PriceBoard,
    PricePath,
    Quality,
    SanityRules,
    ScenarioGrid,
    product_grid,
    shock_market,
)
from tests.book.builders import T0, market_of, observe, table_of

TABLE = table_of(
    {"BTC/USDT:USDT": "1", "BTC/USD:BTC": "100", "ETH/BTC": "1", "BTC/USD:BTC-261225-80000-C": "1"},
    {"USDT": 6},
)
BTC, ROW = "BTC/USDT:USDT", 0
RULES = SanityRules()
SECOND = NS_PER_SECOND


def board_of(*sources: str) -> PriceBoard:
    return PriceBoard.empty(TABLE, sources or ("one",))


def seen(prices: list[float], rules: SanityRules = RULES) -> Market:
    """The market after one source saw these prices of BTC, one after another."""
    board = board_of()
    for price in prices:
        board = observe(board, {BTC: price}, T0, rules)
    return board.market(T0, rules)


@pytest.mark.parametrize(
    ("prices", "quality", "words"),
    [
        ([60e3], Quality.GOOD, "is good"),
        ([], Quality.MISSING, "is missing"),
        ([np.nan], Quality.NOT_FINITE, "is not a finite number"),
        ([60e3, np.inf], Quality.NOT_FINITE, "is not a finite number"),
        ([0.0], Quality.NOT_POSITIVE, "is not positive"),
        ([60e3, -60e3], Quality.NOT_POSITIVE, "is not positive"),
        ([60e3, 90_001.0], Quality.JUMP, "jumped and is not confirmed yet"),
        ([60e3, 29_999.0], Quality.JUMP, "jumped and is not confirmed yet"),
        ([60e3, 90e3], Quality.GOOD, "is good"),
        ([60e3, 30e3], Quality.GOOD, "is good"),
    ],
)
def test_quality_and_its_words(prices: list[float], quality: Quality, words: str) -> None:
    market = seen(prices)
    assert market.quality[ROW] == quality
    assert market.describe(ROW) == f"mark price of {BTC} {words}"
    if quality == Quality.GOOD:
        assert market.mark[ROW] == prices[-1]
    else:
        assert np.isnan(market.mark[ROW])


@pytest.mark.parametrize(
    ("prices", "usable"),
    [
        ([100.0, 200.0, 210.0], 210.0),  # confirmed by a second one near the first
        ([100.0, 200.0, 400.0], None),  # another jump is no confirmation
        ([100.0, 200.0, 400.0, 390.0], 390.0),
        ([100.0, 200.0, 110.0], 110.0),  # back where it was
        ([100.0, 200.0, 110.0, 200.0], None),  # and the old jump is forgotten
        ([100.0, 200.0, np.nan, 205.0], None),
        ([100.0, np.nan, 101.0], 101.0),
    ],
)
def test_a_jump_waits_for_a_second_observation(prices: list[float], usable: float | None) -> None:
    market = seen(prices)
    assert market.mark[ROW] == usable if usable else np.isnan(market.mark[ROW])


def test_a_rejected_price_leaves_the_board_it_came_to_untouched() -> None:
    before = observe(board_of(), {BTC: 60e3}, T0, RULES)
    after = observe(before, {BTC: np.nan}, T0, RULES)
    assert before.market(T0, RULES).mark[ROW] == 60e3
    assert after.price[0, ROW] == 60e3
    assert np.isnan(after.market(T0, RULES).mark[ROW])


def test_observations_of_one_batch_are_taken_in_order() -> None:
    times = np.array([T0, T0 + 1, T0 + 2], dtype=np.int64)
    zeros = np.zeros(3, dtype=np.int32)
    batch = PriceBatch(zeros, zeros, np.array([60e3, 100e3, 110e3]), times)
    market = board_of().observe(batch, RULES).market(T0 + 2, RULES)
    assert market.quality[ROW] == Quality.GOOD, "the third confirms the second's jump"
    assert market.mark[ROW] == 110e3


def test_a_late_observation_is_dropped() -> None:
    board = observe(board_of(), {BTC: 60e3}, T0, RULES)
    late = observe(board, {BTC: 59e3}, T0 - SECOND, RULES)
    assert late.market(T0, RULES).mark[ROW] == 60e3
    assert late.time_ns[0, ROW] == T0


@pytest.mark.parametrize(("source", "row"), [(1, 0), (-1, 0), (0, 99), (0, -1)])
def test_an_observation_of_nothing_known_is_refused_whole(source: int, row: int) -> None:
    board, when = board_of(), np.full(2, T0, np.int64)
    batch = PriceBatch(
        np.array([0, source], np.int32), np.array([ROW, row], np.int32), np.full(2, 60e3), when
    )
    with pytest.raises(InputError, match=r"prices\[1\]: no such source or row"):
        board.observe(batch, RULES)
    assert np.isnan(board.price).all()


def test_columns_of_different_lengths_are_refused() -> None:
    batch = PriceBatch(np.zeros(2, np.int32), np.zeros(1, np.int32), np.ones(2), np.full(2, T0))
    with pytest.raises(InputError, match="prices: columns differ in length"):
        board_of().observe(batch, RULES)


def test_age_is_judged_when_the_market_is_asked_for() -> None:
    board = observe(board_of(), {BTC: 60e3}, T0, RULES)
    assert board.market(T0 + 60 * SECOND, RULES).mark[ROW] == 60e3
    stale = board.market(T0 + 61 * SECOND, RULES)
    assert stale.quality[ROW] == Quality.STALE
    words = f"mark price of {BTC} is stale (seen 2025-10-10T21:15:00Z, 61 s ago)"
    assert stale.describe(ROW) == words
    early = board.market(T0 - 5 * SECOND, RULES)
    assert early.quality[ROW] == Quality.GOOD
    assert board.market(T0 - 6 * SECOND, RULES).quality[ROW] == Quality.STALE


def test_a_dollar_is_a_dollar() -> None:
    market = board_of().market(T0, SanityRules(quorum=3))
    dollar = TABLE.assets.find("USD", "")
    assert market.index[dollar] == 1.0
    assert market.quality[len(TABLE) + dollar] == Quality.GOOD
    assert np.isnan(market.index).sum() == len(TABLE.assets.names) - 1
    assert market.describe(len(TABLE) + dollar) == "index price of USD is good"


@pytest.mark.parametrize(
    ("prices", "quorum", "expected"),
    [
        ([100.0], 1, 100.0),
        ([100.0, 104.0], 1, 102.0),
        ([100.0, 104.0, 130.0], 1, 104.0),
        ([100.0, 104.0, 130.0, 107.0], 1, 105.5),
        ([np.nan, 104.0, 130.0], 1, 117.0),
        ([np.nan, -5.0, 130.0], 1, 130.0),
        ([np.nan, 104.0, 130.0], 2, 117.0),
        ([np.nan, 104.0, 130.0], 3, None),
        ([100.0], 2, None),
        ([np.nan, np.nan], 1, None),
    ],
)
def test_the_median_of_the_sources_that_pass(
    prices: list[float], quorum: int, expected: float | None
) -> None:
    rules = SanityRules(quorum=quorum, apart_max=0.5, resume_quorum=1)
    board = board_of(*(f"source {k}" for k in range(len(prices))))
    for source, price in enumerate(prices):
        board = observe(board, {BTC: price}, T0, rules, source)
    market = board.market(T0, rules)
    assert market.sources_used[ROW] == sum(np.isfinite(p) and p > 0 for p in prices)
    if expected is None:
        assert np.isnan(market.mark[ROW])
        assert market.describe(ROW) == f"mark price of {BTC} has too few usable sources"
    else:
        assert market.mark[ROW] == expected


def test_one_source_says_why_it_cannot_be_used_whatever_the_quorum() -> None:
    assert seen([np.nan], SanityRules(quorum=2)).quality[ROW] == Quality.NOT_FINITE


def test_a_stale_source_is_left_out_and_the_oldest_used_gives_the_time() -> None:
    board = board_of("a", "b", "c")
    for source, (price, age_s) in enumerate([(100.0, 90), (110.0, 50), (120.0, 10)]):
        board = observe(board, {BTC: price}, T0 - age_s * SECOND, RULES, source)
    market = board.market(T0, RULES)
    assert market.mark[ROW] == 115.0
    assert market.time_ns[ROW] == T0 - 50 * SECOND


def test_what_may_be_negative_may() -> None:
    board = board_of()
    board = replace(board, may_be_negative=np.ones_like(board.may_be_negative))
    assert observe(board, {BTC: -37.0}, T0, RULES).market(T0, RULES).mark[ROW] == -37.0


# -- scenarios -----------------------------------------------------------------------------------


def test_a_grid_pairs_every_price_move_with_every_vol_move() -> None:
    grid = product_grid(np.array([-0.1, 0.2]), np.array([0.0, 0.5, 1.0]))
    assert grid.price_move.tolist() == [-0.1, -0.1, -0.1, 0.2, 0.2, 0.2]
    assert grid.vol_move.tolist() == [0.0, 0.5, 1.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("price_moves", "vol_moves"), [([0.1], [0.1, 0.2]), ([-1.1], [0.0]), ([0.0], [np.nan])]
)
def test_impossible_scenarios_are_refused(price_moves, vol_moves) -> None:
    with pytest.raises(InputError, match="^scenarios: moves must pair up"):
        ScenarioGrid(np.array(price_moves), np.array(vol_moves))


def shocked(**moves: float) -> Market:
    """A market after moves of assets' prices."""
    marks = dict(zip(TABLE.symbols, [50e3, 50e3, 0.04, 0.1], strict=True))
    market = market_of(TABLE, marks, {"BTC": 50e3, "ETH": 2e3, "USDT": 1.0})
    return shock_market(market, np.array([moves.get(n, 0.0) for n in TABLE.assets.names]))


def test_a_mark_moves_as_its_base_does_against_its_quote() -> None:
    market = shocked(BTC=-0.2, USDT=-0.1)
    index = dict(zip(TABLE.assets.names, market.index, strict=True))
    assert index == pytest.approx({"BTC": 40e3, "ETH": 2e3, "USD": 1.0, "USDT": 0.9})
    assert market.mark[:3] == pytest.approx([50e3 * 0.8 / 0.9, 40e3, 0.04 / 0.8])


def test_an_option_is_missing_after_a_move_it_has_no_model_for() -> None:
    moved, still = shocked(BTC=0.01), shocked(ETH=0.5)
    assert np.isnan(moved.mark[3])
    assert moved.describe(3) == "mark price of BTC/USD:BTC-261225-80000-C is missing"
    assert still.mark[3] == 0.1
    assert still.quality[3] == Quality.GOOD


def test_a_market_without_moves_is_itself() -> None:
    same = shocked()
    assert same.mark.tolist() == [50e3, 50e3, 0.04, 0.1]
    assert set(same.quality) == {Quality.GOOD}


# -- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "shape", "problem"),
    [
        ([1, 2], (2, 1), "price has shape"),
        ([1, 1], (2, 2), "times do not increase"),
        ([2, 1], (2, 2), "times do not increase"),
    ],
)
def test_a_path_that_is_no_path_is_refused(times, shape, problem: str) -> None:
    with pytest.raises(InputError, match=f"^source: {problem}"):
        PricePath(("a", "b"), np.array(times), np.ones(shape), "source")
    PricePath(("a", "b"), np.array([1, 2]), np.ones((2, 2)), "source")
