"""B13: the halt of dYdX Chain on 10 October 2025, and its restart on old prices."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from plimsoll.book import Book, MarketPhase, SystemPool
from plimsoll.core import NS_PER_SECOND, Status, parse_time
from plimsoll.ledger import EventBatch, PhaseChanges, apply
from plimsoll.market import SanityRules
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    FUND,
    OUTSIDE,
    Contract,
    Deal,
    Move,
    World,
    assess_world,
    balance,
    build_batch,
    choose_model,
    deposit,
    list_contracts,
    observe,
    open_world,
    pool_of,
    post,
    post_batch,
    tick,
)

ISOLATED, MAIN = "ISO/USDC:USDC", "BTC/USDC:USDC"
HOUR_NS = 3600 * NS_PER_SECOND


def play_halt(params: Mapping[str, Any], control: bool) -> Played:
    """The isolated market's last trade, then the restart on the prices of before."""
    moments, deepest = _play_market(params, control)
    restarted, lost = _play_restart(params, control)
    return Played((*moments, *restarted), lost, abs(deepest))


def _play_market(params: Mapping[str, Any], control: bool) -> tuple[list[Moment], float]:
    """One account is a whole side of a market that gaps past its bankruptcy; the lowest balance."""
    at = parse_time(params["halted_at"], "B13.halted_at")
    opened = params["isolated_open"]
    gap = round(opened * (1 - params["isolated_gap"]), 8)
    world = _open_market(params, at - 2 * NS_PER_SECOND)
    world, _ = tick(world, at - NS_PER_SECOND, _quote(ISOLATED, opened))
    before = world.book
    if control:
        world, outcome = tick(world, at, _quote(ISOLATED, gap))
        batches: Iterable[EventBatch] = outcome.decisions
    else:
        world = observe(world, at, _quote(ISOLATED, gap))
        batches = _separate_steps(params, world, at, gap)
    moments = [
        Moment(
            at - NS_PER_SECOND,
            "one account is the whole long side of an isolated market",
            (Figure("fund", balance(before, FUND, "USDC"), "USD"),),
        )
    ]
    book, deepest = before, 0.0
    for number, batch in enumerate(batches, 1):
        book = apply(book, batch)
        lowest = _lowest(book)
        deepest = min(deepest, lowest)
        text = f"batch {number} is posted"
        if lowest < 0:
            text += "; a pool is below zero, the failsafe halts the chain"
        figures = (
            Figure("lowest balance", lowest, "USD"),
            Figure("fund", balance(book, FUND, "USDC"), "USD"),
        )
        moments.append(Moment(at, text, figures))
        if lowest < 0:
            break
    return moments, deepest


def _separate_steps(
    params: Mapping[str, Any], world: World, at: int, price: float
) -> list[EventBatch]:
    """What the chain did: the trade, then the collateral, then the fund, each by itself."""
    shorts = _shorts(params)
    part = params["isolated_contracts"] / len(shorts)
    deals = [Deal("long", ISOLATED, -part, price, other=name) for name in shorts]
    trade = build_batch(world.book, at, deals)
    owed = balance(apply(world.book, trade), "long", "USDC")
    paid = build_batch(world.book, at, moves=[Move(FUND, "long", "USDC", -owed)])
    return [trade, paid]


def _lowest(book: Book) -> float:
    """The lowest balance of a customer or the fund, in USDC; 0 where none is below it."""
    names = (FUND, *book.account_ids)
    return min(0.0, *(balance(book, name, "USDC") for name in names))


def _open_market(params: Mapping[str, Any], at: int) -> World:
    shorts, size = _shorts(params), params["isolated_contracts"]
    stake = size * params["isolated_open"]
    world = _open(params, ("long", *shorts), at, SanityRules(jump_max=0.9))
    part = size / len(shorts)
    moves = [
        Move(OUTSIDE, FUND, "USDC", params["isolated_fund_usd"]),
        deposit("long", "USDC", stake * params["isolated_margin"]),
        *(deposit(name, "USDC", stake) for name in shorts),
    ]
    deals = [Deal("long", ISOLATED, part, params["isolated_open"], other=name) for name in shorts]
    return post(world, at, deals, moves)


def _shorts(params: Mapping[str, Any]) -> list[str]:
    return [f"short-{k + 1}" for k in range(params["shorts"])]


def _play_restart(params: Mapping[str, Any], control: bool) -> tuple[list[Moment], float]:
    """A main market after the halt; what decisions on the old price cost at the true one, USD."""
    halted = parse_time(params["halted_at"], "B13.halted_at")
    resumed = halted + round(params["halt_hours"] * HOUR_NS)
    world = _open_claimants(params, halted, control)
    true = _quote(MAIN, params["bitcoin_resume"])
    owned = _equity(observe(world, resumed, true), resumed)
    world = _set_phase(world, resumed, MarketPhase.NORMAL)
    acted: set[int] = set()
    moments = []
    for block in range(params["stale_blocks"]):
        at = resumed + block * NS_PER_SECOND
        world, outcome = tick(world, at, {})
        acted.update(outcome.begun.tolist())
        if block % params["told_blocks"] == 0:
            lost = owned - _equity(observe(world, at, true), at)
            text = "on the prices of before the halt" if block else "the venue resumes"
            unknown = np.count_nonzero(outcome.found.status[len(SystemPool) :] == Status.UNKNOWN)
            moments.append(_restart_moment(at, text, len(acted), int(unknown), lost))
    end = resumed + params["stale_blocks"] * NS_PER_SECOND
    world, outcome = tick(world, end, true)
    acted.update(outcome.begun.tolist())
    lost = round(owned - _equity(world, end), 2)
    moments.append(_restart_moment(end, "the true price comes in", len(acted), 0, lost))
    return moments, lost


def _restart_moment(at: int, text: str, acted: int, unknown: int, lost: float) -> Moment:
    figures = (
        Figure("lost to old prices", lost, "USD"),
        Figure("liquidated", float(acted), "accounts"),
        Figure("not decided", float(unknown), "accounts"),
    )
    return Moment(at, text, figures)


def _open_claimants(params: Mapping[str, Any], halted: int, control: bool) -> World:
    """Longs in bitcoin that the venue's last price puts past the line; then everything stands."""
    names = [f"claimant-{k + 1:02d}" for k in range(params["claims"])]
    age_s = params["fresh_s"] if control else 24 * 3600.0
    sanity = SanityRules(age_ns_max=round(age_s * NS_PER_SECOND), jump_max=0.9)
    world = _open(params, names, halted - 2 * NS_PER_SECOND, sanity)
    price, size = params["bitcoin_before"], params["claimant_bitcoin"]
    low, high = params["claimant_margin_low"], params["claimant_margin_high"]
    rates = np.linspace(low, high, len(names)).tolist()
    moves = [
        deposit(name, "USDC", round(size * price * rate, 2))
        for name, rate in zip(names, rates, strict=True)
    ]
    deals = [Deal(name, MAIN, size, price) for name in names]
    world = post(world, halted - NS_PER_SECOND, deals, moves)
    world = observe(world, halted, _quote(MAIN, params["bitcoin_halt"]))
    return _set_phase(world, halted, MarketPhase.HALTED)


def _set_phase(world: World, at: int, phase: MarketPhase) -> World:
    count = len(world.book.instruments)
    changes = PhaseChanges(np.arange(count, dtype=np.int32), np.full(count, phase, dtype=np.int8))
    return post_batch(world, EventBatch(at, phases=changes))


def _equity(world: World, at: int) -> float:
    """Equity of all claimants at the usable prices, USD."""
    pools = [pool_of(world.book, name) for name in world.book.account_ids]
    return float(np.sum(assess_world(world, at).equity[pools]))


def _open(params: Mapping[str, Any], names: Iterable[str], at: int, sanity: SanityRules) -> World:
    """The venue's rules; the isolated market in the tier of that name, without caps."""
    tier = {
        "initial_margin_ppm": params["isolated_initial_ppm"],
        "maintenance_fraction_ppm": params["isolated_maintenance_fraction_ppm"],
        "open_interest_lower_cap": 0,
        "open_interest_upper_cap": 0,
    }
    model = choose_model(
        "dydx.v4",
        {
            "liquidity_tiers": {"Isolated": tier},
            "markets": {
                "ISO": {"liquidity_tier": "Isolated", "atomic_resolution": -6, "exponent": -6}
            },
        },
    )
    contracts = [Contract(ISOLATED, 1.0, 4, 6), Contract(MAIN, 1.0, 8, 2)]
    table = list_contracts(contracts, {"USDC": 6, "BTC": 8, "ISO": 6})
    return open_world(table, (model,), dict.fromkeys(names, 0), at, sanity)


def _quote(symbol: str, price: float) -> dict[str, dict[str, float]]:
    return {"venue": {symbol: price, symbol.partition("/")[0]: price, "USDC": 1.0}}
