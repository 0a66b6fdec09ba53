"""Where losses go: layers, insurance funds, socialised losses, protected balances."""

import itertools
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.insurance import (
    FundRules,
    Funds,
    earn_fees,
    end_event,
    is_drawn_down,
    pay_losses,
    takeover_room,
)
from plimsoll.liquidation.layers import (
    Layer,
    absorb_loss,
    absorb_losses,
    bad_debt_quantile,
    build_layers,
    load_layer_order,
    require_cover,
)
from plimsoll.liquidation.negative_balance import price_gap_risk, protect_balances
from plimsoll.liquidation.socialise import (
    charge_index,
    deposit_step,
    funding_step,
    haircut_withdrawals,
    pay_winners,
    socialise_by_open_interest,
    socialise_by_profit,
)

NOW = parse_time("2026-11-20", "test")
AMOUNT = st.integers(0, 2**61)
HOUR_NS = 3_600 * 10**9


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("loss", "capacity", "used", "uncovered"),
    [
        # Nasdaq Clearing, September 2018, EUR million: own capital, then 64 % of the fund.
        (114, (7, 166), (7, 107), 0),
        (150, (100, 10, 5, 20, 10), (100, 10, 5, 20, 10), 5),
        (0, (3, 4), (0, 0), 0),
        (3, (3, 4), (3, 0), 0),
        (9, (), (), 9),
    ],
)
def test_layers_pay_in_their_order(loss: int, capacity, used, uncovered: int) -> None:
    layers = tuple(Layer(str(k), amount) for k, amount in enumerate(capacity))
    assert absorb_loss(loss, layers) == (used, uncovered)
    many = absorb_losses(ints(loss), np.array([capacity], dtype=np.int64).reshape(1, -1))
    assert (tuple(many.used[0].tolist()), many.uncovered.tolist()) == (used, [uncovered])


@given(AMOUNT, st.lists(AMOUNT, max_size=6))
def test_used_and_uncovered_are_the_loss_after_every_layer(loss: int, capacity) -> None:
    for count in range(len(capacity) + 1):
        layers = tuple(Layer(str(k), amount) for k, amount in enumerate(capacity[:count]))
        used, uncovered = absorb_loss(loss, layers)
        assert sum(used) + uncovered == loss
        # A layer pays only when all before it are exhausted.
        assert all(used[k] == capacity[k] for k in range(count) if any(used[k + 1 :]) or uncovered)
    many = absorb_losses(ints(loss), np.array([capacity], dtype=np.int64).reshape(1, -1))
    assert many.used[0].tolist() == list(used)


@pytest.mark.parametrize(("loss", "capacity"), [(-1, 1), (1, -1)])
def test_layers_refuse_what_is_below_zero(loss: int, capacity: int) -> None:
    with pytest.raises(InputError, match="below 0"):
        absorb_loss(loss, (Layer("a", capacity),))
    with pytest.raises(InputError, match="below 0"):
        absorb_losses(ints(loss), ints(capacity).reshape(1, 1))


def test_a_clearing_house_and_a_venue_have_their_orders() -> None:
    order = load_layer_order("emir", NOW)
    assert order[:3] == ("margin", "default_fund_contribution", "own_capital")
    layers = build_layers(order, ["default_fund", "own_capital"], ints(166, 7))
    used, uncovered = absorb_loss(114, layers)
    assert (used, uncovered) == ((0, 0, 7, 107, 0), 0)
    assert load_layer_order("venue", NOW)[-3:] == (
        "insurance_fund", "auto_deleveraging", "socialised_loss",
    )  # fmt: skip
    with pytest.raises(InputError, match="is no order"):
        load_layer_order("emire", NOW)
    with pytest.raises(InputError, match="'skin' is not in the order"):
        build_layers(order, ["skin"], ints(1))
    with pytest.raises(InputError, match="not in the order once"):
        build_layers(order, ["margin", "margin"], ints(1, 2))


def test_cover_rules_are_different_numbers() -> None:
    losses = np.array([[40, 25, 10, 5], [10, 35, 30, 5], [60, 5, 20, 8]])
    alone = require_cover(losses, np.arange(4))
    assert (alone.cover_1, alone.cover_2, alone.emir_42) == (60, 80, 60)
    # The second and third member are one firm: 35, 65, 25 together.
    grouped = require_cover(losses, ints(0, 1, 1, 2))
    assert (grouped.cover_1, grouped.cover_2, grouped.emir_42) == (65, 85, 65)
    with pytest.raises(InputError):
        require_cover(losses - 41, np.arange(4))


@given(st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=1, max_size=4))
def test_cover_rules_against_all_pairs(losses) -> None:
    found = require_cover(np.array(losses), np.arange(4))
    assert found.cover_1 == max(max(row) for row in losses)
    pairs = [sum(p) for row in losses for p in itertools.combinations(row, 2)]
    assert found.cover_2 == max(pairs)
    # The second and third largest are the best pair without the one that is largest.
    rest = [sum(sorted(row)[-3:-1]) for row in losses]
    assert found.emir_42 == max(found.cover_1, *rest)
    assert found.cover_1 <= found.emir_42 <= found.cover_2


def test_a_quantile_of_simulated_bad_debt_is_an_order_statistic() -> None:
    totals = np.arange(1, 1001)
    losses = np.column_stack([totals // 2, totals - totals // 2])[::-1]
    assert bad_debt_quantile(losses, 0.999) == 999
    assert bad_debt_quantile(losses, 0.9991) == 1000
    assert bad_debt_quantile(losses, 1e-9) == 1


RULES = FundRules(
    fund=ints(0, 1, 1),
    market_cap=ints(100, 60, 100),
    event_cap=ints(1000, 80),
    floor=ints(1, 0),
    target=ints(10**6, 200),
    fee_share_millionths=ints(500_000, 1_000_000, 0),
)


@pytest.mark.parametrize(
    ("balance", "market", "loss", "paid"),
    [
        ((50, 500), (0, 0), (30, 30), (30, 19)),  # the first fund keeps 1
        ((0, 500), (0, 1), (30, 30), (0, 30)),  # an empty fund hinders no other
        ((50, 500), (1, 1), (50, 50), (50, 10)),  # cap of the market
        ((50, 500), (1, 2), (50, 50), (50, 30)),  # cap of the event
        ((50, 20), (2, 1), (15, 15), (15, 5)),  # two defaults, first come
        ((50, 500), (), (), ()),
    ],
)
def test_a_fund_pays_within_all_its_bounds(balance, market, loss, paid) -> None:
    funds = Funds(ints(*balance), ints(0, 0, 0))
    got = pay_losses(funds, RULES, ints(*market), ints(*loss))
    assert got.paid.tolist() == list(paid)
    assert (got.paid + got.uncovered).tolist() == list(loss)
    assert sum(balance) - got.funds.balance.sum() == sum(paid)
    again = pay_losses(got.funds, RULES, ints(*market), ints(*loss))
    assert np.all(end_event(got.funds).paid == 0)
    assert again.funds.paid.sum() == got.paid.sum() + again.paid.sum()


@given(
    st.tuples(AMOUNT, AMOUNT),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**60)), max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**60)), max_size=8),
)
def test_a_fund_neither_makes_nor_loses_money(balance, losses, fees) -> None:
    caps = replace(RULES, market_cap=ints(2**62, 2**40, 2**50), event_cap=ints(2**62, 2**50))
    funds = Funds(ints(*balance), ints(0, 0, 0))
    market, loss = (ints(*(row[k] for row in losses)) for k in range(2))
    payments = pay_losses(funds, caps, market, loss)
    assert np.all(payments.paid + payments.uncovered == loss)
    assert min(payments.funds.balance.tolist()) >= 0
    at, fee = (ints(*(row[k] for row in fees)) for k in range(2))
    income = earn_fees(payments.funds, caps, at, fee)
    assert np.all(income.to_fund >= 0)
    assert np.all(income.to_fund + income.to_venue == fee)
    change = sum(income.to_fund.tolist()) - sum(payments.paid.tolist())
    assert sum(income.funds.balance.tolist()) == sum(balance) + change


def test_fees_refill_a_fund_up_to_its_target() -> None:
    income = earn_fees(Funds(ints(5, 190), ints(0, 0, 0)), RULES, ints(0, 1, 2), ints(7, 30, 9))
    assert income.to_fund.tolist() == [3, 10, 0]
    assert income.to_venue.tolist() == [4, 20, 9]
    assert income.funds.balance.tolist() == [8, 200]


@pytest.mark.parametrize(
    "change",
    [
        {"fund": ints(0, 1, 2)},
        {"fund": ints(0, 1)},
        {"market_cap": ints(1, 1, -1)},
        {"fee_share_millionths": ints(0, 0, 10**6 + 1)},
        {"event_cap": np.array([1.0, 2.0])},
    ],
)
def test_rules_that_do_not_fit_are_refused(change) -> None:
    funds = Funds(ints(5, 5), ints(0, 0, 0))
    with pytest.raises(InputError, match="insurance fund"):
        pay_losses(funds, replace(RULES, **change), ints(0), ints(1))


@pytest.mark.parametrize(("market", "loss"), [((3,), (1,)), ((0,), (-1,)), ((0, 1), (1,))])
def test_losses_that_do_not_fit_are_refused(market, loss) -> None:
    funds = Funds(ints(5, 5), ints(0, 0, 0))
    with pytest.raises(InputError, match="names no market"):
        pay_losses(funds, RULES, ints(*market), ints(*loss))


@pytest.mark.parametrize(
    ("balances", "now_h", "called"),
    [
        ((100, 100, 70), 2, True),  # 30 % below the peak
        ((100, 100, 71), 2, False),
        ((100, 71, 70), 9, True),  # the 100 of hour 0 is still in force when the window opens
        ((100, 70, 70), 9, False),  # it ended at hour 1, when the window opens
        ((100, 70, 0), 12, True),  # empty
        ((0, 0, 0), 2, True),
    ],
)
def test_a_drawn_down_fund_calls_deleveraging(balances, now_h: int, called: bool) -> None:
    hours = ints(0, 2, 3) if now_h == 9 and balances[1] == 71 else ints(0, 1, 2)
    got = is_drawn_down(hours * HOUR_NS, ints(*balances), now_h * HOUR_NS, 8 * HOUR_NS, 300_000)
    assert got == called


def test_a_fund_without_history_is_refused() -> None:
    with pytest.raises(InputError, match="history"):
        is_drawn_down(ints(5), ints(1), 4, 8, 300_000)


def test_what_a_fund_may_still_take_over() -> None:
    assert takeover_room(100, 40, 10**6) == 60
    assert takeover_room(100, 140, 10**6) == 0


def test_drifts_funding_index() -> None:
    """Drift v2, funding_delta_to_resolve_bankruptcy: 100 on 7 long and 4 short."""
    move = funding_step(100_000_000, 7_000_000_000, -4_000_000_000, 10**9, 10**3)
    assert move.step == 9_090_910_000
    paid = charge_index(move, ints(7 * 10**9, -4 * 10**9), 10**8)
    assert paid.borne.tolist() == [63_636_370, 36_363_640]
    assert paid.surplus == 10


@given(AMOUNT, st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(1, 10**9))
def test_an_index_collects_the_loss_and_little_more(loss: int, held, precision: int) -> None:
    loss %= 2**50
    long, short = sum(max(h, 0) for h in held), sum(min(h, 0) for h in held)
    if not any(held):
        if loss:
            with pytest.raises(InputError, match="open interest"):
                funding_step(loss, long, short, precision, 1)
        return
    move = funding_step(loss, long, short, precision, 1)
    got = charge_index(move, ints(*held), loss)
    bound = Fraction(long - short, precision) + 1 + len(held)
    assert sum(got.borne.tolist()) == loss + got.surplus
    assert 0 <= got.surplus < bound
    exact = [Fraction(abs(h) * move.step, precision) for h in held]
    assert all(0 <= b - e < 1 for b, e in zip(got.borne.tolist(), exact, strict=True))


def test_an_index_needs_all_its_holders() -> None:
    move = funding_step(100, 10, -10, 1, 1)
    with pytest.raises(InputError, match="made for more"):
        charge_index(move, ints(10), 100)


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(1, 10**10))
def test_a_deposit_index_falls_by_the_loss(loss: int, deposits: int, index: int) -> None:
    if loss > deposits:
        with pytest.raises(InputError, match="exceeds the deposits"):
            deposit_step(loss, deposits, index)
        return
    move = deposit_step(loss, deposits, index)
    assert 0 <= move.step - Fraction(loss * index, deposits) < 1
    assert move.step <= index
    assert charge_index(move, ints(deposits), loss).surplus <= deposits // index + 1


PAYERS = st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=9)


@settings(deadline=None)
@given(AMOUNT, PAYERS, st.randoms(use_true_random=False))
def test_keys_share_a_loss_exactly(loss: int, column, random) -> None:
    account = np.arange(len(column)) * 2
    moved = list(range(len(column)))
    random.shuffle(moved)
    values, at = ints(*column), np.array(moved)
    won = sum(max(value, 0) for value in column)
    by_profit = socialise_by_profit(loss, values, account)
    assert sum(by_profit.borne.tolist()) + by_profit.uncovered == loss
    assert by_profit.uncovered == max(loss - won, 0)
    assert np.all((by_profit.borne >= 0) & (by_profit.borne <= np.maximum(values, 0)))
    other = socialise_by_profit(loss, values[at], account[at])
    assert other.borne.tolist() == by_profit.borne[at].tolist()
    if any(column):
        by_size = socialise_by_open_interest(loss, values, account)
        total = sum(map(abs, column))
        assert sum(by_size.borne.tolist()) == loss
        for part, own in zip(by_size.borne.tolist(), column, strict=True):
            assert abs(part - Fraction(loss * abs(own), total)) < 1


def test_a_loss_that_nobody_holds_against_is_refused() -> None:
    with pytest.raises(InputError, match="nobody is left"):
        socialise_by_open_interest(5, ints(0, 0), ints(1, 2))
    with pytest.raises(InputError, match="below 0"):
        socialise_by_profit(-5, ints(1, 2), ints(1, 2))


def test_winners_get_floors_and_the_last_the_rest() -> None:
    """100 of 150 to wins of 70, 50, 30: 46, 33, 20 and 1 to the last winner by id."""
    wins, ids = ints(50, 0, 70, 30), ints(2, 9, 1, 3)
    assert pay_winners(wins, 100, ids).tolist() == [33, 0, 46, 21]
    assert pay_winners(wins, 0, ids).tolist() == [0, 0, 0, 0]
    assert pay_winners(wins, 150, ids).tolist() == wins.tolist()
    assert pay_winners(ints(0, 0), 0, ints(1, 2)).tolist() == [0, 0]
    with pytest.raises(InputError, match="more is collected"):
        pay_winners(wins, 151, ids)


def test_withdrawals_are_cut_by_the_share_of_bad_debt() -> None:
    """25 of bad debt beside 100 of assets: a fifth, and if all leave, all assets go."""
    withheld = haircut_withdrawals(25, 125, ints(50, 75, 1))
    assert withheld.tolist() == [10, 15, 1]
    assert haircut_withdrawals(0, 0, ints(0)).tolist() == [0]
    with pytest.raises(InputError, match="owe more"):
        haircut_withdrawals(126, 125, ints(1))


@given(st.lists(st.integers(-(2**62), 2**62), max_size=8))
def test_protection_books_what_it_forgives(column) -> None:
    got = protect_balances(ints(*column))
    assert (got.balance - got.bad_debt).tolist() == column
    assert np.all((got.balance >= 0) & (got.bad_debt >= 0))
    assert np.all((got.balance == 0) | (got.bad_debt == 0))


def test_balances_that_are_no_amounts_are_refused() -> None:
    with pytest.raises(InputError, match="no amount"):
        protect_balances(np.array([1.5]))


def gap_by_quadrature(leverage: float, side: int, mean: float, deviation: float) -> tuple:
    strike = 1 - side / mpmath.mpf(leverage)
    border = (mpmath.log(strike) - mean) / deviation
    far = -40 * side
    value = mpmath.quad(
        lambda z: abs(strike - mpmath.exp(mean + deviation * z)) * mpmath.npdf(z),
        sorted([far, far / 5, border]),
    )
    return float(value), float(mpmath.ncdf(side * border))


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("leverage", "mean", "deviation"),
    [(20, -0.03, 0.05), (5, -0.1, 0.08), (100, 0.0, 0.01), (2, -0.5, 0.3)],
)
def test_the_promise_is_an_option(
    side: int, leverage: float, mean: float, deviation: float
) -> None:
    one, is_long = np.ones(1), np.array([side > 0])
    got = price_gap_risk(leverage * one, is_long, mean * one, deviation * one, 6 * one)
    value, probability = gap_by_quadrature(leverage, side, mean, deviation)
    assert got.loss_per_jump[0] == pytest.approx(value, rel=1e-10)
    assert got.bankruptcy_per_jump[0] == pytest.approx(probability, rel=1e-10)
    per_day = -np.expm1(-6 / 365 * probability)
    assert got.bankruptcy_per_day[0] == pytest.approx(per_day, rel=1e-10)
    assert got.loss_per_day[0] == pytest.approx(6 / 365 * value, rel=1e-10)


def test_no_leverage_owes_nothing_and_what_is_unknown_stays_so() -> None:
    leverage = np.array([1.0, 0.5, 10, np.nan, 10, 10, -1, np.inf])
    deviation = np.array([0.1, 0.1, np.nan, 0.1, 0.0, 0.1, 0.1, 0.1])
    rate = np.array([6.0, 6, 6, 6, 6, -1, 6, 6])
    is_long = np.ones(8, dtype=np.bool_)
    got = price_gap_risk(leverage, is_long, np.full(8, -0.1), deviation, rate)
    for column in (got.loss_per_jump, got.bankruptcy_per_jump, got.bankruptcy_per_day):
        assert column[:2].tolist() == [0, 0]
        assert np.all(np.isnan(column[2:]))
    short = price_gap_risk(leverage, ~is_long, np.full(8, -0.1), deviation, rate)
    assert np.all(short.loss_per_jump[:2] > 0)
    with pytest.raises(InputError, match="differ in shape"):
        price_gap_risk(leverage, is_long[:1], leverage, deviation, rate)
