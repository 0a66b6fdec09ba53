"""Options: values, Greeks, implied volatilities, smiles and volatility shocks.

In these files the case's name says which figure a lone number is.
"""

from fractions import Fraction
from math import exp
from typing import Any

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import profit
from plimsoll.market.surface import svi_total_variance
from plimsoll.pricing import (
    Greeks,
    carry_forward,
    greeks,
    implied_vol,
    payoff_in_coin,
    spot_greeks,
    tenor_multiplier,
    value_in_coin,
)
from plimsoll.pricing.shocks import DERIBIT
from plimsoll.pricing.ssvi import essvi_total_variance, power_law_phi
from plimsoll.pricing.svi import (
    JumpWings,
    density_factor,
    jump_wings,
    nearest_symmetric_wings,
    slice_shape,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case


def spot_option(case: Case) -> Any:
    """A value or Greek of an option on a spot with carry."""
    found = _spot_greeks(case, case.inputs.get("cp", 1) == 1)
    named = (name for name in ("delta", "gamma", "vega", "theta", "rho") if name in case.id)
    figure = float(getattr(found, next(named, "value"))[0])
    return {"year": figure, "day365": figure / 365} if isinstance(case.expected, dict) else figure


def forward_option(case: Case) -> dict[str, float]:
    """Values and deltas, plain and in coin, of a call and a put on a forward."""
    call, put = (_forward_greeks(case, is_call) for is_call in (True, False))
    forward = _one(case.inputs["F"])
    coin = [float(value_in_coin(side.value, forward)[0]) for side in (call, put)]
    return {
        "call": float(call.delta[0]),
        "put": float(put.delta[0]),
        "call_coin": coin[0],
        "put_coin": coin[1],
        "call_minus_put": coin[0] - coin[1],
        "black_delta": float(call.delta[0]),
        "net_delta": float(call.delta_premium_adjusted[0]),
    }


def settled_in_coin(case: Case) -> dict[str, float]:
    """What a coin-settled option pays at expiry; a call, unless its name says put."""
    delivery, strike = _one(case.inputs["delivery"]), _one(case.inputs["K"])
    coins = float(payoff_in_coin(delivery, strike, np.array(["put" not in case.id]))[0])
    return {
        "payoff_btc": coins,
        "payoff_usd": coins * case.inputs["delivery"],
        "pnl_btc": coins - case.inputs["premium_btc"],
    }


def implied(case: Case) -> float:
    """The volatility that an undiscounted price implies."""
    given = case.inputs
    price, forward, strike = (_one(given[name]) for name in ("undiscounted_price", "F", "K"))
    time, is_call = _one(_years(given["T"])), np.array([given["q"] == 1])
    return float(implied_vol(price, forward, strike, time, is_call, np.ones(1)).vol[0])


def jump_wings_of(case: Case) -> dict[str, float]:
    """Jump wings, density factors and variances of a raw SVI slice, as its name asks."""
    raw = np.array([case.inputs[name] for name in ("a", "b", "rho", "m", "sigma")])
    time = case.inputs["t"]
    wings = jump_wings(raw, time)
    found = {"v": wings.v, "psi": wings.psi, "p": wings.p, "c": wings.c, "vtilde": wings.v_min}
    for name in case.expected:
        figure, _, place = name.partition("_")
        if figure not in ("g", "w", "iv") or not place:
            continue
        k = _one(float(place.replace("m", "-").replace("_", ".")))
        w = float(svi_total_variance(raw, k)[0])
        density = float(density_factor(k, slice_shape(raw, k))[0])
        found[name] = {"g": density, "w": w, "iv": (w / time) ** 0.5}[figure]
    return found


def least_density(case: Case) -> dict[str, float]:
    """Where the density factor of a raw SVI slice is least, and where it is negative."""
    raw = np.array([case.inputs[name] for name in ("a", "b", "rho", "m", "sigma")])
    k = np.linspace(-3.0, 3.0, 600_001)
    g = density_factor(k, slice_shape(raw, k))
    least, negative = int(np.argmin(g)), k[g < 0]
    return {
        "min_g": float(g[least]),
        "k_at_min": float(k[least]),
        "neg_from": float(negative[0]),
        "neg_to": float(negative[-1]),
    }


def symmetric_wings(case: Case) -> dict[str, float]:
    """The call wing and least variance that make a slice one of SSVI's."""
    v, psi, p = (case.inputs[name] for name in ("v", "psi", "p"))
    wings = nearest_symmetric_wings(JumpWings(v, psi, p, c=p, v_min=v))
    return {"c0": wings.c, "vtilde0": wings.v_min}


def power_law_smile(case: Case) -> list[float]:
    """Total variances of an SSVI smile with a power law."""
    theta, rho = _one(case.inputs["theta"]), _one(case.inputs["rho"])
    psi = theta * power_law_phi(theta, case.inputs["eta"], case.inputs["gamma"])
    k = np.array(case.inputs["k"], dtype=np.float64)
    return [float(w) for w in essvi_total_variance(theta, rho, psi, k)]


def tenor_multipliers(case: Case) -> list[float]:
    """Factors on a volatility shock by days to expiry, Deribit's law."""
    days = np.array(case.inputs["dte"], dtype=np.float64)
    return [float(factor) for factor in tenor_multiplier(DERIBIT, days)]


def scaled_shock(case: Case) -> float:
    """A volatility shock scaled to its tenor, Deribit's law."""
    days = _one(case.inputs["dte"])
    return float(case.inputs["base"] * tenor_multiplier(DERIBIT, days)[0])


def shocked_future(case: Case) -> dict[str, float]:
    """Forward, contingency and shocked profit of a linear future."""
    size, index = case.inputs["Q"], case.inputs["I0"]
    time = _one(_years(case.inputs["T"]))
    forward = float(carry_forward(_one(index), _one(case.inputs["basis"]), time)[0])
    gained = profit(
        np.zeros(1, dtype=np.bool_), np.ones(1), _one(size),
        _one(forward), _one(forward * (1 + case.inputs["shock"])),
    )  # fmt: skip
    contingency = abs(size) * index * case.inputs["cont"]
    return {"F": forward, "contingency": contingency, "pnl": float(gained[0])}


def _spot_greeks(case: Case, is_call: bool) -> Greeks:
    given = case.inputs
    return spot_greeks(
        _one(given["S"]), _one(given["K"]), _one(_years(given["T"])), _one(given["vol"]),
        np.array([is_call]), _one(given["r"]), _one(given["q"]),
    )  # fmt: skip


def _forward_greeks(case: Case, is_call: bool) -> Greeks:
    given = case.inputs
    time = _years(given["T"])
    return greeks(
        _one(given["F"]), _one(given["K"]), _one(time), _one(given["vol"]),
        np.array([is_call]), _one(exp(-given["r"] * time)),
    )  # fmt: skip


def _one(value: float) -> Floats:
    return np.array([value], dtype=np.float64)


def _years(value: float | str) -> float:
    """A time that may be written as a fraction of a year."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("", "1-options", "cp? K S q r T vol note?", spot_option),
    Adapter("", "1-options", "F K r T vol", forward_option),
    Adapter("", "1-options", "K delivery premium_btc", settled_in_coin),
    Adapter("", "1-options", "F K T q undiscounted_price", implied),
    Adapter("", "1-options", "a b m rho sigma t", jump_wings_of),
    Adapter("", "1-options", "a b m rho sigma t grid", least_density),
    Adapter("", "1-options", "v psi p", symmetric_wings),
    Adapter("", "1-options", "theta rho eta gamma k", power_law_smile),
    Adapter("", "1-options", "rule dte", tenor_multipliers),
    Adapter("", "1-options", "dte base", scaled_shock),
    Adapter("", "1-options", "I0 basis T Q cont shock", shocked_future),
)
