"""Cases of venues without a model of their own."""

from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.documents import explain_account
from tools.vectors.cases import Case

SYMBOL = "XYZ/USD:USD"


def flat_maintenance(case: Case) -> dict[str, float]:
    """Maintenance margin of a position at one rate of its value, by the house model."""
    value, rate = abs(case.inputs["notional"]), case.inputs["mmr"]
    initial = 1 / case.inputs["leverage"] if "leverage" in case.inputs else rate
    account = {
        "model": "plimsoll.standard",
        "positions": [{"symbol": SYMBOL, "quantity": 1, "entry_price": value}],
        "params": {"fee_provision_rate": 0, "brackets": {"XYZ": [[0, rate, initial]]}},
    }
    market = {"index": {"XYZ": value}, "instruments": {SYMBOL: {"mark": value}}}
    (found,) = explain_account(account, market)
    return {
        "maintenanceMargin": found.maintenance_margin,
        "maintenance_margin": found.maintenance_margin,
        "initialMargin": found.initial_margin,
    }


ADAPTERS: tuple[Adapter, ...] = tuple(
    Adapter(venue, "*maintenance margin*", "notional mmr leverage?", flat_maintenance)
    for venue in ("gate*", "bitmart*")
)
