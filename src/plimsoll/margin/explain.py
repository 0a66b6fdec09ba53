"""Why a requirement is what it is: the charges, the rows behind them, what is unknown."""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, PoolKind, clone_account
from plimsoll.core import Int32s, Status
from plimsoll.instruments import Kind
from plimsoll.margin.assess import assess
from plimsoll.margin.assessment import ACCOUNT_ROW, Detail, Requirement
from plimsoll.margin.exposure import Exposure, measure_exposure
from plimsoll.margin.layout import lay_out_book
from plimsoll.margin.model import ModelSet, ResolvedModel
from plimsoll.market import Market, Quality


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One charge of one pool, in the model's currency."""

    name: str
    initial: float
    maintenance: float


@dataclass(frozen=True, slots=True)
class DetailTable:
    """Rows behind a pool's figures: a label (an asset or a symbol, as ``by`` says) and numbers."""

    name: str
    by: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]

    def column(self, name: str) -> tuple[float, ...]:
        """One figure of every row."""
        return tuple(values[self.columns.index(name)] for _, values in self.rows)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one pool. ``reasons`` say why the status is UNKNOWN, if it is;

    ``unconfirmed`` which parameters of the model no source confirms, and why.
    """

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
    unconfirmed: tuple[tuple[str, str], ...]

    def detail(self, name: str) -> DetailTable:
        """The detail table of a name; KeyError where the model has none."""
        for table in self.details:
            if table.name == name:
                return table
        raise KeyError(name)


def explain(
    book: Book, market: Market, models: ModelSet, account_id: str
) -> tuple[Explanation, ...]:
    """One explanation per pool of an account: its cross pool, then the isolated ones."""
    small = clone_account(book, account_id)
    resolved = models.models[book.account_model[book.find_account(account_id, "account")]]
    result = assess(small, market, ModelSet((resolved,)))
    exposure = measure_exposure(small, market, lay_out_book(small))
    requirement = resolved.model.require(exposure, market, resolved.params)
    details = (_positions(exposure, requirement, market, resolved), *requirement.details)
    found = []
    for pool in np.flatnonzero(small.pool_kind != PoolKind.SYSTEM):
        status = Status(result.status[pool])
        found.append(
            Explanation(
                pool=small.pool_name(int(pool)),
                kind=PoolKind(small.pool_kind[pool]).name.lower(),
                model=small.models[0].name,
                currency=result.currency,
                status=status,
                reasons=unknown_reasons(small, market, int(pool), resolved)
                if status == Status.UNKNOWN
                else (),
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
                details=tuple(_rows(detail, small, int(pool)) for detail in details),
                unconfirmed=resolved.unconfirmed,
            )
        )
    return tuple(found)


def _rows(detail: Detail, book: Book, pool: int) -> DetailTable:
    """The rows of one pool."""
    table = book.instruments
    names = table.symbols if detail.by_instrument else table.assets.names
    rows = tuple(
        (
            "account" if detail.label[row] == ACCOUNT_ROW else names[detail.label[row]],
            tuple(float(c[row]) for _, c in detail.columns),
        )
        for row in range(detail.offsets[pool], detail.offsets[pool + 1])
    )
    by = "symbol" if detail.by_instrument else "asset"
    return DetailTable(detail.name, by, tuple(name for name, _ in detail.columns), rows)


def _positions(
    exposure: Exposure, requirement: Requirement, market: Market, resolved: ResolvedModel
) -> Detail:
    """What is held, and the prices the venue shows beside it, where it states how."""
    layout, table = exposure.layout, exposure.instruments
    held = layout.slot_instrument
    is_option = table.of_kind(Kind.OPTION)[held]
    value = np.where(exposure.quantity == 0, 0.0, exposure.quantity * exposure.contract_value[held])
    columns = [
        ("quantity", exposure.quantity),
        ("mark", market.mark[held]),
        ("notional", np.abs(exposure.quantity) * exposure.contract_notional[held]),
        ("profit", np.where(is_option, 0.0, value - exposure.cost)),
        ("option_value", np.where(is_option, value, 0.0)),
    ]
    if resolved.model.prices is not None:
        prices = resolved.model.prices(exposure, requirement, market, resolved.params)
        columns += [
            ("liquidation_price", prices.liquidation),
            ("bankruptcy_price", prices.bankruptcy),
        ]
    return Detail("positions", layout.slot_offsets, held, tuple(columns), by_instrument=True)


def unknown_reasons(
    book: Book, market: Market, pool: int, resolved: ResolvedModel
) -> tuple[str, ...]:
    """Why a pool's status is UNKNOWN: each price it needs that is unusable, or a missing rule."""
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
    balances = book.balances.asset[owned][book.balances.amount[owned] != 0]
    assets = np.concatenate(
        [balances, *(column[in_use] for column in (table.base, table.quote, table.settle))]
    )
    rows = sorted({int(i) for i in in_use} | {count + int(a) for a in assets})
    reasons = tuple(market.describe(row) for row in rows if market.quality[row] != Quality.GOOD)
    if reasons:
        return reasons
    if resolved.model.reprices_options:
        options = [int(i) for i in dict.fromkeys(in_use.tolist()) if table.kind[i] == Kind.OPTION]
        inputs = (("implied_vol", market.implied_vol), ("underlying", market.forward))
        blind = [(what, i) for i in options for what, column in inputs if np.isnan(column[i])]
        if blind:
            return tuple(f"{what} of {table.symbols[i]} is missing" for what, i in blind)
    return _missing_rules(book, market, pool, resolved, in_use, balances)


def _missing_rules(
    book: Book, market: Market, pool: int, resolved: ResolvedModel, in_use: Int32s, balances: Int32s
) -> tuple[str, ...]:
    """What the model has no answer for even alone, or that it has none for all of it together."""
    table, models = book.instruments, ModelSet((resolved,))
    nothing = replace(
        book,
        positions=replace(book.positions, quantity=0 * book.positions.quantity,
                          cost=0 * book.positions.cost),
        balances=replace(book.balances, amount=0 * book.balances.amount),
        orders=replace(book.orders, quantity=0 * book.orders.quantity),
    )  # fmt: skip

    def is_blind(alone: Book) -> bool:
        return bool(assess(alone, market, models).status[pool] == Status.UNKNOWN)

    found = []
    for i in dict.fromkeys(in_use.tolist()):
        held, ordered = book.positions.instrument == i, book.orders.instrument == i
        positions = replace(book.positions, quantity=book.positions.quantity * held,
                            cost=book.positions.cost * held)  # fmt: skip
        orders = replace(book.orders, quantity=book.orders.quantity * ordered)
        if is_blind(replace(nothing, positions=positions, orders=orders)):
            found.append(table.symbols[i])
    for asset in dict.fromkeys(balances.tolist()):
        amount = book.balances.amount * (book.balances.asset == asset)
        if is_blind(replace(nothing, balances=replace(book.balances, amount=amount))):
            found.append(table.assets.names[asset])
    name = resolved.model.name
    if not found:
        return (f"{name} has no rule for these positions together",)
    return tuple(f"{name} has no rule or parameter for {what}" for what in found)
