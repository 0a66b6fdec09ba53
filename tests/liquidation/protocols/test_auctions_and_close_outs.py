"""Derive's auctions and Vega's close-outs: what is left, and who gets it."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.protocols import derive, vega
from plimsoll.margin.arithmetic import EXACT, FLOAT

AS_OF = parse_time("2026-01-01T00:00:00Z", "test")
TERMS = derive.load_parameters(AS_OF)
PARAMETERS = replace(
    TERMS, start=Fraction(19, 20), cutoff=Fraction(7, 10), fee_rate=Fraction(1, 10),
    buffer=Fraction(3, 20),
)  # fmt: skip
MONEY = st.fractions(0, 10**6, max_denominator=100)
SHARES = st.fractions(Fraction(1, 1000), 1, max_denominator=1000)
SECONDS = st.integers(0, 60_000)


@pytest.mark.parametrize(
    ("elapsed", "discount"),
    [
        (0, Fraction(95, 100)), (450, Fraction(825, 1000)), (900, Fraction(7, 10)),
        (900 + 21_600, Fraction(35, 100)), (900 + 43_200, 0), (10**6, 0),
    ],
)  # fmt: skip
def test_the_discount_falls_fast_then_slowly(elapsed: int, discount: Fraction) -> None:
    assert derive.discount(EXACT, elapsed, PARAMETERS) == discount
    assert derive.discount(FLOAT, elapsed, TERMS) == pytest.approx(float(discount))


@given(MONEY.filter(bool), MONEY.filter(bool), SHARES, SHARES, SECONDS)
def test_a_solvent_bid_ends_at_the_buffer_or_before(
    worth: Fraction, lack: Fraction, part: Fraction, wanted: Fraction, elapsed: int
) -> None:
    # Reserved cash is part of what the account is worth, less than the buffer lets it keep.
    account = derive.Account(worth, -lack, worth * part / 2)
    margin = derive.buffer_margin(account, PARAMETERS)
    assert margin == -lack * Fraction(23, 20) - worth * Fraction(3, 20)
    bid = derive.solvent_bid(EXACT, account, wanted, elapsed, PARAMETERS)
    most = derive.share_max(EXACT, account, derive.discount(EXACT, elapsed, PARAMETERS), PARAMETERS)
    assert bid.share == min(wanted, most)
    assert bid.is_last == (wanted >= most)
    rate = derive.discount(EXACT, elapsed, PARAMETERS)
    assert bid.price == bid.share * rate * (worth - account.reserved_cash)

    def left(share: Fraction) -> Fraction:
        """Buffer margin of the unsold part, reserved cash and what the bidder paid."""
        paid = share * rate * (worth - account.reserved_cash)
        return (margin - account.reserved_cash) * (1 - share) + account.reserved_cash + paid

    assert 0 < most <= 1
    if most < 1:
        assert left(most) == 0
        assert left(most - Fraction(1, 10**6)) < 0
    else:
        assert left(Fraction(999, 1000)) < 0


def test_a_small_account_is_sold_whole() -> None:
    account = derive.Account(Fraction(10), Fraction(-1), Fraction(0))
    assert derive.share_max(EXACT, account, Fraction(1, 2), PARAMETERS, worth_min=11) == 1
    assert derive.share_max(EXACT, account, Fraction(1, 2), PARAMETERS, worth_min=10) < 1


def test_the_fee_at_the_start() -> None:
    # Buffer margin -30 - 0.15 × 130 = -49.5; 49.5 / (49.5 + 100) of 100, a tenth of it.
    account = derive.Account(Fraction(100), Fraction(-30), Fraction(20))
    fee = derive.upfront_fee(EXACT, account, PARAMETERS)
    assert fee == Fraction(495, 1495) * 10


@pytest.mark.parametrize(
    ("worth", "elapsed", "paid"),
    [
        # From nothing, or from the debt, to what maintenance lacks: 0 or 20 to 80, halved.
        (50, 0, 0), (50, 1800, 20), (50, 3600, 40), (50, 10**6, 40), (0, 900, 10),
        (-20, 0, 10), (-20, 1800, 25), (-20, 3600, 40), (-90, 3600, 45),
    ],
)  # fmt: skip
def test_an_insolvent_account_is_paid_for(worth: int, elapsed: int, paid: int) -> None:
    account = derive.Account(worth, -80, 0)
    assert derive.insolvent_price(EXACT, account, Fraction(1, 2), elapsed, PARAMETERS) == paid
    assert derive.insolvent_price(FLOAT, account, 0.5, elapsed, TERMS) == pytest.approx(paid)


@given(MONEY, MONEY, MONEY)
def test_who_pays_an_insolvent_account(due: Fraction, cash: Fraction, fees: Fraction) -> None:
    paid = derive.insolvent_payout(due, cash, fees)
    assert paid.from_module + paid.from_fees + paid.minted == due
    assert 0 <= paid.from_module <= cash
    assert 0 <= paid.from_fees <= fees
    # In this order: the next pays only when the one before is empty.
    assert paid.from_fees == 0 or paid.from_module == cash
    assert paid.minted == 0 or paid.from_fees == fees


def test_a_withdrawal_burns_more_while_cash_is_short() -> None:
    assert derive.withdrawal_burn(EXACT, 90, Fraction(9, 10)) == 100
    assert derive.withdrawal_burn(EXACT, 90, Fraction(11, 10)) == 90
    with pytest.raises(InputError, match="nothing backs"):
        derive.withdrawal_burn(EXACT, 90, 0)


def test_auctions_refuse_what_is_none() -> None:
    with pytest.raises(InputError, match="insolvent"):
        derive.solvent_bid(EXACT, derive.Account(0, -5, 0), 1, 0, PARAMETERS)
    for share in (0, Fraction(11, 10), math.nan):
        with pytest.raises(InputError, match="no share"):
            derive.insolvent_price(EXACT, derive.Account(0, -5, 0), share, 0, PARAMETERS)


def test_unknown_margins_make_unknown_bids() -> None:
    bid = derive.solvent_bid(FLOAT, derive.Account(10.0, math.nan, 0.0), 0.5, 0, TERMS)
    assert math.isnan(bid.share)
    lost = derive.Account(-5.0, math.nan, 0.0)
    assert math.isnan(derive.insolvent_price(FLOAT, lost, 0.5, 60, TERMS))
    assert math.isnan(derive.insolvent_payout(math.nan, 5.0, 5.0).minted)


@given(st.integers(-50, 50), st.integers(0, 10**6), *[st.integers(0, 10**5)] * 3)
def test_marking_and_closing_lose_nothing(
    size: int, balance: int, last: int, mark: int, maintenance: int
) -> None:
    marked = vega.mark_to_market(size, balance, last, mark)
    assert marked.balance - marked.unpaid == balance + size * (mark - last)
    assert min(marked.balance, marked.unpaid) == 0
    closed = vega.isolated_close_out(size, marked.balance, maintenance)
    assert closed.to_insurance + closed.balance == marked.balance
    assert closed.is_closed == (marked.balance < maintenance)
    expected = (size, marked.balance) if closed.is_closed else (0, 0)
    assert (closed.size, closed.to_insurance) == expected


def test_the_line_itself_is_no_breach() -> None:
    assert not vega.isolated_close_out(-18, 126_000, 126_000).is_closed
    assert vega.isolated_close_out(-18, 125_999, 126_000).to_insurance == 125_999


@given(st.lists(st.integers(1, 10**9), min_size=1), st.fractions(0, 1, max_denominator=1000))
def test_winners_share_what_was_collected(wins: list[int], part: Fraction) -> None:
    collected = int(sum(wins) * part)
    shares = vega.shared_wins(EXACT, wins, collected)
    assert sum(shares) == collected
    for win, share in zip(wins[:-1], shares[:-1], strict=True):
        assert share == win * collected // sum(wins)
    assert vega.shared_wins(EXACT, wins, sum(wins)) == tuple(wins)


def test_losses_that_the_pool_pays() -> None:
    assert vega.insurance_payment(70, 50) == 50
    assert vega.insurance_payment(30, 50) == 30
    assert vega.shared_wins(EXACT, [], 0) == ()


@pytest.mark.parametrize(
    ("held", "offered", "size"),
    # A tenth, rounded up; all of 20 or less; a twentieth of what is offered.
    [(100, 10**6, 10), (101, 10**6, 11), (21, 10**6, 3), (20, 10**6, 20), (20, 399, 19), (0, 5, 0)],
)
def test_the_network_sells_in_steps(held: int, offered: int, size: int) -> None:
    parameters = vega.load_parameters(AS_OF)
    assert vega.disposal_size(EXACT, held, offered, parameters) == size
    with pytest.raises(InputError, match="no strategy"):
        vega.load_parameters(AS_OF, "XYZ")
