"""drift.v2 against an oracle in integers, and the claims of its rules."""

from math import isqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core import InputError, Status, stream
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.venues.drift_margin import (
    Contracts,
    MarginKind,
    Terms,
    Tokens,
    contract_margin,
    size_discount,
    size_premium,
    token_margin,
)
from tests.margin.drift_oracle import KINDS, Document, assess_pools
from tests.margin.option_books import load_document

INDEX = {"USDC": 1.0, "SOL": 150.0, "ETH": 2500.0, "BONK": 0.02}
DECIMALS = {"SOL": 9, "ETH": 8, "BONK": 5}
SHAPED = frozenset(
    "imf_factor unrealized_pnl_imf_factor scale_initial_asset_weight_start "
    "unrealized_pnl_max_imbalance".split()
)
PERPS = {"SOL/USDC:USDC": 150.0, "ETH/USDC:USDC": 2500.0, "BTC/USDC:USDC": 60_000.0}


# -- random documents ---------------------------------------------------------------------------


def draw_terms(random: np.random.Generator) -> Document:
    """Weights and ratios in the protocol's order, with everything on and off."""

    def pair(low: float, high: float) -> list[float]:
        return sorted(round(float(x), 4) for x in random.uniform(low, high, 2))

    def maybe(value: float, digits: int) -> float:
        return round(value, digits) if random.random() < 0.5 else 0

    tokens, perps = {}, {}
    for token, decimals in DECIMALS.items():
        asset, liability = pair(0.3, 1), pair(1, 1.8)
        tokens[token] = {
            "decimals": decimals,
            "initial_asset_weight": asset[0] if random.random() < 0.9 else 0,
            "maintenance_asset_weight": asset[1],
            "initial_liability_weight": liability[1],
            "maintenance_liability_weight": liability[0],
            "imf_factor": maybe(float(random.uniform(0.0001, 0.05)), 6),
            "scale_initial_asset_weight_start": maybe(float(random.uniform(1e5, 1e8)), 2),
        }
    for symbol in PERPS:
        ratio, weight, high = pair(0.02, 0.3), pair(0, 1), pair(0.01, 0.02)
        perps[symbol] = {
            "initial_margin_ratio": ratio[1],
            "maintenance_margin_ratio": ratio[0],
            "imf_factor": maybe(float(random.uniform(0.00001, 0.003)), 6),
            "unrealized_pnl_initial_asset_weight": weight[0] if random.random() < 0.8 else 0,
            "unrealized_pnl_maintenance_asset_weight": weight[1],
            "unrealized_pnl_imf_factor": maybe(float(random.uniform(0.00001, 0.003)), 6),
            "unrealized_pnl_max_imbalance": maybe(float(random.uniform(1e4, 1e6)), 2),
            "high_leverage_initial_margin_ratio": high[1],
            "high_leverage_maintenance_margin_ratio": high[0] if random.random() < 0.7 else 0,
        }
    return {"tokens": tokens, "perps": perps}


def draw_market(random: np.random.Generator) -> Document:
    """Oracle prices with averages on either side, and what all users hold and have won."""

    def near(price: float, spread: float) -> float:
        return round(price * float(np.exp(random.normal(0, spread))), 6)

    index = {asset: near(price, 0.1) for asset, price in INDEX.items()}
    index["USDC"] = near(1.0, 0.01)
    assets = {
        asset: {"twap": near(price, 0.03), "deposits": round(float(random.uniform(1e3, 1e6)), 3)}
        for asset, price in index.items()
    }
    instruments: Document = {
        symbol: {
            "mark": near(price, 0.1),
            "contract_multiplier": 0.1 if symbol.startswith("ETH") else 1,
            "net_user_pnl": round(float(random.normal(2e5, 5e5)), 2),
        }
        for symbol, price in PERPS.items()
    }
    instruments |= {f"{token}/USDC": {"mark": index[token]} for token in DECIMALS}
    return {"index": index, "assets": assets, "instruments": instruments}


def draw_document(seed: int, arithmetic: str = "exact") -> Document:
    """One account with tokens, debts, positions, orders and ratios of its own."""
    random = stream(seed, "drift")
    scale = float(np.exp(random.uniform(np.log(100), np.log(1e6))))

    def amount(price: float) -> float:
        return round(float(random.uniform(-1, 1)) * scale / price, 3)

    positions: list[Document] = []
    for symbol, price in PERPS.items():
        quantity = amount(price)
        if random.random() < 0.6 and quantity:
            entry = round(price * float(np.exp(random.normal(0, 0.1))), 2)
            positions.append({"symbol": symbol, "quantity": quantity, "entry_price": entry})
            if random.random() < 0.3:
                positions[-1] |= {"margin_mode": "isolated",
                                  "isolated_margin": round(scale / 5, 2)}  # fmt: skip
    orders = [
        {"symbol": symbol, "side": str(random.choice(["buy", "sell"])), "price": 1,
         "quantity": round(abs(amount(price)) + 0.001, 3),
         "reduce_only": bool(random.random() < 0.2)}
        for symbol, price in (PERPS | {f"{t}/USDC": INDEX[t] for t in DECIMALS}).items()
        for _ in range(int(random.integers(0, 3)))
    ]  # fmt: skip
    isolated = {p["symbol"] for p in positions if "margin_mode" in p}

    def some(names: Any, low: float, high: float) -> Document:
        return {n: round(float(random.uniform(low, high)), 4) for n in names
                if random.random() < 0.3}  # fmt: skip

    params = {
        "arithmetic": arithmetic,
        "strict": bool(random.random() < 0.6),
        "liquidation_buffer": round(float(random.uniform(0, 0.03)), 4),
        "open_order_margin": 0.01,
        "initial_profit_cap": round(float(random.choice([100, scale / 50])), 2),
        "max_margin_ratio": round(float(random.choice([0, 0, 0.15, 0.5, 2])), 4),
        "margin_ratio_override": round(float(random.choice([0, 0, 0, 0.3])), 4),
        "high_leverage": bool(random.random() < 0.3),
        "position_margin_ratio": some(PERPS, 0, 0.5),
        "unsettled": some([s for s in PERPS if s not in isolated], -500, 500),
        "isolated_unsettled": some(isolated, -500, 500),
        **draw_terms(random),
    }
    balances = {token: amount(price) for token, price in INDEX.items() if random.random() < 0.7}
    account = {"id": "a", "model": "drift.v2", "balances": balances, "positions": positions,
               "orders": orders, "params": params}  # fmt: skip
    market = draw_market(random)
    return {"as_of": "2026-01-01", "market": market, "accounts": [account]}


def pools_of(document: Document) -> tuple[Explanation, ...]:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    return explain(book, market, load_models(book.instruments, book.models, market.as_of_ns), "a")


def own_figures(pool: Explanation) -> dict[str, float]:
    table = pool.detail("account")
    ((_, values),) = table.rows
    return dict(zip(table.columns, values, strict=True))


# -- the oracle ---------------------------------------------------------------------------------


def test_every_total_is_the_oracles_to_the_unit() -> None:
    seen = {"isolated": 0, "liquidatable": 0, "between": 0}
    for seed in range(300):
        document = draw_document(seed)
        expected, got = assess_pools(document), pools_of(document)
        assert len(expected) == len(got)
        for oracle, pool in zip(expected, got, strict=True):
            found, kept = own_figures(pool), oracle["maintenance"]
            whole = {name: round(value * 1e6) for name, value in found.items()}
            for kind in KINDS:
                for name in ("total_collateral", "margin_requirement"):
                    assert whole[f"{kind}_{name}"] == oracle[kind][name], (seed, kind, name)
            for name in ("total_collateral_plus_buffer", "margin_requirement_plus_buffer"):
                assert whole[name] == kept[name], (seed, name)
            below = kept["total_collateral"] < kept["margin_requirement"]
            ends = kept["total_collateral_plus_buffer"] >= kept["margin_requirement_plus_buffer"]
            free = oracle["initial"]["total_collateral"] - oracle["initial"]["margin_requirement"]
            assert (found["is_liquidatable"], found["may_end_liquidation"]) == (below, ends)
            assert whole["free_collateral"] == max(free, 0)
            assert round(pool.excess_margin * 1e6) == (
                kept["total_collateral"] - kept["margin_requirement"]
            )
            if document["accounts"][0]["params"]["margin_ratio_override"] == 0:
                excess = (pool.collateral_value - pool.initial_margin) * 1e6
                assert excess == pytest.approx(free, abs=1)
            assert pool.initial_margin >= pool.maintenance_margin * (1 - 1e-12)
            seen["isolated"] += pool.kind == "isolated"
            seen["liquidatable"] += below
            seen["between"] += not below and not ends
    assert seen["isolated"] > 50
    assert seen["liquidatable"] > 50
    assert seen["between"] >= 1


def size_of(document: Document) -> float:
    """USD of all that a document holds, orders or owes: what a rounding of 1e-4 is a part of."""
    market, account = document["market"], document["accounts"][0]
    worth = sum(abs(n) * market["index"][asset] for asset, n in account["balances"].items())
    marks = {symbol: row["mark"] for symbol, row in market["instruments"].items()}
    for row in (*account["positions"], *account["orders"]):
        each = max(marks[row["symbol"]], row.get("entry_price", 0))
        worth += abs(row["quantity"]) * each
    return float(worth) + 2000


def test_floats_are_the_integers_but_for_their_roundings() -> None:
    """Weights are rounded to 1e-4 at up to four steps; the rest is some millionths."""
    for seed in range(300):
        exact, plain = draw_document(seed), draw_document(seed, "float")
        slack = 8e-4 * size_of(exact)
        for whole, smooth in zip(pools_of(exact), pools_of(plain), strict=True):
            a, b = own_figures(whole), own_figures(smooth)
            for kind in KINDS:
                names = (f"{kind}_total_collateral", f"{kind}_margin_requirement")
                gaps = [figures[names[0]] - figures[names[1]] for figures in (a, b)]
                assert abs(gaps[0] - gaps[1]) <= slack, (seed, kind)
            assert whole.equity == pytest.approx(smooth.equity, rel=1e-12, abs=1e-9)


def test_without_size_factors_floats_differ_by_millionths() -> None:
    """Weights of four digits are whole then, and every row rounds a few times at most."""
    for seed in range(100):
        found = []
        for arithmetic in ("exact", "float"):
            document = draw_document(seed, arithmetic)
            params = document["accounts"][0]["params"]
            for terms in (*params["tokens"].values(), *params["perps"].values()):
                terms.update(dict.fromkeys(terms.keys() & SHAPED, 0))
            found.append([own_figures(pool) for pool in pools_of(document)])
        for whole, smooth in zip(*found, strict=True):
            for kind in ("initial", "maintenance"):
                gap = {
                    figures[f"{kind}_total_collateral"] - figures[f"{kind}_margin_requirement"]
                    for figures in (whole, smooth)
                }
                assert max(gap) - min(gap) <= 6e-5


# -- claims of the rules ------------------------------------------------------------------------


def test_strict_prices_never_lower_the_requirement() -> None:
    changed = 0
    for seed in range(200):
        documents = [draw_document(seed, "float") for _ in range(2)]
        for document, strict in zip(documents, (False, True), strict=True):
            document["accounts"][0]["params"]["strict"] = strict
        for plain, strict_pool in zip(*map(pools_of, documents), strict=True):
            slack = 1e-9 * (abs(plain.initial_margin) + abs(plain.collateral_value) + 1)
            assert strict_pool.initial_margin >= plain.initial_margin - slack, seed
            assert strict_pool.maintenance_margin == plain.maintenance_margin
            changed += strict_pool.initial_margin > plain.initial_margin + slack
    assert changed > 100


SIZES = st.integers(0, 10**24)
FACTORS = st.integers(0, 10**6)


@given(SIZES, FACTORS, st.integers(0, 10**5))
def test_size_makes_weights_worse_and_never_better(size: int, factor: int, weight: int) -> None:
    raised = size_premium(EXACT, size, factor, weight)
    lowered = size_discount(EXACT, size, factor, weight)
    assert raised >= weight >= lowered >= 0
    assert size_premium(EXACT, size + 10**18, factor, weight) >= raised
    assert size_discount(EXACT, size + 10**18, factor, weight) <= lowered
    assert abs(size_premium(FLOAT, float(size), factor, weight) - raised) <= 2 + 1e-9 * raised + (
        factor / 10**7
    )


@given(st.integers(1, 10**12))
def test_the_root_is_rounded_down(root: int) -> None:
    """Sizes are times ten plus one under the root, so a square is reached one size too early."""
    for size in ((root * root - 1 + 9) // 10, (root * root - 2) // 10):
        if size >= 0:
            expected = isqrt(10 * size + 1)
            # A factor that makes the premium the root itself, times 10.
            assert size_premium(EXACT, size, 10**8, 0) == expected * 10
            assert expected * expected <= 10 * size + 1 < (expected + 1) ** 2


def test_edges_of_the_root() -> None:
    """Under the root stand ten times the size and one: 1, 11, 81, 91, 121."""
    assert [EXACT.root(size * 10 + 1) for size in (0, 1, 8, 9, 12)] == [1, 3, 9, 9, 11]
    # A root of 999 at a factor of 1e4 makes 0.999 of a ten-thousandth, a root of 1,000 makes one.
    assert [size_premium(EXACT, size, 10**4, 0) for size in (99_999, 100_000)] == [0, 1]
    # The premium comes on top of 0.8 of the weight, and of the whole of it is nothing left out.
    assert size_premium(EXACT, 10**17, 10**2, 10_000) == 8_000 + 10_000
    assert [size_premium(EXACT, 0, 2 * 10**7 * k, 10) for k in (1, 2)] == [10, 12]
    assert size_discount(EXACT, 10**17, 10**5, 10_000) == 11_000_000_000 // (10**6 + 10**9)


def token(**known: int) -> Tokens:
    """One SOL account row at 100 USD, without size factors."""
    row = {
        "unit": 10**9, "price": 10**8, "low": 10**8, "high": 10**8,
        "initial_asset_weight": 8_000, "maintenance_asset_weight": 9_000,
        "initial_liability_weight": 12_000, "maintenance_liability_weight": 11_000, **known,
    }  # fmt: skip
    return Tokens(*(EXACT.numbers([row.get(name, 0)]) for name in Tokens._fields))


def contract(**known: int) -> Contracts:
    """One SOL perpetual at 100 USD, 10 and 5 %."""
    row = {
        "price": 10**8, "quote_low": 10**6, "quote_high": 10**6, "initial_ratio": 1_000,
        "maintenance_ratio": 500, **known,
    }  # fmt: skip
    return Contracts(*(EXACT.numbers([row.get(name, 0)]) for name in Contracts._fields))


TERMS = Terms(10_000, 100 * 10**6, 200)


def test_sides_that_leave_the_same_are_asks() -> None:
    """Weights of 1 leave nothing between the sides: the requirement tells which was taken."""
    even = {"initial_asset_weight": 10_000, "initial_liability_weight": 10_000}
    row = token(bids=10**9, asks=-(2 * 10**9), orders=2, **even)
    found = token_margin(EXACT, MarginKind.INITIAL, row, TERMS)
    assert found.value.tolist() == [-200 * 10**6]
    assert found.margin.collateral.tolist() == [200 * 10**6]
    assert found.margin.requirement.tolist() == [200 * 10**6 + 20_000]
    # Long one with two asked and nothing bid is one either way: the asks count.
    made = contract_margin(
        EXACT, MarginKind.INITIAL, contract(base=10**9, asks=-(2 * 10**9), orders=1), TERMS
    )
    assert made.base.tolist() == [-(10**9)]
    assert made.margin.requirement.tolist() == [10 * 10**6 + 10_000]


def test_a_debt_is_rounded_away_from_zero() -> None:
    """A millionth of a millionth of a coin owed is a millionth of a dollar; owned, nothing."""
    owed = token_margin(EXACT, MarginKind.MAINTENANCE, token(amount=-1), TERMS)
    owned = token_margin(EXACT, MarginKind.MAINTENANCE, token(amount=1), TERMS)
    assert (owed.margin.requirement.tolist(), owned.margin.collateral.tolist()) == ([1], [0])
    # A loss of 1.5 millionths truncates to 1.
    lost = contract_margin(EXACT, MarginKind.MAINTENANCE, contract(base=-15, price=10**8), TERMS)
    assert lost.pnl.tolist() == [-1]


def hysteresis(cash: float) -> tuple[Status, float, float]:
    """A long SOL at 100: 5 USD to keep it, 7 to end a liquidation."""
    document = {
        "as_of": "2026-01-01",
        "market": {"index": {"USDC": 1}, "instruments": {"SOL/USDC:USDC": {"mark": 100}}},
        "accounts": [
            {"id": "a", "model": "drift.v2", "balances": {"USDC": cash},
             "positions": [{"symbol": "SOL/USDC:USDC", "quantity": 1, "entry_price": 100}],
             "params": {"strict": False, "arithmetic": "exact"}}
        ],
    }  # fmt: skip
    (pool,) = pools_of(document)
    found = own_figures(pool)
    return pool.status, found["is_liquidatable"], found["may_end_liquidation"]


def test_liquidation_begins_below_maintenance_and_ends_with_the_buffer() -> None:
    assert hysteresis(4.999999) == (Status.LIQUIDATABLE, 1, 0)
    # At equality the protocol does not begin yet; our status, at a ratio of 1, does.
    assert hysteresis(5) == (Status.LIQUIDATABLE, 0, 0)
    assert hysteresis(5.000001) == (Status.OK, 0, 0)
    assert hysteresis(6.999999) == (Status.OK, 0, 0)
    assert hysteresis(7) == (Status.OK, 0, 1)


# -- what is not known --------------------------------------------------------------------------


def sol_account(**more: Any) -> Document:
    """Ten SOL, five perpetuals on it, a bid: known with average and deposits."""
    return {
        "as_of": "2026-01-01",
        "market": {
            "index": {"USDC": 1, "SOL": 100, "ETH": 2000},
            "assets": {"USDC": {"twap": 1}, "SOL": {"twap": 100}, "ETH": {"twap": 2000}},
            "instruments": {
                "SOL/USDC:USDC": {"mark": 100}, "SOL/USDC": {"mark": 100},
                "ETH/USDC": {"mark": 2000}, "SOL/ETH": {"mark": 0.05},
            },
        },
        "accounts": [
            {"id": "a", "model": "drift.v2", "balances": {"USDC": 1000, "SOL": 10},
             "positions": [{"symbol": "SOL/USDC:USDC", "quantity": 5, "entry_price": 100}],
             **more}
        ],
    }  # fmt: skip


def status_with(*path: Any, **more: Any) -> Status:
    """The status without the market's entry at a path."""
    document = sol_account(**more)
    place = document["market"]
    for key in path[:-1]:
        place = place[key]
    if path:
        del place[path[-1]]
    return pools_of(document)[0].status


def test_what_the_rule_needs_and_does_not_know_is_unknown() -> None:
    assert status_with() == Status.OK
    assert status_with("assets", "SOL") == Status.UNKNOWN
    assert status_with("assets", "USDC") == Status.UNKNOWN
    assert status_with("assets", "ETH") == Status.OK
    assert status_with("assets", "SOL", params={"strict": False}) == Status.OK
    assert status_with("index", "USDC") == Status.UNKNOWN
    assert status_with("instruments", "SOL/USDC:USDC", "mark") == Status.UNKNOWN
    assert status_with(balances={"USDC": 1000, "ETH": 1}) == Status.UNKNOWN
    # Profit that awaits settlement needs no price of its market.
    bare: Document = {"positions": [], "params": {"unsettled": {"SOL/USDC:USDC": -5}}}
    assert status_with("instruments", "SOL/USDC:USDC", "mark", **bare) == Status.OK
    order = {"side": "buy", "quantity": 1, "price": 1}
    assert status_with(orders=[{"symbol": "SOL/USDC", **order}]) == Status.OK
    assert status_with(orders=[{"symbol": "ETH/USDC", **order}]) == Status.UNKNOWN
    assert status_with(orders=[{"symbol": "SOL/ETH", **order}]) == Status.UNKNOWN


SOL = {
    "decimals": 9, "initial_asset_weight": 0.8, "maintenance_asset_weight": 0.9,
    "initial_liability_weight": 1.2, "maintenance_liability_weight": 1.1,
}  # fmt: skip
PERP = {
    "initial_margin_ratio": 0.1, "maintenance_margin_ratio": 0.05,
    "unrealized_pnl_initial_asset_weight": 1, "unrealized_pnl_maintenance_asset_weight": 1,
}  # fmt: skip


def test_deposits_and_net_profit_matter_only_where_the_rule_looks_at_them() -> None:
    scaled = {"params": {"tokens": {"SOL": {**SOL, "scale_initial_asset_weight_start": 1e6}}}}
    assert status_with(**scaled) == Status.UNKNOWN
    assert status_with(**scaled, balances={"USDC": 5000, "SOL": -10}) == Status.OK
    shrunk = {"params": {"perps": {"SOL": {**PERP, "unrealized_pnl_max_imbalance": 1e6}}}}

    def at(entry: float) -> list[Document]:
        return [{"symbol": "SOL/USDC:USDC", "quantity": 5, "entry_price": entry}]

    assert status_with(**shrunk, positions=at(90)) == Status.UNKNOWN
    assert status_with(**shrunk, positions=at(110)) == Status.OK


# the override, where it is told below params
SENSELESS = (
    ({"arithmetic": "decimal"}, "arithmetic"),
    ({"strict": 1}, "strict"),
    ({"high_leverage": "on"}, "high_leverage"),
    ({"liquidation_buffer": -0.1}, "liquidation_buffer"),
    ({"tokens": {"SOL": 0.8}}, "tokens.SOL"),
    ({"tokens": {"SOL": {**SOL, "imf": 1}}}, "tokens.SOL"),
    ({"tokens": {"SOL": {**SOL, "decimals": 8.5}}}, "tokens.SOL"),
    ({"tokens": {"SOL": {**SOL, "initial_asset_weight": 0.95}}}, "tokens.SOL"),
    ({"tokens": {"SOL": {**SOL, "maintenance_liability_weight": 0.9}}}, "tokens.SOL"),
    ({"tokens": {"SOL": {"decimals": 9}}}, "tokens.SOL.initial_asset_weight"),
    ({"perps": {"SOL": {**PERP, "initial_margin_ratio": 0.01}}}, "perps.SOL/USDC:USDC"),
    ({"perps": {"SOL": {**PERP, "unrealized_pnl_maintenance_asset_weight": 0}}},
     "perps.SOL/USDC:USDC"),
    ({"position_margin_ratio": {"SOL": -1}}, "position_margin_ratio.SOL/USDC:USDC"),
    ({"unsettled": {"SOL": 5}}, "unsettled.SOL"),
    ({"unsettled": {"SOL/USDC": 5}}, "unsettled.SOL/USDC"),
    ({"isolated_unsettled": {"SOL/USDC:USDC": "x"}}, "isolated_unsettled.SOL/USDC:USDC"),
)  # fmt: skip


@pytest.mark.parametrize(("params", "place"), SENSELESS)
def test_a_senseless_override_is_refused_with_its_place(params: Document, place: str) -> None:
    with pytest.raises(InputError) as caught:
        pools_of(sol_account(params=params))
    assert caught.value.place.endswith(f".params.{place}")
    assert caught.value.remedy
