"""Cases of Paradex."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
