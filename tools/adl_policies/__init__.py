"""Policies of auto-deleveraging on the shocks of 10 October 2025, beside what was published.

Entry point: ``python -m tools.adl_policies --data DIR``. Invariants: the files are read where they
lie; amounts are cents; a published figure counts as reproduced only where the files hold what it
is made of, and one that they do not hold says what is missing.
"""

__all__: list[str] = []
