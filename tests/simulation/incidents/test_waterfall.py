"""Incidents of the waterfall: B03, B12, B13 and B18, each against arithmetic done by hand."""

from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.simulation.incidents import Moment, Played
from plimsoll.simulation.incidents.halt import play_halt
from plimsoll.simulation.incidents.hedge_leg import play_hedge_leg
from plimsoll.simulation.incidents.insurance import (
    MINUTE_NS,
    _Accounts,
    _build_accounts,
    _drawn_path,
    _losses,
    _published_path,
    play_insurance,
)
from plimsoll.simulation.incidents.library import PLAYS, find_incident
from plimsoll.simulation.incidents.queue import CENTS, _part, build_candidates

PARAMS = {name: find_incident(name).params for name in ("B03", "B12", "B13", "B18")}


@cache
def play(incident_id: str, control: bool) -> Played:
    return PLAYS[incident_id](PARAMS[incident_id], control)


def figures(moment: Moment) -> dict[str, float]:
    return {figure.name: figure.value for figure in moment.figures}


@pytest.mark.parametrize(
    ("incident_id", "smaller"),
    [
        ("B03", {"draws": 100, "accounts": 20}),
        ("B12", {"users": 2000}),
        ("B13", {}),
        ("B18", {"hedge_usd": 250_000.0}),
    ],
)
@pytest.mark.parametrize("control", [False, True])
def test_two_plays_are_the_same_bit_for_bit(
    incident_id: str, smaller: dict[str, Any], control: bool
) -> None:
    params = {**PARAMS[incident_id], **smaller}
    assert PLAYS[incident_id](params, control) == PLAYS[incident_id](params, control)


# B03: Deribit's insurance fund.


def test_the_path_meets_the_published_points_in_minutes_no_faster_than_published() -> None:
    params = PARAMS["B03"]
    path = _published_path(params)
    prices = dict.fromkeys(price for _, price in path)
    assert all(price in prices for _, price in params["path"])
    times = [when for when, _ in path]
    assert times == sorted(set(times))
    for (_, before), (_, after) in pairwise(path):
        assert after >= before * (1 - params["fall_per_minute"]) - 0.01
    # 7,300 x 0.95^k is below 5,690 from the fifth minute on, 5,800 x 0.95^k below 3,900 from the
    # eighth.
    assert len(path) == 1 + 5 + 1 + 8


def test_a_drawn_path_meets_the_published_points_too() -> None:
    params = PARAMS["B03"]
    path = _drawn_path(params, np.random.default_rng(1))
    prices = [price for _, price in path]
    assert [price for _, price in params["path"] if price not in prices] == []
    for (start, _), (end, _) in pairwise(path):
        assert end > start
        assert (end - start) % MINUTE_NS == 0


def test_an_account_that_gaps_past_bankruptcy_leaves_its_lack_of_equity() -> None:
    """1,000 contracts of 10 USD at 10,000: 1 BTC, margin 0.1; at 8,000 it has lost 0.25."""
    params = {"maintenance_base": 0.005, "slope_per_coin": 0.0}
    accounts = _Accounts(1000.0, 10_000.0, 1.0, np.array([0.1, 0.3, 0.256]))
    lost = _losses(params, accounts, [(0, 10_000.0), (1, 8_000.0), (2, 5_000.0)])
    # The second stands at 8,000, where 0.05 BTC is left of it, and not at 5,000; the third is
    # past the line at 8,000 (0.006 against 0.00625) and closed there for nothing.
    assert lost == pytest.approx([0.15, 0.7, 0.0])


@given(st.floats(0.01, 1.0), st.lists(st.integers(1_000, 9_000), min_size=1, max_size=12))
def test_losses_are_those_of_one_account_after_the_other(margin: float, prices: list[int]) -> None:
    params = {"maintenance_base": 0.00525, "slope_per_coin": 0.00005}
    accounts = _Accounts(1000.0, 10_000.0, 1.0, np.array([margin]))
    expected = Fraction(0)
    for price in prices:
        value = Fraction(10_000, price)
        equity = Fraction(margin) + 1 - value
        if equity < (Fraction(params["maintenance_base"]) + Fraction(0.00005) * value) * value:
            expected = max(-equity, Fraction(0))
            break
    path = [(k, float(price)) for k, price in enumerate(prices)]
    assert _losses(params, accounts, path)[0] == pytest.approx(float(expected), abs=1e-12)


def test_the_fund_is_sized_by_the_drawn_falls() -> None:
    """Other draws of the same law put the figure near that quantile, and far above the middle."""
    params = {**PARAMS["B03"], "draws": 400, "probability": 0.99, "accounts": 20}
    accounts = _build_accounts(params)
    random = np.random.default_rng(0)
    totals = [float(np.sum(_losses(params, accounts, _drawn_path(params, random))))
              for _ in range(400)]  # fmt: skip
    needed = figures(play_insurance(params, False).moments[0])["needed"]
    assert np.quantile(totals, 0.95) < needed < 1.2 * max(totals)


def test_without_the_control_the_rare_fall_empties_the_fund() -> None:
    off, on = play("B03", False), play("B03", True)
    start, end = figures(off.moments[0]), figures(off.moments[-1])
    assert start["fund"] == PARAMS["B03"]["fund_btc"] < start["needed"]
    assert "the fund is empty after" in off.moments[-1].text
    # What the fund had and what it could not pay are the whole loss.
    assert end["lost"] == pytest.approx(start["fund"] - end["fund after it"] + off.bounded)
    assert "the fund holds" in on.moments[-1].text
    assert on.bounded == 0.0
    # How the crash goes does not depend on who stands for it.
    assert on.loss == off.loss


def test_the_loss_is_proportional_to_open_interest() -> None:
    """Without the size rule: why a figure that nobody published decides the loss."""
    params = {**PARAMS["B03"], "slope_per_coin": 0.0, "draws": 20, "accounts": 40}
    once = play_insurance(params, False).loss
    twice = play_insurance({**params, "open_interest_btc": 20_000.0, "fund_btc": 5e3}, False).loss
    assert twice == pytest.approx(2 * once, rel=1e-3)


# B12: auto-deleveraging by queue.


def test_the_book_has_the_published_marginals() -> None:
    params = PARAMS["B12"]
    book = build_candidates(params)
    size = book.quantity / CENTS
    assert size.size == 19_337
    assert float(size.sum()) == pytest.approx(2.1031e9, rel=1e-9)
    assert np.all(np.diff(book.quantity) <= 0)
    for count, share in zip(params["top_users"], params["top_shares"], strict=True):
        assert float(size[:count].sum() / size.sum()) == pytest.approx(share, abs=1e-6)
    assert int(book.profit.sum()) / CENTS == pytest.approx(834.3e6, rel=1e-6)
    assert np.mean(book.profit > 0) == pytest.approx(0.945, abs=0.001)
    leverage = size / (book.equity / CENTS)
    assert 0.15 <= np.median(leverage) <= 0.20


def test_contracts_by_queue_close_all_of_the_published_profit() -> None:
    off = play("B12", False)
    assert off.loss == pytest.approx(834.3e6 - 23.19e6, abs=1e3)
    last = figures(off.moments[-1])
    assert last["deficit"] == pytest.approx(23.19e6)


def test_the_house_takes_what_is_missing_and_less_than_a_lot_more_in_each_wave() -> None:
    params, on = PARAMS["B12"], play("B12", True)
    before = 0.0
    for moment in on.moments:
        over = figures(moment)["profit closed"] - figures(moment)["deficit"]
        assert before <= over < before + params["lot_usd"]
        before = over
    assert on.loss == pytest.approx(before, abs=0.01)
    assert 0 <= on.bounded < 1 / min(figures(moment)["closed"] for moment in on.moments)


@given(st.floats(0, 1e10), st.integers(1, 40))
def test_waves_are_the_whole(usd: float, waves: int) -> None:
    parts = [_part(usd, wave, waves) for wave in range(waves)]
    assert sum(parts) == round(usd * CENTS)
    assert max(parts) - min(parts) <= 1


# B13: the halt.


def test_the_trade_alone_leaves_a_pool_short_though_the_fund_is_ample() -> None:
    """A million at 1.00 on 200,000, closed at 0.70: 100,000 are missing, the fund has 250,000."""
    off = play("B13", False)
    short = next(m for m in off.moments if "failsafe" in m.text)
    assert figures(short)["lowest balance"] == pytest.approx(-100_000.0, abs=0.01)
    assert figures(short)["fund"] == 250_000.0
    assert off.bounded == pytest.approx(100_000.0, abs=0.01)


def test_the_atomic_waterfall_pays_from_the_fund_and_is_never_short() -> None:
    """The fund sells a million at 0.70 less 10 basis points: 100,000 and 700 gone."""
    on = play("B13", True)
    posted = [figures(m) for m in on.moments if "is posted" in m.text]
    assert posted
    assert all(row["lowest balance"] == 0.0 for row in posted)
    assert posted[-1]["fund"] == pytest.approx(250_000.0 - 100_000.0 - 700.0)
    assert not any("halts" in m.text for m in on.moments)


@pytest.mark.parametrize("gap", [0.15, 0.21, 0.5, 0.9])
@pytest.mark.parametrize("fund", [0.0, 50_000.0, 250_000.0])
def test_the_order_of_steps_decides_and_not_the_amounts(gap: float, fund: float) -> None:
    """In separate steps any gap past the margin halts; in one batch none does, fund or no fund."""
    params = {**PARAMS["B13"], "isolated_gap": gap, "isolated_fund_usd": fund, "stale_blocks": 1}
    expected = max(gap - params["isolated_margin"], 0.0) * params["isolated_contracts"]
    assert play_halt(params, False).bounded == pytest.approx(expected, abs=0.01)
    assert play_halt(params, True).bounded == 0.0


def test_old_prices_liquidate_all_claimants_and_the_gate_none() -> None:
    """One bitcoin each, sold at 101,516.5 less 10 basis points where it is worth 112,500."""
    params = PARAMS["B13"]
    off, on = figures(play("B13", False).moments[-1]), figures(play("B13", True).moments[-1])
    assert (off["liquidated"], on["liquidated"]) == (27, 0)
    assert on["lost to old prices"] == 0.0
    sold = round(params["bitcoin_halt"] * (1 - 0.001), 2)
    missed = 27 * (params["bitcoin_resume"] - sold)
    # The fee comes on top, at most what is left above bankruptcy, which is within maintenance.
    assert missed < off["lost to old prices"] < missed + 27 * 0.012 * params["bitcoin_halt"]


def test_the_gate_leaves_everyone_undecided_until_a_price_is_fresh() -> None:
    told = [figures(m) for m in play("B13", True).moments if "not decided" in figures(m)]
    assert [row["not decided"] for row in told] == [27.0] * (len(told) - 1) + [0.0]


# B18: hedges closed first.


def test_a_second_of_the_loop_raises_the_requirement_by_the_bare_leg() -> None:
    """40,000 USD at 3,810 without its hedge: 0.8 of 16 % up in coin, less its roll of 1 %."""
    params = PARAMS["B18"]
    coins = params["contracts_per_step"] * params["steps_per_second"] * 10 / params["price"]
    expected = 0.8 * coins * ((1 - 1 / 1.16) - 0.01)
    assert play("B18", False).bounded == pytest.approx(expected, rel=1e-3)


def test_the_loop_ends_in_bankruptcy_far_above_the_market() -> None:
    off = play("B18", False)
    first, last = figures(off.moments[0]), figures(off.moments[-1])
    assert first["equity"] == pytest.approx(0.95 * first["maintenance margin"], rel=1e-3)
    assert last["equity"] == pytest.approx(-off.loss, abs=0.05)
    assert off.loss > 0
    assert last["far future"] > 1.05 * PARAMS["B18"]["price"]
    requirements = [figures(m)["maintenance margin"] for m in off.moments]
    assert max(requirements) > 4 * requirements[0]


def test_closes_by_relief_keep_the_hedge_and_the_account() -> None:
    on = play("B18", True)
    assert on.loss == 0.0
    assert on.bounded == 0.0
    assert on.moments[-1].text == "the account stands"
    last = figures(on.moments[-1])
    assert last["equity"] > last["maintenance margin"]
    # Forced orders move the far future by no more than their collar allows, twice over at most.
    price, collar = PARAMS["B18"]["price"], PARAMS["B18"]["collar"]
    assert max(figures(m)["far future"] for m in on.moments) <= ceil(price * (1 + 2 * collar))


def test_a_thinner_market_makes_a_larger_bankruptcy() -> None:
    params = {**PARAMS["B18"], "hedge_usd": 400_000.0}
    losses = [
        play_hedge_leg({**params, "far_depth_usd": depth}, False).loss
        for depth in (40_000.0, 20_000.0, 10_000.0)
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
