"""Size-scaled rates: examples in which a larger position pays a higher rate on all of it."""

from plimsoll.margin import Explanation
from tools.vectors.adapters.documents import ASSET, INVERSE, LINEAR, explain_position
from tools.vectors.cases import Case


def linear_maintenance(case: Case) -> dict[str, float]:
    """Maintenance margin of a linear perpetual, through a document."""
    size, price = case.inputs["position_coin"], case.inputs["index_price"]
    base = case.inputs["base_rate"]
    explained = _explain(LINEAR, size, price, (base, base), case)
    margin = explained.maintenance_margin
    return {
        "rate": margin / (abs(size) * price),
        "margin_base": margin / price,
        "margin_usdc": margin,
    }


def inverse_position(case: Case) -> dict[str, float]:
    """Margins, in coin, of an inverse future or perpetual, through a document."""
    rates = (case.inputs["mm_base"], case.inputs["im_base"])
    # At a price of 1 USD the margin in USD is the margin in coin.
    explained = _explain(INVERSE, case.inputs["size_currency"], 1.0, rates, case)
    return {
        "initial_margin": explained.initial_margin,
        "maintenance_margin": explained.maintenance_margin,
    }


def _explain(
    symbol: str, size: float, price: float, rates: tuple[float, float], case: Case
) -> Explanation:
    params = {
        "brackets": {ASSET: [[0, *rates]]},
        "size_slopes": {ASSET: case.inputs["slope_per_coin"]},
    }
    return explain_position(symbol, size, price, params)
