"""Cases of OKX."""

from tools.vectors.adapters import tiers
from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = (
    Adapter("okx", "*discount rate*", "amount price tiers", tiers.discounted_asset),
)
