"""The price at which a position's share of the account's equity is gone: the bankruptcy price.

Equity is shared over the positions by a key: their maintenance margins (dYdX, Lighter) or their
notionals (the house). Closing all of them at their prices leaves nothing, so no price has to know
the others'. A share that is rounded down, towards minus infinity, leaves the account less than
one unit for each position, and never a debt.
"""

from plimsoll.liquidation.sizing import Rounding, quotient, to_step
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose


def equity_share(
    arithmetic: Arithmetic, equity: Numbers, key: Numbers, total_key: Numbers
) -> Numbers:
    """A position's part of the equity, which may be negative, by its part of the key (>= 0).

    Exact arithmetic rounds down to a whole unit.
    """
    return arithmetic.floor(equity * key, total_key)


def bankruptcy_value(value: Numbers, share: Numbers) -> Numbers:
    """What closing must bring at least: a position's signed value less its share of equity.

    All in the settle currency; below 0 is what closing may cost.
    """
    return value - share


def bankruptcy_price(
    arithmetic: Arithmetic, mark: Numbers, share: Numbers, per_point: Numbers, is_inverse: Numbers
) -> Numbers:
    """Price at which closing a position loses ``share`` of equity against the mark.

    Linear: mark - share / per_point, with ``per_point`` the signed quantity × multiplier × price of
    the settle currency; it may be at or below zero. Inverse: 1 / (1 / mark + share / per_point),
    where ``per_point`` is per point of 1 / price; infinite where no price loses so much. A Fraction
    in exact arithmetic.
    """
    given = quotient(arithmetic, share, per_point)
    # A linear contract's mark may be zero.
    reciprocal = quotient(arithmetic, 1, choose(is_inverse, mark, 1)) + given
    is_finite = reciprocal > 0
    inverse = quotient(arithmetic, 1, choose(is_finite, reciprocal, 1))
    return choose(is_inverse, choose(is_finite, inverse, float("inf")), mark - given)


def price_on_tick(
    arithmetic: Arithmetic, price: Numbers, tick: Numbers, is_long: Numbers
) -> Numbers:
    """The tick that leaves the account no less: up for a long position, down for a short one."""
    up, down = (to_step(arithmetic, price, tick, side) for side in (Rounding.UP, Rounding.DOWN))
    return choose(is_long, up, down)
