"""Cases of dYdX v4's own tests, in its integers."""

from plimsoll.margin.arithmetic import EXACT
from plimsoll.margin.venues.dydx_v4 import (
    funding_settlement,
    initial_margin,
    maintenance_margin,
    net_notional,
    scaled_initial_ppm,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case


def dydx_position_margin(case: Case) -> dict[str, int]:
    """Initial and maintenance requirement of a position at an open interest."""
    inputs = case.inputs
    notional, opened = (
        _notional(case, int(inputs[name])) for name in ("quantums", "open_interest_quantums")
    )
    base = int(inputs["initial_margin_ppm"])
    caps = (int(inputs["oi_lower_cap"]), int(inputs["oi_upper_cap"]))
    rate = scaled_initial_ppm(EXACT, base, opened, *caps)
    fraction = int(inputs["maintenance_fraction_ppm"])
    return {
        "imr": initial_margin(EXACT, notional, max(rate, int(inputs.get("custom_imf_ppm", 0)))),
        "mmr": maintenance_margin(EXACT, notional, base, fraction),
    }


def dydx_net_notional(case: Case) -> dict[str, int]:
    """Signed notional of a position."""
    return {"net_notional": _notional(case, int(case.inputs["quantums"]))}


def dydx_initial_margin(case: Case) -> dict[str, int]:
    """Initial margin of a notional at an open notional."""
    rate = _scaled(case)
    return {"im": initial_margin(EXACT, int(case.inputs["quote_quantums"]), rate)}


def dydx_initial_rate(case: Case) -> dict[str, int]:
    """Initial rate at an open notional."""
    return {"ppm": _scaled(case)}


def dydx_funding(case: Case) -> dict[str, int]:
    """Funding due since a position last settled."""
    index, last, quantums = (
        int(case.inputs[name]) for name in ("funding_index", "last_index", "quantums")
    )
    return {"net_settlement_ppm": funding_settlement(index, last, quantums)}


def _notional(case: Case, quantums: int) -> int:
    inputs = case.inputs
    exponent, resolution = int(inputs["exponent"]), int(inputs["atomic_resolution"])
    return int(net_notional(EXACT, quantums, int(inputs["price"]), exponent, resolution))


def _scaled(case: Case) -> int:
    names = ("initial_margin_ppm", "open_notional", "oi_lower_cap", "oi_upper_cap")
    return int(scaled_initial_ppm(EXACT, *(int(case.inputs[name]) for name in names)))


PRICED = "atomic_resolution price exponent quantums"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "dydx*", "dydx_position_margin",
        f"{PRICED} initial_margin_ppm maintenance_fraction_ppm open_interest_quantums oi_lower_cap "
        "oi_upper_cap custom_imf_ppm?",
        dydx_position_margin,
    ),
    Adapter("dydx*", "dydx_net_notional", PRICED, dydx_net_notional),
    Adapter(
        "dydx*", "dydx_im_with_open_notional",
        "initial_margin_ppm quote_quantums open_notional oi_lower_cap oi_upper_cap",
        dydx_initial_margin,
    ),
    Adapter(
        "dydx*", "dydx_adjusted_imf",
        "initial_margin_ppm open_notional oi_lower_cap oi_upper_cap", dydx_initial_rate,
    ),
    Adapter("dydx*", "dydx_funding_settlement", "funding_index quantums last_index", dydx_funding),
)  # fmt: skip
