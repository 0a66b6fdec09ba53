"""What open orders add to tiered margin, for the few pools of a sweep that have some.

Entry point: ``charge_orders`` in ``kernels``. Invariants: those of the sweep.
"""

__all__: list[str] = []
