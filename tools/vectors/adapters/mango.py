"""Cases of Mango v4's own tests: health and leverage.

A case names tokens and markets by number; here they are T0, T1 and P9/T0:T0. What a case says of
an account goes through a document where a document can say it: orders in perpetuals are one order
for each side, their limits of no account. Reserves of spot orders whose best price nobody knows,
and profit of a position that is closed, go to the rule file's own function of columns.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import Floats
from plimsoll.margin import load_models
from plimsoll.margin.venues.mango_health import (
    Perps,
    Sides,
    SpotOrders,
    Tokens,
    assets_and_liabilities,
    health,
    leverage,
)
from plimsoll.margin.venues.mango_parameters import HealthKind, perp_sides, token_sides
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.documents import AS_OF, explain_account, figures
from tools.vectors.cases import Case

KINDS = MappingProxyType(
    {
        "init": HealthKind.INITIAL,
        "initial": HealthKind.INITIAL,
        "liquidationend": HealthKind.LIQUIDATION_END,
        "liqend": HealthKind.LIQUIDATION_END,
        "maint": HealthKind.MAINTENANCE,
        "maintenance": HealthKind.MAINTENANCE,
    }
)
WEIGHTS = MappingProxyType(
    {
        "initial_asset_weight": "init_{}a",
        "initial_liability_weight": "init_{}l",
        "maintenance_asset_weight": "maint_{}a",
        "maintenance_liability_weight": "maint_{}l",
    }
)
OVERALL = MappingProxyType(
    {"initial_overall_weight": "init_oa", "maintenance_overall_weight": "maint_oa"}
)
STARTS = MappingProxyType({"deposit_scale_start": "dep_start", "borrow_scale_start": "bor_start"})


def mango_health(case: Case) -> dict[str, float]:
    """Health of an account, of the kind the case asks for."""
    inputs = case.inputs
    kind = KINDS[str(inputs["health_type"]).replace("_", "").lower()]
    if not _can_be_written(inputs):
        return {"health": float(health(*health_columns(inputs, kind), 1).total[0])}
    account, market = _written(inputs)
    (found,) = explain_account(account, market)
    return {"health": figures(found, "account", "account")[f"{kind.name.lower()}_health"]}


def mango_leverage(case: Case) -> dict[str, float]:
    """Leverage of balances, of perpetuals settled in a token of 1 USD, and of reserves."""
    held = [*case.inputs["tokens_bal_price"], *case.inputs.get("reserved_base_price", ())]
    balances = _column([row[0] for row in held])
    prices = _column([row[1] for row in held])
    perps = case.inputs.get("perps_quote_lots_lot_price", ())
    quote, lots, lot, price = (_column([row[k] for row in perps]) for k in range(4))
    # The last token stands for what perpetuals settle in.
    tokens = Tokens(
        np.zeros(balances.size + 1, dtype=np.int64), np.append(balances, 0.0),
        _unweighted(np.append(prices, 1.0)),
    )  # fmt: skip
    none = np.zeros(lots.size)
    settle = np.full(lots.size, balances.size)
    positions = Perps(settle, lots * lot, quote, none, none, none, _unweighted(price))
    sheet = assets_and_liabilities(tokens, positions, _spot_orders((), {}), 1)
    return {"leverage": float(leverage(*sheet)[0])}


def _unweighted(price: Floats) -> Sides:
    return Sides(np.ones(price.size), np.ones(price.size), price, price)


def _token(number: object) -> str:
    return f"T{number}"


def _symbol(perp: Mapping[str, Any]) -> str:
    settle = _token(perp["settle"])
    return f"P{perp['idx']}/{settle}:{settle}"


def _can_be_written(inputs: Mapping[str, Any]) -> bool:
    """Whether a document can hold what an account has."""
    reserved = any(o["res_base"] or o["res_quote"] for o in inputs.get("spot_orders", ()))
    return not reserved and not any(
        perp["quote"] and not any(perp[name] for name in ("base_lots", "bids", "asks"))
        for perp in inputs.get("perps", ())
    )


def _written(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The account but for spot orders, and its market, as documents have them."""
    tokens, perps = inputs["tokens"], inputs.get("perps", ())
    assets = {
        _token(t["idx"]): {
            "stable_price": t.get("stable", t["oracle"]),
            "deposits": t.get("deposits", 0) + t.get("potential", 0),
            "borrows": t.get("borrows", 0),
        }
        for t in tokens
    }
    instruments = {
        _symbol(p): {
            "mark": p["oracle"],
            "stable_price": p.get("stable", p["oracle"]),
            "contract_multiplier": p["lot"],
        }
        for p in perps
    }
    market = {
        "index": {_token(t["idx"]): t["oracle"] for t in tokens},
        "assets": assets,
        "instruments": instruments,
    }
    orders = [
        {"symbol": _symbol(p), "side": side, "quantity": p[name], "price": p["oracle"]}
        for p in perps
        for side, name in (("buy", "bids"), ("sell", "asks"))
        if p.get(name)
    ]
    account = {
        "model": "mango.v4",
        "balances": {_token(t["idx"]): t["bal"] for t in tokens},
        "positions": [
            {"symbol": _symbol(p), "quantity": p["base_lots"], "entry_price": p["oracle"]}
            for p in perps
        ],
        "orders": orders,
        "params": {
            "tokens": {_token(t["idx"]): _token_entry(t) for t in tokens},
            "perps": {
                _symbol(p): _named(p, "b") | {key: p[name] for key, name in OVERALL.items()}
                for p in perps
            },
            # A position entered at the oracle price has no profit: what there is is unsettled.
            "unsettled": {
                _symbol(p): p["quote"] + p["base_lots"] * p["lot"] * p["oracle"] for p in perps
            },
        },
    }
    return account, market


def _named(row: Mapping[str, Any], what: str) -> dict[str, float]:
    return {key: row[name.format(what)] for key, name in WEIGHTS.items()}


def _token_entry(token: Mapping[str, Any]) -> dict[str, float]:
    starts = {key: token[name] for key, name in STARTS.items() if token.get(name)}
    return _named(token, "") | starts


def health_columns(inputs: Mapping[str, Any], kind: HealthKind) -> tuple[Tokens, Perps, SpotOrders]:
    """What the model's own function of health takes, at the document's weights and prices."""
    account, market = _written(inputs)
    written = {"as_of": AS_OF, "market": market, "accounts": [{"id": "case", **account}]}
    portfolio = build_portfolio(decode_document(msgspec.json.encode(written), "case.json"))
    prices, models = portfolio.market, portfolio.book.models
    (model,) = load_models(prices.instruments, models, prices.as_of_ns).models
    rows = {t["idx"]: k for k, t in enumerate(inputs["tokens"])}
    names = prices.instruments.assets.names
    assets = np.array([names.index(_token(number)) for number in rows], dtype=np.int64)
    tokens = Tokens(
        np.zeros(len(rows), dtype=np.int64),
        _column([t["bal"] for t in inputs["tokens"]]),
        token_sides(kind, prices, model.params).take(assets),
    )
    perps = inputs.get("perps", ())
    markets = np.array([prices.instruments.index[_symbol(p)] for p in perps], dtype=np.int64)
    sides, overall = perp_sides(kind, prices, model.params)
    lot = _column([p["lot"] for p in perps])
    lots, bids, asks, quote = (
        _column([p.get(name, 0) for p in perps]) for name in ("base_lots", "bids", "asks", "quote")
    )
    positions = Perps(
        np.array([rows[p["settle"]] for p in perps], dtype=np.int64),
        lots * lot, quote, bids * lot, asks * lot, overall[markets], sides.take(markets),
    )  # fmt: skip
    return tokens, positions, _spot_orders(inputs.get("spot_orders", ()), rows)


def _spot_orders(orders: Sequence[Mapping[str, Any]], rows: Mapping[Any, int]) -> SpotOrders:
    """Reserves by market; those with a token that is left out are worth nothing (rule 8)."""
    known = [o for o in orders if o["base"] in rows and o["quote"] in rows]
    base, quote = (
        np.array([rows[o[name]] for o in known], dtype=np.int64) for name in ("base", "quote")
    )
    # A best price of 0 is one that the account does not know.
    bids = [1 / o["hi_bid_inv"] if o.get("hi_bid_inv") else np.nan for o in known]
    asks = [o["lo_ask"] if o.get("lo_ask") else np.nan for o in known]
    return SpotOrders(
        base, quote, _column([o["res_base"] for o in known]),
        _column([o["res_quote"] for o in known]), _column(bids), _column(asks),
    )  # fmt: skip


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("mango*", "mango_health", "tokens spot_orders? perps? health_type", mango_health),
    Adapter(
        "mango*", "mango_leverage",
        "tokens_bal_price perps_quote_lots_lot_price? reserved_base_price?", mango_leverage,
    ),
)  # fmt: skip
