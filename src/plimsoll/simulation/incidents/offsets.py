"""B34: a clearing house's offset between two products breaks, and its layers pay.

Everything is in euro: the model's unit of account stands for it. The house's portfolio model
margins the member; without the control its offset is what gives the venue's own figure for the
spread, and no size is too large.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np

from plimsoll.core import parse_time
from plimsoll.liquidation.layers import Layer, absorb_loss, build_layers, load_layer_order
from plimsoll.market import SanityRules
from plimsoll.simulation.incidents.incident import Figure, Moment, Played
from plimsoll.simulation.incidents.world import (
    BAD_DEBT,
    FUND,
    Contract,
    Deal,
    World,
    assess_world,
    balance,
    choose_model,
    deposit,
    list_contracts,
    open_world,
    pool_of,
    post,
    tick,
)

NORDIC, GERMAN = "NORDIC/EUR:EUR-181228", "GERMAN/EUR:EUR-181228"
MEMBER = "member"


@dataclass(frozen=True, slots=True)
class _Ranges:
    """EUR per MWh: what one leg may move, and the share of both legs' losses that is offset."""

    leg: float
    offset: float


def play_offset(params: Mapping[str, Any], control: bool) -> Played:
    """The member meets his margin, then both legs move against him by half the spread's move."""
    start, end = (parse_time(params[name], f"params.{name}") for name in ("start", "end"))
    world, margin = _open_member(params, control, control)
    asked = [Figure("margin", margin, "EUR"), _per_mwh(params, "margin per MWh", margin)]
    if control:
        capped = _open_member(params, control, False)[1]
        asked.append(_per_mwh(params, "under the cap alone", capped))
    half = params["move"] / 2
    before = _prices(params["nordic"], params["german"])
    after = _prices(params["nordic"] - half, params["german"] + half)
    world, _ = tick(world, start, {"venue": before})
    world, outcome = tick(world, end, {"venue": after})
    fund = balance(world.book, FUND, "EUR")
    # Fees that closing has earned are no gain of the layers.
    taken = max(params["own_capital"] - fund - balance(world.book, BAD_DEBT, "EUR"), 0.0)
    moments = (
        Moment(start, "the member meets his margin", tuple(asked)),
        Moment(
            end,
            f"the spread widens by {params['move']}",
            (
                Figure("loss of the member", params["move"] * params["quantity"], "EUR"),
                Figure("pools taken over", float(outcome.taken_over.size), "pools"),
                *_by_layer(params, start, "", taken),
            ),
        ),
        Moment(
            end,
            "the published loss through the same layers",
            _by_layer(params, start, "published: ", params["lost"]),
        ),
    )
    return Played(moments, taken, taken)


def _ranges(params: Mapping[str, Any], is_capped: bool) -> _Ranges:
    """The offset that leaves the spread's margin, or where that is capped what the rules allow."""
    spread = params["model_move"]
    leg = spread / sqrt(2.0 * (1.0 - params["correlation"]))
    offset = 1.0 - spread / (2.0 * leg)
    return _Ranges(leg, offset * params["offset_reduction_max"] if is_capped else offset)


def _per_mwh(params: Mapping[str, Any], name: str, margin: float) -> Figure:
    return Figure(name, margin / params["quantity"], "EUR per MWh")


def _open_member(
    params: Mapping[str, Any], is_capped: bool, is_concentrated: bool
) -> tuple[World, float]:
    """The venue with its own capital, and the member with his position and what that asks."""
    start = parse_time(params["start"], "params.start")
    contracts = (Contract(NORDIC, 1.0, 0, 4), Contract(GERMAN, 1.0, 0, 4))
    table = list_contracts(contracts, {"EUR": 2, "NORDIC": 2, "GERMAN": 2, "USD": 2})
    choice = choose_model("plimsoll.portfolio", _overrides(params, is_capped, is_concentrated))
    world = open_world(table, (choice,), {MEMBER: 0}, start, SanityRules())
    world, _ = tick(world, start, {"venue": _prices(params["nordic"], params["german"])})
    deals = (
        Deal(MEMBER, NORDIC, params["quantity"], params["nordic"]),
        Deal(MEMBER, GERMAN, -params["quantity"], params["german"]),
    )
    world = post(world, start, deals, (deposit(FUND, "EUR", params["own_capital"]),))
    required = assess_world(world, start).maintenance_margin[pool_of(world.book, MEMBER)]
    margin = ceil(required * 100.0) / 100.0
    return post(world, start, moves=(deposit(MEMBER, "EUR", margin),)), margin


def _overrides(
    params: Mapping[str, Any], is_capped: bool, is_concentrated: bool
) -> dict[str, object]:
    """The house's portfolio model for two kinds of power: ranges, offset, time to close."""
    ranges = _ranges(params, is_capped)
    day = params["traded_year"] / params["trading_days"]
    family = {"bloc": "majors", "offset": ranges.offset, "alone": 0.0,
              "basis_min": 0.0, "basis_year": 0.0}  # fmt: skip
    underlyings = {}
    for name, price in (("NORDIC", params["nordic"]), ("GERMAN", params["german"])):
        volume = day * price if is_concentrated else params["volume_unlimited"]
        share = ranges.leg / price
        underlyings[name] = {
            "class": "power", "recent": share, "floor": share, "daily_volume": volume,
        }  # fmt: skip
    return {
        "initial_factor": 1.0,
        "range_buffer": 0.0,
        "participation": params["participation"],
        "fee_rate": 0.0,
        "classes": {"power": family},
        "underlyings": underlyings,
        "haircuts": {"EUR": [[0, 0.0]]},
        "depeg": {"EUR": [0.0, 0.0]},
    }


def _prices(nordic: float, german: float) -> dict[str, float]:
    """Marks of the two futures and indices of the underlyings, in EUR."""
    marks = {NORDIC: nordic, GERMAN: german}
    return marks | {"NORDIC": nordic, "GERMAN": german, "EUR": 1.0}


def _by_layer(
    params: Mapping[str, Any], time_ns: int, prefix: str, loss: float
) -> tuple[Figure, ...]:
    """A loss beyond margin through the layers that stand behind it, in whole cents."""
    layers = _layers(params, time_ns)
    used, uncovered = absorb_loss(round(loss * 100), layers)
    paid = [
        Figure(f"{prefix}{layer.name.replace('_', ' ')}", cents / 100, "EUR")
        for layer, cents in zip(layers, used, strict=True)
        if layer.capacity
    ]
    return (*paid, Figure(f"{prefix}uncovered", uncovered / 100, "EUR"))


def _layers(params: Mapping[str, Any], time_ns: int) -> tuple[Layer, ...]:
    """Behind the member's margin: the clearing house's capital, then the other members' fund."""
    names = ["own_capital", "default_fund"]
    capacity = np.array([params[name] * 100 for name in names], dtype=np.int64)
    return build_layers(load_layer_order("emir", time_ns), names, capacity)
