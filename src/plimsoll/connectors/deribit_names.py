"""Deribit's instrument names and the unified symbols they stand for."""

import re
from datetime import UTC, datetime

from plimsoll.core import InputError
from plimsoll.instruments import Kind, Payoff, parse_symbol

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(
    r"(?P<base>[A-Z0-9]+)(?:_(?P<quote>[A-Z0-9]+))?"
    r"(?:-(?:(?P<perpetual>PERPETUAL)"
    rf"|(?P<day>\d{{1,2}})(?P<month>{'|'.join(_MONTHS)})(?P<year>\d\d)"
    r"(?:-(?P<strike>\d+(?:d\d+)?)-(?P<right>[CP]))?))?",
    re.ASCII,
)


def deribit_symbol(name: str, place: str) -> str:
    """The unified symbol of a Deribit instrument name.

    ``BTC-PERPETUAL``, ``ETH_USDC-PERPETUAL``, ``BTC-26DEC25``, ``BTC-26DEC25-80000-C``,
    ``XRP_USDC-30JUN23-0d5-C`` and the spot pair ``BTC_USDC``. A name with a quote currency is
    linear, one without is inverse on the US dollar. Raises InputError, naming ``place``, on
    any other name and on a day that does not exist.
    """
    match = _NAME.fullmatch(name)
    is_spot = match is not None and not (match["perpetual"] or match["day"])
    if match is None or (is_spot and match["quote"] is None):
        remedy = "write it as BTC-PERPETUAL, BTC-26DEC25 or BTC-26DEC25-80000-C"
        raise InputError(place, f"'{name[:60]}' is no Deribit instrument name", remedy)
    base, quote = match["base"], match["quote"]
    symbol = f"{base}/{quote or 'USD'}"
    if not is_spot:
        symbol += f":{quote or base}"
    if match["day"]:
        month = _MONTHS.index(match["month"]) + 1
        symbol += f"-{match['year']}{month:02d}{int(match['day']):02d}"
    if match["strike"]:
        symbol += f"-{match['strike'].replace('d', '.')}-{match['right']}"
    return parse_symbol(symbol, place).symbol


def native_name(symbol: str) -> str:
    """The Deribit instrument name of a unified symbol; undoes ``deribit_symbol``.

    Raises InputError where Deribit has no such kind of instrument: quanto contracts, and
    inverse ones that are not on the US dollar.
    """
    instrument = parse_symbol(symbol)
    is_inverse = instrument.payoff == Payoff.INVERSE
    if instrument.payoff == Payoff.QUANTO or (is_inverse and instrument.quote != "USD"):
        remedy = "give one settled in its quote currency, or in the coin against USD"
        raise InputError("symbol", f"Deribit has no contract like '{symbol[:60]}'", remedy)
    name = instrument.base if is_inverse else f"{instrument.base}_{instrument.quote}"
    if instrument.kind == Kind.PERPETUAL:
        return f"{name}-PERPETUAL"
    if instrument.kind == Kind.SPOT:
        return name
    day = datetime.fromtimestamp(instrument.expiry_ns // 10**9, UTC)
    name += f"-{day.day}{_MONTHS[day.month - 1]}{day.year % 100:02d}"
    if instrument.kind == Kind.FUTURE:
        return name
    strike = f"{instrument.strike:f}".replace(".", "d")
    return f"{name}-{strike}-{'C' if instrument.is_call else 'P'}"
