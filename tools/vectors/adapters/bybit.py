"""Cases of Bybit.

Margins of contracts are read, in the settle asset, from the detail ``margins`` of a document's
explanation, profits under scenarios from those of its risk units. A case runs at the date in its
id, if one is there; an option without one the day before it expires.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.connectors.deribit_names import deribit_symbol
from plimsoll.core import NS_PER_SECOND, format_time
from plimsoll.instruments import parse_symbol
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.charges import worst_columns, worst_loss
from plimsoll.margin.venues import bybit_cross
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

CROSS, PORTFOLIO = "bybit.cross", "bybit.portfolio"
# Stands for an example's coin, so that no table of a real one is mixed in.
COIN = "XYZ"
LINEAR, INVERSE = f"{COIN}/USDT:USDT", f"{COIN}/USD:{COIN}"
# While margins went by the entry price, and after: dates of the venue's two texts.
BY_ENTRY, BY_MARK = "2024-09-10T00:00:00Z", "2026-05-27T00:00:00Z"
FREE = 1e15
"""A risk limit that no example reaches."""
NS_PER_DAY = 86_400 * NS_PER_SECOND
SIDES = {"buy": 1, "long": 1, "1": 1, "sell": -1, "short": -1, "-1": -1}


def bybit_deductions(case: Case) -> dict[str, list[float]]:
    """Maintenance margin deductions of a risk-limit table, as the rule file resolves it."""
    tiers = list(zip(case.inputs["caps"], case.inputs["mmr"], strict=True))
    held = _hold([_position(LINEAR, 1, 1.0)], {LINEAR: 1.0})
    portfolio = _load(CROSS, held, _limits(tiers), BY_MARK)
    book = portfolio.book
    (model,) = load_models(book.instruments, book.models, portfolio.market.as_of_ns).models
    return {"mm_deduction": [float(x) for x in model.params.maintenance.cumulative]}


def bybit_tiered_position(case: Case) -> dict[str, float]:
    """Margins of a position under marginal risk-limit tiers, without fees, by a document."""
    inputs = case.inputs
    is_inverse = "qty_usd" in inputs or "inverse" in case.subject.lower()
    symbol, size = INVERSE if is_inverse else LINEAR, _size(inputs)
    params = {**_limits(inputs["tiers"]), **_fee(0.0)}
    position = _position(symbol, size, inputs["entry"], inputs.get("leverage", 10))
    held = _hold([position], {symbol: inputs["entry"]})
    return _shown(_explain(CROSS, held, params, BY_ENTRY), symbol)


def bybit_isolated_position(case: Case) -> dict[str, float]:
    """Margins, bankruptcy and liquidation price of an isolated position, by documents."""
    inputs = case.inputs
    is_inverse = "inverse" in case.subject.lower() or "qty_usd" in inputs
    symbol = INVERSE if is_inverse else LINEAR
    entry, extra = inputs["entry"], inputs.get("extra_margin", 0.0)
    mark = inputs.get("mark", inputs.get("mark_price", entry))
    is_new = mark != entry or ("taker_fee" in inputs and "tick" not in inputs)
    as_of = _as_of(case, BY_MARK if is_new else BY_ENTRY)
    params = {
        **_limits(_two_tiers(inputs["mmr"], inputs.get("mm_deduction", 0.0))),
        **_fee(inputs.get("taker_fee", 0.0)),
        "price_tick": {COIN: inputs["tick"]} if "tick" in inputs else {},
    }
    position = _position(symbol, _size(inputs), entry, inputs["leverage"])
    cross = _shown(_explain(CROSS, _hold([position], {symbol: mark}), params, as_of), symbol)
    margin = {"margin_mode": "isolated", "isolated_margin": cross["positionIM"] + extra}
    explained = _explain(CROSS, _hold([{**position, **margin}], {symbol: mark}), params, as_of)
    prices = _figures(explained, "positions", symbol)
    (balance,) = explained.detail("collateral").column("balance")
    return {
        **_shown(explained, symbol),
        "positionBalance": balance,
        "liquidation_price": prices["liquidation_price"],
        "liqPrice": prices["liquidation_price"],
        "bankruptcy_price": prices["bankruptcy_price"],
        "bustPrice": prices["bankruptcy_price"],
    }


def bybit_position_margins(case: Case) -> dict[str, float]:
    """Margins of a cross position, on its entry and its mark value, by documents."""
    inputs = case.inputs
    found = {}
    for basis in ("entry", "mark"):
        params = {
            **_limits(_two_tiers(inputs["mmr"], inputs.get("mm_deduction", 0.0))),
            **(_fee(inputs["taker_fee"]) if "taker_fee" in inputs else {}),
            "position_value": basis,
        }
        side = _side(inputs)
        position = _position(LINEAR, side, inputs["entry_value"], inputs["leverage"])
        held = _hold([position], {LINEAR: inputs.get("mark_value", inputs["entry_value"])})
        found[basis] = _shown(_explain(CROSS, held, params, _as_of(case, BY_MARK)), LINEAR)
    # What is published beside a mark value goes by it.
    shown = found["mark" if "mark_value" in inputs else "entry"]
    by_mark = {f"{name}ByMp": found["mark"][name] for name in ("positionIM", "positionMM")}
    return {**shown, **by_mark}


def bybit_hedged_leg(case: Case) -> dict[str, float]:
    """Margins of one leg while the other covers it, by a document.

    The fee rate, where none is stated, is read back from the maintenance margin.
    """
    inputs = case.inputs
    side, size = _side(inputs), abs(inputs.get("size", 1.0))
    value, leverage = inputs["entry_value"], inputs["leverage"]
    legs = {1: f"{LINEAR}#long", -1: f"{LINEAR}#short"}
    marks = dict.fromkeys(legs.values(), inputs.get("mark_value", value) / size)

    def held(rate: float) -> dict[str, float]:
        params = {**_limits(_two_tiers(inputs.get("mmr", 0.005), 0.0)), **_fee(rate)}
        positions = [
            _position(symbol, sign * size, value / size, leverage) for sign, symbol in legs.items()
        ]
        explained = _explain(CROSS, _hold(positions, marks), params, _as_of(case, BY_ENTRY))
        return _shown(explained, legs[side])

    if "taker_fee" in inputs:
        return held(inputs["taker_fee"])
    # Fees alone are left of the maintenance margin, and go with the rate.
    return held(inputs["positionMM"] / held(1.0)["positionMM"])


def bybit_classic_cross(case: Case) -> dict[str, float]:
    """``positionMM`` of a classic cross position, at its bankruptcy price."""
    inputs = case.inputs
    names = ("size", "bustPrice", "rate" if "rate" in inputs else "mmr")
    size, price, rate = (np.array([float(inputs[name])]) for name in names)
    is_inverse = np.array(["inverse" in f"{case.subject} {inputs.get('category', '')}".lower()])
    found = bybit_cross.maintenance_at_bankruptcy(np.abs(size), price, rate, is_inverse)
    return {"positionMM": float(found[0])}


def bybit_option(case: Case) -> dict[str, float]:
    """Margins of an option in cross margin, by a document."""
    inputs = case.inputs
    symbol = _option_symbol(case)
    row = parse_symbol(symbol)
    words = f"{case.subject} {inputs.get('side', '')}".lower()
    size = _pick(inputs, "size", "qty", default=1.0)
    is_short = size < 0 or "short" in words or "sell" in words
    as_of = _as_of(case, format_time(row.expiry_ns - NS_PER_DAY))
    index = _pick(inputs, "index_inferred", "index_price", "index", "S")
    paid = next((inputs[n] for n in inputs if re.match("avg|average|order|entry|price", n)), None)
    rate = _pick(inputs, "mm_factor", "k", "mm_rate", default=None)
    fee = next((inputs[n] for n in inputs if n.startswith("liq")), None)
    params = {
        "option_average_price": {} if paid is None else {symbol: paid},
        "option_maintenance_rate": {} if rate is None else {row.base: rate},
        "option_liquidation_fee_rate": {} if fee is None else {row.base: fee},
    }
    position = {"symbol": symbol, "quantity": -abs(size) if is_short else abs(size)}
    held = _hold([position], {symbol: _pick(inputs, "mark", "mark_price")}, {row.base: index})
    return _shown(_explain(CROSS, held, params, as_of), symbol)


def bybit_collateral(case: Case) -> dict[str, float]:
    """Value of a balance under tiers of its quantity by their ends, by a document."""
    inputs = case.inputs
    floor, rows = 0.0, []
    for cap, ratio in inputs["tiers"]:
        rows.append([floor, ratio])
        floor = cap
    rows += [[floor, 0.0]] if floor else []
    amount = _pick(inputs, "amount", "balance", "wallet_balance", "qty", "quantity")
    price = _pick(inputs, "price", "index_price", "usd_index", "index")
    params = {"collateral_tiers": {COIN: rows}, "borrow_tiers": {COIN: [[0, 0, 0]]}}
    held = _hold([], {}, {COIN: price})
    held["account"]["balances"] = {COIN: amount}
    found = _explain(CROSS, held, params, _as_of(case, BY_MARK)).collateral_value
    return {"collateral_value": found, "margin_balance": found, "discounted": found}


# -- portfolio margin ----------------------------------------------------------------------------


def bybit_perpetual_grid(case: Case) -> dict[str, list[float]]:
    """Profits of a contract at each price of the stress test, by a document."""
    profits = _grid(_scan_contract(case, case.inputs["mark_price"], {}), "outright")
    return {"pnl_usd": profits, "pnl": profits}


def bybit_spot_grid(case: Case) -> dict[str, list[float]]:
    """Profits of the spot hedge at each price of the stress test, by a document."""
    inputs = case.inputs
    coins = next(size for name, size in inputs.items() if "hedge" in name)
    base = parse_symbol(_contract_symbol(inputs.get("symbol", ""))).base
    hedge = {"spot_hedge_coins": {base: coins}}
    price = _pick(inputs, "index", "index_price", "usd_index")
    profits = _grid(_scan_contract(case, price, hedge), "spot_hedge")
    return {"pnl_usd": profits, "pnl": profits}


def _scan_contract(case: Case, price: float, more: Mapping[str, Any]) -> Explanation:
    """The case's contract, or one of the example's coin, under its moves of price alone."""
    inputs = case.inputs
    symbol = _contract_symbol(inputs.get("symbol", ""))
    row = parse_symbol(symbol)
    settle = _pick(inputs, "usdt_usd", "usdc_usd", "usdtusd", default=1.0)
    params = {
        "price_moves": {row.base: inputs["price_moves"]}, "vol_moves": {row.base: [0.0]},
        "initial_factor": {row.base: 1.2}, "futures_contingency_rate": {row.base: 0.0},
        "delta_contingency": {row.base: 0.0}, **more,
    }  # fmt: skip
    index = {row.settle: settle, row.base: price * (1.0 if row.settle == row.base else settle)}
    held = _hold([_position(symbol, inputs.get("size", 1.0), price)], {symbol: price}, index)
    return _explain(PORTFOLIO, held, params, _as_of(case, BY_MARK))


def bybit_option_grid(case: Case) -> dict[str, Any]:
    """Profits of an option at each price and volatility of the stress test, by a document."""
    inputs = case.inputs
    name = inputs.get("symbol", inputs.get("instrument", ""))
    symbol = _linear_option(name)
    row = parse_symbol(symbol)
    if _pick(inputs, "power", "exponent", "vega_power", default=0.3) != 0.3:
        raise ValueError("the power of the days to expiry is 0.3 in the model")
    settle = _pick(inputs, "usdt_usd", "usdc_usd", "usdtusd", default=1.0)
    forward = _pick(inputs, "forward", "F", "underlying", "underlying_price", "forward_price")
    up = _pick(inputs, "iv_up", "vol_up", "iv_shock_up", default=0.24)
    down = _pick(inputs, "iv_down", "vol_down", "iv_shock_down", default=0.2)
    params = {
        "vol_moves": {row.base: [up, 0.0, -abs(down)]},
        "option_contingency_rate": {row.base: 0.0},
        **({"price_moves": {row.base: inputs["price_moves"]}} if "price_moves" in inputs else {}),
    }
    quote = {
        "mark": _pick(inputs, "mark_price", "mark"),
        "implied_vol": _pick(inputs, "iv", "sigma", "implied_vol", "mark_iv", "vol"),
        "underlying": forward,
    }
    position = {"symbol": symbol, "quantity": inputs.get("size", 1.0)}
    index = {row.base: _pick(inputs, "index", "index_price", default=forward), row.settle: settle}
    as_of = _option_time(case, row.expiry_ns)
    explained = _explain(PORTFOLIO, _hold([position], {symbol: quote}, index), params, as_of)
    cells, worst = _grid(explained, "option_cells"), _grid(explained, "option")
    rows = [cells[k : k + 3] for k in range(0, len(cells), 3)]
    return {"pnl_usd": rows, "pnls": rows, "worst_pnl_usd": worst, "option_pnl_usd": worst}


def bybit_worst_cell(case: Case) -> dict[str, Any]:
    """Totals of cells by price and the maximum loss, by the charges of the rule file."""
    perp, option, spot = (
        np.atleast_1d(np.array(_starting(case.inputs, part), dtype=np.float64))
        for part in ("perp", "option", "spot")
    )
    worst, column = worst_columns(option.reshape(1, -1), option.size // perp.size)
    total = worst + perp + spot
    listed = [float(x) for x in total[0]]
    loss = float(worst_loss(total)[0])
    return {"total_usd": listed, "all_usd": listed, "all": listed, "max_loss": loss,
            "worst_column": [int(k) for k in column[0]]}  # fmt: skip


def bybit_portfolio_margins(case: Case) -> dict[str, float]:
    """Margins from a maximum loss, contingencies and the factor, by a document.

    A contract that loses the amount in the one scenario stands for the loss; the contingencies
    are amounts that the venue states.
    """
    inputs = case.inputs
    loss = _pick(inputs, "max_loss", "max_loss_usd", "maximum_loss", "asset_mm", "assetMM", "mm")
    added = sum(amount for name, amount in inputs.items() if "ontingenc" in name)
    factor = _pick(inputs, "im_factor", "IM_factor", "factor", default=1.2)
    params = {
        "price_moves": {COIN: [-0.5, 0.0]}, "vol_moves": {COIN: [0.0]},
        "futures_contingency_rate": {COIN: 0.0}, "initial_factor": {COIN: factor},
        "delta_contingency": {COIN: added},
    }  # fmt: skip
    held = _hold([_position(LINEAR, 1, loss / 0.5)], {LINEAR: loss / 0.5})
    explained = _explain(PORTFOLIO, held, params, _as_of(case, BY_MARK))
    initial, kept = explained.initial_margin, explained.maintenance_margin
    return {
        "mm": kept, "im": initial, "MM": kept, "IM": initial, "assetMM": kept, "assetIM": initial,
        "asset_mm": kept, "asset_im": initial, "maintenance_margin": kept,
        "initial_margin": initial,
    }  # fmt: skip


def bybit_futures_contingency(case: Case) -> dict[str, float]:
    """What perpetuals and futures add beside the maximum loss, by a document."""
    inputs = case.inputs
    symbol = _contract_symbol(inputs.get("symbol", "BTCUSDT"))
    row, index = parse_symbol(symbol), _pick(inputs, "index", "index_price", "usd_index")
    rate = _pick(inputs, "factor", "rate", "coef", default=None)
    params = {} if rate is None else {"futures_contingency_rate": {row.base: rate}}
    mark = inputs.get("mark_price", index)
    held = _hold([_position(symbol, inputs["size"], mark)], {symbol: mark}, {row.base: index})
    explained = _explain(PORTFOLIO, held, params, _as_of(case, BY_MARK))
    (found,) = explained.detail("risk_units").column("futures_contingency")
    return {"futureContingency": found, "future_contingency": found, "contingency": found}


# -- documents -----------------------------------------------------------------------------------


def _pick(inputs: Mapping[str, Any], *names: str, default: Any = ...) -> Any:
    """The first input of these names; the default, if there is one, where none is given."""
    found = next((inputs[name] for name in names if name in inputs), default)
    if found is ...:
        raise KeyError(f"none of {', '.join(names)}")
    return found


def _starting(inputs: Mapping[str, Any], start: str) -> Any:
    return next((value for name, value in inputs.items() if name.startswith(start)), 0.0)


def _side(inputs: Mapping[str, Any]) -> int:
    return SIDES[str(inputs.get("side", 1)).lower().removesuffix(".0")]


def _size(inputs: Mapping[str, Any]) -> float:
    size: float = _pick(inputs, "qty_usd", "qty", "size")
    return -abs(size) if size < 0 or _side(inputs) < 0 else abs(size)


def _as_of(case: Case, otherwise: str) -> str:
    """The month in a case's id, else the date that its rule stands for."""
    month = re.search(r"(?<!\d)(20\d\d)-(0[1-9]|1[0-2])(?!\d)", case.id)
    return f"{month[1]}-{month[2]}-01T00:00:00Z" if month else otherwise


def _limits(tiers: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {"risk_limits": {COIN: [list(tier) for tier in tiers]}}


def _two_tiers(rate: float, deduction: float) -> list[list[float]]:
    """Tiers that end in a rate and its deduction, for a value past the first."""
    first = [[deduction / rate, 0.0]] if deduction else []
    return [*first, [FREE, rate]]


def _fee(rate: float) -> dict[str, Any]:
    return {"taker_fee_rate": {COIN: rate}}


def _position(symbol: str, size: float, entry: float, leverage: float = 10) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": size, "entry_price": entry, "leverage": leverage}


def _contract_symbol(name: str) -> str:
    """The unified symbol of a perpetual; the example's coin where the case names none."""
    match = re.fullmatch(r"([A-Z0-9]+?)(USDT|USDC|USD|PERP)", name.upper())
    if match is None:
        return LINEAR
    base, quote = match[1], {"PERP": "USDC"}.get(match[2], match[2])
    return f"{base}/{quote}:{base if quote == 'USD' else quote}"


def _linear_option(name: str) -> str:
    """The unified symbol of an option's name; without a settle coin it settles in USDC."""
    match = re.fullmatch(r"([A-Z0-9]+)-(.+?-[CP])(?:-(USDT|USDC))?", name.upper())
    if match is None:
        raise ValueError(f"{name!r} is no option of Bybit")
    return deribit_symbol(f"{match[1]}_{match[3] or 'USDC'}-{match[2]}", "symbol")


def _option_symbol(case: Case) -> str:
    name = _pick(case.inputs, "instrument", "symbol", default="")
    if name:
        return _linear_option(name)
    words = f"{case.subject} {case.id} {case.inputs.get('type', '')}".lower()
    words += str(case.inputs.get("option_type", "")).lower()
    day = _as_of(case, "2022-07-01T00:00:00Z")
    right = "P" if "put" in words else "C"
    # Any expiry after the date does: margins do not depend on it.
    return f"BTC/USDC:USDC-{int(day[2:4]):02d}1231-{case.inputs['strike']:.10g}-{right}"


def _option_time(case: Case, expiry_ns: int) -> str:
    """When an option was valued, from a clock in milliseconds or the time left."""
    inputs = case.inputs
    clock = _pick(inputs, "time_ms", "timestamp_ms", "time", "timestamp", default=None)
    if clock is not None:
        return format_time(int(clock) * 10**6)
    days = _pick(inputs, "days", "days_to_expiry", "dte", default=None)
    years = _pick(inputs, "T", "years", "t", default=None)
    seconds = _pick(inputs, "seconds_to_expiry", "seconds", default=None)
    if seconds is None:
        seconds = (days if days is not None else years * 365) * 86_400
    return format_time(expiry_ns - round(seconds) * NS_PER_SECOND)


def _hold(
    positions: Sequence[Mapping[str, Any]],
    marks: Mapping[str, Any],
    index: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """Positions and a market; a mark is a price or all that is known of an instrument."""
    prices = {COIN: next((m for m in marks.values() if not isinstance(m, Mapping)), 1.0)}
    instruments = {
        symbol: mark if isinstance(mark, Mapping) else {"mark": mark}
        for symbol, mark in marks.items()
    }
    market = {"index": {**prices, "USDT": 1.0, "USDC": 1.0, **index}, "instruments": instruments}
    return {"account": {"positions": list(positions)}, "market": market}


def _load(model: str, held: Mapping[str, Any], params: Mapping[str, Any], as_of: str) -> Portfolio:
    account = {"id": "case", "model": model, "params": params, **held["account"]}
    document = {"as_of": as_of, "market": held["market"], "accounts": [account]}
    return build_portfolio(decode_document(msgspec.json.encode(document), "case.json"))


def _explain(
    model: str, held: Mapping[str, Any], params: Mapping[str, Any], as_of: str
) -> Explanation:
    """The last pool of the case's account: an isolated position, if there is one."""
    portfolio = _load(model, held, params, as_of)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return explain(book, market, models, "case")[-1]


def _figures(explained: Explanation, detail: str, label: str) -> dict[str, float]:
    table = explained.detail(detail)
    return dict(zip(table.columns, dict(table.rows)[label], strict=True))


def _shown(explained: Explanation, symbol: str) -> dict[str, float]:
    """A contract's margins in the settle asset, under the names that Bybit's pages use."""
    row = _figures(explained, "margins", symbol)
    value, fee = row["position_value"], row["closing_fee"]
    initial, kept = row["initial_margin"], row["maintenance_margin"]
    found = {
        "positionIM": initial, "positionMM": kept, "initial_margin": initial,
        "maintenance_margin": kept, "positionValue": value, "position_value": value,
        "closing_fee": fee, "fee": fee, "im": initial - fee, "mm": kept - fee,
    }  # fmt: skip
    if parse_symbol(symbol).settle == COIN:
        coins = {"im_btc": "im", "mm_btc": "mm", "position_value_btc": "position_value"}
        found |= {name: found[source] for name, source in coins.items()}
    return found


def _grid(explained: Explanation, name: str) -> list[float]:
    """The figures of the one risk unit in a detail, in order."""
    ((_, figures),) = explained.detail(name).rows
    return list(figures)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("bybit", "*risk-limit*", "caps mmr", bybit_deductions),
    Adapter(
        "bybit", "*tiered maintenance*", "tiers qty*? size? side? entry leverage?",
        bybit_tiered_position,
    ),
    Adapter(
        "bybit", "*isolated*",
        "side? qty*? size? entry leverage mmr mm_deduction? extra_margin? taker_fee? tick? mark?"
        " mark_price?",
        bybit_isolated_position,
    ),
    Adapter(
        "bybit", "*position im/mm*",
        "entry_value leverage mmr taker_fee? side? mark_value? mm_deduction?",
        bybit_position_margins,
    ),
    Adapter(
        "bybit", "*hedge mode*",
        "entry_value leverage side? size? positionMM? taker_fee? mmr? mark_value?",
        bybit_hedged_leg,
    ),
    Adapter("bybit", "*classic*", "size bustPrice rate? mmr? category? side?", bybit_classic_cross),
    Adapter(
        "bybit", "*option*",
        "instrument? symbol? size? qty? side? strike? type? option_type? index* mark* avg*?"
        " average*? order*? entry*? price? mm_factor? k? mm_rate? liq*?",
        bybit_option,
    ),
    Adapter(
        "bybit", "*collateral*",
        "amount? balance? wallet_balance? qty? quantity? price? index_price? usd_index? index?"
        " tiers coin? asset?",
        bybit_collateral,
    ),
    Adapter(
        "bybit", "*portfolio margin*perp*",
        "symbol? size mark_price usdt_usd? usdc_usd? usdtusd? price_moves",
        bybit_perpetual_grid,
    ),
    Adapter(
        "bybit", "*portfolio margin*option*",
        "symbol? instrument? size? mark_price? mark? forward? F? underlying? underlying_price?"
        " forward_price? iv? sigma? implied_vol? mark_iv? vol? usdt_usd? usdc_usd? usdtusd?"
        " price_moves? iv_up? vol_up? iv_shock_up? iv_down? vol_down? iv_shock_down? power?"
        " exponent? vega_power? index? index_price? time_ms? timestamp_ms? time? timestamp? days?"
        " days_to_expiry? dte? T? years? t? seconds_to_expiry? seconds? strike? is_call?",
        bybit_option_grid,
    ),
    Adapter(
        "bybit", "*portfolio margin*",
        "*hedge* index? index_price? usd_index? symbol? price_moves", bybit_spot_grid,
    ),
    Adapter("bybit", "*portfolio margin*", "perp* option* spot*?", bybit_worst_cell),
    Adapter(
        "bybit", "*portfolio margin*",
        "max_loss? max_loss_usd? maximum_loss? asset_mm? assetMM? mm? *ontingenc*? im_factor?"
        " IM_factor? factor?",
        bybit_portfolio_margins,
    ),
    Adapter(
        "bybit", "*portfolio margin*contingency*",
        "symbol? size index? index_price? usd_index? factor? rate? coef? mark_price?",
        bybit_futures_contingency,
    ),
)  # fmt: skip
