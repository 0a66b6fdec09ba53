"""Liquidation prices: closed forms, every border, none, unknown, options, joint moves."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, Status
from plimsoll.liquidation.prices import (
    Direction,
    LiquidationPrice,
    MarketPath,
    PoolPath,
    influences,
    liquidation_price,
    liquidation_prices,
    move_market,
)
from plimsoll.liquidation.prices.crossings import WIDTH_MIN, Side, Trials, find_borders
from plimsoll.market import Market
from tests.liquidation.test_price_venues import pools_of
from tests.margin.option_books import plain_black76

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BRACKETS = [[0, 0.004, 125], [50_000, 0.005, 100], [250_000, 0.01, 50], [1_000_000, 0.025, 20],
            [10_000_000, 0.05, 10]]  # fmt: skip
EXPIRY, YEARS = "260327", (25 * 24 - 4) / 24 / 365


def document(positions: list[dict[str, Any]], marks: dict[str, Any], **account: Any) -> Any:
    instruments = {s: m if isinstance(m, dict) else {"mark": m} for s, m in marks.items()}
    return {
        "as_of": "2026-03-02T12:00:00Z",
        "market": {
            "index": {"USDT": 1, "BTC": 50_000, "ETH": 2_500},
            "instruments": instruments,
        },
        "accounts": [{"id": "a", "positions": positions, **account}],
    }


def binance(quantity: float, entry: float, wallet: float, **account: Any) -> Any:
    return document(
        [{"symbol": BTC, "quantity": quantity, "entry_price": entry}],
        {BTC: 50_000},
        model="binance.usdm",
        balances={"USDT": wallet},
        params={"brackets": {BTC: BRACKETS}},
        **account,
    )


def along(pool: PoolPath, *names: str) -> LiquidationPrice:
    return liquidation_price(pool, Direction(names, (1.0,) * len(names)))


def exact_price(quantity: int, entry: int, wallet: int) -> Fraction:
    """Where wallet + q (p - entry) = tiered margin of |q| p, tier by tier, in fractions."""
    q, deduction = Fraction(quantity), Fraction(0)
    for k, (floor, rate, _) in enumerate(BRACKETS):
        r = Fraction(str(rate))
        if k:
            deduction += Fraction(floor) * (r - Fraction(str(BRACKETS[k - 1][1])))
        price = (wallet + deduction - q * entry) / (abs(q) * r - q)
        top = Fraction(BRACKETS[k + 1][0]) if k + 1 < len(BRACKETS) else Fraction(10**18)
        if price > 0 and floor <= abs(q) * price <= top:
            return price
    raise AssertionError("no tier fits")


@pytest.mark.parametrize(
    ("quantity", "entry", "wallet"),
    [(30, 50_000, 1_300_000), (30, 50_000, 200_000), (-30, 50_000, 900_000), (-1, 52_000, 9_000),
     (-150, 48_000, 20_000_000), (5, 41_000, 100), (1, 50_000, 49_900)],
)  # fmt: skip
def test_over_tiers_the_price_is_the_closed_form(quantity: int, entry: int, wallet: int) -> None:
    (pool,) = pools_of(binance(quantity, entry, wallet))
    found = along(pool, "BTC")
    (crossing,) = found.crossings
    expected = exact_price(quantity, entry, wallet)
    assert crossing.price == pytest.approx(float(expected), rel=1e-12)
    assert crossing.is_safe_above == (quantity > 0)
    assert crossing in (found.down, found.up)
    assert crossing.beyond == Status.LIQUIDATABLE


def test_a_border_is_two_answers_next_to_each_other() -> None:
    (pool,) = pools_of(binance(30, 50_000, 200_000))
    crossing = along(pool, "BTC").down
    assert crossing is not None
    assert 0 < crossing.safe_factor - crossing.factor <= WIDTH_MIN * crossing.factor
    at, safe = (
        pool.assess_at(Direction.along("BTC"), f).status[0]
        for f in (crossing.factor, crossing.safe_factor)
    )
    assert (at, safe) == (Status.LIQUIDATABLE, Status.OK)


def test_none_is_an_answer() -> None:
    (pool,) = pools_of(binance(1, 50_000, 50_001))
    found = along(pool, "BTC")
    assert (found.status, found.down, found.up, found.crossings) == (Status.OK, None, None, ())


def test_a_hedge_has_none_until_its_legs_part() -> None:
    legs = [{"symbol": BTC, "quantity": 2, "entry_price": 50_000},
            {"symbol": f"{BTC}-260925", "quantity": -2, "entry_price": 50_500}]  # fmt: skip
    (pool,) = pools_of(document(legs, {BTC: 50_000, f"{BTC}-260925": 50_500},
                                model="plimsoll.standard", balances={"USDT": 20_000}))  # fmt: skip
    found = along(pool, "BTC")
    assert found.down is None
    # Both notionals ask for margin, which the profit of one and the loss of the other do not.
    assert found.up is not None
    assert found.up.factor > 3


def test_coins_as_collateral_fall_with_the_price() -> None:
    """1 BTC behind 4 long: equity falls by 5 a dollar, and the haircut of the coin with it."""
    held = [{"symbol": BTC, "quantity": 4, "entry_price": 50_000}]
    (coins,) = pools_of(document(held, {BTC: 50_000}, model="plimsoll.standard",
                                 balances={"BTC": 1}))  # fmt: skip
    (cash,) = pools_of(document(held, {BTC: 50_000}, model="plimsoll.standard",
                                balances={"USDT": 50_000}))  # fmt: skip
    with_coins, with_cash = along(coins, "BTC").down, along(cash, "BTC").down
    assert with_coins is not None
    assert with_cash is not None
    assert with_coins.price > with_cash.price + 1_000


def test_a_pool_past_the_line_is_told_where_it_is_safe() -> None:
    (pool,) = pools_of(binance(30, 50_000, 7_000))
    found = along(pool, "BTC")
    assert found.status == Status.LIQUIDATABLE
    assert found.down is None
    assert found.up is not None
    assert found.up.is_safe_above
    assert found.up.safe_factor > found.up.factor > 1


def test_an_unknown_pool_has_no_price_but_unknown() -> None:
    written = binance(1, 50_000, 10_000)
    written["market"]["instruments"][BTC]["time"] = "2026-03-02T11:00:00Z"
    (pool,) = pools_of(written)
    found = along(pool, "BTC")
    assert (found.status, found.crossings, found.down) == (Status.UNKNOWN, (), None)


def test_where_a_rule_ends_the_border_is_to_the_unknown() -> None:
    """vega.capped knows no margin above its cap."""
    future = f"{BTC}-260925"
    held = [{"symbol": future, "quantity": 1, "entry_price": 50_000}]
    (pool,) = pools_of(document(
        held, {future: 50_000}, model="vega.capped", balances={"USDT": 60_000},
        params={"markets": {"default": {"max_price": 80_000}}},
    ))  # fmt: skip
    found = along(pool, "BTC")
    assert found.up is not None
    assert found.up.beyond == Status.UNKNOWN
    assert found.up.price == pytest.approx(80_000, rel=1e-12)


def test_joint_moves_follow_their_betas() -> None:
    """Long 2 BTC, short 20 ETH, in plain linear margin: W + 2 (50k f - 50k) - 20 (2.5k f^b - 2.5k)

    meets 0.4 % of both notionals (the first tier of both).
    """
    held = [{"symbol": BTC, "quantity": 2, "entry_price": 50_000},
            {"symbol": ETH, "quantity": -20, "entry_price": 2_500}]  # fmt: skip
    flat = [[0, 0.004, 125]]
    (pool,) = pools_of(document(held, {BTC: 50_000, ETH: 2_500}, model="binance.usdm",
                                balances={"USDT": 6_000},
                                params={"brackets": {BTC: flat, ETH: flat}}))  # fmt: skip
    found = liquidation_price(pool, Direction(("BTC", "ETH"), (1.0, 1.5)))

    def room(f: float) -> float:
        btc, eth = 100_000 * f, 50_000 * f**1.5
        return 6_000 + (btc - 100_000) - (eth - 50_000) - 0.004 * (btc + eth)

    assert found.crossings
    for crossing in found.crossings:
        assert room(crossing.factor) == pytest.approx(0, abs=1e-6)
    signs = np.sign([room(f) for f in np.exp(np.linspace(math.log(2e-3), math.log(5e2), 20_001))])
    assert np.count_nonzero(np.diff(signs)) == len(found.crossings)


def test_directions_are_scaled_to_their_leader() -> None:
    direction = Direction(("BTC", "ETH"), (2.0, 3.0))
    assert direction.betas == (1.0, 1.5)
    assert direction.name == "BTC=1, ETH=1.5"


@pytest.mark.parametrize(
    ("assets", "betas"),
    [((), ()), (("BTC",), (0.0,)), (("BTC",), (math.nan,)), (("BTC", "BTC"), (1.0, 1.0)),
     (("BTC", "ETH"), (1.0,))],
)  # fmt: skip
def test_no_direction(assets: tuple[str, ...], betas: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="direction"):
        Direction(assets, betas)


def test_an_unknown_asset_is_named() -> None:
    (pool,) = pools_of(binance(1, 50_000, 10_000))
    with pytest.raises(InputError, match="unknown asset 'XYZ'"):
        liquidation_price(pool, Direction.along("XYZ"))
    with pytest.raises(InputError, match="unknown asset 'XYZ'"):
        liquidation_prices(
            pool.account, pool.path.market, pool.models, "a", (Direction.along("XYZ"),)
        )


def test_every_asset_that_a_pool_depends_on_has_its_line() -> None:
    (pool,) = pools_of(binance(1, 50_000, 10_000))
    found = liquidation_prices(pool.account, pool.path.market, pool.models, "a")
    assert [line.direction.name for line in found] == ["BTC", "USDT"]
    # A dearer USDT makes the contract's mark fall in it, as a cheaper bitcoin does.
    by_asset = {line.direction.name: line for line in found}
    assert by_asset["BTC"].down is not None
    assert by_asset["USDT"].up is not None
    assert by_asset["USDT"].up.factor == pytest.approx(1 / by_asset["BTC"].down.factor, rel=1e-12)


# -- options ---------------------------------------------------------------------------------


def condor(**account: Any) -> PoolPath:
    """Short a call spread and a put spread in coin, marked away from their model values."""
    marks: dict[str, Any] = {"BTC/USD:BTC": {"mark": 50_000, "contract_multiplier": 10}}
    held = []
    for strike, right, quantity in ((45_000, "P", -10), (40_000, "P", 8), (55_000, "C", -10),
                                    (60_000, "C", 3)):  # fmt: skip
        value = plain_black76(50_200, strike, YEARS, 0.5, right == "C") / 50_200
        symbol = f"BTC/USD:BTC-{EXPIRY}-{strike}-{right}"
        marks[symbol] = {"mark": value + 2e-4, "implied_vol": 0.5, "underlying": 50_200}
        held.append({"symbol": symbol, "quantity": quantity})
    (pool,) = pools_of(document(held, marks, model="deribit.segregated_pm",
                                balances={"BTC": 3}, **account))  # fmt: skip
    return pool


def test_a_short_condor_is_safe_in_the_middle() -> None:
    found = along(condor(), "BTC")
    assert found.down is not None
    assert found.up is not None
    assert found.down.is_safe_above
    assert not found.up.is_safe_above
    assert found.down.price < 45_000
    assert found.up.price > 55_000


def test_options_are_marked_by_the_model_plus_todays_gap() -> None:
    pool = condor()
    market = pool.path.market
    moved = move_market(market, Direction.along("BTC").factors(0.9, market.instruments.assets))
    for i, row in enumerate(market.instruments.rows):
        if row.strike:
            strike = float(row.strike)
            value = plain_black76(50_200 * 0.9, strike, YEARS, 0.5, row.is_call) / (50_200 * 0.9)
            assert moved.mark[i] == pytest.approx(value + 2e-4, abs=1e-12)
            assert moved.forward[i] == 50_200 * 0.9
        else:
            assert moved.mark[i] == 50_000 * 0.9


def test_a_factor_of_one_is_todays_market() -> None:
    market = condor().path.market
    same = MarketPath.of(market).at(np.ones(len(market.instruments.assets.names)))
    assert same.price.tobytes() == market.price.tobytes()
    assert same.forward.tobytes() == market.forward.tobytes()


def test_what_stands_in_for_missing_inputs_is_told() -> None:
    symbol = f"BTC/USDT:USDT-{EXPIRY}-55000-C"
    held = [{"symbol": symbol, "quantity": -1}]
    (pool,) = pools_of(document(held, {symbol: 900}, model="bybit.cross",
                                balances={"USDT": 20_000}))  # fmt: skip
    found = along(pool, "BTC")
    assert found.up is not None
    assert found.assumptions == (
        f"forward of {symbol} is not stated: the index stands in for it",
        f"implied_vol of {symbol} is not stated: taken from its mark",
    )


def test_an_option_that_cannot_be_valued_makes_its_moves_unknown() -> None:
    symbol = f"BTC/USDT:USDT-{EXPIRY}-55000-C"
    (pool,) = pools_of(document([{"symbol": symbol, "quantity": -1}], {symbol: 60_000},
                                model="bybit.cross", balances={"USDT": 200_000}))  # fmt: skip
    found = along(pool, "BTC")
    assert found.status == Status.OK
    assert {c.beyond for c in found.crossings} == {Status.UNKNOWN}


def test_a_part_of_the_forward_that_is_fixed_stays() -> None:
    market = condor().path.market
    fixed = np.full(len(market.instruments), 10_000.0)
    market = replace_state(market, fixed)
    moved = move_market(market, Direction.along("BTC").factors(0.5, market.instruments.assets))
    options = market.instruments.strike > 0
    assert np.all(moved.forward[options] == 10_000 + 40_200 * 0.5)


def replace_state(market: Market, forward_fixed: Any) -> Market:
    return replace(market, state=replace(market.state, forward_fixed=forward_fixed))


# -- the search itself -----------------------------------------------------------------------


def trials_of(health: Any) -> Any:
    def evaluate(factors: Any) -> Trials:
        values = np.array([health(float(f)) for f in factors])
        side = np.where(np.isnan(values), Side.UNKNOWN,
                        np.where(values > 0, Side.SAFE, Side.LIQUIDATABLE))  # fmt: skip
        return Trials(factors, side.astype(np.int8), values)

    return evaluate


def borders(health: Any, knots: Any) -> list[float]:
    found = find_borders(trials_of(health), np.asarray(knots, dtype=float), 600)
    steps = np.flatnonzero(found.side[:-1] != found.side[1:])
    assert np.all(np.diff(found.factor)[steps] <= WIDTH_MIN * found.factor[steps + 1])
    return [float(found.factor[step + 1]) for step in steps]


COARSE = np.geomspace(0.1, 10, 25)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (lambda x: x - 0.7, [0.7]),
        (lambda x: 3.0 - abs(x - 4.0), [1.0, 7.0]),
        # A dip between two knots, and one that only touches from above.
        (lambda x: abs(x - 2.05) - 0.01, [2.04, 2.06]),
        (lambda x: abs(x - 2.05) + 0.01, []),
        # A jump down that rises back: safe, then liquidatable from 3 on, safe again from 3.2 on.
        (lambda x: x if x < 3 else x - 3.2, [3.0, 3.2]),
        (lambda x: x if x < 3 else x - 3.001, [3.0, 3.001]),
        (lambda x: x if x < 3 else x - 2.9, []),
        # Curved, with roots close together.
        (lambda x: (x - 1.5) * (x - 1.6) * (x - 5.0), [1.5, 1.6, 5.0]),
        (lambda x: math.nan if x > 4 else x - 1.0, [1.0, 4.0]),
    ],
)
def test_every_border_is_found(health: Any, expected: list[float]) -> None:
    assert borders(health, COARSE) == pytest.approx(expected, rel=1e-13)


def test_a_line_costs_a_handful_of_trials() -> None:
    found = find_borders(trials_of(lambda x: 10 * x - 7), COARSE, 600)
    assert found.factor.size <= COARSE.size + 5


# -- what would move it ----------------------------------------------------------------------


def test_an_influence_is_what_solving_again_gives() -> None:
    (pool,) = pools_of(binance(30, 50_000, 200_000))
    direction = Direction.along("BTC")
    crossing = along(pool, "BTC").down
    assert crossing is not None
    found = {one.what: one.move for one in influences(pool, direction, crossing)}
    add, closed = "add USDT worth a tenth of the collateral", f"close a tenth of {BTC}"
    for wallet, quantity, what in ((220_000, 30, add), (200_000, 27, closed)):
        (other,) = pools_of(binance(quantity, 50_000, wallet))
        again = along(other, "BTC").down
        assert again is not None
        # Both prices lie in one tier, so that the line is exact.
        assert found[what] == pytest.approx(again.factor / crossing.factor - 1, rel=1e-6)
