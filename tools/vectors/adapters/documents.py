"""Portfolio documents for one account under the house model, assessed through the front door."""

from collections.abc import Mapping
from typing import Any

import msgspec

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.margin import Explanation, explain, load_models

ASSET = "XYZ"
"""Stands for the example's coin, so that no table of a real one is mixed in."""

LINEAR, INVERSE = f"{ASSET}/USD:USD", f"{ASSET}/USD:{ASSET}"
AS_OF = "2026-01-01T00:00:00Z"


def explain_collateral(amount: float, price: float, params: Mapping[str, Any]) -> Explanation:
    """An account that owns ``amount`` of the coin at an index price, under overrides."""
    return _explain({"balances": {ASSET: amount}}, {"index": {ASSET: price}}, params)


def explain_position(
    symbol: str, quantity: float, price: float, params: Mapping[str, Any]
) -> Explanation:
    """An account with one position entered, marked and indexed at ``price``, under overrides.

    The house's own fee provision is left out unless the overrides state one.
    """
    position = {"symbol": symbol, "quantity": quantity, "entry_price": price}
    market = {"index": {ASSET: price}, "instruments": {symbol: {"mark": price}}}
    return _explain({"positions": [position]}, market, {"fee_provision_rate": 0, **params})


def _explain(
    account: Mapping[str, Any], market: Mapping[str, Any], params: Mapping[str, Any]
) -> Explanation:
    named = {"id": "case", "model": "plimsoll.standard", "params": params, **account}
    document = decode_document(
        msgspec.json.encode({"as_of": AS_OF, "market": market, "accounts": [named]}), "case.json"
    )
    portfolio = build_portfolio(document)
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")[0]
