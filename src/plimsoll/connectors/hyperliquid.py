"""Hyperliquid's account summary, as ``POST /info {"type": "clearinghouseState"}`` returns it.

One response becomes one account of ``hyperliquid.cross``: positions with their leverage and
margin mode, marks from positionValue / |szi|, and the USDC that its summary implies. Fields that
plimsoll computes itself (liquidationPx, marginUsed, withdrawable) are not read.
Source: https://hyperliquid.gitbook.io/hyperliquid-docs, "Info endpoint: Perpetuals".
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext

from plimsoll.connectors.document import (
    AccountDocument,
    InstrumentDocument,
    MarketDocument,
    Number,
    PortfolioDocument,
    PositionDocument,
)
from plimsoll.connectors.fill import expect_mapping, join_place
from plimsoll.connectors.plain import parse_number, show
from plimsoll.core import InputError, format_time

MODEL = "hyperliquid.cross"
CASH = "USDC"
FIRST_FORM_AS_OF = "2023-03-28T00:00:00Z"
"""Responses are stamped with ``time`` since early 2024 at the latest. One without is of the first

form, and is read under the rules of that time: those recorded with the official SDK hold the
prices of this day."""

MARK_DECIMALS = 10
"""Finer than any price of the venue (6 decimals), so that the quotient ends where the price did."""

NS_PER_MS = 1_000_000

_COIN = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)


def hyperliquid_account(
    payload: Mapping[str, object], as_of: str | None = None, account_id: str | None = None
) -> PortfolioDocument:
    """The document of one response: bare, or beside its request under ``response``.

    ``as_of`` (UTC) stands in for the response's own time, ``account_id`` for the request's user.
    A ``meta`` response at the top level gives the maximum leverages that positions do not state.
    Raises InputError, naming the place, where the payload does not say enough. An account in
    unified or portfolio margin mode looks the same, but its funds are not in this response.
    """
    place = "response" if "response" in payload else ""
    state = expect_mapping(payload["response"], place) if place else payload
    rows = state.get("assetPositions")
    if not isinstance(rows, list):
        raise InputError(join_place(place, "assetPositions"), "is no list", "give the response")
    found = [
        _position(row, f"{join_place(place, 'assetPositions')}[{k}].position")
        for k, row in enumerate(rows)
    ]
    held = [(position, mark) for position, mark in found if position.quantity]
    highest = {**_meta_leverages(payload), **_stated_leverages(rows)}
    request = payload.get("request")
    user = request.get("user") if isinstance(request, Mapping) else None
    account = AccountDocument(
        id=account_id or (user if isinstance(user, str) else "hyperliquid"),
        model=MODEL,
        balances={CASH: _cash(state, held, place)},
        positions=tuple(position for position, _ in held),
        params={"max_leverage": highest} if highest else {},
    )
    marks = {position.symbol: InstrumentDocument(mark=mark) for position, mark in held}
    return PortfolioDocument(
        as_of=as_of or _time(state, place),
        # The venue counts in USDC throughout.
        market=MarketDocument(index={CASH: Number(1)}, instruments=marks),
        accounts=(account,),
    )


def is_hyperliquid_account(plain: object) -> bool:
    """Whether plain data is such a response, bare or beside its request."""
    if not isinstance(plain, Mapping):
        return False
    state = plain.get("response", plain)
    return isinstance(state, Mapping) and {"assetPositions", "marginSummary"} <= state.keys()


def _position(row: object, place: str) -> tuple[PositionDocument, Number]:
    """A position and its mark; of quantity zero, its mark has no meaning."""
    given = _section(row, "position", place.removesuffix(".position"))
    symbol = _symbol(given.get("coin"), join_place(place, "coin"))
    quantity = _number(given, "szi", place)
    if not quantity:
        return PositionDocument(symbol, Number(0)), Number(0)
    leverage = _section(given, "leverage", place)
    entry = _number(given, "entryPx", place)
    value = _number(given, "positionValue", place)
    if value <= 0 or entry <= 0:
        name, problem = ("positionValue", value) if value <= 0 else ("entryPx", entry)
        raise InputError(join_place(place, name), f"{problem} is not above 0", "mend the response")
    with localcontext(prec=60):
        mark = (value / abs(quantity)).quantize(Decimal(1).scaleb(-MARK_DECIMALS))
    is_isolated = leverage.get("type") == "isolated"
    margin = _isolated_margin(leverage, quantity, entry, place) if is_isolated else None
    position = PositionDocument(
        symbol=symbol,
        quantity=quantity,
        entry_price=entry,
        margin_mode="isolated" if is_isolated else "cross",
        isolated_margin=margin,
        leverage=_number(leverage, "value", f"{place}.leverage"),
    )
    return position, Number(mark.normalize())


def _isolated_margin(
    leverage: Mapping[str, object], quantity: Number, entry: Number, place: str
) -> Number:
    """Margin before profit: what is left of the cash leg once the position is paid for."""
    raw = _number(leverage, "rawUsd", f"{place}.leverage")
    with localcontext(prec=60):
        margin = Number(raw + quantity * entry)
    if margin < 0:
        problem = f"leaves a margin of {margin} before profit, below 0"
        raise InputError(f"{place}.leverage.rawUsd", problem, "mend the response")
    return margin


def _cash(
    state: Mapping[str, object], held: list[tuple[PositionDocument, Number]], place: str
) -> Number:
    """USDC of the cross pool before unrealised profit, so that its equity is the venue's."""
    summary = _section(state, "crossMarginSummary", place)
    value = _number(summary, "accountValue", join_place(place, "crossMarginSummary"))
    with localcontext(prec=60):
        profit = sum(
            (
                position.quantity * (mark - (position.entry_price or 0))
                for position, mark in held
                if position.margin_mode == "cross"
            ),
            Decimal(0),
        )
        return Number(value - profit)


def _meta_leverages(payload: Mapping[str, object]) -> dict[str, Number]:
    """Maximum leverage per coin of a ``meta`` response beside the account's, if there is one."""
    if "meta" not in payload:
        return {}
    universe = expect_mapping(payload["meta"], "meta").get("universe")
    rows = universe if isinstance(universe, list) else []
    found = {}
    for k, row in enumerate(rows):
        place = f"meta.universe[{k}]"
        given = expect_mapping(row, place)
        name = given.get("name")
        # Builders' perpetuals carry the name of their exchange; the main one's do not.
        if isinstance(name, str) and _COIN.fullmatch(name):
            found[name] = _number(given, "maxLeverage", place)
    return found


def _stated_leverages(rows: list[object]) -> dict[str, Number]:
    """Maximum leverage per coin where a position states it, as later responses do."""
    stated = {}
    for row in rows:
        given = row.get("position") if isinstance(row, Mapping) else None
        if isinstance(given, Mapping) and given.get("maxLeverage") is not None:
            stated[str(given["coin"])] = _number(given, "maxLeverage", "position")
    return stated


def _symbol(coin: object, place: str) -> str:
    if not isinstance(coin, str) or not _COIN.fullmatch(coin):
        problem = f"{show(str(coin))} is no coin of the main perpetual exchange"
        raise InputError(place, problem, "leave builders' perpetuals and spot out")
    return f"{coin}/{CASH}:{CASH}"


def _time(state: Mapping[str, object], place: str) -> str:
    if state.get("time") is None:
        return FIRST_FORM_AS_OF
    time_ms = _number(state, "time", place)
    if not 0 <= time_ms < 10**15:
        raise InputError(join_place(place, "time"), f"{time_ms} is no time", "give milliseconds")
    return format_time(int(time_ms) * NS_PER_MS)


def _section(given: object, name: str, place: str) -> Mapping[str, object]:
    inner = join_place(place, name)
    section = expect_mapping(given, place).get(name)
    if section is None:
        raise InputError(inner, "is missing", "give the whole response")
    return expect_mapping(section, inner)


def _number(given: Mapping[str, object], name: str, place: str) -> Number:
    """An exact number; the venue writes most of them as text."""
    value, inner = given.get(name), join_place(place, name)
    if value is None:
        raise InputError(inner, "is missing", "give the whole response")
    text = value if isinstance(value, str) else str(value)
    try:
        number = Number(text)
    except InvalidOperation:
        number = Number("nan")
    if isinstance(value, bool) or not number.is_finite():
        raise InputError(inner, f"{show(text)} is no number", "mend the response")
    plain = parse_number(f"{number:f}")
    if not isinstance(plain, Number):
        raise InputError(inner, plain.problem, plain.remedy)
    return plain
