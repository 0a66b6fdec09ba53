"""One case for each adapter of options: published where a source is named, else by hand."""

from typing import Any

from tests.tools.answered.cases import option_case

VOGT = {"a": -0.041, "b": 0.1331, "m": 0.3586, "rho": 0.306, "sigma": 0.4153, "t": 1}

ANSWERED: dict[str, dict[str, Any]] = {
    # Haug (2007), 1.1.1: call on a stock, 2.1334; gamma and theta are checked in the room's tests.
    "spot_option": option_case(
        "haug", {"cp": 1, "K": 65, "S": 60, "q": 0, "r": 0.08, "T": "1/4", "vol": 0.3}, 2.1334
    ),
    # Haug (2007), 2.1.1: delta of options on a future.
    "forward_option": option_case(
        "delta",
        {"K": 100, "F": 105, "r": 0.1, "T": 0.5, "vol": 0.36},
        {"call": 0.5946, "put": -0.3566},
    ),
    # Deribit support, "Inverse Options": a call at 100,000 settled at 125,000 pays 0.2 BTC.
    "settled_in_coin": option_case(
        "settled",
        {"K": 100000, "delivery": 125000, "premium_btc": 0.05},
        {"payoff_usd": 25000, "payoff_btc": 0.2, "pnl_btc": 0.15},
        1e-9,
    ),
    # At the money, value / F = 2 N(vol sqrt(T) / 2) - 1, so 7.965567 stands for 20 % over a year.
    "implied": option_case(
        "round trip",
        {"F": 100, "K": 100, "T": 1, "q": -1, "undiscounted_price": 7.965567455405804},
        0.2,
        1e-12,
    ),
    # Gatheral & Jacquier (2014), examples 3.1 and 5.1: the smile of Axel Vogt.
    "jump_wings_of": option_case(
        "vogt", VOGT, {"v": 0.01742625, "psi": -0.1752111, "p": 0.6997381, "c": 1.316798}, 1e-6
    ),
    "least_density": option_case(
        "vogt", {**VOGT, "grid": "[-3,3] step 1e-5"}, {"min_g": -0.0328636}, 2e-5
    ),
    "symmetric_wings": option_case(
        "vogt", {"v": 0.01742625, "psi": -0.1752111, "p": 0.6997381}, {"c0": 0.3493158}, 5e-7
    ),
    # At the money total variance is theta, whatever the rest.
    "power_law_smile": option_case(
        "at the money", {"theta": 0.04, "rho": -0.7, "eta": 1, "gamma": 0.5, "k": [0]}, [0.04], 1e-9
    ),
    # By hand: (30 / 30)^p = 1 and (30 / 15)^0.30.
    "tenor_multipliers": option_case(
        "tenors", {"rule": "(30/max(1,DTE))^p", "dte": [30, 15]}, [1, 2**0.3], 1e-9
    ),
    # deribit.com, portfolio margin: (30/15)^0.30 * 38 % = 46.78 %.
    "scaled_shock": option_case("15 days", {"dte": 15, "base": 0.38}, 0.4678),
    # By hand, without basis.
    "shocked_future": option_case(
        "future",
        {"I0": 2000, "basis": 0, "T": "20/365", "Q": 10, "cont": 0.006, "shock": -0.15},
        {"F": 2000, "contingency": 120, "pnl": -3000},
        1e-9,
    ),
}
