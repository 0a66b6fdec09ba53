"""How the watch's kernels are compiled.

They read columns out of nested tuples and hand them on. Counting references to them at each step
would take ten times as long as the work, so all but the entries are compiled without it: they
may allocate nothing and slice nothing into a new array that outlives the call.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, TypeVar

import numba as nb

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_UNCOUNTED: MappingProxyType[str, Any] = MappingProxyType({"_nrt": False})


def inlined(function: Kernel) -> Kernel:
    """A step of a kernel, inlined by the compiler behind Numba."""
    made: Any = nb.njit(forceinline=True, **_UNCOUNTED)(function)
    return made  # type: ignore[no-any-return]


def kernel(function: Kernel) -> Kernel:
    """A kernel that kernels call."""
    made: Any = nb.njit(cache=True, nogil=True, **_UNCOUNTED)(function)
    return made  # type: ignore[no-any-return]


def entry(function: Kernel) -> Kernel:
    """A kernel that Python calls with a ``Machine``."""
    made: Any = nb.njit(cache=True, nogil=True)(function)
    return made  # type: ignore[no-any-return]
