"""Columns without owners, for compiled code that takes many of them apart at every call.

Numba counts references to an array wherever a function takes it from a tuple, atomically: with
some forty columns that costs ten times what judging a pool does. What is borrowed here has no
owner to count for; the caller keeps the columns alive for as long as the call runs.
"""

from typing import Any

import numba.core.cgutils as _cgutils
from numba.core import types
from numba.extending import intrinsic

# Numba's own tools for emitting code, which it does not type.
cgutils: Any = _cgutils


def _emit_borrow(_typing_context: Any, columns: Any) -> Any:
    """Source of ``BORROW``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(columns, types.Array):
            return _without_owner(context, builder, columns, arguments[0])
        parts = cgutils.unpack_tuple(builder, arguments[0])
        bare = []
        for kind, value in zip(columns, parts, strict=True):
            is_array = isinstance(kind, types.Array)
            bare.append(_without_owner(context, builder, kind, value) if is_array else value)
        return context.make_tuple(builder, signature.return_type, bare)

    return columns(columns), emit


def _without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()  # noqa: SLF001


BORROW: Any = intrinsic(_emit_borrow)
"""BORROW(columns): an array, or a tuple of arrays, whose references are not counted."""
