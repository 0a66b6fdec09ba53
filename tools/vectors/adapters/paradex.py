"""Cases of Paradex."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import Floats, parse_time, table_at
from plimsoll.margin import Explanation, explain, find_model, load_models
from plimsoll.margin.charges import least_share, partial_close
from plimsoll.margin.registry import model_tables
from plimsoll.margin.venues.paradex_portfolio import minimum_delta
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

COIN = "XYZ"
"""Stands for the case's market, so that no table of a real one is mixed in."""

SYMBOL = f"{COIN}/USDC:USDC"
DOCS_AS_OF = "2026-08-20"
FREE = {"futures": 0, "options": 0}
STEPS, RATIO_TARGET = 5, 0.9


def net_requirement(case: Case) -> dict[str, float]:
    """Open sizes and net margins of a market with a position and orders, through a document."""
    given = case.inputs
    mark = given["mark"]
    orders = [
        {"symbol": SYMBOL, "side": side, "quantity": given[f"{side}_orders"], "price": mark}
        for side in ("buy", "sell")
        if given.get(f"{side}_orders")
    ]
    position = {"symbol": SYMBOL, "quantity": given["position"], "entry_price": mark}
    params = {"initial_fractions": {COIN: given["imf"]}, "taker_fee": FREE}
    held = {"positions": [position], "orders": orders, "params": params}
    explained = _explain(held, mark, DOCS_AS_OF)
    market = explained.detail("markets")
    figures = {name: market.column(name)[0] for name in market.columns}
    return {
        "buy_open": figures["buy_open_size"],
        "sell_open": figures["sell_open_size"],
        "net_imr": figures["net_initial_margin"],
        "net_mmr": figures["net_maintenance_margin"],
        "imr": explained.initial_margin,
        "mmr": explained.maintenance_margin,
    }


def partial_liquidation(case: Case) -> dict[str, float]:
    """An account after a share of its positions is liquidated; the least that will do if none is

    stated.
    """
    given = case.inputs
    value, needed = _one(given["account_value"]), _one(given["mmr"])
    # The fee may be written with a remark on where it was read.
    fee = float(str(given["liquidation_fee"]).split()[0])
    least = least_share(value, needed, fee, STEPS, RATIO_TARGET)
    share = _one(given["share"]) if "share" in given else least
    after = partial_close(value, needed, share, fee)
    return {
        "share": float(share[0]),
        "min_share": float(least[0]),
        "new_mmr": float(after.maintenance_margin[0]),
        "penalty": float(after.penalty[0]),
        "new_av": float(after.account_value[0]),
        "ratio": float(after.margin_ratio[0]),
    }


def account_summary(case: Case) -> dict[str, float]:
    """Free collateral and maintenance margin of an account without fees, through a document.

    One position at par stands for all; its size is what makes the stated initial margin.
    """
    value, initial = (case.inputs[name] for name in ("account_value", "initial_margin_requirement"))
    position = {"symbol": SYMBOL, "quantity": initial, "entry_price": 1}
    account = {
        "balances": {"USDC": value},
        "positions": [position],
        "params": {"initial_fractions": {COIN: 1}, "taker_fee": FREE},
    }
    explained = _explain(account, 1, str(case.inputs.get("as_of", "2023-06-01")))
    return {
        "free_collateral": explained.detail("account").column("free_collateral")[0],
        "initial_margin_requirement": explained.initial_margin,
        "maintenance_margin_requirement": explained.maintenance_margin,
    }


def delta_requirement(case: Case) -> dict[str, float]:
    """Minimum delta requirement of a portfolio's deltas; factors of BTC where none are stated."""
    given = case.inputs
    long, short = _deltas(given)
    tables = model_tables(find_model("paradex.portfolio", "case"))
    listed = table_at(tables, parse_time(DOCS_AS_OF, "case")).params["minimum_delta"]["BTC"]
    unhedged = next((v for name, v in given.items() if "unhedged" in name), listed[0])
    hedged = next(
        (v for name, v in given.items() if "hedged" in name and "unhedged" not in name), listed[1]
    )
    spot = next(value for name, value in given.items() if "spot" in name)

    def risk(apart: float, matched: float) -> float:
        none = _one(0)
        found = minimum_delta(_one(long), _one(short), none, none, _one(apart), _one(matched))
        return float(found[0])

    required = risk(unhedged, hedged) * spot
    names = ("min_delta_risk", "min_delta", "min_delta_requirement", "requirement", "risk")
    return {
        "net_delta": long - short,
        "gross_delta": long + short,
        "unhedged_delta": risk(1, 0),
        "hedged_delta": risk(0, 1),
        **dict.fromkeys(names, required),
    }


def _deltas(given: Mapping[str, Any]) -> tuple[float, float]:
    """Deltas of long and of short positions, both >= 0: from net and gross, or one by one."""
    if "net_delta" in given:
        net, gross = given["net_delta"], given["gross_delta"]
        return (gross + net) / 2, (gross - net) / 2
    rows: Sequence[Any] = given["deltas"] if "deltas" in given else given["positions"]
    deltas = [
        row.get("size", row.get("quantity", 1)) * row["delta"] if isinstance(row, Mapping) else row
        for row in rows
    ]
    return sum(d for d in deltas if d > 0), -sum(d for d in deltas if d < 0)


def _explain(account: Mapping[str, Any], mark: float, as_of: str) -> Explanation:
    """The only pool of an account in one market, under paradex.cross."""
    named = {"id": "case", "model": "paradex.cross", **account}
    market = {"index": {"USDC": 1, COIN: mark}, "instruments": {SYMBOL: {"mark": mark}}}
    document = {"as_of": as_of, "market": market, "accounts": [named]}
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "case.json"))
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")[0]


def _one(value: float) -> Floats:
    return np.array([value], dtype=np.float64)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("paradex*", "*imr*", "position imf mark buy_orders? sell_orders?", net_requirement),
    Adapter(
        "paradex*", "*liquidation*", "account_value mmr share? liquidation_fee", partial_liquidation
    ),
    Adapter(
        "paradex*", "*account*", "account_value initial_margin_requirement as_of?", account_summary
    ),
    Adapter("paradex*", "*delta*", "*spot* net_delta gross_delta *hedged*?", delta_requirement),
    Adapter("paradex*", "*delta*", "*spot* deltas *hedged*?", delta_requirement),
    Adapter("paradex*", "*delta*", "*spot* positions *hedged*?", delta_requirement),
)
