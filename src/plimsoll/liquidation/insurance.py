"""What insurance funds may pay, what they earn, and when they call auto-deleveraging.

A fund backs one market or several. Each payment is bounded by what the fund holds above its
floor, by what it may pay for the market and by what it may pay in the event, so one market cannot
empty what others rely on. Amounts are integers in minor units of the fund's asset.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.core import Floats, InputError, Int32s, Int64s

MILLION = 10**6


@dataclass(frozen=True, slots=True)
class FundRules:
    """Which fund backs which market, and the bounds of its payments, all >= 0.

    ``fund`` [markets] numbers the fund of each market. ``market_cap`` [markets] and ``event_cap``
    [funds] bound what is paid in one event, ``floor`` [funds] is what a fund keeps (Drift leaves
    1 unit). ``fee_share_millionths`` [markets] of a liquidation fee goes to the fund, up to its
    ``target`` [funds]; the venue keeps the rest.
    """

    fund: Int64s
    market_cap: Int64s
    event_cap: Int64s
    floor: Int64s
    target: Int64s
    fee_share_millionths: Int64s


@dataclass(frozen=True, slots=True)
class Funds:
    """``balance`` [funds] >= 0; ``paid`` [markets], what this event has taken so far."""

    balance: Int64s
    paid: Int64s


@dataclass(frozen=True, slots=True)
class FundPayments:
    """The funds afterwards; by loss what they ``paid`` and what is ``uncovered``: the sum is it."""

    funds: Funds
    paid: Int64s
    uncovered: Int64s


@dataclass(frozen=True, slots=True)
class FundIncome:
    """The funds afterwards; by fee what went ``to_fund`` and ``to_venue``: the sum is the fee."""

    funds: Funds
    to_fund: Int64s
    to_venue: Int64s


def pay_losses(funds: Funds, rules: FundRules, market: Int64s, loss: Int64s) -> FundPayments:
    """Losses >= 0 in the order of their rows, each as far as its fund may pay."""
    check_rules(funds, rules)
    _check_rows(rules, market, loss)
    event = np.zeros_like(funds.balance)
    np.add.at(event, rules.fund, funds.paid)
    room = np.minimum(funds.balance - rules.floor, rules.event_cap - event)
    given = np.zeros_like(loss)
    pay_in_order(loss, market, rules.fund, rules.market_cap - funds.paid, room, given)
    balance, paid = funds.balance.copy(), funds.paid.copy()
    np.subtract.at(balance, rules.fund[market], given)
    np.add.at(paid, market, given)
    return FundPayments(Funds(balance, paid), given, loss - given)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def pay_in_order(
    loss: Int64s | Floats, market: Int32s | Int64s, fund: Int64s, market_room: Int64s | Floats,
    fund_room: Int64s | Floats, given: Int64s | Floats,
) -> None:  # fmt: skip
    """Write what each loss is given; uses the rooms of its market and of its market's fund up.

    A loss of no market, -1, is the first fund's. Amounts are all integers or all floats.
    """
    for k in range(loss.size):
        at = market[k]
        payer = fund[at] if at >= 0 else 0
        room = min(fund_room[payer], market_room[at]) if at >= 0 else fund_room[payer]
        amount = max(min(loss[k], room), 0)
        given[k] = amount
        fund_room[payer] -= amount
        if at >= 0:
            market_room[at] -= amount


def earn_fees(funds: Funds, rules: FundRules, market: Int64s, fee: Int64s) -> FundIncome:
    """Liquidation fees >= 0 in the order of their rows; shares round down, to the venue's gain."""
    check_rules(funds, rules)
    _check_rows(rules, market, fee)
    balance = funds.balance.tolist()
    kept = np.zeros(fee.size, dtype=np.int64)
    for row, (at, amount) in enumerate(zip(market.tolist(), fee.tolist(), strict=True)):
        fund = int(rules.fund[at])
        share = amount * int(rules.fee_share_millionths[at]) // MILLION
        kept[row] = max(min(share, int(rules.target[fund]) - balance[fund]), 0)
        balance[fund] += int(kept[row])
    after = Funds(np.array(balance, dtype=np.int64), funds.paid)
    return FundIncome(after, kept, fee - kept)


def end_event(funds: Funds) -> Funds:
    """The funds at the start of the next event: the caps are free again."""
    return Funds(funds.balance, np.zeros_like(funds.paid))


def takeover_room(balance: int, held_notional: int, limit_millionths: int) -> int:
    """Notional that a fund may still take over; what is beyond it is deleveraged.

    The limit is a share of the fund's balance (Binance, 2020 text: 100 %); all in one unit.
    """
    return max(balance * limit_millionths // MILLION - held_notional, 0)


def is_drawn_down(
    time_ns: Int64s, balance: Int64s, now_ns: int, window_ns: int, drawdown_millionths: int
) -> bool:
    """Whether a fund calls auto-deleveraging: far enough below its peak, or empty.

    The latest of the balances up to ``now_ns`` is compared with the largest since ``now_ns`` -
    ``window_ns``, the one in force when the window opens included; times rise. OKX and Bybit: 30 %
    below the peak of 8 hours; Bybit also at or below 0. Raises InputError without a balance.
    """
    known = np.flatnonzero(time_ns <= now_ns)
    if time_ns.shape != balance.shape or np.any(np.diff(time_ns) < 0) or known.size == 0:
        raise InputError("insurance fund", "its history is empty or out of order", "sort it")
    last = int(known[-1])
    opened = int(np.searchsorted(time_ns, now_ns - window_ns, side="right")) - 1
    peak = int(balance[max(opened, 0) : last + 1].max())
    now = int(balance[last])
    return now <= 0 or (peak - now) * MILLION >= peak * drawdown_millionths


def check_rules(funds: Funds, rules: FundRules) -> None:
    """Raises InputError unless the columns fit each other and nothing is below 0."""
    count, markets = funds.balance.size, funds.paid.size
    by_fund = (funds.balance, rules.event_cap, rules.floor, rules.target)
    by_market = (funds.paid, rules.fund, rules.market_cap, rules.fee_share_millionths)
    fits = all(c.shape == (count,) for c in by_fund) and all(
        c.shape == (markets,) for c in by_market
    )
    whole = all(c.dtype == np.int64 and not np.any(c < 0) for c in (*by_fund, *by_market))
    if not fits or not whole:
        problem = "columns do not fit, or an amount is below 0"
        raise InputError("insurance fund", problem, "give whole amounts, one per fund or market")
    if np.any(rules.fund >= count) or np.any(rules.fee_share_millionths > MILLION):
        problem = "a market names no fund, or a share exceeds the whole"
        raise InputError("insurance fund", problem, "mend the rules")


def _check_rows(rules: FundRules, market: Int64s, amount: Int64s) -> None:
    fits = market.shape == amount.shape and amount.dtype == np.int64
    inside = not np.any((market < 0) | (market >= rules.fund.size))
    if not fits or not inside or np.any(amount < 0):
        problem = "a row names no market, or its amount is below 0"
        raise InputError("insurance fund", problem, "give whole amounts of known markets")
