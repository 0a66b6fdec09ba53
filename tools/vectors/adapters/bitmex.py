"""Cases of BitMEX, and KuCoin Futures, whose arithmetic is the same."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
