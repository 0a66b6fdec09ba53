"""plimsoll.portfolio against an oracle: plain Python, one scenario after the other.

The oracle reads the parameters from the table's text and the book from the document; it shares
no line with the model. It takes the credit for opposed sides as the rule sheet words it, and
tries every combination of fills one by one. Figures may cancel, so each is held to a part in a
billion of the sum of its terms' magnitudes.
"""

import itertools
import math
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.core import stream
from plimsoll.margin import explain, load_models
from tests.margin.option_books import draw_document, load_document, plain_black76, years_to

TABLE = Path(__file__).parents[2] / "src/plimsoll/margin/venues/plimsoll_portfolio.toml"
PARAMS = tomllib.loads(TABLE.read_text())["table"][-1]["params"]
MODEL = "plimsoll.portfolio"
SEEDS = range(300)
FORMS = (("USD", "USDC"), ("USD", "USDT"), ("USDC", "USDT"))
# Depths that books are large beside, offsets on and off, a recent range above its floor.
OVERRIDES: tuple[dict[str, Any], ...] = (
    {},
    # Volatilities are drawn from 0.6 to 0.75: some lie below the floor of a shock down.
    {"offset_cap": 0.0, "volatility": {"down": 0.6, "vol_min_up": 1.0, "vol_min_down": 0.68}},
    {"offset_cap": 0.3, "participation": 0.0001, "initial_factor": 1.1},
    {
        "underlyings": {
            "ETH": {"class": "small", "recent": 0.3, "floor": 0.2, "daily_volume": 1e6}
        },
        "short_option_rate": 0.1,
    },
)


@dataclass
class Contract:
    """What a symbol and its entry in the market say."""

    base: str
    quote: str
    settle: str
    expiry: str
    strike: float
    right: str
    size: float
    mark: float
    vol: float
    forward: float

    @property
    def is_inverse(self) -> bool:
        return self.settle == self.base and self.quote != self.settle

    def value(self, price: float) -> float:
        """Worth of one contract in what it settles in; an option's price is in that already."""
        if self.is_inverse and not self.right:
            return -self.size / price
        return self.size * price


def contract_of(symbol: str, entry: dict[str, Any]) -> Contract:
    pair, _, tail = symbol.partition(":")
    settle, expiry, strike, right = [*tail.split("-"), "", "", ""][:4]
    return Contract(
        *pair.split("/"), settle, expiry, float(strike or 0), right,
        float(entry.get("contract_multiplier", 1)), entry["mark"],
        entry.get("implied_vol", 0.0), entry.get("underlying", 0.0),
    )  # fmt: skip


def range_of(asset: str, p: dict[str, Any]) -> float:
    """The price range in force; 0 for what is not scanned."""
    row = p["underlyings"].get(asset)
    return max(row["recent"] * (1 + p["range_buffer"]), row["floor"]) if row else 0.0


def move_of(asset: str, k: int, p: dict[str, Any]) -> tuple[float, float]:
    """Relative move of an asset in scenario k and what its result counts for."""
    if asset not in p["underlyings"]:
        return 0.0, 1.0
    units = p["scenarios"][p["classes"][p["underlyings"][asset]["class"]]["bloc"]][k]
    size = range_of(asset, p)
    vol_weight = 1 / max(abs(p["scenarios"]["volatility"][k]), 1)
    if abs(units) <= 1:
        return units * size, vol_weight
    move = math.prod([1 + math.copysign(size, units)] * round(abs(units))) - 1
    return move, vol_weight * size / abs(move)


def shocked_vol(contract: Contract, k: int, p: dict[str, Any]) -> float:
    """An option's volatility in scenario k."""
    law, units = p["volatility"], p["scenarios"]["volatility"][k]
    days = max(years_to(contract.expiry) * 365, law["days_min"])
    power = law["short_power"] if days < law["reference_days"] else law["long_power"]
    scale = (law["reference_days"] / days) ** power
    if units > 0:
        return max(contract.vol * (1 + units * law["up"] * scale), law["vol_min_up"])
    down = contract.vol * (1 + units * law["down"] * scale)
    return max(down, min(contract.vol, law["vol_min_down"])) if units else contract.vol


def profit_of(contract: Contract, k: int, index: dict[str, float], p: dict[str, Any]) -> float:
    """Weighted profit in USD of one long contract in scenario k."""
    move, weight = move_of(contract.base, k, p)
    relative = (1 + move) / (1 + move_of(contract.quote, k, p)[0])
    if contract.right:
        years, is_call = years_to(contract.expiry), contract.right == "C"
        forward = contract.forward * relative
        after = plain_black76(forward, contract.strike, years, shocked_vol(contract, k, p), is_call)
        before = plain_black76(contract.forward, contract.strike, years, contract.vol, is_call)
        if contract.is_inverse:
            after, before = after / forward, before / contract.forward
        profit = contract.size * (after - before)
    else:
        profit = contract.value(contract.mark * relative) - contract.value(contract.mark)
    settled = index.get(contract.settle, 1.0) * (1 + move_of(contract.settle, k, p)[0])
    return profit * settled * weight


def delta_of(contract: Contract) -> float:
    """Coins of the underlying that one long contract moves with, at its mark."""
    if contract.right:
        # The delta of Black-76, as the slope that a small step shows.
        step, years = contract.forward * 1e-5, years_to(contract.expiry)
        up, down = (
            plain_black76(
                contract.forward + x, contract.strike, years, contract.vol, contract.right == "C"
            )
            for x in (step, -step)
        )
        return contract.size * (up - down) / (2 * step)
    return contract.size / contract.mark if contract.is_inverse else contract.size


@dataclass
class Held:
    """One contract with what is held of it and what is ordered; losses are those of fills."""

    contract: Contract
    quantity: float = 0.0
    buys: float = 0.0
    sells: float = 0.0
    buy_loss: float = 0.0
    sell_loss: float = 0.0

    def after(self, case: int) -> tuple[float, float]:
        """Contracts and what the fills lost at once: 0 none, 1 all buys, 2 all sells."""
        return (
            (self.quantity, 0.0),
            (self.quantity + self.buys, self.buy_loss),
            (self.quantity - self.sells, self.sell_loss),
        )[case]


@dataclass
class Row:
    """An asset of the pool in one case: profits by scenario, without and with its coins, and

    what it loses in all scenarios, and on both sides times the offset, and alone.
    """

    positions: list[float]
    profits: list[float]
    every: float
    long: float
    short: float
    alone: float


def worst(profits: list[float], scenarios: Iterable[int]) -> float:
    return max([0.0, *(-profits[k] for k in scenarios)])


def may_be_alone(k: int, reach: float, p: dict[str, Any]) -> bool:
    """Whether scenario k, with all underlyings together, may stand for one of them alone."""
    units = {p["scenarios"][b][k] for b in p["scenarios"] if b != "volatility"}
    near = max(abs(u) for u in units) <= reach
    return len(units) == 1 and near and abs(p["scenarios"]["volatility"][k]) <= 1


def losses_of(asset: str, profits: list[float], p: dict[str, Any]) -> tuple[float, ...]:
    every = worst(profits, range(48))
    if asset not in p["underlyings"]:
        return every, 0.0, 0.0, 0.0
    family = p["classes"][p["underlyings"][asset]["class"]]
    offset = min(family["offset"], p["offset_cap"])
    moves = [move_of(asset, k, p)[0] for k in range(48)]
    return (
        every,
        offset * (every - worst(profits, (k for k in range(48) if moves[k] > 0))),
        offset * (every - worst(profits, (k for k in range(48) if moves[k] < 0))),
        worst(profits, (k for k in range(48) if may_be_alone(k, family["alone"], p))),
    )


def scan(rows: list[Row]) -> tuple[float, float]:
    """(charge, worst joint loss): the sum of standalone losses less the credit."""
    total = sum(row.every for row in rows)
    sums = [sum(row.profits[k] for row in rows) for k in range(48)]
    joint = max([0.0, *(row.alone for row in rows), *(-x for x in sums)])
    sides = sum(row.long for row in rows), sum(row.short for row in rows)
    return total - min(max(total - joint, 0.0), 2 * min(sides)), joint


def concentration(loss: float, asset: str, p: dict[str, Any]) -> float:
    if loss == 0:
        return 0.0
    size = range_of(asset, p)
    days = loss / size / (p["participation"] * p["underlyings"][asset]["daily_volume"])
    return loss * (min(math.sqrt(1 + days / (3 * p["horizon_days"])), 1 / size) - 1)


def basis(legs: dict[str, float], family: dict[str, Any]) -> float:
    """Charge on net deltas by expiry; "" is the perpetual, "spot" the coin."""
    sides = [[0.0, 0.0], [0.0, 0.0]]
    for expiry, delta in legs.items():
        years = years_to(expiry) if expiry not in ("", "spot") else 0.0
        rate = max(math.exp(family["basis_year"] * years) - 1, family["basis_min"])
        side = sides[0 if delta > 0 else 1]
        side[0] += abs(delta)
        side[1] += 0.0 if expiry == "spot" else abs(delta) * rate
    (long, long_loss), (short, short_loss) = sides
    if not long or not short:
        return 0.0
    return min(long, short) * (long_loss / long + short_loss / short)


@dataclass
class Verdict:
    """Figures of the pool; ``scale`` is the sum of the magnitudes that equity is made of."""

    equity: float
    collateral: float
    initial: float
    maintenance: float
    joint: float
    scale: float


def book_of(document: dict[str, Any]) -> dict[str, Held]:
    account, market = document["accounts"][0], document["market"]
    held: dict[str, Held] = {}
    for entry in (*account["positions"], *account.get("orders", ())):
        symbol = entry["symbol"]
        held.setdefault(symbol, Held(contract_of(symbol, market["instruments"][symbol])))
    for position in account["positions"]:
        held[position["symbol"]].quantity += position["quantity"]
    for order in account.get("orders", ()):
        if order.get("reduce_only"):
            continue
        mine = held[order["symbol"]]
        c = mine.contract
        sign = 1 if order["side"] == "buy" else -1
        lost = sign * order["quantity"] * (c.value(order["price"]) - c.value(c.mark))
        lost = max(lost, 0.0) * market["index"].get(c.settle, 1.0)
        if sign > 0:
            mine.buys += order["quantity"]
            mine.buy_loss += lost
        else:
            mine.sells += order["quantity"]
            mine.sell_loss += lost
    return held


def judge(document: dict[str, Any], p: dict[str, Any]) -> Verdict:
    account, market = document["accounts"][0], document["market"]
    index = market["index"] | {"USD": 1.0}
    held = list(book_of(document).values())
    worth, scale = defaultdict(float), 0.0
    for asset, amount in account["balances"].items():
        worth[asset] += amount * index[asset]
        scale += abs(amount * index[asset])
    for position in account["positions"]:
        c = contract_of(position["symbol"], market["instruments"][position["symbol"]])
        paid = 0.0 if c.right else c.value(position["entry_price"])
        worth[c.settle] += position["quantity"] * (c.value(c.mark) - paid) * index[c.settle]
        scale += abs(position["quantity"] * c.value(c.mark) * index[c.settle])
    factor = p["initial_factor"]
    counted = 0.0
    for asset, value in worth.items():
        fall = p["depeg"].get(asset, p["depeg"]["default"])[0]
        taken = factor * (range_of(asset, p) or fall)
        counted += value
        tiers = p["haircuts"].get(asset, [[0, 1.0]])
        for k, (floor, rate) in enumerate(tiers):
            ceiling = tiers[k + 1][0] if k + 1 < len(tiers) else math.inf
            counted -= max(min(value, ceiling) - floor, 0.0) * max(rate - taken, 0.0)

    assets = sorted({h.contract.base for h in held} | set(worth))
    cases = (0, 1, 2)
    rows = {(a, case): row_of(a, case, held, worth.get(a, 0.0), index, p)
            for a in assets for case in cases}  # fmt: skip
    lines = {case: lines_of(case, assets, held, worth, index, p) for case in cases}
    charge, joint = scan([rows[a, 0] for a in assets])
    loss = {key: max([0.0, *(-x for x in row.positions)]) for key, row in rows.items()}
    rest = others(charge, assets, {a: loss[a, 0] for a in assets}, lines[0], p)

    ordered = [a for a in assets if any((h.buys or h.sells) and h.contract.base == a for h in held)]
    most_charged = charge
    for pattern in itertools.product(cases, repeat=len(ordered)):
        case = dict(zip(ordered, pattern, strict=True))
        most_charged = max(most_charged, scan([rows[a, case.get(a, 0)] for a in assets])[0])
    most = {a: max(loss[a, case] for case in cases) for a in assets}
    filled = [{a: max(lines[case][n][a] for case in cases) for a in assets} for n in (0, 1)]
    rise = others(most_charged, assets, most, filled, p) + most_charged - rest - charge
    orders = factor * max(rise, 0.0) if ordered else 0.0

    open_quote = {a: v for a, v in worth.items() if a not in p["underlyings"]}
    for h in held:
        c = h.contract
        if c.quote == c.settle and c.quote in open_quote:
            price = c.forward if c.right else c.mark
            open_quote[c.quote] -= h.quantity * delta_of(c) * price * index[c.quote]
    depegs = 0.0
    for asset, value in open_quote.items():
        fall, rises = p["depeg"].get(asset, p["depeg"]["default"])
        depegs += value * fall if value > 0 else -value * rises
    depeg = math.sqrt(charge**2 + depegs**2) - charge

    fees = 0.0
    for h in held:
        each = fee_of(h.contract, index, p)
        fees += abs(h.quantity) * each
        most_held = max(abs(h.after(case)[0]) for case in cases)
        orders += max(most_held - abs(h.quantity), 0.0) * each
    maintenance = charge + rest + depeg + fees
    initial = factor * (charge + rest + depeg) + fees + orders
    return Verdict(sum(worth.values()), counted, initial, maintenance, joint, scale)


def row_of(
    asset: str, case: int, held: list[Held], value: float, index: dict[str, float],
    p: dict[str, Any],
) -> Row:  # fmt: skip
    positions = [0.0] * 48
    for h in held:
        if h.contract.base == asset:
            quantity, lost = h.after(case)
            for k in range(48):
                positions[k] += quantity * profit_of(h.contract, k, index, p) - lost
    coin = [math.prod(move_of(asset, k, p)) * value for k in range(48)]
    profits = [a + b for a, b in zip(positions, coin, strict=True)]
    return Row(positions, profits, *losses_of(asset, profits, p))


def lines_of(
    case: int, assets: list[str], held: list[Held], worth: dict[str, float],
    index: dict[str, float], p: dict[str, Any],
) -> list[dict[str, float]]:  # fmt: skip
    """(short option floors, basis) by asset in one case."""
    floors, bases = dict.fromkeys(assets, 0.0), dict.fromkeys(assets, 0.0)
    for asset in assets:
        if asset not in p["underlyings"]:
            continue
        legs: dict[str, float] = defaultdict(float)
        legs["spot"] = worth.get(asset, 0.0)
        for h in held:
            c = h.contract
            if c.base != asset:
                continue
            quantity = h.after(case)[0]
            legs[c.expiry] += quantity * usd_delta(c, index)
            if c.right:
                floors[asset] += (
                    max(-quantity, 0.0) * p["short_option_rate"] * c.size * index[asset]
                )
        bases[asset] = basis(legs, p["classes"][p["underlyings"][asset]["class"]])
    return [floors, bases]


def usd_delta(c: Contract, index: dict[str, float]) -> float:
    if c.settle not in (c.quote, c.base):
        return c.size * index[c.settle] / index[c.quote] * index[c.base]
    return delta_of(c) * index[c.base]


def others(
    charge: float, assets: list[str], loss: dict[str, float], lines: list[dict[str, float]],
    p: dict[str, Any],
) -> float:  # fmt: skip
    """Short option minimum, concentration and basis."""
    floors, bases = lines
    minimum = max(sum(floors.values()) - charge, sum(max(floors[a] - loss[a], 0.0) for a in assets))
    return minimum + sum(concentration(loss[a], a, p) + bases[a] for a in assets)


def fee_of(c: Contract, index: dict[str, float], p: dict[str, Any]) -> float:
    if c.right:
        return p["option_fee_rate"] * c.size * index[c.base]
    if c.is_inverse:
        return p["fee_rate"] * c.size * index[c.quote]
    currency = c.quote if c.quote == c.settle else c.settle
    return p["fee_rate"] * c.size * c.mark * index[currency]


def draw(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document with options, futures, a quanto, a cross of two coins, debts and orders."""
    overrides = OVERRIDES[seed % len(OVERRIDES)]
    bases = ("BTC", "ETH", "SOL")[: 2 + seed % 2]
    document = draw_document(seed, MODEL, bases, FORMS[seed % 3], overrides)
    random = stream(seed, "portfolio orders")
    account, market = document["accounts"][0], document["market"]
    index, instruments = market["index"], market["instruments"]
    instruments["ETH/USD:BTC"] = {
        "mark": index["ETH"] * 1.001, "contract_multiplier": 0.000001
    }  # fmt: skip
    instruments["ETH/BTC:BTC"] = {"mark": float(f"{index['ETH'] / index['BTC']:.8g}")}
    scale = max((abs(v) * index.get(a, 1.0) for a, v in account["balances"].items()), default=1e4)
    for symbol, each in (("ETH/USD:BTC", 150.0), ("ETH/BTC:BTC", 2500.0)):
        if random.random() < 0.3:
            contracts = round(float(scale * random.uniform(-1, 1) / each), 4)
            mark = instruments[symbol]["mark"]
            account["positions"].append(
                {"symbol": symbol, "quantity": contracts, "entry_price": float(f"{mark:.6g}")}
            )
    if random.random() < 0.3:
        account["balances"]["ETH"] *= -0.3
    if random.random() < 0.2:
        account["balances"]["MOON"] = round(float(scale * random.uniform(-0.1, 1)), 2)
        index["MOON"] = 0.5
    symbols = sorted(instruments)
    orders = account.setdefault("orders", [])
    for _ in range(int(random.choice([0, 0, 1, 3, 6]))):
        pool = [p["symbol"] for p in account["positions"]] if random.random() < 0.5 else symbols
        symbol = pool[int(random.integers(len(pool)))]
        contract = contract_of(symbol, instruments[symbol])
        each = contract.size if contract.is_inverse and not contract.right else index[contract.base]
        price = instruments[symbol]["mark"] * float(np.exp(random.uniform(-0.05, 0.05)))
        orders.append(
            {
                "symbol": symbol,
                "side": "buy" if random.random() < 0.5 else "sell",
                "quantity": max(round(float(scale * random.uniform(0.01, 1) / each), 4), 0.0001),
                "price": float(f"{price:.6g}"),
                "reduce_only": bool(random.random() < 0.1),
            }
        )
    merged = dict(PARAMS)
    for key, value in overrides.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return document, merged


@pytest.fixture(scope="module")
def judged() -> list[tuple[int, Verdict, Any]]:
    """For every seed: the oracle's verdict and the model's explanation."""
    found = []
    for seed in SEEDS:
        document, p = draw(seed)
        portfolio = load_document(document)
        book, market = portfolio.book, portfolio.market
        models = load_models(book.instruments, book.models, market.as_of_ns)
        found.append((seed, judge(document, p), explain(book, market, models, "a")[0]))
    return found


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        ("equity", "equity"),
        ("collateral_value", "collateral"),
        ("initial_margin", "initial"),
        ("maintenance_margin", "maintenance"),
    ],
)
def test_the_model_agrees_with_the_oracle(judged, name: str, mine: str) -> None:
    off = [
        (seed, getattr(seen, name), getattr(verdict, mine))
        for seed, verdict, seen in judged
        if not abs(getattr(seen, name) - getattr(verdict, mine)) <= 1e-9 * verdict.scale
    ]
    assert off == []


def test_the_worst_joint_loss_agrees(judged) -> None:
    for seed, verdict, seen in judged:
        line = next(c for c in seen.charges if c.name == "joint_scan")
        assert line.maintenance == pytest.approx(verdict.joint, abs=1e-9 * verdict.scale), seed


def test_the_books_reach_every_line(judged) -> None:
    """Otherwise the agreement above would say little."""
    counts: dict[str, int] = defaultdict(int)
    for _, _, seen in judged:
        for line in seen.charges:
            counts[line.name] += line.initial > 1e-6 * seen.initial_margin
    assert set(counts) == {
        "joint_scan", "offset_limit", "short_option_minimum", "concentration", "basis", "depeg",
        "open_orders", "fee_provision",
    }  # fmt: skip
    assert min(counts.values()) >= 20, dict(counts)
    assert sum(seen.collateral_value < seen.equity - 1 for _, _, seen in judged) >= 20
