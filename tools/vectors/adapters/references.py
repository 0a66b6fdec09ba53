"""Cases of CME SPAN, Reg T and OCC: the clearing houses."""

from tools.vectors.adapters.adapter import Adapter

ADAPTERS: tuple[Adapter, ...] = ()
