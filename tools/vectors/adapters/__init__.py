"""Adapters: how a published example becomes a portfolio document or a call of the public API.

Entry point: ``find_adapter``; ``ADAPTERS`` lists them, one line each. Invariants: an adapter is
chosen by what a case is (whose it is, its model, which inputs it states), never by its id, and
holds no formula of the engine: it translates names and units and reads the answer back.
"""

from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.registry import ADAPTERS, find_adapter, is_awaited

__all__ = ["ADAPTERS", "Adapter", "find_adapter", "is_awaited"]
