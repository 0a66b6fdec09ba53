"""Cases of Deribit's portfolio margin: the simulated risk matrix, and the model before it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from plimsoll.book import clone_account
from plimsoll.core import parse_time, table_at
from plimsoll.instruments import Payoff, parse_symbol
from plimsoll.margin import load_models
from plimsoll.margin.charges import SpotValues, net_short_charge, offset_charge
from plimsoll.margin.exposure import measure_exposure
from plimsoll.margin.layout import lay_out_book
from plimsoll.margin.registry import find_model, model_tables
from plimsoll.margin.venues.deribit_segregated_pm import scan_matrix
from plimsoll.pricing import TenorLaw, tenor_multiplier
from tools.vectors.adapters.deribit_documents import (
    SEGREGATED,
    as_of_case,
    explain_account,
    load,
    market_of,
    order_of,
    position_of,
    unified_symbol,
    view_in,
)
from tools.vectors.cases import Case

SHOCKS = ("worst_case", "roll_shock", "delta_shock", "correlation_contingency")
FREE = 1e15
"""More USD than any example has: a cap that binds nothing."""


def simulated_matrix(case: Case) -> dict[str, Any]:
    """The risk matrix of a book of futures, and its margins, through a document."""
    price, marks, sizes = (_first(case, start) for start in ("index", "mark", "positions"))
    symbols = {name: unified_symbol(name) for name in sizes}
    row = parse_symbol(next(iter(symbols.values())))
    as_of = as_of_case(case, f"{row.base}/{row.quote}")
    market = market_of({row.base: price}, {symbols[name]: {"mark": marks[name]} for name in sizes})
    positions = {name: position_of(symbols[name], sizes[name], marks[name]) for name in sizes}
    account = {
        "balances": {row.settle: 1},
        "positions": list(positions.values()),
        "params": _matrix_params(case, row.base, row.settle, as_of),
    }
    other = case.inputs.get("open_orders_margin", 0) + case.inputs.get("spot_margin", 0)
    explained = explain_account(SEGREGATED, _with_order(account, other), market, as_of)
    unit = price if row.settle == row.base else 1.0
    lines = {line.name: line.initial / unit for line in explained.charges}
    shocks = {name: lines.get(name, 0.0) for name in SHOCKS}
    cells = _scan(account, market, as_of)
    same = [cell.profit for cell in cells if cell.is_near and cell.vol_side == 0]
    half = len(same) // 2
    found: dict[str, Any] = {
        **shocks,
        "risk_matrix_margin": sum(shocks.values()),
        **view_in(explained, row.settle),
        "agg_standard": [cell.profit for cell in cells if cell.is_near],
        "agg_standard_left4": same[:half],
        "agg_standard_right4": same[half + 1 :],
        "agg_extended": [cell.profit for cell in cells if not cell.is_near],
    }
    for name, position in positions.items():
        kind = "perp" if name.endswith("PERPETUAL") else name
        found |= _leg_profits({**account, "positions": [position]}, market, as_of, kind)
    return found


def scaled_vol_shock(case: Case) -> dict[str, float]:
    """A volatility shock scaled by one power of the days to expiry."""
    power = case.inputs["power"]
    law = TenorLaw(power, power, split_is_short=False, whole_days=False)
    days = np.array([case.inputs["days"]], dtype=np.float64)
    return {"max_iv_change": case.inputs["base_iv_change"] * float(tenor_multiplier(law, days)[0])}


def older_contingencies(case: Case) -> dict[str, float]:
    """Contingencies of the model before 2024: options sold net by strike, futures offset."""
    inputs = case.inputs
    net = np.array([inputs.get("call_pos", 0) + inputs.get("put_pos", 0)], dtype=np.float64)
    futures = [inputs.get("fut_a", 0), inputs.get("fut_b", 0)]
    long, short = (np.array([sum(max(sign * x, 0.0) for x in futures)]) for sign in (1, -1))
    options = net_short_charge(net, inputs.get("per_option", 0))
    return {
        "short_option_contingency_btc": float(options[0]),
        "futures_contingency_btc": float(offset_charge(long, short, inputs.get("fut_rate", 0))[0]),
    }


def _first(case: Case, start: str) -> Any:
    """The first input of a name that starts so."""
    return next(value for name, value in case.inputs.items() if name.startswith(start))


class _Cell(NamedTuple):
    """One scenario: its move, 1, 0 or -1 for volatility up, same or down, and the profit."""

    move: float
    vol_side: float
    is_near: bool
    profit: float


def _scan(account: Mapping[str, Any], market: Mapping[str, Any], as_of: str) -> list[_Cell]:
    """What each scenario of a one-coin book counts for, in its settlement currency."""
    portfolio = load(SEGREGATED, account, market, as_of)
    book, board = clone_account(portfolio.book, "case"), portfolio.market
    matrix = load_models(book.instruments, book.models, board.as_of_ns).models[0].params.matrix
    exposure = measure_exposure(book, board, lay_out_book(book))
    nothing = np.zeros(0, dtype=np.int64)
    spot = SpotValues(nothing, nothing, np.zeros(0))
    scanned = scan_matrix(exposure, board, matrix, spot, coin_books=True)
    # The last vector is the account's; those before are of the pools that it traded with.
    row, grid = int(scanned.vectors.underlying[-1]), matrix.grid
    profits = scanned.cells[-1] / board.index[scanned.vectors.settle[-1]]
    near = grid.price_move[row] == grid.edge[row]
    return [
        _Cell(float(move), float(side), bool(is_near), float(profit))
        for move, side, is_near, profit in zip(
            grid.price_move[row], grid.vol_side, near, profits, strict=True
        )
    ]


def _leg_profits(
    account: Mapping[str, Any], market: Mapping[str, Any], as_of: str, kind: str
) -> dict[str, float]:
    """Profits of a position before offsets and dampener, named by the size of the move."""
    settle = parse_symbol(account["positions"][0]["symbol"]).settle
    freely = {"pnl_offset": 1, "max_offsetable_pnl": FREE, "extended_dampener": 0}
    whole = {name: {settle: value} for name, value in freely.items()}
    cells = _scan({**account, "params": {**account["params"], **whole}}, market, as_of)
    return {
        f"{kind}_pnl_{'minus' if cell.move < 0 else 'plus'}{abs(100 * cell.move):.4g}": cell.profit
        for cell in cells
        if cell.move and (cell.vol_side == 0 or not cell.is_near)
    }


def _matrix_params(case: Case, coin: str, settle: str, as_of: str) -> dict[str, Any]:
    """What the case states of the table's parameters, as overrides."""
    inputs = case.inputs
    tables = model_tables(find_model(SEGREGATED, "case"))
    known = table_at(tables, parse_time(as_of, "case")).params
    currency = inputs.get(f"currency_{coin.lower() if settle == coin else 'usd'}", {})
    stated = {
        **{name: {coin: value} for name, value in inputs.get("currency_pair", {}).items()},
        **{name: {settle: value} for name, value in currency.items()},
        **inputs.get("general", {}),
        "mmp_margin": {settle: inputs.get("mmp_margin", 0)},
    }
    return {name: value for name, value in stated.items() if name in known}


def _with_order(account: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """The account with an order that needs a margin: in its first contract, paid in full."""
    if not margin:
        return dict(account)
    first = account["positions"][0]
    symbol, price = first["symbol"], first["entry_price"]
    inverse = parse_symbol(symbol).payoff == Payoff.INVERSE
    order = order_of(symbol, margin * price if inverse else margin / price, price, "buy")
    rates = {"initial_base": {symbol: 1}, "slope_per_coin": {symbol: 0}}
    return {**account, "orders": [order], "params": {**account["params"], **rates}}
