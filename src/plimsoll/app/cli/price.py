"""``plimsoll price``: one option's value and Greeks, or the vol that its price implies."""

import math
import re
from dataclasses import dataclass

import numpy as np

from plimsoll.app.cli.render import new_table, print_json, stdout
from plimsoll.core import Floats, InputError, parse_time
from plimsoll.instruments import Kind, Payoff, parse_symbol
from plimsoll.market.surface import years_between
from plimsoll.pricing import Greeks, PriceStatus, greeks, value_in_coin
from plimsoll.pricing.implied import half_tick_error, implied_vol, price_from_coin

PLAIN_MAX = 10.0
"""A fraction above this without a % sign is one that lacks it."""
DAYS_PER_YEAR = 365.0
_YEARS = (("y", 1.0), ("d", DAYS_PER_YEAR), ("h", DAYS_PER_YEAR * 24.0))
_TIME = re.compile(r"(\d+(?:\.\d+)?)([ydh])", re.ASCII)

_FAULTS = (
    (PriceStatus.NOT_FINITE, "option", "a number is not finite", "give finite numbers"),
    (PriceStatus.BAD_FORWARD, "--forward", "is not a price", "give a positive one"),
    (PriceStatus.BAD_STRIKE, "--strike", "is not a price", "give a positive one"),
    (PriceStatus.BAD_VOL, "--vol", "is not a volatility", "write 65% or 0.65"),
    (PriceStatus.BAD_TIME, "--time", "is too long", "write 30d, 12h or 0.25y"),
    (PriceStatus.BAD_DISCOUNT, "--rate", "is out of bounds", "write 4% or 0.04"),
    (PriceStatus.BELOW_INTRINSIC, "--price", "is below the intrinsic value",
     "check it, the forward and whether it is in coin (--coin)"),
    (PriceStatus.ABOVE_BOUND, "--price", "is more than the option can be worth",
     "check it, the forward and whether it is in coin (--coin)"),
    (PriceStatus.EXPIRED, "--price", "implies no vol at expiry", "give a time before it"),
    (PriceStatus.NO_INFORMATION, "--price", "leaves no time value that could tell a vol",
     "take the price of the out-of-the-money option"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """The options of the command line as they were given; None where one was not."""

    symbol: str | None
    forward: float | None
    vol: str | None
    price: float | None
    time: str | None
    as_of: str | None
    strike: float | None
    is_call: bool | None
    rate: str
    coin: bool
    tick: float | None


@dataclass(frozen=True, slots=True)
class _Option:
    """One option: ``time`` in years, ``money`` and ``coin`` the names of its currencies."""

    name: str
    strike: float
    is_call: bool
    time: float
    forward: float
    discount: float
    in_coin: bool
    money: str
    coin: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table: ``in_coin`` is NaN where the figure is no amount of money."""

    name: str
    value: float
    in_coin: float
    unit: str


def run_price(request: PriceRequest, as_json: bool) -> None:
    """Print value, vol and Greeks of the option that the request describes."""
    option = _option(request)
    if (request.vol is None) == (request.price is None):
        remedy = "give --vol to find the price, or --price to find the vol"
        raise InputError("option", "needs either a vol or a price", remedy)
    if request.tick is not None and not (request.price is not None and request.tick > 0):
        raise InputError("--tick", "is the step of --price", "give both, and a positive tick")
    if request.price is None:
        vol = _fraction(request.vol or "", "--vol")
    else:
        vol = _implied_vol(option, request.price)
    found = _greeks(option, vol)
    error = float("nan") if request.tick is None else _half_tick(option, found, request.tick)
    is_implied = request.price is not None
    if as_json:
        print_json(_document(option, vol, is_implied, error, found))
    else:
        _print_table(option, vol, is_implied, error, found)


def _option(request: PriceRequest) -> _Option:
    name, strike, is_call, expiry_ns = "option", request.strike, request.is_call, None
    money, coin, in_coin = "quote", "base", request.coin
    if request.symbol is not None:
        instrument = parse_symbol(request.symbol)
        if instrument.kind != Kind.OPTION:
            remedy = "give one such as BTC/USD:BTC-261225-80000-C"
            raise InputError("symbol", f"'{request.symbol[:60]}' is no option", remedy)
        if strike is not None or is_call is not None:
            remedy = "drop --strike, --call and --put"
            raise InputError("--strike", "the symbol says strike and right already", remedy)
        name, strike, is_call = instrument.symbol, float(instrument.strike), instrument.is_call
        expiry_ns, money, coin = instrument.expiry_ns, instrument.quote, instrument.base
        in_coin = in_coin or instrument.payoff == Payoff.INVERSE
    if strike is None or is_call is None:
        remedy = "give a symbol, or --strike and one of --call and --put"
        raise InputError("option", "is not described", remedy)
    if request.forward is None:
        raise InputError("--forward", "is missing", "give the forward of the option's expiry")
    time = _years(request, expiry_ns)
    rate = _fraction(request.rate, "--rate")
    if in_coin and rate:
        # A coin price is the undiscounted value over the forward.
        raise InputError("--rate", "does not apply to prices in coin", "drop it")
    discount = math.exp(-rate * max(time, 0.0))
    return _Option(name, strike, is_call, time, request.forward, discount, in_coin, money, coin)


def _years(request: PriceRequest, expiry_ns: int | None) -> float:
    if (request.time is None) == (request.as_of is None):
        remedy = "give --time, as in 30d, or --as-of with a symbol"
        raise InputError("--time", "the time to expiry must be told once", remedy)
    if request.time is not None:
        match = _TIME.fullmatch(request.time.strip())
        if match is None:
            remedy = "write 30d, 12h or 0.25y"
            raise InputError("--time", f"'{request.time[:40]}' is not a length of time", remedy)
        return float(match[1]) / dict(_YEARS)[match[2]]
    if expiry_ns is None:
        raise InputError("--as-of", "needs a symbol with its expiry", "give --time instead")
    as_of_ns = parse_time(request.as_of or "", "--as-of")
    return float(years_between(as_of_ns, np.array([expiry_ns]))[0])


def _fraction(text: str, place: str) -> float:
    try:
        value = float(text.rstrip("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise InputError(place, f"'{text[:40]}' is not a fraction", "write 65% or 0.65")
    if abs(value) > PLAIN_MAX and not text.endswith("%"):
        raise InputError(place, f"'{text[:40]}' means {value:,.0%}", f"write {text[:40]}%")
    return value


def _implied_vol(option: _Option, price: float) -> float:
    paid = np.array([price])
    forward = np.array([option.forward])
    if option.in_coin:
        paid = price_from_coin(paid, forward).price
    found = implied_vol(
        paid,
        forward,
        np.array([option.strike]),
        np.array([option.time]),
        np.array([option.is_call]),
        np.array([option.discount]),
    )
    _check(int(found.status[0]), may_be_expired=False)
    return float(found.vol[0])


def _greeks(option: _Option, vol: float) -> Greeks:
    found = greeks(
        np.array([option.forward]),
        np.array([option.strike]),
        np.array([option.time]),
        np.array([vol]),
        np.array([option.is_call]),
        np.array([option.discount]),
    )
    _check(int(found.status[0]), may_be_expired=True)
    return found


def _check(status: int, may_be_expired: bool) -> None:
    for fault, place, problem, remedy in _FAULTS:
        if status == fault and not (may_be_expired and fault == PriceStatus.EXPIRED):
            raise InputError(place, problem, remedy)


def _half_tick(option: _Option, found: Greeks, tick: float) -> float:
    unit = option.forward if option.in_coin else 1.0
    return float(half_tick_error(found.vega / unit, np.array([tick]))[0])


def _rows(option: _Option, found: Greeks) -> tuple[_Row, ...]:
    """The figures in the units in which desks speak of them."""
    money, coin = option.money, option.coin
    forward = f"{coin} of the forward"
    amounts = [
        ("value", found.value, 1.0, f"per option on one {coin}"),
        ("theta", found.theta, DAYS_PER_YEAR, "per day"),
        ("vega", found.vega, 100.0, "per vol point"),
        ("volga", found.volga, 1e4, "per vol point, per vol point"),
        ("cash gamma", found.gamma_cash, 1.0, "of cash delta per 1 % of the forward"),
        ("cash delta", found.delta_cash, 1.0, "delta × forward"),
    ]
    others = [
        ("delta", found.delta, 1.0, forward),
        ("gamma", found.gamma, 1.0, f"delta per 1 {money} of the forward"),
        ("vanna", found.vanna, 100.0, "delta per vol point"),
    ]
    if option.in_coin:
        adjusted = found.delta_premium_adjusted
        unit = f"{forward}: delta less the premium held in {coin}"
        others.insert(1, ("delta, premium-adjusted", adjusted, 1.0, unit))
    else:
        amounts.append(("rho", found.rho, 100.0, "per 1 % of rate, the forward held"))
    nan = float("nan")
    return (
        *(
            _Row(name, float(column[0]) / scale, _in_coin(option, column) / scale, unit)
            for name, column, scale, unit in amounts
        ),
        *(_Row(name, float(column[0]) / scale, nan, unit) for name, column, scale, unit in others),
    )


def _in_coin(option: _Option, amount: Floats) -> float:
    if not option.in_coin:
        return float("nan")
    return float(value_in_coin(amount, np.array([option.forward]))[0])


def _print_table(
    option: _Option, vol: float, is_implied: bool, error: float, found: Greeks
) -> None:
    console = stdout()
    side = "call" if option.is_call else "put"
    days = option.time * DAYS_PER_YEAR
    console.print(
        f"{option.name}: {side}, strike {option.strike:,.10g}, forward {option.forward:,.10g}, "
        + (f"{days:,.4g} days to expiry" if days > 0 else "expired: worth its intrinsic value"),
        style="bold",
    )
    told = f"{'Implied vol' if is_implied else 'Vol'} {100.0 * vol:.6g} %"
    if math.isfinite(error):
        told += f", ± {100.0 * error:.2g} vol points for half a tick"
    console.print(told)
    coins = (f"in {option.coin}",) if option.in_coin else ()
    table = new_table(None, ("", f"in {option.money}", *coins, "Unit"))
    table.columns[-1].justify = "left"
    for row in _rows(option, found):
        cells = (_number(row.in_coin),) if option.in_coin else ()
        table.add_row(row.name, _number(row.value), *cells, row.unit)
    console.print(table)


def _number(value: float) -> str:
    # Adding zero takes the sign off a negative one.
    return f"{value + 0.0:,.7g}".replace("-", "−") if math.isfinite(value) else ""


def _document(
    option: _Option, vol: float, is_implied: bool, error: float, found: Greeks
) -> dict[str, object]:
    """The library's own units, each named."""
    value = float(found.value[0])
    return {
        "option": option.name,
        "is_call": option.is_call,
        "strike": option.strike,
        "forward": option.forward,
        "years": option.time,
        "discount": option.discount,
        "status": PriceStatus(int(found.status[0])).name,
        "vol": vol,
        "vol_is_implied": is_implied,
        "half_tick_vol_error": error,
        "value": value,
        "value_in_coin": _in_coin(option, found.value),
        "delta": float(found.delta[0]),
        "delta_premium_adjusted": float(found.delta_premium_adjusted[0]),
        "delta_cash": float(found.delta_cash[0]),
        "gamma": float(found.gamma[0]),
        "gamma_cash_per_percent": float(found.gamma_cash[0]),
        "vega_per_1.00": float(found.vega[0]),
        "theta_per_year": float(found.theta[0]),
        "rho_per_1.00": float(found.rho[0]),
        "vanna_per_1.00": float(found.vanna[0]),
        "volga_per_1.00_squared": float(found.volga[0]),
    }
