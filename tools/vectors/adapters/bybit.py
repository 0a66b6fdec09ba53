"""Cases of Bybit."""

from tools.vectors.adapters import tiers
from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = (
    Adapter("bybit", "*risk-limit*", "caps mmr", tiers.deductions),
    Adapter("bybit", "*tiered maintenance*", "tiers qty entry leverage", tiers.tiered_position),
)
