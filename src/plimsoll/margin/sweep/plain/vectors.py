"""A plain pool in one loop over its positions, as LLVM code: ``SCAN_PLAIN``.

The joint profit so far and the profit of the underlying at hand stay in registers. What some
contracts lose at most is their number times what one loses: rounding keeps order, so that the
largest of rounded products is the rounded product of the largest. Only an underlying with another
contract is looked through scenario by scenario.
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
    ``losses`` are as if no other contract followed; so are ``asked`` and ``alone``, sums and
    largest, while those named ``before`` leave it out. ``owned``: equity, what is owed, fees.
    ``key`` is the last row's, ``odd`` tells which settle assets differ.
    """

    joint: list[Any]
    cell: list[Any]
    losses: Any
    asked: Any
    alone: Any
    asked_before: Any
    alone_before: Any
    owned: Any
    key: Any
    odd: Any
    row: Any
    listed: Any


class _Row(NamedTuple):
    """A position: its number, its instrument's, and that of its underlying; how many contracts

    it holds, in every lane, and where the instrument's bounds begin.
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


def _open(builder: Any, count: int, first: Any, listed: Any, worth: Any) -> _Sums:
    """The variables before the first row."""

    def variable(value: Any) -> Any:
        return cgutils.alloca_once_value(builder, value)

    return _Sums(
        joint=[variable(_zeros(VECTOR)) for _ in range(count)],
        cell=[variable(_zeros(VECTOR)) for _ in range(count)],
        losses=variable(_zeros(FOUR)),
        asked=variable(_zeros(FOUR)),
        alone=variable(_zeros(FOUR)),
        asked_before=variable(_zeros(FOUR)),
        alone_before=variable(_zeros(FOUR)),
        owned=variable(builder.insert_element(_zeros(FOUR), worth, SMALL(0))),
        # Above the key of a contract that is not plain, which is 0.
        key=variable(INDEX(1)),
        odd=variable(INDEX(0)),
        row=variable(first),
        listed=variable(listed),
    )


def _read(builder: Any, data: _Data, row: Any, number: Any, name: Any) -> _Row:
    """The position of a row."""
    units = builder.load(builder.gep(data.quantity, [row]))
    turn = builder.add(builder.shl(number, INDEX(1)), builder.lshr(units, INDEX(63)))
    bounds = builder.gep(data.bounds, [builder.mul(turn, INDEX(BOUND_COLUMNS))])
    unit = builder.load(builder.gep(bounds, [INDEX(UNITS)]))
    held = broadcast(builder, builder.fmul(builder.sitofp(units, NUMBER), unit))
    return _Row(row, number, builder.sub(name, INDEX(1)), held, bounds)


def _begin(builder: Any, sums: _Sums, data: _Data, at: _Row) -> None:
    """Close the underlying before, and take the first contract of the next."""
    source = start_of_row(builder, data.profits, at.number, len(sums.cell))
    for vector, (joint, cell) in enumerate(zip(sums.joint, sums.cell, strict=True)):
        builder.store(builder.fadd(builder.load(joint), builder.load(cell)), joint)
        builder.store(builder.fmul(at.held, load(builder, source, vector)), cell)
    times = pick(builder, at.held, at.held, [*range(4)])
    losses = builder.fmul(times, _load_four(builder, at.bounds, LOSSES))
    is_loss = builder.fcmp_ordered(">", losses, _zeros(FOUR))
    builder.store(builder.select(is_loss, losses, _zeros(FOUR)), sums.losses)
    builder.store(builder.load(sums.asked), sums.asked_before)
    builder.store(builder.load(sums.alone), sums.alone_before)


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
    bar = builder.gep(data.asset_ids, [builder.add(builder.mul(at.base, INDEX(3)), INDEX(BAR))])
    fence = start_of_row(builder, data.bars, builder.zext(builder.load(bar), INDEX), count)
    builder.store(losses_of(builder, sets_of(builder, sides, fence, found)), sums.losses)
    listed = builder.load(sums.listed)
    name = builder.or_(builder.shl(place, INDEX(PLACE_BIT)), at.row)
    builder.store(name, builder.gep(data.listed, [listed]))
    builder.store(builder.add(listed, INDEX(1)), sums.listed)


def _ask(builder: Any, sums: _Sums, data: _Data, at: _Row) -> None:
    """Add what the underlying asks, so far, to what those before ask: see ``measure_entries``."""
    rule = builder.gep(data.assets, [builder.mul(at.base, INDEX(8))])
    twice, stretch, most = (
        builder.load(builder.gep(rule, [INDEX(k)])) for k in (TWICE_OFFSET, STRETCH, GROWTH_MAX)
    )
    losses = builder.load(sums.losses)
    worst = builder.extract_element(losses, SMALL(0))
    every = _spread(builder, worst)
    less = builder.fmul(_spread(builder, twice), builder.fsub(every, losses))
    asked = builder.fsub(every, less)
    root = builder.module.declare_intrinsic("llvm.sqrt", [NUMBER])
    growth = builder.call(root, [builder.fadd(NUMBER(1.0), builder.fmul(worst, stretch))])
    growth = builder.select(builder.fcmp_ordered("<", most, growth), most, growth)
    charge = builder.fmul(worst, builder.fsub(growth, NUMBER(1.0)))
    asked = builder.insert_element(asked, charge, SMALL(CONCENTRATION))
    builder.store(builder.fadd(builder.load(sums.asked_before), asked), sums.asked)
    alone = builder.load(sums.alone_before)
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
    """Write what a pool comes to."""
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


def _emit_scan_plain(
    _: Any, shape: Any, tables: Any, rows: Any, room: Any, _first: Any, _end: Any, _place: Any,
    _listed: Any, _key: Any, _settle_unit: Any, _worth: Any,
) -> Any:  # fmt: skip
    """Source of ``SCAN_PLAIN``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width, _, sides = signature.args[0].types
        first, end, place, listed, first_key, settle_unit, worth = arguments[4:]
        data = _columns(context, builder, signature.args[1:4], arguments[1:4])
        sums = _open(builder, width.count, first, listed, worth)
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
        name, before = (builder.lshr(each, INDEX(BASE_BIT)) for each in (key, last))
        at = _read(builder, data, row, number, name)
        builder.cbranch(builder.icmp_unsigned("==", name, before), more, begin)
        builder.position_at_end(begin)
        _begin(builder, sums, data, at)
        builder.branch(both)
        builder.position_at_end(more)
        _go_on(builder, sums, data, sides, at, place)
        builder.branch(both)
        builder.position_at_end(both)
        _ask(builder, sums, data, at)
        _own(builder, sums, data, at, settle_unit)
        odd = builder.or_(builder.load(sums.odd), builder.xor(key, first_key))
        builder.store(odd, sums.odd)
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
        return builder.select(is_plain, builder.load(sums.listed), INDEX(-1))

    kinds = (shape, tables, rows, room, *(types.int64,) * 4, types.uint64, types.float64,
             types.float64)  # fmt: skip
    return types.int64(*kinds), emit


SCAN_PLAIN: Any = intrinsic(_emit_scan_plain)
"""SCAN_PLAIN(shape, tables, rows, room, first, end, place, listed, key, settle_unit, worth): the

measure of positions first to end as those of a plain pool, to ``place`` of ``room.totals``: the
joint loss, the largest of those alone, concentration, sides, fees, and of the settle asset the
equity, which is ``worth`` before, and, at DEPEG_AT, what is owed. ``key`` and ``settle_unit`` are
those of the first row. Rows that are not the first of their underlying go to ``room.listed``, from
``listed`` on. Returns the end of that list, or -1 where the pool is not plain: then nothing
written counts.
"""
