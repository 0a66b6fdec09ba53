"""Cases of Deribit, and venues that copied its rules (bit.com, Dederi, Variational)."""

from tools.vectors.adapters import sizes
from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "deribit",
        "standard margin*linear*",
        "base_rate slope_per_coin position_coin index_price",
        sizes.linear_maintenance,
    ),
    Adapter(
        "deribit",
        "standard margin, inverse*position",
        "instrument size_currency im_base mm_base slope_per_coin",
        sizes.inverse_position,
    ),
)
