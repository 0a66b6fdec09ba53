"""Why a requirement is what it is: the charges, the rows behind them, what is unknown."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind, clone_account
from plimsoll.core import Status
from plimsoll.instruments import Kind
from plimsoll.margin.assess import assess, require
from plimsoll.margin.layout import lay_out_book
from plimsoll.margin.model import ModelSet
from plimsoll.market import Market, Quality


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One charge of one pool, in the model's currency."""

    name: str
    initial: float
    maintenance: float


@dataclass(frozen=True, slots=True)
class DetailTable:
    """Rows behind a pool's figures: a label (an asset or underlying) and named numbers."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one pool. ``reasons`` say why the status is UNKNOWN, if it is."""

    pool: str
    kind: str
    model: str
    currency: str
    status: Status
    reasons: tuple[str, ...]
    equity: float
    collateral_value: float
    initial_margin: float
    maintenance_margin: float
    excess_margin: float
    margin_ratio: float
    charges: tuple[ChargeLine, ...]
    details: tuple[DetailTable, ...]


def explain(
    book: Book, market: Market, models: ModelSet, account_id: str
) -> tuple[Explanation, ...]:
    """One explanation per pool of an account: its cross pool, then the isolated ones."""
    small = clone_account(book, account_id)
    resolved = models.models[book.account_model[book.find_account(account_id, "account")]]
    result = assess(small, market, ModelSet((resolved,)))
    requirement = require(small, market, resolved, lay_out_book(small))
    names = small.instruments.assets.names
    found = []
    for pool in np.flatnonzero(small.pool_kind != PoolKind.SYSTEM):
        tables = []
        for detail in requirement.details:
            first, end = detail.offsets[pool], detail.offsets[pool + 1]
            rows = tuple(
                (names[detail.label[row]], tuple(float(c[row]) for _, c in detail.columns))
                for row in range(first, end)
            )
            tables.append(DetailTable(detail.name, tuple(n for n, _ in detail.columns), rows))
        found.append(
            Explanation(
                pool=small.pool_name(int(pool)),
                kind=PoolKind(small.pool_kind[pool]).name.lower(),
                model=small.models[0].name,
                currency=result.currency,
                status=Status(result.status[pool]),
                reasons=unknown_reasons(small, market, int(pool), Status(result.status[pool])),
                equity=float(result.equity[pool]),
                collateral_value=float(result.collateral_value[pool]),
                initial_margin=float(result.initial_margin[pool]),
                maintenance_margin=float(result.maintenance_margin[pool]),
                excess_margin=float(result.excess_margin[pool]),
                margin_ratio=float(result.margin_ratio[pool]),
                charges=tuple(
                    ChargeLine(c.name, float(c.initial[pool]), float(c.maintenance[pool]))
                    for c in result.charges
                ),
                details=tuple(tables),
            )
        )
    return tuple(found)


def unknown_reasons(book: Book, market: Market, pool: int, status: Status) -> tuple[str, ...]:
    """Why a pool's status is UNKNOWN: each price it needs that is unusable, or a missing rule."""
    if status != Status.UNKNOWN:
        return ()
    table = book.instruments
    count = len(table)
    held = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
    owned = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
    ordered = slice(book.orders.offsets[pool], book.orders.offsets[pool + 1])
    in_use = np.concatenate(
        [
            book.positions.instrument[held][book.positions.quantity[held] != 0],
            book.orders.instrument[ordered],
        ]
    )
    assets = np.concatenate(
        [
            book.balances.asset[owned][book.balances.amount[owned] != 0],
            *(column[in_use] for column in (table.base, table.quote, table.settle)),
        ]
    )
    rows = sorted({int(i) for i in in_use} | {count + int(a) for a in assets})
    reasons = tuple(market.describe(row) for row in rows if market.quality[row] != Quality.GOOD)
    if reasons:
        return reasons
    options = [table.rows[i].symbol for i in in_use if table.kind[i] == Kind.OPTION]
    if options:
        return tuple(f"the model has no rule for the option {symbol}" for symbol in options)
    under = sorted({table.assets.names[table.base[i]] for i in in_use})
    return (f"the model's table has no brackets for one of: {', '.join(under)}",)
