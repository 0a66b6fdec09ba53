"""Incidents in which a wrong price was believed: B11, B27 and B28.

Each is played on the board and the engine that run live. Without the control the board takes
what it is told; with it, the checks that a price must pass are on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plimsoll.book import digest_book
from plimsoll.core import Status, parse_time
from plimsoll.engine import Outcome
from plimsoll.market import Anchor, Reference, SanityRules, load_anchors
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    BAD_DEBT,
    MARKET,
    ONE_SOURCE,
    Contract,
    Deal,
    World,
    balance,
    choose_model,
    deposit,
    list_contracts,
    open_world,
    post,
    tick,
    withdrawal,
)

TRUSTING = SanityRules(jump_max=float("inf"), quorum=1, resume_quorum=1)
"""A board that believes whatever number it is given, as soon as it is given."""

VENUES = ("venue", "first other", "second other")
PERPETUAL = "PAXG/USD:USDC"
CONTROL_SOURCES = ("venue", "reference")


@dataclass(frozen=True, slots=True)
class _Coin:
    """Collateral of which ``units`` back a loan in USDT; prices are USD.

    ``redeemed`` is what it redeems for during the fall, ``later`` at midnight; ``low`` is its
    price on the venue, ``elsewhere`` on others.
    """

    name: str
    units: float
    redeemed: float
    later: float
    low: float
    elsewhere: float


def play_collateral(params: Mapping[str, Any], control: bool) -> Played:
    """Three loans on three collaterals through the 40 minutes; the loss is at midnight's prices."""
    start, low, end = (_time(params, name) for name in ("start", "low", "end"))
    anchors = load_anchors(start)
    coins = [_coin(params, anchor) for anchor in anchors if anchor.asset in params["coins"]]
    # Solvent at redemption value is a matter of that value alone: no band around it.
    firm = tuple(replace(anchor, band=0.0) for anchor in anchors)
    sanity = SanityRules(quorum=2, anchors=firm) if control else TRUSTING
    world = _open_loans(params, coins, sanity, VENUES if control else ONE_SOURCE)
    fair = {coin.name: coin.redeemed for coin in coins}
    base = {name: pair[0] for name, pair in params["underlyings"].items() if name != "USD"}
    quiet = fair | base | {"USDT": 1.0}
    venue = quiet | {coin.name: coin.low for coin in coins}
    others = quiet | {coin.name: coin.elsewhere for coin in coins}
    world, before = tick(world, start, dict.fromkeys(world.board.sources, quiet))
    said = dict.fromkeys(world.board.sources, others) | {"venue": venue}
    world, fallen = tick(world, low, said)
    world, after = tick(world, end, dict.fromkeys(world.board.sources, quiet))
    midnight = {coin.name: coin.later for coin in coins} | {"USDT": 1.0}
    loss = sum(balance(world.book, MARKET, name) * price for name, price in midnight.items())
    solvent = before.found.status < Status.LIQUIDATABLE
    liquidated = np.concatenate([before.begun, fallen.begun, after.begun])
    marks = tuple(
        Figure(f"mark of {coin.name}", _index(fallen, coin.name), "USD") for coin in coins
    )
    told = (
        Figure("accounts liquidated", float(liquidated.size), "accounts"),
        Figure("lost by owners and lenders", loss, "USD"),
        Figure("of it by lenders", -balance(world.book, BAD_DEBT, "USDT"), "USD"),
    )
    moments = (
        Moment(start, f"three accounts at {params['uni_mmr']} times their maintenance margin"),
        Moment(low, "the venue's own order books run empty", marks),
        Moment(end, "prices are back", told),
    )
    return Played(moments, loss, float(np.count_nonzero(solvent[liquidated])))


def _coin(params: Mapping[str, Any], anchor: Anchor) -> _Coin:
    """One collateral; its amount is what was liquidated, at what it redeemed for."""
    said = params["coins"][anchor.asset]
    during, later = params["underlyings"][anchor.into]
    redeemed = anchor.rate * during
    return _Coin(
        name=anchor.asset,
        units=round(said["liquidated"] / redeemed, 2),
        redeemed=redeemed,
        later=anchor.rate * later,
        low=said["low"],
        elsewhere=said["elsewhere"] * redeemed,
    )


def _open_loans(
    params: Mapping[str, Any], coins: list[_Coin], sanity: SanityRules, sources: tuple[str, ...]
) -> World:
    """Per collateral an account that owes as much as leaves it the stated ratio."""
    start = _time(params, "start")
    names = [coin.name for coin in coins]
    decimals = dict.fromkeys(("ETH", "SOL", *names), 8) | {"USDT": 6, "USD": 6}
    rates = {name: [[0, params["collateral_rate"]]] for name in names}
    choice = choose_model("binance.portfolio", {"collateral_rates": rates})
    accounts = {f"loan on {name}": 0 for name in names}
    world = open_world(list_contracts((), decimals), (choice,), accounts, start, sanity, sources)
    margin = 1.0 + params["uni_mmr"] * params["loan_rate"]
    moves = []
    for coin in coins:
        loan = coin.units * coin.redeemed * params["collateral_rate"] / margin
        moves.append(deposit(f"loan on {coin.name}", coin.name, coin.units))
        moves.append(withdrawal(f"loan on {coin.name}", "USDT", round(loan, 2)))
    return post(world, start, moves=moves)


def play_zeroed(params: Mapping[str, Any], control: bool) -> Played:
    """Longs through a restart that publishes zeros, twice, and then prices again."""
    sources = CONTROL_SOURCES if control else ONE_SOURCE
    world = _open_longs(params, SanityRules() if control else TRUSTING, sources)
    if not control:
        # The board refuses what is not positive; this venue's did not ask.
        board = replace(world.board, may_be_negative=np.ones_like(world.board.may_be_negative))
        world = replace(world, state=replace(world.state, board=board))
    good = {PERPETUAL: params["price"], "PAXG": params["price"], "USDC": 1.0}
    zeros = {PERPETUAL: 0.0, "PAXG": 0.0, "USDC": 1.0}
    world, _ = tick(world, _time(params, "start"), dict.fromkeys(sources, good))
    saved = world
    said = [("restart", dict.fromkeys(sources, zeros)), ("again", dict.fromkeys(sources, zeros)),
            ("one_back", {"venue": good}), ("both_back", dict.fromkeys(sources, good))]  # fmt: skip
    moments = [Moment(_time(params, "start"), "a planned maintenance begins")]
    liquidated, begun_early = 0, 0
    for name, prices in said:
        world, outcome = tick(world, _time(params, name), prices)
        liquidated += outcome.begun.size
        if name != "both_back":
            begun_early += outcome.begun.size
        figures = (*_believed(outcome), _count(liquidated))
        moments.append(Moment(_time(params, name), outcome.market.describe(0), figures))
    names = world.book.account_ids
    lost = sum(balance(saved.book, n, "USDC") - balance(world.book, n, "USDC") for n in names)
    if liquidated:
        text = f"the chain is rolled back to the book {digest_book(saved.book)[:12]}"
        restored = Figure("restored", lost, "USD")
        moments.append(Moment(_time(params, "both_back"), text, (restored,)))
    return Played(tuple(moments), lost, float(begun_early))


def _open_longs(params: Mapping[str, Any], sanity: SanityRules, sources: tuple[str, ...]) -> World:
    start, count = _time(params, "start"), params["accounts"]
    table = list_contracts((Contract(PERPETUAL),), {"PAXG": 8, "USDC": 6, "USD": 6})
    choice = choose_model(
        "paradex.cross", {"initial_fractions": {"PAXG": params["initial_fraction"]}}
    )
    names = [f"account {k + 1}" for k in range(count)]
    world = open_world(table, (choice,), dict.fromkeys(names, 0), start, sanity, sources)
    margin = params["refunded"] / count
    size = round(margin * params["leverage"] / params["price"], 4)
    deals = [Deal(name, PERPETUAL, size, params["price"]) for name in names]
    return post(world, start, deals, [deposit(name, "USDC", margin) for name in names])


def _believed(outcome: Outcome) -> tuple[Figure, ...]:
    """The perpetual's mark, where there is one."""
    mark = float(outcome.market.mark[0])
    return (Figure("mark", mark, "USD"),) if np.isfinite(mark) else ()


def play_ratio(params: Mapping[str, Any], control: bool) -> Played:
    """Loans on cbETH before and after its feed gives a ratio."""
    sanity = _typed_prices(params) if control else TRUSTING
    world = _open_borrowers(params, sanity)
    quiet = {"cbETH": params["price"], "WETH": params["price"] / params["ratio"], "USDC": 1.0}
    wrong = quiet | {"cbETH": params["ratio"]}
    held = sum(balance(world.book, name, "cbETH") for name in world.book.account_ids)
    text = f"loans on {held:,.3f} cbETH"
    moments, liquidated = [Moment(_time(params, "start"), text)], 0
    world, _ = tick(world, _time(params, "start"), {"venue": quiet})
    for name in ("executed", "repeated", "detected"):
        world, outcome = tick(world, _time(params, name), {"venue": wrong})
        liquidated += outcome.begun.size
        row = world.book.instruments.assets.find("cbETH", "B28")
        seized = Figure("seized", balance(world.book, MARKET, "cbETH"), "cbETH")
        said = outcome.market.describe(len(world.book.instruments) + row)
        moments.append(Moment(_time(params, name), said, (_count(liquidated), seized)))
    loss = sum(balance(world.book, MARKET, name) * price for name, price in quiet.items())
    debts = sum(-balance(world.book, BAD_DEBT, name) * price for name, price in quiet.items())
    figures = (Figure("bad debt of the liquidated", debts, "USD"),)
    moments.append(Moment(_time(params, "detected"), "what is left", figures))
    return Played(tuple(moments), loss, float(liquidated))


def _typed_prices(params: Mapping[str, Any]) -> SanityRules:
    """What a cbETH is about worth in dollars, and what it redeems for."""
    return SanityRules(
        references=(Reference("cbETH", params["reference"], params["reference_factor"]),),
        anchors=(
            Anchor("cbETH", "WETH", params["ratio"], params["anchor_band"], params["anchor_pause"]),
        ),
    )


def _open_borrowers(params: Mapping[str, Any], sanity: SanityRules) -> World:
    """One account per asset owed; the collateral is shared out by debt."""
    start, threshold = _time(params, "start"), params["liquidation_threshold"]
    table = list_contracts((), {"cbETH": 8, "WETH": 8, "USDC": 6, "USD": 6})
    choice = choose_model(
        "aave.v2",
        {"loan_to_value": {"cbETH": threshold}, "liquidation_threshold": {"cbETH": threshold}},
    )
    weth = params["bad_debt_weth"]
    owed = {"WETH": weth, "USDC": params["bad_debt"] - params["bad_debt_cbeth"] - weth}
    price = {"WETH": params["price"] / params["ratio"], "USDC": 1.0}
    accounts = {f"borrower of {name}": 0 for name in owed}
    world = open_world(table, (choice,), accounts, start, sanity)
    moves = []
    for name, usd in owed.items():
        posted = params["collateral"] * usd / sum(owed.values())
        moves.append(deposit(f"borrower of {name}", "cbETH", round(posted, 6)))
        moves.append(withdrawal(f"borrower of {name}", name, round(usd / price[name], 6)))
    return post(world, start, moves=moves)


def _count(liquidated: int) -> Figure:
    return Figure("accounts liquidated", float(liquidated), "accounts")


def _index(outcome: Outcome, asset: str) -> float:
    """The index that the engine used; NaN where it used none."""
    market = outcome.market
    return float(market.index[market.instruments.assets.find(asset, "incident")])


def _time(params: Mapping[str, Any], name: str) -> int:
    return parse_time(params[name], f"params.{name}")
