"""B18: Deribit's portfolio-margin liquidator of September 2017, which closed hedges first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Any

from plimsoll.book import Book
from plimsoll.core import NS_PER_SECOND, Status, parse_time
from plimsoll.ledger import EventBatch, apply
from plimsoll.liquidation import Waterfall, load_waterfall
from plimsoll.liquidation.waterfall.stages import CloseOut, Throttle
from plimsoll.margin import assess
from plimsoll.market import Market, SanityRules
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    FUND,
    OUTSIDE,
    Contract,
    Deal,
    Move,
    World,
    assess_world,
    build_batch,
    choose_model,
    deposit,
    list_contracts,
    market_at,
    observe,
    open_world,
    pool_of,
    post,
    quantity,
    tick,
    with_waterfalls,
)

TRADER = "hedged"
CONTRACT_USD = 10.0
CALM = 1e-4
"""Nearer than this to where it was the far future's price has settled."""


@dataclass(frozen=True, slots=True)
class _State:
    """The world, and the far future's market.

    ``pressure`` is what was bought in it and not yet absorbed, contracts; ``rise`` the largest rise
    of the requirement by a forced close, BTC.
    """

    world: World
    pressure: float
    rise: float
    is_over: bool


def play_hedge_leg(params: Mapping[str, Any], control: bool) -> Played:
    """Second by second until the account stands, or nothing is left of it."""
    start = parse_time(params["started_at"], "B18.started_at")
    state = _State(_open(params, start, control), 0.0, 0.0, False)
    moments = [_moment(params, state, start, "a hedged account is short of margin")]
    told, at = set[str](), start
    # The engine has nothing to do between two windows of its pace; the loop acted all the time.
    every = params["look_s"] if control else 1
    tells = params["told_s"] if control else params["loop_told_s"]
    for second in range(every, params["seconds_max"] + 1, every):
        at = start + second * NS_PER_SECOND
        before = state
        state = _engine_second(params, state, at) if control else _loop_second(params, state, at)
        text = _text(params, before, state)
        is_new = bool(text) and text not in told
        if is_new or second % tells == 0 or state.is_over:
            moments.append(_moment(params, state, at, text or "the price settles"))
            told.add(text)
        if state.is_over:
            break
    bankrupt = max(-_equity(params, state.world, at), 0.0)
    return Played(tuple(moments), round(bankrupt, 8), round(state.rise, 8))


def _engine_second(params: Mapping[str, Any], state: _State, at: int) -> _State:
    """The engine under the venue's waterfall, at a mark that its own orders cannot push far."""
    price, collar = params["price"], params["collar"]
    far = min(_far_price(params, state.pressure), round(price * (1 + collar), 2))
    book, rise = state.world.book, state.rise
    world, outcome = tick(state.world, at, _quote(params, far))
    for batch in outcome.decisions:
        rise = max(rise, _rise(world, book, batch, outcome.market))
        book = apply(book, batch)
    bought = _held(params, world, "far") - _held(params, state.world, "far")
    stands = outcome.assessment.status[pool_of(book, TRADER)] < Status.LIQUIDATABLE
    calm = _far_price(params, state.pressure) < price * (1 + CALM) and not bought
    pressure = _absorbed(params, state.pressure, params["look_s"]) + bought
    return _State(world, pressure, rise, bool(stands and calm))


def _loop_second(params: Mapping[str, Any], state: _State, at: int) -> _State:
    """The old loop: so many contracts a second of the hedge, then of what it hedged.

    The mark is the last price, so each order makes the next one due.
    """
    world = observe(state.world, at, _quote(params, _far_price(params, state.pressure)))
    found = assess_world(world, at)
    leg = "near" if _held(params, world, "near") else "far"
    held = _held(params, world, leg)
    stands = found.status[pool_of(world.book, TRADER)] < Status.LIQUIDATABLE
    if stands or not held:
        return replace(state, world=world, is_over=True)
    size = min(params["contracts_per_step"] * params["steps_per_second"], abs(held))
    traded = -size if held > 0 else size
    pressure = _absorbed(params, state.pressure, 1) + (traded if leg == "far" else 0.0)
    price = _far_price(params, pressure) if leg == "far" else params["price"]
    deals = [Deal(TRADER, params[leg], traded, price)]
    batch = build_batch(world.book, at, deals)
    rise = max(state.rise, _rise(world, world.book, batch, market_at(world, at)))
    return _State(post(world, at, deals), pressure, rise, False)


def _held(params: Mapping[str, Any], world: World, leg: str) -> float:
    return quantity(world.book, TRADER, params[leg])


def _absorbed(params: Mapping[str, Any], pressure: float, seconds: int) -> float:
    """What is left of a push after some time."""
    left: float = pressure * exp(-seconds / params["recovery_s"])
    return left


def _rise(world: World, book: Book, batch: EventBatch, market: Market) -> float:
    """How much more maintenance margin a batch leaves, BTC at the same prices; below 0 is less."""
    pool, models = pool_of(book, TRADER), world.rules.models
    before = assess(book, market, models).maintenance_margin[pool]
    after = assess(apply(book, batch), market, models).maintenance_margin[pool]
    index = float(market.index[book.instruments.assets.find("BTC", "asset")])
    return (float(after) - float(before)) / index


def _far_price(params: Mapping[str, Any], pressure: float) -> float:
    """The far future's price under the push of so many contracts."""
    per_percent = params["far_depth_usd"] / CONTRACT_USD
    price: float = params["price"] * (1 + pressure / per_percent / 100)
    return round(price, 2)


def _text(params: Mapping[str, Any], before: _State, after: _State) -> str:
    """What a second did to the two legs."""
    near, far = (
        (_held(params, before.world, leg), _held(params, after.world, leg))
        for leg in ("near", "far")
    )
    if after.is_over:
        return "the account stands" if far[1] else "nothing is left to close"
    if near[0] != near[1]:
        return "both legs are made smaller" if far[0] != far[1] else "the hedge is closed"
    if far[0] != far[1]:
        return "the far future is bought whatever it costs"
    return ""


def _moment(params: Mapping[str, Any], state: _State, at: int, text: str) -> Moment:
    found = assess(state.world.book, market_at(state.world, at), state.world.rules.models)
    pool = pool_of(state.world.book, TRADER)
    figures = (
        Figure("equity", float(found.equity[pool]) / params["price"], "BTC"),
        Figure(
            "maintenance margin", float(found.maintenance_margin[pool]) / params["price"], "BTC"
        ),
        Figure("far future", _far_price(params, state.pressure), "USD"),
    )
    return Moment(at, text, figures)


def _equity(params: Mapping[str, Any], world: World, at: int) -> float:
    """Equity of the account in BTC, without the fund's part where it was taken over."""
    found = assess_world(world, at)
    return float(found.equity[pool_of(world.book, TRADER)]) / float(params["price"])


def _open(params: Mapping[str, Any], start: int, control: bool) -> World:
    """One account: long the near future, short the far one, with too little beside it."""
    model = choose_model("deribit.segregated_pm")
    contracts = [Contract(params[leg], CONTRACT_USD, 0, 2) for leg in ("near", "far")]
    table = list_contracts(contracts, {"BTC": 8, "USD": 2})
    sanity = SanityRules(jump_max=0.9)
    tables_at = parse_time(params["tables_at"], "B18.tables_at")
    world = open_world(
        table, (model,), {TRADER: 0}, start - 3 * NS_PER_SECOND, sanity, tables_at_ns=tables_at
    )
    if control:
        world = with_waterfalls(world, (_paced(params, tables_at),))
    size = params["hedge_usd"] / CONTRACT_USD
    deals = [
        Deal(TRADER, params["near"], size, params["price"]),
        Deal(TRADER, params["far"], -size, params["price"]),
    ]
    moves = [Move(OUTSIDE, FUND, "BTC", params["fund_btc"])]
    world = post(world, start - 2 * NS_PER_SECOND, deals, moves)
    world = observe(world, start - NS_PER_SECOND, _quote(params, params["price"]))
    needed = assess_world(world, start).maintenance_margin[pool_of(world.book, TRADER)]
    posted = round(float(needed) / params["price"] * params["equity_share"], 8)
    world = post(world, start - NS_PER_SECOND, moves=[deposit(TRADER, "BTC", posted)])
    return observe(world, start, _quote(params, params["price"]))


def _paced(params: Mapping[str, Any], as_of_ns: int) -> Waterfall:
    """The venue's waterfall, which closes by relief, with a pace and a price for forced orders."""
    preset = load_waterfall("deribit", as_of_ns)
    throttle = Throttle(
        window_s=params["recovery_s"],
        window_notional_max=params["far_depth_usd"] * params["collar"] * 100,
    )
    stages = tuple(
        replace(stage, throttle=throttle) if isinstance(stage, CloseOut) else stage
        for stage in preset.stages
    )
    return replace(
        preset,
        stages=stages,
        slippage_rate=params["collar"],
        liquidation_fee_rates=(("default", params["liquidation_fee_rate"]),),
    )


def _quote(params: Mapping[str, Any], far: float) -> dict[str, dict[str, float]]:
    price = params["price"]
    return {"venue": {params["near"]: price, params["far"]: far, "BTC": price}}
