"""Cases of Kraken Derivatives and FTX."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
