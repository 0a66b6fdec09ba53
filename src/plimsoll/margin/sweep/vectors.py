"""Rows of scenarios as a fixed number of vectors, for kernels that keep sums in registers.

The number of vectors is part of a kernel's type: a ``Width`` is a tuple with one entry for each,
and Numba compiles and caches a kernel once for every length. Loops over a row are unrolled here,
as LLVM code, so that a row in hand is in registers; machines with shorter ones split a vector
and compute the same bits. Products are rounded before they are added, as in plain loops, where a
step does not say that it fuses them. Rows begin at multiples of a cache line. A minimum may lose a
NaN: who uses it must know of NaNs from elsewhere.
"""

from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba.core import cgutils as numba_cgutils
from numba.core import types as numba_types
from numba.extending import intrinsic

from plimsoll.core import Floats

LANES = 8
"""Numbers in a vector: the widest registers there are, and a cache line."""

Width: TypeAlias = tuple[int, ...]
"""As long as a row of scenarios has vectors; what it holds does not matter."""

# Numba's own modules carry no types.
cgutils: Any = numba_cgutils
types: Any = numba_types

LINE_BYTES = 64
INDEX, NUMBER, SMALL = ir.IntType(64), ir.DoubleType(), ir.IntType(32)
VECTOR, FOUR = ir.VectorType(NUMBER, LANES), ir.VectorType(NUMBER, 4)


def width_of(scenarios: int) -> Width:
    """The width of rows of that many scenarios."""
    return (0,) * -(-scenarios // LANES)


def empty_rows(rows: int, scenarios: int) -> Floats:
    """Rows of the width of so many scenarios, at multiples of a cache line, not filled."""
    columns = len(width_of(scenarios)) * LANES
    spare = np.empty(rows * columns + LANES)
    start = -spare.ctypes.data % LINE_BYTES // spare.itemsize
    return spare[start : start + rows * columns].reshape(rows, columns)


def zero_rows(rows: int, scenarios: int) -> Floats:
    """``empty_rows``, zero."""
    out = empty_rows(rows, scenarios)
    out[:] = 0.0
    return out


def pad_rows(values: Floats) -> Floats:
    """The rows as kernels take them: whole vectors, the last scenario repeated to fill them up.

    What happens twice is as bad as what happens once.
    """
    out = empty_rows(*values.shape)
    out[:, : values.shape[1]] = values
    out[:, values.shape[1] :] = values[:, -1:]
    return out


def data_of(context: Any, builder: Any, array: Any, value: Any) -> Any:
    """Where the numbers of an array begin."""
    return context.make_array(array)(context, builder, value).data


def start_of_row(builder: Any, rows: Any, row: Any, vectors: int) -> Any:
    """Where a row begins."""
    return builder.gep(rows, [builder.mul(row, INDEX(vectors * LANES))])


def _place(builder: Any, start: Any, vector: int) -> Any:
    return builder.bitcast(builder.gep(start, [INDEX(vector * LANES)]), VECTOR.as_pointer())


def load(builder: Any, start: Any, vector: int) -> Any:
    """A vector of the row that begins at ``start``."""
    return builder.load(_place(builder, start, vector), align=LINE_BYTES)


def store(builder: Any, start: Any, vector: int, value: Any) -> None:
    """Write a vector of the row that begins at ``start``."""
    builder.store(value, _place(builder, start, vector), align=LINE_BYTES)


def broadcast(builder: Any, number: Any) -> Any:
    """A vector of one number."""
    nothing = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, number, SMALL(0))
    lanes = ir.Constant(ir.VectorType(SMALL, LANES), [0] * LANES)
    return builder.shuffle_vector(first, nothing, lanes)


def fused(builder: Any, left: Any, right: Any, plus: Any) -> Any:
    """left * right + plus, rounded once."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    call = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f64")
    return builder.call(call, [left, right, plus])


def smaller(builder: Any, left: Any, right: Any) -> Any:
    """The smaller of two, number by number; a NaN may be lost."""
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


def least_of(builder: Any, vectors: list[Any]) -> Any:
    """The smallest of some vectors, number by number; a NaN may be lost."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=False)
        odd = vectors[-1:] if len(vectors) % 2 else []
        vectors = [smaller(builder, *pair) for pair in pairs] + odd
    return vectors[0]


def pick(builder: Any, left: Any, right: Any, lanes: list[int]) -> Any:
    """A vector of chosen lanes of two."""
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(SMALL, len(lanes)), lanes))


def loss_of(builder: Any, vectors: list[Any]) -> Any:
    """The largest loss, >= 0, of some vectors of profits."""
    found, size = least_of(builder, vectors), LANES
    while size > 1:
        size //= 2
        low, high = (pick(builder, found, found, [*range(k, k + size)]) for k in (0, size))
        found = smaller(builder, low, high)
    least = builder.extract_element(found, SMALL(0))
    is_loss = builder.fcmp_ordered("<", least, NUMBER(0.0))
    return builder.select(is_loss, builder.fneg(least), NUMBER(0.0))


def _has_nan(builder: Any, vectors: list[Any]) -> Any:
    """Whether a number of some vectors is NaN."""
    odd = [builder.fcmp_unordered("uno", each, each) for each in vectors]
    while len(odd) > 1:
        odd = [builder.or_(odd[0], odd[1]), *odd[2:]]
    bits = builder.bitcast(odd[0], ir.IntType(LANES))
    return builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))


def _emit_worst_of_rows(
    _: Any, width: Any, profits: Any, _row_vectors: Any, _at: Any, instrument: Any, contracts: Any,
    _first: Any, _end: Any,
) -> Any:  # fmt: skip
    """Source of ``WORST_OF_ROWS``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, count = signature.args, width.count
        matrix = context.make_array(kinds[1])(context, builder, arguments[1])
        known = builder.extract_value(matrix.shape, 0)
        ids, held = (data_of(context, builder, kinds[k], arguments[k]) for k in (4, 5))
        stride = builder.mul(arguments[2], INDEX(LANES))
        offset = builder.mul(arguments[3], INDEX(LANES))
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
        for each in sums:
            builder.store(ir.Constant(VECTOR, [0.0] * LANES), each)
        head, body, more, done = (
            builder.append_basic_block(name) for name in ("head", "body", "more", "done")
        )
        turn = cgutils.alloca_once_value(builder, arguments[6])
        builder.branch(head)
        builder.position_at_end(head)
        row = builder.load(turn)
        builder.cbranch(builder.icmp_signed("<", row, arguments[7]), body, done)
        builder.position_at_end(body)
        number = builder.zext(builder.load(builder.gep(ids, [row])), INDEX)
        # This way out also keeps LLVM from unrolling: one more branch that is hard to foresee.
        builder.cbranch(builder.icmp_unsigned("<", number, known), more, done)
        builder.position_at_end(more)
        start = builder.gep(matrix.data, [builder.add(builder.mul(number, stride), offset)])
        times = broadcast(builder, builder.load(builder.gep(held, [row])))
        for vector, each in enumerate(sums):
            value = load(builder, start, vector)
            builder.store(fused(builder, times, value, builder.load(each)), each)
        builder.store(builder.add(row, INDEX(1)), turn)
        builder.branch(head)
        builder.position_at_end(done)
        found = [builder.load(each) for each in sums]
        odd = builder.icmp_signed("<", builder.load(turn), arguments[7])
        odd = builder.or_(odd, _has_nan(builder, found))
        return builder.select(odd, NUMBER(np.nan), loss_of(builder, found))

    kinds = (width, profits, types.int64, types.int64, instrument, contracts, types.int64,
             types.int64)  # fmt: skip
    return types.float64(*kinds), emit


WORST_OF_ROWS: Any = intrinsic(_emit_worst_of_rows)
"""WORST_OF_ROWS(width, profits, row_vectors, at, instrument, contracts, first, end): the largest

loss, >= 0, of contracts[first:end] together, in the scenarios of ``width`` from vector ``at`` of
rows of ``row_vectors``; NaN where one is, or where a row names no instrument.
"""


def _emit_add_row(
    _: Any, width: Any, out: Any, _row: Any, rows: Any, _chosen: Any, _times: Any
) -> Any:
    """Source of ``ADD_ROW``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, sums = sum_of_rows(context, builder, signature, arguments)
        for vector, value in enumerate(sums):
            store(builder, target, vector, value)
        return context.get_dummy_value()

    return types.void(width, out, types.int64, rows, types.int64, types.float64), emit


ADD_ROW: Any = intrinsic(_emit_add_row)
"""ADD_ROW(width, out, row, rows, chosen, times): out[row] += times * rows[chosen]."""


def sum_of_rows(
    context: Any, builder: Any, signature: Any, arguments: Any, less: Any = None
) -> tuple[Any, list[Any]]:
    """Where the row of arguments 1 and 2 begins, and its vectors plus those of the row of

    arguments 3 and 4, times argument 5, less ``less``.
    """
    kinds, count = signature.args, signature.args[0].count
    row, other = (
        start_of_row(
            builder, data_of(context, builder, kinds[k], arguments[k]), arguments[k + 1], count
        )
        for k in (1, 3)
    )
    spread, sums = broadcast(builder, arguments[5]), []
    for vector in range(count):
        product = builder.fmul(spread, load(builder, other, vector))
        if less is not None:
            product = builder.fsub(product, less)
        sums.append(builder.fadd(load(builder, row, vector), product))
    return row, sums


def row_of(
    context: Any, builder: Any, signature: Any, arguments: Any, at: int
) -> tuple[Any, list[Any]]:
    """Where the row of arguments ``at`` and the next begins, and its vectors."""
    count, data = (
        signature.args[0].count,
        data_of(context, builder, signature.args[at], arguments[at]),
    )
    start = start_of_row(builder, data, arguments[at + 1], count)
    return start, [load(builder, start, vector) for vector in range(count)]


def _emit_worst_of_row(_: Any, width: Any, rows: Any, _row: Any) -> Any:
    """Source of ``WORST_OF_ROW``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return loss_of(builder, row_of(context, builder, signature, arguments, 1)[1])

    return types.float64(width, rows, types.int64), emit


WORST_OF_ROW: Any = intrinsic(_emit_worst_of_row)
"""WORST_OF_ROW(width, rows, row): the largest loss, >= 0, in rows[row]."""


def _emit_take_worst(_: Any, width: Any, rows: Any, _row: Any) -> Any:
    """Source of ``TAKE_WORST``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count, zero = width.count, ir.Constant(VECTOR, [0.0] * LANES)
        start = start_of_row(
            builder, data_of(context, builder, signature.args[1], arguments[1]), arguments[2], count
        )
        found = [load(builder, start, vector) for vector in range(count)]
        for vector in range(count):
            store(builder, start, vector, zero)
        return loss_of(builder, found)

    return types.float64(width, rows, types.int64), emit


TAKE_WORST: Any = intrinsic(_emit_take_worst)
"""TAKE_WORST(width, rows, row): the largest loss, >= 0, in rows[row], which is left empty."""


def _fetch(context: Any, builder: Any, column: Any, value: Any, place: Any, writes: bool) -> Any:
    """Have the cache line fetched that holds a number of a column."""
    data = data_of(context, builder, column, value)
    start = builder.bitcast(builder.gep(data, [place]), ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [start.type, SMALL, SMALL, SMALL])
    call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    # To keep it in all caches, as data.
    builder.call(call, [start, SMALL(int(writes)), SMALL(3), SMALL(1)])
    return context.get_dummy_value()


def _emit_expect_reads(_: Any, column: Any, _row: Any) -> Any:
    """Source of ``EXPECT_READS``."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        value, row = arguments
        return _fetch(context, builder, column, value, row, writes=False)

    return types.void(column, types.int64), emit


EXPECT_READS: Any = intrinsic(_emit_expect_reads)
"""EXPECT_READS(column, row): have the cache line of column[row] fetched, if there is such a row."""


def _emit_expect_writes(_: Any, figures: Any, _line: Any, _column: Any) -> Any:
    """Source of ``EXPECT_WRITES``."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        value, line, column = arguments
        array = context.make_array(figures)(context, builder, value)
        place = builder.add(builder.mul(line, builder.extract_value(array.shape, 1)), column)
        return _fetch(context, builder, figures, value, place, writes=True)

    return types.void(figures, types.int64, types.int64), emit


EXPECT_WRITES: Any = intrinsic(_emit_expect_writes)
"""EXPECT_WRITES(figures, line, column): EXPECT_READS of figures[line, column], to write there."""
