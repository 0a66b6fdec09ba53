"""Cases of Drift v2's own tests, in the program's integers.

They go to the rule's functions of columns: a case takes one kind of margin, strict or not, where
a document takes initial margin strict and the others not. An account has USDC, SOL with orders
against USDC, and perpetuals on SOL.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from plimsoll.margin.arithmetic import EXACT, Numbers
from plimsoll.margin.venues.drift_margin import (
    QUOTE,
    WEIGHT,
    Contracts,
    MarginKind,
    Terms,
    Tokens,
    contract_margin,
    custom_ratio,
    pnl_weight,
    scaled_asset_weight,
    size_discount,
    size_premium,
    token_margin,
    token_size,
    token_value,
    total_margin,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

ORDER_MARGIN = 10_000
PROFIT_CAP = 100 * QUOTE
KINDS = MappingProxyType({kind.name.lower(): kind for kind in MarginKind})
PLAIN_TOKEN = MappingProxyType(
    {"weight": WEIGHT, "decimals": 6, "price": QUOTE, "imf": 0, "scale_start": 0, "deposits": 0}
)


def drift_spot_imf(case: Case) -> dict[str, int]:
    """Weight of an asset or a liability at its size."""
    inputs = case.inputs
    rule = size_discount if inputs["kind"] == "asset" else size_premium
    size = token_size(EXACT, int(inputs["token_amount"]), 10 ** int(inputs["decimals"]))
    return {"weight": int(rule(EXACT, size, int(inputs["imf_factor"]), int(inputs["weight"])))}


def drift_scaled_asset_weight(case: Case) -> dict[str, int]:
    """Initial weight of an asset at the worth of all deposits of it, which are whole tokens."""
    inputs = case.inputs
    worth = token_value(EXACT, int(inputs["deposits_tokens"]), int(inputs["oracle_price"]), 1)
    weight, start = int(inputs["initial_asset_weight"]), int(inputs["scale_start"])
    return {"weight": int(scaled_asset_weight(EXACT, weight, start, worth))}


def drift_pnl_weight(case: Case) -> dict[str, int]:
    """Weight of a position's profit."""
    inputs = case.inputs
    contract = _contract(
        initial_pnl_weight=inputs["initial_asset_weight"],
        maintenance_pnl_weight=inputs.get("maintenance_asset_weight", 0),
        pnl_imf_factor=inputs["unrealized_pnl_imf_factor"],
        max_imbalance=inputs.get("max_imbalance", 0),
        net_user_pnl=inputs.get("net_user_pnl", 0),
    )
    weight = pnl_weight(EXACT, _kind(inputs), contract, EXACT.numbers([inputs["unrealized_pnl"]]))
    return {"weight": int(weight[0])}


def drift_position_margin(case: Case) -> dict[str, int]:
    """Requirement and counted profit of one perpetual."""
    inputs = case.inputs
    price = inputs.get("quote_price", QUOTE)
    contract = _contract(
        base=inputs["base"],
        quote=inputs["quote"],
        bids=inputs.get("bids", 0),
        asks=inputs.get("asks", 0),
        orders=inputs.get("open_orders", 0),
        price=inputs["oracle"],
        quote_low=price,
        quote_high=price,
        initial_ratio=inputs["margin_ratio_initial"],
        maintenance_ratio=inputs.get("margin_ratio_maintenance", 0),
        imf_factor=inputs["imf_factor"],
        initial_pnl_weight=inputs["unrealized_pnl_initial_asset_weight"],
        maintenance_pnl_weight=inputs.get("unrealized_pnl_maintenance_asset_weight", 0),
        pnl_imf_factor=inputs["unrealized_pnl_imf_factor"],
        custom_ratio=inputs.get("custom", 0),
    )
    terms = Terms(ORDER_MARGIN, PROFIT_CAP, 0)
    found = contract_margin(EXACT, _kind(inputs), contract, terms)
    return {
        "margin_requirement": int(found.margin.requirement[0]),
        "weighted_upnl": int(found.margin.collateral[0]),
        "liability_value": int(found.liability[0]),
        "margin_ratio": int(found.ratio[0]),
        "unrealized_pnl": int(found.pnl[0]),
    }


def drift_account_margin(case: Case) -> dict[str, int]:
    """Total collateral and margin requirement of an account, with the buffer of liquidation."""
    inputs, kind = case.inputs, _kind(case.inputs)
    terms = Terms(int(inputs["open_order_margin"]), PROFIT_CAP, int(inputs.get("buffer", 0)))
    tokens = token_margin(EXACT, kind, _tokens(inputs, kind), terms).margin
    contracts = contract_margin(EXACT, kind, _contracts(inputs, kind), terms).margin
    total = total_margin(
        tokens, np.zeros(2, np.int64), contracts, np.zeros(len(inputs["perps"]), np.int64), 1
    )
    collateral, more_collateral, requirement, more_requirement = (int(sums[0]) for sums in total)
    return {
        "total_collateral": collateral,
        "margin_requirement": requirement,
        "total_collateral_plus_buffer": collateral + more_collateral,
        "margin_requirement_plus_buffer": requirement + more_requirement,
        "free_collateral": max(collateral - requirement, 0),
    }


def _kind(inputs: Mapping[str, Any]) -> MarginKind:
    return KINDS[str(inputs.get("mt", "Initial")).lower()]


def _strict_prices(inputs: Mapping[str, Any], price: int, average: str) -> tuple[int, int]:
    """The lower and the higher of a price and its average, where the case is strict."""
    other = int(inputs.get(average, price)) if inputs.get("strict", False) else price
    return min(price, other), max(price, other)


def _tokens(inputs: Mapping[str, Any], kind: MarginKind) -> Tokens:
    """USDC, then SOL with its orders."""
    markets = inputs["markets"]
    rows = []
    for name, price_name, average in (("usdc", "upx", "utw"), ("sol", "spx", "stw")):
        market = {**PLAIN_TOKEN, **markets[name.upper()]}
        price = int(inputs.get(price_name, market["price"]))
        low, high = _strict_prices(inputs, price, average)
        ratio = custom_ratio(kind, int(inputs.get("custom", 0)), int(inputs.get("override", 0)))
        rows.append(Tokens(
            unit=10 ** int(market["decimals"]),
            amount=inputs.get(name, 0),
            bids=inputs.get(f"{name}_bids", 0),
            asks=inputs.get(f"{name}_asks", 0),
            orders=inputs.get(f"{name}_orders", 0),
            price=price,
            low=low,
            high=high,
            initial_asset_weight=market.get("init_asset", market["weight"]),
            maintenance_asset_weight=market.get("maint_asset", market["weight"]),
            initial_liability_weight=market.get("init_liab", market["weight"]),
            maintenance_liability_weight=market.get("maint_liab", market["weight"]),
            imf_factor=market["imf"],
            scale_start=market["scale_start"],
            deposits=market["deposits"],
            custom_ratio=0 if name == "usdc" else ratio,
        ))  # fmt: skip
    return Tokens(*(EXACT.numbers(column) for column in zip(*rows, strict=True)))


def _contracts(inputs: Mapping[str, Any], kind: MarginKind) -> Contracts:
    """The perpetuals: base, quote, the ratio chosen, then bids, asks and orders if stated."""
    market = inputs["markets"].get("SOLPERP", {})
    low, high = _strict_prices(inputs, int(inputs.get("upx", QUOTE)), "utw")
    chosen, override = int(inputs.get("custom", 0)), int(inputs.get("override", 0))
    rows = []
    for base, quote, ratio, *orders in inputs["perps"]:
        bids, asks, count = (*orders, 0, 0, 0)[:3]
        weight = market.get("upnl_asset_weights", 0)
        rows.append(_fields(
            base=base,
            quote=quote,
            bids=bids,
            asks=asks,
            orders=count,
            price=market["price"],
            quote_low=low,
            quote_high=high,
            initial_ratio=market["margin_ratio_initial"],
            maintenance_ratio=market["margin_ratio_maintenance"],
            imf_factor=market.get("imf", 0),
            initial_pnl_weight=weight,
            maintenance_pnl_weight=weight,
            pnl_imf_factor=market.get("upnl_imf", 0),
            custom_ratio=custom_ratio(kind, max(chosen, int(ratio)), override),
        ))  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * len(Contracts._fields)
    return Contracts(*(EXACT.numbers(column) for column in columns))


def _contract(**known: Numbers) -> Contracts:
    """One perpetual of which the named fields are known and the others nothing."""
    return Contracts(*(EXACT.numbers([value]) for value in _fields(**known)))


def _fields(**known: Numbers) -> Contracts:
    return Contracts(*(int(known.get(name, 0)) for name in Contracts._fields))


ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "drift*", "drift_account_margin",
        "markets open_order_margin perps usdc? sol? usdc_orders? sol_bids? sol_asks? sol_orders? "
        "custom? override? mt? strict? upx? utw? spx? stw? buffer?",
        drift_account_margin,
    ),
    Adapter(
        "drift*", "drift_perp_margin",
        "base quote oracle margin_ratio_initial imf_factor unrealized_pnl_imf_factor "
        "unrealized_pnl_initial_asset_weight margin_ratio_maintenance? "
        "unrealized_pnl_maintenance_asset_weight? quote_price? bids? asks? open_orders? custom? "
        "mt?",
        drift_position_margin,
    ),
    Adapter(
        "drift*", "drift_upnl_weight",
        "unrealized_pnl unrealized_pnl_imf_factor initial_asset_weight maintenance_asset_weight? "
        "max_imbalance? net_user_pnl? mt?",
        drift_pnl_weight,
    ),
    Adapter(
        "drift*", "drift_spot_imf", "kind token_amount decimals imf_factor weight", drift_spot_imf
    ),
    Adapter(
        "drift*", "drift_scaled_asset_weight",
        "initial_asset_weight scale_start deposits_tokens oracle_price", drift_scaled_asset_weight,
    ),
)  # fmt: skip
