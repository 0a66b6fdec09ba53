"""Losses that nobody is left to pay, shared among those who are: by key, or through an index.

Shares of a key are exact: they add up to the loss. An index moves by a whole step that everyone
pays per unit held, as Drift and Mango do; it is rounded up, so it collects the loss and a
remainder, which is named and belongs to the insurance fund.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import InputError, Int64s, sum_exact
from plimsoll.core.exact import to_int64
from plimsoll.liquidation.deleveraging.allocation import integers, share_by_weight, split_by_weight


@dataclass(frozen=True, slots=True)
class Socialised:
    """What each account bears, >= 0, what is ``uncovered`` and what is collected beyond need.

    Sum of borne + uncovered = loss + surplus.
    """

    borne: Int64s
    uncovered: int
    surplus: int


@dataclass(frozen=True, slots=True)
class IndexStep:
    """How far an index moves, >= 0, and the units it counts in.

    A holder of q units pays q * step / precision: longs by a rise of their funding index,
    shorts by a fall of theirs, depositors by a fall of the deposit index.
    """

    step: int
    precision: int


def socialise_by_open_interest(loss: int, quantity: Int64s, account: Int64s) -> Socialised:
    """By size held, longs and shorts, winners and losers alike (Drift's key); exact.

    ``quantity`` is signed. Raises InputError where there is a loss and nobody holds anything.
    """
    _check(loss, account, quantity)
    borne = split_by_weight(abs(integers(quantity)), account, loss)
    return Socialised(borne, loss - sum_exact(borne), 0)


def socialise_by_profit(loss: int, profit: Int64s, account: Int64s) -> Socialised:
    """By profit, and never more than it (Deribit: among the day's winners); exact.

    What exceeds all profits is uncovered. ``profit`` is signed: a loser bears nothing.
    """
    _check(loss, account, profit)
    capacity = np.maximum(profit, 0)
    ones = np.ones_like(capacity)
    borne = share_by_weight(integers(capacity), capacity, ones, account, loss)
    return Socialised(borne, loss - sum_exact(borne), 0)


def pay_winners(wins: Int64s, collected: int, account: Int64s) -> Int64s:
    """What winners get of ``collected`` <= their sum: floors, the remainder to the last account.

    Vega's rounding, where a mark-to-market collects less than it owes. Wins are >= 0; the sum is
    ``collected``, exact. Raises InputError where more is collected than is owed.
    """
    _check(collected, account, wins)
    expected = sum_exact(wins)
    if collected > expected or np.any(wins < 0):
        raise InputError("socialised loss", "more is collected than won", "return the rest")
    if expected == 0:
        return np.zeros_like(wins)
    paid = to_int64(integers(wins) * collected // expected, "socialised loss")
    winners = np.flatnonzero(wins > 0)
    paid[winners[np.argmax(account[winners])]] += collected - sum_exact(paid)
    return paid


def funding_step(loss: int, long: int, short: int, precision: int, quantum: int) -> IndexStep:
    """The step of the funding indices by which both sides together pay a loss >= 0.

    ceil(loss * precision / (|long| + |short|)) * quantum, in 1 / (precision * quantum) of the
    loss's unit per unit held. Drift: precision 1e9, quantum 1e3. Raises InputError where a loss
    meets no open interest.
    """
    open_interest = abs(long) + abs(short)
    if loss < 0 or precision < 1 or quantum < 1 or (loss and not open_interest):
        raise InputError("socialised loss", "no open interest can pay it", "book it as bad debt")
    per_unit = -(-loss * precision // open_interest) if loss else 0
    return IndexStep(per_unit * quantum, precision * quantum)


def deposit_step(loss: int, deposits: int, index: int) -> IndexStep:
    """How far a deposit index falls so that depositors together bear a loss >= 0.

    ``deposits`` are the units deposited at ``index`` (Drift: ceil of interest * loss / deposits;
    Mango: loss / indexed deposits). Raises InputError where the loss exceeds the deposits: an
    index cannot fall below 0.
    """
    if not 0 <= loss <= deposits or index < 1:
        raise InputError("socialised loss", "exceeds the deposits", "book the rest as bad debt")
    return IndexStep(-(-loss * index // deposits) if deposits else 0, index)


def charge_index(move: IndexStep, held: Int64s, loss: int) -> Socialised:
    """What holders pay when an index moves, each rounded up; ``held`` counts with either sign.

    The surplus is what rounding collects beyond the loss: below 1 unit per holder and, for the
    step itself, below sum(|held|) over the precision that ``funding_step`` was given. Raises
    InputError where the holdings pay less than the loss: the index was made for more of them.
    """
    size = abs(integers(held))
    borne = to_int64(-(-size * move.step // move.precision), "socialised loss")
    surplus = sum_exact(borne) - loss
    if surplus < 0:
        problem = "the index was made for more than is held"
        raise InputError("socialised loss", problem, "give every holder")
    return Socialised(borne, 0, surplus)


def haircut_withdrawals(bad_debt: int, claims: int, withdrawal: Int64s) -> Int64s:
    """What is withheld from withdrawals >= 0 while bad debt is open, rounded up.

    The share bad debt / claims, both >= 0 and claims being what all accounts own, the bad debt not
    taken off: if all withdraw, the venue pays out exactly what it has. Paradex prints the formula
    as debt / (assets + debt), the same share, but a worked example with debt / assets.
    """
    if not 0 <= bad_debt <= claims or np.any(withdrawal < 0):
        raise InputError("withdrawals", "owe more than all claims", "claims include the debt")
    if claims == 0:
        return np.zeros_like(withdrawal)
    withheld = -(-integers(withdrawal) * bad_debt // claims)
    return to_int64(withheld, "withdrawals")


def _check(loss: int, account: Int64s, column: Int64s) -> None:
    if loss < 0 or column.shape != account.shape or column.dtype != np.int64:
        problem = "the amount is below 0, or columns do not fit"
        raise InputError("socialised loss", problem, "give whole amounts, one per account")
