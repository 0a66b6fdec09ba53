"""Cases of Hyperliquid, whose responses load through its native format."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from plimsoll.connectors import build_portfolio, hyperliquid_account
from plimsoll.core import Floats, format_time
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.venues.hyperliquid_cross import (
    borrowable,
    liquidation_threshold,
    withdrawable,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

AS_OF = "2026-01-01T00:00:00Z"
TRANSFER_FLOOR = 0.1
ACCOUNT = "case"
COIN = "XYZ"
"""Stands for the coin of a case that names none."""

SIZE, MARK, ENTRY = ("szi", "sz", "size"), ("mark", "markPx", "px"), ("entry", "entryPx")
VALUE = ("accountValue", "crossAccountValue", "AV", "equity")
MAINTENANCE = ("crossMaintenanceMarginUsed", "maintenanceMargin", "MM")


def isolated_position(case: Case) -> dict[str, Any]:
    """An isolated position: margin used, profit, return and liquidation price."""
    (pool,) = (
        p
        for p in _explain(case, [{**case.inputs, "type": "isolated"}], 0.0)
        if p.kind == "isolated"
    )
    return _position_figures(pool)


def cross_position(case: Case) -> dict[str, Any]:
    """A cross position in an account whose value, and maybe maintenance margin, is stated."""
    value = _first(case.inputs, VALUE)
    stated = _find(case.inputs, MAINTENANCE)
    rows = [{**case.inputs, "type": "cross"}]
    (pool,) = _explain(case, rows, value)
    if stated is not None:
        # What the other positions need is set aside.
        (pool,) = _explain(case, rows, value - (stated - pool.maintenance_margin))
    figures = _position_figures(pool)
    return {**figures, "crossMaintenanceMarginUsed": stated or pool.maintenance_margin}


def account_state(case: Case) -> dict[str, Any]:
    """A whole account: its summary, and each position's figures by coin."""
    rows = _rows(case.inputs.get("positions", case.inputs.get("assetPositions")))
    whole, alone = _account_values(case)
    pools = _explain(case, rows, alone or 0.0)
    # Isolated margin is part of the account's value, but backs no cross position.
    posted = sum(pool.equity for pool in pools[1:])
    if alone is None and whole is not None:
        pools = _explain(case, rows, whole - posted)
    used = {coin: figures for pool in pools for coin, figures in _by_coin(pool).items()}
    names = sorted({name for figures in used.values() for name in figures})
    margin = math.fsum(figures["marginUsed"] for figures in used.values())
    return {
        "accountValue": pools[0].equity + posted,
        "crossAccountValue": pools[0].equity,
        "totalMarginUsed": margin,
        "crossTotalMarginUsed": margin - posted,
        "totalNtlPos": math.fsum(figures["positionValue"] for figures in used.values()),
        "crossMaintenanceMarginUsed": pools[0].maintenance_margin,
        "withdrawable": _figure(pools[0], "account", "withdrawable"),
        **{name: {coin: used[coin][name] for coin in used} for name in names},
        **_by_name(used, case.expected),
        **{f"{coin}_{name}": used[coin][name] for coin in used for name in names},
        **{f"{name}_{coin}": used[coin][name] for coin in used for name in names},
    }


def _by_name(used: Mapping[str, dict[str, Any]], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Each coin's figures; its liquidation price alone where a lone figure is asked for."""
    return {
        coin: figures if isinstance(expected.get(coin), Mapping) else figures["liquidationPx"]
        for coin, figures in used.items()
    }


def _account_values(case: Case) -> tuple[float | None, float | None]:
    """The stated value of the account and of its cross positions alone; None where it is not."""
    found = []
    for summary, name in (("marginSummary", VALUE[0]), ("crossMarginSummary", VALUE[1])):
        stated = case.inputs.get(name)
        if stated is None and summary in case.inputs:
            stated = case.inputs[summary]["accountValue"]
        found.append(None if stated is None else float(stated))
    return found[0], found[1]


def withdrawable_rule(case: Case) -> dict[str, float]:
    """What may be withdrawn from an account value, initial margins and a notional."""
    given = case.inputs
    initial = sum(amount for name, amount in given.items() if name.endswith("_IM"))
    left = withdrawable(
        _one(next(v for name, v in given.items() if name.startswith(VALUE))),
        _one(initial),
        _one(given.get("totalNtlPos", 0.0)),
        given.get("floor", TRANSFER_FLOOR),
    )
    return {"withdrawable": float(left[0])}


def borrowing(case: Case) -> dict[str, float]:
    """What portfolio margin lends against a balance, and where it is liquidated."""
    balance, ratio = (_one(_named(case.inputs, part)) for part in ("balance", "ltv"))
    price = _one(_named(case.inputs, "price", "oracle"))
    lent = float(borrowable(balance, price, ratio)[0])
    threshold = float(liquidation_threshold(ratio)[0])
    return {
        "borrowable": lent,
        "borrowable_usd": lent,
        "borrowable_usdc": lent,
        "liquidation_threshold": threshold,
    }


def margin_tiers(case: Case) -> dict[str, Any]:
    """Rates, deductions and margins of a table of maximum leverages, through a document."""
    tiers = [
        [float(row["lowerBound"]), row["maxLeverage"]] if isinstance(row, Mapping) else row
        for row in case.inputs["tiers"]
    ]
    notional = next((v for name, v in case.inputs.items() if name.startswith("notional")), 0.0)
    document = hyperliquid_account(
        _payload([{"szi": notional or 1.0, "entryPx": 1.0, "leverage": 1}], 0.0), AS_OF, ACCOUNT
    )
    account = replace(document.accounts[0], params={"tiers": {COIN: tiers}})
    portfolio = build_portfolio(replace(document, accounts=(account,)))
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    (pool,) = explain(book, market, models, ACCOUNT)
    resolved = models.models[0].params.tiers
    deductions = [float(constant) for constant in resolved.cumulative]
    return {
        "maintenance_rates": [float(rate) for rate in resolved.rates],
        "deductions": deductions,
        "maintenance_deduction": deductions[-1] if len(deductions) == 2 else deductions,
        "maintenance_margin": pool.maintenance_margin,
    }


def _explain(
    case: Case, rows: Iterable[Mapping[str, Any]], cross_value: float
) -> tuple[Explanation, ...]:
    """The pools of an account of these positions, as the venue's own response states it."""
    payload = _payload(rows, cross_value)
    portfolio = build_portfolio(hyperliquid_account(payload, _as_of(case), ACCOUNT))
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, ACCOUNT)


def _payload(rows: Iterable[Mapping[str, Any]], cross_value: float) -> dict[str, Any]:
    return {
        "assetPositions": [{"position": _position(row), "type": "oneWay"} for row in rows],
        "crossMarginSummary": {"accountValue": cross_value},
    }


def _position(row: Mapping[str, Any]) -> dict[str, Any]:
    """One position in the response's own form; a mark that is not stated is the entry price."""
    size, entry = float(_first(row, SIZE)), float(_first(row, (*ENTRY, *MARK)))
    mark = float(_find(row, MARK) or entry)
    leverage = row.get("leverage", row.get("maxLeverage", 1))
    stated = leverage if isinstance(leverage, Mapping) else {"value": leverage}
    margin = row.get("collateral", 0.0)
    return {
        "coin": row.get("coin", COIN),
        "szi": -abs(size) if row.get("side") in ("short", "sell", -1) else size,
        "entryPx": entry,
        "positionValue": row.get("positionValue", abs(size) * mark),
        "leverage": {
            "type": row.get("type", "cross"),
            "rawUsd": row.get("rawUsd", margin - size * entry),
            **stated,
        },
        "maxLeverage": row.get("maxLeverage"),
    }


def _as_of(case: Case) -> str:
    """The case's own date; a year in its model's name if it has no other."""
    if "time" in case.inputs:
        return format_time(int(case.inputs["time"]) * 1_000_000)
    stated = _find(case.inputs, ("as_of", "date"))
    year = re.search(r"20\d\d", case.subject)
    return str(stated) if stated else f"{year[0]}-06-01" if year else AS_OF


def _by_coin(pool: Explanation) -> dict[str, dict[str, Any]]:
    """Each position's figures under the venue's names; no liquidation price is null."""
    held, margins = pool.detail("positions"), pool.detail("position_margins")
    found = {}
    for (symbol, row), (_, used) in zip(held.rows, margins.rows, strict=True):
        position = dict(zip(held.columns, row, strict=True))
        margin = dict(zip(margins.columns, used, strict=True))
        price = position["liquidation_price"]
        found[symbol.partition("/")[0]] = {
            "liquidationPx": None if math.isnan(price) else price,
            "unrealizedPnl": position["profit"],
            "positionValue": position["notional"],
            "marginUsed": margin["margin_used"],
            "returnOnEquity": margin["return_on_equity"],
        }
    return found


def _position_figures(pool: Explanation) -> dict[str, Any]:
    """The only position of a pool, and what the pool says of itself."""
    (figures,) = _by_coin(pool).values()
    return {
        **figures,
        "accountValue": pool.equity,
        "maintenanceMargin": pool.maintenance_margin,
        "withdrawable": _figure(pool, "account", "withdrawable"),
    }


def _rows(positions: Any) -> list[Mapping[str, Any]]:
    """Positions as a list of mappings, or by coin."""
    if isinstance(positions, Mapping):
        return [{"coin": coin, **row} for coin, row in positions.items()]
    return [row.get("position", row) for row in positions]


def _figure(pool: Explanation, table: str, column: str) -> float:
    return pool.detail(table).column(column)[0]


def _find(given: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    found = _find(given, names)
    if found is None:
        raise ValueError(f"the case states none of {', '.join(names)}")
    return found


def _named(given: Mapping[str, Any], *parts: str) -> float:
    """The input whose name has one of some parts."""
    found = (v for name, v in given.items() if any(part in name.lower() for part in parts))
    return float(next(found))


def _one(value: float) -> Floats:
    return np.array([value], dtype=np.float64)


POSITION = "szi entry*? mark*? maxLeverage positionValue? coin? leverage? side? as_of? date? time?"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter("hyperliquid*", "*isolated*", f"{POSITION} rawUsd", isolated_position),
    Adapter("hyperliquid*", "*isolated*", f"{POSITION} collateral", isolated_position),
    Adapter(
        "hyperliquid*",
        "*cross*",
        f"{POSITION} {' '.join(f'{name}?' for name in (*VALUE, *MAINTENANCE))}",
        cross_position,
    ),
    Adapter("hyperliquid*", "*", "positions *?", account_state),
    Adapter("hyperliquid*", "*", "assetPositions *?", account_state),
    Adapter(
        "hyperliquid*", "*withdrawable*", "accountValue* *_IM? totalNtlPos? floor?",
        withdrawable_rule,
    ),
    Adapter("hyperliquid*", "*", "*balance *price* *ltv*", borrowing),
    Adapter("hyperliquid*", "*", "*balance *oracle *ltv*", borrowing),
    Adapter("hyperliquid*", "*", "tiers notional*? coin?", margin_tiers),
)  # fmt: skip
