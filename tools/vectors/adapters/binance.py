"""Cases of Binance: brackets, margins and liquidation prices of USD-M and COIN-M, uniMMR.

Each account becomes a document. Some responses state the mark only as the notional, or the entry
price only as the profit: it is read back from there, so that this one figure proves nothing and
the others do.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from plimsoll.margin import Explanation
from tools.vectors.adapters import tiers
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.documents import explain_account, figures
from tools.vectors.cases import Case

COIN = "XYZ"
LINEAR, INVERSE, REST = f"{COIN}/USDT:USDT", f"{COIN}/USD:{COIN}", "REST"
CONTRACT_USD = {"BTC": 100.0}
CONTRACT_USD_OTHER = 10.0
"""COIN-M contract specifications: 100 USD for BTC, 10 USD for every other coin."""

WALLETS = ("WB", "wallet", "wallet_btc", "wallet_eth", "isolatedWallet", "walletBalance")
AMOUNTS = ("cum", "cumB", "maintenance_amount", "maintenance_amount_btc", "maintenance_amount_eth")
SIZES = ("position", "positionAmt", "qty", "contracts", "usd", "notional_usd")
ENTRIES = ("entry", "entryPrice", "entry_price")
MARKS = ("mark", "markPrice", "mark_price")
OWN = ("isolatedWallet", "isolatedMargin")
"""What an isolated position is said to have."""

Rows = Sequence[Sequence[float]]


def bracket_table(case: Case) -> dict[str, Any]:
    """Maintenance amounts of a bracket table, and margins that a document gives under it."""
    columns = case.inputs["columns"]
    floors, leverages, rates = (
        [row[columns.index(name)] for row in case.inputs["rows"]]
        for name in ("notionalFloor", "maxLeverage", "mmr")
    )
    rows = list(zip(floors, rates, leverages, strict=True))
    asked: Mapping[str, float] = {**case.derived, **case.expected}.get("mm_at_notional", {})
    return {
        "cum": tiers.constants(floors, rates),
        "mm_at_notional": {
            notional: _linear(1.0, float(notional), float(notional), rows)["maintMargin"]
            for notional in asked
        },
    }


def usdm_price(case: Case) -> dict[str, Any]:
    """Liquidation price of a USD-M position, isolated or with the rest of its account in sums."""
    quantity, entry, mark = _quantity(case), _entry(case), _mark(case)
    rows, wallet = _brackets(case), _wallet(case)
    if _first(case, OWN) is not None:
        return _isolated(quantity, entry, mark, rows, wallet)
    return _linear(quantity, entry, mark, rows, wallet, _rest(case))


def usdm_position_margins(case: Case) -> dict[str, Any]:
    """Initial and maintenance margin of a position by its notional at mark."""
    notional = _first(case, ("notional_at_mark", "notional"))
    if notional is None:
        notional = _quantity(case) * _mark(case)
    side = math.copysign(1.0, notional)
    return _linear(side, abs(notional), abs(notional), _brackets(case, case.inputs["leverage"]))


def usdm_margins_by_symbol(case: Case) -> dict[str, float]:
    """Maintenance margins and profits of an account's positions, symbol by symbol."""
    answer: dict[str, float] = {}
    for name, given in case.inputs.items():
        quantity, mark = given["qty"], given["mark"]
        profit = case.expected.get(f"{name}_upnl", 0.0)
        entry = given.get("entry", mark - profit / quantity)
        found = _linear(quantity, entry, mark, _rows(given["mmr"], given["cum"]))
        answer[f"{name}_mm"] = found["maintMargin"]
        answer[f"{name}_upnl"] = found["unRealizedProfit"]
        answer[f"{name}_notional"] = found["notional"]
    return answer


def coinm_price(case: Case) -> dict[str, Any]:
    """Liquidation price of a COIN-M position, in coins."""
    mark = _first(case, MARKS) or _entry(case)
    return _coin(case, _entry(case), mark, _brackets(case), _wallet(case))


def coinm_margin(case: Case) -> dict[str, float]:
    """Notional and margins, in coins, of a COIN-M position."""
    mark = _mark(case)
    found = _coin(case, _first(case, ENTRIES) or mark, mark, _brackets(case), 0.0)
    coin = _coin_name(case).lower()
    return {
        **found,
        f"notional_{coin}": found["notional"],
        f"mm_{coin}": found["maintMargin"],
        f"im_{coin}": found["initialMargin"],
    }


def coinm_profit(case: Case) -> dict[str, float]:
    """Profit and notional, in coins, of a COIN-M position."""
    return _coin(case, _entry(case), _mark(case), [[0, 0.01, 1]], 0.0)


def portfolio_margin_inputs(case: Case) -> dict[str, float]:
    """Equity, loans and futures that go into the uniMMR of Portfolio Margin Pro."""
    inputs = case.inputs
    name = next(name for name in inputs if name.startswith("margin_mmr_"))
    leverage = name.removeprefix("margin_mmr_").removesuffix("x")
    params = {
        "margin_leverage": float(leverage),
        "loan_maintenance_rates": {leverage: inputs[name]},
    }
    answer: dict[str, float] = {}
    loans = {asset: loan for asset, (_, loan) in inputs["margin"].items() if loan}
    account = {
        "balances": {asset: held - loan for asset, (held, loan) in inputs["margin"].items()},
        "params": {**params, "loans": loans},
    }
    # What is asked for is in coins, so that their prices do not matter.
    market = {"index": dict.fromkeys(inputs["margin"], 1.0)}
    (margin,) = explain_account({"model": "binance.portfolio", **account}, market)
    for asset in inputs["margin"]:
        row = figures(margin, "collateral", asset)
        answer[f"equity_{asset.lower()}"] = row["equity"]
        answer[f"margin_mm_{asset.lower()}"] = row["loan_maintenance_margin"]
    return answer | _pro_futures(inputs)


def _pro_futures(inputs: Mapping[str, Any]) -> dict[str, float]:
    legs = {name: leg for name, leg in inputs.items() if name.startswith(("um_", "cm_"))}
    wallets = {name: legs.pop(name) for name in tuple(legs) if "wallet" in name}
    balances = {name.rpartition("_")[2].upper(): amount for name, amount in wallets.items()}
    rows = [[0, inputs["futures_mmr"], 1]]
    coin = next(name for name in balances if name != "USDT")
    symbols = {
        name: f"{coin}/USD:{coin}" if name.startswith("cm_") else f"{coin}{n}/USDT:USDT"
        for n, name in enumerate(legs)
    }
    account = {
        "model": "binance.portfolio",
        "balances": balances,
        "positions": [
            _position(symbols[name], abs(leg.get("usd") or leg.get("qty")), leg["entry"],
                      -1 if "short" in name else 1)
            for name, leg in legs.items()
        ],
        "params": {
            "brackets": dict.fromkeys(symbols.values(), rows),
            "coin_m_brackets": dict.fromkeys(symbols.values(), rows),
        },
    }  # fmt: skip
    marks = {symbols[name]: {"mark": leg["mark"]} for name, leg in legs.items()}
    index = {"USDT": 1.0} | {name: marks[f"{name}/USD:{name}"]["mark"] for name in (coin,)}
    (futures,) = explain_account(account, {"index": index, "instruments": marks})
    answer = {"um_mm_usdt": 0.0, f"cm_mm_{coin.lower()}": 0.0}
    for name, symbol in symbols.items():
        family, unit = name[:2], "" if name.startswith("um_") else f"_{coin.lower()}"
        answer[f"{name}_upnl{unit}"] = figures(futures, "positions", symbol)["profit"]
        total = f"{family}_mm{unit or '_usdt'}"
        answer[total] += figures(futures, "brackets", symbol)["maintenance_margin"]
    return answer


def _linear(
    quantity: float,
    entry: float,
    mark: float,
    rows: Rows,
    wallet: float = 0.0,
    rest: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Figures of a cross position of USD-M; ``rest`` has TMM and UPNL of the other symbols."""
    positions = [_position(LINEAR, quantity, entry)]
    instruments = {LINEAR: {"mark": mark}}
    brackets = {LINEAR: rows}
    if rest:
        # The other symbols as one, of any size that has room for their margin and profit.
        symbol, level = f"{REST}/USDT:USDT", 1 + 2 * (rest["TMM"] + abs(rest["UPNL"]))
        positions.append(_position(symbol, 1.0, level - rest["UPNL"]))
        instruments[symbol] = {"mark": level}
        brackets[symbol] = [[0, rest["TMM"] / level, 1]]
    account = {
        "model": "binance.usdm",
        "balances": {"USDT": wallet},
        "positions": positions,
        "params": {"brackets": brackets, "leverage": {LINEAR: rows[-1][2]}},
    }
    market = {"index": {"USDT": 1.0}, "instruments": instruments}
    return _told(explain_account(account, market)[0], LINEAR)


def _isolated(
    quantity: float, entry: float, mark: float, rows: Rows, wallet: float
) -> dict[str, Any]:
    lone = {"margin_mode": "isolated", "isolated_margin": wallet}
    account = {
        "model": "binance.usdm",
        "positions": [{**_position(LINEAR, quantity, entry), **lone}],
        "params": {"brackets": {LINEAR: rows}},
    }
    market = {"index": {"USDT": 1.0}, "instruments": {LINEAR: {"mark": mark}}}
    *_, found = explain_account(account, market)
    return {**_told(found, LINEAR), "isolatedMargin": found.equity, "isolatedWallet": wallet}


def _coin(case: Case, entry: float, mark: float, rows: Rows, wallet: float) -> dict[str, Any]:
    """Figures of a cross position of COIN-M, in coins."""
    inputs, is_usd = case.inputs, "usd" in case.inputs or "notional_usd" in case.inputs
    default = CONTRACT_USD.get(_coin_name(case), CONTRACT_USD_OTHER)
    size = 1.0 if is_usd else inputs.get("contract_usd", inputs.get("contractSize", default))
    instruments: dict[str, Any] = {INVERSE: {"mark": mark, "contract_multiplier": size}}
    account = {
        "model": "binance.coinm",
        "balances": {COIN: wallet},
        "positions": [_position(INVERSE, _quantity(case), entry)],
        "params": {"brackets": {INVERSE: rows}},
    }
    market = {"index": {COIN: mark}, "instruments": instruments}
    return _told(explain_account(account, market)[0], INVERSE)


def _told(explanation: Explanation, symbol: str) -> dict[str, Any]:
    """The figures of a position under the names the venue's responses have for them."""
    position = figures(explanation, "positions", symbol)
    bracket = figures(explanation, "brackets", symbol)
    price = position["liquidation_price"]
    shown = None if math.isnan(price) else price
    side = math.copysign(1.0, position["quantity"])
    return {
        "liquidation_price": shown,
        "liquidationPrice": shown,
        "unRealizedProfit": position["profit"],
        "notional": bracket["notional"],
        "notionalValue": side * bracket["notional"],
        "initialMargin": bracket["initial_margin"],
        "positionInitialMargin": bracket["initial_margin"],
        "openOrderInitialMargin": bracket["open_order_margin"],
        "maintMargin": bracket["maintenance_margin"],
    }


def _position(symbol: str, quantity: float, entry: float, side: float = 1.0) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": side * quantity, "entry_price": entry}


def _first(case: Case, names: Sequence[str]) -> Any:
    """The input that goes by one of some names; None where there is none."""
    return next((case.inputs[name] for name in names if name in case.inputs), None)


def _quantity(case: Case) -> float:
    """Signed contracts: by the side where one is stated."""
    size, side = _first(case, SIZES), case.inputs.get("side")
    if side is None:
        return float(size)
    is_short = side in (-1, "short", "SHORT", "sell", "SELL")
    return math.copysign(size, -1.0 if is_short else 1.0)


def _entry(case: Case) -> float:
    return float(_first(case, ENTRIES))


def _wallet(case: Case) -> float:
    """The wallet before profit; isolated margin is stated with it."""
    stated = _first(case, WALLETS)
    if stated is not None:
        return float(stated)
    return float(case.inputs["isolatedMargin"] - case.inputs["unRealizedProfit"])


def _mark(case: Case) -> float:
    """The stated mark, else the one the response's own notional has; the price, if neither."""
    stated = _first(case, MARKS)
    if stated is not None:
        return float(stated)
    notional = case.expected.get("notional") if isinstance(case.expected, Mapping) else None
    return _entry(case) if notional is None else abs(notional) / abs(_quantity(case))


def _rest(case: Case) -> dict[str, float] | None:
    names = {"TMM": ("TMM1", "TMM"), "UPNL": ("UPNL1", "UPNL")}
    rest = {name: _first(case, aliases) or 0.0 for name, aliases in names.items()}
    return rest if any(rest.values()) else None


def _brackets(case: Case, leverage: float = 1.0) -> Rows:
    """The symbol's brackets, or those of which one has the stated rate and amount."""
    listed = case.inputs.get("brackets_floor_mmr_cum")
    if listed is not None:
        return [[floor, rate, leverage] for floor, rate, _ in listed]
    return _rows(case.inputs["mmr"], _first(case, AMOUNTS) or 0.0, leverage)


def _rows(rate: float, amount: float, leverage: float = 1.0) -> Rows:
    """Brackets of which one has this rate and amount: where its line meets zero it begins."""
    rows = [[0.0, rate, leverage]]
    return [[0.0, 0.0, leverage], [amount / rate, rate, leverage]] if amount else rows


def _coin_name(case: Case) -> str:
    """The coin of a COIN-M case by its symbol or the ending of an input, else BTC."""
    symbol = str(case.inputs.get("symbol", ""))
    if symbol:
        return symbol.partition("USD")[0]
    ends = {name.rpartition("_")[2] for name in case.inputs if name.startswith(("wallet_", "main"))}
    return "ETH" if "eth" in ends else "BTC"


# Responses have more fields than the figures asked for need: "*?" takes them along.
ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "binance", "*maintenance amount*", "floor_* mmr_n mmr_prev cum_prev", tiers.next_constant
    ),
    Adapter("binance", "*maintenance amount*", "floors_* mmr position_*", tiers.constant_at),
    Adapter("binance", "*bracket*", "floors_mmr", tiers.constants_by_level),
    Adapter("binance", "*bracket*", "columns rows", bracket_table),
    # The last pattern is a rate (mmr) or brackets.
    Adapter("binance", "*usd-m*liquidation price*", "entry* [mb][mr][ra]* *?", usdm_price),
    Adapter("binance", "*im/mm*", "leverage mmr *?", usdm_position_margins),
    Adapter("binance", "*usd-m maintenance margin*", "*", usdm_margins_by_symbol),
    Adapter("binance", "*coin-m*liquidation price*", "entry* [mb][mr][ra]* *?", coinm_price),
    Adapter("binance", "*coin-m*maintenance margin*", "mark* mmr *?", coinm_margin),
    Adapter("binance", "*coin-m*upnl*", "entry* mark* *?", coinm_profit),
    Adapter(
        "binance",
        "*portfolio margin pro*",
        "margin um_* cm_* futures_mmr margin_mmr_*",
        portfolio_margin_inputs,
    ),
)
