"""Portfolio documents for one account, assessed through the front door."""

from collections.abc import Mapping
from typing import Any

import msgspec

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.margin import Explanation, explain, load_models

AS_OF = "2026-01-01T00:00:00Z"


def explain_account(
    account: Mapping[str, Any], market: Mapping[str, Any], as_of: str = AS_OF
) -> tuple[Explanation, ...]:
    """The pools of an account at a market: its cross pools, then the isolated ones."""
    written = {"as_of": as_of, "market": market, "accounts": [{"id": "case", **account}]}
    portfolio = build_portfolio(decode_document(msgspec.json.encode(written), "case.json"))
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")


def figures(explanation: Explanation, table: str, label: str) -> dict[str, float]:
    """The named figures of one row of one of an explanation's tables."""
    (found,) = (detail for detail in explanation.details if detail.name == table)
    return dict(zip(found.columns, dict(found.rows)[label], strict=True))
