"""The columns that the sweep's kernels read and write, and the room they work in."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.core import Bools, Floats, Int8s, Int64s

Words: TypeAlias = NDArray[np.uint64]
Records: TypeAlias = Any
"""An array of ``CONTRACT``."""

EQUITY, COLLATERAL, INITIAL, MAINTENANCE = range(4)
TIERED_INITIAL, TIERED_MAINTENANCE, SIZE_INITIAL, SIZE_MAINTENANCE, ORDERS, FEES = range(4, 10)
FIGURES = 10
"""Rows of the result; the first four are totals, the others charges."""

CONTRACT = np.dtype(
    [
        ("unit", np.float64),
        ("value", np.float64),
        ("settle_unit", np.float64),
        ("notional", np.float64),
        ("base", np.uint32),
        ("settle", np.uint32),
    ]
)
"""A contract at a market: contracts per exact unit, settle asset per contract, settle asset per
exact unit of cost, USD per contract, and the assets."""

PRICE_UNIT, MULTIPLIER, MARK, BASE_INDEX, QUOTE_INDEX, SETTLE_INDEX = range(6)
LINEAR, INVERSE, OPTION, SPOT = range(4)
"""How an order is valued."""

LANES = 8
"""Floors that are compared at once; an asset has a multiple of them."""
STEP = np.uint64(LANES)
OPEN, RATE = np.uint64(0), np.uint64(1)
OPEN_CONSTANT, CONSTANT = np.uint64(2), np.uint64(3)
RATES = 4
"""Of a bracket: rate and constant of the initial margin, and of maintenance."""
HAIRCUT_FLOOR, HAIRCUT_RATE, HAIRCUT_CONSTANT = range(3)

LONG, SHORT, GROSS, WORST_LONG, WORST_SHORT, LOSS, RESERVE = range(7)
GROUP_COLUMNS = 8
HELD, BUYS, SELLS, BUY_NOTIONAL, SELL_NOTIONAL = range(5)
SLOT_COLUMNS = 8
SIDE, FILLED, LOST, LOCKED = range(4)
FILL_COLUMNS = 4
OWNER, ITEM = range(2)
NAMES = 2
"""Words of a listed slot or group: its pool's column, and its instrument or asset."""

CHUNK = 512
"""Pools that go through all passes before the next ones begin, so that caches hold them."""
BLOCK = 8 * CHUNK
"""Pools a thread takes at a time."""
ALONE = 4 * BLOCK
"""Pools that one thread sweeps alone: on a busy machine, to wake others and wait for them costs

several times what they save of a millisecond or two."""
LISTED = 1024
"""Slots that are listed at once, if no single pool has more."""


class Contracts(NamedTuple):
    """Columns over instruments at a market.

    ``held`` has the dtype ``CONTRACT``; ``ordered`` is [instruments, 6] and ``code`` says how
    orders are valued; ``unruled`` is empty where every contract has a rule.
    """

    held: Records
    ordered: Floats
    code: Int8s
    unruled: Bools


class Rules(NamedTuple):
    """Columns over assets, and tiers as rows.

    Asset a has brackets a << shift and following: ``floors`` are those of the brackets after the
    first, padded with infinity, ``rates`` four numbers each. It owns haircuts
    ``haircut_offsets`` [a] to [a + 1], [rows, 3]. ``slope`` is empty where no asset has one.
    """

    unit: Floats
    index: Floats  # type: ignore[assignment]
    shift: Any
    floors: Floats
    rates: Floats
    haircut_offsets: Int64s
    haircuts: Floats
    slope: Floats
    fee_rate: float
    call_ratio: float


class Room(NamedTuple):
    """Where a thread keeps sums of the pool at hand, zero between pools, and lists of a chunk.

    Shape [threads, ...]; the kernels say what is where. ``slots`` and ``listed`` are the lengths
    of what orders need, 0 where there are none; ``pools`` are those of a chunk at most. Calls at
    the same time may not share a room.
    """

    sums: Floats
    words: Words
    slots: int
    listed: int
    pools: int


def open_room(assets: int, instruments: int, has_orders: bool, pools: int, threads: int) -> Room:
    """A room of zeros for chunks of ``pools`` at most; without orders far less is needed."""
    slots = instruments if has_orders else 0
    listed = LISTED + slots if has_orders else 0
    sums = assets + 1 + GROUP_COLUMNS * assets + pools * assets
    sums += SLOT_COLUMNS * (slots + listed) + FILL_COLUMNS * listed
    words = 2 * word_count(assets) + word_count(slots) + 3 * pools + pools * assets
    words += 2 * NAMES * listed
    # Padded, so that no two threads write to one cache line.
    shapes = (threads, sums + LANES), (threads, words + LANES)
    return Room(np.zeros(shapes[0]), np.zeros(shapes[1], dtype=np.uint64), slots, listed, pools)


def word_count(items: int) -> int:
    """Words of 64 bits for a mask over some items."""
    return -(-items // 64)
