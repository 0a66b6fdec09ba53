"""Cases of Kraken Derivatives and FTX."""

import re
from typing import Any

from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.bitmex import explain_case, only_row
from tools.vectors.cases import Case

KRAKEN_AS_OF, FTX_AS_OF = "2026-01-01T00:00:00Z", "2022-06-01T00:00:00Z"
INVERSE, LINEAR = "BTC/USD:BTC", "XYZ/USD:USD"

ROLES = (
    ("maintenance", r"^mm|^maint"),
    ("initial", r"^im|^init"),
    ("side", r"^side$"),
    ("entry", r"entry|price"),
    ("multiplier", r"contract_(usd|value|size)"),
    ("margin", r"margin|collateral|balance|wallet|btc"),
    ("contracts", r"contract|qty|quantity|size|position"),
)
"""What an input of a worked example is called; the first that fits holds."""


def protection_prices(case: Case) -> dict[str, float]:
    """Liquidation price, and limit of its order, of an inverse position on Kraken."""
    given = {_role(name): value for name, value in case.inputs.items()}
    short = str(given.get("side", "")).lower() in ("short", "sell")
    contracts = -abs(given["contracts"]) if short else given["contracts"]
    params: dict[str, Any] = {}
    if "maintenance" in given:
        rate = given["maintenance"]
        initial = max(given.get("initial", rate), rate)
        params["levels_inverse_perpetual"] = {"BTC": [[0, rate, initial]]}
    explained = explain_case(
        "kraken.futures",
        {
            "index": {"BTC": given["entry"]},
            "instruments": {
                INVERSE: {
                    "mark": given["entry"],
                    "contract_multiplier": given.get("multiplier", 1),
                }
            },
        },
        {
            "balances": {"BTC": given["margin"]},
            "positions": [
                {"symbol": INVERSE, "quantity": contracts, "entry_price": given["entry"]}
            ],
            "params": params,
        },
        KRAKEN_AS_OF,
    )
    shown = only_row(explained, "positions")
    liquidation, limit = shown["liquidation_price"], shown["bankruptcy_price"]
    coins = {
        "value": shown["notional"] / given["entry"],
        "im": explained.initial_margin / given["entry"],
        "mm": explained.maintenance_margin / given["entry"],
    }
    named = {"liquidation": liquidation, "liq": liquidation, "limit": limit, "bankruptcy": limit}
    return {
        **named,
        **{f"{name}_price": price for name, price in named.items()},
        "position_value_btc": coins["value"],
        "initial_margin": coins["im"],
        "maintenance_margin": coins["mm"],
        **{f"{name}_btc": coins[name] for name in ("im", "mm")},
    }


def leverage_limits(case: Case) -> dict[str, float]:
    """What an initial and a maintenance margin fraction of FTX allow."""
    given = case.inputs
    imf, mmf = given["imf"], given.get("mmf", given["imf"])
    collateral = given.get("collateral", 1.0)
    explained = explain_case(
        "ftx.2022",
        {"instruments": {LINEAR: {"mark": 1}}},
        {
            "balances": {"USD": collateral},
            "positions": [{"symbol": LINEAR, "quantity": collateral, "entry_price": 1}],
            "params": {"imf_factors": {"XYZ": 0}, "leverage": {"XYZ": 1 / imf}, "mmf_min": mmf},
        },
        FTX_AS_OF,
    )
    most = collateral / explained.initial_margin
    return {
        "max_leverage": most,
        "max_position": most * explained.collateral_value,
        "liq_leverage": collateral / explained.maintenance_margin,
    }


def _role(name: str) -> str:
    return next((role for role, form in ROLES if re.search(form, name.lower())), name)


ADAPTERS: tuple[Adapter, ...] = (
    Adapter("kraken*", "*liquidation*", "*", protection_prices),
    Adapter("kraken*", "*protection*", "*", protection_prices),
    Adapter("kraken*", "*epp*", "*", protection_prices),
    Adapter("ftx*", "*imf*", "imf mmf? collateral?", leverage_limits),
)
