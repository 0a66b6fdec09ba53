"""Black-76: values and Greeks of European options on a forward, columns in and columns out.

Units: forward, strike and values in one currency; ``time`` in years of 365 days, negative when
expiry has passed; ``vol`` a fraction a year (0.65 = 65 %); ``discount`` the factor to the
payment date. An element that cannot be priced is NaN in every column and its ``PriceStatus``
says why; no other element is touched by it. Source: Black (1976); Haug, "The complete guide to
option pricing formulas" (2007), chapters 1 and 2.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s
from plimsoll.pricing.kernels import (
    DEVIATION_MIN,
    fill_bell,
    fill_normal_cdf,
    fill_reduced,
    fill_values,
)
from plimsoll.pricing.numerics import SQRT_2PI, Z_MAX
from plimsoll.pricing.status import PriceStatus


@dataclass(frozen=True, slots=True)
class OptionValues:
    """Discounted ``value`` in the currency of the strike and ``status`` (``PriceStatus``)."""

    value: Floats
    status: Int8s


@dataclass(frozen=True, slots=True)
class Greeks:
    """Derivatives of a long option's discounted value, columns by option.

    "Price" below is the forward from ``greeks`` and the spot from ``spot_greeks``.

    - ``delta``: per unit of price.
    - ``delta_premium_adjusted``: delta less value / price, the delta of a value paid in coin;
      never what ``delta`` means.
    - ``gamma``: delta per unit of price. ``vega``: per 1.00 of vol (0.01 of it is a vol point).
    - ``theta``: per year of time passing, price and vol and rates held; over 365 it is a day's.
    - ``rho``: per 1.00 of the rate.
    - ``vanna``: delta per 1.00 of vol. ``volga``: vega per 1.00 of vol.
    - ``delta_cash``: delta × price. ``gamma_cash``: gamma × price² / 100, the change of
      ``delta_cash``, but for delta's own share, when the price moves by 1 %.

    At or past expiry, and without volatility, delta is a step and there is no curvature; exactly
    at the strike there is no derivative: NaN beside a status that is OK or EXPIRED.
    """

    value: Floats
    delta: Floats
    delta_premium_adjusted: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    rho: Floats
    vanna: Floats
    volga: Floats
    delta_cash: Floats
    gamma_cash: Floats
    status: Int8s


def black76(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, is_call: Bools,
    discount: Floats | None = None,
) -> OptionValues:  # fmt: skip
    """Values of options, all columns of shape [options]; ``discount`` None is 1.

    D (F N(d1) - K N(d2)) for calls, with d1, d2 = ln(F/K) / (vol sqrt(T)) ± vol sqrt(T) / 2;
    puts by parity; the intrinsic value at or past expiry, undiscounted, with status EXPIRED.
    Absolute error 5e-15 of the smaller of forward and strike; relative error of values out of the
    money below 1e-12 where they exceed 1e-20 of it, and below 2e-11 down to 1e-270 (on the grid
    of the tests: K/F 0.1 to 10, vol 5 % to 300 %, an hour to three years).
    """
    numbers = _number_columns(forward, strike, time, vol, discount)
    calls = _call_column(is_call, numbers[0])
    status, value = np.empty(calls.size, np.int8), np.empty(calls.size)
    fill_values(*numbers[:4], calls, numbers[4], status, value)
    return OptionValues(value, status)


def greeks(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, is_call: Bools,
    discount: Floats | None = None,
) -> Greeks:  # fmt: skip
    """Values and derivatives in the forward, all columns of shape [options].

    Arguments as for ``black76``. The rate is -ln(discount) / time: ``theta`` contains its accrual
    and ``rho`` moves the discount alone, the forward held. Absolute errors: 5e-15 in both deltas,
    1e-15 of the largest each can be at that vol and time in gamma, vega, vanna and volga.
    """
    numbers = _number_columns(forward, strike, time, vol, discount)
    forward, strike, time, vol, discount = numbers
    calls = _call_column(is_call, forward)
    status, value = np.empty(calls.size, np.int8), np.empty(calls.size)
    fill_values(*numbers[:4], calls, discount, status, value)
    reduced = np.empty((5, calls.size))
    fill_reduced(*numbers, status, reduced)
    with np.errstate(all="ignore"):
        return _derivatives(numbers, calls, value, status, reduced)


def spot_greeks(
    spot: Floats, strike: Floats, time: Floats, vol: Floats, is_call: Bools,
    rate: Floats, carry_yield: Floats,
) -> Greeks:  # fmt: skip
    """Values and derivatives in the spot, all columns of shape [options].

    The forward is S exp((r - q) T), ``rate`` r and ``carry_yield`` q continuous and per year. By
    the chain rule: delta and vanna × F/S, gamma × (F/S)², theta less (r - q) F delta since the
    forward drifts to the spot, rho plus T F delta since the rate lifts the forward.
    """
    with np.errstate(all="ignore"):
        live_time = np.maximum(time, 0.0)
        carry = np.where(live_time > 0.0, rate - carry_yield, 0.0)
        forward = np.asarray(spot * np.exp(carry * live_time))
        of_forward = greeks(forward, strike, time, vol, is_call, np.exp(-rate * live_time))
        ratio = forward / spot
        delta, gamma = of_forward.delta * ratio, of_forward.gamma * ratio * ratio
        return Greeks(
            value=of_forward.value,
            delta=delta,
            delta_premium_adjusted=of_forward.delta_premium_adjusted * ratio,
            gamma=gamma,
            vega=of_forward.vega,
            theta=of_forward.theta - carry * of_forward.delta_cash,
            rho=of_forward.rho + live_time * of_forward.delta_cash,
            vanna=of_forward.vanna * ratio,
            volga=of_forward.volga,
            delta_cash=delta * spot,
            gamma_cash=gamma * spot * spot / 100.0,
            status=of_forward.status,
        )


def value_in_coin(value: Floats, forward: Floats) -> Floats:
    """A value in the strike's currency as coins of the underlying at ``forward``, elementwise.

    For coin-settled (inverse) options, whose call less put is 1 - K/F with a discount of 1. NaN
    where the forward is not positive. Source: Alexander & Imeraj, "Inverse options in a
    Black-Scholes world" (2021).
    """
    usable = forward > 0
    return np.asarray(np.where(usable, value / np.where(usable, forward, 1.0), np.nan))


def payoff_in_coin(settlement_price: Floats, strike: Floats, is_call: Bools) -> Floats:
    """What a coin-settled option pays at expiry, in coins: max(±(S - K), 0) / S, elementwise.

    A call pays less than one coin; a put's payoff has no bound as the price falls. NaN where
    either price is not positive and finite.
    """
    prices = np.minimum(settlement_price, strike)
    usable = (prices > 0) & np.isfinite(settlement_price) & np.isfinite(strike)
    settled = np.where(usable, settlement_price, 1.0)
    gain = np.where(is_call, settled - strike, strike - settled)
    return np.asarray(np.where(usable, np.maximum(gain, 0.0) / settled, np.nan))


def _derivatives(
    numbers: tuple[Floats, ...], is_call: Bools, value: Floats, status: Int8s, reduced: Floats
) -> Greeks:
    forward, _, time, vol, discount = numbers
    f, k, h, inverse, t = reduced
    sign = np.where(is_call, 1.0, -1.0)
    d1, d2 = np.clip(h + t, -Z_MAX, Z_MAX), np.clip(h - t, -Z_MAX, Z_MAX)
    flat = 2.0 * t < DEVIATION_MIN
    in_money_forward = np.where(flat, sign * h > 0, _normal_cdf(sign * d1))
    in_money_strike = np.where(flat, sign * h > 0, _normal_cdf(sign * d2))
    density = np.where(flat, 0.0, _bell(d1) / SQRT_2PI)
    live = time > 0
    live_time = np.where(live, time, 0.0)
    root = np.sqrt(live_time)
    rate = np.where(live, -np.log(discount) / time, 0.0)
    known = ((status == PriceStatus.OK) | (status == PriceStatus.EXPIRED)) & ~(flat & (h == 0))

    def shown(column: Floats) -> Floats:
        return np.where(known, column, np.nan)

    delta = shown(sign * f / forward * in_money_forward)
    gamma = shown(f * density * inverse / (forward * forward))
    vega = shown(f * density * root)
    return Greeks(
        value=value,
        delta=delta,
        delta_premium_adjusted=shown(sign * k / forward * in_money_strike),
        gamma=gamma,
        vega=vega,
        theta=shown(rate * value - 0.5 * f * density * vol * vol * inverse),
        rho=shown(-live_time * value),
        vanna=shown(-f / forward * density * d2 * root * inverse),
        volga=vega * d1 * d2 * root * inverse,
        delta_cash=delta * forward,
        gamma_cash=gamma * forward * forward / 100.0,
        status=status,
    )


def _normal_cdf(z: Floats) -> Floats:
    out = np.empty(z.size)
    fill_normal_cdf(z, out)
    return out


def _bell(z: Floats) -> Floats:
    out = np.empty(z.size)
    fill_bell(z, out)
    return out


def _number_columns(
    forward: Floats, strike: Floats, time: Floats, vol: Floats, discount: Floats | None
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    shape = np.shape(forward)
    given = (forward, strike, time, vol, np.ones(shape) if discount is None else discount)
    if len(shape) != 1 or any(np.shape(column) != shape for column in given):
        raise InputError(
            "option columns",
            f"shapes {', '.join(str(np.shape(column)) for column in given)} differ or are not flat",
            "give one number per option in every column",
        )
    forward, strike, time, vol, discount = (
        np.ascontiguousarray(column, np.float64) for column in given
    )
    return forward, strike, time, vol, discount


def _call_column(is_call: Bools, like: Floats) -> Bools:
    if np.shape(is_call) != like.shape:
        raise InputError(
            "option columns",
            f"is_call has shape {np.shape(is_call)} beside {like.shape}",
            "give one flag per option",
        )
    return np.ascontiguousarray(is_call, np.bool_)
