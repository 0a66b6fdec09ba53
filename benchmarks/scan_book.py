"""Claims: scenarios over a whole book run at the speed of the machine's arithmetic.

``scan.worst_loss`` is the bare scan: the worst of 48 scenarios for every account. Its peer is
SciPy, the book as a sparse matrix times the profits, then the least of each row; its limit a
dense product of as many multiply-adds. ``scan.portfolio`` is ``plimsoll.portfolio`` with all its
rules; its limit is the bare scan of the same book. ``scan.one_pool`` is one pool from a prepared
sheet, with the same limit. Two books: 2,000 futures on 100 underlyings, some much more popular than
others; and desks with options, orders and coins, spread evenly.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from benchmarks.desk import AS_OF_NS, MODEL, Desk, open_desk
from benchmarks.futures_book import PORTFOLIO, open_futures
from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.timing import Lap, lap, seconds, time_laps
from plimsoll.book import Book, SystemPool, take_pools
from plimsoll.core import Floats, stream
from plimsoll.margin import Assessment, ModelSet, assess, load_models
from plimsoll.margin.sweep import JointSheet, sweep_joint, worst_losses, zero_figures
from plimsoll.margin.venues.plimsoll_portfolio import prepare

PRODUCT_SIZE = 1024
PASSES = 200
FIGURES = ("equity", "collateral_value", "initial_margin", "maintenance_margin")


def measure(load: Load) -> Iterator[Line]:
    """The scan of the largest books, the model on them, and one pool.

    The rule sheet needs too much memory for the largest book, so that the model's peer there is
    SciPy's bare scan.
    """
    accounts = max(load.accounts)
    futures = open_futures(accounts, model=PORTFOLIO)
    sheet = prepare(futures.market, futures.models.models[0])
    yield from _scans("futures", futures.book, sheet, load)
    del futures
    desk = open_desk(accounts)
    models = load_models(desk.book.instruments, (MODEL,), AS_OF_NS)
    yield from _scans("desk", desk.book, prepare(desk.market, models.models[0]), load)
    desk = open_desk(load.tick_accounts)
    models = load_models(desk.book.instruments, (MODEL,), AS_OF_NS)
    sheet = prepare(desk.market, models.models[0])
    alone = ModelSet(
        tuple(replace(one, model=replace(one.model, sweep=None)) for one in models.models)
    )
    yield _portfolio(desk, sheet, alone, load)
    yield _one_pool(desk, sheet, alone, load)


def product_lap(multiply_adds: int) -> Lap:
    """The time of that many multiply-adds at the rate of a dense product."""
    left, right = stream(0, "benchmarks", "scan").random((2, PRODUCT_SIZE, PRODUCT_SIZE))
    share = multiply_adds / PRODUCT_SIZE**3
    return lambda: share * seconds(lambda: left @ right)


def _scans(name: str, book: Book, sheet: JointSheet, load: Load) -> Iterator[Line]:
    """The bare scan of a book beside SciPy's and the limit; the model beside SciPy's and ours."""
    contracts, profits = contracts_of(book), sheet.tables.profits
    held, out = book.positions, np.empty(book.pool_count)
    shape = (book.pool_count, len(profits))
    matrix = sparse.csr_matrix((contracts, held.instrument, held.offsets), shape=shape)

    def peer() -> Floats:
        return np.asarray(np.maximum(-(matrix @ profits).min(axis=1), 0.0))

    # Whoever sweeps again and again has both write where they wrote before.
    figures = zero_figures(book.pool_count)
    product = product_lap(held.instrument.size * profits.shape[1])
    bare, by_scipy, limit, whole = time_laps(
        load.repeats,
        _bare_lap(book, sheet, 1, out),
        lap(peer),
        product,
        lap(lambda: sweep_joint(book.rows, None, sheet, out=figures)),
    )
    # A sum that all but cancels has the error of its terms, which the largest loss stands for.
    scale = max(float(out.max()), 1.0)
    accuracy = relative_difference([(out / scale, peer() / scale)])
    size, who = book.pool_count - len(SystemPool), "SciPy, CSR x dense, then min"
    yield Race(bare, by_scipy, limit).milliseconds(f"scan.worst_loss.{name}.{size}", who, accuracy)
    yield Race(whole, by_scipy, bare).milliseconds(
        f"scan.portfolio.{name}.{size}", "SciPy's bare scan", accuracy
    )


def contracts_of(book: Book) -> Floats:
    """Contracts of every position."""
    held = book.positions
    return np.asarray(held.quantity * book.instruments.quantity_unit[held.instrument])


def _bare_lap(book: Book, sheet: JointSheet, passes: int = 1, out: Floats | None = None) -> Lap:
    held, contracts = book.positions, contracts_of(book)
    out = np.empty(book.pool_count) if out is None else out
    begin, end, profits = held.offsets[:-1], held.offsets[1:], sheet.tables.profits

    def scan() -> None:
        for _ in range(passes):
            worst_losses(begin, end, held.instrument, contracts, profits, out)

    return lap(scan)


def _portfolio(desk: Desk, sheet: JointSheet, alone: ModelSet, load: Load) -> Line:
    book, market = desk.book, desk.market
    race = Race(
        *time_laps(
            min(load.repeats, 5),
            lap(lambda: sweep_joint(book.rows, None, sheet)),
            lap(lambda: assess(book, market, alone)),
            _bare_lap(book, sheet),
        )
    )
    accuracy = _accuracy(sweep_joint(book.rows, None, sheet), assess(book, market, alone))
    return race.milliseconds(
        f"scan.portfolio.sheet.{load.tick_accounts}", "its rule sheet, NumPy and Numba", accuracy
    )


def _one_pool(desk: Desk, sheet: JointSheet, alone: ModelSet, load: Load) -> Line:
    """The pool with most positions; its rows are read from the whole book's."""
    book, room = desk.book, sheet.own_room()
    pools = np.array([np.argmax(np.diff(book.positions.offsets))])
    part, rows, turns = take_pools(book, pools), book.rows, range(PASSES)
    ours, peer, limit = time_laps(
        load.repeats,
        lap(lambda: [sweep_joint(rows, pools, sheet, room) for _ in turns]),
        lambda: PASSES * seconds(lambda: assess(part, desk.market, alone)),
        _bare_lap(part, sheet, PASSES),
    )
    accuracy = _accuracy(sweep_joint(rows, pools, sheet, room), assess(part, desk.market, alone))
    count = part.positions.instrument.size
    name, peer_name = f"scan.one_pool.{count}", "its rule sheet, NumPy and Numba"
    race = Race(ours, peer, limit)
    return race.line(name, 1e6 * ours.median / PASSES, "us", peer_name, accuracy)


def _accuracy(found: Assessment, other: Assessment) -> float:
    return relative_difference((getattr(found, name), getattr(other, name)) for name in FIGURES)
