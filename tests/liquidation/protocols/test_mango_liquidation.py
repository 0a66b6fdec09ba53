"""Mango's liquidations in fractions: health afterwards, and what each party gets.

The oracle is health written out for one account: other tokens count ``rest``.
"""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.protocols.mango_v4 import (
    Fees,
    Insurance,
    Perp,
    Token,
    deposit_index_change,
    funding_change,
    liquidate_perp,
    liquidate_token,
    load_parameters,
    settle_debt,
    settle_loss,
)
from plimsoll.margin.arithmetic import EXACT, FLOAT

PARAMETERS = load_parameters(parse_time("2026-01-01T00:00:00Z", "test"))
NONE = Fees(0, 0)
AMOUNTS = st.fractions(0, 1000, max_denominator=10)
SIGNED = st.fractions(-1000, 1000, max_denominator=10)
FEES = st.builds(Fees, *[st.fractions(0, Fraction(1, 50), max_denominator=500)] * 2)
PRICES = st.fractions(Fraction(1, 10), 50, max_denominator=10)
LOW = st.fractions(Fraction(1, 2), Fraction(19, 20), max_denominator=20)
HIGH = st.fractions(Fraction(21, 20), Fraction(3, 2), max_denominator=20)


def counted(amount: Fraction, low: Fraction, high: Fraction, price: Fraction) -> Fraction:
    """What a balance counts: the asset weight above zero, the liability weight below."""
    return amount * (high if amount < 0 else low) * price


@st.composite
def tokens(draw, sign: int) -> Token:
    balance = sign * draw(AMOUNTS.filter(bool))
    return Token(balance, balance + draw(SIGNED) / 10, draw(LOW), draw(HIGH), draw(PRICES))


@given(tokens(1), tokens(-1), SIGNED, AMOUNTS, FEES, FEES)
def test_a_token_for_a_token_ends_at_zero_health_or_at_a_cap(
    asset: Token, debt: Token, rest: Fraction, most: Fraction, fees: Fees, more_fees: Fees
) -> None:
    assume(asset.effective > 0 > debt.effective)

    def health(paid: Fraction, rate: Fraction) -> Fraction:
        return (
            rest
            + counted(asset.effective - paid * rate, asset.asset_weight, 0, asset.price)
            + counted(debt.effective + paid, 0, debt.liability_weight, debt.price)
        )

    start = health(Fraction(0), Fraction(0))
    moved = liquidate_token(EXACT, start, asset, debt, most, fees, more_fees)
    dearer = math.prod(1 + side.liquidator + side.platform for side in (fees, more_fees))
    rate = debt.price / asset.price * dearer
    assert moved.asset == moved.liability * rate
    # What the account loses the liquidator and the protocol get.
    assert moved.to_liquidator + moved.fee == moved.asset
    assert moved.fee >= 0
    assert moved.liability <= min(most, -debt.balance, -debt.effective)
    assert moved.asset <= min(asset.balance, asset.effective)
    caps = (most, -debt.balance, -debt.effective, asset.balance / rate, asset.effective / rate)
    if start >= 0:
        assert moved.liability == 0
    elif moved.liability < min(caps):
        assert health(moved.liability, rate) == 0
        assert health(moved.liability - Fraction(1, 1000), rate) < 0


@st.composite
def perps(draw) -> Perp:
    price, lot = draw(PRICES), draw(st.integers(1, 5))
    lots = draw(st.integers(-60, 60))
    quote = -lots * lot * price + draw(SIGNED)
    overall = draw(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(9, 10), Fraction(1)]))
    low = draw(st.fractions(Fraction(1, 2), Fraction(9, 10), max_denominator=20))
    high = draw(st.fractions(Fraction(11, 10), Fraction(3, 2), max_denominator=20))
    return Perp(lots, quote, lot, price, low, high, overall)


def profit_of(perp: Perp) -> Fraction:
    weight = perp.liability_weight if perp.lots < 0 else perp.asset_weight
    found = perp.quote + perp.lots * perp.lot_size * perp.price * weight
    return found * perp.overall_weight if found > 0 else found


@given(
    perps(), SIGNED, SIGNED, LOW, HIGH, PRICES, st.integers(0, 70), AMOUNTS, FEES,
    st.fractions(0, Fraction(1, 4), max_denominator=20),
)  # fmt: skip
def test_a_perpetual_ends_healthy_or_at_a_limit(
    perp: Perp, rest: Fraction, balance: Fraction, low: Fraction, high: Fraction, price: Fraction,
    most: int, most_profit: Fraction, fees: Fees, profit_fee: Fraction,
) -> None:  # fmt: skip
    def health(held: Perp, deposits: Fraction) -> Fraction:
        return rest + counted(deposits + profit_of(held), low, high, price)

    token = Token(balance, balance + profit_of(perp), low, high, price)
    start = health(perp, balance)
    moved = liquidate_perp(
        EXACT, start, perp, token, most, most_profit, fees, profit_fee, PARAMETERS
    )
    after = replace(
        perp, lots=perp.lots + moved.lots, quote=perp.quote + moved.quote - moved.profit
    )
    end = health(after, balance + moved.paid)
    assert end >= start
    assert abs(moved.lots) <= min(abs(perp.lots), most)
    assert moved.lots * perp.lots <= 0
    assert 0 <= moved.profit <= most_profit
    assert moved.paid == moved.profit * (1 - profit_fee)
    # The trade is at the oracle price, worse by the fees, of which the protocol has its part.
    at_oracle = -moved.lots * perp.lot_size * perp.price
    worse = abs(at_oracle) * (fees.liquidator + fees.platform)
    assert moved.quote == at_oracle - worse
    assert moved.fee == abs(at_oracle) * fees.platform
    both = fees.liquidator + fees.platform
    side = 1 - both - perp.asset_weight if perp.lots > 0 else perp.liability_weight - 1 - both
    a_lot = perp.lot_size * perp.price * side * high * price
    left = min(abs(perp.lots), most) - abs(moved.lots)
    if start >= 0:
        assert (moved.lots, moved.profit) == (0, 0)
    elif end < Fraction(-1, 2) and left > 0 and profit_of(perp) >= 0:
        # All that may be sold and reduced has been, or it would not have helped.
        assert perp.overall_weight == 0
        assert moved.profit == most_profit
    elif end < Fraction(-1, 2) and left > 0 and perp.overall_weight > 0:
        # The lot that took the profit above zero counted in full.
        assert end + a_lot * (1 - perp.overall_weight) >= Fraction(-1, 2)
    else:
        # No more than a lot too much.
        assert end < a_lot or end <= 0


def test_weights_within_the_fees_are_refused() -> None:
    perp = Perp(5, 0, 1, 10, Fraction(99, 100), Fraction(101, 100), 1)
    token = Token(-100, -50, 1, 1, 1)
    with pytest.raises(InputError, match="no gain after fees"):
        liquidate_perp(EXACT, -50, perp, token, 5, 0, Fees(Fraction(1, 50), 0), 0, PARAMETERS)
    owed = Token(-5, -5, 1, Fraction(101, 100), 1)
    with pytest.raises(InputError, match="no gain after fees"):
        liquidate_token(EXACT, -1, Token(5, 5, 1, 1, 1), owed, 5, Fees(Fraction(1, 50), 0), NONE)


@given(
    AMOUNTS.filter(bool), SIGNED, SIGNED, PRICES, AMOUNTS, AMOUNTS, st.integers(0, 3000), PRICES,
    st.fractions(0, Fraction(1, 10), max_denominator=20),
)  # fmt: skip
def test_a_loss_is_settled_insured_and_shared(
    loss: Fraction, balance: Fraction, rest: Fraction, price: Fraction, most: Fraction,
    limit: Fraction, vault: int, fund_price: Fraction, fee: Fraction,
) -> None:  # fmt: skip
    low, high = Fraction(9, 10), Fraction(11, 10)

    def health(deposits: Fraction, owed: Fraction) -> Fraction:
        return rest + counted(deposits - owed, low, high, price)

    start = health(balance, loss)
    moved = settle_loss(
        EXACT, start, health(balance, Fraction(0)), loss,
        Token(balance, balance - loss, low, high, price),
        Token(balance, balance, low, high, price), most, limit, Insurance(vault, fund_price), fee,
    )  # fmt: skip
    left = loss - moved.settled - moved.insured - moved.socialized
    assert left >= 0
    assert min(moved.settled, moved.insured, moved.insurance, moved.socialized) >= 0
    assert moved.settled + moved.insured <= most
    assert moved.settled <= limit
    # The account can always pay what it settles.
    assert moved.settled == 0 or health(balance - moved.settled, Fraction(0)) >= 0
    # The fund pays for what the liquidator takes, with his fee, and not a unit more.
    due = moved.insured * price * (1 + fee)
    assert due <= moved.insurance * fund_price < due + fund_price or moved.insurance == vault
    assert moved.insurance <= vault
    if moved.socialized:
        # Others pay only when it is empty, and only what is missing.
        assert moved.insurance == vault
        assert health(balance - moved.settled, left) <= 0
    if start >= 0:
        assert moved.insured == moved.socialized == 0
    reached = most > moved.settled + moved.insured and left > 0
    if reached and moved.settled in (limit, loss):
        assert health(balance - moved.settled, left) >= 0


@given(AMOUNTS.filter(bool), PRICES, AMOUNTS, st.integers(0, 3000), PRICES)
def test_a_debt_is_insured_then_shared(
    debt: Fraction, price: Fraction, most: Fraction, vault: int, fund_price: Fraction
) -> None:
    moved = settle_debt(EXACT, debt, price, most, Insurance(vault, fund_price), Fraction(1, 20))
    assert moved.insured + moved.socialized <= debt
    assert moved.insured <= most
    assert moved.insurance * fund_price >= moved.insured * price * Fraction(21, 20)
    if moved.insurance == vault:
        assert moved.insured + moved.socialized == debt
    else:
        assert moved.socialized == 0
        assert moved.insured == min(debt, most)


@given(AMOUNTS, st.lists(st.integers(-50, 50), min_size=1))
def test_everybody_pays_by_size(loss: Fraction, book: list[int]) -> None:
    assume(any(book))
    longs, shorts = funding_change(EXACT, loss, sum(map(abs, book)))
    # Longs pay a rise of their funding, shorts a fall of theirs.
    paid = [lots * (longs if lots > 0 else shorts) for lots in book]
    assert sum(paid) == loss
    assert min(paid) >= 0


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1))
def test_depositors_pay_by_deposit(loss: Fraction, deposits: list[Fraction]) -> None:
    assume(any(deposits))
    change = deposit_index_change(EXACT, loss, sum(deposits))
    assert sum(held * change for held in deposits) == -loss


def test_what_there_is_nothing_of_is_said() -> None:
    plain = {"asset_weight": 1, "liability_weight": 1, "price": 1}
    own, owed = Token(5, 5, **plain), Token(-5, -5, **plain)
    leaked = Token(5, -1, **plain)
    for asset, debt, named in ((leaked, owed, "asset"), (own, own, "liability")):
        with pytest.raises(InputError, match=named):
            liquidate_token(EXACT, -1, asset, debt, 10, NONE, NONE)
    with pytest.raises(InputError, match="loss"):
        settle_loss(EXACT, -1, 1, 0, own, own, 1, 1, Insurance(0, 1), 0)
    with pytest.raises(InputError, match="nobody is left"):
        funding_change(EXACT, 5, 0)
    with pytest.raises(InputError, match="nobody is left"):
        deposit_index_change(EXACT, 5, 0)


def test_an_unknown_health_moves_an_unknown_amount() -> None:
    nan, plain = math.nan, {"asset_weight": 0.8, "liability_weight": 1.2, "price": 1.0}
    moved = liquidate_token(
        FLOAT, nan, Token(5.0, 5.0, **plain), Token(-5.0, -5.0, **plain), 10.0, NONE, NONE
    )
    assert math.isnan(moved.liability)
    assert math.isnan(moved.asset)


def test_an_unknown_settle_health_is_no_bankruptcy() -> None:
    token, fund = Token(8.0, -12.0, 0.8, 1.2, 2.0), Insurance(0, 1.0)
    before = replace(token, effective=8.0)
    for health, settling in ((-20.0, math.nan), (math.nan, 10.0)):
        moved = settle_loss(FLOAT, health, settling, 20.0, token, before, 50.0, 50.0, fund, 0.0)
        assert not moved.socialized > 0
        assert not moved.insured > 0
