"""Plain pools of ``plimsoll.portfolio``: one loop over their positions, with all sums in registers.

A pool is plain that has no orders and holds nothing but contracts without a minimum if sold, all
settled in one asset that no scenario moves, in an order in which underlyings rise and, within
one, expiries. Entry points: ``scan_plain`` and ``add_bases`` in ``kernels``, ``fill_plain`` in
``columns``. Invariants: those of the sweep; a pool that turns out not to be plain leaves nothing.
"""

__all__: list[str] = []
