"""Single numbers in kernels: bits of masks, comparisons that keep NaN, floors below a value."""

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from plimsoll.margin.sweep.columns import LANES

ONE, TWO, THREE, SIX = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(6)


@intrinsic
def _trailing_zeros(_context: Any, _number: Any) -> Any:
    """LLVM's cttz; undefined at 0."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return nb.uint64(nb.uint64), emit


@intrinsic
def count_below(_context: Any, floors: Any, first: Any, value: Any) -> Any:
    """How many of 8 floors, from place ``first`` of an array on, are below a value; none for NaN.

    One comparison of vectors: a search would take branches that nobody can predict.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        lanes, places = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(32), LANES)
        start = builder.bitcast(builder.gep(array.data, [arguments[1]]), lanes.as_pointer())
        nothing, zero = ir.Constant(lanes, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        one = builder.insert_element(nothing, arguments[2], zero)
        value = builder.shuffle_vector(one, nothing, ir.Constant(places, [0] * LANES))
        below = builder.fcmp_ordered("<", builder.load(start, align=8), value)
        mask = builder.zext(builder.bitcast(below, ir.IntType(LANES)), ir.IntType(64))
        return builder.ctpop(mask)

    return nb.uint64(floors, first, value), emit


@nb.njit(inline="always")
def bit(item: Any) -> Any:
    """The bit of an item in its word of a mask, which is word item >> 6."""
    return ONE << np.uint64(item & np.uint32(63))


@nb.njit(inline="always")
def lowest(word: Any, rest: Any) -> Any:
    """The item of the lowest bit of a word."""
    return (word << SIX) + _trailing_zeros(rest)


@nb.njit(inline="always")
def larger(one: float, other: float) -> float:
    """The larger of two; NaN where either is."""
    # One select: a branch on a sign is as hard to foresee as a coin.
    return other if (other > one) | (other != other) else one


@nb.njit(inline="always")
def excess(side: float, rate: float, charged: float) -> float:
    """What a rate on a side asks beyond what is charged; compared so that NaN stays NaN."""
    beyond = side * (1.0 if rate > 1.0 else rate) - charged
    return 0.0 if beyond < 0.0 else beyond
