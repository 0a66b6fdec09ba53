"""Cases of BitMEX, and KuCoin Futures, whose arithmetic is the same."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.margin import Explanation, explain, load_models
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

SATOSHI = 1e-8
AS_OF = "2026-01-01T00:00:00Z"
INVERSE, QUANTO = "BTC/USD:BTC", "ETH/USD:BTC"
KUCOIN_DECIMALS = 10
"""The venue shows 8; it must count finer, since a shown figure may lie below an exact one."""
KUCOIN_TICKS = (("ETH", 0.05), ("BTC", 1.0))
"""Price steps of ETHUSDTM and XBTUSDTM in the venue's contract list of 2021 and 2022."""


def position_margins(case: Case) -> dict[str, float]:
    """Fields and prices of a BitMEX position, from its cost and rates."""
    symbol = QUANTO if "eth" in _told(case) else INVERSE
    symbol = "BTC/USDT:USDT" if "usdt" in _told(case) else symbol
    unit = 1e-6 if symbol.endswith("USDT") else SATOSHI
    multiplier = {QUANTO: 1e-6}.get(symbol, 1.0)
    return _position(case, symbol, multiplier, unit, {})


def position_margins_kucoin(case: Case) -> dict[str, float]:
    """Fields and prices of a KuCoin Futures position; amounts in USDT, sizes in coins."""
    coin, tick = next((row for row in KUCOIN_TICKS if row[0].lower() in _told(case)), ("XYZ", 0.0))
    symbol, unit = f"{coin}/USDT:USDT", 10.0**-KUCOIN_DECIMALS
    params = {
        "decimals": {"USDT": KUCOIN_DECIMALS},
        "closing_fee_on_cross": True,
        "bankruptcy_rounds_away": True,
        "tick_size": {symbol: tick} if tick else {},
    }
    fields = _position(case, symbol, 1.0, unit, params, stated_in=1.0)
    prices = ("bankruptPrice", "liquidationPrice", "marginCallPrice")
    rates = ("initMarginReq", "maintMarginReq")
    return {k: v if k in (*prices, *rates) else v * unit for k, v in fields.items()}


def _position(
    case: Case,
    symbol: str,
    multiplier: float,
    unit: float,
    params: Mapping[str, Any],
    stated_in: float | None = None,
) -> dict[str, float]:
    """The venue's fields in smallest units; the case's amounts are in units of ``stated_in``."""
    given = case.inputs
    scale = unit if stated_in is None else stated_in
    side = _side(case)
    contracts = abs(_first(given, ("qty", "currentQty"), 1.0))
    size = contracts * multiplier
    cost = abs(given["posCost"]) * scale
    gain = given.get("unrealisedPnl", 0.0) * scale * side
    inverse = symbol == INVERSE
    # A long gains as what it is worth rises: its value, or the reciprocal of the coins it is worth.
    worth = cost - gain if inverse else cost + gain
    entry, mark = (size / cost, size / worth) if inverse else (cost / size, worth / size)
    funding = next((value for name, value in given.items() if name.startswith("funding")), 0.0)
    read = {
        f"pos_{name}": {symbol: abs(given[field]) * scale / unit}
        for name, field in (("cost2", "posCost2"), ("cross", "posCross"), ("loss", "posLoss"))
        if field in given
    }
    own = {
        "leverage": {symbol: given["leverage"]},
        "initial_rate": {symbol: 0},
        "maintenance_rate": {symbol: given["maintMarginReq"]},
        "taker_fee": {symbol: given["taker"]},
        # Inferred from the payment itself, so the position pays it.
        "funding_rate": {symbol: abs(funding) * side},
        "risk_limits": {symbol: []},
        **({"tick_size": {symbol: given["tick"]}} if "tick" in given else {}),
        **read,
    }
    explained = explain_case(
        "bitmex.isolated",
        {
            "index": {asset: 1.0 for asset in re.split("[/:]", symbol) if asset != "USD"},
            "instruments": {symbol: {"mark": mark, "contract_multiplier": multiplier}},
        },
        {
            "positions": [{"symbol": symbol, "quantity": contracts * side, "entry_price": entry}],
            "params": {**params, **own},
        },
        _as_of(case),
    )
    fields = only_row(explained, "margin")
    shown = only_row(explained, "positions")
    fields["bankruptPrice"] = shown["bankruptcy_price"]
    fields["liquidationPrice"] = fields["marginCallPrice"] = shown["liquidation_price"]
    return fields


def order_margin(case: Case) -> dict[str, float]:
    """Initial margin of open orders of a given cost."""
    given = case.inputs
    price = 1.0 / (given["grossOpenCost"] * SATOSHI)
    side = "sell" if _side(case) < 0 else "buy"
    explained = explain_case(
        "bitmex.cross",
        {"index": {"BTC": price}, "instruments": {INVERSE: {"mark": price}}},
        {
            "orders": [{"symbol": INVERSE, "side": side, "quantity": 1, "price": price}],
            "params": {
                "leverage": {INVERSE: given["leverage"]},
                "initial_rate": {INVERSE: 0},
                "maintenance_rate": {INVERSE: 0},
                "taker_fee": {INVERSE: given["taker"]},
                "risk_limits": {INVERSE: []},
            },
        },
        _as_of(case),
    )
    return only_row(explained, "margin")


def quanto_value(case: Case) -> dict[str, float]:
    """Mark value and profit of a quanto position, in satoshis."""
    given = case.inputs
    multiplier = given["multiplier_sat"] * SATOSHI
    size = given["qty"] * given["multiplier_sat"]
    entry = abs(given["posCost"] / size) if "posCost" in given else given["mark"]
    explained = explain_case(
        "bitmex.isolated",
        {
            "index": {"BTC": 1.0, "ETH": given["mark"]},
            "instruments": {QUANTO: {"mark": given["mark"], "contract_multiplier": multiplier}},
        },
        {"positions": [{"symbol": QUANTO, "quantity": given["qty"], "entry_price": entry}]},
        AS_OF,
    )
    return only_row(explained, "margin")


def linear_margins(case: Case) -> dict[str, float]:
    """Initial and maintenance margin of a linear position at given rates, without fees."""
    given = case.inputs
    symbol = "ETH/USDT:USDT"
    explained = explain_case(
        "bitmex.cross",
        {"index": {"USDT": 1.0}, "instruments": {symbol: {"mark": given["price"]}}},
        {
            "positions": [
                {"symbol": symbol, "quantity": given["contracts"], "entry_price": given["price"]}
            ],
            "params": {
                "initial_rate": {symbol: given["im_rate"]},
                "maintenance_rate": {symbol: given["mm_rate"]},
                "taker_fee": {symbol: 0},
            },
        },
        AS_OF,
    )
    return {"im": explained.initial_margin, "mm": explained.maintenance_margin}


def explain_case(
    model: str, market: Mapping[str, Any], account: Mapping[str, Any], as_of: str
) -> Explanation:
    """The first pool of one account in a market at an instant, through the front door."""
    named = {"id": "case", "model": model, **account}
    raw = msgspec.json.encode({"as_of": as_of, "market": market, "accounts": [named]})
    portfolio = build_portfolio(decode_document(raw, "case.json"))
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")[0]


def only_row(explained: Explanation, name: str) -> dict[str, float]:
    """The only row of a detail."""
    table = explained.detail(name)
    ((_, values),) = table.rows
    return dict(zip(table.columns, values, strict=True))


def _told(case: Case) -> str:
    """The words that name the contract: responses state it in their symbol, cases in their id."""
    return f"{case.inputs.get('symbol', '')} {case.id}".lower()


def _side(case: Case) -> int:
    """1 for a long or buy, -1 for a short or sell: by size, by side, else by the case's name."""
    size = _first(case.inputs, ("qty", "currentQty"), 0.0)
    if size:
        return -1 if size < 0 else 1
    side = str(case.inputs.get("side", case.id)).lower()
    return -1 if "short" in side or "sell" in side else 1


def _first(given: Mapping[str, Any], names: tuple[str, ...], default: float) -> float:
    return next((float(given[name]) for name in names if name in given), default)


def _as_of(case: Case) -> str:
    """The month that the case names, else a day of the latest rules."""
    month = re.search(r"20\d\d-\d\d", case.id)
    return f"{month[0]}-01T00:00:00Z" if month else AS_OF


FIELDS = (
    "posCost leverage maintMarginReq taker posCost2? posCross? posLoss? unrealisedPnl? funding*? "
    "qty? currentQty? side? symbol? tick?"
)

ADAPTERS: tuple[Adapter, ...] = (
    Adapter("bitmex*", "*position*", FIELDS, position_margins),
    Adapter("kucoin*", "*position*", FIELDS, position_margins_kucoin),
    Adapter("bitmex*", "*order*", "grossOpenCost leverage taker side? symbol?", order_margin),
    Adapter("bitmex*", "*value*", "qty mark multiplier_sat posCost?", quanto_value),
    Adapter("bitmex*", "*im/mm*", "contracts price im_rate mm_rate", linear_margins),
)
