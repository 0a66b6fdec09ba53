"""Implied volatility of option prices, and how much of it the price's tick leaves open."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s
from plimsoll.pricing.implied_kernels import fill_implied


@dataclass(frozen=True, slots=True)
class ImpliedVols:
    """Volatilities and what became of each price, [options].

    ``vol`` is a fraction a year, NaN unless ``status`` is ``PriceStatus.OK``.
    """

    vol: Floats
    status: Int8s


@dataclass(frozen=True, slots=True)
class ConvertedPrices:
    """Coin-quoted prices in the strike's currency, and the forward each was converted at."""

    price: Floats
    forward: Floats


def implied_vol(
    price: Floats, forward: Floats, strike: Floats, time: Floats, is_call: Bools,
    discount: Floats | None = None,
) -> ImpliedVols:  # fmt: skip
    """The Black-76 vols of these prices, all columns of shape [options]; ``discount`` None is 1.

    ``price`` is discounted and, as ``forward`` and ``strike``, in the strike's currency;
    ``time`` is in years of 365 days; ``discount`` is the factor to the payment.

    Error: the solver's own is at most 2e-15 of the vol; to it adds what the input's rounding
    does to the vol, 2e-16 price / (vega vol). That is little for an option out of the money,
    however small its price, and all for one so deep in the money that its time value is lost
    in its price. Where time value or room to the bound is within two roundings of the price,
    the status is NO_INFORMATION, and so it is for a price that rounding put below intrinsic;
    prices further below are BELOW_INTRINSIC, and ABOVE_BOUND at the bound or above. No price is
    ever clamped. At or past expiry the status is EXPIRED, whatever the price.

    An element's bits depend on its own inputs only, not on its neighbours or the threads.
    Raises InputError where the columns' lengths differ. Source: see ``implied_kernels``.
    """
    factor = np.ones(np.shape(price)) if discount is None else discount
    numbers = [np.asarray(each, np.float64) for each in (price, forward, strike, time, factor)]
    calls = np.asarray(is_call, np.bool_)
    shapes = {each.shape for each in (*numbers, calls)}
    if len(shapes) > 1 or calls.ndim != 1:
        raise InputError(
            "implied_vol",
            f"columns of shapes {sorted(shapes)}",
            "give columns of one length, a value for each option",
        )
    price, forward, strike, time, factor = (np.ascontiguousarray(each) for each in numbers)
    status, vol = np.empty(calls.size, np.int8), np.empty(calls.size)
    fill_implied(price, forward, strike, time, np.ascontiguousarray(calls), factor, status, vol)
    return ImpliedVols(vol, status)


def half_tick_error(vega: Floats, tick: Floats) -> Floats:
    """How far half a tick moves the implied vol: tick / (2 vega), a fraction a year, [options].

    ``vega`` is per 1.00 of vol and in the currency of ``tick``; for a coin-quoted option that
    is its vega over the forward it is converted at. Infinite without vega; NaN where vega is.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(vega == 0.0, np.inf, tick / (2.0 * vega))


def price_from_coin(price_coin: Floats, forward: Floats) -> ConvertedPrices:
    """Prices quoted in coin, in the strike's currency, [options].

    Convert at the forward the vol is then implied with, and at no discount: a coin price of an
    inverse option is its undiscounted value over the forward. Venues that convert at another
    price, such as the index, must be given that one; the result says which it was.
    """
    return ConvertedPrices(price_coin * forward, forward)
