"""A portfolio document on a real option chain: the whole chain, and four desks in it."""

from pathlib import Path
from typing import Any

import numpy as np

from plimsoll.connectors.deribit import read_option_chain
from plimsoll.core import format_time
from plimsoll.market.surface import years_between
from plimsoll.pricing import black76, chain_forwards, value_in_coin

CONTRACT_USD = 10


def chain_document(path: Path, quote: str = "USD") -> dict[str, Any]:
    """The first snapshot of a file of options on bitcoin, marked at its own volatilities.

    Settled in the coin, as listed, or linear where ``quote`` is a stablecoin.
    """
    chain = read_option_chain(path, None)[0]
    quotes, now = chain.quotes, chain.time_ns
    found = chain_forwards(quotes, now)
    forward = found.forward[np.searchsorted(found.expiry_ns, quotes.expiry_ns)]
    years = years_between(now, quotes.expiry_ns)
    mark = black76(forward, quotes.strike, years, quotes.vol, quotes.is_call).value
    in_coin = quote == "USD"
    mark = value_in_coin(mark, forward) if in_coin else mark
    live = np.flatnonzero(np.isfinite(mark) & (mark > 1e-12) & (years > 0))
    spot = round(float(found.forward[found.expiry_ns > now][0]), 2)
    stem = f"BTC/{quote}:{'BTC' if in_coin else quote}"
    size = {"contract_multiplier": CONTRACT_USD if in_coin else 1}
    instruments: dict[str, Any] = {stem: {"mark": spot, **size}}
    for k in live:
        day = _day(int(quotes.expiry_ns[k]))
        dated = round(float(forward[k]), 2)
        instruments.setdefault(f"{stem}-{day}", {"mark": dated, **size})
        right = "C" if quotes.is_call[k] else "P"
        instruments[f"{stem}-{day}-{quotes.strike[k]:g}-{right}"] = {
            "mark": float(f"{mark[k]:.8g}"),
            "implied_vol": round(float(quotes.vol[k]), 6),
            "underlying": dated,
        }
    days = sorted({_day(int(e)) for e in quotes.expiry_ns if e > now})
    each = CONTRACT_USD if in_coin else spot
    desks = _desks(instruments, stem, days, spot, round(10 * spot / each))
    index = {"BTC": spot} if in_coin else {"BTC": spot, quote: 1}
    return {
        "as_of": format_time(now),
        "market": {"index": index, "instruments": instruments},
        "accounts": [
            {
                "id": name,
                "model": "plimsoll.portfolio",
                "balances": {"BTC": 40} if in_coin else {quote: 3_000_000},
                "positions": positions,
            }
            for name, positions in desks.items()
        ],
    }


def _day(expiry_ns: int) -> str:
    text = format_time(expiry_ns)
    return text[2:4] + text[5:7] + text[8:10]


def _desks(
    instruments: dict[str, Any], stem: str, days: list[str], spot: float, ten_coins: int
) -> dict[str, list[dict[str, Any]]]:
    """Delta-hedged straddles, a short strangle, a calendar and a conversion."""
    front, back = days[len(days) // 2], days[-2]

    def option(day: str, moneyness: float, right: str) -> str:
        listed = [s for s in instruments if s.startswith(f"{stem}-{day}-") and s[-1] == right]
        return min(listed, key=lambda s: abs(float(s.split("-")[2]) - spot * moneyness))

    def held(symbol: str, quantity: float) -> dict[str, Any]:
        return {"symbol": symbol, "quantity": quantity, "entry_price": instruments[symbol]["mark"]}

    call, put = option(front, 1.0, "C"), option(front, 1.0, "P")
    return {
        "delta-hedged": [held(call, 10), held(put, 10), held(stem, -round(ten_coins * 0.1))],
        "short-strangle": [
            held(option(front, 1.15, "C"), -20),
            held(option(front, 0.85, "P"), -20),
        ],
        "calendar": [held(call, -15), held(option(back, 1.0, "C"), 15)],
        "conversion": [held(f"{stem}-{front}", ten_coins), held(put, 10), held(call, -10)],
    }
