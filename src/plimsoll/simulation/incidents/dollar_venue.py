"""A venue with one linear perpetual in dollars, and what its gate and its margin let through."""

from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.core import LedgerError, parse_time
from plimsoll.engine import GateRules, OutflowLimit, admit
from plimsoll.instruments import InstrumentTable
from plimsoll.market import SanityRules
from plimsoll.simulation.incidents.incident import Figure
from plimsoll.simulation.incidents.world import (
    ONE_SOURCE,
    Contract,
    World,
    assess_world,
    build_batch,
    list_contracts,
    market_at,
    pool_of,
    withdrawal,
)

DOLLAR = "USDC"
CENTS = 100
BELIEVING = SanityRules(age_ns_max=10**18, jump_max=100.0)
"""Prices are taken as the venues took them: every move is believed, none grows old."""


def list_dollar_perpetual(base: str, quantity_decimals: int = 4) -> InstrumentTable:
    """A table of one perpetual and the dollar, counted in millionths."""
    return list_contracts([Contract(symbol_of(base), 1.0, quantity_decimals)], {DOLLAR: 6})


def symbol_of(base: str) -> str:
    """The linear perpetual of a coin."""
    return f"{base}/{DOLLAR}:{DOLLAR}"


def said(base: str, price: float) -> dict[str, float]:
    """What one source says: mark and index of a coin, and the dollar at par."""
    return {symbol_of(base): price, base: price, DOLLAR: 1.0}


def seen(base: str, price: float) -> dict[str, dict[str, float]]:
    """The same of the one source that there is."""
    return {ONE_SOURCE[0]: said(base, price)}


def usd(name: str, value: float) -> Figure:
    """A figure in dollars."""
    return Figure(name, float(value), "USD")


def time_of(params: Mapping[str, Any], key: str) -> int:
    """A time of the params."""
    return parse_time(str(params[key]), key)


def venue_gates(
    withdrawal_share: float, *, counts_unrealised: bool, outflows: tuple[OutflowLimit, ...] = ()
) -> GateRules:
    """What a venue's withdrawals must leave behind; its markets are halted by hand alone."""
    return GateRules(
        withdrawal_share=withdrawal_share,
        counts_unrealised=counts_unrealised,
        outflows=outflows,
        halt_after_ns=None,
        mark_gap_max=None,
        reopen_stage_ns=0,
        reopen_sources=1,
    )


def largest(fits: Callable[[int], bool], wanted: int) -> int:
    """The largest whole number up to ``wanted`` that fits, where all below it fit, too; else 0.

    For a limit that a gate or a model holds without stating it.
    """
    if fits(wanted):
        return wanted
    low, high = 0, wanted
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def most_out(world: World, time_ns: int, account: str, wanted: float) -> float:
    """Dollars, to the cent, that the gate lets an account withdraw now, at most ``wanted``."""
    market = market_at(world, time_ns)

    def passes(cents: int) -> bool:
        moves = [withdrawal(account, DOLLAR, cents / CENTS)]
        batch = build_batch(world.book, time_ns, moves=moves)
        try:
            admit(world.book, market, batch, world.rules, world.state.gates)
        except LedgerError:
            return False
        return True

    return largest(passes, round(wanted * CENTS)) / CENTS


def equity_of(world: World, time_ns: int, account: str) -> float:
    """USD of an account at the prices seen last."""
    return float(assess_world(world, time_ns).equity[pool_of(world.book, account)])
