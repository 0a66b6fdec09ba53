"""Profit that left before it was real: Drift v1, Mango, dYdX v3 and ETH on Hyperliquid.

In each an account made money that others had paid in out of profit that nobody had paid. What may
leave is asked of the engine's own gate (``engine.admit``), what may be bought of the margin model.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from plimsoll.book import ModelChoice, SystemPool
from plimsoll.core import NS_PER_SECOND, parse_time
from plimsoll.engine import GateRules, OutflowLimit, load_gates
from plimsoll.liquidation import load_waterfall
from plimsoll.margin import assess, load_models
from plimsoll.market import Market
from plimsoll.simulation.incidents.dollar_venue import (
    BELIEVING,
    DOLLAR,
    equity_of,
    largest,
    list_dollar_perpetual,
    most_out,
    seen,
    symbol_of,
    time_of,
    usd,
    venue_gates,
)
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    BAD_DEBT,
    FUND,
    OUTSIDE,
    Deal,
    World,
    balance,
    choose_model,
    deposit,
    market_at,
    observe,
    open_world,
    pool_of,
    post,
    quantity,
    tick,
    with_waterfalls,
    withdrawal,
)

MICRO = 10**6
QUANTITY_DECIMALS = 5
"""Of YFI: fine enough that rounding down a purchase does not show."""

# Mango, 11 October 2022


def _mango_choice(params: Mapping[str, Any], overall: float, stable_price: str) -> ModelChoice:
    """MNGO-PERP at a leverage; ``overall`` is the share of a profit that initial health counts."""
    step = 1 / params["leverage"]
    weights = {
        "initial_asset_weight": 1 - step,
        "initial_liability_weight": 1 + step,
        "maintenance_asset_weight": 1 - step / 2,
        "maintenance_liability_weight": 1 + step / 2,
        "initial_overall_weight": overall,
        "maintenance_overall_weight": 1.0,
    }
    return choose_model("mango.v4", {"stable_price": stable_price, "perps": {"MNGO": weights}})


def _open_mango(
    params: Mapping[str, Any], overall: float, stable_price: str, gates: GateRules
) -> World:
    start = time_of(params, "opened")
    world = open_world(
        list_dollar_perpetual("MNGO", 0),
        (_mango_choice(params, overall, stable_price),),
        dict.fromkeys(("long", "short", "depositors"), 0),
        start,
        BELIEVING,
        tables_at_ns=parse_time("2023-01-17", "mango.v4"),
        gates=gates,
    )
    paid = [deposit(name, DOLLAR, params["deposit"]) for name in ("long", "short")]
    paid.append(deposit("depositors", DOLLAR, params["treasury"]))
    deal = Deal("long", symbol_of("MNGO"), params["quantity"], params["entry"], other="short")
    world = post(world, start, [deal], paid)
    return observe(world, start, seen("MNGO", params["entry"]))


def _lent_at_peak(params: Mapping[str, Any], overall: float, gates: GateRules) -> float:
    """USD that a gate and a haircut would let out at the peak."""
    world, peak = _open_mango(params, overall, "oracle", gates), time_of(params, "peak")
    world = observe(world, peak, seen("MNGO", params["prices"][-1]))
    return most_out(world, peak, "long", 100 * params["treasury"])


def _lent_at_stable_price(params: Mapping[str, Any], gates: GateRules) -> float:
    """USD that profit counted in full, but at a price that follows slowly, would lend at the peak.

    The slow price is the highest that the protocol's own limit of growth allows by then.
    """
    world, peak = _open_mango(params, 1.0, "market", gates), time_of(params, "peak")
    seconds = (peak - time_of(params, "opened")) / NS_PER_SECOND
    slow = params["entry"] * (1 + params["stable_growth_per_s"]) ** seconds
    world = observe(world, peak, seen("MNGO", params["prices"][-1]))
    market = market_at(world, peak)
    coins = [slow if name == "MNGO" else 1.0 for name in world.book.instruments.assets.names]
    state = replace(market.state, stable_price=np.array([slow]), asset_stable_price=np.array(coins))
    found = assess(world.book, replace(market, state=state), world.rules.models)
    pool = pool_of(world.book, "long")
    return max(float(found.collateral_value[pool] - found.initial_margin[pool]), 0.0)


def play_mango(params: Mapping[str, Any], control: bool) -> Played:
    """Oracle up, loans out, oracle back. The loss is what the account then owes.

    The control is a haircut of all unrealised profit beside the house's gate; what is bounded is
    the most that any one of three controls alone would lend, in posted cash.
    """
    start, peak, end = (time_of(params, key) for key in ("opened", "peak", "end"))
    open_gates, house = venue_gates(0.0, counts_unrealised=True), load_gates(start)
    overall, gates = (0.0, house) if control else (1.0, open_gates)
    world = _open_mango(params, overall, "oracle", gates)
    size, entry = params["quantity"], params["entry"]
    figures = [
        usd("notional", size * entry),
        usd("market capitalisation", params["circulating"] * entry),
    ]
    moments = [Moment(start, "two accounts of one owner trade with each other", tuple(figures))]
    lent = most = 0.0
    count = len(params["prices"])
    for step, price in enumerate(params["prices"]):
        when = start + (peak - start) * (step + 1) // count
        world = observe(world, when, seen("MNGO", price))
        most = most_out(world, when, "long", 100 * params["treasury"])
        out = min(most, params["treasury"] - lent)
        world, lent = post(world, when, moves=[withdrawal("long", DOLLAR, out)]), lent + out
        paper = usd("paper profit", size * (price - entry))
        figures = [paper, usd("borrowable", most), usd("taken", lent)]
        moments.append(Moment(when, f"the oracle shows {price:g}", tuple(figures)))
    alone = {
        "the haircut alone": _lent_at_peak(params, 0.0, open_gates),
        "the gate alone": _lent_at_peak(params, 1.0, house),
        "a stable price alone": _lent_at_stable_price(params, open_gates),
    }
    if control:
        figures = [usd(name, value) for name, value in alone.items()]
        moments.append(Moment(peak, "what one control alone would lend", tuple(figures)))
        most = max(most, *alone.values())
    _, outcome = tick(world, end, seen("MNGO", params["price_after"]))
    owed = max(-float(outcome.found.equity[pool_of(world.book, "long")]), 0.0)
    text = f"the oracle is back at {params['price_after']:g}"
    moments.append(Moment(end, text, (usd("owed without collateral", owed),)))
    return Played(tuple(moments), owed, most / params["deposit"])


# Hyperliquid, ETH, 12 March 2025


def _open_whale(params: Mapping[str, Any], control: bool, peak: float) -> World:
    """The position with its profit; the control is the venue's own tables of some weeks later."""
    start = time_of(params, "opened")
    share = params["transfer_floor"] if control else 0.0
    world = open_world(
        list_dollar_perpetual("ETH"),
        (choose_model("hyperliquid.cross"),),
        {"whale": 0, "HLP": 0},
        start,
        BELIEVING,
        tables_at_ns=time_of(params, "rules_after") if control else start,
        gates=venue_gates(share, counts_unrealised=True),
    )
    entry = round(peak - params["profit"] / params["quantity"], 8)
    paid = [deposit("whale", DOLLAR, params["deposit"]), deposit("HLP", DOLLAR, params["vault"])]
    return post(world, start, [Deal("whale", symbol_of("ETH"), params["quantity"], entry)], paid)


def play_whale(params: Mapping[str, Any], control: bool) -> Played:
    """Profit drawn to the edge, the rest left to the vault. The loss is the vault's.

    Without the control it is measured at the price of ``end``, when the vault held the position;
    with it the path goes on to the day's low, and what is bounded is the vault's worst.
    """
    symbol, peak = symbol_of("ETH"), params["value"] / params["quantity"]
    when, end = time_of(params, "withdrawn_at"), time_of(params, "end")
    closing = Deal("whale", symbol, -params["closed"], round(peak, 8))
    world, _ = tick(_open_whale(params, control, peak), when, seen("ETH", peak), deals=[closing])
    out = most_out(world, when, "whale", params["withdrawn"])
    world = post(world, when, moves=[withdrawal("whale", DOLLAR, out)])
    notional = quantity(world.book, "whale", symbol) * peak
    left = usd("left", equity_of(world, when, "whale"))
    figures = [usd("withdrawn", out), left, usd("notional", notional)]
    moments = [Moment(when, f"at {peak:,.2f} profit is drawn", tuple(figures))]
    step = int(params["later_step_s"]) * NS_PER_SECOND
    path = [
        (time_of(params, "taken_over_at"), params["takeover_price"]),
        (end, params["price_after"]),
    ]
    if control:
        path += [(end + (k + 1) * step, price) for k, price in enumerate(params["later"])]
    losses = []
    for when, price in path:
        world, outcome = tick(world, when, seen("ETH", price))
        losses.append(params["vault"] - equity_of(world, when, "HLP"))
        forced = float(outcome.closed_notional.sum())
        if when <= end or forced > 0:
            held = Figure("position", quantity(world.book, "whale", symbol), "ETH")
            figures = [usd("vault's loss", losses[-1]), usd("closed by force", forced), held]
            moments.append(Moment(when, f"ether at {price:,.2f}", tuple(figures)))
    worst = max(losses) if control else losses[1]
    return Played(tuple(moments), losses[1], worst / notional)


# dYdX v3, YFI, 17 November 2023


def _yfi_choice(params: Mapping[str, Any], control: bool) -> ModelChoice:
    caps = ("open_interest_lower_cap", "open_interest_upper_cap")
    return choose_model(
        "dydx.v4",
        {
            "markets": {
                "YFI": {
                    "initial_margin_ppm": round(MICRO / params["leverage"]),
                    "maintenance_fraction_ppm": round(MICRO * params["maintenance_fraction"]),
                    "atomic_resolution": -10,
                    "exponent": -5,
                    **{cap: params[cap] * MICRO if control else 0 for cap in caps},
                }
            }
        },
    )


def _with_interest(world: World, time_ns: int) -> Market:
    """The market with the open interest that the wallets make up."""
    market, held = market_at(world, time_ns), world.book.positions
    longs = held.quantity[held.offsets[len(SystemPool)] :].sum()
    contracts = np.array([float(longs)]) * world.book.instruments.quantity_unit
    return replace(market, state=replace(market.state, open_interest=contracts))


def _buy(world: World, time_ns: int, price: float, wallets: tuple[str, ...]) -> World:
    """Every wallet buys as much as initial margin allows when all do the same."""
    symbol, unit = symbol_of("YFI"), 10.0**-QUANTITY_DECIMALS
    pools = [pool_of(world.book, name) for name in wallets]

    def after(units: int) -> World:
        deals = [
            Deal(name, symbol, round(units * unit, QUANTITY_DECIMALS), price) for name in wallets
        ]
        return post(world, time_ns, deals)

    def fits(units: int) -> bool:
        bought = after(units)
        found = assess(bought.book, _with_interest(bought, time_ns), bought.rules.models)
        return bool(np.all(found.collateral_value[pools] >= found.initial_margin[pools]))

    # No model lends a hundred times what there is.
    most = largest(fits, int(100 * equity_of(world, time_ns, wallets[0]) / price / unit))
    return after(most) if most else world


def rounds_of(params: Mapping[str, Any]) -> tuple[list[float], float]:
    """Prices at which profit is reinvested, and what the wallets must have posted in all.

    At each the wallets are brought back to their leverage L, so equity grows by 1 + L (p'/p - 1).
    """
    count, peak = params["rounds"], params["price_peak"]
    low = peak / (1 + params["rise"])
    prices = [round(float(p), 2) for p in np.geomspace(low, peak, count + 1)]
    growth = 1.0
    for before, after in pairwise(prices):
        growth *= 1 + params["leverage"] * (after / before - 1)
    return prices, params["liquidated"] / params["leverage"] / growth


def _most_lacking(params: Mapping[str, Any]) -> float:
    """USD that wallets at the lower cap and full leverage lack after the fall, closing included.

    Past the lower cap the requirement outgrows the position: the dearest place is the cap.
    """
    left = params["price_low"] / params["price_peak"]
    closing = left * load_waterfall("dydx", time_of(params, "peak")).slippage_rate
    most: float = params["open_interest_lower_cap"] * (1 - left - 1 / params["leverage"] + closing)
    return most


def play_pyramid(params: Mapping[str, Any], control: bool) -> Played:
    """Profit reinvested in linked wallets, then the fall. The loss is the insurance fund's.

    What is bounded is that loss, in the most that wallets at the lower cap can lack.
    """
    prices, posted = rounds_of(params)
    wallets = tuple(f"wallet{k}" for k in range(params["wallets"]))
    start, peak, end = (time_of(params, key) for key in ("start", "peak", "end"))
    table = list_dollar_perpetual("YFI", QUANTITY_DECIMALS)
    choice = _yfi_choice(params, control)
    world = open_world(table, (choice,), dict.fromkeys(wallets, 0), start, BELIEVING)
    each = round(posted * params["posted_factor"] / len(wallets), 2)
    paid = [deposit(name, DOLLAR, each) for name in wallets]
    world = post(world, start, moves=[*paid, deposit(FUND, DOLLAR, params["fund"])])
    moments = []
    for step, price in enumerate(prices):
        when = start + (peak - start) * step // (len(prices) - 1)
        world = _buy(observe(world, when, seen("YFI", price)), when, price, wallets)
        held = sum(quantity(world.book, name, symbol_of("YFI")) for name in wallets)
        owned = equity_of(world, when, wallets[0]) * len(wallets)
        figures = (usd("positions", held * price), usd("equity", owned))
        moments.append(Moment(when, f"YFI at {price:,.0f}", figures))
    # Maintenance margin knows no open interest, so the fall is judged without the caps.
    plain = load_models(table, (_yfi_choice(params, control=False),), start)
    world = replace(world, rules=replace(world.rules, models=plain))
    world, outcome = tick(world, end, seen("YFI", params["price_low"]))
    lost = (
        params["fund"] - balance(world.book, FUND, DOLLAR) - balance(world.book, BAD_DEBT, DOLLAR)
    )
    bankrupt = Figure("taken over", float(outcome.taken_over.size), "accounts")
    text = f"YFI at {params['price_low']:,.0f}"
    moments.append(Moment(end, text, (usd("fund's loss", lost), bankrupt)))
    return Played(tuple(moments), lost, lost / _most_lacking(params))


# Drift v1, 11 May 2022


def _open_drift(params: Mapping[str, Any], control: bool, size: float) -> World:
    """Winners short against losers, at the price before."""
    start, symbol, before = time_of(params, "start"), symbol_of("LUNA"), params["price_before"]
    perps = {
        "initial_margin_ratio": params["initial_margin_ratio"],
        "maintenance_margin_ratio": params["maintenance_margin_ratio"],
        "imf_factor": 0,
        "unrealized_pnl_initial_asset_weight": 1,
        "unrealized_pnl_maintenance_asset_weight": 1,
        "unrealized_pnl_imf_factor": 0,
        "unrealized_pnl_max_imbalance": 0,
        "high_leverage_initial_margin_ratio": 0,
        "high_leverage_maintenance_margin_ratio": 0,
    }
    # The gate alone is to say what of a profit may leave.
    choice = choose_model(
        "drift.v2", {"strict": False, "initial_profit_cap": 1e9, "perps": {"LUNA": perps}}
    )
    window = int(params["outflow_window_s"]) * NS_PER_SECOND
    breaker = (OutflowLimit(window, params["outflow_share_max"], 0.0),) if control else ()
    world = open_world(
        list_dollar_perpetual("LUNA"),
        (choice,),
        {"winners": 0, "losers": 0},
        start,
        BELIEVING,
        tables_at_ns=parse_time("2023-11-24", "drift.v2"),
        gates=venue_gates(0.0, counts_unrealised=not control, outflows=breaker),
    )
    house = replace(load_waterfall("house", start), reserve_asset=DOLLAR)
    share = params["winners_share"]
    paid = [
        deposit("winners", DOLLAR, share * params["vault"]),
        deposit("losers", DOLLAR, (1 - share) * params["vault"]),
    ]
    deals = [Deal("winners", symbol, -size, before), Deal("losers", symbol, size, before)]
    world = post(with_waterfalls(world, (house,)), start, deals, paid)
    return observe(world, start, seen("LUNA", before))


def play_settlement(params: Mapping[str, Any], control: bool) -> Played:
    """Winners leave before losers have settled. The loss is what the vault then lacks.

    With the control a gain is unrealised until a loser has paid it, does not leave before, and
    the vault lets out no more than a share in a window.
    """
    start, end, after = time_of(params, "start"), time_of(params, "end"), params["price_after"]
    # All that was owed before anyone left, less what winners had posted, is what they had won.
    won = params["claims_left"] + params["withdrawn"] - params["winners_share"] * params["vault"]
    size = round(won / (params["price_before"] - after), 4)
    fallen = start + NS_PER_SECOND
    world = observe(_open_drift(params, control, size), fallen, seen("LUNA", after))
    if not control:
        # The protocol credited a winner's gain at once, whoever was to pay for it.
        world = post(world, fallen, [Deal("winners", symbol_of("LUNA"), size, after)])
    out = most_out(world, fallen, "winners", params["withdrawn"])
    world = post(world, fallen, moves=[withdrawal("winners", DOLLAR, out)])
    held = usd("vault", -balance(world.book, OUTSIDE, DOLLAR))
    moments = [
        Moment(start, f"LUNA at {params['price_before']:g}", (usd("vault", params["vault"]),)),
        Moment(
            fallen,
            f"LUNA at {after:g}, winners leave",
            (usd("won and lost", won), usd("withdrawn", out), held),
        ),
    ]
    world, outcome = tick(world, end, seen("LUNA", after))
    left = -balance(world.book, OUTSIDE, DOLLAR)
    owed = sum(balance(world.book, name, DOLLAR) for name in ("winners", "losers"))
    lack = max(owed - left, 0.0)
    closed = usd("closed against winners", outcome.deleveraged)
    figures = (usd("owed", owed), usd("vault", left), usd("shortfall", lack), closed)
    moments.append(Moment(end, "losers are settled", figures))
    return Played(tuple(moments), lack, lack)
