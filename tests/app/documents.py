"""A plain portfolio document, and the same with one thing changed."""

import json
from typing import Any

# Long 2 BTC from 100,000 and short 10 ETH from 4,000, with 20,000 USDT and 0.1 BTC behind them.
PLAIN: dict[str, Any] = {
    "as_of": "2025-10-10T20:45:00Z",
    "market": {
        "index": {"BTC": 100000, "ETH": 4000, "USDT": 1},
        "instruments": {"BTC/USDT:USDT": {"mark": 100000}, "ETH/USDT:USDT": {"mark": 4000}},
    },
    "accounts": [
        {
            "id": "desk",
            "balances": {"USDT": 20000, "BTC": 0.1},
            "positions": [
                {"symbol": "BTC/USDT:USDT", "quantity": 2, "entry_price": 100000},
                {"symbol": "ETH/USDT:USDT", "quantity": -10, "entry_price": 4000},
            ],
        }
    ],
}


def with_(**changes: Any) -> bytes:
    """The plain document with other top-level values."""
    return json.dumps({**PLAIN, **changes}).encode()


def with_account(**changes: Any) -> bytes:
    return with_(accounts=[{**PLAIN["accounts"][0], **changes}])


def with_position(**changes: Any) -> bytes:
    position = {**PLAIN["accounts"][0]["positions"][0], **changes}
    return with_account(positions=[{k: v for k, v in position.items() if v is not None}])


def with_market(**changes: Any) -> bytes:
    return with_(market={**PLAIN["market"], **changes})


def raw(old: str, new: str) -> bytes:
    """The plain document with one piece of its text replaced."""
    text = json.dumps(PLAIN)
    assert text.count(old) == 1, old
    return text.replace(old, new).encode()
