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


def _strip(_typing_context: Any, columns: Any) -> Any:
    """A tuple of arrays as the same tuple of the same arrays, their owner left out."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kept = []
        for kind, value in zip(columns, cgutils.unpack_tuple(builder, arguments[0]), strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                array.meminfo = cgutils.get_null_value(array.meminfo.type)
                array.parent = cgutils.get_null_value(array.parent.type)
                kept.append(array._getvalue())  # noqa: SLF001
            else:
                kept.append(value)
        return context.make_tuple(builder, signature.return_type, kept)

    return columns(columns), emit


UNOWNED: Any = intrinsic(_strip)
