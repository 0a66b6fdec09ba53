"""Rows of scenarios as vectors: whole steps of ``plimsoll.portfolio``, as LLVM code.

See ``vectors`` for what a width is and how rows lie in memory. Every step reads all it needs of a
row before it stores: LLVM would keep the order, and spill.
"""

from typing import Any

from llvmlite import ir
from numba.core import types as numba_types
from numba.extending import intrinsic

from plimsoll.margin.sweep.vectors import (
    FOUR,
    INDEX,
    LANES,
    LINE_BYTES,
    NUMBER,
    SMALL,
    VECTOR,
    broadcast,
    data_of,
    fused,
    least_of,
    load,
    pick,
    row_of,
    smaller,
    start_of_row,
    store,
    sum_of_rows,
)

# Numba's own modules carry no types.
types: Any = numba_types


def losses_of(builder: Any, sets: list[list[Any]]) -> Any:
    """The largest loss, >= 0, of each of four sets of vectors of profits, in one vector.

    The four are folded together, half as many lanes each time.
    """
    halves = []
    for vectors in sets:
        found = least_of(builder, vectors)
        low, high = (pick(builder, found, found, [*range(k, k + 4)]) for k in (0, 4))
        halves.append(smaller(builder, low, high))
    pairs = [
        smaller(builder, pick(builder, a, b, [0, 4, 2, 6]), pick(builder, a, b, [1, 5, 3, 7]))
        for a, b in (halves[:2], halves[2:])
    ]
    low, high = (pick(builder, pairs[0], pairs[1], k) for k in ([0, 1, 4, 5], [2, 3, 6, 7]))
    least = smaller(builder, low, high)
    none = ir.Constant(FOUR, [0.0] * 4)
    return builder.select(builder.fcmp_ordered("<", least, none), builder.fneg(least), none)


def sets_of(builder: Any, sides: Any, fence: Any, found: list[Any]) -> list[list[Any]]:
    """A row's vectors in all scenarios, in falls, in rises and alone.

    ``sides`` is the type that says how many whole vectors fall and rise, ``fence`` where the
    three rows of bars begin.
    """
    count, (falls, rises) = len(found), (kind.count - 1 for kind in sides.types)

    def passed(kind: int, first: int) -> list[Any]:
        return [
            builder.fadd(found[k], load(builder, fence, kind * count + k))
            for k in range(first, count)
        ]

    whole, none = falls + rises, [ir.Constant(VECTOR, [0.0] * LANES)]
    return [
        found,
        found[:falls] + passed(0, whole) or none,
        found[falls:whole] + passed(1, whole) or none,
        passed(2, 0),
    ]


def _emit_add_fill(
    _: Any, width: Any, out: Any, _row: Any, rows: Any, _chosen: Any, _times: Any, _lost: Any
) -> Any:
    """Source of ``ADD_FILL``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        less = broadcast(builder, arguments[6])
        target, sums = sum_of_rows(context, builder, signature, arguments, less)
        for vector, value in enumerate(sums):
            store(builder, target, vector, value)
        return context.get_dummy_value()

    kinds = (width, out, types.int64, rows, types.int64, types.float64, types.float64)
    return types.void(*kinds), emit


ADD_FILL: Any = intrinsic(_emit_add_fill)
"""ADD_FILL(width, out, row, rows, chosen, times, lost): out[row] += times * rows[chosen] - lost."""


def _emit_losses_of_row(
    _: Any, width: Any, rows: Any, _row: Any, sides: Any, bars: Any, _bar: Any, out: Any, _at: Any
) -> Any:
    """Source of ``LOSSES_OF_ROW``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, count = signature.args, width.count
        _, found = row_of(context, builder, signature, arguments, 1)
        fence = start_of_row(
            builder, data_of(context, builder, kinds[4], arguments[4]), arguments[5], count
        )
        sets = sets_of(builder, kinds[3], fence, found)
        place = builder.gep(
            data_of(context, builder, kinds[6], arguments[6]),
            [builder.mul(arguments[7], INDEX(4))],
        )
        losses = losses_of(builder, sets)
        builder.store(losses, builder.bitcast(place, FOUR.as_pointer()), align=LINE_BYTES // 2)
        return context.get_dummy_value()

    kinds = (width, rows, types.int64, sides, bars, types.int64, out, types.int64)
    return types.void(*kinds), emit


LOSSES_OF_ROW: Any = intrinsic(_emit_losses_of_row)
"""LOSSES_OF_ROW(width, rows, row, sides, bars, bar, out, at): out[at], of four columns, becomes

the largest losses, >= 0, of rows[row] in all scenarios, in falls, in rises and alone. The first
len(sides[0]) - 1 vectors are falls, then len(sides[1]) - 1 are rises; what else passes three rows
of ``bars``, from row ``bar``, say: 0 lets a scenario pass, infinity bars it.
"""


def _emit_fold_row(_: Any, width: Any, rows: Any, _row: Any, out: Any, _target: Any) -> Any:
    """Source of ``FOLD_ROW``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, found = row_of(context, builder, signature, arguments, 1)
        target, sums = row_of(context, builder, signature, arguments, 3)
        for vector, value in enumerate(found):
            store(builder, target, vector, builder.fadd(sums[vector], value))
            store(builder, start, vector, ir.Constant(VECTOR, [0.0] * LANES))
        return context.get_dummy_value()

    return types.void(width, rows, types.int64, out, types.int64), emit


FOLD_ROW: Any = intrinsic(_emit_fold_row)
"""FOLD_ROW(width, rows, row, out, target): out[target] += rows[row], which is left empty."""


def _emit_fold_fills(
    _: Any, width: Any, rows: Any, _first: Any, _second: Any, _third: Any, out: Any, _target: Any,
    _least_target: Any,
) -> Any:  # fmt: skip
    """Source of ``FOLD_FILLS``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count, data = width.count, data_of(context, builder, signature.args[1], arguments[1])
        taken = [start_of_row(builder, data, argument, count) for argument in arguments[2:5]]
        base = data_of(context, builder, signature.args[5], arguments[5])
        targets = [start_of_row(builder, base, argument, count) for argument in arguments[6:]]
        for vector in range(count):
            found = [load(builder, each, vector) for each in taken]
            for target, value in zip(targets, (found[0], least_of(builder, found)), strict=True):
                total = builder.fadd(load(builder, target, vector), value)
                store(builder, target, vector, total)
            for each in taken:
                store(builder, each, vector, ir.Constant(VECTOR, [0.0] * LANES))
        return context.get_dummy_value()

    kinds = (width, rows, types.int64, types.int64, types.int64, out, types.int64, types.int64)
    return types.void(*kinds), emit


FOLD_FILLS: Any = intrinsic(_emit_fold_fills)
"""FOLD_FILLS(width, rows, first, second, third, out, target, least): out[target] += rows[first],

out[least] += the smallest, number by number, of the three rows, which are left empty.
"""


def _emit_add_position(
    _: Any, width: Any, cells: Any, profits: Any, sums: Any, nets: Any, numbers: Any, ids: Any,
    _instrument: Any, _units: Any, _cost: Any,
) -> Any:  # fmt: skip
    """Source of ``ADD_POSITION``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, two = signature.args, ir.VectorType(NUMBER, 2)
        rows, matrix, totals, legs, columns, listed = (
            data_of(context, builder, kinds[k], arguments[k]) for k in range(1, 7)
        )

        def at(start: Any, offset: int, pair: bool = False) -> Any:
            place = builder.gep(start, [INDEX(offset)])
            return builder.bitcast(place, two.as_pointer()) if pair else place

        def add_pair(asset: Any, offset: int, value: Any) -> None:
            place = at(builder.gep(totals, [builder.mul(asset, INDEX(16))]), offset, pair=True)
            builder.store(builder.fadd(builder.load(place, align=16), value), place, align=16)

        own = builder.gep(columns, [builder.mul(arguments[7], INDEX(LANES))])
        place = builder.gep(listed, [builder.mul(arguments[7], INDEX(4))])
        base, settle, leg = (builder.zext(builder.load(at(place, k)), INDEX) for k in range(3))
        held = builder.fmul(builder.sitofp(arguments[8], NUMBER), builder.load(at(own, 0)))
        spent = builder.fmul(builder.sitofp(arguments[9], NUMBER), builder.load(at(own, 7)))
        both = builder.insert_element(two(ir.Undefined), held, SMALL(0))
        both = builder.shuffle_vector(both, both, ir.Constant(ir.VectorType(SMALL, 2), [0, 0]))
        gained = builder.fmul(both, builder.load(at(own, 2, pair=True), align=16))
        spent = builder.insert_element(two([0.0, 0.0]), spent, SMALL(0))
        add_pair(settle, 0, builder.fsub(gained, spent))
        # What is not sold asks for nothing, whatever its minimum.
        short = builder.insert_element(two([1.0, 1.0]), builder.fneg(held), SMALL(0))
        asked = builder.fmul(short, builder.load(at(own, 4, pair=True), align=16))
        counts = builder.fcmp_ordered(">", short, two([0.0, 0.0]))
        add_pair(base, 2, builder.select(counts, asked, two([0.0, 0.0])))
        net = builder.gep(legs, [leg])
        moved = builder.fmul(held, builder.load(at(own, 6)))
        builder.store(builder.fadd(builder.load(net), moved), net)
        times, target = broadcast(builder, held), start_of_row(builder, rows, base, width.count)
        source = start_of_row(builder, matrix, arguments[7], width.count)
        for vector in range(width.count):
            value, total = load(builder, source, vector), load(builder, target, vector)
            store(builder, target, vector, fused(builder, times, value, total))
        size = builder.call(builder.module.declare_intrinsic("llvm.fabs", [NUMBER]), [held])
        return builder.fmul(size, builder.load(at(own, 1)))

    kinds = (width, cells, profits, sums, nets, numbers, ids, types.int64, types.int64,
             types.int64)  # fmt: skip
    return types.float64(*kinds), emit


ADD_POSITION: Any = intrinsic(_emit_add_position)
"""ADD_POSITION(width, cells, profits, sums, nets, numbers, ids, instrument, units, cost): add a

position to its base's cells and sums, to its settle asset's sums and to the net of its leg, and
return the fee to close it. Columns are those of ``joint_tables``, in its order; a profit is
rounded with the sum it goes into.
"""


def _turn(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Source of ``TURN_LEGS`` and ``TURN_FILLS``: those have the first of the fills as well."""
    kinds, count = signature.args, signature.args[0].count * LANES
    nets, rates, out = (data_of(context, builder, kinds[k], arguments[k]) for k in (1, 3, 6))
    held = builder.gep(nets, [arguments[2]])
    last = held if len(arguments) == 8 else builder.gep(nets, [arguments[8]])
    lanes, none = ir.VectorType(SMALL, 4), ir.Constant(FOUR, [0.0] * 4)
    signs = ir.Constant(FOUR, [1.0, -1.0, 1.0, -1.0])

    def sides(number: Any) -> Any:
        first = builder.insert_element(ir.Constant(FOUR, ir.Undefined), number, SMALL(0))
        spread = builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * 4))
        return builder.fmul(spread, signs)

    owned = sides(arguments[5])
    total = builder.select(builder.fcmp_unordered(">", owned, none), owned, none)
    total = builder.shuffle_vector(total, none, ir.Constant(lanes, [0, 1, 4, 4]))
    for leg in range(count):
        net = builder.load(builder.gep(held, [INDEX(leg)]))
        if last is not held:
            net = builder.fadd(net, builder.load(builder.gep(last, [INDEX(leg)])))
        place = builder.gep(rates, [builder.mul(builder.add(arguments[4], INDEX(leg)), INDEX(4))])
        rate = builder.load(builder.bitcast(place, FOUR.as_pointer()), align=LINE_BYTES // 2)
        side = sides(net)
        # What has no rule is unknown as soon as it is held, and free before.
        is_held = builder.fcmp_unordered(">", side, none)
        moved = builder.select(is_held, builder.fmul(side, rate), none)
        total = builder.fadd(total, moved)
    place = builder.gep(out, [builder.mul(arguments[7], INDEX(4))])
    builder.store(total, builder.bitcast(place, FOUR.as_pointer()), align=LINE_BYTES // 2)
    for vector in range(count // LANES):
        store(builder, last, vector, ir.Constant(VECTOR, [0.0] * LANES))
    return context.get_dummy_value()


def _emit_turn_legs(
    _: Any, width: Any, nets: Any, _held: Any, rates: Any, _leg: Any, _owned: Any, out: Any,
    _at: Any,
) -> Any:  # fmt: skip
    """Source of ``TURN_LEGS``."""
    kinds = (width, nets, types.int64, rates, types.int64, types.float64, out, types.int64)
    return types.void(*kinds), _turn


TURN_LEGS: Any = intrinsic(_emit_turn_legs)
"""TURN_LEGS(width, nets, held, rates, leg, owned, out, at): out[at], of four columns, becomes what

is long of nets[held:] and ``owned``, what is short, and what nets lose on either side at
rates[leg:], rows of 1, 1, rate, rate; the nets are left empty.
"""


def _emit_turn_fills(
    _: Any, width: Any, nets: Any, _held: Any, rates: Any, _leg: Any, _owned: Any, out: Any,
    _at: Any, _filled: Any,
) -> Any:  # fmt: skip
    """Source of ``TURN_FILLS``."""
    kinds = (width, nets, types.int64, rates, types.int64, types.float64, out, types.int64,
             types.int64)  # fmt: skip
    return types.void(*kinds), _turn


TURN_FILLS: Any = intrinsic(_emit_turn_fills)
"""TURN_FILLS(width, nets, held, rates, leg, owned, out, at, filled): TURN_LEGS of nets[held:] plus

nets[filled:], of which the latter are left empty.
"""
