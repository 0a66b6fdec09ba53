"""Deribit's portfolio margins against an oracle: plain Python, one cell after the other.

The oracle reads the parameters from the table's text and the book from the document; it shares
no line with the models. Figures may cancel, so each is held to a part in a billion of the sum
of its terms' magnitudes.
"""

import math
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plimsoll.margin import explain, load_models
from tests.margin.option_books import draw_document, load_document, plain_black76, years_to

VENUES = Path(__file__).parents[2] / "src/plimsoll/margin/venues"
SEEDS = range(300)
# Gains that offset, in full or hardly; books that are large beside the delta shock's threshold.
OFFSETS = {
    "pnl_offset": {"BTC": 0.5, "ETH": 1.0},
    "max_offsetable_pnl": {"BTC": 5e4, "ETH": 3e6, "USDC": 2e4},
    "extended_dampener": {"BTC": 3e4, "ETH": 1e5, "USDC": 4e5},
    "delta_total_liq_shock_threshold": {"BTC": 5e5, "ETH": 2e5},
    "mmp_margin": {"BTC": 0.5, "USDC": 1200},
}


def params_of(name: str, overrides: dict[str, Any]) -> dict[str, Any]:
    blocks = tomllib.loads((VENUES / f"{name}.toml").read_text())["table"]
    merged = dict(blocks[-1]["params"])
    for key, value in overrides.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return merged


@dataclass
class Contract:
    """What a symbol and its entry in the market say."""

    base: str
    settle: str
    expiry: str
    strike: float
    right: str
    size: float
    mark: float
    vol: float
    forward: float

    @property
    def in_coin(self) -> bool:
        return self.settle == self.base


def contract_of(symbol: str, entry: dict[str, Any]) -> Contract:
    pair, _, tail = symbol.partition(":")
    settle, expiry, strike, right = [*tail.split("-"), "", "", ""][:4]
    return Contract(
        pair.split("/")[0], settle, expiry, float(strike or 0), right,
        float(entry.get("contract_multiplier", 1)), entry["mark"],
        entry.get("implied_vol", 0.0), entry.get("underlying", 0.0),
    )  # fmt: skip


def years_of(contract: Contract) -> float:
    return years_to(contract.expiry) if contract.expiry else 0.0


def shocked_vol(contract: Contract, side: int, p: dict[str, Any]) -> float:
    days = max(years_of(contract) * 365, 1.0)
    base = contract.base
    power = p["short_term_vega_power" if days < 30 else "long_term_vega_power"][base]
    factor = (30 / days) ** power
    if side > 0:
        up = contract.vol * (1 + p["volatility_range_up"][base] * factor)
        return max(up, p["min_volatility_for_shock_up"][base])
    if side < 0:
        return max(contract.vol * (1 - p["volatility_range_down"][base] * factor), 0.0)
    return contract.vol


def usd_profit(
    contract: Contract, move: float, side: int, index: dict[str, float], p: dict[str, Any]
) -> float:
    """USD of one long contract at the moved price."""
    if contract.right:
        forward = contract.forward * (1 + move)
        vol = shocked_vol(contract, side, p)
        is_call = contract.right == "C"
        if vol == 0:
            value = max((forward - contract.strike) * (1 if is_call else -1), 0.0)
        else:
            value = plain_black76(forward, contract.strike, years_of(contract), vol, is_call)
        gained = (value / forward if contract.in_coin else value) - contract.mark
        gained *= contract.size
    elif contract.in_coin:
        gained = contract.size * (1 / contract.mark - 1 / (contract.mark * (1 + move)))
    else:
        gained = contract.size * contract.mark * move
    return gained * index[contract.settle] * (1 + move if contract.in_coin else 1.0)


def coins(contract: Contract) -> float:
    """Delta of one contract."""
    if contract.right:
        deviation = contract.vol * math.sqrt(years_of(contract))
        d1 = math.log(contract.forward / contract.strike) / deviation + deviation / 2
        called = 0.5 * math.erfc(-d1 / math.sqrt(2))
        return contract.size * (called if contract.right == "C" else called - 1)
    return contract.size / contract.mark if contract.in_coin else contract.size


def scenarios(price_range: float, p: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """(move, side of volatility, whether it is in the extended table)."""
    n = p["buckets_count"]
    near = [(price_range * k / n, side, False) for k in range(-n, n + 1) for side in (1, 0, -1)]
    return near + [(move, 1, True) for move in p["extended_moves"]]


def counted(
    profit: float, move: float, far: bool, base: str, settle: str, *, coin_book: bool,
    p: dict[str, Any],
) -> float:  # fmt: skip
    """What a vector's profit in a cell counts for, in USD."""
    edge = move
    if far:
        reach = p["price_range"][base]
        edge = math.copysign(reach, move)
        profit *= p["extended_table_factor"][base] * reach / abs(move)
        spared = (max(abs(move) / reach, 1) - 1) * p["extended_dampener"][settle]
        if profit < 0:
            profit += min(spared, -profit)
    if coin_book and base == settle:
        profit /= 1 + edge
    if profit > 0:
        profit = min(profit * p["pnl_offset"][settle], p["max_offsetable_pnl"][settle])
    return profit


def extra_shocks(
    legs: list[tuple[float, Contract]], base: str, settle: str, price: float, p: dict[str, Any]
) -> tuple[float, float]:
    """Roll shock and delta shock of one vector in USD."""
    by_expiry: dict[str, float] = defaultdict(float)
    long_options = rest = 0.0
    for quantity, contract in legs:
        delta = quantity * coins(contract)
        by_expiry[contract.expiry] += delta
        if contract.right and quantity > 0:
            long_options += delta
        else:
            rest += delta
    roll = 0.0
    for expiry, delta in by_expiry.items():
        years = years_to(expiry) if expiry else 0.0
        rate = math.exp(p["annualised_move_risk"][settle] * years) - 1
        roll += abs(delta) * price * max(rate, p["min_annualised_move"][settle])
    if rest < 0:
        left = min(max(long_options + rest, rest), 0.0)
    else:
        left = max(min(long_options + rest, rest), 0.0)
    value = abs(left) * price
    impact = max(value - p["delta_total_liq_shock_threshold"][base], 0) * abs(left)
    return roll, min(impact * p["m_inc"][base], p["max_delta_shock"][base] * value)


@dataclass
class Verdict:
    """Figures in USD, and for each the sum of its terms' magnitudes."""

    equity: float
    initial: float
    maintenance: float
    equity_scale: float
    scale: float


def judge(document: dict[str, Any], settles: list[str], p: dict[str, Any], cross: bool) -> Verdict:
    """The book of some settlement currencies together."""
    market, account = document["market"], document["accounts"][0]
    index = {"USD": 1.0, **market["index"]}
    legs: dict[str, dict[str, list[tuple[float, Contract]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    held = {asset: account["balances"].get(asset, 0.0) for asset in settles}
    scale = {asset: abs(amount) for asset, amount in held.items()}
    for position in account["positions"]:
        entry = market["instruments"][position["symbol"]]
        contract, quantity = contract_of(position["symbol"], entry), position["quantity"]
        if contract.settle not in settles:
            continue
        legs[contract.base][contract.settle].append((quantity, contract))
        worth, paid = contract.mark, position["entry_price"]
        if contract.right:
            paid = 0.0
        elif contract.in_coin:
            worth, paid = -1 / contract.mark, -1 / paid
        held[contract.settle] += quantity * contract.size * (worth - paid)
        scale[contract.settle] += abs(quantity) * contract.size * (abs(worth) + abs(paid))
    if cross:
        for asset in held:
            if p["equity_side_impact"][asset] == "both":
                legs[asset].setdefault(asset, [])
    risk = size = 0.0
    for base, vectors in legs.items():
        worst = 0.0
        for move, side, far in scenarios(p["price_range"][base], p):
            cell = 0.0
            for settle, rows in vectors.items():
                profits = [q * usd_profit(c, move, side, index, p) for q, c in rows]
                if cross and settle == base:
                    profits.append(held[base] * index[base] * move)
                size += sum(map(abs, profits))
                cell += counted(
                    sum(profits), move, far, base, settle, coin_book=not cross, p=p
                )  # fmt: skip
            worst = max(worst, -cell)
        shocks = [extra_shocks(rows, base, s, index[base], p) for s, rows in vectors.items()]
        risk += worst + sum(map(sum, shocks))
    mmp = sum(p["mmp_margin"].get(asset, 0.0) * index[asset] for asset in held)
    return Verdict(
        sum(held[asset] * index[asset] for asset in held),
        risk + mmp,
        p["mm_factor"] * risk,
        sum(scale[asset] * index[asset] for asset in held),
        # Each cell's profits are a few times what is held; the mean of the cells stands for it.
        size / 35 + risk + mmp + sum(scale[asset] * index[asset] for asset in held),
    )


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("name", ["deribit_segregated_pm", "deribit_cross_pm"])
def test_random_books_match_the_oracle(name: str, part: int) -> None:
    scanned = shocked = 0
    for seed in SEEDS[part::3]:
        overrides = OFFSETS if seed % 2 else {}
        cross = name == "deribit_cross_pm"
        document = draw_document(seed, name.replace("_", ".", 1), params=overrides)
        portfolio = load_document(document)
        book, market = portfolio.book, portfolio.market
        models = load_models(book.instruments, book.models, market.as_of_ns)
        found = explain(book, market, models, "a")
        account = document["accounts"][0]
        settles = [contract_of(row["symbol"], {"mark": 1}).settle for row in account["positions"]]
        assets = list(dict.fromkeys([*account["balances"], *settles]))
        books = [assets] if cross else [[asset] for asset in assets]
        assert len(found) == len(books)
        p = params_of(name, overrides)
        for pool, currencies in zip(found, books, strict=True):
            told = judge(document, currencies, p, cross)
            assert pool.equity == pytest.approx(told.equity, abs=1e-9 * told.equity_scale, rel=0)
            assert pool.collateral_value == pool.equity
            for got, expected in (
                (pool.initial_margin, told.initial),
                (pool.maintenance_margin, told.maintenance),
            ):
                assert got == pytest.approx(expected, abs=1e-9 * told.scale, rel=0), seed
            lines = {line.name: line.initial for line in pool.charges}
            scanned += lines["worst_case"] > 0
            shocked += lines["delta_shock"] > 0
    assert scanned > 90
    assert shocked > 10
