"""Run files of published test vectors against the public API.

Entry point: ``python -m tools.vectors FILE...``. Invariants: a case is passed only if an adapter
answered it and every expected figure was produced, is finite and lies within the case's
tolerance; a case that no adapter takes is listed as not yet modelled and never counted as passed.
"""

__all__: list[str] = []
