"""Why an option has no value, or why its value is not a model's."""

from enum import IntEnum


class PriceStatus(IntEnum):
    """What became of one element. An option has a value where it is OK or EXPIRED, else NaN.

    Where several reasons hold, the first in this order is given.
    """

    OK = 0
    NOT_FINITE = 1
    """An input is NaN or infinite."""
    BAD_FORWARD = 2
    """The forward is not positive, or beyond any price (1e-100 to 1e100)."""
    BAD_STRIKE = 3
    """The strike is not positive, or beyond any price."""
    BAD_VOL = 4
    """The volatility is negative or above 1000, which is 100,000 % a year."""
    BAD_TIME = 5
    """The time is over 1000 years either way: days or nanoseconds, more likely."""
    BAD_DISCOUNT = 6
    """The discount factor is not positive, or beyond any factor."""
    EXPIRED = 7
    """At or past expiry: the value is the payoff, undiscounted."""
    BELOW_INTRINSIC = 8
    """The price is below the discounted intrinsic value: no volatility gives it."""
    ABOVE_BOUND = 9
    """The price is at or above the discounted forward (call) or strike (put)."""
    NO_INFORMATION = 10
    """The price does not determine a volatility."""
