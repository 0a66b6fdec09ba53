"""Documents of Deribit's accounts, and the figures of a case as they name them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.core import format_time, parse_time
from plimsoll.instruments import Payoff, parse_symbol
from plimsoll.margin import Explanation, explain, load_models
from tools.vectors.cases import Case

STANDARD, SEGREGATED, CROSS = (
    f"deribit.{name}" for name in ("standard", "segregated_pm", "cross_pm")
)
AS_OF = "2026-06-01T00:00:00Z"
NS_PER_DAY = 86_400 * 10**9
COIN = "XYZ"
"""Stands for an example's coin, so that no table of a real one is mixed in."""

LINEAR, INVERSE = f"{COIN}/USDC:USDC", f"{COIN}/USD:{COIN}"
MONTHS = tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split())
COINS = ("size_currency", "size_coin", "position_coin")
"""What cases call a size in coins."""


def load(
    model: str, account: Mapping[str, Any], market: Mapping[str, Any], as_of: str
) -> Portfolio:
    """A document of one account, read as any other."""
    named = {"id": "case", "model": model, **account}
    raw = {"as_of": as_of, "market": market, "accounts": [named]}
    return build_portfolio(decode_document(msgspec.json.encode(raw), "case.json"))


def explain_account(
    model: str, account: Mapping[str, Any], market: Mapping[str, Any], as_of: str
) -> Explanation:
    """The first pool of a document's account."""
    portfolio = load(model, account, market, as_of)
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")[0]


def hold(
    symbol: str, quantity: float, price: float, params: Mapping[str, Any], as_of: str
) -> Explanation:
    """An account with one future or perpetual, entered, marked and indexed at ``price``."""
    position = {"symbol": symbol, "quantity": quantity, "entry_price": price}
    market = market_of({parse_symbol(symbol).base: price}, {symbol: {"mark": price}})
    return explain_account(STANDARD, {"positions": [position], "params": params}, market, as_of)


def hold_option(symbol: str, quantity: float, index: float, mark: float, as_of: str) -> Explanation:
    """An account with one option."""
    position = {"symbol": symbol, "quantity": quantity}
    market = market_of({parse_symbol(symbol).base: index}, {symbol: {"mark": mark}})
    return explain_account(STANDARD, {"positions": [position]}, market, as_of)


def market_of(index: Mapping[str, float], instruments: Mapping[str, Any]) -> dict[str, Any]:
    """Prices, with the stablecoins at 1 where the case does not state them."""
    return {"index": {"USDC": 1, "USDT": 1, **index}, "instruments": instruments}


def position_of(symbol: str, coins: float, price: float) -> dict[str, Any]:
    """A position of so many coins at a mark, entered there."""
    inverse = parse_symbol(symbol).payoff == Payoff.INVERSE
    quantity = coins * price if inverse else coins
    return {"symbol": symbol, "quantity": quantity, "entry_price": price}


def order_of(symbol: str, amount: float, price: float, side: str) -> dict[str, Any]:
    """An open order."""
    return {"symbol": symbol, "side": side, "quantity": abs(amount), "price": price}


def view_in(explained: Explanation, currency: str) -> dict[str, float]:
    """The account as it shows in one currency."""
    table = explained.detail("currencies")
    figures = next(values for label, values in table.rows if label == currency)
    return dict(zip(table.columns, figures, strict=True))


def size_of(explained: Explanation, symbol: str) -> dict[str, float]:
    """A position's size in coins."""
    table = explained.detail("contracts")
    labels = [label for label, _ in table.rows]
    return {"size_currency": table.column("size_currency")[labels.index(symbol)]}


def orders_shown(explained: Explanation, currency: str) -> dict[str, float]:
    """Initial margin of an account that has orders alone."""
    margin = view_in(explained, currency)["initial_margin"]
    return {"open_orders_margin": margin, "initial_margin": margin}


def outright_rates(
    symbol: str, case: Case, initial: float | None, maintenance: float | None
) -> dict[str, Any]:
    """Rates of one contract as overrides, as far as they are stated."""
    if initial is None and maintenance is None:
        return {}
    stated = {
        "initial_base": maintenance if initial is None else initial,
        "maintenance_base": maintenance or 0,
        "slope_per_coin": case.inputs.get("slope_per_coin", 0),
    }
    return {name: {symbol: rate} for name, rate in stated.items()}


def unified_symbol(name: str) -> str:
    """The symbol of a venue's name: BTC-PERPETUAL, BTC_USDC-26DEC25, XRP_USDC-9NOV25-0d5-C.

    Written out here because the connector's own loads what the runner shall do without.
    """
    pair, *rest = name.split("-")
    base, _, quote = pair.partition("_")
    symbol = f"{base}/{quote or 'USD'}:{quote or base}"
    if rest == ["PERPETUAL"]:
        return symbol
    day, month, year = rest[0][:-5], MONTHS.index(rest[0][-5:-2]) + 1, rest[0][-2:]
    dated = f"{symbol}-{year}{month:02d}{int(day):02d}"
    return "-".join([dated, *(part.replace("d", ".") for part in rest[1:])])


def outright_symbol(case: Case) -> str:
    """The future or perpetual of a case."""
    if "instrument" in case.inputs:
        return unified_symbol(case.inputs["instrument"])
    return LINEAR if "linear" in case.subject.lower() else INVERSE


def outright_quantity(case: Case, symbol: str, price: float) -> float:
    """Contracts of a case's position: USD of an inverse contract, coins of a linear one."""
    inverse = parse_symbol(symbol).payoff == Payoff.INVERSE
    coins = next((case.inputs[name] for name in COINS if name in case.inputs), None)
    if coins is not None:
        return float(coins * price) if inverse else float(coins)
    return float(case.inputs.get("size_usd", case.inputs.get("size")))


def option_symbol(case: Case) -> str:
    """The option of a case: by its name, else by its strike, and what it is called."""
    inputs = case.inputs
    if "instrument" in inputs:
        return unified_symbol(inputs["instrument"])
    words = f"{case.subject} {inputs.get('type', '')}".lower().split()
    right = "P" if {"p", "put"} & set(words) else "C"
    pair = "BTC/USDC:USDC" if "linear" in words else "BTC/USD:BTC"
    return f"{pair}-261225-{inputs['strike']:.10g}-{right}"


def as_of_case(case: Case, symbol: str) -> str:
    """The case's own time; of one that states none, the day before its contract's expiry."""
    expiry_ns = parse_symbol(symbol).expiry_ns
    stated = str(case.inputs.get("as_of", ""))
    if "timestamp_ms" in case.inputs:
        stated = format_time(case.inputs["timestamp_ms"] * 10**6)
    if stated:
        # A month alone is its first day.
        as_of = stated if "T" in stated else f"{(stated + '-01-01')[:10]}T00:00:00Z"
        if not expiry_ns or parse_time(as_of, "as_of") < expiry_ns:
            return as_of
    return format_time(expiry_ns - NS_PER_DAY) if expiry_ns else AS_OF
