"""A portfolio document on a real option chain: the whole chain, and four desks in it."""

from pathlib import Path
from typing import Any

import numpy as np

from plimsoll.connectors.deribit import OptionChain, read_option_chain
from plimsoll.core import format_time
from plimsoll.market.surface import years_between
from plimsoll.pricing import black76, chain_forwards, value_in_coin

CONTRACT_USD = 10


def chain_document(path: Path) -> dict[str, Any]:
    """The first snapshot of a file of coin-settled options, marked at its own volatilities."""
    chain = read_option_chain(path, None)[0]
    quotes, now = chain.quotes, chain.time_ns
    found = chain_forwards(quotes, now)
    forward = found.forward[np.searchsorted(found.expiry_ns, quotes.expiry_ns)]
    years = years_between(now, quotes.expiry_ns)
    mark = value_in_coin(
        black76(forward, quotes.strike, years, quotes.vol, quotes.is_call).value, forward
    )
    live = np.flatnonzero(np.isfinite(mark) & (mark > 0) & (years > 0))
    spot = round(float(found.forward[found.expiry_ns > now][0]), 2)
    instruments: dict[str, Any] = {
        "BTC/USD:BTC": {"mark": spot, "contract_multiplier": CONTRACT_USD}
    }
    for k in live:
        day = _day(int(quotes.expiry_ns[k]))
        dated = round(float(forward[k]), 2)
        instruments.setdefault(
            f"BTC/USD:BTC-{day}", {"mark": dated, "contract_multiplier": CONTRACT_USD}
        )
        right = "C" if quotes.is_call[k] else "P"
        instruments[f"BTC/USD:BTC-{day}-{quotes.strike[k]:g}-{right}"] = {
            "mark": float(f"{mark[k]:.8g}"),
            "implied_vol": round(float(quotes.vol[k]), 6),
            "underlying": dated,
        }
    return {
        "as_of": format_time(now),
        "market": {"index": {"BTC": spot}, "instruments": instruments},
        "accounts": [
            {"id": name, "model": "plimsoll.portfolio", "balances": {"BTC": 40},
             "positions": positions}
            for name, positions in _desks(chain, instruments, spot).items()
        ],
    }  # fmt: skip


def _day(expiry_ns: int) -> str:
    text = format_time(expiry_ns)
    return text[2:4] + text[5:7] + text[8:10]


def _desks(
    chain: OptionChain, instruments: dict[str, Any], spot: float
) -> dict[str, list[dict[str, Any]]]:
    """Delta-hedged straddles, a short strangle, a calendar and a conversion."""
    days = sorted({_day(int(e)) for e in chain.quotes.expiry_ns if e > chain.time_ns})
    front, back = days[len(days) // 2], days[-2]

    def option(day: str, moneyness: float, right: str) -> str:
        listed = [s for s in instruments if s.startswith(f"BTC/USD:BTC-{day}-") and s[-1] == right]
        return min(listed, key=lambda s: abs(float(s.split("-")[2]) - spot * moneyness))

    def held(symbol: str, quantity: float) -> dict[str, Any]:
        return {"symbol": symbol, "quantity": quantity, "entry_price": instruments[symbol]["mark"]}

    call, put = option(front, 1.0, "C"), option(front, 1.0, "P")
    at_strike = option(front, 1.0, "C")[:-1]
    coins = round(10 * spot / CONTRACT_USD)
    return {
        "delta-hedged": [held(call, 10), held(put, 10), held("BTC/USD:BTC", -round(coins * 0.1))],
        "short-strangle": [
            held(option(front, 1.15, "C"), -20),
            held(option(front, 0.85, "P"), -20),
        ],
        "calendar": [held(call, -15), held(option(back, 1.0, "C"), 15)],
        "conversion": [
            held(f"BTC/USD:BTC-{front}", coins),
            held(f"{at_strike}P", 10),
            held(f"{at_strike}C", -10),
        ],
    }
