"""Derive: the Dutch auction that closes an account, solvent or not.

An auction sells shares of an account's whole portfolio for falling prices. Amounts are in the
stablecoin, shares and rates fractions, times seconds; floats or Fractions.

1. Maintenance excess is the account's margin excess (below 0 when the auction starts), mark to
   market its worth. Buffer margin = excess + buffer × (excess - mark to market), which is below
   both where the account lacks anything.
2. Solvent (mark to market above 0): a share costs the bidder share × discount × (mark to market -
   reserved cash), where reserved cash is what earlier bidders of this auction have paid. The
   discount falls from its start to a cutoff over the fast length, then to 0 over the slow length.
3. At most the share is sold that brings the buffer margin back to zero, all where the mark to
   market is below a cutoff. Selling that much ends the auction.
4. When it starts, the account pays a fee of that share at a discount of 1, times the mark to
   market, to the security module.
5. Insolvent (mark to market at or below 0, or the solvent auction at its end): the security module
   pays the bidder, per share of the account, from nothing or the account's debt up to the lack of
   maintenance margin, linearly over the insolvent length.
6. What the module lacks is minted. Its own accrued fees make up for that first; while cash backs
   less than all of the stablecoin, withdrawals burn amount / exchange rate.

Source: rules of derivexyz/v2-core at commit 7736900d (2026-01-21), src/liquidation and src/assets.
Its two published insolvent examples follow an older rule and are not run by its own tests.
"""

from dataclasses import dataclass

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.liquidation.sizing import Piece, least_amount, quotient, smaller
from plimsoll.margin.arithmetic import Arithmetic, Numbers


@dataclass(frozen=True, slots=True)
class Parameters:
    """The auction's terms; lengths in seconds, the rest fractions."""

    start: Numbers
    cutoff: Numbers
    fast_length: Numbers
    slow_length: Numbers
    insolvent_length: Numbers
    fee_rate: Numbers
    buffer: Numbers


@dataclass(frozen=True, slots=True)
class Account:
    """What is auctioned: worth, margin excess, and cash that this auction's bidders have paid."""

    mark_to_market: Numbers
    maintenance_excess: Numbers
    reserved_cash: Numbers


@dataclass(frozen=True, slots=True)
class Bid:
    """What a bidder gets and pays: a ``share`` of the account for ``price`` (>= 0) of cash.

    ``is_last`` says that the auction ends with it.
    """

    share: Numbers
    price: Numbers
    is_last: bool


@dataclass(frozen=True, slots=True)
class Payout:
    """Who pays an insolvent account's bidder; the three add up to what he is due.

    ``from_module`` from the security module, ``from_fees`` from its accrued fees, ``minted`` new.
    """

    from_module: Numbers
    from_fees: Numbers
    minted: Numbers


def load_parameters(as_of_ns: int) -> Parameters:
    """The parameters in force at a time."""
    tables = load_tables("plimsoll.liquidation.protocols", "derive")
    return Parameters(**table_at(tables, as_of_ns).params)


def buffer_margin(account: Account, parameters: Parameters) -> Numbers:
    """Excess with the buffer (rule 1)."""
    lack = account.maintenance_excess - account.mark_to_market
    return account.maintenance_excess + lack * parameters.buffer


def discount(arithmetic: Arithmetic, elapsed: Numbers, parameters: Parameters) -> Numbers:
    """Part of the mark to market that a bidder pays ``elapsed`` seconds after the start, >= 0."""
    start, cutoff = parameters.start, parameters.cutoff
    if elapsed < parameters.fast_length:
        return start - (start - cutoff) * quotient(arithmetic, elapsed, parameters.fast_length)
    slow = elapsed - parameters.fast_length
    if slow >= parameters.slow_length:
        return 0 * cutoff
    return cutoff - cutoff * quotient(arithmetic, slow, parameters.slow_length)


def share_max(
    arithmetic: Arithmetic,
    account: Account,
    at_discount: Numbers,
    parameters: Parameters,
    worth_min: Numbers = 0,
) -> Numbers:
    """The share whose sale brings the buffer margin to zero (rule 3), at most 1.

    A share sold takes away its part of the buffer margin, reserved cash aside, which stays, and
    brings its price. ``worth_min`` is the mark to market below which all is sold.
    """
    if account.mark_to_market < worth_min:
        return 1
    margin, reserved = buffer_margin(account, parameters), account.reserved_cash
    gain = (account.mark_to_market - reserved) * at_discount - (margin - reserved)
    return least_amount(arithmetic, -margin, [Piece(1, gain)]).amount


def solvent_bid(
    arithmetic: Arithmetic,
    account: Account,
    wanted: Numbers,
    elapsed: Numbers,
    parameters: Parameters,
    worth_min: Numbers = 0,
) -> Bid:
    """What a bidder gets who wants a share of a solvent account (rules 2 and 3).

    Raises InputError where the account is insolvent or ``wanted`` is no share.
    """
    if not account.mark_to_market > 0:
        remedy = "ask insolvent_price what the security module pays"
        raise InputError("mark_to_market", "the account is insolvent", remedy)
    _check_share(wanted)
    price = discount(arithmetic, elapsed, parameters)
    most = share_max(arithmetic, account, price, parameters, worth_min)
    share = smaller(wanted, most)
    paid = (account.mark_to_market - account.reserved_cash) * price * share
    return Bid(share, paid, wanted >= most)


def upfront_fee(arithmetic: Arithmetic, account: Account, parameters: Parameters) -> Numbers:
    """What the account pays the security module when a solvent auction starts (rule 4), >= 0."""
    # At a discount of 1 reserved cash cancels out.
    share = share_max(arithmetic, account, 1, parameters)
    return share * abs(account.mark_to_market) * parameters.fee_rate


def insolvent_price(
    arithmetic: Arithmetic,
    account: Account,
    share: Numbers,
    elapsed: Numbers,
    parameters: Parameters,
) -> Numbers:
    """What a bidder is paid for a share of an insolvent account (rule 5), >= 0.

    ``elapsed`` counts from the start of the insolvent auction. Raises InputError where ``share``
    is none.
    """
    _check_share(share)
    worth, excess = account.mark_to_market, account.maintenance_excess
    first = smaller(worth, 0)
    last = smaller(excess, first)
    length = parameters.insolvent_length
    passed = quotient(arithmetic, elapsed, length) if elapsed < length else 1
    return -(first + (last - first) * passed) * share


def insolvent_payout(due: Numbers, module_cash: Numbers, accrued_fees: Numbers) -> Payout:
    """Who pays what an insolvent account's bidder is due (rule 6); all >= 0."""
    paid = smaller(due, module_cash)
    rest = due - paid
    absorbed = smaller(rest, accrued_fees)
    return Payout(paid, absorbed, rest - absorbed)


def withdrawal_burn(arithmetic: Arithmetic, amount: Numbers, exchange_rate: Numbers) -> Numbers:
    """What a withdrawal of ``amount`` takes off a balance; ``exchange_rate`` is cash per claim.

    At a rate below 1 it is more than the amount, at or above 1 the amount. Raises InputError at a
    rate of 0, when there is nothing to withdraw.
    """
    if not exchange_rate > 0:
        raise InputError("exchange_rate", "nothing backs the stablecoin", "wait for cash")
    return quotient(arithmetic, amount, exchange_rate) if exchange_rate < 1 else amount


def _check_share(share: Numbers) -> None:
    if not 0 < share <= 1:
        raise InputError("share", f"{share} is no share", "ask for more than 0, at most 1")
