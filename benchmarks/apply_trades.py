"""Claim: the worst published tick, 22,558 forced closes, is booked as one batch."""

from collections.abc import Iterator

import numpy as np

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.machine import bytes_of, copy_lap
from benchmarks.peers import DictLedger
from benchmarks.timing import lap, seconds, time_laps
from benchmarks.world import liquidating_trades, open_world
from plimsoll.book import Book
from plimsoll.ledger import apply

SEED = 1


def measure(load: Load) -> Iterator[Line]:
    """One batch, checked and with the book before it kept; the peer checks and keeps nothing.

    The limit is copying the columns that the new book does not share with the old.
    """
    world = open_world(load.peak_accounts)
    book = world.book
    batch = liquidating_trades(book, world.market, load.peak_trades, SEED)
    plain, given = DictLedger.of(book), batch.trades
    columns = (given.pool, given.counterparty, given.instrument, given.quantity, given.price,
               given.fee)  # fmt: skip
    trades = list(zip(*(column.tolist() for column in columns), strict=True))

    def peer() -> float:
        ledger = plain.copy()
        return seconds(lambda: ledger.apply(trades))

    copied = bytes_of(book.positions.quantity, book.positions.cost, book.balances.amount)
    race = Race(*time_laps(load.repeats, lap(lambda: apply(book, batch)), peer, copy_lap(copied)))
    plain.apply(trades)
    accuracy = _accuracy(apply(book, batch), plain)
    name = f"apply_trades.{len(trades)}"
    yield race.milliseconds(name, "dict of ints, in place", accuracy)


def _accuracy(book: Book, plain: DictLedger) -> float:
    other, held, owned = DictLedger.of(book), book.positions, book.balances
    cash = np.array([plain.balances.get(key, 0) for key in other.balances])
    rows = np.array([plain.positions.get(key, (0, 0)) for key in other.positions]).reshape(-1, 2)
    if not (plain.balances.keys() <= other.balances.keys()
            and plain.positions.keys() <= other.positions.keys()):  # fmt: skip
        return float("inf")
    return relative_difference(
        [(owned.amount, cash), (held.quantity, rows[:, 0]), (held.cost, rows[:, 1])]
    )
