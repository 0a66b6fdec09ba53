"""ccxt unified symbols, parsed and printed.

``BTC/USDT`` spot, ``BTC/USDT:USDT`` linear perpetual, ``BTC/USD:BTC`` inverse perpetual,
``BTC/USD:BTC-261225`` dated future, ``BTC/USD:BTC-261225-80000-C`` option. Ours alone is the
leg of hedge mode at the end: ``BTC/USDT:USDT#long`` and ``BTC/USDT:USDT#short``.
Source: https://docs.ccxt.com, "Symbols and Market Ids" (contract naming conventions).
"""

import re
from decimal import Decimal

from plimsoll.core import InputError, format_time, parse_time
from plimsoll.instruments.instrument import Instrument, Kind, Payoff

EXPIRY_CLOCK = "08:00:00Z"
"""Hour at which the large venues (Deribit, OKX, Binance, Bybit) settle dated contracts."""

_FORM = re.compile(
    r"(?P<base>[A-Za-z0-9]+)/(?P<quote>[A-Za-z0-9]+)"
    r"(?::(?P<settle>[A-Za-z0-9]+)"
    r"(?:-(?P<expiry>\d{6})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<right>[CP]))?)?(?:#(?P<leg>long|short))?)?",
    re.ASCII,
)


def parse_symbol(symbol: str, place: str = "symbol") -> Instrument:
    """The instrument a unified symbol names, with a contract multiplier of 1.

    Raises InputError, naming ``place``, where the text is no unified symbol.
    """
    match = _FORM.fullmatch(symbol)
    if match is None:
        raise InputError(place, f"'{symbol[:60]}' is not a unified symbol", _remedy(symbol))
    base, quote, settle = match["base"], match["quote"], match["settle"]
    if settle is None:
        return Instrument(symbol, Kind.SPOT, Payoff.LINEAR, base, quote, quote)
    payoff = (
        Payoff.LINEAR if settle == quote else Payoff.INVERSE if settle == base else Payoff.QUANTO
    )
    kind = Kind.OPTION if match["right"] else Kind.FUTURE if match["expiry"] else Kind.PERPETUAL
    return Instrument(
        symbol,
        kind,
        payoff,
        base,
        quote,
        settle,
        expiry_ns=_expiry_ns(match["expiry"], place),
        strike=Decimal(match["strike"] or 0),
        is_call=match["right"] == "C",
        leg=match["leg"] or "",
    )


def _expiry_ns(digits: str | None, place: str) -> int:
    if digits is None:
        return 0
    day = f"20{digits[:2]}-{digits[2:4]}-{digits[4:]}"
    return parse_time(f"{day}T{EXPIRY_CLOCK}", place)


def _remedy(symbol: str) -> str:
    native = re.fullmatch(r"([A-Z0-9]{2,10})[-_]?(USDT|USDC|USD)(?:[-_]?(?:PERP|SWAP))?", symbol)
    if native and native[2] != "USD":
        return f"did you mean '{native[1]}/{native[2]}:{native[2]}'?"
    perpetual = re.fullmatch(r"([A-Z0-9]{2,10})[-_]?(?:USD)?[-_]?(?:PERP|PERPETUAL|SWAP)", symbol)
    if native or perpetual:
        base = (native or perpetual)[1]  # type: ignore[index]
        return f"did you mean '{base}/USDT:USDT' or '{base}/USD:{base}'?"
    return "write it as BTC/USDT:USDT (see https://docs.ccxt.com for unified symbols)"


def format_symbol(instrument: Instrument) -> str:
    """The unified symbol of an instrument; the inverse of ``parse_symbol``."""
    pair = f"{instrument.base}/{instrument.quote}"
    if instrument.kind == Kind.SPOT:
        return pair
    leg = f"#{instrument.leg}" if instrument.leg else ""
    text = f"{pair}:{instrument.settle}"
    if instrument.kind == Kind.PERPETUAL:
        return text + leg
    day = format_time(instrument.expiry_ns)[:10]
    text = f"{text}-{day[2:4]}{day[5:7]}{day[8:10]}"
    if instrument.kind == Kind.FUTURE:
        return text + leg
    return f"{text}-{instrument.strike:f}-{'C' if instrument.is_call else 'P'}{leg}"
