"""Our accounts as columns: pools of collateral with their balances, positions and orders.

Entry point: ``Book``. A *pool* is collateral and the positions it backs: an account has one
cross pool and one more for every isolated position, so isolation needs no rule of its own.
``LiveBook`` holds the same in columns that change in place. Invariants: rows of a pool lie
together, sorted by id; amounts are exact int64 units; a ``Book`` is never changed, only replaced,
and only the ledger makes its successor or writes to a live one.
"""

from plimsoll.book.arena import Arena
from plimsoll.book.book import Balances, Book, ModelChoice, Orders, Positions
from plimsoll.book.live import LiveBook
from plimsoll.book.pools import MarketPhase, PoolKind, PoolState, SystemPool
from plimsoll.book.rows import Rows
from plimsoll.book.segments import insert_rows, locate_rows, rows_of, take_segments
from plimsoll.book.select import clone_account, compact_book, digest_book, take_pools

__all__ = [
    "Arena",
    "Balances",
    "Book",
    "LiveBook",
    "MarketPhase",
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
