"""Cases of Hyperliquid and Lighter."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
