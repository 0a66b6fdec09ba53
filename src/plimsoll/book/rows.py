"""The rows of a book as compiled code reads them, whichever kind of book holds them."""

from typing import NamedTuple

from plimsoll.core import Bools, Int8s, Int32s, Int64s


class Rows(NamedTuple):
    """Flat columns. Pool p owns rows ``..._begin`` [p] to ``..._end`` [p] of each table.

    Rows of a pool lie together and rise by instrument, asset or order id. Between pools there
    may be rows that nobody owns. Units are those of ``Positions``, ``Balances`` and ``Orders``;
    ``kind`` is a ``PoolKind``.
    """

    kind: Int8s
    position_begin: Int64s
    position_end: Int64s
    instrument: Int32s
    quantity: Int64s
    cost: Int64s
    balance_begin: Int64s
    balance_end: Int64s
    asset: Int32s
    amount: Int64s
    order_begin: Int64s
    order_end: Int64s
    order_instrument: Int32s
    order_quantity: Int64s
    order_price: Int64s
    order_reduces: Bools
