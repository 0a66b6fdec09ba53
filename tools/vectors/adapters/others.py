"""Cases of venues without a model of their own."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
