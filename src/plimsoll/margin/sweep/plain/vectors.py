"""A plain pool in one loop over its positions, as LLVM code: ``SCAN_PLAIN``.

The joint profit so far and the profit of the underlying at hand stay in registers. What some
contracts lose at most is their number times what one loses: rounding keeps order, so that the
largest of rounded products is the rounded product of the largest. Only an underlying with another
contract is looked through scenario by scenario. The loop is a function of its own: inlined, it
would have to share registers, and read spilled addresses again for every row.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils as numba_cgutils
from numba.core import types as numba_types
from numba.extending import intrinsic

from plimsoll.margin.sweep.joint_tables import (
    ALONE_AT,
    BAR,
    CONCENTRATIONS_AT,
    DEPEG_AT,
    EQUITY_AT,
    FEES_AT,
    GROWTH_MAX,
    JOINT_AT,
    LONGS_AT,
    POOLS,
    SHORTS_AT,
    STRETCH,
    TWICE_OFFSET,
)
from plimsoll.margin.sweep.joint_vectors import losses_of, sets_of
from plimsoll.margin.sweep.plain.columns import (
    BASE_BIT,
    BOUND_COLUMNS,
    COSTS,
    LOSSES,
    OWES,
    SETTLE_MASK,
    UNITS,
    WORTH,
)
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
    load,
    loss_of,
    pick,
    start_of_row,
)

# Numba's own modules carry no types.
cgutils: Any = numba_cgutils
types: Any = numba_types

PLACE_BIT = 48
"""A listed row has its pool's place from this bit up."""
CONCENTRATION, FALLS, RISES, ALONE = range(4)
"""Lanes of losses and of what they ask; of losses the first is that in all scenarios."""


class _Data(NamedTuple):
    """Where the numbers of columns begin."""

    profits: Any
    keys: Any
    bounds: Any
    bars: Any
    assets: Any
    asset_ids: Any
    instrument: Any
    quantity: Any
    cost: Any
    listed: Any
    totals: Any


class _Sums(NamedTuple):
    """Variables of the loop, to be registers.

    ``joint`` and ``cell``: profits of the underlyings before and of the one at hand, whose
    ``losses`` are as if no other contract followed; ``root``, ``twice`` and ``most`` lead to what
    it asks. ``asked`` and ``alone``, sums and largest, leave it out. ``owned``: equity, what is
    owed, fees. ``key`` is the last row's, ``odd`` tells which settle assets differ.
    """

    joint: list[Any]
    cell: list[Any]
    losses: Any
    root: Any
    twice: Any
    most: Any
    asked: Any
    alone: Any
    owned: Any
    key: Any
    odd: Any
    row: Any
    listed: Any


class _Row(NamedTuple):
    """A position: its number, its instrument's, and that of its underlying plus one; how many

    contracts it holds, in every lane, and where the instrument's bounds begin.
    """

    row: Any
    number: Any
    base: Any
    held: Any
    bounds: Any


def _zeros(kind: Any) -> Any:
    return ir.Constant(kind, [0.0] * kind.count)


def _spread(builder: Any, number: Any) -> Any:
    """Four of one number."""
    one = builder.insert_element(ir.Constant(FOUR, ir.Undefined), number, SMALL(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(SMALL, 4), [0] * 4))


def _load_four(builder: Any, start: Any, offset: int) -> Any:
    at = builder.bitcast(builder.gep(start, [INDEX(offset)]), FOUR.as_pointer())
    return builder.load(at, align=LINE_BYTES // 2)


def _columns(context: Any, builder: Any, kinds: Any, values: Any) -> _Data:
    """The columns that are read, of some named tuples."""
    found = {}
    for kind, value in zip(kinds, values, strict=True):
        parts = cgutils.unpack_tuple(builder, value)
        for name, each, part in zip(kind.fields, kind.types, parts, strict=True):
            if name in _Data._fields:
                found[name] = data_of(context, builder, each, part)
    return _Data(**found)


def _open(
    builder: Any, count: int, first: Any, listed: Any, first_key: Any, worth: Any
) -> _Sums:  # fmt: skip
    """The variables before the first row."""

    def variable(value: Any) -> Any:
        return cgutils.alloca_once_value(builder, value)

    return _Sums(
        joint=[variable(_zeros(VECTOR)) for _ in range(count)],
        cell=[variable(_zeros(VECTOR)) for _ in range(count)],
        losses=variable(_zeros(FOUR)),
        root=variable(NUMBER(1.0)),
        twice=variable(_zeros(FOUR)),
        most=variable(NUMBER(1.0)),
        asked=variable(_zeros(FOUR)),
        alone=variable(_zeros(FOUR)),
        owned=variable(builder.insert_element(_zeros(FOUR), worth, SMALL(0))),
        # Of the first settle asset; above the key of a contract that is not plain, which is 0.
        key=variable(builder.or_(builder.and_(first_key, INDEX(SETTLE_MASK)), INDEX(1))),
        odd=variable(INDEX(0)),
        row=variable(first),
        listed=variable(listed),
    )


def _read(builder: Any, data: _Data, row: Any, number: Any, base: Any) -> _Row:
    """The position of a row."""
    place = builder.gep(data.quantity, [row])
    # Read apart from the number, which can then be spread over lanes and converted in one step.
    # The higher half is the second: nothing here runs where it is the first.
    high = builder.gep(builder.bitcast(place, SMALL.as_pointer()), [INDEX(1)])
    side = builder.zext(builder.lshr(builder.load(high), SMALL(31)), INDEX)
    turn = builder.or_(builder.shl(number, INDEX(1)), side)
    bounds = builder.gep(data.bounds, [builder.mul(turn, INDEX(BOUND_COLUMNS))])
    unit = broadcast(builder, builder.load(builder.gep(bounds, [INDEX(UNITS)])))
    # From two lanes, for LLVM would convert first, and spread then, what is as wide.
    two = ir.VectorType(INDEX, 2)
    units = builder.insert_element(ir.Constant(two, ir.Undefined), builder.load(place), SMALL(0))
    lanes = ir.Constant(ir.VectorType(SMALL, LANES), [0] * LANES)
    units = builder.shuffle_vector(units, ir.Constant(two, ir.Undefined), lanes)
    held = builder.fmul(builder.sitofp(units, VECTOR), unit)
    return _Row(row, number, base, held, bounds)


def _begin(builder: Any, sums: _Sums, data: _Data, at: _Row) -> None:
    """Close the underlying before, and take the first contract of the next."""
    _ask(builder, sums)
    source = start_of_row(builder, data.profits, at.number, len(sums.cell))
    for vector, (joint, cell) in enumerate(zip(sums.joint, sums.cell, strict=True)):
        builder.store(builder.fadd(builder.load(joint), builder.load(cell)), joint)
        builder.store(builder.fmul(at.held, load(builder, source, vector)), cell)
    times = pick(builder, at.held, at.held, [*range(4)])
    losses = builder.fmul(times, _load_four(builder, at.bounds, LOSSES))
    builder.store(losses, sums.losses)


def _go_on(
    builder: Any, sums: _Sums, data: _Data, sides: Any, at: _Row, place: Any
) -> None:  # fmt: skip
    """Add another contract to the underlying at hand, and list its row."""
    count, found = len(sums.cell), []
    source = start_of_row(builder, data.profits, at.number, count)
    for vector, cell in enumerate(sums.cell):
        value = fused(builder, at.held, load(builder, source, vector), builder.load(cell))
        builder.store(value, cell)
        found.append(value)
    ids = builder.mul(builder.sub(at.base, INDEX(1)), INDEX(3))
    bar = builder.gep(data.asset_ids, [builder.add(ids, INDEX(BAR))])
    fence = start_of_row(builder, data.bars, builder.zext(builder.load(bar), INDEX), count)
    builder.store(losses_of(builder, sets_of(builder, sides, fence, found)), sums.losses)
    listed = builder.load(sums.listed)
    name = builder.or_(builder.shl(place, INDEX(PLACE_BIT)), at.row)
    builder.store(name, builder.gep(data.listed, [listed]))
    builder.store(builder.add(listed, INDEX(1)), sums.listed)


def _rule(builder: Any, sums: _Sums, data: _Data, at: _Row) -> None:
    """Begin what the underlying at hand asks; a root takes long, the next row need not wait."""
    rule = builder.gep(data.assets, [builder.mul(at.base, INDEX(LANES))])
    twice, stretch, most = (
        builder.load(builder.gep(rule, [INDEX(k - LANES)]))
        for k in (TWICE_OFFSET, STRETCH, GROWTH_MAX)
    )
    worst = builder.extract_element(builder.load(sums.losses), SMALL(0))
    root = builder.module.declare_intrinsic("llvm.sqrt", [NUMBER])
    growth = builder.call(root, [builder.fadd(NUMBER(1.0), builder.fmul(worst, stretch))])
    builder.store(growth, sums.root)
    builder.store(_spread(builder, twice), sums.twice)
    builder.store(most, sums.most)


def _ask(builder: Any, sums: _Sums) -> None:
    """Add what the underlying at hand asks: see ``measure_entries``."""
    losses, most, growth = (builder.load(k) for k in (sums.losses, sums.most, sums.root))
    worst = builder.extract_element(losses, SMALL(0))
    every = _spread(builder, worst)
    less = builder.fmul(builder.load(sums.twice), builder.fsub(every, losses))
    asked = builder.fsub(every, less)
    growth = builder.select(builder.fcmp_ordered("<", most, growth), most, growth)
    charge = builder.fmul(worst, builder.fsub(growth, NUMBER(1.0)))
    asked = builder.insert_element(asked, charge, SMALL(CONCENTRATION))
    builder.store(builder.fadd(builder.load(sums.asked), asked), sums.asked)
    alone = builder.load(sums.alone)
    is_more = builder.fcmp_ordered(">", losses, alone)
    builder.store(builder.select(is_more, losses, alone), sums.alone)


def _own(builder: Any, sums: _Sums, data: _Data, at: _Row, settle_unit: Any) -> None:
    """Add a position to equity, to what is owed and to fees."""
    times = pick(builder, at.held, at.held, [*range(4)])
    gained = builder.fmul(times, _load_four(builder, at.bounds, WORTH))
    paid = builder.load(builder.gep(data.cost, [at.row]))
    paid = builder.insert_element(ir.Constant(ir.VectorType(INDEX, 4), [0] * 4), paid, SMALL(0))
    spent = builder.fmul(builder.sitofp(paid, FOUR), settle_unit)
    owned = builder.fadd(builder.load(sums.owned), builder.fsub(gained, spent))
    builder.store(owned, sums.owned)


def _close(builder: Any, sums: _Sums, data: _Data, place: Any) -> None:
    """Close the last underlying, and write what a pool comes to."""
    _ask(builder, sums)
    found = [
        builder.fadd(builder.load(joint), builder.load(cell))
        for joint, cell in zip(sums.joint, sums.cell, strict=True)
    ]
    lanes = (
        (ALONE_AT, sums.alone, ALONE), (CONCENTRATIONS_AT, sums.asked, CONCENTRATION),
        (SHORTS_AT, sums.asked, FALLS), (LONGS_AT, sums.asked, RISES),
        (EQUITY_AT, sums.owned, WORTH - WORTH), (DEPEG_AT, sums.owned, OWES - WORTH),
        (FEES_AT, sums.owned, COSTS - WORTH),
    )  # fmt: skip
    figures = [(JOINT_AT, loss_of(builder, found))]
    for column, variable, lane in lanes:
        figures.append((column, builder.extract_element(builder.load(variable), SMALL(lane))))
    for column, figure in figures:
        at = builder.gep(data.totals, [builder.add(place, INDEX(column * POOLS))])
        builder.store(figure, at)


def _write_loop(function: Any, width: Any, sides: Any) -> None:
    """The body of the function that ``SCAN_PLAIN`` calls: the loop over a pool's rows."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    pointers, first, end, place, listed, first_key, settle_unit, worth = function.args
    data = _Data(
        *(
            builder.load(cgutils.gep_inbounds(builder, pointers, 0, k))
            for k in range(len(_Data._fields))
        )
    )
    sums = _open(builder, width.count, first, listed, first_key, worth)
    settle_unit = _spread(builder, settle_unit)
    head, body, plain, begin, more, both, out, done = (
        builder.append_basic_block(name)
        for name in ("head", "body", "plain", "begin", "more", "both", "out", "done")
    )
    builder.branch(head)
    builder.position_at_end(head)
    row = builder.load(sums.row)
    builder.cbranch(builder.icmp_signed("<", row, end), body, out)
    builder.position_at_end(body)
    number = builder.zext(builder.load(builder.gep(data.instrument, [row])), INDEX)
    key, last = builder.load(builder.gep(data.keys, [number])), builder.load(sums.key)
    builder.cbranch(builder.icmp_unsigned("<", key, last), done, plain)
    builder.position_at_end(plain)
    apart = builder.xor(key, last)
    at = _read(builder, data, row, number, builder.lshr(key, INDEX(BASE_BIT)))
    builder.cbranch(builder.icmp_unsigned("<", apart, INDEX(1 << BASE_BIT)), more, begin)
    builder.position_at_end(begin)
    _begin(builder, sums, data, at)
    builder.branch(both)
    builder.position_at_end(more)
    _go_on(builder, sums, data, sides, at, place)
    builder.branch(both)
    builder.position_at_end(both)
    _rule(builder, sums, data, at)
    _own(builder, sums, data, at, settle_unit)
    builder.store(builder.or_(builder.load(sums.odd), apart), sums.odd)
    builder.store(key, sums.key)
    builder.store(builder.add(row, INDEX(1)), sums.row)
    builder.branch(head)
    builder.position_at_end(out)
    _close(builder, sums, data, place)
    builder.branch(done)
    builder.position_at_end(done)
    settles = builder.and_(builder.load(sums.odd), INDEX(SETTLE_MASK))
    is_plain = builder.and_(
        builder.icmp_signed("==", builder.load(sums.row), end),
        builder.icmp_unsigned("==", settles, INDEX(0)),
    )
    builder.ret(builder.select(is_plain, builder.load(sums.listed), INDEX(-1)))


def _emit_point_plain(_: Any, tables: Any, rows: Any, room: Any) -> Any:
    """Source of ``POINT_PLAIN``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _columns(context, builder, signature.args, arguments)
        kind = ir.LiteralStructType([each.type for each in data])
        place = cgutils.alloca_once(builder, kind)
        for k, each in enumerate(data):
            builder.store(each, cgutils.gep_inbounds(builder, place, 0, k))
        return builder.ptrtoint(place, INDEX)

    return types.int64(tables, rows, room), emit


POINT_PLAIN: Any = intrinsic(_emit_point_plain)
"""POINT_PLAIN(tables, rows, room): the address of a list of where the columns begin that

``SCAN_PLAIN`` reads. It is as long-lived as the function that asks for it.
"""


def _emit_scan_plain(
    _: Any, shape: Any, tables: Any, rows: Any, room: Any, _pointers: Any, _first: Any, _end: Any,
    _place: Any, _listed: Any, _key: Any, _settle_unit: Any, _worth: Any,
) -> Any:  # fmt: skip
    """Source of ``SCAN_PLAIN``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width, _, sides = signature.args[0].types
        data = _columns(context, builder, signature.args[1:4], arguments[1:4])
        kind = ir.LiteralStructType([each.type for each in data]).as_pointer()
        call = ir.FunctionType(INDEX, [kind, *(INDEX,) * 5, NUMBER, NUMBER])
        name = "scan_plain_" + "_".join(str(each.count) for each in (width, *sides.types))
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, call, name=name)
            function.linkage = "internal"
            # On its own it has registers enough for the loop.
            function.attributes.add("noinline")
            _write_loop(function, width, sides)
        return builder.call(function, [builder.inttoptr(arguments[4], kind), *arguments[5:]])

    kinds = (shape, tables, rows, room, *(types.int64,) * 5, types.uint64, types.float64,
             types.float64)  # fmt: skip
    return types.int64(*kinds), emit


SCAN_PLAIN: Any = intrinsic(_emit_scan_plain)
"""SCAN_PLAIN(shape, tables, rows, room, pointers, first, end, place, listed, key, settle_unit,

worth): the measure of positions first to end as those of a plain pool, to ``place`` of
``room.totals``: the joint loss, the largest of those alone, concentration, sides, fees, and of the
settle asset the equity, which is ``worth`` before, and, at DEPEG_AT, what is owed. ``pointers`` is
POINT_PLAIN of the same; ``key`` and ``settle_unit`` are those of the first row. Rows that are not
the first of their underlying go to ``room.listed``, from ``listed`` on. Returns the end of that
list, or -1 where the pool is not plain: then nothing written counts.
"""
