"""dYdX's prices and limits: who keeps what, to the quantum."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.protocols.dydx_v4 import (
    bankruptcy_quote,
    block_limits,
    fill_quote,
    fillable_price,
    insurance_fund_delta,
    load_parameters,
    quantums_within,
    subaccount_left,
)
from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.venues.dydx_v4 import PPM, maintenance_margin

PARAMETERS = load_parameters(parse_time("2026-01-01T00:00:00Z", "test"))
RATES = (50_000, 600_000)
AMOUNTS = st.integers(-(10**13), 10**13)
BOOKS = st.lists(AMOUNTS.filter(lambda n: abs(n) > 1000), min_size=1, max_size=5)


def margin(notional: int) -> int:
    return int(maintenance_margin(EXACT, notional, *RATES))


def close(cash: int, book: list[int], at: int, part: int) -> tuple[int, list[int]]:
    """The account after ``part`` per cent of a position was closed at the bankruptcy price."""
    left = [*book]
    left[at] -= book[at] * part // 100
    changes = left[at] - book[at], margin(left[at]) - margin(book[at])
    collateral, total = cash + sum(book), sum(map(margin, book))
    return cash + bankruptcy_quote(EXACT, *changes, collateral, total), left


@given(AMOUNTS, BOOKS, st.integers(0, 4), st.integers(1, 100))
def test_the_bankruptcy_price_keeps_collateral_per_margin(
    cash: int, book: list[int], at: int, part: int
) -> None:
    after, left = close(cash, book, at % len(book), part)
    before, total = cash + sum(book), sum(map(margin, book))
    collateral, kept = after + sum(left), sum(map(margin, left))
    # No worse, and by less than a quantum better.
    assert collateral * total >= before * kept
    assert (collateral - 1) * total < before * kept


@given(AMOUNTS, BOOKS, st.randoms(use_true_random=False))
def test_closing_everything_leaves_exactly_nothing(cash: int, book: list[int], chance) -> None:
    order = list(range(len(book)))
    chance.shuffle(order)
    for at in order:
        cash, book = close(cash, book, at, 100)
    assert cash == 0
    assert not any(book)


@given(AMOUNTS, AMOUNTS, st.integers(0, PPM))
def test_a_fill_is_shared_by_account_and_fund(received: int, bankruptcy: int, fee: int) -> None:
    delta = insurance_fund_delta(EXACT, received, bankruptcy, fee)
    kept = received - delta
    # What the fill brings is what the account keeps and the fund gets; never below bankruptcy.
    assert kept >= bankruptcy
    assert max(delta, 0) * PPM <= abs(received) * fee
    if received <= bankruptcy:
        assert kept == bankruptcy
    else:
        assert delta >= 0
        # It takes no less than the fee while the account can pay it.
        assert delta == received - bankruptcy or (delta + 1) * PPM > abs(received) * fee


@pytest.mark.parametrize(
    ("collateral", "price"),
    [
        # Long 2 worth 1,000 in all, maintenance 50: at the margin the oracle price; half way down
        # half of 10 % of 50 off; at zero and below all of it.
        (50, Fraction(500)),
        (25, Fraction(4_9875, 100)),
        (0, Fraction(4975, 10)),
        (-80, Fraction(4975, 10)),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_the_fillable_price_moves_away_from_the_oracle(
    collateral: int, price: Fraction, side: int
) -> None:
    parameters = replace(
        PARAMETERS, bankruptcy_adjustment_ppm=PPM, spread_to_maintenance_ppm=100_000
    )
    given_ = (2 * side, 1000 * side, 50, collateral, 50, parameters)
    expected = price if side == 1 else 1000 - price
    assert fillable_price(EXACT, *given_) == expected
    assert fillable_price(FLOAT, *given_) == pytest.approx(float(expected))


@given(AMOUNTS, st.integers(0, PPM), st.integers(0, 10**10))
def test_limits_are_in_order(notional: int, portion: int, least: int) -> None:
    parameters = replace(PARAMETERS, position_portion_max_ppm=portion, position_notional_min=least)
    limits = block_limits(EXACT, notional, parameters)
    assert 0 <= limits.least <= limits.most <= abs(notional)
    assert limits.least == min(least, abs(notional))
    assert limits.most >= abs(notional) * portion // PPM


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(1, 10**9), st.integers(1, 10**4))
def test_no_step_more_is_within_a_limit(
    limit: int, quantums: int, notional: int, step: int
) -> None:
    found = quantums_within(EXACT, limit, quantums, notional, step)
    assert found % step == 0
    assert found <= quantums
    assert found * notional <= limit * quantums
    assert found + step > quantums or (found + step) * notional > limit * quantums


def test_a_fill_rounds_down() -> None:
    assert fill_quote(EXACT, 56_100_000_001, 10_000_000, -8) == 5_610_000_000
    assert fill_quote(FLOAT, 15.0, 1.0, -1) == 1.5
    assert fill_quote(EXACT, 3, 5, 2) == 1500


def test_what_is_left_of_a_block() -> None:
    assert [subaccount_left(100, used) for used in (0, 40, 100, 130)] == [100, 60, 0, 0]


def test_without_margin_nothing_is_liquidated() -> None:
    with pytest.raises(InputError, match="maintenance"):
        bankruptcy_quote(EXACT, -5, -1, 10, 0)
    with pytest.raises(InputError, match="maintenance"):
        fillable_price(EXACT, 1, 5, 0, 10, 0, PARAMETERS)


def test_the_parameters_are_the_main_networks() -> None:
    assert PARAMETERS.position_notional_min == 1000 * 10**6
    assert PARAMETERS.position_portion_max_ppm * 10 == PPM
    with pytest.raises(InputError, match="no parameters are in force"):
        load_parameters(parse_time("2023-01-01T00:00:00Z", "test"))


@pytest.mark.parametrize("unknown", [(float("nan"), 1.0), (1.0, float("nan"))])
def test_an_unknown_fill_has_no_fee(unknown: tuple[float, float]) -> None:
    found = insurance_fund_delta(FLOAT, *unknown, 5000)
    assert found != found
