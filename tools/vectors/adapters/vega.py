"""Cases of Vega's own tests, in its integers."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np

from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.registry import model_tables
from plimsoll.margin.venues import vega_capped, vega_cross, vega_isolated
from plimsoll.margin.venues.vega_markets import (
    FRACTION_DIGITS,
    LEVEL_DIGITS,
    Orders,
    Terms,
    decimal_units,
    order_value,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

ONE = 10**FRACTION_DIGITS


def vega_cross_margin(case: Case) -> dict[str, int]:
    """Maintenance margin of a market and the levels scaled from it."""
    inputs = case.inputs
    names = ("open_volume", "buy_orders", "sell_orders")
    digits = _digits(inputs[name] for name in names)
    volume, buys, sells = (decimal_units(inputs[name], digits) for name in names)
    price, auction = int(inputs["mark_price"]), int(inputs.get("auction_price", 0))
    values = [
        order_value(
            size, decimal_units(inputs.get(f"{side}_sum_product", 0), digits), price, auction
        )
        for size, side in ((buys, "buy"), (sells, "sell"))
    ]
    funding = decimal_units(inputs.get("funding_per_unit", 0), FRACTION_DIGITS)
    held = vega_cross.Held(volume, buys, sells, values[0], values[1], funding)
    long, short, linear, quadratic = (
        decimal_units(inputs.get(name, 0), FRACTION_DIGITS)
        for name in ("rf_long", "rf_short", "linear_slippage", "quadratic_slippage")
    )
    per_contract = int(inputs.get("position_factor", 1)) * 10**digits
    terms = Terms(long, short, linear, quadratic, ONE, per_contract)
    maintenance = vega_cross.maintenance_lines(EXACT, held, price, terms).total
    stated = inputs.get("scaling_search_initial_release", _usual_factors())
    factors = [decimal_units(float(factor), LEVEL_DIGITS) for factor in stated]
    levels = [vega_cross.margin_level(EXACT, maintenance, factor) for factor in factors]
    return {
        "maintenance": maintenance,
        **dict(zip(("search", "initial", "release"), levels, strict=True)),
    }


def vega_order_margin(case: Case) -> dict[str, int]:
    """Order margin of a party in isolated mode."""
    inputs = case.inputs
    rows = [(side == "buy", int(size), int(price)) for side, size, price in inputs["orders"]]
    orders = Orders(
        np.zeros(len(rows), dtype=np.int64),
        np.array([is_buy for is_buy, _, _ in rows], dtype=np.bool_),
        EXACT.numbers([size for _, size, _ in rows]),
        EXACT.numbers([price for _, _, price in rows]),
    )
    position, auction = (
        EXACT.numbers([inputs.get(name, 0)]) for name in ("position", "auction_price")
    )
    (value,) = vega_isolated.opening_value(EXACT, orders, position, auction)
    factor, terms = _chosen(case)
    return {"order_margin": vega_isolated.margin_of(EXACT, value, factor, terms)}


def vega_transfer(case: Case) -> dict[str, int]:
    """What trades move into the margin account of an isolated position, or out of it."""
    inputs = case.inputs
    old, new = int(inputs["old_position"]), int(inputs["new_position"])
    factor, terms = _chosen(case)
    moved = vega_isolated.margin_transfer(
        EXACT, old, [(int(size), int(price)) for size, price in inputs["trades"]], new > old,
        int(inputs.get("margin_balance", 0)), int(inputs.get("mark_price", 0)), factor, terms,
    )  # fmt: skip
    return {"topup": max(moved, 0), "release": max(-moved, 0)}


def vega_collateral(case: Case) -> dict[str, float]:
    """Margin of a party in a fully collateralised market."""
    inputs = case.inputs
    cap = inputs["max_price"]
    position = vega_capped.capped_position(inputs["open_volume"], inputs["entry_price"], cap)
    orders = vega_capped.capped_orders(
        inputs["buy_size"], inputs["vwap_buy"], inputs["sell_size"], inputs["vwap_sell"], cap
    )
    return {"margin": vega_capped.capped_margin(FLOAT, position + orders, 1)}


def _chosen(case: Case) -> tuple[int, Terms]:
    """The margin factor that a party has chosen, and the units of its market."""
    factor = decimal_units(case.inputs["margin_factor"], FRACTION_DIGITS)
    return factor, Terms(0, 0, 0, 0, ONE, int(case.inputs.get("position_factor", 1)))


def _usual_factors() -> list[Any]:
    """The factors of the table in force, where a case states none."""
    params = model_tables(vega_cross.MODEL)[-1].params
    return [params[name]["default"] for name in vega_cross.LEVELS]


def _digits(values: Iterable[Any]) -> int:
    """Decimals that the values are written with."""
    exponents = [Decimal(repr(value)).normalize().as_tuple().exponent for value in values]
    return max(0, *(-int(exponent) for exponent in exponents))


MARKET = "rf_long? rf_short? linear_slippage? quadratic_slippage? position_factor?"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "vega*", "vega_cross_margin*",
        f"open_volume buy_orders sell_orders mark_price {MARKET} funding_per_unit? "
        "scaling_search_initial_release? auction_price? buy_sum_product? sell_sum_product?",
        vega_cross_margin,
    ),
    Adapter(
        "vega*", "vega_isolated_order_margin",
        "position orders margin_factor position_factor? auction_price?", vega_order_margin,
    ),
    Adapter(
        "vega*", "vega_isolated_transfer",
        "trades old_position new_position margin_factor position_factor? margin_balance? "
        "mark_price?",
        vega_transfer,
    ),
    Adapter(
        "vega*", "vega_fully_collateralised",
        "open_volume entry_price buy_size vwap_buy sell_size vwap_sell max_price",
        vega_collateral,
    ),
)  # fmt: skip
