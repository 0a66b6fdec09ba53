"""A lender's book: health of every loan in one assessment, and what a fall of bitcoin does."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from plimsoll.connectors.aave import LoanBook, read_loan_book
from plimsoll.connectors.build import build_portfolio
from plimsoll.core import Bools, Floats, Status
from plimsoll.margin import Assessment, assess, load_models
from plimsoll.market import shock_market

SYSTEM_POOLS = 5
BOUNDS = (0.0, 0.95, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, np.inf)


@dataclass(frozen=True, slots=True)
class HealthBand:
    """Loans whose health factor is at least ``low`` and below ``high``; debt in USD."""

    low: float
    high: float
    accounts: int
    share: float
    debt: float


@dataclass(frozen=True, slots=True)
class Shock:
    """What is liquidatable after bitcoin moves by ``move``, and how much more than before.

    ``debt`` is what these loans owe in USD, ``shortfall`` what their collateral lacks of it.
    """

    move: float
    liquidatable: int
    newly: int
    debt: float
    new_debt: float
    shortfall: float


@dataclass(frozen=True, slots=True)
class LoanReport:
    """Counts of accounts of a loan book. ``bare`` owe without any collateral in the files."""

    as_of: str
    rows: int
    accounts: int
    unknown: int
    bare: int
    bands: tuple[HealthBand, ...]
    shocks: tuple[Shock, ...]
    pegged: tuple[str, ...]
    unpriced: tuple[str, ...]


def report_loans(positions: Path, prices: Path, moves: Sequence[float]) -> LoanReport:
    """Health of the loans in a file, and after bitcoin has moved by each of ``moves``."""
    book = read_loan_book(positions, prices)
    portfolio = build_portfolio(book.document)
    table = portfolio.book.instruments
    models = load_models(table, portfolio.book.models, portfolio.market.as_of_ns)
    found = [
        assess(portfolio.book, shock_market(portfolio.market, shift), models)
        for shift in (_shift(book, table.assets.names, move) for move in (0.0, *moves))
    ]
    base = found[0]
    debt, health = _health(base)
    known = base.status[SYSTEM_POOLS:] != Status.UNKNOWN
    bare = known & (base.collateral_value[SYSTEM_POOLS:] == 0) & (debt > 0)
    judged = known & ~bare
    return LoanReport(
        as_of=book.document.as_of,
        rows=book.rows,
        accounts=int(known.size),
        unknown=int(np.count_nonzero(~known)),
        bare=int(np.count_nonzero(bare)),
        bands=tuple(_bands(health[judged], debt[judged])),
        shocks=tuple(
            _shock(move, base, after, judged) for move, after in zip(moves, found[1:], strict=True)
        ),
        pegged=book.pegged,
        unpriced=book.unpriced,
    )


def _shift(book: LoanBook, names: tuple[str, ...], move: float) -> Floats:
    return np.array([move if name in book.bitcoins else 0.0 for name in names])


def _health(result: Assessment) -> tuple[Floats, Floats]:
    """Debt and health factor of each user's pool; infinite without debt."""
    debt = result.maintenance_margin[SYSTEM_POOLS:]
    with np.errstate(divide="ignore", invalid="ignore"):
        health = result.collateral_value[SYSTEM_POOLS:] / debt
    return debt, np.where(debt == 0, np.inf, health)


def _bands(health: Floats, debt: Floats) -> list[HealthBand]:
    bands = []
    for low, high in pairwise(BOUNDS):
        # The last band holds loans of nothing, too: their health is infinite.
        inside = (health >= low) & ((health < high) | (high == np.inf))
        count = int(np.count_nonzero(inside))
        share = count / health.size if health.size else 0.0
        bands.append(HealthBand(low, high, count, share, float(np.sum(debt[inside]))))
    return bands


def _shock(move: float, base: Assessment, after: Assessment, judged: Bools) -> Shock:
    before_debt, before = _health(base)
    debt, health = _health(after)
    falls = judged & (health < 1)
    newly = falls & ~(before < 1)
    lacking = np.minimum(after.equity[SYSTEM_POOLS:], 0.0)
    return Shock(
        move=move,
        liquidatable=int(np.count_nonzero(falls)),
        newly=int(np.count_nonzero(newly)),
        debt=float(np.sum(debt[falls])),
        new_debt=float(np.sum(before_debt[newly])),
        shortfall=float(-np.sum(lacking[falls])),
    )
