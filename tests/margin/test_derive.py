"""Derive's managers at the edges of their rules, and what must hold wherever one looks."""

from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, Status, stream, table_at
from plimsoll.margin import Explanation, explain, find_model, load_models
from plimsoll.margin.registry import model_tables
from plimsoll.margin.venues import derive_pmrm2
from plimsoll.margin.venues.derive_portfolio import Coins, Portfolios, buffer_margin
from plimsoll.margin.venues.derive_pricing import (
    Options,
    StaticDiscount,
    VolRules,
    discounts,
    static_factors,
    tenor_multiplier,
)
from tests.book.builders import table_of
from tests.margin.option_books import load_document
from tests.margin.test_oracle_derive import draw_book

AS_OF = "2026-03-02T08:00:00Z"
DAY = 86_400.0
PERPETUAL, OTHER = "BTC/USDC:USDC", "ETH/USDC:USDC"
CALL, HIGHER = "BTC/USDC:USDC-260306-66000-C", "BTC/USDC:USDC-260306-90000-C"


def feeds(vol: float = 0.5, **stated: float) -> dict[str, float]:
    return {"mark": 1, "implied_vol": vol, "underlying": 60_000, "rate": 0.05, **stated}


def document_of(model: str, *held: tuple[str, float], **account: Any) -> dict[str, Any]:
    """An account with positions at 60,000 USD a BTC and 2,500 an ETH."""
    marks = {PERPETUAL: 60_000, OTHER: 2_500, "BTC/USD:BTC": 60_000}
    symbols = [symbol for symbol, _ in held] + [
        order["symbol"] for order in account.get("orders", ())
    ]
    listed = {s: {"mark": marks[s]} if s in marks else feeds() for s in symbols}
    positions = [
        {"symbol": s, "quantity": n, **({"entry_price": marks[s]} if s in marks else {})}
        for s, n in held
    ]
    named = {"id": "a", "model": model, "balances": {"USDC": 50_000}, "positions": positions}
    market = {"index": {"BTC": 60_000, "ETH": 2_500, "USDT": 1, "USDC": 1}, "instruments": listed}
    return {"as_of": AS_OF, "market": market, "accounts": [{**named, **account}]}


def explained(document: dict[str, Any]) -> Explanation:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    return explain(book, market, load_models(book.instruments, book.models, market.as_of_ns), "a")[
        0
    ]


def figures(told: Explanation) -> dict[str, float]:
    detail = told.detail("account")
    return dict(zip(detail.columns, detail.rows[0][1], strict=True))


def charge(told: Explanation, name: str) -> float:
    return next(line.initial for line in told.charges if line.name == name)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (30 * DAY, 0.5**0.3),
        (30 * DAY + 1, 0.5**0.13),
        (30 * DAY - 1, 0.5**0.3),
        (60 * DAY, 0.5**0.13),
        (120 * DAY, 0.25**0.13),
        (0.0, 0.5**0.3),
    ],
)
def test_thirty_days_are_short_to_the_second(seconds: float, expected: float):
    """The power goes by the time left, its base by the longer of that and the least."""
    rules = VolRules(0.5, 0.275, 0.3, 0.13, 60 * DAY, 0.0)
    assert tenor_multiplier(np.array([seconds]), rules)[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("model", ["derive.pmrm1", "derive.pmrm2"])
def test_positions_in_two_underlyings_are_unknown(model: str):
    one = explained(document_of(model, (PERPETUAL, 1)))
    both = explained(document_of(model, (PERPETUAL, 1), (OTHER, 1)))
    assert (one.status, both.status) == (Status.OK, Status.UNKNOWN)
    order = {"symbol": OTHER, "side": "buy", "quantity": 1, "price": 2_500}
    assert explained(document_of(model, (PERPETUAL, 1), orders=[order])).status == Status.OK


@pytest.mark.parametrize("model", ["derive.pmrm1", "derive.pmrm2"])
def test_the_manager_an_account_names_takes_its_underlying_alone(model: str):
    named = {"params": {"underlying": "ETH"}}
    assert explained(document_of(model, (OTHER, 1), **named)).status == Status.OK
    assert explained(document_of(model, (PERPETUAL, 1), **named)).status == Status.UNKNOWN


def test_without_a_manager_cash_is_known_and_coins_are_not():
    cash = explained(document_of("derive.pmrm2"))
    coins = explained(document_of("derive.pmrm2", balances={"USDT": 100}))
    named = explained(
        document_of("derive.pmrm2", balances={"USDT": 100}, params={"underlying": "BTC"})
    )
    assert [told.status for told in (cash, coins, named)] == [
        Status.OK, Status.UNKNOWN, Status.OK,
    ]  # fmt: skip
    # 2 % to stay and 3 % more at first.
    assert (named.initial_margin, named.maintenance_margin) == (5, 2)


@pytest.mark.parametrize("model", ["derive.pmrm1", "derive.pmrm2", "derive.standard"])
@pytest.mark.parametrize(
    "account",
    [
        {"balances": {"USDC": 100, "BTC": -0.001}},
        {"balances": {"USDC": 100, "XRP": 5}},
        {"positions": [{"symbol": "BTC/USD:BTC", "quantity": 1, "entry_price": 60_000}]},
    ],
)
def test_what_no_manager_takes_is_unknown(model: str, account: dict[str, Any]):
    document = document_of(model, (PERPETUAL, 0.01))
    document["accounts"][0] |= account
    document["market"]["index"]["XRP"] = 2
    document["market"]["instruments"]["BTC/USD:BTC"] = {"mark": 60_000}
    assert explained(document).status == Status.UNKNOWN


@pytest.mark.parametrize("model", ["derive.pmrm1", "derive.pmrm2", "derive.standard"])
def test_a_slot_without_a_position_is_no_leg(model: str):
    """An order leaves one; its strike must not be a settlement price of calls sold."""
    held = ((CALL, -1.0), ("BTC/USDC:USDC-260306-50000-C", 0.5))
    order = {"symbol": HIGHER, "side": "buy", "quantity": 1, "price": 10}
    plain, ordered = (
        explained(document_of(model, *held, orders=orders)) for orders in ([], [order])
    )
    assert plain.initial_margin > 0
    assert plain.charges == ordered.charges


def test_a_skew_never_pays_and_expiries_do_not_offset():
    later = "BTC/USDC:USDC-260925-80000-C"
    # Without static discounts a volatility that rises would pay for an option held.
    bare = {"long_base": 1, "long_add": 0, "long_rate_scale": 0, "short_base": 1, "short_add": 0}

    def turned(*held: tuple[str, float]) -> tuple[float, ...]:
        document = document_of("derive.pmrm2", *held, params={"static_discount": bare})
        return explained(document).detail("scenarios").column("profit")[-2:]

    bought, sold = turned((CALL, 1.0)), turned((later, -1.0))
    assert max(*bought, *sold) < 0
    both = [a + b for a, b in zip(bought, sold, strict=True)]
    assert turned((CALL, 1.0), (later, -1.0)) == pytest.approx(both, rel=1e-12)


def test_spot_at_nothing_leaves_calls_worthless_and_puts_their_strike():
    put = CALL.replace("66000-C", "50000-P")
    alone = {"scenarios": [[0, "none", 1]], "basis": {"add": 0, "mult": 0}}
    for symbol, worth in ((CALL, 0.0), (put, 50_000.0)):
        told = explained(document_of("derive.pmrm2", (symbol, 1.0), params=alone))
        years = 4 / 365
        ratio = 0.95 * np.exp(-years * (0.05 + 0.08)) * np.exp(-0.05 * years)
        (profit,) = told.detail("scenarios").column("profit")
        assert profit == pytest.approx(worth * ratio - (told.equity - 50_000), abs=1e-9)


def test_less_confidence_never_asks_for_less():
    def initial(confidence: float) -> float:
        document = document_of("derive.pmrm2", (PERPETUAL, 1.0), (CALL, -1.0))
        document["market"]["assets"] = {"BTC": {"confidence": confidence}}
        return explained(document).initial_margin

    asked = [initial(c / 100) for c in range(100, 0, -5)]
    assert asked == sorted(asked)
    assert asked[9] == asked[0]  # at 0.55
    assert asked[10] - asked[9] == pytest.approx(0.5 * 2 * 60_000)


@pytest.mark.parametrize("model", ["derive.pmrm2", "derive.standard"])
def test_less_confidence_changes_no_maintenance_margin(model: str):
    sure, unsure = (document_of(model, (PERPETUAL, 1.0), (CALL, -1.0)) for _ in range(2))
    unsure["market"]["assets"] = {"BTC": {"confidence": 0.1}}
    assert explained(unsure).maintenance_margin == explained(sure).maintenance_margin
    assert explained(unsure).initial_margin > explained(sure).initial_margin


def test_an_option_bought_never_raises_the_standard_requirement():
    """It counts nothing, but what expires with it can lose no more."""
    for seed in range(40):
        document = draw_book(seed, "derive.standard", ("BTC",))
        listed = [s for s in sorted(document["market"]["instruments"]) if s.count("-") == 3]
        before = explained(document)
        bought = str(stream(seed, "bought").choice(listed))
        positions = document["accounts"][0]["positions"]
        if bought in [position["symbol"] for position in positions]:
            continue
        positions.append({"symbol": bought, "quantity": 1.0})
        after = explained(document)
        # Its feeds may be in more doubt than the others, which is a line of its own.
        assert charge(after, "options") <= charge(before, "options") * (1 + 1e-12)


def test_the_buffer_ends_a_liquidation_above_where_it_begins():
    maintenance, marked = np.array([-1.0, 0.0, 10.0, 10.0]), np.array([99.0, 100.0, 100.0, 10.0])
    buffer = buffer_margin(maintenance, marked, 0.15)
    assert buffer.tolist() == pytest.approx([-16.0, -15.0, -3.5, 10.0])
    assert np.all(buffer <= maintenance)


def test_a_debt_is_never_discounted_below_what_the_rate_undoes():
    rows = options_of(np.full(3, 365 * DAY), np.array([0.3, 0.0, -0.2]))
    discount = discounts(rows)
    gain, debt = static_factors(rows, discount, StaticDiscount(0.95, 1, 0.08, 1.04, 0.5, 0.08))
    assert np.all(debt * discount <= 1.0)
    assert gain == pytest.approx(0.95 * np.exp(-np.array([0.38, 0.08, 0.08])), rel=1e-15)
    assert debt == pytest.approx([1.04 * np.exp(0.23), 1.0, 1.0], rel=1e-15)


def options_of(seconds: np.ndarray, rate: np.ndarray) -> Options:
    """Calls at 2,500 on a forward of 2,691.60, at any time to expiry."""
    count = seconds.size
    forward = np.full(count, 2691.6029850999994)
    return Options(
        expiry=np.arange(count),
        seconds=seconds,
        strike=np.full(count, 2500.0),
        is_call=np.ones(count, dtype=np.bool_),
        vol=np.full(count, 2511.421980938193),
        forward=forward,
        variable=forward * np.minimum(seconds / 1800, 1.0),
        rate=rate,
        confidence=np.ones(count),
    )


def second_rules() -> derive_pmrm2.Rules:
    """The table's rules, aligned to nothing but a stablecoin."""
    model = find_model("derive.pmrm2", "test")
    params = table_at(model_tables(model), load_document(document_of(model.name)).market.as_of_ns)
    resolved: derive_pmrm2.Params = model.resolve(
        params.params, table_of({PERPETUAL: "1"}, {"USDC": 6}), "test"
    )
    return resolved.rules


def test_the_rules_are_a_function_of_columns():
    """A call sold that has expired: the figures of the protocol's test 66, and a year later's.

    Nothing moves any more, so that only the option's contingency is left; the second account
    holds nothing and needs nothing.
    """
    nothing = np.zeros(0, dtype=np.int64)
    portfolios = Portfolios(
        stable_price=1.0,
        underlying=np.array([0, -1]),
        cash=np.zeros(2),
        perpetual_value=np.zeros(2),
        perpetual_notional=np.zeros(2),
        spot=np.array([2681.6029850999994, np.nan]),
        confidence=np.array([1.0, np.nan]),
        joint_confidence=np.array([1.0, np.nan]),
        coins=Coins(nothing, nothing.astype(np.int32), np.zeros(0), np.zeros(0)),
        leg_pool=np.array([0]),
        leg_option=np.array([0], dtype=np.int32),
        leg_amount=np.array([-1.0]),
    )
    rows = options_of(np.array([0.0, 365 * DAY]), np.array([0.22, 0.0]))
    found = derive_pmrm2.measure_margins(portfolios, rows, second_rules())
    assert found.value.tolist() == pytest.approx([-191.6029850999994, 0.0], rel=1e-14)
    assert not found.scan.profits.any()
    assert found.loss[0].tolist() == [0.0, 0.0]
    initial, maintenance = found.option
    assert (found.value - initial).tolist() == pytest.approx([-205.01100002549938, 0], rel=1e-12)
    assert (found.value - maintenance)[0] == pytest.approx(-199.64779405529939, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "params", "told"),
    [
        ("pmrm2", {"underlying": "DOGE"}, "no manager of 'DOGE'"),
        ("pmrm2", {"underlyings": "BTC"}, "is no list"),
        ("pmrm2", {"scenarios": []}, "are no scenarios"),
        ("pmrm2", {"scenarios": [[1.18, "linear", 5]]}, "a skew leaves spot where it is"),
        ("pmrm2", {"scenarios": [[-0.1, "up", 1]]}, "-0.1 is no number"),
        ("pmrm2", {"scenarios": [[1, "sideways", 1]]}, "is no shock"),
        ("pmrm2", {"scenarios": [[1]]}, "is no scenario"),
        ("pmrm1", {"scenarios": [[1, "linear"]]}, "is no shock"),
        ("pmrm2", {"vol_shock": {"days_min": -1}}, "-1 is no number"),
        ("pmrm2", {"skew_shock": {"width_min": "wide"}}, "'wide' is no number"),
        ("pmrm2", {"basis": {"spot_down": 1.1}}, "do not straddle 1"),
        ("pmrm2", {"collateral": {"BTC": {"ETH": {"maintenance_haircut": 2}}}}, "2 is no number"),
        (
            "pmrm2",
            {"collateral": {"BTC": {"ETH": {"maintenance_haircut": 0, "initial_haircut": 0}}}},
            "cancels_risk: is no yes or no",
        ),
        ("pmrm2", {"unstated": {"confidence": 2}}, "2 is no number"),
        ("pmrm1", {"initial_factor": 0.5}, "0.5 is no number from 1"),
        ("standard", {"perpetuals": {"BTC": [0.05, 0.065]}}, "maintenance is above initial"),
        ("standard", {"perpetuals": {"BTC": [0.05]}}, "are no two fractions"),
        ("standard", {"options": {"BTC": [0.15]}}, "are no figures"),
        ("standard", {"options": {"BTC": {"spot_max": 0.15}}}, "spot_min: None is no number"),
    ],
)
def test_what_makes_no_sense_is_refused(model: str, params: dict[str, Any], told: str):
    document = document_of(f"derive.{model}", (PERPETUAL, 1), (CALL, 1), params=params)
    with pytest.raises(InputError, match="params") as refused:
        explained(document)
    assert told in str(refused.value)


def test_profits_and_figures_are_in_the_stablecoin():
    document = document_of("derive.pmrm2", (PERPETUAL, 1))
    document["market"]["index"]["USDC"] = 0.5
    told = explained(document)
    assert told.equity == 25_000
    assert figures(told)["mark_to_market"] == 50_000
    assert min(told.detail("scenarios").column("profit")) == pytest.approx(-10_800)
    assert charge(told, "scenario_loss") == pytest.approx(5_400)
