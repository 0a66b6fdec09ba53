"""Extended scan, roll shock and delta shock: figures by hand, term by term, and what must hold."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.charges import (
    CellRules,
    ExpirySums,
    delta_shock_charge,
    exposed_delta,
    extended_grid,
    net_by_expiry,
    net_short_charge,
    offset_charge,
    roll_rates,
    roll_shock,
    weigh_cells,
    worst_of_units,
)
from plimsoll.margin.charges.scan.extended import RiskVectors
from tests.margin.option_books import load_document, plain_black76

NAN = math.nan
FAR = (-0.66, -0.33, 0.50, 1.00, 5.00)
DAY_NS = 86_400 * 10**9


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# -- the grid ------------------------------------------------------------------------------------


def test_near_moves_come_three_by_three_and_far_ones_last() -> None:
    grid = extended_grid(floats(0.16, 0.4), 4, FAR, floats(1.0, 0.5))
    assert grid.price_move.shape == (2, 32)
    assert grid.price_move[0, :27:3] == pytest.approx(np.arange(-4, 5) * 0.04, abs=1e-16)
    assert grid.vol_side[:6].tolist() == [1, 0, -1, 1, 0, -1]
    assert grid.vol_side[27:].tolist() == [1] * 5
    assert np.array_equal(grid.edge[:, :27], grid.price_move[:, :27])
    assert not grid.forgiven[:, :27].any()
    assert np.all(grid.weight[:, :27] == 1)


def test_far_moves_weigh_less_and_are_forgiven_more() -> None:
    grid = extended_grid(floats(0.16, 0.4), 4, FAR, floats(1.0, 0.5))
    assert grid.price_move[:, 27:].tolist() == [list(FAR)] * 2
    assert grid.weight[0, 27:] == pytest.approx([0.16 / abs(m) for m in FAR], rel=1e-15)
    assert grid.weight[1, 27:] == pytest.approx([0.2 / abs(m) for m in FAR], rel=1e-15)
    assert grid.edge[1, 27:].tolist() == [-0.4, -0.4, 0.4, 0.4, 0.4]
    # -33 % is inside a range of 40 %: nothing is forgiven there.
    forgiven = [0.66 / 0.4 - 1, 0.0, 0.5 / 0.4 - 1, 1.5, 11.5]
    assert grid.forgiven[1, 27:] == pytest.approx(forgiven, rel=1e-14)


# -- what a cell counts for ----------------------------------------------------------------------


def weighed(
    cells: Sequence[Sequence[float]],
    *,
    grid: int = 0,
    in_coin: bool = False,
    dampener: float = 0.0,
    share: float = 1.0,
    gain_max: float = math.inf,
) -> np.ndarray:
    """Cells of one near move of -16 % and one far move of +500 % after the rules."""
    rules = extended_grid(floats(0.16), 1, (5.0,), floats(1.0))
    out = np.array(cells, dtype=np.float64)
    count = len(out)
    weigh_cells(
        out,
        rules,
        CellRules(
            np.full(count, grid, dtype=np.int64), np.full(count, in_coin),
            np.full(count, dampener), np.full(count, share), np.full(count, gain_max),
        ),
    )  # fmt: skip
    return out[:, [0, 9]]


def row(near: float, far: float) -> list[float]:
    """The ten cells of that grid, all zero but the first and the last."""
    return [near, *[0.0] * 8, far]


def test_a_future_loses_no_more_far_away_than_at_the_edge() -> None:
    # 1 BTC short at 60,000: -500 % of it, times 0.16 / 5, is what +16 % costs.
    assert weighed([row(0, -300_000)])[0, 1] == pytest.approx(-0.16 * 60_000, rel=1e-15)


def test_a_result_in_coin_is_stated_at_the_edge() -> None:
    near, far = weighed([row(-9_600, -300_000)], in_coin=True)[0]
    assert near == pytest.approx(-9_600 / 0.84, rel=1e-15)
    assert far == pytest.approx(-9_600 / 1.16, rel=1e-15)


def test_the_dampener_forgives_far_losses_down_to_nothing_and_adds_no_gain() -> None:
    spared = (5 / 0.16 - 1) * 1_000
    near, far = weighed([row(-50_000, -5e6)], dampener=1_000)[0]
    assert (near, far) == (-50_000, pytest.approx(-160_000 + spared, rel=1e-14))
    assert weighed([row(0, -500_000)], dampener=1_000)[0, 1] == 0.0
    assert weighed([row(0, 500_000)], dampener=1_000)[0, 1] == pytest.approx(16_000, rel=1e-15)


def test_the_dampener_comes_before_the_coin() -> None:
    spared = (5 / 0.16 - 1) * 1_000
    (_, far), = weighed([row(0, -5e6)], in_coin=True, dampener=1_000)  # fmt: skip
    assert far == pytest.approx((-160_000 + spared) / 1.16, rel=1e-14)


def test_gains_count_in_part_and_up_to_their_cap() -> None:
    near, far = weighed([row(1_000, 1e6)], share=0.6, gain_max=5_000)[0]
    assert (near, far) == (600, 5_000)
    assert weighed([row(1_000, 1e6)], share=0.0)[0].tolist() == [0, 0]


def test_what_is_unknown_stays_unknown_and_nothing_needs_no_rule() -> None:
    assert np.isnan(weighed([row(NAN, -5e6)], dampener=NAN)[0]).all()
    assert np.isnan(weighed([row(1.0, 1.0)], share=NAN)[0]).all()
    assert np.isnan(weighed([row(-1.0, 1.0)], grid=-1)[0]).all()
    idle = weighed([row(0, 0)], grid=-1, dampener=NAN, share=NAN, gain_max=NAN)
    assert idle[0].tolist() == [0, 0]


def units(*rows_of_unit: int) -> RiskVectors:
    """Vectors by how many each unit has."""
    count = sum(rows_of_unit)
    none = np.zeros(count, dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(rows_of_unit)]).astype(np.int64)
    unit = np.zeros(len(rows_of_unit), dtype=np.int64)
    return RiskVectors(none, none, none, none, none[:0], offsets, unit, unit)


def test_vectors_of_a_unit_add_cell_by_cell_and_units_do_not() -> None:
    cells = np.array([[-10.0, 4.0], [7.0, -6.0], [-10.0, 4.0], [1.0, 2.0]])
    assert worst_of_units(cells, units(2, 1, 1)).tolist() == [3, 10, 0]
    assert worst_of_units(cells[:0], units()).tolist() == []


def test_a_cell_that_is_unknown_makes_its_unit_unknown_alone() -> None:
    cells = np.array([[-10.0, NAN], [7.0, 6.0], [-5.0, 0.0]])
    worst = worst_of_units(cells, units(2, 1))
    assert np.isnan(worst[0])
    assert worst[1] == 5


def test_options_sold_net_pay_each_and_bought_pay_nothing() -> None:
    assert net_short_charge(floats(-10, 10, 0), 0.01).tolist() == [0.1, 0, 0]
    assert np.isnan(net_short_charge(floats(NAN), 0.01)).all()


# -- roll ----------------------------------------------------------------------------------------


def test_roll_rates_grow_with_time_from_a_floor() -> None:
    year_ns = 365 * DAY_NS
    expiries = ints(0, DAY_NS, year_ns, 2 * year_ns)
    rates = roll_rates(expiries, 0, np.full(4, 0.075), np.full(4, 0.01))
    expected = [0.01, 0.01, math.exp(0.075) - 1, math.exp(0.15) - 1]
    assert rates == pytest.approx(expected, rel=1e-15)


def test_expiries_net_within_and_add_across() -> None:
    owner, expiry = ints(0, 0, 0, 1, 0), ints(5, 5, 0, 5, 7)
    sums = net_by_expiry(owner, expiry, floats(3, -1, 4, 2, -6))
    assert sums.group.tolist() == [0, 0, 0, 1]
    assert sums.expiry_ns.tolist() == [0, 5, 7, 5]
    assert sums.net.tolist() == [4, 2, -6, 2]
    shock = roll_shock(sums, 0, np.zeros(3), floats(0.01, 0.5, 1.0))
    assert shock == pytest.approx([0.01 * (4 + 2 + 6), 0.5 * 2, 0.0], rel=1e-15)


def test_a_flat_expiry_is_free_whatever_is_unknown_of_it() -> None:
    sums = ExpirySums(ints(0, 1), ints(5, 5), floats(0.0, 1.0))
    shock = roll_shock(sums, 0, np.full(2, NAN), np.full(2, NAN))
    assert shock[0] == 0
    assert np.isnan(shock[1])


def test_offset_futures_pay_on_the_smaller_side() -> None:
    assert offset_charge(floats(100, 30), floats(100, 50), 0.01).tolist() == [1.0, 0.3]


# -- delta shock ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("long_options", "others", "expected"),
    [
        (0, 500, 500),
        (0, -500, -500),
        (200, 500, 500),  # more of the same need not be closed
        (-200, 500, 300),
        (-700, 500, 0),  # and cannot turn the book round
        (-200, -500, -500),
        (200, -500, -300),
        (700, -500, 0),
        (300, 0, 0),
    ],
)
def test_long_options_take_from_the_delta_only(
    long_options: float, others: float, expected: float
) -> None:
    assert exposed_delta(floats(long_options), floats(others)).tolist() == [expected]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (0, 0),
        (333, 0),  # 19.98 million
        (1_000 / 3, 0),  # the threshold itself
        (1_000, (60e6 - 20e6) * 1_000 * 5e-5),
        (-1_000, (60e6 - 20e6) * 1_000 * 5e-5),
        (5_000, 0.10 * 300e6),  # the cap: 70 million by the slope
    ],
)
def test_large_deltas_pay_for_their_impact(delta: float, expected: float) -> None:
    charge = delta_shock_charge(
        floats(delta), floats(60_000), floats(20e6), floats(5e-5), floats(0.10)
    )
    assert charge == pytest.approx([expected], abs=1e-3)


def test_delta_shock_keeps_nan_and_skips_nothing() -> None:
    unknown = delta_shock_charge(
        floats(1.0, 0.0), floats(NAN, NAN), floats(NAN, NAN), floats(NAN, NAN), floats(NAN, NAN)
    )
    assert np.isnan(unknown[0])
    assert unknown[1] == 0
    assert np.isnan(exposed_delta(floats(0.0, NAN), floats(NAN, 1.0))).all()


# -- whole books ---------------------------------------------------------------------------------

SYMBOL, CALL, LINEAR = "BTC/USD:BTC", "BTC/USD:BTC-260401-66000-C", "BTC/USDC:USDC"


def margin(
    model: str,
    positions: dict[str, float],
    params: dict[str, Any],
    vol: float = 0.6,
    premium: float = 1.0,
) -> Explanation:
    """An account with 100 BTC, exactly thirty days before its option expires.

    The option is marked at ``premium`` times its value.
    """
    value = premium * plain_black76(60_000, 66_000, 30 / 365, vol, True) / 60_000
    entry = {"mark": float(f"{value:.9g}"), "implied_vol": vol, "underlying": 60_000}
    document = {
        "as_of": "2026-03-02T08:00:00Z",
        "market": {
            "index": {"BTC": 60_000, "USDC": 1},
            "instruments": {SYMBOL: {"mark": 60_000}, LINEAR: {"mark": 60_000}, CALL: entry},
        },
        "accounts": [
            {
                "id": "a", "model": model, "balances": {"BTC": 100}, "params": params,
                "positions": [
                    {"symbol": symbol, "quantity": quantity, "entry_price": 60_000}
                    for symbol, quantity in positions.items()
                ],
            }
        ],
    }  # fmt: skip
    portfolio = load_document(document)
    market = portfolio.market
    models = load_models(portfolio.book.instruments, portfolio.book.models, market.as_of_ns)
    return explain(portfolio.book, market, models, "a")[0]


def line(explained: Explanation, name: str) -> float:
    return next(charge.initial for charge in explained.charges if charge.name == name)


def test_a_call_sold_loses_what_black_76_says_at_the_edge() -> None:
    """At +16 %, volatility 0.6 × 1.5 at the tenor where the factor is one, in coin."""
    shocked = plain_black76(69_600, 66_000, 30 / 365, 0.9, True) / 69_600
    mark = plain_black76(60_000, 66_000, 30 / 365, 0.6, True) / 60_000
    found = margin("deribit.segregated_pm", {CALL: -2}, {})
    assert line(found, "worst_case") == pytest.approx(2 * (shocked - mark) * 60_000, rel=1e-7)


def test_profits_are_against_the_mark() -> None:
    shocked = plain_black76(69_600, 66_000, 30 / 365, 0.9, True) / 69_600
    mark = 1.25 * plain_black76(60_000, 66_000, 30 / 365, 0.6, True) / 60_000
    found = margin("deribit.segregated_pm", {CALL: -2}, {}, premium=1.25)
    assert line(found, "worst_case") == pytest.approx(2 * (shocked - mark) * 60_000, rel=1e-7)


def test_a_low_volatility_rises_to_the_floor() -> None:
    shocked = plain_black76(69_600, 66_000, 30 / 365, 0.5, True) / 69_600
    mark = plain_black76(60_000, 66_000, 30 / 365, 0.3, True) / 60_000
    found = margin("deribit.segregated_pm", {CALL: -2}, {}, vol=0.3)
    assert line(found, "worst_case") == pytest.approx(2 * (shocked - mark) * 60_000, rel=1e-7)


def test_a_hedge_costs_less_than_its_parts_and_not_less_than_nothing() -> None:
    model = "deribit.segregated_pm"
    call, cover = margin(model, {CALL: -2}, {}), margin(model, {SYMBOL: 60_000}, {})
    both = margin(model, {CALL: -2, SYMBOL: 60_000}, {})
    apart = line(call, "worst_case") + line(cover, "worst_case")
    assert 0 < line(both, "worst_case") < apart


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("price_range", {"BTC": 0.2}),
        ("volatility_range_up", {"BTC": 0.8}),
        ("min_volatility_for_shock_up", {"BTC": 1.2}),
        ("extended_table_factor", {"BTC": 9}),
        ("min_annualised_move", {"BTC": 0.02}),
        ("annualised_move_risk", {"BTC": 0.5}),
        ("delta_total_liq_shock_threshold", {"BTC": 0}),
        ("mmp_margin", {"BTC": 1}),
    ],
)
def test_more_of_a_parameter_is_more_margin(parameter: str, value: dict[str, float]) -> None:
    # Its loss at five times the price is beyond what the dampener forgives.
    book = {CALL: -100.0}
    before = margin("deribit.segregated_pm", book, {})
    after = margin("deribit.segregated_pm", book, {parameter: value})
    assert after.initial_margin > before.initial_margin


def test_a_greater_offset_makes_a_hedge_in_another_currency_cheaper() -> None:
    book = {LINEAR: -100.0}
    costs = [
        margin("deribit.cross_pm", book, {"pnl_offset": {"BTC": share, "USDC": share},
                                          "max_offsetable_pnl": {"BTC": cap, "USDC": cap}})
        for share, cap in ((0.0, 1e9), (0.6, 1e9), (0.6, 1e5), (1.0, 1e9))
    ]  # fmt: skip
    move = 0.16 * 100 * 60_000
    worst = [line(found, "worst_case") for found in costs]
    assert worst == pytest.approx([move, 0.4 * move, move - 1e5, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"price_range": {"BTC": 1}}, "price_range.BTC"),
        ({"pnl_offset": {"BTC": 1.5}}, "pnl_offset.BTC"),
        ({"buckets_count": 2.5}, "buckets_count"),
        ({"extended_moves": [-1]}, "extended_moves"),
        ({"extended_moves": [0]}, "extended_moves"),
        ({"mm_factor": 1.1}, "mm_factor"),
        ({"haircut": {"BTC": "much"}}, "haircut.BTC"),
        ({"equity_side_impact": {"BTC": "short"}}, "equity_side_impact.BTC"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_its_place(
    params: dict[str, Any], place: str
) -> None:
    with pytest.raises(InputError) as refused:
        margin("deribit.cross_pm", {SYMBOL: 1.0}, params)
    assert refused.value.place.endswith(place)


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"maintenance_base": {"BTC": 0.5, SYMBOL: 0.5}}, "maintenance_base"),
        ({"option_maintenance": {"BTC": 0.11}}, "option_maintenance"),
        ({"slope_per_coin": {"BTC": -1}}, f"slope_per_coin.{SYMBOL}"),
    ],
)
def test_standard_rates_that_make_no_sense_are_refused(params: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as refused:
        margin("deribit.standard", {SYMBOL: 1.0}, params)
    assert refused.value.place.endswith(place)
