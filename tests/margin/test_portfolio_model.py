"""What plimsoll.portfolio promises, book by book: offsets, wrong way, floors, size, orders."""

import itertools
from copy import deepcopy
from typing import Any

import pytest

from plimsoll.core import InputError
from plimsoll.margin import Explanation, explain, load_models
from tests.margin.option_books import AS_OF, draw_document, load_document, plain_black76

MODEL = "plimsoll.portfolio"
INDEX = {"BTC": 50_000.0, "ETH": 2_500.0, "SOL": 200.0, "DOGE": 0.2, "ICP": 5.0, "USDC": 1.0}
BASES = ("BTC", "ETH", "SOL", "DOGE", "ICP")
LINEAR = {base: f"{base}/USD:USD" for base in BASES}
CALL, PUT = "BTC/USD:USD-260402-70000-C", "BTC/USD:USD-260402-35000-P"
SEEDS = range(24)


def option(symbol: str) -> dict[str, float]:
    """An option of the 2 April 2026 at a volatility of 0.6, with its mark."""
    _, strike, right = symbol.rsplit("-", 2)
    years = 30.833333333333332 / 365
    value = plain_black76(50_000, float(strike), years, 0.6, right == "C")
    return {"mark": round(value, 4), "implied_vol": 0.6, "underlying": 50_000}


INSTRUMENTS: dict[str, Any] = {LINEAR[base]: {"mark": INDEX[base]} for base in BASES}
INSTRUMENTS |= {CALL: option(CALL), PUT: option(PUT)}
INSTRUMENTS["BTC/USD:BTC"] = {"mark": 50_000.0, "contract_multiplier": 100}


def book(
    held: dict[str, float],
    balances: dict[str, float],
    params: dict[str, Any] | None = None,
    orders: tuple[tuple[str, float, float], ...] = (),
) -> dict[str, Any]:
    """A document with positions entered at mark; orders are (symbol, signed contracts, limit)."""
    positions = [
        {"symbol": symbol, "quantity": quantity, "entry_price": INSTRUMENTS[symbol]["mark"]}
        for symbol, quantity in held.items()
    ]
    placed = [
        {"symbol": s, "side": "buy" if q > 0 else "sell", "quantity": abs(q), "price": limit}
        for s, q, limit in orders
    ]
    account = {"id": "a", "model": MODEL, "balances": balances, "positions": positions,
               "orders": placed, "params": params or {}}  # fmt: skip
    market = {"index": INDEX, "instruments": deepcopy(INSTRUMENTS)}
    return {"as_of": AS_OF, "market": market, "accounts": [account]}


def seen(document: dict[str, Any]) -> Explanation:
    portfolio = load_document(document)
    models = load_models(
        portfolio.book.instruments, portfolio.book.models, portfolio.market.as_of_ns
    )
    return explain(portfolio.book, portfolio.market, models, "a")[0]


def line(explanation: Explanation, name: str) -> float:
    return next(c.maintenance for c in explanation.charges if c.name == name)


def free(explanation: Explanation) -> float:
    """What is left to take on risk with."""
    return explanation.collateral_value - explanation.initial_margin


def drawn(seed: int, **params: Any) -> dict[str, Any]:
    return draw_document(seed, MODEL, ("BTC", "ETH", "SOL"), ("USD", "USDC"), params)


def test_offsets_off_cost_most_and_in_full_least() -> None:
    strict = 0
    for seed in SEEDS:
        margins = [
            seen(drawn(seed, offset_cap=cap)).maintenance_margin for cap in (0.0, 0.2, 0.5, 1.0)
        ]
        slack = 1e-12 * margins[0]
        assert all(high >= low - slack for high, low in itertools.pairwise(margins)), seed
        strict += margins[0] > margins[1] + slack and margins[1] > margins[3] + slack
    assert strict >= 5


def test_without_offsets_underlyings_add_up() -> None:
    whole = seen(book({LINEAR["BTC"]: 1, LINEAR["ETH"]: -20}, {"USD": 1e5}, {"offset_cap": 0}))
    parts = [
        seen(book({LINEAR[base]: quantity}, {"USD": 1e5}, {"offset_cap": 0}))
        for base, quantity in (("BTC", 1), ("ETH", -20))
    ]
    assert whole.maintenance_margin == pytest.approx(
        sum(part.maintenance_margin for part in parts), rel=1e-12
    )


@pytest.mark.parametrize("cap", [0.0, 0.25, 0.45, 1.0])
@pytest.mark.parametrize("sizes", list(itertools.product((-2.0, 0.5, 1.0), repeat=3)))
def test_a_credit_never_exceeds_its_cap(cap: float, sizes: tuple[float, ...]) -> None:
    """Of linear legs each side is known: the losses of the longs, those of the shorts."""
    offsets = {"BTC": 0.7, "SOL": 0.45, "ICP": 0.5}
    held = {
        LINEAR[base]: size * 10_000 / INDEX[base] for base, size in zip(offsets, sizes, strict=True)
    }
    rows = dict(seen(book(held, {"USD": 1e6}, {"offset_cap": cap})).detail("underlyings").rows)
    names = seen(book(held, {"USD": 1e6})).detail("underlyings").columns
    alone, credit = names.index("standalone_loss"), names.index("credit")
    sides = {1.0: 0.0, -1.0: 0.0}
    for base, size in zip(offsets, sizes, strict=True):
        sides[1.0 if size > 0 else -1.0] += min(offsets[base], cap) * rows[base][alone]
    total = sum(row[credit] for row in rows.values())
    assert 0 <= total <= 2 * min(sides.values()) * (1 + 1e-12)


def test_the_detail_adds_up_to_the_scan() -> None:
    for seed in SEEDS:
        explanation = seen(drawn(seed))
        table = explanation.detail("underlyings")
        alone, credit = sum(table.column("standalone_loss")), sum(table.column("credit"))
        scan = line(explanation, "joint_scan") + line(explanation, "offset_limit")
        assert alone - credit == pytest.approx(scan, rel=1e-12), seed
        together = -sum(table.column("joint_profit"))
        worst = max(together, *table.column("alone_loss"))
        assert line(explanation, "joint_scan") == pytest.approx(worst, rel=1e-9), seed
        assert -sum(table.column("apart_profit")) <= together * (1 + 1e-12), seed


def test_a_coin_that_falls_with_what_it_backs_costs_twice() -> None:
    on_dollars = seen(book({LINEAR["BTC"]: 1}, {"USD": 20_000}))
    on_coin = seen(book({LINEAR["BTC"]: 1}, {"BTC": 0.4}))
    against = seen(book({LINEAR["BTC"]: -1}, {"BTC": 0.4}))
    assert on_coin.equity == on_dollars.equity == against.equity
    assert on_coin.maintenance_margin > 1.3 * on_dollars.maintenance_margin
    assert line(on_coin, "joint_scan") == pytest.approx(0.13 * 70_000, rel=1e-12)
    assert line(against, "joint_scan") == pytest.approx(0.13 * 30_000, rel=1e-12)


@pytest.mark.parametrize("asset", ["USD", "USDC", "BTC", "ETH", "SOL", "DOGE", "MOON"])
@pytest.mark.parametrize("worth", [1e-3, 1e4, 3e7, 5e8, 5e9])
def test_more_collateral_never_worsens(asset: str, worth: float) -> None:
    """Neither at maintenance nor for new risk, past the last tier of its haircut too."""
    price = {**INDEX, "MOON": 2.0, "USD": 1.0}[asset]
    for held in ({LINEAR["BTC"]: 3, LINEAR["SOL"]: -500}, {CALL: -4, "BTC/USD:BTC": 900}, {}):
        before, after = book(held, {"USD": 40_000}), book(held, {"USD": 40_000})
        for document in (before, after):
            document["market"]["index"] = {**INDEX, "MOON": 2.0}
        balances = after["accounts"][0]["balances"]
        balances[asset] = balances.get(asset, 0) + round(worth / price, 6)
        poor, rich = seen(before), seen(after)
        slack = 1e-9 * (worth + 1)
        assert rich.excess_margin >= poor.excess_margin - slack
        assert free(rich) >= free(poor) - slack
        assert rich.status <= poor.status or rich.status == poor.status


def test_a_short_strangle_costs_more_than_the_minimum_of_its_legs() -> None:
    rate = {"short_option_rate": 0.3}
    for params, least in (({}, 2 * 0.005 * 50_000), (rate, 2 * 0.3 * 50_000)):
        strangle = seen(book({CALL: -1, PUT: -1}, {"USD": 1e5}, params))
        legs = [seen(book({leg: -1}, {"USD": 1e5}, params)) for leg in (CALL, PUT)]
        fees = line(strangle, "fee_provision")
        assert strangle.maintenance_margin - fees >= least
        assert all(strangle.maintenance_margin > leg.maintenance_margin for leg in legs)
    assert line(strangle, "short_option_minimum") > 0


def test_the_minimum_holds_beside_coins_and_credits() -> None:
    """Neither the loss of an idle coin nor an offset may stand in for it."""
    far = {"short_option_rate": 0.3}
    alone = seen(book({CALL: -1}, {"USD": 1e5}, far))
    beside = seen(book({CALL: -1}, {"USD": 1e5, "BTC": 10}, far))
    assert line(beside, "short_option_minimum") >= line(alone, "short_option_minimum") > 0
    hedged = seen(book({CALL: -1, LINEAR["ETH"]: 5}, {"USD": 1e5}, far))
    scan = line(hedged, "joint_scan") + line(hedged, "offset_limit")
    assert scan + line(hedged, "short_option_minimum") >= 0.3 * 50_000


def test_calm_markets_do_not_lower_margin_below_the_floor() -> None:
    def margin(recent: float, floor: float) -> float:
        entry = {"class": "major", "recent": recent, "floor": floor, "daily_volume": 1e10}
        params = {"underlyings": {"BTC": entry}}
        return line(seen(book({LINEAR["BTC"]: 1}, {"USD": 1e5}, params)), "joint_scan")

    assert margin(0.001, 0.13) == margin(0.10, 0.13) == pytest.approx(6_500, rel=1e-12)
    assert margin(0.20, 0.13) == pytest.approx(12_500, rel=1e-12)


def test_margin_rises_with_size_and_faster_than_size() -> None:
    """The same book, two to eight times as large, on dollars that do not move."""
    for seed in SEEDS:
        found = []
        for times in (1, 2, 4, 8):
            document = drawn(seed, depeg={"USDC": [0, 0]})
            account = document["accounts"][0]
            account["balances"] = {"USD": 1e10}
            for position in account["positions"]:
                position["quantity"] = round(position["quantity"] * times, 4)
                entry = document["market"]["instruments"][position["symbol"]]
                position["entry_price"] = entry["mark"]
            found.append(seen(document).maintenance_margin / times)
        assert all(big >= small * (1 - 1e-9) for small, big in itertools.pairwise(found)), seed


@pytest.mark.parametrize("limit", [0.97, 1.0, 1.02])
def test_no_fill_leaves_less_than_open_orders_left(limit: float) -> None:
    """All buys or all sells of an underlying, none of another: what is free does not shrink."""
    held = {LINEAR["BTC"]: 1.0, LINEAR["ETH"]: -25.0, PUT: -2.0}
    orders = tuple(
        (symbol, quantity, INSTRUMENTS[symbol]["mark"] * (limit if quantity > 0 else 2 - limit))
        for symbol, quantity in (
            (LINEAR["BTC"], 2.0), (LINEAR["BTC"], -3.0), (LINEAR["ETH"], 25.0),
            (LINEAR["ETH"], -10.0), (PUT, 3.0), (PUT, -1.0), (LINEAR["SOL"], 300.0),
        )
    )  # fmt: skip
    before = free(seen(book(held, {"USD": 200_000}, None, orders)))
    least = float("inf")
    for sides in itertools.product((0, 1, -1), repeat=3):
        filled, paid = dict(held), 0.0
        for symbol, quantity, price in orders:
            if sides[("BTC", "ETH", "SOL").index(symbol[:3])] * quantity > 0:
                filled[symbol] = filled.get(symbol, 0.0) + quantity
                paid += quantity * (price - INSTRUMENTS[symbol]["mark"])
        # Options are held at what they are worth, so what was paid for them leaves the balance.
        cash = 200_000 - paid - (filled[PUT] - held[PUT]) * INSTRUMENTS[PUT]["mark"]
        least = min(least, free(seen(book(filled, {"USD": cash}))))
    assert least >= before - 1e-6
    # And the bound is of use: it asks no more than half again of what the worst fill takes.
    nothing = free(seen(book(held, {"USD": 200_000})))
    assert nothing - before <= 1.5 * (nothing - least)


def test_a_mark_off_the_model_changes_equity_and_no_requirement() -> None:
    plain, dear = book({CALL: -1}, {"USD": 1e5}), book({CALL: -1}, {"USD": 1e5})
    dear["market"]["instruments"][CALL]["mark"] += 100
    assert seen(dear).equity == seen(plain).equity - 100
    assert seen(dear).maintenance_margin == seen(plain).maintenance_margin


def test_an_unlisted_underlying_is_unknown_and_its_entry_makes_it_known() -> None:
    document = book({}, {"USD": 1e4})
    document["market"]["index"] = {**INDEX, "MOON": 2.0}
    document["market"]["instruments"] = {"MOON/USD:USD": {"mark": 2.0}}
    account = document["accounts"][0]
    account["positions"] = [{"symbol": "MOON/USD:USD", "quantity": 100, "entry_price": 2.0}]
    unknown = seen(document)
    assert unknown.status.name == "UNKNOWN"
    assert unknown.reasons == ("plimsoll.portfolio has no rule or parameter for MOON/USD:USD",)
    entry = {"class": "small", "recent": 0.3, "floor": 0.4, "daily_volume": 1e5}
    account["params"] = {"underlyings": {"MOON": entry}}
    assert line(seen(document), "joint_scan") == pytest.approx(0.4 * 200, rel=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"initial_factor": 0.9}, ".initial_factor: 0.9 is no number from 1 to inf"),
        ({"offset_cap": 1.5}, ".offset_cap: 1.5 is no number from 0 to 1"),
        ({"scenarios": {"majors": [0] * 47}}, ".scenarios.majors: is no full column"),
        ({"depeg": {"USDC": 0.1}}, ".depeg.USDC: is no pair"),
        ({"underlyings": {"BTC": {"class": "major"}}}, ".underlyings.BTC: is no full entry"),
        (
            {"underlyings": {"BTC": {"class": "mayor", "recent": 0.1, "floor": 0.1,
                                     "daily_volume": 1e9}}},
            ".underlyings.BTC.class: unknown class 'mayor'; did you mean 'major'?",
        ),
        (
            {"underlyings": {"BTC": {"class": "major", "recent": 0.9, "floor": 0.1,
                                     "daily_volume": 1e9}}},
            ".underlyings.BTC.recent: 1.125 is no number from 1e-06 to 0.999999",
        ),
        (
            {"classes": {"major": {"bloc": "coins", "offset": 0.7, "alone": 1.0,
                                   "basis_min": 0.01, "basis_year": 0.1}}},
            ".classes.major.bloc: no scenarios for 'coins'",
        ),
        ({"haircuts": {"BTC": [[5, 0.1]]}}, ".haircuts.BTC: floors do not rise from 0"),
    ],
)  # fmt: skip
def test_refusals_say_where(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        seen(book({LINEAR["BTC"]: 1}, {"USD": 1e5}, params))
    assert f".params{message}" in str(refused.value)
