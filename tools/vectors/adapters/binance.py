"""Cases of Binance."""

from tools.vectors.adapters import tiers
from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "binance", "*maintenance amount*", "floor_* mmr_n mmr_prev cum_prev", tiers.next_constant
    ),
    Adapter("binance", "*maintenance amount*", "floors_* mmr position_*", tiers.constant_at),
    Adapter("binance", "*bracket*", "floors_mmr", tiers.constants_by_level),
    Adapter("binance", "*bracket*", "columns rows", tiers.bracket_table),
)
