"""Prices pushed against a position that could not leave: JELLY and XPL on Hyperliquid."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from plimsoll.core import NS_PER_SECOND
from plimsoll.liquidation import load_waterfall
from plimsoll.liquidation.waterfall.stages import CloseOut
from plimsoll.market import AverageBand, SanityRules
from plimsoll.simulation.incidents.dollar_venue import (
    BELIEVING,
    DOLLAR,
    equity_of,
    list_dollar_perpetual,
    most_out,
    said,
    seen,
    symbol_of,
    time_of,
    usd,
    venue_gates,
)
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    ONE_SOURCE,
    Deal,
    World,
    balance,
    choose_model,
    deposit,
    open_world,
    post,
    quantity,
    tick,
    with_waterfalls,
    withdrawal,
)

BACKSTOP = "HLP"
"""The vault's account, by the name that the venue's waterfall knows."""


# JELLY, 26 March 2025


def _open_jelly(params: Mapping[str, Any], capital: float) -> World:
    """The short against two longs of the same owner; the vault has ``capital`` to lose."""
    start, entry, symbol = time_of(params, "opened"), params["entry"], symbol_of("JELLY")
    longs = [f"long{k}" for k in range(len(params["longs"]))]
    world = open_world(
        list_dollar_perpetual("JELLY", 0),
        (choose_model("hyperliquid.cross", {"tiers": {"JELLY": [[0, params["leverage"]]]}}),),
        dict.fromkeys(("short", BACKSTOP, *longs), 0),
        start,
        BELIEVING,
        gates=venue_gates(0.0, counts_unrealised=True),
    )
    size = round(params["notional"] / entry)
    parts = [round(size * part / sum(params["longs"])) for part in params["longs"][:-1]]
    parts.append(size - sum(parts))
    moves = [
        deposit("short", DOLLAR, params["margin"]),
        deposit(BACKSTOP, DOLLAR, capital),
        *(
            deposit(name, DOLLAR, notional)
            for name, notional in zip(longs, params["longs"], strict=True)
        ),
    ]
    deals = [
        Deal(name, symbol, part, entry, "short") for name, part in zip(longs, parts, strict=True)
    ]
    return post(world, start, deals, moves)


def play_jelly(params: Mapping[str, Any], control: bool) -> Played:
    """Margin drawn, price up, the short with the vault. The loss is the vault's at 0.037555.

    With the control the vault's liquidator has a capital of its own, and whoever holds the other
    side is closed once that is gone; what is bounded is its loss at the stress price, in its
    capital.
    """
    capital = params["vault"] * (params["cap_share"] if control else 1.0)
    world = _open_jelly(params, capital)
    when = time_of(params, "pulled")
    world, _ = tick(world, when, seen("JELLY", params["entry"]))
    out = most_out(world, when, "short", params["margin"])
    world = post(world, when, moves=[withdrawal("short", DOLLAR, out)])
    size = abs(quantity(world.book, "short", symbol_of("JELLY")))
    figures = (
        usd("drawn", out),
        usd("left", equity_of(world, when, "short")),
        Figure("short", size, "JELLY"),
        Figure("of the supply", size / params["supply"], "share"),
    )
    moments = [Moment(when, "the margin of the short is drawn", figures)]
    end = time_of(params, "end")
    path = (
        (time_of(params, "taken_over_at"), params["first_price"]),
        (end, params["settled_price"]),
        (end + 60 * NS_PER_SECOND, params["stress_price"]),
    )
    losses = []
    for when, price in path:
        world, outcome = tick(world, when, seen("JELLY", price))
        losses.append(capital - equity_of(world, when, BACKSTOP))
        held = abs(quantity(world.book, BACKSTOP, symbol_of("JELLY")))
        taken = Figure("vault's short", held, "JELLY")
        closed = usd("closed against the longs", outcome.deleveraged)
        moments.append(
            Moment(when, f"JELLY at {price:g}", (usd("vault's loss", losses[-1]), taken, closed))
        )
    return Played(tuple(moments), losses[1], max(losses) / capital)


# XPL before its launch, 26 August 2025


def xpl_sanity(params: Mapping[str, Any], band: float | None, external: bool) -> SanityRules:
    """Rules of the mark: among other venues' prices, and within a factor of its own average."""
    span = int(params["ema_s"]) * NS_PER_SECOND
    bands = () if band is None else (AverageBand(symbol_of("XPL"), span, band),)
    return replace(BELIEVING, quorum=2 if external else 1, bands=bands)


def _open_xpl(params: Mapping[str, Any], sanity: SanityRules, sources: tuple[str, ...]) -> World:
    """Longs against shorts, all at the highest leverage, each margin by itself.

    The order book has been swept, so nothing is closed in it: that stage is left out.
    """
    start, entry = time_of(params, "start"), params["price"]
    longs, shorts = _names("long", params), _names("short", params)
    world = open_world(
        list_dollar_perpetual("XPL", 0),
        (choose_model("hyperliquid.cross", {"tiers": {"XPL": [[0, params["leverage"]]]}}),),
        dict.fromkeys((*longs, *shorts), 0),
        start,
        sanity,
        sources,
    )
    venue = load_waterfall("hyperliquid", start)
    stages = tuple(stage for stage in venue.stages if not isinstance(stage, CloseOut))
    closed = params["open_interest"] - params["open_interest_left"]
    size = round(closed / entry / (len(longs) * len(shorts)))
    margin = size * entry / params["leverage"]
    moves = [deposit(name, DOLLAR, round(margin * len(shorts), 2)) for name in longs]
    moves += [deposit(name, DOLLAR, round(margin * len(longs), 2)) for name in shorts]
    deals = [Deal(long, symbol_of("XPL"), size, entry, short) for long in longs for short in shorts]
    return post(with_waterfalls(world, (replace(venue, stages=stages),)), start, deals, moves)


def _names(kind: str, params: Mapping[str, Any]) -> list[str]:
    return [f"{kind}{k}" for k in range(params[f"{kind}s"])]


def run_squeeze(
    params: Mapping[str, Any], sanity: SanityRules, sources: tuple[str, ...]
) -> tuple[list[Moment], float]:
    """The push, step by step, and what shorts lost of their margin by being closed, USD.

    The first of the sources is the venue's own book, the others stay where other venues were.
    """
    world, shorts = _open_xpl(params, sanity, sources), _names("short", params)
    posted = sum(balance(world.book, name, DOLLAR) for name in shorts)
    rise, moments, forced = params["price_peak"] - params["price"], [], 0.0
    for step in range(params["steps"] + 1):
        when = time_of(params, "start") + step * params["step_s"] * NS_PER_SECOND
        price = round(params["price"] + rise * step / params["steps"], 8)
        others = {name: said("XPL", params["external"]) for name in sources[1:]}
        world, outcome = tick(world, when, {sources[0]: said("XPL", price), **others})
        closed = float(outcome.closed_notional.sum())
        forced += closed
        if step in (0, params["steps"]) or closed > 0:
            held = sum(abs(quantity(world.book, name, symbol_of("XPL"))) for name in shorts)
            mark = usd("mark", float(outcome.market.mark[0]))
            figures = (mark, Figure("shorts", held, "XPL"), usd("closed by force", forced))
            moments.append(Moment(when, f"the venue's own book at {price:g}", figures))
    return moments, posted - sum(balance(world.book, name, DOLLAR) for name in shorts)


def play_xpl(params: Mapping[str, Any], control: bool) -> Played:
    """The venue's own book as its mark, or one among others and within a band.

    The loss is what shorts lost by being closed; with the control what is bounded is the most that
    they lose under either half of it alone.
    """
    if not control:
        moments, lost = run_squeeze(params, BELIEVING, ONE_SOURCE)
        return Played(tuple(moments), lost, lost)
    sources, band = (ONE_SOURCE[0], *params["elsewhere"]), params["band"]
    moments, lost = run_squeeze(params, xpl_sanity(params, band, external=True), sources)
    among = run_squeeze(params, xpl_sanity(params, None, external=True), sources)[1]
    banded = run_squeeze(params, xpl_sanity(params, band, external=False), ONE_SOURCE)[1]
    wide = xpl_sanity(params, params["later_cap"], external=False)
    later = run_squeeze(params, wide, ONE_SOURCE)[1]
    figures = (
        usd("other venues' prices", among),
        usd(f"within {band:g} times the average", banded),
        usd(f"within {params['later_cap']:g} times the average", later),
    )
    moments.append(Moment(moments[-1].time_ns, "what shorts lose under one of them alone", figures))
    return Played(tuple(moments), lost, max(lost, among, banded))
