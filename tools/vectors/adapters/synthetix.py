"""Cases of Synthetix v3's own tests."""

import numpy as np

from plimsoll.margin.venues.synthetix_v3 import fill_price
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.documents import explain_account
from tools.vectors.cases import Case

# A market needs its figures; none of them enters the available margin.
FIGURES = {
    "initial_margin_ratio": 2.0, "minimum_initial_margin_ratio": 0.02,
    "maintenance_margin_scalar": 0.5, "minimum_position_margin": 0.0, "flag_reward_ratio": 0.0,
    "window_multiplier": 1.0, "window_seconds": 1.0, "maker_fee": 0.0, "taker_fee": 0.001,
}  # fmt: skip


def available_margin(case: Case) -> dict[str, float]:
    """Profit of positions against their fills, and what margin they leave."""
    inputs = case.inputs
    opened, index = inputs["entry_price_and_skewScale_and_size"], inputs["index_prices"]
    positions, markets = [], {}
    for name, (price, scale, size) in opened.items():
        one, skew = np.array([float(size)]), np.array([float(inputs.get("skew_before", 0))])
        fill = fill_price(np.array([float(price)]), skew, one, np.array([float(scale)]))
        entry = float(fill[0])
        positions.append({"symbol": f"{name}/USD:USD", "quantity": size, "entry_price": entry})
        markets[name] = {**FIGURES, "skew_scale": scale}
    owed = inputs.get("fees", 0) + inputs.get("funding", 0)
    account = {
        "model": "synthetix.v3",
        "balances": {"USD": inputs["collateral_usd"] - owed},
        "positions": positions,
        "params": {"markets": markets},
    }
    market = {
        "index": index,
        "instruments": {f"{name}/USD:USD": {"mark": index[name]} for name in opened},
    }
    (explained,) = explain_account(account, market)
    held = explained.detail("positions")
    profits = {label.partition("/")[0]: row for label, row in held.rows}
    column = held.columns.index("profit")
    return {
        **{name: row[column] for name, row in profits.items()},
        "available_margin": explained.collateral_value,
    }


ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "synthetix*", "snx_available_margin",
        "collateral_usd entry_price_and_skewScale_and_size index_prices fees? funding? "
        "skew_before?",
        available_margin,
    ),
)  # fmt: skip
