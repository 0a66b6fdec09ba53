"""mango.v4 against a slow oracle, and the claims that the protocol makes of its health.

The oracle is plain Python: it reads the document's dictionary, goes token by token and market by
market, and shares no line with the rule file.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from plimsoll.book import clone_account
from plimsoll.core import InputError, stream
from plimsoll.margin import Explanation, assess, explain, load_models
from plimsoll.margin.venues.mango_health import (
    Perps,
    Sides,
    SpotOrders,
    Tokens,
    health,
)
from plimsoll.margin.venues.mango_parameters import scaled_weights
from tests.margin.option_books import load_document

Document = dict[str, Any]

KINDS = ("initial", "liquidation_end", "maintenance")
TOKENS = {"USDC": 1.0, "USDT": 1.0, "SOL": 100.0, "ETH": 2000.0, "BONK": 0.02}
PERPS = {"SOL/USDC:USDC": 0.1, "ETH/USDC:USDC": 0.01, "BONK/USDT:USDT": 1000.0}
MARKETS = ("SOL/USDC", "ETH/USDC", "ETH/SOL", "BONK/USDT", "SOL/USDT")


# -- random documents ----------------------------------------------------------------------------


def draw_weights(random: np.random.Generator) -> dict[str, float]:
    """Weights in the protocol's order; at times the same for both healths, at times none."""
    asset, liability = np.sort(random.uniform(0, 1, 2)), np.sort(random.uniform(1, 2, 2))
    if random.random() < 0.2:
        asset[:], liability[:] = random.choice([0, 1]), 1
    return {
        "initial_asset_weight": round(float(asset[0]), 3),
        "maintenance_asset_weight": round(float(asset[1]), 3),
        "maintenance_liability_weight": round(float(liability[0]), 3),
        "initial_liability_weight": round(float(liability[1]), 3),
    }


def draw_params(random: np.random.Generator) -> Document:
    """Weights of all tokens and perpetuals, with starts of scaling and unsettled profit here and
    there.
    """
    tokens, perps = {}, {}
    for token in TOKENS:
        tokens[token] = draw_weights(random)
        for start in ("deposit_scale_start", "borrow_scale_start"):
            if random.random() < 0.4:
                tokens[token][start] = round(float(np.exp(random.uniform(5, 12))), 2)
    for symbol in PERPS:
        low, high = sorted(round(float(x), 3) for x in random.uniform(0, 1, 2))
        perps[symbol] = draw_weights(random) | {
            "initial_overall_weight": low,
            "maintenance_overall_weight": high,
        }
    unsettled = {s: round(random.normal(0, 300), 2) for s in PERPS if random.random() < 0.3}
    return {"tokens": tokens, "perps": perps, "unsettled": unsettled}


def draw_market(random: np.random.Generator) -> Document:
    index = {t: round(p * math.exp(random.normal(0, 0.2)), 6) for t, p in TOKENS.items()}
    assets = {
        token: {
            "stable_price": round(price * math.exp(random.normal(0, 0.1)), 6),
            "deposits": round(float(np.exp(random.uniform(5, 12))) / price, 4),
            "borrows": round(float(np.exp(random.uniform(5, 12))) / price, 4),
        }
        for token, price in index.items()
    }
    instruments: Document = {symbol: {} for symbol in MARKETS}
    for symbol, lot in PERPS.items():
        base = symbol.partition("/")[0]
        mark = float(f"{index[base] * math.exp(random.normal(0, 0.01)):.5g}")
        stable = float(f"{mark * math.exp(random.normal(0, 0.05)):.5g}")
        instruments[symbol] = {"mark": mark, "stable_price": stable, "contract_multiplier": lot}
    return {"index": index, "assets": assets, "instruments": instruments}


def draw_order(random: np.random.Generator, symbol: str, usd: float, price: float) -> Document:
    size = PERPS.get(symbol, 1.0)
    limit = float(f"{price * math.exp(random.normal(0, 0.1)):.4g}")
    quantity = max(round(float(usd * random.uniform(0, 1) / (price * size)), 3), 0.001)
    side = str(random.choice(["buy", "sell"]))
    order = {"symbol": symbol, "side": side, "quantity": quantity, "price": limit}
    return order | ({"reduce_only": True} if random.random() < 0.2 and symbol in PERPS else {})


def draw_account(random: np.random.Generator, market: Document, name: str) -> Document:
    usd = float(np.exp(random.uniform(3, 9)))
    index, instruments = market["index"], market["instruments"]
    balances = {
        token: round(float(usd * random.normal(0.3, 1) / index[token]), 4)
        for token in TOKENS
        if random.random() < 0.6
    }
    positions, orders = [], []
    for symbol in PERPS:
        if random.random() < 0.6:
            entry = instruments[symbol]
            mark = entry["mark"]
            lots = round(float(usd * random.normal(0, 2) / mark / entry["contract_multiplier"]), 2)
            price = float(f"{mark * math.exp(random.normal(0, 0.3)):.4g}")
            if lots:
                positions.append({"symbol": symbol, "quantity": lots, "entry_price": price})
        for _ in range(int(random.choice([0, 0, 1, 3]))):
            orders.append(draw_order(random, symbol, usd, instruments[symbol]["mark"]))
    for symbol in MARKETS:
        base, _, quote = symbol.partition("/")
        for _ in range(int(random.choice([0, 0, 1, 2]))):
            orders.append(draw_order(random, symbol, usd, index[base] / index[quote]))
    return {"id": name, "model": "mango.v4", "balances": balances, "positions": positions,
            "orders": orders}  # fmt: skip


def draw_document(seed: int) -> Document:
    random = stream(seed, "mango")
    market = draw_market(random)
    account = draw_account(random, market, "a") | {"params": draw_params(random)}
    return {"as_of": "2026-03-02T12:00:00Z", "market": market, "accounts": [account]}


def judge(document: Document, account: str = "a") -> Explanation:
    portfolio = load_document(document)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, account)[0]


def account_figures(explanation: Explanation) -> dict[str, float]:
    (detail,) = (d for d in explanation.details if d.name == "account")
    return dict(zip(detail.columns, detail.rows[0][1], strict=True))


# -- the oracle ----------------------------------------------------------------------------------


class Side:
    """Weights and prices of one token or market for one kind of health."""

    def __init__(self, kind: str, entry: Document, oracle: float, stable: float) -> None:
        which = "maintenance" if kind == "maintenance" else "initial"
        self.asset_weight = entry[f"{which}_asset_weight"]
        self.liability_weight = entry[f"{which}_liability_weight"]
        self.asset_price = self.liability_price = oracle
        if kind == "initial":
            self.asset_price, self.liability_price = min(oracle, stable), max(oracle, stable)

    def worth(self, amount: float) -> float:
        if amount < 0:
            return amount * self.liability_weight * self.liability_price
        return amount * self.asset_weight * self.asset_price


class Oracle:
    """One account, one kind of health."""

    def __init__(self, document: Document, kind: str) -> None:
        (self.account,) = document["accounts"]
        self.market, self.kind = document["market"], kind
        self.params = self.account["params"]
        self.sides = {token: self.token_side(token) for token in TOKENS}
        self.scale = 1.0

    def token_side(self, token: str) -> Side:
        state, entry = self.market["assets"][token], self.params["tokens"][token]
        side = Side(self.kind, entry, self.market["index"][token], state["stable_price"])
        if self.kind == "initial":
            deposits = state["deposits"] * side.liability_price
            borrows = state["borrows"] * side.liability_price
            if deposits > entry.get("deposit_scale_start", math.inf):
                side.asset_weight *= entry["deposit_scale_start"] / deposits
            if borrows > entry.get("borrow_scale_start", math.inf):
                side.liability_weight *= borrows / entry["borrow_scale_start"]
        return side

    def orders(self, symbol: str, side: str) -> list[Document]:
        return [o for o in self.account["orders"] if (o["symbol"], o["side"]) == (symbol, side)]

    def perps(self) -> list[tuple[str, float, float, float, float]]:
        """Symbol, base, quote, bids and asks of each market with a position or an order."""
        rows = []
        for symbol in PERPS:
            lot = self.market["instruments"][symbol]["contract_multiplier"]
            held = [p for p in self.account["positions"] if p["symbol"] == symbol]
            base = sum(p["quantity"] * lot for p in held)
            paid = sum(p["quantity"] * lot * p["entry_price"] for p in held)
            bids, asks = (
                sum(o["quantity"] * lot for o in self.orders(symbol, side))
                for side in ("buy", "sell")
            )
            if base or bids or asks:
                quote = self.params["unsettled"].get(symbol, 0) - paid
                rows.append((symbol, base, quote, bids, asks))
        return rows

    def profit(self, symbol: str, base: float, quote: float, bids: float, asks: float) -> float:
        entry, market = self.params["perps"][symbol], self.market["instruments"][symbol]
        side = Side(self.kind, entry, market["mark"], market["stable_price"])
        after_bids = side.worth(base + bids) - bids * side.liability_price
        after_asks = side.worth(base - asks) + asks * side.asset_price
        result = quote + min(after_bids, after_asks)
        self.scale += abs(quote) + (abs(base) + bids + asks) * side.liability_price
        which = "maintenance" if self.kind == "maintenance" else "initial"
        return result * entry[f"{which}_overall_weight"] if result > 0 else result

    def spot(self) -> list[tuple[str, str, float, float, float, float]]:
        """Base, quote, reserves of both, and both turned into one, by market."""
        rows = []
        for symbol in MARKETS:
            base, _, quote = symbol.partition("/")
            buys, sells = self.orders(symbol, "buy"), self.orders(symbol, "sell")
            base_held = sum(o["quantity"] for o in sells)
            quote_held = sum(o["quantity"] * o["price"] for o in buys)
            b, q = self.sides[base], self.sides[quote]
            bought = quote_held * q.asset_price / b.liability_price
            sold = base_held * b.asset_price / q.liability_price
            if buys:
                bought = min(bought, quote_held / max(o["price"] for o in buys))
            if sells:
                sold = min(sold, base_held * min(o["price"] for o in sells))
            if buys or sells:
                row = (base, quote, base_held, quote_held, base_held + bought, quote_held + sold)
                rows.append(row)
        return rows

    def health(self) -> float:
        balance = dict.fromkeys(TOKENS, 0.0) | self.account["balances"]
        for symbol, *position in self.perps():
            balance[symbol.partition(":")[2]] += self.profit(symbol, *position)
        highest = dict.fromkeys(TOKENS, 0.0)
        for base, quote, base_held, quote_held, as_base, as_quote in self.spot():
            balance[base] -= base_held
            balance[quote] -= quote_held
            highest[base] += as_base
            highest[quote] += as_quote
        total = sum(self.sides[token].worth(amount) for token, amount in balance.items())
        self.scale += sum(
            abs(amount) * self.sides[token].liability_price for token, amount in balance.items()
        )
        for base, quote, _, _, as_base, as_quote in self.spot():
            worths = []
            for token, amount in ((base, as_base), (quote, as_quote)):
                top = balance[token] + highest[token]
                above = amount if top >= amount else max(top, 0.0)
                side = self.sides[token]
                worths.append(side.worth(above) - side.worth(above - amount))
            total += min(worths)
        return total

    def marked(self) -> dict[str, float]:
        """Balances with the profit at mark and what is unsettled."""
        balance = dict.fromkeys(TOKENS, 0.0) | self.account["balances"]
        for symbol, base, quote, _, _ in self.perps():
            mark = self.market["instruments"][symbol]["mark"]
            balance[symbol.partition(":")[2]] += base * mark + quote
        return balance

    def sheet(self) -> tuple[float, float]:
        """Assets and liabilities at oracle prices."""
        entries = dict.fromkeys(TOKENS, 0.0) | self.account["balances"]
        values = []
        for base, quote, base_held, quote_held, _, _ in self.spot():
            entries[base] -= base_held
            entries[quote] -= quote_held
            values += [base_held * self.market["index"][base]]
            values += [quote_held * self.market["index"][quote]]
        for symbol, base, quote, _, _ in self.perps():
            settle = self.market["index"][symbol.partition(":")[2]]
            mark = self.market["instruments"][symbol]["mark"]
            values += [base * mark * settle, quote * settle]
        values += [amount * self.market["index"][token] for token, amount in entries.items()]
        return sum(v for v in values if v > 0), -sum(v for v in values if v < 0)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_the_oracle_agrees(first: int) -> None:
    for seed in range(first, first + 50):
        document = draw_document(seed)
        found = judge(document)
        told = account_figures(found)
        oracles = {kind: Oracle(document, kind) for kind in KINDS}
        expected = {f"{kind}_health": oracle.health() for kind, oracle in oracles.items()}
        scale = sum(oracle.scale for oracle in oracles.values())
        keeper = oracles["maintenance"]
        marked = keeper.marked()
        counted = sum(max(keeper.sides[t].worth(x), 0.0) for t, x in marked.items())
        assets, liabilities = keeper.sheet()
        expected["assets"], expected["liabilities"] = assets, liabilities
        figures = {
            **{name: (told[name], value) for name, value in expected.items()},
            "equity": (found.equity, assets - liabilities),
            "collateral_value": (found.collateral_value, counted),
            "initial": (found.initial_margin, counted - expected["initial_health"]),
            "maintenance": (found.maintenance_margin, counted - expected["maintenance_health"]),
        }
        for name, (got, value) in figures.items():
            assert abs(got - value) <= 1e-9 * scale, (seed, name, got, value)
        if assets - liabilities > 1e-6 * scale:
            assert told["leverage"] == pytest.approx(liabilities / (assets - liabilities), rel=1e-6)
        else:
            assert told["leverage"] > 1e5


def test_initial_health_is_the_lowest_and_maintenance_the_highest() -> None:
    differing = 0
    for seed in range(300, 500):
        found = judge(draw_document(seed))
        told = account_figures(found)
        initial, end, maintenance = (told[f"{kind}_health"] for kind in KINDS)
        slack = 1e-12 * (abs(initial) + told["assets"] + told["liabilities"])
        assert initial <= end + slack
        assert end <= maintenance + slack
        differing += initial < end - slack and end < maintenance - slack
        for charge in found.charges:
            assert charge.initial >= 0
            assert charge.maintenance >= 0
    assert differing > 100


def perp_account(name: str, cash: float, unsettled: float, overall: float) -> Document:
    """Long 10 SOL from the mark, with profit that is not settled yet."""
    weights = {"initial_asset_weight": 0.8, "initial_liability_weight": 1.2,
               "maintenance_asset_weight": 0.9, "maintenance_liability_weight": 1.1}  # fmt: skip
    params = {
        "tokens": {"USDC": weights},
        "perps": {"SOL/USDC:USDC": {**weights, "initial_overall_weight": overall,
                                    "maintenance_overall_weight": overall}},
        "unsettled": {"SOL/USDC:USDC": unsettled},
    }  # fmt: skip
    position = {"symbol": "SOL/USDC:USDC", "quantity": 10, "entry_price": 100}
    return {"id": name, "model": "mango.v4", "balances": {"USDC": cash}, "positions": [position],
            "params": params}  # fmt: skip


def settled(cash: float, unsettled: float, amount: float, overall: float) -> tuple[Any, Any]:
    """Health of all kinds before and after ``amount`` of profit has gone to the balance."""
    market = {
        "index": {"SOL": 100, "USDC": 1},
        "assets": {"USDC": {"stable_price": 0.9}},
        "instruments": {"SOL/USDC:USDC": {"mark": 100, "stable_price": 97}},
    }
    accounts = [
        perp_account("before", cash, unsettled, overall),
        perp_account("after", cash + amount, unsettled - amount, overall),
    ]
    document = {"as_of": "2026-03-02", "market": market, "accounts": accounts}
    both = (account_figures(judge(document, name)) for name in ("before", "after"))
    return tuple(np.array([told[f"{kind}_health"] for kind in KINDS]) for told in both)


@pytest.mark.parametrize("share", [0.001, 0.5, 1.0])
@pytest.mark.parametrize("cash", [-500.0, 100.0, 5000.0])
def test_settling_a_loss_leaves_health_as_it_is(cash: float, share: float) -> None:
    before, after = settled(cash, -700.0, -700.0 * share, overall=0.3)
    assert after == pytest.approx(before, rel=1e-12)


def test_settling_a_profit_lifts_health_where_it_was_not_trusted() -> None:
    before, after = settled(1000.0, 2000.0, 500.0, overall=0.3)
    assert np.all(after > before + 100)
    # Where a profit counts in full it is the balance's equal.
    before, after = settled(1000.0, 2000.0, 500.0, overall=1.0)
    assert after == pytest.approx(before, rel=1e-12)


def fill(account: Document, outcome: tuple[str, ...], name: str) -> Document:
    """The account after each spot market has filled its buys, its sells or nothing."""
    balances = dict.fromkeys(TOKENS, 0.0) | account["balances"]
    turns = dict(zip(MARKETS, outcome, strict=True))
    for order in account["orders"]:
        if turns.get(order["symbol"]) == order["side"]:
            base, _, quote = order["symbol"].partition("/")
            sign = 1 if order["side"] == "buy" else -1
            balances[base] += sign * order["quantity"]
            balances[quote] -= sign * order["quantity"] * order["price"]
    orders = [order for order in account["orders"] if order["symbol"] in PERPS]
    balances = {token: round(amount, 9) for token, amount in balances.items()}
    return {**account, "id": name, "balances": balances, "orders": orders}


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_spot_orders_are_a_lower_bound_of_every_joint_outcome(first: int) -> None:
    tight = 0
    for seed in range(1000 + first, 1010 + first):
        document = draw_document(seed)
        (account,) = document["accounts"]
        outcomes = itertools.product(("", "buy", "sell"), repeat=len(MARKETS))
        filled = [fill(account, outcome, f"{k}") for k, outcome in enumerate(outcomes)]
        document["accounts"] = [account, *filled]
        portfolio = load_document(document)
        book, market = portfolio.book, portfolio.market
        result = assess(book, market, load_models(book.instruments, book.models, market.as_of_ns))
        pools = [int(book.pools_of(book.find_account(a["id"], ""))[0])
                 for a in document["accounts"]]  # fmt: skip
        for margin in (result.initial_margin, result.maintenance_margin):
            kept = (result.collateral_value - margin)[pools]
            slack = 1e-6 + 1e-9 * np.abs(result.equity[pools]).max()
            assert np.all(kept[0] <= kept[1:] + slack), seed
            tight += bool(kept[0] >= kept[1:].min() - 1e-4 * abs(kept[0]))
    assert tight


def test_an_account_with_spot_orders_alone_equals_itself_among_many() -> None:
    random = stream(1, "mango crowd")
    market = draw_market(random)
    params = draw_params(random)
    accounts = [
        draw_account(random, market, f"{k}") | {"params": params} for k in range(60)
    ]  # fmt: skip
    portfolio = load_document({"as_of": "2026-03-02", "market": market, "accounts": accounts})
    book, prices = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, prices.as_of_ns)
    among = assess(book, prices, models)
    for name in book.account_ids:
        alone = assess(clone_account(book, name), prices, models)
        (pool,) = book.pools_of(book.find_account(name, ""))
        for figure in ("equity", "collateral_value", "initial_margin", "maintenance_margin"):
            assert getattr(alone, figure)[-1] == getattr(among, figure)[pool]
        for one, of_all in zip(alone.charges, among.charges, strict=True):
            assert (one.initial[-1], one.maintenance[-1]) == (
                of_all.initial[pool],
                of_all.maintenance[pool],
            )


def test_scaling_at_its_edges() -> None:
    asset, liability = np.full(6, 0.8), np.full(6, 1.2)
    value = np.array([0.0, 999.0, 1000.0, 2000.0, np.nan, np.nan])
    start = np.array([1000.0, 1000.0, 1000.0, 1000.0, 1000.0, np.inf])
    lower, higher = scaled_weights(asset, liability, value, value, start, start)
    np.testing.assert_array_equal(lower, [0.8, 0.8, 0.8, 0.4, np.nan, 0.8])
    np.testing.assert_array_equal(higher, [1.2, 1.2, 1.2, 2.4, np.nan, 1.2])
    just = np.nextafter(1000.0, 2000.0)
    (down,), (up,) = scaled_weights(
        *(np.array([x]) for x in (0.8, 1.2, just, just, 1000.0, 1000.0))
    )
    assert 0.8 - 1e-12 < down <= 0.8
    assert 1.2 <= up < 1.2 + 1e-12


def test_scaling_is_continuous_and_caps_what_a_token_lends() -> None:
    """Above the start all deposits together count as much as the start at the plain weight."""
    value = np.linspace(1, 5000, 400)
    weight, _ = scaled_weights(
        np.full(400, 0.8), np.full(400, 1.2), value, value, np.full(400, 1e3), np.full(400, 1e3)
    )
    counted = weight * value
    assert np.all(np.diff(counted) >= -1e-9)
    assert counted.max() == pytest.approx(800, rel=1e-12)


def test_a_liquidation_that_has_begun_ends_later_than_it_began() -> None:
    """10 SOL against 850 USDC: begins below 94.4, ends from 106.25 on."""
    market = {"assets": {"SOL": {"stable_price": 100, "deposits": 1, "borrows": 1},
                         "USDC": {"stable_price": 1}}}  # fmt: skip
    account = {"id": "a", "model": "mango.v4", "balances": {"SOL": 10, "USDC": -850}}
    seen = {}
    for price in (94.4, 94.5, 106.2, 106.25, 110):
        market["index"] = {"SOL": price, "USDC": 1}
        told = account_figures(
            judge({"as_of": "2026-03-02", "market": market, "accounts": [account]})
        )
        seen[price] = (told["is_liquidatable"], told["may_end_liquidation"])
    assert seen == {94.4: (1, 0), 94.5: (0, 0), 106.2: (0, 0), 106.25: (0, 1), 110: (0, 1)}


def test_health_is_piecewise_linear_in_an_amount() -> None:
    """What sizes a liquidation: the asset side above a balance of zero, the other below."""
    amounts = np.array([-20.0, -10.0, 0.0, 10.0, 20.0])
    one = np.ones(5)
    sides = Sides(0.8 * one, 1.2 * one, 90.0 * one, 110.0 * one)
    nothing = np.zeros(0)
    none = np.zeros(0, dtype=np.int64)
    empty = Sides(nothing, nothing, nothing, nothing)
    found = health(
        Tokens(np.arange(5), amounts, sides),
        Perps(none, nothing, nothing, nothing, nothing, nothing, empty),
        SpotOrders(none, none, nothing, nothing, nothing, nothing),
        5,
    )
    assert np.diff(found.total) == pytest.approx([1320, 1320, 720, 720])


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"stable_price": "index"}, "stable_price: unknown source 'index'"),
        ({"tokens": {"SOL": 0.8}}, "tokens.SOL: 0.8 is no table"),
        ({"tokens": {"SOL": {"initial_asset_weight": 0.8}}}, "initial_liability_weight: None"),
        ({"perps": {"SOL/USDC:USDC": {"overall": 1}}}, "unknown key 'overall'"),
        ({"liquidation_end_health": 1}, "liquidation_end_health: 1 is no number"),
        ({"unsettled": {"SOL/USDC:USDC": "all"}}, "unsettled.SOL/USDC:USDC: 'all'"),
    ],
)
def test_a_parameter_of_no_meaning_is_refused(params: Document, told: str) -> None:
    account = perp_account("a", 1000, 0, 1) | {"params": params}
    market = {"index": {"SOL": 1, "USDC": 1}, "instruments": {"SOL/USDC:USDC": {"mark": 1}}}
    with pytest.raises(InputError) as error:
        judge({"as_of": "2026-03-02", "market": market, "accounts": [account]})
    assert told in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"initial_asset_weight": 0.95},
        {"maintenance_asset_weight": 1.01},
        {"maintenance_liability_weight": 0.99},
        {"initial_liability_weight": 1.05},
        {"deposit_scale_start": 0},
        {"maintenance_shift": {"start": "2026-01-01"}},
        {"maintenance_shift": {"start": "2026-01-02", "end": "2026-01-01", "asset_weight": 0.9,
                               "liability_weight": 1.1}},
        {"maintenance_shift": {"start": "2026-01-01", "end": "2026-01-02", "asset_weight": 0.7,
                               "liability_weight": 1.1}},
    ],
)  # fmt: skip
def test_weights_that_break_the_order_of_healths_are_refused(change: Document) -> None:
    account = perp_account("a", 1000, 0, 1)
    account["params"]["tokens"]["USDC"] |= change
    market = {"index": {"SOL": 1, "USDC": 1}, "instruments": {"SOL/USDC:USDC": {"mark": 1}}}
    with pytest.raises(InputError, match=r"params\.tokens\.USDC"):
        judge({"as_of": "2026-03-02", "market": market, "accounts": [account]})


@pytest.mark.parametrize(("initial", "maintenance"), [(0.6, 0.5), (0.5, 1.1)])
def test_overall_weights_that_break_the_order_are_refused(
    initial: float, maintenance: float
) -> None:
    account = perp_account("a", 1000, 0, 1)
    account["params"]["perps"]["SOL/USDC:USDC"] |= {
        "initial_overall_weight": initial,
        "maintenance_overall_weight": maintenance,
    }
    market = {"index": {"SOL": 1, "USDC": 1}, "instruments": {"SOL/USDC:USDC": {"mark": 1}}}
    with pytest.raises(InputError, match=r"SOL/USDC:USDC: overall weights are out of order"):
        judge({"as_of": "2026-03-02", "market": market, "accounts": [account]})
