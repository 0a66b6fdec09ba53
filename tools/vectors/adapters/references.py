"""Cases of CME SPAN, Reg T and OCC: the clearing houses and the US rule books.

An example names its strategy in its id ("short-put") and its legs in its inputs, the strike with
them or not at all: a strike that is not stated is one at which the option is at the money, which
no figure of such an example depends on. Amounts are per unit of the underlying, and a contract
stands for 100 units unless the example says otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.margin import Explanation, explain, load_models
from plimsoll.margin.charges import worst_loss
from plimsoll.pricing import implied_vol
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

ASSET = "XYZ"
"""Stands for the example's underlying, so that no table of a real one is mixed in."""

EXPIRY, AS_OF, YEARS = "270101", "2026-01-01T08:00:00Z", 1.0
"""A value depends on volatility and time by one product, and no example states the time."""

SCENARIOS = 16
STOCK_NAMES = ("shares", "spdrs", "units", "stock")
PRICE_NAMES = ("px", "price", "underlying", "index", "spot", "stock_price", "index_price")
OPTION_WORDS = frozenset(("put", "call", "premium", "long", "short"))
SPDR_PER_INDEX = 10
"""An SPDR share is a tenth of the index that its options are quoted on."""


def scanned_arrays(case: Case) -> dict[str, Any]:
    """Scanning risk of risk arrays that are given, added up where there are several."""
    total = np.zeros(SCENARIOS)
    sizes = case.inputs.get("quantities", {})
    for name, array in case.inputs.items():
        if name != "quantities":
            # The clearing house writes a loss as a positive figure, textbooks as a negative one.
            sign = -1.0 if "loss" in name else 1.0
            total += sign * float(sizes.get(name, 1)) * np.array(array, dtype=np.float64)
    risk = float(worst_loss(total[np.newaxis])[0])
    return {
        "scanning_risk": risk,
        "requirement": risk,
        "worst_scenario": int(np.argmin(total)) + 1,
        "array_pl": total.tolist(),
        "array_loss": (-total).tolist(),
    }


def future_array(case: Case) -> dict[str, Any]:
    """Risk array and margins of a future from its price scan range, through a document."""
    given = case.inputs
    scan_range = float(_first(given, ("psr", "price_scan_range", "scan_range", "maintenance")))
    quantity = float(_first(given, ("quantity", "contracts", "position"), 1))
    params: dict[str, Any] = {"price_scan_range": {ASSET: 0.1}}
    multiple = _first(given, ("extreme_multiple", "extreme_move"), None)
    cover = _first(given, ("extreme_fraction", "extreme_cover"), None)
    params |= {} if multiple is None else {"extreme_move": multiple}
    params |= {} if cover is None else {"extreme_cover": cover}
    if "ratio" in given:
        params["initial_ratio"] = given["ratio"]
    symbol, mark = f"{ASSET}/USD:USD-{EXPIRY}", 10 * scan_range
    position = {"symbol": symbol, "quantity": quantity, "entry_price": mark}
    found = _explain("cme.span", {"positions": [position]}, {symbol: {"mark": mark}}, mark, params)
    scan = found.detail("scan")
    array = [scan.column(f"scenario_{k + 1}")[0] for k in range(SCENARIOS)]
    return {
        "array_pl": array,
        "array_loss": [-value for value in array],
        "scanning_risk": scan.column("scanning_risk")[0],
        "requirement": found.maintenance_margin,
        "initial_margin": found.initial_margin,
        "maintenance_margin": found.maintenance_margin,
    }


def strategy_deposit(case: Case) -> dict[str, float]:
    """What a strategy asks of an account that has nothing, through a document.

    The premiums are paid and got, the stock is bought or sold, and the deposit makes up what the
    initial margin then lacks.
    """
    if _words(case) & {"cpm", "portfolio"}:
        return portfolio_requirement(case)
    given = case.inputs
    trade = _trade(case)
    kind = "broad_index" if trade.is_index else "equity"
    params: dict[str, Any] = {"product_class": {ASSET: kind}}
    if trade.is_index:
        # Shares of an index are stock like any other.
        params["stock_initial"] = {kind: 0.5}
        params["stock_maintenance"] = params["short_stock_maintenance"] = {kind: 0.25}
    if "rate" in given:
        params["option_rate"] = {kind: given["rate"]}
    if "floor" in given:
        params["option_rate_min"] = given["floor"]
    found = _explain("cboe.regt", *trade.written(), trade.price, params)
    deposit = found.initial_margin - found.collateral_value
    return {"margin": deposit, "requirement": deposit, "deposit": deposit}


def portfolio_requirement(case: Case) -> dict[str, float]:
    """Portfolio margin of a strategy, through a document; volatilities are its premiums'."""
    given = case.inputs
    trade = _trade(case)
    kind = "high_cap_index" if trade.is_index else "equity"
    params: dict[str, Any] = {"product_class": {ASSET: kind}}
    for side, names in (("down", ("move_down", "down", "range")), ("up", ("up", "range"))):
        move = _first(given, (f"move_{side}", *names), None)
        params |= {} if move is None else {f"move_{side}": {kind: abs(move)}}
    least = _first(given, ("floor_per_contract", "per_contract"), None)
    if least is not None:
        params["minimum_per_unit"] = least / trade.multiplier
    least = _first(given, ("floor", "floor_per_unit", "minimum_per_unit"), None)
    if least is not None:
        params["minimum_per_unit"] = least
    found = _explain("occ.tims", *trade.written(), trade.price, params)
    margin, floor = found.maintenance_margin, found.detail("scan").column("minimum")[0]
    return {
        "margin": margin,
        "requirement": margin,
        "minimum": floor,
        "floor": floor,
        "minimum_margin": floor,
    }


@dataclass(frozen=True, slots=True)
class _Leg:
    """One option; ``side`` is 1 long and -1 short, ``premium`` USD per unit."""

    side: int
    is_call: bool
    strike: float
    premium: float


@dataclass(frozen=True, slots=True)
class _Trade:
    """A strategy: stock in units and option legs of ``contracts`` each."""

    price: float
    stock: float
    contracts: float
    multiplier: float
    legs: tuple[_Leg, ...]
    is_index: bool

    def written(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """An account that began with nothing, and its instruments, as documents have them."""
        cash, instruments, positions = -self.stock * self.price, {}, []
        for leg in self.legs:
            right = "C" if leg.is_call else "P"
            symbol = f"{ASSET}/USD:USD-{EXPIRY}-{Decimal(repr(leg.strike)):f}-{right}"
            instruments[symbol] = {
                "mark": leg.premium,
                "implied_vol": _vol(leg, self.price),
                "underlying": self.price,
                "contract_multiplier": self.multiplier,
            }
            positions.append({"symbol": symbol, "quantity": leg.side * self.contracts})
            cash -= leg.side * self.contracts * self.multiplier * leg.premium
        balances = {"USD": round(cash, 8), ASSET: self.stock}
        return {"balances": balances, "positions": positions}, instruments


def _vol(leg: _Leg, price: float) -> float:
    """The volatility of a premium; next to none where the premium is the payoff or less."""
    premium, forward, strike, time = (
        np.array([x], dtype=np.float64) for x in (leg.premium, price, leg.strike, YEARS)
    )
    is_call = np.array([leg.is_call])
    found = float(implied_vol(premium, forward, strike, time, is_call, np.ones(1)).vol[0])
    return found if found > 0 else 1e-6


def _trade(case: Case) -> _Trade:
    given, words = case.inputs, _words(case)
    scale = 1.0 / SPDR_PER_INDEX if "spdrs" in given else 1.0
    multiplier = float(given.get("multiplier", 100)) / scale
    price = float(_first(given, PRICE_NAMES, 100))
    stock = float(_first(given, STOCK_NAMES, 0))
    default = abs(stock) / multiplier if stock else 100.0
    contracts = float(given.get("contracts", default))
    if words & {"reverse", "reversal"} and "risk" not in words:
        stock = -abs(stock)
    legs = tuple(
        _Leg(leg.side, leg.is_call, leg.strike * scale, leg.premium * scale)
        for leg in _legs(given, words, price / scale)
    )
    is_index = "index" in given or "spdrs" in given or "spx" in words
    return _Trade(price, stock, contracts, multiplier, legs, is_index)


def _legs(given: Mapping[str, Any], words: frozenset[str], price: float) -> Iterator[_Leg]:
    """Option legs by the names of the inputs, and by the name of the strategy for the rest."""
    named = [name for name in given if _is_premium(name)]
    if not named:
        # No premium is stated, so what is asked does not depend on it: next to none will do.
        is_call = "put" not in words
        side = _side(words, is_call) or _side_asked(given)
        strike = float(_first(given, ("strike", "K"), 2 * price))
        yield _Leg(side, is_call, strike, price * 1e-9)
    for name in named:
        parts = re.findall(r"[a-z]+|\d+(?:\.\d+)?", name.lower())
        rights = set(parts) & {"put", "call"} or words & {"put", "call"} or {"call"}
        is_call = "call" in rights
        side = _side(frozenset(parts), is_call) or _side(words, is_call) or _side_asked(given)
        strikes = [float(part) for part in parts if part[0].isdigit()]
        said = ("long" if side > 0 else "short", "call" if is_call else "put")
        places = (f"{name}_strike", f"{'_'.join(said)}_strike", *(f"{s}_strike" for s in said))
        strike = strikes[0] if strikes else float(_first(given, (*places, "strike", "K"), price))
        yield _Leg(side, is_call, strike, float(given[name]))


def _is_premium(name: str) -> bool:
    parts = set(re.findall(r"[a-z]+", name.lower()))
    return bool(parts & OPTION_WORDS) and "strike" not in parts


def _side(words: frozenset[str], is_call: bool) -> int:
    """Which way an option of a strategy is held; 0 where the words do not say."""
    if words & {"protective", "married"}:
        return 1
    if "covered" in words:
        return -1
    if words & {"collar", "conversion", "risk"} and "reverse" not in words:
        return -1 if is_call else 1
    if words & {"reversal", "reverse"}:
        return 1 if is_call else -1
    if "synthetic" in words:
        return (1 if is_call else -1) * (-1 if "short" in words else 1)
    return 1 if "long" in words else -1 if "short" in words else 0


def _side_asked(given: Mapping[str, Any]) -> int:
    """What is bought needs no more than its price; what is sold a rate or a strike, too."""
    return -1 if {"rate", "strike"} & given.keys() else 1


def _words(case: Case) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", f"{case.id} {case.subject}".lower())) - {"based"}


def _first(given: Mapping[str, Any], names: tuple[str, ...], default: Any = ...) -> Any:
    """The input of the first name that there is."""
    for name in names:
        if name in given:
            return given[name]
    if default is ...:
        raise KeyError(names[0])
    return default


def _explain(
    model: str,
    account: Mapping[str, Any],
    instruments: Mapping[str, Any],
    price: float,
    params: Mapping[str, Any],
) -> Explanation:
    document = {
        "as_of": AS_OF,
        "market": {"index": {ASSET: price}, "instruments": instruments},
        "accounts": [{"id": "case", "model": model, "params": params, **account}],
    }
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "case.json"))
    book, market = portfolio.book, portfolio.market
    return explain(
        book, market, load_models(book.instruments, book.models, market.as_of_ns), "case"
    )[0]


STRATEGY = (
    "shares? spdrs? units? stock? px? price? underlying? index? spot? stock_price? index_price? "
    "strike? K? *_strike? *premium? *put*? *call*? long*? short*? contracts? multiplier?"
)
PORTFOLIO = f"{STRATEGY} range? up? down? move_*? floor*? per_contract? minimum_per_unit?"

ADAPTERS: tuple[Adapter, ...] = (
    Adapter("*span*", "*", "*array* quantities?", scanned_arrays),
    Adapter(
        "*span*", "*",
        "psr? price_scan_range? scan_range? maintenance? quantity? contracts? position? "
        "extreme_*? ratio?",
        future_array,
    ),
    Adapter("*reg t*", "s*", f"{STRATEGY} rate? floor?", strategy_deposit),
    Adapter("*reg t*", "[!s]*", PORTFOLIO, portfolio_requirement),
    Adapter("*occ*", "*", PORTFOLIO, portfolio_requirement),
)  # fmt: skip
