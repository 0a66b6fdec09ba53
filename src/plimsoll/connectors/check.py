"""What the types of a document cannot say: references, repeats, times, and what fits together."""

import difflib
import re
from collections.abc import Mapping

from msgspec.structs import replace

from plimsoll.connectors.document import (
    AccountDocument,
    InstrumentDocument,
    MarketDocument,
    PortfolioDocument,
    PositionDocument,
)
from plimsoll.connectors.fill import join_place
from plimsoll.connectors.plain import show
from plimsoll.core import InputError, did_you_mean, parse_time
from plimsoll.instruments import Instrument, Kind, parse_symbol

Listing = Mapping[str, InstrumentDocument]
"""Every instrument of a document by symbol, with what its positions say of it filled in."""


def instant(text: str, place: str) -> int:
    """UTC nanoseconds of a time from 1970 on. Raises InputError on anything else."""
    time_ns = parse_time(text, place)
    if time_ns < 0:
        raise InputError(place, f"{show(text)} is before 1970", "mend the year")
    return time_ns


def check_document(document: PortfolioDocument) -> None:
    """Raises InputError on the first thing in a document that does not make sense."""
    as_of_ns = instant(document.as_of, "as_of")
    _check_market(document.market)
    for symbol in document.market.instruments:
        _parse_live(symbol, as_of_ns, join_place("market.instruments", symbol))
    list_instruments(document)
    seen: set[str] = set()
    for i, account in enumerate(document.accounts):
        place = f"accounts[{i}]"
        _check_name(account.id, f"{place}.id")
        _check_name(account.model, f"{place}.model")
        if account.id in seen:
            problem = f"the id {show(account.id)} is taken by an account above"
            raise InputError(f"{place}.id", problem, "give each account its own id")
        seen.add(account.id)
        for asset in account.balances:
            _check_name(asset, join_place(f"{place}.balances", asset))
        _check_positions(account, as_of_ns, place)


def _check_market(market: MarketDocument) -> None:
    for asset, price in market.index.items():
        place = join_place("market.index", asset)
        _check_name(asset, place)
        if asset == "USD" and price != 1:
            raise InputError(place, f"{price} is not 1, but prices are in USD", "leave it out")
    for asset, time in market.index_time.items():
        place = join_place("market.index_time", asset)
        if asset not in market.index:
            problem = f"{show(asset)} has no index price"
            raise InputError(place, problem, did_you_mean(asset, market.index))
        instant(time, place)
    for symbol, entry in market.instruments.items():
        if entry.time is not None:
            instant(entry.time, f"{join_place('market.instruments', symbol)}.time")


def _parse_live(symbol: str, as_of_ns: int, place: str) -> Instrument:
    """The instrument of a symbol. Raises InputError where there is none or it has expired."""
    instrument = parse_symbol(symbol, place)
    if 0 < instrument.expiry_ns <= as_of_ns:
        remedy = "settle it into the balances and take it out, or mend as_of"
        raise InputError(place, "expired at or before as_of", remedy)
    return instrument


def _check_name(name: str, place: str) -> None:
    if not name.strip() or not name.isprintable() or name.startswith("@") or len(name) > 200:
        remedy = "use 1 to 200 printable characters, not starting with @"
        raise InputError(place, f"{show(name)} cannot be a name", remedy)


def list_instruments(document: PortfolioDocument) -> Listing:
    """``market.instruments``, with the marks and multipliers that positions state themselves.

    A position that states a mark, as ccxt's do, lists its instrument. Raises InputError where
    a symbol is listed nowhere or two statements of one contract's size or mark differ.
    """
    listing = dict(document.market.instruments)
    for i, account in enumerate(document.accounts):
        for j, position in enumerate(account.positions):
            place = f"accounts[{i}].positions[{j}]"
            entry = _find_listed(position.symbol, listing)
            if entry is None and position.mark is None:
                raise _unknown_symbol(position.symbol, listing, f"{place}.symbol")
            listing[position.symbol] = _merge(
                entry or InstrumentDocument(), position, document.market, place
            )
    for i, account in enumerate(document.accounts):
        for j, order in enumerate(account.orders):
            entry = _find_listed(order.symbol, listing)
            if entry is None:
                place = f"accounts[{i}].orders[{j}].symbol"
                raise _unknown_symbol(order.symbol, listing, place)
            listing[order.symbol] = entry
    return listing


def check_symbol(symbol: str, listing: Listing, place: str) -> None:
    """Raises InputError, with what was likely meant, where nothing is listed for a symbol."""
    if _find_listed(symbol, listing) is None:
        raise _unknown_symbol(symbol, listing, place)


def _find_listed(symbol: str, listing: Listing) -> InstrumentDocument | None:
    """What is listed for a symbol; the leg of a contract is listed with the contract."""
    return listing.get(symbol) or listing.get(symbol.partition("#")[0])


def _merge(
    entry: InstrumentDocument, position: PositionDocument, market: MarketDocument, place: str
) -> InstrumentDocument:
    size, mark = position.contract_multiplier, position.mark
    remedy = f"state it once, under {join_place('market.instruments', position.symbol)}"
    if size is not None and entry.contract_multiplier not in (None, size):
        problem = f"{size} differs from {entry.contract_multiplier}, stated for the same contract"
        raise InputError(f"{place}.contract_multiplier", problem, remedy)
    stated = market.instruments.get(position.symbol)
    if mark is not None and not (stated and stated.mark) and entry.mark not in (None, mark):
        problem = f"{mark} differs from {entry.mark}, stated by a position above"
        raise InputError(f"{place}.mark", problem, remedy)
    return replace(
        entry,
        contract_multiplier=entry.contract_multiplier or size,
        mark=entry.mark or mark,
    )


def _unknown_symbol(symbol: str, listing: Listing, place: str) -> InputError:
    remedy = "list it under market.instruments"
    try:
        parse_symbol(symbol, place)
    except InputError as error:
        remedy = error.remedy
    # A listed contract on the same coin is what was meant, more likely than any spelling.
    related = [known for known in listing if symbol.upper().startswith(_base(known))]
    if related:
        meant = max(related, key=lambda known: _likeness(symbol, known))
        other = "" if remedy.startswith("did") else f" If not, {remedy}"
        remedy = f"did you mean '{meant}'?{other}"
    return InputError(place, f"unknown symbol {show(symbol)}", remedy)


def _base(symbol: str) -> str:
    return symbol.split("/", maxsplit=1)[0]


def _likeness(symbol: str, known: str) -> tuple[int, bool, bool, float]:
    """How well a listed symbol answers to another name, greatest first.

    The longest coin (1000PEPE before 1000), contracts before spot, dated names for dated ones.
    """
    wants_date = re.search(r"\d{6}", symbol) is not None
    ratio = difflib.SequenceMatcher(a=symbol, b=known).ratio()
    return len(_base(known)), ":" in known, ("-" in known) == wants_date, ratio


def _check_positions(account: AccountDocument, as_of_ns: int, place: str) -> None:
    cross: set[str] = set()
    for j, position in enumerate(account.positions):
        inner = f"{place}.positions[{j}]"
        instrument = _parse_live(position.symbol, as_of_ns, f"{inner}.symbol")
        _check_side(position, instrument.leg, f"{inner}.quantity")
        kind = instrument.kind
        if kind == Kind.SPOT:
            problem = f"'{position.symbol}' is spot, which is no position"
            remedy = f"add the {_base(position.symbol)} to balances"
            raise InputError(f"{inner}.symbol", problem, remedy)
        if kind != Kind.OPTION and position.entry_price is None and position.quantity:
            remedy = "add the average price at which it was opened"
            raise InputError(f"{inner}.entry_price", "is missing", remedy)
        if position.margin_mode == "isolated":
            if position.isolated_margin is None:
                remedy = "add the margin set aside for it, in the settle asset"
                raise InputError(f"{inner}.isolated_margin", "is missing", remedy)
            continue
        if position.isolated_margin is not None:
            remedy = "set margin_mode to isolated, or leave it out"
            raise InputError(f"{inner}.isolated_margin", "stands on a cross position", remedy)
        if position.symbol in cross:
            problem = f"a second cross position in '{position.symbol}'"
            raise InputError(f"{inner}.symbol", problem, "net the two, or isolate them")
        cross.add(position.symbol)


def _check_side(position: PositionDocument, leg: str, place: str) -> None:
    if (leg == "long" and position.quantity < 0) or (leg == "short" and position.quantity > 0):
        other = "short" if leg == "long" else "long"
        remedy = f"change its sign, or name the leg #{other}"
        raise InputError(place, f"{position.quantity} contracts cannot be on the {leg} leg", remedy)
