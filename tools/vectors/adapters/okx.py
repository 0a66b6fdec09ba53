"""Cases of OKX.

Coins that a table knows nothing of stand in for the examples' own, at an index price of 1 where
only amounts in the coin are asked for; rates that were read back from a response are overrides.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import parse_time, table_at
from plimsoll.instruments import parse_symbol
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.registry import model_tables
from plimsoll.margin.venues import okx_multi_currency
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

COIN = "XYZ"
LINEAR, INVERSE = f"{COIN}/USDT:USDT", f"{COIN}/USD:{COIN}"
MULTI, PORTFOLIO = "okx.multi_currency", "okx.portfolio"
AS_OF = "2026-06-01T00:00:00Z"
# When the API's position builder sample was taken.
SAMPLED = "2025-01-15T10:26:41Z"
FREE = {"basis_perpetual_rates": {COIN: 0}, "extreme_moves": {COIN: 0}}
"""A unit of which only what an example speaks of is charged."""


def discounted_asset(case: Case) -> dict[str, float]:
    """Collateral value of an asset under discount tiers by amount, through a document."""
    given = case.inputs
    found = _currency(given["amount"], given["price"], given["tiers"])
    return {"discounted": found.collateral_value}


def okx_discounted_equity(case: Case) -> dict[str, float]:
    """A currency's equity in USD, plain and at its discount rate, through a document."""
    amount = _first(case.inputs, "eq", "equity", "amount", "cashBal", "balance")
    price = _first(case.inputs, "price", "usd", "usdPx", "px", "idxPx", "index", "*usd*", "*px*")
    rate = _first(case.inputs, "discount*", "*rate*")
    found = _currency(amount, price, [[None, rate]])
    return {"disEq": found.collateral_value, "eqUsd": found.equity}


def okx_contract_position(case: Case) -> dict[str, float]:
    """Margins, ratio and liquidation price of a position in contracts, through a document.

    It is isolated where the case states its margin, cross otherwise. Amounts are in the settle
    asset.
    """
    given = case.inputs
    inverse = any(name in given for name in ("usd", "qty_usd", "notional_usd"))
    size = _signed_size(given)
    mark = _first(given, "markPx*", "mark*")
    entry = given.get("avgPx", _first(given, "entry*", "avg*", missing=mark))
    rate = _first(given, "mmr_rate", "mmr*rate*", "mmr", missing=None)
    position = {"symbol": INVERSE if inverse else LINEAR, "quantity": size, "entry_price": entry}
    if "margin" in given:
        paid = sum(value for name, value in given.items() if name.startswith("funding"))
        position |= {"margin_mode": "isolated", "isolated_margin": given["margin"] + paid}
    if leverage := _first(given, "lever*", missing=None):
        position["leverage"] = leverage
    params = {
        "position_tiers": {COIN: [[None, rate or 0, rate or 0]]},
        "tick_sizes": {COIN: given.get("tick", 0)},
        "liquidation_fee_rates": _named(COIN, _first(given, "*fee*rate*", missing=None)),
    }
    index = {COIN: mark, "USDT": given.get("usdt_usd", 1)}
    market = {"index": index, "instruments": {position["symbol"]: {"mark": mark}}}
    account = {"model": MULTI, "positions": [position], "params": params}
    pools = _explain(market, account)
    found = next((pool for pool in pools if pool.detail("margins").rows), pools[0])
    margins, shown = _row(found, "margins"), _row(found, "positions")
    answer = {
        "upl": shown["profit"],
        "notionalUsd": shown["notional"],
        "margin": sum(_row(found, "currencies", column="balance").values()),
    }
    if "leverage" in position:
        answer["imr"] = margins["initial"]
    if rate is not None:
        answer |= {"mmr": margins["maintenance"], "mgnRatio": _reciprocal(found.margin_ratio)}
        answer |= {"liqPx": shown["liquidation_price"], "bkPx": shown["bankruptcy_price"]}
    return {name: value for name, value in answer.items() if np.isfinite(value)}


def okx_option_position(case: Case) -> dict[str, float]:
    """Margins and equity of a coin-margined option, isolated where a margin is stated.

    Amounts are in coin; ``eq`` is what the account has in cash and positions together.
    """
    given = case.inputs
    each = _first(given, "ctMult", "ctVal", "*mult*", "contract_value*", missing=1)
    size = abs(_first(given, "pos", "contracts", "qty*", "size*", "sz", missing=1))
    # Long options have no margin: an example is about short ones unless it says otherwise.
    value = given.get("optVal", given.get("opt_val"))
    told = f"{case.subject} {given.get('posSide', '')}".lower()
    size = size if "long" in told or (value or 0) > 0 else -size
    stated = _first(given, "markPx*", "mark*", missing=None)
    mark = stated if stated is not None else abs(value / size / each)
    symbol, forward = _option(case)
    rates = [_first(given, *names, missing=usual) for names, usual in _OPTION_RATES]
    params = {
        "option_rates": {COIN: rates},
        "option_factors": {COIN: [[None, _first(given, "*factor*", missing=1)]]},
        "option_liquidation_fee_rates": _named(COIN, _first(given, "*fee*", missing=None)),
    }
    position = {"symbol": symbol, "quantity": size}
    if "margin" in given:
        position |= {"margin_mode": "isolated", "isolated_margin": given["margin"]}
    listed = {"mark": mark, "contract_multiplier": each, "underlying": forward}
    account = {"model": MULTI, "positions": [position], "params": params}
    account["balances"] = {COIN: _first(given, "cashBal", "cash*", missing=0)}
    pools = _explain({"index": {COIN: 1}, "instruments": {symbol: listed}}, account)
    found = next(pool for pool in pools if pool.detail("margins").rows)
    margins, shown = _row(found, "margins"), _row(found, "positions")
    answer = {
        "isoEq": found.equity,
        "eq": sum(pool.equity for pool in pools),
        "optVal": shown["option_value"],
        "mgnRatio": _reciprocal(found.margin_ratio),
    }
    for unit in ("", "_btc", "_eth", "_coin"):
        for name in ("imr", "im", "initial_margin", "position_margin", "position_imr"):
            answer[name + unit] = margins["initial"]
        for name in ("mmr", "mm", "maintenance_margin"):
            answer[name + unit] = margins["maintenance"]
    return answer


_OPTION_RATES = (
    (("a",), 0.10),
    (("b",), 0.15),
    (("c",), 0.03),
    (("min_order*", "least*"), 0.10),
)


def okx_isolated_equities(case: Case) -> dict[str, float]:
    """Isolated margins of several currencies together, in USD, through a document."""
    held = {
        name.removesuffix("_isoEq").upper(): value
        for name, value in case.inputs.items()
        if name.endswith("_isoEq")
    }
    index = {name: case.inputs[f"{name.lower()}_usd"] for name in held}
    symbols = {name: f"{COIN}/{name}:{name}" for name in held}
    positions = [
        {"symbol": symbols[name], "quantity": 0, "entry_price": 1, "margin_mode": "isolated",
         "isolated_margin": value}
        for name, value in held.items()
    ]  # fmt: skip
    market = {
        "index": {COIN: 1, **index},
        "instruments": {symbol: {"mark": 1} for symbol in symbols.values()},
    }
    pools = _explain(market, {"model": MULTI, "positions": positions})
    total = sum(pool.equity for pool in pools if pool.kind == "isolated")
    return {"isoEq": total}


def okx_funded_margin(case: Case) -> dict[str, float]:
    """An isolated margin after funding received, through a document."""
    position = {
        "symbol": LINEAR, "quantity": 0, "entry_price": 1, "margin_mode": "isolated",
        "isolated_margin": _first(case.inputs, "*margin*") + _first(case.inputs, "*funding*"),
    }  # fmt: skip
    market = {"index": {COIN: 1, "USDT": 1}, "instruments": {LINEAR: {"mark": 1}}}
    pools = _explain(market, {"model": MULTI, "positions": [position]})
    return {"margin": sum(pool.equity for pool in pools)}


def okx_liquidation_record(case: Case) -> dict[str, float]:
    """What a liquidated position forfeits, its maintenance margin, and its profit after that."""
    given = case.inputs
    notional = abs(_first(given, "*notional*", "*value*"))
    rate = _first(given, "*mmr*", "*penalty*rate*", "*rate*")
    params = {"position_tiers": {COIN: [[None, rate, rate]]}}
    position = {"symbol": LINEAR, "quantity": notional, "entry_price": 1}
    market = {"index": {COIN: 1, "USDT": 1}, "instruments": {LINEAR: {"mark": 1}}}
    (found,) = _explain(market, {"model": MULTI, "positions": [position], "params": params})
    penalty = -_row(found, "margins")["maintenance"]
    paid = [given[name] for name in ("pnl", "fee", "funding", "fundingFee") if name in given]
    return {"liqPenalty": penalty, "realizedPnl": sum(paid) + penalty}


def okx_position_tiers(case: Case) -> dict[str, Any]:
    """Tiers of a contract as the table in force lists them, in contracts."""
    family = re.search(r"([A-Z0-9]+)-(USDT|USDC)\b", case.subject.upper())
    if family is None:
        raise ValueError("the model's name says no contract")
    row = parse_symbol(f"{family[1]}/{family[2]}:{family[2]}")
    tables = model_tables(okx_multi_currency.MODEL)
    listed = table_at(tables, parse_time(AS_OF, "as_of")).params["position_tiers"]
    tiers = np.array(okx_multi_currency.find_tiers(listed, row, "position_tiers"))
    leverage = okx_multi_currency.largest_leverage(tiers[:, 2])
    each = _first(case.inputs, "contract_value*", "ctVal")
    rows = {
        str(tier): {
            "max_contracts": tiers[tier - 1, 0] / each,
            "mmr": tiers[tier - 1, 1],
            "imr": tiers[tier - 1, 2],
            "max_leverage": float(leverage[tier - 1]),
        }
        for tier in case.inputs["tiers"]
    }
    return {"rows": rows}


def okx_risk_unit(case: Case) -> dict[str, float]:
    """The modules of a risk unit of one perpetual, at the date of the API's sample.

    The index price and the moves are read back from the unit's grid of profits.
    """
    given = case.inputs
    coin, quote = given["instId"].split("-")[:2]
    each = _first(given, "contract_value*", "ctVal")
    size = _first(given, "contracts", "pos")
    grid = {float(move): profit for move, profit in given["mr1_grid_usd"].items()}
    widest = max(grid)
    # Some state contracts without a sign: a short unit loses where the price rises.
    size = math.copysign(size, grid[widest])
    extreme = next((name for name in given if name.startswith("mr6_pnl_at")), "")
    percent = re.search(r"(\d+(?:\.\d+)?)pct", extreme)
    rates = {"basis_perpetual_rates": "*mr4*", "minimum_rates": "*mr7*"}
    read_back = {name: _first(given, pattern, missing=None) for name, pattern in rates.items()}
    params: dict[str, Any] = {name: _named(coin, rate) for name, rate in read_back.items()}
    params["spot_shocks"] = {coin: sorted(move for move in grid if move > 0)}
    params["extreme_moves"] = _named(coin, float(percent[1]) / 100 if percent else None)
    params |= _factor(given)
    symbol = f"{coin}/{quote}:{quote}"
    index = {coin: grid[widest] / widest / size / each, quote: given["usdt_usd"]}
    market = {
        "index": index,
        "instruments": {symbol: {"mark": given["mark"], "contract_multiplier": each}},
    }
    position = {"symbol": symbol, "quantity": size, "entry_price": given["entry"]}
    account = {"model": PORTFOLIO, "positions": [position], "params": params}
    (found,) = _explain(market, account, SAMPLED)
    unit = _row(found, "risk_units")
    modules = {name: unit[name] for name in ("mr1", "mr2", "mr4", "mr6", "mr7", "mr9")}
    charges = [c for c in found.charges if c.name in _UNIT_CHARGES]
    initial = sum(charge.initial for charge in charges)
    delta = {"delta_usd": unit["delta"], "upl_usd": found.equity}
    return {**modules, **delta, "mmr": unit["maintenance"], "imr": initial}


_UNIT_CHARGES = ("scenario_loss", "basis", "stablecoin_depeg", "minimum_charge")


def okx_minimum_charge(case: Case) -> dict[str, float]:
    """A unit's maintenance margin with a minimum charge, plain and through its multipliers."""
    scenario, raw = case.inputs["mr_scenario"], case.inputs["mr7_raw"]
    size = max(scenario, raw, 1)
    rates = {"spot_shocks": {COIN: [scenario / size] * 3}, "minimum_rates": {COIN: raw / size}}

    def unit(tiers: Any) -> Mapping[str, float]:
        params = {**FREE, **rates, "minimum_multipliers": {COIN: tiers}}
        return _row(_lone_unit({COIN: size}, params), "risk_units")

    before, after = unit([[None, 1]]), unit(case.inputs["tiers"])
    return {
        "mmr_before": before["maintenance"],
        "mr7_adj": after["mr7"],
        "mmr_after": after["maintenance"],
    }


def okx_stablecoin_hedge(case: Case) -> dict[str, float]:
    """The charge on a hedge between USDT and USD contracts, through a document."""
    hedged, index = case.inputs["hedged_usd"], _first(case.inputs, "*index*", missing=1)
    symbols = {LINEAR: hedged / index, INVERSE: -hedged}
    tiers = case.inputs["tiers"]
    params = {**FREE, "depeg_tiers": {"0": tiers, "0.995": tiers}}
    positions = [
        {"symbol": symbol, "quantity": size, "entry_price": 1} for symbol, size in symbols.items()
    ]
    market = {
        "index": {COIN: 1, "USDT": index},
        "instruments": {symbol: {"mark": 1} for symbol in symbols},
    }
    account = {"model": PORTFOLIO, "positions": positions, "params": params}
    return {"mr9": _row(_explain(market, account)[0], "risk_units")["mr9"]}


def okx_initial_factor(case: Case) -> dict[str, float]:
    """Initial margin of a unit of a given maintenance margin."""
    found = _units_of([case.inputs["mmr"]], _factor(case.inputs))
    return {"imr": found.initial_margin}


def okx_portfolio_totals(case: Case) -> dict[str, float]:
    """Totals of an account from the maintenance margins of its units and what it owes."""
    given = case.inputs
    owed = abs(_first(given, "*liab*", "*avail*", "eq*", "*_eq", missing=0))
    rates = [
        _first(given, f"*borrow*{kind}*", missing=usual)
        for kind, usual in (("mmr", 0.02), ("imr", 0.1))
    ]
    params = {"borrowing": {"USDT": [[None, *rates]]}, **_factor(given)}
    price = _first(given, "*usdt_usd*", "*_usd", missing=1)
    found = _units_of(list(_unit_margins(given)), params, {"USDT": -owed}, price)
    charges = {charge.name: charge for charge in found.charges}
    units = [charges[name] for name in _UNIT_CHARGES]
    borrowing = charges["borrowing"]
    derivatives = sum(unit.maintenance for unit in units)
    answer = {
        "derivMmr": derivatives,
        "derivImr": sum(unit.initial for unit in units),
        "borrowMmr": borrowing.maintenance,
        "borrowImr": borrowing.initial,
        "totalMmr": derivatives + borrowing.maintenance,
        "totalImr": found.initial_margin,
        "eq": found.collateral_value,
        "marginRatio": found.collateral_value / found.maintenance_margin,
    }
    answer |= {"mmr": answer["totalMmr"], "imr": answer["totalImr"]}
    snake = {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in answer.items()}
    return {**answer, **snake}


def _unit_margins(given: Mapping[str, Any]) -> Iterator[float]:
    """The maintenance margins of units, listed, by name or one by one."""
    for name, value in given.items():
        is_unit = "mmr" in name.lower() or "unit" in name.lower()
        if "borrow" in name or not is_unit:
            continue
        if isinstance(value, Mapping):
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        elif isinstance(value, int | float):
            yield value


def _units_of(
    margins: list[float],
    params: Mapping[str, Any],
    balances: Mapping[str, float] | None = None,
    usdt: float = 1,
) -> Explanation:
    """An account with one unit for each maintenance margin: a contract that loses all it is."""
    coins = {f"{COIN}{k}": margin for k, margin in enumerate(margins)}
    each = dict.fromkeys(coins, 0)
    units = {
        "spot_shocks": {coin: [1, 1, 1] for coin in coins},
        "extreme_moves": each,
        "basis_perpetual_rates": each,
        "minimum_rates": each,
    }
    return _lone_unit(coins, {**units, **params}, balances, usdt)


def _lone_unit(
    sizes: Mapping[str, float],
    params: Mapping[str, Any],
    balances: Mapping[str, float] | None = None,
    usdt: float = 1,
) -> Explanation:
    """Perpetuals of coins at 1 USD each under portfolio margin."""
    symbols = {f"{coin}/USDT:USDT": size for coin, size in sizes.items()}
    positions = [
        {"symbol": symbol, "quantity": size, "entry_price": 1 / usdt}
        for symbol, size in symbols.items()
    ]
    market = {
        "index": {"USDT": usdt, **dict.fromkeys(sizes, 1)},
        "instruments": {symbol: {"mark": 1 / usdt} for symbol in symbols},
    }
    account = {"model": PORTFOLIO, "positions": positions, "params": params}
    return _explain(market, {**account, "balances": balances or {}})[0]


def _factor(given: Mapping[str, Any]) -> dict[str, float]:
    factor = _first(given, "imr_factor", "factor", missing=None)
    return {} if factor is None else {"initial_factor": factor}


def _currency(amount: float, price: float, tiers: Any) -> Explanation:
    account = {"model": MULTI, "balances": {COIN: amount}, "params": {"discounts": {COIN: tiers}}}
    return _explain({"index": {COIN: price}}, account)[0]


def _signed_size(given: Mapping[str, Any]) -> float:
    """Coins of a linear contract, quote value of an inverse one; short below 0."""
    size = _first(given, "qty*", "usd", "notional_usd", missing=None)
    if size is None:
        size = _first(given, "contracts", "pos") * _first(given, "ctVal", "contract_value*")
    size = float(size)
    is_short = str(given.get("posSide", given.get("side", ""))).lower() in ("short", "sell")
    return -abs(size) if is_short else size


def _option(case: Case) -> tuple[str, float]:
    """A symbol of the example's kind, strike and expiry, and a forward that fits them."""
    given = case.inputs
    name = re.search(r"(\d{6})-(\d+(?:\.\d+)?)-([CP])", str(given.get("instId", "")))
    right = str(given.get("type", given.get("optType", case.subject))).lower()
    is_put = name[3] == "P" if name else "put" in right or right == "p"
    forward = _first(given, "fwd*", "forward*", "F", "underlying*", "futures*", missing=None)
    stated = _first(given, "strike*", "K", missing=None)
    strike = float(name[2]) if name else stated or forward or 1.0
    forward = strike if forward is None else forward
    otm = _first(given, "otm*", missing=None)
    if otm is not None and name is None and stated is None:
        strike = forward - otm if is_put else forward + otm
    return f"{INVERSE}-261225-{strike:.10g}-{'P' if is_put else 'C'}", forward


def _first(given: Mapping[str, Any], *patterns: str, missing: Any = ...) -> Any:
    """The first number whose name fits a pattern, patterns in order; ``missing`` if none does."""
    for pattern in patterns:
        form = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.IGNORECASE)
        for name, value in given.items():
            if isinstance(value, int | float) and form.fullmatch(name):
                return value
    if missing is ...:
        raise KeyError(f"no input is named like {' or '.join(patterns)}")
    return missing


def _reciprocal(ratio: float) -> float:
    """The venue's ratio from ours."""
    return 1 / ratio if ratio else math.inf


def _named(name: str, value: float | None) -> dict[str, float]:
    return {} if value is None else {name: value}


def _row(found: Explanation, detail: str, column: str = "") -> dict[str, float]:
    """The only row of a detail by column, or one column by row."""
    table = found.detail(detail)
    if column:
        return {name: values[table.columns.index(column)] for name, values in table.rows}
    ((_, values),) = table.rows
    return dict(zip(table.columns, values, strict=True))


def _explain(
    market: Mapping[str, Any], account: Mapping[str, Any], as_of: str = AS_OF
) -> tuple[Explanation, ...]:
    """Every pool of an account, through the front door."""
    named = {"id": "case", **account}
    document = decode_document(
        msgspec.json.encode({"as_of": as_of, "market": market, "accounts": [named]}), "case.json"
    )
    portfolio = build_portfolio(document)
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("okx", "*discount rate*", "amount price tiers", discounted_asset),
    Adapter("okx", "*dis*eq*", "*", okx_discounted_equity),
    Adapter("okx", "isolated linear*", "*", okx_contract_position),
    Adapter("okx", "isolated inverse*", "*", okx_contract_position),
    Adapter("okx", "cross*", "*", okx_contract_position),
    Adapter("okx", "*option*", "*", okx_option_position),
    Adapter("okx", "isolated equity*", "*_isoEq *_usd", okx_isolated_equities),
    Adapter("okx", "isolated margin*", "*margin* *funding*", okx_funded_margin),
    Adapter("okx", "liquidation*", "*", okx_liquidation_record),
    Adapter("okx", "position tiers*", "tiers contract_value_*", okx_position_tiers),
    Adapter(
        "okx",
        "portfolio margin, risk unit*",
        "instId contracts mark entry usdt_usd mr1_grid_usd contract_value_* mr6_* perp_*? *factor?",
        okx_risk_unit,
    ),
    Adapter("okx", "*mr7*", "mr_scenario mr7_raw tiers", okx_minimum_charge),
    Adapter("okx", "*mr9*", "hedged_usd tiers *index*?", okx_stablecoin_hedge),
    Adapter("okx", "*imr factor*", "mmr *factor?", okx_initial_factor),
    Adapter("okx", "*portfolio*total*", "*", okx_portfolio_totals),
    Adapter("okx", "*portfolio*account*", "*", okx_portfolio_totals),
)
