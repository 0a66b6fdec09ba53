"""One rule text, two arithmetics: exact integers as on chain, and float64 for books.

Protocols compute in integers of small units and state which way each division rounds. A rule
written over ``Arithmetic`` gives those integers to the unit when it is handed Python integers
(NumPy arrays of dtype object), and the same figure without rounding when it is handed floats.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any, TypeAlias, final

import numpy as np

Numbers: TypeAlias = Any
"""A float64 array, or an object array of Python integers, or one number of either kind."""


@final
@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Division and roots that round only where ``is_exact``; the rest is plain operators."""

    is_exact: bool

    def numbers(self, values: Numbers) -> Numbers:
        """An array in this arithmetic; exact ones hold Python integers of any size."""
        if not self.is_exact:
            return np.asarray(values, dtype=np.float64)
        flat = [int(value) for value in np.ravel(np.asarray(values, dtype=object))]
        return np.array(flat, dtype=object).reshape(np.shape(values))

    def floor(self, numerator: Numbers, denominator: Numbers) -> Numbers:
        """Quotient, exact towards minus infinity."""
        return numerator // denominator if self.is_exact else numerator / denominator

    def ceil(self, numerator: Numbers, denominator: Numbers) -> Numbers:
        """Quotient, exact towards plus infinity."""
        return -(-numerator // denominator) if self.is_exact else numerator / denominator

    def trunc(self, numerator: Numbers, denominator: Numbers) -> Numbers:
        """Quotient, exact towards zero, as machine integers divide."""
        if not self.is_exact:
            return numerator / denominator
        sign = 1 - 2 * ((numerator < 0) != (denominator < 0))
        return sign * (abs(numerator) // abs(denominator))

    def root(self, value: Numbers) -> Numbers:
        """Square root of values >= 0, exact rounded down."""
        if not self.is_exact:
            return np.sqrt(value)
        found = [isqrt(one) for one in np.ravel(np.asarray(value, dtype=object))]
        return np.array(found, dtype=object).reshape(np.shape(value))[()]

    def power(self, base: int, exponent: int) -> tuple[Numbers, Numbers]:
        """``base`` to a power of either sign, as numerator and denominator."""
        raised = base ** abs(exponent)
        pair = (raised, 1) if exponent >= 0 else (1, raised)
        return pair if self.is_exact else (float(pair[0]), float(pair[1]))


def choose(condition: Any, yes: Numbers, no: Numbers) -> Numbers:
    """``yes`` where the condition holds, else ``no``; single integers of any size, too."""
    if np.ndim(condition) == 0:
        return yes if condition else no
    return np.where(condition, yes, no)


EXACT = Arithmetic(is_exact=True)
FLOAT = Arithmetic(is_exact=False)
