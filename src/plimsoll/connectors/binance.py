"""Binance: leverage brackets, as its API and as ccxt return them, for ``binance.usdm``.

Both loaders give the override of a document's account, rows of floor, maintenance rate and
highest leverage by unified symbol::

    params:
      brackets: {"BTC/USDT:USDT": [[0, 0.004, 150], [300000, 0.005, 100], ...]}

Brackets that do not join up, or whose maintenance amount (``cum``) is not what the floors and
rates give, are refused: the model would work with other amounts than the venue.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from plimsoll.connectors.fill import join_place
from plimsoll.core import InputError

BracketOverride: TypeAlias = dict[str, list[list[float]]]
"""Rows of floor, maintenance rate and highest leverage, by unified symbol."""

AMOUNT_TOLERANCE = 0.01
"""The venue states maintenance amounts to the cent."""

_NAME = re.compile(
    r"(?P<base>.+?)(?P<quote>USDT|USDC|USD1|FDUSD|BUSD|BTC|U)(?:_(?P<expiry>\d{6}))?"
)


class _Bracket(NamedTuple):
    floor: float
    cap: float
    rate: float
    leverage: float
    amount: float | None


def usdm_symbol(name: str, place: str) -> str:
    """The unified symbol of a USD-M contract: ``BTCUSDT``, ``1000PEPEUSDC``, ``BTCUSDT_261225``.

    Raises InputError, naming ``place``, on a name that ends in no asset USD-M settles in.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        remedy = "write it as BTCUSDT or BTCUSDT_261225"
        raise InputError(place, f"'{name[:60]}' is no USD-M contract", remedy)
    symbol = f"{match['base']}/{match['quote']}:{match['quote']}"
    return f"{symbol}-{match['expiry']}" if match["expiry"] else symbol


def brackets_from_fapi(payload: Sequence[Mapping[str, Any]]) -> BracketOverride:
    """The override from ``GET /fapi/v1/leverageBracket``: a list of symbol and brackets.

    ``notionalCoef``, by which the venue has widened the brackets of this account, is not
    applied: as listed they are never too wide. Raises InputError with the place of what is
    missing, is no number or does not join up.
    """
    override: BracketOverride = {}
    for i, entry in enumerate(_listed(payload, "payload")):
        place = f"payload[{i}]"
        symbol = usdm_symbol(str(_field(entry, "symbol", place)), f"{place}.symbol")
        inner = f"{place}.brackets"
        brackets = [
            _native(bracket, f"{inner}[{k}]")
            for k, bracket in enumerate(_listed(_field(entry, "brackets", place), inner))
        ]
        override[symbol] = _rows(brackets, inner)
    return override


def brackets_from_ccxt(payload: Mapping[str, Sequence[Mapping[str, Any]]]) -> BracketOverride:
    """The override from ccxt's ``fetch_leverage_tiers()``: tiers by unified symbol.

    The maintenance amount is checked where ``info`` carries the venue's ``cum``. Raises
    InputError with the place of what is missing, is no number or does not join up.
    """
    if not isinstance(payload, Mapping):
        raise InputError("payload", "is no mapping", "give what fetch_leverage_tiers() returns")
    override: BracketOverride = {}
    for symbol, tiers in payload.items():
        place = join_place("payload", symbol)
        brackets = [_unified(tier, f"{place}[{k}]") for k, tier in enumerate(_listed(tiers, place))]
        override[symbol] = _rows(brackets, place)
    return override


def _native(bracket: Mapping[str, Any], place: str) -> _Bracket:
    return _Bracket(
        floor=_number(bracket, "notionalFloor", place),
        cap=_number(bracket, "notionalCap", place),
        rate=_number(bracket, "maintMarginRatio", place),
        leverage=_number(bracket, "initialLeverage", place),
        amount=_number(bracket, "cum", place),
    )


def _unified(tier: Mapping[str, Any], place: str) -> _Bracket:
    info = tier.get("info")
    states_amount = isinstance(info, Mapping) and "cum" in info
    return _Bracket(
        floor=_number(tier, "minNotional", place),
        cap=_number(tier, "maxNotional", place),
        rate=_number(tier, "maintenanceMarginRate", place),
        leverage=_number(tier, "maxLeverage", place),
        amount=_number(tier["info"], "cum", f"{place}.info") if states_amount else None,
    )


def _listed(value: Any, place: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(place, "is no list of anything", "give it as the venue returns it")
    for k, item in enumerate(value):
        if not isinstance(item, Mapping):
            raise InputError(f"{place}[{k}]", "is no mapping", "give it as the venue returns it")
    return value


def _field(entry: Mapping[str, Any], name: str, place: str) -> Any:
    if entry.get(name) is None:
        raise InputError(f"{place}.{name}", "is missing", "give it as the venue returns it")
    return entry[name]


def _number(entry: Mapping[str, Any], name: str, place: str) -> float:
    """A finite number >= 0; ccxt passes on the venue's texts as they are."""
    value = _field(entry, name, place)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(f"{place}.{name}", f"{value!r} is no number from 0", "mend it")
    return number


def _rows(brackets: Sequence[_Bracket], place: str) -> list[list[float]]:
    cap, rate, amount = 0.0, 0.0, 0.0
    for k, row in enumerate(brackets):
        where = f"{place}[{k}]"
        if row.floor != cap or row.cap <= row.floor:
            problem = f"the bracket from {row.floor:g} to {row.cap:g} does not follow {cap:g}"
            raise InputError(where, problem, "give all brackets, from 0 on")
        if not rate < row.rate <= 1 or not 1 <= row.leverage <= 1 / row.rate:
            problem = f"rate {row.rate:g} and leverage {row.leverage:g} make no bracket"
            raise InputError(where, problem, "rates rise and leave room below 1 / leverage")
        amount += row.floor * (row.rate - rate) if k else 0.0
        if row.amount is not None and not abs(row.amount - amount) <= AMOUNT_TOLERANCE:
            problem = f"cum is {row.amount:.8g}, but floors and rates give {amount:.8g}"
            raise InputError(where, problem, "give all brackets as the venue states them")
        cap, rate = row.cap, row.rate
    return [[row.floor, row.rate, row.leverage] for row in brackets]
