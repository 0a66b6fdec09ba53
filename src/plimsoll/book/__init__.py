"""Our accounts as columns: pools of collateral with their balances, positions and orders.

Entry point: ``Book``. A *pool* is collateral and the positions it backs: an account has one
cross pool and one more for every isolated position, so isolation needs no rule of its own.
Invariants: rows of a pool lie together, sorted by id; amounts are exact int64 units; a book is
never changed, only replaced, and only ``ledger.apply`` makes its successor.
"""

from plimsoll.book.book import Balances, Book, ModelChoice, Orders, Positions
from plimsoll.book.pools import PoolKind, PoolState, SystemPool
from plimsoll.book.rows import Rows
from plimsoll.book.segments import insert_rows, locate_rows, rows_of, take_segments
from plimsoll.book.select import clone_account, compact_book, digest_book, take_pools

__all__ = [
    "Balances",
    "Book",
    "ModelChoice",
    "Orders",
    "PoolKind",
    "PoolState",
    "Positions",
    "Rows",
    "SystemPool",
    "clone_account",
    "compact_book",
    "digest_book",
    "insert_rows",
    "locate_rows",
    "rows_of",
    "take_pools",
    "take_segments",
]
