"""dYdX v4: bankruptcy and fillable price, the fund's part of a fill, limits for each block.

Units as in ``margin.venues.dydx_v4``: quantums of coin, quote quantums of 1e-6 USDC, rates in ppm.
Exact arithmetic gives the chain's integers.

1. A position, or a part of it, is bankrupt where closing takes its share of net collateral, by
   maintenance margin: net collateral per maintenance margin is then the same as before.
2. A liquidation order is worth filling up to the fillable price, which moves away from the oracle
   price as net collateral falls from the maintenance margin to zero, and stays there below.
3. What a fill brings beyond the bankruptcy price goes to the insurance fund, up to a fee on the
   fill; what it falls short by the fund pays.
4. A block liquidates at least a minimum of a position and at most a portion, and of a subaccount at
   most a notional and at most so much of the fund. How much is set by those limits, not by health:
   the one division there is a count of quantums within a notional (``quantums_within``).

Source: rules of dydxprotocol/v4-chain at commit 84d4664b (2026-03-04), x/clob (liquidations); the
meaning of the limits as its LiquidationsConfig messages describe them.
"""

from dataclasses import dataclass

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.liquidation.bankruptcy import bankruptcy_value, equity_share
from plimsoll.liquidation.sizing import (
    Piece,
    Rounding,
    above_zero,
    least_amount,
    quotient,
    smaller,
)
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose
from plimsoll.margin.venues.dydx_v4 import PPM


@dataclass(frozen=True, slots=True)
class Parameters:
    """The chain's LiquidationsConfig; amounts in quote quantums."""

    bankruptcy_adjustment_ppm: int
    spread_to_maintenance_ppm: int
    fee_max_ppm: int
    position_notional_min: int
    position_portion_max_ppm: int
    subaccount_notional_max: int
    subaccount_insurance_max: int


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """Least and most notional of a position that one block liquidates, quote quantums."""

    least: Numbers
    most: Numbers


def load_parameters(as_of_ns: int) -> Parameters:
    """The parameters in force at a time."""
    tables = load_tables("plimsoll.liquidation.protocols", "dydx_v4")
    return Parameters(**table_at(tables, as_of_ns).params)


def bankruptcy_quote(
    arithmetic: Arithmetic,
    notional_change: Numbers,
    maintenance_change: Numbers,
    collateral: Numbers,
    maintenance: Numbers,
) -> Numbers:
    """Quote quantums that a trade at the bankruptcy price brings the account (rule 1), signed.

    ``notional_change`` (signed) and ``maintenance_change`` are what the trade does to the
    position's net notional and maintenance margin; ``collateral`` and ``maintenance`` (> 0) are the
    account's. Rounded in favour of the account. Raises InputError without maintenance margin.
    """
    _check(maintenance)
    share = equity_share(arithmetic, collateral, abs(maintenance_change), maintenance)
    return bankruptcy_value(-notional_change, share)


def fillable_price(
    arithmetic: Arithmetic,
    quantums: Numbers,
    notional: Numbers,
    position_maintenance: Numbers,
    collateral: Numbers,
    maintenance: Numbers,
    parameters: Parameters,
) -> Numbers:
    """Quote quantums per quantum (> 0) at which a liquidation order is placed (rule 2).

    ``quantums`` and ``notional`` are signed; a Fraction in exact arithmetic. Raises InputError
    without maintenance margin.
    """
    _check(maintenance)
    # The adjusted bankruptcy rating, in parts of ``whole``.
    whole = maintenance * PPM
    rating = parameters.bankruptcy_adjustment_ppm * (maintenance - collateral)
    rating = smaller(above_zero(rating), whole)
    spread = rating * parameters.spread_to_maintenance_ppm * position_maintenance
    return quotient(arithmetic, notional * whole * PPM - spread, quantums * whole * PPM)


def fill_quote(
    arithmetic: Arithmetic, subticks: Numbers, quantums: Numbers, conversion_exponent: int
) -> Numbers:
    """Quote quantums (>= 0) of a fill of ``quantums`` >= 0 at a price in subticks, rounded down."""
    above, below = arithmetic.power(10, conversion_exponent)
    return arithmetic.floor(subticks * quantums * above, below)


def insurance_fund_delta(
    arithmetic: Arithmetic, received: Numbers, bankruptcy: Numbers, fee_max_ppm: Numbers
) -> Numbers:
    """What a fill adds to the insurance fund; below zero the fund pays (rule 3).

    ``received`` and ``bankruptcy`` are what the fill and a fill at the bankruptcy price bring the
    account, both signed; the account keeps received - delta, never less than bankruptcy.
    """
    gain = received - bankruptcy
    fee = arithmetic.floor(abs(received) * fee_max_ppm, PPM)
    return smaller(gain, fee)


def block_limits(arithmetic: Arithmetic, notional: Numbers, parameters: Parameters) -> BlockLimits:
    """What one block may liquidate of a position of ``notional`` (any sign, rule 4).

    The minimum overrides the portion, the whole position both.
    """
    whole = abs(notional)
    minimum = parameters.position_notional_min
    least = smaller(whole, minimum)
    portion = arithmetic.floor(whole * parameters.position_portion_max_ppm, PPM)
    return BlockLimits(least, choose(portion < least, least, portion))


def subaccount_left(limit: Numbers, used: Numbers) -> Numbers:
    """What a block still allows of a subaccount's notional or insurance, never below zero."""
    return above_zero(limit - used)


def quantums_within(
    arithmetic: Arithmetic, limit: Numbers, quantums: Numbers, notional: Numbers, step: Numbers
) -> Numbers:
    """The most of a position, in steps of quantums, whose notional is within a limit.

    ``quantums`` and ``notional`` are the position's, > 0 both. In whole steps in either arithmetic.
    """
    each = quotient(arithmetic, notional, quantums)
    return least_amount(arithmetic, limit, [Piece(quantums, each)], step, Rounding.DOWN).amount


def _check(maintenance: Numbers) -> None:
    if maintenance <= 0:
        problem = "no maintenance margin, so nothing is liquidated"
        raise InputError("maintenance", problem, "leave such accounts out")
