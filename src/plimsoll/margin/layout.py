"""Where each row of a book adds up to: resolved once, used at every price.

Three kinds of sums serve every model: a *slot* is an instrument in a pool (its position and
its orders), a *cell* is an asset in a pool (its balance and the profit settled in it), a
*group* is an underlying in a pool (all slots on one base asset). A layout depends on which
rows there are, not on amounts, so it outlives most batches.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Int32s, Int64s, offsets_from_counts
from plimsoll.margin.kernels import match_rows


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets [pools + 1] of slots, cells and groups, and which row adds to which."""

    slot_offsets: Int64s
    slot_instrument: Int32s
    slot_cell: Int64s
    slot_group: Int64s
    cell_offsets: Int64s
    cell_asset: Int32s
    group_offsets: Int64s
    group_underlying: Int32s
    position_slot: Int64s
    order_slot: Int64s
    balance_cell: Int64s


def refit_layout(layout: Layout, book: Book) -> Layout:
    """The layout for a book whose rows may have come or gone.

    Slots, cells and groups that lost their last row may stay: they hold nothing. Only where a
    row needs one that is missing is everything laid out anew.
    """
    if layout.slot_offsets.size == book.pool_count + 1:
        found = [
            _match(offsets, ids, *known)
            for offsets, ids, known in (
                (book.positions.offsets, book.positions.instrument, _slots(layout)),
                (book.orders.offsets, book.orders.instrument, _slots(layout)),
                (book.balances.offsets, book.balances.asset,
                 (layout.cell_offsets, layout.cell_asset)),
            )
        ]  # fmt: skip
        if not any(missing for _, missing in found):
            (positions, _), (orders, _), (balances, _) = found
            return replace(
                layout, position_slot=positions, order_slot=orders, balance_cell=balances
            )
    return lay_out_book(book)


def _slots(layout: Layout) -> tuple[Int64s, Int32s]:
    return layout.slot_offsets, layout.slot_instrument


def _match(
    offsets: Int64s, ids: Int32s, known_offsets: Int64s, known_ids: Int32s
) -> tuple[Int64s, int]:
    out = np.empty(ids.size, dtype=np.int64)
    return out, match_rows(offsets, ids, known_offsets, known_ids, out)


def lay_out_book(book: Book) -> Layout:
    """The layout of all pools of a book."""
    table = book.instruments
    pools = np.arange(book.pool_count, dtype=np.int64)
    position_pool = np.repeat(pools, np.diff(book.positions.offsets))
    order_pool = np.repeat(pools, np.diff(book.orders.offsets))
    balance_pool = np.repeat(pools, np.diff(book.balances.offsets))
    slots, slot_of = _distinct(
        np.concatenate([position_pool, order_pool]),
        np.concatenate([book.positions.instrument, book.orders.instrument]),
        len(table),
    )
    slot_pool, slot_instrument = slots
    cells, cell_of = _distinct(
        np.concatenate([balance_pool, slot_pool]),
        np.concatenate([book.balances.asset, table.settle[slot_instrument]]),
        len(table.assets.names),
    )
    groups, group_of = _distinct(slot_pool, table.base[slot_instrument], len(table.assets.names))
    split, balances = position_pool.size, balance_pool.size
    return Layout(
        slot_offsets=_offsets(slot_pool, book.pool_count),
        slot_instrument=slot_instrument,
        slot_cell=cell_of[balances:],
        slot_group=group_of,
        cell_offsets=_offsets(cells[0], book.pool_count),
        cell_asset=cells[1],
        group_offsets=_offsets(groups[0], book.pool_count),
        group_underlying=groups[1],
        position_slot=slot_of[:split],
        order_slot=slot_of[split:],
        balance_cell=cell_of[:balances],
    )


def _distinct(pools: Int64s, ids: Int32s, width: int) -> tuple[tuple[Int64s, Int32s], Int64s]:
    """Distinct (pool, id) pairs in order, and which one each row is."""
    keys, inverse = np.unique(pools * width + ids, return_inverse=True)
    return (keys // width, (keys % width).astype(np.int32)), inverse.astype(np.int64)


def _offsets(pools: Int64s, count: int) -> Int64s:
    return offsets_from_counts(np.bincount(pools, minlength=count).astype(np.int64))
