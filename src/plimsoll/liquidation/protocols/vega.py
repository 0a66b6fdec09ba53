"""Vega: closing a position, in isolated margin and by the network, and sharing what winners lack.

Amounts are the protocol's integers, units of the settlement asset; sizes and prices in the market's
units. Floats leave out the rounding.

1. Mark to market moves size × (mark - last mark) between margin account and winners. What a loser
   cannot pay is taken from the insurance pool; what that lacks, winners go without: each gets his
   win × collected / expected, rounded down, the last (or the network) what remains.
2. An isolated position whose margin account is then below its maintenance margin (strictly) goes to
   the network at mark; what is left in the margin account is confiscated to the insurance pool.
3. The network sells what it holds in steps of time: a fraction, rounded up, or all of a small
   position, and never more than a part of what the order book offers within a range of the mid
   price. Closing is by whole positions, so no amount of this protocol is searched by health.

Source: vegaprotocol/specs, 0012-POSR (position resolution), 0002-STTL (mark to market), 0019-MCAL
(isolated margin); vegaprotocol/vega at commit a50750cc (2024-10-22).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.liquidation.sizing import smaller
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the network disposes of positions; fractions are in units of 1 / ``one``."""

    disposal_step_s: int
    disposal_fraction: Numbers
    whole_size: Numbers
    volume_fraction: Numbers
    price_range: Numbers
    one: Numbers


@dataclass(frozen=True, slots=True)
class MarkToMarket:
    """A margin account after a move: ``balance`` >= 0, and what it could not pay (>= 0)."""

    balance: Numbers
    unpaid: Numbers


@dataclass(frozen=True, slots=True)
class CloseOut:
    """Whether an isolated position goes to the network, and what the insurance pool then gets."""

    is_closed: bool
    size: Numbers
    to_insurance: Numbers
    balance: Numbers


def load_parameters(as_of_ns: int, market: str = "default") -> Parameters:
    """The parameters of a market in force at a time."""
    params = table_at(load_tables("plimsoll.liquidation.protocols", "vega"), as_of_ns).params
    if market not in params:
        raise InputError("market", f"no strategy of '{market}'", "state it, or take 'default'")
    return Parameters(**params[market])


def mark_to_market(size: Numbers, balance: Numbers, last: Numbers, mark: Numbers) -> MarkToMarket:
    """A margin account once a position (signed ``size``) has been marked (rule 1)."""
    after = balance + size * (mark - last)
    unpaid = choose(after < 0, -after, 0 * after)
    return MarkToMarket(after + unpaid, unpaid)


def isolated_close_out(size: Numbers, balance: Numbers, maintenance: Numbers) -> CloseOut:
    """What becomes of an isolated position whose margin account holds ``balance`` (rule 2).

    Orders and their margin are no part of it. Where it is closed its size is the network's.
    """
    is_closed = bool(balance < maintenance)
    lost = choose(is_closed, balance, 0 * balance)
    return CloseOut(is_closed, choose(is_closed, size, 0 * size), lost, balance - lost)


def insurance_payment(unpaid: Numbers, pool: Numbers) -> Numbers:
    """What the insurance pool pays of losses that margin accounts could not (rule 1)."""
    return smaller(unpaid, pool)


def shared_wins(
    arithmetic: Arithmetic, wins: Sequence[Numbers], collected: Numbers
) -> tuple[Numbers, ...]:
    """What winners (>= 0 each, in the protocol's order) get of what was collected (rule 1).

    All of it where it is less than they are due; the last gets what rounding leaves. Raises
    InputError where something is collected for nobody.
    """
    expected = sum(wins)
    if collected >= expected:
        return tuple(wins)
    if not expected > 0:
        raise InputError("wins", "nobody has won", "collect nothing")
    shares = [arithmetic.floor(win * collected, expected) for win in wins]
    return (*shares[:-1], collected - sum(shares[:-1]))


def disposal_size(
    arithmetic: Arithmetic, held: Numbers, offered: Numbers, parameters: Parameters
) -> Numbers:
    """What the network trades in one step of a position of ``held`` >= 0 (rule 3).

    ``offered`` is the volume on the other side within the price range. The part of it rounds down.
    """
    part = arithmetic.ceil(held * parameters.disposal_fraction, parameters.one)
    wanted = choose(held <= parameters.whole_size, held, part)
    most = arithmetic.floor(offered * parameters.volume_fraction, parameters.one)
    return smaller(wanted, most)
