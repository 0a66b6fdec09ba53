"""Drift's amounts and fees: what they cover, and that nothing is lost where losses are shared."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.protocols.drift_v2 import (
    BASE_MAX,
    TOKENS_MAX,
    Side,
    asset_for_liability,
    base_to_cover,
    base_to_take,
    deposit_interest_delta,
    funding_delta,
    insurance_payment,
    liability_implied,
    liability_to_cover,
    liquidator_fee,
    liquidator_fee_max,
    load_parameters,
    part_to_liquidate,
    perp_fund_fee,
    spot_fund_fee,
)
from plimsoll.margin.arithmetic import EXACT, FLOAT

PARAMETERS = load_parameters(parse_time("2026-01-01T00:00:00Z", "test"))
SHORTAGES = st.integers(1, 10**13)
PRICES = st.integers(10_000, 10**11)
RATIOS = st.integers(100, 5000)
FEES = st.integers(0, 50_000)
MULTIPLIERS = st.integers(10**6, 1_200_000)
TOKENS = st.integers(1, 10**15)
DECIMALS = st.integers(5, 9)


@given(SHORTAGES, RATIOS, FEES, FEES, PRICES)
def test_base_covers_the_shortage_to_a_unit(
    shortage: int, ratio: int, fee: int, fund_fee: int, price: int
) -> None:
    found = base_to_cover(EXACT, shortage, ratio, fee, fund_fee, price, 10**6)
    # What 1e9 of base free, with the program's truncations.
    gain = price * max(ratio * 100 - fee, 0) // 10**6 - price * fund_fee // 10**6
    if gain <= 0:
        assert found == BASE_MAX
    else:
        assert found * gain <= shortage * 10**9 < (found + 1) * gain or found == BASE_MAX
        real = Fraction(price * (ratio * 100 - fee - fund_fee), 10**15)
        near = base_to_cover(FLOAT, float(shortage), ratio, fee, fund_fee, float(price), 1e6)
        if real > 0 and near < BASE_MAX:
            assert near == pytest.approx(float(shortage / real), rel=1e-9)


@given(SHORTAGES, st.integers(0, 12_000), st.integers(8000, 20_000), MULTIPLIERS, DECIMALS, PRICES)
def test_a_liability_covers_the_shortage_to_a_unit(
    shortage: int, asset: int, weight: int, multiplier: int, decimals: int, price: int
) -> None:
    side = Side(0, 10**6, decimals, price)
    found = liability_to_cover(EXACT, shortage, asset, weight, multiplier, side, 0)
    gain = weight * 10 - asset * 10 * multiplier // 10**6
    if gain <= 0:
        assert found == TOKENS_MAX
    else:
        owed = shortage * 10**decimals * 10**5
        assert found * price * gain <= owed < (found + 1) * price * gain


@given(TOKENS, MULTIPLIERS, DECIMALS, PRICES, MULTIPLIERS, DECIMALS, PRICES)
def test_what_an_asset_pays_for_costs_no_less(
    amount: int, dear: int, digits: int, price: int, cheap: int, other: int, other_price: int
) -> None:
    asset = Side(amount, dear, digits, price)
    liability = Side(0, 2 * 10**6 - cheap, other, other_price)
    implied = liability_implied(EXACT, asset, liability)
    # The liquidator pays rounded up; for a unit less he would not get all of the asset.
    worth = Fraction(amount * price, 10**digits * dear)
    each = Fraction(other_price, 10**other * (2 * 10**6 - cheap))
    assert implied * each >= worth > (implied - 1) * each
    back = asset_for_liability(EXACT, asset, liability._replace(amount=implied), dust=0)
    assert back >= amount
    near = liability_implied(FLOAT, Side(float(amount), *asset[1:]), liability)
    assert near == pytest.approx(float(worth / each), rel=1e-9)


@pytest.mark.parametrize(
    ("balance", "taken"),
    # 100 USDC pay for a SOL. Less than a dollar of rest, or lack, makes it the whole balance.
    [(200, 100), (101, 100), (100.999999, 100.999999), (99.000001, 99.000001), (99, 100)],
)
def test_dust_goes_with_the_rest(balance: float, taken: float) -> None:
    asset = Side(round(balance * 1e6), 10**6, 6, 10**6)
    found = asset_for_liability(EXACT, asset, Side(10**9, 10**6, 9, 100 * 10**6))
    assert found == round(taken * 1e6)


@given(SHORTAGES, TOKENS, RATIOS, FEES, PRICES, FEES)
def test_the_funds_fee_on_a_perpetual_leaves_the_shortage_covered(
    shortage: int, base: int, ratio: int, fee: int, price: int, most: int
) -> None:
    found = perp_fund_fee(EXACT, shortage, base, ratio, fee, price, 10**6, most)
    assert 0 <= found <= most
    needed = shortage * 10**9 // base * 10**6 // price
    assert found == 0 or found <= (ratio * 100 - fee - needed) * 0.95
    if ratio * 100 - fee - needed > 0:
        assert found == min(most, (ratio * 100 - fee - needed) * 19 // 20)


@given(SHORTAGES, TOKENS, st.integers(0, 12_000), st.integers(9000, 20_000), PRICES, FEES)
def test_the_funds_fee_on_a_liability_leaves_the_shortage_covered(
    shortage: int, tokens: int, asset: int, weight: int, price: int, most: int
) -> None:
    side = Side(tokens, 10**6, 9, price)
    found = spot_fund_fee(EXACT, shortage, asset, weight, 1_010_000, side, most)
    assert 0 <= found <= most
    freed = Fraction(weight - asset * Fraction(101, 100), 10_000)
    value = Fraction(tokens * price, 10**9)
    # Two truncations of 1e-6 each, in favour of the fund.
    room = freed - shortage / value + Fraction(2, 10**6)
    assert found == 0 or Fraction(found * weight, 10**10) <= room


@pytest.mark.parametrize(
    ("elapsed", "fee"),
    [(0, 20_000), (1499, 20_000), (1500, 21_500), (29_999, 49_999), (30_000, 50_000),
     (10**9, 50_000)],
)  # fmt: skip
def test_the_liquidators_fee_ramps_after_its_grace(elapsed: int, fee: int) -> None:
    assert liquidator_fee(20_000, 50_000, elapsed, PARAMETERS) == fee


def test_where_the_ramp_ends() -> None:
    assert liquidator_fee_max(10_000, 500, PARAMETERS) == 30_000
    assert liquidator_fee_max(20_000, 500, PARAMETERS) == 50_000


@pytest.mark.parametrize(
    ("shortage", "freed", "elapsed", "part"),
    [
        # 10 % at once; after 75 of 150 slots 60 %; then all.
        (100, 0, 0, 1000),
        (100, 0, 75, 6000),
        (100, 0, 150, 10_000),
        (100, 0, 10_000, 10_000),
        # 60 % of 200 is 120, of which 100 are done: a fifth of what is left.
        (100, 100, 75, 2000),
        (100, 900, 75, 0),
        (49.999999, 900, 0, 10_000),
        (50, 0, 0, 1000),
    ],
)
def test_the_part_of_one_transaction(shortage: float, freed: int, elapsed: int, part: int) -> None:
    found = part_to_liquidate(EXACT, round(shortage * 1e6), freed * 10**6, elapsed, PARAMETERS)
    assert found == part
    near = part_to_liquidate(FLOAT, shortage * 1e6, freed * 1e6, float(elapsed), PARAMETERS)
    assert near == pytest.approx(part)


def test_without_a_duration_all_may_go_at_once() -> None:
    at_once = replace(PARAMETERS, duration_slots=0)
    assert part_to_liquidate(EXACT, 10**8, 0, 0, at_once) == 10_000


@pytest.mark.parametrize(
    ("covering", "part", "value", "taken"),
    [(600, 5000, 10**9, 300), (4000, 5000, 10**9, 1000), (600, 5000, 49_999_999, 1000)],
)
def test_base_of_one_transaction(covering: int, part: int, value: int, taken: int) -> None:
    assert base_to_take(EXACT, 1000, covering, part, value, PARAMETERS) == taken


@given(st.integers(0, 10**15), TOKENS, TOKENS)
def test_the_funding_rate_collects_the_loss_and_hardly_more(
    loss: int, longs: int, shorts: int
) -> None:
    delta = funding_delta(EXACT, -loss, longs, -shorts)
    total = longs + shorts
    collected = Fraction(delta * total, 10**12)
    # Less than one step of the rate, a millionth of quote per 1e9 base, too much.
    assert 0 <= collected - loss < Fraction(total, 10**9)
    assert delta == funding_delta(EXACT, loss, longs, -shorts)


@given(st.integers(0, 10**15), st.integers(10**10, 10**12), TOKENS)
def test_the_deposit_index_collects_the_loan(loan: int, index: int, deposits: int) -> None:
    delta = deposit_interest_delta(EXACT, loan, index, deposits)
    assert 0 <= Fraction(delta * deposits, index) - loan < Fraction(deposits, index)


def test_nobody_left_is_said() -> None:
    with pytest.raises(InputError, match="nobody is left"):
        funding_delta(EXACT, -5, 0, 0)
    with pytest.raises(InputError, match="nobody is left"):
        deposit_interest_delta(EXACT, 5, 10**10, 0)


@pytest.mark.parametrize(
    ("loss", "vault", "claim", "paid"),
    [(50, 100, 80, 50), (90, 100, 80, 80), (100, 100, 1000, 99), (5, 1, 80, 0), (5, 0, 80, 0)],
)
def test_the_fund_keeps_a_unit(loss: int, vault: int, claim: int, paid: int) -> None:
    assert insurance_payment(loss, vault, claim) == paid


def test_what_is_unknown_stays_so() -> None:
    nan = math.nan
    side = Side(1.0, 1e6, 9, nan)
    found = (
        base_to_cover(FLOAT, nan, 1000, 0, 0, 1e8, 1e6),
        base_to_cover(FLOAT, 1e6, 1000, 0, 0, nan, 1e6),
        liability_to_cover(FLOAT, 1e6, 8000, 12_000, 1e6, side, 0),
        perp_fund_fee(FLOAT, nan, 1e9, 500, 0, 1e8, 1e6, 50_000),
        perp_fund_fee(FLOAT, 1e6, 1e9, 500, 0, nan, 1e6, 50_000),
        spot_fund_fee(FLOAT, 1e6, 8000, 12_000, 1e6, side, 50_000),
        liquidator_fee(20_000.0, 50_000.0, nan, PARAMETERS),
        part_to_liquidate(FLOAT, nan, 0.0, 0.0, PARAMETERS),
        part_to_liquidate(FLOAT, 1e9, 0.0, nan, PARAMETERS),
        base_to_take(FLOAT, 1000.0, nan, 5000, 1e9, PARAMETERS),
        insurance_payment(nan, 10.0, 10.0),
        insurance_payment(5.0, nan, 10.0),
        insurance_payment(5.0, 10.0, nan),
    )
    assert all(math.isnan(value) for value in found)
