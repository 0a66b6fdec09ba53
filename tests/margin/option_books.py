"""Random portfolio documents with futures and options, for oracles of scenario models.

A document is plain data: the engine reads it through the front door, the oracle reads the same
dictionary with arithmetic of its own. Options are marked at Black-76 on their own volatility.
"""

import math
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.core import stream

AS_OF = "2026-03-02T12:00:00Z"
AS_OF_NS = 1_772_452_800_000_000_000
# At 8:00; days to go: 4 (short), 30 less four hours, 30.8 (across the usual split), 207.
EXPIRIES = {"260306": 3.8333333333333335, "260401": 29.833333333333332,
            "260402": 30.833333333333332, "260925": 206.83333333333334}  # fmt: skip
INDEX = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0}


def plain_black76(f: float, k: float, years: float, vol: float, is_call: bool) -> float:
    """Undiscounted value of an option on a forward, in the currency of the strike."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(f / k) / deviation + deviation / 2
    d2 = d1 - deviation
    sign = 1.0 if is_call else -1.0
    return sign * (f * plain_cdf(sign * d1) - k * plain_cdf(sign * d2))


def plain_cdf(x: float) -> float:
    """The normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def years_to(expiry: str) -> float:
    """Years of 365 days from ``AS_OF`` to one of ``EXPIRIES``."""
    return EXPIRIES[expiry] / 365


def draw_market(
    random: np.random.Generator, bases: tuple[str, ...], quotes: tuple[str, ...]
) -> dict[str, Any]:
    """Prices of perpetuals, dated futures and options on each base.

    ``quotes`` names the forms: "USD" coin-settled, anything else linear in that asset.
    """
    index = {base: round(INDEX[base] * math.exp(random.normal(0, 0.2)), 2) for base in bases}
    index |= {q: round(1 + random.uniform(-0.003, 0.003), 5) for q in quotes if q != "USD"}
    instruments: dict[str, Any] = {}
    for base in bases:
        for quote in quotes:
            settle = base if quote == "USD" else quote
            spot = index[base] / index.get(quote, 1.0)
            mark = round(spot * (1 + random.uniform(-0.002, 0.002)), 2)
            instruments[f"{base}/{quote}:{settle}"] = {"mark": mark}
            if quote == "USD":
                instruments[f"{base}/{quote}:{settle}"]["contract_multiplier"] = 10
            for expiry, days in EXPIRIES.items():
                forward = round(spot * math.exp(0.06 * days / 365), 2)
                instruments[f"{base}/{quote}:{settle}-{expiry}"] = {
                    "mark": forward,
                    "contract_multiplier": 10 if quote == "USD" else 1,
                }
                for moneyness in (0.8, 1.0, 1.25):
                    strike = float(f"{spot * moneyness:.3g}")
                    for right in "CP":
                        vol = round(
                            0.6 + 0.2 * abs(math.log(moneyness)) + random.uniform(0, 0.1), 4
                        )
                        value = plain_black76(forward, strike, days / 365, vol, right == "C")
                        price = value / forward if quote == "USD" else value
                        symbol = f"{base}/{quote}:{settle}-{expiry}-{strike:g}-{right}"
                        instruments[symbol] = {
                            "mark": float(f"{max(price, 1e-7):.9g}"),
                            "implied_vol": vol,
                            "underlying": forward,
                        }
    return {"index": index, "instruments": instruments}


def draw_document(
    seed: int,
    model: str,
    bases: tuple[str, ...] = ("BTC", "ETH"),
    quotes: tuple[str, ...] = ("USD", "USDC"),
    params: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A document with one account "a": 1 to 12 positions on one market, balances, maybe orders."""
    random = stream(seed, "option book")
    market = draw_market(random, bases, quotes)
    symbols = sorted(market["instruments"])
    scale = float(np.exp(random.uniform(np.log(1e3), np.log(3e7))))
    positions = []
    for k in random.permutation(len(symbols))[: random.integers(1, 13)]:
        symbol = symbols[int(k)]
        entry = market["instruments"][symbol]
        base = symbol.partition("/")[0]
        each = (
            entry.get("contract_multiplier", 1)
            if symbol.endswith(f"USD:{base}")
            or ("/USD:" in symbol and not symbol.endswith(("C", "P")))
            else market["index"][base]
        )
        contracts = round(float(scale * random.uniform(0.05, 1) / each * random.choice([-1, 1])), 4)
        if contracts:
            price = entry["mark"] * (1 + random.uniform(-0.05, 0.05))
            positions.append({"symbol": symbol, "quantity": contracts,
                              "entry_price": float(f"{price:.8g}")})  # fmt: skip
    balances = {"USDC": round(scale * random.uniform(0.1, 2), 2)} if "USDC" in quotes else {}
    balances |= {base: round(scale * random.uniform(0, 1) / INDEX[base], 6) for base in bases}
    balances |= {
        quote: round(scale * random.uniform(0, 1), 2) for quote in quotes if quote == "USDT"
    }
    account = {"id": "a", "model": model, "balances": balances, "positions": positions,
               "params": params or {}}  # fmt: skip
    return {"as_of": AS_OF, "market": market, "accounts": [account]}


def load_document(document: dict[str, Any]) -> Portfolio:
    """A document through the front door."""
    return build_portfolio(decode_document(msgspec.json.encode(document), "random.json"))
